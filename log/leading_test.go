package log

import (
	"context"
	"crypto/sha256"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
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

// A writer that asks to be a member again and again, because it does not hear that it is one,
// does not fill the log; nor is the leader taken away for one that has its address.
func TestAddVoterAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		leader := c.leader()
		c.create(leader, "a", 1)
		c.agree()
		before := leader.raft.LastIndex()
		for _, m := range c.nodes {
			must(t, leader.AddVoter(t.Context(), m.ID(), string(m.address)))
		}
		if after := leader.raft.LastIndex(); after != before {
			t.Errorf("%d entries for what was so already", after-before)
		}
		if err := leader.AddVoter(t.Context(), "another", string(leader.address)); err == nil || len(leader.Servers()) != 3 {
			t.Errorf("in place of the leader: %v, %v", err, leader.Servers())
		}
		c.create(leader, "b", 1)
		for _, m := range c.nodes {
			if m != leader {
				if err := m.AddVoter(t.Context(), m.ID(), string(m.address)); !errors.As(err, new(*NotLeaderError)) {
					t.Errorf("by a follower: %v", err)
				}
			}
		}
	})
}

// A learner follows and has no vote until it is made a voter; a voter that moves keeps its vote.
func TestLearner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2, nil)
		leader, m := c.leader(), c.add()
		votes := func(of *node) (at string, voter bool) {
			for _, s := range leader.Servers() {
				if s.ID == of.ID() {
					at, voter = s.Address, s.Voter
				}
			}
			return at, voter
		}
		must(t, leader.AddLearner(t.Context(), m.ID(), string(m.address)))
		c.create(leader, "a", 1)
		c.agree()
		before := leader.raft.LastIndex()
		for _, m := range c.nodes {
			must(t, leader.AddLearner(t.Context(), m.ID(), string(m.address)))
		}
		if at, voter := votes(m); at != string(m.address) || voter || leader.raft.LastIndex() != before {
			t.Errorf("the learner at %q votes: %v; %d entries", at, voter, leader.raft.LastIndex()-before)
		}
		must(t, leader.AddVoter(t.Context(), m.ID(), string(m.address)))
		must(t, leader.AddLearner(t.Context(), m.ID(), "elsewhere:1"))
		if at, voter := votes(m); at != "elsewhere:1" || !voter {
			t.Errorf("a voter that moved: %q, %v", at, voter)
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
		if head, err := old.StrictHead(t.Context()); err == nil {
			t.Errorf("proved leadership at %v without a majority", head)
		}
		var next *node
		c.eventually("another leader", func() bool { next = c.leader(); return next != old })
		c.create(next, "a", 1)
		if head, err := old.StrictHead(t.Context()); err == nil {
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
					head, err := leader.StrictHead(t.Context())
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

// advance fences a floor in the leader's term.
func advance(t *testing.T, leader *node, floor event.Position) error {
	_, err := leader.Fence(t.Context(), wire.Fence{Term: leader.Term(), Head: leader.Applied().Head, Floor: floor})
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
		_, err := m.Fence(t.Context(), wire.Fence{Term: m.Term(), Head: head})
		if err == nil {
			t.Fatal("a fence of another history was applied")
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

func TestDamagedEntryHaltsBeforeIt(t *testing.T) {
	halts(t, wire.ErrCorrupt, func(t *testing.T) []byte {
		entry, err := wire.EncodeFence(&wire.Fence{})
		must(t, err)
		entry[0] = 99 // the hash no longer fits
		return entry
	})
}

// What a later release wrote is sound, and its hash fits: nothing of it is skipped.
func TestUnknownCommandHaltsBeforeIt(t *testing.T) {
	encoded := func(t *testing.T, content identity.Command) []byte {
		entry, err := wire.EncodeCommand(&event.Command{Cluster: testCluster, Incarnation: "1", Content: content})
		must(t, err)
		return entry[:len(entry)-sha256.Size]
	}
	resealed := func(body []byte) []byte {
		sum := sha256.Sum256(body)
		return append(body, sum[:]...)
	}
	for name, alter := range map[string]func(t *testing.T) []byte{
		"format": func(t *testing.T) []byte {
			body := encoded(t, &identity.RemoveReplica{Name: "r"})
			body[0] = 99
			return resealed(body)
		},
		"kind": func(t *testing.T) []byte {
			// These two differ in the number of their kind alone.
			body, other := encoded(t, &identity.RemoveReplica{Name: "r"}), encoded(t, &identity.DrainReplica{Name: "r"})
			for i := range body {
				if body[i] != other[i] {
					body[i] = 119 // of no command
					return resealed(body)
				}
			}
			t.Fatal("two kinds have one number")
			return nil
		},
		"feature level": func(t *testing.T) []byte {
			return resealed(encoded(t, &identity.RaiseFeatureLevel{Level: identity.FeatureLevel + 1}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var unknown *wire.UnknownError
			if err := halts(t, ErrTooOld, alter); !errors.As(err, &unknown) {
				t.Errorf("failed with: %v", err)
			}
		})
	}
}

// halts applies an entry that a writer cannot apply, and checks that it stops before
// it: with cause, if that is given, which it returns.
func halts(t *testing.T, cause error, entry func(t *testing.T) []byte) (why error) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		m := c.nodes[0]
		c.create(m, "a", 5)
		before := m.Applied()
		f := m.raft.Apply(entry(t), 0)
		if err := f.Error(); err != nil {
			t.Fatal(err)
		}
		<-m.Failed()
		if why = m.Err(); cause != nil && !errors.Is(why, cause) {
			t.Errorf("failed with: %v", why)
		}
		if got := m.Applied(); got.Head != before.Head || got.Index >= f.Index() {
			t.Errorf("went on to %v at entry %d", got.Head, got.Index)
		}
	})
	return why
}

// A change whose batch would be too large is refused before the state moves on.
func TestChangeTooLargeForABatchIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t}
		m := c.add()
		must(t, m.Bootstrap())
		c.leader()
		begin := &identity.Bootstrap{Cluster: testCluster, Incarnation: "1", Account: "123456789012", RootKey: identity.NewAccessKey{ID: "AKIAROOT"}}
		for i := range 12000 { // small in the command; a batch says more of each event
			id := strconv.Itoa(i)
			begin.Managed = append(begin.Managed, identity.CreatePolicy{Account: "aws", ID: identity.ID(id), Name: id})
		}
		_, err := m.Propose(t.Context(), event.Command{Cluster: testCluster, Content: begin})
		var refusal *identity.Refusal
		if !errors.As(err, &refusal) || refusal.Code != identity.LimitExceeded {
			t.Fatalf("proposed: %v", err)
		}
		if got := m.Applied(); got.Head.Position != 0 || m.Err() != nil {
			t.Errorf("position %d, %v", got.Head.Position, m.Err())
		}
		begin.Managed = begin.Managed[:10]
		if _, err := m.Propose(t.Context(), event.Command{Cluster: testCluster, Content: begin}); err != nil {
			t.Errorf("after the refusal: %v", err)
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
		if _, err := log.StrictHead(context.Background()); !errors.Is(err, ErrStopped) {
			t.Errorf("fence after close: %v", err)
		}
	})
}

var _ raft.BatchingFSM = (*fsm)(nil)
