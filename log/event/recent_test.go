package event

import "testing"

func TestRecent(t *testing.T) {
	r := NewRecent(3)
	if h, known := r.At(0); h != (Head{}) || !known {
		t.Error(h, known)
	}
	for p := range Position(5) {
		r.Add(Head{p + 1, Hash{byte(p + 1)}})
	}
	for p, want := range map[Position]bool{0: false, 2: false, 3: true, 5: true, 6: false, 8: false} {
		if h, known := r.At(p); known != want || known && h != (Head{p, Hash{byte(p)}}) {
			t.Errorf("%d: %v, %v", p, h, known)
		}
	}
	r.Forget()
	if _, known := r.At(5); known {
		t.Error("5 is still known")
	}
}
