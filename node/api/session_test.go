package api_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/sigv4"
)

// temporary are credentials of a session.
type temporary struct {
	credential
	token string
}

// assume makes a session of the role deploy at a node.
func (n *node) assume(c credential, pairs ...string) temporary {
	n.world.t.Helper()
	r, body := form(stsVersion, "AssumeRole", append([]string{"RoleArn", "arn:aws:iam::123456789012:role/deploy", "RoleSessionName", "one"}, pairs...)...)
	return n.world.assumedIn(n.serve(n.sign(r, c, "sts", body)))
}

// assumedIn are the credentials in the answer of AssumeRole.
func (w *world) assumedIn(rec *httptest.ResponseRecorder) temporary {
	w.t.Helper()
	var answer struct {
		AssumeRoleResult struct {
			Credentials struct {
				AccessKeyID                   string `xml:"AccessKeyId"`
				SecretAccessKey, SessionToken string
			}
		}
	}
	w.accepted("AssumeRole", rec)
	if err := xml.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		w.t.Fatal(err)
	}
	made := answer.AssumeRoleResult.Credentials
	return temporary{credential{made.AccessKeyID, made.SecretAccessKey}, made.SessionToken}
}

// as calls an action of IAM by a session.
func (n *node) as(c temporary, action string, pairs ...string) *httptest.ResponseRecorder {
	return n.iam(c.credential, action, append([]string{"@X-Amz-Security-Token", c.token}, pairs...)...)
}

// roles gives the world the user alice and the role deploy, which alice may assume.
func (w *world) roles() credential { return w.rolesOf("alice", "iam:*") }

// rolesOf is roles for another user, and another permission of the role.
func (w *world) rolesOf(name, may string) credential {
	w.t.Helper()
	user := w.user(name, "")
	w.must(&identity.CreateRole{Account: account, ID: "AROADEPLOY", Name: "deploy", Path: "/",
		Trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"AIDAUSER` + strings.ToUpper(name) + `"},"Action":"sts:AssumeRole"}}`},
		&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindRole, Account: account, Name: "deploy"}, Name: "own", Document: allow(may)})
	return user
}

// revoke revokes by the native API.
func (w *world) revoke(body string) *httptest.ResponseRecorder {
	return w.native(w.root, http.MethodPost, "/v1/revocations", body)
}

func TestRevocations(t *testing.T) {
	w := newWorld(t)
	alice := w.roles()
	one, two := w.assume(alice), w.assume(alice)
	before := w.log.position()
	for name, body := range map[string]string{
		"nothing": `{}`, "two": `{"session":"ASIAAAAAAAAAAAAAAAAA","key":"AKIAAAAAAAAAAAAAAAAA"}`, "no id": `{"session":"x"}`,
		"unknown member": `{"sesion":"ASIAAAAAAAAAAAAAAAAA"}`, "no time": `{"session":"ASIAAAAAAAAAAAAAAAAA","issued_before":"yesterday"}`,
	} {
		w.problem(name, w.revoke(body), http.StatusBadRequest, "InvalidRequest")
	}
	w.problem("nobody", w.revoke(`{"principal":"arn:aws:iam::123456789012:role/none"}`), http.StatusNotFound, "NoSuchEntity")
	w.problem("a session's ARN", w.revoke(`{"principal":"arn:aws:sts::123456789012:assumed-role/deploy/one"}`), http.StatusNotFound, "NoSuchEntity")
	w.problem("no permission", w.native(alice, http.MethodPost, "/v1/revocations", `{"session":"`+one.id+`"}`), http.StatusForbidden, "AccessDenied")
	if w.log.position() != before {
		t.Error("something was written")
	}
	w.accepted("a session", w.revoke(`{"session":"`+one.id+`"}`))
	w.refused("the session", w.as(one, "ListUsers"), http.StatusForbidden, "InvalidClientTokenId", "")
	w.accepted("another", w.as(two, "ListUsers"))
	w.accepted("of before", w.revoke(`{"principal":"arn:aws:iam::123456789012:role/deploy","issued_before":"2020-01-01T00:00:00Z"}`))
	w.accepted("another, still", w.as(two, "ListUsers"))
	w.accepted("of the role", w.revoke(`{"principal":"arn:aws:iam::123456789012:role/deploy"}`))
	w.refused("the other", w.as(two, "ListUsers"), http.StatusForbidden, "InvalidClientTokenId", "")
	three := w.assume(alice)
	w.accepted("of the key", w.revoke(`{"key":"`+alice.id+`"}`))
	w.refused("the third", w.as(three, "ListUsers"), http.StatusForbidden, "InvalidClientTokenId", "")
}

// What ends a session ends it at the position of the change, and no other session.
func TestSessionsEnd(t *testing.T) {
	ends := map[string]func(w *world, c temporary) identity.Command{
		"session revoked": func(_ *world, c temporary) identity.Command {
			return &identity.RevokeSessions{Account: account, Subject: c.id}
		},
		"role revoked": func(*world, temporary) identity.Command {
			return &identity.RevokeSessions{Account: account, Subject: "AROADEPLOY"}
		},
		"parent revoked": func(*world, temporary) identity.Command {
			return &identity.RevokeSessions{Account: account, Subject: "AKIAUSERUSERALICE"}
		},
		"session key revoked": func(*world, temporary) identity.Command { return &identity.RevokeSessionKey{Number: 1} },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice := w.roles()
			c := w.assume(alice)
			w.accepted("before", w.as(c, "ListUsers"))
			other := w.assume(alice)
			w.must(end(w, c))
			w.refused("after", w.as(c, "ListUsers"), http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
			w.refused("a write after", w.as(c, "CreateUser", "UserName", "late"), http.StatusForbidden, "InvalidClientTokenId", "")
			if name == "session revoked" {
				w.accepted("another session", w.as(other, "ListUsers"))
			}
			w.accepted("a new session", w.as(w.assume(alice), "ListUsers"))
		})
	}
}

func TestSessionsRunOut(t *testing.T) {
	w := newWorld(t)
	alice := w.roles()
	c := w.assume(alice, "DurationSeconds", "900")
	now := w.node.now()
	w.node.now = func() time.Time { return now.Add(15*time.Minute - time.Second) }
	w.accepted("in its last second", w.as(c, "ListUsers"))
	w.node.now = func() time.Time { return now.Add(15 * time.Minute) }
	w.refused("at its end", w.as(c, "ListUsers"), http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired")
}

// The log says by which session a write was, and decides by it.
func TestWritesBySession(t *testing.T) {
	w := newWorld(t)
	c := w.assume(w.roles())
	w.accepted("a write", w.as(c, "CreateUser", "UserName", "bob"))
	by := w.log.batches[w.log.position()-1].Cause.By
	if by.Principal != "AROADEPLOY" || by.Credential != c.id || by.Session.Key != 1 || by.Session.Parent != "AKIAUSERUSERALICE" || by.Session.Minted == 0 {
		t.Errorf("by %+v", by)
	}
}

// A replica without keys has the leader open tokens, and make sessions.
func TestSessionsAtAReplicaWithoutKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice := w.roles()
		c := w.assume(alice)
		handed := 0
		n, l := w.replica(func(cfg *config) {
			cfg.Seal = nil
			cfg.Node.Confirm = func(_ context.Context, claim sigv4.Claim) (admission.Confirmed, error) {
				return w.server.Confirms(&claim)
			}
			cfg.Node.Forward = func(rw http.ResponseWriter, _ *http.Request, _ admission.Forwarded) error {
				handed++
				rw.WriteHeader(http.StatusTeapot)
				return nil
			}
		})
		w.log.show(n.projection)
		l.grant(w, n.projection, n.projection.Head())
		w.accepted("a read", n.as(c, "ListUsers"))
		w.refused("another secret", n.as(temporary{credential{c.id, "wrong"}, c.token}, "ListUsers"), http.StatusForbidden, "SignatureDoesNotMatch", "")
		w.refused("another token", n.as(temporary{c.credential, c.token[:80]}, "ListUsers"), http.StatusForbidden, "InvalidClientTokenId", "")
		r, body := form(stsVersion, "GetSessionToken")
		if rec := n.serve(n.sign(r, alice, "sts", body)); rec.Code != http.StatusTeapot || handed != 1 {
			t.Errorf("a session: status %d, handed on %d times", rec.Code, handed)
		}
	})
}

// The first session of a cluster makes the key that seals it, and is authorized in the view
// that has the key.
func TestTrustThatEndsWhileTheKeyIsMade(t *testing.T) {
	w := newWorld(t)
	alice := w.roles()
	w.log.before = func(c event.Command) {
		if _, ok := c.Content.(*identity.AddSessionKey); ok {
			w.must(&identity.UpdateTrust{Account: account, Name: "deploy", Trust: `{"Version":"2012-10-17","Statement":[]}`})
		}
	}
	r, body := form(stsVersion, "AssumeRole", "RoleArn", "arn:aws:iam::123456789012:role/deploy", "RoleSessionName", "one")
	w.refused("trusted no more", w.serve(w.sign(r, alice, "sts", body)), http.StatusForbidden, "AccessDenied", "")
}

// A session that is revoked takes those with it that it asked for.
func TestSessionsOfASession(t *testing.T) {
	w := newWorld(t)
	alice := w.roles()
	w.must(&identity.UpdateTrust{Account: account, Name: "deploy",
		Trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":["AIDAUSERALICE","AROADEPLOY"]},"Action":"sts:AssumeRole"}}`})
	parent, other := w.assume(alice), w.assume(alice)
	child := w.assume(parent.credential, "@X-Amz-Security-Token", parent.token)
	w.accepted("before", w.as(child, "ListUsers"))
	w.accepted("revoke", w.revoke(`{"session":"`+parent.id+`"}`))
	w.refused("after", w.as(child, "ListUsers"), http.StatusForbidden, "InvalidClientTokenId", "")
	w.accepted("another", w.as(other, "ListUsers"))
}

func TestLimitsOfSessionPolicies(t *testing.T) {
	w := newWorld(t)
	pairs := []string{"RoleArn", "arn:aws:iam::123456789012:role/deploy", "RoleSessionName", "one"}
	for i := range 11 {
		pairs = append(pairs, fmt.Sprintf("PolicyArns.member.%d.arn", i+1), fmt.Sprintf("arn:aws:iam::123456789012:policy/p%d", i))
	}
	r, body := form(stsVersion, "AssumeRole", pairs...)
	w.refused("eleven policies", w.serve(w.sign(r, w.roles(), "sts", body)), http.StatusBadRequest, "ValidationError", "")
}

// Sessions that may change nothing by IAM change nothing by the native API, which would make
// credentials that outlast them.
func TestBarredSessions(t *testing.T) {
	w := newWorld(t)
	get := func(action string, pairs ...string) temporary {
		t.Helper()
		r, body := form(stsVersion, action, pairs...)
		text := w.accepted(action, w.serve(w.sign(r, w.root, "sts", body))).Body.String()
		for _, name := range []string{"GetSessionTokenResult", "GetFederationTokenResult"} {
			text = strings.ReplaceAll(text, name, "Result")
		}
		var said struct {
			ID     string `xml:"Result>Credentials>AccessKeyId"`
			Secret string `xml:"Result>Credentials>SecretAccessKey"`
			Token  string `xml:"Result>Credentials>SessionToken"`
		}
		if err := xml.Unmarshal([]byte(text), &said); err != nil {
			t.Fatal(err)
		}
		return temporary{credential{said.ID, said.Secret}, said.Token}
	}
	for name, c := range map[string]temporary{"without a code": get("GetSessionToken"), "federated": get("GetFederationToken", "Name", "fed", "Policy", allow("*"))} {
		for _, change := range [][2]string{
			{"/v1/accounts", `{"root_key":true}`}, {"/v1/accounts/123456789012/root/password", `{"password":"Passw0rd-1"}`}, {"/v1/accounts/123456789012/root/email", `{"email":"ops@example.com"}`},
			{"/v1/providers/keys", `{"provider":"arn:aws:iam::123456789012:oidc-provider/issuer.test","published":true}`}, {"/v1/passkeys/challenge", "{}"}, {"/v1/passkeys", `{"name":"key","credential":{}}`}, {"/v1/session-keys", ""}, {"/v1/issuer-keys", ""}, {"/v1/seal/rotate", ""}, {"/v1/revocations", `{"session":"ASIAAAAAAAAAAAAAAAAA"}`},
			{"/v1/quotas", `{"defaults":"aws"}`}, {"/v1/certificates/revoke", `{"name":"replica-1"}`},
		} {
			rec := w.native(c.credential, http.MethodPost, change[0], change[1], "X-Amz-Security-Token", c.token)
			if rec.Code != http.StatusForbidden || !strings.Contains(rec.Body.String(), "as in IAM") {
				t.Errorf("%s: %s: %d %s", name, change[0], rec.Code, rec.Body)
			}
		}
		if rec := w.native(c.credential, http.MethodGet, "/v1/cluster", "", "X-Amz-Security-Token", c.token); rec.Code != http.StatusOK {
			t.Errorf("%s: a read: %d %s", name, rec.Code, rec.Body)
		}
	}
}
