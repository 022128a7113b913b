package bridge

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/writ-iam/writ/node/fault"
)

// peerKey is under which a context has the user id of the process at the other end.
type peerKey struct{}

// WithPeer is the context of a connection to a Unix socket by a process with a user id.
func WithPeer(ctx context.Context, uid uint32) context.Context {
	return context.WithValue(ctx, peerKey{}, uid)
}

// asking finds the caller that a request is by, and what it shows. None: who asks is not known.
func (d *Door) asking(r *http.Request) (*Caller, error) {
	token, bears := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	var shown [sha256.Size]byte
	if bears {
		shown = sha256.Sum256([]byte(token))
	}
	var found *Caller
	for i := range d.Callers {
		c := &d.Callers[i]
		fits := false
		switch {
		case c.BearerFile != "": // each is compared, so that time does not tell which fits
			fits = subtle.ConstantTimeCompare(c.bearer[:], shown[:]) == 1 && bears
		case c.Certificate != "":
			fits = r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && r.TLS.VerifiedChains[0][0].Subject.CommonName == c.Certificate
		case c.UID != nil:
			uid, ok := r.Context().Value(peerKey{}).(uint32)
			fits = ok && uid == *c.UID
		case c.Signed:
			fits = signed(r)
		case c.Anybody:
			fits = true
		}
		if fits && found == nil {
			found = c
		}
	}
	if found == nil {
		return nil, fault.New(fault.Denied, "This door does not know who asks.", "Show what one of the door's `callers` is known by.")
	}
	return found, nil
}

// signed tells whether a request carries a signature, good or not.
func signed(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-") || strings.Contains(r.URL.RawQuery, "X-Amz-Signature=")
}
