package lease

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/replication/propagation"
)

// Log is what a tracker needs of the log that its term is of. Its methods may be called
// by any number of goroutines.
type Log interface {
	// Observe is the latest state of the log, as this writer has applied it.
	Observe() propagation.Shown
	// Commit puts a fence into the log: an entry that proves who leads. It returns the
	// entry's term and what the leader's own state machine showed as it applied it.
	Commit(context.Context, propagation.Fence) (term uint64, v propagation.Shown, err error)
	// Hashes is what the log says of a position, if it can still tell.
	Hashes(at event.Position) (propagation.Hashes, bool)
}

// Tracker drives the tracker of one term of this node's leadership: it gives it
// requests, clocks and fences, and its answers to whoever waits for them.
type Tracker struct {
	clocks func() propagation.Clocks
	log    Log

	mu      sync.Mutex // guards all below, and the tracker
	tracker *propagation.Tracker
	replies map[propagation.Ticket]chan propagation.Answer
	ended   bool
	changed chan struct{} // closed when a tick has ended
	wake    chan struct{} // one element: there may be something to do
	// told is what the replicas told of themselves in their latest renewals, by name: one for each
	// life that spoke lately, the latest last.
	told map[string][]life
}

// life is what one life of a replica told of itself last.
type life struct {
	nonce string
	Told
}

// NewTracker returns the tracker of a term of this node's leadership of a cluster.
func NewTracker(p propagation.Params, cluster identity.Cluster, term uint64, clocks func() propagation.Clocks, log Log) *Tracker {
	return &Tracker{
		clocks: clocks, log: log,
		tracker: propagation.NewTracker(p, cluster.ID, cluster.Incarnation, term, clocks(), log.Observe()),
		replies: make(map[propagation.Ticket]chan propagation.Answer),
		changed: make(chan struct{}),
		wake:    make(chan struct{}, 1),

		told: make(map[string][]life),
	}
}

// Run ticks until ctx, which is that of the term, ends.
func (t *Tracker) Run(ctx context.Context) {
	defer t.end()
	for {
		t.mu.Lock()
		now := t.clocks()
		t.tracker.Observe(now, t.log.Observe()) // a replica may have been registered since the last tick
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
func (t *Tracker) tick(ctx context.Context, fence propagation.Fence) {
	term, v, err := t.log.Commit(ctx, fence)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.deliver(t.tracker.FailTick())
	} else {
		t.deliver(t.tracker.EndTick(t.clocks(), term, v, t.log.Hashes))
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

// end answers all who still wait.
func (t *Tracker) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.deliver(t.tracker.Close())
	close(t.changed)
	t.changed = make(chan struct{})
}

// deliver gives answers to those who wait for them. The lock is held.
func (t *Tracker) deliver(replies []propagation.Reply) {
	for _, r := range replies {
		if c, ok := t.replies[r.Ticket]; ok {
			c <- r.Answer // has room for one
			delete(t.replies, r.Ticket)
		}
	}
}

func (t *Tracker) poke() {
	select {
	case t.wake <- struct{}{}:
	default: // it is awake
	}
}

// Renew answers a replica's renewal, after a fence. Errors are peer.ErrNotLeader, once the
// term has ended, and ctx's.
func (t *Tracker) Renew(ctx context.Context, q propagation.Renewal) (propagation.Answer, error) {
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return propagation.Answer{}, peer.ErrNotLeader
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

// Everywhere tells how far a position has come, waiting for at most wait until it
// is everywhere. Errors are peer.ErrNotLeader, propagation.ErrScope and ctx's.
func (t *Tracker) Everywhere(ctx context.Context, at event.Position, scope propagation.Scope, wait time.Duration) (propagation.Status, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		t.mu.Lock()
		if t.ended {
			t.mu.Unlock()
			return propagation.Status{}, peer.ErrNotLeader
		}
		now := t.clocks()
		t.tracker.Observe(now, t.log.Observe())
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

// Replicas tells about all replicas.
func (t *Tracker) Replicas() []propagation.ReplicaStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clocks()
	t.tracker.Observe(now, t.log.Observe()) // the roster may have changed since the last tick
	return t.tracker.Replicas(now)
}

// Spread looks how far a position has come, without a promise; changed is closed when a tick
// has ended. False: the term has ended.
func (t *Tracker) Spread(at event.Position) (s propagation.Spread, changed <-chan struct{}, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return s, nil, false
	}
	now := t.clocks()
	t.tracker.Observe(now, t.log.Observe())
	return t.tracker.Spread(now, at), t.changed, true
}

// Reached notes what a replica tells of itself. Names are those of certificates, so there are no
// more of them than the cluster has nodes.
func (t *Tracker) Reached(name, nonce string, told Told) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := slices.DeleteFunc(t.told[name], func(l life) bool { return l.nonce == nonce })
	known = append(known, life{nonce, told})
	t.told[name] = known[max(0, len(known)-propagation.MaxLives):]
}

// Told is what a life of a replica, as its status names it, told of itself; or whichever spoke last.
func (t *Tracker) Told(name, nonce string) (last Told) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.told[name] {
		if strings.HasPrefix(l.nonce, nonce) {
			last = l.Told
		}
	}
	return last
}
