package node

import (
	"errors"
	"sync"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/api/native"
)

// keptChanges is how many of the latest changes a node keeps in memory for
// watchers. A replica has no others.
const keptChanges = 1 << 12

// changeBytes bounds what a writer reads of its event store at once.
const changeBytes = 1 << 20

// changes are the latest ones that a node knows.
type changes struct {
	mu    sync.RWMutex
	slots []native.Change // by position; nil before the first; guarded by mu
}

// kept is the change at a position, if it is kept. The lock is held.
func (c *changes) kept(at event.Position) (*native.Change, bool) {
	if c.slots == nil {
		return nil, false
	}
	slot := &c.slots[at%keptChanges]
	return slot, slot.Head.Position == at
}

func (c *changes) add(one native.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots == nil {
		c.slots = make([]native.Change, keptChanges)
	}
	c.slots[one.Head.Position%keptChanges] = one
}

// forget drops everything: the state was replaced by one of which only the head is
// known.
func (c *changes) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slots = nil
}

// read returns what is kept from a position on, at most count changes; none if the
// first one is not kept.
func (c *changes) read(from event.Position, count int) (list []native.Change) {
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

// begin is the position from which on everything up to head is kept; head+1 if head
// is not.
func (c *changes) begin(head event.Position) event.Position {
	c.mu.RLock()
	defer c.mu.RUnlock()
	at := head + 1
	for ; at > 1 && head-at+1 < keptChanges; at-- {
		if _, ok := c.kept(at - 1); !ok {
			break
		}
	}
	return at
}

// Changes tells watchers what a replica still knows.
func (r *replica) Changes(from event.Position, count int) ([]native.Change, error) {
	if list := r.recent.read(from, count); len(list) > 0 {
		return list, nil
	}
	return nil, &native.GapError{From: from, To: max(from, r.recent.begin(r.node.projection.Head().Position)-1)}
}

// Changes reads a writer's event store, if the changes are not among the latest.
func (w *writer) Changes(from event.Position, count int) ([]native.Change, error) {
	if list := w.recent.read(from, count); len(list) > 0 {
		return list, nil
	}
	found, err := w.log.Events().Read(from, count, changeBytes)
	var missing *store.MissingError
	if errors.As(err, &missing) {
		return nil, &native.GapError{From: from, To: missing.To}
	}
	if err != nil {
		return nil, err
	}
	list, latest := make([]native.Change, 0, len(found)), w.log.Applied().Head.Position
	for _, bytes := range found {
		b, err := wire.DecodeBatch(bytes)
		if err != nil {
			return nil, err
		}
		c := native.ChangeOf(b)
		list = append(list, c)
		if b.Position+keptChanges > latest { // others will ask for it, too
			w.recent.add(c)
		}
	}
	return list, nil
}
