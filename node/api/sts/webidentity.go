package sts

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/federation/oidc"
	"github.com/writ-iam/writ/node/issuer"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/policy"
)

// Presented is a web identity token that somebody presents, and the provider that is to vouch
// for it. Nothing of the token is proved.
type Presented struct {
	role     string
	token    *oidc.Token
	provider *identity.OIDCProvider
	own      bool // its issuer is one of this cluster
}

// Present reads the token of a call, and finds its provider: that of its issuer in the account
// of the role.
func Present(s *identity.State, in *sdk.AssumeRoleWithWebIdentityInput) (*Presented, error) {
	if in.ProviderId != nil {
		return nil, fail(codeInvalidIdentityToken, "Tokens of OAuth 2.0 are not taken: leave ProviderId out for one of OpenID Connect.")
	}
	return PresentTo(s, aws.ToString(in.RoleArn), aws.ToString(in.WebIdentityToken))
}

// PresentTo is Present for a token alone: role is the ARN of the role that it is presented to, or
// of the user as whom who presents it is known.
func PresentTo(s *identity.State, role, raw string) (*Presented, error) {
	token, err := oidc.Parse(raw)
	if err != nil {
		return nil, fail(codeInvalidIdentityToken, "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	name := strings.TrimPrefix(token.Issuer, "https://")
	p, ok := s.OIDCProvider(s.Partition().ARN(identity.KindOIDCProvider, accountOf(role), "/", name))
	if !ok || p.URL != name || s.Closed(p.Account) {
		return nil, fail(codeInvalidIdentityToken, "No OpenIDConnect provider found in your account for %s", token.Issuer)
	}
	return &Presented{role, token, p, ownIssuer(s, token.Issuer)}, nil
}

// ownIssuer tells whether a URL is that of an account's issuer in this cluster.
func ownIssuer(s *identity.State, url string) bool {
	account, ok := issuer.AccountOf(url[strings.LastIndexByte(url, '/')+1:])
	if !ok {
		return false
	}
	settings := s.AccountSettings(account)
	return settings.Vends && settings.Issuer == url && !s.Closed(account)
}

// Keys asks for the keys by which the token can be. It may wait for the issuer. An issuer of this
// cluster is not asked: its keys are those of the state, so that one which is revoked there is
// nowhere kept.
func (p *Presented) Keys(ctx context.Context, s *identity.State, v *oidc.Verifier, now time.Time) (oidc.Keys, error) {
	if !now.Before(p.token.Expires) { // nobody is asked for it
		return nil, p.refused(oidc.ErrExpired, now)
	}
	by := &oidc.Issuer{URL: p.token.Issuer, Account: string(p.provider.Account), Thumbprints: p.provider.Thumbprints, Keys: p.provider.Keys}
	if p.own {
		at := identity.Time(now.UnixMilli())
		if keys := s.IssuerKeys(); len(keys.Shown(at)) == 0 {
			return nil, p.refused(oidc.ErrUnknownKey, now)
		}
		by.Keys = string(issuer.KeySet(s, at))
	}
	keys, err := v.Keys(ctx, by, p.token)
	switch {
	case errors.Is(err, oidc.ErrUnreachable):
		return nil, fail(codeIDPCommunicationError, "The request could not be fulfilled because the identity provider (IDP) that was asked to verify the incoming identity token could not be reached.")
	case errors.Is(err, oidc.ErrBusy):
		return nil, fault.Later("Too many requests wait for identity providers.", errors.Join(admission.ErrBusy, err))
	}
	return keys, err
}

// Verify finds out whether the token is by one of the keys, and who presents it.
func (p *Presented) Verify(keys oidc.Keys, now time.Time) (*iam.WebIdentity, error) {
	said, err := p.token.Verify(keys, now)
	if err != nil {
		return nil, p.refused(err, now)
	}
	if len(said.Subject) > session.MaxSubject || said.SourceIdentity != "" && !sourceIdentity.MatchString(said.SourceIdentity) {
		return nil, p.refused(oidc.ErrClaim, now)
	}
	for _, audience := range said.Audiences {
		if slices.Contains(p.provider.ClientIDs, audience) {
			return &iam.WebIdentity{Provider: p.provider.ARN(), Audience: audience, Claims: said}, nil
		}
	}
	return nil, fail(codeInvalidIdentityToken, "Incorrect token audience")
}

// sourceIdentity is how source identities are spelled.
var sourceIdentity = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// refused is the refusal of a token, in AWS's words. What is wrong with a claim is the issuer's
// and the caller's to find.
func (p *Presented) refused(err error, now time.Time) error {
	switch {
	case errors.Is(err, oidc.ErrExpired):
		return fail(codeExpiredToken, "Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), p.token.Expires.Unix())
	case errors.Is(err, oidc.ErrUnknownKey):
		return fail(codeInvalidIdentityToken, "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
	case errors.Is(err, oidc.ErrClaim):
		return fail(codeIDPRejectedClaim, "The identity provider's token has a claim that is not accepted: %s.", strings.TrimPrefix(err.Error(), oidc.ErrClaim.Error()+": "))
	}
	return fail(codeInvalidIdentityToken, "The web identity token that was passed could not be validated by AWS. Get a new identity token from the identity provider and then retry the request.")
}

// NotAuthorized is the refusal of an access for a web identity: it tells nothing of the role,
// not even whether there is one.
func NotAuthorized(action string) error {
	return fail(codeAccessDenied, "Not authorized to perform %s", action)
}

// SessionClaims are what the provider says of a web identity that the sessions have which it
// asks for.
func SessionClaims(w *iam.WebIdentity) []session.Claim {
	return claimsOf(w, ofSessions)
}

// TrustClaims are what the provider says for the trust policy of a role: all that can be a
// condition key.
func TrustClaims(w *iam.WebIdentity) []session.Claim {
	return claimsOf(w, nil)
}

// ofSessions are the claims that sessions have, besides aud and sub ("Available keys for AWS
// OIDC federation" in the IAM User Guide, and the authorized party).
var ofSessions = []string{"amr", "azp", "oaud"}

// claimsOf are aud, and those of the other claims that are named; nil for all.
func claimsOf(w *iam.WebIdentity, names []string) []session.Claim {
	list := []session.Claim{{Name: "aud", Values: []string{w.Audience}}}
	for _, k := range w.Keys {
		if names == nil || slices.Contains(names, k.Name) {
			list = append(list, session.Claim{Name: k.Name, Values: k.Values, Many: k.Many})
		}
	}
	return list
}

// Role is the role of the state that a web identity is to become; nil for none.
func (p *Presented) Role(v *projection.View) *identity.Role {
	rest, ok := strings.CutPrefix(p.role, v.State.Partition().IAM())
	account, path, _ := strings.Cut(rest, ":")
	role, there := v.State.Role(identity.AccountID(account), path[strings.LastIndexByte(path, '/')+1:])
	if !ok || !there || role.ARN() != p.role {
		return nil
	}
	return role
}

// assumeRoleWithWebIdentity makes a session of a role for somebody without credentials for whom
// an OpenID Connect provider vouches. Whether they may, the role's trust policy alone says.
type assumeRoleWithWebIdentity struct{}

func (assumeRoleWithWebIdentity) Access(c *iam.Call, in *sdk.AssumeRoleWithWebIdentityInput) []iam.Access {
	arn, w := aws.ToString(in.RoleArn), c.WebIdentity
	access := iam.Access{Resource: arn, Account: accountOf(arn)}
	if role, ok := roleOf(c, arn); ok {
		access.Role, access.Account = role.ID, role.Account
		access = access.With(iam.ResourceTags(role)...)
	}
	access = access.With(policy.Single("sts:rolesessionname", aws.ToString(in.RoleSessionName)))
	if w.SourceIdentity != "" {
		access = access.With(policy.Single("sts:sourceidentity", w.SourceIdentity))
	}
	tags, transitive := tagsOf(w)
	access = access.With(tagKeys(tags, transitive)...)
	list := []iam.Access{access}
	if len(tags) > 0 {
		list = append(list, access.As("sts:TagSession"))
	}
	if w.SourceIdentity != "" {
		list = append(list, access.As("sts:SetSourceIdentity"))
	}
	return list
}

// tagsOf are the session tags that a token brings.
func tagsOf(w *iam.WebIdentity) (tags []types.Tag, transitive []string) {
	for _, t := range w.Tags {
		tags = append(tags, types.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)})
	}
	return tags, w.Transitive
}

func (assumeRoleWithWebIdentity) Answer(c *iam.Call, in *sdk.AssumeRoleWithWebIdentityInput) (*sdk.AssumeRoleWithWebIdentityOutput, error) {
	w := c.WebIdentity
	found, ok := roleOf(c, aws.ToString(in.RoleArn))
	role, there := c.View.State.RoleByID(found.ID)
	if !ok || !there { // the authorization saw it
		return nil, NotAuthorized("sts:AssumeRoleWithWebIdentity")
	}
	claims := draft(c, session.Role, lifeOr(in.DurationSeconds, defaultLife))
	claims.Account, claims.Principal, claims.Name = string(role.Account), string(role.ID), aws.ToString(in.RoleSessionName)
	claims.Origin = session.Origin{} // it is the first of its chain
	claims.Provider, claims.Subject, claims.Keys, claims.SourceIdentity = w.Provider, w.Subject, SessionClaims(w), w.SourceIdentity
	if claims.Expires.Sub(claims.Issued) > time.Duration(role.MaxSession)*time.Second {
		return nil, fail(codeValidationError, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	if err := restrict(c, claims, in.Policy, in.PolicyArns); err != nil {
		return nil, err
	}
	tags, transitive := tagsOf(w)
	if err := tag(claims, tags, transitive); err != nil {
		return nil, err
	}
	credentials, packed, err := mint(c, claims, c.View.Head.Position)
	if err != nil {
		return nil, err
	}
	out := &sdk.AssumeRoleWithWebIdentityOutput{
		AssumedRoleUser:             assumedRoleUser(c, role, claims),
		Audience:                    aws.String(w.Audience),
		Credentials:                 credentials,
		PackedPolicySize:            packed, //nolint:staticcheck // as in AssumeRole
		Provider:                    aws.String(w.Provider),
		SubjectFromWebIdentityToken: aws.String(w.Subject),
	}
	if w.SourceIdentity != "" {
		out.SourceIdentity = aws.String(w.SourceIdentity)
	}
	return out, nil
}
