package broker_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/writ-iam/writ/replication/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, cfg broker.Config) *broker.Broker {
	t.Helper()
	b, err := broker.Start(t.Context(), withDefaults(t, cfg))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	return b
}

func withDefaults(t *testing.T, cfg broker.Config) broker.Config {
	if cfg.Name == "" {
		cfg.Name = "a"
	}
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "broker")
	}
	cfg.Consumers = func(name string) []string { return []string{name + "-0", name + "-1"} }
	cfg.Logger = slog.New(slog.DiscardHandler)
	return cfg
}

// connection is a name that a follower may give its connection.
const connection = "a-ABCDEFGHIJKLMNOPQRSTUVWXY2"

// ask speaks the client protocol by hand: it connects as the given user (none if
// empty), sends the lines, and returns what the server says first after its greeting.
func ask(t *testing.T, conn net.Conn, user, password string, lines ...string) string {
	t.Helper()
	return askAs(t, conn, connection, user, password, lines...)
}

func askAs(t *testing.T, conn net.Conn, name, user, password string, lines ...string) string {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	if info, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(info, "INFO ") {
		t.Fatalf("greeting %q, %v", info, err)
	}
	// An in-process connection has no buffer: write while reading.
	go func() {
		fmt.Fprintf(conn, `CONNECT {"verbose":false,"name":%q,"user":%q,"pass":%q,"headers":true}`+"\r\n", name, user, password)
		for _, line := range append(lines, "PING") {
			fmt.Fprint(conn, line, "\r\n")
		}
	}()
	answer, err := r.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return strings.TrimSpace(answer)
}

func TestWhoMayDoWhat(t *testing.T) {
	b := start(t, broker.Config{ClientAddr: "127.0.0.1:0"})
	user, password := b.Credentials()
	network := func() (net.Conn, error) { return net.Dial("tcp", b.ClientAddr()) }
	for _, test := range []struct {
		name           string
		dial           func() (net.Conn, error)
		user, password string
		line           string
		allowed        bool
	}{
		{"publisher publishes", b.InProcessConn, user, password, "PUB writ.x 0\r\n", true},
		{"publisher deletes a stream", b.InProcessConn, user, password, "PUB $JS.API.STREAM.DELETE.x 0\r\n", true},
		{"publisher purges", b.InProcessConn, user, password, "PUB $JS.API.STREAM.PURGE.x 0\r\n", false},
		{"publisher deletes a message", b.InProcessConn, user, password, "PUB $JS.API.STREAM.MSG.DELETE.x 0\r\n", false},
		{"wrong password", b.InProcessConn, user, "x", "PUB writ.x 0\r\n", false},
		{"follower looks", network, "", "", "PUB $JS.API.STREAM.INFO.x 0\r\n", true},
		{"follower consumes", network, "", "", "PUB $JS.API.CONSUMER.CREATE.x.a-1 0\r\n", true},
		{"follower goes on", network, "", "", "PUB $JS.API.CONSUMER.MSG.NEXT.x.a-1 0\r\n", true},
		{"follower ends", network, "", "", "PUB $JS.API.CONSUMER.DELETE.x.a-1 0\r\n", true},
		{"follower filters", network, "", "", "PUB $JS.API.CONSUMER.CREATE.x.a-1.y 0\r\n", false},
		{"follower makes another's consumer", network, "", "", "PUB $JS.API.CONSUMER.CREATE.x.y 0\r\n", false},
		{"follower makes a durable", network, "", "", "PUB $JS.API.CONSUMER.DURABLE.CREATE.x.a-1 0\r\n", false},
		{"follower makes a consumer too many", network, "", "", "PUB $JS.API.CONSUMER.CREATE.x.a-2 0\r\n", false},
		{"follower makes a consumer of its connection", network, "", "", "PUB $JS.API.CONSUMER.CREATE.x." + connection + " 0\r\n", false},
		{"follower makes a consumer without a name", network, "", "", "PUB $JS.API.CONSUMER.CREATE.x 0\r\n", false},
		{"follower asks the publisher beside the request", network, "", "", "PUB writ-consumers.x.a-1 0\r\n", false},
		{"follower hears others ask", network, "", "", "SUB writ-consumers.*.* 1", false},
		{"follower pauses its consumer", network, "", "", "PUB $JS.API.CONSUMER.PAUSE.x.a-1 0\r\n", false},
		{"follower resets its consumer", network, "", "", "PUB $JS.API.CONSUMER.RESET.x.a-1 0\r\n", false},
		{"follower unpins its consumer", network, "", "", "PUB $JS.API.CONSUMER.UNPIN.x.a-1 0\r\n", false},
		{"follower unseats its consumer's leader", network, "", "", "PUB $JS.API.CONSUMER.LEADER.STEPDOWN.x.a-1 0\r\n", false},
		{"follower lists consumers", network, "", "", "PUB $JS.API.CONSUMER.NAMES.x 0\r\n", false},
		{"follower gets a message directly", network, "", "", "PUB $JS.API.DIRECT.GET.x 0\r\n", false},
		{"follower puts into a bucket", network, "", "", "PUB $KV.x.y 0\r\n", false},
		{"follower controls a flow", network, "", "", "PUB $JS.FC.x.a-1.y 0\r\n", false},
		{"follower asks the system", network, "", "", "PUB $SYS.REQ.SERVER.PING 0\r\n", false},
		{"publisher hears who wants a consumer", b.InProcessConn, user, password, "SUB writ-consumers.*.* 1", true},
		{"publisher makes a consumer", b.InProcessConn, user, password, "PUB $JS.API.CONSUMER.CREATE.x.y 0\r\n", true},
		{"publisher answers whom it was not asked by", b.InProcessConn, user, password, "PUB _R_.x 0\r\n", false},
		{"follower takes from another's consumer", network, "", "", "PUB $JS.API.CONSUMER.MSG.NEXT.x.y 0\r\n", false},
		{"follower ends another's consumer", network, "", "", "PUB $JS.API.CONSUMER.DELETE.x.y 0\r\n", false},
		{"follower reads messages", network, "", "", "PUB $JS.API.STREAM.MSG.GET.x 0\r\n", false},
		{"follower acknowledges", network, "", "", "PUB $JS.ACK.x.y.1.1.1.1.1 0\r\n", false},
		{"follower answers another", network, "", "", "PUB _INBOX.x.y 0\r\n", false},
		{"follower answers for the server", network, "", "", "PUB _R_.x 0\r\n", false},
		{"follower publishes", network, "", "", "PUB writ.x 0\r\n", false},
		{"follower creates a stream", network, "", "", "PUB $JS.API.STREAM.CREATE.x 0\r\n", false},
		{"follower deletes a stream", network, "", "", "PUB $JS.API.STREAM.DELETE.x 0\r\n", false},
		{"follower listens in", network, "", "", "SUB writ.> 1", false},
		{"follower listens to all inboxes", network, "", "", "SUB _INBOX.> 1", false},
		{"follower listens to another's inbox", network, "", "", "SUB _INBOX.x.> 1", false},
		{"follower listens to requests", network, "", "", "SUB $JS.API.> 1", false},
		{"follower listens to everything", network, "", "", "SUB > 1", false},
		{"follower has an inbox", network, "", "", "SUB _INBOX." + connection + ".> 1", true},
		{"publisher has an inbox", b.InProcessConn, user, password, "SUB _INBOX." + connection + ".> 1", true},
		{"publisher listens to another's inbox", b.InProcessConn, user, password, "SUB _INBOX.x.> 1", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, err := test.dial()
			if err != nil {
				t.Fatal(err)
			}
			answer := ask(t, conn, test.user, test.password, test.line)
			if allowed := answer == "PONG"; allowed != test.allowed {
				t.Errorf("the server said %q", answer)
			}
		})
	}
}

// TestNames has followers give connections names, of which they need one of their own.
func TestNames(t *testing.T) {
	b := start(t, broker.Config{ClientAddr: "127.0.0.1:0"})
	random := connection[1:]
	for name, allowed := range map[string]bool{
		"a" + random: true, "replica-1" + random: true,
		random: false, "a": false, "": false, "a.b" + random: false, "*" + random: false, ">" + random: false, "a b" + random: false,
		"a" + strings.ToLower(random): false, "a" + strings.Replace(random, "B", ".", 1): false, "a" + strings.Replace(random, "B", "*", 1): false,
		"a" + random + ".>": false, "a" + strings.Replace(random, "-", "X", 1): false,
	} {
		conn, err := net.Dial("tcp", b.ClientAddr())
		if err != nil {
			t.Fatal(err)
		}
		if answer := askAs(t, conn, name, "", ""); (answer == "PONG") != allowed {
			t.Errorf("%q: the server said %q", name, answer)
		}
	}
}

// TestConnectionsOfOneName has a follower hold as many connections as it may.
func TestConnectionsOfOneName(t *testing.T) {
	b := start(t, broker.Config{ClientAddr: "127.0.0.1:0"})
	hold := func(name string) string {
		conn, err := net.Dial("tcp", b.ClientAddr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		r := bufio.NewReader(conn)
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, `CONNECT {"verbose":false,"name":%q}`+"\r\nPING\r\n", name+connection[1:])
		answer, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(answer)
	}
	for n := range broker.MaxPerName {
		if answer := hold("a"); answer != "PONG" {
			t.Fatalf("connection %d: %s", n+1, answer)
		}
	}
	if answer := hold("a"); answer == "PONG" {
		t.Error("one more was admitted")
	}
	if answer := hold("b"); answer != "PONG" {
		t.Errorf("another name: %s", answer)
	}
}

// TestWarningsAreBounded has strangers knock.
func TestWarningsAreBounded(t *testing.T) {
	var said lines
	b, err := broker.Start(t.Context(), broker.Config{
		Name: "a", Dir: filepath.Join(t.TempDir(), "broker"), ClientAddr: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(&said, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	began := time.Now()
	for range 200 {
		conn, err := net.Dial("tcp", b.ClientAddr())
		if err != nil {
			t.Fatal(err)
		}
		if answer := askAs(t, conn, "nobody", "", ""); answer == "PONG" {
			t.Fatal("admitted")
		}
	}
	if most := broker.SayBurst + int(time.Since(began)/broker.SayInterval) + 1; said.count() > most {
		t.Errorf("%d lines, more than %d", said.count(), most)
	}
}

// lines counts what is written.
type lines struct {
	mu sync.Mutex
	n  int
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	return len(p), nil
}

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

func TestReadyAndStop(t *testing.T) {
	b := start(t, broker.Config{})
	if err := b.Ready(); err != nil {
		t.Error(err)
	}
	if b.ClientAddr() != "" {
		t.Errorf("listens on %q", b.ClientAddr())
	}
	b.Stop()
	if err := b.Ready(); !errors.Is(err, broker.ErrStopped) {
		t.Error(err)
	}
	if _, err := b.InProcessConn(); !errors.Is(err, broker.ErrStopped) {
		t.Error(err)
	}
}

// TestStartsOverAnything starts where an earlier life, or something else, left a mess.
func TestStartsOverAnything(t *testing.T) {
	for name, mess := range map[string]func(dir string) error{
		"a file instead of the directory": func(dir string) error { return os.WriteFile(dir, []byte("x"), 0o600) },
		"garbage in the directory": func(dir string) error {
			if err := os.MkdirAll(filepath.Join(dir, "jetstream", "$SYS"), 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "jetstream", "$SYS", "_js_"), []byte("garbage"), 0o600)
		},
		"a directory that cannot be read": func(dir string) error {
			return os.MkdirAll(filepath.Join(dir, "locked", "up"), 0o000)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "broker")
			if err := mess(dir); err != nil && !os.IsPermission(err) {
				t.Fatal(err)
			}
			b := start(t, broker.Config{Dir: dir})
			if err := b.Ready(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWipedWhileRunning(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "broker")
	b := start(t, broker.Config{Dir: dir, ClientAddr: "127.0.0.1:0"})
	addr := b.ClientAddr()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	// The server that was wiped is shut down, which ends its connections.
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 4096); err == nil; {
		_, err = conn.Read(buf)
	}
	if os.IsTimeout(err) {
		t.Fatal("the wiped server runs on")
	}
	for {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			continue // not there yet; the test's own timeout bounds this
		}
		answer := ask(t, conn, "", "")
		if strings.Contains(answer, "Authorization Violation") {
			continue // it listens, and has no account for followers yet
		}
		if answer != "PONG" {
			t.Errorf("the new server said %q", answer)
		}
		break
	}
}

func TestRefusedConfigurations(t *testing.T) {
	for name, cfg := range map[string]broker.Config{
		"no TLS on a public address":      {ClientAddr: "0.0.0.0:0"},
		"no TLS on a name":                {ClientAddr: "localhost:0"},
		"TLS without client certificates": {ClientAddr: "127.0.0.1:0", ClientTLS: &tls.Config{}},
		"routes without TLS":              {RouteAddr: "0.0.0.0:0", Cluster: "c", Routes: []string{"127.0.0.1:1"}},
		"a cluster without its members":   {RouteAddr: "127.0.0.1:0", Cluster: "c"},
		"a cluster without a name":        {RouteAddr: "127.0.0.1:0", Routes: []string{"127.0.0.1:1"}},
		"an address that is none":         {ClientAddr: "127.0.0.1"},
		"a port that is none":             {ClientAddr: "127.0.0.1:http"},
		"a route that is none":            {RouteAddr: "127.0.0.1:0", Cluster: "c", Routes: []string{"127.0.0.1"}},
		"less than no memory":             {Memory: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if b, err := broker.Start(t.Context(), withDefaults(t, cfg)); err == nil {
				b.Stop()
				t.Error("started")
			}
		})
	}
}

func TestAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	b, err := broker.Start(t.Context(), withDefaults(t, broker.Config{ClientAddr: taken.Addr().String()}))
	if err == nil {
		b.Stop()
		t.Fatal("started")
	}
	if !strings.Contains(err.Error(), "address already in use") {
		t.Error(err)
	}
}

func TestStartIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if b, err := broker.Start(ctx, withDefaults(t, broker.Config{})); err == nil {
		b.Stop()
		t.Error("started")
	}
}
