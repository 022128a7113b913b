package lease

import (
	"testing"
	"time"

	"github.com/writ-iam/writ/replication/propagation"
)

// Quick clocks are the clocks, whatever happens to one of them, and seldom ask for all three.
func TestQuickClocks(t *testing.T) {
	now := propagation.Clocks{Monotonic: time.Hour, Boottime: 5 * time.Hour, Wall: 1000 * time.Hour}
	whole := 0
	read := quickly(func() propagation.Clocks {
		return propagation.Clocks{Monotonic: now.Monotonic, Wall: now.Wall}
	}, func() propagation.Clocks { whole++; return now })
	pass := func(d time.Duration) {
		now.Monotonic, now.Boottime, now.Wall = now.Monotonic+d, now.Boottime+d, now.Wall+d
	}
	for _, c := range []struct {
		what    string
		happens func()
		whole   int // readings so far
	}{
		{"the first reading", func() {}, 1},
		{"a moment", func() { pass(10 * time.Microsecond) }, 1},
		{"nearly a millisecond", func() { pass(quickFor - 11*time.Microsecond) }, 1},
		{"a millisecond", func() { pass(time.Microsecond) }, 2},
		{"a sleep", func() { now.Boottime += time.Hour; now.Wall += time.Hour }, 3},
		{"a short sleep", func() { now.Boottime += time.Millisecond; now.Wall += time.Millisecond }, 4},
		{"a wall clock that is set back", func() { now.Wall -= time.Hour }, 5},
		{"a moment after that", func() { pass(time.Microsecond) }, 5},
		{"a sleep, and a wall clock that is set back later", func() {
			now.Boottime, now.Wall = now.Boottime+time.Hour, now.Wall+time.Hour
			pass(2 * quickFor)
			now.Wall -= time.Hour
		}, 6},
	} {
		c.happens()
		if got := read(); got != now || whole != c.whole {
			t.Errorf("after %s: %+v after %d readings of all, want %+v after %d", c.what, got, whole, now, c.whole)
		}
	}
	real := ReadClocks(time.Now())
	before, quick, after := real(), QuickClocks(time.Now())(), real()
	if quick.Wall < before.Wall || quick.Wall > after.Wall || quick.Boottime < before.Boottime || quick.Boottime > after.Boottime {
		t.Errorf("the machine's are %+v between %+v and %+v", quick, before, after)
	}
}

// BenchmarkClocks shows what quick clocks save.
func BenchmarkClocks(b *testing.B) {
	for name, read := range map[string]func() propagation.Clocks{"all": ReadClocks(time.Now()), "quick": QuickClocks(time.Now())} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				read()
			}
		})
	}
}
