// Package wake is how goroutines wait: for a time that can be cut short, and for each
// other.
package wake

import (
	"context"
	"time"
)

// After waits for a while. It returns nil then, and the error of ctx when that ends
// first.
func After(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Bell wakes the goroutine that receives from it. Rung while nobody receives it wakes
// the next who does, and rung again before that it wakes no second one. Any number of
// goroutines may ring.
type Bell chan struct{}

// NewBell returns a bell that has not been rung.
func NewBell() Bell { return make(Bell, 1) }

// Ring rings the bell; it never waits.
func (b Bell) Ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}
