// Package peer is how the nodes of a cluster reach each other: they recognize each other
// by certificates of the cluster's authority, share one port of each writer between the
// streams of the log and the requests of nodes, bound what each name takes of it, find
// the writer that leads, and hand clients' requests on to it.
package peer
