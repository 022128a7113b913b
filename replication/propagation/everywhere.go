package propagation

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Scope says whom a question about a position is about. The zero Scope is all
// replicas. Where both Replicas and Region are set, both must hold.
//
// A question about all replicas, answered "everywhere", is a promise for ever: the
// position becomes the floor of every leader to come, so that no replica, joiners
// and restarted ones among them, gets a lease below it.
//
// A narrower question must not do that: it would take the leases of replicas
// outside the scope that are behind, for a wait that did not ask for them. So it
// never moves the common floor, not even when its replicas happen to be all. It
// binds the replicas that it spoke of, each by a floor of its own, which lives as
// long as the leader; the next leader's floor is its head, which is above. The
// promise is therefore as lasting as that for all, for the registrations as of
// Status.Roster; only the leader's memory of having made it is not, and after a
// change of leaders it can take until the end of grace to be said again.
type Scope struct {
	// Replicas are names; empty: any.
	Replicas []string
	// Region is a region's name; empty: any.
	Region string
	// Count, where positive, asks that so many of the scope's replicas show the
	// position. A replica that is fenced does not show it.
	Count int
}

func (s *Scope) all() bool { return len(s.Replicas) == 0 && s.Region == "" && s.Count == 0 }

// selects says whether the scope is about m: for its place in the roster, or for a
// lease that one of its lives got in another place, or before it was removed.
func (s *Scope) selects(m *tracked, now time.Duration) bool {
	switch {
	case len(s.Replicas) > 0 && !slices.Contains(s.Replicas, m.Name):
		return false
	case m.registered && s.has(m):
		return true
	}
	return slices.ContainsFunc(m.lives, func(l *life) bool {
		return now < l.mayHold && (s.Region == "" || l.anywhere || s.Region == l.region)
	})
}

// has says whether m, which is registered, is of the scope's region.
func (s *Scope) has(m *tracked) bool { return s.Region == "" || s.Region == m.Region }

// ErrScope is returned when the roster cannot meet a scope: a name or a region in
// it is not registered, or it has fewer replicas than asked for.
var ErrScope = errors.New("the roster has no such replicas")

// check refuses scopes that would be met by nobody, or could never be met.
func (t *Tracker) check(s *Scope) error {
	if s.all() {
		return nil
	}
	for _, name := range s.Replicas {
		if t.registered(name) == nil {
			return fmt.Errorf("replica %s: %w", name, ErrScope)
		}
	}
	n := 0
	for _, m := range t.names {
		if m.registered && s.has(m) && (len(s.Replicas) == 0 || slices.Contains(s.Replicas, m.Name)) {
			n++
		}
	}
	if n < max(1, s.Count) {
		return fmt.Errorf("%d replicas, of at least %d: %w", n, max(1, s.Count), ErrScope)
	}
	return nil
}

// State is how far a position has come.
type State string

// States of a position. They travel; never reuse one.
const (
	// StateUnknown: beyond what this leader knows to be committed.
	StateUnknown State = "unknown"
	// StateCommitted: in the log for good, shown by no replica of the scope.
	StateCommitted State = "committed"
	// StatePartial: some replicas of the scope show it or are fenced.
	StatePartial State = "partial"
	// StateEverywhere: no replica of the scope will ever again answer as fresh from
	// before the position. With Scope.Count: so many replicas show it, and these will
	// never again answer as fresh from before it.
	StateEverywhere State = "everywhere"
)

// Status is how far a position has come, in a scope. Each replica of the scope is
// in one of three lists, in order of name; a removed replica that may still hold a
// lease is among them. A name shows the position when one of its lives does and none
// may answer as fresh from before it.
type Status struct {
	Position  event.Position
	State     State
	VisibleOn []string // answer from the position or later
	Fenced    []string // hold no lease, and get none before they show the position
	Pending   []string // may answer as fresh from before the position
	// Lapsed are those of VisibleOn whose last lease has run out: they have the
	// position, but answer nothing as fresh at present, perhaps because they are down.
	Lapsed []string
	// PendingLives are the lives that names in Pending are pending for, where a name has
	// several: in order of name.
	PendingLives []LifeStatus
	// Former says that lives which the log does not name may be pending too: it was
	// written when fences named none.
	Former bool
	// WorstCase is how long, at most, any replica may still answer as fresh from
	// before the position. What the leader knows can come later: a replica that
	// restarts is pending again until it has reported, or its window is over. With
	// Scope.Count there may be no bound.
	WorstCase time.Duration
	Bounded   bool
	// Roster is the position of the roster that the replicas were taken from.
	Roster event.Position
	// Floor is the highest position for which "everywhere" is in the log.
	Floor event.Position
	// Settled says that nobody is pending, or that enough replicas show the position.
	// If State is not yet "everywhere", then a tick must end first, see NextTick.
	Settled bool
	// Changes says when the status changes with nothing but time, on the clock that
	// the driver gave; false: only with a tick, or a view of the state machine.
	Changes    time.Duration
	HasChanges bool
}

// LifeStatus is one life of a name that has several.
type LifeStatus struct {
	Replica string
	Life    string // the beginning of its nonce
	Acked   event.Position
	MayHold time.Duration // for how long it may still answer as fresh
	Heard   time.Duration // how long ago it last asked this leader, or this leader took over
}

// Everywhere tells how far position r has come in a scope. If nobody is pending
// but the log does not yet bear it, then the tracker asks for a tick, and after
// EndTick the same question is answered "everywhere".
//
// The question costs time in proportion to the roster. Ask again when a tick has
// ended, a view was observed, or Status.Changes has come.
func (t *Tracker) Everywhere(clocks Clocks, r event.Position, scope Scope) (Status, error) {
	now := clocks.Monotonic
	s := Status{Position: r, State: StateUnknown, Roster: t.shown.Roster.At, Floor: t.shown.Floor}
	if err := t.check(&scope); err != nil {
		return s, err
	}
	if r > t.shown.Head.Position {
		return s, nil
	}
	t.classify(&s, now, &scope)
	s.Settled = len(s.Pending) == 0 && !s.Former && t.proven(r)
	if scope.Count > 0 {
		s.Settled = len(s.VisibleOn) >= scope.Count && !s.Former
		s.Bounded, s.WorstCase = s.Settled, 0
	}
	s.State = StateCommitted
	if s.Settled || len(s.VisibleOn)+len(s.Fenced) > 0 {
		s.State = StatePartial
	}
	if s.Settled {
		s.WorstCase = 0
		t.settle(&s, now, &scope)
	}
	return s, nil
}

// proven says whether a fence of this leader, or the floor in the log, covers r.
// Above, a leader that was deposed knows nothing: its successor may have granted
// leases below r, to replicas never heard of here. A successor's leases are never
// below what was proven, as its floor is the head that it found.
func (t *Tracker) proven(r event.Position) bool {
	return r <= max(t.provenAt, t.shown.Floor)
}

// classify fills in who is where, and how long that can last. If nothing but a
// proof is missing, it asks for a fence.
func (t *Tracker) classify(s *Status, now time.Duration, scope *Scope) {
	r, proven := s.Position, t.proven(s.Position)
	committed := now
	if k, ok := t.proofs.reaching(r); ok {
		committed = k.since.Monotonic
	}
	missing := 0 // replicas that only a proof is missing for
	for _, m := range t.names {
		if !scope.selects(m, now) {
			continue
		}
		settled := r <= t.shown.Floor || t.settled(m, r, now)
		switch {
		case t.shows(m, r, now):
			s.VisibleOn = append(s.VisibleOn, m.Name)
			if now >= t.released(m) {
				s.Lapsed = append(s.Lapsed, m.Name)
			}
		case settled && proven:
			s.Fenced = append(s.Fenced, m.Name)
		default:
			s.Pending = append(s.Pending, m.Name)
			if settled {
				missing++
				break
			}
			until := t.held(m, r)
			s.changes(until)
			s.WorstCase = max(s.WorstCase, until-now)
			s.pendingLives(m, now)
		}
		// Until the floor has risen, any replica may get a lease below r, even one that
		// showed r and then stepped back; but none that outlasts this.
		if m.registered && !m.Draining && t.threshold(m) < r {
			s.WorstCase = max(s.WorstCase, committed+t.window(t.params.Lease(m.Class))-now)
		}
	}
	s.Bounded = true
	if now < t.grace && r > t.shown.Floor {
		s.Former = true
		s.changes(t.grace)
		s.WorstCase = max(s.WorstCase, t.grace-now)
	}
	if !proven {
		s.WorstCase = max(s.WorstCase, t.window(t.params.Duration))
		t.fenceAsked = t.fenceAsked || missing == len(s.Pending) && !s.Former
	}
	for _, names := range [][]string{s.VisibleOn, s.Fenced, s.Pending, s.Lapsed} {
		slices.Sort(names)
	}
}

// changes notes that the status changes at a time, if nothing does before.
func (s *Status) changes(at time.Duration) {
	if !s.HasChanges || at < s.Changes {
		s.Changes, s.HasChanges = at, true
	}
}

// pendingLives names the lives that m is pending for, if it has several.
func (s *Status) pendingLives(m *tracked, now time.Duration) {
	if len(m.lives) < 2 {
		return
	}
	for _, l := range m.lives {
		if l.acked < s.Position && now < l.mayHold {
			s.PendingLives = append(s.PendingLives, LifeStatus{m.Name, shortNonce(l.Nonce), l.acked, l.mayHold - now, max(0, now-l.heard)})
		}
	}
}

// settle makes a settled position hold from now on, and says "everywhere" if the
// log bears it.
func (t *Tracker) settle(s *Status, now time.Duration, scope *Scope) {
	r := s.Position
	if scope.all() {
		t.floor = max(t.floor, r)
		t.floorAsked = max(t.floorAsked, r)
		if r <= t.shown.Floor {
			s.State = StateEverywhere
		}
		return
	}
	s.State = StateEverywhere
	for _, m := range t.names {
		if scope.selects(m, now) && (scope.Count == 0 || t.shows(m, r, now)) {
			m.floor, m.bound = max(m.floor, r), max(m.bound, r)
		}
	}
}
