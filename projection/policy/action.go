package policy

import "strings"

// ActionPattern is one entry of Action or NotAction. All its texts are lower
// case; use AppendFold to compare others with them.
type ActionPattern struct {
	// Text is the whole pattern.
	Text string
	// Service is the service of every action that the pattern can match, or
	// empty when the pattern does not fix it, as in "*".
	Service string
	// Prefix is what follows the colon up to the first wildcard. Empty when
	// Service is.
	Prefix string
	// Exact tells that the pattern has no wildcard; then Prefix is the whole
	// name of the action.
	Exact bool
}

// CompileAction makes the pattern of an entry of Action or NotAction.
func CompileAction(text string) ActionPattern {
	a := ActionPattern{Text: string(AppendFold(nil, text))}
	head, _, wild := cutWildcard(a.Text)
	a.Exact = !wild
	if service, name, ok := strings.Cut(head, ":"); ok {
		a.Service, a.Prefix = service, name
	}
	return a
}

// cutWildcard cuts text before its first wildcard.
func cutWildcard(text string) (head, tail string, found bool) {
	if i := strings.IndexAny(text, "*?"); i >= 0 {
		return text[:i], text[i:], true
	}
	return text, "", false
}

// Match reports whether the pattern covers an action in any letter case.
func (a *ActionPattern) Match(action string) bool {
	if a.Text == "*" {
		return true
	}
	if a.Exact && len(a.Text) != len(action) {
		return false
	}
	return globFold(a.Text, action)
}

// AppendFold appends an action in the letter case of ActionPattern, for use as
// a key of an index.
func AppendFold(dst []byte, action string) []byte {
	for i := range len(action) {
		dst = append(dst, Lower(action[i]))
	}
	return dst
}

// Lower is a byte of an action or a name in lower case, as far as it is a letter of
// ASCII.
func Lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

// globFold matches value against a lower-case pattern with * and ?. The characters
// before the first * have one place each.
func globFold(pattern, value string) bool {
	off := 0
	for i := range len(pattern) {
		switch c := pattern[i]; {
		case c == '*':
			return i+1 == len(pattern) || globFoldFrom(pattern[i:], value[off:])
		case off == len(value):
			return false
		case c == Lower(value[off]):
			off++
		case c == '?':
			off += runeLen(value, off)
		default:
			return false
		}
	}
	return off == len(value)
}

// globFoldFrom is globFold for patterns that begin with a *. Like matchParts it goes
// on with an automaton when that takes many steps.
func globFoldFrom(pattern, value string) bool {
	star, from := 0, 0
	i, off := 0, 0
	left := allowance(len(pattern), len(value))
	for off < len(value) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			i++
			star, from = i, off
			if i == len(pattern) {
				return true
			}
		case i < len(pattern) && pattern[i] == '?':
			i++
			off += runeLen(value, off)
		case i < len(pattern) && pattern[i] == Lower(value[off]):
			i++
			off++
		default:
			if left -= off - from + 1; left < 0 {
				parts, _ := splitParts(pattern, special{wildcards: true})
				matched, _ := matchAtOnce(parts, nil, string(AppendFold(nil, value)), 0)
				return matched
			}
			from += runeLen(value, from)
			i, off = star, from
		}
	}
	for i < len(pattern) && pattern[i] == '*' {
		i++
	}
	return i == len(pattern)
}
