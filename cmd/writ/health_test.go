package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A redirect is no answer of the node: who it leads to is not asked.
func TestHealthFollowsNoRedirect(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		t.Error("the other server was asked")
	}))
	defer other.Close()
	node := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer node.Close()
	var out bytes.Buffer
	if err := healthOf(t.Context(), &out, http.DefaultClient, node.URL); err == nil {
		t.Errorf("a node that redirects is healthy: %s", out.String())
	}
}
