package rig

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// How faults overlap and how long the cluster may take to get over them.
const (
	// overlap is how many faults are in force at once, at most.
	overlap = 3
	// gap is the longest pause between two faults.
	gap = 3 * time.Second
	// recovery is how long a victim may take to be ready again after its fault has
	// ended, counted only while no other fault is in force.
	recovery = 60 * time.Second
	// wholeLimit is how long a fault that needs all writers waits for them.
	wholeLimit = 20 * time.Second
)

// target says whom a fault strikes, and so what may be struck beside it.
type target int

// Targets. Of the writers one at a time is struck, so that two make a quorum; except
// by faults of the quorum, which have all writers for themselves.
const (
	onLeader target = iota
	onFollower
	onWriter
	onReplica
	onLeaderAndReplica
	onNode           // any
	onClockedWriter  // the one whose clocks can be set
	onClockedReplica // likewise
	onQuorum         // all writers
	onAll            // every node
	onFabric         // what is between the nodes; nobody's quorum
)

// needs says what a fault asks of the machine.
type needs int

// What faults may need.
const (
	needsNothing   needs = iota
	needsIsolation       // root, namespaces, disks of their own
)

// fault is a kind of harm: what is done, and how it is undone.
type fault struct {
	name  string
	about string
	on    target
	needs needs
	nats  natsKind // of a cluster that uses such a NATS
	// levels says that it needs the newest feature level, which a cluster with nodes of an older
	// build does not have; builds, that it needs two builds.
	levels, builds bool
	// min and max bound how long it is in force.
	min, max time.Duration
	// run does the harm, waits with hold, and undoes it, also when hold says that
	// the run is over.
	run func(ctx context.Context, s *strike) error
}

// errSkipped is returned by a fault that does not apply now, such as one of a file
// that is not there.
var errSkipped = errors.New("does not apply now")

// strike is one fault in force.
type strike struct {
	*rig
	fault   *fault
	id      int
	rng     *rand.Rand
	victims []*member
	length  time.Duration
	outcome string
	undone  bool // its victims have yet to get over it; guarded by rig.mu
}

// victim is whom a fault with one victim strikes.
func (s *strike) victim() *member { return s.victims[0] }

// hold lets the fault be in force for as long as was drawn.
func (s *strike) hold(ctx context.Context) { pause(ctx, s.length) }

// ended says what came of the fault.
func (s *strike) ended(format string, args ...any) { s.outcome = fmt.Sprintf(format, args...) }

// tally is what a run did with one fault.
type tally struct {
	times, skipped int
	longest        time.Duration
	outcomes       map[string]int
}

// rig is a run under way.
type rig struct {
	cfg   Config
	lab   *lab
	judge *judge
	work  *workload
	rng   *rand.Rand // of the dealer
	out   func(format string, args ...any)
	// quiet ends the clients, and resume lets them begin again.
	quiet, resume func()

	mu       sync.Mutex // guards all below
	busy     map[*member]string
	quorum   bool // somebody has all writers
	striking map[int]*strike
	freed    chan struct{} // closed and replaced when a strike has ended
	strikes  int
	tallies  map[string]*tally
}

// deal strikes with one fault after the other until ctx ends, and waits until the
// last is undone. Faults come from a deck that is shuffled anew when it is empty, so
// that each kind has its turn.
func (r *rig) deal(ctx context.Context, deck []*fault, shuffle bool) {
	var wg sync.WaitGroup
	defer wg.Wait()
	var hand []*fault
	for ctx.Err() == nil {
		if len(hand) == 0 {
			if hand = slices.Clone(deck); shuffle {
				r.rng.Shuffle(len(hand), func(i, j int) { hand[i], hand[j] = hand[j], hand[i] })
			}
		}
		s, i := r.next(hand)
		if s == nil {
			if !r.waitFreed(ctx) {
				return
			}
			continue
		}
		hand = slices.Delete(hand, i, i+1)
		wg.Go(func() { r.strike(ctx, s) })
		if !pause(ctx, time.Duration(r.rng.Int64N(int64(gap)))) {
			return
		}
	}
}

// waitFreed waits until a strike has ended, or a while: a leader may be found by then.
func (r *rig) waitFreed(ctx context.Context) bool {
	r.mu.Lock()
	freed := r.freed
	r.mu.Unlock()
	select {
	case <-freed:
	case <-time.After(pollEvery):
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// next takes the first fault of the hand whose victims are free.
func (r *rig) next(hand []*fault) (*strike, int) {
	leader, _ := r.lab.leader()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.striking) >= overlap {
		return nil, 0
	}
	for i, f := range hand {
		victims, ok := r.choose(f.on, leader)
		if !ok {
			if i == 0 && (f.on == onQuorum || f.on == onAll) && len(r.striking) > 0 {
				return nil, 0 // its turn: nothing new until it can be
			}
			continue
		}
		r.strikes++
		s := &strike{rig: r, fault: f, id: r.strikes, victims: victims, rng: rand.New(rand.NewPCG(r.cfg.Seed, uint64(r.strikes)))}
		s.length = f.min + time.Duration(r.rng.Int64N(int64(f.max-f.min)+1))
		for _, m := range victims {
			r.busy[m] = f.name
		}
		r.quorum = r.quorum || f.on == onQuorum || f.on == onAll
		r.striking[s.id] = s
		return s, i
	}
	return nil, 0
}

// choose finds free victims. The lock is held.
func (r *rig) choose(on target, leader *member) ([]*member, bool) {
	writerBusy := r.quorum
	var free, freeWriters, freeReplicas []*member
	for _, m := range r.lab.members {
		_, busy := r.busy[m]
		writerBusy = writerBusy || busy && m.writer
		if !busy {
			free = append(free, m)
			if m.writer {
				freeWriters = append(freeWriters, m)
			} else {
				freeReplicas = append(freeReplicas, m)
			}
		}
	}
	one := func(list []*member, keep func(*member) bool) ([]*member, bool) {
		list = slices.DeleteFunc(slices.Clone(list), func(m *member) bool { return !keep(m) })
		if len(list) == 0 {
			return nil, false
		}
		return []*member{list[r.rng.IntN(len(list))]}, true
	}
	any := func(*member) bool { return true }
	switch on {
	case onFabric:
		return nil, !r.quorum && !r.fabric()
	case onReplica:
		return one(freeReplicas, any)
	case onClockedReplica:
		return one(freeReplicas, func(m *member) bool { return m.clocked })
	case onAll:
		return free, len(free) == len(r.lab.members) && len(r.striking) == 0
	case onQuorum:
		return freeWriters, !writerBusy && leader != nil && len(r.striking) == 0
	}
	if writerBusy || leader == nil {
		if on == onNode {
			return one(freeReplicas, any)
		}
		return nil, false
	}
	switch on {
	case onLeader:
		return []*member{leader}, true
	case onLeaderAndReplica:
		list, ok := one(freeReplicas, any)
		return append(list, leader), ok
	case onFollower:
		return one(freeWriters, func(m *member) bool { return m != leader })
	case onClockedWriter:
		return one(freeWriters, func(m *member) bool { return m.clocked })
	case onNode:
		return one(free, any)
	}
	return one(freeWriters, any)
}

// fabric tells whether a fault of what is between the nodes is in force. The lock is
// held.
func (r *rig) fabric() bool {
	for _, s := range r.striking {
		if s.fault.on == onFabric {
			return true
		}
	}
	return false
}

// strike does one fault from beginning to end, and waits until its victims are over it.
func (r *rig) strike(ctx context.Context, s *strike) {
	begun := r.judge.now()
	r.out("%8.1fs  %-28s %s", begun.Seconds(), s.fault.name, names(s.victims))
	err := s.fault.run(ctx, s)
	length := r.judge.now() - begun
	if err != nil && !errors.Is(err, errSkipped) {
		r.judge.violate("the rig itself", "%s on %s: %v", s.fault.name, names(s.victims), err)
	}
	r.mu.Lock()
	s.undone = true
	r.mu.Unlock()
	r.recovered(s, err)
	switch {
	case errors.Is(err, errSkipped):
		s.outcome = err.Error()
	case s.outcome == "":
		s.outcome = "over it"
	}
	r.out("%8.1fs  %-28s %s ended after %.1fs: %s", r.judge.now().Seconds(), s.fault.name, names(s.victims), length.Seconds(), s.outcome)
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tallies[s.fault.name]
	if t == nil {
		t = &tally{outcomes: map[string]int{}}
		r.tallies[s.fault.name] = t
	}
	if errors.Is(err, errSkipped) {
		t.skipped++
	} else {
		t.times++
		t.longest = max(t.longest, length)
		t.outcomes[s.outcome]++
	}
	delete(r.striking, s.id)
	for _, m := range s.victims {
		delete(r.busy, m)
	}
	if s.fault.on == onQuorum || s.fault.on == onAll {
		r.quorum = false
	}
	close(r.freed)
	r.freed = make(chan struct{})
}

// recovered waits until the victims are ready again. The time counts while nothing
// else is broken.
func (r *rig) recovered(s *strike, cause error) {
	left := recovery
	last := r.judge.now()
	ctx := context.Background()
	for {
		var bad []string
		for _, m := range s.victims {
			if text, ok := m.readyz(ctx); !ok {
				bad = append(bad, fmt.Sprintf("%s (%s)", m.name, failing(text)))
			}
		}
		if len(bad) == 0 {
			return
		}
		now := r.judge.now()
		if r.calm() {
			left -= now - last
		}
		last = now
		if left < 0 {
			r.judge.violate("a node does not recover", "%v after %s (%v) ended and nothing else was wrong: %s", recovery, s.fault.name, cause, strings.Join(bad, "; "))
			return
		}
		select {
		case <-r.judge.first:
			return
		case <-time.After(pollEvery):
		}
	}
}

// failing is the part of /readyz that says what is wrong.
func failing(text string) string {
	var bad []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "[-]") {
			bad = append(bad, strings.TrimSpace(line))
		}
	}
	if len(bad) == 0 {
		return strings.TrimSpace(text)
	}
	return strings.Join(bad, ", ")
}

// calm tells whether no fault is in force: those that are undone keep nobody from
// getting well, and two victims must not wait for each other.
func (r *rig) calm() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.striking {
		if !s.undone {
			return false
		}
	}
	return true
}

// needWhole waits until all writers vote and are near the head.
func (s *strike) needWhole(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, wholeLimit)
	defer cancel()
	for {
		err := s.lab.whole(limit)
		if err == nil {
			return nil
		}
		if !pause(limit, pollEvery) {
			return fmt.Errorf("%w: %w", errSkipped, err)
		}
	}
}

func names(list []*member) string {
	var out []string
	for _, m := range list {
		out = append(out, m.name)
	}
	return strings.Join(out, " ")
}
