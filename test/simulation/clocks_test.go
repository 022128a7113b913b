package simulation

import (
	"sync"
	"time"

	"github.com/writ-iam/writ/replication/propagation"
)

// clock counts from base at a rate of 1000+drift thousandths since from. A drift of
// -1000 is a clock that stands still.
type clock struct {
	from  time.Time
	base  time.Duration
	drift int
}

func (c *clock) read(now time.Time) time.Duration {
	return c.base + now.Sub(c.from)*time.Duration(1000+c.drift)/1000
}

// set makes the clock show base from now on, at another rate.
func (c *clock) set(now time.Time, base time.Duration, drift int) {
	*c = clock{now, base, drift}
}

// clocks are a machine's three clocks. True time is that of the bubble.
type clocks struct {
	mu                        sync.Mutex // guards the clocks
	monotonic, boottime, wall clock
}

// newClocks are clocks with rates of their own, as draw gives them.
func newClocks(draw func() int) *clocks {
	c, now := &clocks{}, time.Now()
	c.monotonic.set(now, 0, draw())
	c.boottime.set(now, time.Hour, draw())
	c.wall.set(now, time.Duration(now.UnixNano()), draw())
	return c
}

// read is what a node reads.
func (c *clocks) read() propagation.Clocks {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	return propagation.Clocks{Monotonic: c.monotonic.read(now), Boottime: c.boottime.read(now), Wall: c.wall.read(now)}
}

// now is the wall clock.
func (c *clocks) now() time.Time { return time.Unix(0, int64(c.read().Wall)).UTC() }

// change alters clocks, which may be told apart by their order.
func (c *clocks) change(f func(now time.Time, each [3]*clock)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(time.Now(), [3]*clock{&c.monotonic, &c.boottime, &c.wall})
}

// drift gives all three clocks new rates.
func (c *clocks) drift(draw func() int) {
	c.change(func(now time.Time, each [3]*clock) {
		for _, one := range each {
			one.set(now, one.read(now), draw())
		}
	})
}

// jump sets the wall clock, forward or back.
func (c *clocks) jump(by time.Duration) {
	c.change(func(now time.Time, each [3]*clock) {
		wall := each[2]
		wall.set(now, wall.read(now)+by, wall.drift)
	})
}

// stop makes all three clocks stand still, which breaks what leases need.
func (c *clocks) stop() {
	c.change(func(now time.Time, each [3]*clock) {
		for _, one := range each {
			one.set(now, one.read(now), -1000)
		}
	})
}
