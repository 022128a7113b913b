//go:build race

package simulation

// quickSeeds is how many histories every run of the tests plays; the race detector
// makes them ten times as slow.
const quickSeeds = 2
