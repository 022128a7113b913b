package propagation

import (
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Hashes is what the committed log says of one position.
type Hashes struct {
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
func (t *Tracker) EndTick(now Clocks, term uint64, v Shown, history func(event.Position) (Hashes, bool)) []Reply {
	if term != t.term {
		return t.FailTick()
	}
	t.provenAt = max(t.provenAt, v.Head.Position)
	t.proofs = t.proofs.add(t.begun, v.Head.Position, maxLeaderHeads)
	t.Observe(now, v)
	replies := make([]Reply, 0, len(t.batch))
	for i := range t.batch {
		q := &t.batch[i]
		a := t.answer(q, now.Monotonic, v.Lives, history)
		a.Cluster, a.Incarnation, a.Term = t.cluster, t.incarnation, t.term
		a.Nonce, a.Seq = q.Nonce, q.Seq
		if a.Kind != KindWrongIncarnation {
			a.Head = t.shown.Head
		}
		replies = append(replies, Reply{q.ticket, a})
	}
	t.over()
	t.forget(now.Monotonic)
	return replies
}

// answer is the protocol: the order of these cases is part of it. named are the
// lives that the log names with the tick's entry; what q told to be over was
// forgotten when the tick began.
func (t *Tracker) answer(q *request, now time.Duration, named event.Lives, history func(event.Position) (Hashes, bool)) Answer {
	if q.Cluster != t.cluster || q.Incarnation != t.incarnation {
		return Answer{Kind: KindWrongIncarnation, Reason: fmt.Sprintf(
			"This is cluster %s, incarnation %s; the replica is of cluster %s, incarnation %s. A cluster that is restored or recovered begins another, and its replicas take their state anew.",
			t.cluster, t.incarnation, q.Cluster, q.Incarnation)}
	}
	if q.read {
		return Answer{Kind: KindHead}
	}
	if q.Nonce == "" {
		return Answer{Kind: KindEnded}
	}
	m := t.registered(q.Replica)
	if m == nil {
		return Answer{Kind: KindUnregistered, Reason: fmt.Sprintf("No replica %s is registered.", q.Replica)}
	}
	l := m.life(q.Nonce)
	if l == nil {
		if why := t.refuses(m, q.Nonce); why != "" {
			return Answer{Kind: KindBusy, Reason: why}
		}
		l = t.open(m, q.Nonce, now) // registered since the tick began; the next fence names it
	}
	a := Answer{Opening: l.opening, Floor: t.threshold(m)}
	switch {
	case q.Opening != l.opening || !named.Has(l.Life):
		// The life is new here, or not yet in the log, where leaders to come would find it. Or an OPEN was lost, or this request
		// is older than the opening. Nothing is taken from it; the opening is told again, or
		// a replica would never learn it.
		a.Kind = KindOpen
	case q.Seq <= l.seq:
		a.Kind = KindStale
	default:
		l.seq = q.Seq
		kept := t.judge(l, q, history)
		if l.fault != "" {
			a.Kind, a.Reason = l.fault, l.reason
			return a
		}
		t.grant(&a, m, l, q, now, kept)
	}
	return a
}

// judge quarantines a life of a replica whose history is not the committed
// one, or that says itself that it is not sound. As q arrived before the fence, whatever it rightly holds is in the log.
// False says that the log is no longer kept so far back.
func (t *Tracker) judge(l *life, q *request, history func(event.Position) (Hashes, bool)) (kept bool) {
	if l.fault != "" {
		return false
	}
	head := t.shown.Head.Position
	var want Hashes // the empty log before the first batch has a zero hash
	switch {
	case q.Position > head:
		l.fault, l.reason = KindFork, fmt.Sprintf("The replica is at position %d, beyond the head %d.", q.Position, head)
	case q.Position < l.acked:
		l.fault, l.reason = KindFork, fmt.Sprintf("The replica went back from position %d to %d within an opening.", l.acked, q.Position)
	case q.Position > 0:
		if want, kept = history(q.Position); !kept {
			return false
		}
	}
	switch {
	case l.fault != "":
	case want.Hash != q.Hash:
		l.fault, l.reason = KindFork, differs("hash", q.Position, q.Hash, want.Hash)
	case want.State != event.Hash{} && q.State != event.Hash{} && want.State != q.State:
		l.fault, l.reason = KindDiverged, differs("state", q.Position, q.State, want.State)
	case q.Fault != "":
		l.fault, l.reason = KindDiverged, fmt.Sprintf("The replica says that it is quarantined (%.32s); its log says why.", q.Fault)
	}
	if l.fault != "" {
		l.acked = 0 // what it acknowledged may be of another history as well
	}
	return true
}

func differs(what string, p event.Position, got, want event.Hash) string {
	return fmt.Sprintf("The replica's %s at position %d is %x, the log's %x.", what, p, got[:8], want[:8])
}

// grant takes the acknowledgement of a sound replica and decides on a lease. That
// the replica may hold it is recorded before the answer leaves.
func (t *Tracker) grant(a *Answer, m *tracked, l *life, q *request, now time.Duration, kept bool) {
	a.Kind = KindBehind
	l.level = q.Level
	if !kept {
		a.Reason = fmt.Sprintf("The log no longer tells what was at position %d.", q.Position)
		return
	}
	l.acked = q.Position
	d := t.duration(m, q.Position)
	switch {
	case q.Level < t.shown.Level:
		a.Reason = fmt.Sprintf("The replica supports feature level %d; %d is in force.", q.Level, t.shown.Level)
	case q.Position < a.Floor:
		a.Reason = fmt.Sprintf("The replica is at position %d, below the floor %d.", q.Position, a.Floor)
	case d <= 0:
		a.Reason = fmt.Sprintf("The replica is at position %d; what follows was committed more than a lease ago.", q.Position)
	case m.Draining:
		a.Kind, a.Reason = KindDraining, "The replica is draining."
	default:
		t.hold(m, l, t.begun.Monotonic+t.window(d))
		a.Kind, a.Duration = KindGrant, d
	}
}

// hold records until when l may hold the lease that it is about to get. Its request
// was there when the tick began, and the lease counts from before the request left.
func (t *Tracker) hold(m *tracked, l *life, until time.Duration) {
	l.mayHold, l.region, l.anywhere = max(until, l.mayHold), m.Region, l.anywhere || l.region != m.Region
}

// threshold is the least position that gets m a lease.
func (t *Tracker) threshold(m *tracked) event.Position {
	return max(t.floor, m.floor)
}

// duration is how long a lease for a replica at p may last: D, less the time for
// which its next position may have been committed when the tick began. So no
// lease outlasts the commit of what its holder lacks by more than a window, no
// matter how often the holder renews while it lags.
func (t *Tracker) duration(m *tracked, p event.Position) time.Duration {
	d := t.params.Lease(m.Class)
	k, ok := t.proofs.below(p)
	if !ok {
		return 0
	}
	return d - t.begun.since(k.at)
}
