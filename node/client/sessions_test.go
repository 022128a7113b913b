package client_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/client"
)

// Every node is asked, one that has two URLs counts once, and one that fails is named.
func TestSeenSessions(t *testing.T) {
	serve := func(name, session string) string {
		s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/sessions" || session == "" {
				http.Error(rw, `{"code":"NotLeased","detail":"no lease is in force"}`, http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintf(rw, `{"node":%q,"max":2000,"sessions":[{"kind":"role","access_key_id":%q,"last_seen":"2026-07-01T12:00:00Z"}]}`, name, session)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	endpoints := []string{serve("w1", "ASIA1"), serve("w1", "ASIA1"), serve("r1", "ASIA2"), serve("r2", "")}
	c, err := client.New(client.Config{Endpoints: endpoints, AccessKeyID: "AKIA", SecretAccessKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	told, err := c.SeenSessions(t.Context())
	said := map[string]string{}
	for _, node := range told {
		said[node.Node] = node.Sessions[0].AccessKeyID
	}
	if len(told) != 2 || said["w1"] != "ASIA1" || said["r1"] != "ASIA2" {
		t.Errorf("told: %+v", told)
	}
	if err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(endpoints[3], "http://")) || strings.Contains(err.Error(), strings.TrimPrefix(endpoints[0], "http://")) {
		t.Errorf("failed: %v", err)
	}
	one, err := client.New(client.Config{Endpoint: endpoints[2], AccessKeyID: "AKIA", SecretAccessKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if told, err := one.SeenSessions(t.Context()); err != nil || len(told) != 1 || told[0].Node != "r1" {
		t.Errorf("of one node: %+v, %v", told, err)
	}
}
