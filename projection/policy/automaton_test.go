package policy

import (
	"math/rand"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// onePattern matches a pattern in all ways that there are, and reports an error when
// they differ. resource tells that wildcards stay in the fields of an ARN.
func onePattern(t *testing.T, text, value string, resource bool, ctx *Context) {
	t.Helper()
	syn := syntax{variables: true, wildcards: true, arn: resource, resource: resource}
	p := compilePattern(text, syn)
	if p.shape == shapeNone {
		return
	}
	parts := splitParts(text, syn)
	free := 0
	if resource {
		markFields(parts)
		if p.confined {
			free = resourceField(value)
		}
	}
	values, ok := resolveAll(nil, parts, ctx)
	if !ok {
		return
	}
	plain := p.match(value, ctx)
	if atOnce := matchAtOnce(parts, values, value, free); atOnce != plain {
		t.Fatalf("%q against %q (resource %v): plain %v, at once %v", text, value, resource, plain, atOnce)
	}
	if !strings.Contains(text, "${") && utf8.RuneCountInString(value) <= 12 {
		want := refGlob([]rune(text), []rune(value), "")
		if resource {
			tail := utf8.RuneCountInString(value[:resourceField(value)])
			want = refResourceGlob([]rune(text), []rune(value), 0, tail)
		}
		if plain != want {
			t.Fatalf("%q against %q (resource %v): %v, the reference says %v", text, value, resource, plain, want)
		}
	}
}

func randomOf(r *rand.Rand, pieces []string, most int) string {
	var b strings.Builder
	for range r.Intn(most + 1) {
		b.WriteString(pieces[r.Intn(len(pieces))])
	}
	return b.String()
}

func TestAutomatonAgainstPlain(t *testing.T) {
	r := rand.New(rand.NewSource(4))
	ctx := &Context{}
	ctx.Add([]Entry{Single("k", "a"), Single("ab", "ab€b"), Single("none", "")})
	letters := []string{"a", "a", "b", "€", ":", "é"}
	pieces := append([]string{"*", "*", "?", "**", "*?", "${k}", "${ab}", "${none}", "${*}", "${x, 'ab'}", ":*", "*:"}, letters...)
	for range 300_000 {
		size := 12
		if r.Intn(50) == 0 {
			size = 300 // more than a word
		}
		text, value := randomOf(r, pieces, min(size, 150)), randomOf(r, letters[:2+r.Intn(5)], size)
		if r.Intn(3) == 0 {
			// Of the value itself, so that more match.
			text = value
			for range 1 + r.Intn(4) {
				i := r.Intn(len(text) + 1)
				j := min(i+r.Intn(6), len(text))
				text = strings.ToValidUTF8(text[:i], "") + pieces[r.Intn(6)] + strings.ToValidUTF8(text[j:], "")
			}
		}
		onePattern(t, text, value, r.Intn(2) == 0, ctx)
	}
}

func FuzzAutomaton(f *testing.F) {
	f.Add("*?a?a*", "aaaaaaa", "a", true)
	f.Add("arn:*a*b:c", "arn:x:ac:ab:c:b:c", "", true)
	f.Add("*${k}?€", "éaa€€", "a", false)
	f.Fuzz(func(t *testing.T, text, value, k string, resource bool) {
		if !refInput(text, value, k) {
			t.Skip()
		}
		ctx := &Context{}
		ctx.Add([]Entry{Single("k", k)})
		onePattern(t, text, value, resource, ctx)
	})
}

func TestActionsAtOnce(t *testing.T) {
	r := rand.New(rand.NewSource(5))
	pieces := []string{"a", "b", "a", "é", "*", "?", "*?"}
	for range 100_000 {
		pattern, value := randomOf(r, pieces, 10), randomOf(r, pieces[:4], 12)
		parts := splitParts(pattern, syntax{wildcards: true})
		want := refGlob([]rune(pattern), []rune(value), "")
		if got, atOnce := globFold(pattern, value), matchAtOnce(parts, nil, value, 0); got != want || atOnce != want {
			t.Fatalf("%q against %q: plain %v, at once %v, want %v", pattern, value, got, atOnce, want)
		}
	}
	if long := strings.Repeat("?A", 1000) + "b"; !globFold("*"+strings.Repeat("?a", 1000)+"b", strings.Repeat("a", 20_000)+long) {
		t.Error("a long action does not match")
	}
}

// madeToBeSlow are patterns of thousands of parts and values of 60,000 letters of which
// the plain way compares nearly all parts at nearly every letter.
var madeToBeSlow = []struct {
	name, pattern, value string
	resource             bool
}{
	{"?a", "*" + strings.Repeat("?a", 2000) + "b", strings.Repeat("a", 60_000), false},
	{"?a twice", strings.Repeat("*"+strings.Repeat("?a", 2000)+"b", 2), strings.Repeat("a", 60_000), false},
	{"aa?", "*" + strings.Repeat("aa?", 2000) + "b*", strings.Repeat("a", 60_000), false},
	{"variables", "*" + strings.Repeat("${k}?", 2000) + "b", strings.Repeat("a", 60_000), false},
	{"beyond ASCII", "*" + strings.Repeat("?é", 2000) + "€", strings.Repeat("é", 60_000), false},
	{"stars", strings.Repeat("*a", 2000) + "?b", strings.Repeat("a", 60_000), false},
	{"fields", "arn:*" + strings.Repeat("a*?", 300) + ":*" + strings.Repeat("?a", 1000) + "b:c", "arn:" + strings.Repeat(strings.Repeat("a", 15_000)+":", 4) + "a", true},
	{"colons", "a*:*" + strings.Repeat("?a", 500) + "b:c", strings.Repeat("a:a", 20_000), true},
}

// scan is as much work as looking at every letter once and comparing it.
func scan(value string) (n int) {
	for i, r := range value {
		if r == ':' || i > len(value) {
			n++
		}
	}
	return n
}

// A match costs what the value costs, times the words that the parts fill. The measure
// is the time that a look at each letter takes on the same machine at the same time: a
// match takes some hundred of it, for up to 64 words, and some thousand under the race
// detector; the plain way takes 250,000.
func TestMatchingIsLinear(t *testing.T) {
	const most = 50_000
	ctx := &Context{}
	ctx.Add([]Entry{Single("k", "a")})
	for _, c := range madeToBeSlow {
		p := compilePattern(c.pattern, syntax{variables: true, wildcards: true, arn: c.resource, resource: c.resource})
		match, look := time.Hour, time.Hour // the least of some tries
		for range 20 {
			match = min(match, timeOf(func() { p.match(c.value, ctx) }))
			look = min(look, timeOf(func() { _ = scan(c.value) }))
			if match < most*look {
				break
			}
		}
		t.Logf("%s: %d", c.name, match/look)
		if match >= most*look {
			t.Errorf("%s: a match takes %d times as long as a look at each letter", c.name, match/look)
		}
	}
}

func timeOf(f func()) time.Duration {
	start := time.Now()
	f()
	return max(time.Since(start), 1)
}

// To compile a pattern takes time in proportion to its length, whatever it has of
// beginnings of variables that are none.
func TestCompilingIsLinear(t *testing.T) {
	const most = 10_000 // looks at each letter
	for _, piece := range []string{"${", "${a,", "${a,'", "$", "?*", "*?", "${a}", ":*", "${a,'b'  "} {
		text := strings.Repeat(piece, MaxDocument/len(piece))
		compile, look := time.Hour, time.Hour
		for range 20 {
			compile = min(compile, timeOf(func() {
				compilePattern(text, syntax{variables: true, wildcards: true, arn: true, resource: true})
			}))
			look = min(look, timeOf(func() { _ = scan(text) }))
			if compile < most*look {
				break
			}
		}
		if compile >= most*look {
			t.Errorf("%q: to compile takes %d times as long as a look at each letter", piece, compile/look)
		}
	}
}

func BenchmarkMadeToBeSlow(b *testing.B) {
	ctx := &Context{}
	ctx.Add([]Entry{Single("k", "a")})
	for _, c := range madeToBeSlow {
		p := compilePattern(c.pattern, syntax{variables: true, wildcards: true, arn: c.resource, resource: c.resource})
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				p.match(c.value, ctx)
			}
		})
	}
}
