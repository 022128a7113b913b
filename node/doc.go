// Package node is one process of a cluster: it builds the parts that its role
// needs, runs them, and stops them in reverse order.
//
// A writer votes in the Raft log, keeps the event store, embeds a broker, publishes
// when it leads, and serves the other nodes on its peer port. A replica follows the
// stream, keeps a lease, and answers. Both serve clients through node/api; what
// needs the leader is handed to it.
package node
