package client_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/writ-iam/writ/node/client"
)

// Who asks for a challenge signs nothing, and is told what the node says.
func TestSignInChallengeAt(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked client.SignInChallengeFor
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.URL.Path != "/signin/challenge" || r.Header.Get("Authorization") != "" || asked.User != "alice" {
			t.Errorf("%s asks %+v: %v", r.URL, asked, err)
		}
		_, _ = w.Write([]byte(`{"publicKey":{"challenge":"abc","rpId":"example.com"}}`))
	}))
	defer s.Close()
	said, err := client.SignInChallengeAt(t.Context(), nil, []string{s.URL}, client.SignInChallengeFor{Account: "ops", User: "alice"})
	if err != nil || said.PublicKey.Challenge != "abc" || said.PublicKey.RPID != "example.com" {
		t.Errorf("%+v, %v", said, err)
	}
}
