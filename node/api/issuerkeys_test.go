package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api"
)

// issuerKeys are the states of the issuer keys that the native API lists, and the key ids of
// each.
func (w *world) issuerKeys() (states []string, ids [][]string) {
	w.t.Helper()
	var said struct {
		Max  int
		Keys []struct {
			Number uint32
			State  string
			KeyIDs []string `json:"key_ids"`
		}
	}
	rec := w.accepted("list", w.native(w.root, http.MethodGet, "/v1/issuer-keys", ""))
	if err := json.Unmarshal(rec.Body.Bytes(), &said); err != nil || said.Max != identity.MaxIssuerKeys || strings.Contains(strings.ToLower(rec.Body.String()), "sealed") {
		w.t.Errorf("%s: %v", rec.Body, err)
	}
	for _, k := range said.Keys {
		states = append(states, fmt.Sprintf("%v %v", k.Number, k.State))
		ids = append(ids, k.KeyIDs)
	}
	return states, ids
}

// shown are the ids of the keys that verifiers are told of.
func (w *world) shown() (ids []string) {
	w.t.Helper()
	for _, k := range w.json(w.accepted("keys", w.get("/issuers/"+issuerID+"/.well-known/jwks.json")))["keys"].([]any) {
		ids = append(ids, k.(map[string]any)["kid"].(string))
	}
	return ids
}

var askToken = []string{"Audience.member.1", "writ", "SigningAlgorithm", "ES384"}

// A key that was rotated is shown until no token is good that it signed, one that was revoked
// no more, and each change has a position.
func TestIssuerKeys(t *testing.T) {
	w := newWorld(t)
	w.must(&identity.EnableWebIdentity{Account: account, Issuer: "http://writ.test/issuers/" + issuerID})
	root := temporary{credential: w.root}
	if states, _ := w.issuerKeys(); len(states) != 0 {
		t.Errorf("at first: %v", states)
	}
	old, _ := w.issued(w.tokenOf(w.identityToken(root, askToken...)))
	said := w.json(w.accepted("rotate", w.native(w.root, http.MethodPost, "/v1/issuer-keys", "")))
	if said["number"] != 2.0 || said["state"] != "active" || said["position"] != float64(w.log.position()) || said["token"] == "" {
		t.Errorf("rotated: %v", said)
	}
	states, ids := w.issuerKeys()
	if fmt.Sprint(states) != "[1 verify-only 2 active]" || len(ids[0]) != 2 || ids[0][1] != old["kid"] {
		t.Errorf("rotated: %v, %v; the token is of %v", states, ids, old["kid"])
	}
	young, _ := w.issued(w.tokenOf(w.identityToken(root, askToken...)))
	if young["kid"] != ids[1][1] {
		t.Errorf("the next token is of %v, not of %v", young["kid"], ids[1])
	}
	both := fmt.Sprint(append(ids[0], ids[1]...))
	now := w.node.now()
	for at, want := range map[time.Duration]string{0: both, 2*time.Hour - time.Millisecond: both, 2 * time.Hour: fmt.Sprint(ids[1])} {
		w.node.now = func() time.Time { return now.Add(at) }
		if got := fmt.Sprint(w.shown()); got != want {
			t.Errorf("%v after the rotation %s is shown, not %s", at, got, want)
		}
	}
	w.node.now = func() time.Time { return now }

	said = w.json(w.accepted("revoke", w.native(w.root, http.MethodPost, "/v1/issuer-keys/1/revoke", "")))
	if said["number"] != 1.0 || said["state"] != "revoked" || said["position"] != float64(w.log.position()) || said["token"] == "" {
		t.Errorf("revoked: %v", said)
	}
	if got := fmt.Sprint(w.shown()); got != fmt.Sprint(ids[1]) {
		t.Errorf("after the revocation %s is shown", got)
	}
	w.problem("again", w.native(w.root, http.MethodPost, "/v1/issuer-keys/1/revoke", ""), http.StatusNotFound, "NoSuchEntity")
	w.problem("no number", w.native(w.root, http.MethodPost, "/v1/issuer-keys/first/revoke", ""), http.StatusBadRequest, "InvalidRequest")
	w.accepted("revoke the active one", w.native(w.root, http.MethodPost, "/v1/issuer-keys/2/revoke", ""))
	if got := w.shown(); len(got) != 0 {
		t.Errorf("all are revoked, and %v is shown", got)
	}
	w.issued(w.tokenOf(w.identityToken(root, askToken...)))
	if states, _ := w.issuerKeys(); fmt.Sprint(states) != "[1 revoked 2 revoked 3 active]" {
		t.Errorf("in the end: %v", states)
	}
}

// The keys that may have tokens are bounded.
func TestMostIssuerKeys(t *testing.T) {
	w := newWorld(t)
	for n := range uint32(identity.MaxIssuerKeys) {
		w.mustNow(&identity.AddIssuerKey{Number: n + 1, Public: fmt.Appendf(nil, `{"kid":"%d"}`, n)})
	}
	w.problem("one more", w.native(w.root, http.MethodPost, "/v1/issuer-keys", ""), http.StatusConflict, "LimitExceeded")
}

// A token of this cluster's own issuer is good by the keys of the view, whatever keys were given
// for its provider or are kept of its issuer.
func TestTokensOfTheClusterItself(t *testing.T) {
	w := newWorld(t)
	name := "writ.test/issuers/" + issuerID
	provider := "arn:aws:iam::123456789012:oidc-provider/" + name
	w.must(&identity.EnableWebIdentity{Account: account, Issuer: "https://" + name},
		&identity.CreateOIDCProvider{Account: account, URL: name, ClientIDs: []string{"writ"}},
		&identity.CreateRole{Account: account, ID: "AROADEPLOY", Name: "deploy", Path: "/", MaxSession: 3600,
			Trust: strings.ReplaceAll(trusts(""), providerARN, provider)},
		&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindRole, Account: account, Name: "deploy"}, Name: "own", Document: allow("iam:*")})
	token := w.tokenOf(w.identityToken(temporary{credential: w.root}, askToken...))
	_, c := w.assumed(w.present(token))
	w.accepted("its session", w.as(c, "ListUsers"))
	given := w.get("/issuers/" + issuerID + "/.well-known/jwks.json").Body.String()

	w.accepted("rotate", w.native(w.root, http.MethodPost, "/v1/issuer-keys", ""))
	w.assumed(w.present(token))
	w.accepted("revoke", w.native(w.root, http.MethodPost, "/v1/issuer-keys/1/revoke", ""))
	const noKey = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
	w.refused("of a revoked key", w.present(token), http.StatusBadRequest, "InvalidIdentityToken", noKey)
	w.accepted("give the revoked key", w.native(w.root, http.MethodPost, "/v1/providers/keys", `{"provider":"`+provider+`","keys":`+given+`}`))
	w.refused("of a key that is given and revoked", w.present(token), http.StatusBadRequest, "InvalidIdentityToken", noKey)
	w.assumed(w.present(w.tokenOf(w.identityToken(temporary{credential: w.root}, askToken...))))
	w.accepted("revoke the active one", w.native(w.root, http.MethodPost, "/v1/issuer-keys/2/revoke", ""))
	w.refused("without any key", w.present(token), http.StatusBadRequest, "InvalidIdentityToken", noKey)
}

// The leader has another key sign when one has reached its age, and no earlier.
func TestIssuerKeysAreRotated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.node.now = time.Now
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.server.RotateKeys(ctx, 0, api.MinKeyAge)
		}()
		last := func() uint32 {
			synctest.Wait()
			return w.projection.View().State.IssuerKeys().Last
		}
		time.Sleep(api.MinKeyAge + time.Hour)
		if got := last(); got != 0 {
			t.Fatalf("without any token there is the key %d", got)
		}
		w.must(&identity.EnableWebIdentity{Account: account, Issuer: "http://writ.test/issuers/" + issuerID})
		w.tokenOf(w.identityToken(temporary{credential: w.root}, askToken...))
		time.Sleep(api.MinKeyAge - time.Minute)
		if got := last(); got != 1 {
			t.Errorf("before its age the key was rotated: %d", got)
		}
		time.Sleep(11 * time.Minute)
		for n := range uint32(3) {
			if got := last(); got != n+2 {
				t.Errorf("after %d times the age the last key is %d", n+1, got)
			}
			time.Sleep(api.MinKeyAge)
		}
		if w.last() != 0 {
			t.Error("a session key was made")
		}
		cancel()
		<-done
	})
}
