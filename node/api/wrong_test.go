package api_test

import (
	"fmt"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/model"
)

// asked is the input of a call: parameters of the Query protocol by name.
type asked map[string]string

func (a asked) pairs() (list []string) {
	for name, value := range a {
		list = append(list, name, value)
	}
	return list
}

// with is the input with a member of this value in place of what it had, or without it.
func (a asked) with(member string, more asked) asked {
	b := asked{}
	for name, value := range a {
		if name != member && !strings.HasPrefix(name, member+".") {
			b[name] = value
		}
	}
	for name, value := range more {
		b[name] = value
	}
	return b
}

// candidates are texts of which one is good for nearly every member.
var candidates = []string{
	"abcd", "/abcd/", "123456789012", "123456", "arn:aws:iam::123456789012:user/abcd", "AKIAABCDEFGHIJKLMNOP", strings.Repeat("ab", 20),
	"https://abcd.example.com", allow("s3:Get"), strings.Repeat("x", 1000), "iam.amazonaws.com", "Abcd1234",
}

// guess is an input with all that is required, by the candidate that each member is at.
func guess(s *model.Shape, at string, tries map[string]int, in asked) {
	switch s.Kind {
	case model.Structure:
		for i := range s.Fields {
			f := &s.Fields[i]
			if f.Required {
				guess(f.Shape, strings.TrimPrefix(at+"."+f.Name, "."), tries, in)
			}
		}
	case model.List:
		guess(s.Element, at+".member.1", tries, in)
	case model.Map:
		guess(s.Key, at+".entry.1.key", tries, in)
		guess(s.Value, at+".entry.1.value", tries, in)
	case model.Integer:
		in[at] = "1"
		if s.Min != nil {
			in[at] = strconv.FormatInt(*s.Min, 10)
		}
	case model.Boolean:
		in[at] = "false"
	case model.Timestamp:
		in[at] = "2026-01-02T03:04:05Z"
	case model.Blob:
		in[at] = "YWJjZA=="
	default:
		in[at] = candidates[tries[at]]
		if len(s.Enum) > 0 {
			in[at] = s.Enum[0]
		}
	}
}

// base is an input that passes all that the model says of an operation, as far as the
// candidates go.
func (w *world) base(op *model.Operation) asked {
	tries := map[string]int{}
	for range 40 {
		in := asked{}
		guess(op.Input, "", tries, in)
		e := w.answer(w.node, op, in)
		moved := false
		for name := range in {
			path := strings.ToLower(name[:1]) + name[1:]
			if e.Code == "ValidationError" && strings.Contains(e.Message, path) && tries[name]+1 < len(candidates) {
				tries[name]++
				moved = true
			}
		}
		if !moved {
			return in
		}
	}
	w.t.Errorf("%s: no input passes", op.Name)
	return nil
}

// answer is the error of a call; zero where it succeeded.
func (w *world) answer(n *node, op *model.Operation, in asked) (e awsError) {
	rec := n.iam(w.root, op.Name, in.pairs()...)
	if rec.Code == 200 {
		return awsError{}
	}
	return w.checked(op, in, rec)
}

// checked is the error of an answer, which must have a code of AWS's and its status.
func (w *world) checked(op *model.Operation, in asked, rec *httptest.ResponseRecorder) awsError {
	e := w.error(rec)
	if status, known := model.IAM().Status(e.Code); !known || status != rec.Code || rec.Code >= 500 {
		w.t.Errorf("%s %.300v: %d %s: %s", op.Name, in, rec.Code, e.Code, e.Message)
	}
	return e
}

// wrongs are inputs that are wrong in one member, by what is wrong.
func wrongs(f *model.Field) map[string]asked {
	s, out := f.Shape, map[string]asked{}
	is := func(what, value string) { out[what] = asked{f.Name: value} }
	if f.Required {
		out["left out"] = asked{}
	}
	switch s.Kind {
	case model.String:
		if s.Max != nil && *s.Max < 200_000 {
			is("too long", strings.Repeat("a", int(*s.Max)+1))
		}
		if s.Min != nil && *s.Min > 0 {
			is("too short", strings.Repeat("a", int(*s.Min)-1))
		}
		if len(s.Enum) > 0 {
			is("no such value", "NoSuchValue")
		}
		if s.Pattern != "" && !strings.Contains(s.Pattern, `\s\S`) && !strings.Contains(s.Pattern, ".") {
			is("no match", "\u0007\u2603")
		}
	case model.Integer:
		is("no number", "abc")
		is("too large a number", "99999999999999999999")
		if s.Max != nil {
			is("too large", strconv.FormatInt(*s.Max+1, 10))
		}
		if s.Min != nil {
			is("too small", strconv.FormatInt(*s.Min-1, 10))
		}
	case model.Boolean:
		is("neither true nor false", "maybe")
	case model.Timestamp:
		is("no time", "yesterday")
	case model.Blob:
		is("not base64", "%%%")
	case model.List:
		is("no list", "abc")
		within(s.Element, f.Name+".member.1", out)
		if s.Max != nil {
			many := asked{}
			for i := range *s.Max + 1 {
				guess(s.Element, fmt.Sprintf("%s.member.%d", f.Name, i+1), nil, many)
			}
			out["too many"] = many
		}
	}
	return out
}

// within adds what is wrong in an element of a list.
func within(s *model.Shape, at string, out map[string]asked) {
	fields := []model.Field{{Shape: s}}
	if s.Kind == model.Structure {
		fields = s.Fields
	}
	for i := range fields {
		f := &fields[i]
		for what, value := range wrongs(f) {
			whole := asked{}
			guess(s, at, map[string]int{}, whole)
			name := strings.TrimSuffix(at+"."+f.Name, ".")
			switch {
			case len(value) == 0:
				out[what+" in "+name] = whole.with(name, nil)
			case len(value) == 1 && value[f.Name] != "":
				out[what+" in "+name] = whole.with(name, asked{name: value[f.Name]})
			}
		}
	}
}

// TestWrongInput gives every operation of the model input that is wrong in one member,
// at the leader and at a replica: it is refused with a code and a status of AWS's, and
// changes nothing.
func TestWrongInput(t *testing.T) {
	w := newWorld(t)
	l := newLeased(w, func() time.Duration { return time.Hour })
	replica := w.addNode(false, func(c *config) {
		c.Node.Name, c.Node.Fresh, c.Node.Forward = "replica-1", l.fresh, to(&w.node, new(admission.Forwarded))
	})
	w.log.readers = append(w.log.readers, replica.projection)
	w.log.show(replica.projection)
	l.grant(w, replica.projection, replica.projection.Head())
	cases := 0
	for _, op := range model.IAM().Operations() {
		if op.Input == nil {
			continue
		}
		base := w.base(op)
		for i := range op.Input.Fields {
			f := &op.Input.Fields[i]
			for what, value := range wrongs(f) {
				in, before := base.with(f.Name, value), w.log.position()
				cases++
				for _, n := range []*node{w.node, replica} {
					rec := n.iam(w.root, op.Name, in.pairs()...)
					if rec.Code == 200 {
						t.Errorf("%s with %s %s is answered %.300s", op.Name, f.Name, what, rec.Body)
						continue
					}
					w.checked(op, in, rec)
				}
				if at := w.log.position(); at != before {
					t.Errorf("%s with %s %s made a change", op.Name, f.Name, what)
				}
			}
		}
	}
	if cases < 1000 {
		t.Errorf("%d cases", cases)
	}
}
