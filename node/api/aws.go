package api

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/model"
	"github.com/writ-iam/writ/node/api/query"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/api/sts"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/password"
	"github.com/writ-iam/writ/projection"
)

// call is one request of the Query protocol.
type call struct {
	dispatch.Exchange
	server *Server
	op     *model.Operation
	action *iam.Action // nil where the operation is not built
	form   *query.Form
	// in and made are the call's input and what its action may know, from admit on.
	in   any
	made *iam.Call
	took event.Position // where an attempt of the call took effect before; 0 for nowhere
	// passwords is what the call has found out about passwords, however often it is
	// authorized.
	passwords password.Checker
	// bench is what else it has worked out.
	bench admission.Bench
	// identity is who calls without credentials; nil for whoever signs.
	identity *iam.WebIdentity
}

// query serves the AWS Query protocol.
func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	c := &call{server: s}
	c.Action = "unknown"
	s.dispatcher.Serve(w, r, &c.Exchange, c)
}

// Read reads the form, and which operation it names.
func (c *call) Read() (service string, err error) {
	if c.form, err = query.ParseRequest(c.Request.Request, c.Payload); err != nil {
		return "", err
	}
	op, unknown := c.form.Operation()
	switch {
	case unknown == nil:
		c.op, c.Action = op, op.Name
		c.action = c.server.actions[op.Service.Name+":"+op.Name]
		if code, _ := c.form.Get("TokenCode"); code != "" && c.action != nil && c.action.ByCode != nil {
			c.action = c.action.ByCode
		}
		if op.Unsigned {
			if c.action == nil { // a signature would not help
				return "", c.unavailable()
			}
			return "", nil
		}
		return op.Service.Name, nil
	case c.Sig != nil && c.Sig.Scope.Service == sts.Service:
		return sts.Service, nil // an action that neither service has
	}
	return iam.Service, nil
}

// Serve answers the call or says, having written nothing, why it cannot.
func (c *call) Serve() error {
	if c.action != nil && c.action.Write {
		return c.write()
	}
	if c.op != nil && c.op.Unsigned && !c.server.desk.Seals() {
		return c.HandOn(0) // nothing is proved to a node that can make no session
	}
	use := freshness.ForRead
	if c.action != nil && (c.action.Mints || c.action.Signs) {
		use = freshness.ForSession
	}
	if err := c.Find(use); err != nil {
		return err
	}
	if err := c.admit(c.Seen.View); err != nil {
		return err
	}
	if c.op.Unsigned { // it may have waited for its issuer, whose keys are known now
		if err := c.Find(use); err != nil {
			return err
		}
		if err := c.admit(c.Seen.View); err != nil {
			return err
		}
	}
	if c.action.Mints || c.action.Signs {
		able, err := c.mayMint()
		if err != nil {
			return err
		}
		if !able {
			return c.HandOn(0)
		}
		if v := c.made.View; v != c.Seen.View { // that has the key: the session is made in the view that it is authorized in
			c.Seen.View = v
			if err := c.admit(v); err != nil {
				return err
			}
		}
	}
	c.made.Work = &c.Job.Work
	out, err := c.action.Answer(c.made, c.in)
	if err == nil {
		err = c.Job.Err() // what it did not finish, it does not tell
	}
	if err != nil {
		return cmp.Or(c.Job.Fault(), err)
	}
	c.Job.Rest() // the caller may read slowly
	return query.WriteResponse(&c.W, query.FormatOf(c.Request.Request), c.op, out, c.ID, c.room)
}

// mayMint makes sure that this node can make a session or a token for the caller, whom the
// view of the call admits. The first one of a cluster makes the key for it. False: the leader
// can.
func (c *call) mayMint() (able bool, err error) {
	for c.server.desk.Seals() {
		if c.hasKey() {
			return true, nil
		}
		if !c.server.dispatcher.Leads() {
			break
		}
		if c.made.View, err = c.newKey(); err != nil {
			return false, err
		}
	}
	return false, nil
}

// Refuse answers with a fault in AWS's words.
func (c *call) Refuse(f *fault.Fault) {
	if f.Retry() {
		c.W.Header().Set("Retry-After", fault.RetryAfter)
	}
	if c.Message != "" && f.Code() == fault.Denied {
		c.W.Header().Set(shape.HeaderMessage, c.Message)
	}
	a := f.AWS()
	// An error of this write means that the caller has gone.
	_ = query.WriteError(&c.W, query.FormatOf(c.Request.Request), c.op, &query.Error{Code: a.Code, Status: a.Status, Message: a.Detail}, c.ID)
}

// room is for query.WriteResponse.
func (c *call) room(bytes int) (free func(), err error) {
	return c.Desk.HoldAnswer(&c.Request, bytes)
}

// admit finds out who calls, decodes what is asked and authorizes it, all in one
// view.
func (c *call) admit(v *projection.View) error {
	if err := c.identify(v); err != nil {
		return err
	}
	if c.Seen.View != nil { // a read: strangers are not told how it stands
		c.W.Header().Set(shape.HeaderPosition, c.Seen.Position())
		c.W.Header().Set(shape.HeaderFreshness, c.Seen.Mode)
	}
	if c.op == nil || c.action == nil {
		_, err := c.form.Operation()
		if err == nil {
			err = c.unavailable()
		}
		return err
	}
	if !c.op.Unsigned {
		c.in = c.action.New()
		if err := query.Decode(c.op, c.form, c.in); err != nil {
			return err
		}
	}
	c.made = &iam.Call{WebIdentity: c.identity, Caller: c.Caller, View: v, Now: identity.Time(c.Now.UnixMilli()), Region: c.Sig.Scope.Region, Random: rand.Reader, Seal: c.server.cfg.Seal, Passwords: &c.passwords, Codes: c.server.codes, Bench: &c.bench, Sessions: c.server.desk, Tokens: c.server.signer, Messages: c.server.desk,
		Thumbprints: c.server.cfg.Thumbprints, Issuer: cmp.Or(c.server.cfg.Issuer, c.server.cfg.Node.Condition.Endpoint())}
	c.server.documents.Begin(&c.bench, c.Context(), &c.Job, c.Principal.ID)
	for _, a := range c.action.Access(c.made, c.in) {
		err := c.May(a)
		switch {
		case err == nil && a.Extra:
			c.made.Show(a.Resource)
		case err != nil && !(a.Extra && admission.IsDenial(err)):
			return c.refusal(err, a.Action)
		}
	}
	if c.op.Unsigned {
		c.Trusted()
	}
	return nil
}

// identify finds out who calls.
func (c *call) identify(v *projection.View) error {
	if c.op != nil && c.op.Unsigned {
		return c.present(v)
	}
	if err := c.Admit(v); err != nil {
		return err
	}
	return c.restrict()
}

// unavailable is the refusal of an action that is not built.
func (c *call) unavailable() error {
	return fault.New(fault.InvalidAction, "The action "+c.op.Name+" is not available here.", "")
}

// Authorize authorizes a call that changes something.
func (c *call) Authorize(v *projection.View) (cmd event.Command, err error) {
	if err := c.admit(v); err != nil {
		return cmd, err
	}
	c.server.passwords.Begin(&c.passwords, c.Context(), &c.Job, c.Principal.ID, c.Now)
	c.took, c.made.Repeated = c.Repeated(v)
	content, err := c.action.Command(c.made, c.in)
	var said *iam.Error
	var foreseen *identity.Refusal
	switch {
	case errors.As(err, &said), errors.As(err, &foreseen):
		return cmd, &dispatch.FromView{Err: err}
	case err != nil:
		return cmd, err
	}
	return c.Command(v, c.action.Service+":"+c.action.Name, content, c.made.Reliances()), nil
}

// errForgotten refuses a call of which an attempt took effect, where the cluster forgot that
// between its authorization and its decision.
var errForgotten = errors.New("the cluster no longer remembers what it answered; look whether what the request asked for is still there before you ask for it anew")

// write carries out a call that changes something, at the leader. It renders the answer
// from what the log accepted, in a view that has it.
func (c *call) write() error {
	batch, v, err := c.Write(c.action.Service, c.action.Name, c)
	var refusal *identity.Refusal
	if errors.As(err, &refusal) && c.took != 0 { // what it says is about a command that nobody asked for
		return dispatch.TookEffect(c.took, errForgotten)
	}
	if err != nil || batch == nil {
		return err
	}
	c.made.View = v
	if c.action.Mints {
		able, err := c.mayMint()
		if err == nil && !able { // it leads no more
			err = admission.ErrNoSessionKey
		}
		if err != nil {
			return dispatch.TookEffect(batch.Position, err)
		}
	}
	out, err := c.action.Render(c.made, c.in, batch)
	if err != nil {
		return fmt.Errorf("render the answer of %s at position %d: %w", c.op.Name, batch.Position, err)
	}
	dispatch.SetWritten(c.W.Header(), batch)
	if c.made.TradeIn != "" {
		c.W.Header().Set(shape.HeaderTradeIn, c.made.TradeIn)
	}
	err = query.WriteResponse(&c.W, query.FormatOf(c.Request.Request), c.op, out, c.ID, c.room)
	if err != nil && c.W.Status() == 0 {
		return dispatch.TookEffect(batch.Position, err)
	}
	return err
}
