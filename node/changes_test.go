package node

import (
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/native"
)

func TestChanges(t *testing.T) {
	var c changes
	if got := c.read(1, 9); got != nil || c.begin(5) != 6 {
		t.Errorf("nothing is kept, but %v from %d on", got, c.begin(5))
	}
	add := func(from, to event.Position) {
		for at := from; at <= to; at++ {
			c.add(native.Change{Head: event.Head{Position: at}})
		}
	}
	add(1, 3)
	if got := c.read(2, 9); len(got) != 2 || got[0].Head.Position != 2 || c.begin(3) != 1 {
		t.Errorf("kept are %v from %d on", got, c.begin(3))
	}
	if got := c.read(1, 2); len(got) != 2 {
		t.Errorf("%d of at most 2", len(got))
	}
	add(4, keptChanges+2) // 1 and 2 have gone
	if got := c.read(2, 9); got != nil || c.begin(keptChanges+2) != 3 {
		t.Errorf("kept are %v from %d on", got, c.begin(keptChanges+2))
	}
	add(keptChanges+4, keptChanges+4) // a state was jumped to
	if got := c.begin(keptChanges + 4); got != keptChanges+4 {
		t.Errorf("kept from %d on", got)
	}
	if c.forget(); c.begin(9) != 10 {
		t.Error("not forgotten")
	}
}
