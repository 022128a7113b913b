package proxy_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/proxy"
	"github.com/writ-iam/writ/projection/policy"
)

// head is the part of mappings that says who the end user is, in 5 lines.
const head = `principals:
- header:
    header: X-User
    trusted: ["arn:aws:iam::123456789012:role/edge"]
    principal: "arn:aws:iam::123456789012:user/${value}"
`

// rule is one of a mapping, in 4 lines.
func rule(host, path, actions, resource string, more ...string) string {
	return fmt.Sprintf("- host: %q\n  path: %q\n  actions: {%s}\n  resource: %q\n%s", host, path, actions, resource, strings.Join(more, ""))
}

const files = `
source_ip: {header: X-Forwarded-For, from_right: 2}
rules:
- host: files.example.com
  path: /{bucket}/{key...}
  actions: {PUT: s3:CopyObject}
  headers: {x-amz-copy-source: "*"}
  resource: arn:aws:s3:::${path.bucket}/${path.key}
  context: {x:From: "${header.X-Amz-Copy-Source}"}
- host: files.example.com
  path: /{bucket}/{key...}
  actions: {GET: s3:GetObject, HEAD: s3:GetObject, PUT: s3:PutObject}
  resource: arn:aws:s3:::${path.bucket}/${path.key}
- host: files.example.com
  path: /{bucket}
  actions: {GET: s3:ListBucket}
  query: [prefix]
  resource: arn:aws:s3:::${path.bucket}
  context: {s3:prefix: "${query.prefix}", x:Of: "${method} ${scheme} ${host}"}
- host: "*.example.com"
  path: /admin/
  actions: {GET: app:Admin}
  query: any
  resource: "*"
`

func parse(t *testing.T, text string) *proxy.Mapping {
	t.Helper()
	m, err := proxy.ParseMapping("m.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	m := parse(t, head+files)
	for _, c := range []struct {
		method, host, target, header string
		action, resource             string
		context                      map[string]string
	}{
		{"GET", "files.example.com", "/b/a/k%20x", "", "s3:GetObject", "arn:aws:s3:::b/a/k x", nil},
		{"HEAD", "FILES.example.com:443", "/b/k", "", "s3:GetObject", "arn:aws:s3:::b/k", nil},
		{"GET", "files.example.com", "/b/%2A", "", "s3:GetObject", "arn:aws:s3:::b/*", nil}, // no wildcard: a question's resource is taken as it stands
		{"PUT", "files.example.com", "/b/k", "", "s3:PutObject", "arn:aws:s3:::b/k", nil},
		{"PUT", "files.example.com", "/b/k", "X-Amz-Copy-Source=c/d", "s3:CopyObject", "arn:aws:s3:::b/k", map[string]string{"x:from": "c/d"}},
		{"GET", "files.example.com", "/b?prefix=p/", "", "s3:ListBucket", "arn:aws:s3:::b", map[string]string{"s3:prefix": "p/", "x:of": "GET https files.example.com"}},
		{"GET", "other.example.com", "/admin/?x=1&x=2", "", "app:Admin", "*", nil},
		{"PUT", "files.example.com", "/b/k", "X-Amz-Copy-Source=c|X-Amz-Copy-Source=d", "", "", nil},
		{"PUT", "files.example.com", "/b/k", "X-Amz-Copy-Source=c,d", "", "", nil},
		{"PUT", "files.example.com", "/b/k", "X-Amz-Copy-Source=", "", "", nil},
		{"GET", "files.example.com", "/b/k/", "", "", "", nil},
		{"GET", "files.example.com", "/b/k?acl", "", "", "", nil},
		{"GET", "files.example.com", "/b/k?", "", "", "", nil},
		{"GET", "files.example.com", "/b", "", "", "", nil},
		{"GET", "files.example.com", "/b?prefix=a&prefix=b", "", "", "", nil},
		{"GET", "files.example.com", "/b?prefix=", "", "", "", nil},
		{"GET", "files.example.com", "/b?prefix=a&acl", "", "", "", nil},
		{"GET", "files.example.com", "/b/../c/k", "", "", "", nil},
		{"GET", "example.com", "/admin/", "", "", "", nil},
		{"GET", "a.b.example.com", "/admin/", "", "", "", nil},
		{"GET", "x.example.com", "/admin", "", "", "", nil},
		{"GET", "", "/b/k", "", "", "", nil},
		{"get", "files.example.com", "/b/k", "", "", "", nil},
		{"DELETE", "files.example.com", "/b/k", "", "", "", nil},
		{"GET", "files.example.com", "/b/k", "X-Original-Url=/c/k", "", "", nil},
		{"GET", "files.example.com", "/b/k", "X-Original-Uri=/b/k", "s3:GetObject", "arn:aws:s3:::b/k", nil},
		{"GET", "files.example.com", "/b/k", "X-Http-Method-Override=DELETE", "", "", nil},
		{"GET", "files.example.com", "/b/" + strings.Repeat("k", 1100), "", "", "", nil},
	} {
		a := &proxy.Asked{Method: c.method, Scheme: "https", Host: c.host, Target: c.target, Header: http.Header{}}
		for pair := range strings.SplitSeq(c.header, "|") {
			if name, value, ok := strings.Cut(pair, "="); ok {
				a.Header.Add(name, value)
			}
		}
		action, resource, context, err := m.Question(a)
		if (err == nil) != (c.action != "") {
			t.Errorf("%s %s %.40s %s: %v", c.method, c.host, c.target, c.header, err)
			continue
		}
		if err != nil {
			continue
		}
		want := map[policy.Key]string{policy.NewKey("aws:SecureTransport"): "true"}
		for name, value := range c.context {
			want[policy.NewKey(name)] = value
		}
		if action != c.action || resource != c.resource || !maps.Equal(context, want) {
			t.Errorf("%s %s %s: %s on %s with %v, %v; want %s on %s with %v", c.method, c.host, c.target, action, resource, context, err, c.action, c.resource, want)
		}
	}
}

func TestSourceIP(t *testing.T) {
	t.Parallel()
	m := parse(t, head+files)
	for list, want := range map[string]string{
		"1.1.1.1, 2.2.2.2, 3.3.3.3": "2.2.2.2", "1.1.1.1,2.2.2.2|3.3.3.3": "2.2.2.2", "::ffff:2.2.2.2, 3.3.3.3": "2.2.2.2", "2001:DB8::1, 3.3.3.3": "2001:db8::1",
		"3.3.3.3": "", "x, 3.3.3.3": "", "fe80::1%eth0, 3.3.3.3": "", "": "",
	} {
		h := http.Header{}
		for line := range strings.SplitSeq(list, "|") {
			h.Add("X-Forwarded-For", line)
		}
		if got := m.Source(h); got != want {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
	if got := parse(t, head+"rules:\n"+rule("any", "/", "GET: a:B", "*")).Source(http.Header{"X-Forwarded-For": {"1.1.1.1"}}); got != "" {
		t.Errorf("without a setting the source is %s", got)
	}
}

// A mapping that leaves something open, or says two things, is refused with its place.
func TestWrongMappings(t *testing.T) {
	t.Parallel()
	good := rule("a.example", "/x", "GET: a:B", "*")
	const who = `arn:aws:iam::123456789012:user/${value}`
	header := func(old, new string) string {
		if !strings.Contains(head, old) {
			t.Fatalf("%s is not there", old)
		}
		return strings.Replace(head, old, new, 1) + "rules:\n" + good
	}
	bearer := func(fields string) string {
		return "principals:\n- bearer: {" + fields + "}\nrules:\n" + good
	}
	certificate := func(fields string) string {
		return "principals:\n- certificate: {" + fields + "}\nrules:\n" + good
	}
	const edge = `trusted: ["arn:aws:iam::123456789012:role/edge"]`
	for text, want := range map[string]string{
		"":                "`principals`",
		head:              "`rules`",
		"rules:\n" + good: "`principals`",
		head + "no_principal: 200\nrules:\n" + good:                                                       "`no_principal`",
		head + "source_ip: {header: X}\nrules:\n" + good:                                                  "m.yaml:6: `source_ip`",
		head + "unknown: 1\nrules:\n" + good:                                                              "line 6",
		head + "rules:\n" + good + "rules:\n" + good:                                                      "already defined",
		header("    trusted: [\"arn:aws:iam::123456789012:role/edge\"]\n", ""):                            "m.yaml:4: header needs `trusted`",
		header("role/edge", "root"):                                                                       "m.yaml:4: header: trusted",
		header(who, "arn:aws:iam::123456789012:user/${x}"):                                                "m.yaml:5: header: there is no variable ${x}",
		header(who, "arn:aws:iam::123456789012:user/${}"):                                                 "m.yaml:5: header: ${} names no variable",
		header(who, "arn:aws:iam::123456789012:user/${value"):                                             "m.yaml:5: header: a ${ has no }",
		header(who, "arn:aws:iam::${value}:user/x"):                                                       "m.yaml:5: header: ",
		header(who, "arn:aws:iam::123456789012:${value}/x"):                                               "m.yaml:5: header: ",
		header(who, "arn:aws:iam::123456789012:root"):                                                     "m.yaml:5: header: the principal is a user",
		header(who, "arn:aws:sts::123456789012:assumed-role/${value}/xx"):                                 "m.yaml:5: header: the role of a session",
		header("X-User", "X User"):                                                                        "m.yaml:3: header: \"X User\"",
		"principals:\n- {}\nrules:\n" + good:                                                              "exactly one of",
		"principals:\n- sigv4: {}\nrules:\n" + good:                                                       "signatures (`sigv4`)",
		strings.Replace(head, "rules", "", 1) + head[len("principals:\n"):] + "rules:\n" + good:           "m.yaml:9: two of `principals`",
		bearer(`audience: x, principal: "arn:aws:iam::123456789012:user/${claim.sub}"`):                   "bearer needs `issuer`",
		bearer(`issuer: "http://x", audience: x, principal: "arn:aws:iam::123456789012:user/a"`):          "bearer needs `issuer`",
		bearer(`issuer: "https://x", principal: "arn:aws:iam::123456789012:user/a"`):                      "bearer needs `audience`",
		bearer(`issuer: "https://x", audience: x`):                                                        "m.yaml:2: bearer needs `principal`",
		bearer(`issuer: "https://x", audience: x, principal: "arn:aws:iam::123456789012:user/${claim.}"`): "no variable",
		certificate(edge + `, principal: "arn:aws:iam::123456789012:user/${cn}", subjects: {a: b}`):       "either",
		certificate(edge): "either",
		certificate(edge + `, subjects: {"CN=a": "arn:aws:iam::123456789012:user/${cn}"}`): "m.yaml:2: certificate: there is no variable",
		certificate(edge + `, subjects: {"CN=a": "alice"}`):                                "m.yaml:2: certificate",
	} {
		refused(t, text, want)
	}
}

// refused checks that a mapping is refused with words.
func refused(t *testing.T, text, want string) {
	t.Helper()
	if _, err := proxy.ParseMapping("m.yaml", []byte(text)); !errors.Is(err, bridge.ErrConfig) || !strings.Contains(err.Error(), want) {
		t.Errorf("%s\n%v; want %q", text, err, want)
	}
}

func TestWrongRules(t *testing.T) {
	t.Parallel()
	good := rule("a.example", "/x", "GET: a:B", "*")
	rules := func(list ...string) string { return head + "rules:\n" + strings.Join(list, "") }
	for text, want := range map[string]string{
		rules("- {path: /x, actions: {GET: a:B}, resource: \"*\"}\n"):                        "m.yaml:7: the rule has no `host`",
		rules("- {host: any, actions: {GET: a:B}, resource: \"*\"}\n"):                       "m.yaml:7: the rule has no `path`",
		rules("- {host: any, path: /x, resource: \"*\"}\n"):                                  "m.yaml:7: the rule has 0 `actions`",
		rules("- {host: any, path: /x, actions: {GET: a:B}}\n"):                              "m.yaml:7: the rule has no `resource`",
		rules(rule("A.example", "/x", "GET: a:B", "*")):                                      "m.yaml:7: the host",
		rules(rule("*", "/x", "GET: a:B", "*")):                                              "m.yaml:7: the host",
		rules(rule("any", "x", "GET: a:B", "*")):                                             "m.yaml:8: the path",
		rules(rule("any", "/a//b", "GET: a:B", "*")):                                         "m.yaml:8: the part",
		rules(rule("any", "/a/../b", "GET: a:B", "*")):                                       "m.yaml:8: the part",
		rules(rule("any", "/{a}/{a}", "GET: a:B", "*")):                                      "m.yaml:8: the part",
		rules(rule("any", "/{a...}/b", "GET: a:B", "*")):                                     "m.yaml:8: the part",
		rules(rule("any", "/x{a}", "GET: a:B", "*")):                                         "m.yaml:8: the part",
		rules(rule("any", "/a?b", "GET: a:B", "*")):                                          "m.yaml:8: the part",
		rules(rule("any", "/x", "get: a:B", "*")):                                            "m.yaml:9: \"get\"",
		rules(rule("any", "/x", "GET: a:*", "*")):                                            "m.yaml:9: the action",
		rules(rule("any", "/x", "GET: \"\"", "*")):                                           "m.yaml:9: no action",
		rules(rule("any", "/{a}", "GET: a:B", "arn:aws:s3:::${path.b}")):                     "m.yaml:10: resource: not every request",
		rules(rule("any", "/{a}", "GET: a:B", "arn:aws:s3:::${header.X}")):                   "m.yaml:10: resource: not every request",
		rules(rule("any", "/{a}", "GET: a:B", "arn:aws:s3:::${query.x}", "  query: any\n")):  "m.yaml:10: resource: not every request",
		rules(rule("any", "/{a}", "GET: a:B", "arn:aws:s3:::${}")):                           "m.yaml:10: resource: ${} names no variable",
		rules(rule("any", "/{a}", "GET: a:B", "arn:aws:s3::${path.a}:x")):                    "m.yaml:10: resource: a variable stands before",
		rules(rule("any", "/{a}", "GET: a:B", "${path.a}")):                                  "m.yaml:10: resource: a variable stands before",
		rules(rule("any", "/{a}", "GET: a:B", "bucket")):                                     "m.yaml:10: the resource",
		rules(rule("any", "/x", "GET: a:B", "*", "  query: some\n")):                         "m.yaml:11: `query`",
		rules(rule("any", "/x", "GET: a:B", "*", "  query: [a, a]\n")):                       "m.yaml:11: `query`",
		rules(rule("any", "/x", "GET: a:B", "*", "  query: []\n")):                           "`query`",
		rules(rule("any", "/x", "GET: a:B", "*", "  headers: {X: a, x: b}\n")):               "m.yaml:11: the header",
		rules(rule("any", "/x", "GET: a:B", "*", "  headers: {X: \"\"}\n")):                  "m.yaml:11: the header",
		rules(rule("any", "/x", "GET: a:B", "*", "  context: {aws:PrincipalArn: x}\n")):      "m.yaml:11: the condition key",
		rules(rule("any", "/x", "GET: a:B", "*", "  context: {\"aws:\u017fourceIp\": x}\n")): "m.yaml:11: the condition key",
		rules(rule("any", "/x", "GET: a:B", "*", "  context: {AWS:SourceIp: x}\n")):          "m.yaml:11: the condition key",
		rules(rule("any", "/x", "GET: a:B", "*", "  context: {\"s3:x\": a, \"S3:X\": a}\n")): "m.yaml:11: the condition key",
		rules(rule("any", "/x", "GET: a:B", "*", "  context: {\"s3:x\": \"\"}\n")):           "m.yaml:11: the condition key",
		rules(rule("any", "/x", "GET: a:B", "*", "  context: {\"s3:x\": \"${query.y}\"}\n")): "m.yaml:11: s3:x: not every request",
		rules(rule("any", "/x", "GET: a:B", "*", "  verb: x\n")):                             "line 11",
		// Rules that say two things, or nothing.
		rules(good, good): "m.yaml:11: the rule can never match: the one of line 7",
		rules(rule("any", "/{a...}", "GET: a:B, PUT: a:C", "*", "  query: any\n"), good):                                                    "m.yaml:12: the rule can never match",
		rules(rule("any", "/x", "GET: a:B", "*"), rule("a.example", "/{a}", "GET: a:C", "*")):                                               "m.yaml:11: the rule is ambiguous: it and the one of line 7",
		rules(rule("any", "/{a}/x", "GET: a:B", "*"), rule("any", "/y/{b}", "GET: a:C", "*")):                                               "m.yaml:11: the rule is ambiguous",
		rules(rule("any", "/x", "GET: a:B, PUT: a:B", "*"), rule("any", "/x", "GET: a:C, POST: a:C", "*")):                                  "m.yaml:11: the rule is ambiguous",
		rules(rule("any", "/x", "GET: a:B", "*", "  headers: {A: \"1\"}\n"), rule("any", "/x", "GET: a:C", "*", "  headers: {B: \"1\"}\n")): "m.yaml:12: the rule is ambiguous",
		rules(rule("*.example", "/x", "GET: a:B", "*"), rule("a.example", "/x", "GET: a:C", "*")):                                           "m.yaml:11: the rule can never match",
	} {
		refused(t, text, want)
	}
	many := []string{}
	for i := range proxy.MaxRules + 1 {
		many = append(many, rule("any", fmt.Sprintf("/x%d", i), "GET: a:B", "*"))
	}
	if _, err := proxy.ParseMapping("m.yaml", []byte(rules(many...))); !errors.Is(err, bridge.ErrConfig) {
		t.Errorf("too many rules: %v", err)
	}
	if _, err := proxy.ParseMapping("m.yaml", []byte(rules(many[1:]...))); err != nil {
		t.Errorf("as many rules as there may be: %v", err)
	}
}

// The narrower rule before the wider one is no ambiguity.
func TestNarrowerFirst(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{rule("a.example", "/x", "GET: a:B", "*"), rule("*.example", "/x", "GET: a:B", "*")},
		{rule("any", "/x", "GET: a:B", "*"), rule("any", "/{a}", "GET: a:B", "*")},
		{rule("any", "/x/{a}", "GET: a:B", "*"), rule("any", "/{a...}", "GET: a:B", "*")},
		{rule("any", "/x/{a}/{b...}", "GET: a:B", "*"), rule("any", "/x/{a...}", "GET: a:B", "*")},
		{rule("any", "/x", "GET: a:B", "*", "  query: [a]\n"), rule("any", "/x", "GET: a:B", "*", "  query: any\n")},
		{rule("any", "/x", "GET: a:B", "*", "  headers: {A: b}\n"), rule("any", "/x", "GET: a:B", "*", "  headers: {A: \"*\"}\n")},
		// Nothing is matched by both.
		{rule("any", "/x", "GET: a:B", "*"), rule("any", "/x/", "GET: a:B", "*")},
		{rule("any", "/x", "GET: a:B", "*"), rule("any", "/x", "PUT: a:B", "*")},
		{rule("any", "/x", "GET: a:B", "*"), rule("any", "/x", "GET: a:B", "*", "  query: [a]\n")},
		{rule("any", "/x/{a...}", "GET: a:B", "*"), rule("any", "/x", "GET: a:B", "*")},
		{rule("a.example", "/{a}", "GET: a:B", "*"), rule("b.example", "/x", "GET: a:B", "*")},
	} {
		parse(t, head+"rules:\n"+pair[0]+pair[1])
	}
}

// FuzzMapping: what is loaded asks one question of a request, and that of the narrowest rule.
func FuzzMapping(f *testing.F) {
	f.Add(head+files, "GET", "files.example.com", "/b/k")
	f.Add(head+"rules:\n"+rule("any", "/{a...}", "GET: a:B", "arn:aws:s3:::${path.a}"), "GET", "x", "/a/b?c")
	f.Fuzz(func(t *testing.T, text, method, host, target string) {
		m, err := proxy.ParseMapping("m.yaml", []byte(text))
		if err != nil {
			if !errors.Is(err, bridge.ErrConfig) {
				t.Fatalf("%v is not told as the file's", err)
			}
			return
		}
		a := &proxy.Asked{Method: method, Host: host, Target: target, Header: http.Header{}}
		action, resource, _, err := m.Question(a)
		if err != nil {
			return
		}
		if action == "" || resource == "" || strings.Contains(action, "*") {
			t.Fatalf("the question is %q on %q", action, resource)
		}
		matching := m.Matching(a)
		if got := m.Rules[matching[0]].Actions[method].Value; got != action {
			t.Fatalf("%s is not the first rule's", action)
		}
	})
}

func TestNew(t *testing.T) {
	t.Parallel()
	if _, err := proxy.New(""); !errors.Is(err, bridge.ErrConfig) {
		t.Errorf("without a mapping: %v", err)
	}
	path := filepath.Join(t.TempDir(), "m.yaml")
	text := "principals:\n- certificate:\n    trusted: [\"arn:aws:iam::123456789012:role/edge\"]\n    principal: \"arn:aws:iam::123456789012:user/${cn}\"\nrules:\n" + rule("any", "/", "GET: a:B", "*")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := proxy.New(path); !errors.Is(err, bridge.ErrConfig) || !strings.Contains(err.Error(), "certificate needs `header`") {
		t.Errorf("a certificate without a header, over HTTP: %v", err)
	}
}
