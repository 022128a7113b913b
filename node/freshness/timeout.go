package freshness

import (
	"time"

	"github.com/writ-iam/writ/node/fault"
)

// MaxWait is the longest that a caller may make a request wait for a position.
const MaxWait = 10 * time.Minute

// defaultTimeout is how long a request waits for a position to be everywhere, or for an
// effect, when the caller does not say.
const defaultTimeout = 30 * time.Second

// ParseTimeout reads how long a request waits at most.
func ParseTimeout(text string) (time.Duration, error) {
	if text == "" {
		return defaultTimeout, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > MaxWait {
		return 0, fault.BadRequest("Give a duration up to "+MaxWait.String()+", such as 30s.", "timeout is %s.", fault.Quote(text))
	}
	return wait, nil
}
