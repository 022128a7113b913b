package kubernetes_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/bearer"
	"github.com/writ-iam/writ/node/bridge/kubernetes"
)

func TestBothDirections(t *testing.T) {
	t.Parallel()
	m, err := kubernetes.ParseMapping("m.yaml", []byte(mapping))
	if err != nil {
		t.Fatal(err)
	}
	for arn, user := range map[string]string{
		"arn:aws:iam::123456789012:user/alice":                     "writ:alice",
		"arn:aws:iam::123456789012:user/a.b+c=d,e@f-g_h":           "writ:a.b+c=d,e@f-g_h",
		"arn:aws:sts::123456789012:assumed-role/deployer/ci":       "writ:role:deployer:ci",
		"arn:aws:sts::123456789012:assumed-role/role/x":            "writ:role:role:x",
		"arn:aws:iam::123456789012:user/team/alice":                "",
		"arn:aws:iam::999999999999:user/alice":                     "",
		"arn:aws:iam::123456789012:role/deployer":                  "",
		"arn:aws:iam::123456789012:user/":                          "",
		"arn:aws:iam::123456789012:root":                           "",
		"arn:aws:sts::123456789012:assumed-role/deployer/ci/again": "",
	} {
		if got := m.User(arn); got != user {
			t.Errorf("%s is %q, and should be %q", arn, got, user)
		}
		if user != "" && m.Principal(user) != arn {
			t.Errorf("%s is %q, and should be %s", user, m.Principal(user), arn)
		}
	}
	for _, user := range []string{"", "alice", "writ:", "writ:role:x", "writ:a/b", "writ:a:b:c:d", "system:admin", "writ:a b", "writ:ä", "WRIT:alice"} {
		if arn := m.Principal(user); arn != "" {
			t.Errorf("%q is %s", user, arn)
		}
	}
}

// What a mapping leaves open, or says in two ways, is told with the file and the line.
func TestWrongMappings(t *testing.T) {
	t.Parallel()
	users := func(pairs ...string) string {
		text := "users:\n"
		for i := 0; i < len(pairs); i += 2 {
			text += fmt.Sprintf("- principal: %q\n  username: %q\n", pairs[i], pairs[i+1])
		}
		return text
	}
	const (
		alice   = "arn:aws:iam::123456789012:user/${name}"
		session = "arn:aws:sts::123456789012:assumed-role/${role}/${name}"
		access  = "access: {resource: \"arn:aws:kubernetes:::cluster/x\"}\n"
		tokens  = "tokens: {presigned: {id: prod, endpoints: [\"https://sts\"]}}\n"
	)
	ok := users(alice, "w:${name}")
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "m.yaml:1: give `tokens`"},
		{"nothing to serve", ok, "give `tokens`, `access`"},
		{"no users", access, "m.yaml:1: there are 0 `users`"},
		{"an unknown field", ok + access + "user: x\n", "line 5: field user not found"},
		{"an unknown field of access", ok + "access: {resource: \"arn:aws:kubernetes:::cluster/x\", verbs: x}\n", "field verbs not found"},
		{"two documents", ok + access + "---\n" + ok, "more than one document"},
		{"a list", "users: {}\n", "line 1"},
		{"a user without a principal", "users:\n- username: x\n" + access, "m.yaml:2: `principal`: it is empty"},
		{"a user without a name", "users:\n- principal: \"" + alice + "\"\n" + access, "m.yaml:2: `username`: it is empty"},
		{"a principal that is none", users("arn:aws:s3:::${name}", "w:${name}") + access, "m.yaml:2: `principal`"},
		{"a group", users("arn:aws:iam::123456789012:group/${name}", "w:${name}") + access, "is a group"},
		{"a root", users("arn:aws:iam::123456789012:root", "w") + access, "a user, a role or a role's session"},
		{"every account", users("arn:aws:iam::${account}:user/${name}", "w:${account}:${name}") + access, "m.yaml:2: `principal`"},
		{"other variables", users(alice, "w:${user}") + access, "other variables"},
		{"a name without the variable", users(alice, "w") + access, "other variables"},
		{"a variable twice", users(alice, "w:${name}:${name}") + access, "twice"},
		{"two variables beside one another", users(session, "w:${role}${name}") + access, "at most one variable"},
		{"a variable that is open", users(alice, "w:${name") + access, "${name}"},
		{"a wildcard", users("arn:aws:iam::123456789012:user/*", "w") + access, "none of ${}*?"},
		{"a name of Kubernetes", users(alice, "system:${name}") + access, "begin with system:"},
		{"a name that could be one of Kubernetes", users(session, "${role}:${name}") + access, "begin with system:"},
		{"a name with a blank", users(alice, "w ${name}") + access, "blank"},
		{"two rules for one principal", users(alice, "a:${name}", "arn:aws:iam::123456789012:user/alice", "b:alice") + access, "m.yaml:4: the rule is ambiguous: one principal could be of it and of the one of line 2"},
		{"two rules for one user", users(alice, "a:${name}", session, "a:${name}:${role}", "arn:aws:iam::123456789012:user/x/${name}", "a:${name}") + access, "m.yaml:7: the rule is ambiguous: one user could be of it and of the one of line 3"},
		{"names that meet", users(alice, "a:x${name}", "arn:aws:iam::123456789012:user/x/${name}", "a:${name}y") + access, "ambiguous"},
		{"a group of Kubernetes", ok + "  groups: [system:masters]\n" + access, "m.yaml:4: the group \"system:masters\""},
		{"an allowed name that is not Kubernetes'", ok + "groups: {system: [admins]}\n" + access, "m.yaml:4: `system` lists names"},
		{"groups without a prefix", ok + "groups: {iam: {}}\n" + access, "`iam` needs `prefix`"},
		{"a tag without a key", ok + "groups: {tag: {prefix: \"\"}}\n" + access, "`tag` needs `key`"},
		{"a tag without a prefix", ok + "groups:\n  tag: {key: k}\n" + access, "m.yaml:5: `tag` needs `key`, and `prefix`"},
		{"a prefix that is none", ok + "groups: {iam: {prefix: \"a b\"}}\n" + access, "begins no name"},
		{"no tokens", ok + "tokens: {}\n", "`tokens` needs"},
		{"no id", ok + "tokens: {presigned: {endpoints: [\"https://sts\"]}}\n", "presigned needs `id`"},
		{"no endpoints", ok + "tokens: {presigned: {id: prod}}\n", "m.yaml:4: presigned needs `endpoints`"},
		{"an endpoint with a path", ok + "tokens: {presigned: {id: prod, endpoints: [\"https://sts/\"]}}\n", "m.yaml:4: presigned: the endpoint"},
		{"an endpoint twice", ok + "tokens: {presigned: {id: prod, endpoints: [\"https://sts\", \"https://sts\"]}}\n", "named before"},
		{"an endless life", ok + "tokens: {presigned: {id: prod, endpoints: [\"https://sts\"], life: 1h}}\n", "`life` is a duration of 1s to 15m0s"},
		{"no issuer", ok + "tokens: {web_identity: [{audience: a, principal: x}]}\n", "m.yaml:4: web_identity needs `issuer`"},
		{"no audience", ok + "tokens: {web_identity: [{issuer: \"https://i\", principal: x}]}\n", "`audience`"},
		{"no principal", ok + "tokens: {web_identity: [{issuer: \"https://i\", audience: a}]}\n", "`principal`"},
		{"another variable", ok + "tokens: {web_identity: [{issuer: \"https://i\", audience: a, principal: \"" + alice + "\"}]}\n", "${claim.NAME}"},
		{"a role of the token's", ok + "tokens: {web_identity: [{issuer: \"https://i\", audience: a, principal: \"arn:aws:sts::123456789012:assumed-role/${claim.x}\"}]}\n", "m.yaml:4: web_identity"},
		{"an issuer twice", ok + "tokens:\n  web_identity:\n  - {issuer: \"https://i\", audience: a, principal: \"arn:aws:iam::123456789012:user/x\"}\n  - {issuer: \"https://i\", audience: b, principal: \"arn:aws:iam::123456789012:user/y\"}\n", "m.yaml:7: the issuer is named before, on line 6"},
		{"no resource", ok + "access: {}\n", "access needs `resource`"},
		{"a resource with a slash", ok + "access: {resource: \"arn:aws:kubernetes:::cluster/x/\"}\n", "m.yaml:4: access needs `resource`"},
		{"a resource with a wildcard", ok + "access: {resource: \"arn:aws:kubernetes:::cluster/*\"}\n", "access needs `resource`"},
		{"a service that is none", ok + "access: {resource: \"arn:aws:kubernetes:::cluster/x\", service: \"a b\"}\n", "m.yaml:4: access"},
		{"an action that is none", ok + "access: {resource: \"arn:aws:kubernetes:::cluster/x\", actions: {get: \"x:*\"}}\n", "the verb \"get\""},
		{"unsure otherwise", ok + "access: {resource: \"arn:aws:kubernetes:::cluster/x\", unsure: allow}\n", "`unsure` is no_opinion or deny"},
		{"nothing for unsure", ok + "access: {resource: \"arn:aws:kubernetes:::cluster/x\", unsure: \"\"}\n", "`unsure` is no_opinion or deny"},
	} {
		_, err := kubernetes.ParseMapping("m.yaml", []byte(c.text))
		if !errors.Is(err, bridge.ErrConfig) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	for _, text := range []string{ok + access, ok + tokens, mapping} {
		if _, err := kubernetes.ParseMapping("m.yaml", []byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	many := "users:\n" + strings.Repeat("- {principal: \""+alice+"\", username: \"a:${name}\"}\n", kubernetes.MaxRules+1) + access
	if _, err := kubernetes.ParseMapping("m.yaml", []byte(many)); err == nil || !strings.Contains(err.Error(), "257 `users`") {
		t.Errorf("too many rules: %v", err)
	}
	list := func(n int, of string) string { return strings.Repeat(of+", ", n) }
	for name, text := range map[string]string{
		"groups of a rule":  ok + "  groups: [" + list(kubernetes.MaxGroups+1, "a") + "]\n" + access,
		"names of system":   ok + "groups: {system: [" + list(kubernetes.MaxNames+1, "\"system:a\"") + "]}\n" + access,
		"a long group":      ok + "  groups: [" + strings.Repeat("a", kubernetes.MaxGroup+1) + "]\n" + access,
		"endpoints":         ok + "tokens: {presigned: {id: prod, endpoints: [" + list(bearer.MaxSources+1, "\"https://sts\"") + "]}}\n",
		"issuers":           ok + "tokens: {web_identity: [" + list(bearer.MaxSources+1, "{issuer: \"https://i\"}") + "]}\n",
		"a long principal":  users("arn:aws:iam::123456789012:user/"+strings.Repeat("a", 2048), "a") + access,
		"an id with spaces": ok + "tokens: {presigned: {id: \"a b\", endpoints: [\"https://sts\"]}}\n",
	} {
		if _, err := kubernetes.ParseMapping("m.yaml", []byte(text)); !errors.Is(err, bridge.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := kubernetes.New(""); !errors.Is(err, bridge.ErrConfig) {
		t.Errorf("without a mapping: %v", err)
	}
	path := filepath.Join(t.TempDir(), "m.yaml")
	if err := os.WriteFile(path, []byte(ok), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := kubernetes.New(path); err == nil || !strings.Contains(err.Error(), path+":1: ") {
		t.Errorf("by its path: %v", err)
	}
}

// What a review may be about is bounded.
func TestLongReviews(t *testing.T) {
	t.Parallel()
	m, err := kubernetes.ParseMapping("m.yaml", []byte(mapping))
	if err != nil {
		t.Fatal(err)
	}
	groups := func(n int) string { return strings.TrimSuffix(strings.Repeat(`"a",`, n), ",") }
	review := func(groups, name string) []byte {
		return fmt.Appendf(nil, `{"user":"writ:alice","groups":[%s],"resourceAttributes":{"verb":"get","resource":"pods","name":%q}}`, groups, name)
	}
	for spec, want := range map[string]string{
		string(review(groups(1000), strings.Repeat("n", 512))): "",
		string(review(groups(1001), "n")):                      "too many groups",
		string(review(groups(1), strings.Repeat("n", 513))):    "no single thing",
	} {
		if _, why, err := m.Question([]byte(spec)); err != nil || (why == "") != (want == "") || !strings.Contains(why, want) {
			t.Errorf("%.60s: %s, %v; want %s", spec, why, err, want)
		}
	}
}

// Whatever a user is called, it is one principal's or nobody's, and that one is called so.
func FuzzPrincipal(f *testing.F) {
	m, err := kubernetes.ParseMapping("m.yaml", []byte(mapping))
	if err != nil {
		f.Fatal(err)
	}
	for _, user := range []string{"writ:alice", "writ:role:a:b", "writ::", "system:admin"} {
		f.Add(user)
	}
	f.Fuzz(func(t *testing.T, user string) {
		if arn := m.Principal(user); arn != "" && m.User(arn) != user {
			t.Errorf("%q is %s, who is called %q", user, arn, m.User(arn))
		}
	})
}

// Patterns that are taken are read in both directions, and none could be read in two ways.
func FuzzMapping(f *testing.F) {
	f.Add("arn:aws:iam::123456789012:user/${name}", "w:${name}", "a")
	f.Add("arn:aws:sts::123456789012:assumed-role/${role}/${name}", "w:${name}/${role}", "b")
	f.Fuzz(func(t *testing.T, principal, username, user string) {
		m, err := kubernetes.ParseMapping("m.yaml", fmt.Appendf(nil, "users: [{principal: %q, username: %q}]\naccess: {resource: \"arn:aws:kubernetes:::cluster/x\"}", principal, username))
		if err != nil {
			return
		}
		if strings.HasPrefix(user, "system:") && m.Principal(user) != "" {
			t.Errorf("%q is %s", user, m.Principal(user))
		}
		if arn := m.Principal(user); arn != "" && m.User(arn) != user {
			t.Errorf("%q is %s, who is called %q", user, arn, m.User(arn))
		}
	})
}

// A review becomes a question about one thing, or none.
func FuzzAccessReview(f *testing.F) {
	m, err := kubernetes.ParseMapping("m.yaml", []byte(mapping))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"user":"writ:alice","groups":["a"],"extra":{"arn":["x"]},"resourceAttributes":{"verb":"get","namespace":"dev","resource":"pods","name":"web"}}`))
	f.Add([]byte(`{"user":"writ:alice","nonResourceAttributes":{"verb":"get","path":"/healthz/"}}`))
	f.Add([]byte(`{"user":"writ:alice","resourceAttributes":{"verb":"create","group":"apps","resource":"deployments","subresource":"scale","name":"a:b"}}`))
	f.Fuzz(func(t *testing.T, spec []byte) {
		q, why, err := m.Question(spec)
		if err != nil || why != "" {
			return
		}
		if strings.ContainsAny(q.Resource+q.Action, "*?") || !strings.HasPrefix(q.Resource, "arn:aws:kubernetes:::cluster/prod/") || strings.Contains(q.Resource, "..") && strings.Contains(q.Resource, "/path/") && strings.Contains(q.Resource, "/../") {
			t.Errorf("%s: %+v", spec, q)
		}
	})
}
