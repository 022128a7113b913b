package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/identity"
)

// listed are the sessions that a node lists for a caller: access key ids, the latest first.
func (n *node) listed(c credential, headers ...string) (ids []string) {
	n.world.t.Helper()
	said := n.world.json(n.world.accepted("list", n.native(c, http.MethodGet, "/v1/sessions", "", headers...)))
	for _, one := range said["sessions"].([]any) {
		ids = append(ids, one.(map[string]any)["access_key_id"].(string))
	}
	return ids
}

func TestSeenSessions(t *testing.T) {
	w := newWorld(t)
	alice := w.roles()
	one, two, unused := w.assume(alice), w.assume(alice), w.assume(alice)
	if got := w.listed(w.root); len(got) != 0 {
		t.Errorf("sessions that did nothing: %v", got)
	}
	w.accepted("one", w.as(one, "ListUsers"))
	now := w.node.now()
	w.node.now = func() time.Time { return now.Add(time.Minute) }
	w.refused("two, which may not", w.as(two, "AssumeNothing"), http.StatusBadRequest, "InvalidAction", "")
	rec := w.native(w.root, http.MethodGet, "/v1/sessions", "")
	first := w.json(rec)["sessions"].([]any)[0].(map[string]any)
	want := fmt.Sprint(map[string]any{
		"kind": "role", "principal": "arn:aws:sts::123456789012:assumed-role/deploy/one", "session_name": "one", "access_key_id": two.id,
		"issued": "2026-07-01T12:00:00Z", "expires": "2026-07-01T13:00:00Z", "last_seen": "2026-07-01T12:01:00Z",
	})
	if got := fmt.Sprint(first); got != want {
		t.Errorf("listed as %s,\nnot %s", got, want)
	}
	if got := fmt.Sprint(w.listed(w.root)); got != fmt.Sprint([]string{two.id, one.id}) {
		t.Errorf("listed: %v", got)
	}
	for _, secret := range []string{one.secret, one.token, two.secret, two.token} {
		if strings.Contains(rec.Body.String(), secret) {
			t.Errorf("a secret is in %s", rec.Body)
		}
	}
	w.refused("a forged token", w.as(temporary{unused.credential, one.token}, "ListUsers"), http.StatusForbidden, "InvalidClientTokenId", "")
	w.refused("a wrong secret", w.as(temporary{credential{unused.id, "wrong"}, unused.token}, "ListUsers"), http.StatusForbidden, "SignatureDoesNotMatch", "")
	if got := fmt.Sprint(w.listed(w.root)); got != fmt.Sprint([]string{two.id, one.id}) {
		t.Errorf("who proved nothing is listed: %v", got)
	}
	w.accepted("revoke", w.revoke(`{"session":"`+two.id+`"}`))
	if got := fmt.Sprint(w.listed(w.root)); got != fmt.Sprint([]string{one.id}) {
		t.Errorf("after a revocation: %v", got)
	}
	w.node.now = func() time.Time { return now.Add(time.Hour) }
	if got := w.listed(w.root); len(got) != 0 {
		t.Errorf("after their end: %v", got)
	}
}

// Sessions are shown to those who may see them, of their own account.
func TestWhoSeesSessions(t *testing.T) {
	const other = identity.AccountID("210987654321")
	w := newWorld(t)
	alice := w.roles()
	stranger := credential{"AKIAOTHERROOT0000000", "the secret of another account's root"}
	w.must(&identity.CreateAccount{ID: other, RootKey: w.sealed(other, stranger)})
	c := w.assume(alice)
	w.accepted("a use", w.as(c, "ListUsers"))
	rec := w.native(alice, http.MethodGet, "/v1/sessions", "")
	w.problem("without permission", rec, http.StatusForbidden, "AccessDenied")
	if !strings.Contains(rec.Body.String(), "is not authorized to perform: writ:ListSessions on resource: *") {
		t.Errorf("%s", rec.Body)
	}
	if got := w.listed(w.user("auditor", allow("writ:ListSessions"))); len(got) != 1 {
		t.Errorf("an auditor sees %v", got)
	}
	if got := w.listed(stranger); len(got) != 0 {
		t.Errorf("another account sees %v", got)
	}
}
