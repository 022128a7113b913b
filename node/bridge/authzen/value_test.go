package authzen

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/fault"
)

// TestLimits holds bodies against their limits.
func TestLimits(t *testing.T) {
	t.Parallel()
	deep := func(n int) string {
		return `{"a":` + strings.Repeat("[", n) + "1" + strings.Repeat("]", n) + "}"
	}
	wide := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(`,"m` + strconv.Itoa(i) + `":1`)
		}
		return "{" + b.String()[1:] + "}"
	}
	long := func(n int) string { return `{"a":[1` + strings.Repeat(",1", n-3) + "]}" }
	for _, c := range []struct {
		name, text string
		want       string // empty: it is taken
	}{
		{"deep", deep(maxDepth - 2), ""},
		{"too deep", deep(maxDepth - 1), "deep in each other"},
		{"wide", wide(maxMembers), ""},
		{"too wide", wide(maxMembers + 1), "more than 256 members"},
		{"long", long(maxValues), ""},
		{"too long", long(maxValues + 1), "more than 100000 values"},
		{"a number", `{"a":` + strings.Repeat("9", maxNumber) + "}", ""},
		{"too long a number", `{"a":` + strings.Repeat("9", maxNumber+1) + "}", "more than 400 digits"},
		{"too great a number", `{"a":1e999}`, "out of range"},
		{"a name twice", `{"a":1,"\u0061":2}`, "given twice"},
		{"names in two letter cases", `{"a":1,"A":2}`, ""},
		{"no UTF-8", "{\"a\":\"\xff\"}", "not UTF-8"},
		{"half a surrogate", `{"a":"\udc00"}`, "a character that is none"},
		{"half a surrogate in a name", `{"\udc00":1}`, "a character that is none"},
		{"two values", `{} {}`, "goes on after its end"},
		{"no object", `"a"`, "not an object"},
		{"nothing", " ", "ends too soon"},
		{"no end", `{"a":[1`, "no"},
	} {
		_, err := parse([]byte(c.text))
		var f *fault.Fault
		if (err == nil) != (c.want == "") || err != nil && (!errors.As(err, &f) || f.Code() != fault.InvalidRequest || !strings.Contains(f.Detail(), c.want)) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
}

// TestProperties says which condition keys properties are.
func TestProperties(t *testing.T) {
	t.Parallel()
	m := &mapping{service: defaultService}
	of := func(text string) (e entries, err error) {
		v, err := parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return e, m.properties(&e, inContext, keys{"ip": "aws:sourceip"}, &v)
	}
	e, err := of(`{"ip":"10.0.0.1","N":-1.50,"exp":25E-1,"yes":true,"no":null,"in":{"side":"x"},"list":["a",1,false],"mixed":["a",{"c":1,"b":[null]}],"empty":{},"none":[]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := `aws:sourceip=10.0.0.1 authzen:context/n=-1.50 authzen:context/exp=2.5 authzen:context/yes=true authzen:context/in.side=x ` +
		`authzen:context/list=[a 1 false] authzen:context/mixed=["a",{"b":[null],"c":1}] authzen:context/empty={} authzen:context/none=[]`
	var got []string
	for _, k := range e.list {
		if k.Multivalued {
			got = append(got, string(k.Key)+"=["+strings.Join(k.Values, " ")+"]")
		} else {
			got = append(got, string(k.Key)+"="+k.Value)
		}
	}
	if s := strings.Join(got, " "); s != want {
		t.Errorf("%s\nnot\n%s", s, want)
	}
	half := make([]string, maxKeys/2+1)
	for i := range half {
		half[i] = `"p` + strconv.Itoa(i) + `":1`
	}
	part := "{" + strings.Join(half, ",") + "}"
	for name, text := range map[string]string{
		"one key twice":   `{"a":1,"A":2}`,
		"a dot":           `{"a.b":1,"a":{"b":2}}`,
		"a long name":     `{"` + strings.Repeat("x", 257) + `":1}`,
		"a control":       `{"\u0001":1}`,
		"a space":         `{"a ":1}`,
		"too many keys":   `{"a":` + part + `,"b":` + part + `}`,
		"too many values": `{"a":[1` + strings.Repeat(",1", maxKeyValues) + `]}`,
	} {
		if _, err := of(text); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// FuzzRequest reads bodies in every way: what is taken is written as what is read as the same, and a
// question has each condition key once.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		`{"subject":{"type":"user","id":"a","properties":{"p":[1,"x",{}]}},"action":{"name":"r"},"resource":{"type":"t","id":"i"},"context":{"a":{"b":1e3}}}`,
		`{"evaluations":[{},1,null,{"subject":{"id":""}}],"options":{"evaluations_semantic":"deny_on_first_deny"},"resource":{"type":"t"}}`,
		`{"subject":{"type":"user"},"page":{"limit":1,"token":"AXM"}}`, `{"a":"\ud800"}`, `[`, ``,
	} {
		f.Add([]byte(s))
	}
	m := &mapping{service: defaultService}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := parse(body)
		if err != nil {
			return
		}
		text := v.append(nil)
		again, err := parse(text)
		if err != nil || !bytes.Equal(again.append(nil), text) {
			t.Fatalf("%s is %s: %v", text, again.append(nil), err)
		}
		if b, err := batchOf(&v); err == nil {
			for i := range b.items {
				if x, err := b.item(i); err == nil && x.complete() != nil {
					t.Fatalf("an item of %s is not complete", text)
				}
			}
		}
		if p, err := pageOf(&v, ofSubjects); err == nil && (p.limit < 0 || p.limit > maxResults) {
			t.Fatalf("the limit of %s is %d", text, p.limit)
		}
		x, err := tupleOf(&v, &tuple{})
		if err != nil {
			return
		}
		e := entries{}
		if m.properties(&e, inSubject, nil, &x.subject.properties) != nil || m.properties(&e, inContext, nil, &x.context) != nil {
			return
		}
		for i := range e.list {
			before := entries{e.list[:i]}
			if before.has(e.list[i].Key) || len(e.list) > maxKeys {
				t.Fatalf("%s: %v", text, e.list)
			}
		}
	})
}

// FuzzMapping reads mappings: what is taken maps two ids to two ARNs.
func FuzzMapping(f *testing.F) {
	for _, s := range []string{
		"subjects:\n- {type: user, principal: \"arn:{partition}:iam::{account}:user/{id}\", properties: {role: \"x:role\"}}\nservice: x\naccount: \"123456789012\"\n",
		"resources:\n- type: a\n  arn: \"arn:aws:x:::a/{id}\"\n  list: [{id: r, properties: {a: [b, c], d: 1}}]\nactions:\n- {name: r, action: \"x:R\", on: a}\ncontext: {a: b}\nurl: https://h/p\n",
		"resources:\n- {type: a, arn: \"{id}\"}\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("file")) {
			return // it would be read
		}
		m, err := parseMapping("mapping.yaml", text)
		if err != nil {
			if !errors.Is(err, bridge.ErrConfig) {
				t.Fatalf("%v wraps no bridge.ErrConfig", err)
			}
			return
		}
		seen := map[string]bool{}
		for _, kinds := range [...][]kindOf{m.subjects, m.resources} {
			for i := range kinds {
				for _, id := range [...]string{"a", "b"} {
					arn := kinds[i].arn.in("aws", "123456789012").of(id)
					if seen[arn] {
						t.Fatalf("two ids are %s", arn)
					}
					seen[arn] = true
				}
			}
			clear(seen)
		}
	})
}

// FuzzToken reads tokens: what is taken is written as it was, and nothing in it is beyond limits.
func FuzzToken(f *testing.F) {
	p := page{kind: ofSubjects, limit: 7, after: "alice"}
	f.Add(p.token())
	f.Add("AXM")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := parseToken(token)
		if err != nil {
			return
		}
		if p.limit < 0 || p.limit > maxResults {
			t.Fatalf("the limit is %d", p.limit)
		}
		if again, err := parseToken(p.token()); err != nil || again != p {
			t.Fatalf("%+v is %+v, %v", p, again, err)
		}
	})
}
