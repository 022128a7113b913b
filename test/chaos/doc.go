// Package chaos kills, stops and starves real processes of a cluster while clients
// use it, and judges afterwards: nothing acknowledged is lost, nothing happened
// twice, and all nodes hold the same state.
package chaos
