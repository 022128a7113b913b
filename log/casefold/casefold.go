// Package casefold is the one place that compares keys without regard to letter
// case: the keys of tags and the condition keys of policies, of which those of tags
// are a part. A key that is found in one spelling and guarded in another is a gate
// that opens to whoever spells, so nothing else compares them (test/tidy).
//
// Two keys are equal when their characters are, one by one, after each was turned to
// upper and then to lower case by Unicode's simple mappings. That takes for equal all
// that any of the usual comparisons does (lower case, upper case, simple case
// folding, Java's equalsIgnoreCase): the Kelvin sign and k, the long s and s, I with
// and without its dot. A key that is equal to too many is found once too often, which
// an Allow and a Deny both bear; one that is equal to too few is not found.
//
// It compares spellings and not meanings: what takes several characters in the other
// case (ß and SS) differs, and so does é in one character from é in two.
//
// The package is pure.
package casefold

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Key returns a key in the letter case in which equal keys are the same text: ASCII
// letters in lower case. It allocates only when that is another text.
func Key(text string) string {
	upper := false
	for i := range len(text) {
		c := text[i]
		if c >= utf8.RuneSelf {
			return strings.Map(fold, text)
		}
		upper = upper || 'A' <= c && c <= 'Z'
	}
	if upper {
		return strings.ToLower(text) // of ASCII, and faster
	}
	return text
}

// Equal tells that two keys are equal, without an allocation.
func Equal(a, b string) bool {
	for a != "" && b != "" {
		x, n := utf8.DecodeRuneInString(a)
		y, m := utf8.DecodeRuneInString(b)
		if x != y && fold(x) != fold(y) {
			return false
		}
		a, b = a[n:], b[m:]
	}
	return a == b
}

func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	return unicode.ToLower(unicode.ToUpper(r))
}
