package api_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api"
)

// invalidToken is what everybody is told who shows a token that is not good.
const invalidToken = "The security token included in the request is invalid."

// refusedEverywhere holds that a session is refused by IAM, STS and the native API alike, with
// AWS's code and status, and that nothing is written.
func (w *world) refusedEverywhere(name string, c temporary, code, message string) {
	w.t.Helper()
	at := w.log.position()
	w.refused(name+", a read", w.as(c, "ListUsers"), http.StatusForbidden, code, message)
	w.refused(name+", a write", w.as(c, "CreateUser", "UserName", "late"), http.StatusForbidden, code, message)
	r, body := form(stsVersion, "GetCallerIdentity", "@X-Amz-Security-Token", c.token)
	w.refused(name+", STS", w.node.serve(w.sign(r, c.credential, "sts", body)), http.StatusForbidden, code, message)
	question := `{"principal":"arn:aws:iam::123456789012:user/alice","action":"s3:Get"}`
	w.problem(name+", a question", w.native(c.credential, http.MethodPost, "/v1/authorize", question, "X-Amz-Security-Token", c.token), http.StatusForbidden, code)
	if w.log.position() != at {
		w.t.Errorf("%s: something was written", name)
	}
}

// TestForgedTokens shows tokens of which each is wrong in another way.
func TestForgedTokens(t *testing.T) {
	w, foreign := newWorld(t), newWorld(t)
	alice := w.roles()
	one, two := w.assume(alice), w.assume(alice)
	w.accepted("the token itself", w.as(one, "ListUsers"))
	elsewhere := foreign.assume(foreign.roles())
	with := func(token string) temporary { return temporary{one.credential, token} }
	for _, n := range []int{0, 1, 7, 8, 43, 44, 45, len(one.token) / 2, len(one.token) - 2, len(one.token) - 1} {
		if n == 0 { // without a token, the access key is none that the cluster knows
			w.refused("no token", w.iam(one.credential, "ListUsers"), http.StatusForbidden, "InvalidClientTokenId", invalidToken)
			continue
		}
		w.refusedEverywhere(fmt.Sprintf("the first %d characters", n), with(one.token[:n]), "InvalidClientTokenId", invalidToken)
	}
	bytes, err := base64.RawURLEncoding.DecodeString(one.token)
	if err != nil {
		t.Fatal(err)
	}
	for bit := 0; bit < 8*len(bytes); bit += 7 { // in every part: format, key, nonce, text, tag
		flipped := append([]byte(nil), bytes...)
		flipped[bit/8] ^= 1 << (bit % 8)
		w.refused(fmt.Sprintf("bit %d", bit), w.as(with(base64.RawURLEncoding.EncodeToString(flipped)), "ListUsers"), http.StatusForbidden, "InvalidClientTokenId", invalidToken)
	}
	for name, c := range map[string]temporary{
		"longer":                             with(one.token + "A"),
		"padded":                             with(one.token + "="),
		"the longest":                        with(one.token + strings.Repeat("A", 4096)),
		"no base64":                          with(strings.Repeat("!", len(one.token))),
		"of another cluster":                 elsewhere,
		"another cluster's, in place of one": with(elsewhere.token),
		"another session's":                  with(two.token),
		"one's, with another access key id":  {two.credential, one.token},
		"with an access key of a user":       {alice, one.token},
	} {
		w.refusedEverywhere(name, c, "InvalidClientTokenId", invalidToken)
	}
	w.refusedEverywhere("another secret", temporary{credential{one.id, two.secret}, one.token}, "SignatureDoesNotMatch", "")
	w.accepted("the token itself, still", w.as(one, "ListUsers"))
}

// A token that ran out, or whose session key was revoked, is refused everywhere alike. That
// one has ended is told of tokens alone that are good otherwise.
func TestTokensThatEnded(t *testing.T) {
	w := newWorld(t)
	alice := w.roles()
	c := w.assume(alice, "DurationSeconds", "900")
	now := w.node.now()
	w.node.now = func() time.Time { return now.Add(15 * time.Minute) }
	w.refusedEverywhere("expired", c, "ExpiredToken", "The security token included in the request is expired")
	altered := c.token[:60] + "Q" + c.token[61:]
	if c.token[60] == 'Q' {
		altered = c.token[:60] + "R" + c.token[61:]
	}
	w.refusedEverywhere("expired, and altered", temporary{c.credential, altered}, "InvalidClientTokenId", invalidToken)
	w.refusedEverywhere("expired, by another secret", temporary{credential{c.id, "wrong"}, c.token}, "SignatureDoesNotMatch", "")
	w.node.now = func() time.Time { return now }
	w.accepted("revoke its key", w.native(w.root, http.MethodPost, "/v1/session-keys/1/revoke", ""))
	w.refusedEverywhere("of a revoked key", c, "InvalidClientTokenId", invalidToken)
}

// A role that may assume itself makes a chain of sessions, which has an end.
func TestChainOfSessions(t *testing.T) {
	w := newWorld(t)
	c := w.assume(w.roles())
	w.must(&identity.UpdateTrust{Account: account, Name: "deploy",
		Trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":["AIDAUSERALICE","AROADEPLOY"]},"Action":"sts:AssumeRole"}}`})
	const longest = 255
	for range longest {
		c = w.assume(c.credential, "@X-Amz-Security-Token", c.token)
	}
	w.accepted("the last of the chain", w.as(c, "ListUsers"))
	r, body := form(stsVersion, "AssumeRole", "RoleArn", "arn:aws:iam::123456789012:role/deploy", "RoleSessionName", "one", "@X-Amz-Security-Token", c.token)
	w.refused("one more", w.serve(w.sign(r, c.credential, "sts", body)), http.StatusForbidden, "AccessDenied", "Sessions of roles were made by one another 255 times. Begin with credentials of a user.")
	r, body = form(stsVersion, "AssumeRole", "RoleArn", "arn:aws:iam::123456789012:role/deploy", "RoleSessionName", "one", "DurationSeconds", "3601", "@X-Amz-Security-Token", c.token)
	w.refused("a longer one", w.serve(w.sign(r, c.credential, "sts", body)), http.StatusBadRequest, "ValidationError", "")
}

// keys are the states of the session keys that the native API lists.
func (w *world) keys() (states []string) {
	w.t.Helper()
	said := w.json(w.accepted("list", w.native(w.root, http.MethodGet, "/v1/session-keys", "")))
	for _, k := range said["keys"].([]any) {
		k := k.(map[string]any)
		states = append(states, fmt.Sprintf("%v %v", k["number"], k["state"]))
	}
	return states
}

func (w *world) rotate() int {
	w.t.Helper()
	return w.native(w.root, http.MethodPost, "/v1/session-keys", "").Code
}

func TestSessionKeys(t *testing.T) {
	w := newWorld(t)
	alice := w.roles()
	if got := w.keys(); len(got) != 0 {
		t.Errorf("at first: %v", got)
	}
	old := w.assume(alice)
	rec := w.accepted("rotate", w.native(w.root, http.MethodPost, "/v1/session-keys", ""))
	if said := w.json(rec); said["number"] != 2.0 || said["state"] != "active" || said["position"] != float64(w.log.position()) || said["token"] == "" {
		t.Errorf("rotated: %v", said)
	}
	if got := fmt.Sprint(w.keys()); got != "[1 verify-only 2 active]" {
		t.Errorf("rotated: %v", got)
	}
	w.accepted("a session of the key before", w.as(old, "ListUsers"))
	young := w.assume(alice)
	w.accepted("revoke", w.native(w.root, http.MethodPost, "/v1/session-keys/1/revoke", ""))
	w.refusedEverywhere("a session of the revoked key", old, "InvalidClientTokenId", invalidToken)
	w.accepted("a session of the other", w.as(young, "ListUsers"))
	w.problem("again", w.native(w.root, http.MethodPost, "/v1/session-keys/1/revoke", ""), http.StatusNotFound, "NoSuchEntity")
	w.problem("no key", w.native(w.root, http.MethodPost, "/v1/session-keys/7/revoke", ""), http.StatusNotFound, "NoSuchEntity")
	w.problem("no number", w.native(w.root, http.MethodPost, "/v1/session-keys/first/revoke", ""), http.StatusBadRequest, "InvalidRequest")
	w.accepted("revoke the active one", w.native(w.root, http.MethodPost, "/v1/session-keys/2/revoke", ""))
	w.accepted("a session of the next", w.as(w.assume(alice), "ListUsers"))
	if got := fmt.Sprint(w.keys()); got != "[1 revoked 2 revoked 3 active]" {
		t.Errorf("in the end: %v", got)
	}
	for _, secret := range [][]byte{[]byte("sealed"), []byte("Sealed")} {
		if body := w.native(w.root, http.MethodGet, "/v1/session-keys", "").Body.String(); strings.Contains(body, string(secret)) {
			t.Errorf("%s is in %s", secret, body)
		}
	}
}

// Each operation on keys of the cluster has a permission of its own, which is of the cluster's
// own account.
func TestPermissionsOfKeys(t *testing.T) {
	w := newWorld(t)
	w.assume(w.roles())
	w.must(&identity.AddIssuerKey{Number: 1, Public: []byte(`{"kid":"1"}`)})
	operations := []struct{ method, target, action string }{
		{http.MethodGet, "/v1/session-keys", "writ:ListSessionKeys"},
		{http.MethodPost, "/v1/session-keys", "writ:RotateSessionKey"},
		{http.MethodPost, "/v1/session-keys/1/revoke", "writ:RevokeSessionKey"},
		{http.MethodGet, "/v1/issuer-keys", "writ:ListIssuerKeys"},
		{http.MethodPost, "/v1/issuer-keys", "writ:RotateIssuerKey"},
		{http.MethodPost, "/v1/issuer-keys/1/revoke", "writ:RevokeIssuerKey"},
	}
	for i, own := range operations {
		c := w.user(fmt.Sprintf("user%d", i), allow(own.action))
		for j, other := range operations {
			at := w.log.position()
			rec := w.native(c, other.method, other.target, "")
			if i == j {
				w.accepted(other.action, rec)
				continue
			}
			w.problem(own.action+" is not "+other.action, rec, http.StatusForbidden, "AccessDenied")
			if !strings.Contains(rec.Body.String(), "is not authorized to perform: "+other.action+" on resource: *") || w.log.position() != at {
				t.Errorf("%s", rec.Body)
			}
		}
	}
}

// The keys that may have sessions are bounded, and none of them is dropped for another.
func TestMostSessionKeys(t *testing.T) {
	w := newWorld(t)
	alice := w.roles()
	first := w.assume(alice)
	for range identity.MaxSessionKeys - 1 {
		if code := w.rotate(); code != http.StatusOK {
			t.Fatalf("rotate: status %d", code)
		}
	}
	rec := w.native(w.root, http.MethodPost, "/v1/session-keys", "")
	w.problem("one more", rec, http.StatusConflict, "LimitExceeded")
	if !strings.Contains(rec.Body.String(), "There are 16 session keys whose sessions may last. Revoke one, or wait until they have ended.") {
		t.Errorf("%s", rec.Body)
	}
	w.accepted("a session of the first", w.as(first, "ListUsers"))
	w.accepted("a session of the last", w.as(w.assume(alice), "ListUsers"))
	w.accepted("revoke one", w.native(w.root, http.MethodPost, "/v1/session-keys/5/revoke", ""))
	if code := w.rotate(); code != http.StatusOK || len(w.keys()) != identity.MaxSessionKeys {
		t.Errorf("status %d, %v", code, w.keys())
	}
	now := w.node.now() // 36 hours, and one more
	w.node.now = func() time.Time { return now.Add(37 * time.Hour) }
	if code := w.rotate(); code != http.StatusOK || len(w.keys()) != 2 {
		t.Errorf("after the last sessions: status %d, %v", code, w.keys())
	}
}

// The leader has another key seal when one has reached its age, and no earlier; in the long
// run there is always room for the next, also at the least age.
func TestSessionKeysAreRotated(t *testing.T) {
	for _, age := range []time.Duration{0, api.MinKeyAge} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.node.now = time.Now
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				w.server.RotateKeys(ctx, age, age)
			}()
			every := max(age, api.MinKeyAge)
			if age == 0 {
				every = api.DefaultKeyAge
			}
			time.Sleep(every + time.Hour)
			synctest.Wait()
			if last := w.last(); last != 0 {
				t.Fatalf("without any session there is the key %d", last)
			}
			w.assume(w.roles())
			time.Sleep(every - time.Minute)
			synctest.Wait()
			if last := w.last(); last != 1 {
				t.Errorf("before its age the key was rotated: %d", last)
			}
			time.Sleep(11 * time.Minute)
			for n := range uint32(2 * identity.MaxSessionKeys) {
				synctest.Wait()
				last := w.last()
				time.Sleep(every)
				if last != n+2 {
					t.Errorf("after %d times the age %v the last key is %d", n+1, every, last)
				}
			}
			if w.logged(slog.LevelWarn) {
				t.Error("something went wrong")
			}
			cancel()
			<-done
		})
	}
}

// Where there is no room for another key, the old one goes on, and the log of the node says so.
func TestSessionKeysAreFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.node.now = time.Now
		w.assume(w.roles())
		time.Sleep(api.DefaultKeyAge - time.Hour)
		for range identity.MaxSessionKeys - 1 {
			if code := w.rotate(); code != http.StatusOK {
				t.Fatalf("rotate: status %d", code)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.server.RotateKeys(ctx, api.MinKeyAge, 0)
		}()
		time.Sleep(api.MinKeyAge + 10*time.Minute)
		synctest.Wait()
		if last := w.last(); last != identity.MaxSessionKeys || !w.logged(slog.LevelWarn) {
			t.Errorf("the last key is %d", last)
		}
		cancel()
		<-done
	})
}

// last is the highest number of a session key.
func (w *world) last() uint32 { return w.projection.View().State.SessionKeys().Last }

// logged tells whether a node has logged something of a level.
func (w *world) logged(level slog.Level) bool {
	return strings.Contains(w.logs.String(), `"level":"`+level.String()+`"`)
}
