package propagation

import (
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Tracker is the leader's side of one term: who has applied which position, and
// who may still answer as fresh. It is a state machine without locks: its driver
// calls it from one goroutine, or under one lock, and never again once it knows
// that the term is over; see the package comment for the order of calls.
//
// Nothing breaks if the driver learns late that it was deposed: what a deposed
// leader may not say, it cannot say without an entry in the log.
type Tracker struct {
	params      Params
	cluster     string
	incarnation string
	term        uint64

	shown    Shown
	provenAt event.Position // head when this leader last proved that it led
	proofs   heads          // what ticks proved about the head
	floor    event.Position // no lease is granted below
	// grace is until when lives that the log does not name may hold leases.
	grace time.Duration

	names    []*tracked // in order of name
	openings uint64     // opened in this term
	known    int        // lives of all names

	tickets    Ticket
	waiting    []request // for the next tick
	batch      []request // of the tick in flight
	inFlight   bool
	begun      Clocks        // when the tick in flight began
	nextTick   time.Duration // not before
	nextFloor  time.Duration // not before, for a tick between others that carries a floor
	floorAsked event.Position
	fenceAsked bool
}

// request is a Renewal, or a Read in the same fields.
type request struct {
	ticket Ticket
	read   bool
	Renewal
}

// NewTracker returns the tracker of a leader that has just taken over. Before it
// is called, the leader must have committed a first fence of its term and its own
// state machine must have applied it: v is what that showed, and now a reading of
// the clocks after that. Every term needs a tracker of its own; nothing is
// carried over.
func NewTracker(p Params, cluster, incarnation string, term uint64, now Clocks, v Shown) *Tracker {
	t := &Tracker{
		params: p, cluster: cluster, incarnation: incarnation, term: term,
		shown: v, provenAt: v.Head.Position, floor: max(v.Floor, v.Head.Position),
		nextTick: now.Monotonic, nextFloor: now.Monotonic, grace: now.Monotonic,
	}
	if !v.Lives.Complete {
		t.grace += t.window(p.Duration)
	}
	t.enroll(now.Monotonic, v.Roster, t.floor)
	t.inherit(now.Monotonic)
	return t
}

func (t *Tracker) window(d time.Duration) time.Duration { return t.params.Window(d) }

// Renew takes in a renewal; the answer comes with the tick that it joins. False
// says that too many wait: the caller answers Busy.
func (t *Tracker) Renew(q Renewal) (Ticket, bool) { return t.take(request{Renewal: q}) }

// Read takes in a question for the head, as Renew does a renewal.
func (t *Tracker) Read(q Read) (Ticket, bool) {
	return t.take(request{read: true, Renewal: Renewal{
		Cluster: q.Cluster, Incarnation: q.Incarnation, Nonce: q.Nonce, Seq: q.Seq,
	}})
}

func (t *Tracker) take(q request) (Ticket, bool) {
	if len(t.waiting) >= MaxWaiting {
		return 0, false
	}
	t.tickets++
	q.ticket = t.tickets
	t.waiting = append(t.waiting, q)
	return q.ticket, true
}

// Busy is the answer to a request that was refused because too many wait.
func (t *Tracker) Busy(nonce string, seq uint64) Answer {
	return Answer{
		Kind: KindBusy, Cluster: t.cluster, Incarnation: t.incarnation, Term: t.term, Nonce: nonce, Seq: seq,
		Reason: "Too many requests wait for this leader; ask again.",
	}
}

// Observe takes in what the leader's own state machine shows, whenever the driver
// likes: after every batch, or only before it asks about a position. A view older
// than one seen before is ignored.
func (t *Tracker) Observe(now Clocks, v Shown) {
	if v.Head.Position < t.shown.Head.Position {
		return
	}
	changed := v.Roster != t.shown.Roster && v.Roster.At != t.shown.Roster.At
	v.Floor = max(v.Floor, t.shown.Floor)
	t.shown = v
	if changed {
		t.enroll(now.Monotonic, v.Roster, v.Head.Position)
	}
}

// Fence is the fence that a tick needs in the log. It proves leadership to whoever
// asked before it was proposed, makes a floor durable, and names the lives that may
// hold leases, for leaders to come.
type Fence struct {
	Term  uint64
	Head  event.Head
	Floor event.Position
	// Opened are lives that the tick begins to know, Dropped those that can hold no
	// lease any more.
	Opened, Dropped []event.Life
	// Complete says that leases of lives which the log does not name have run out.
	Complete bool
}

// BeginTick begins a tick if one is due: the requests received so far are its
// batch, and nothing that arrives later joins it. The driver then commits the
// fence, and ends the tick with EndTick or FailTick.
func (t *Tracker) BeginTick(now Clocks) (Fence, bool) {
	if at, ok := t.tickDue(); !ok || now.Monotonic < at {
		return Fence{}, false
	}
	if now.Monotonic < t.nextTick { // in between, for a floor
		t.nextFloor = t.nextTick
	} else {
		t.nextTick, t.nextFloor = now.Monotonic+TickEvery, now.Monotonic
	}
	t.batch, t.waiting = t.waiting, t.batch[:0]
	t.inFlight, t.fenceAsked, t.begun = true, false, now
	f := Fence{Term: t.term, Head: t.shown.Head, Floor: max(t.floorAsked, t.shown.Floor)}
	t.turnover(now.Monotonic, &f)
	return f, true
}

// tickDue is when the next tick may begin; false: nothing asks for one.
func (t *Tracker) tickDue() (time.Duration, bool) {
	switch {
	case t.inFlight:
		return 0, false
	case t.floorAsked > t.shown.Floor:
		return t.nextFloor, true
	case len(t.waiting) > 0 || t.fenceAsked:
		return t.nextTick, true
	}
	return 0, false
}

// NextTick is how long the driver may sleep until BeginTick has something to do,
// if nothing arrives before; false: until something arrives.
func (t *Tracker) NextTick(now Clocks) (time.Duration, bool) {
	at, ok := t.tickDue()
	return max(0, at-now.Monotonic), ok
}

// FailTick ends a tick whose fence was not committed, or not certainly. All of
// its requests are answered NOT_LEADER.
func (t *Tracker) FailTick() []Reply {
	replies := t.refuse(t.batch)
	t.over()
	return replies
}

// over ends the tick in flight.
func (t *Tracker) over() {
	for i := range t.batch {
		if m := t.find(t.batch[i].Replica); m != nil {
			for _, l := range m.lives {
				l.asked = false
			}
		}
	}
	t.inFlight, t.batch = false, t.batch[:0]
}

// Close answers NOT_LEADER to all who wait. The tracker is not used afterwards.
func (t *Tracker) Close() []Reply {
	replies := append(t.FailTick(), t.refuse(t.waiting)...)
	t.waiting = nil
	return replies
}

func (t *Tracker) refuse(batch []request) []Reply {
	replies := make([]Reply, 0, len(batch))
	for i := range batch {
		q := &batch[i]
		replies = append(replies, Reply{q.ticket, Answer{
			Kind: KindNotLeader, Cluster: t.cluster, Incarnation: t.incarnation, Term: t.term, Nonce: q.Nonce, Seq: q.Seq,
			Reason: "This node could not prove that it leads; ask the leader.",
		}})
	}
	return replies
}
