package fault

// For tests.
const (
	Codes    = codes
	HintSign = hintSign
)
