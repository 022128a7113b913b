package propagation_test

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/replication/propagation"
)

// One replica gets a lease from a leader and answers a query. What a driver does
// over the network and the log happens here by plain calls.
func Example() {
	clocks := func() propagation.Clocks { return propagation.Clocks{} } // of the host, in a real driver
	head := event.Head{Position: 7, Hash: event.Hash{7}}
	history := func(event.Position) (propagation.Hashes, bool) { return propagation.Hashes{Hash: head.Hash}, true }

	// The leader, after it has committed and applied the first fence of term 1.
	view := propagation.Shown{Head: head, Lives: event.Lives{Complete: true}, Roster: &propagation.Roster{
		At: 2, Registered: []propagation.Registration{{Name: "r1", Registered: 2}},
	}}
	tracker := propagation.NewTracker(propagation.DefaultParams(), "c", "i", 1, clocks(), view)

	// The replica.
	lease := propagation.NewLease(propagation.DefaultParams(), propagation.Replica{Name: "r1", Cluster: "c", Incarnation: "i"}, "nonce")
	var published atomic.Pointer[propagation.Snapshot]

	for now := clocks(); ; now.Monotonic += propagation.TickEvery {
		renewal := lease.Renew(now, propagation.Applied{Head: head})
		published.Store(lease.Snapshot())

		tracker.Renew(renewal)
		fence, _ := tracker.BeginTick(now)
		// The fence is committed here, as an entry of its term, and applied.
		view.Lives = view.Lives.Change(fence.Opened, fence.Dropped)
		replies := tracker.EndTick(now, fence.Term, view, history)

		lease.Receive(now, replies[0].Answer)
		published.Store(lease.Snapshot())
		fmt.Println(replies[0].Answer.Kind)
		if published.Load().Valid(now) {
			break
		}
	}

	// A query: first the lease, then the view.
	freshness := published.Load().Check(propagation.Clocks{Monotonic: time.Second})
	position := head.Position
	coverage, err := freshness.Cover(position, propagation.Ask{Mode: propagation.ModeLeased})
	fmt.Println(coverage.Freshness, coverage.Remaining, err)

	// Output:
	// OPEN
	// GRANT
	// leased 9.1s <nil>
}
