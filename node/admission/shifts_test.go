package admission

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/writ-iam/writ/node/fault"
)

// unmetered is a Meter that counts nothing.
type unmetered struct{}

func (unmetered) Refused(string, bool) {}
func (unmetered) Worked(int64)         {}

// oneShift is a desk that lets one job work at a time.
func oneShift() *Desk {
	s := New(Config{Meter: unmetered{}})
	s.shifts.free = 1
	return s
}

// idle tells whether nobody has or wants a shift.
func (t *shifts) idle(free int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.free == free && t.waiting == 0 && len(t.queues) == 0
}

// With all shifts taken by one caller, who has more in store, another still gets
// through, and so does whoever does little.
func TestShiftsAreFair(t *testing.T) {
	s := oneShift()
	var busy sync.WaitGroup
	var done atomic.Bool
	working := make(chan struct{})
	var once sync.Once
	for range 1 + maxShiftWaitersOne {
		busy.Go(func() {
			var j Job
			for !done.Load() {
				s.Begin(&j, t.Context(), "greedy")
				for !done.Load() && j.Spend(lookAgain) {
					if j.holds {
						once.Do(func() { close(working) })
					}
				}
				if err := j.Err(); err != nil && j.Fault() == nil {
					t.Error(err)
				}
				j.End()
			}
		})
	}
	<-working
	for _, units := range []int64{lookAgain, 2 * freeWork, 3 * shiftWork} {
		var j Job
		s.Begin(&j, t.Context(), "modest")
		for j.Spent() < units && j.Spend(lookAgain) {
		}
		if j.Err() != nil {
			t.Errorf("%d units: %v", units, j.Err())
		}
		j.End()
	}
	done.Store(true)
	busy.Wait()
	if !s.shifts.idle(1) {
		t.Errorf("shifts are left over: %+v", s.shifts)
	}
}

const lookAgain = 1 << 16

// Waiting for a shift is bounded, in number and in time, and ends with the caller.
func TestShiftsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := oneShift()
		if err := s.shifts.take(t.Context(), "first", false); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var gone, late sync.WaitGroup
		var canceled, timedOut atomic.Int32
		wait := func(g *sync.WaitGroup, ctx context.Context, who string, is func(error) bool, n *atomic.Int32) {
			g.Go(func() {
				if is(s.shifts.take(ctx, who, false)) {
					n.Add(1)
				}
			})
		}
		isCanceled := func(err error) bool { return errors.Is(err, context.Canceled) }
		isBusy := func(err error) bool { return errors.Is(err, ErrBusy) && fault.Of(err).Code() == fault.Unavailable }
		for range maxShiftWaitersOne {
			wait(&gone, ctx, "second", isCanceled, &canceled)
		}
		synctest.Wait()
		if err := s.shifts.take(t.Context(), "second", false); !isBusy(err) {
			t.Errorf("one too many of one caller: %v", err)
		}
		for i := range maxShiftWaiters - maxShiftWaitersOne {
			wait(&late, t.Context(), string(rune('A'+i)), isBusy, &timedOut)
		}
		synctest.Wait()
		if err := s.shifts.take(t.Context(), "another", false); !isBusy(err) {
			t.Errorf("one too many of all: %v", err)
		}
		cancel()
		gone.Wait()
		late.Wait()
		if canceled.Load() != maxShiftWaitersOne || timedOut.Load() != maxShiftWaiters-maxShiftWaitersOne {
			t.Errorf("%d gave up and %d waited too long", canceled.Load(), timedOut.Load())
		}
		s.shifts.end("first")
		if !s.shifts.idle(1) {
			t.Errorf("shifts are left over: %+v", s.shifts)
		}
	})
}

// The next shift is that of whoever has fewest, and had one the longest ago.
func TestShiftsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := oneShift()
		if err := s.shifts.take(t.Context(), "a", false); err != nil {
			t.Fatal(err)
		}
		order := make(chan string, 6)
		for _, who := range []string{"a", "a", "a", "b", "b", "c"} {
			go func() {
				if s.shifts.take(t.Context(), who, false) == nil {
					order <- who
				}
			}()
			synctest.Wait()
		}
		got, last := "", "a"
		for range 6 {
			s.shifts.end(last)
			last = <-order
			got += last
		}
		s.shifts.end(last)
		if got != "bcabaa" && got != "cbabaa" {
			t.Errorf("shifts in the order %s", got)
		}
		if !s.shifts.idle(1) {
			t.Errorf("shifts are left over: %+v", s.shifts)
		}
	})
}
