// Package simulation plays seeded histories of whole nodes: raft, event stores,
// followers, leases and the API, as they are, on a network in memory and on the fake
// clock of testing/synctest, with faults on by default. Package judge then decides
// whether the history kept every promise.
//
// README.md tells what is simulated, every fault, what was found and what is left out.
package simulation
