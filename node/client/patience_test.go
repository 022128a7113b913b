package client_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/node/client"
)

// waiter notes what it is told, and when.
type waiter struct {
	begun time.Time
	told  []time.Duration
	cause string
}

func (w *waiter) Waiting(cause string, _ time.Time) {
	w.told, w.cause = append(w.told, time.Since(w.begun)), cause
}

// A call that nobody can answer tells whoever waits within a few seconds, once, and ends with the
// cause; one that is answered late by a leader says nothing.
func TestNobodyLeads(t *testing.T) {
	for ready, want := range map[string][]string{
		"[+]start ok\n[-]raft failed: no leader is known\n": {"none is known to writ.test"},
		"[+]raft ok: writer-2 leads\n":                      nil,
		"something else":                                    nil,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &waiter{begun: time.Now()}
			c, err := client.New(client.Config{
				Endpoint: "http://writ.test", AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "sesame", Waiter: w,
				HTTP: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
					if strings.HasPrefix(r.URL.Path, "/readyz") {
						return says(http.StatusServiceUnavailable, ready)
					}
					select { // a node holds a write for a leader that may come
					case <-time.After(3 * time.Second):
					case <-r.Context().Done():
					}
					return says(http.StatusServiceUnavailable, problem(503, "ServiceUnavailable"))
				})},
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			_, err = c.RotateSessionKey(ctx)
			var none *client.NoLeader
			switch found := errors.As(err, &none); {
			case err == nil || found != (want != nil):
				t.Errorf("%q: %v", ready, err)
			case !found && len(w.told) == 0:
			case len(w.told) != 1 || w.told[0] > 4*time.Second || !slices.Equal(want, []string{w.cause}) || !strings.Contains(err.Error(), w.cause):
				t.Errorf("%q: told after %v: %q; %v", ready, w.told, w.cause, err)
			}
		})
	}
}
