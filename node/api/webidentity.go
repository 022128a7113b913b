package api

import (
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/query"
	"github.com/writ-iam/writ/node/api/sts"
	"github.com/writ-iam/writ/projection"
)

// maxIdentities is how many requests have a web identity token read or its signature checked, or
// wait for a shift to do so, and maxIdentitiesOne how many of one address.
const (
	maxIdentities    = 16 // a quarter of all that wait for shifts
	maxIdentitiesOne = maxIdentities / 4
)

// present finds out who calls without a signature: for whom an identity provider vouches. Until
// that is proved the caller is a stranger, and all of the caller's work is on account of the
// address.
func (c *call) present(v *projection.View) error {
	c.Unsigned()
	c.in = c.action.New()
	if err := query.Decode(c.op, c.form, c.in); err != nil {
		return err
	}
	leave, err := c.server.identities.Enter(c.Context(), &c.Job, c.Holder())
	if err != nil {
		return err
	}
	p, err := sts.Present(v.State, c.in.(*sdk.AssumeRoleWithWebIdentityInput))
	leave() // nobody has a shift who waits for an issuer
	if err != nil {
		return err
	}
	keys, err := p.Keys(c.Context(), v.State, c.server.cfg.Identities, c.server.cfg.Now())
	if err != nil {
		return err
	}
	if leave, err = c.server.identities.Enter(c.Context(), &c.Job, c.Holder()); err != nil {
		return err
	}
	who, err := p.Verify(keys, c.server.cfg.Now())
	leave()
	if err != nil {
		return err
	}
	c.identity = who
	c.Vouch(v, who.Provider, p.Role(v), sts.TrustClaims(who))
	return nil
}

// refusal is what the caller is told of a refusal by Pass.May.
func (c *call) refusal(err error, action string) error {
	if c.identity != nil && admission.IsDenial(err) {
		c.Message = "" // it would tell whether there is such a role
		return sts.NotAuthorized(action)
	}
	return err
}
