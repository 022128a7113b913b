//go:build !mutants

package propagation

// trackerThatBreaks returns a tracker for the simulation. What is shipped breaks no
// rule: see TestMutants.
func trackerThatBreaks(broken rule, cluster, incarnation string, term uint64, now Clocks, v Shown) *Tracker {
	mustBreakNone(broken)
	return NewTracker(DefaultParams(), cluster, incarnation, term, now, v)
}

// leaseThatBreaks is trackerThatBreaks for a lease.
func leaseThatBreaks(broken rule, r Replica, nonce string, ended ...string) *Lease {
	mustBreakNone(broken)
	return NewLease(DefaultParams(), r, nonce, ended...)
}

func mustBreakNone(broken rule) {
	if broken != 0 {
		panic("propagation: rules can be broken only in a build with mutants")
	}
}
