package propagation

import (
	"time"

	"github.com/writ-iam/writ/log/event"
)

// simReplica is a place where a process of a replica may run, over its lives. Another
// process of the same name may run in the place beside it.
type simReplica struct {
	host      *simHost
	name      string
	slot      int
	life      int
	up        bool
	lease     *Lease
	published *Snapshot      // where queries find it
	applied   event.Position // what queries see
	disk      event.Position // a checkpoint
	recorded  string         // in its directory: the nonce of its latest life
	cutUntil  time.Duration  // no stream until then
	muteUntil time.Duration  // hears and is heard by no leader until then
	strict    map[uint64]event.Position
	renewal   int // invalidates earlier plans to renew
}

// String tells the processes of a name apart.
func (r *simReplica) String() string { return r.name + []string{"", "'"}[r.slot] }

// beside is the other place of the name.
func (s *simulation) beside(r *simReplica) *simReplica {
	for _, o := range s.replicas {
		if o.name == r.name && o != r {
			return o
		}
	}
	return nil
}

// boot starts a life of the replica's process. It finds the nonce of the life before
// in its directory, and often knows that it may tell of it; from a copy of another
// process's directory it may not.
func (s *simulation) boot(r *simReplica, d time.Duration) {
	s.after(d, r.host, func() {
		if r.up {
			return
		}
		old := r.published
		var ended []string
		switch {
		case !s.broken.keeps(ruleRecorded) && s.beside(r).up:
			ended = []string{s.beside(r).recorded}
		case r.recorded != "" && s.chance(0.7):
			ended = []string{r.recorded}
		}
		r.life++
		r.up, r.applied, r.strict, r.recorded = true, r.disk, map[uint64]event.Position{}, s.nonce()
		r.lease = leaseThatBreaks(s.broken, Replica{Name: r.name, Cluster: simCluster, Incarnation: simEpoch}, r.recorded, ended...)
		if !s.broken.keeps(ruleVolatile) && old != nil {
			r.lease.change(func(n *Snapshot) { n.anchor, n.duration = old.anchor, old.duration })
		}
		r.published = r.lease.Snapshot()
		s.trace("%s starts life %d (%s) at %d, over are %v", r, r.life, r.recorded, r.applied, ended)
		if s.broken.keeps(ruleVolatile) && r.published.Valid(s.clocks(r.host)) {
			s.fail("I6", "%s has a lease from before its start", r)
		}
		if s.faults.nameless && s.now == 0 { // granted by a leader whose fences named no lives
			r.lease.change(func(n *Snapshot) { n.anchor, n.duration = s.clocks(r.host), DefaultParams().Duration })
			r.published = r.lease.Snapshot()
		}
		s.follow(r)
		s.planRenewal(r)
	})
}

func (s *simulation) restart(r *simReplica) {
	if !r.up {
		return
	}
	r.up = false
	if s.chance(0.1) {
		r.disk, r.recorded = 0, "" // a new disk
	}
	s.trace("%s crashes", r)
	d := s.upTo(200 * time.Millisecond)
	if s.chance(0.5) {
		d = s.upTo(15 * time.Second)
	}
	s.boot(r, d)
}

// overlap starts a second process of a name, from whatever state it finds. The first
// is cut off, or goes on beside it.
func (s *simulation) overlap() {
	a := s.replicas[s.rng.IntN(len(s.replicas))]
	b := s.beside(a)
	if !a.up {
		a, b = b, a
	}
	if !a.up || b.up {
		s.leave(a)
		return
	}
	if s.chance(0.7) {
		a.cutUntil = s.now + s.upTo(25*time.Second)
		a.muteUntil = a.cutUntil
	}
	b.cutUntil, b.muteUntil, b.disk = 0, 0, []event.Position{0, a.disk, a.applied, s.raft.shown.Head.Position}[s.rng.IntN(4)]
	s.trace("a second process of %s starts; the first is cut off until %v", a.name, a.muteUntil)
	s.count.overlaps++
	s.boot(b, s.upTo(200*time.Millisecond))
	s.after(s.upTo(30*time.Second), nil, func() { s.leave([]*simReplica{a, b}[s.rng.IntN(2)]) })
}

// leave stops a process in good order: it tells that it is over, and may answer for
// a while before it is gone, or begin another life. The name is not left without a
// process for long.
func (s *simulation) leave(r *simReplica) {
	if !r.up || r.host.pausedUntil > s.now || r.lease.stopped {
		return
	}
	q, ok := r.lease.Stop()
	r.published = r.lease.Snapshot()
	s.trace("%s stops, over are %v", r, q.Ended)
	for range 1 + s.rng.IntN(2) {
		if l := s.anyLeader(); ok && l != nil && r.muteUntil <= s.now {
			s.count.ended++
			s.send(l.host, func() { s.take(l, r, q) })
		}
	}
	life := r.life
	s.after(s.upTo(12*time.Second), r.host, func() {
		if !r.up || r.life != life {
			return
		}
		s.trace("%s is gone", r)
		r.up = false
		if !s.beside(r).up || s.chance(0.5) {
			s.boot(r, s.upTo(3*time.Second))
		}
	})
}

// take hands a renewal to a leader.
func (s *simulation) take(l *simLeader, r *simReplica, q Renewal) {
	if l.over {
		return
	}
	if ticket, ok := l.tracker.Renew(q); ok {
		l.routes[ticket] = route{r, q}
	}
	s.pump(l)
}

// rebuild steps the state back within a life of the process.
func (s *simulation) rebuild(r *simReplica) {
	if !r.up || r.host.pausedUntil > s.now || r.lease.stopped {
		return
	}
	r.recorded = s.nonce()
	r.lease.StepBack(r.recorded)
	r.published = r.lease.Snapshot()
	r.applied = r.disk
	s.trace("%s steps back to %d (%s)", r, r.applied, r.recorded)
	s.follow(r)
	s.planRenewal(r)
}

// follow applies, some time from now, some of what is committed then.
func (s *simulation) follow(r *simReplica) {
	d := s.upTo(30 * time.Millisecond)
	if s.chance(s.faults.slow / 2) {
		d = s.upTo(5 * time.Second)
	}
	life := r.life
	s.after(d, r.host, func() {
		head := s.raft.shown.Head.Position
		switch {
		case !r.up || r.life != life || r.applied >= head:
			return
		case r.cutUntil > s.now:
			s.after(r.cutUntil-s.now, r.host, func() { s.follow(r) })
			return
		}
		r.applied += 1 + event.Position(s.rng.Int64N(int64(head-r.applied)))
		if s.chance(0.3) {
			r.disk = r.applied
		}
		if r.applied < head {
			s.follow(r)
		}
	})
}

func (s *simulation) planRenewal(r *simReplica) {
	r.renewal++
	plan := r.renewal
	d := r.lease.Next(s.clocks(r.host), s.rng.Float64())
	s.after(d, r.host, func() {
		if plan != r.renewal || !r.up || r.lease.stopped {
			return
		}
		l := s.anyLeader()
		if l == nil {
			s.after(RetryEvery, r.host, func() { s.planRenewal(r) })
			return
		}
		q := r.lease.Renew(s.clocks(r.host), Applied{Head: headAt(r.applied), State: hashAt(r.applied)})
		r.published = r.lease.Snapshot()
		s.trace("%s renews seq %d at %d, to term %d", r, q.Seq, q.Position, l.term)
		if r.muteUntil <= s.now {
			s.send(l.host, func() { s.take(l, r, q) })
		}
		s.planRenewal(r)
	})
}

// receive hands an answer to whatever process has the replica's name now.
func (s *simulation) receive(r *simReplica, a Answer) {
	if !r.up || r.muteUntil > s.now {
		return
	}
	if !r.lease.Receive(s.clocks(r.host), a) {
		return
	}
	r.published = r.lease.Snapshot()
	if a.Kind == KindHead {
		r.strict[a.Seq] = a.Head.Position
		return
	}
	s.planRenewal(r)
}

// simQuery is a question to one life of a replica. Its parts happen at different
// times, as those of a goroutine do.
type simQuery struct {
	r        *simReplica
	life     int
	ask      Ask
	promised event.Position // when the query arrived
	head     event.Position // committed when the query arrived
	read     uint64         // number of its Read
	tries    int

	freshness Freshness
	view      event.Position
}

func (s *simulation) startQuery(r *simReplica) {
	if !r.up || r.host.pausedUntil > s.now {
		return
	}
	q := &simQuery{r: r, life: r.life, promised: s.promised(r.name), head: s.raft.shown.Head.Position}
	q.ask.Mode = Mode(s.rng.IntN(4))
	switch {
	case q.ask.Mode == ModeStrict:
		s.askHead(q)
		return
	case s.chance(0.5):
		q.ask.AtLeast = q.head - min(q.head, event.Position(s.rng.IntN(3)))
	}
	s.step(q, s.check)
}

// step goes on with a query after a while, usually a short one.
func (s *simulation) step(q *simQuery, next func(*simQuery)) {
	d := s.upTo(time.Millisecond)
	if s.chance(0.3) {
		d = s.upTo(3 * time.Second)
	}
	s.after(d, q.r.host, func() {
		if q.r.up && q.r.life == q.life {
			next(q)
		}
	})
}

// askHead begins a strict query: the Read leaves after the query has arrived.
func (s *simulation) askHead(q *simQuery) {
	l := s.anyLeader()
	if l == nil || q.r.muteUntil > s.now {
		return
	}
	read := q.r.lease.Read(s.clocks(q.r.host))
	q.read = read.Seq
	s.send(l.host, func() {
		if l.over {
			return
		}
		if ticket, ok := l.tracker.Read(read); ok {
			l.routes[ticket] = route{replica: q.r}
		}
		s.pump(l)
	})
	s.step(q, s.awaitHead)
}

// awaitHead waits until the answer has come and the state has reached it.
func (s *simulation) awaitHead(q *simQuery) {
	head, ok := q.r.strict[q.read]
	if !ok || q.r.applied < head {
		if q.tries++; q.tries < 20 {
			s.step(q, s.awaitHead)
		}
		return
	}
	q.ask.AtLeast = head
	s.check(q)
}

// check is the first part of a query, load the second, unless the order is broken.
func (s *simulation) check(q *simQuery) {
	if s.broken.keeps(ruleCheckFirst) {
		q.freshness = q.r.published.Check(s.clocks(q.r.host))
		s.step(q, func(q *simQuery) { q.view = q.r.applied; s.step(q, s.finish) })
		return
	}
	q.view = q.r.applied
	s.step(q, func(q *simQuery) {
		q.freshness = q.r.published.Check(s.clocks(q.r.host))
		s.step(q, s.finish)
	})
}

// finish judges what the caller is told.
func (s *simulation) finish(q *simQuery) {
	c, err := q.freshness.Cover(q.view, q.ask)
	switch {
	case err != nil:
	case q.view < q.ask.AtLeast:
		s.fail("I14", "%s answers from %d, a token of %d was given", q.r, q.view, q.ask.AtLeast)
	case c.Freshness == Strict && q.view < q.head:
		s.fail("strict", "%s answers from %d, the head was %d when the query arrived", q.r, q.view, q.head)
	case c.Freshness == Leased && q.view < q.promised:
		s.fail("P5", "%s answers as leased from %d, after %d was everywhere", q.r, q.view, q.promised)
	case c.Freshness == Strict:
		s.count.strict++
	}
}
