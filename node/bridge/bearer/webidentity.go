package bearer

import (
	"regexp"
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
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
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

const notAccepted = "the web identity token is not accepted"

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
	who, err := s.verified(c, w, raw)
	if err != nil {
		return Identity{}, err
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
		return Identity{}, refuse("whoever the token names is no principal of the cluster")
	case p.Type == authz.User:
		return is, nil
	case len(who.Tags) > 0 || who.SourceIdentity != "":
		return Identity{}, refuse("the token brings session tags or a source identity, which later questions would not heed")
	}
	role := arn
	if p.Type == authz.RoleSession {
		role = is.Role
	}
	return is, letIn(c, raw, who, role, &p)
}

// tries is how often the view is looked for anew in which a token's keys are still what they were.
const tries = 16

// verified finds out what a token says, by the provider of its issuer in the principal's account. It
// may wait for the issuer; the call then has the view of after that.
func (s *Sources) verified(c *bridge.Call, w *WebIdentity, raw string) (*iam.WebIdentity, error) {
	free, err := s.workshop.Reserve(&c.Job, c.Holder())
	if err != nil {
		return nil, err
	}
	defer free()
	for range tries {
		from := c.Seen.View.Head
		p, err := sts.PresentTo(c.Seen.View.State, w.of("xx"), raw)
		if err != nil {
			return nil, refuse(notAccepted)
		}
		c.Job.Rest() // nobody has a shift who waits for an issuer
		keys, err := p.Keys(c.Context(), c.Seen.View.State, c.Node().Identities, c.Now)
		if err != nil {
			return nil, ofKeys(err)
		}
		who, err := s.proved(c, p, keys)
		if err != nil {
			return nil, err
		}
		if err := c.Begin(freshness.ForSession); err != nil {
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
	return refuse(notAccepted)
}

func (s *Sources) proved(c *bridge.Call, p *sts.Presented, keys oidc.Keys) (*iam.WebIdentity, error) {
	leave, err := s.workshop.Start(c.Context(), &c.Job)
	if err != nil {
		return nil, err
	}
	defer leave()
	who, err := p.Verify(keys, c.Now)
	if err != nil {
		return nil, refuse(notAccepted)
	}
	return who, nil
}

// letIn finds out whether the trust policy of a role lets a web identity in, as
// AssumeRoleWithWebIdentity does. The address of whoever shows the token is not known.
func letIn(c *bridge.Call, raw string, who *iam.WebIdentity, arn string, as *authz.Principal) error {
	p, err := sts.PresentTo(c.Seen.View.State, arn, raw)
	if err != nil {
		return refuse(notAccepted)
	}
	role := p.Role(c.Seen.View)
	if role == nil {
		return refuse("whoever the token names is no principal of the cluster")
	}
	c.Job.Rest()
	q := admission.Request{Request: c.Request.Request, ID: c.ID, Now: c.Now}
	pass := admission.Pass{Desk: c.Desk, Request: &q, Sig: &sigv4.Signature{}}
	pass.Unsigned()
	defer pass.Job.End()
	pass.Vouch(c.Seen.View, who.Provider, role, sts.TrustClaims(who))
	access := admission.Access{Action: "sts:AssumeRoleWithWebIdentity", Resource: arn, Account: role.Account, Role: role.ID}.With(iam.ResourceTags(identity.Target{Kind: identity.KindRole, Tags: role.Tags})...)
	if as.Type == authz.RoleSession {
		access = access.With(policy.Single("sts:rolesessionname", as.Name))
	}
	err = pass.May(access)
	if admission.IsDenial(err) {
		return refuse("the role's trust policy does not let the token in")
	}
	return err
}
