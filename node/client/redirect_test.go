package client_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/writ-iam/writ/node/client"
)

// What the client sends has signatures, tokens and passwords: it goes where it was sent alone.
func TestNoRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the request was sent on") }))
	defer elsewhere.Close()
	node := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusPermanentRedirect))
	defer node.Close()
	if _, err := client.SignInAt(t.Context(), nil, []string{node.URL}, client.SignIn{Account: "123456789012", User: "alice", Password: "secret"}); err == nil {
		t.Error("a sign-in succeeded")
	}
	c, err := client.New(client.Config{Endpoint: node.URL, AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "sesame", SessionToken: "token"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Query(t.Context(), "iam", "ListUsers", url.Values{}); err == nil {
		t.Error("a call succeeded")
	}
}
