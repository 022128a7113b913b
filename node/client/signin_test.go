package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A node that cannot serve is passed over, and one that said no, or may have used the code up,
// is the last that is asked.
func TestSignInAt(t *testing.T) {
	asked := map[string]int{}
	serve := func(name string, status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked[name]++
			if r.Method != http.MethodPost || r.URL.Path != "/signin" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Authorization") != "" {
				t.Errorf("%s %s, %v", r.Method, r.URL, r.Header)
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	busy := serve("busy", http.StatusServiceUnavailable, `{"code":"Unavailable"}`)
	good := serve("good", http.StatusOK, `{"access_key_id":"ASIA"}`)
	for _, c := range []struct {
		status int
		code   string
	}{{http.StatusForbidden, "SignInFailed"}, {http.StatusServiceUnavailable, "OutcomeUnknown"}} {
		clear(asked)
		var p *Problem
		if _, err := SignInAt(t.Context(), nil, []string{busy, serve("last", c.status, `{"code":"`+c.code+`"}`), good}, SignIn{}); !errors.As(err, &p) || p.Code != c.code || asked["busy"] != 1 || asked["good"] != 0 {
			t.Errorf("%s: %v, asked were %v", c.code, err, asked)
		}
	}
	if said, err := SignInAt(t.Context(), nil, []string{"http://127.0.0.1:1", busy, good}, SignIn{}); err != nil || said.AccessKeyID != "ASIA" {
		t.Errorf("%+v, %v", said, err)
	}
	for _, endpoints := range [][]string{nil, {"nonsense"}} {
		if _, err := SignInAt(t.Context(), nil, endpoints, SignIn{}); !errors.Is(err, ErrConfig) {
			t.Errorf("%v: %v", endpoints, err)
		}
	}
}
