package log

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/hashicorp/raft.emitLogStoreMetrics"))
}

const testCluster = "0b8f6c2e-3ad3-4c0f-9c88-7d8a3f8b2f10"

// patience bounds what a test waits for, in the time of its bubble: there the clock
// stands still while anyone has something to do.
const patience = 2 * time.Minute

// node is one writer of a cluster under test.
type node struct {
	*Log
	dir       string
	address   raft.ServerAddress
	transport *raft.InmemTransport
}

// cluster is some writers over an in-memory transport. Its tests run under
// testing/synctest, so that no timeout strikes because a machine is slow.
type cluster struct {
	t     testing.TB
	nodes []*node
	tune  func(*Config) // of every node that is opened
	mu    sync.Mutex    // held while a node gets a Log or loses it: others backfill from it
}

// newCluster starts n writers of a cluster that has begun, with account 123456789012.
func newCluster(t testing.TB, n int, tune func(*Config)) *cluster {
	t.Helper()
	c := &cluster{t: t, tune: tune}
	for range n {
		c.add()
	}
	must(t, c.nodes[0].Bootstrap())
	_, err := c.leader().Propose(t.Context(), event.Command{
		Cluster: testCluster,
		Content: &identity.Bootstrap{Cluster: testCluster, Incarnation: "1", Account: "123456789012", RootKey: identity.NewAccessKey{ID: "AKIAROOT"}},
	})
	must(t, err)
	for _, m := range c.nodes[1:] {
		c.join(m)
	}
	return c
}

// join makes a writer a member.
func (c *cluster) join(m *node) {
	c.t.Helper()
	c.byLeader(c.leader(), func(leader *node) error { return leader.AddVoter(c.t.Context(), m.ID(), string(m.address)) })
}

// add opens one more writer, which belongs to no cluster yet.
func (c *cluster) add() *node {
	m := &node{dir: c.t.TempDir(), address: raft.ServerAddress(fmt.Sprintf("writer-%d:1", len(c.nodes)))}
	c.mu.Lock()
	c.nodes = append(c.nodes, m)
	c.mu.Unlock()
	c.open(m)
	return m
}

func (c *cluster) config(m *node) Config {
	config := Config{
		Dir: m.dir, Advertise: string(m.address), Cluster: testCluster, Transport: m.transport,
		SnapshotInterval: time.Hour, MinFree: 1,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Backfill: c.backfill,
	}
	if testing.Verbose() {
		config.Logger = slog.New(slog.NewTextHandler(c.t.Output(), nil)).With("node", m.address)
	}
	if c.tune != nil {
		c.tune(&config)
	}
	return config
}

// backfill reads from whichever writer has the batches.
func (c *cluster) backfill(_ context.Context, from, to event.Position, yield func([]byte) error) error {
	c.mu.Lock()
	var logs []*Log
	for _, m := range c.nodes {
		if m.Log != nil {
			logs = append(logs, m.Log)
		}
	}
	c.mu.Unlock()
	for _, l := range logs {
		found, err := l.Events().Read(from, int(to-from+1), 1<<30)
		if err != nil || len(found) < int(to-from+1) {
			continue
		}
		for _, b := range found {
			if err := yield(b); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("no writer has them")
}

// open opens a writer, in the directory it has, and connects it to all others.
func (c *cluster) open(m *node) {
	c.t.Helper()
	_, m.transport = raft.NewInmemTransportWithTimeout(m.address, 2*time.Second)
	log, err := Open(c.config(m))
	must(c.t, err)
	c.mu.Lock()
	m.Log = log
	c.mu.Unlock()
	c.connect(m)
	c.t.Cleanup(func() { c.close(m) })
}

func (c *cluster) connect(m *node) {
	for _, other := range c.nodes {
		if other != m && other.Log != nil {
			m.transport.Connect(other.address, other.transport)
			other.transport.Connect(m.address, m.transport)
		}
	}
}

// cut takes a writer off the network.
func (c *cluster) cut(m *node) {
	m.transport.DisconnectAll()
	for _, other := range c.nodes {
		other.transport.Disconnect(m.address)
	}
}

func (c *cluster) close(m *node) {
	if m.Log == nil {
		return
	}
	c.cut(m)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	log := m.Log
	c.mu.Lock()
	m.Log = nil
	c.mu.Unlock()
	if err := log.Close(ctx); err != nil && log.Err() == nil {
		c.t.Errorf("close %s: %v", m.address, err)
	}
}

// leader waits for a writer that leads and has announced it.
func (c *cluster) leader() *node {
	c.t.Helper()
	var leader *node
	c.eventually("a leader", func() bool {
		for _, m := range c.nodes {
			if m.Log == nil || !m.IsLeader() {
				continue
			}
			ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
			_, err := m.StrictHead(ctx)
			cancel()
			if err == nil {
				leader = m
				return true
			}
		}
		return false
	})
	return leader
}

// lead makes a writer the leader.
func (c *cluster) lead(m *node) {
	c.t.Helper()
	c.eventually("its leadership", func() bool {
		now := c.leader()
		if now != m {
			_ = now.raft.LeadershipTransferToServer(raft.ServerID(m.ID()), m.address).Error()
		}
		return now == m
	})
}

// eventually waits until something is so.
func (c *cluster) eventually(what string, so func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !so(); pass(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// pass lets time pass in a bubble, where that takes none.
func pass(d time.Duration) { <-time.After(d) }

// reach waits until a writer has applied a position.
func (c *cluster) reach(m *node, position event.Position) {
	c.t.Helper()
	timeout := time.After(patience)
	for {
		changed := m.Changed()
		if m.Applied().Head.Position >= position {
			return
		}
		select {
		case <-changed:
		case <-m.Failed():
			c.t.Fatalf("%s failed: %v", m.address, m.Err())
		case <-timeout:
			c.t.Fatalf("%s is at %d and does not reach %d", m.address, m.Applied().Head.Position, position)
		}
	}
}

// agree waits until all writers that run have the same head, and compares all they hold.
func (c *cluster) agree() {
	c.t.Helper()
	head := c.leader().Applied().Head
	var batches [][]byte
	for _, m := range c.nodes {
		if m.Log == nil {
			continue
		}
		c.reach(m, head.Position)
		c.eventually("no gaps", func() bool { return len(m.Events().Gaps()) == 0 })
		a := m.Applied()
		if a.Head != head || a.State.Position() != head.Position {
			c.t.Fatalf("%s is at %v, not %v", m.address, a.Head, head)
		}
		if a.State.Digest() != a.State.Recount() {
			c.t.Errorf("%s: the state is not what its digest says", m.address)
		}
		if verified, err := m.Events().Verify(c.t.Context(), nil); err != nil || verified != head {
			c.t.Errorf("%s: verified %v: %v", m.address, verified, err)
		}
		held, err := m.Events().Read(1, int(head.Position), 1<<30)
		must(c.t, err)
		if batches == nil {
			batches = held
		}
		if !slices.EqualFunc(batches, held, slices.Equal) {
			c.t.Errorf("%s holds other batches", m.address)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// createUser returns a command with a key of its own.
func createUser(name string) event.Command {
	var key identity.Key
	_, _ = rand.Read(key[:])
	return event.Command{
		Cause:   event.Cause{Meta: identity.Meta{Time: 1000, Key: key}},
		Content: &identity.CreateUser{Account: "123456789012", ID: identity.ID("AIDA" + name), Name: name, Path: "/"},
	}
}

// create makes n users through a writer, or whoever leads when that one no longer does.
func (c *cluster) create(m *node, prefix string, n int) {
	c.t.Helper()
	for i := range n {
		cmd := createUser(fmt.Sprintf("%s%d", prefix, i))
		c.byLeader(m, func(m *node) error {
			_, err := m.Propose(c.t.Context(), cmd)
			return err
		})
	}
}

// byLeader does what can be done twice, until a leader has done it.
func (c *cluster) byLeader(m *node, do func(*node) error) {
	c.t.Helper()
	for {
		err := do(m)
		if err == nil {
			return
		}
		if !errors.Is(err, ErrOutcomeUnknown) && !errors.As(err, new(*NotLeaderError)) {
			c.t.Fatal(err)
		}
		m = c.leader()
	}
}

// copyDir copies what is on disk at this moment: what a crash would leave.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	must(t, os.CopyFS(to, os.DirFS(from)))
	must(t, os.Chmod(to, 0o700))
	for _, name := range []string{EventsFile, entriesFile} {
		must(t, os.Chmod(filepath.Join(to, name), 0o600))
	}
	return to
}
