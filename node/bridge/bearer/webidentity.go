package bearer

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/webidentity"
	"github.com/writ-iam/writ/node/federation/oidc"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection/authz"
)

// WebIdentity says whose the tokens of an issuer are.
type WebIdentity struct {
	// Issuer is an OpenID Connect provider of the principal's account, and Audience whom tokens must
	// be for, of the provider's client ids.
	Issuer   bridge.Text `yaml:"issuer"`
	Audience bridge.Text `yaml:"audience"`
	// Principal is the ARN of a user, a role or a role's session, whose last name may be
	// ${claim.NAME}. A role's trust policy must let the token in.
	Principal bridge.Text `yaml:"principal"`

	before, claim string // of Principal; without a claim it is all before
}

// name is how the value of a claim is spelled that becomes a name.
var name = regexp.MustCompile(`^[\w+=.@-]{2,64}$`)

func (w *WebIdentity) complete(file string) error {
	line := max(w.Issuer.Line, w.Principal.Line, w.Audience.Line)
	switch {
	case !strings.HasPrefix(w.Issuer.Value, "https://"):
		return At(file, line, "web_identity needs `issuer`: https://HOST, with a path or without")
	case w.Audience.Value == "":
		return At(file, line, "web_identity needs `audience`: whom tokens must be for")
	case w.Principal.Value == "":
		return At(file, line, "web_identity needs `principal`: the ARN whose the tokens are")
	}
	before, rest, variable := strings.Cut(w.Principal.Value, "${")
	w.before = before
	if variable {
		claim, behind, closed := strings.Cut(rest, "}")
		of, is := strings.CutPrefix(claim, "claim.")
		if !closed || behind != "" || !is || of == "" || !strings.HasSuffix(before, "/") {
			return At(file, w.Principal.Line, "web_identity: a principal has no other variable than ${claim.NAME}, as its last name")
		}
		w.claim = of
	}
	p, err := authz.ParsePrincipal(w.of("xx"))
	if err == nil {
		err = authz.CheckPrincipal(w.of("xx"))
	}
	switch {
	case err != nil:
		return At(file, w.Principal.Line, "web_identity: %v", err)
	case p.Type != authz.User && p.Type != authz.Role && p.Type != authz.RoleSession:
		return At(file, w.Principal.Line, "web_identity: the principal is a user, a role or a role's session")
	case p.Type == authz.RoleSession && variable && strings.Count(before, "/") < 2:
		return At(file, w.Principal.Line, "web_identity: the role of a session is the mapping's to name, not a token's")
	}
	return nil
}

// of is the principal for the value of the claim.
func (w *WebIdentity) of(value string) string {
	if w.claim == "" {
		return w.before
	}
	return w.before + value
}

// principal is whose a verified token is.
func (w *WebIdentity) principal(who *iam.WebIdentity) (string, error) {
	if w.claim == "" {
		return w.before, nil
	}
	for i := range who.Keys {
		if k := &who.Keys[i]; k.Name == w.claim && !k.Many && name.MatchString(k.Values[0]) {
			return w.of(k.Values[0]), nil
		}
	}
	return "", refuse("the token has no claim %s that is a name", w.claim)
}

// web finds out whose a web identity token is.
func (s *Sources) web(c *bridge.Call, raw string) (Identity, error) {
	token, err := oidc.Parse(raw)
	if err != nil {
		return Identity{}, refuse("the token is no web identity token")
	}
	i := slices.IndexFunc(s.Web, func(w WebIdentity) bool { return w.Issuer.Value == token.Issuer })
	if i < 0 {
		return Identity{}, refuse("the token's issuer is none of the mapping's")
	}
	w := &s.Web[i]
	who, err := s.verifier.Verify(c, w.of("xx"), raw, freshness.ForSession)
	if err != nil {
		return Identity{}, ofToken(err)
	}
	if !slices.Contains(who.Audiences, w.Audience.Value) {
		return Identity{}, refuse("the token is not for the audience of the mapping")
	}
	arn, err := w.principal(who)
	if err != nil {
		return Identity{}, err
	}
	is, p, err := named(c, arn)
	switch {
	case err != nil:
		return Identity{}, ofToken(webidentity.ErrNobody)
	case p.Type == authz.User:
		return is, nil
	case len(who.Tags) > 0 || who.SourceIdentity != "":
		return Identity{}, refuse("the token brings session tags or a source identity, which later questions would not heed")
	}
	role := arn
	if p.Type == authz.RoleSession {
		role = is.Role
	}
	return is, ofToken(webidentity.LetIn(c, raw, who, role, &p, ""))
}

// ofToken is what webidentity says of a token, as a refusal.
func ofToken(err error) error {
	switch {
	case errors.Is(err, webidentity.ErrToken), errors.Is(err, webidentity.ErrNobody):
		return refuse("%v", err)
	case admission.IsDenial(err):
		return refuse("the role's trust policy does not let the token in")
	}
	return err
}
