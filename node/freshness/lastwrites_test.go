package freshness

import (
	"strconv"
	"testing"

	"github.com/writ-iam/writ/log/event"
)

// The latest writes of very many callers are not all remembered, the newest are.
func TestManyCallersWrites(t *testing.T) {
	l := newLastWrites()
	for i := range 3 * maxLastWrites {
		l.note(strconv.Itoa(i), event.Position(i+1))
		if n := len(l.recent) + len(l.older); n > maxLastWrites {
			t.Fatalf("%d are remembered", n)
		}
		if at := l.position(strconv.Itoa(i)); at != event.Position(i+1) {
			t.Fatalf("the write at %d is remembered as at %d", i+1, at)
		}
	}
	if l.position("0") != 0 {
		t.Error("the first is remembered")
	}
}
