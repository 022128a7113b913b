package kubernetes

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// pattern is a text with variables, as ${name}, that is read in both directions: by what stands
// between colons and slashes, in each of which there is at most one variable.
type pattern []part

// part is what stands before a colon, a slash or the end: a text, or a variable with what is around
// it.
type part struct {
	prefix, variable, suffix string // without a variable all is prefix
	end                      byte   // ':', '/' or 0
}

// maxText bounds a pattern, and what is matched with one, in bytes.
const maxText = 2048

// value is how the values of variables are spelled: as the names of users, roles and sessions are.
// There is neither a colon nor a slash in them.
var value = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)

// variableName is how variables are called.
var variableName = regexp.MustCompile(`^[a-z]{1,32}$`)

func parsePattern(text string) (p pattern, err error) {
	if text == "" || len(text) > maxText {
		return nil, fmt.Errorf("it is empty, or longer than %d bytes", maxText)
	}
	for rest := text; ; {
		var one part
		end := strings.IndexAny(rest, ":/")
		if begin := strings.Index(rest, "${"); begin >= 0 && (end < 0 || begin < end) {
			closed := strings.IndexByte(rest, '}')
			if closed < begin || !variableName.MatchString(rest[begin+2:closed]) {
				return nil, errors.New("a variable is not of the form ${name}, in small letters")
			}
			one.prefix, one.variable, rest = rest[:begin], rest[begin+2:closed], rest[closed+1:]
			if end = strings.IndexAny(rest, ":/"); end < 0 {
				end = len(rest)
			}
			one.suffix = rest[:end]
		} else {
			if end < 0 {
				end = len(rest)
			}
			one.prefix = rest[:end]
		}
		rest = rest[end:]
		if strings.ContainsAny(one.prefix+one.suffix, "${}*?") {
			return nil, errors.New("between two colons or slashes there is at most one variable, and none of ${}*?")
		}
		if rest != "" {
			one.end, rest = rest[0], rest[1:]
		}
		p = append(p, one)
		if one.end == 0 {
			return p, p.distinct()
		}
	}
}

// distinct refuses a variable that is there twice.
func (p pattern) distinct() error {
	seen := map[string]bool{}
	for _, name := range p.variables() {
		if seen[name] {
			return fmt.Errorf("the variable ${%s} is there twice", name)
		}
		seen[name] = true
	}
	return nil
}

func (p pattern) variables() (names []string) {
	for _, one := range p {
		if one.variable != "" {
			names = append(names, one.variable)
		}
	}
	return names
}

// match finds the values of the variables with which the pattern is a text.
func (p pattern) match(text string) (map[string]string, bool) {
	if len(text) > maxText {
		return nil, false
	}
	values := map[string]string{}
	for _, one := range p {
		this := text
		if i := strings.IndexAny(text, ":/"); i >= 0 {
			if this, text = text[:i], text[i:]; one.end != text[0] {
				return nil, false
			}
			text = text[1:]
		} else if one.end != 0 {
			return nil, false
		}
		if one.variable == "" {
			if this != one.prefix {
				return nil, false
			}
			continue
		}
		rest, begins := strings.CutPrefix(this, one.prefix)
		v, ends := strings.CutSuffix(rest, one.suffix)
		if !begins || !ends || !value.MatchString(v) {
			return nil, false
		}
		values[one.variable] = v
	}
	return values, true
}

// expand is the text for values that match found.
func (p pattern) expand(values map[string]string) string {
	var b strings.Builder
	for _, one := range p {
		b.WriteString(one.prefix + values[one.variable] + one.suffix)
		if one.end != 0 {
			b.WriteByte(one.end)
		}
	}
	return b.String()
}

// sample is the pattern with a harmless value for each variable.
func (p pattern) sample() string {
	values := map[string]string{}
	for _, name := range p.variables() {
		values[name] = "xx"
	}
	return p.expand(values)
}

// overlaps tells whether there may be a text that both patterns match.
func (p pattern) overlaps(o pattern) bool {
	if len(p) != len(o) {
		return false
	}
	for i := range p {
		if p[i].end != o[i].end || !p[i].meets(&o[i]) {
			return false
		}
	}
	return true
}

// meets is overlaps for a part.
func (a *part) meets(b *part) bool {
	switch {
	case a.variable == "" && b.variable == "":
		return a.prefix == b.prefix
	case a.variable == "":
		return b.meets(a)
	case b.variable == "":
		return strings.HasPrefix(b.prefix, a.prefix) && strings.HasSuffix(b.prefix, a.suffix) && len(b.prefix) > len(a.prefix)+len(a.suffix)
	}
	return (strings.HasPrefix(a.prefix, b.prefix) || strings.HasPrefix(b.prefix, a.prefix)) &&
		(strings.HasSuffix(a.suffix, b.suffix) || strings.HasSuffix(b.suffix, a.suffix))
}

// begins tells whether a text of the pattern could begin with a name and a colon.
func (p pattern) begins(name string) bool {
	return p[0].end == ':' && p[0].meets(&part{prefix: name})
}
