package propagation

import (
	"math"
	"time"
)

// Fixed numbers of the protocol. Those that trade freshness against load are in
// Params.
const (
	// TickEvery is the least time from the beginning of one tick to that of the
	// next, so also the most that a request waits before its fence is proposed.
	// Between two there may be one more, for a floor: it follows at once on the tick
	// that settled a position which somebody waits for.
	TickEvery = 100 * time.Millisecond
	// RenewalsPerLease says how often a replica renews within a lease, so how many
	// renewals may be lost before it runs out.
	RenewalsPerLease = 4
	// RetryEvery is how long a replica waits after an answer that was no grant.
	RetryEvery = 250 * time.Millisecond
	// MaxWaiting bounds the requests that one tick answers; more are refused with
	// BUSY. It is four times the number of replicas that a roster may hold.
	MaxWaiting = 4096
	// MaxReads bounds the reads of the head that a replica has under way.
	MaxReads = 64
	// MaxLives bounds the lives of one name that a leader knows, and MaxAllLives those
	// of all: they are in the state of every writer. A life that is one too many hears
	// BUSY until another has run out. A replica that starts anew every second, and
	// cannot say that the process before it is gone, needs a dozen. Whoever holds a
	// replica's certificate can use up the lives of that name alone.
	MaxLives    = 16
	MaxAllLives = 4096
	// MaxTurnover bounds the lives that one fence opens, and those that it drops; others
	// wait for the next.
	MaxTurnover = 256
	// MaxEnded bounds the lives that one renewal tells to be over.
	MaxEnded = 8
	// MaxNonce bounds a nonce, in bytes.
	MaxNonce = 64
	// ClassTight is the class of replicas with the short lease.
	ClassTight = "tight"

	// maxReaderHeads and maxLeaderHeads bound the known heads kept on each side.
	// Beyond them the older ones are thinned out, which makes bounds coarser and
	// never wrong.
	maxReaderHeads = 16
	maxLeaderHeads = 128
)

// Params are the durations of leases. They may differ between replicas of one
// cluster only while an operator changes them: a grant names its own duration.
type Params struct {
	// Duration (D) is how long a lease lasts, counted from before its request left.
	Duration time.Duration
	// Tight is D for the replicas of ClassTight.
	Tight time.Duration
	// Drift (rho) is how far a clock's rate may be off, in thousandths: while d
	// passes, a clock counts between d*(1-rho) and d*(1+rho).
	Drift int
	// Margin is added to the window for what arithmetic on clocks leaves out.
	Margin time.Duration
}

// DefaultParams are leases of ten seconds, three for the tight class, over clocks
// that are off by at most one percent.
func DefaultParams() Params {
	return Params{Duration: 10 * time.Second, Tight: 3 * time.Second, Drift: 10, Margin: 100 * time.Millisecond}
}

// Lease is D for replicas of a class; a class that is not known has the default.
func (p Params) Lease(class string) time.Duration {
	if class == ClassTight {
		return p.Tight
	}
	return p.Duration
}

// Window (W) is how long a leader waits on its own clock before it takes a lease
// of duration d as run out: d*(1+rho)/(1-rho) and a margin, rounded up. The
// replica's clock may be slow by rho and the leader's fast by rho.
func (p Params) Window(d time.Duration) time.Duration {
	fast, slow := time.Duration(1000+p.Drift), time.Duration(1000-p.Drift)
	return (d*fast+slow-1)/slow + p.Margin
}

// atMost is the longest time that can have passed while a clock counted d.
func (p Params) atMost(d time.Duration) time.Duration {
	slow := time.Duration(1000 - p.Drift)
	if d > math.MaxInt64/1000-slow {
		return math.MaxInt64
	}
	return (d*1000 + slow - 1) / slow
}
