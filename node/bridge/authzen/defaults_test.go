package authzen_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/node/bridge/authzen"
	"github.com/writ-iam/writ/test/doors"
)

// Policies in the words that no mapping is needed for.
const (
	ownDocuments = `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"authzen:can_read","Resource":"arn:aws:authzen:::document/*","Condition":{
			"StringEquals":{"authzen:subject/team":"${authzen:resource/owner.team}"}, "ForAnyValue:StringEquals":{"authzen:context/networks":"office"}}},
		{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:authzen:::file/1*"},
		{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NumericGreaterThan":{"authzen:action/bytes":"1000"}}}]}`
	mayAskSome = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"writ:Authorize","Resource":["arn:aws:iam::*:user/a*","arn:aws:iam::*:user/team/*","arn:aws:iam::*:role/*"]}}`
	assumed    = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}}`
)

// TestDefaults asks without a mapping; about some the caller may not.
func TestDefaults(t *testing.T) {
	t.Parallel()
	w := &world{Pair: doors.Start(t, "")}
	w.Stop(doors.Replica)
	w.Run(doors.Replica, `
doors:
- listen: 127.0.0.1:0
  serve: {authzen: ""}
  callers:
  - {anybody: true, asks_as: "arn:aws:iam::`+w.Account+`:user/asker"}
- listen: localhost:0
  serve: {authzen: `+w.File("long.yaml", "resources:\n- type: file\n  arn: arn:aws:authzen:::file/{id}\n  list:\n"+repeat(1500, "  - id: 1%04d\n"))+`}
  callers:
  - {signed: true}
  - {anybody: true, asks_as: "arn:aws:iam::`+w.Account+`:user/asker"}
`)
	w.base = "http://" + w.Door(0)
	w.User("asker", mayAskSome)
	w.User("amy", ownDocuments)
	w.User("bob", ownDocuments)
	for i := range 3 {
		w.User(fmt.Sprintf("a%d", i), ownDocuments)
	}
	make := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	make(w.IAM.TagUser(t.Context(), &iam.TagUserInput{UserName: aws.String("amy"), Tags: []types.Tag{{Key: aws.String("Team"), Value: aws.String("red")}}}))
	make(w.IAM.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("apart"), Path: aws.String("/team/")}))
	w.Policy("apart", ownDocuments)
	make(w.IAM.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("areader"), AssumeRolePolicyDocument: aws.String(assumed)}))
	make(w.IAM.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: aws.String("areader"), PolicyName: aws.String("own"), PolicyDocument: aws.String(ownDocuments)}))
	w.Caught()

	const (
		amy    = `"subject": {"type": "user", "id": "amy"}`
		canDo  = `"action": {"name": "can_read"}`
		doc    = `"resource": {"type": "document", "id": "1", "properties": {"owner": {"team": "red", "name": null}}}`
		office = `"context": {"networks": ["vpn", "office"], "deep": [{"a": 1e3}, null], "empty": {}}`
		some   = `"subject": {"type": "%s", "id": "%s", "properties": {"team": "%s"}}`
	)
	subject := func(kind, id, team string) string { return fmt.Sprintf(some, kind, id, team) }
	for _, c := range []struct {
		name, body string
		want       bool
	}{
		{"by a tag", of(amy, canDo, doc, office), true},
		{"given", of(subject("user", "a0", "red"), canDo, doc, office), true},
		{"given, not the tag", of(subject("user", "amy", "blue"), canDo, doc, office), false},
		{"no tag", of(`"subject": {"type": "user", "id": "a0"}`, canDo, doc, office), false},
		{"a path", of(subject("user", "team/apart", "red"), canDo, doc, office), true},
		{"without the path", of(subject("user", "apart", "red"), canDo, doc, office), false},
		{"a role", of(subject("role", "areader", "red"), canDo, doc, office), true},
		{"a role as a user", of(subject("user", "areader", "red"), canDo, doc, office), false},
		{"an id that nobody can have", of(subject("user", "a:b", "red"), canDo, doc, office), false},
		{"a name that no action can have", of(amy, `"action": {"name": "can*"}`, doc, office), false},
		{"a group", of(subject("group", "g", "red"), canDo, doc, office), false},
		{"elsewhere", of(amy, canDo, doc, `"context": {"networks": ["vpn"]}`), false},
		{"no context", of(amy, canDo, doc), false},
		{"a service's action", of(amy, `"action": {"name": "s3:GetObject"}`, `"resource": {"type": "file", "id": "1"}`), true},
		{"a type with a slash", of(amy, `"action": {"name": "s3:GetObject"}`, `"resource": {"type": "file/1", "id": ""}`), false},
		{"many bytes", of(amy, `"action": {"name": "can_read", "properties": {"bytes": 1.001e3}}`, doc, office), false},
		{"few bytes", of(amy, `"action": {"name": "can_read", "properties": {"bytes": 1e3}}`, doc, office), true},
	} {
		a := w.post(t, one, c.body)
		if strings.Contains(c.name, "slash") { // an empty id is refused
			refused(t, c.name, a, http.StatusBadRequest)
			a = w.post(t, one, strings.Replace(c.body, `"id": ""`, `"id": "2"`, 1))
		}
		fresh(t, c.name, &a)
		if got, _ := a.decisions(t); got == nil || *got != c.want {
			t.Errorf("%s: %s; want %v", c.name, a.body, c.want)
		}
	}
	w.some(t, of(canDo, doc, office), subject("user", "bob", "red"), amy)
	w.described(t)
	w.long(t)
}

// long searches for more than one page has, and walks further than a search does.
func (w *world) long(t *testing.T) {
	w.base = "http://" + w.Door(1)
	request := `"subject": {"type": "user", "id": "amy"}, "action": {"name": "s3:GetObject"}, "resource": {"type": "file"}`
	a := w.post(t, searchResource, of(request))
	first, page := a.found(t)
	if len(first) != 1000 || first[999] != "file/10999" || page["next_token"] == "" {
		t.Fatalf("the first page: %d results, %v", len(first), page)
	}
	a = w.post(t, searchResource, of(request, fmt.Sprintf(`"page": {"token": %q}`, page["next_token"])))
	if second, page := a.found(t); len(second) != 500 || second[0] != "file/11000" || page["next_token"] != "" {
		t.Errorf("the second page: %d results, %v", len(second), page)
	}

	v := w.Node(doors.Replica).Projection().View()
	users := w.ARN("user/")
	some, ended := authzen.Walk(v, users, "", 3)
	rest, end := authzen.Walk(v, users, ended, 100)
	if len(some) != 3 || ended != "a2" || end != "" || len(rest) != 4 || rest[0] != w.ARN("user/amy") {
		t.Errorf("the walk: %v until %q, %v until %q", some, ended, rest, end)
	}
	for _, before := range []string{w.ARN("group/"), w.ARN("root"), "arn:aws-cn:iam::" + w.Account + ":user/", "arn:aws:sts::" + w.Account + ":assumed-role/r/"} {
		if some, _ := authzen.Walk(v, before, "", 100); some != nil {
			t.Errorf("%s: %v", before, some)
		}
	}

	// A signature that is not right is no caller of another kind.
	told, err := w.send(t.Context(), http.MethodPost, one, "{}", map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261201/us-east-1/writ/aws4_request, SignedHeaders=host, Signature=00"})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, "a signature", told, http.StatusUnauthorized)
}

// some asks about whom the caller may not ask about, among others. what is the rest of a request
// that nobody else than amy is allowed without properties.
func (w *world) some(t *testing.T, what, bob, amy string) {
	what = strings.TrimSuffix(strings.TrimPrefix(what, "{"), "}")
	refused(t, "whom the caller may not ask about", w.post(t, one, of(bob, what)), http.StatusForbidden)
	a := w.post(t, many, of(what, `"evaluations": [`+of(bob)+`,`+of(amy)+`]`))
	if _, got := a.decisions(t); !slices.Equal(got, []bool{false, true}) || !strings.Contains(string(a.body), `"status":403`) {
		t.Errorf("evaluations: %s", a.body)
	}
	a = w.post(t, searchSubject, of(`"subject": {"type": "user", "properties": {"team": "red"}}`, what))
	if got, _ := a.found(t); !slices.Equal(got, []string{"user/amy"}) { // what a search is not told is each one's own
		t.Errorf("users: %s", a.body)
	}
	everybody := `"resource": {"type": "file", "id": "1"}`
	a = w.post(t, searchSubject, of(`"subject": {"type": "user"}`, `"action": {"name": "s3:GetObject"}`, everybody))
	if got, _ := a.found(t); !slices.Equal(got, []string{"user/a0", "user/a1", "user/a2", "user/amy", "user/team/apart"}) {
		t.Errorf("users, without bob, about whom the caller may not ask: %s", a.body)
	}
	a = w.post(t, searchSubject, of(`"subject": {"type": "role"}`, `"action": {"name": "s3:GetObject"}`, everybody))
	if got, _ := a.found(t); !slices.Equal(got, []string{"role/areader"}) {
		t.Errorf("roles: %s", a.body)
	}
	for path, body := range map[string]string{searchResource: of(amy, read, `"resource": {"type": "document"}`), searchAction: of(amy, record1)} {
		a = w.post(t, path, body)
		if got, _ := a.found(t); got != nil {
			t.Errorf("%s, without a list: %s", path, a.body)
		}
	}
}

// described looks at the metadata of a door without a mapping: it names the searches that can find
// anything.
func (w *world) described(t *testing.T) {
	a, err := w.send(t.Context(), http.MethodGet, "/.well-known/authzen-configuration", "", nil)
	var told map[string]string
	if err != nil || json.Unmarshal(a.body, &told) != nil || len(told) != 4 || told["policy_decision_point"] != w.base || told["search_subject_endpoint"] != w.base+searchSubject {
		t.Errorf("what is described: %s, %v", a.body, err)
	}
}
