package proxy

import (
	"errors"
	"slices"
	"strings"

	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/sts"
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/webidentity"
	"github.com/writ-iam/writ/node/federation/oidc"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/opened"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// Why a request has no principal.
var (
	errNobody    = errors.New("the request shows nothing by which the mapping knows an end user")
	errSeveral   = errors.New("the request shows more than one thing by which the mapping knows an end user")
	errUntrusted = errors.New("the proxy is not trusted to say who the end user is")
	errName      = errors.New("the end user's name is none that a principal has")
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
		return known{}, webidentity.ErrToken
	}
	for i := range m.Principals {
		if s := &m.Principals[i]; s.Bearer != nil && s.header() == header && s.Bearer.Issuer.Value == token.Issuer {
			return m.verify(c, s.Bearer, raw, source)
		}
	}
	return known{}, webidentity.ErrToken
}

// verify finds out whether a token is its issuer's, and who it makes of whoever shows it.
func (m *Mapping) verify(c *bridge.Call, b *Bearer, raw, source string) (known, error) {
	// The account is the template's, whatever the token says; the rest is known once it is verified.
	of := b.principal.sample()
	who, err := m.verifier.Verify(c, of, raw, freshness.ForQuestion)
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
	err = webidentity.LetIn(c, raw, who, role, &p, source)
	if errors.Is(err, webidentity.ErrNobody) {
		err = errName
	}
	if err != nil {
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
