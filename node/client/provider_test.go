package client

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Keys that are empty, or cut short, are not sent: a node would go back to those that the issuer publishes.
func TestSetProviderKeys(t *testing.T) {
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, string(body))
		fmt.Fprint(w, `{}`)
	}))
	t.Cleanup(s.Close)
	c, err := New(Config{Endpoint: s.URL, AccessKeyID: "AKIA", SecretAccessKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	for text, why := range map[string]string{"": "empty", " ": "unexpected end", "-----BEGIN": "invalid", `{"keys":[`: "unexpected end"} {
		if _, err := c.SetProviderKeys(t.Context(), ProviderKeys{Provider: "arn", Keys: []byte(text)}); err == nil || !strings.Contains(err.Error(), "the keys are no JSON Web Key Set") || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if len(asked) > 0 {
		t.Errorf("a node was asked: %q", asked)
	}
	for _, set := range []ProviderKeys{{Provider: "arn"}, {Provider: "arn", Keys: []byte(`{"keys":[]}`)}} {
		if _, err := c.SetProviderKeys(t.Context(), set); err != nil {
			t.Error(err)
		}
	}
	if want := []string{`{"provider":"arn"}`, `{"provider":"arn","keys":{"keys":[]}}`}; fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}
