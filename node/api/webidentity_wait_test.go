package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/identity"
)

// TestWebIdentityAfterTheWait ends the trust in a provider while a request waits for its issuer:
// the session is authorized in a view after the wait.
func TestWebIdentityAfterTheWait(t *testing.T) {
	f := newFederated(t)
	f.user("alice", "")
	f.getSession() // there is a key for sessions, which would have the request authorized anew
	asked, answer := make(chan struct{}, 4), make(chan struct{})
	f.issuer.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-answer
		f.issuer.Publish(w, r)
	}))
	done := make(chan *httptest.ResponseRecorder)
	go func() { done <- f.present(f.issuer.Token(nil)) }()
	<-asked
	f.must(&identity.UpdateTrust{Account: account, Name: "deploy", Trust: strings.Replace(trusts(""), `"Allow"`, `"Deny"`, 1)})
	close(answer)
	rec := <-done
	f.refused("trusted no more", rec, http.StatusForbidden, "AccessDenied", "")
	if message := rec.Header().Get("X-Writ-Authorization-Message"); message != "" { // its length would tell of the role
		t.Errorf("it is told %s", message)
	}
}
