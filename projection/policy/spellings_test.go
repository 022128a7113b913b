package policy

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/projection/policy/syntax"
)

// A request may have a tag in several spellings. Whatever the order, an Allow's
// condition holds only if it does for each of the values and a Deny's if for any.
func TestSpellings(t *testing.T) {
	const env = "aws:RequestTag/env"
	for _, tt := range []struct {
		condition   string
		allow, deny bool // whether it holds for dev and prod, both as values of env
	}{
		{`"StringEquals":{"aws:RequestTag/env":"dev"}`, false, true},
		{`"StringEquals":{"aws:RequestTag/ENV":["dev","prod"]}`, true, true},
		{`"StringEquals":{"aws:RequestTag/env":"test"}`, false, false},
		{`"StringNotEquals":{"aws:RequestTag/env":"prod"}`, false, true},
		{`"StringNotEquals":{"aws:RequestTag/env":"test"}`, true, true},
		{`"StringNotEquals":{"aws:RequestTag/env":["dev","prod"]}`, false, false},
		{`"StringLike":{"aws:RequestTag/env":"d*"}`, false, true},
		{`"StringEqualsIgnoreCase":{"aws:RequestTag/env":"DEV"}`, false, true},
		{`"StringEqualsIfExists":{"aws:RequestTag/env":"dev"}`, false, true},
		{`"StringNotEqualsIfExists":{"aws:RequestTag/env":"prod"}`, false, true},
		{`"ForAllValues:StringEquals":{"aws:RequestTag/env":"dev"}`, false, true},
		{`"ForAnyValue:StringEquals":{"aws:RequestTag/env":"dev"}`, false, true},
		{`"Null":{"aws:RequestTag/env":"true"}`, false, false},
		{`"Null":{"aws:RequestTag/env":"false"}`, true, true},
		{`"StringEquals":{"aws:PrincipalTag/env":"${aws:RequestTag/env}"}`, false, true},
		{`"StringNotEquals":{"aws:PrincipalTag/env":"${aws:RequestTag/env}"}`, false, true},
		{`"StringEquals":{"aws:RequestTag/env":"${aws:RequestTag/ENV}"}`, true, true},
		{`"StringEquals":{"aws:PrincipalTag/env":"${aws:RequestTag/env, 'dev'}"}`, false, true},
		{`"ForAnyValue:StringEquals":{"aws:TagKeys":"env"}`, true, true}, // a value: its letters count
		{`"ForAllValues:StringEquals":{"aws:TagKeys":"env"}`, false, false},
	} {
		for _, entries := range [][]Entry{
			{Single(NewKey("aws:RequestTag/Env"), "prod"), Single(NewKey(env), "dev")},
			{Single(NewKey(env), "dev"), Single(NewKey("aws:RequestTag/Env"), "prod")},
			{Single(NewKey(env), "dev"), Single(NewKey(env), "prod")},
			{Single(NewKey(env), "prod"), Single(NewKey("aws:requesttag/other"), "x"), Single(NewKey("AWS:REQUESTTAG/ENV"), "dev")},
		} {
			var ctx Context
			ctx.Add([]Entry{Single(NewKey("aws:PrincipalTag/env"), "dev"), Multi("aws:tagkeys", []string{"env", "Env"})})
			ctx.Add(entries)
			for effect, want := range map[string]bool{"Allow": tt.allow, "Deny": tt.deny} {
				s := statementOf(t, fmt.Sprintf(`"Effect":%q,"Action":"*","Resource":"*","Condition":{%s}`, effect, tt.condition))
				for range 2 { // a second time: nothing of a reading stays
					if got := s.MatchConditions(&ctx); got != want {
						t.Errorf("%s %s with %+v: %v, want %v", effect, tt.condition, entries, got, want)
					}
				}
			}
		}
	}
}

func TestSpellingsInResources(t *testing.T) {
	const carol, dave = "arn:aws:s3:::b/carol/x", "arn:aws:s3:::b/dave/x"
	var ctx Context
	ctx.Add([]Entry{Single("aws:requesttag/owner", "carol"), Single("aws:requesttag/owner", "dave")})
	for _, tt := range []struct {
		element, resource string
		allow, deny       bool
	}{
		{`"Resource":"arn:aws:s3:::b/${aws:RequestTag/owner}/*"`, carol, false, true},
		{`"Resource":"arn:aws:s3:::b/${aws:RequestTag/owner}/*"`, dave, false, true},
		{`"Resource":"arn:aws:s3:::b/${aws:RequestTag/owner}/*"`, "arn:aws:s3:::b/erin/x", false, false},
		{`"Resource":["arn:aws:s3:::b/carol/*","arn:aws:s3:::b/${aws:RequestTag/owner}/*"]`, carol, true, true},
		{`"NotResource":"arn:aws:s3:::b/${aws:RequestTag/owner}/*"`, carol, false, true},
		{`"NotResource":"arn:aws:s3:::b/${aws:RequestTag/owner}/*"`, "arn:aws:s3:::b/erin/x", true, true},
	} {
		for effect, want := range map[string]bool{"Allow": tt.allow, "Deny": tt.deny} {
			s := statementOf(t, fmt.Sprintf(`"Effect":%q,"Action":"*",%s`, effect, tt.element))
			if got := s.MatchResource(tt.resource, &ctx); got != want {
				t.Errorf("%s %s on %s: %v, want %v", effect, tt.element, tt.resource, got, want)
			}
		}
	}
}

// A spelling for each of the letters that some comparison takes for equal.
func TestSpellingsBeyondASCII(t *testing.T) {
	for _, pair := range [][2]string{
		{"key", "\u212Aey"}, {"risk", "ri\u017Fk"}, {"id", "\u0130d"}, {"id", "\u0131d"}, {"Ämter", "ämter"}, {"σας", "ΣΑΣ"},
	} {
		for _, guarded := range pair {
			for _, order := range [][2]string{{"low", "high"}, {"high", "low"}} {
				var ctx Context
				ctx.Add([]Entry{
					Single(NewKey("aws:RequestTag/"+pair[0]), order[0]), Single(NewKey("aws:RequestTag/"+pair[1]), order[1]),
				})
				condition := fmt.Sprintf(`"Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/%s":"low"}}`, guarded)
				if statementOf(t, `"Effect":"Allow",`+condition).MatchConditions(&ctx) {
					t.Errorf("an Allow on %q is passed by %q", guarded, pair)
				}
				if !statementOf(t, `"Effect":"Deny",`+condition).MatchConditions(&ctx) {
					t.Errorf("a Deny on %q is passed by %q", guarded, pair)
				}
			}
		}
	}
}

// randomSpellings are the entries of a key: mostly several.
func randomSpellings(r *rand.Rand, key Key) (list []Entry) {
	for range r.Intn(4) {
		if r.Intn(4) == 0 {
			var values []string
			for range r.Intn(3) {
				values = append(values, randomWord(r))
			}
			list = append(list, Multi(key, values))
		} else {
			list = append(list, Single(key, randomWord(r)))
		}
	}
	return list
}

// What holds of several spellings is what holds of each by itself, for all or for any
// of the choices among them.
func TestSpellingsAreReadings(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	names := operatorNames()
	const key, user = Key("aws:requesttag/val"), Key("aws:username")
	for range 50_000 {
		effect := syntax.Allow + syntax.Effect(r.Intn(2))
		listed := []syntax.Text{{Value: randomWord(r)}, {Value: randomWord(r)}, {Value: "${aws:username}"}}[r.Intn(2):]
		c := compileCondition(&syntax.ConditionBlock{Operator: syntax.Text{Value: refPrefixes[r.Intn(3)] + names[r.Intn(len(names))] + refSuffixes[r.Intn(2)]}},
			&syntax.ConditionKey{Key: syntax.Text{Value: string(key)}, Values: syntax.List{Items: listed}}, effect, true)
		s := Statement{Effect: effect, hasResource: true, NotResource: r.Intn(3) == 0}
		resource := "arn:aws:s3:::" + randomWord(r)
		s.resources = appendResource(appendResource(nil, "arn:aws:s3:::"+randomWord(r), true), "arn:aws:s3:::${aws:requesttag/val}${aws:username}", true)
		values, users := randomSpellings(r, key), randomSpellings(r, user)

		var several Context
		several.Add(slices.Concat(users, values))
		condition, covered := effect == syntax.Allow, effect == syntax.Allow // of all; of any the other way
		for _, v := range choices(values) {
			for _, u := range choices(users) {
				var one Context
				one.Add(slices.Concat(v, u))
				if c.Match(&one) != condition {
					condition = effect == syntax.Deny
				}
				if s.MatchResource(resource, &one) != covered {
					covered = effect == syntax.Deny
				}
			}
		}
		if got := c.Match(&several); got != condition {
			t.Fatalf("%v %s %+v with %+v %+v: %v, want %v", effect, c.Operator, listed, values, users, got, condition)
		}
		if got := s.MatchResource(resource, &several); got != covered {
			t.Fatalf("%v %+v on %s with %+v %+v: %v, want %v", effect, s.resources, resource, values, users, got, covered)
		}
	}
}

// choices are the sets of at most one entry of a list.
func choices(list []Entry) [][]Entry {
	if len(list) == 0 {
		return [][]Entry{nil}
	}
	var all [][]Entry
	for _, e := range list {
		all = append(all, []Entry{e})
	}
	return all
}

// More readings than one may try are the worst of them: nothing is allowed by what was
// not looked at.
func TestSpellingsAreBounded(t *testing.T) {
	var entries []Entry
	value := ""
	for i := range 40 {
		key := NewKey(fmt.Sprintf("aws:RequestTag/%d", i))
		entries = append(entries, Single(key, "x"), Single(key, "x"))
		value += fmt.Sprintf("${%s}", key)
	}
	entries = append(entries, Single("aws:username", strings.Repeat("x", 40)))
	var ctx Context
	ctx.Add(entries)
	for _, operator := range []string{"StringEquals", "StringNotEquals", "StringLike"} {
		for effect, want := range map[syntax.Effect]bool{syntax.Allow: false, syntax.Deny: true} {
			c := compileCondition(&syntax.ConditionBlock{Operator: syntax.Text{Value: operator}},
				&syntax.ConditionKey{Key: syntax.Text{Value: "aws:username"}, Values: syntax.List{Items: []syntax.Text{{Value: value}}}}, effect, true)
			if got := c.Match(&ctx); got != want {
				t.Errorf("%v %s: %v, want %v", effect, operator, got, want)
			}
		}
	}
	if maxReadings != 64 {
		t.Error("the limit is another; so is this test")
	}
}
