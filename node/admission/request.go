package admission

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/opened"
)

// headerInvocation is where AWS's SDKs say which attempts are of one invocation.
const headerInvocation = "Amz-Sdk-Invocation-Id"

// Request is what is known about a request besides what it says.
type Request struct {
	*http.Request
	// ID is the request's. Of a write it becomes the text of its attempt's key.
	ID string
	// Attempt is material for the idempotency key of a write; kept over retries and nodes.
	Attempt   string
	Source    string // address of the caller
	Secure    bool   // the caller came over TLS
	Forwarded bool   // another node handed it on
	Via       string // that node
	// Began is when it began to come, Now when all of it was here; Sought is how much
	// earlier it came to the cluster, at the node that handed it on.
	Began, Now time.Time
	Sought     time.Duration
	// Payload is the body, once it was read, and PayloadHash its SHA-256.
	Payload     []byte
	PayloadHash [sha256.Size]byte

	verified []byte      // the sealed secret that its signature was found to be by
	owner    identity.ID // whose that secret is
	held     heldBody
	session  *opened.Session // that its token was found to be of
	received bool            // by the caller of another request, who hands it on; see Received
	vouched  bool            // by a door of this node
}

// NewRequest returns what is known of a request when it comes, by the node's clock.
func NewRequest(r *http.Request, now time.Time) Request {
	q := Request{Request: r, Began: now, Now: now}
	q.ID = r.Header.Get(headerForwardedID)
	if q.ID != "" {
		q.Forwarded = true
		q.Attempt = r.Header.Get(headerForwardedAttempt)
		q.Source = r.Header.Get(headerForwardedSource)
		q.Secure = r.Header.Get(headerForwardedSecure) == "true"
		q.Via = r.Header.Get(headerForwardedVia)
		q.Sought = sought(r.Header.Get(headerForwardedHeld))
		return q
	}
	q.ID = newRequestID()
	if q.Attempt = r.Header.Get(headerInvocation); q.Attempt == "" {
		q.Attempt = q.ID
	}
	q.Secure = r.TLS != nil
	if addr, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		q.Source = addr.Addr().Unmap().WithZone("").String()
	}
	return q
}

// sought reads for how long a node says that it looked for the leader: what is no such time
// counts for none, and none is longer than a node looks, or the write would have come when
// it did not.
func sought(text string) time.Duration {
	ms, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0
	}
	return time.Duration(min(ms, uint64(maxForwardedHeld/time.Millisecond))) * time.Millisecond
}

// newRequestID returns a random uuid (version 4).
func newRequestID() string {
	var b identity.Key // for its form
	rand.Read(b[:])    // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return b.String()
}

// Forward is the request as it is handed on from now.
func (q *Request) Forward() Forwarded {
	return Forwarded{Body: q.Payload, RequestID: q.ID, Attempt: q.Attempt, Source: q.Source, Secure: q.Secure, came: time.Now()}
}

// Authenticated tells whether the signature was found to be by an access key that the node, or
// the leader for it, knows.
func (q *Request) Authenticated() bool { return len(q.verified) > 0 }
