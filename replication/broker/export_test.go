package broker

// Limits, for tests.
const (
	MaxPerName  = maxPerName
	SayBurst    = sayBurst
	SayInterval = sayInterval
)
