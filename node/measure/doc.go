// Package measure is what a node shows, in metrics, of its log, its disk and its lease, and a
// leader of its replicas. Each metric is shown by whoever knows: what the leader alone knows,
// other nodes leave out. Labels have few values: names of ours, and of replicas of the roster.
//
// docs/metrics.md lists all metrics of a node, of this and of other packages.
package measure
