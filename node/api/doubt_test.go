package api_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/writ-iam/writ/log/identity"
)

// A principal that does not exist has no permissions, and none that it lacks either:
// a question about it is an error, wherever it is asked.
func TestNoSuchPrincipal(t *testing.T) {
	w := newWorld(t)
	w.user("alice", allow("s3:Get"))
	w.must(&identity.CreateUser{Account: account, ID: "AIDACARLOS0000000000", Name: "carlos", Path: "/people/"})
	w.must(&identity.CreateRole{Account: account, ID: "AROADEPLOY0000000000", Name: "deploy", Path: "/", Trust: `{"Version":"2012-10-17","Statement":[]}`})
	app := w.user("app", allow("writ:Authorize"))
	seer := w.user("seer", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["writ:Authorize","iam:GetUser"],"Resource":"*"}}`)
	position := fmt.Sprint(w.projection.Head().Position)
	hint := func(c credential, principal string) string {
		t.Helper()
		body := `{"principal":"` + principal + `","action":"s3:Get"}`
		rec := w.native(c, "POST", "/v1/authorize", body)
		if detail := w.problem(principal, rec, 404, "NoSuchPrincipal"); !strings.Contains(detail, principal+" does not exist at position "+position) {
			t.Errorf("%s: the detail is %q", principal, detail)
		}
		if rec.Header().Get("X-Writ-Position") != position || rec.Header().Get("X-Writ-Freshness") != "strict" {
			t.Errorf("%s: headers are %v", principal, rec.Header())
		}
		batch := w.native(c, "POST", "/v1/authorize/batch", `{"questions":[{"principal":"`+userARN("alice")+`","action":"s3:Get"},`+body+`]}`)
		if detail := w.problem("in a batch", batch, 404, "NoSuchPrincipal"); !strings.HasPrefix(detail, "Question 2: The principal ") {
			t.Errorf("in a batch: %q", detail)
		}
		return w.json(rec)["hint"].(string)
	}
	const carlos = "arn:aws:iam::123456789012:user/people/carlos"
	const role, session = "arn:aws:iam::123456789012:role/", "arn:aws:sts::123456789012:assumed-role/"
	for principal, like := range map[string]string{
		userARN("alcie"): userARN("alice"), userARN("carlos"): carlos, userARN("Alice"): userARN("alice"), userARN("somebody"): "",
		role + "alice": userARN("alice"), userARN("deploy"): role + "deploy", session + "deploi/s1": role + "deploy",
		"arn:aws:iam::123456789012:user/people/alice": userARN("alice"),
	} {
		got := ""
		if before, after, ok := strings.Cut(hint(w.root, principal), "Did you mean "); ok && before == "" {
			got, _, _ = strings.Cut(after, "?")
		}
		if got != like {
			t.Errorf("%s is taken for %q, not %q", principal, got, like)
		}
	}
	if got := hint(app, userARN("alcie")); strings.Contains(got, "alice") {
		t.Errorf("a caller without iam:GetUser is told %q", got)
	}
	if got := hint(seer, userARN("alcie")); !strings.Contains(got, userARN("alice")) {
		t.Errorf("a caller with iam:GetUser is told %q", got)
	}
	if got := hint(seer, role+"deplyo"); strings.Contains(got, "deploy?") {
		t.Errorf("a caller without iam:GetRole is told %q", got)
	}
}

func TestWarnings(t *testing.T) {
	w := newWorld(t)
	w.user("alice", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:Gett"],"Resource":"arn:aws:s3:::bucket/*"}]}`)
	for _, c := range []struct{ action, resource, want string }{
		{"s3:GetObject", "arn:aws:s3:::bucket/key", ""},
		{"s3:PutObject", "*", ""},
		{"ec2:RunInstances", "*", ""},
		{"s3:GetObjekt", "*", "knows the action s3:GetObjekt: if nothing asks for a permission of that name, the answer means nothing. Did you mean s3:GetObject?"},
		{"orders:Ship", "*", "knows the action orders:Ship"},
		{"s3:GetObject", "*", `allowed for some resources, though not for "*"`},
		{"s3:GetObject", "arn:aws:s3:::bucket/*", "is taken as it stands"},
	} {
		body := `{"principal":"` + userARN("alice") + `","action":"` + c.action + `","resource":"` + c.resource + `"}`
		m := w.json(w.accepted(c.action, w.native(w.root, "POST", "/v1/authorize", body)))
		if got := fmt.Sprint(m["warnings"]); c.want == "" && m["warnings"] != nil || !strings.Contains(got, c.want) {
			t.Errorf("%s on %s: warnings %s, not %q", c.action, c.resource, got, c.want)
		}
	}
}

func TestEffectOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "r1")
		ask := func(principal, action, expect string) *httptest.ResponseRecorder {
			return f.native(f.root, "POST", "/v1/propagation/effect", `{"principal":"`+principal+`","action":"`+action+`","expect":"`+expect+`"}`)
		}
		for _, expect := range []string{"allow", "deny"} {
			detail := f.problem(expect, ask(userARN("bob"), "s3:Get", expect), 404, "NoSuchPrincipal")
			if !strings.Contains(detail, "user/bob does not exist at position 4") {
				t.Errorf("%s: %q", expect, detail)
			}
			for _, action := range []string{"s3:*", "Get", "s3:Get Object"} {
				f.problem(action, ask(userARN("alice"), action, expect), 400, "InvalidRequest")
			}
			f.problem("no ARN", ask("alice", "s3:Get", expect), 400, "InvalidRequest")
		}
		if m := f.json(f.accepted("a warning", ask(userARN("alice"), "s3:Put", "deny"))); m["warnings"] == nil {
			t.Errorf("%v", m)
		}
		// one who is deleted during the wait
		done := parked(t, func() *httptest.ResponseRecorder { return ask(userARN("alice"), "s3:Get", "deny") })
		f.must(&identity.DeleteInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}, Name: "own"})
		f.must(&identity.DeleteAccessKey{Account: account, User: "alice", ID: "AKIAUSERUSERALICE"})
		f.must(&identity.DeleteUser{Account: account, Name: "alice"})
		f.problem("deleted", <-done, 404, "NoSuchPrincipal")
	})
}
