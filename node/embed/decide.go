package embed

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/replication/propagation"
)

// Why there is no decision.
var (
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the embedded replica was closed")
	// ErrNoState is returned before the replica has the cluster's state.
	ErrNoState = errors.New("the embedded replica has no state yet")
	// ErrNoPrincipal is returned, with the position, where there is no such principal.
	ErrNoPrincipal = projection.ErrNoPrincipal
	// ErrQuarantined is returned when the replica is not sound: its state or its history is not the
	// cluster's. It answers nothing any more; Checks say why.
	ErrQuarantined = propagation.ErrQuarantined
	// ErrTooStale is returned when the answer could be staler than Question.MaxStaleness.
	ErrTooStale = propagation.ErrTooStale
	// ErrNotReached is returned when the wait for a position ended before it was reached.
	ErrNotReached = propagation.ErrNotReached
)

// Outcome is what a decision comes to. The zero value is Indeterminate.
type Outcome uint8

// The outcomes.
const (
	// Indeterminate: the state allows it, and nobody knows whether that is current. It is no allow.
	Indeterminate Outcome = iota
	// Allow: it may.
	Allow
	// ImplicitDeny: nothing that it needs allows it.
	ImplicitDeny
	// ExplicitDeny: a statement denies it.
	ExplicitDeny
	outcomes
)

// String is the outcome in the words of the API.
func (o Outcome) String() string {
	switch o {
	case Allow:
		return decision.Allow
	case ImplicitDeny:
		return decision.ImplicitDeny
	case ExplicitDeny:
		return decision.ExplicitDeny
	}
	return decision.Indeterminate
}

// Decision is an answer, where it holds, and how fresh it is.
type Decision struct {
	Outcome Outcome
	// Flagged tells that nobody knows whether the state was current; Question.Any alone makes an allow
	// of that.
	Flagged bool
	// Freshness is leased, strict, at_least or unleased, as the API has it.
	Freshness propagation.Level
	// Position and Hash are of the state that the decision was made from.
	Position event.Position
	Hash     event.Hash
	// KnownHead is the highest head of the log that the replica knows of.
	KnownHead event.Position
	// LeaseRemaining is for how long the lease is still in force; 0: it is not.
	LeaseRemaining time.Duration
	// Staleness bounds how long ago the state was the newest, if Bounded.
	Staleness time.Duration
	Bounded   bool
}

// Allowed tells whether it may.
func (d *Decision) Allowed() bool { return d.Outcome == Allow }

// scratch is room for one decision.
type scratch struct {
	inquiry  admission.Inquiry
	question decision.Question
	work     policy.Work
	context  []policy.Entry
	counts   *counts
}

// Decide answers a question from the newest state. It waits for nothing, and takes about a
// microsecond. A decision that comes with an error is not one: its outcome is Indeterminate. Errors
// are ErrQuestion, ErrNoPrincipal, ErrNoState, ErrQuarantined, ErrTooStale, ErrClosed and policy.ErrWork.
func (r *Replica) Decide(q Question) (Decision, error) {
	return r.decide(&q, propagation.Ask{Mode: propagation.ModeAny, MaxStaleness: q.MaxStaleness}, nil)
}

// DecideAt answers from the state at a token, as a write returned it, or a later one: it waits for that
// until ctx ends, and then returns ErrNotReached. Errors are those of Decide, and those of the token:
// event.ErrWrongCluster, event.ErrWrongIncarnation, projection.ErrTokenMismatch.
//
// What a replica has applied never goes back while it runs: after DecideAt every Decide is at
// the token, too. A token proves nothing of what came after it, so that an allow needs
// a lease as without one.
func (r *Replica) DecideAt(ctx context.Context, t event.Token, q Question) (Decision, error) {
	if err := r.Reach(ctx, t); err != nil {
		return Decision{}, err
	}
	return r.decide(&q, propagation.Ask{Mode: propagation.ModeAtLeast, AtLeast: t.Position, MaxStaleness: q.MaxStaleness}, nil)
}

// DecideStrictly asks the leader for the head of the log, waits for it until ctx ends, and answers
// from there: nothing that was acknowledged before the call is missing, and no lease is needed. It costs a
// round trip to the leader, which those share who call at once. Errors are those of Decide and
// ErrNotReached.
func (r *Replica) DecideStrictly(ctx context.Context, q Question) (Decision, error) {
	ctx, done, err := r.waiting(ctx)
	if err != nil {
		return Decision{}, err
	}
	defer done()
	head, err := r.heads.StrictHead(ctx, true)
	if err == nil {
		_, err = r.projection.Wait(ctx, head.Position)
	}
	if err != nil {
		return Decision{}, r.notReached(err)
	}
	return r.decide(&q, propagation.Ask{Mode: propagation.ModeStrict, AtLeast: head.Position}, nil)
}

// Explain is Decide, with the statements that decide. It takes many times as long. The explanation is of
// the state: it says allow, too, where the decision is Indeterminate.
func (r *Replica) Explain(q Question) (Decision, authz.Explanation, error) {
	var x authz.Explanation
	d, err := r.decide(&q, propagation.Ask{Mode: propagation.ModeAny, MaxStaleness: q.MaxStaleness}, &x)
	return d, x, err
}

// Reach waits until the replica shows the position of a token. Errors are those of DecideAt.
func (r *Replica) Reach(ctx context.Context, t event.Token) error {
	ctx, done, err := r.waiting(ctx)
	if err != nil {
		return err
	}
	defer done()
	if _, err := r.projection.WaitToken(ctx, t); err != nil {
		return r.notReached(err)
	}
	return nil
}

// waiting is ctx, which ends with the replica, too. It is not needed after done.
func (r *Replica) waiting(ctx context.Context) (_ context.Context, done func(), err error) {
	if r.ctx.Err() != nil {
		return nil, nil, ErrClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(r.ctx, cancel)
	return ctx, func() { stop(); cancel() }, nil
}

// notReached says why a wait was in vain.
func (r *Replica) notReached(err error) error {
	switch {
	case r.ctx.Err() != nil:
		return ErrClosed
	case errors.Is(err, projection.ErrDiverged):
		return fmt.Errorf("%w: %w", ErrQuarantined, err)
	case errors.Is(err, event.ErrWrongCluster), errors.Is(err, event.ErrWrongIncarnation), errors.Is(err, projection.ErrTokenMismatch):
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotReached, err)
}

// decide answers as fresh as is asked for. x gets the explanation; nil: there is none.
func (r *Replica) decide(q *Question, ask propagation.Ask, x *authz.Explanation) (d Decision, err error) {
	if r.ctx.Err() != nil {
		return d, ErrClosed
	}
	s := r.scratches.Get().(*scratch)
	if err = r.decideIn(s, q, ask, x, &d); err == nil {
		s.counts.add(&d)
	}
	clear(s.context) // the caller's values are not kept
	r.scratches.Put(s)
	return d, err
}

// decideIn decides in some room. The outcome stays Indeterminate where there is an error.
func (r *Replica) decideIn(s *scratch, q *Question, ask propagation.Ask, x *authz.Explanation, d *Decision) error {
	if err := s.read(q); err != nil {
		return err
	}
	// The lease is looked at first and the view loaded after that; see propagation.Snapshot.Check.
	now := r.clocks()
	fresh := r.lease.Snapshot().Check(now)
	v := r.projection.View()
	d.Position, d.Hash = v.Head.Position, v.Head.Hash
	if d.Position == 0 {
		return ErrNoState
	}
	c, err := fresh.Cover(d.Position, ask)
	d.Freshness, d.KnownHead, d.LeaseRemaining, d.Staleness, d.Bounded = c.Freshness, max(c.Head, d.Position), c.Remaining, c.Staleness, c.Bounded
	d.Flagged = !c.Current()
	if err != nil {
		return err
	}
	s.work.Begin(r.maxWork, nil)
	p, err := decision.Pose(&s.inquiry, v, &s.question, time.Unix(0, int64(now.Wall)), &s.work)
	if err != nil {
		if wrong := authz.CheckPrincipal(q.Principal); wrong != nil {
			err = fmt.Errorf("%w: %w", ErrQuestion, wrong)
		}
		return err
	}
	outcome := p.Evaluate(&s.inquiry.Request).Outcome
	if x != nil {
		*x = p.Explain(&s.inquiry.Request)
	}
	if err := s.work.Err(); err != nil {
		return err
	}
	switch outcome {
	case authz.Allow:
		if !d.Flagged || q.Any {
			d.Outcome = Allow
		}
	case authz.ExplicitDeny:
		d.Outcome = ExplicitDeny
	default:
		d.Outcome = ImplicitDeny
	}
	return nil
}

// counts are decisions by their outcome and freshness, as some of the goroutines made them.
type counts struct {
	n [outcomes][len(levels)]atomic.Uint64
	_ [64]byte // the next ones are another processor's
}

// levels are the levels of freshness.
var levels = [...]propagation.Level{propagation.Leased, propagation.Strict, propagation.AtLeast, propagation.Unleased}

func (c *counts) add(d *Decision) {
	for i := range levels {
		if levels[i] == d.Freshness {
			c.n[d.Outcome][i].Add(1)
			return
		}
	}
}
