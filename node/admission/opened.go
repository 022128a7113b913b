package admission

import (
	"strings"
	"sync"

	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/projection"
)

// Limits of what is remembered of sessions.
const (
	// maxOpened is how many sessions a generation of those that are remembered has; there
	// are two.
	maxOpened = 2048
	// maxOpenedToken bounds the token of one that is remembered, in characters: one with long
	// policies or many tags is opened each time.
	maxOpenedToken = 1 << 10
)

// opened is a session whose token was opened. It is immutable once it is remembered.
type opened struct {
	token    string
	of       string // the incarnation of the cluster in which it opened
	claims   *session.Claims
	sealedBy uint32 // number of the session key of the token
	secret   []byte // stands for its secret; see secretID
	as       *projection.Session
}

// newOpened is a session that a key sealed.
func newOpened(c *session.Claims, sealedBy uint32) *opened {
	return &opened{claims: c, sealedBy: sealedBy, secret: secretID(sealedBy), as: principalOf(c)}
}

// openedSessions remember sessions of which a signature was verified here, so that those that
// call again and again are not opened each time. Whether a session has ended is looked up each
// time. Nothing is remembered of whom no signature proved. Safe for concurrent use; the zero
// value is ready.
type openedSessions struct {
	mu            sync.RWMutex
	recent, older map[string]*opened // by access key id; guarded by mu
}

// find returns the session of a token, if it is remembered for the access key in an
// incarnation of the cluster.
func (o *openedSessions) find(incarnation, accessKey, token string) *opened {
	o.mu.RLock()
	found := o.recent[accessKey]
	old := found == nil
	if old {
		found = o.older[accessKey]
	}
	o.mu.RUnlock()
	if found == nil || found.token != token || found.of != incarnation {
		return nil
	}
	if old {
		o.keep(found)
	}
	return found
}

// keep remembers a session.
func (o *openedSessions) keep(s *opened) {
	if len(s.token) > maxOpenedToken {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.recent == nil || len(o.recent) >= maxOpened {
		o.older, o.recent = o.recent, make(map[string]*opened)
	}
	o.recent[s.claims.AccessKey] = s
}

// size is how many are remembered.
func (o *openedSessions) size() int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return len(o.recent) + len(o.older)
}

// remember keeps a session under its token, in memory of its own: a request's lives no longer.
func (o *openedSessions) remember(incarnation, token string, s *opened) {
	s.of, s.token = incarnation, strings.Clone(token)
	o.keep(s)
}
