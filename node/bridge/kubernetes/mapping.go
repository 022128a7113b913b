package kubernetes

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/bearer"
	"github.com/writ-iam/writ/projection/authz"
)

// Limits of a mapping, and of what is told by it.
const (
	// MaxRules is how many rules a mapping has, and MaxNames how many groups, allowed names or verbs
	// a list in it.
	MaxRules, MaxNames = 256, 256
	// MaxGroups is how many groups a user is told to be in, and MaxGroup how long the name of one is.
	MaxGroups, MaxGroup = 128, 256
	// system begins the names that Kubernetes keeps for itself.
	system = "system:"
)

// Mapping says who is who, and which question an access review becomes. It is immutable once read.
type Mapping struct {
	// Tokens are those that are taken; without any no tokens are reviewed.
	Tokens *bearer.Sources `yaml:"tokens,omitempty"`
	// Users pairs principals with users.
	Users []Rule `yaml:"users"`
	// Groups are those of whom a token is of, besides those of a rule.
	Groups Groups `yaml:"groups,omitempty"`
	// Access says how accesses are reviewed; without it none are.
	Access *Access `yaml:"access,omitempty"`

	file string
}

// Rule pairs the principals of an ARN with the users of a name.
type Rule struct {
	// Principal is the ARN of users, roles or sessions of roles, and Username what they are called.
	// Both have the same variables, such as ${name}, of which there is at most one between two colons
	// or slashes: what stands there otherwise is spelled out.
	Principal bridge.Text `yaml:"principal"`
	Username  bridge.Text `yaml:"username"`
	// Groups are those of all of them.
	Groups []bridge.Text `yaml:"groups,omitempty"`

	principal, username pattern
}

// Groups are the groups of whom a token is of.
type Groups struct {
	// IAM has each group NAME of a user be the group PREFIXNAME; left out, they are none.
	IAM *Prefixed `yaml:"iam,omitempty"`
	// Tag has the names in the value of a user's or role's tag, with blanks between them, be groups:
	// whoever may tag them says who is in which.
	Tag *Prefixed `yaml:"tag,omitempty"`
	// System are the names beginning with system: that may come of all this, to the letter.
	System []bridge.Text `yaml:"system,omitempty"`
}

// Prefixed are names that get a prefix.
type Prefixed struct {
	// Key is the tag's; IAM groups have none.
	Key bridge.Text `yaml:"key,omitempty"`
	// Prefix may be empty, but is written down.
	Prefix bridge.Text `yaml:"prefix"`
}

// Access says which question an access review becomes.
type Access struct {
	// Resource is the ARN before the parts of the request, such as
	// arn:aws:kubernetes:::cluster/prod.
	Resource bridge.Text `yaml:"resource"`
	// Service is that of actions, SERVICE:VERB; kubernetes if nothing is said.
	Service bridge.Text `yaml:"service,omitempty"`
	// Actions are those of verbs that have another.
	Actions map[string]bridge.Text `yaml:"actions,omitempty"`
	// Unsure is no_opinion, or deny: what the answer is where the node does not know.
	Unsure bridge.Text `yaml:"unsure,omitempty"`
}

// Load reads a mapping. Errors wrap bridge.ErrConfig, or say why the file cannot be read.
func Load(path string) (*Mapping, error) {
	if path == "" {
		return nil, fmt.Errorf("%w: kubernetes needs a mapping: a file with `users`, and `tokens` or `access`", bridge.ErrConfig)
	}
	m := &Mapping{file: path}
	if err := bridge.ReadFile(path, m); err != nil {
		return nil, err
	}
	return m, m.complete()
}

// ParseMapping is Load for a text; name is what errors call it.
func ParseMapping(name string, text []byte) (*Mapping, error) {
	m := &Mapping{file: name}
	if err := bridge.Parse(name, text, m); err != nil {
		return nil, err
	}
	return m, m.complete()
}

func (m *Mapping) at(line int, format string, args ...any) error {
	return bearer.At(m.file, line, format, args...)
}

func (m *Mapping) complete() error {
	switch {
	case m.Tokens == nil && m.Access == nil:
		return m.at(1, "give `tokens`, `access`, or both: else the mapping is for nothing")
	case m.Tokens != nil && !m.Tokens.Any():
		return m.at(1, "`tokens` needs `presigned`, `web_identity`, or both")
	case len(m.Users) == 0 || len(m.Users) > MaxRules:
		return m.at(1, "there are %d `users`: give 1 to %d", len(m.Users), MaxRules)
	}
	if m.Tokens != nil {
		if err := m.Tokens.Complete(m.file); err != nil {
			return err
		}
	}
	if err := m.completeGroups(); err != nil {
		return err
	}
	for i := range m.Users {
		if err := m.completeRule(&m.Users[i], m.Users[:i]); err != nil {
			return err
		}
	}
	return m.completeAccess()
}

func (m *Mapping) completeRule(r *Rule, before []Rule) (err error) {
	line := max(r.Principal.Line, r.Username.Line)
	if r.principal, err = parsePattern(r.Principal.Value); err != nil {
		return m.at(line, "`principal`: %v", err)
	}
	if r.username, err = parsePattern(r.Username.Value); err != nil {
		return m.at(line, "`username`: %v", err)
	}
	if err := m.checkPrincipal(r); err != nil {
		return err
	}
	if strings.ContainsFunc(r.Username.Value, func(c rune) bool { return !unicode.IsPrint(c) || c == ' ' }) {
		return m.at(r.Username.Line, "`username` has a blank, or what is not visible")
	}
	if r.username.begins(strings.TrimSuffix(system, ":")) {
		return m.at(r.Username.Line, "a user's name could begin with %s, which is Kubernetes' own", system)
	}
	a, b := r.principal.variables(), r.username.variables()
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) {
		return m.at(line, "`principal` and `username` have other variables: %v and %v", a, b)
	}
	for i := range before {
		o := &before[i]
		if r.principal.overlaps(o.principal) {
			return m.at(r.Principal.Line, "the rule is ambiguous: one principal could be of it and of the one of line %d", o.Principal.Line)
		}
		if r.username.overlaps(o.username) {
			return m.at(r.Username.Line, "the rule is ambiguous: one user could be of it and of the one of line %d", o.Username.Line)
		}
	}
	if len(r.Groups) > MaxGroups {
		return m.at(r.Groups[0].Line, "there are more than %d `groups`", MaxGroups)
	}
	for _, g := range r.Groups {
		if !m.mayTell(g.Value) {
			return m.at(g.Line, "the group %q is no name, or begins with %s and is not named under `groups: {system: [...]}`", g.Value, system)
		}
	}
	return nil
}

func (m *Mapping) checkPrincipal(r *Rule) error {
	if err := authz.CheckPrincipal(r.principal.sample()); err != nil {
		return m.at(r.Principal.Line, "`principal`: %v", err)
	}
	p, err := authz.ParsePrincipal(r.principal.sample())
	if err != nil || p.Type != authz.User && p.Type != authz.Role && p.Type != authz.RoleSession {
		return m.at(r.Principal.Line, "`principal` is a user, a role or a role's session")
	}
	for i := range min(5, len(r.principal)) {
		if r.principal[i].variable != "" {
			return m.at(r.Principal.Line, "`principal`: the account, and what is before it, is the mapping's to name")
		}
	}
	return nil
}

// mayTell tells whether a name may be a group's.
func (m *Mapping) mayTell(group string) bool {
	if group == "" || len(group) > MaxGroup || strings.ContainsFunc(group, func(c rune) bool { return !unicode.IsPrint(c) || c == ' ' }) {
		return false
	}
	return !strings.HasPrefix(group, system) || slices.ContainsFunc(m.Groups.System, func(t bridge.Text) bool { return t.Value == group })
}

func (m *Mapping) completeGroups() error {
	g := &m.Groups
	if len(g.System) > MaxNames {
		return m.at(g.System[0].Line, "`system` has more than %d names", MaxNames)
	}
	for _, name := range g.System {
		if !strings.HasPrefix(name.Value, system) || !m.mayTell(name.Value) {
			return m.at(name.Line, "`system` lists names that begin with %s", system)
		}
	}
	if g.IAM != nil && (g.IAM.Key.Given() || !g.IAM.Prefix.Given()) {
		return m.at(max(g.IAM.Key.Line, g.IAM.Prefix.Line), "`iam` needs `prefix`, which may be empty, and nothing else")
	}
	if g.Tag != nil && (g.Tag.Key.Value == "" || !g.Tag.Prefix.Given()) {
		return m.at(max(g.Tag.Key.Line, g.Tag.Prefix.Line), "`tag` needs `key`, and `prefix`, which may be empty")
	}
	for _, p := range []*Prefixed{g.IAM, g.Tag} {
		if p != nil && p.Prefix.Value != "" && !m.mayTell(p.Prefix.Value+"x") && !strings.HasPrefix(p.Prefix.Value, system) {
			return m.at(p.Prefix.Line, "the prefix %q begins no name of a group", p.Prefix.Value)
		}
	}
	return nil
}

func (m *Mapping) completeAccess() error {
	a := m.Access
	if a == nil {
		return nil
	}
	line := a.Resource.Line
	if err := authz.CheckResource(a.Resource.Value + "/x"); err != nil || a.Resource.Value == "" || strings.HasSuffix(a.Resource.Value, "/") || strings.ContainsAny(a.Resource.Value, "*?$") {
		return m.at(line, "access needs `resource`: an ARN without a slash at its end, such as arn:aws:kubernetes:::cluster/prod")
	}
	if !a.Service.Given() {
		a.Service.Value = "kubernetes"
	}
	if err := authz.CheckAction(a.Service.Value + ":get"); err != nil {
		return m.at(a.Service.Line, "access: %v", err)
	}
	if len(a.Actions) > MaxNames {
		return m.at(line, "`actions` has more than %d verbs", MaxNames)
	}
	for verb, action := range a.Actions {
		if err := authz.CheckAction(action.Value); err != nil || verb == "" {
			return m.at(action.Line, "access: the verb %q has the action %q: %v", verb, action.Value, err)
		}
	}
	switch a.Unsure.Value {
	case "":
		if a.Unsure.Given() {
			return m.at(a.Unsure.Line, "`unsure` is no_opinion or deny")
		}
	case "no_opinion", "deny":
	default:
		return m.at(a.Unsure.Line, "`unsure` is no_opinion or deny")
	}
	return nil
}

// user is what a principal is called, and its rule.
func (m *Mapping) user(arn string) (name string, r *Rule) {
	for i := range m.Users {
		if values, ok := m.Users[i].principal.match(arn); ok {
			return m.Users[i].username.expand(values), &m.Users[i]
		}
	}
	return "", nil
}

// principal is who is called so; "" for nobody.
func (m *Mapping) principal(user string) string {
	for i := range m.Users {
		if values, ok := m.Users[i].username.match(user); ok {
			return m.Users[i].principal.expand(values)
		}
	}
	return ""
}
