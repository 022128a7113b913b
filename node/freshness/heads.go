package freshness

import (
	"context"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wake"
)

// strangersFence is the least time between two fences of the log that strangers cause:
// each serves all who asked before it.
const strangersFence = 50 * time.Millisecond

// StrictHead reads the head of the log for a caller that is known, or for a stranger.
// A leader's log shares its fences already.
func (f *Views) StrictHead(ctx context.Context, known bool) (event.Head, error) {
	switch {
	case !known:
		return f.strangersHeads.read(ctx)
	case f.leads():
		return f.cfg.Heads.StrictHead(ctx)
	}
	return f.heads.read(ctx)
}

// headReader reads the head of the log for many: one question serves all who came
// before it was put.
type headReader struct {
	heads Heads
	every time.Duration // the least time between two questions

	turn  chan struct{} // of capacity 1: held by whoever asks, with asked
	asked time.Time

	mu   sync.Mutex
	next *headReading // the one that is not yet begun, if anybody waits; guarded by mu
}

// headReading is one question.
type headReading struct {
	done chan struct{} // closed when the rest is set
	head event.Head
	err  error
}

// read returns a head that was the cluster's at some time after the call.
func (h *headReader) read(ctx context.Context) (event.Head, error) {
	h.mu.Lock()
	if h.next == nil {
		h.next = &headReading{done: make(chan struct{})}
	}
	r := h.next
	h.mu.Unlock()
	select {
	case <-r.done:
		return r.head, r.err
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return event.Head{}, ctx.Err()
	}
	defer func() { <-h.turn }()
	select {
	case <-r.done: // another's turn came first
		return r.head, r.err
	default:
	}
	if rest := h.every - time.Since(h.asked); rest > 0 {
		if err := wake.After(ctx, rest); err != nil {
			return event.Head{}, err // the others go on without this one
		}
	}
	h.mu.Lock()
	if h.next == r {
		h.next = nil // who comes now must wait for the next
	}
	h.mu.Unlock()
	h.asked = time.Now()
	head, err := h.heads.StrictHead(ctx)
	if err != nil && ctx.Err() != nil {
		return head, err // of this caller's end: the others ask again
	}
	r.head, r.err = head, err
	close(r.done)
	return head, err
}
