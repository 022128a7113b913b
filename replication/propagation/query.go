package propagation

import (
	"errors"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Snapshot is what a replica knows of its freshness, for any number of queries at
// once: it is never changed. The nil Snapshot has no lease and knows no head.
type Snapshot struct {
	params   Params
	anchor   Clocks
	duration time.Duration  // of the lease from anchor; 0: none
	reported event.Position // highest that this life of the replica has sent; never below a lease's floor
	fault    Kind           // quarantined; empty: not
	heads    heads
	head     event.Position // highest known
}

// Head is the highest head of the log that the replica knows of.
func (s *Snapshot) Head() event.Position {
	if s == nil {
		return 0
	}
	return s.head
}

// Quarantined is why the replica must not answer at all; empty: it may.
func (s *Snapshot) Quarantined() Kind {
	if s == nil {
		return ""
	}
	return s.fault
}

// Remaining is how long the lease is still in force; 0: it is not.
func (s *Snapshot) Remaining(now Clocks) time.Duration {
	if s == nil || s.duration <= 0 {
		return 0
	}
	passed := now.since(s.anchor)
	if passed < 0 {
		return 0 // all three clocks were set back: nothing is known
	}
	return max(0, s.duration-passed)
}

// Valid says whether the lease is in force.
func (s *Snapshot) Valid(now Clocks) bool { return s.Remaining(now) > 0 }

// StalenessBound bounds how long ago a view at a position was the newest: what it
// lacks was committed no longer ago than that. False: there is no bound, as every
// known head is above the position.
func (s *Snapshot) StalenessBound(now Clocks, at event.Position) (time.Duration, bool) {
	if s == nil {
		return 0, false
	}
	least, ok := time.Duration(0), false
	for i := range s.heads {
		if s.heads[i].position > at {
			break
		}
		if passed := now.since(s.heads[i].at); passed >= 0 && (!ok || passed < least) {
			least, ok = passed, true
		}
	}
	return s.params.atMost(least), ok
}

// Check begins a query: it looks at the lease. It must be called after the query
// has arrived, with clocks read after that, and before the view is loaded that
// will answer it. The other way round, the lease could be renewed by way of a
// newer view in between, and cover an answer from the older.
//
//	freshness := snapshot.Load().Check(clocks()) // 1. the lease
//	view := views.Load()                         // 2. the view
//	coverage, err := freshness.Cover(view.Position(), ask)
func (s *Snapshot) Check(now Clocks) Freshness {
	return Freshness{snapshot: s, now: now, remaining: s.Remaining(now)}
}

// Freshness is what Check found. Only Check makes one that can say "leased".
type Freshness struct {
	snapshot  *Snapshot
	now       Clocks
	remaining time.Duration
}

// Mode is how fresh an answer must be.
type Mode uint8

// Modes of a query.
const (
	// ModeLeased refuses unless a lease is in force.
	ModeLeased Mode = iota
	// ModeAny answers without a lease too, and says so.
	ModeAny
	// ModeAtLeast asks for a position, and needs no clock.
	ModeAtLeast
	// ModeStrict asks for the head that was read after the query arrived, and needs
	// no clock.
	ModeStrict
)

// Ask is what a caller wants to know of an answer's freshness.
type Ask struct {
	Mode Mode
	// AtLeast is the position that the answer must not be older than, in every mode:
	// that of the caller's token. With ModeStrict it is that of the HEAD answer to a
	// Read which was sent after the query had arrived, or the token's if it is higher.
	AtLeast event.Position
	// MaxStaleness, where positive, refuses an answer whose staleness has no bound
	// or a higher one, in every mode.
	MaxStaleness time.Duration
}

// Level of freshness that an answer has; the names travel.
type Level string

// Levels of freshness.
const (
	Leased   Level = "leased"   // no older than any position that was "everywhere" when the query arrived
	Unleased Level = "unleased" // from one position, but nobody knows how old it is
	AtLeast  Level = "at_least" // no older than the position asked for
	Strict   Level = "strict"   // no older than the query
)

// Coverage is what can be said of an answer.
type Coverage struct {
	Freshness Level
	// Remaining is how long the lease is in force, counted from Check; 0: it is not.
	Remaining time.Duration
	// Staleness bounds how long ago the answer was the newest possible, if Bounded.
	Staleness time.Duration
	Bounded   bool
	// Head is the highest head that the replica knew of.
	Head event.Position
	// DenyOnly says that the answer may deny but not allow: an allow becomes
	// "indeterminate". So it is with unleased answers, unless the caller said how
	// stale an answer may be.
	DenyOnly bool
}

// Current says that the answer lacks nothing that was "everywhere" when the query
// arrived. A position that was asked for proves nothing of what came after it.
func (c *Coverage) Current() bool { return c.Freshness == Leased || c.Freshness == Strict }

// Errors of Cover, all for a status of 503: another replica, or this one a little
// later, may answer.
var (
	// ErrQuarantined is returned when the replica is not sound.
	ErrQuarantined = errors.New("the replica is quarantined")
	// ErrNotLeased is returned when no lease is in force and one was asked for.
	ErrNotLeased = errors.New("the replica holds no lease, so its answer could be old")
	// ErrNotReached is returned when the view is older than the position asked for.
	ErrNotReached = errors.New("the replica has not reached the position asked for")
	// ErrTooStale is returned when the answer could be staler than was asked for.
	ErrTooStale = errors.New("the answer could be staler than asked for")
)

// Cover says what holds for an answer from the view at position at, which was
// loaded after Check, or why it must be refused.
func (f Freshness) Cover(at event.Position, ask Ask) (Coverage, error) {
	s := f.snapshot
	c := Coverage{Freshness: Unleased, Head: s.Head()}
	if s.Quarantined() != "" {
		return c, ErrQuarantined
	}
	if at < ask.AtLeast {
		return c, ErrNotReached
	}
	c.Staleness, c.Bounded = s.StalenessBound(f.now, at)
	if ask.MaxStaleness > 0 && (!c.Bounded || c.Staleness > ask.MaxStaleness) {
		return c, ErrTooStale
	}
	if f.leased(at) {
		c.Freshness, c.Remaining = Leased, f.remaining
	}
	switch {
	case ask.Mode == ModeStrict:
		c.Freshness = Strict
	case c.Freshness == Leased:
	case ask.Mode == ModeAtLeast:
		c.Freshness = AtLeast
	case ask.Mode == ModeAny:
		c.DenyOnly = ask.MaxStaleness <= 0
	default:
		return c, ErrNotLeased
	}
	return c, nil
}

// leased says whether the lease covers position at. A view below what was
// reported is one that stepped back after Check: the leader may have said
// "everywhere" of what it no longer shows.
func (f Freshness) leased(at event.Position) bool {
	if f.remaining <= 0 {
		return false
	}
	return at >= f.snapshot.reported
}
