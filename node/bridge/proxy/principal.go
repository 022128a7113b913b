package proxy

import (
	"errors"
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/sts"
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/federation/oidc"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/opened"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// Why a request has no principal.
var (
	errNobody    = errors.New("the request shows nothing by which the mapping knows an end user")
	errSeveral   = errors.New("the request shows more than one thing by which the mapping knows an end user")
	errUntrusted = errors.New("the proxy is not trusted to say who the end user is")
	errName      = errors.New("the end user's name is none that a principal has")
	errToken     = errors.New("the web identity token is not accepted")
	errAudience  = errors.New("the web identity token is not for the audience of the mapping")
	errTags      = errors.New("the web identity token brings session tags or a source identity, which no role takes here: assume the role and sign")
)

// known is an end user.
type known struct {
	arn     string
	context []policy.Entry // what a provider says
}

// principal finds out who the end user is. Errors are one of those above, or what a node cannot
// know now.
func (m *Mapping) principal(c *bridge.Call, a *Asked, source string) (known, error) {
	var shown *Source
	var value string
	for i := range m.Principals {
		s := &m.Principals[i]
		v, err := s.shown(a)
		if err != nil {
			return known{}, err
		}
		if v == "" || shown != nil && shown.Bearer != nil && s.Bearer != nil && shown.header() == s.header() {
			continue // of the tokens in one header the issuer tells whose it is
		}
		if shown != nil {
			return known{}, errSeveral
		}
		shown, value = s, v
	}
	switch {
	case shown == nil:
		return known{}, errNobody
	case shown.Bearer != nil:
		return m.byToken(c, shown.header(), value, source)
	case shown.Certificate != nil:
		return shown.Certificate.principalOf(c, value)
	}
	return named(c, shown.Header.Trusted, &shown.Header.principal, "value", value)
}

// shown is what a request shows of a source; "" for nothing.
func (s *Source) shown(a *Asked) (string, error) {
	if s.Certificate != nil && s.Certificate.Header.Value == "" {
		return a.Peer, nil
	}
	value, err := lookup(a.Header, s.header())
	if err != nil || s.Bearer == nil {
		return value, err
	}
	const scheme = "bearer "
	if len(value) <= len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return "", nil
	}
	return value[len(scheme):], nil
}

// named is the principal of a name that a trusted proxy says.
func named(c *bridge.Call, trusted []bridge.Text, t *template, variable, value string) (known, error) {
	if !slices.ContainsFunc(trusted, func(arn bridge.Text) bool { return arn.Value == c.Pass.Caller.ARN }) {
		return known{}, errUntrusted
	}
	if !name.MatchString(value) {
		return known{}, errName
	}
	arn, ok := t.expand(func(of string) string {
		if of == variable {
			return value
		}
		return ""
	})
	if !ok {
		return known{}, errName
	}
	return known{arn: arn}, nil
}

func (s *Certificate) principalOf(c *bridge.Call, subject string) (known, error) {
	if len(s.Subjects) == 0 {
		return named(c, s.Trusted, &s.principal, "cn", commonName(subject))
	}
	if !slices.ContainsFunc(s.Trusted, func(arn bridge.Text) bool { return arn.Value == c.Pass.Caller.ARN }) {
		return known{}, errUntrusted
	}
	arn, ok := s.Subjects[subject]
	if !ok {
		return known{}, errName
	}
	return known{arn: arn.Value}, nil
}

// byToken is the principal of a web identity token: of the source of its issuer.
func (m *Mapping) byToken(c *bridge.Call, header, raw, source string) (known, error) {
	token, err := oidc.Parse(raw)
	if err != nil {
		return known{}, errToken
	}
	for i := range m.Principals {
		if s := &m.Principals[i]; s.Bearer != nil && s.header() == header && s.Bearer.Issuer.Value == token.Issuer {
			return m.verify(c, s.Bearer, raw, source)
		}
	}
	return known{}, errToken
}

// verify finds out whether a token is its issuer's, and who it makes of whoever shows it.
func (m *Mapping) verify(c *bridge.Call, b *Bearer, raw, source string) (known, error) {
	// The account is the template's, whatever the token says; the rest is known once it is verified.
	of := b.principal.sample()
	who, err := m.presented(c, of, raw)
	if err != nil {
		return known{}, err
	}
	if !slices.Contains(who.Audiences, b.Audience.Value) {
		return known{}, errAudience
	}
	arn, ok := b.principal.expand(func(variable string) string { return claim(who, variable) })
	if !ok {
		return known{}, errName
	}
	p, err := authz.ParsePrincipal(arn)
	if err != nil {
		return known{}, errName
	}
	if p.Type == authz.User {
		return known{arn: arn}, nil
	}
	if len(who.Tags) > 0 || who.SourceIdentity != "" {
		return known{}, errTags
	}
	role := arn
	if p.Type == authz.RoleSession {
		if role = c.Seen.View.Issuer(arn); role == "" {
			return known{}, errName
		}
	}
	presented, err := sts.PresentTo(c.Seen.View.State, role, raw)
	if err != nil {
		return known{}, errToken
	}
	if err := letIn(c, presented, who, role, &p, source); err != nil {
		return known{}, err
	}
	k := known{arn: arn, context: []policy.Entry{policy.Single(policy.NewKey("aws:FederatedProvider"), who.Provider)}}
	for _, claim := range sts.SessionClaims(who) {
		k.context = append(k.context, opened.ProviderKey(who.Provider, &claim))
	}
	return k, nil
}

// claim is the value of a claim that has one and could be a part of a name.
func claim(who *iam.WebIdentity, variable string) string {
	of := strings.TrimPrefix(variable, "claim.")
	for i := range who.Keys {
		if k := &who.Keys[i]; k.Name == of && !k.Many && name.MatchString(k.Values[0]) {
			return k.Values[0]
		}
	}
	return ""
}

// tries is how often the view is looked for anew in which a token's keys are still what they were.
const tries = 16

// presented verifies a token by the provider of its issuer in the account of an ARN. It may wait
// for the issuer; the call is answered from a view that was found after that.
func (m *Mapping) presented(c *bridge.Call, arn, raw string) (*iam.WebIdentity, error) {
	free, err := m.workshop.Reserve(&c.Job, c.Holder())
	if err != nil {
		return nil, err
	}
	defer free()
	for range tries {
		from := c.Seen.View.Head
		p, err := sts.PresentTo(c.Seen.View.State, arn, raw)
		if err != nil {
			return nil, errToken
		}
		c.Job.Rest() // nobody has a shift who waits for an issuer
		keys, err := keysOf(c, p)
		if err != nil {
			return nil, err
		}
		who, err := m.proved(c, p, keys)
		if err != nil {
			return nil, err
		}
		if err := c.Begin(freshness.ForQuestion); err != nil { // it may have waited
			return nil, err
		}
		if c.Seen.View.Head == from {
			return who, nil
		}
	}
	return nil, fault.Later("The node's view changed faster than the token could be verified.", nil)
}

// proved finds out who presents a token.
func (m *Mapping) proved(c *bridge.Call, p *sts.Presented, keys oidc.Keys) (*iam.WebIdentity, error) {
	leave, err := m.workshop.Start(c.Context(), &c.Job)
	if err != nil {
		return nil, err
	}
	defer leave()
	who, err := p.Verify(keys, c.Now)
	if err != nil {
		return nil, errToken
	}
	return who, nil
}

// keysOf are the keys by which the token can be. What is wrong with the token is errToken; an
// issuer that does not answer is not the token's fault.
func keysOf(c *bridge.Call, p *sts.Presented) (oidc.Keys, error) {
	keys, err := p.Keys(c.Context(), c.Seen.View.State, c.Node().Identities, c.Now)
	if err == nil {
		return keys, nil
	}
	switch why := fault.Of(err); {
	case why.Retry(), why.AWS().Code == "IDPCommunicationError", why.Native().Status >= 500:
		return nil, fault.Later("The issuer of the token does not give its keys.", err)
	}
	return nil, errToken
}

// letIn finds out whether the trust policy of a role lets a web identity in, as
// AssumeRoleWithWebIdentity does. The proxy's address is not the end user's.
func letIn(c *bridge.Call, p *sts.Presented, who *iam.WebIdentity, arn string, as *authz.Principal, source string) error {
	role := p.Role(c.Seen.View)
	if role == nil {
		return errName
	}
	c.Job.Rest()
	q := admission.Request{Request: c.Request.Request, ID: c.ID, Now: c.Now, Source: source}
	pass := admission.Pass{Desk: c.Desk, Request: &q, Sig: &sigv4.Signature{}}
	pass.Unsigned()
	defer pass.Job.End()
	pass.Vouch(c.Seen.View, who.Provider, role, sts.TrustClaims(who))
	access := admission.Access{Action: "sts:AssumeRoleWithWebIdentity", Resource: arn, Account: role.Account, Role: role.ID}.With(iam.ResourceTags(identity.Target{Kind: identity.KindRole, Tags: role.Tags})...)
	if as.Type == authz.RoleSession {
		access = access.With(policy.Single("sts:rolesessionname", as.Name))
	}
	return pass.May(access)
}
