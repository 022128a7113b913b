package changes

import (
	"testing"

	"github.com/writ-iam/writ/log/event"
)

func TestRecent(t *testing.T) {
	var c Recent
	if got := c.Read(1, 9); got != nil || c.Begin(5) != 6 {
		t.Errorf("nothing is kept, but %v from %d on", got, c.Begin(5))
	}
	add := func(from, to event.Position) {
		for at := from; at <= to; at++ {
			c.Add(Change{Head: event.Head{Position: at}})
		}
	}
	add(1, 3)
	if got := c.Read(2, 9); len(got) != 2 || got[0].Head.Position != 2 || c.Begin(3) != 1 {
		t.Errorf("kept are %v from %d on", got, c.Begin(3))
	}
	if got := c.Read(1, 2); len(got) != 2 {
		t.Errorf("%d of at most 2", len(got))
	}
	add(4, Kept+2) // 1 and 2 have gone
	if got := c.Read(2, 9); got != nil || c.Begin(Kept+2) != 3 {
		t.Errorf("kept are %v from %d on", got, c.Begin(Kept+2))
	}
	add(Kept+4, Kept+4) // a state was jumped to
	if got := c.Begin(Kept + 4); got != Kept+4 {
		t.Errorf("kept from %d on", got)
	}
	if c.Forget(); c.Begin(9) != 10 {
		t.Error("not forgotten")
	}
}
