package identity

import (
	"crypto/sha256"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Limits of what may be dropped from the history, whatever the rule says. Times are in
// milliseconds.
const (
	// MinKeptPositions is how many of the latest positions always stay, and the least that
	// a rule may keep.
	MinKeptPositions = 1000
	// MinKeptTime is how long every batch stays: retries of the request that made it are
	// answered from it.
	MinKeptTime Time = 60 * 60 * 1000
	// MaxKeptDays is the longest that a rule may name; one that keeps everything names none.
	MaxKeptDays = 100 * 365
)

// RetentionRule says how much of the history stays: what is younger than Days, or the last
// Positions. One of the two is set, or none: then everything stays.
type RetentionRule struct {
	Days      uint32
	Positions uint64
}

// Dropped is what the rule has dropped from the history: the batches up to Through. The zero
// value is nothing.
type Dropped struct {
	Through Position
	// Hash is that of the batch at Through, which the first one that stays names: the rest of
	// the chain hangs on it.
	Hash   [sha256.Size]byte
	Newest Time // of the batch at Through
	At     Time // when the latest drop was decided
}

// Retention is how much of the history the cluster keeps, the same on all writers.
type Retention struct {
	Rule RetentionRule
	// Floor is a position: it and all behind it stay, whatever the rule says; 0 for none. Who
	// takes the history elsewhere moves it.
	Floor   Position
	Dropped Dropped
}

// retentionKey is the key of the one record of retention.
const retentionKey = "retention"

// Handle makes Retention a record of a table, by its key, as do Is and AppendDigest.
func (r *Retention) Handle() table.Handle { return table.HandleOf(retentionKey) }

// Is tells whether the Retention has that key.
func (r *Retention) Is(key string) bool { return key == retentionKey }

// AppendDigest appends all that the Retention has.
func (r *Retention) AppendDigest(b []byte) []byte {
	b = digest.AppendString(b, retentionKey)
	b = digest.AppendInt(b, r.Rule.Days)
	b = digest.AppendInt(b, r.Rule.Positions)
	b = digest.AppendInt(b, uint64(r.Floor))
	b = digest.AppendInt(b, uint64(r.Dropped.Through))
	b = digest.AppendString(b, r.Dropped.Hash[:])
	b = digest.AppendInt(b, int64(r.Dropped.Newest))
	return digest.AppendInt(b, int64(r.Dropped.At))
}

// Retention is that of the cluster; the zero value keeps everything.
func (s *State) Retention() Retention {
	if r, ok := s.retention.Get(retentionKey); ok {
		return *r
	}
	return Retention{}
}

// SetRetention changes how much of the history stays. What is nil stays as it is: the rule is
// the operator's, the floor belongs to who takes the history elsewhere.
type SetRetention struct {
	Rule  *RetentionRule
	Floor *Position
}

// RetentionSet said how much of the history stays.
type RetentionSet struct {
	Rule  RetentionRule
	Floor Position
}

func (c *SetRetention) decide(s *State, _ Meta) ([]Event, error) {
	r := s.Retention()
	if c.Rule == nil && c.Floor == nil {
		return nil, refuse(InvalidInput, "Nothing is to change.")
	}
	if c.Rule != nil {
		switch {
		case c.Rule.Days > 0 && c.Rule.Positions > 0:
			return nil, refuse(InvalidInput, "A rule keeps days or positions, not both.")
		case c.Rule.Days > MaxKeptDays:
			return nil, refuse(InvalidInput, "A rule keeps at most %d days; without days and positions it keeps everything.", MaxKeptDays)
		case c.Rule.Positions > 0 && c.Rule.Positions < MinKeptPositions:
			return nil, refuse(InvalidInput, "A rule keeps at least %d positions.", MinKeptPositions)
		}
		r.Rule = *c.Rule
	}
	if c.Floor != nil {
		if *c.Floor > 0 && *c.Floor <= r.Dropped.Through {
			return nil, refuse(InvalidInput, "The history begins at position %d: what was before is dropped, and a floor cannot hold it.", r.Dropped.Through+1)
		}
		r.Floor = *c.Floor
	}
	return []Event{&RetentionSet{Rule: r.Rule, Floor: r.Floor}}, nil
}

func (e *RetentionSet) evolve(s *State) {
	r := s.Retention()
	r.Rule, r.Floor = e.Rule, e.Floor
	s.retention.Put(&r)
}

// DropHistory drops the batches up to Through, as the rule has it. The leader proposes it, and
// says what its own history has there: each writer drops only what has that hash.
type DropHistory struct {
	Through Position
	Hash    [sha256.Size]byte
	Newest  Time // of the batch at Through
}

// HistoryDropped dropped the batches up to Through: writers may delete them from then on.
type HistoryDropped struct {
	Through Position
	Hash    [sha256.Size]byte
	Newest  Time
	At      Time
}

// decide holds against the rule what the leader found, in the state in which it is decided.
func (c *DropHistory) decide(s *State, m Meta) ([]Event, error) {
	r := s.Retention()
	kept := Position(max(r.Rule.Positions, MinKeptPositions))
	switch {
	case r.Rule == RetentionRule{}:
		return nil, refuse(InvalidInput, "The rule keeps everything.")
	case c.Through <= r.Dropped.Through:
		return nil, refuse(ConcurrentModification, "The history begins at position %d already.", r.Dropped.Through+1)
	case r.Floor > 0 && c.Through >= r.Floor:
		return nil, refuse(InvalidInput, "The floor is at position %d: it and all behind it stay.", r.Floor)
	case s.position < kept || c.Through > s.position-kept:
		return nil, refuse(InvalidInput, "The last %d positions stay.", kept)
	case c.Newest+max(Time(r.Rule.Days)*day, MinKeptTime) > m.Time:
		return nil, refuse(InvalidInput, "The batch at position %d is too young to be dropped.", c.Through)
	}
	return []Event{&HistoryDropped{Through: c.Through, Hash: c.Hash, Newest: c.Newest, At: m.Time}}, nil
}

func (e *HistoryDropped) evolve(s *State) {
	r := s.Retention()
	r.Dropped = Dropped(*e)
	s.retention.Put(&r)
}
