package api

import (
	"net/http"
	"strconv"

	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/policy"
)

// nativeService is the service name in signatures of the native API, and the
// prefix of its permissions.
const nativeService = "writ"

// Permissions of the native API, in short.
const (
	actionAuthorize      = policy.ActionAuthorize
	actionGetPropagation = policy.ActionGetPropagation
	actionGetCluster     = policy.ActionGetCluster
	actionWatch          = policy.ActionWatch
	actionDrainReplica   = policy.ActionDrainReplica
	actionResumeReplica  = policy.ActionResumeReplica
	actionRemoveReplica  = policy.ActionRemoveReplica
	actionAdmitReplica   = policy.ActionAdmitReplica
	actionGetHead        = policy.ActionGetHead
	actionGetChain       = policy.ActionGetChain
	actionVerify         = policy.ActionVerify
)

// nativeCall is a request of the native API; seen and principal are known once it
// is verified. It is one piece of memory, for it is made for every decision.
type nativeCall struct {
	request
	w         recorder
	sig       *sigv4.Signature
	seen      seen
	principal *projection.Principal // the caller
	own       inquiry               // whether the caller may ask
	asked     inquiry               // what the caller asks
	job       job                   // the work of answering it
	about     string                // the principal that the caller may ask about
	values    [5]string             // of the answer's headers
}

// native reads a request of the native API, whose permission is action, and hands
// it to serve, which verifies it or gives it to the leader. An error of serve
// becomes a problem, if nothing was written.
func (s *Server) native(action string, serve func(*nativeCall) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &nativeCall{request: newRequest(r, s.cfg.Now()), w: recorder{ResponseWriter: w}}
		rec := &c.w
		defer s.release(&c.request)
		defer c.job.end()
		err := c.parse(s)
		if err == nil {
			err = serve(c)
		}
		if err != nil && rec.status == 0 {
			fault.WriteProblem(rec, c.id, fault.Of(err))
		}
		took := s.cfg.Now().Sub(c.began)
		s.cfg.Metrics.observe(&c.request, action, rec.status, took)
		s.log(&c.request, action, rec, took, err)
	}
}

// parse reads what the request says before anybody is asked about it.
func (c *nativeCall) parse(s *Server) error {
	sig, unsigned := sigv4.Parse(c.Request, c.now)
	if err := s.readBody(&c.w, &c.request, sig); err != nil {
		return err
	}
	if c.sig = sig; unsigned != nil {
		return unsigned
	}
	if err := c.once(); err != nil {
		return err
	}
	return c.sig.CheckService(nativeService)
}

// verify finds out who calls, in the view that the answer is to come from.
func (s *Server) verify(c *nativeCall, u use) (err error) {
	if c.seen, err = s.view(&c.request, c.sig, u); err != nil {
		return err
	}
	if _, c.principal, err = s.authenticate(&c.request, c.sig, c.seen.view); err != nil {
		return err
	}
	s.begin(&c.job, c.Context(), c.principal.ID)
	return nil
}

// may asks the engine whether the caller has a permission of the native API. The
// resource is its own account's, if it is an ARN, or else the caller's.
func (s *Server) may(c *nativeCall, action, resource string) error {
	return s.permit(&c.own, &c.job, &c.request, c.sig, c.principal, iam.Access{Action: action, Resource: resource})
}

// ofCluster is what a request needs that is about the whole cluster, which belongs
// to its own account: no other account's root may change its roster, or read what
// all accounts do.
func (s *Server) ofCluster(action string) iam.Access {
	return iam.Access{Action: action, Resource: "*", Account: s.cfg.Account}
}

// answer writes a JSON body with the position that it was computed at.
func (s *Server) answer(c *nativeCall, body []byte) error {
	c.job.rest() // the caller may read slowly
	free, err := s.holdAnswer(&c.request, len(body))
	if err != nil {
		return err
	}
	defer free()
	c.values = [...]string{c.id, "application/json", strconv.Itoa(len(body)), c.seen.position(), c.seen.mode}
	h := c.w.Header()
	for i, name := range [...]string{headerRequestID, "Content-Type", "Content-Length", HeaderPosition, HeaderFreshness} {
		h[name] = c.values[i : i+1 : i+1]
	}
	c.w.WriteHeader(http.StatusOK)
	_, err = c.w.Write(body)
	return err
}
