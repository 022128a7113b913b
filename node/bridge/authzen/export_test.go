package authzen

// Limits, for tests.
const (
	MaxListed = maxListed
	MaxTypes  = maxTypes
)
