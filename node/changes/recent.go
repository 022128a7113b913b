package changes

import (
	"sync"

	"github.com/writ-iam/writ/log/event"
)

// Kept is how many of the latest changes a node keeps in memory for
// watchers. A replica has no others.
const Kept = 1 << 12

// Recent are the latest changes that a node knows, at most Kept of them. Several
// goroutines may use it. The zero value knows none.
type Recent struct {
	mu    sync.RWMutex
	slots []Change // by position; nil before the first; guarded by mu
}

// kept is the change at a position, if it is kept. The lock is held.
func (c *Recent) kept(at event.Position) (*Change, bool) {
	if c.slots == nil {
		return nil, false
	}
	slot := &c.slots[at%Kept]
	return slot, slot.Head.Position == at
}

// Add takes one more change.
func (c *Recent) Add(one Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots == nil {
		c.slots = make([]Change, Kept)
	}
	c.slots[one.Head.Position%Kept] = one
}

// Forget drops everything: the state was replaced by one of which only the head is
// known.
func (c *Recent) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slots = nil
}

// Read returns what is kept from a position on, at most count changes; none if the
// first one is not kept.
func (c *Recent) Read(from event.Position, count int) (list []Change) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for at := from; at < from+event.Position(count); at++ {
		one, ok := c.kept(at)
		if !ok {
			break
		}
		list = append(list, *one)
	}
	return list
}

// Begin is the position from which on everything up to head is kept; head+1 if head
// is not.
func (c *Recent) Begin(head event.Position) event.Position {
	c.mu.RLock()
	defer c.mu.RUnlock()
	at := head + 1
	for ; at > 1 && head-at+1 < Kept; at-- {
		if _, ok := c.kept(at - 1); !ok {
			break
		}
	}
	return at
}
