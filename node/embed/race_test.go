//go:build race

package embed

// raced tells that the race detector counts its own allocations.
const raced = true
