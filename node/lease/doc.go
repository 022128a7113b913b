// Package lease drives the protocol of package propagation with real clocks and
// messages. On the leader a Tracker, of one term, hears from the replicas, commits fences
// and says how far a position has come. On a replica a Renewer tells the leader what the
// replica has applied, and keeps the lease that it grants; a Sink withdraws the lease
// before the state that it was granted for is replaced.
package lease
