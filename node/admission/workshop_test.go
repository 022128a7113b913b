package admission

import (
	"errors"
	"testing"

	"github.com/writ-iam/writ/node/fault"
)

// Heavy work has a shift and a place, is done once however often a request asks for it,
// and gives back what it had.
func TestHeavyWork(t *testing.T) {
	s, w := oneShift(), NewWorkshop("tests", 2, 1, 1)
	var j Job
	var b Bench
	s.Begin(&j, t.Context(), "a")
	done := 0
	for range 2 {
		w.Begin(&b, t.Context(), &j, "a")
		got, err := Heavy(&b, "piece", func() (int, error) {
			done++
			if s.shifts.free != 0 || w.Requests().Taken() != 1 || w.places.TryAcquire(1) {
				t.Error("it works without a shift or a place")
			}
			return 7, errTest
		})
		if got != 7 || !errors.Is(err, errTest) {
			t.Errorf("it comes to %d, %v", got, err)
		}
	}
	if got, err := Once(&b, "other", func() (string, error) {
		if s.shifts.free != 1 || w.Requests().Taken() != 0 {
			t.Error("who waits for others has a shift or a place")
		}
		return "x", nil
	}); got != "x" || err != nil || done != 1 {
		t.Errorf("another piece comes to %q, %v; the first was done %d times", got, err, done)
	}
	j.End()
	if !s.shifts.idle(1) || w.Requests().Taken() != 0 || !w.places.TryAcquire(1) {
		t.Error("something is kept")
	}
}

var errTest = errors.New("what came of it")

// A caller has a share of a workshop, and there is an end to all. Who finds no place is to
// come again.
func TestWorkshopsAreBounded(t *testing.T) {
	s, w := oneShift(), NewWorkshop("tests", 2, 1, 2)
	var j Job
	s.Begin(&j, t.Context(), "a")
	busy := func(who string) {
		t.Helper()
		var b Bench
		w.Begin(&b, t.Context(), &j, who)
		_, err := Heavy(&b, "piece", func() (int, error) { return 0, nil })
		var f *fault.Fault
		if !errors.As(err, &f) || !f.Retry() || !errors.Is(err, ErrBusy) {
			t.Errorf("%s: %v", who, err)
		}
	}
	leave, err := w.Enter(t.Context(), &j, "a")
	if err != nil {
		t.Fatal(err)
	}
	busy("a")
	if err := w.Requests().Take("b", 1); err != nil {
		t.Fatal(err)
	}
	busy("c")
	leave()
	j.End()
	if !s.shifts.idle(1) || w.Requests().Taken() != 1 {
		t.Error("something is kept")
	}
	if _, err := Heavy(&Bench{}, "piece", func() (int, error) { return 0, nil }); !errors.Is(err, ErrNoWorkshop) {
		t.Errorf("without a workshop: %v", err)
	}
}
