package api

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// question asks whether a principal may do something.
type question struct {
	principal string // ARN
	action    string
	resource  string // ARN, or "*"
	context   []policy.Entry
	given     string // the context's JSON, as it was given
	explain   bool   // ask for the statements that decided
}

// Questions are decoded by hand: encoding/json takes several times as long, which
// would be a good part of a decision's cost, and it takes members twice and in any
// letter case, of which a decision should not depend on the last. Only strings
// with escapes are left to it.

// reader reads JSON from its front on.
type reader struct {
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

func (r *reader) fail(want string) error { return &syntaxError{r.at, want} }

// decode reads a body that is one value and nothing else.
func decode(body []byte, hint string, value func(*reader) error) error {
	r := &reader{text: string(body)}
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

// peek passes over white space and returns the next byte, 0 at the end.
func (r *reader) peek() byte {
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
func (r *reader) take(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.at++
	return true
}

// each reads the elements between two brackets.
func (r *reader) each(begin, end byte, name string, element func() error) error {
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

// object reads an object; value is called for each member.
func (r *reader) object(value func(name string) error) error {
	return r.each('{', '}', "an object", func() error {
		name, err := r.string()
		if err != nil {
			return err
		}
		if !r.take(':') {
			return r.fail("here should be a colon")
		}
		return value(name)
	})
}

func (r *reader) array(element func() error) error { return r.each('[', ']', "a list", element) }

func (r *reader) string() (string, error) {
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

// digits passes over decimal digits and returns them; what follows is not looked at.
func (r *reader) digits() string {
	r.peek()
	start := r.at
	for r.at < len(r.text) && r.text[r.at] >= '0' && r.text[r.at] <= '9' {
		r.at++
	}
	return r.text[start:r.at]
}

func (r *reader) bool() (bool, error) {
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

// Members of a question.
const (
	hasPrincipal = 1 << iota
	hasAction
	hasResource
	hasContext
	hasExplain
	hasExtra
)

// question reads one question. No member is given twice.
func (r *reader) question(q *question) error { return r.questionAnd(q, nil) }

// questionAnd reads a question with more members: extra reads one of a name, and
// returns a bit of its own from hasExtra on, or 0 for a name that it does not know.
func (r *reader) questionAnd(q *question, extra func(name string) (int, error)) error {
	seen := 0
	err := r.object(func(name string) (err error) {
		member := 0
		switch name {
		case "principal":
			member = hasPrincipal
			q.principal, err = r.string()
		case "action":
			member = hasAction
			q.action, err = r.string()
		case "resource":
			member = hasResource
			q.resource, err = r.string()
		case "context":
			member = hasContext
			err = r.context(q)
		case "explain":
			member = hasExplain
			q.explain, err = r.bool()
		default:
			if extra != nil {
				member, err = extra(name)
			}
			if member == 0 && err == nil {
				return r.fail("a question has no member " + quoted(name))
			}
		}
		if seen&member != 0 {
			return r.fail("the member " + quoted(name) + " is given twice")
		}
		seen |= member
		return err
	})
	if seen&hasResource == 0 {
		q.resource = "*"
	}
	return err
}

// context reads condition keys and their values: a text, or a list for a key that
// is multivalued by its type.
func (r *reader) context(q *question) error {
	r.peek()
	from := r.at
	defer func() { q.given = r.text[from:r.at] }()
	return r.object(func(name string) error {
		if err := authz.CheckContextKey(name); err != nil {
			return r.fail(err.Error())
		}
		key := policy.NewKey(name)
		for i := range q.context {
			if q.context[i].Key == key {
				return r.fail("the condition key " + quoted(name) + " is given twice")
			}
		}
		if len(q.context) == maxContextKeys {
			return r.fail("the context has more than " + strconv.Itoa(maxContextKeys) + " keys")
		}
		if r.peek() == '"' {
			value, err := r.string()
			q.context = append(q.context, policy.Single(key, value))
			return err
		}
		var values []string
		err := r.array(func() error {
			if len(values) == maxContextValues {
				return r.fail("a condition key has more than " + strconv.Itoa(maxContextValues) + " values")
			}
			value, err := r.string()
			values = append(values, value)
			return err
		})
		q.context = append(q.context, policy.Multi(key, values))
		return err
	})
}

// batch reads {"questions": [...]}.
func (r *reader) batch() (list []question, err error) {
	err = r.object(func(name string) error {
		if name != "questions" || list != nil {
			return r.fail("a batch has one member, questions")
		}
		list = make([]question, 0, 8)
		return r.array(func() error {
			if len(list) == MaxBatch {
				return r.fail("a batch has at most " + strconv.Itoa(MaxBatch) + " questions")
			}
			list = append(list, question{})
			return r.question(&list[len(list)-1])
		})
	})
	return list, err
}

// quoted shortens what a client sent to what a message should repeat.
func quoted(s string) string {
	const longest = 64
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "..."
	}
	return strconv.Quote(s)
}

// check says what is wrong with a question beyond its form: what would be answered
// and mean nothing is refused.
func (q *question) check() error {
	for _, err := range [...]error{authz.CheckPrincipal(q.principal), authz.CheckAction(q.action), authz.CheckResource(q.resource)} {
		if err != nil {
			return meaningless(err)
		}
	}
	return nil
}

func meaningless(err error) error {
	return fault.BadRequest(questionHint, "The question cannot be answered: %v.", err)
}
