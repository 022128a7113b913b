package proof

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A verification, and scrubbing, take their share of a processor and no more, however
// long their steps take.
func TestShares(t *testing.T) {
	for _, took := range []time.Duration{0, time.Millisecond, time.Second, time.Minute} {
		for _, every := range []time.Duration{time.Millisecond, time.Second} {
			rest := scrubRest(every, took)
			if took+rest < every || scrubShare*took > took+rest {
				t.Errorf("after %v of %v scrubbing rests for %v", took, every, rest)
			}
		}
		if rest := scrubRest(time.Hour, took); took+rest != time.Hour {
			t.Errorf("after %v it rests for %v: a part is due every hour", took, rest)
		}
		synctest.Test(t, func(t *testing.T) {
			p, begun := pacer{time.Now()}, time.Now()
			for range 3 {
				time.Sleep(took) // of the bubble's clock: the work
				if err := p.rest(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if all := time.Since(begun); all != verifyShare*3*took {
				t.Errorf("work of %v took %v", 3*took, all)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			time.Sleep(took)
			if err := p.rest(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("a verification that ended rests: %v", err)
			}
		})
	}
}
