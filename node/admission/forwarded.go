package admission

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/writ-iam/writ/node/fault"
)

// Forwarded is a request on its way to the leader.
type Forwarded struct {
	Body      []byte
	RequestID string
	Attempt   string // idempotency key material; kept over retries
	Source    string // address of the caller
	Secure    bool   // the caller came over TLS
	// Hold is how long the leader may hold its answer back, as the caller asked.
	Hold time.Duration
	// came is when this node had all of it: it may look for the leader since.
	came time.Time
}

// Headers by which a node tells the leader about a request that it forwards.
const (
	headerForwardedID      = "X-Writ-Forwarded-Id"
	headerForwardedAttempt = "X-Writ-Forwarded-Attempt"
	headerForwardedSource  = "X-Writ-Forwarded-Source"
	headerForwardedSecure  = "X-Writ-Forwarded-Secure"
	headerForwardedHeld    = "X-Writ-Forwarded-Held" // milliseconds, until it was sent to the leader
	headerForwardedVia     = "X-Writ-Forwarded-Via"  // set by the leader, never by a peer
)

// SetHeaders puts on r what the leader is to know about a forwarded request.
func (f *Forwarded) SetHeaders(r *http.Request) {
	r.Header.Set(headerForwardedID, f.RequestID)
	r.Header.Set(headerForwardedAttempt, f.Attempt)
	r.Header.Set(headerForwardedSource, f.Source)
	r.Header.Set(headerForwardedSecure, strconv.FormatBool(f.Secure))
	if !f.came.IsZero() {
		r.Header.Set(headerForwardedHeld, strconv.FormatInt(time.Since(f.came).Milliseconds(), 10))
	}
}

// maxForwardedHeld is how long before it reached the leader a request may have come to
// the node that handed it on, at most: as long as that looks for the leader.
const maxForwardedHeld = 15 * time.Second

// IsForwarded tells whether a peer has marked r as a client's request. Only
// connections between nodes may be asked.
func IsForwarded(r *http.Request) bool { return r.Header.Get(headerForwardedID) != "" }

// StripForwarded drops from a client's request what only a peer may say about it.
func StripForwarded(r *http.Request) {
	for _, name := range [...]string{headerForwardedID, headerForwardedAttempt, headerForwardedSource, headerForwardedSecure, headerForwardedHeld, headerForwardedVia} {
		delete(r.Header, name)
	}
}

// AcceptForwarded takes over what a peer, via, says about a request that it hands on: on
// its word, and recorded as such. It returns the request's id, and a *fault.Fault where
// the peer says what cannot be.
func AcceptForwarded(r *http.Request, via string) (id string, err error) {
	id = r.Header.Get(headerForwardedID)
	r.Header.Set(headerForwardedVia, via)
	if source := r.Header.Get(headerForwardedSource); source != "" {
		if addr, err := netip.ParseAddr(source); err != nil || addr != addr.Unmap().WithZone("") {
			return id, fault.BadRequest("Upgrade the node "+via+".", "The address of the caller is none.")
		}
	}
	return id, nil
}
