package propagation

import (
	"cmp"
	"slices"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Registration is an entry of the roster: a replica that "everywhere" waits for. A name is
// not a process: several may run under it at once, each a life of its own.
type Registration struct {
	Name   string
	Region string
	Class  string // of lease; see ClassTight
	// Draining replicas get no new leases and are waited for.
	Draining bool
	// Registered is the position of the registration in force. A name with another
	// registration gets no lease below it.
	Registered event.Position
}

// Roster is who is registered, at one position of the log. It is never changed.
type Roster struct {
	// At is the position of the latest change to the roster.
	At event.Position
	// Registered are the replicas in order of name.
	Registered []Registration
}

// Shown is what a leader's state machine showed at one moment.
type Shown struct {
	Head  event.Head
	Floor event.Position // the highest that a committed fence carried
	Level uint32         // feature level in force
	// Roster is as of Head. The same pointer means that nothing changed.
	Roster *Roster
	// Lives are those that fences have opened and not dropped.
	Lives event.Lives
}

// tracked is a name with what the tracker knows of it: registered, or removed while
// lives of it may hold leases. Times are readings of the leader's monotonic clock.
type tracked struct {
	Registration // as it was registered last; only the name, if never in this term
	registered   bool
	floor        event.Position // of this name alone, as the tracker's floor is of all
	bound        event.Position // a scoped "everywhere" up to here included this name
	lives        []*life        // in the order in which they were opened
}

// life is what the tracker knows of one life of a name: an opening of the protocol.
// Nothing known of one life is ever set from another.
type life struct {
	event.Life
	opening Opening
	seq     uint64 // of the latest request taken
	acked   event.Position
	level   uint32 // the highest feature level that it said it supports
	fault   Kind   // quarantines the life; empty: none
	reason  string

	mayHold time.Duration // until then, grants may be in force
	heard   time.Duration // when a tick last began with a request of it; first, when it was found
	found   bool          // in the log by a new leader, and not heard since
	asked   bool          // has a request in the tick in flight
	named   bool          // by the log when the tick in flight began
	// region is where the name was when this life last got a lease, or anywhere.
	region   string
	anywhere bool
}

// released is when m can hold no lease that was granted so far.
func (t *Tracker) released(m *tracked) time.Duration {
	until := t.grace
	for _, l := range m.lives {
		until = max(until, l.mayHold)
	}
	return until
}

// held is until when m may answer as fresh from before r, by what was granted so far.
func (t *Tracker) held(m *tracked, r event.Position) time.Duration {
	until := t.grace
	for _, l := range m.lives {
		if l.acked < r {
			until = max(until, l.mayHold)
		}
	}
	return until
}

// shows says whether a life of m has applied r, and none answers from before it.
func (t *Tracker) shows(m *tracked, r event.Position, now time.Duration) bool {
	return slices.ContainsFunc(m.lives, func(l *life) bool { return l.acked >= r }) && now >= t.held(m, r)
}

// settled says whether m will never again answer as fresh from before r, given
// that the floor for m rises to r.
func (t *Tracker) settled(m *tracked, r event.Position, now time.Duration) bool {
	return now >= t.held(m, r) || m.bound >= r
}

// index is where the name is, or belongs.
func (t *Tracker) index(name string) (int, bool) {
	return slices.BinarySearchFunc(t.names, name, func(m *tracked, name string) int { return cmp.Compare(m.Name, name) })
}

// find returns what is known of that name, registered or not; nil if nothing is.
func (t *Tracker) find(name string) *tracked {
	if i, ok := t.index(name); ok {
		return t.names[i]
	}
	return nil
}

// registered returns what is known of that name if it is in the roster.
func (t *Tracker) registered(name string) *tracked {
	if m := t.find(name); m != nil && m.registered {
		return m
	}
	return nil
}

// enroll brings the names in line with a roster. A registration that is new
// here is a joiner, whatever its state claims: it gets no lease below floor. What
// is known of the lives of a name stays, registered or not.
func (t *Tracker) enroll(now time.Duration, r *Roster, floor event.Position) {
	for _, m := range t.names {
		m.registered = false
	}
	for _, entry := range r.Registered {
		i, ok := t.index(entry.Name)
		if !ok {
			t.names = slices.Insert(t.names, i, &tracked{})
		}
		m := t.names[i]
		if m.Registered != entry.Registered {
			m.floor = max(m.floor, floor)
		}
		m.Registration, m.registered = entry, true
	}
	t.forget(now)
}

// ReplicaStatus is what a leader knows of one replica, or of one life of it.
type ReplicaStatus struct {
	Registration
	// Life tells the lives of a name apart where it has several; empty: it has not.
	Life string
	// Connected says whether the life has asked this leader for a lease.
	Connected bool
	// Heard is how long ago it did so last, or this leader took over.
	Heard time.Duration
	// Acked is the highest position that the life has acknowledged.
	Acked event.Position
	// Level is the highest feature level that the life supports; 0: it has not said so.
	Level uint32
	// MayHold is for how long the life may still hold a lease; 0: it holds none.
	MayHold time.Duration
	// Fault is why the life is quarantined, Reason the sentence for it; empty: it is not.
	Fault  Kind
	Reason string
	// Removed replicas are waited for until MayHold is over, and then forgotten.
	Removed bool
}

// Replicas tells about all replicas, in order of name, the removed ones last. A name
// with several lives that may answer is told of once for each of them.
func (t *Tracker) Replicas(clocks Clocks) []ReplicaStatus {
	now := clocks.Monotonic
	t.forget(now)
	var out, removed []ReplicaStatus
	for _, m := range t.names {
		told := t.tell(m, now)
		if m.registered {
			out = append(out, told...)
		} else {
			removed = append(removed, told...)
		}
	}
	return append(out, removed...)
}

// tell tells about the lives of one name: those that may hold a lease or were heard
// lately; if there are none, about the one that was heard last.
func (t *Tracker) tell(m *tracked, now time.Duration) []ReplicaStatus {
	var out []ReplicaStatus
	several := false
	for _, l := range m.current(now, t.linger()) {
		one := ReplicaStatus{
			Registration: m.Registration, Life: shortNonce(l.Nonce), Connected: !l.found, Heard: max(0, now-l.heard), Acked: l.acked, Level: l.level,
			MayHold: max(0, max(l.mayHold, t.grace)-now), Fault: l.fault, Reason: l.reason, Removed: !m.registered,
		}
		several = len(out) > 0
		out = append(out, one)
	}
	switch {
	case len(out) == 0:
		out = append(out, ReplicaStatus{Registration: m.Registration, MayHold: max(0, t.grace-now), Removed: !m.registered})
	case !several:
		out[0].Life = ""
	}
	return out
}

// current are the lives of m that may answer, or that one which was heard last.
func (m *tracked) current(now, linger time.Duration) []*life {
	var out []*life
	var last *life
	for _, l := range m.lives {
		if !l.lapsed(now, linger) {
			out = append(out, l)
		}
		if last == nil || l.heard >= last.heard {
			last = l
		}
	}
	if len(out) == 0 && last != nil {
		out = append(out, last)
	}
	return out
}

// shortNonce is enough of a nonce to tell lives apart.
func shortNonce(nonce string) string { return nonce[:min(len(nonce), 8)] }
