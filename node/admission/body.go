package admission

import (
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/sigv4"
)

// Limits of reading a body.
const (
	// MaxBody is the longest body that is read, in bytes.
	MaxBody = 1 << 20
	// freeBody is how much of each body is read before it takes of the bytes that all
	// share: most bodies are no longer.
	freeBody = 4 << 10
	// bodyPatience is how long a body may take, and bodyRate how many bytes of it must
	// come in each second beyond that.
	bodyPatience = 5 * time.Second
	bodyRate     = 64 << 10
)

// heldBody is what a request's body has taken of the bytes that all share.
type heldBody struct {
	begun  bool // of and holder are known
	of     Place
	holder string
	bytes  int
}

// ReadBody reads the whole body, at most MaxBody bytes. Nothing is known of its caller
// yet but its address and the access key that it claims, if sig is not nil: what is held
// of it beyond freeBody counts against that key's owner where the two have been proved to
// belong together, or against the node that hands it on, or else among those of strangers,
// as it comes. Release gives it back.
//
// A request has arrived when its body has: it is then that its signature must be good,
// and by that time that the log tells a replay from a twin. Whoever repeats a request
// could hold the rest of the body back.
func (d *Desk) ReadBody(w http.ResponseWriter, q *Request, sig *sigv4.Signature) error {
	if q.ContentLength > MaxBody {
		return fault.New(fault.BodyTooLarge, "", "")
	}
	if q.ContentLength != 0 {
		if err := d.fillBody(http.NewResponseController(w), q, sig); err != nil {
			return err
		}
		q.Now = d.cfg.Now()
		if sig != nil {
			if err := sig.CheckLife(q.Now, sig.Until.Sub(sig.Time)); err != nil {
				return err
			}
		}
	}
	q.PayloadHash = sha256.Sum256(q.Payload)
	return nil
}

// fillBody reads a body: as much as was declared, or as comes.
func (d *Desk) fillBody(control *http.ResponseController, q *Request, sig *sigv4.Signature) error {
	begun := time.Now()
	most, declared := int(q.ContentLength), q.ContentLength > 0
	if !declared {
		most = MaxBody
	}
	body := make([]byte, 0, min(most, freeBody))
	for !declared || len(body) < most {
		if len(body) == cap(body) {
			if len(body) == most { // is this the end?
				switch n, err := io.ReadFull(q.Request.Body, make([]byte, 1)); {
				case n > 0:
					return fault.New(fault.BodyTooLarge, "", "")
				case errors.Is(err, io.EOF):
					q.Payload = body
					return nil
				default:
					return readError(err)
				}
			}
			size := min(2*cap(body), most)
			if err := d.hold(q, sig, size-cap(body)); err != nil {
				return err
			}
			body = append(make([]byte, 0, size), body...)
		}
		// Not every writer is a connection; then there is nobody to wait for.
		_ = control.SetReadDeadline(begun.Add(bodyPatience + time.Duration(len(body))*time.Second/bodyRate))
		n, err := q.Request.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF) && (!declared || len(body) == most):
			q.Payload = body
			return nil
		case err != nil:
			return readError(err)
		}
	}
	q.Payload = body
	return nil
}

// readError is what an error of reading a body means.
func readError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.BodyTooSlow, "", "").Because(err)
	}
	return fault.New(fault.BodyCutShort, "", "").Because(err)
}

// hold takes n bytes for a request's body.
func (d *Desk) hold(q *Request, sig *sigv4.Signature, n int) error {
	if !q.held.begun {
		q.held = heldBody{begun: true, of: StrangersBodies, holder: q.Holder()}
		if owner, ok := d.claimed(q, sig); ok {
			q.held.of, q.held.holder = Bodies, owner
		} else if q.Via != "" { // it has all of the body, and must not choose who pays for it
			q.held.of, q.held.holder = Bodies, "by way of "+q.Via
		}
	}
	if err := d.takeFor(q.held.of, q, q.held.holder, n); err != nil {
		return err
	}
	q.held.bytes += n
	return nil
}

// claimed returns the owner of the access key that a request claims, of which no signature
// was verified yet, where it is likely to be by that key: where the key has lately proved
// itself from its address. What another node says of the address proves nothing.
func (d *Desk) claimed(q *Request, sig *sigv4.Signature) (owner string, ok bool) {
	if sig == nil || q.Forwarded || !d.proofs.have(sig.AccessKeyID, q.network(), q.Now) {
		return "", false
	}
	cred, ok := d.cfg.Projection.View().State.AccessKey(sig.AccessKeyID)
	return string(cred.Owner), ok && cred.Active
}

// proved notes that a request is by an access key. What it holds counts as its owner's from
// then on, if that one has room for it.
func (d *Desk) proved(q *Request, cred *identity.Credential) {
	if !q.Forwarded { // else its address is another node's word
		d.proofs.note(cred.ID, q.network(), q.Now)
	}
	d.own(q, string(cred.Owner))
}

// own has what a request holds count as its owner's, if that one has room for it.
func (d *Desk) own(q *Request, owner string) {
	if q.held.begun && q.held.holder != owner && d.places[Bodies].Take(owner, q.held.bytes) == nil {
		d.places[q.held.of].Free(q.held.holder, q.held.bytes)
		q.held.of, q.held.holder = Bodies, owner
	}
}

// Release gives back what a request's body held. The body is no longer used.
func (d *Desk) Release(q *Request) {
	if q.held.bytes > 0 {
		d.places[q.held.of].Free(q.held.holder, q.held.bytes)
		q.held, q.Payload = heldBody{}, nil
	}
}
