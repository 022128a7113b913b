package identity

import "github.com/tidwall/btree"

// State is everything that commands have established, at one position. The zero
// value is not usable; see NewState.
//
// The goroutine that made a State owns it: only that goroutine may call Evolve
// or Snapshot. A snapshot is never changed by anyone and may be read by all.
// Entities handed out by a State are immutable.
type State struct {
	position Position
	time     Time // of the latest command; never decreases

	cluster  Cluster
	accounts table[AccountID, *Account]
	users    table[ID, *User]
	groups   table[ID, *Group]
	roles    table[ID, *Role]
	policies table[ID, *Policy]
	replicas table[string, *Replica]
	barred   table[string, *BarredReplica]
	attempts attempts

	// The rest is derived from the records above.
	names   names
	keys    btree.Map[handle, handle] // access key -> user or account
	members relation                  // group -> user
	holders relation                  // policy -> user, group or role that it is attached to
	bounded relation                  // policy -> user or role whose boundary it is
}

// NewState returns the empty state, at position zero.
func NewState() *State {
	return &State{attempts: newAttempts(), names: newNames(), members: newRelation(), holders: newRelation(), bounded: newRelation()}
}

// Snapshot returns an immutable copy in constant time.
func (s *State) Snapshot() *State {
	c := *s
	c.accounts, c.users, c.groups = s.accounts.snapshot(), s.users.snapshot(), s.groups.snapshot()
	c.roles, c.policies = s.roles.snapshot(), s.policies.snapshot()
	c.replicas, c.barred = s.replicas.snapshot(), s.barred.snapshot()
	c.attempts = s.attempts.snapshot()
	c.names, c.keys = s.names.snapshot(), *s.keys.Copy()
	c.members, c.holders, c.bounded = s.members.snapshot(), s.holders.snapshot(), s.bounded.snapshot()
	return &c
}

// Position is the number of the last command folded in.
func (s *State) Position() Position { return s.position }

// Time is that of the latest command, in milliseconds; it never decreases.
func (s *State) Time() Time { return s.time }

// Digest identifies the state's content: at equal positions, equal digests.
func (s *State) Digest() Digest {
	return s.digest(s.accounts.sum(), s.users.sum(), s.groups.sum(), s.roles.sum(), s.policies.sum(), s.replicas.sum(), s.barred.sum(), s.attempts.byKey.sum())
}

// Recount computes the digest from the records themselves, in time linear in
// their number. It differs from Digest when a record was altered in memory. What
// is derived from the records, such as the map of access keys, has no digest.
func (s *State) Recount() Digest {
	var c count
	for part := range Parts {
		s.recount(part, &c)
	}
	return s.digest(c.sum)
}

// CheckPart recounts one of the Parts of the records. It returns how many records
// there are in it, and whether they are what was put there. When every part is
// sound, Recount equals Digest.
func (s *State) CheckPart(part int) (records int, sound bool) {
	var c count
	s.recount(part, &c)
	return c.records, c.sum == c.kept
}

func (s *State) recount(part int, c *count) {
	s.accounts.recount(part, c)
	s.users.recount(part, c)
	s.groups.recount(part, c)
	s.roles.recount(part, c)
	s.policies.recount(part, c)
	s.replicas.recount(part, c)
	s.barred.recount(part, c)
	s.attempts.byKey.recount(part, c)
}

func (s *State) digest(tables ...Digest) Digest {
	h := s.header()
	d := hash(h.appendDigest(make([]byte, 0, 128)))
	for _, t := range tables {
		d.add(t)
	}
	return d
}

// begin opens the command at position at.
func (s *State) begin(at Position, m Meta) {
	s.position = at
	s.time = max(s.time, m.Time)
	s.attempts.expire(s.time, m.Rules)
	if m.Key != (Key{}) {
		r := &Attempt{Key: m.Key, At: at, Time: s.time, Signature: m.Signature}
		if m.Signature != (Signature{}) {
			r.Arrived = m.Time
		}
		s.attempts.remember(r)
	}
}
