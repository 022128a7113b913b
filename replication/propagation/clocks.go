package propagation

import (
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Clocks are readings of three clocks of one host at one moment, each since an
// origin of its own that stays the same while the process lives.
//
// A replica takes the largest of the three differences as the time that passed: a
// lease must end although one of its clocks stopped (a suspended machine stops
// the monotonic clock) or was set back. At least one of the three must go on
// counting, at a rate within Params.Drift. A leader that waits for leases to run
// out uses the monotonic clock alone: waiting too long is safe, and neither an
// administrator nor a time server can set that clock forward.
type Clocks struct {
	Monotonic time.Duration // CLOCK_MONOTONIC: is never set; may stop while the machine sleeps
	Boottime  time.Duration // CLOCK_BOOTTIME: also counts while the machine sleeps
	Wall      time.Duration // CLOCK_REALTIME: may be set forward and back
}

// since is the time that passed from a to c where too much is safe: negative only
// if all three clocks were set back.
func (c Clocks) since(a Clocks) time.Duration {
	return max(c.Monotonic-a.Monotonic, c.Boottime-a.Boottime, c.Wall-a.Wall)
}

// known is a fact about the head of the log: it had reached position by the
// moment since, and every position above was committed after the moment at.
type known struct {
	since, at Clocks
	position  event.Position
}

// heads are known facts in order, both of moments and of positions. A heads is
// never changed: add returns another.
type heads []known

// add returns h with one more fact, that the head was at position p at a moment.
// Facts that it makes superfluous are left out, and above limit every second of
// the older ones is.
func (h heads) add(at Clocks, p event.Position, limit int) heads {
	k := known{since: at, at: at, position: p}
	if n := len(h); n > 0 && at.Monotonic < h[n-1].at.Monotonic {
		return h // answers crossed on the way; the newer one is as good
	}
	out := make(heads, 0, len(h)+1)
	for i, old := range h {
		thinned := len(h) >= limit && i%2 == 1
		switch {
		case old.position == p:
			k.since = old.since
		case old.position < p && !thinned:
			out = append(out, old)
		}
	}
	return append(out, k)
}

// below is the latest fact about a head at or below p: p+1 was committed after it.
func (h heads) below(p event.Position) (known, bool) {
	for i := len(h) - 1; i >= 0; i-- {
		if h[i].position <= p {
			return h[i], true
		}
	}
	return known{}, false
}

// reaching is the earliest fact about a head at or above p.
func (h heads) reaching(p event.Position) (known, bool) {
	for _, k := range h {
		if k.position >= p {
			return k, true
		}
	}
	return known{}, false
}
