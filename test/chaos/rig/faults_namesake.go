package rig

import (
	"context"
	"errors"
	"sync"
	"time"
)

// namesakeFaults have a second process of a replica's name run, with its certificate,
// at an address and on a disk of its own: as a failover or a rollout does on purpose,
// and whoever forgets a process by accident. The first may hold a lease that nobody
// can take back.
func namesakeFaults() []*fault {
	const s = time.Second
	return []*fault{
		{name: "namesake-of-cut-off", about: "a replica alone, and a second process of its name that is not", on: onReplica, needs: needsIsolation, min: 8 * s, max: 25 * s, run: withNamesake(withRules(isolated))},
		{name: "namesake-of-stopped", about: "SIGSTOP of a replica, and a second process of its name", on: onReplica, min: 8 * s, max: 25 * s, run: withNamesake(stopped)},
		{name: "namesake-of-live", about: "two processes of one replica at once", on: onReplica, min: 8 * s, max: 25 * s, run: withNamesake(left)},
		{name: "namesake-takes-over", about: "a second process of a replica's name starts, the first is ended, and comes back", on: onReplica, min: 5 * s, max: 20 * s, run: withNamesake(replaced)},
		{name: "namesake-removed", about: "two processes of a replica that is taken off the roster, and admitted", on: onReplica, min: 5 * s, max: 20 * s, run: withNamesake(removed)},
		{name: "namesake-across-terms", about: "a replica alone, a second process of its name that is not, and the leader killed", on: onLeaderAndReplica, needs: needsIsolation, min: 8 * s, max: 25 * s, run: withNamesake(acrossTerms)},
	}
}

// namesakeDelay is how long after the harm to the first process the second starts, at
// most.
const namesakeDelay = 1500 * time.Millisecond

// withNamesake does something to the victim and starts a second process of its name a
// moment later, which outlives that by a moment.
func withNamesake(run func(context.Context, *strike) error) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error {
		second := s.lab.namesake(s.victim())
		if s.rng.IntN(2) == 0 { // else it goes on from what it had
			if err := clearDir(second.dir); err != nil {
				return err
			}
		}
		before, delay, after := second.answers.Load(), s.draw(namesakeDelay), s.draw(2*namesakeDelay)
		var starting sync.WaitGroup
		var late error
		starting.Go(func() {
			pause(ctx, delay)
			late = second.start()
		})
		err := run(ctx, s)
		starting.Wait()
		pause(ctx, after)
		if second.answers.Load() > before {
			s.ended("both served")
		} else {
			s.ended("the second answered nothing")
		}
		return errors.Join(err, late, s.endOf(ctx, second))
	}
}

// draw is a time of at most so long.
func (s *strike) draw(most time.Duration) time.Duration {
	return time.Duration(s.rng.Int64N(int64(most)))
}

// left does nothing to the victim.
func left(ctx context.Context, s *strike) error {
	s.hold(ctx)
	return nil
}

// replaced ends the victim when its namesake may have started, and starts it later.
func replaced(ctx context.Context, s *strike) error {
	pause(ctx, s.draw(3*namesakeDelay))
	err := s.end(ctx)
	s.hold(ctx)
	return errors.Join(err, s.victim().start())
}

// acrossTerms cuts the replica off and kills the leader in the meantime.
func acrossTerms(ctx context.Context, s *strike) error {
	leader := s.victims[1]
	return s.under(ctx, s.apartFromAll(s.victim()), func() error {
		third := s.length / 3
		pause(ctx, third)
		err := leader.kill()
		pause(ctx, third)
		err = errors.Join(err, leader.start())
		pause(ctx, third)
		return err
	})
}
