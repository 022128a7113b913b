package query

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Form holds the parameters of a request.
type Form struct {
	pairs []pair // by name; no name twice
}

type pair struct{ name, value string }

// Get returns a parameter's value and whether it was given.
func (f *Form) Get(name string) (string, bool) { return f.root().get(name) }

// parse adds the parameters of a query string or a form body.
func (f *Form) parse(text string) error {
	if text == "" {
		return nil
	}
	if f.pairs == nil {
		f.pairs = make([]pair, 0, min(strings.Count(text, "&")+1, 64))
	}
	for text != "" {
		var piece string
		piece, text, _ = strings.Cut(text, "&")
		if piece == "" {
			continue
		}
		if len(f.pairs) == MaxParameters {
			return malformedQuery("Request has more than 10000 parameters")
		}
		name, value, _ := strings.Cut(piece, "=")
		name, nameOK := unescape(name)
		value, valueOK := unescape(value)
		if !nameOK || !valueOK {
			return malformedQuery("Parameter " + quotable(strings.ToValidUTF8(name, "?")) + " is not properly encoded")
		}
		f.pairs = append(f.pairs, pair{name, value})
	}
	return nil
}

// sort makes the form ready for look-ups. A name given twice has no certain
// meaning and is refused.
func (f *Form) sort() error {
	slices.SortFunc(f.pairs, func(x, y pair) int { return strings.Compare(x.name, y.name) })
	for i := 1; i < len(f.pairs); i++ {
		if name := f.pairs[i].name; name == f.pairs[i-1].name {
			return malformedQuery("Parameter " + quotable(name) + " was given more than once")
		}
	}
	return nil
}

// unescape decodes a name or value. It is strict: a lone "%", and bytes that are
// not UTF-8, are errors; the text comes back then all the same.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, utf8.ValidString(s)
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			b = append(b, ' ')
		case '%':
			if i+2 >= len(s) {
				return s, false
			}
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if high > 15 || low > 15 {
				return s, false
			}
			b = append(b, high<<4|low)
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b), utf8.Valid(b)
}

// unhex returns the value of a hexadecimal digit, 16 for another byte.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// level is a part of a form: the pairs below one name. All their names begin with
// the same prefix bytes, which end in a dot.
type level struct {
	pairs  []pair
	prefix int
}

func (f *Form) root() level { return level{pairs: f.pairs} }

// get returns the value that a name has by itself at this level.
func (l level) get(name string) (string, bool) {
	for i := range l.pairs {
		if l.pairs[i].name[l.prefix:] == name {
			return l.pairs[i].value, true
		}
	}
	return "", false
}

// sub returns what is below a name: the pairs of name.x.
func (l level) sub(name string) level {
	below := func(p pair) bool {
		rest := p.name[l.prefix:]
		return len(rest) > len(name) && rest[len(name)] == '.' && rest[:len(name)] == name
	}
	from := slices.IndexFunc(l.pairs, below)
	if from < 0 {
		return level{}
	}
	to := from + 1
	for to < len(l.pairs) && below(l.pairs[to]) { // names that share a prefix stand together
		to++
	}
	return level{l.pairs[from:to], l.prefix + len(name) + 1}
}

// next returns the first name at this level, without what is below it.
func (l level) next() string {
	name, _, _ := strings.Cut(l.pairs[0].name[l.prefix:], ".")
	return name
}
