package wake

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		if err := After(ctx, time.Second); err != nil || time.Since(start) != time.Second {
			t.Error(err, time.Since(start))
		}
		if err := After(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Error(err, time.Since(start))
		}
	})
}

func TestBell(t *testing.T) {
	b := NewBell()
	b.Ring()
	b.Ring()
	<-b
	select {
	case <-b:
		t.Error("one ring too many")
	default:
	}
}
