package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/query"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
)

// nativeService is the service name in signatures of the native API, and the
// prefix of its permissions.
const nativeService = "writ"

// Permissions of the native API.
const (
	actionAuthorize      = "writ:Authorize"
	actionGetPropagation = "writ:GetPropagation"
	actionGetCluster     = "writ:GetCluster"
)

// nativeCall is a verified request of the native API.
type nativeCall struct {
	*request
	w         http.ResponseWriter
	sig       *sigv4.Signature
	seen      *seen
	caller    iam.Caller
	principal *projection.Principal
}

// native verifies a request of the native API, whose permission is action, and
// hands it to serve. An error of serve becomes a problem, if nothing was written.
func (s *Server) native(action string, serve func(*nativeCall) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w}
		c := &nativeCall{request: newRequest(r, s.cfg.Now()), w: rec}
		ctx, cancel := context.WithTimeout(r.Context(), MaxWait)
		defer cancel()
		c.Request = r.WithContext(ctx)
		err := s.verify(c)
		if err == nil {
			err = serve(c)
		}
		if err != nil && rec.status == 0 {
			writeProblem(rec, c.id, nativeProblem(err))
		}
		s.cfg.Metrics.observe(action, rec.status, s.cfg.Now().Sub(c.now))
		s.log(c.request, action, rec, err)
	}
}

// verify finds out who calls, in the view that the answer is to come from.
func (s *Server) verify(c *nativeCall) (err error) {
	if err := c.readBody(); err != nil {
		return err
	}
	if c.sig, err = sigv4.Parse(c.Request, c.now); err != nil {
		return err
	}
	if err := c.sig.CheckService(nativeService); err != nil {
		return err
	}
	if c.seen, err = s.view(c.Context(), c.request, c.sig); err != nil {
		return err
	}
	if c.caller, err = s.authenticate(c.request, c.sig, c.seen.view); err != nil {
		return err
	}
	c.principal, err = c.seen.view.Principal(c.caller.ID)
	return err
}

// may asks the engine whether the caller has a permission of the native API.
func (s *Server) may(c *nativeCall, action, resource string) error {
	return s.permit(c.request, c.sig, c.principal, iam.Access{Action: action, Resource: resource, Account: c.caller.Account})
}

// answer writes a JSON body with the position that it was computed at.
func (c *nativeCall) answer(body []byte) error {
	h := c.w.Header()
	c.seen.setHeaders(h)
	h[headerRequestID] = []string{c.id}
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	c.w.WriteHeader(http.StatusOK)
	_, err := c.w.Write(body)
	return err
}

// nativeProblem turns an error into one that callers of the native API see.
func nativeProblem(err error) problem {
	var p problem
	var q *query.Error
	var sig *sigv4.Error
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &sig):
		return problem{sig.Status, sig.Code, sig.Message, "Sign with SigV4 for the service name writ, with an active access key of this cluster."}
	case errors.As(err, &q):
		return problem{q.Status, q.Code, q.Message, "Attach a policy that allows the action to the caller."}
	case errors.Is(err, errTooLarge):
		return problem{http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", err.Error(), "Split the request."}
	case errors.Is(err, errMisdirected):
		return problem{http.StatusMisdirectedRequest, "NotLeader", err.Error(), ""}
	case errors.Is(err, errUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem{http.StatusServiceUnavailable, "Unavailable", err.Error(), "Try again."}
	case errors.Is(err, projection.ErrDiverged):
		return problem{http.StatusServiceUnavailable, "Diverged", err.Error(), "Ask another node; this one has quarantined itself."}
	}
	return problem{http.StatusInternalServerError, "InternalFailure", "The request failed inside Writ.", "The node's log says why under this request's id."}
}
