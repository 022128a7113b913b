package propagation

import (
	"cmp"
	"slices"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Member is an entry of the roster: a reader that "everywhere" waits for.
//
// A name belongs to one process at a time: whoever runs a reader must see to it
// (one certificate and one locked data directory for each name), as the leader
// takes a new nonce under a name for a restart of that reader.
type Member struct {
	Name   string
	Region string
	Class  string // of lease; see ClassTight
	// Draining members get no new leases and are waited for.
	Draining bool
	// Registered is the position of the registration in force. A name with another
	// registration is another reader.
	Registered event.Position
}

// Roster is who is registered, at one position of the log. It is never changed.
type Roster struct {
	// At is the position of the latest change to the roster.
	At event.Position
	// Removed is the position of the latest removal of a reader, or of anything that
	// may have been one: a state that does not know says At. A new leader whose
	// floor is below it waits for its grace before it says "everywhere", as it
	// cannot know who was removed.
	Removed event.Position
	// Members are the readers in order of name.
	Members []Member
}

// View is what a leader's state machine showed at one moment.
type View struct {
	Head  event.Head
	Floor event.Position // the highest that a committed mark carried
	Level uint32         // feature level in force
	// Roster is as of Head. The same pointer means that nothing changed.
	Roster *Roster
}

// member is a Member with what the tracker knows of it. Times are readings of the
// leader's monotonic clock.
type member struct {
	Member
	nonce   string
	session Session // zero: none since this leader took over
	seq     uint64  // of the latest request taken
	acked   event.Position
	fault   Kind // quarantines the session; empty: none
	reason  string

	mayHold time.Duration  // until then, this leader's grants may be in force
	former  time.Duration  // until then, an earlier holder of the name may hold a lease
	floor   event.Position // of this member alone, as the tracker's floor is of all
	bound   event.Position // a scoped "everywhere" up to here included this member
}

// released is when m can hold no lease that was granted so far.
func (t *Tracker) released(m *member) time.Duration {
	return max(m.mayHold, m.former, t.grace)
}

// shows says whether whoever answers under m's name has applied r.
func (t *Tracker) shows(m *member, r event.Position, now time.Duration) bool {
	return m.acked >= r && now >= m.former
}

// settled says whether m will never again answer as fresh from before r, given
// that the floor for m rises to r.
func (t *Tracker) settled(m *member, r event.Position, now time.Duration) bool {
	return t.shows(m, r, now) || m.bound >= r || now >= t.released(m)
}

// find returns the member of that name, nil if there is none.
func (t *Tracker) find(name string) *member {
	i, ok := slices.BinarySearchFunc(t.members, name, func(m *member, name string) int { return cmp.Compare(m.Name, name) })
	if !ok {
		return nil
	}
	return t.members[i]
}

// enroll brings the members in line with a roster. A registration that is new
// here is a joiner, whatever its state claims: it gets no lease below floor.
func (t *Tracker) enroll(now time.Duration, r *Roster, floor event.Position) {
	old := make(map[string]*member, len(t.members))
	for _, m := range t.members {
		old[m.Name] = m
	}
	t.members = make([]*member, 0, len(r.Members))
	for _, entry := range r.Members {
		m := old[entry.Name]
		switch {
		case m == nil:
			m = &member{floor: floor, former: t.formerHold(entry.Name)}
		case m.Registered != entry.Registered:
			m = &member{floor: floor, former: t.hold(m)}
		}
		m.Member = entry
		delete(old, entry.Name)
		t.members = append(t.members, m)
	}
	slices.SortFunc(t.members, func(a, b *member) int { return cmp.Compare(a.Name, b.Name) })
	for _, m := range old {
		if t.broken.keeps(ruleGone) && now < t.released(m) {
			t.gone = append(t.gone, m)
		}
	}
	slices.SortFunc(t.gone, func(a, b *member) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Registered, b.Registered))
	})
}

// hold is how long a registration that ends may leave a lease behind.
func (t *Tracker) hold(m *member) time.Duration {
	if !t.broken.keeps(ruleGone) {
		return 0
	}
	return t.released(m)
}

// formerHold is how long removed holders of a name may hold a lease.
func (t *Tracker) formerHold(name string) (until time.Duration) {
	for _, m := range t.gone {
		if m.Name == name {
			until = max(until, t.released(m))
		}
	}
	return until
}

// forgetGone forgets removed members whose leases have run out.
func (t *Tracker) forgetGone(now time.Duration) {
	t.gone = slices.DeleteFunc(t.gone, func(m *member) bool { return now >= t.released(m) })
}

// MemberStatus is what a leader knows of one reader.
type MemberStatus struct {
	Member
	// Connected says whether the reader has a session with this leader.
	Connected bool
	// Acked is the highest position that the reader has acknowledged in it.
	Acked event.Position
	// MayHold is for how long the reader may still hold a lease; 0: it holds none.
	MayHold time.Duration
	// Fault is why the session is quarantined, Reason the sentence for it; empty: it is not.
	Fault  Kind
	Reason string
	// Removed readers are waited for until MayHold is over, and then forgotten.
	Removed bool
}

// Members tells about all readers, in order of name, the removed ones last.
func (t *Tracker) Members(clocks Clocks) []MemberStatus {
	now := clocks.Monotonic
	t.forgetGone(now)
	out := make([]MemberStatus, 0, len(t.members)+len(t.gone))
	for i, m := range slices.Concat(t.members, t.gone) {
		out = append(out, MemberStatus{
			Member: m.Member, Connected: m.session != Session{}, Acked: m.acked,
			MayHold: max(0, t.released(m)-now), Fault: m.fault, Reason: m.reason, Removed: i >= len(t.members),
		})
	}
	return out
}
