// Package webidentity finds out at doors what web identity tokens say, and whether a role lets in
// whoever shows one: as AssumeRoleWithWebIdentity does, without a session.
package webidentity

import (
	"errors"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/sts"
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/federation/oidc"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// What is wrong with a token, or with whom it names. Other errors say what the node cannot know now.
var (
	ErrToken  = errors.New("the web identity token is not accepted")
	ErrNobody = errors.New("whoever the token names is no principal of the cluster")
)

// Limits of a Verifier.
const (
	// maxTokens is how many requests may have tokens verified, or wait for their issuers; one
	// caller, a proxy say, may have all.
	maxTokens = 128
	// tries is how often the view is looked for anew in which a token's keys are still what they were.
	tries = 16
)

// Verifier verifies tokens within limits. Safe for concurrent use.
type Verifier struct{ shop *admission.Workshop }

// New returns a verifier that verifies so many at once.
func New(atOnce int) *Verifier {
	return &Verifier{admission.NewWorkshop("identities", maxTokens, maxTokens, atOnce)}
}

// Verify finds out what a token says, by the provider of its issuer in the account of an ARN. It may
// wait for the issuer; the call has a view of after that, for a use.
func (v *Verifier) Verify(c *bridge.Call, arn, raw string, u freshness.Use) (*iam.WebIdentity, error) {
	free, err := v.shop.Reserve(&c.Job, c.Holder())
	if err != nil {
		return nil, err
	}
	defer free()
	for range tries {
		from := c.Seen.View.Head
		p, err := sts.PresentTo(c.Seen.View.State, arn, raw)
		if err != nil {
			return nil, ErrToken
		}
		c.Job.Rest() // nobody has a shift who waits for an issuer
		keys, err := p.Keys(c.Context(), c.Seen.View.State, c.Node().Identities, c.Now)
		if err != nil {
			return nil, ofKeys(err)
		}
		who, err := v.proved(c, p, keys)
		if err != nil {
			return nil, err
		}
		if err := c.Begin(u); err != nil { // it may have waited
			return nil, err
		}
		if c.Seen.View.Head == from {
			return who, nil
		}
	}
	return nil, fault.Later("The node's view changed faster than the token could be verified.", nil)
}

// ofKeys is why there are no keys: an issuer that does not answer is not the token's fault.
func ofKeys(err error) error {
	if why := fault.Of(err); why.Retry() || why.Code() == fault.IDPCommunicationError || why.Native().Status >= 500 {
		return fault.Later("The issuer of the token does not give its keys.", err)
	}
	return ErrToken
}

// proved finds out who presents a token.
func (v *Verifier) proved(c *bridge.Call, p *sts.Presented, keys oidc.Keys) (*iam.WebIdentity, error) {
	leave, err := v.shop.Start(c.Context(), &c.Job)
	if err != nil {
		return nil, err
	}
	defer leave()
	who, err := p.Verify(keys, c.Now)
	if err != nil {
		return nil, ErrToken
	}
	return who, nil
}

// LetIn finds out whether the trust policy of a role lets in whoever shows a token that was
// verified, as a principal: the role, or a session of it. source is the address of whoever shows
// it; empty where nobody knows. A refusal is one of admission.IsDenial.
func LetIn(c *bridge.Call, raw string, who *iam.WebIdentity, role string, as *authz.Principal, source string) error {
	p, err := sts.PresentTo(c.Seen.View.State, role, raw)
	if err != nil {
		return ErrToken
	}
	of := p.Role(c.Seen.View)
	if of == nil {
		return ErrNobody
	}
	c.Job.Rest()
	q := admission.Request{Request: c.Request.Request, ID: c.ID, Now: c.Now, Source: source}
	pass := admission.Pass{Desk: c.Desk, Request: &q, Sig: &sigv4.Signature{}}
	pass.Unsigned()
	defer pass.Job.End()
	pass.Vouch(c.Seen.View, who.Provider, of, sts.TrustClaims(who))
	access := admission.Access{Action: "sts:AssumeRoleWithWebIdentity", Resource: role, Account: of.Account, Role: of.ID}.With(iam.ResourceTags(identity.Target{Kind: identity.KindRole, Tags: of.Tags})...)
	if as.Type == authz.RoleSession {
		access = access.With(policy.Single("sts:rolesessionname", as.Name))
	}
	return pass.May(access)
}
