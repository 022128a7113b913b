package peer

import (
	"context"
	"errors"
	"net/http"
	"sync"
)

// search asks all writers, again and again, which of them leads. It is begun by the
// first request that waits for a leader, and ends with the last, or when one is found.
type search struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when nothing of it runs any more
	// The rest is guarded by Finder.mu.
	waiting int
	found   string  // address of the leader; empty: none was found
	said    []error // by each writer, why it is not the one
}

// join makes a request wait for the search, which it begins if need be. The lock is held.
func (f *Finder) join() *search {
	if f.search == nil {
		ctx, cancel := context.WithCancel(context.Background())
		peers := f.writers.Peers()
		s := &search{cancel: cancel, done: make(chan struct{}), said: make([]error, len(peers))}
		f.search = s
		go func() {
			defer close(s.done)
			var asking sync.WaitGroup
			for i, addr := range peers {
				asking.Go(func() { f.ask(ctx, s, i, addr) })
			}
			asking.Wait()
		}()
	}
	f.search.waiting++
	return f.search
}

// end ends the search. The lock is held.
func (f *Finder) end() {
	f.search.cancel()
	f.search = nil
}

// wait waits for what a search finds. Its error says what the writers said.
func (f *Finder) wait(ctx context.Context, s *search) (string, error) {
	select {
	case <-s.done:
		return s.found, nil
	case <-ctx.Done():
	}
	f.mu.Lock()
	s.waiting--
	last := s.waiting == 0
	if last && f.search == s {
		f.end()
	}
	err := errors.Join(append([]error{context.Cause(ctx)}, s.said...)...)
	f.mu.Unlock()
	if last {
		<-s.done
	}
	return "", err
}

// ask asks one writer whether it leads, and whom it names instead, until the search ends.
func (f *Finder) ask(ctx context.Context, s *search, i int, addr string) {
	for pause := leaderPause; ; pause = min(2*pause, maxLeaderPause) {
		answer, leader, err := f.reach(ctx, f.client, searchSilence, addr, func(ctx context.Context, addr string) (*http.Request, error) {
			return http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+LeaderPath, nil)
		})
		if err == nil {
			discard(answer)
			f.Learn(leader) // which ends the search
			return
		}
		if ctx.Err() != nil {
			return
		}
		f.mu.Lock()
		s.said[i] = err
		f.mu.Unlock()
		if pauseFor(ctx, pause) != nil {
			return
		}
	}
}
