package authzen_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/authzen"
)

// TestRefusedMappings says of mappings what is ambiguous or open in them, and where.
func TestRefusedMappings(t *testing.T) {
	t.Parallel()
	const user = "subjects:\n- {type: user, principal: \"arn:aws:iam::123456789012:user/{id}\"}\n"
	const resource = "resources:\n- {type: a, arn: \"arn:aws:x:::a/{id}\"}\n"
	for _, c := range []struct{ name, text, want string }{
		{"an unknown field", "subject: []\n", "line 1: field subject not found"},
		{"no YAML", "subjects: [\n", "line 1"},
		{"a field twice", "service: a\nservice: b\n", "already defined at line 1"},
		{"two documents", "service: a\n---\nservice: b\n", "more than one document"},
		{"an empty list", "subjects: []\n", "`subjects` has 0 entries"},
		{"too many", "actions:\n" + repeat(authzen.MaxTypes+1, "- {name: n%d, action: \"x:Y\"}\n"), "`actions` has 257 entries"},
		{"no type", "subjects:\n- {principal: \"arn:aws:iam::123456789012:user/{id}\"}\n", "subject 1 has no `type`"},
		{"no principal", "subjects:\n- type: user\n", "subject 1 has no `principal`"},
		{"no id in it", "subjects:\n- type: user\n  principal: arn:aws:iam::123456789012:user/alice\n", "line 3: \"arn:aws:iam::123456789012:user/alice\" has no {id}"},
		{"two ids in it", "resources:\n- type: a\n  arn: arn:aws:x:::{id}/{id}\n", "line 3"},
		{"another placeholder", "resources:\n- type: a\n  arn: arn:aws:x:::{name}/{id}\n", "line 3: \"arn:aws:x:::{name}/{id}\" has braces"},
		{"an account after the id", "resources:\n- type: a\n  arn: \"arn:aws:x:::{id}/{account}\"\n", "line 3"},
		{"no principal's ARN", "subjects:\n- type: user\n  principal: \"arn:aws:s3:::{id}\"\n", "line 3: `principal` makes of the id x"},
		{"a group", "subjects:\n- type: group\n  principal: \"arn:aws:iam::123456789012:group/{id}\"\n", "line 3"},
		{"no ARN", "resources:\n- type: a\n  arn: \"a/{id}\"\n", "line 3: `arn` makes of the id x"},
		{"a type twice", user + "- {type: user, principal: \"arn:aws:iam::123456789012:role/{id}\"}\n", "line 3: the type \"user\" is mapped before, on line 2"},
		{"one principal by two types", user + "- {type: person, principal: \"arn:aws:iam::123456789012:user/staff/{id}\"}\n", "line 3: ids of the types \"person\" and \"user\" (line 2) would be the same ARN"},
		{"in any account", user + "- {type: person, principal: \"arn:{partition}:iam::{account}:user/{id}\"}\n", "line 3: ids of the types"},
		{"one resource by two types", resource + "- {type: b, arn: \"arn:aws:x:::a/b/{id}\"}\n", "line 3: ids of the types"},
		{"an ARN as an id beside others", resource + "- {type: arn, arn: \"{id}\"}\n", "line 3: ids of the types"},
		{"no action", "actions:\n- name: read\n", "action 1 has no `action`"},
		{"no name", "actions:\n- action: x:Read\n", "action 1 has no `name`"},
		{"a pattern of actions", "actions:\n- name: read\n  action: \"x:*\"\n", "line 3: the action \"x:*\" has a wildcard"},
		{"an action twice", "actions:\n- {name: read, action: \"x:Read\"}\n- {name: read, action: \"x:Get\", on: a}\n", "line 3: the action \"read\" is mapped before, on line 2"},
		{"an action on nothing", resource + "actions:\n- {name: read, action: \"x:Read\", on: b}\n", "line 4: the action is `on` \"b\""},
		{"a key twice", "subjects:\n- type: user\n  principal: \"arn:aws:iam::123456789012:user/{id}\"\n  properties: {a: x:k, b: X:K}\n", "line 4: the properties \"a\" and \"b\" would be one condition key"},
		{"a key of two parts", "resources:\n- type: a\n  arn: \"arn:aws:x:::a/{id}\"\n  properties: {a: x:k}\ncontext:\n  b: x:k\n", "line 6: the context's property \"b\" would be the condition key x:k, as one of the resource is"},
		{"another's key", "context:\n  b: authzen:subject/role\n", "line 2: the property \"b\" would be authzen:subject/role, which is another property's"},
		{"no key", "context:\n  b: \" \"\n", "line 2: the property \"b\""},
		{"a key that is nothing", "context:\n  b:\n", "b"},
		{"no account", "account: \"1234\"\n", "line 1: `account`"},
		{"no service", "service: \"a:b\"\n", "line 1: `service`"},
		{"no https", "url: http://pdp.example.com\n", "line 1: `url`"},
		{"a query", "url: https://pdp.example.com?x\n", "line 1: `url`"},
		{"a pattern of paths", "url: \"https://pdp.example.com/{x}\"\n", "line 1: `url`"},
		{"a resource twice", "resources:\n- type: a\n  arn: \"arn:aws:x:::a/{id}\"\n  list:\n  - id: r\n  - id: r\n", "line 6: the resource \"r\" is listed before, on line 5"},
		{"a resource without an id", "resources:\n- type: a\n  arn: \"arn:aws:x:::a/{id}\"\n  list:\n  - properties: {a: b}\n", "listed resource 1 has no `id`"},
		{"a resource that is no ARN", "resources:\n- type: a\n  arn: \"arn:aws:x:::a/{id}\"\n  list:\n  - id: \"r \"\n", "line 5: the resource"},
		{"a property without a value", "resources:\n- type: a\n  arn: \"arn:aws:x:::a/{id}\"\n  list:\n  - {id: r, properties: {a: }}\n", "line 5"},
		{"a property that is an object", "resources:\n- type: a\n  arn: \"arn:aws:x:::a/{id}\"\n  list:\n  - {id: r, properties: {a: {b: c}}}\n", "line 5"},
		{"two properties of one key", "resources:\n- type: a\n  arn: \"arn:aws:x:::a/{id}\"\n  list:\n  - {id: r, properties: {a: b, A: c}}\n", "line 5: the resource \"r\": two properties are this condition key"},
		{"a list and a file", "resources:\n- type: a\n  arn: \"arn:aws:x:::a/{id}\"\n  list: [{id: r}]\n  file: f.yaml\n", "line 5: resources of a type are in `list` or in `file`"},
		{"too many resources", "resources:\n- type: a\n  arn: \"arn:aws:x:::a/{id}\"\n  list:\n" + repeat(authzen.MaxListed+1, "  - id: r%d\n"), "lists 10001 resources"},
		{"a service that makes too long a name", "service: " + strings.Repeat("a", 200) + "\n", "line 1: `service`"},
	} {
		path := filepath.Join(t.TempDir(), "mapping.yaml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := authzen.New(path)
		if err == nil || !errors.Is(err, bridge.ErrConfig) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %.300v; want %s", c.name, err, c.want)
		}
	}
}

func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestMappings takes mappings that say each thing once.
func TestMappings(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"",
		"url: https://pdp.example.com:8443/tenant-1\n",
		"subjects:\n- {type: user, principal: \"arn:{partition}:iam::{account}:user/{id}\"}\n- {type: robot, principal: \"arn:{partition}:iam::{account}:role/{id}\"}\n",
		"account: \"123456789012\"\nsubjects:\n- {type: user, principal: \"arn:aws:iam::{account}:user/{id}\"}\n- {type: other, principal: \"arn:aws:iam::210987654321:user/{id}\"}\n",
		"resources:\n- {type: arn, arn: \"{id}\"}\n",
		"resources:\n- {type: a, arn: \"arn:aws:x:::{id}/a\"}\n- {type: b, arn: \"arn:aws:x:::{id}/b\"}\n",
		"actions:\n- {name: read, action: \"x:Read\", on: a}\n- {name: read, action: \"x:Get\", on: b}\n",
		"subjects:\n- {type: user, principal: \"arn:aws:iam::123456789012:user/{id}\", properties: {role: \"aws:PrincipalTag/role\"}}\n",
		"context: {ip: \"aws:SourceIp\", time: \"authzen:context/time\"}\n",
		"resources:\n- type: a\n  arn: \"arn:aws:x:::a/{id}\"\n  list: [{id: r, properties: {n: 1, b: true, l: [x, y], none: []}}]\n",
	} {
		path := filepath.Join(t.TempDir(), "mapping.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := authzen.New(path); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	page, err := os.ReadFile("../../../docs/authzen.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```yaml\nurl:")
	text, _, _ = strings.Cut(text, "```")
	path := filepath.Join(t.TempDir(), "mapping.yaml")
	if err := os.WriteFile(path, []byte("url:"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := authzen.New(path)
	if err != nil {
		t.Fatalf("the mapping of docs/authzen.md: %v", err)
	}
	routes := routes{}
	p.Routes(routes, &bridge.Desk{})
	for _, want := range []string{"POST /access/v1/evaluation", "POST /records/access/v1/search/action", "GET /.well-known/authzen-configuration/records", "GET /.well-known/authzen-configuration"} {
		if !routes[want] {
			t.Errorf("there is no route %s: %v", want, routes)
		}
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"list.yaml": "- id: r\n- id: r\n", "mapping.yaml": "resources:\n- type: a\n  arn: \"arn:aws:x:::a/{id}\"\n  file: list.yaml\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := authzen.New(filepath.Join(dir, "mapping.yaml")); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "list.yaml")+": line 2: the resource \"r\"") {
		t.Errorf("a file of resources: %v", err)
	}
	if _, err := authzen.New(filepath.Join(dir, "none.yaml")); err == nil {
		t.Error("a mapping that is not there is taken")
	}
}

// routes are the patterns that a protocol gives.
type routes map[string]bool

func (r routes) Handle(pattern string, _ http.Handler) { r[pattern] = true }
