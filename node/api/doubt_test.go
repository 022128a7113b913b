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

// statement is one about all of S3.
func statement(effect, condition string) string {
	return `{"Effect":"` + effect + `","Action":"s3:*","Resource":"*","Condition":{` + condition + `}}`
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

const (
	inClear = `"Bool":{"aws:SecureTransport":"false"}`
	withMFA = `"Bool":{"aws:MultiFactorAuthPresent":"true"}`
)

// A question has no transport, no address and no second factor but those that it gives:
// what would need them is not denied for want of them, and where it is, that is said.
func TestConditionsThatAQuestionLacks(t *testing.T) {
	w := newWorld(t)
	w.user("alice", document(statement("Allow", ""), statement("Deny", inClear)))
	w.user("bob", document(statement("Allow", withMFA+`,"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}`)))
	w.user("carol", document(statement("Allow", withMFA), `{"Effect":"Deny","Action":"s3:Delete*","Resource":"*"}`))
	many := ""
	for i := range 13 {
		many += fmt.Sprintf(`,"key:%02d":"x"`, i)
	}
	w.user("dave", document(statement("Allow", `"StringEquals":{"`+strings.Repeat("k", 300)+`":"x"`+many+`}`)))
	const differ = "The answer may differ with condition keys that the question lacks: "
	for _, c := range []struct{ who, action, more, decision, want string }{
		{"alice", "GetObject", "", "allow", ""},
		{"alice", "GetObject", `,"context":{"aws:SecureTransport":"true"},"explain":true`, "allow", ""},
		{"alice", "GetObject", `,"context":{"aws:SecureTransport":"false"}`, "explicitDeny", ""},
		{"alice", "GetObject", `,"explain":true`, "allow", differ + "aws:SecureTransport. Give them in its context."},
		{"bob", "GetObject", "", "implicitDeny", differ + "aws:MultiFactorAuthPresent, aws:SourceIp. Give them in its context."},
		{"bob", "GetObject", `,"context":{"aws:sourceip":"10.1.1.1"}`, "implicitDeny", differ + "aws:MultiFactorAuthPresent. Give"},
		{"bob", "GetObject", `,"context":{"aws:SourceIp":"192.0.2.1"}`, "implicitDeny", ""},
		{"bob", "GetObject", `,"context":{"aws:SourceIp":"10.1.1.1","aws:MultiFactorAuthPresent":"true"}`, "allow", ""},
		{"carol", "DeleteObject", "", "explicitDeny", ""},
		{"dave", "GetObject", "", "implicitDeny", differ + "key:00, key:01, key:02, key:03, key:04, key:05, key:06, key:07, key:08, key:09 and 3 more. Give"},
	} {
		name := c.who + " " + c.action + c.more
		q := `{"principal":"` + userARN(c.who) + `","action":"s3:` + c.action + `"` + c.more + `}`
		m := w.json(w.accepted(name, w.native(w.root, "POST", "/v1/authorize", q)))
		batch := w.json(w.accepted(name, w.native(w.root, "POST", "/v1/authorize/batch", `{"questions":[`+q+`]}`)))["answers"].([]any)[0].(map[string]any)
		for _, m := range []map[string]any{m, batch} {
			if got := fmt.Sprint(m["warnings"]); m["decision"] != c.decision || c.want == "" && m["warnings"] != nil || !strings.Contains(got, c.want) {
				t.Errorf("%s: %v, warnings %s, not %s and %q", name, m["decision"], got, c.decision, c.want)
			}
		}
	}
}

// Names in policies are told to those who are admitted to a read.
func TestConditionsAtACutOffNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.user("alice", document(statement("Allow", withMFA)))
		n, l := w.replica()
		w.log.show(n.projection)
		told := func(want string) {
			t.Helper()
			m := w.json(w.accepted("a question", n.question(w.root)))
			if m["decision"] != "implicitDeny" || !strings.Contains(fmt.Sprint(m["warnings"]), want) {
				t.Errorf("not %q: %v", want, m)
			}
		}
		told("lacks, which only a node tells that can prove to be current. Give")
		l.grant(w, n.projection, n.projection.Head())
		told("lacks: aws:MultiFactorAuthPresent. Give")
	})
}

func TestEffectThatHangsOnConditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "r1")
		f.user("dora", document(statement("Allow", ""), statement("Deny", inClear)))
		f.user("erin", document(statement("Allow", withMFA)))
		ask := func(name, who, expect string) map[string]any {
			return f.json(f.accepted(name, f.native(f.root, "POST", "/v1/propagation/effect",
				`{"principal":"`+userARN(who)+`","action":"s3:Get","expect":"`+expect+`","timeout":"1s"}`)))
		}
		if m := ask("no transport", "dora", "deny"); m["effect"] != "absent" || m["decision"] != "allow" {
			t.Errorf("a Deny without TLS: %v", m)
		}
		if m := ask("no factor", "erin", "deny"); !strings.Contains(fmt.Sprint(m["warnings"]), "lacks: aws:MultiFactorAuthPresent. Give") {
			t.Errorf("an Allow with MFA: %v", m)
		}
	})
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
