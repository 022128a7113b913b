package api

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/model"
	"github.com/writ-iam/writ/node/api/query"
	"github.com/writ-iam/writ/node/api/sts"
	"github.com/writ-iam/writ/node/fault"
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
		writeAWS(rec, c.op, c.id, fault.Of(failure))
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
		return cmp.Or(c.job.problem(), err)
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
	return fault.New(fault.Denied, message, "")
}

// isDenial tells whether permit said no, and not that it could not find out.
func isDenial(err error) bool {
	var denied *fault.Fault
	return errors.As(err, &denied) && denied.Code() == fault.Denied
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
		return fault.New(fault.OutcomeUnknown, "", "").Because(err)
	}
	call.View = v
	out, err := c.action.Render(call, in, batch)
	if err != nil {
		return fmt.Errorf("render the answer of %s at position %d: %w", c.op.Name, batch.Position, err)
	}
	setWritten(w.Header(), batch)
	err = query.WriteResponse(w, c.op, out, c.id, c.room)
	if err != nil && w.status == 0 {
		return tookEffect(batch.Position, err)
	}
	return err
}

// writeAWS answers a request of the Query protocol with a fault.
func writeAWS(w http.ResponseWriter, op *model.Operation, requestID string, f *fault.Fault) {
	if f.Retry() {
		w.Header().Set("Retry-After", fault.RetryAfter)
	}
	a := f.AWS()
	// An error of this write means that the caller has gone.
	_ = query.WriteError(w, op, &query.Error{Code: a.Code, Status: a.Status, Message: a.Detail}, requestID)
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
	if failure == nil || errors.Is(failure, errBusy) || q.Context().Err() != nil {
		return false
	}
	switch fault.Of(failure).Code() {
	case fault.InternalFailure, fault.OutcomeUnknown, fault.TookEffect:
		return true
	case fault.Unavailable:
		return len(q.verified) > 0
	}
	return false
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
