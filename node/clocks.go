package node

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/writ-iam/writ/replication/propagation"
)

// clocks reads the clocks of the lease protocol. The monotonic one needs an
// instant of this process as its origin.
type clocks struct{ start time.Time }

func newClocks() *clocks { return &clocks{start: time.Now()} }

// now reads the three clocks.
func (c *clocks) now() propagation.Clocks {
	t := time.Now()
	read := propagation.Clocks{Monotonic: t.Sub(c.start), Wall: time.Duration(t.UnixNano())}
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err == nil {
		read.Boottime = time.Duration(boot.Nano())
	} else {
		read.Boottime = read.Monotonic // a kernel without it: two clocks are left
	}
	return read
}
