package event

import (
	"cmp"
	"iter"
	"slices"
)

// Life is one life of a replica: from a start of its process, or a step back of its
// state, to the end or the next step back. A name may have several lives at once: a
// replacement that runs while the process before it is cut off is another life.
type Life struct {
	Replica string // name in the roster
	Nonce   string // random, never used again
}

func (l Life) compare(o Life) int {
	return cmp.Or(cmp.Compare(l.Replica, o.Replica), cmp.Compare(l.Nonce, o.Nonce))
}

// Lives are the lives that may hold freshness leases, as of one entry of the log. A
// Lives is never changed: Change returns another. The zero Lives is what is known of
// a history whose fences did not name them.
type Lives struct {
	// Complete says that no life holds a lease that is not among these.
	Complete bool

	list []Life // in order of name and nonce, each once
}

// LivesOf returns those of a list, in any order.
func LivesOf(complete bool, list []Life) Lives {
	return Lives{Complete: complete}.Change(list, nil)
}

// Len is how many there are.
func (l Lives) Len() int { return len(l.list) }

// All gives them in order of name and nonce.
func (l Lives) All() iter.Seq[Life] { return slices.Values(l.list) }

// Has says whether x is among them.
func (l Lives) Has(x Life) bool {
	_, ok := slices.BinarySearchFunc(l.list, x, Life.compare)
	return ok
}

// Change returns l with the opened ones and without the dropped ones; one that is
// both is dropped.
func (l Lives) Change(opened, dropped []Life) Lives {
	if len(opened)+len(dropped) == 0 {
		return l
	}
	list := slices.Concat(l.list, opened)
	slices.SortFunc(list, Life.compare)
	list = slices.Compact(list)
	if len(dropped) > 0 {
		gone := Lives{}.Change(dropped, nil)
		list = slices.DeleteFunc(list, gone.Has)
	}
	return Lives{Complete: l.Complete, list: list}
}
