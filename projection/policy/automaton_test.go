package policy

import (
	"math/rand"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/writ-iam/writ/projection/policy/syntax"
)

// onePattern matches a pattern in all ways that there are, and reports an error when
// they differ. resource tells that wildcards stay in the fields of an ARN.
func onePattern(t *testing.T, text, value string, resource bool, ctx *Context) {
	t.Helper()
	syn := special{variables: true, wildcards: true, arn: resource, resource: resource}
	p := compilePattern(text, syn)
	if p.shape == shapeNone {
		return
	}
	parts, _ := splitParts(text, syn)
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
	if atOnce, _ := matchAtOnce(parts, values, value, free); atOnce != plain {
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
		parts, _ := splitParts(pattern, special{wildcards: true})
		want := refGlob([]rune(pattern), []rune(value), "")
		atOnce, _ := matchAtOnce(parts, nil, value, 0)
		if got := globFold(pattern, value); got != want || atOnce != want {
			t.Fatalf("%q against %q: plain %v, at once %v, want %v", pattern, value, got, atOnce, want)
		}
	}
	if long := strings.Repeat("?A", 1000) + "b"; !globFold("*"+strings.Repeat("?a", 1000)+"b", strings.Repeat("a", 20_000)+long) {
		t.Error("a long action does not match")
	}
}

// madeToBeSlow are patterns of so many pieces and values of so many letters of which the
// plain way compares nearly all parts at nearly every letter, and what k stands for.
var madeToBeSlow = []struct {
	name           string
	pattern, value func(n int) string
	k              string
	resource       bool
}{
	{"?a", func(n int) string { return "*" + strings.Repeat("?a", n) + "b" }, letters("a"), "", false},
	{"?a twice", func(n int) string { return strings.Repeat("*"+strings.Repeat("?a", n/2)+"b", 2) }, letters("a"), "", false},
	{"aa?", func(n int) string { return "*" + strings.Repeat("aa?", n) + "b*" }, letters("a"), "", false},
	{"variables", func(n int) string { return "*" + strings.Repeat("${k}?", n) + "b" }, letters("a"), "a", false},
	{"long variables", func(n int) string { return "*" + strings.Repeat("${k}?", n) + "b" }, letters("a"), strings.Repeat("a", 5000), false},
	{"nothing", func(n int) string { return "*" + strings.Repeat("${k}", n) + "b?" }, letters("a"), "", false},
	{"nothing, then much", func(n int) string {
		return "*" + strings.Repeat("${none}", n/2) + "b?" + strings.Repeat("${k}", n/2)
	}, letters("a"), strings.Repeat("a", 100_000), false},
	{"beyond ASCII", func(n int) string { return "*" + strings.Repeat("?é", n) + "€" }, letters("é"), "", false},
	{"many characters", func(n int) string { return "*" + strings.Repeat("?aq", n) + "b" }, letters("aq"), "", false},
	{"stars", func(n int) string { return strings.Repeat("*a", n) + "?b" }, letters("a"), "", false},
	{"stars and ?", func(n int) string { return strings.Repeat("*?a", n) + "b" }, letters("a"), "", false},
	{"fields", func(n int) string { return "arn:*" + strings.Repeat("a*?", n) + ":*" + strings.Repeat("?a", n) + "b:c" },
		func(n int) string { return "arn:" + strings.Repeat(strings.Repeat("a", n/4)+":", 4) + "a" }, "", true},
	{"colons", func(n int) string { return "a*:*" + strings.Repeat("?a", n) + "b:c" }, letters("a:a"), "", true},
}

// letters makes values of n letters.
func letters(piece string) func(n int) string {
	return func(n int) string { return strings.Repeat(piece, n/len(piece)) }
}

// Steps of a match: a few for each byte and part, and one or two for each byte and 64
// symbols of the pattern. What is charged is at least half of that.
const (
	stepsPerByte = 2 * effort
	stepsPerWord = 2
	undercharged = 2
)

// stepsOf matches, and returns how many steps it took and how many units were charged.
func stepsOf(p *pattern, value string, entries ...Entry) (taken, charged int) {
	ctx := &Context{}
	ctx.Add(entries)
	_, taken = p.matchGeneral(value, ctx)
	ctx.Work = NewWork(1<<40, nil)
	p.match(value, ctx)
	return taken, int(ctx.Work.Spent())
}

// A match costs what the value costs, times the words that the parts fill, and its
// Work pays for that. The plain way alone would take up to the value times the parts.
func TestMatchingIsLinear(t *testing.T) {
	most, under := 0.0, 0.0
	for _, c := range madeToBeSlow {
		for _, pieces := range []int{10, 100, 1000, 2000} {
			p := compilePattern(c.pattern(pieces), special{variables: true, wildcards: true, arn: c.resource, resource: c.resource})
			if p.shape != shapeGeneral {
				t.Fatalf("%s: the shape is %d", c.name, p.shape)
			}
			for _, n := range []int{20, 1000, 20_000} {
				value := c.value(n)
				taken, charged := stepsOf(&p, value, Single("k", c.k), Single("none", ""))
				// No state is beyond as many symbols as the value has.
				words := min(p.symbols+p.variables*len(c.k), len(value))/64 + 1
				limit := stepsPerByte*(len(value)+len(p.parts)+16) + stepsPerWord*words*len(value)
				if most = max(most, float64(taken)/float64(limit)); taken > limit {
					t.Errorf("%s: %d pieces against %d bytes take %d steps, more than %d", c.name, pieces, len(value), taken, limit)
				}
				if under = max(under, float64(taken)/float64(charged)); taken > undercharged*charged {
					t.Errorf("%s: %d pieces against %d bytes take %d steps, and %d are charged", c.name, pieces, len(value), taken, charged)
				}
			}
		}
	}
	t.Logf("at most %.2f of the steps that the design allows, and %.2f of what is charged", most, under)
}

// Whatever the pattern is, its Work pays for its steps.
func TestMatchingIsCharged(t *testing.T) {
	r := rand.New(rand.NewSource(6))
	pieces := []string{"*", "*", "?", "*?", "${k}", "${ab}", "${none}", ":*", "*:", "a", "a", "b", "€", ":"}
	most := 0.0
	for range 30_000 {
		size := 1 << (2 + r.Intn(8))
		text, value := randomOf(r, pieces[r.Intn(7):], size), randomOf(r, []string{"a", "a", "b", ":", "€"}[:1+r.Intn(5)], 4*size)
		arn := r.Intn(2) == 0
		p := compilePattern(text, special{variables: true, wildcards: true, arn: arn, resource: arn})
		if p.shape != shapeGeneral {
			continue
		}
		k := strings.Repeat("a", r.Intn(2)*r.Intn(size))
		taken, charged := stepsOf(&p, value, Single("k", k), Single("ab", "ab"), Single("none", ""))
		if most = max(most, float64(taken)/float64(charged)); taken > undercharged*charged {
			t.Fatalf("%q against %q takes %d steps, and %d are charged", text, value, taken, charged)
		}
	}
	t.Logf("at most %.2f of what is charged", most)
}

// To compile a pattern takes steps in proportion to its length, whatever it has of
// beginnings of variables that are none.
func TestCompilingIsLinear(t *testing.T) {
	const stepsPerByte = 3
	for _, piece := range []string{
		"${", "${a,", "${a,'", "${a,'b", "$", "?*", "*?", "${a}", ":*", "${a,'b'  ", "${a,'b' }", "${a,  ", "${*}", "${a ", "${a,''", "é",
	} {
		for _, tail := range []string{"", "'", "}", "' }"} {
			text := strings.Repeat(piece, (syntax.MaxDocument-len(tail))/len(piece)) + tail
			if _, steps := splitParts(text, special{variables: true, wildcards: true}); steps > stepsPerByte*len(text) {
				t.Errorf("%q and %q: %d bytes are split in %d steps", piece, tail, len(text), steps)
			}
		}
	}
}

func BenchmarkMadeToBeSlow(b *testing.B) {
	for _, c := range madeToBeSlow {
		ctx := &Context{}
		ctx.Add([]Entry{Single("k", c.k), Single("none", "")})
		p := compilePattern(c.pattern(2000), special{variables: true, wildcards: true, arn: c.resource, resource: c.resource})
		value := c.value(60_000)
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				p.match(value, ctx)
			}
		})
	}
}
