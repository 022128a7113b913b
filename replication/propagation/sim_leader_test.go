package propagation

import (
	"slices"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// simRaft is the replicated log, as far as leases can tell: entries are committed
// in one order, each in the term of the leader that appended it.
type simRaft struct {
	leader    *simHost
	term      uint64
	log       []Shown // what a state machine shows after each entry
	shown     Shown   // after the last entry
	committed []time.Duration
	proposals []*proposal // under way
}

// proposal is an entry on its way into the log.
type proposal struct {
	by    *simHost
	term  uint64
	apply func(term uint64)
	done  func(ok bool, term uint64, v Shown)
	over  bool
}

// propose appends an entry at a writer that thinks it leads.
func (s *simulation) propose(p *proposal) {
	p.term = s.raft.term
	if p.by != s.raft.leader {
		s.after(s.upTo(3*time.Second), p.by, func() { p.done(false, 0, Shown{}) })
		return
	}
	s.raft.proposals = append(s.raft.proposals, p)
	d := s.upTo(10 * time.Millisecond)
	if s.chance(s.faults.slow / 4) {
		d = s.upTo(4 * time.Second)
	}
	s.after(d, nil, func() { s.commit(p) })
}

// commit appends the entry for good, unless its leader was deposed before.
func (s *simulation) commit(p *proposal) {
	if p.over {
		return
	}
	p.over = true
	s.raft.proposals = slices.DeleteFunc(s.raft.proposals, func(o *proposal) bool { return o == p })
	if p.by != s.raft.leader || p.term != s.raft.term {
		s.after(s.upTo(3*time.Second), p.by, func() { p.done(false, 0, Shown{}) })
		return
	}
	s.append(p)
}

// append commits p in its term; its proposer learns of it later.
func (s *simulation) append(p *proposal) {
	p.apply(p.term)
	s.raft.log = append(s.raft.log, s.raft.shown)
	index, v := len(s.raft.log), s.raft.shown
	d := s.upTo(5 * time.Millisecond)
	if s.chance(s.faults.slow / 4) {
		d = s.upTo(4 * time.Second)
	}
	s.after(d, p.by, func() {
		p.by.fsm = max(p.by.fsm, index)
		p.done(true, p.term, v)
	})
}

// commitBatch makes a position out of a change to the roster, or of nothing.
func (s *simulation) commitBatch(change func(*Roster)) {
	v := s.raft.shown
	v.Head = headAt(v.Head.Position + 1)
	if change != nil {
		roster := *v.Roster
		roster.Registered = slices.Clone(v.Roster.Registered)
		roster.At = v.Head.Position
		change(&roster)
		v.Roster = &roster
	}
	s.raft.shown = v
	for len(s.raft.committed) <= int(v.Head.Position) {
		s.raft.committed = append(s.raft.committed, s.now)
	}
	for _, r := range s.replicas {
		s.follow(r)
	}
}

// commitFence commits a fence, or the first entry of a leader. Its floor and its lives count
// only if the term that it names is that of the entry.
func (s *simulation) commitFence(by *simHost, m Fence, done func(ok bool, term uint64, v Shown)) {
	s.propose(&proposal{by: by, done: done, apply: func(term uint64) {
		if term == m.Term || !s.broken.keeps(ruleTerm) {
			s.raft.shown.Floor = max(s.raft.shown.Floor, m.Floor)
		}
		if term == m.Term || !s.broken.keeps(ruleDropTerm) {
			s.raft.shown.Lives = s.raft.shown.Lives.Change(m.Opened, m.Dropped)
			s.raft.shown.Lives.Complete = s.raft.shown.Lives.Complete || m.Complete
		}
	}})
}

func (s *simulation) write(change func(*Roster)) {
	s.propose(&proposal{
		by: s.raft.leader, done: func(bool, uint64, Shown) {},
		apply: func(uint64) { s.commitBatch(change) },
	})
}

// elect makes some writer the leader of a new term. Entries under way are lost or,
// as the voters may have kept them, committed before anything of the new term.
func (s *simulation) elect() {
	s.count.elections++
	for _, p := range s.raft.proposals {
		p.over = true
		if s.chance(0.5) {
			s.append(p)
		} else {
			s.after(s.upTo(3*time.Second), p.by, func() { p.done(false, 0, Shown{}) })
		}
	}
	s.raft.proposals = nil
	for _, l := range s.leaders {
		s.depose(l)
	}
	s.raft.term++
	w := s.writers[s.rng.IntN(simWriters)]
	s.raft.leader = w
	term := s.raft.term
	s.trace("writer %d is elected for term %d", slices.Index(s.writers, w), term)
	var promised event.Position // when the first fence of the term was committed
	s.propose(&proposal{by: w, apply: func(uint64) { promised = s.everywhere }, done: func(ok bool, at uint64, v Shown) {
		if ok && at == term {
			s.lead(w, term, v, promised)
		}
	}})
}

// depose tells a leader that it was deposed, sooner or later.
func (s *simulation) depose(l *simLeader) {
	d := s.upTo(time.Second)
	if s.chance(s.faults.deaf) {
		d = s.upTo(40 * time.Second)
	}
	s.after(d, l.host, func() {
		l.over = true
		s.reply(l, l.tracker.Close())
	})
}

// simLeader drives one tracker.
type simLeader struct {
	host    *simHost
	term    uint64
	tracker *Tracker
	over    bool // it knows
	routes  map[Ticket]route
	waits   []wait
	wakeAt  time.Duration
	opened  []event.Life // by fences that were never committed; for a broken rule
}

type route struct {
	replica *simReplica
	asked   Renewal
}

// wait is a caller who waits for a position.
type wait struct {
	position event.Position
	scope    Scope
	until    time.Duration
	worst    time.Duration // on the leader's clock, by what it said first; 0: not yet asked
}

func (s *simulation) lead(w *simHost, term uint64, v Shown, promised event.Position) {
	l := &simLeader{host: w, term: term, routes: map[Ticket]route{}, wakeAt: -1}
	l.tracker = trackerThatBreaks(s.broken, simCluster, simEpoch, term, s.clocks(w), v)
	s.leaders = append(s.leaders, l)
	if s.broken == 0 && l.tracker.floor < promised {
		s.fail("I8", "the floor of term %d is %d, after %d was everywhere", term, l.tracker.floor, promised)
	}
	if promised > 0 {
		st, err := l.tracker.Everywhere(s.clocks(w), promised, Scope{})
		if err != nil || st.State != StateEverywhere {
			s.fail("I11", "the leader of term %d revokes %d: %+v, %v", term, promised, st, err)
		}
	}
	if s.raft.term != term {
		s.depose(l)
	}
	s.pump(l)
}

// view is what the writer's own state machine shows: anything up to the last entry.
func (s *simulation) view(l *simLeader) Shown {
	if s.chance(0.7) {
		l.host.fsm = max(l.host.fsm, min(len(s.raft.log), l.host.fsm+s.rng.IntN(8)))
	}
	if l.host.fsm == 0 {
		return Shown{Roster: &Roster{}}
	}
	return s.raft.log[l.host.fsm-1]
}

// pump is what a driver does whenever something has happened.
func (s *simulation) pump(l *simLeader) {
	if l.over {
		return
	}
	l.tracker.Observe(s.clocks(l.host), s.view(l))
	s.serveWaits(l)
	if f, ok := l.tracker.BeginTick(s.clocks(l.host)); ok {
		s.fence(l, f)
	}
	if d, ok := l.tracker.NextTick(s.clocks(l.host)); ok {
		s.wake(l, d)
	}
}

// fence commits the fence of a tick and ends the tick.
func (s *simulation) fence(l *simLeader, f Fence) {
	if !s.broken.keeps(ruleFence) {
		s.commitFence(l.host, f, func(bool, uint64, Shown) {})
		l.opened = append(l.opened, f.Opened...)
		s.after(0, l.host, func() {
			v := s.view(l)
			v.Lives = v.Lives.Change(l.opened, nil)
			s.endTick(l, true, l.term, v)
		})
		return
	}
	s.commitFence(l.host, f, func(ok bool, term uint64, v Shown) { s.endTick(l, ok, term, v) })
}

func (s *simulation) endTick(l *simLeader, ok bool, term uint64, v Shown) {
	switch {
	case l.over:
	case ok:
		s.reply(l, l.tracker.EndTick(s.clocks(l.host), term, v, recordAt))
	default:
		s.reply(l, l.tracker.FailTick())
	}
	s.pump(l)
}

// wake pumps again when the leader's monotonic clock has counted d.
func (s *simulation) wake(l *simLeader, d time.Duration) {
	at := s.now + d*1000/time.Duration(1000+l.host.clocks[0].drift) + 1
	if l.wakeAt > s.now && l.wakeAt <= at {
		return
	}
	l.wakeAt = at
	s.after(at-s.now, l.host, func() {
		if l.wakeAt == at { // no earlier one was planned since
			l.wakeAt = -1
			s.pump(l)
		}
	})
}

func (s *simulation) reply(l *simLeader, replies []Reply) {
	for _, reply := range replies {
		to, a := l.routes[reply.Ticket], reply.Answer
		delete(l.routes, reply.Ticket)
		s.trace("term %d answers %s: %s seq %d, floor %d, head %d %s", l.term, to.replica, a.Kind, a.Seq, a.Floor, a.Head.Position, a.Reason)
		if a.Kind == KindGrant {
			s.count.grants++
			s.checkGrant(l, to.asked, a)
		}
		s.send(to.replica.host, func() { s.receive(to.replica, a) })
	}
}

// checkGrant asserts what only the leader can see.
func (s *simulation) checkGrant(l *simLeader, q Renewal, a Answer) {
	if s.broken != 0 {
		return
	}
	m := l.tracker.find(q.Replica)
	switch {
	case q.Position < a.Floor:
		s.fail("I7", "a lease for position %d, below the floor %d", q.Position, a.Floor)
	case m == nil || m.life(q.Nonce) == nil || m.life(q.Nonce).mayHold < l.tracker.begun.Monotonic+DefaultParams().Window(a.Duration):
		s.fail("I9", "a lease of %v for %s that is not recorded", a.Duration, q.Replica)
	}
}

// startWait lets a caller wait at any writer that thinks it leads.
func (s *simulation) startWait() {
	l := s.anyLeader()
	if l == nil || len(l.waits) >= 4 {
		return
	}
	head := s.raft.shown.Head.Position
	w := wait{position: head - min(head-1, event.Position(s.rng.IntN(4))), until: s.now + s.upTo(60*time.Second)}
	switch s.rng.IntN(8) {
	case 0:
		w.scope.Region = []string{"eu", "us"}[s.rng.IntN(2)]
	case 1:
		w.scope.Count = 1 + s.rng.IntN(2)
	case 2:
		w.scope.Replicas = []string{s.replicas[s.rng.IntN(len(s.replicas))].name}
	}
	s.trace("wait at term %d for %d, %+v", l.term, w.position, w.scope)
	l.waits = append(l.waits, w)
	s.after(0, l.host, func() { s.pump(l) })
}

// serveWaits answers the waits that are over, and records the promises.
func (s *simulation) serveWaits(l *simLeader) {
	for i := range l.waits {
		s.checkWorst(l, &l.waits[i])
	}
	l.waits = slices.DeleteFunc(l.waits, func(w wait) bool {
		st, err := l.tracker.Everywhere(s.clocks(l.host), w.position, w.scope)
		if err == nil && st.HasChanges {
			s.wake(l, st.Changes-s.clocks(l.host).Monotonic)
		}
		if seen := l.tracker.Spread(s.clocks(l.host), w.position); s.broken == 0 && w.scope.all() &&
			(st.State == StateEverywhere && !seen.Everywhere || seen.Everywhere && !st.Settled) {
			s.fail("I12", "term %d measures %+v of what it tells as %+v", l.term, seen, st)
		}
		if err != nil || st.State != StateEverywhere {
			return s.now > w.until
		}
		s.trace("term %d says %d is everywhere in %+v: visible %v, fenced %v", l.term, w.position, w.scope, st.VisibleOn, st.Fenced)
		if w.scope.all() {
			s.count.everywhere++
			s.everywhere = max(s.everywhere, w.position)
			return true
		}
		s.count.scoped++
		bound := st.VisibleOn
		if w.scope.Count == 0 {
			bound = append(bound, st.Fenced...)
		}
		for _, name := range bound {
			s.bound[name] = max(s.bound[name], w.position)
		}
		return true
	})
}

// checkWorst holds a leader to the worst case that it told first: after it, no
// replica may answer as leased from before the position.
func (s *simulation) checkWorst(l *simLeader, w *wait) {
	now := s.clocks(l.host)
	st, err := l.tracker.Everywhere(now, w.position, w.scope)
	switch {
	case err != nil || st.State == StateUnknown || !w.scope.all():
	case w.worst == 0:
		w.worst = now.Monotonic + st.WorstCase
		s.wake(l, st.WorstCase)
	case now.Monotonic > w.worst:
		for _, r := range s.replicas {
			c, err := r.published.Check(s.clocks(r.host)).Cover(r.applied, Ask{Mode: ModeAny})
			if r.up && err == nil && c.Freshness == Leased && r.applied < w.position {
				s.fail("P6", "%s answers as leased from %d, after the worst case for %d that term %d told", r, r.applied, w.position, l.term)
			}
		}
	}
}

// anyLeader is a writer that thinks it leads, mostly the one that does.
func (s *simulation) anyLeader() *simLeader {
	var alive []*simLeader
	for _, l := range s.leaders {
		if !l.over {
			alive = append(alive, l)
		}
	}
	switch {
	case len(alive) == 0:
		return nil
	case s.chance(0.7):
		return alive[len(alive)-1]
	}
	return alive[s.rng.IntN(len(alive))]
}

// changeRoster registers, drains or removes a replica.
func (s *simulation) changeRoster() {
	name := s.replicas[s.rng.IntN(len(s.replicas))].name
	kind := s.rng.IntN(4)
	s.trace("roster change %d of %s", kind, name)
	s.write(func(v *Roster) {
		i := slices.IndexFunc(v.Registered, func(m Registration) bool { return m.Name == name })
		switch {
		case i < 0:
			s.register(v, name)
		case kind == 0 && !v.Registered[i].Draining:
			v.Registered[i].Draining = true
		case kind == 1 || v.Registered[i].Draining:
			v.Registered[i].Registered, v.Registered[i].Draining, v.Registered[i].Region, v.Registered[i].Class = v.At, false, s.region(), s.class()
		default:
			v.Registered = slices.Delete(v.Registered, i, i+1)
		}
	})
}

func (s *simulation) register(v *Roster, name string) {
	v.Registered = append(v.Registered, Registration{Name: name, Region: s.region(), Class: s.class(), Registered: v.At})
	slices.SortFunc(v.Registered, func(a, b Registration) int { return strings.Compare(a.Name, b.Name) })
}

func (s *simulation) class() string {
	if s.chance(0.3) {
		return ClassTight
	}
	return ""
}

func (s *simulation) region() string { return []string{"eu", "us"}[s.rng.IntN(2)] }
