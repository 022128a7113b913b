package lease

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/writ-iam/writ/replication/propagation"
)

// ReadClocks reads the machine's three clocks. The monotonic one needs an instant
// of this process as its origin.
func ReadClocks(start time.Time) func() propagation.Clocks {
	return func() propagation.Clocks {
		read := readTwo(start)
		var boot unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err == nil {
			read.Boottime = time.Duration(boot.Nano())
		} else {
			read.Boottime = read.Monotonic // a kernel without it: two clocks are left
		}
		return read
	}
}

// readTwo reads the clocks that need no system call; it leaves the third at zero.
func readTwo(start time.Time) propagation.Clocks {
	t := time.Now()
	return propagation.Clocks{Monotonic: t.Sub(start), Wall: time.Duration(t.UnixNano())}
}

// Limits of what QuickClocks takes over from an earlier reading: how old that may be, and by how
// much the wall clock may have gone another way than the monotonic one since.
const (
	quickFor   = time.Millisecond
	quickSlack = 100 * time.Microsecond
)

// QuickClocks is ReadClocks for those who ask hundreds of thousands of times a second: to read
// CLOCK_BOOTTIME is a system call, and takes several times as long as the other two together. So
// within a millisecond of a whole reading, as the monotonic clock counts, the boottime clock is taken to
// have gone on as that one did. It did, unless the machine slept in between; and then the wall
// clock, which wakes up set forward, says so, and all three are read. What is missed is a sleep
// of a machine whose wall clock was set back in the same millisecond by as long as it slept, to a
// tenth of a millisecond.
func QuickClocks(start time.Time) func() propagation.Clocks {
	return quickly(func() propagation.Clocks { return readTwo(start) }, ReadClocks(start))
}

// quickly is QuickClocks over given clocks: two leaves the boottime clock out.
func quickly(two, all func() propagation.Clocks) func() propagation.Clocks {
	var last atomic.Pointer[propagation.Clocks]
	return func() propagation.Clocks {
		if l := last.Load(); l != nil {
			c := two()
			passed := c.Monotonic - l.Monotonic
			if passed.Abs() < quickFor && (c.Wall-l.Wall-passed).Abs() < quickSlack {
				c.Boottime = l.Boottime + passed
				return c
			}
		}
		c := all()
		last.Store(&c)
		return c
	}
}
