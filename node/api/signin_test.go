package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/mfa"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/signin"
	"github.com/writ-iam/writ/node/usage"
)

const home = "192.0.2.1:1234"

// signsIn sends a request to sign in.
func (n *node) signsIn(from, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://writ.test/signin", strings.NewReader(body))
	r.RemoteAddr = from
	r.Header.Set("Content-Type", "application/json")
	return n.serve(r)
}

// asAlice is a request by which alice signs in with a password, and what else it says.
func asAlice(password string, more ...string) string {
	return `{"account":"123456789012","user":"alice","password":"` + password + `"` + strings.Join(append([]string{""}, more...), ",") + `}`
}

// session is the session of an answer.
func (w *world) session(name string, rec *httptest.ResponseRecorder) (temporary, shape.SignedIn) {
	w.t.Helper()
	var said shape.SignedIn
	if err := json.Unmarshal(w.accepted(name, rec).Body.Bytes(), &said); err != nil {
		w.t.Fatal(err)
	}
	return temporary{credential{said.AccessKeyID, said.SecretAccessKey}, said.SessionToken}, said
}

// device enables a device for a user, or for the root where the user is empty, and returns how
// to have its codes: so many steps from now.
func (w *world) device(user, name string) (serial string, code func(steps int) string) {
	w.t.Helper()
	seed := strings.Repeat("JBSWY3DPEHPK3PXP", 4)
	id := w.log.state.Partition().SerialNumber(account, name)
	sealed, err := w.key.Seal(seal.MFASeed, seal.SeedContext(string(account), string(id)), []byte(seed))
	if err != nil {
		w.t.Fatal(err)
	}
	made := w.must(&identity.CreateMFADevice{Account: account, Name: name, Sealed: sealed})
	w.must(&identity.EnableMFADevice{Account: account, User: user, ID: id, Codes: identity.Codes{Made: made, Step: 2}})
	return string(id), func(steps int) string {
		c, err := mfa.Code(seed, w.node.now().Add(time.Duration(steps)*mfa.Step))
		if err != nil {
			w.t.Fatal(err)
		}
		return c
	}
}

func TestUsersSignIn(t *testing.T) {
	w, _ := newPasswords(t)
	w.must(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}, Name: "own", Document: allow("iam:*")},
		&identity.SetAccountAlias{Account: account, Alias: "ops"})
	before := w.log.position()
	c, said := w.session("alice", w.signsIn(home, asAlice("Passw0rd-1")))
	if w.log.position() != before+1 {
		t.Errorf("%d entries, where only the first session's key is one", w.log.position()-before)
	}
	if said.ARN != userARN("alice") || said.Account != account || said.UserID != "AIDAUSERALICE" || said.MFA || said.PasswordExpires != nil || !said.Expiration.Equal(noon.Add(signin.DefaultLife)) {
		t.Errorf("%+v", said)
	}
	w.accepted("IAM, without a code", w.as(c, "ListUsers"))
	w.accepted("a write", w.as(c, "CreateUser", "UserName", "bob"))
	r, body := form(stsVersion, "GetCallerIdentity", "@X-Amz-Security-Token", c.token)
	if rec := w.serve(w.sign(r, c.credential, "sts", body)); !strings.Contains(rec.Body.String(), userARN("alice")) {
		t.Errorf("the caller is %s", rec.Body)
	}
	r, body = form(stsVersion, "GetSessionToken", "@X-Amz-Security-Token", c.token)
	w.refused("another session", w.serve(w.sign(r, c.credential, "sts", body)), http.StatusForbidden, "AccessDenied", "Cannot call GetSessionToken with session credentials")
	w.session("by the alias, in other letters", w.signsIn(home, `{"account":"ops","user":"ALICE","password":"Passw0rd-1"}`))
	if _, said := w.session("for longer", w.signsIn(home, asAlice("Passw0rd-1", `"duration_seconds":43200`))); !said.Expiration.Equal(noon.Add(signin.MaxLife)) {
		t.Errorf("it lasts until %v", said.Expiration)
	}
	w.accepted("revoked", w.revoke(`{"principal":"`+userARN("alice")+`"}`))
	w.refused("after that", w.as(c, "ListUsers"), http.StatusForbidden, "InvalidClientTokenId", "")
	w.session("anew", w.signsIn(home, asAlice("Passw0rd-1")))
}

func TestRootsSignIn(t *testing.T) {
	w := newWorld(t)
	w.must(&identity.SetRootEmail{Account: account, Email: "root@example.com"})
	w.accepted("a password", w.native(w.root, http.MethodPost, "/v1/accounts/123456789012/root/password", `{"password":"Passw0rd-1"}`))
	c, said := w.session("the root", w.signsIn(home, `{"email":"ROOT@example.com","password":"Passw0rd-1"}`))
	if said.ARN != "arn:aws:iam::123456789012:root" || said.UserID != "123456789012" {
		t.Errorf("%+v", said)
	}
	w.accepted("what it may", w.as(c, "CreateUser", "UserName", "bob"))
	serial, code := w.device("", "root")
	w.problem("without a code", w.signsIn(home, `{"email":"root@example.com","password":"Passw0rd-1"}`), http.StatusForbidden, "SignInFailed")
	if _, said := w.session("with one", w.signsIn(home, `{"email":"root@example.com","password":"Passw0rd-1","mfa_serial":"`+serial+`","mfa_code":"`+code(0)+`"}`)); !said.MFA {
		t.Errorf("%+v", said)
	}
}

// What the request alone shows to be wrong is told before anybody is looked up.
func TestSignInsOfAWrongForm(t *testing.T) {
	w, _ := newPasswords(t)
	made := w.metric("writ_password_hashes_total")
	for name, body := range map[string]string{
		"nothing": ``, "no object": `[]`, "no password": `{"account":"ops","user":"alice"}`, "nobody": `{"password":"x"}`, "no account": `{"user":"alice","password":"x"}`,
		"both": `{"account":"ops","user":"alice","email":"root@example.com","password":"x"}`, "no address": `{"email":"root","password":"x"}`,
		"unknown member": asAlice("x", `"remember":true`), "two": asAlice("x") + asAlice("x"), "no code": asAlice("x", `"mfa_code":"12345"`),
		"too short": asAlice("x", `"duration_seconds":899`), "too long": asAlice("x", `"duration_seconds":43201`), "negative": asAlice("x", `"duration_seconds":-3600`),
		"a root's for too long": `{"email":"root@example.com","password":"x","duration_seconds":3601}`,
		"a root's new password": `{"email":"root@example.com","password":"x","new_password":"y"}`,
		"long user":             `{"account":"ops","user":"` + strings.Repeat("a", 65) + `","password":"x"}`,
		"long password":         asAlice(strings.Repeat("x", 129)), "no character of a password": asAlice("x", `"new_password":"\u0100"`),
	} {
		detail := w.problem(name, w.signsIn(home, body), http.StatusBadRequest, "InvalidRequest")
		if strings.Contains(detail, "alice") {
			t.Errorf("%s: %s", name, detail)
		}
	}
	w.problem("large", w.signsIn(home, asAlice(strings.Repeat("x", signin.MaxBody))), http.StatusRequestEntityTooLarge, "RequestEntityTooLarge")
	r := httptest.NewRequest(http.MethodPost, "http://writ.test/signin", strings.NewReader(asAlice("Passw0rd-1")))
	r.Header.Set("Content-Type", "text/plain") // as a page of somebody else's can have a browser send it
	w.problem("by a page", w.serve(r), http.StatusBadRequest, "InvalidRequest")
	if more := w.metric("writ_password_hashes_total") - made; more != 0 {
		t.Errorf("%v hashes", more)
	}
}

// Whatever is wrong, the answer and the work are the same.
func TestFailedSignInsAreAlike(t *testing.T) {
	w, _ := newPasswords(t)
	w.user("bob", "")
	w.user("carol", "")
	w.accepted("carol's password", w.iam(w.root, "CreateLoginProfile", "UserName", "carol", "Password", "Passw0rd-1"))
	_, code := w.device("carol", "phone")
	w.must(&identity.CreateAccount{ID: other, Email: "other@example.com", Alias: "closed"},
		&identity.CreateUser{Account: other, ID: "AIDAUSERDAVE", Name: "dave", Path: "/"}, &identity.CloseAccount{Account: other},
		&identity.SetRootEmail{Account: account, Email: "root@example.com"})
	request := regexp.MustCompile(`"[0-9a-f-]{36}"`)
	var want string
	for i, c := range []struct{ name, body string }{
		{"wrong password", asAlice("Passw0rd-2")},
		{"unknown account", `{"account":"999999999999","user":"alice","password":"Passw0rd-1"}`},
		{"unknown alias", `{"account":"nobody","user":"alice","password":"Passw0rd-1"}`},
		{"unknown user", `{"account":"123456789012","user":"nobody","password":"Passw0rd-1"}`},
		{"no login profile", `{"account":"123456789012","user":"bob","password":"Passw0rd-1"}`},
		{"closed account", `{"account":"closed","user":"dave","password":"Passw0rd-1"}`},
		{"closed account's root", `{"email":"other@example.com","password":"Passw0rd-1"}`},
		{"unknown root", `{"email":"nobody@example.com","password":"Passw0rd-1"}`},
		{"root without password", `{"email":"root@example.com","password":"Passw0rd-1"}`},
		{"no code", `{"account":"123456789012","user":"carol","password":"Passw0rd-1"}`},
		{"wrong code", `{"account":"123456789012","user":"carol","password":"Passw0rd-1","mfa_code":"` + code(40) + `"}`},
		{"another device", `{"account":"123456789012","user":"carol","password":"Passw0rd-1","mfa_code":"` + code(0) + `","mfa_serial":"arn:aws:iam::123456789012:mfa/other"}`},
		{"right code, wrong password", `{"account":"123456789012","user":"carol","password":"Passw0rd-2","mfa_code":"` + code(0) + `"}`},
	} {
		made, at := w.metric("writ_password_hashes_total"), w.log.position()
		rec := w.signsIn(address(i), c.body)
		w.problem(c.name, rec, http.StatusForbidden, "SignInFailed")
		if more := w.metric("writ_password_hashes_total") - made; more != 1 {
			t.Errorf("%s: %v hashes", c.name, more)
		}
		if w.log.position() != at {
			t.Errorf("%s: something is written", c.name)
		}
		rec.Header().Del("X-Amzn-Requestid")
		header, _ := json.Marshal(rec.Header())
		said := string(header) + request.ReplaceAllString(rec.Body.String(), "")
		if i == 0 {
			want = said
		}
		if said != want {
			t.Errorf("%s: %s\nnot %s", c.name, said, want)
		}
	}
	w.session("the code is still good", w.signsIn(home, `{"account":"123456789012","user":"carol","password":"Passw0rd-1","mfa_code":"`+code(0)+`"}`))
	if text := w.logs.String(); strings.Contains(text, "Passw0rd") || strings.Contains(text, "carol") {
		t.Error("the node's log tells who signs in")
	}
}

// A code is good once in the cluster, also side by side, and of the device that is meant.
func TestSignInsByCode(t *testing.T) {
	w, _ := newPasswords(t)
	_, code := w.device("alice", "phone")
	shown := func(steps int, more ...string) string {
		return asAlice("Passw0rd-1", append(more, `"mfa_code":"`+code(steps)+`"`)...)
	}
	w.must(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}, Name: "own",
		Document: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*","Resource":"*","Condition":{"NumericLessThan":{"aws:MultiFactorAuthAge":"60"}}}}`})
	c, said := w.session("a code", w.signsIn(home, shown(-1)))
	if !said.MFA {
		t.Errorf("%+v", said)
	}
	w.accepted("by its age", w.as(c, "ListUsers"))
	last := w.log.batches[len(w.log.batches)-1]
	if by := last.Cause.By; by.Principal != "AIDAUSERALICE" || by.Credential != c.id || last.Cause.Action != "SignIn" || last.Cause.Source != "192.0.2.1" {
		t.Errorf("the code was used by %+v, %s from %s", by, last.Cause.Action, last.Cause.Source)
	}
	w.problem("again", w.signsIn(home, shown(-1)), http.StatusForbidden, "SignInFailed")
	meanwhile := false
	w.log.before = func(c event.Command) {
		if use, ok := c.Content.(*identity.UseMFACode); ok && !meanwhile {
			meanwhile = true
			w.log.before = nil
			w.must(use)
		}
	}
	w.problem("used meanwhile", w.signsIn(home, shown(0)), http.StatusForbidden, "SignInFailed")
	if !meanwhile {
		t.Error("no code was used")
	}
	changed := false
	w.log.before = func(c event.Command) {
		if _, ok := c.Content.(*identity.UseMFACode); ok && !changed {
			changed = true
			w.must(&identity.TagEntity{Kind: identity.KindUser, Account: account, Name: "alice", Tags: []identity.Tag{{Key: "a", Value: "b"}}})
		}
	}
	w.session("tagged meanwhile", w.signsIn(home, shown(1)))
	serial, _ := w.device("alice", "tablet")
	w.node.now = func() time.Time { return noon.Add(time.Hour) }
	w.problem("which of two", w.signsIn(home, shown(0)), http.StatusForbidden, "SignInFailed")
	w.session("one of two", w.signsIn(home, shown(0, `"mfa_serial":"`+serial+`"`)))
}

// That a password has to be changed is told to those alone who know it. They change it as they
// sign in, by the leave that ChangePassword takes. Whatever they are told, their code is used up.
func TestPasswordsThatMustBeChanged(t *testing.T) {
	w, _ := newPasswords(t)
	set := func(r identity.PasswordRequirements) {
		w.must(&identity.SetPasswordPolicy{Account: account, Requirements: r})
	}
	must := func(name, code string, status int, body string) {
		t.Helper()
		w.problem(name, w.signsIn(home, body), status, code)
	}
	clock := noon
	w.node.now = func() time.Time { return clock }
	_, code := w.device("alice", "phone")
	shown := func(password string, more ...string) string { // by the next code
		clock = clock.Add(mfa.Step)
		return asAlice(password, append(more, `"mfa_code":"`+code(0)+`"`)...)
	}
	once := func(name, code string, status int, body string) {
		t.Helper()
		must(name, code, status, body)
		must(name+", again", "SignInFailed", http.StatusForbidden, body)
	}
	change := `"new_password":"Passw0rd-2"`
	w.accepted("reset", w.iam(w.root, "UpdateLoginProfile", "UserName", "alice", "PasswordResetRequired", "true"))
	must("wrong", "SignInFailed", http.StatusForbidden, shown("Passw0rd-3"))
	for range 2 * signin.MaxWrong { // it is no failure
		must("reset", "PasswordChangeRequired", http.StatusForbidden, shown("Passw0rd-1"))
	}
	once("reset", "PasswordChangeRequired", http.StatusForbidden, shown("Passw0rd-1"))
	once("without leave", "AccessDenied", http.StatusForbidden, shown("Passw0rd-1", change))
	set(identity.PasswordRequirements{MinLength: 8, AllowChange: true, MaxAge: 10, Reuse: 3})
	once("too short", "PasswordPolicyViolation", http.StatusBadRequest, shown("Passw0rd-1", `"new_password":"short"`))
	must("the same", "PasswordPolicyViolation", http.StatusBadRequest, shown("Passw0rd-1", `"new_password":"Passw0rd-1"`))
	if _, said := w.session("changed", w.signsIn(home, shown("Passw0rd-1", change))); said.UserID != "AIDAUSERALICE" {
		t.Errorf("%+v", said)
	}
	changed := clock
	must("the old one", "SignInFailed", http.StatusForbidden, shown("Passw0rd-1"))
	_, said := w.session("the new one", w.signsIn(home, shown("Passw0rd-2")))
	if said.PasswordExpires == nil || said.PasswordExpires.Sub(changed) != 10*24*time.Hour {
		t.Errorf("it expires %v", said.PasswordExpires)
	}
	clock = changed.Add(10 * 24 * time.Hour)
	must("expired, wrong", "SignInFailed", http.StatusForbidden, shown("Passw0rd-3"))
	once("expired", "PasswordChangeRequired", http.StatusForbidden, shown("Passw0rd-2"))
	set(identity.PasswordRequirements{MinLength: 8, AllowChange: true, MaxAge: 10, HardExpiry: true})
	once("expired for good", "PasswordExpired", http.StatusForbidden, shown("Passw0rd-2", `"new_password":"Passw0rd-4"`))
	set(identity.PasswordRequirements{MinLength: 8, AllowChange: true, MaxAge: 10})
	w.must(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}, Name: "no",
		Document: strings.Replace(allow("iam:ChangePassword"), "Allow", "Deny", 1)})
	must("against a Deny", "AccessDenied", http.StatusForbidden, shown("Passw0rd-2", `"new_password":"Passw0rd-4"`))
}

// Whoever else is in a network learns from no answer and no metric who signs in from there:
// neither when the network's tries are used up, nor when strangers have no place.
func TestWhoIsKnownInANetwork(t *testing.T) {
	w, _ := newPasswords(t)
	w.session("alice", w.signsIn(home, asAlice("Passw0rd-1")))
	request := regexp.MustCompile(`"[0-9a-f-]{36}"`)
	told := func(user string) string {
		t.Helper()
		before := w.metric(`writ_refused_total{caller="stranger",limit="sign_ins"}`)
		rec := w.signsIn(home, `{"account":"123456789012","user":"`+user+`","password":"guess"}`)
		rec.Header().Del("X-Amzn-Requestid")
		header, _ := json.Marshal(rec.Header())
		return fmt.Sprint(rec.Code, string(header), request.ReplaceAllString(rec.Body.String(), ""), w.metric(`writ_refused_total{caller="stranger",limit="sign_ins"}`)-before)
	}
	for i := range signin.MaxWrongOfNetwork {
		w.problem("a guess", w.signsIn(home, `{"account":"123456789012","user":"nobody-`+fmt.Sprint(i)+`","password":"guess"}`), http.StatusForbidden, "SignInFailed")
	}
	if known, stranger := told("alice"), told("nobody"); known != stranger || !strings.Contains(known, "TooManySignIns") {
		t.Errorf("alice: %s\nnobody: %s", known, stranger)
	}
	w.session("alice herself", w.signsIn(home, asAlice("Passw0rd-1")))
}

// A flood of sign-ins that have no tries left takes nothing that others need.
func TestSignInsWithoutTriesTakeNoPlaces(t *testing.T) {
	fences := 0
	w, _ := newPasswords(t)
	counts := w.addNode(true, func(c *config) {
		strict := c.Node.StrictHead
		c.Node.StrictHead = func(ctx context.Context) (event.Head, error) {
			fences++
			return strict(ctx)
		}
	})
	w.log.show(counts.projection)
	for range signin.MaxWrong {
		w.problem("a guess", counts.signsIn(home, asAlice("guess")), http.StatusForbidden, "SignInFailed")
	}
	before := fences
	w.problem("one more", counts.signsIn(home, asAlice("guess")), http.StatusTooManyRequests, "TooManySignIns")
	if fences != before || before == 0 {
		t.Errorf("%d heads of the log were read, %d before", fences-before, before)
	}
}

// Failures elsewhere keep nobody out of where they signed in before.
func TestFailedSignInsAreLimited(t *testing.T) {
	w, _ := newPasswords(t)
	w.session("at home", w.signsIn(home, asAlice("Passw0rd-1")))
	for range signin.MaxWrong {
		w.problem("a guess", w.signsIn(address(1), asAlice("guess")), http.StatusForbidden, "SignInFailed")
	}
	made := w.metric("writ_password_hashes_total")
	w.problem("one more", w.signsIn(address(1), asAlice("Passw0rd-1")), http.StatusTooManyRequests, "TooManySignIns")
	w.problem("by another name of hers", w.signsIn(address(1), strings.Replace(asAlice("Passw0rd-1"), "alice", "ALICE", 1)), http.StatusTooManyRequests, "TooManySignIns")
	if more := w.metric("writ_password_hashes_total") - made; more != 0 {
		t.Errorf("%v hashes for nothing", more)
	}
	w.session("at home", w.signsIn(home, asAlice("Passw0rd-1")))
	w.session("elsewhere", w.signsIn(address(2), asAlice("Passw0rd-1")))
	w.node.now = func() time.Time { return noon.Add(time.Minute) }
	w.session("later", w.signsIn(address(1), asAlice("Passw0rd-1")))
}

// A node that does not lead hands sign-ins on, and a leader signs in by a view that is current.
func TestSignInsAtTheLeader(t *testing.T) {
	w, _ := newPasswords(t)
	var handed admission.Forwarded
	n := w.addNode(false, func(c *config) {
		c.Seal, c.Node.Name = nil, "replica-1"
		c.Node.Forward = func(rw http.ResponseWriter, _ *http.Request, f admission.Forwarded) error {
			handed = f
			rw.WriteHeader(http.StatusNoContent)
			return nil
		}
	})
	w.log.show(n.projection)
	r := httptest.NewRequest(http.MethodPost, "http://writ.test/signin", strings.NewReader(asAlice("Passw0rd-1")))
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	if n.server.ServeHTTP(rec, r); rec.Code != http.StatusNoContent || string(handed.Body) != asAlice("Passw0rd-1") || handed.Source != "192.0.2.1" {
		t.Errorf("%d, handed on is %+v", rec.Code, handed)
	}
	cut := w.addNode(true, func(c *config) {
		c.Node.StrictHead = func(context.Context) (event.Head, error) { return event.Head{}, errors.New("cut off") }
	})
	w.log.show(cut.projection)
	for range 2 * signin.MaxWrong { // which takes no tries
		w.problem("not current", cut.signsIn(home, asAlice("Passw0rd-1")), http.StatusServiceUnavailable, "Unavailable")
	}
	lost := w.addNode(true, func(c *config) {
		c.Node.Propose = func(context.Context, event.Command) (*event.Batch, error) { return nil, dispatch.ErrNotLeader }
	})
	w.log.show(lost.projection)
	w.problem("deposed before the first session", lost.signsIn(home, asAlice("Passw0rd-1")), http.StatusServiceUnavailable, "Unavailable")
	w.session("the first", w.signsIn(home, asAlice("Passw0rd-1")))
	_, code := w.device("alice", "phone")
	w.log.show(lost.projection)
	for range 2 * signin.MaxWrong {
		w.problem("deposed", lost.signsIn(home, asAlice("Passw0rd-1", `"mfa_code":"`+code(0)+`"`)), http.StatusServiceUnavailable, "Unavailable")
	}
}

// Sign-ins show where AWS shows them, noted as other uses are, also when the password is gone.
func TestPasswordLastUsed(t *testing.T) {
	var uses usage.Book
	w := newWorld(t, func(c *config) { c.Uses = &uses })
	w.user("alice", "")
	w.user("bob", "")
	for _, name := range []string{"alice", "bob"} {
		w.accepted("a password", w.iam(w.root, "CreateLoginProfile", "UserName", name, "Password", "Passw0rd-1"))
	}
	shown := func() (get, list string) {
		return between(w.iam(w.root, "GetUser", "UserName", "alice").Body.String(), "PasswordLastUsed"), between(w.iam(w.root, "ListUsers").Body.String(), "PasswordLastUsed")
	}
	if get, list := shown(); get != "" || list != "" {
		t.Errorf("never: %q, %q", get, list)
	}
	w.session("alice", w.signsIn(home, asAlice("Passw0rd-1")))
	before := w.log.position()
	if _, err := w.log.decide(event.Command{Cause: event.Cause{Meta: identity.Meta{Time: identity.Time(noon.UnixMilli())}}, Content: &identity.NoteUses{Uses: uses.Take(10, w.log.state)}}); err != nil {
		t.Fatal(err)
	}
	if w.log.position() != before+1 {
		t.Error("more is written")
	}
	if text := reported(t, w); !strings.Contains(text, "user/alice,1970-01-01T00:00:00+00:00,true,2026-07-01T12:00:00+00:00,") || !strings.Contains(text, "user/bob,1970-01-01T00:00:00+00:00,true,no_information,") {
		t.Errorf("the report is %s", text)
	}
	w.accepted("deleted", w.iam(w.root, "DeleteLoginProfile", "UserName", "alice"))
	if get, list := shown(); get != "2026-07-01T12:00:00Z" || list != get {
		t.Errorf("at noon: %q, %q", get, list)
	}
	if get := between(w.iam(w.root, "GetUser", "UserName", "bob").Body.String(), "PasswordLastUsed"); get != "" {
		t.Errorf("bob: %q", get)
	}
}

// reported is the credential report of the account.
func reported(t *testing.T, w *world) string {
	t.Helper()
	report, err := iam.PackCredentialReport(w.log.state, account)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(report))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
