package api_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/mfa/enrol"
	"github.com/writ-iam/writ/node/mfa/passkey"
	"github.com/writ-iam/writ/node/signin"
	"github.com/writ-iam/writ/test/authenticator"
)

const (
	passkeyDomain = "example.com"
	passkeyOrigin = "https://console.example.com"
)

func withPasskeys(c *config) {
	c.Passkeys = passkey.Settings{ID: passkeyDomain, Origins: []string{passkeyOrigin}}
}

// newKeyed is a world with passkeys, in which alice has a password and may do all in IAM.
func newKeyed(t *testing.T) (*world, credential) {
	w, alice := newPasswords(t, withPasskeys)
	w.must(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}, Name: "own", Document: allow("iam:*")})
	return w, alice
}

func newDevice() *authenticator.Device { return authenticator.New(passkeyDomain, passkeyOrigin) }

// creation is what a caller is told to make a passkey by.
func (w *world) creation(c credential, user string) shape.PasskeyCreationOptions {
	w.t.Helper()
	var said shape.PasskeyCreation
	rec := w.accepted("a challenge", w.native(c, http.MethodPost, "/v1/passkeys/challenge", `{"user":"`+user+`"}`))
	if err := json.Unmarshal(rec.Body.Bytes(), &said); err != nil {
		w.t.Fatal(err)
	}
	return said.PublicKey
}

// registers sends a passkey.
func (w *world) registers(c credential, user, credential string, headers ...string) *httptest.ResponseRecorder {
	return w.native(c, http.MethodPost, "/v1/passkeys", `{"user":"`+user+`","name":"key","credential":`+credential+`}`, headers...)
}

// registered gives a user a passkey, and returns its serial number.
func (w *world) registered(c credential, user string, d *authenticator.Device) string {
	w.t.Helper()
	var said shape.PasskeyRegistration
	rec := w.accepted("a passkey", w.registers(c, user, d.Create(w.creation(c, user).Challenge)))
	if err := json.Unmarshal(rec.Body.Bytes(), &said); err != nil {
		w.t.Fatal(err)
	}
	return string(said.SerialNumber)
}

// asksToSignIn asks for a challenge.
func (n *node) asksToSignIn(from, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://writ.test/signin/challenge", strings.NewReader(body))
	r.RemoteAddr = from
	r.Header.Set("Content-Type", "application/json")
	return n.serve(r)
}

// challenged is what whoever signs in is told to use a passkey by.
func (w *world) challenged(body string) shape.PasskeyRequestOptions {
	w.t.Helper()
	var said shape.SignInChallenge
	if err := json.Unmarshal(w.accepted("a challenge", w.asksToSignIn(home, body)).Body.Bytes(), &said); err != nil {
		w.t.Fatal(err)
	}
	return said.PublicKey
}

const challengeAlice = `{"account":"123456789012","user":"alice"}`

// withPasskey is a request by which alice signs in with a passkey that answers a new challenge.
func (w *world) withPasskey(d *authenticator.Device) string {
	w.t.Helper()
	return asAlice("Passw0rd-1", `"passkey":`+d.Get(w.challenged(challengeAlice).Challenge))
}

func TestRegisterPasskeys(t *testing.T) {
	w, alice := newKeyed(t)
	options := w.creation(alice, "")
	if options.RP.ID != passkeyDomain || options.User.Name != "alice" || options.Attestation != "none" || options.Selection.UserVerification != "preferred" || options.Timeout != 300_000 ||
		len(options.Exclude) != 0 || len(options.Algorithms) != 3 || options.Algorithms[0].Algorithm != -7 || options.Algorithms[1].Algorithm != -8 || options.Algorithms[2].Algorithm != -257 {
		t.Errorf("%+v", options)
	}
	d := newDevice()
	serial := w.registered(alice, "", d)
	if !regexp.MustCompile(`^arn:aws:iam::123456789012:u2f/user/alice/key-[A-Z2-7]{26}$`).MatchString(serial) {
		t.Errorf("its serial number is %s", serial)
	}
	if again := w.creation(w.root, "ALICE"); len(again.Exclude) != 1 || again.User.ID != options.User.ID || !slices.Equal(again.Exclude[0].Transports, []string{"nfc", "usb"}) {
		t.Errorf("then %+v", again)
	}
	_, code := w.device("alice", "phone")
	_ = code
	list := w.accepted("list", w.iam(alice, "ListMFADevices")).Body.String()
	if strings.Count(list, "<SerialNumber>") != 2 || !strings.Contains(list, serial) {
		t.Errorf("the devices are %s", list)
	}
	if got := w.accepted("get", w.iam(alice, "GetMFADevice", "SerialNumber", serial)).Body.String(); !strings.Contains(got, "<Certifications></Certifications>") && !strings.Contains(got, "<Certifications/>") {
		t.Errorf("the device is %s", got)
	}
	root := w.registered(w.root, "", newDevice())
	if !strings.HasPrefix(root, "arn:aws:iam::123456789012:u2f/root/key-") {
		t.Errorf("the root's is %s", root)
	}
	summary := w.accepted("summary", w.iam(w.root, "GetAccountSummary")).Body.String()
	for _, want := range []string{"<key>AccountMFAEnabled</key><value>1</value>", "<key>MFADevices</key><value>3</value>", "<key>MFADevicesInUse</key><value>3</value>"} {
		if !strings.Contains(strings.Join(strings.Fields(summary), ""), want) {
			t.Errorf("the summary lacks %s: %s", want, summary)
		}
	}
	w.accepted("without the virtual one", w.iam(w.root, "DeactivateMFADevice", "UserName", "alice", "SerialNumber", "arn:aws:iam::123456789012:mfa/phone"))
	if text := reported(t, w); !strings.Contains(text, ":user/alice,") || !strings.Contains(lineOf(text, "user/alice"), ",true,") {
		t.Errorf("the report is %s", text)
	}
	w.refused("the user", w.iam(w.root, "DeleteUser", "UserName", "alice"), http.StatusConflict, "DeleteConflict", "")
	w.accepted("removed", w.iam(alice, "DeactivateMFADevice", "SerialNumber", serial))
	if list := w.iam(alice, "ListMFADevices").Body.String(); strings.Contains(list, "u2f") {
		t.Errorf("then the devices are %s", list)
	}
	w.registered(alice, "", d) // the same again, by another challenge
}

// lineOf is the line of a text that has a part.
func lineOf(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}

func TestPasskeysThatAreNotRegistered(t *testing.T) {
	w, alice := newKeyed(t)
	bob := w.user("bob", allow("iam:EnableMFADevice"))
	w.user("carol", "")
	d := newDevice()
	rejected := func(name string, rec *httptest.ResponseRecorder) {
		t.Helper()
		w.problem(name, rec, http.StatusBadRequest, "PasskeyRejected")
	}
	used := d.Create(w.creation(alice, "").Challenge)
	first := w.accepted("once", w.registers(alice, "", used, "Amz-Sdk-Invocation-Id", "one"))
	if again := w.accepted("the same call", w.registers(alice, "", used, "Amz-Sdk-Invocation-Id", "one")); again.Body.String() != first.Body.String() {
		t.Errorf("%s, not %s", again.Body, first.Body)
	}
	w.problem("again", w.registers(alice, "", used), http.StatusForbidden, "InvalidAuthenticationCode")
	var said shape.PasskeyRegistration
	if err := json.Unmarshal(first.Body.Bytes(), &said); err != nil {
		t.Fatal(err)
	}
	w.accepted("removed", w.iam(alice, "DeactivateMFADevice", "SerialNumber", string(said.SerialNumber)))
	w.problem("again, when it is gone", w.registers(alice, "", used), http.StatusForbidden, "InvalidAuthenticationCode")
	w.problem("another answer to the challenge", w.registers(alice, "", newDevice().Create(challengeOf(t, used))), http.StatusForbidden, "InvalidAuthenticationCode")
	w.registered(alice, "", d)
	w.problem("the user's own credential", w.registers(alice, "", d.Create(w.creation(alice, "").Challenge)), http.StatusConflict, "EntityAlreadyExists")
	rejected("another user's challenge", w.registers(bob, "carol", newDevice().Create(w.creation(bob, "").Challenge)))
	rejected("another caller's challenge", w.registers(bob, "carol", newDevice().Create(w.creation(w.root, "carol").Challenge)))
	rejected("a challenge to sign in", w.registers(bob, "", newDevice().Create(w.challenged(`{"account":"123456789012","user":"bob"}`).Challenge)))
	late := newDevice().Create(w.creation(bob, "").Challenge)
	w.node.now = func() time.Time { return noon.Add(passkey.Life) }
	rejected("an expired challenge", w.registers(bob, "", late))
	w.node.now = func() time.Time { return noon }
	evil := newDevice()
	evil.Origin = "https://evil.example.com"
	rejected("another origin", w.registers(bob, "", evil.Create(w.creation(bob, "").Challenge)))
	rejected("of another algorithm", w.registers(bob, "", authenticator.Of(authenticator.ES384, passkeyDomain, passkeyOrigin).Create(w.creation(bob, "").Challenge)))
	w.problem("without permission", w.registers(w.user("dave", ""), "", `{}`), http.StatusForbidden, "AccessDenied")
	w.problem("no challenge without permission", w.native(w.user("erin", ""), http.MethodPost, "/v1/passkeys/challenge", `{}`), http.StatusForbidden, "AccessDenied")
	w.problem("nobody", w.native(w.root, http.MethodPost, "/v1/passkeys/challenge", `{"user":"nobody"}`), http.StatusNotFound, "NoSuchEntity")
	for name, body := range map[string]string{
		"no body": ``, "no name": `{"credential":{}}`, "a bad name": `{"name":"a/b","credential":{}}`, "a long name": `{"name":"` + strings.Repeat("k", 65) + `","credential":{}}`,
		"more": `{"name":"key","credential":{},"x":1}`, "two": `{"name":"key","credential":{}}{}`, "a long user": `{"name":"key","user":"` + strings.Repeat("u", 65) + `"}`,
	} {
		w.problem(name, w.native(w.root, http.MethodPost, "/v1/passkeys", body), http.StatusBadRequest, "InvalidRequest")
	}
	rejected("no credential", w.native(w.root, http.MethodPost, "/v1/passkeys", `{"name":"key"}`))
	w.problem("a large one", w.native(w.root, http.MethodPost, "/v1/passkeys", `{"name":"`+strings.Repeat("k", enrol.MaxBody)+`"}`), http.StatusRequestEntityTooLarge, "RequestEntityTooLarge")
	for range identity.MaxMFADevices {
		w.registered(bob, "carol", newDevice())
	}
	w.problem("one too many", w.registers(bob, "carol", newDevice().Create(w.creation(bob, "carol").Challenge)), http.StatusConflict, "LimitExceeded")
}

// challengeOf is the challenge that a response answers.
func challengeOf(t *testing.T, response string) string {
	t.Helper()
	var said struct {
		Response struct {
			ClientDataJSON string `json:"clientDataJSON"`
		} `json:"response"`
	}
	if err := json.Unmarshal([]byte(response), &said); err != nil {
		t.Fatal(err)
	}
	var client struct {
		Challenge string `json:"challenge"`
	}
	if err := json.Unmarshal(fromBase64(t, said.Response.ClientDataJSON), &client); err != nil {
		t.Fatal(err)
	}
	return client.Challenge
}

// Users of another account are not reached, by whatever name.
func TestPasskeysOfAnotherAccount(t *testing.T) {
	w, alice := newKeyed(t)
	w.must(&identity.CreateAccount{ID: other, Email: "other@example.com"}, &identity.CreateUser{Account: other, ID: "AIDAUSERZOE", Name: "zoe", Path: "/"})
	w.problem("a challenge", w.native(alice, http.MethodPost, "/v1/passkeys/challenge", `{"user":"zoe"}`), http.StatusNotFound, "NoSuchEntity")
	w.problem("a passkey", w.registers(alice, "zoe", newDevice().Create(w.creation(alice, "").Challenge)), http.StatusNotFound, "NoSuchEntity")
}

func TestSignInsByPasskey(t *testing.T) {
	w, alice := newKeyed(t)
	d := newDevice()
	serial := w.registered(alice, "", d)
	failed := func(name, body string) {
		t.Helper()
		w.problem(name, w.signsIn(home, body), http.StatusForbidden, "SignInFailed")
	}
	w.problem("without one", w.signsIn(address(1), asAlice("Passw0rd-1")), http.StatusForbidden, "SignInFailed")
	w.problem("a code in its place", w.signsIn(address(1), asAlice("Passw0rd-1", `"mfa_code":"123456"`)), http.StatusForbidden, "SignInFailed")
	options := w.challenged(challengeAlice)
	if options.RPID != passkeyDomain || options.Timeout != 300_000 || options.UserVerification != "preferred" || len(options.Allow) != 1 || !strings.Contains(d.Create(""), options.Allow[0].ID) {
		t.Errorf("%+v", options)
	}
	used := asAlice("Passw0rd-1", `"passkey":`+d.Get(options.Challenge))
	c, said := w.session("a passkey", w.signsIn(home, used))
	if !said.MFA {
		t.Errorf("%+v", said)
	}
	w.must(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}, Name: "own",
		Document: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*","Resource":"*","Condition":{"NumericLessThan":{"aws:MultiFactorAuthAge":"60"}}}}`})
	w.accepted("by its age", w.as(c, "ListUsers"))
	last := w.log.batches[len(w.log.batches)-2]
	if by := last.Cause.By; by.Principal != "AIDAUSERALICE" || by.Credential != c.id || last.Cause.Action != "SignIn" {
		t.Errorf("the passkey was used by %+v, %s", by, last.Cause.Action)
	}
	failed("again", used)
	failed("the challenge again, signed anew", asAlice("Passw0rd-1", `"passkey":`+d.Get(options.Challenge)))
	failed("the wrong password", strings.Replace(w.withPasskey(d), "Passw0rd-1", "Passw0rd-2", 1))
	older := w.challenged(challengeAlice).Challenge
	w.node.now = func() time.Time { return noon.Add(time.Second) }
	w.session("a later challenge", w.signsIn(home, w.withPasskey(d)))
	failed("an earlier one", asAlice("Passw0rd-1", `"passkey":`+d.Get(older)))
	late := w.withPasskey(d)
	w.node.now = func() time.Time { return noon.Add(time.Second + time.Millisecond + passkey.Life) }
	failed("an expired one", late)
	w.session("in time", w.signsIn(home, w.withPasskey(d)))
	w.node.now = func() time.Time { return noon.Add(time.Hour) }
	count := d.Count
	d.Count = 1
	failed("a counter that fell", w.withPasskey(d))
	d.Count = count - 1
	failed("a counter that stands", w.withPasskey(d))
	d.Count = count
	evil := *d
	evil.Origin = "https://evil.example.com"
	failed("another origin", w.withPasskey(&evil))
	evil = *d
	evil.RPID = "evil.com"
	failed("another domain", w.withPasskey(&evil))
	w.node.now = func() time.Time { return noon.Add(2 * time.Hour) } // tries come back
	evil = *d
	evil.Flags = authenticator.Verified
	failed("nobody present", w.withPasskey(&evil))
	stranger := newDevice()
	failed("an unknown passkey", w.withPasskey(stranger))
	stranger.Credential = d.Credential
	failed("another key for it", w.withPasskey(stranger))
	w.session("still good", w.signsIn(home, w.withPasskey(d)))
	w.accepted("removed", w.iam(w.root, "DeactivateMFADevice", "UserName", "alice", "SerialNumber", serial))
	if _, said := w.session("without any", w.signsIn(home, asAlice("Passw0rd-1"))); said.MFA {
		t.Errorf("%+v", said)
	}
}

// What one user's passkey answers lets no other user in, nor the root.
func TestPasskeysOfOthers(t *testing.T) {
	w, alice := newKeyed(t)
	w.user("bob", "")
	w.accepted("bob's password", w.iam(w.root, "CreateLoginProfile", "UserName", "bob", "Password", "Passw0rd-1"))
	w.must(&identity.SetRootEmail{Account: account, Email: "root@example.com"})
	w.accepted("the root's password", w.native(w.root, http.MethodPost, "/v1/accounts/123456789012/root/password", `{"password":"Passw0rd-1"}`))
	hers, his, its := newDevice(), newDevice(), newDevice()
	w.registered(alice, "", hers)
	w.registered(w.root, "bob", his)
	w.registered(w.root, "", its)
	asBob := func(passkey string) string {
		return strings.Replace(asAlice("Passw0rd-1", `"passkey":`+passkey), "alice", "bob", 1)
	}
	asRoot := func(passkey string) string {
		return `{"email":"root@example.com","password":"Passw0rd-1","passkey":` + passkey + `}`
	}
	bobs, roots := `{"account":"123456789012","user":"bob"}`, `{"email":"ROOT@example.com"}`
	for name, body := range map[string]string{
		"her passkey, his challenge": asBob(hers.Get(w.challenged(bobs).Challenge)),
		"his passkey, her challenge": asBob(his.Get(w.challenged(challengeAlice).Challenge)),
		"the root's, his challenge":  asBob(its.Get(w.challenged(bobs).Challenge)),
		"her sign-in as him":         asBob(hers.Get(w.challenged(challengeAlice).Challenge)),
		"his, as the root":           asRoot(his.Get(w.challenged(roots).Challenge)),
		"her challenge, as the root": asRoot(its.Get(w.challenged(challengeAlice).Challenge)),
	} {
		w.problem(name, w.signsIn(address(len(name)), body), http.StatusForbidden, "SignInFailed")
	}
	w.session("him", w.signsIn(home, asBob(his.Get(w.challenged(bobs).Challenge))))
	if _, said := w.session("the root", w.signsIn(home, asRoot(its.Get(w.challenged(roots).Challenge)))); !said.MFA {
		t.Errorf("%+v", said)
	}
}

// A challenge is used up by one command, side by side, too; a count that another sign-in told
// meanwhile counts.
func TestPasskeysUsedMeanwhile(t *testing.T) {
	w, alice := newKeyed(t)
	d := newDevice()
	w.registered(alice, "", d)
	meanwhile := 0
	w.log.before = func(c event.Command) {
		if use, ok := c.Content.(*identity.UsePasskey); ok {
			meanwhile++
			w.log.before = nil
			w.must(use)
		}
	}
	w.problem("used meanwhile", w.signsIn(home, w.withPasskey(d)), http.StatusForbidden, "SignInFailed")
	changed := false
	w.log.before = func(c event.Command) {
		if _, ok := c.Content.(*identity.UsePasskey); ok && !changed {
			changed = true
			w.must(&identity.TagEntity{Kind: identity.KindUser, Account: account, Name: "alice", Tags: []identity.Tag{{Key: "a", Value: "b"}}})
		}
	}
	w.session("tagged meanwhile", w.signsIn(home, w.withPasskey(d)))
	if meanwhile != 1 || !changed {
		t.Error("nothing happened meanwhile")
	}
}

// Whoever is asked about gets the same kind of answer, and who is not there the same each time.
func TestChallengesAreAlike(t *testing.T) {
	w, alice := newKeyed(t)
	w.user("bob", "")
	w.must(&identity.SetAccountAlias{Account: account, Alias: "ops"}, &identity.SetRootEmail{Account: account, Email: "root@example.com"})
	w.registered(alice, "", newDevice())
	at := w.log.position()
	seen := map[string]string{}
	var header string
	for _, body := range []string{
		challengeAlice, `{"account":"123456789012","user":"bob"}`, `{"account":"123456789012","user":"nobody"}`, `{"account":"999999999999","user":"alice"}`,
		`{"account":"nowhere","user":"alice"}`, `{"email":"root@example.com"}`, `{"email":"nobody@example.com"}`,
	} {
		first, again := w.challenged(body), w.challenged(body)
		if len(first.Allow) != 1 || len(again.Allow) != 1 || first.Allow[0].ID != again.Allow[0].ID || !slices.Equal(first.Allow[0].Transports, again.Allow[0].Transports) || len(first.Allow[0].Transports) == 0 {
			t.Errorf("%s: %+v, then %+v", body, first, again)
		}
		if first.Challenge == again.Challenge || len(first.Challenge) != len(again.Challenge) {
			t.Errorf("%s: the challenges are %s and %s", body, first.Challenge, again.Challenge)
		}
		if who := seen[first.Allow[0].ID]; who != "" {
			t.Errorf("%s is told of the passkey of %s", body, who)
		}
		seen[first.Allow[0].ID] = body
		rec := w.asksToSignIn(home, body)
		rec.Header().Del("X-Amzn-Requestid")
		rec.Header().Del("Content-Length")
		if text, _ := json.Marshal(rec.Header()); header == "" {
			header = string(text)
		} else if string(text) != header {
			t.Errorf("%s: %s, not %s", body, text, header)
		}
	}
	for _, same := range [][2]string{
		{challengeAlice, `{"account":"ops","user":"ALICE"}`}, {`{"account":"123456789012","user":"nobody"}`, `{"account":"OPS","user":"Nobody"}`},
		{`{"account":"123456789012","user":"bob"}`, `{"account":"ops","user":"BOB"}`}, {`{"email":"nobody@example.com"}`, `{"email":"Nobody@example.com"}`},
	} {
		if a, b := w.challenged(same[0]), w.challenged(same[1]); a.Allow[0].ID != b.Allow[0].ID {
			t.Errorf("%s and %s are told of different passkeys", same[0], same[1])
		}
	}
	if w.log.position() != at {
		t.Error("something is written")
	}
	for name, body := range map[string]string{"nothing": ``, "nobody": `{}`, "both": `{"account":"1","user":"a","email":"root@example.com"}`, "more": `{"email":"root@example.com","password":"x"}`} {
		w.problem(name, w.asksToSignIn(home, body), http.StatusBadRequest, "InvalidRequest")
	}
	w.problem("large", w.asksToSignIn(home, `{"email":"`+strings.Repeat("x", signin.MaxChallengeBody)+`"}`), http.StatusRequestEntityTooLarge, "RequestEntityTooLarge")
}

// Whatever is wrong, also with the passkey, the answer and the work are the same.
func TestFailedPasskeysAreAlike(t *testing.T) {
	w, alice := newKeyed(t)
	d := newDevice()
	w.registered(alice, "", d)
	request := regexp.MustCompile(`"[0-9a-f-]{36}"`)
	var want string
	right := func() string { return d.Get(w.challenged(challengeAlice).Challenge) }
	for i, body := range []string{
		asAlice("Passw0rd-2", `"passkey":`+right()),
		asAlice("Passw0rd-1", `"passkey":`+newDevice().Get(w.challenged(challengeAlice).Challenge)),
		asAlice("Passw0rd-1", `"passkey":`+d.Get("AAAA")),
		strings.Replace(asAlice("Passw0rd-1", `"passkey":`+right()), "alice", "nobody", 1),
		`{"email":"nobody@example.com","password":"Passw0rd-1","passkey":` + right() + `}`,
	} {
		made, at := w.metric("writ_password_hashes_total"), w.log.position()
		rec := w.signsIn(address(i), body)
		w.problem(body[:40], rec, http.StatusForbidden, "SignInFailed")
		if more := w.metric("writ_password_hashes_total") - made; more != 1 || w.log.position() != at {
			t.Errorf("%s: %v hashes; at %d, then %d", body[:40], more, at, w.log.position())
		}
		said := request.ReplaceAllString(rec.Body.String(), "")
		if want == "" {
			want = said
		} else if said != want {
			t.Errorf("%s: %s, not %s", body[:40], said, want)
		}
	}
	w.problem("both factors", w.signsIn(home, asAlice("Passw0rd-1", `"mfa_code":"123456"`, `"passkey":`+right())), http.StatusBadRequest, "InvalidRequest")
	w.problem("no passkey", w.signsIn(home, asAlice("Passw0rd-1", `"passkey":{}`)), http.StatusBadRequest, "InvalidRequest")
	if text := w.logs.String(); strings.Contains(text, "clientDataJSON") {
		t.Error("the node's log tells passkeys")
	}
}

// Who knows the password has as many tries at a passkey as at a code.
func TestWrongPasskeysAreLimited(t *testing.T) {
	w, alice := newKeyed(t)
	d := newDevice()
	w.registered(alice, "", d)
	w.session("known at home", w.signsIn(home, w.withPasskey(d)))
	forged := newDevice()
	forged.Credential = d.Credential
	for i := range 5 {
		w.problem("forged", w.signsIn(address(i), w.withPasskey(forged)), http.StatusForbidden, "SignInFailed")
	}
	w.problem("elsewhere", w.signsIn(address(7), w.withPasskey(d)), http.StatusForbidden, "SignInFailed")
	d.Count++
	w.session("at home", w.signsIn(home, w.withPasskey(d)))
}

// Where passkeys are not set up, they say so, and whoever has one only is not let in without.
func TestPasskeysThatAreOff(t *testing.T) {
	w, alice := newKeyed(t)
	d := newDevice()
	w.registered(alice, "", d)
	body := w.withPasskey(d)
	off := w.addNode(true)
	w.log.show(off.projection)
	w.problem("a challenge", off.native(alice, http.MethodPost, "/v1/passkeys/challenge", `{}`), http.StatusBadRequest, "PasskeysNotSetUp")
	w.problem("a passkey", off.native(alice, http.MethodPost, "/v1/passkeys", `{"name":"key","credential":{}}`), http.StatusBadRequest, "PasskeysNotSetUp")
	w.problem("a challenge to sign in", off.asksToSignIn(home, challengeAlice), http.StatusBadRequest, "PasskeysNotSetUp")
	for range 2 * signin.MaxWrong {
		w.problem("by passkey", off.signsIn(home, body), http.StatusBadRequest, "PasskeysNotSetUp")
	}
	w.problem("without", off.signsIn(home, asAlice("Passw0rd-1")), http.StatusForbidden, "SignInFailed")
	w.session("where they are on", w.signsIn(home, body))
}

// A node that does not lead hands all of it on.
func TestPasskeysAtTheLeader(t *testing.T) {
	w, alice := newKeyed(t)
	var handed []string
	n := w.addNode(false, func(c *config) {
		c.Node.Forward = func(rw http.ResponseWriter, r *http.Request, _ admission.Forwarded) error {
			handed = append(handed, r.URL.Path)
			rw.WriteHeader(http.StatusNoContent)
			return nil
		}
	})
	w.log.show(n.projection)
	for _, path := range []string{"/v1/passkeys/challenge", "/v1/passkeys"} {
		n.server.ServeHTTP(httptest.NewRecorder(), n.sign(httptest.NewRequest(http.MethodPost, "http://writ.test"+path, strings.NewReader("{}")), alice, "writ", []byte("{}")))
	}
	r := httptest.NewRequest(http.MethodPost, "http://writ.test/signin/challenge", strings.NewReader(challengeAlice))
	r.Header.Set("Content-Type", "application/json")
	n.server.ServeHTTP(httptest.NewRecorder(), r)
	if !slices.Equal(handed, []string{"/v1/passkeys/challenge", "/v1/passkeys", "/signin/challenge"}) {
		t.Errorf("handed on are %v", handed)
	}
}

func fromBase64(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What strangers are told of who has a passkey is not to be sorted out by registering it: that
// of somebody is taken as one that nobody has.
func TestCredentialsOfOthersAreNoOracle(t *testing.T) {
	w, alice := newKeyed(t)
	w.registered(alice, "", newDevice())
	bob := w.user("bob", allow("iam:EnableMFADevice"))
	for _, asked := range []string{challengeAlice, `{"account":"123456789012","user":"nobody"}`} {
		forged := newDevice()
		forged.Credential = fromBase64(t, w.challenged(asked).Allow[0].ID)
		w.registered(bob, "", forged)
		w.problem("as hers", w.signsIn(home, asAlice("Passw0rd-1", `"passkey":`+forged.Get(w.challenged(challengeAlice).Challenge))), http.StatusForbidden, "SignInFailed")
	}
}
