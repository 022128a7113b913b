package node

import (
	"context"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// fenceTimeout bounds one fence: two elections.
const fenceTimeout = 4 * time.Second

// fencing answers strict reads at the leader: each with a head that an entry of
// the log, proposed after the read arrived, proved to be current. One entry serves
// all reads that arrived before it was proposed; one is in flight at a time.
type fencing struct {
	fence func(context.Context) (event.Head, error)

	mu      sync.Mutex
	waiting *fenceRound // that has not been proposed yet; nil if nobody waits
	busy    bool        // a round is in flight
}

// fenceRound is the reads that one entry serves.
type fenceRound struct {
	done chan struct{}
	head event.Head
	err  error
}

// head returns a head that was the cluster's after the call.
func (f *fencing) head(ctx context.Context) (event.Head, error) {
	f.mu.Lock()
	if f.waiting == nil {
		f.waiting = &fenceRound{done: make(chan struct{})}
	}
	round := f.waiting
	run := !f.busy
	f.busy = true
	f.mu.Unlock()
	if run {
		go f.rounds() // ends when nobody waits
	}
	select {
	case <-round.done:
		return round.head, round.err
	case <-ctx.Done():
		return event.Head{}, ctx.Err()
	}
}

// rounds serves those who wait, round after round, until nobody does.
func (f *fencing) rounds() {
	for {
		f.mu.Lock()
		round := f.waiting
		f.waiting = nil
		if round == nil {
			f.busy = false
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), fenceTimeout)
		round.head, round.err = f.fence(ctx)
		cancel()
		close(round.done)
	}
}
