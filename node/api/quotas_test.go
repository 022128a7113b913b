package api_test

import (
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
)

// quota is what GET /v1/quotas says of one quota.
func (w *world) quota(path, name string) map[string]any {
	w.t.Helper()
	m := w.json(w.accepted(path, w.native(w.root, "GET", path, "")))
	for _, one := range m["quotas"].([]any) {
		if one := one.(map[string]any); one["quota"] == name {
			return one
		}
	}
	w.t.Fatalf("no quota %s in %v", name, m)
	return nil
}

func TestQuotas(t *testing.T) {
	w := newWorld(t)
	w.user("alice", "")
	w.user("bob", "")
	if m := w.json(w.native(w.root, "GET", "/v1/quotas", "")); m["account"] != string(account) || m["defaults"] != "writ" || len(m["quotas"].([]any)) != int(identity.NumQuotas) {
		t.Errorf("at the beginning %v", m)
	}
	rec := w.accepted("set", w.native(w.root, "POST", "/v1/quotas?account="+string(account), `{"quotas":[{"quota":"users","value":1},{"quota":"policies-per-role","value":25}]}`))
	m := w.json(rec)
	if token, err := event.ParseToken(rec.Header().Get("X-Writ-Token")); err != nil || token.Position != w.log.position() || m["token"] != token.String() || m["account"] != string(account) {
		t.Errorf("token %v, %v at position %d: %v", token, err, w.log.position(), m)
	}
	if cause := w.log.batches[len(w.log.batches)-1].Cause; cause.By.Credential != w.root.id || cause.Action != "writ:SetQuotas" {
		t.Errorf("the cause is %+v", cause)
	}
	if q := w.quota("/v1/quotas", "users"); q["value"] != 1.0 || q["default"] != 10e6 || q["set"] != true || q["in_use"] != 2.0 || q["aws_name"] != "UsersPerAccount" {
		t.Errorf("users: %v", q)
	}
	if q := w.quota("/v1/quotas", "policies-per-role"); q["value"] != 25.0 || q["max"] != 25.0 || q["in_use"] != nil {
		t.Errorf("policies of a role: %v", q)
	}
	w.refused("a third user", w.iam(w.root, "CreateUser", "UserName", "carol"), 409, "LimitExceeded", "Cannot exceed quota for UsersPerAccount: 1")
	w.accepted("AWS's", w.native(w.root, "POST", "/v1/quotas", `{"defaults":"aws","quotas":[{"quota":"users","value":3}]}`))
	if q := w.quota("/v1/quotas", "users"); q["value"] != 3.0 || q["default"] != 5000.0 {
		t.Errorf("users: %v", q)
	}
	if q := w.quota("/v1/quotas", "policies-per-role"); q["value"] != 10.0 || q["set"] != false {
		t.Errorf("policies of a role: %v", q)
	}
	w.accepted("the default", w.native(w.root, "POST", "/v1/quotas", `{"quotas":[{"quota":"users","value":0}]}`))
	if q := w.quota("/v1/quotas", "users"); q["value"] != 5000.0 {
		t.Errorf("users: %v", q)
	}
	w.accepted("room for her", w.iam(w.root, "CreateUser", "UserName", "carol"))
}

func TestQuotasRefusals(t *testing.T) {
	w := newWorld(t)
	for name, body := range map[string]string{
		"no JSON":          "x",
		"nothing":          `{}`,
		"another member":   `{"defaults":"aws","x":1}`,
		"two values":       `{"defaults":"aws"}{"defaults":"aws"}`,
		"nobody's":         `{"defaults":"mine"}`,
		"no quota":         `{"quotas":[{"quota":"tigers","value":1}]}`,
		"twice":            `{"quotas":[{"quota":"users","value":1},{"quota":"users","value":2}]}`,
		"more than may be": `{"quotas":[{"quota":"policies-per-group","value":11}]}`,
		"more than lists":  `{"quotas":[{"quota":"saml-providers","value":701}]}`,
		"below nothing":    `{"quotas":[{"quota":"users","value":-1}]}`,
		"beyond numbers":   `{"quotas":[{"quota":"users","value":2147483648}]}`,
	} {
		w.problem(name, w.native(w.root, "POST", "/v1/quotas", body), 400, "InvalidRequest")
	}
	const set = `{"defaults":"aws"}`
	w.problem("no number", w.native(w.root, "POST", "/v1/quotas?account=x", set), 400, "InvalidRequest")
	w.problem("no number", w.native(w.root, "GET", "/v1/quotas?account=x", ""), 400, "InvalidRequest")
	w.problem("no account", w.native(w.root, "POST", "/v1/quotas?account=999999999999", set), 404, "NoSuchEntity")
	w.problem("no account", w.native(w.root, "GET", "/v1/quotas?account=999999999999", ""), 404, "NoSuchEntity")
	user := w.user("alice", allow("writ:GetQuotas"))
	before := len(w.log.batches)
	w.accepted("allowed to look", w.native(user, "GET", "/v1/quotas", ""))
	w.problem("not allowed", w.native(user, "POST", "/v1/quotas", set), 403, "AccessDenied")
	w.problem("not allowed, whatever it is", w.native(user, "POST", "/v1/quotas?account=999999999999", "x"), 403, "AccessDenied")
	w.problem("not allowed to look", w.native(w.user("bob", ""), "GET", "/v1/quotas", ""), 403, "AccessDenied")
	for _, b := range w.log.batches[before:] {
		if strings.HasPrefix(b.Cause.Action, "writ:") {
			t.Errorf("%s changed something", b.Cause.Action)
		}
	}
}

// A replica hands a change on to the leader, where it takes effect once.
func TestQuotasByWayOfAReplica(t *testing.T) {
	w := newWorld(t)
	var seen admission.Forwarded
	n, _ := w.replica(func(c *config) { c.Node.Forward = to(&w.node, &seen) })
	w.log.show(n.projection)
	const set = `{"quotas":[{"quota":"groups","value":7}]}`
	first := w.accepted("set", n.native(w.root, "POST", "/v1/quotas", set, "Amz-Sdk-Invocation-Id", "i-1"))
	again := w.accepted("again", w.native(w.root, "POST", "/v1/quotas", set, "Amz-Sdk-Invocation-Id", "i-1"))
	if a, b := first.Header().Get("X-Writ-Token"), again.Header().Get("X-Writ-Token"); a != b || a == "" {
		t.Errorf("tokens %s and %s", a, b)
	}
	if q := w.quota("/v1/quotas", "groups"); q["value"] != 7.0 {
		t.Errorf("groups: %v", q)
	}
}
