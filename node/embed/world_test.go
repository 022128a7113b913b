package embed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/lease"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/replication/propagation"
	"github.com/writ-iam/writ/test/layout"
)

// patience bounds the waits of these tests, which end as soon as they can.
const patience = 90 * time.Second

func TestMain(m *testing.M) {
	code := m.Run()
	for begun := time.Now(); code == 0; {
		err := goleak.Find( // as in package node
			goleak.IgnoreTopFunction("github.com/hashicorp/raft.emitLogStoreMetrics"),
			goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"))
		if err == nil {
			break
		}
		if time.Since(begun) > 30*time.Second {
			fmt.Fprintln(os.Stderr, "the tests leave running:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// world is a cluster of one writer in this process, and what is embedded beside it.
type world struct {
	t      testing.TB
	dir    string
	root   setup.RootKey
	cfg    node.Config // of the writer
	writer *node.Node  // nil while it is stopped
	logs   *slog.Logger
}

// logText is what nodes log.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// newWorld has a writer that runs, and places for replicas.
func newWorld(t testing.TB, replicas int) *world {
	t.Helper()
	w := laidOut(t, replicas)
	w.start()
	return w
}

// laidOut is a world whose writer does not run.
func laidOut(t testing.TB, replicas int) *world {
	t.Helper()
	dir, c, root := layout.Init(t, layout.Cluster(t, 1, replicas))
	logs := &logText{}
	w := &world{t: t, dir: dir, root: root, logs: slog.New(slog.NewTextHandler(logs, nil))}
	w.cfg = node.Config{Cluster: c, Name: "writer-1", Data: filepath.Join(dir, "data", "writer-1"), API: "127.0.0.1:0", Files: setup.DefaultFiles(dir, "writer-1"), Drain: 5 * time.Second}
	t.Cleanup(func() {
		w.stop()
		if t.Failed() {
			t.Log(logs.b.String())
		}
	})
	return w
}

func (w *world) start() {
	w.t.Helper()
	n, err := node.Start(context.Background(), w.cfg, w.logs)
	if err != nil {
		w.t.Fatal(err)
	}
	w.writer = n
	w.until("the writer leads", func(ctx context.Context) error {
		c, err := w.client().Cluster(ctx)
		if err == nil && c.Leader == "" {
			err = fmt.Errorf("nobody leads")
		}
		return err
	})
}

func (w *world) stop() {
	w.t.Helper()
	if w.writer == nil {
		return
	}
	if err := w.writer.Stop(); err != nil {
		w.t.Errorf("stop the writer: %v", err)
	}
	w.writer = nil
}

// config is that of a replica.
func (w *world) config(name string) Config {
	return Config{ClusterFile: filepath.Join(w.dir, "cluster.yaml"), Name: name, Dir: filepath.Join(w.dir, "data", name), Logger: w.logs}
}

// embed starts a replica, which ends with the test.
func (w *world) embed(cfg Config) *Replica {
	w.t.Helper()
	r, err := Start(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.close(r) })
	return r
}

// ready is embed of a replica that is ready.
func (w *world) ready(cfg Config) *Replica {
	w.t.Helper()
	r := w.embed(cfg)
	select {
	case <-r.Ready():
	case err := <-r.Failed():
		w.t.Fatalf("%s failed: %v", cfg.Name, err)
	case <-time.After(patience):
		w.t.Fatalf("%s is not ready: %+v", cfg.Name, r.Checks())
	}
	return r
}

func (w *world) close(r *Replica) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		w.t.Errorf("close: %v", err)
	}
}

func (w *world) client() *client.Client {
	w.t.Helper()
	c, err := client.New(client.Config{Endpoint: "http://" + w.writer.API(), AccessKeyID: w.root.AccessKeyID, SecretAccessKey: w.root.SecretAccessKey})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// until asks again until it is so. There is no event to wait for across nodes.
func (w *world) until(what string, so func(ctx context.Context) error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := so(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("%s: %v", what, err)
		}
	}
}

// must calls an action of IAM, and returns the token.
func (w *world) must(action string, pairs ...string) event.Token {
	w.t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	body := []byte(form.Encode())
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+w.writer.API()+"/", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	signer := sigv4.Signer{AccessKeyID: w.root.AccessKeyID, SecretAccessKey: w.root.SecretAccessKey, Service: "iam"}
	signer.Sign(r, sha256.Sum256(body), time.Now())
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatalf("%s: %v", action, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %d %s %v", action, answer.StatusCode, text, err)
	}
	token, err := event.ParseToken(answer.Header.Get("X-Writ-Token"))
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// allow is a policy.
func allow(action string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"` + action + `","Resource":"*"}}`
}

// user makes a user with a policy.
func (w *world) user(name, action string) event.Token {
	w.t.Helper()
	w.must("CreateUser", "UserName", name)
	return w.must("PutUserPolicy", "UserName", name, "PolicyName", "p", "PolicyDocument", allow(action))
}

func arn(user string) string { return "arn:aws:iam::" + setup.DefaultAccount + ":user/" + user }

// hands are clocks that a test sets forward.
type hands struct {
	mu      sync.Mutex
	forward time.Duration
	read    func() propagation.Clocks
}

func newHands() *hands { return &hands{read: lease.ReadClocks(time.Now())} }

func (h *hands) clocks() propagation.Clocks {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.read()
	return propagation.Clocks{Monotonic: c.Monotonic + h.forward, Boottime: c.Boottime + h.forward, Wall: c.Wall + h.forward}
}

func (h *hands) set(forward time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forward = forward
}
