// Package projection is the read model: it folds batches into a state and
// publishes immutable views, from which every answer is computed at exactly one
// position.
//
// A replica's projection folds the batches that its follower hands it (Apply,
// Restore). A writer's adopts the state that the state machine behind Raft has
// just folded (Adopt); the two share all records, so a writer holds them once.
// Either way the digest that travels in a batch is compared with the state's
// own, and a projection that finds a difference publishes nothing more.
package projection

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// Errors of a projection.
var (
	// ErrDiverged is returned when a batch's digest is not that of the state it
	// leads to: the node holds another state than the cluster and must not answer.
	ErrDiverged = errors.New("the state diverged from the cluster's")
	// ErrOutOfOrder is returned when a batch does not continue the history.
	ErrOutOfOrder = errors.New("the batch does not continue the history")
	// ErrTokenMismatch is returned when a token names a position that exists here
	// with another hash.
	ErrTokenMismatch = errors.New("the token names a position of another history")
)

// View is the state at one position. It never changes.
type View struct {
	State *identity.State
	Head  event.Head

	engine *engine
}

// Cluster and incarnation whose history the view belongs to.
func (v *View) Cluster() identity.Cluster { return v.State.Cluster() }

// Token is the token for the view's position.
func (v *View) Token() event.Token {
	c := v.State.Cluster()
	return event.TokenOf(c.ID, c.Incarnation, v.Head)
}

// recentHeads is how many of the latest positions can be compared with a
// token's hash prefix; older tokens are taken by their cluster and incarnation.
const recentHeads = 1 << 14

// Projection publishes views. Apply, Restore and Adopt belong to one goroutine
// at a time; everything else may be called by any.
type Projection struct {
	view atomic.Pointer[View]

	limits Limits

	mu      sync.Mutex
	engine  *engine         // of the views to come
	state   *identity.State // folded by Apply; nil when views are adopted
	failure error           // set by a divergence, until Restore
	changed chan struct{}   // closed at the next publication or divergence
	recent  *event.Recent
}

// New returns a projection at position zero.
func New() *Projection { return Within(Limits{}) }

// Within is New with limits of its own.
func Within(l Limits) *Projection {
	l = l.complete()
	p := &Projection{limits: l, engine: newEngine(l), state: identity.NewState(), changed: make(chan struct{}), recent: event.NewRecent(recentHeads)}
	p.view.Store(&View{State: p.state.Snapshot(), engine: p.engine})
	return p
}

// View is the latest published view.
func (p *Projection) View() *View { return p.view.Load() }

// Head is the head of the latest view.
func (p *Projection) Head() event.Head { return p.View().Head }

// Snapshot is the state of the latest view, and its head.
func (p *Projection) Snapshot() (*identity.State, event.Head) {
	v := p.View()
	return v.State, v.Head
}

// Err is why the projection stopped publishing, or nil.
func (p *Projection) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}

// Apply folds batches that continue the history and publishes one view at the
// last of them. On an error nothing is published, and after ErrDiverged nothing
// ever again until Restore.
func (p *Projection) Apply(batches []*event.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure != nil {
		return p.failure
	}
	if len(batches) == 0 {
		return nil
	}
	head := p.view.Load().Head
	for _, b := range batches {
		if b.Position != head.Position+1 || b.Prev != head.Hash {
			return fmt.Errorf("%w: at %d, got %d", ErrOutOfOrder, head.Position, b.Position)
		}
		head = b.Head()
	}
	for _, b := range batches {
		identity.Evolve(p.state, b.Position, b.Cause.Meta, b.Events)
		if p.state.Digest() != b.State {
			p.failure = fmt.Errorf("%w at position %d", ErrDiverged, b.Position)
			p.wake()
			return p.failure
		}
		p.recent.Add(b.Head())
	}
	p.publish(p.state.Snapshot(), head)
	return nil
}

// Restore replaces the state by one from a checkpoint or snapshot, which the
// projection owns from then on, and forgets an earlier failure.
func (p *Projection) Restore(state *identity.State, head event.Head) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, p.failure = state, nil
	p.engine = newEngine(p.limits) // what it kept belongs to another history, perhaps
	p.recent.Forget()
	p.recent.Add(head)
	p.publish(state.Snapshot(), head)
}

// Adopt publishes a state that somebody else folded and will not change.
func (p *Projection) Adopt(state *identity.State, head event.Head) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = nil
	p.recent.Add(head)
	p.publish(state, head)
}

func (p *Projection) publish(state *identity.State, head event.Head) {
	p.view.Store(&View{State: state, Head: head, engine: p.engine})
	p.wake()
}

// wake ends the waits for a change. The lock is held.
func (p *Projection) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Changed returns a channel that is closed at the next publication, and when the
// projection stops publishing.
func (p *Projection) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// Wait returns a view at or after the position, ctx's error, or ErrDiverged when
// no such view will come.
func (p *Projection) Wait(ctx context.Context, at event.Position) (*View, error) {
	for {
		if v := p.View(); v.Head.Position >= at {
			return v, nil
		}
		p.mu.Lock()
		changed, failure := p.changed, p.failure
		p.mu.Unlock()
		if failure != nil {
			return nil, failure
		}
		if v := p.View(); v.Head.Position >= at {
			return v, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// WaitToken is Wait for a token, which it refuses when the token belongs to
// another cluster, incarnation or history. A projection that has no history yet
// waits until it knows which.
func (p *Projection) WaitToken(ctx context.Context, t event.Token) (*View, error) {
	var v *View
	for _, at := range []event.Position{1, t.Position} {
		var err error
		if v, err = p.Wait(ctx, at); err != nil {
			return nil, err
		}
		c := v.Cluster()
		if err := t.Check(c.ID, c.Incarnation); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	known, there := p.recent.At(t.Position)
	p.mu.Unlock()
	if there && [8]byte(known.Hash[:8]) != t.Prefix {
		return nil, fmt.Errorf("%w: position %d", ErrTokenMismatch, t.Position)
	}
	return v, nil
}
