package node

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/gate"
)

// metric reads one line of a node's metrics.
func (m *team) metric(name, series string) (value float64) {
	m.t.Helper()
	m.until("the metrics are read", func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url(name)+"/metrics", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if number, ok := strings.CutPrefix(line, series+" "); ok {
				value, err = strconv.ParseFloat(strings.TrimSpace(number), 64)
				return err
			}
		}
		return fmt.Errorf("no %s in %s", series, text)
	})
	return value
}

// Connections that lie idle, or stop in the middle of a request, give way: who calls
// is answered at once.
func TestManyConnections(t *testing.T) {
	const total = 50
	m := newTeam(t, 1, 0)
	cfg := m.config("writer-1")
	cfg.Connections = Connections{Total: total, PerAddress: total}
	n, err := m.try(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.add("writer-1", n)
	m.ready("writer-1")
	m.must("writer-1", "CreateUser", "UserName", "before")
	for _, sent := range []string{"", "GET /livez HTTP/1.1\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nAction="} {
		for range total + 10 {
			c, err := net.Dial("tcp", n.API())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, sent); err != nil && sent == "" {
				t.Fatal(err)
			}
		}
		// A connection that rested may be giving way just now: what is asked comes on its own.
		http.DefaultClient.CloseIdleConnections()
		m.must("writer-1", "GetUser")
		fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for _, path := range []string{"/livez", "/readyz", "/openapi.json"} {
			answer, err := fresh.Get(m.url("writer-1") + path)
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Fatalf("after %q, %s: %v, %v", sent, path, answer, err)
			}
			answer.Body.Close()
		}
	}
	if open := m.metric("writer-1", "writ_connections"); open > total+gate.ProbeReserve {
		t.Errorf("%v are connected", open)
	}
	if gone := m.metric("writer-1", `writ_connections_closed_total{fate="evicted"}`); gone < 3*(total+10)-total {
		t.Errorf("%v gave way", gone)
	}
}
