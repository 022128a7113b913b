package propagation

import (
	"container/heap"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// The simulation plays one history for each seed: three writers, of which any may
// be elected at any time and none learns at once that it was deposed; replicas that
// lag, restart, stop, are rebuilt, removed and registered again, and of which two run
// under one name, the first cut off or not; a network that loses,
// delays, doubles and reorders; clocks that drift within bounds, jump and stop;
// processes that pause. One goroutine, no real clock, all choices from the seed.
// After every step it judges what a caller could have been told.

var (
	simSeeds = flag.Int("seeds", 2000, "histories that the simulation plays")
	simSeed  = flag.Uint64("seed", 0, "play this one history and print it")
)

const (
	simReaders = 3 // names
	simSlots   = 2 // processes that may run under a name at once
	simWriters = 3
	simCluster = "c1"
	simEpoch   = "i1"
)

// step is something that happens at a host at a time.
type step struct {
	at   time.Duration
	n    int // order among equals
	host *simHost
	do   func()
}

type agenda []step

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].n < a[j].n
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(step)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

// simulation is one history.
type simulation struct {
	rng    *rand.Rand
	broken rule
	trace  func(format string, args ...any)
	now    time.Duration // true time
	until  time.Duration
	agenda agenda
	steps  int
	faults simFaults

	raft     simRaft
	writers  []*simHost
	leaders  []*simLeader
	replicas []*simReplica // simSlots neighbours have one name
	nonces   int

	everywhere event.Position            // highest declared for all
	bound      map[string]event.Position // highest declared for a replica, by scoped waits
	broke      string                    // the first violation
	healed     bool                      // no more faults
	only       string                    // look for violations of this invariant alone
	count      simCount
}

// simCount tells how much a history exercised.
type simCount struct{ grants, everywhere, scoped, elections, leased, strict, overlaps, both, ended int }

func (c *simCount) add(o simCount) {
	c.grants += o.grants
	c.everywhere += o.everywhere
	c.scoped += o.scoped
	c.elections += o.elections
	c.leased += o.leased
	c.strict += o.strict
	c.overlaps += o.overlaps
	c.both += o.both
	c.ended += o.ended
}

// simFaults are how often each kind of fault strikes, per second; zero: never.
// Each history has faults of its own.
type simFaults struct {
	elect, pause, suspend, jump, restart, rebuild, cut, roster float64
	overlap, leave                                             float64
	drop, double, slow                                         float64 // per message
	deaf                                                       float64 // share of depositions that are noticed late
	drift                                                      int     // thousandths
	nameless                                                   bool    // the history begins with leases of lives that the log does not name
}

// newSimulation prepares the history of a seed. weather changes its faults; nil:
// they are as drawn.
func newSimulation(seed uint64, broken rule, weather func(*simFaults)) *simulation {
	s := &simulation{
		rng: rand.New(rand.NewPCG(seed, 0x5eed)), broken: broken,
		trace: func(string, ...any) {}, bound: map[string]event.Position{},
	}
	s.until = 20*time.Second + s.upTo(60*time.Second)
	s.faults = s.drawFaults()
	if weather != nil {
		weather(&s.faults)
	}
	for range simWriters {
		s.writers = append(s.writers, s.newHost())
	}
	s.raft.shown.Roster = &Roster{}
	s.raft.leader = s.writers[0]
	for i := range simReaders {
		name := fmt.Sprintf("r%d", i+1)
		for slot := range simSlots {
			s.replicas = append(s.replicas, &simReplica{host: s.newHost(), name: name, slot: slot})
		}
		s.commitBatch(func(v *Roster) { s.register(v, name) })
	}
	s.raft.shown.Lives.Complete = !s.faults.nameless
	return s
}

func (s *simulation) drawFaults() simFaults {
	storm := 1.0
	if s.chance(0.2) {
		storm = 2
	}
	rate := func(most float64) float64 {
		if s.rng.IntN(2) == 0 {
			return 0
		}
		return storm * most * s.rng.Float64()
	}
	return simFaults{
		elect: rate(0.3), pause: rate(0.3), suspend: rate(0.2), jump: rate(0.3), restart: rate(0.2),
		rebuild: rate(0.2), cut: rate(0.3), roster: rate(0.3),
		overlap: rate(0.4), leave: rate(0.3),
		drop: rate(0.2), double: rate(0.2), slow: rate(0.2), deaf: min(1, rate(1)), drift: 10 * s.rng.IntN(2),
		nameless: s.chance(0.1),
	}
}

func (s *simulation) upTo(d time.Duration) time.Duration {
	return time.Duration(s.rng.Int64N(int64(d) + 1))
}

func (s *simulation) chance(p float64) bool { return s.rng.Float64() < p }

// after schedules do at a host; a paused host does it when it goes on.
func (s *simulation) after(d time.Duration, h *simHost, do func()) {
	s.steps++
	heap.Push(&s.agenda, step{s.now + d, s.steps, h, do})
}

// every schedules something again and again, at a mean rate per second.
func (s *simulation) every(rate float64, do func()) {
	if rate <= 0 {
		return
	}
	wait := time.Duration(s.rng.ExpFloat64() / rate * float64(time.Second))
	s.after(min(wait, time.Hour), nil, func() {
		if !s.healed {
			do()
			s.every(rate, do)
		}
	})
}

// run plays the history and returns the first violation, empty if there is none.
func (s *simulation) run() string {
	f := s.faults
	s.every(1.5, func() { s.write(nil) })
	s.every(0.5, s.startWait)
	s.every(f.elect, s.elect)
	s.every(f.roster, s.changeRoster)
	s.every(f.pause, func() { s.pause(false) })
	s.every(f.suspend, func() { s.pause(true) })
	s.every(f.jump, s.jump)
	s.every(f.overlap, s.overlap)
	s.every(f.leave, func() { s.leave(s.replicas[s.rng.IntN(len(s.replicas))]) })
	for _, r := range s.replicas {
		s.every(0.7, func() { s.startQuery(r) })
		s.every(f.restart/simReaders, func() { s.restart(r) })
		s.every(f.rebuild/simReaders, func() { s.rebuild(r) })
		s.every(f.cut/simReaders, func() { r.cutUntil = s.now + s.upTo(25*time.Second) })
		if r.slot == 0 {
			s.boot(r, 0)
		}
	}
	s.elect()
	s.play(s.until)
	if s.broken == 0 && s.broke == "" {
		s.heal()
	}
	return s.broke
}

// play goes on until a time, or a violation.
func (s *simulation) play(until time.Duration) {
	for s.broke == "" && len(s.agenda) > 0 && s.agenda[0].at <= until {
		next := heap.Pop(&s.agenda).(step)
		s.now = next.at
		if h := next.host; h != nil && h.pausedUntil > s.now {
			next.at = h.pausedUntil
			heap.Push(&s.agenda, next)
			continue
		}
		next.do()
		s.judge()
	}
}

// heal ends all faults, and looks whether everything then comes right.
func (s *simulation) heal() {
	s.trace("all faults end")
	s.healed, s.faults = true, simFaults{drift: s.faults.drift}
	for _, h := range s.writers {
		s.wakeUp(h)
	}
	for _, r := range s.replicas {
		s.wakeUp(r.host)
		r.cutUntil, r.muteUntil = 0, 0
		s.follow(r)
	}
	s.elect()
	s.play(s.now + 20*time.Second) // what is still under way arrives, and stopped replicas start
	s.play(s.now + 3*DefaultParams().Duration)
	l, head := s.anyLeader(), s.raft.shown.Head.Position
	if l == nil || l.term != s.raft.term {
		s.fail("I21", "nobody leads")
		return
	}
	for _, m := range l.tracker.shown.Roster.Registered {
		up := 0 // two connected processes of one name both have leases
		for _, r := range s.replicas {
			if r.name != m.Name || !r.up || r.lease.stopped {
				continue
			}
			up++
			if !m.Draining && (r.applied != head || !r.published.Valid(s.clocks(r.host))) {
				s.fail("I21", "%s is at %d of %d, lease %v", r, r.applied, head, r.published.Remaining(s.clocks(r.host)))
			}
		}
		if up == 0 {
			s.fail("I21", "no process of %s runs", m.Name)
		}
		if up > 1 && !m.Draining {
			s.count.both++
		}
	}
	if st, err := l.tracker.Everywhere(s.clocks(l.host), head, Scope{}); err != nil || !st.Settled {
		s.fail("I21", "%d is not everywhere: %+v %v", head, st, err)
	}
}

// wakeUp ends the pause of a host.
func (s *simulation) wakeUp(h *simHost) {
	h.pausedUntil = s.now
	for i := range h.clocks {
		c := &h.clocks[i]
		*c = simClock{from: s.now, base: c.read(s.now), drift: c.drift}
	}
}

// fail notes the first violation of an invariant.
func (s *simulation) fail(invariant, format string, args ...any) {
	if s.broke != "" || s.only != "" && s.only != invariant {
		return
	}
	s.broke = fmt.Sprintf("at %v: %s: ", s.now, invariant) + fmt.Sprintf(format, args...)
	s.trace("%s", s.broke)
}

// judge looks at every replica that could answer now, and at what it would say.
func (s *simulation) judge() {
	head := s.raft.shown.Head.Position
	for _, r := range s.replicas {
		if !r.up || r.host.pausedUntil > s.now {
			continue
		}
		c, err := r.published.Check(s.clocks(r.host)).Cover(r.applied, Ask{Mode: ModeAny})
		if err != nil {
			s.fail("P7", "%s is quarantined: %v", r, r.published.Quarantined())
			continue
		}
		var stale time.Duration // what the replica lacks was committed so long ago
		if r.applied < head {
			stale = s.now - s.raft.committed[r.applied+1]
		}
		if c.Bounded && c.Staleness+time.Microsecond < stale {
			s.fail("I13", "%s at %d says at most %v stale, but is by %v", r, r.applied, c.Staleness, stale)
		}
		if c.Freshness != Leased {
			continue
		}
		s.count.leased++
		if must := s.promised(r.name); r.applied < must {
			s.fail("P5", "%s answers as leased from %d, after %d was everywhere", r, r.applied, must)
		}
		if w := DefaultParams().Window(DefaultParams().Duration); stale > w {
			s.fail("P6", "%s answers as leased from %d, %v after %d was committed", r, r.applied, stale, r.applied+1)
		}
	}
}

// promised is the position below which a replica may never again answer as leased.
func (s *simulation) promised(name string) event.Position { return max(s.everywhere, s.bound[name]) }

// simHost is a machine with three clocks.
type simHost struct {
	clocks      [3]simClock // monotonic, boottime, wall
	pausedUntil time.Duration
	fsm         int // index of the log that a writer's state machine has applied
}

// simClock counts from a base at a rate of 1000+drift thousandths; a frozen clock
// stands still until thaw.
type simClock struct {
	from, base, thaw time.Duration
	drift            int
}

func (c *simClock) read(t time.Duration) time.Duration {
	return c.base + max(0, t-max(c.from, c.thaw))*time.Duration(1000+c.drift)/1000
}

func (c *simClock) set(t, base time.Duration, drift int) {
	*c = simClock{from: t, base: base, thaw: c.thaw, drift: drift}
}

func (s *simulation) newHost() *simHost {
	h := new(simHost)
	same, alike := s.drift(), s.chance(0.5)
	for i := range h.clocks {
		drift := same
		if !alike {
			drift = s.drift()
		}
		h.clocks[i].set(0, s.upTo(time.Hour), drift)
	}
	return h
}

// drift is a rate within the bounds, as often as not at one of them.
func (s *simulation) drift() int {
	f := s.faults.drift
	switch s.rng.IntN(4) {
	case 0:
		return f
	case 1:
		return -f
	}
	return s.rng.IntN(2*f+1) - f
}

func (s *simulation) clocks(h *simHost) Clocks {
	return Clocks{Monotonic: h.clocks[0].read(s.now), Boottime: h.clocks[1].read(s.now), Wall: h.clocks[2].read(s.now)}
}

func (s *simulation) anyHost() *simHost {
	if i := s.rng.IntN(simWriters + len(s.replicas)); i < simWriters {
		return s.writers[i]
	} else {
		return s.replicas[i-simWriters].host
	}
}

// pause stops the processes of a host. Asleep, its monotonic clock stops too.
func (s *simulation) pause(asleep bool) {
	h := s.anyHost()
	d := s.upTo(15 * time.Second)
	if s.chance(0.5) {
		d = s.upTo(500 * time.Millisecond)
	}
	s.trace("pause a host for %v, asleep %v", d, asleep)
	h.pausedUntil = max(h.pausedUntil, s.now+d)
	if c := &h.clocks[0]; asleep && c.thaw <= s.now {
		c.set(s.now, c.read(s.now), c.drift)
		c.thaw = s.now + d
	}
}

// jump sets a wall clock, or changes the rate of any clock.
func (s *simulation) jump() {
	h := s.anyHost()
	if i := s.rng.IntN(6); i < 3 {
		if c := &h.clocks[i]; c.thaw <= s.now {
			c.set(s.now, c.read(s.now), s.drift())
		}
		return
	}
	by := s.upTo(2*time.Hour) - time.Hour
	if s.chance(0.5) {
		by = s.upTo(20*time.Second) - 10*time.Second
	}
	c := &h.clocks[2]
	c.set(s.now, c.read(s.now)+by, c.drift)
}

// send carries a message: lost, late, doubled or in order of luck.
func (s *simulation) send(to *simHost, deliver func()) {
	copies := 1
	if s.chance(s.faults.double) {
		copies = 2
	}
	for range copies {
		if s.chance(s.faults.drop) {
			continue
		}
		d := s.upTo(20 * time.Millisecond)
		if s.chance(s.faults.slow) {
			d = s.upTo(12 * time.Second)
		}
		s.after(d, to, deliver)
	}
}

func (s *simulation) nonce() string {
	s.nonces++
	return fmt.Sprintf("n%d", s.nonces)
}

// hashAt is the hash of the one committed history.
func hashAt(p event.Position) (h event.Hash) {
	if p > 0 {
		binary.BigEndian.PutUint64(h[:], uint64(p))
		h[31] = 1
	}
	return h
}

func headAt(p event.Position) event.Head { return event.Head{Position: p, Hash: hashAt(p)} }

func recordAt(p event.Position) (Hashes, bool) {
	return Hashes{Hash: hashAt(p), State: hashAt(p)}, true
}

func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		s := newSimulation(*simSeed, 0, nil)
		s.trace = func(format string, args ...any) { t.Logf("%12v %s", s.now, fmt.Sprintf(format, args...)) }
		if broke := s.run(); broke != "" {
			t.Fatalf("seed %d: %s", *simSeed, broke)
		}
		return
	}
	var total simCount
	var mu sync.Mutex // guards total
	var wg sync.WaitGroup
	shards := runtime.GOMAXPROCS(0)
	for shard := range shards {
		wg.Go(func() {
			for seed := shard + 1; seed <= *simSeeds && !t.Failed(); seed += shards {
				s := newSimulation(uint64(seed), 0, nil)
				if broke := s.run(); broke != "" {
					t.Errorf("seed %d: %s (go test -run TestSimulation -seed %d -v prints the history)", seed, broke, seed)
				}
				mu.Lock()
				total.add(s.count)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d histories: %d elections, %d grants, %d times everywhere, %d scoped, %d leased answers judged, %d strict answers; %d times two processes of a name, in the end %d with a lease each; %d told to be over",
		*simSeeds, total.elections, total.grants, total.everywhere, total.scoped, total.leased, total.strict, total.overlaps, total.both, total.ended)
	if total.overlaps == 0 || total.both == 0 || total.ended == 0 || total.grants == 0 || total.everywhere == 0 || total.scoped == 0 || total.leased == 0 || total.strict == 0 {
		t.Error("the histories exercise too little")
	}
}
