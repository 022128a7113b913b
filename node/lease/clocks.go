package lease

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/writ-iam/writ/replication/propagation"
)

// ReadClocks reads the machine's three clocks. The monotonic one needs an instant
// of this process as its origin.
func ReadClocks(start time.Time) func() propagation.Clocks {
	return func() propagation.Clocks {
		t := time.Now()
		read := propagation.Clocks{Monotonic: t.Sub(start), Wall: time.Duration(t.UnixNano())}
		var boot unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err == nil {
			read.Boottime = time.Duration(boot.Nano())
		} else {
			read.Boottime = read.Monotonic // a kernel without it: two clocks are left
		}
		return read
	}
}
