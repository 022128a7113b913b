package admission

import (
	"errors"
	"strconv"
	"sync"
	"testing"
)

func TestSlots(t *testing.T) {
	s := NewSlots(8)
	take := func(holder string, n int, want error) {
		t.Helper()
		if err := s.Take(holder, n); !errors.Is(err, want) {
			t.Errorf("%s takes %d: %v, not %v", holder, n, err, want)
		}
	}
	take("a", 1, nil)
	take("a", 1, nil)
	take("a", 1, ErrShare)
	take("b", 3, ErrShare)
	take("b", 2, nil)
	take("c", 2, nil)
	take("d", 1, nil)
	take("e", 2, ErrFull)
	take("e", 1, nil)
	take("f", 1, ErrFull)
	if s.Taken() != 8 || s.Limit() != 8 || s.Share() != 2 {
		t.Errorf("%d of %d are taken", s.Taken(), s.Limit())
	}
	s.Free("a", 1)
	take("a", 1, nil)
	for holder, n := range map[string]int{"a": 2, "b": 2, "c": 2, "d": 1, "e": 1} {
		s.Free(holder, n)
	}
	if s.Taken() != 0 || len(s.by) != 0 {
		t.Errorf("%d are taken, by %v", s.Taken(), s.by)
	}
	one := NewSlots(0)
	if one.Limit() != 1 || one.Take("a", 1) != nil || !errors.Is(one.Take("b", 1), ErrFull) {
		t.Error("there is not one place")
	}
	defer func() {
		if recover() == nil {
			t.Error("what was not taken was given back")
		}
	}()
	s.Free("a", 1)
}

// Whatever happens at once, no holder is beyond its share, and none are lost.
func TestSlotsRaced(t *testing.T) {
	s := NewSlots(16)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			holder := strconv.Itoa(i % 3)
			for range 1000 {
				if s.Take(holder, 1+i%2) == nil {
					if n := s.Taken(); n > 16 {
						t.Errorf("%d are taken", n)
					}
					s.Free(holder, 1+i%2)
				}
			}
		})
	}
	wg.Wait()
	if s.Taken() != 0 || len(s.by) != 0 {
		t.Errorf("%d are taken, by %v", s.Taken(), s.by)
	}
}
