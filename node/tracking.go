package node

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/replication/propagation"
)

// mark commits a fence: an entry of the log that proves who leads. It returns the
// entry's term and what the leader's own state machine showed as it applied it.
type mark func(context.Context, propagation.Fence) (term uint64, v propagation.View, err error)

// tracking drives the tracker of one term of this node's leadership: it gives it
// requests, clocks and fences, and its answers to whoever waits for them.
type tracking struct {
	clocks  func() propagation.Clocks
	observe func() propagation.View
	commit  mark
	history func(event.Position) (propagation.Record, bool)

	mu      sync.Mutex // guards all below, and the tracker
	tracker *propagation.Tracker
	replies map[propagation.Ticket]chan propagation.Answer
	ended   bool
	changed chan struct{} // closed when a tick has ended
	wake    chan struct{} // one element: there may be something to do
	// endpoints are where clients reach the readers, by name, as these said it in their
	// latest renewals: one for each life that said so lately, the latest last.
	endpoints map[string][]lifeEndpoint
}

// lifeEndpoint is where clients reach one life of a reader.
type lifeEndpoint struct{ nonce, url string }

func newTracking(p propagation.Params, cluster identity.Cluster, term uint64, clocks func() propagation.Clocks, observe func() propagation.View, commit mark,
	history func(event.Position) (propagation.Record, bool)) *tracking {
	return &tracking{
		clocks: clocks, observe: observe, commit: commit, history: history,
		tracker: propagation.NewTracker(p, cluster.ID, cluster.Incarnation, term, clocks(), observe()),
		replies: make(map[propagation.Ticket]chan propagation.Answer),
		changed: make(chan struct{}),
		wake:    make(chan struct{}, 1),

		endpoints: make(map[string][]lifeEndpoint),
	}
}

// run ticks until ctx, which is that of the term, ends.
func (t *tracking) run(ctx context.Context) {
	defer t.end()
	for {
		t.mu.Lock()
		now := t.clocks()
		t.tracker.Observe(now, t.observe()) // a reader may have been registered since the last tick
		fence, due := t.tracker.BeginTick(now)
		wait, timed := t.tracker.NextTick(now)
		t.mu.Unlock()
		if due {
			t.tick(ctx, fence)
			continue
		}
		if !timed {
			wait = time.Hour // until something arrives
		}
		timer := time.NewTimer(wait)
		select {
		case <-t.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// tick commits the fence of a tick and gives out the answers.
func (t *tracking) tick(ctx context.Context, fence propagation.Fence) {
	term, v, err := t.commit(ctx, fence)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.deliver(t.tracker.FailTick())
	} else {
		t.deliver(t.tracker.EndTick(t.clocks(), term, v, t.history))
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

// end answers all who still wait.
func (t *tracking) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.deliver(t.tracker.Close())
	close(t.changed)
	t.changed = make(chan struct{})
}

// deliver gives answers to those who wait for them. The lock is held.
func (t *tracking) deliver(replies []propagation.Reply) {
	for _, r := range replies {
		if c, ok := t.replies[r.Ticket]; ok {
			c <- r.Answer // has room for one
			delete(t.replies, r.Ticket)
		}
	}
}

func (t *tracking) poke() {
	select {
	case t.wake <- struct{}{}:
	default: // it is awake
	}
}

// renew answers a reader's renewal, after a fence.
func (t *tracking) renew(ctx context.Context, q propagation.Renewal) (propagation.Answer, error) {
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return propagation.Answer{}, api.ErrNotLeader
	}
	ticket, ok := t.tracker.Renew(q)
	if !ok {
		defer t.mu.Unlock()
		return t.tracker.Busy(q.Nonce, q.Seq), nil
	}
	reply := make(chan propagation.Answer, 1)
	t.replies[ticket] = reply
	t.mu.Unlock()
	t.poke()
	select {
	case a := <-reply:
		return a, nil
	case <-ctx.Done():
		t.mu.Lock()
		delete(t.replies, ticket)
		t.mu.Unlock()
		return propagation.Answer{}, ctx.Err()
	}
}

// everywhere tells how far a position has come, waiting for at most wait until it
// is everywhere.
func (t *tracking) everywhere(ctx context.Context, at event.Position, scope propagation.Scope, wait time.Duration) (propagation.Status, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		t.mu.Lock()
		if t.ended {
			t.mu.Unlock()
			return propagation.Status{}, api.ErrNotLeader
		}
		now := t.clocks()
		t.tracker.Observe(now, t.observe())
		s, err := t.tracker.Everywhere(now, at, scope)
		changed := t.changed
		t.mu.Unlock()
		if err != nil || s.State == propagation.StateEverywhere || wait <= 0 {
			return s, err
		}
		t.poke() // the question may have asked for a tick
		next := time.NewTimer(pollEvery)
		if s.HasChanges {
			next.Reset(min(pollEvery, max(0, s.Changes-now.Monotonic)))
		}
		select {
		case <-changed:
		case <-next.C:
		case <-deadline.C:
			next.Stop()
			return s, nil
		case <-ctx.Done():
			next.Stop()
			return s, ctx.Err()
		}
		next.Stop()
	}
}

// pollEvery bounds how long a wait sleeps when no tick ends: positions may be
// committed without one.
const pollEvery = 200 * time.Millisecond

// members tells about all readers.
func (t *tracking) members() []propagation.MemberStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clocks()
	t.tracker.Observe(now, t.observe()) // the roster may have changed since the last tick
	return t.tracker.Members(now)
}

// reached notes where clients reach a reader. Names are those of certificates, so
// there are no more of them than the cluster has nodes.
func (t *tracking) reached(name, nonce, url string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := slices.DeleteFunc(t.endpoints[name], func(e lifeEndpoint) bool { return e.nonce == nonce })
	known = append(known, lifeEndpoint{nonce, url})
	t.endpoints[name] = known[max(0, len(known)-propagation.MaxLives):]
}

// endpoint is where clients reach a life of a reader, as its status names it, or
// whichever spoke last.
func (t *tracking) endpoint(name, life string) (url string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.endpoints[name] {
		if strings.HasPrefix(e.nonce, life) {
			url = e.url
		}
	}
	return url
}

// rosterOf makes the tracker's roster from a state; it returns last when nothing
// changed since that was made.
func rosterOf(s *identity.State, last *propagation.Roster) *propagation.Roster {
	c := s.Cluster()
	if last != nil && last.At == c.RosterChanged {
		return last
	}
	r := &propagation.Roster{At: c.RosterChanged}
	for _, m := range s.Replicas() {
		r.Members = append(r.Members, propagation.Member{
			Name: m.Name, Region: m.Region, Class: m.Class, Draining: m.Draining, Registered: m.Registered,
		})
	}
	return r
}
