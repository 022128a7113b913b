package casefold

import (
	"strings"
	"testing"
	"unicode"
)

func TestKey(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "",
		"aws:RequestTag/Env": "aws:requesttag/env",
		"plain":              "plain",
		"ÄRGER":              "ärger",
		"\u212Aey":           "key",  // Kelvin sign
		"ri\u017Fk":          "risk", // long s
		"\u0130D":            "id",   // I with a dot
		"\u0131d":            "id",   // i without one
		"ΣΑΣ":                "σασ",
		"σας":                "σασ", // final sigma
		"stra\u1E9Ee":        "straße",
		"e\u0301":            "e\u0301", // another spelling of é
		"\xff":               "\uFFFD",
	} {
		if got := Key(text); got != want {
			t.Errorf("Key(%q) = %q, want %q", text, got, want)
		}
	}
}

// No comparison that others use finds two characters equal that this one does not,
// and the form of a form is itself.
func TestCoarsest(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		for _, other := range []rune{unicode.ToLower(r), unicode.ToUpper(r), unicode.ToTitle(r), unicode.SimpleFold(r), fold(r)} {
			if fold(other) != fold(r) {
				t.Errorf("%U and %U fold to %U and %U", r, other, fold(r), fold(other))
			}
		}
	}
}

func TestEqual(t *testing.T) {
	words := []string{"", "k", "K", "\u212A", "kk", "s", "\u017F", "i", "\u0130", "\u0131", "I", "ß", "ss", "\xff", "\xfe", "\uFFFD", "é", "É", "e\u0301", "aws:TagKeys", "AWS:tagkeys"}
	for _, a := range words {
		for _, b := range words {
			if got, want := Equal(a, b), Key(a) == Key(b); got != want {
				t.Errorf("Equal(%q, %q) = %v, want %v", a, b, got, want)
			}
			if strings.EqualFold(a, b) && !Equal(a, b) {
				t.Errorf("%q and %q differ", a, b)
			}
		}
	}
	if n := testing.AllocsPerRun(10, func() { Equal("aws:RequestTag/Ä", "aws:requesttag/ä"); _ = Key("aws:requesttag/env") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzEqual(f *testing.F) {
	f.Add("k", "\u212A")
	f.Fuzz(func(t *testing.T, a, b string) {
		if Equal(a, b) != (Key(a) == Key(b)) || Key(Key(a)) != Key(a) {
			t.Errorf("%q, %q", a, b)
		}
	})
}
