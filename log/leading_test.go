package log

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wire"
)

func TestTransferLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		old := c.leader()
		c.create(old, "a", 3)
		must(t, old.TransferLeadership(t.Context()))
		var next *node
		c.eventually("another leader", func() bool { next = c.leader(); return next != old })
		c.create(next, "b", 3)
		c.agree()
		if err := old.TransferLeadership(t.Context()); !errors.As(err, new(*NotLeaderError)) {
			t.Errorf("transfer by a follower: %v", err)
		}
	})
}

func TestLeadershipIsAnnouncedWhenProved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		old := c.leader()
		c.create(old, "a", 10)
		first := receive(t, old)
		if first.Context.Err() != nil || first.Term != old.Term() {
			t.Fatalf("announced %+v in term %d", first, old.Term())
		}
		head := old.Applied().Head
		c.cut(old)
		<-first.Context.Done()
		next := c.leader()
		second := receive(t, next)
		if second.Term <= first.Term {
			t.Errorf("term %d after %d", second.Term, first.Term)
		}
		if got := next.Applied().Head; got != head {
			t.Errorf("announced at %v, before %v was applied", got, head)
		}
	})
}

func receive(t *testing.T, m *node) Leadership {
	t.Helper()
	select {
	case l := <-m.Leadership():
		return l
	case <-time.After(patience):
		t.Fatal("no leadership is announced")
		return Leadership{}
	}
}

func TestFenceOfADeposedLeaderFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		old := c.leader()
		c.cut(old)
		if head, err := old.Fence(t.Context()); err == nil {
			t.Errorf("proved leadership at %v without a majority", head)
		}
		var next *node
		c.eventually("another leader", func() bool { next = c.leader(); return next != old })
		c.create(next, "a", 1)
		if head, err := old.Fence(t.Context()); err == nil {
			t.Errorf("proved leadership at %v after its successor's commit", head)
		}
		c.connect(old)
		c.agree()
	})
}

func TestFenceCoversWhatWasAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		leader := c.leader()
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 20 {
					before := leader.Applied().Head
					head, err := leader.Fence(t.Context())
					if err != nil || head.Position < before.Position {
						t.Errorf("fence at %v after %v: %v", head, before, err)
						return
					}
					if at := leader.Applied().Head.Position; at < head.Position {
						t.Errorf("fence at %d, but %d is applied", head.Position, at)
					}
				}
			})
		}
		wg.Go(func() { c.create(leader, "a", 50) })
		wg.Wait()
		c.agree()
	})
}

// advance marks a floor in the leader's term.
func advance(t *testing.T, leader *node, floor event.Position) error {
	_, err := leader.Mark(t.Context(), wire.Mark{Term: leader.Term(), Head: leader.Applied().Head, Floor: floor})
	return err
}

func TestFloorNeverDecreases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, func(c *Config) { c.TrailingLogs = 1 })
		leader := c.leader()
		c.create(leader, "a", 20)
		must(t, advance(t, leader, 15))
		must(t, advance(t, leader, 7))
		if advance(t, leader, 1000) == nil {
			t.Error("a floor above the head")
		}
		want := func(floor event.Position) {
			t.Helper()
			for _, m := range c.nodes {
				c.eventually("the floor", func() bool { return m.Applied().Floor >= floor })
				if got := m.Applied().Floor; got != floor {
					t.Errorf("%s: the floor is %d, not %d", m.address, got, floor)
				}
			}
		}
		want(15)
		must(t, leader.Snapshot())
		c.close(leader)
		next := c.leader()
		must(t, advance(t, next, 9))
		c.open(leader)
		want(15)
		must(t, advance(t, c.leader(), 18))
		want(18)
	})
}

func TestAnotherHashAtTheSamePositionHalts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		m := c.nodes[0]
		c.create(m, "a", 5)
		head := m.Applied().Head
		head.Hash[0] ^= 1
		_, err := m.Mark(t.Context(), wire.Mark{Term: m.Term(), Head: head})
		if err == nil {
			t.Fatal("a mark of another history was applied")
		}
		<-m.Failed()
		if !errors.Is(m.Err(), ErrDiverged) {
			t.Errorf("failed with: %v", m.Err())
		}
		if err := m.Snapshot(); err == nil {
			t.Error("a halted state machine made a snapshot")
		}
	})
}

func TestUnknownCommandHaltsBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		m := c.nodes[0]
		c.create(m, "a", 5)
		before := m.Applied()
		entry, err := wire.EncodeMark(&wire.Mark{})
		must(t, err)
		entry[0] = 99 // and so the hash is wrong as well: what a later release wrote cannot be made here
		f := m.raft.Apply(entry, 0)
		if err := f.Error(); err != nil {
			t.Fatal(err)
		}
		<-m.Failed()
		if !errors.Is(m.Err(), wire.ErrCorrupt) {
			t.Errorf("failed with: %v", m.Err())
		}
		if got := m.Applied(); got.Head != before.Head || got.Index >= f.Index() {
			t.Errorf("went on to %v at entry %d", got.Head, got.Index)
		}
	})
}

func TestMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, func(c *Config) { c.TrailingLogs = 5 })
		leader := c.leader()
		c.create(leader, "a", 10)

		// One more.
		fourth := c.add()
		c.join(fourth)
		if got := len(leader.Servers()); got != 4 {
			t.Errorf("%d members", got)
		}
		c.agree()

		// One leaves.
		c.byLeader(c.leader(), func(leader *node) error { return leader.RemoveServer(t.Context(), fourth.ID()) })
		c.close(fourth)
		c.create(leader, "b", 10)
		must(t, leader.Snapshot())

		// One loses its disk and comes back as another.
		var wiped *node
		leader = c.leader()
		for _, m := range c.nodes[:3] {
			if m != leader {
				wiped = m
			}
		}
		id := wiped.ID()
		c.close(wiped)
		wiped.dir = t.TempDir()
		c.open(wiped)
		if wiped.ID() == id {
			t.Fatal("a wiped server has its old id")
		}
		c.join(wiped)
		c.create(leader, "c", 10)
		c.agree()
		for _, s := range c.leader().Servers() {
			if s.ID == id {
				t.Error("the wiped server is still a member under its old id")
			}
		}
	})
}

func TestCloseHandsLeadershipOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		old := c.leader()
		c.create(old, "a", 3)
		log := old.Log
		old.Log = nil
		must(t, log.Close(t.Context()))
		must(t, log.Close(t.Context()))
		c.create(c.leader(), "b", 3)
		if _, err := log.Propose(t.Context(), createUser("u")); !errors.Is(err, ErrStopped) {
			t.Errorf("propose after close: %v", err)
		}
		if _, err := log.Fence(context.Background()); !errors.Is(err, ErrStopped) {
			t.Errorf("fence after close: %v", err)
		}
	})
}

var _ raft.BatchingFSM = (*fsm)(nil)
