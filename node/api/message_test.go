package api_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/session"
)

// decodeMessage asks what an authorization message says.
func (n *node) decodeMessage(c credential, message string) *httptest.ResponseRecorder {
	r, body := form(stsVersion, "DecodeAuthorizationMessage", "EncodedMessage", message)
	return n.serve(n.sign(r, c, "sts", body))
}

// getSession makes a session of the root, and with it a session key where there is none.
func (w *world) getSession() (token string) {
	w.t.Helper()
	r, body := form(stsVersion, "GetSessionToken")
	rec := w.accepted("a session", w.serve(w.sign(r, w.root, "sts", body)))
	var answer struct {
		Token string `xml:"GetSessionTokenResult>Credentials>SessionToken"`
	}
	if err := xml.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		w.t.Fatal(err)
	}
	return answer.Token
}

func TestAuthorizationMessages(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},`+
		`{"Sid":"NoBob","Effect":"Deny","Action":"iam:*","Resource":"arn:aws:iam::*:user/bob","Condition":{"StringNotEquals":{"aws:RequestedRegion":"mars"}}}]}`)
	w.user("bob", "")
	if rec := w.iam(alice, "GetUser", "UserName", "bob"); rec.Code != http.StatusForbidden || rec.Header().Get("X-Writ-Authorization-Message") != "" {
		t.Errorf("without a key: %d %v", rec.Code, rec.Header())
	}
	token := w.getSession()

	denied := w.iam(alice, "GetUser", "UserName", "bob")
	w.refused("denied", denied, http.StatusForbidden, "AccessDenied", "")
	message := denied.Header().Get("X-Writ-Authorization-Message")
	rec := w.accepted("decode", w.decodeMessage(w.root, message))
	var answer struct {
		Text string `xml:"DecodeAuthorizationMessageResult>DecodedMessage"`
	}
	if err := xml.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	var said struct {
		Allowed, ExplicitDeny bool
		MatchedStatements     struct {
			Items []struct{ StatementID, Effect, Policy string }
		}
		Context struct {
			Principal        struct{ ID, ARN string }
			Action, Resource string
			Conditions       struct{ Items []struct{ Key string } }
		}
	}
	if err := json.Unmarshal([]byte(answer.Text), &said); err != nil {
		t.Fatalf("%s: %v", answer.Text, err)
	}
	if got := fmt.Sprint(said.Allowed, said.ExplicitDeny, said.MatchedStatements.Items, said.Context.Principal, said.Context.Action, said.Context.Resource); got !=
		"false true [{NoBob DENY own}] {AIDAUSERALICE arn:aws:iam::123456789012:user/alice}iam:GetUserarn:aws:iam::123456789012:user/bob" {
		t.Error(got)
	}
	if len(said.Context.Conditions.Items) == 0 {
		t.Error(answer.Text)
	}

	// who may not decode learns nothing, nor does another account
	nobody := w.user("nobody", "")
	w.refused("no permission", w.decodeMessage(nobody, message), http.StatusForbidden, "AccessDenied", "")
	other := credential{"AKIAOTHERROOT0000000", "the secret of another root"}
	w.must(&identity.CreateAccount{ID: "210987654321", RootKey: w.sealed("210987654321", other)})
	invalid := func(name string, c credential, message string) {
		t.Helper()
		w.refused(name, w.decodeMessage(c, message), http.StatusBadRequest, "InvalidAuthorizationMessageException", "")
	}
	invalid("another account", other, message)
	invalid("no message", w.root, "x")
	invalid("altered", w.root, message[:len(message)-2]+"AA")
	invalid("a session token", w.root, token)
	w.must(&identity.RevokeSessionKey{Number: 1})
	invalid("of a revoked key", w.root, message)

	// in the native dialect, too
	if rec := w.native(nobody, http.MethodGet, "/v1/cluster", ""); rec.Code != http.StatusForbidden || rec.Header().Get("X-Writ-Authorization-Message") == "" {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
}

// What a caller says can make a denial long: its message has a limit.
func TestLongAuthorizationMessage(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice", "")
	w.getSession()
	denied := w.iam(alice, "GetUser", "UserName", "bob", "@User-Agent", strings.Repeat("x", 6000)+strings.Repeat("y", 2000))
	message := denied.Header().Get("X-Writ-Authorization-Message")
	if denied.Code != http.StatusForbidden || message == "" || len(message) > session.MaxMessage {
		t.Fatalf("%d, %d characters", denied.Code, len(message))
	}
	w.accepted("decode", w.decodeMessage(w.root, message))
}
