// Package opened remembers sessions whose tokens were opened, within bounds, so that those that
// call again and again are not opened and made into principals each time. Whether a session
// has ended is for the caller to look up, each time.
package opened

import (
	"strconv"
	"strings"
	"sync"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// Limits of what is remembered of sessions.
const (
	// MaxSessions is how many are remembered at most.
	MaxSessions = 4096
	// MaxToken bounds the token of one that is remembered, in characters: one with long
	// policies or many tags is opened each time.
	MaxToken = 1 << 10
)

// Session is a session whose token was opened. It is immutable once it is remembered.
type Session struct {
	Claims   *session.Claims
	SealedBy uint32 // number of the session key of the token
	Secret   []byte // stands for its secret; see SecretID
	As       *projection.Session

	token string
	of    string // the incarnation of the cluster in which it opened
}

// New is a session that a key sealed.
func New(c *session.Claims, sealedBy uint32) *Session {
	return &Session{Claims: c, SealedBy: sealedBy, Secret: SecretID(sealedBy), As: principalOf(c)}
}

// Logged is the session as the log has it.
func (s *Session) Logged() identity.Session {
	c := s.Claims
	on := identity.Session{Key: s.SealedBy, Minted: identity.Position(c.Position), Issued: identity.Time(c.Issued.UnixMilli()), Until: identity.Time(c.Expires.UnixMilli()), Parent: c.Parent}
	if o := &c.Origin; *o != (session.Origin{}) {
		on.Origin = identity.Origin{Account: identity.AccountID(o.Account), Principal: identity.ID(o.Principal), Key: o.Key, Began: identity.Time(o.Began.UnixMilli())}
	}
	return on
}

// Sessions remember sessions. Who remembers one has verified a signature of it: nothing is
// remembered of whom no signature proved. Safe for concurrent use; the zero value is ready.
type Sessions struct {
	mu            sync.RWMutex
	recent, older map[string]*Session // by access key id; guarded by mu
}

// Find returns the session of a token, if it is remembered for the access key in an
// incarnation of the cluster.
func (o *Sessions) Find(incarnation, accessKey, token string) *Session {
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
func (o *Sessions) keep(s *Session) {
	if len(s.token) > MaxToken {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.recent == nil || len(o.recent) >= MaxSessions/2 {
		o.older, o.recent = o.recent, make(map[string]*Session)
	}
	o.recent[s.Claims.AccessKey] = s
}

// Size is how many are remembered.
func (o *Sessions) Size() int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return len(o.recent) + len(o.older)
}

// Remember keeps a session under its token, in memory of its own: a request's lives no longer.
func (o *Sessions) Remember(incarnation, token string, s *Session) {
	s.of, s.token = incarnation, strings.Clone(token)
	o.keep(s)
}

// SecretID stands for the secret of a session in what is remembered of signatures.
func SecretID(sealedBy uint32) []byte {
	return strconv.AppendUint([]byte("session "), uint64(sealedBy), 10)
}

// principalOf is a session as a view makes a principal of it.
func principalOf(c *session.Claims) *projection.Session {
	s := &projection.Session{Of: identity.ID(c.Principal), Name: c.Name, Policy: c.Policy, Managed: c.Managed, Issued: c.Issued, MFA: c.MFA,
		SourceIdentity: c.SourceIdentity, Provider: c.Provider}
	switch c.Kind {
	case session.Role:
		s.Type = authz.RoleSession
	case session.FederatedUser, session.Delegated: // who may no more than its policies let it, whomever a resource names
		s.Type = authz.FederatedUser
	case session.User, session.SignedInUser:
		s.Type = authz.User
	case session.Root, session.TaskRoot, session.SignedInRoot:
		s.Type = authz.Root
	}
	for _, t := range c.Tags {
		s.Tags = append(s.Tags, authz.Tag{Key: t.Key, Value: t.Value})
	}
	if len(c.Keys) > 0 {
		s.Keys = append(s.Keys, ProviderKey(c.Provider, &session.Claim{Name: "sub", Values: []string{c.Subject}}))
	}
	for i := range c.Keys {
		s.Keys = append(s.Keys, ProviderKey(c.Provider, &c.Keys[i]))
	}
	return s
}

// ProviderKey is what a provider says as a condition key: under the provider's name, which is
// the last part of its ARN, whatever slashes that has.
func ProviderKey(provider string, k *session.Claim) policy.Entry {
	_, name, _ := strings.Cut(provider, "/")
	host, _, _ := strings.Cut(name, "/")
	if !strings.Contains(host, ".") { // the prefix of a service's own keys, such as aws or sts
		name = "oidc-provider/" + name
	}
	key := policy.NewKey(name + ":" + k.Name)
	if k.Many {
		return policy.Multi(key, k.Values)
	}
	return policy.Single(key, k.Values[0])
}
