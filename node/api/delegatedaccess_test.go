package api_test

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/identity"
)

// tradeIn exchanges a token for credentials.
func (w *world) tradeIn(c credential, token string) *httptest.ResponseRecorder {
	r, body := form(stsVersion, "GetDelegatedAccessToken", "TradeInToken", token)
	return w.serve(w.sign(r, c, "sts", body))
}

// An account asks for permissions of another one, whose user delegates them.
func TestDelegatedAccess(t *testing.T) {
	w := newWorld(t)
	const asking identity.AccountID = "210987654321"
	asker := credential{"AKIAOTHERROOT0000000", "the secret of another root"}
	const template = "arn:aws:iam::210987654321:policy/Template"
	w.must(&identity.CreateAccount{ID: asking, RootKey: w.sealed(asking, asker)},
		&identity.CreatePolicy{Account: asking, ID: "ANPATEMPLATE", Name: "Template", Path: "/", Document: allow("iam:Get*")})
	owner := w.user("owner", allow("*"))
	rec := w.accepted("ask", w.iam(asker, "CreateDelegationRequest", "Description", "d", "RequestorWorkflowId", "workflow", "NotificationChannel", "topic",
		"SessionDuration", "3600", "Permissions.PolicyTemplateArn", template))
	var asked struct {
		ID string `xml:"CreateDelegationRequestResult>DelegationRequestId"`
	}
	if err := xml.Unmarshal(rec.Body.Bytes(), &asked); err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"AssociateDelegationRequest", "UpdateDelegationRequest", "AcceptDelegationRequest"} {
		w.accepted(action, w.iam(owner, action, "DelegationRequestId", asked.ID))
	}
	token := w.accepted("send", w.iam(owner, "SendDelegationToken", "DelegationRequestId", asked.ID)).Header().Get("X-Writ-Trade-In-Token")
	if token == "" {
		t.Fatal("no token")
	}

	w.refused("who did not ask", w.tradeIn(owner, token), http.StatusForbidden, "AccessDenied", "")
	w.refused("no token", w.tradeIn(asker, "x"), http.StatusForbidden, "AccessDenied", "")
	denied := w.iam(w.user("nobody", ""), "GetUser", "UserName", "owner").Header().Get("X-Writ-Authorization-Message")
	w.refused("another text of the cluster", w.tradeIn(asker, denied), http.StatusForbidden, "AccessDenied", "")
	w.refused("decoded", w.decodeMessage(asker, token), http.StatusBadRequest, "InvalidAuthorizationMessageException", "")

	rec = w.accepted("trade in", w.tradeIn(asker, token))
	var answer struct {
		Principal string `xml:"GetDelegatedAccessTokenResult>AssumedPrincipal"`
		ID        string `xml:"GetDelegatedAccessTokenResult>Credentials>AccessKeyId"`
		Secret    string `xml:"GetDelegatedAccessTokenResult>Credentials>SecretAccessKey"`
		Token     string `xml:"GetDelegatedAccessTokenResult>Credentials>SessionToken"`
	}
	if err := xml.Unmarshal(rec.Body.Bytes(), &answer); err != nil || answer.Principal != userARN("owner") {
		t.Fatalf("%+v, %v", answer, err)
	}
	c := temporary{credential{answer.ID, answer.Secret}, answer.Token}
	w.accepted("what was asked for", w.as(c, "GetUser", "UserName", "owner"))
	w.refused("more", w.as(c, "ListUsers"), http.StatusForbidden, "AccessDenied", "")
	w.refused("a session of it", w.as(c, "CreateUser", "UserName", "x"), http.StatusForbidden, "AccessDenied", "")

	// Who trusts the owner does not trust whom it delegates to.
	w.must(&identity.CreateRole{Account: account, ID: "AROAADMIN", Name: "admin", Path: "/",
		Trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + userARN("owner") + `"},"Action":"sts:AssumeRole"}}`})
	r, body := form(stsVersion, "AssumeRole", "RoleArn", "arn:aws:iam::123456789012:role/admin", "RoleSessionName", "one")
	r.Header.Set("X-Amz-Security-Token", c.token)
	w.refused("a role that trusts the owner", w.serve(w.sign(r, c.credential, "sts", body)), http.StatusForbidden, "AccessDenied", "")
	for _, action := range []string{"AssumeRoot", "GetSessionToken", "GetFederationToken", "GetWebIdentityToken"} {
		r, body = form(stsVersion, action)
		r.Header.Set("X-Amz-Security-Token", c.token)
		w.refused(action, w.serve(w.sign(r, c.credential, "sts", body)), http.StatusForbidden, "AccessDenied", "Cannot call "+action+" with session credentials")
	}
	r, body = form(stsVersion, "GetCallerIdentity")
	r.Header.Set("X-Amz-Security-Token", c.token)
	w.accepted("who it is", w.serve(w.sign(r, c.credential, "sts", body)))

	w.accepted("end", w.revoke(`{"principal":"`+userARN("owner")+`"}`))
	w.refused("ended", w.as(c, "GetUser", "UserName", "owner"), http.StatusForbidden, "InvalidClientTokenId", "")
	w.refused("traded in anew", w.tradeIn(asker, token), http.StatusForbidden, "AccessDenied", "")
	w.now = func() time.Time { return noon.Add(7*24*time.Hour + time.Second) }
	w.refused("expired", w.tradeIn(asker, token), http.StatusBadRequest, "ExpiredTradeInTokenException", "")
}

// What a root delegates is what was asked for, and not all that a root may.
func TestDelegatedByRoot(t *testing.T) {
	w := newWorld(t)
	asker := w.stranger()
	w.must(&identity.CreatePolicy{Account: other, ID: "ANPATEMPLATE", Name: "Template", Path: "/", Document: allow("iam:Get*")})
	w.user("owner", "")
	id := between(w.accepted("ask", w.iam(asker, "CreateDelegationRequest", "Description", "d", "RequestorWorkflowId", "workflow", "NotificationChannel", "topic",
		"SessionDuration", "3600", "Permissions.PolicyTemplateArn", "arn:aws:iam::210987654321:policy/Template")).Body.String(), "DelegationRequestId")
	for _, action := range []string{"AssociateDelegationRequest", "UpdateDelegationRequest", "AcceptDelegationRequest"} {
		w.accepted(action, w.iam(w.root, action, "DelegationRequestId", id))
	}
	token := w.accepted("send", w.iam(w.root, "SendDelegationToken", "DelegationRequestId", id)).Header().Get("X-Writ-Trade-In-Token")
	text := w.accepted("trade in", w.tradeIn(asker, token)).Body.String()
	c := temporary{credential{between(text, "AccessKeyId"), between(text, "SecretAccessKey")}, between(text, "SessionToken")}
	w.accepted("what was asked for", w.as(c, "GetUser", "UserName", "owner"))
	w.refused("more", w.as(c, "ListUsers"), http.StatusForbidden, "AccessDenied", "")
	w.refused("a write", w.as(c, "CreateUser", "UserName", "x"), http.StatusForbidden, "AccessDenied", "")
}
