package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/password"
)

// newPasswords is a world where alice has the password "Passw0rd-1".
func newPasswords(t *testing.T, change ...func(*config)) (w *world, alice credential) {
	w = newWorld(t, change...)
	alice = w.user("alice", "")
	w.accepted("a password", w.iam(w.root, "CreateLoginProfile", "UserName", "alice", "Password", "Passw0rd-1"))
	return w, alice
}

func change(w *world, c credential, from, to string, more ...string) (status int, code string) {
	rec := w.iam(c, "ChangePassword", append([]string{"OldPassword", from, "NewPassword", to}, more...)...)
	if rec.Code != http.StatusOK {
		code = w.error(rec).Code
	}
	return rec.Code, code
}

func expect(t *testing.T, name string, status int, code, want string) {
	t.Helper()
	if code != want || (status == http.StatusOK) != (want == "") {
		t.Errorf("%s: status %d, %s, not %s", name, status, code, want)
	}
}

// Users change their passwords by leave of the account's policy, or of their own; a Deny counts.
func TestWhoMayChangePasswords(t *testing.T) {
	w, alice := newPasswords(t)
	status, code := change(w, alice, "Passw0rd-1", "Passw0rd-2")
	expect(t, "without leave", status, code, "AccessDenied")
	w.must(&identity.SetPasswordPolicy{Account: account, Requirements: identity.PasswordRequirements{AllowChange: true}})
	status, code = change(w, alice, "Passw0rd-1", "Passw0rd-2")
	expect(t, "by the account's leave", status, code, "")
	w.accepted("it may be seen", w.iam(alice, "GetAccountPasswordPolicy"))
	w.refused("another's", w.iam(alice, "UpdateLoginProfile", "UserName", "alice", "Password", "x"), http.StatusForbidden, "AccessDenied", "")
	w.must(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}, Name: "no",
		Document: strings.Replace(allow("iam:ChangePassword"), "Allow", "Deny", 1)})
	status, code = change(w, alice, "Passw0rd-2", "Passw0rd-3")
	expect(t, "against a Deny", status, code, "AccessDenied")
}

// A retry is told what came of the first attempt, though the old password is none any more.
func TestRetriesOfPasswordChanges(t *testing.T) {
	w, _ := newPasswords(t)
	bob := w.user("bob", allow("iam:ChangePassword"))
	again := []string{"@Amz-Sdk-Invocation-Id", "one"}
	for range 2 * password.MaxWrong {
		w.accepted("the first", w.iam(w.root, "CreateLoginProfile", append([]string{"UserName", "bob", "Password", "Passw0rd-1"}, again...)...))
	}
	for range 2 * password.MaxWrong {
		status, code := change(w, bob, "Passw0rd-1", "Passw0rd-2", again...)
		expect(t, "again", status, code, "")
	}
	for range password.MaxWrong {
		status, code := change(w, bob, "guess", "Passw0rd-3")
		expect(t, "wrong", status, code, "AccessDenied")
	}
	status, code := change(w, bob, "Passw0rd-2", "Passw0rd-3")
	expect(t, "guessed too often", status, code, "EntityTemporarilyUnmodifiable")
}

// A password that is another by the time of the decision was not the one that was told.
func TestPasswordsThatChangeMeanwhile(t *testing.T) {
	w, alice := newPasswords(t)
	w.must(&identity.SetPasswordPolicy{Account: account, Requirements: identity.PasswordRequirements{MinLength: 6, AllowChange: true}})
	u, _ := w.node.projection.View().State.User(account, "alice")
	meanwhile := 0
	w.log.before = func(c event.Command) {
		if _, ok := c.Content.(*identity.ChangePassword); ok && meanwhile == 0 {
			meanwhile++
			w.log.before = nil
			w.accepted("an administrator's", w.iam(w.root, "UpdateLoginProfile", "UserName", "alice", "Password", "Passw0rd-2"))
		}
	}
	status, code := change(w, alice, "Passw0rd-1", "Passw0rd-3")
	expect(t, "the one before", status, code, "AccessDenied")
	status, code = change(w, alice, "Passw0rd-2", "Passw0rd-3")
	expect(t, "the administrator's", status, code, "")
	if p, _ := w.node.projection.View().State.LoginProfile(u.ID); len(p.Passwords) != 1 || meanwhile != 1 {
		t.Errorf("%d passwords are kept, after %d changes", len(p.Passwords), meanwhile)
	}
}

// Neither the log nor what a node writes of itself has a password in it.
func TestPasswordsStayOutOfTheLog(t *testing.T) {
	w, _ := newPasswords(t)
	w.refused("too simple", w.iam(w.root, "UpdateLoginProfile", "UserName", "alice", "Password", "swordfish"), http.StatusBadRequest, "PasswordPolicyViolation", "")
	w.refused("too long", w.iam(w.root, "UpdateLoginProfile", "UserName", "alice", "Password", strings.Repeat("swordfish", 20)), http.StatusBadRequest, "ValidationError",
		"1 validation error detected: Value at 'password' failed to satisfy constraint: Member must have length less than or equal to 128")
	for _, b := range w.log.batches {
		for _, e := range b.Events {
			if e, ok := e.(*identity.LoginProfileCreated); ok && strings.Contains(string(e.Sealed), "argon2") {
				t.Errorf("the hash is not sealed: %q", e.Sealed)
			}
		}
	}
	if text := w.logs.String(); strings.Contains(text, "Passw0rd") || strings.Contains(text, "swordfish") {
		t.Errorf("the node wrote %s", text)
	}
}
