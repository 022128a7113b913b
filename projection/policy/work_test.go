package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// looking is a function that looks up.
type looking func() error

func (l looking) Look() error { return l() }

func TestWork(t *testing.T) {
	var none *Work
	if !none.Spend(1<<40) || none.Err() != nil || none.Spent() != 0 {
		t.Error("no Work sets a bound")
	}
	looks := 0
	w := NewWork(10*lookEvery, looking(func() error { looks++; return nil }))
	for range 10 {
		if !w.Spend(lookEvery) {
			t.Fatalf("it ends at %d", w.Spent())
		}
	}
	if w.Spend(1) || !errors.Is(w.Err(), ErrWork) || w.Spent() != 10*lookEvery || looks != 9 {
		t.Errorf("err %v, spent %d, looks %d", w.Err(), w.Spent(), looks)
	}
	if w.Spend(0) || w.Spend(1) {
		t.Error("it goes on after its end")
	}
	w = NewWork(3, nil)
	if !w.Spend(3) || w.Err() != nil || w.Spend(1) || w.Err() == nil {
		t.Error("a small limit")
	}
	gone := errors.New("gone")
	w = NewWork(1<<40, looking(func() error {
		if looks++; looks > 12 {
			return gone
		}
		return nil
	}))
	n := 0
	for w.Spend(1000) {
		n++
	}
	if !errors.Is(w.Err(), gone) || w.Spent() > 5*lookEvery {
		t.Errorf("it ends after %d with %v", w.Spent(), w.Err())
	}
}

// What is spent bounds what is done: for each kind of pattern and value, and so does
// the end of it.
func TestWorkOfPolicies(t *testing.T) {
	many := func(n int, text string) string { return `["` + strings.Repeat(text+`","`, n-1) + text + `"]` }
	value := strings.Repeat("a", 20_000)
	multi := make([]string, 1000)
	for i := range multi {
		multi[i] = fmt.Sprint("value", i)
	}
	for name, c := range map[string]struct {
		members string
		context []Entry
		least   int64
	}{
		"wildcards":      {`"Action":"s3:Get","Resource":"*","Condition":{"StringLike":{"a:b":"` + strings.Repeat("?a", 1000) + `*b"}}`, []Entry{Single("a:b", value)}, 20_000},
		"many wildcards": {`"Action":"s3:Get","Resource":"*","Condition":{"StringLike":{"a:b":` + many(500, "*x*y") + `}}`, []Entry{Single("a:b", value)}, 500 * 20_000},
		"values":         {`"Action":"s3:Get","Resource":"*","Condition":{"ForAllValues:StringNotEquals":{"a:b":` + many(100, "value") + `}}`, []Entry{Multi("a:b", multi)}, 100_000},
		"fold":           {`"Action":"s3:Get","Resource":"*","Condition":{"StringEqualsIgnoreCase":{"a:b":` + many(100, "aa") + `}}`, []Entry{Single("a:b", value)}, 100 * 20_000},
		"entries":        {`"Action":"s3:Get","Resource":"*","Condition":{"Null":{"a:x":"true"}}`, make([]Entry, 1000), 1000},
		"variables":      {`"Action":"s3:Get","Resource":` + many(100, "arn:aws:s3:::${a:b}/x"), []Entry{Single("a:b", value)}, 100},
		"resources":      {`"Action":"s3:Get","Resource":` + many(1000, "arn:aws:s3:::*x*y"), nil, 1000 * 20},
		"numbers":        {`"Action":"s3:Get","Resource":"*","Condition":{"NumericEquals":{"a:b":` + many(1000, "1") + `}}`, []Entry{Single("a:b", "2")}, 1000},
	} {
		st := statementOf(t, `"Effect":"Allow",`+c.members)
		run := func(limit int64) *Work {
			ctx := &Context{Work: NewWork(limit, nil)}
			ctx.Add(c.context)
			st.MatchResource("arn:aws:s3:::bucket/key", ctx)
			st.MatchConditions(ctx)
			return ctx.Work
		}
		w := run(1 << 40)
		if w.Spent() < c.least || w.Err() != nil {
			t.Errorf("%s: %d units are spent, not %d; %v", name, w.Spent(), c.least, w.Err())
		}
		if w = run(w.Spent() - 1); !errors.Is(w.Err(), ErrWork) {
			t.Errorf("%s: with a unit less there is %v", name, w.Err())
		}
	}
	st := statementOf(t, `"Effect":"Allow","Action":`+many(1000, "s3:*x*y")+`,"Resource":"*"`)
	w := NewWork(1<<30, nil)
	if st.MatchActionWithin("s3:GetObject", w) || w.Spent() < 1000*8 {
		t.Errorf("actions: %d units", w.Spent())
	}
	if st := statementOf(t, `"Effect":"Allow","Action":"*","Resource":"*"`); st.MatchActionWithin("s3:GetObject", NewWork(0, nil)) {
		t.Error("an action matches though the work has ended")
	}
}

// NewWork returns room for work; see Begin.
func NewWork(limit int64, owner Looker) *Work {
	w := new(Work)
	w.Begin(limit, owner)
	return w
}
