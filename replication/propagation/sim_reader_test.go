package propagation

import (
	"time"

	"github.com/writ-iam/writ/log/event"
)

// simReader is a reader's process, over its lives.
type simReader struct {
	host      *simHost
	name      string
	life      int
	up        bool
	lease     *Lease
	published *Snapshot      // where queries find it
	applied   event.Position // what queries see
	disk      event.Position // a checkpoint
	cutUntil  time.Duration  // no stream until then
	strict    map[uint64]event.Position
	renewal   int // invalidates earlier plans to renew
}

// boot starts a life of the reader's process.
func (s *simulation) boot(r *simReader, d time.Duration) {
	s.after(d, r.host, func() {
		old := r.published
		r.life++
		r.up, r.applied, r.strict = true, r.disk, map[uint64]event.Position{}
		r.lease = newLease(DefaultParams(), Reader{Replica: r.name, Cluster: simCluster, Incarnation: simEpoch}, s.nonce(), s.broken)
		if !s.broken.keeps(ruleVolatile) && old != nil {
			r.lease.change(func(n *Snapshot) { n.anchor, n.duration = old.anchor, old.duration })
		}
		r.published = r.lease.Snapshot()
		s.trace("%s starts life %d at %d", r.name, r.life, r.applied)
		if s.broken.keeps(ruleVolatile) && r.published.Valid(s.clocks(r.host)) {
			s.fail("I6", "%s has a lease from before its start", r.name)
		}
		s.follow(r)
		s.planRenewal(r)
	})
}

func (s *simulation) restart(r *simReader) {
	if !r.up {
		return
	}
	r.up = false
	if s.chance(0.1) {
		r.disk = 0 // a new disk
	}
	s.trace("%s stops", r.name)
	d := s.upTo(200 * time.Millisecond)
	if s.chance(0.5) {
		d = s.upTo(15 * time.Second)
	}
	s.boot(r, d)
}

// rebuild steps the state back within a life of the process.
func (s *simulation) rebuild(r *simReader) {
	if !r.up || r.host.pausedUntil > s.now {
		return
	}
	r.lease.StepBack(s.nonce())
	r.published = r.lease.Snapshot()
	r.applied = r.disk
	s.trace("%s steps back to %d", r.name, r.applied)
	s.follow(r)
	s.planRenewal(r)
}

// follow applies, some time from now, some of what is committed then.
func (s *simulation) follow(r *simReader) {
	d := s.upTo(30 * time.Millisecond)
	if s.chance(s.faults.slow / 2) {
		d = s.upTo(5 * time.Second)
	}
	life := r.life
	s.after(d, r.host, func() {
		head := s.raft.view.Head.Position
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

func (s *simulation) planRenewal(r *simReader) {
	r.renewal++
	plan := r.renewal
	d := r.lease.Next(s.clocks(r.host), s.rng.Float64())
	s.after(d, r.host, func() {
		if plan != r.renewal || !r.up {
			return
		}
		l := s.anyLeader()
		if l == nil {
			s.after(RetryEvery, r.host, func() { s.planRenewal(r) })
			return
		}
		q := r.lease.Renew(s.clocks(r.host), Applied{Head: headAt(r.applied), State: hashAt(r.applied)})
		r.published = r.lease.Snapshot()
		s.trace("%s renews seq %d at %d, to term %d", r.name, q.Seq, q.Position, l.term)
		s.send(l.host, func() {
			if l.over {
				return
			}
			if ticket, ok := l.tracker.Renew(q); ok {
				l.routes[ticket] = route{r, q}
			}
			s.pump(l)
		})
		s.planRenewal(r)
	})
}

// receive hands an answer to whatever process has the reader's name now.
func (s *simulation) receive(r *simReader, a Answer) {
	if !r.up {
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

// simQuery is a question to one life of a reader. Its parts happen at different
// times, as those of a goroutine do.
type simQuery struct {
	r        *simReader
	life     int
	ask      Ask
	promised event.Position // when the query arrived
	head     event.Position // committed when the query arrived
	read     uint64         // number of its Read
	tries    int

	freshness Freshness
	view      event.Position
}

func (s *simulation) startQuery(r *simReader) {
	if !r.up || r.host.pausedUntil > s.now {
		return
	}
	q := &simQuery{r: r, life: r.life, promised: s.promised(r.name), head: s.raft.view.Head.Position}
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
	if l == nil {
		return
	}
	read := q.r.lease.Read(s.clocks(q.r.host))
	q.read = read.Seq
	s.send(l.host, func() {
		if l.over {
			return
		}
		if ticket, ok := l.tracker.Read(read); ok {
			l.routes[ticket] = route{reader: q.r}
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
		s.fail("I14", "%s answers from %d, a token of %d was given", q.r.name, q.view, q.ask.AtLeast)
	case c.Freshness == Strict && q.view < q.head:
		s.fail("strict", "%s answers from %d, the head was %d when the query arrived", q.r.name, q.view, q.head)
	case c.Freshness == Leased && q.view < q.promised:
		s.fail("P5", "%s answers as leased from %d, after %d was everywhere", q.r.name, q.view, q.promised)
	case c.Freshness == Strict:
		s.count.strict++
	}
}
