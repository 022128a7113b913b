package event

import (
	"slices"
	"testing"
)

func TestLives(t *testing.T) {
	a, b, c := Life{"r1", "a"}, Life{"r1", "b"}, Life{"r2", "a"}
	list := func(l Lives) []Life { return slices.Collect(l.All()) }
	var none Lives
	if none.Complete || none.Len() != 0 || none.Has(a) {
		t.Errorf("the zero Lives knows something: %+v", none)
	}
	all := LivesOf(true, []Life{c, a, b, a})
	if !all.Complete || !slices.Equal(list(all), []Life{a, b, c}) || !all.Has(b) || all.Has(Life{"r2", "b"}) {
		t.Errorf("%+v", all)
	}
	fewer := all.Change([]Life{{"r3", "z"}}, []Life{b, {"r9", "x"}})
	if !fewer.Complete || !slices.Equal(list(fewer), []Life{a, c, {"r3", "z"}}) {
		t.Errorf("%+v", fewer)
	}
	if !slices.Equal(list(all), []Life{a, b, c}) {
		t.Errorf("a change altered what it began with: %+v", all)
	}
	if both := none.Change([]Life{a, b}, []Life{a}); both.Complete || !slices.Equal(list(both), []Life{b}) {
		t.Errorf("opened and dropped at once: %+v", both)
	}
	if !all.Change(nil, nil).Has(c) || none.Change(nil, []Life{a}).Len() != 0 {
		t.Error("nothing to change, or nothing to drop")
	}
}
