package admission

import (
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/gate"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
)

// Door notes that a request came through a door of this node by a caller that the door's settings
// name: the caller is no stranger, and what it takes it takes on account of its name, its body too.
func (d *Desk) Door(q *Request, caller string) {
	q.owner, q.verified, q.vouched = identity.ID("door "+caller), []byte("door"), true
	d.own(q, string(q.owner))
	gate.Prove(q.Context())
}

// As admits in a view the user or role of an ARN, as whom the settings of this node let a caller
// ask. No credential proves the caller: it has no access key, and authors nothing. One that the
// view does not have is denied, and so is an account's root, who may everything.
func (p *Pass) As(v *projection.View, arn string) error {
	is, err := v.PrincipalByARN(arn)
	if err != nil || is.Type != authz.User && is.Type != authz.Role {
		return fault.New(fault.Denied, "The settings of this node let the caller ask as "+fault.Quote(arn)+", which is no user or role of the cluster.",
			"Name one that exists in `asks_as`, with the permission writ:Authorize.")
	}
	p.Principal, p.view = is, v
	p.Caller = Caller{Kind: KindUser, Account: identity.AccountID(is.Account), ID: identity.ID(is.ID), ARN: is.ARN, UserID: is.ID}
	if is.Type == authz.Role {
		p.Caller.Kind = KindRole
	}
	p.Desk.Begin(&p.Job, p.Request.Context(), is.ID)
	return nil
}
