package decision

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/writ-iam/writ/node/fault"
)

// Questions are decoded by hand: encoding/json takes several times as long, which
// would be a good part of a decision's cost, and it takes members twice and in any
// letter case, of which a decision should not depend on the last. Only strings
// with escapes are left to it.

// Reader reads JSON from its front on.
type Reader struct {
	text string
	at   int
}

// syntaxError says where a text is not the JSON that is expected.
type syntaxError struct {
	at   int
	want string
}

// Error says what was expected where.
func (e *syntaxError) Error() string {
	return "at byte " + strconv.Itoa(e.at+1) + ": " + e.want
}

// Fail is an error that says what should be where the reader is.
func (r *Reader) Fail(want string) error { return r.fail(want) }

func (r *Reader) fail(want string) error { return &syntaxError{r.at, want} }

// Decode reads a body that is one value and nothing else.
func Decode(body []byte, hint string, value func(*Reader) error) error {
	r := &Reader{text: string(body)}
	err := r.fail("the text is not UTF-8")
	if utf8.ValidString(r.text) {
		if err = value(r); err == nil && r.peek() != 0 {
			err = r.fail("the text goes on after its end")
		}
	}
	if err != nil {
		return fault.BadRequest(hint, "The body is not the JSON that is expected: %v.", err)
	}
	return nil
}

// Next is the next byte after white space, 0 at the end: it tells a string from a list.
func (r *Reader) Next() byte { return r.peek() }

// peek passes over white space and returns the next byte, 0 at the end.
func (r *Reader) peek() byte {
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\r', '\n':
		case 0:
			return 1 // no token begins so
		default:
			return c
		}
	}
	return 0
}

// take passes over a byte if it is the next.
func (r *Reader) take(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.at++
	return true
}

// each reads the elements between two brackets.
func (r *Reader) each(begin, end byte, name string, element func() error) error {
	if !r.take(begin) {
		return r.fail("here should be " + name)
	}
	if r.take(end) {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if r.take(end) {
			return nil
		}
		if !r.take(',') {
			return r.fail("here should be a comma, or the end of " + name)
		}
	}
}

// Object reads an object; value is called for each member.
func (r *Reader) Object(value func(name string) error) error {
	return r.each('{', '}', "an object", func() error {
		name, err := r.String()
		if err != nil {
			return err
		}
		if !r.take(':') {
			return r.fail("here should be a colon")
		}
		return value(name)
	})
}

// Array reads a list; element is called for each.
func (r *Reader) Array(element func() error) error { return r.each('[', ']', "a list", element) }

// String reads a string.
func (r *Reader) String() (string, error) {
	if r.peek() != '"' {
		return "", r.fail("here should be a string")
	}
	start := r.at
	plain := true
	for i := start + 1; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			r.at = i + 1
			if plain {
				return r.text[start+1 : i], nil
			}
			var s string
			if err := json.Unmarshal([]byte(r.text[start:r.at]), &s); err != nil {
				r.at = start
				return "", r.fail("the string has an escape that JSON does not know")
			}
			return s, nil
		case c == '\\':
			plain = false
			i++ // the quote after it, too
		case c < ' ':
			return "", r.fail("the string has a control character")
		}
	}
	return "", r.fail("the string has no end")
}

// Digits passes over decimal digits and returns them; what follows is not looked at.
func (r *Reader) Digits() string {
	r.peek()
	start := r.at
	for r.at < len(r.text) && r.text[r.at] >= '0' && r.text[r.at] <= '9' {
		r.at++
	}
	return r.text[start:r.at]
}

// skip passes over one value, whatever it is.
func (r *Reader) skip() error {
	r.peek()
	start, depth := r.at, 0
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '"':
			if _, err := r.String(); err != nil {
				return err
			}
		case c == '{' || c == '[':
			depth++
			r.at++
		case depth == 0 && strings.IndexByte(",]} \t\r\n", c) >= 0: // behind a number or a literal
			return r.valid(start)
		case c == '}' || c == ']':
			depth--
			r.at++
		default:
			r.at++
			continue
		}
		if depth == 0 {
			return r.valid(start)
		}
	}
	return r.valid(start)
}

// valid says whether what was passed over is one value.
func (r *Reader) valid(start int) error {
	if !json.Valid([]byte(r.text[start:r.at])) {
		r.at = start
		return r.fail("here should be a value")
	}
	return nil
}

func (r *Reader) bool() (bool, error) {
	r.peek()
	for _, literal := range [...]struct {
		text  string
		value bool
	}{{"true", true}, {"false", false}} {
		if strings.HasPrefix(r.text[r.at:], literal.text) {
			r.at += len(literal.text)
			return literal.value, nil
		}
	}
	return false, r.fail("here should be true or false")
}
