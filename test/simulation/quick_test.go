//go:build !race

package simulation

// quickSeeds is how many histories every run of the tests plays.
const quickSeeds = 16
