package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/model"
	"github.com/writ-iam/writ/node/api/query"
	"github.com/writ-iam/writ/node/api/sts"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// call is one request of the Query protocol on its way through the edge.
type call struct {
	request
	server *Server
	op     *model.Operation
	action *iam.Action // nil where the operation is not built
	form   *query.Form
	sig    *sigv4.Signature
	job    job // the work of answering it
}

// query serves the AWS Query protocol.
func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	c := &call{request: newRequest(r, s.cfg.Now()), server: s}
	rec := &recorder{ResponseWriter: w}
	defer s.release(&c.request)
	defer c.job.end()
	failure := c.serve(rec)
	if failure != nil && rec.status == 0 {
		refused := c.refusal(failure)
		if refused.Status == http.StatusServiceUnavailable {
			rec.Header().Set("Retry-After", retryAfter)
		}
		// An error of this write means that the caller has gone.
		_ = query.WriteError(rec, c.op, refused, c.id)
	}
	name := "unknown"
	if c.op != nil {
		name = c.op.Name
	}
	took := s.cfg.Now().Sub(c.began)
	s.cfg.Metrics.observe(&c.request, name, rec.status, took)
	s.log(&c.request, name, rec, took, failure)
}

// serve answers the call or says, having written nothing, why it cannot.
func (c *call) serve(w *recorder) error {
	if err := c.parse(w); err != nil {
		return err
	}
	s := c.server
	if c.action != nil && c.action.Write {
		return c.write(w)
	}
	seen, err := s.view(&c.request, c.sig, forRead)
	if err != nil {
		return err
	}
	w.Header().Set(HeaderPosition, seen.position())
	w.Header().Set(HeaderFreshness, seen.mode)
	in, call, err := c.admit(seen.view)
	if err != nil {
		return err
	}
	call.Work = &c.job.Work
	out, err := c.action.Answer(call, in)
	if err != nil {
		return cmp.Or(c.job.tooMuchWork(), err)
	}
	c.job.rest() // the caller may read slowly
	return query.WriteResponse(w, c.op, out, c.id, c.room)
}

// room is for query.WriteResponse.
func (c *call) room(bytes int) (free func(), err error) {
	return c.server.holdAnswer(&c.request, bytes)
}

// parse reads what the request says before anybody is asked about it.
func (c *call) parse(w *recorder) error {
	sig, unsigned := sigv4.Parse(c.Request, c.now)
	if err := c.server.readBody(w, &c.request, sig); err != nil {
		return err
	}
	form, err := query.ParseRequest(c.Request, c.body)
	if err != nil {
		return err
	}
	c.form = form
	op, unknown := form.Operation()
	if unknown == nil {
		c.op = op
		c.action = c.server.actions[op.Service.Name+":"+op.Name]
	}
	if c.sig = sig; unsigned != nil {
		return unsigned
	}
	if err := c.once(); err != nil {
		return err
	}
	if c.op == nil && c.sig.Scope.Service == sts.Service {
		return nil // an action that neither service has
	}
	service := iam.Service
	if c.op != nil {
		service = c.op.Service.Name
	}
	return c.sig.CheckService(service)
}

// admit finds out who calls, decodes what is asked and authorizes it, all in one
// view.
func (c *call) admit(v *projection.View) (in any, call *iam.Call, err error) {
	caller, principal, err := c.server.authenticate(&c.request, c.sig, v)
	if err != nil {
		return nil, nil, err
	}
	if c.op == nil || c.action == nil {
		_, err := c.form.Operation()
		if err == nil {
			err = &query.Error{Code: "InvalidAction", Status: http.StatusBadRequest, Message: "The action " + c.op.Name + " is not available here."}
		}
		return nil, nil, err
	}
	in = c.action.New()
	if err := query.Decode(c.op, c.form, in); err != nil {
		return nil, nil, err
	}
	c.server.begin(&c.job, c.Context(), principal.ID)
	call = &iam.Call{Caller: caller, View: v, Now: identity.Time(c.now.UnixMilli()), Random: rand.Reader, Seal: c.server.cfg.Seal}
	for _, a := range c.action.Access(call, in) {
		err := c.server.permit(new(inquiry), &c.job, &c.request, c.sig, principal, a)
		switch {
		case err == nil && a.Extra:
			call.Show(a.Resource)
		case err != nil && !(a.Extra && isDenial(err)):
			return nil, nil, err
		}
	}
	return in, call, nil
}

// Codes of errors that more than one place knows.
const (
	accessDenied   = "AccessDenied"
	outcomeUnknown = "OutcomeUnknown"
)

// permit asks the engine whether the caller may do one thing, as a part of a job: the
// caller's policies and the request's headers are of the caller's making, too. The
// refusal says why in AWS's words. i is room for the question.
func (s *Server) permit(i *inquiry, j *job, q *request, sig *sigv4.Signature, p *projection.Principal, a iam.Access) error {
	*i = inquiry{
		Request: authz.Request{Principal: &p.Principal, Action: a.Action, Resource: a.Resource, Named: a.Named, ResourceAccount: string(a.Account), Context: a.Context, Work: &j.Work},
		globals: authz.Globals{Time: q.now, SourceIP: q.source, Region: sig.Scope.Region, UserAgent: q.UserAgent(), Transport: authz.TransportOf(q.secure)},
	}
	i.FillGlobals(&i.globals)
	defer j.rest()
	if p.Decide(&i.Request).Allowed() {
		return nil
	}
	message := p.Explain(&i.Request).Message
	switch err := j.Err(); {
	case errors.Is(err, policy.ErrWork):
		message = "User: " + p.ARN + " is not authorized to perform: " + a.Action +
			" because finding out takes more work than it may. Give the user shorter policies with fewer wildcards."
	case err != nil:
		return err
	}
	return &query.Error{Code: accessDenied, Status: http.StatusForbidden, Message: message}
}

// isDenial tells whether permit said no, and not that it could not find out.
func isDenial(err error) bool {
	var denied *query.Error
	return errors.As(err, &denied) && denied.Code == accessDenied
}

// write carries out a call that changes something, at the leader.
func (c *call) write(w *recorder) error {
	var call *iam.Call
	var in any
	if err := c.server.identify(&c.request, c.sig, c.action.Service, c.action.Name); err != nil {
		return err
	}
	batch, err := c.server.commit(w, &c.request, c.sig, func(v *projection.View) (cmd event.Command, err error) {
		if in, call, err = c.admit(v); err != nil {
			return cmd, err
		}
		content, err := c.action.Command(call, in)
		if err != nil {
			return cmd, err
		}
		by := authority(call.Caller, v.Head.Position)
		return c.command(v, by, c.action.Service+":"+c.action.Name, content, call.Reliances()), nil
	})
	if err != nil || batch == nil {
		return err
	}
	return c.answerWrite(w, call, in, batch)
}

// answerWrite renders the answer from what the log accepted, in a view that has it.
func (c *call) answerWrite(w *recorder, call *iam.Call, in any, batch *event.Batch) error {
	s := c.server
	v, err := s.cfg.Projection.Wait(c.Context(), batch.Position)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	call.View = v
	out, err := c.action.Render(call, in, batch)
	if err != nil {
		return fmt.Errorf("render the answer of %s at position %d: %w", c.op.Name, batch.Position, err)
	}
	setWritten(w.Header(), batch)
	err = query.WriteResponse(w, c.op, out, c.id, c.room)
	if err != nil && w.status == 0 {
		return &tookEffect{batch.Position, err}
	}
	return err
}

// errMisdirected answers a peer that took this node for the leader.
var errMisdirected = errors.New("this node does not lead")

// unavailable is a failure that may be over a little later: what the caller is
// told of it, and the cause, which only the node's log is told.
type unavailable struct {
	detail string
	cause  error // may be nil
}

// Error gives detail and cause.
func (u *unavailable) Error() string {
	if u.cause == nil {
		return u.detail
	}
	return u.detail + " " + u.cause.Error()
}

// Unwrap gives the cause.
func (u *unavailable) Unwrap() error { return u.cause }

// refusal turns an error into one of AWS's. What is not the caller's business
// stays in the node's log.
func (c *call) refusal(err error) *query.Error {
	var q *query.Error
	var sig *sigv4.Error
	var action *iam.Error
	var refused *identity.Refusal
	var p problem
	var later *unavailable
	var took *tookEffect
	switch {
	case errors.As(err, &took):
		return &query.Error{Code: outcomeUnknown, Status: http.StatusServiceUnavailable, Message: took.Error()}
	case errors.As(err, &q):
		return q
	case errors.As(err, &sig):
		return &query.Error{Code: sig.Code, Status: sig.Status, Message: sig.Message}
	case errors.As(err, &action):
		return c.known(action.Code, action.Message)
	case errors.As(err, &refused):
		return c.known(string(refused.Code), refused.Message)
	case errors.As(err, &p):
		return &query.Error{Code: p.Code, Status: p.Status, Message: p.Detail}
	case errors.Is(err, errTooLarge):
		return &query.Error{Code: "RequestEntityTooLarge", Status: http.StatusRequestEntityTooLarge, Message: "Request size exceeded the limit of " + strconv.Itoa(MaxBody) + " bytes"}
	case errors.Is(err, ErrTooLarge):
		return c.known(string(identity.LimitExceeded), "The request makes a change that is larger than the log takes.")
	case errors.Is(err, errTooSlow):
		return &query.Error{Code: codeRequestTimeout, Status: http.StatusRequestTimeout, Message: "The body did not come in time."}
	case errors.Is(err, errMisdirected):
		return &query.Error{Code: "NotLeader", Status: http.StatusMisdirectedRequest, Message: "This node does not lead."}
	case errors.Is(err, ErrOutcomeUnknown):
		return &query.Error{Code: outcomeUnknown, Status: http.StatusServiceUnavailable,
			Message: "The leader was lost while the request was under way: it may or may not take effect. Sent again with the same amz-sdk-invocation-id, it takes effect at most once."}
	case errors.As(err, &later):
		return &query.Error{Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable, Message: later.detail + " Try again."}
	case errors.Is(err, ErrOverloaded):
		return &query.Error{Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable, Message: "The node takes no writes now. Try again."}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &query.Error{Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable, Message: "The request was not served in time. Try again."}
	case errors.Is(err, errCutShort):
		return &query.Error{Code: "IncompleteBody", Status: http.StatusBadRequest, Message: "The body ends before its declared end."}
	}
	return &query.Error{Code: "InternalFailure", Status: http.StatusInternalServerError, Message: "The request failed inside Writ; its log says why under this request's id."}
}

// known looks the status of a code up in the service's model.
func (c *call) known(code, message string) *query.Error {
	status := http.StatusBadRequest
	if c.op != nil {
		if s, ok := c.op.Service.Status(code); ok {
			status = s
		}
	}
	return &query.Error{Code: code, Status: status, Message: message}
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
	begin  func(status int) // if set, called before the answer begins
}

// WriteHeader notes the status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
		if r.begin != nil {
			r.begin(status)
		}
	}
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// failed tells whether a request failed for a reason that is the node's. What a caller
// asks for beyond a limit, or fresher than the node is, goes away from, or asks without
// being known, is none.
func (q *request) failed(failure error) bool {
	var p problem
	var later *unavailable
	switch {
	case failure == nil, errors.Is(failure, errBusy), errors.As(failure, &p), q.Context().Err() != nil:
		return false
	case errors.As(failure, &later):
		return len(q.verified) > 0
	}
	return true
}

// log writes one line for a request: failures of ours as errors, the rest for
// whoever wants to see it. No ARN, key or body is in it.
func (s *Server) log(q *request, action string, rec *recorder, took time.Duration, failure error) {
	level, text := slog.LevelDebug, "request"
	if rec.status >= http.StatusInternalServerError && q.failed(failure) {
		level, text = slog.LevelError, "request failed"
	}
	if !s.cfg.Logger.Enabled(q.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request", q.id), slog.String("action", action), slog.Int("status", rec.status),
		slog.Duration("took", took), slog.String("position", rec.Header().Get(HeaderPosition)),
	}
	if q.via != "" {
		attrs = append(attrs, slog.String("via", q.via))
	}
	if level == slog.LevelError {
		attrs = append(attrs, slog.Any("error", failure))
	}
	s.cfg.Logger.LogAttrs(q.Context(), level, text, attrs...)
}
