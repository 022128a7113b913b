package api

import (
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/query"
	"github.com/writ-iam/writ/node/api/sts"
	"github.com/writ-iam/writ/node/federation/oidc"
	"github.com/writ-iam/writ/projection"
)

// maxIdentities is how many requests with a web identity token are read, wait for their issuer or
// have their signature checked, maxIdentitiesOne how many of one address, and identitiesAtOnce how
// many of them work. Those that one issuer lets wait come back together: each has kept its place.
const (
	maxIdentities    = 2 * oidc.MaxWaiting
	maxIdentitiesOne = maxIdentities / 4
	identitiesAtOnce = 8 // all of them may be one caller's, and wait for shifts
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
	work := c.server.identities
	free, err := work.Reserve(&c.Job, c.Holder())
	if err != nil {
		return err
	}
	defer free()
	leave, err := work.Start(c.Context(), &c.Job)
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
	if leave, err = work.Start(c.Context(), &c.Job); err != nil {
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
