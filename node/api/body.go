package api

import (
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/sigv4"
)

// Limits of reading a body.
const (
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
	of     *place // nil: nothing
	holder string
	bytes  int
}

// readBody reads the whole body, at most MaxBody bytes. Nothing is known of its caller
// yet but its address and the access key that it claims, if sig is not nil: what is held
// of it beyond freeBody counts against that key where the two have been proved to belong
// together, or else among those of strangers, as it comes. release gives it back.
//
// A request has arrived when its body has: it is then that its signature must be good,
// and by that time that the log tells a replay from a twin. Whoever repeats a request
// could hold the rest of the body back.
func (s *Server) readBody(w http.ResponseWriter, q *request, sig *sigv4.Signature) error {
	if q.ContentLength > MaxBody {
		return fault.New(fault.BodyTooLarge, "", "")
	}
	if q.ContentLength != 0 {
		if err := s.fillBody(http.NewResponseController(w), q, sig); err != nil {
			return err
		}
		q.now = s.cfg.Now()
		if sig != nil {
			if err := sig.CheckLife(q.now, sig.Until.Sub(sig.Time)); err != nil {
				return err
			}
		}
	}
	q.bodyHash = sha256.Sum256(q.body)
	return nil
}

// fillBody reads a body: as much as was declared, or as comes.
func (s *Server) fillBody(control *http.ResponseController, q *request, sig *sigv4.Signature) error {
	begun := time.Now()
	most, declared := int(q.ContentLength), q.ContentLength > 0
	if !declared {
		most = MaxBody
	}
	body := make([]byte, 0, min(most, freeBody))
	for !declared || len(body) < most {
		if len(body) == cap(body) {
			if len(body) == most { // is this the end?
				switch n, err := io.ReadFull(q.Body, make([]byte, 1)); {
				case n > 0:
					return fault.New(fault.BodyTooLarge, "", "")
				case errors.Is(err, io.EOF):
					q.body = body
					return nil
				default:
					return readError(err)
				}
			}
			size := min(2*cap(body), most)
			if err := s.hold(q, sig, size-cap(body)); err != nil {
				return err
			}
			body = append(make([]byte, 0, size), body...)
		}
		// Not every writer is a connection; then there is nobody to wait for.
		_ = control.SetReadDeadline(begun.Add(bodyPatience + time.Duration(len(body))*time.Second/bodyRate))
		n, err := q.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF) && (!declared || len(body) == most):
			q.body = body
			return nil
		case err != nil:
			return readError(err)
		}
	}
	q.body = body
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
func (s *Server) hold(q *request, sig *sigv4.Signature, n int) error {
	if q.held.of == nil {
		q.held.of, q.held.holder = &s.places.strangersBodies, q.holder()
		if sig != nil && s.mayBe(q, sig.AccessKeyID) {
			if cred, ok := s.cfg.Projection.View().State.AccessKey(sig.AccessKeyID); ok && cred.Active {
				q.held.of, q.held.holder = &s.places.bodies, cred.ID
			}
		}
	}
	if err := s.takeFor(q.held.of, q, q.held.holder, n); err != nil {
		return err
	}
	q.held.bytes += n
	return nil
}

// mayBe tells whether a request, of which no signature was verified yet, is likely to be by
// the key that it claims. One that another node hands on has been read there, and verified
// if the key is known there.
func (s *Server) mayBe(q *request, key string) bool {
	return q.forwarded || s.proofs.have(key, q.network(), q.now)
}

// proved notes that a request is by an access key. What it holds no longer counts among
// those of strangers, if the key has room for it.
func (s *Server) proved(q *request, key string) {
	s.proofs.note(key, q.network(), q.now)
	if q.held.of == &s.places.strangersBodies && s.places.bodies.Take(key, q.held.bytes) == nil {
		q.held.of.Free(q.held.holder, q.held.bytes)
		q.held.of, q.held.holder = &s.places.bodies, key
	}
}

// release gives back what a request's body held. The body is no longer used.
func (s *Server) release(q *request) {
	if q.held.bytes > 0 {
		q.held.of.Free(q.held.holder, q.held.bytes)
		q.held, q.body = heldBody{}, nil
	}
}
