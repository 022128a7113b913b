package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/lease"
	"github.com/writ-iam/writ/node/nats"
	"github.com/writ-iam/writ/node/proof"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/node/trace"
	"github.com/writ-iam/writ/replication/propagation"
	"github.com/writ-iam/writ/test/layout"
)

// patience bounds the waits of these tests, which end as soon as they can.
const patience = 90 * time.Second

// team is a cluster whose nodes all run in this process.
type team struct {
	t              *testing.T
	dir            string
	cluster        setup.Cluster
	root           setup.RootKey
	machine        Machine        // of nodes started from now on
	traces         trace.Settings // of the same
	level          slog.Level     // of their log
	nats           func(name string) nats.Outside
	retentionEvery time.Duration            // 0: as configured
	caKey          string                   // of writers that renew certificates
	sealKey        func(name string) string // nil: all nodes have one file
	mu             sync.Mutex
	nodes          map[string]*Node // guarded by mu
	logs           logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newTeam(t *testing.T, writers, replicas int) *team {
	t.Helper()
	dir, c, root := layout.Init(t, layout.Cluster(t, writers, replicas))
	return teamIn(t, dir, c, root)
}

// teamIn is a cluster that is laid out in dir.
func teamIn(t *testing.T, dir string, c setup.Cluster, root setup.RootKey) *team {
	t.Helper()
	m := &team{t: t, dir: dir, cluster: c, root: root, nodes: map[string]*Node{}}
	t.Cleanup(func() {
		for name := range m.nodes {
			m.stop(name)
		}
		if t.Failed() {
			t.Log(m.logs.String())
		}
	})
	return m
}

func (m *team) config(name string) Config {
	cfg := Config{Cluster: m.cluster, Name: name, Data: filepath.Join(m.dir, "data", name), API: "127.0.0.1:0",
		Files: setup.DefaultFiles(m.dir, name), Drain: 5 * time.Second, Machine: m.machine, Traces: m.traces, RetentionEvery: m.retentionEvery}
	if _, writes := m.cluster.Writer(name); writes {
		cfg.Files.CAKey = m.caKey
	}
	if m.sealKey != nil {
		cfg.Files.SealKey = m.sealKey(name)
	}
	if m.nats != nil {
		cfg.NATS = m.nats(name)
	}
	return cfg
}

func (m *team) try(cfg Config) (*Node, error) {
	return Start(m.t.Context(), cfg, slog.New(slog.NewTextHandler(&m.logs, &slog.HandlerOptions{Level: m.level})))
}

func (m *team) start(names ...string) {
	m.t.Helper()
	for _, name := range names {
		n, err := m.try(m.config(name))
		if err != nil {
			m.t.Fatal(err)
		}
		m.add(name, n)
	}
}

func (m *team) add(name string, n *Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes[name] = n
}

func (m *team) node(name string) *Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nodes[name]
}

func (m *team) startAll() {
	m.t.Helper()
	for _, w := range m.cluster.Writers {
		m.start(w.Name)
	}
	for _, r := range m.cluster.Replicas {
		m.start(r.Name)
	}
	for name := range m.nodes {
		m.ready(name)
	}
}

func (m *team) stop(name string) {
	m.t.Helper()
	n := m.node(name)
	if err := n.Stop(); err != nil {
		m.t.Errorf("stop %s: %v", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.nodes, name)
}

func (m *team) url(name string) string { return "http://" + m.node(name).API() }

// until asks again until it is so. There is no event to wait for across nodes.
func (m *team) until(what string, so func(ctx context.Context) error) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
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
			m.t.Fatalf("%s: %v", what, err)
		}
	}
}

func (m *team) ready(name string) {
	m.t.Helper()
	m.until(name+" is ready", func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url(name)+"/readyz", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %w", text, err)
		}
		return nil
	})
}

// iam calls an action by way of a node and returns status, headers and body.
func (m *team) iam(name, action string, pairs ...string) (int, http.Header, string) {
	m.t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	body := []byte(form.Encode())
	r, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, m.url(name)+"/", bytes.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	service := "iam"
	if form.Get("Version") == "2011-06-15" {
		service = "sts"
	}
	signer := sigv4.Signer{AccessKeyID: m.root.AccessKeyID, SecretAccessKey: m.root.SecretAccessKey, Service: service}
	signer.Sign(r, sha256.Sum256(body), time.Now())
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		m.t.Fatalf("%s by way of %s: %v", action, name, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(text)
}

// must is iam for calls that succeed; it returns the token.
func (m *team) must(name, action string, pairs ...string) string {
	m.t.Helper()
	status, header, body := m.iam(name, action, pairs...)
	if status != http.StatusOK {
		m.t.Fatalf("%s by way of %s: %d %s", action, name, status, body)
	}
	return header.Get("X-Writ-Token")
}

func (m *team) client(name string) *client.Client {
	m.t.Helper()
	c, err := client.New(client.Config{Endpoint: m.url(name), AccessKeyID: m.root.AccessKeyID, SecretAccessKey: m.root.SecretAccessKey})
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

// everywhere waits until the position of a token is.
func (m *team) everywhere(name, token string) *client.Propagation {
	m.t.Helper()
	p, err := m.client(name).Propagation(m.t.Context(), client.Target{Token: token}, client.Scope{}, patience)
	if err != nil || !p.Everywhere() {
		m.t.Fatalf("everywhere: %+v, %v", p, err)
	}
	return p
}

// leader is who leads, as somebody who is up says.
func (m *team) leader(asked string) (name string) {
	m.t.Helper()
	m.until("somebody leads", func(ctx context.Context) error {
		c, err := m.client(asked).Cluster(ctx)
		if err != nil {
			return err
		}
		if name = c.Leader; name == "" || m.node(name) == nil {
			return fmt.Errorf("the leader is %q", name)
		}
		return nil
	})
	return name
}

func TestOneWriterAndAReplica(t *testing.T) {
	m := newTeam(t, 1, 1)
	m.startAll()
	alice := "arn:aws:iam::" + setup.DefaultAccount + ":user/alice"

	// a write by way of the replica, and a read of it there
	m.must("replica-1", "CreateUser", "UserName", "alice")
	token := m.must("replica-1", "PutUserPolicy", "UserName", "alice", "PolicyName", "p",
		"PolicyDocument", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*"}}`)
	m.must("replica-1", "GetUser", "UserName", "alice")
	d, err := m.client("replica-1").Authorize(t.Context(), client.Question{Principal: alice, Action: "s3:Get"}, client.Freshness{AtLeast: token})
	if err != nil || !d.Allowed() || d.Node != "replica-1" {
		t.Fatalf("decision %+v, %v", d, err)
	}
	if p := m.everywhere("replica-1", token); len(p.VisibleOn) != 1 || p.VisibleOn[0] != "replica-1" {
		t.Errorf("visible on %v", p.VisibleOn)
	}
	if d, err = m.client("replica-1").Authorize(t.Context(), client.Question{Principal: alice, Action: "s3:Get"}, client.Freshness{Consistency: "strict"}); err != nil || d.Freshness != "strict" {
		t.Errorf("strict: %+v, %v", d, err)
	}

	// the replica stops: after its lease's time it is fenced, and the write is everywhere
	m.stop("replica-1")
	token = m.must("writer-1", "DeleteUserPolicy", "UserName", "alice", "PolicyName", "p")
	if p := m.everywhere("writer-1", token); len(p.Fenced) != 1 {
		t.Errorf("fenced are %v, visible on %v", p.Fenced, p.VisibleOn)
	}

	// it starts again, from its checkpoint
	m.start("replica-1")
	m.ready("replica-1")
	if d, err = m.client("replica-1").Authorize(t.Context(), client.Question{Principal: alice, Action: "s3:Get"}, client.Freshness{AtLeast: token}); err != nil || d.Allowed() {
		t.Errorf("after the restart: %+v, %v", d, err)
	}
	if !strings.Contains(m.logs.String(), "starting from a checkpoint") {
		t.Error("the replica did not start from its checkpoint")
	}

	// the whole cluster stops and starts: nothing is lost
	m.stop("replica-1")
	m.stop("writer-1")
	m.startAll()
	m.must("writer-1", "GetUser", "UserName", "alice")
	m.must("replica-1", "GetUser", "UserName", "alice")
	local, err := m.client("replica-1").Local(t.Context())
	if err != nil || local.Node != "replica-1" {
		t.Errorf("local: %+v, %v", local, err)
	}
	if err := m.node("writer-1").Reload(); err != nil {
		t.Error(err)
	}
	m.stop("writer-1")
	if head, err := proof.VerifyLog(t.Context(), m.config("writer-1").Data); err != nil || head.Position == 0 {
		t.Errorf("verified up to %v, %v", head, err)
	}
	for _, secret := range []string{m.root.AccessKeyID, m.root.SecretAccessKey} {
		if strings.Contains(m.logs.String(), secret) {
			t.Error("the root's key is in the log")
		}
	}
}

// Without NATS replicas follow the writers' tails. Nodes reach each other, and
// tell the time, by what their configuration gives them for the machine.
func TestWithoutNATSOnAnotherMachine(t *testing.T) {
	c := layout.Cluster(t, 1, 1)
	c.NATS = setup.NoNATS
	c.Writers[0].Broker, c.Writers[0].Routes = "", ""
	dir, c, root := layout.Init(t, c)
	m := teamIn(t, dir, c, root)
	var dials, reads atomic.Int64
	late := 10 * time.Minute // signatures allow for fifteen
	machine := Machine{
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			dials.Add(1)
			return Machine{}.complete().Dial(ctx, addr)
		},
		Now: func() time.Time { return time.Now().Add(-late) },
	}
	clocks := lease.ReadClocks(time.Now())
	machine.Clocks = func() propagation.Clocks { reads.Add(1); return clocks() }
	m.machine = machine
	m.startAll()
	token := m.must("replica-1", "CreateUser", "UserName", "alice")
	if at := time.UnixMilli(int64(m.node("writer-1").projection.View().State.Time())); time.Since(at) < late {
		t.Errorf("the user was made at %v", at)
	}
	m.must("replica-1", "GetUser", "UserName", "alice")
	if token == "" || dials.Load() == 0 || reads.Load() == 0 {
		t.Errorf("token %q; %d dials and %d looks at the clocks went by what was given", token, dials.Load(), reads.Load())
	}
}

func TestThreeWritersAndTwoReplicas(t *testing.T) {
	m := newTeam(t, 3, 2)
	m.startAll()
	m.must("replica-1", "CreateUser", "UserName", "u0")
	m.everywhere("replica-2", m.must("replica-2", "CreateUser", "UserName", "u1"))

	// the leader stops while others write: what was acknowledged is there afterwards
	old := m.leader("replica-1")
	var wg sync.WaitGroup
	var mu sync.Mutex
	var made []string
	for g := range 4 {
		wg.Go(func() {
			for i := range 15 {
				name := fmt.Sprintf("g%d-%d", g, i)
				status, _, _ := m.iam("replica-1", "CreateUser", "UserName", name)
				if status == http.StatusOK {
					mu.Lock()
					made = append(made, name)
					mu.Unlock()
				}
			}
		})
	}
	m.stop(old)
	wg.Wait()
	if len(made) != 60 {
		t.Errorf("%d of 60 writes were acknowledged while the leader handed over", len(made))
	}
	now := m.leader("replica-1")
	for _, name := range made {
		m.must(now, "GetUser", "UserName", name)
	}

	// a writer that lost its disk joins again, as another server
	if err := os.RemoveAll(m.config(old).Data); err != nil {
		t.Fatal(err)
	}
	m.start(old)
	m.ready(old)
	m.must(old, "GetUser", "UserName", made[0])
	var before, after *client.Cluster
	m.until("the members are in step", func(ctx context.Context) (err error) {
		if after, err = m.client("replica-2").Cluster(ctx); err != nil {
			return err
		}
		digests := map[string]bool{}
		for _, member := range after.Members {
			if member.Role == "writer" {
				digests[member.Digest] = true
			}
			if member.State == "joining" || member.State == "learning" || member.State == "unreachable" || member.Lag > 0 {
				return fmt.Errorf("%s is %s with a lag of %d", member.Name, member.State, member.Lag)
			}
		}
		if len(digests) != 1 {
			return fmt.Errorf("digests are %v", digests)
		}
		return nil
	})
	if before, _ = m.client("replica-1").Local(t.Context()); before == nil || before.Incarnation != after.Incarnation {
		t.Errorf("the incarnation is %v here, %s there", before, after.Incarnation)
	}
}

// The first writer of the configuration begins a cluster once. Without its disk it
// joins what there is, or waits.
func TestTheFirstWriterBeginsOnce(t *testing.T) {
	m := newTeam(t, 3, 0)
	m.cluster.Quotas = setup.AWSQuotas
	m.startAll()
	m.must("writer-1", "CreateUser", "UserName", "alice")
	m.goesByAWS(t, "writer-1")
	incarnation := m.node("writer-2").projection.View().Cluster().Incarnation
	for _, name := range []string{"writer-1", "writer-2", "writer-3"} {
		m.stop(name)
	}
	if err := os.RemoveAll(m.config("writer-1").Data); err != nil {
		t.Fatal(err)
	}
	m.start("writer-1")
	m.until("it says what it waits for", func(context.Context) error {
		if !strings.Contains(m.logs.String(), "2 other writers do not answer") {
			return errors.New("it does not say")
		}
		return nil
	})
	if at := m.node("writer-1").projection.Head().Position; at != 0 {
		t.Fatalf("a second cluster began and is at %d", at)
	}
	m.start("writer-2", "writer-3")
	for _, name := range []string{"writer-1", "writer-2", "writer-3"} {
		m.ready(name)
	}
	m.must("writer-1", "GetUser", "UserName", "alice")
	if got := m.node("writer-1").projection.View().Cluster().Incarnation; got != incarnation {
		t.Errorf("the incarnation is %s, was %s", got, incarnation)
	}
	m.goesByAWS(t, "writer-1")
}

// goesByAWS checks that the first account goes by AWS's default quotas.
func (m *team) goesByAWS(t *testing.T, name string) {
	t.Helper()
	if a, ok := m.node(name).projection.View().State.Account(m.cluster.Account); !ok || a.Quotas != (identity.Quotas{Defaults: identity.DefaultsOfAWS}) {
		t.Errorf("the account is %+v", a)
	}
}

func TestStartRefuses(t *testing.T) {
	m := newTeam(t, 1, 1)
	m.startAll()
	other := newTeam(t, 1, 1)
	for name, c := range map[string]struct {
		change func(*Config)
		want   error
		text   string
	}{
		"a directory in use": {func(*Config) {}, setup.ErrInUse, "data/writer-1"},
		"no such node":       {func(c *Config) { c.Name = "writer-9" }, setup.ErrConfig, `no node "writer-9"`},
		"another node's certificate": {func(c *Config) {
			c.Files = setup.DefaultFiles(m.dir, "replica-1")
			c.Files.SealKey = setup.DefaultFiles(m.dir, "").SealKey
		}, setup.ErrConfig, "is for the replica replica-1, not for the writer writer-1"},
		"another cluster's certificate": {func(c *Config) { c.Files = setup.DefaultFiles(other.dir, "writer-1") }, setup.ErrConfig, other.cluster.ID},
		"no certificate":                {func(c *Config) { c.Files.Cert = "/nowhere" }, os.ErrNotExist, "/nowhere"},
		"no seal key":                   {func(c *Config) { c.Files.SealKey = "/nowhere" }, os.ErrNotExist, "/nowhere"},
		"a writer without keys":         {func(c *Config) { c.Files.SealKey = setup.NoSealKey }, setup.ErrConfig, "a writer needs the keys"},
		"a bad cluster":                 {func(c *Config) { c.Cluster.Account = "x" }, setup.ErrConfig, "twelve digits"},
		"a port in use":                 {func(c *Config) { c.Data += "-2" }, nil, "listen for other nodes"},
		"an API port in use": {func(c *Config) {
			c.Name, c.Data, c.Files, c.API = "replica-1", c.Data+"-3", setup.DefaultFiles(m.dir, "replica-1"), m.node("writer-1").API()
		}, nil, "listen for clients"},
		"no certificate for clients": {func(c *Config) {
			c.Name, c.Data, c.Files = "replica-1", c.Data+"-4", setup.DefaultFiles(m.dir, "replica-1")
			c.Files.APICert, c.Files.APIKey = "/nowhere", "/nowhere"
		}, os.ErrNotExist, "certificate for clients"},
	} {
		cfg := m.config("writer-1")
		c.change(&cfg)
		n, err := m.try(cfg)
		if err == nil {
			n.Stop()
		}
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A writer whose API port is taken gives everything back.
func TestAWriterThatCannotServe(t *testing.T) {
	m := newTeam(t, 1, 0)
	cfg := m.config("writer-1")
	cfg.API = m.cluster.Writers[0].Peer // taken by then
	if _, err := m.try(cfg); err == nil || !strings.Contains(err.Error(), "listen for clients") {
		t.Fatalf("it started: %v", err)
	}
	m.startAll()
	m.must("writer-1", "CreateUser", "UserName", "alice")
}

// A replica whose data is of another cluster says so and ends.
func TestAReplicaOfAnotherCluster(t *testing.T) {
	one, two := newTeam(t, 1, 1), newTeam(t, 1, 1)
	one.startAll()
	one.stop("replica-1") // leaves a checkpoint
	two.start("writer-1")
	two.ready("writer-1")
	cfg := two.config("replica-1")
	cfg.Data = one.config("replica-1").Data
	n, err := two.try(cfg)
	if err != nil {
		t.Fatal(err)
	}
	two.add("replica-1", n)
	select {
	case err := <-n.Failed():
		if !strings.Contains(err.Error(), one.cluster.ID) || !strings.Contains(err.Error(), two.cluster.ID) {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(patience):
		t.Error("it goes on")
	}
}

// A writer with another key to open secrets is not let in.
func TestAWriterWithAnotherSealKey(t *testing.T) {
	m := newTeam(t, 3, 0)
	strange := filepath.Join(t.TempDir(), "seal.key")
	if err := seal.Generate().SaveFile(strange); err != nil {
		t.Fatal(err)
	}
	cfg := m.config("writer-3")
	cfg.Files.SealKey = strange
	n, err := m.try(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.add("writer-3", n)
	m.start("writer-1", "writer-2")
	m.ready("writer-1")
	m.until("it says why", func(context.Context) error {
		if !strings.Contains(m.logs.String(), "writer writer-3 lacks keys to open secrets that the leader has") {
			return errors.New("it does not say")
		}
		return nil
	})
	if n.part.(*writer).quorum.Belongs() {
		t.Error("it was let in")
	}
}
