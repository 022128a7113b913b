package admission

import (
	"errors"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// Kind says what kind of principal a caller is.
type Kind uint8

// The kinds of caller.
const (
	KindUser Kind = iota + 1
	KindRoot
	KindRole          // a session of a role
	KindFederatedUser // a session by GetFederationToken
	KindWebIdentity   // somebody whom an OpenID Connect provider vouches for, without credentials
)

// Caller is the authenticated principal that makes a call.
type Caller struct {
	Kind    Kind
	Account identity.AccountID
	ID      identity.ID // unique identifier of a user or role, also of one that a session is of; the account's number for its root
	Name    string      // friendly name of a user; empty for a root
	ARN     string
	// AccessKey is the access key ID that signed the request.
	AccessKey string
	// UserID is what AWS calls the caller's: aws:userid.
	UserID string
	// Session and Claims are those of temporary credentials; zero and nil for an access key.
	Session identity.Session
	Claims  *session.Claims
}

// Access is one thing that a caller must be allowed for a call to go ahead.
type Access struct {
	// Action is the permission, such as "iam:PassRole"; empty means the action
	// that is called.
	Action string
	// Resource is an ARN with the path that the entity has, or for one that is
	// about to be made the path that it is to have. It is "*", or for ListPolicies
	// what AWS calls its resource, where the action knows no resources.
	Resource string
	// Named is what a refusal calls the resource: what the caller called it, which shows
	// nothing of it. Empty for Resource, where that is of the request alone.
	Named string
	// Account owns the resource; for AWS's policies, which nobody else guards, it
	// is the caller's.
	Account identity.AccountID
	// Context are the condition keys that this access has besides the global
	// ones of the principal and the request.
	Context []policy.Entry
	// Extra is for what the call shows besides, to those alone who have the permission:
	// the call goes ahead without; see iam.Call.Shown.
	Extra bool
	// Granted is for what a setting of the account allows all its users, as a statement of
	// their own policies would: a Deny, or what bounds them, still counts.
	Granted bool
	// Role is the role whose trust policy guards the access; empty for what no resource's
	// own policy guards.
	Role identity.ID
	// MFA is when the caller showed a second factor with the very request; zero for not.
	MFA time.Time
}

// With is the access with more condition keys.
func (a Access) With(more ...policy.Entry) Access {
	a.Context = append(a.Context[:len(a.Context):len(a.Context)], more...)
	return a
}

// As is the access to the same resource for another permission.
func (a Access) As(action string) Access {
	a.Action = action
	return a
}

// Inquiry is a question to the engine, with its global condition keys.
type Inquiry struct {
	authz.Request
	Globals authz.Globals
}

// Pass is a caller on its way through a node: who it is, and what it may. It is of one
// goroutine. Its memory is one piece, for one is made for every request.
type Pass struct {
	Desk    *Desk
	Request *Request
	Sig     *sigv4.Signature
	// Caller and Principal are known from Admit on.
	Caller    Caller
	Principal *projection.Principal
	// Job is the work of serving the caller, from Admit on. Its owner ends it.
	Job Job

	// Message is what there is to know of the latest denial, sealed for those who may decode
	// it; empty without one, or where the node has no key for it.
	Message string

	own  Inquiry          // about the caller
	role *identity.Role   // that the caller is to be, for whom a provider vouches; nil else
	view *projection.View // in which it was admitted
}

// Admit finds out who calls, in a view. Errors are those of Desk.Authenticate.
func (p *Pass) Admit(v *projection.View) (err error) {
	if p.Caller, p.Principal, err = p.Desk.Authenticate(p.Request, p.Sig, v); err != nil {
		return err
	}
	p.view = v
	p.Desk.Begin(&p.Job, p.Request.Context(), p.Principal.ID)
	return nil
}

// May finds out whether the caller has an access, as a part of the pass's job: the
// caller's policies and the request's headers are of the caller's making, too. The
// refusal, fault.Denied, says why in AWS's words.
func (p *Pass) May(a Access) error {
	i, q := &p.own, p.Request
	*i = Inquiry{
		Request: authz.Request{Principal: &p.Principal.Principal, Action: a.Action, Resource: a.Resource, Named: a.Named, ResourceAccount: string(a.Account), Context: a.Context, Granted: a.Granted, Work: &p.Job.Work},
		Globals: authz.Globals{Time: q.Now, SourceIP: q.Source, Region: p.Sig.Scope.Region, UserAgent: q.UserAgent(), Transport: authz.TransportOf(q.Secure)},
	}
	if !a.MFA.IsZero() {
		shown := p.Principal.Principal
		shown.MFA = a.MFA
		i.Principal = &shown
	}
	if a.Role != "" {
		i.Target = p.view.Trust(a.Role)
	}
	i.FillGlobals(&i.Globals)
	defer p.Job.Rest()
	if p.Principal.Evaluate(&i.Request).Allowed() {
		return nil
	}
	why := p.Principal.Explain(&i.Request)
	message := why.Message
	switch err := p.Job.Err(); {
	case errors.Is(err, policy.ErrWork):
		message = "User: " + p.Principal.ARN + " is not authorized to perform: " + a.Action +
			" because finding out takes more work than it may. Give the user shorter policies with fewer wildcards."
	case err != nil:
		return err
	}
	p.Message = p.Desk.sealDenial(p.view.State, &p.Caller, i, &why)
	return fault.New(fault.Denied, message, "")
}

// IsDenial tells whether Pass.May said no, and not that it could not find out.
func IsDenial(err error) bool {
	var denied *fault.Fault
	return errors.As(err, &denied) && denied.Code() == fault.Denied
}

// MayAsk finds out as May does whether the caller may ask about a principal in a
// view: has the permission for it and, if it is a session, for the role whose policies
// decide.
func (p *Pass) MayAsk(v *projection.View, principal string) error {
	if err := p.May(Access{Action: policy.ActionAuthorize, Resource: principal}); err != nil {
		return err
	}
	if role := v.Issuer(principal); role != "" {
		return p.May(Access{Action: policy.ActionAuthorize, Resource: role, Named: principal})
	}
	return nil
}
