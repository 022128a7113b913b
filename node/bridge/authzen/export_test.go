package authzen

import "github.com/writ-iam/writ/projection"

// Limits, for tests.
const (
	MaxListed = maxListed
	MaxTypes  = maxTypes
)

// Walk looks at the principals of ARNs that begin so, at most at so many, and says after whom it
// ended before its end; empty: it did not.
func Walk(v *projection.View, before, after string, most int) (arns []string, ended string) {
	for c := range candidates(v, pattern{before: before}, after, most) {
		if c.arn == "" {
			return arns, c.name
		}
		arns = append(arns, c.arn)
	}
	return arns, ""
}
