package log

import (
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
)

func life(name string) event.Life { return event.Life{Replica: "r", Nonce: name} }

func nonces(l event.Lives) (out []string) {
	for x := range l.All() {
		out = append(out, x.Nonce)
	}
	return out
}

// The lives that fences name are on every writer, in snapshots, and after a restart.
func TestLivesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, func(c *Config) { c.TrailingLogs = 1 })
		leader := c.leader()
		c.create(leader, "a", 5)
		mark := func(m *node, opened, dropped []event.Life) {
			t.Helper()
			a, err := m.Fence(t.Context(), wire.Fence{Term: m.Term(), Head: m.Applied().Head, Opened: opened, Dropped: dropped})
			must(t, err)
			if !slices.Equal(nonces(a.Lives), nonces(m.Applied().Lives)) {
				t.Errorf("the fence found %v", nonces(a.Lives))
			}
		}
		want := func(names ...string) {
			t.Helper()
			for _, m := range c.nodes {
				c.eventually("the lives", func() bool { return slices.Equal(nonces(m.Applied().Lives), names) })
				if !m.Applied().Lives.Complete {
					t.Errorf("%s does not know all lives of a log that named them from its beginning", m.address)
				}
			}
		}
		mark(leader, []event.Life{life("n1"), life("n2")}, nil)
		mark(leader, []event.Life{life("n3")}, []event.Life{life("n1")})
		want("n2", "n3")
		must(t, leader.Snapshot())
		c.close(leader)
		next := c.leader()
		c.create(next, "b", 5)
		c.open(leader)
		want("n2", "n3")
		mark(c.leader(), nil, []event.Life{life("n2")})
		want("n3")
	})
}

// What a fence says of lives counts only where it was committed in its own term; and
// a fence from before fences named lives says that there may be others.
func TestFencesOfAnotherTermNameNobody(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "events.db"), store.Options{})
	must(t, err)
	defer s.Close()
	f := newFSM("", s, new(failure), func() {})
	index := uint64(0)
	apply := func(term uint64, m wire.Fence) event.Lives {
		t.Helper()
		entry, err := wire.EncodeFence(&m)
		must(t, err)
		index++
		o := f.Apply(&raft.Log{Index: index, Term: term, Data: entry}).(result)
		must(t, o.err)
		if !slices.Equal(nonces(o.fenced.Lives), nonces(f.applied.Load().Lives)) {
			t.Errorf("the fence found %v", nonces(o.fenced.Lives))
		}
		return f.applied.Load().Lives
	}
	check := func(l event.Lives, complete bool, names ...string) {
		t.Helper()
		if l.Complete != complete || !slices.Equal(nonces(l), names) {
			t.Errorf("%v, complete %v; not %v, %v", nonces(l), l.Complete, names, complete)
		}
	}
	check(f.applied.Load().Lives, true)
	check(apply(1, wire.Fence{Term: 1, Opened: []event.Life{life("n1"), life("n2")}}), true, "n1", "n2")
	check(apply(2, wire.Fence{Term: 1, Opened: []event.Life{life("n3")}, Dropped: []event.Life{life("n1")}}), true, "n1", "n2")
	check(apply(3, wire.Fence{Term: 2, Nameless: true}), false, "n1", "n2")
	check(apply(4, wire.Fence{Term: 3, Complete: true}), false, "n1", "n2")
	check(apply(4, wire.Fence{Term: 4, Dropped: []event.Life{life("n2")}}), false, "n1")
	check(apply(4, wire.Fence{Term: 4, Complete: true}), true, "n1")
	check(apply(5, wire.Fence{Term: 5}), true, "n1")
}
