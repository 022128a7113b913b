package propagation

import (
	"fmt"
	"slices"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Replica says who renews.
type Replica struct {
	Name        string // in the roster
	Class       string // of lease; see ClassTight
	Cluster     string
	Incarnation string
}

// Applied is what a replica has applied and shows to its callers.
type Applied struct {
	Head  event.Head
	State event.Hash // digest of the state there; zero if it is not computed
	Level uint32     // highest feature level that the replica supports
}

// Lease is the replica's side: it asks for leases, and knows whether one is in
// force. It is a state machine without locks, for one goroutine; queries read the
// Snapshot that this goroutine published last. It lives in memory alone: a
// process that starts begins with NewLease and a nonce never used before.
type Lease struct {
	params  Params
	replica Replica

	nonce    string
	asked    bool     // a renewal was made under nonce
	ended    []string // nonces that are over, until a leader has answered that it knows
	stopped  bool
	opening  Opening
	seq      uint64
	sent     Clocks       // when the latest renewal left
	pause    pause        // before the next renewal
	pending  *sentRenewal // not yet answered
	reads    []sentRead   // not yet answered, oldest first
	snapshot *Snapshot
}

type sentRenewal struct {
	seq      uint64
	anchor   Clocks
	position event.Position
}

type sentRead struct {
	seq    uint64
	anchor Clocks
}

// pause is what a replica waits for before its next renewal.
type pause uint8

const (
	pauseNone   pause = iota // nothing: renew at once
	pauseRetry               // RetryEvery since the last one
	pausePeriod              // a share of the lease since the last one
)

// NewLease returns the lease of a replica that has none and knows no head. nonce
// must be random, of at least 128 bits. ended are nonces of this name that are over
// for good: whoever tells of one must know that nobody answers under it any more.
func NewLease(p Params, r Replica, nonce string, ended ...string) *Lease {
	return &Lease{params: p, replica: r, nonce: nonce, ended: ended, snapshot: &Snapshot{params: p}}
}

// Snapshot is what queries read. It changes with Renew, Receive, StepBack and
// Quarantine; the driver stores it where queries find it before it does anything
// else: before it sends what Renew returned, and before the state steps back.
func (l *Lease) Snapshot() *Snapshot { return l.snapshot }

// Nonce names the life that runs now.
func (l *Lease) Nonce() string { return l.nonce }

// change publishes a changed copy of the snapshot.
func (l *Lease) change(f func(*Snapshot)) {
	s := *l.snapshot
	f(&s)
	l.snapshot = &s
}

// Renew makes the next renewal. now is the anchor of a lease that answers it, so
// the clocks must be read before it is sent, and applied must be what queries
// already see. A renewal that is still unanswered is given up.
//
// It panics if applied is below what this life of the replica has reported: a state
// that steps back without StepBack could be taken as fresh. It panics after Stop.
func (l *Lease) Renew(now Clocks, applied Applied) Renewal {
	if l.stopped {
		panic("propagation: a replica that has stopped asks for a lease")
	}
	at := applied.Head.Position
	if at < l.snapshot.reported {
		panic(fmt.Sprintf("propagation: position %d after %d was reported, without a step back", at, l.snapshot.reported))
	}
	l.seq++
	l.asked = true
	l.sent, l.pause = now, pausePeriod
	l.pending = &sentRenewal{l.seq, now, at}
	l.change(func(s *Snapshot) { s.reported = max(s.reported, at) })
	return Renewal{
		Replica: l.replica.Name, Cluster: l.replica.Cluster, Incarnation: l.replica.Incarnation,
		Nonce: l.nonce, Ended: l.ended, Opening: l.opening, Seq: l.seq,
		Position: at, Hash: applied.Head.Hash, State: applied.State, Level: applied.Level, Fault: l.snapshot.fault,
	}
}

// Read makes a question for the head. A strict query that arrived before the
// clocks were read is served by the answer, and by that to any later question.
func (l *Lease) Read(now Clocks) Read {
	if len(l.reads) >= MaxReads {
		l.reads = append(l.reads[:0], l.reads[1:]...)
	}
	l.seq++
	l.reads = append(l.reads, sentRead{l.seq, now})
	return Read{Cluster: l.replica.Cluster, Incarnation: l.replica.Incarnation, Nonce: l.nonce, Seq: l.seq}
}

// Receive takes in an answer. False says that it is not for a question of this
// life, or that the question was given up: nothing changed.
//
// After FORK, DIVERGED and WRONG_INCARNATION the replica is quarantined; see
// Quarantine.
func (l *Lease) Receive(now Clocks, a Answer) bool {
	ours := a.Cluster == l.replica.Cluster && a.Incarnation == l.replica.Incarnation
	if a.Nonce != l.nonce || !ours && a.Kind != KindWrongIncarnation {
		return false
	}
	if anchor, ok := l.answered(a.Seq); ok {
		if a.Kind == KindHead {
			l.learn(anchor, a.Head.Position)
		}
		return true
	}
	if l.pending == nil || a.Seq != l.pending.seq {
		return false
	}
	if a.Kind != KindWrongIncarnation && a.Kind != KindNotLeader && a.Kind != KindBusy {
		l.ended = nil // it was in every request of this life
	}
	asked := *l.pending
	l.pending, l.pause = nil, pauseRetry
	switch a.Kind {
	case KindFork, KindDiverged, KindWrongIncarnation:
		if l.snapshot.fault == "" {
			l.Quarantine(a.Kind)
		}
		l.pause = pausePeriod
		return true
	case KindOpen:
		l.opening, l.pause = a.Opening, pauseNone
	case KindGrant:
		l.take(now, asked, a)
	case KindDraining:
		l.pause = pausePeriod
	case KindUnregistered:
		l.pause = pausePeriod
		l.change(func(s *Snapshot) { s.duration = 0 })
	case KindBehind, KindStale:
	default:
		return true // NOT_LEADER, BUSY, or not known here: a head that no fence bears
	}
	l.learn(asked.anchor, a.Head.Position)
	return true
}

// take makes a granted lease the one in force.
func (l *Lease) take(now Clocks, asked sentRenewal, a Answer) {
	if l.snapshot.fault != "" || a.Opening != l.opening || a.Duration <= 0 || a.Floor > asked.position {
		return // no such grant can have been made to this life
	}
	l.pause = pausePeriod
	l.change(func(s *Snapshot) { s.anchor, s.duration = asked.anchor, a.Duration })
}

// answered forgets the read of that number and returns its anchor.
func (l *Lease) answered(seq uint64) (Clocks, bool) {
	for i, r := range l.reads {
		if r.seq == seq {
			l.reads = append(l.reads[:i], l.reads[i+1:]...)
			return r.anchor, true
		}
	}
	return Clocks{}, false
}

func (l *Lease) learn(anchor Clocks, head event.Position) {
	l.change(func(s *Snapshot) {
		s.heads = s.heads.add(anchor, head, maxReaderHeads)
		s.head = max(s.head, head)
	})
}

// StepBack forgets lease and opening and begins a new life under a new nonce; the
// one before is told to be over. The driver calls it, and publishes the Snapshot, before it rebuilds the state or
// bootstraps it from elsewhere. It also ends a quarantine.
func (l *Lease) StepBack(nonce string) {
	l.end()
	l.nonce, l.asked, l.opening, l.pending, l.reads, l.pause = nonce, false, Opening{}, nil, nil, pauseNone
	l.change(func(s *Snapshot) {
		*s = Snapshot{params: s.params, heads: s.heads, head: s.head}
	})
}

// end notes that nobody answers under the nonce any more, if anybody ever did.
func (l *Lease) end() {
	if l.asked {
		l.ended = append(slices.Clone(l.ended), l.nonce)
		l.ended = l.ended[max(0, len(l.ended)-MaxEnded):] // of the others the leader waits a window
	}
}

// Stop drops the lease for good: nothing is asked or taken, and no answer is leased,
// from now on. The driver publishes the Snapshot and then sends what Stop returned,
// which tells a leader that it need not wait; false: there is nothing to tell.
func (l *Lease) Stop() (Renewal, bool) {
	l.end()
	l.stopped = true
	l.asked, l.opening, l.pending = false, Opening{}, nil
	l.change(func(s *Snapshot) { s.duration = 0 })
	return Renewal{Replica: l.replica.Name, Cluster: l.replica.Cluster, Incarnation: l.replica.Incarnation, Ended: l.ended}, len(l.ended) > 0
}

// Rejoin is StepBack into another incarnation of the cluster: heads known of the
// old one are forgotten too.
func (l *Lease) Rejoin(incarnation, nonce string) {
	l.replica.Incarnation = incarnation
	l.StepBack(nonce)
	l.snapshot = &Snapshot{params: l.params}
}

// Quarantine drops the lease: the replica found, or was told, that it is not sound.
// It answers nothing and gets no lease until it was built anew, see StepBack. Its
// renewals say so, or whoever leads would only see that it is silent.
func (l *Lease) Quarantine(why Kind) {
	l.opening, l.pending, l.pause = Opening{}, nil, pauseNone
	l.change(func(s *Snapshot) { s.duration, s.fault = 0, why })
}

// Withdraw drops the lease in force: the replica was told that it has no place in the
// cluster. It may go on asking for another.
func (l *Lease) Withdraw() {
	l.pending, l.pause = nil, pausePeriod
	l.change(func(s *Snapshot) { s.duration = 0 })
}

// Next is how long to wait until the next Renew, which may be called earlier, for
// instance when someone waits for a position that was just applied. jitter is
// random, from 0 up to 1, drawn anew for each renewal.
func (l *Lease) Next(now Clocks, jitter float64) time.Duration {
	var wait time.Duration
	switch l.pause {
	case pauseRetry:
		wait = RetryEvery
	case pausePeriod:
		period := l.params.Lease(l.replica.Class) / RenewalsPerLease
		wait = period - time.Duration(min(max(jitter, 0), 1)*float64(period)/RenewalsPerLease)
	}
	return max(0, wait-max(0, now.since(l.sent)))
}
