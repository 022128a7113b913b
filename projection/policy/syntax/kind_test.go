package syntax

import "testing"

func TestKindByName(t *testing.T) {
	for k := range KindRCP + 1 {
		if got, ok := KindByName(k.String()); !ok || got != k {
			t.Errorf("%v: %v, %v", k, got, ok)
		}
	}
	if _, ok := KindByName("other"); ok {
		t.Error("a kind of no such name")
	}
}
