package node

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/layout"
)

// leakPatience is how long what the tests started may take to end: a busy machine, and
// handshakes that nobody answers, take their time.
const leakPatience = 30 * time.Second

func TestMain(m *testing.M) {
	code := m.Run()
	for begun := time.Now(); code == 0; {
		err := goleak.Find( // tries for a second
			// Raft's own, of every node: it ends at its next tick.
			goleak.IgnoreTopFunction("github.com/hashicorp/raft.emitLogStoreMetrics"),
			// One clock for all stores of NATS in the process: a server that is stopped
			// while it makes a stream leaves it running.
			goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"))
		if err == nil {
			break
		}
		if time.Since(begun) > leakPatience {
			fmt.Fprintln(os.Stderr, "the tests leave running:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func TestAdvertise(t *testing.T) {
	addr := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 8420} }
	for _, c := range []struct {
		given  string
		addr   net.Addr
		secure bool
		want   string
	}{
		{"", addr("127.0.0.1"), false, "http://127.0.0.1:8420"},
		{"", addr("::1"), true, "https://[::1]:8420"},
		{"", addr("0.0.0.0"), false, ""},
		{"", addr("::"), false, ""},
		{"https://writ.example", addr("127.0.0.1"), false, "https://writ.example"},
	} {
		if got := setup.Advertised(c.given, c.addr, c.secure); got != c.want || setup.CheckAdvertise(got) != nil {
			t.Errorf("%+v: %q, %v", c, got, setup.CheckAdvertise(got))
		}
	}
	for _, text := range []string{"writ.example:8420", "ftp://writ.example", "http://", "http://u:p@writ.example", "http://writ.example?x", "http://" + strings.Repeat("x", 256)} {
		if err := setup.CheckAdvertise(text); !errors.Is(err, setup.ErrConfig) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestListenAddr(t *testing.T) {
	for _, c := range [][3]string{{"", "10.0.0.1:5", "10.0.0.1:5"}, {"", "name:5", ":5"}, {"[::]:7", "name:5", "[::]:7"}, {"", "odd", "odd"}} {
		if got := setup.ListenAddr(c[0], c[1]); got != c[2] {
			t.Errorf("%v: %s", c, got)
		}
	}
}

func TestPrintConfig(t *testing.T) {
	dir, c, root := layout.Init(t, layout.Cluster(t, 1, 0))
	var out bytes.Buffer
	if err := setup.PrintYAML(&out, Config{Cluster: c, Name: "writer-1", Files: setup.DefaultFiles(dir, "writer-1")}); err != nil ||
		!strings.Contains(out.String(), c.ID) || strings.Contains(out.String(), root.SecretAccessKey) {
		t.Errorf("%v: %s", err, &out)
	}
}
