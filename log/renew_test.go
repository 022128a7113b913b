package log

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

func renewal(dir string, m *node, why identity.Renewal) Renewal {
	return Renewal{Dir: dir, Advertise: string(m.address), Time: 1, Begin: identity.BeginIncarnation{Cluster: testCluster, Incarnation: "2", Why: why}}
}

// TestRecover takes one of three writers for the whole cluster, and has two new ones join it.
func TestRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		c.create(c.leader(), "a", 30)
		must(t, c.nodes[0].Snapshot())
		c.create(c.leader(), "b", 20)
		c.agree()
		head, id := c.nodes[0].Applied().Head, c.nodes[0].ID()
		for _, m := range c.nodes {
			c.close(m)
		}
		m := c.nodes[0]
		before, after, err := renewal(m.dir, m, identity.Recovered).Recover()
		must(t, err)
		if before.Kept != head || before.Committed != head.Position || len(before.Members) != 3 || after.Head.Position != head.Position+1 ||
			after.Floor != after.Head.Position || after.Lives.Complete {
			t.Errorf("%+v became %+v", before, after)
		}
		c.nodes = c.nodes[:1]
		c.open(m)
		c.leader()
		if m.ID() == id || len(m.Servers()) != 1 {
			t.Errorf("server %s, as before, of %v", m.ID(), m.Servers())
		}
		a := m.Applied().State
		if got := a.Cluster(); got.Incarnation != "2" || a.Former()[0].Last != head.Position {
			t.Errorf("the cluster is %+v, after %+v", got, a.Former())
		}
		if _, err := m.Propose(t.Context(), event.Command{Cluster: testCluster, Incarnation: "1", Content: &identity.CreateUser{}}); !errors.Is(err, ErrWrongIncarnation) {
			t.Errorf("a command of before: %v", err)
		}
		c.join(c.add())
		c.join(c.add())
		c.create(c.leader(), "c", 10)
		c.agree()
	})
}

func TestRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		m := c.nodes[0]
		c.create(m, "a", 30)
		a := m.Applied()
		c.create(m, "lost", 5)
		c.close(m)
		m.dir = t.TempDir()
		r, err := roundTrip(a)
		must(t, err)
		after, err := renewal(m.dir, m, identity.Restored).Restore(r, a.SnapshotHeader())
		must(t, err)
		c.open(m)
		c.leader()
		if after.Head.Position != a.Head.Position+1 || m.Applied().Head != after.Head || m.Applied().State.Cluster().Incarnation != "2" {
			t.Errorf("restored as %+v", after)
		}
		c.create(c.leader(), "b", 10)
		if first := m.Events().First(); first != after.Head.Position { // nothing brought what was before
			t.Errorf("the store begins at %d", first)
		}
		again := renewal(m.dir, m, identity.Restored)
		c.close(m)
		if _, err := again.Restore(r, a.SnapshotHeader()); !errors.Is(err, ErrDiverged) {
			t.Errorf("restored over a log: %v", err)
		}
	})
}

func TestRecoverNothing(t *testing.T) {
	if _, _, err := renewal(t.TempDir(), &node{address: "a:1"}, identity.Recovered).Recover(); !errors.Is(err, ErrEmpty) {
		t.Error(err)
	}
	if _, err := NewestSnapshot(t.TempDir()); !errors.Is(err, ErrEmpty) {
		t.Error(err)
	}
}

// roundTrip is a state of its own that equals a.
func roundTrip(a *Applied) (*identity.State, error) {
	l := identity.NewLoader()
	a.State.Records(func(r identity.Record) bool { l.Add(r); return true })
	s, err := l.State(func(jobs []func()) {
		for _, job := range jobs {
			job()
		}
	})
	return s, err
}
