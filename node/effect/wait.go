package effect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// Limits of waiting for an effect.
const (
	// lookEvery is how long a wait rests at most before it looks again: decisions
	// change with time, too.
	lookEvery = time.Second
	// lookPause is how long it rests at least: looking again costs an entry of the
	// log.
	lookPause = 100 * time.Millisecond
)

// Tracker knows what replicas have reached and decide. Only a node that leads is asked.
type Tracker interface {
	// Everywhere says how far a position has come: at once, or when it is settled or the
	// time is up. Errors are dispatch.ErrNotLeader, propagation.ErrScope or the context's.
	Everywhere(ctx context.Context, at event.Position, scope propagation.Scope, wait time.Duration) (propagation.Status, error)
	// Evaluate asks a replica for its decision about the body of a POST /v1/authorize,
	// once it has reached a position; see decision.Engine.Evaluate. It waits until ctx ends
	// for a replica that cannot be reached. An error other than dispatch.ErrNotLeader and
	// the context's says why the replica does not decide now.
	Evaluate(ctx context.Context, replica string, at event.Position, question []byte) (shape.Evaluated, error)
}

// Config is what waits are made of. All fields are required.
type Config struct {
	Desk       *admission.Desk
	Views      *freshness.Views
	Projection *projection.Projection
	// Tracker is nil at a replica, which waits for nothing.
	Tracker Tracker
	Now     func() time.Time
}

// Wait is one wait for an effect, by the leader.
type Wait struct {
	cfg  *Config
	ask  *Ask
	who  string // asks
	body []byte // the question, for replicas
	// right is the caller's: found anew before anybody is asked or told anything.
	right dispatch.Right

	// The rest is of the latest look.
	view     *projection.View // at a head that was current
	own      decision.Answer  // the leader's
	status   propagation.Status
	replicas []shape.EffectReplica // in order of name
}

// New returns a wait for who, a caller who has the right.
func New(cfg *Config, ask *Ask, who string, right dispatch.Right) *Wait {
	return &Wait{cfg: cfg, ask: ask, who: who, body: ask.Body(), right: right}
}

// View is that of the latest look, at a head that was current; nil before the first.
func (e *Wait) View() *projection.View { return e.view }

// Own is what the leader decided itself.
func (e *Wait) Own() *decision.Answer { return &e.own }

// Status is how far the position of View has come.
func (e *Wait) Status() propagation.Status { return e.status }

// Replicas are what the replicas decided, in order of name.
func (e *Wait) Replicas() []shape.EffectReplica { return e.replicas }

// Run waits until the effect is present or the time is up. Its errors are those of
// Heads and Tracker, and of finding the caller's right.
func (e *Wait) Run(ctx context.Context) (effect string, err error) {
	inTime, cancel := context.WithTimeout(ctx, e.ask.Timeout)
	defer cancel()
	for {
		changed := e.cfg.Projection.Changed()
		if err := e.evaluate(ctx); err != nil {
			return "", err
		}
		agreed := e.expected(e.own.Decision)
		e.replicas = []shape.EffectReplica{}
		if agreed {
			done, err := e.everywhere(inTime)
			switch {
			case done:
				return shape.EffectPresent, nil
			case err != nil:
				return "", err
			}
		}
		if e.rest(inTime, changed) {
			continue
		}
		// the time is up
		if e.status, err = e.cfg.Tracker.Everywhere(ctx, e.view.Head.Position, e.ask.Scope, 0); err != nil {
			return "", err
		}
		if agreed {
			return shape.EffectPending, nil
		}
		return shape.EffectAbsent, nil
	}
}

// rest waits until it is worth looking again; false: the time is up.
func (e *Wait) rest(ctx context.Context, changed <-chan struct{}) bool {
	pause := time.NewTimer(lookPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return false
	}
	pause.Reset(lookEvery - lookPause)
	select {
	case <-changed:
	case <-pause.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// Latest is the highest position of which the answer tells, by this leader or by
// replicas that decided.
func (e *Wait) Latest() event.Position {
	at := max(e.view.Head.Position, e.status.Roster, e.status.Floor)
	for i := range e.replicas {
		if d := &e.replicas[i]; d.Decision != "" {
			at = max(at, d.Position)
		}
	}
	return at
}

func (e *Wait) expected(decided string) bool {
	switch decided {
	case decision.Allow:
		return e.ask.Allow
	case decision.ExplicitDeny, decision.ImplicitDeny:
		return !e.ask.Allow
	}
	return false // indeterminate
}

// evaluate decides at this leader, at a head that is current.
func (e *Wait) evaluate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, admission.DefaultWait)
	defer cancel()
	head, err := e.cfg.Views.StrictHead(ctx, true)
	if err != nil {
		return fmt.Errorf("read the head of the log: %w", err)
	}
	if e.view, err = e.cfg.Projection.Wait(ctx, head.Position); err != nil {
		return fmt.Errorf("wait for position %d: %w", head.Position, err)
	}
	if err := e.right.In(e.view); err != nil {
		return err
	}
	var j admission.Job
	e.cfg.Desk.Begin(&j, ctx, e.who)
	defer j.End()
	if e.own, err = decision.Evaluate(new(admission.Inquiry), e.view, &e.ask.Question, e.cfg.Now(), &j); err != nil {
		return fmt.Errorf("decide at position %d: %w", e.view.Head.Position, err)
	}
	return nil
}

// everywhere asks the replicas, and waits until those that may answer as fresh have
// decided as expected, from the leader's position or later, and the position is
// everywhere. False: one of them decided otherwise, or the time is up.
func (e *Wait) everywhere(ctx context.Context) (done bool, err error) {
	at := e.view.Head.Position
	ctx, cancel := context.WithCancel(ctx)
	r := &round{e: e, at: at, answers: make(map[string]shape.Evaluated), news: make(chan struct{}, 1)}
	defer func() {
		cancel()
		r.asking.Wait()
		e.replicas = r.list()
	}()
	for wait := time.Duration(0); ; wait = lookEvery {
		if err := e.right.In(e.cfg.Projection.View()); err != nil {
			return false, err
		}
		status, err := e.cfg.Tracker.Everywhere(ctx, at, e.ask.Scope, wait)
		if ctx.Err() != nil {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		e.status = status
		for _, name := range slices.Concat(status.VisibleOn, status.Pending) {
			r.ask(ctx, name)
		}
		for {
			agreed, refuted := r.judge(status)
			if refuted || agreed {
				return agreed, nil
			}
			if status.State != propagation.StateEverywhere {
				break // and wait for that
			}
			timer := time.NewTimer(lookEvery)
			select {
			case <-r.news:
				timer.Stop()
				continue
			case <-timer.C: // a lease may have run out
			case <-ctx.Done():
			}
			timer.Stop()
			break
		}
	}
}

// round asks the replicas about one position.
type round struct {
	e      *Wait
	at     event.Position
	asking sync.WaitGroup
	news   chan struct{} // one element: an answer has come

	mu      sync.Mutex
	answers map[string]shape.Evaluated // of those that were asked; guarded by mu
}

// ask asks a replica, unless it was asked, until it decides under a lease.
func (r *round) ask(ctx context.Context, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, asked := r.answers[name]; asked {
		return
	}
	r.answers[name] = shape.Evaluated{}
	r.asking.Go(func() {
		pause := time.NewTimer(0)
		defer pause.Stop()
		for {
			select {
			case <-pause.C:
			case <-ctx.Done():
				return
			}
			if r.e.right.In(r.e.cfg.Projection.View()) != nil {
				return // whoever waits finds that, too
			}
			d, err := r.e.cfg.Tracker.Evaluate(ctx, name, r.at, r.e.body)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				d = shape.Evaluated{Position: d.Position, Reason: err.Error()}
			}
			r.mu.Lock()
			r.answers[name] = d
			r.mu.Unlock()
			select {
			case r.news <- struct{}{}:
			default: // there is news already
			}
			if leased(&d) {
				return
			}
			pause.Reset(lookEvery / 2)
		}
	})
}

func leased(d *shape.Evaluated) bool { return d.Freshness == string(propagation.Leased) }

// judge says whether the answers so far settle it: all agree that must, or one
// decided otherwise.
func (r *round) judge(status propagation.Status) (agreed, refuted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	as := 0 // as expected
	missing := false
	for _, name := range status.VisibleOn {
		d := r.answers[name]
		switch {
		case leased(&d) && r.e.expected(d.Decision):
			as++
		case leased(&d):
			refuted = true
		case !slices.Contains(status.Lapsed, name):
			missing = true
		}
	}
	if n := r.e.ask.Scope.Count; n > 0 {
		missing = as < n
		refuted = refuted && missing
	}
	return status.State == propagation.StateEverywhere && !missing && !refuted, refuted
}

// list is what the replicas answered, in order of name.
func (r *round) list() []shape.EffectReplica {
	r.mu.Lock()
	defer r.mu.Unlock()
	replicas := make([]shape.EffectReplica, 0, len(r.answers))
	for _, name := range slices.Sorted(maps.Keys(r.answers)) {
		d := r.answers[name]
		if d.Decision == "" && d.Reason == "" {
			d.Reason = "It has not answered."
		}
		replicas = append(replicas, shape.EffectReplica{Name: name, Evaluated: d})
	}
	return replicas
}
