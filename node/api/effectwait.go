package api

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// Limits of waiting for an effect.
const (
	// effectEvery is how long a wait rests at most before it looks again: decisions
	// change with time, too.
	effectEvery = time.Second
	// effectPause is how long it rests at least: looking again costs an entry of the
	// log.
	effectPause = 100 * time.Millisecond
)

// effectWait is one wait.
type effectWait struct {
	s    *Server
	ask  effectAsk
	who  string // asks
	body []byte // the question, for replicas
	// right is the caller's: found anew before anybody is asked or told anything.
	right right

	// The rest is of the latest look.
	view     *projection.View // at a head that was current
	own      answer           // the leader's
	status   propagation.Status
	replicas []effectReplica // in order of name
}

// run waits until the effect is present or the time is up. Its errors are those of
// Heads and Tracker, and of finding the caller's right.
func (e *effectWait) run(ctx context.Context) (effect string, err error) {
	inTime, cancel := context.WithTimeout(ctx, e.ask.timeout)
	defer cancel()
	for {
		changed := e.s.cfg.Projection.Changed()
		if err := e.decide(ctx); err != nil {
			return "", err
		}
		agreed := e.expected(e.own.decision)
		e.replicas = []effectReplica{}
		if agreed {
			done, err := e.everywhere(inTime)
			switch {
			case done:
				return effectPresent, nil
			case err != nil:
				return "", err
			}
		}
		if e.rest(inTime, changed) {
			continue
		}
		// the time is up
		if e.status, err = e.s.cfg.Node.Tracker.Everywhere(ctx, e.view.Head.Position, e.ask.scope, 0); err != nil {
			return "", err
		}
		if agreed {
			return effectPending, nil
		}
		return effectAbsent, nil
	}
}

// rest waits until it is worth looking again; false: the time is up.
func (e *effectWait) rest(ctx context.Context, changed <-chan struct{}) bool {
	pause := time.NewTimer(effectPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return false
	}
	pause.Reset(effectEvery - effectPause)
	select {
	case <-changed:
	case <-pause.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// latest is the highest position of which the answer tells, by this leader or by
// replicas that decided.
func (e *effectWait) latest() event.Position {
	at := max(e.view.Head.Position, e.status.Roster, e.status.Floor)
	for i := range e.replicas {
		if d := &e.replicas[i]; d.Decision != "" {
			at = max(at, d.Position)
		}
	}
	return at
}

func (e *effectWait) expected(decision string) bool {
	switch decision {
	case decisionAllow:
		return e.ask.allow
	case decisionExplicitDeny, decisionImplicitDeny:
		return !e.ask.allow
	}
	return false // indeterminate
}

// decide decides at this leader, at a head that is current.
func (e *effectWait) decide(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, DefaultWait)
	defer cancel()
	head, err := e.s.strictHead(ctx, true)
	if err != nil {
		return fmt.Errorf("read the head of the log: %w", err)
	}
	if e.view, err = e.s.cfg.Projection.Wait(ctx, head.Position); err != nil {
		return fmt.Errorf("wait for position %d: %w", head.Position, err)
	}
	if err := e.right.in(e.view); err != nil {
		return err
	}
	var j job
	e.s.begin(&j, ctx, e.who)
	defer j.end()
	if e.own, err = new(inquiry).answer(e.view, &e.ask.question, e.s.cfg.Now(), &j); err != nil {
		return fmt.Errorf("decide at position %d: %w", e.view.Head.Position, err)
	}
	return nil
}

// everywhere asks the replicas, and waits until those that may answer as fresh have
// decided as expected, from the leader's position or later, and the position is
// everywhere. False: one of them decided otherwise, or the time is up.
func (e *effectWait) everywhere(ctx context.Context) (done bool, err error) {
	at := e.view.Head.Position
	ctx, cancel := context.WithCancel(ctx)
	r := &effectRound{e: e, at: at, answers: make(map[string]Decided), news: make(chan struct{}, 1)}
	defer func() {
		cancel()
		r.asking.Wait()
		e.replicas = r.list()
	}()
	for wait := time.Duration(0); ; wait = effectEvery {
		if err := e.right.in(e.s.cfg.Projection.View()); err != nil {
			return false, err
		}
		status, err := e.s.cfg.Node.Tracker.Everywhere(ctx, at, e.ask.scope, wait)
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
			timer := time.NewTimer(effectEvery)
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

// effectRound asks the replicas about one position.
type effectRound struct {
	e      *effectWait
	at     event.Position
	asking sync.WaitGroup
	news   chan struct{} // one element: an answer has come

	mu      sync.Mutex
	answers map[string]Decided // of those that were asked; guarded by mu
}

// ask asks a replica, unless it was asked, until it decides under a lease.
func (r *effectRound) ask(ctx context.Context, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, asked := r.answers[name]; asked {
		return
	}
	r.answers[name] = Decided{}
	r.asking.Go(func() {
		pause := time.NewTimer(0)
		defer pause.Stop()
		for {
			select {
			case <-pause.C:
			case <-ctx.Done():
				return
			}
			if r.e.right.in(r.e.s.cfg.Projection.View()) != nil {
				return // whoever waits finds that, too
			}
			d, err := r.e.s.cfg.Node.Tracker.Decide(ctx, name, r.at, r.e.body)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				d = Decided{Position: d.Position, Reason: err.Error()}
			}
			r.mu.Lock()
			r.answers[name] = d
			r.mu.Unlock()
			select {
			case r.news <- struct{}{}:
			default: // there is news already
			}
			if d.leased() {
				return
			}
			pause.Reset(effectEvery / 2)
		}
	})
}

func (d *Decided) leased() bool { return d.Freshness == string(propagation.Leased) }

// judge says whether the answers so far settle it: all agree that must, or one
// decided otherwise.
func (r *effectRound) judge(status propagation.Status) (agreed, refuted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	as := 0 // as expected
	missing := false
	for _, name := range status.VisibleOn {
		d := r.answers[name]
		switch {
		case d.leased() && r.e.expected(d.Decision):
			as++
		case d.leased():
			refuted = true
		case !slices.Contains(status.Lapsed, name):
			missing = true
		}
	}
	if n := r.e.ask.scope.Count; n > 0 {
		missing = as < n
		refuted = refuted && missing
	}
	return status.State == propagation.StateEverywhere && !missing && !refuted, refuted
}

// list is what the replicas answered, in order of name.
func (r *effectRound) list() []effectReplica {
	r.mu.Lock()
	defer r.mu.Unlock()
	replicas := make([]effectReplica, 0, len(r.answers))
	for _, name := range slices.Sorted(maps.Keys(r.answers)) {
		d := r.answers[name]
		if d.Decision == "" && d.Reason == "" {
			d.Reason = "It has not answered."
		}
		replicas = append(replicas, effectReplica{name, d})
	}
	return replicas
}
