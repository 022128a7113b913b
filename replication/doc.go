// Package replication carries committed batches from the writers to every replica.
//
// The Publisher of the leading writer puts each batch, as the bytes of the event
// store, on a JetStream stream whose sequence numbers are the positions. The
// Follower of a replica takes them from there, proves that each continues the
// history it holds, and hands them to a Sink. Package tail serves the same
// bytes, and snapshots, over HTTP from every writer to other nodes: that is how a
// follower closes gaps, starts from nothing, and lives while NATS does not.
//
// NATS is a cache for fan-out, never a source of truth, and whoever can write to
// it is nobody in particular. A follower shows a batch when it has its place in
// the chain and a writer vouched for its hash: by the connection over which it
// came from a writer itself, or by a signature on it or on a later one. What does
// not fit, or is not proved in time, costs a repair over HTTP and a while without
// the stream, that doubles; see proof.go. So losing, wiping, corrupting or
// forging what is in NATS changes latency and no answer. Nothing here delays a
// write, and nothing here says how fresh a replica is: an idle stream is not a
// fresh one. That is the business of the leases in propagation.
//
// Everything that runs does so inside a Run method, which returns when its context
// ends and has then stopped all that it started.
package replication
