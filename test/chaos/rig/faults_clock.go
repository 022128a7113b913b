package rig

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// clockFaults set the clocks of two nodes that have their own, and let them run fast
// and slow by what the lease protocol allows for.
func clockFaults() []*fault {
	const s = time.Second
	return []*fault{
		{name: "wall-clock-forward-replica", about: "a replica's wall clock jumps forward, by seconds to hours", on: onClockedReplica, min: 3 * s, max: 20 * s, run: jump(1)},
		{name: "wall-clock-backward-replica", about: "a replica's wall clock jumps backward", on: onClockedReplica, min: 3 * s, max: 20 * s, run: jump(-1)},
		{name: "drift-replica", about: "a replica's clocks run 1 % fast or slow", on: onClockedReplica, min: 12 * s, max: 22 * s, run: drift},
		{name: "slow-and-silent-replica", about: "a replica whose clocks run 1 % slow is cut off past its lease", on: onClockedReplica, needs: needsIsolation, min: 12 * s, max: 20 * s, run: slowAndSilent},
		{name: "wall-clock-forward-leader", about: "the leader's wall clock jumps forward", on: onClockedWriter, min: 3 * s, max: 15 * s, run: leading(jump(1))},
		{name: "wall-clock-backward-leader", about: "the leader's wall clock jumps backward", on: onClockedWriter, min: 3 * s, max: 15 * s, run: leading(jump(-1))},
		{name: "drift-leader", about: "the leader's clocks run 1 % fast or slow", on: onClockedWriter, min: 12 * s, max: 22 * s, run: leading(drift)},
	}
}

// jumps are how far wall clocks are set off.
var jumps = []time.Duration{5 * time.Second, 90 * time.Second, 10 * time.Minute, 2 * time.Hour}

// maxRate is how much faster or slower clocks may run, in parts of a million: a
// little less than what leases allow for, as the rig's own readings are not exact.
const maxRate = 9900

// set changes the victim's clocks for as long as the fault is in force.
func (s *strike) set(ctx context.Context, c clock) error {
	m := s.victim()
	if err := m.setClock(c); err != nil {
		return err
	}
	s.hold(ctx)
	return m.setClock(clock{})
}

func jump(direction int) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error {
		by := time.Duration(direction) * jumps[s.rng.IntN(len(jumps))]
		s.ended("by %v: over it", by)
		return s.set(ctx, clock{Wall: by})
	}
}

func drift(ctx context.Context, s *strike) error {
	rate := int64(maxRate)
	if s.rng.IntN(2) == 0 {
		rate = -rate
	}
	return s.set(ctx, clock{Rate: rate})
}

// slowAndSilent is the worst that a reader may do within the bounds: it counts its
// lease slowly while nobody hears of it.
func slowAndSilent(ctx context.Context, s *strike) error {
	if err := s.victim().setClock(clock{Rate: -maxRate}); err != nil {
		return err
	}
	err := withRules(isolated)(ctx, s)
	return errors.Join(err, s.victim().setClock(clock{}))
}

// Making one writer lead.
const (
	// handOvers is how often leadership is handed over to reach it.
	handOvers = 5
	// behind is how long the third writer is stopped before, so that it lacks entries
	// and is not elected.
	behind = 500 * time.Millisecond
)

// leading makes the victim lead before something is done to it: the leader is stopped
// as an operator does, while the third writer is behind.
func leading(run func(context.Context, *strike) error) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error {
		for range handOvers {
			l, _ := s.lab.leader()
			if l == s.victim() {
				return run(ctx, s)
			}
			if ctx.Err() != nil {
				return nil
			}
			if l != nil {
				if err := s.handOver(ctx, l); err != nil {
					return err
				}
			}
			if err := s.needWhole(ctx); err != nil {
				return err
			}
		}
		return fmt.Errorf("%w: %s was not elected in %d elections", errSkipped, s.victim().name, handOvers)
	}
}

func (s *strike) handOver(ctx context.Context, leader *member) error {
	var err error
	for _, m := range s.lab.some(true) {
		if m != leader && m != s.victim() {
			err = errors.Join(err, m.signal(syscall.SIGSTOP))
			pause(ctx, behind)
			defer func() { _ = m.signal(syscall.SIGCONT) }() // it has been, unless something went wrong
			err = errors.Join(err, leader.stop(ctx), m.signal(syscall.SIGCONT), leader.start())
		}
	}
	return err
}
