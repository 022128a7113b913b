package lease

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication/propagation"
)

// term is a leader's term over a log that is a counter.
type term struct {
	*Tracker
	mu     sync.Mutex
	view   propagation.Shown
	failed error
	cancel context.CancelFunc
	done   chan struct{}
}

func head(at event.Position) event.Head { return event.Head{Position: at, Hash: event.Hash{byte(at)}} }

func newTerm(t *testing.T, members ...propagation.Registration) *term {
	x := &term{view: propagation.Shown{Head: head(5), Level: 1, Lives: event.Lives{Complete: true}, Roster: &propagation.Roster{At: 1, Registered: members}}, done: make(chan struct{})}
	x.Tracker = NewTracker(propagation.DefaultParams(), identity.Cluster{ID: "c", Incarnation: "i"}, 3, ReadClocks(time.Now()), counter{x})
	ctx, cancel := context.WithCancel(t.Context())
	x.cancel = cancel
	go func() { defer close(x.done); x.Run(ctx) }()
	return x
}

// counter is the log of a term.
type counter struct{ *term }

// Observe is what the test says.
func (c counter) Observe() propagation.Shown {
	c.term.mu.Lock()
	defer c.term.mu.Unlock()
	return c.view
}

// Commit takes a fence, unless the office is lost.
func (c counter) Commit(_ context.Context, f propagation.Fence) (uint64, propagation.Shown, error) {
	c.term.mu.Lock()
	defer c.term.mu.Unlock()
	c.view.Floor = max(c.view.Floor, f.Floor)
	c.view.Lives = c.view.Lives.Change(f.Opened, f.Dropped)
	return 3, c.view, c.failed
}

// Hashes is the same for all.
func (counter) Hashes(at event.Position) (propagation.Hashes, bool) {
	return propagation.Hashes{Hash: head(at).Hash}, true
}

func (x *term) end() { x.cancel(); <-x.done }

// replica renews as a replica does.
func replica(name string) *propagation.Lease {
	return propagation.NewLease(propagation.DefaultParams(), propagation.Replica{Name: name, Class: "tight", Cluster: "c", Incarnation: "i"}, "nonce-"+name)
}

func (x *term) renewed(t *testing.T, l *propagation.Lease, at event.Position) propagation.Kind {
	t.Helper()
	q := l.Renew(x.clocks(), propagation.Applied{Head: head(at), Level: 1})
	a, err := x.Renew(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	l.Receive(x.clocks(), a)
	return a.Kind
}

func TestTracking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTerm(t, propagation.Registration{Name: "r1", Class: "tight", Registered: 1})
		l := replica("r1")
		if k := x.renewed(t, l, 5); k != propagation.KindOpen {
			t.Fatalf("the first answer is %s", k)
		}
		if k := x.renewed(t, l, 5); k != propagation.KindGrant {
			t.Fatalf("the second answer is %s", k)
		}
		if k := x.renewed(t, replica("stranger"), 5); k != propagation.KindUnregistered {
			t.Errorf("a stranger is told %s", k)
		}
		x.mu.Lock()
		x.view.Head = head(6)
		x.mu.Unlock()
		if s, err := x.Everywhere(t.Context(), 6, propagation.Scope{}, 0); err != nil || s.State == propagation.StateEverywhere || len(s.Pending) != 1 {
			t.Errorf("before the replica has it: %+v, %v", s, err)
		}
		// who waits is told as soon as the replica has it
		answers := make(chan propagation.Status, 1)
		go func() {
			s, err := x.Everywhere(t.Context(), 6, propagation.Scope{}, time.Hour)
			if err != nil {
				t.Error(err)
			}
			answers <- s
		}()
		synctest.Wait()
		x.renewed(t, l, 6)
		if s := <-answers; s.State != propagation.StateEverywhere || len(s.VisibleOn) != 1 {
			t.Errorf("everywhere: %+v", s)
		}
		if m := x.Replicas(); len(m) != 1 || m[0].Acked != 6 || !m[0].Connected {
			t.Errorf("members are %+v", m)
		}
		// a replica that is silent is fenced after its window
		x.mu.Lock()
		x.view.Head = head(7)
		x.mu.Unlock()
		begun := time.Now()
		s, err := x.Everywhere(t.Context(), 7, propagation.Scope{}, time.Hour)
		if err != nil || s.State != propagation.StateEverywhere || len(s.Fenced) != 1 {
			t.Errorf("fenced: %+v, %v", s, err)
		}
		if waited := time.Since(begun); waited > 20*time.Second {
			t.Errorf("it took %v", waited)
		}
		x.end()
	})
}

func TestTrackingGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTerm(t, propagation.Registration{Name: "r1", Registered: 1})
		begun := time.Now()
		if s, err := x.Everywhere(t.Context(), 99, propagation.Scope{}, 3*time.Second); err != nil || s.State == propagation.StateEverywhere || time.Since(begun) != 3*time.Second {
			t.Errorf("%+v, %v after %v", s, err, time.Since(begun))
		}
		if _, err := x.Everywhere(t.Context(), 5, propagation.Scope{Replicas: []string{"nobody"}}, 0); !errors.Is(err, propagation.ErrScope) {
			t.Errorf("a scope of nobody: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := x.Everywhere(ctx, 99, propagation.Scope{}, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller gave up: %v", err)
		}
		// a fence that fails: whoever asked is told to look for the leader
		x.mu.Lock()
		x.failed = errors.New("the office is lost")
		x.mu.Unlock()
		if k := x.renewed(t, replica("r1"), 5); k != propagation.KindNotLeader {
			t.Errorf("a failed fence says %s", k)
		}
		waiting := make(chan error, 1)
		go func() { _, err := x.Everywhere(t.Context(), 99, propagation.Scope{}, time.Hour); waiting <- err }()
		synctest.Wait()
		x.end()
		if err := <-waiting; !errors.Is(err, peer.ErrNotLeader) {
			t.Errorf("a wait beyond the term: %v", err)
		}
		if _, err := x.Renew(t.Context(), propagation.Renewal{}); !errors.Is(err, peer.ErrNotLeader) {
			t.Errorf("a renewal after the term: %v", err)
		}
	})
}

func TestRosterOf(t *testing.T) {
	s := identity.NewState()
	fold := func(at identity.Position, c identity.Command) {
		events, err := identity.Decide(s, identity.Meta{}, c)
		if err != nil {
			t.Fatal(err)
		}
		identity.Evolve(s, at, identity.Meta{}, events)
	}
	fold(1, &identity.Bootstrap{Cluster: "c", Incarnation: "i", Account: setup.DefaultAccount, RootKey: identity.NewAccessKey{ID: "AKIAROOTROOTROOT0000"}})
	none := RosterOf(s, nil)
	fold(2, &identity.RegisterReplica{Name: "r1", Region: "eu", Class: "tight"})
	one := RosterOf(s, none)
	if len(none.Registered) != 0 || len(one.Registered) != 1 || one.At != 2 || one.Registered[0] != (propagation.Registration{Name: "r1", Region: "eu", Class: "tight", Registered: 2}) {
		t.Errorf("rosters %+v, %+v", none, one)
	}
	fold(3, &identity.CreateUser{Account: setup.DefaultAccount, ID: "AIDA1", Name: "u", Path: "/"})
	if RosterOf(s, one) != one {
		t.Error("a roster was made anew for nothing")
	}
}
