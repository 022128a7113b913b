package propagation

import (
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Record is what the committed log says of one position.
type Record struct {
	Hash  event.Hash // of the batch
	State event.Hash // digest of the state after it; zero if it is not kept
}

// EndTick ends a tick whose fence was committed and applied by the leader's own
// state machine: term is that of the Raft entry, v what the state machine showed
// as it applied the entry, neither before nor after, and now a reading of the
// clocks after that. history looks up the record at a position up to v.Head; false
// says that it is no longer kept. The answers may leave once EndTick has returned.
//
// An entry of another term proves nothing: the node may have lost and regained
// leadership in between.
func (t *Tracker) EndTick(now Clocks, term uint64, v View, history func(event.Position) (Record, bool)) []Reply {
	if term != t.term && t.broken.keeps(ruleTerm) {
		return t.FailTick()
	}
	t.inFlight = false
	t.fenced = max(t.fenced, v.Head.Position)
	t.marks = t.marks.add(t.begun, v.Head.Position, maxLeaderHeads)
	t.Observe(now, v)
	t.forgetGone(now.Monotonic)
	replies := make([]Reply, 0, len(t.batch))
	for i := range t.batch {
		q := &t.batch[i]
		a := t.answer(q, now.Monotonic, history)
		a.Cluster, a.Incarnation, a.Term = t.cluster, t.incarnation, t.term
		a.Nonce, a.Seq = q.Nonce, q.Seq
		if a.Kind != KindWrongIncarnation {
			a.Head = t.view.Head
		}
		replies = append(replies, Reply{q.ticket, a})
	}
	t.batch = t.batch[:0]
	return replies
}

// answer is the protocol: the order of these cases is part of it.
func (t *Tracker) answer(q *request, now time.Duration, history func(event.Position) (Record, bool)) Answer {
	if q.Cluster != t.cluster || q.Incarnation != t.incarnation {
		return Answer{Kind: KindWrongIncarnation, Reason: fmt.Sprintf(
			"This is cluster %s, incarnation %s; the reader is of cluster %s, incarnation %s.",
			t.cluster, t.incarnation, q.Cluster, q.Incarnation)}
	}
	if q.read {
		return Answer{Kind: KindHead}
	}
	m := t.find(q.Replica)
	if m == nil {
		return Answer{Kind: KindUnregistered, Reason: fmt.Sprintf("No replica %s is registered.", q.Replica)}
	}
	if m.session == (Session{}) || q.Nonce != m.nonce {
		return t.open(m, q)
	}
	a := Answer{Session: m.session, Floor: t.threshold(m)}
	switch {
	case q.Session != m.session:
		// An OPEN was lost, or this request is older than the session. Nothing is
		// taken from it; the session is told again, or a reader would never learn it.
		a.Kind = KindOpen
	case q.Seq <= m.seq && t.broken.keeps(ruleSeq):
		a.Kind = KindStale
	default:
		m.seq = q.Seq
		kept := t.judge(m, q, history)
		if m.fault != "" {
			a.Kind, a.Reason = m.fault, m.reason
			return a
		}
		t.grant(&a, m, q, now, kept)
	}
	return a
}

// open begins a session for a life of a reader that is new to this leader.
func (t *Tracker) open(m *member, q *request) Answer {
	t.sessions++
	m.nonce, m.session, m.seq = q.Nonce, Session{t.term, t.sessions}, q.Seq
	m.fault, m.reason = "", ""
	if t.broken.keeps(ruleForget) {
		m.acked = 0
	}
	return Answer{Kind: KindOpen, Session: m.session, Floor: t.threshold(m)}
}

// judge quarantines the session of a reader whose history is not the committed
// one, or that says itself that it is not sound. As q arrived before the fence, whatever it rightly holds is in the log.
// False says that the log is no longer kept so far back.
func (t *Tracker) judge(m *member, q *request, history func(event.Position) (Record, bool)) (kept bool) {
	if m.fault != "" {
		return false
	}
	head := t.view.Head.Position
	var want Record // the empty log before the first batch has a zero hash
	switch {
	case q.Position > head:
		m.fault, m.reason = KindFork, fmt.Sprintf("The reader is at position %d, beyond the head %d.", q.Position, head)
	case q.Position < m.acked && t.broken.keeps(ruleForward):
		m.fault, m.reason = KindFork, fmt.Sprintf("The reader went back from position %d to %d within a session.", m.acked, q.Position)
	case q.Position > 0:
		if want, kept = history(q.Position); !kept {
			return false
		}
	}
	switch {
	case m.fault != "":
	case want.Hash != q.Hash:
		m.fault, m.reason = KindFork, differs("hash", q.Position, q.Hash, want.Hash)
	case want.State != event.Hash{} && q.State != event.Hash{} && want.State != q.State:
		m.fault, m.reason = KindDiverged, differs("state", q.Position, q.State, want.State)
	case q.Fault != "":
		m.fault, m.reason = KindDiverged, fmt.Sprintf("The reader says that it is quarantined (%.32s); its log says why.", q.Fault)
	}
	if m.fault != "" {
		m.acked = 0 // what it acknowledged may be of another history as well
	}
	return true
}

func differs(what string, p event.Position, got, want event.Hash) string {
	return fmt.Sprintf("The reader's %s at position %d is %x, the log's %x.", what, p, got[:8], want[:8])
}

// grant takes the acknowledgement of a sound reader and decides on a lease. That
// the reader may hold it is recorded before the answer leaves.
func (t *Tracker) grant(a *Answer, m *member, q *request, now time.Duration, kept bool) {
	a.Kind = KindBehind
	if !kept {
		a.Reason = fmt.Sprintf("The log no longer tells what was at position %d.", q.Position)
		return
	}
	m.acked = t.acknowledged(m, q.Position)
	d := t.duration(m, q.Position)
	switch {
	case q.Level < t.view.Level:
		a.Reason = fmt.Sprintf("The reader supports feature level %d; %d is in force.", q.Level, t.view.Level)
	case q.Position < a.Floor && t.broken.keeps(ruleFloorCheck):
		a.Reason = fmt.Sprintf("The reader is at position %d, below the floor %d.", q.Position, a.Floor)
	case d <= 0:
		a.Reason = fmt.Sprintf("The reader is at position %d; what follows was committed more than a lease ago.", q.Position)
	case m.Draining:
		a.Kind, a.Reason = KindDraining, "The reader is draining."
	default:
		m.mayHold = max(m.mayHold, now+t.window(d))
		a.Kind, a.Duration = KindGrant, d
	}
}

// acknowledged is what counts of a renewal for position p.
func (t *Tracker) acknowledged(m *member, p event.Position) event.Position {
	switch {
	case !t.broken.keeps(ruleApplied):
		return t.view.Head.Position
	case !t.broken.keeps(ruleForget):
		return max(m.acked, p)
	}
	return p
}

// threshold is the least position that gets m a lease.
func (t *Tracker) threshold(m *member) event.Position {
	if !t.broken.keeps(ruleJoiner) && m.mayHold == 0 {
		return 0
	}
	return max(t.floor, m.floor)
}

// duration is how long a lease for a reader at p may last: D, less the time for
// which its next position may have been committed when the tick began. So no
// lease outlasts the commit of what its holder lacks by more than a window, no
// matter how often the holder renews while it lags.
func (t *Tracker) duration(m *member, p event.Position) time.Duration {
	d := t.params.Lease(m.Class)
	k, ok := t.marks.below(p)
	switch {
	case !t.broken.keeps(ruleLag):
		return d
	case !ok:
		return 0
	}
	return d - t.begun.since(k.at)
}
