package identity

import "fmt"

// Record is one entry of a State, the unit of a snapshot: *Header, *Account,
// *User, *Group, *Role, *Policy, *Replica or *Attempt.
type Record interface {
	appendDigest(b []byte) []byte
}

// Header is the part of a State that there is one of.
type Header struct {
	Position Position
	Time     Time
	Cluster  Cluster
}

func (h *Header) appendDigest(b []byte) []byte {
	return h.Cluster.appendDigest(appendInt(appendInt(b, uint64(h.Position)), int64(h.Time)))
}

func (s *State) header() Header {
	return Header{Position: s.position, Time: s.time, Cluster: s.cluster}
}

// Records yields every record of the state until yield returns false: the
// header first, then each kind in the order of Record, each in order of its key.
// A Loader makes the state of them again.
func (s *State) Records(yield func(Record) bool) {
	h := s.header()
	_ = yield(&h) && scan(&s.accounts, yield) && scan(&s.users, yield) && scan(&s.groups, yield) &&
		scan(&s.roles, yield) && scan(&s.policies, yield) && scan(&s.replicas, yield) && scan(&s.attempts.byKey, yield)
}

func scan[K ~string, R record](t *table[K, R], yield func(Record) bool) bool {
	more := true
	t.rows.Scan(func(_ K, r R) bool {
		more = yield(r)
		return more
	})
	return more
}

// Loader makes a State of its records. Records of a kind load fastest in the
// order in which State.Records yields them; any order gives the same state.
type Loader struct {
	state  *State
	header bool
	err    error
}

// NewLoader returns a loader that was given nothing yet.
func NewLoader() *Loader { return &Loader{state: NewState()} }

// Add takes a record. The loader keeps it: the caller must not change it any more.
func (l *Loader) Add(r Record) {
	s := l.state
	switch r := r.(type) {
	case *Header:
		l.header = true
		s.position, s.time, s.cluster = r.Position, r.Time, r.Cluster
	case *Account:
		s.accounts.load(r.ID, r)
		s.linkAccount(r)
	case *User:
		s.users.load(r.ID, r)
		s.linkUser(r)
	case *Group:
		s.groups.load(r.ID, r)
		s.linkGroup(r)
	case *Role:
		s.roles.load(r.ID, r)
		s.linkRole(r)
	case *Policy:
		s.policies.load(r.ID, r)
		s.linkPolicy(r)
	case *Replica:
		s.replicas.load(r.Name, r)
	case *Attempt:
		s.attempts.remember(r)
	default:
		l.err = fmt.Errorf("load state: unknown record %T", r)
	}
}

// State returns the state whose records were added. It fails when the header
// is missing or a record was of no known kind.
func (l *Loader) State() (*State, error) {
	if l.err != nil {
		return nil, l.err
	}
	if !l.header {
		return nil, fmt.Errorf("load state: no header among the records")
	}
	return l.state, nil
}
