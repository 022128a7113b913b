// Package operations runs what an operator does to a cluster, by the verbs of the binary on
// real processes, as the pages of docs/operating say it, while clients use the cluster.
package operations
