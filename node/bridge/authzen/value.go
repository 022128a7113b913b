package authzen

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/writ-iam/writ/node/fault"
)

// Limits of a body, beyond its bytes.
const (
	// maxDepth is how deep values are in each other, maxMembers how many members one object
	// has, and maxValues how many values there are.
	maxDepth   = 16
	maxMembers = 256
	maxValues  = 100_000
)

// kind is of a value of JSON.
type kind uint8

const (
	absent kind = iota // not there, or null: the specification makes no difference
	truth
	number
	text
	list
	object
)

// value is one of JSON.
type value struct {
	kind    kind
	text    string // of a text; of the others but lists and objects as JSON writes them
	list    []value
	members []member
}

// member is one of an object.
type member struct {
	name  string
	value value
}

// get is a member of an object, absent if there is none.
func (v *value) get(name string) *value {
	for i := range v.members {
		if v.members[i].name == name {
			return &v.members[i].value
		}
	}
	return &value{}
}

// reading is of one body.
type reading struct {
	json *json.Decoder
	left int // values that it may have yet
}

// parse reads a body that is one object. What is ambiguous in it is refused: names that are given
// twice, and strings that are not Unicode (RFC 7493).
func parse(body []byte) (v value, err error) {
	if !utf8.Valid(body) {
		return v, malformed("The text is not UTF-8.")
	}
	r := reading{json.NewDecoder(bytes.NewReader(body)), maxValues}
	r.json.UseNumber()
	if v, err = r.value(maxDepth); err != nil {
		return v, err
	}
	if _, err := r.json.Token(); !errors.Is(err, io.EOF) {
		return v, malformed("The text goes on after its end.")
	}
	if v.kind != object {
		return v, malformed("It is not an object.")
	}
	return v, nil
}

func malformed(why string) error {
	return fault.BadRequest("Send what the Authorization API 1.0 of AuthZEN describes.", "The body is not the JSON that is expected: %s", why)
}

// value reads one.
func (r *reading) value(depth int) (v value, err error) {
	token, err := r.json.Token()
	switch {
	case errors.Is(err, io.EOF):
		return v, malformed("It ends too soon.")
	case err != nil:
		return v, malformed("At byte " + strconv.FormatInt(r.json.InputOffset()+1, 10) + " it is no JSON.")
	case r.left == 0:
		return v, malformed("It has more than " + strconv.Itoa(maxValues) + " values.")
	case depth == 0:
		return v, malformed("Its values are more than " + strconv.Itoa(maxDepth) + " deep in each other.")
	}
	r.left--
	switch t := token.(type) {
	case bool:
		return value{kind: truth, text: strconv.FormatBool(t)}, nil
	case json.Number:
		plain, err := plainNumber(t.String())
		return value{kind: number, text: plain}, err
	case string:
		return value{kind: text, text: t}, unicodeOnly(t)
	case json.Delim:
		if t == '[' {
			return r.list(depth)
		}
		return r.object(depth)
	}
	return value{}, nil // null
}

// unicodeOnly refuses what a string that is no Unicode is read as: two of them would be the same.
func unicodeOnly(s string) error {
	if strings.ContainsRune(s, utf8.RuneError) {
		return malformed("A string has a character that is none (U+FFFD).")
	}
	return nil
}

// plainNumber is a number as policies compare it: without an exponent.
func plainNumber(s string) (string, error) {
	if !strings.ContainsAny(s, "eE") {
		if len(s) > maxNumber {
			return "", malformed("A number has more than " + strconv.Itoa(maxNumber) + " digits.")
		}
		return s, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return "", malformed("The number " + fault.Quote(s) + " is out of range.")
	}
	return strconv.FormatFloat(f, 'f', -1, 64), nil
}

// maxNumber is how many characters a number has.
const maxNumber = 400

func (r *reading) list(depth int) (v value, err error) {
	v.kind = list
	for r.json.More() {
		e, err := r.value(depth - 1)
		if err != nil {
			return v, err
		}
		v.list = append(v.list, e)
	}
	return v, r.end()
}

func (r *reading) object(depth int) (v value, err error) {
	v.kind = object
	for r.json.More() {
		name, err := r.json.Token()
		s, ok := name.(string)
		if err != nil || !ok {
			return v, malformed("At byte " + strconv.FormatInt(r.json.InputOffset()+1, 10) + " there should be a name.")
		}
		if err := unicodeOnly(s); err != nil {
			return v, err
		}
		if slices.ContainsFunc(v.members, func(m member) bool { return m.name == s }) {
			return v, malformed("The member " + fault.Quote(s) + " is given twice in one object.")
		}
		if len(v.members) == maxMembers {
			return v, malformed("An object has more than " + strconv.Itoa(maxMembers) + " members.")
		}
		e, err := r.value(depth - 1)
		if err != nil {
			return v, err
		}
		v.members = append(v.members, member{s, e})
	}
	return v, r.end()
}

// end passes over the end of a list or an object.
func (r *reading) end() error {
	if _, err := r.json.Token(); err != nil {
		return malformed("At byte " + strconv.FormatInt(r.json.InputOffset()+1, 10) + " a list or an object has no end.")
	}
	return nil
}

// append writes a value as JSON, in one way for all that are the same: members stand in order of
// their names.
func (v *value) append(b []byte) []byte {
	switch v.kind {
	case absent:
		return append(b, "null"...)
	case truth, number:
		return append(b, v.text...)
	case text:
		return appendText(b, v.text)
	case list:
		b = append(b, '[')
		for i := range v.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = v.list[i].append(b)
		}
		return append(b, ']')
	case object:
		members := slices.Clone(v.members)
		slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
		b = append(b, '{')
		for i := range members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, members[i].name), ':')
			b = members[i].value.append(b)
		}
		return append(b, '}')
	}
	panic("authzen: a value of no kind")
}

// appendText writes a string as JSON.
func appendText(b []byte, s string) []byte {
	t, err := json.Marshal(s)
	if err != nil { // strings always marshal
		panic(err)
	}
	return append(b, t...)
}
