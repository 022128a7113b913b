package query

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/api/model"
)

// constrained is one place of an operation's input.
type constrained struct {
	name     string // of the parameter
	path     string // in messages
	shape    *model.Shape
	list     *model.Shape // whose element it is, of a list of strings
	required bool
}

// places are the places of an operation's input, each with the parameters without which
// it could not be there.
func places(op *model.Operation, client *sdk, t *testing.T) (list []constrained, into func() any) {
	inType, _ := client.types(t, op)
	var walk func(prefix, path string, s *model.Shape, required bool, of *model.Shape)
	walk = func(prefix, path string, s *model.Shape, required bool, of *model.Shape) {
		list = append(list, constrained{prefix, path, s, of, required})
		switch s.Kind {
		case model.List:
			if s.Element.Kind == model.String {
				walk(prefix+".member.1", path, s.Element, false, s)
			} else {
				walk(prefix+".member.1", path+".1.member", s.Element, false, nil)
			}
		case model.Structure:
			for _, f := range s.Fields {
				walk(prefix+"."+f.Name, path+"."+f.Path, f.Shape, f.Required, nil)
			}
		}
	}
	for _, f := range op.Input.Fields {
		walk(f.Name, f.Path, f.Shape, f.Required, nil)
	}
	return list, func() any { return newValue(inType) }
}

// violation is a value and what is said of it.
type violation struct{ value, must string }

// faulty are values that violate a constraint of a place.
func (p constrained) faulty(g *generator) (bad []violation) {
	s := p.shape
	note := func(value, format string, args ...any) {
		bad = append(bad, violation{value, fmt.Sprintf(format, args...)})
	}
	switch {
	case s.Kind == model.Integer:
		if s.Min != nil {
			note(fmt.Sprint(*s.Min-1), "have value greater than or equal to %d", *s.Min)
		}
		if s.Max != nil {
			note(fmt.Sprint(*s.Max+1), "have value less than or equal to %d", *s.Max)
		}
	case s.Kind != model.String:
	default:
		if s.Min != nil && *s.Min > 0 {
			note(g.sized(s, int(*s.Min-1)), "have length greater than or equal to %d", *s.Min)
		}
		if s.Max != nil && *s.Max < MaxBody/64 { // the rest would take long
			note(g.sized(s, int(*s.Max+1)), "have length less than or equal to %d", *s.Max)
		}
		if s.Pattern != "" {
			note(strings.Repeat("\x01", g.length(s, 1, 0)), "%s", "satisfy regular expression pattern: "+s.Pattern)
		}
		if s.Enum != nil {
			note("none-of-these", "satisfy enum value set")
		}
	}
	return bad
}

// sized draws a text of a length, which fits the pattern if one of the alphabets does.
func (g *generator) sized(s *model.Shape, n int) string {
	alone := *s
	alone.Min, alone.Max = nil, nil
	for _, alphabet := range alphabets[1:] { // of one UTF-16 unit each
		if text := g.accept(&alone, g.draw(alphabet, n)); text != nil {
			return *text
		}
	}
	return strings.Repeat("a", n)
}

// message is the clause about a violation, as AWS's services have it.
func (p constrained) message(op *model.Operation, value, must string) string {
	quote := op.Service.Name == "sts" && !p.shape.Sensitive
	if p.list != nil {
		must = regexp.MustCompile(`^.*$`).ReplaceAllLiteralString(must, "satisfy constraint: [")
		value = "[" + value + "]"
	}
	if op.Service.Name == "sts" && must == "satisfy enum value set" {
		must += ": [" + strings.Join(p.shape.Enum, ", ") + "]"
	}
	if !quote {
		return "Value at '" + p.path + "' failed to satisfy constraint: Member must " + must
	}
	if len(value) > 2048 {
		value = value[:2048] + "..."
	}
	return "Value '" + value + "' at '" + p.path + "' failed to satisfy constraint: Member must " + must
}

var spelt = regexp.MustCompile(`^The specified value for (\S+) is invalid\. It must `)

// TestEveryConstraint violates every constraint of every input, one at a time.
func TestEveryConstraint(t *testing.T) {
	client := newSDK("http://localhost")
	g := &generator{t, rand.New(rand.NewPCG(1, 1)), true}
	tried := 0
	for _, op := range operations() {
		if op.Input == nil {
			continue
		}
		list, into := places(op, client, t)
		for _, p := range list {
			for _, bad := range p.faulty(g) {
				value, must := bad.value, bad.must
				tried++
				form := "Action=" + op.Name + "&Version=" + op.Service.Version + "&" + url.Values{p.name: {value}}.Encode()
				err := decode(form, into())
				want := p.message(op, value, must)
				alone := decode(form+others(g, list, p), into()) // nothing else is wrong
				spelling := spelt.FindStringSubmatch(fmt.Sprint(alone)[min(len("ValidationError: "), len(fmt.Sprint(alone))):])
				switch {
				case err == nil || alone == nil:
					t.Errorf("%s: %s is taken as %s", op.Name, quotable(value), p.path)
				case spelling != nil && spelling[1] == p.path && strings.HasPrefix(must, "satisfy regular"):
				case !strings.Contains(err.Error(), want):
					t.Errorf("%s: got %s\nwant %s", op.Name, quotable(err.Error()), quotable(want))
				}
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d constraints", tried)
	}
}

// others are parameters for all that is required beside a place, but for what is there.
func others(g *generator, list []constrained, but constrained) string {
	var b strings.Builder
	for _, p := range list {
		parent := p.name[:strings.LastIndexByte(p.name, '.')+1]
		if !p.required || !strings.HasPrefix(but.name, parent) || strings.HasPrefix(but.name+".", p.name+".") {
			continue
		}
		switch p.shape.Kind {
		case model.String:
			b.WriteString("&" + url.Values{p.name: {g.text(p.shape)}}.Encode())
		case model.Integer:
			fmt.Fprintf(&b, "&%s=%d", p.name, *cmp.Or(p.shape.Min, new(int64)))
		case model.Boolean:
			b.WriteString("&" + p.name + "=true")
		case model.List:
			if p.shape.Element.Kind == model.String {
				b.WriteString("&" + url.Values{p.name + ".member.1": {g.text(p.shape.Element)}}.Encode())
			} else {
				b.WriteString("&" + p.name + "=")
			}
		}
	}
	return b.String()
}

// TestEveryRequired leaves everything out that an operation requires: AWS names all of
// it, in the order of a HashMap of Java.
func TestEveryRequired(t *testing.T) {
	client := newSDK("http://localhost")
	for _, op := range operations() {
		if op.Input == nil {
			continue
		}
		table := make([][]string, 16)
		if len(op.Input.Fields) > 12 {
			table = make([][]string, 32)
		}
		null := map[string]string{"iam": "Value at '", "sts": "Value null at '"}[op.Service.Name]
		for _, f := range op.Input.Fields {
			if f.Required {
				at := javaHash(f.Path) % uint32(len(table))
				table[at] = append(table[at], null+f.Path+"' failed to satisfy constraint: Member must not be null")
			}
		}
		want := slices.Concat(table...)
		inType, _ := client.types(t, op)
		err := decode("Action="+op.Name+"&Version="+op.Service.Version, reflect.New(inType).Interface())
		switch {
		case len(want) == 0 && err == nil:
		case len(want) == 1 && err != nil && err.Error() == "ValidationError: 1 validation error detected: "+want[0]:
		case len(want) > 1 && err != nil && err.Error() == fmt.Sprintf("ValidationError: %d validation errors detected: %s", len(want), strings.Join(want, "; ")):
		default:
			t.Errorf("%s: got %v\nwant %q", op.Name, err, want)
		}
	}
}

// javaHash is the hash by which a HashMap has a string.
func javaHash(s string) uint32 {
	var h int32
	for _, r := range s {
		h = 31*h + r
	}
	return uint32(h) ^ uint32(h)>>16
}
