//go:build mutants

package propagation

// trackerThatBreaks returns a tracker for the simulation that breaks rules. Its
// constructor is of testdata/mutants.diff.
func trackerThatBreaks(broken rule, cluster, incarnation string, term uint64, now Clocks, v Shown) *Tracker {
	return newTracker(DefaultParams(), cluster, incarnation, term, now, v, broken)
}

// leaseThatBreaks is trackerThatBreaks for a lease.
func leaseThatBreaks(broken rule, r Replica, nonce string, ended ...string) *Lease {
	return newLease(DefaultParams(), r, nonce, broken, ended...)
}
