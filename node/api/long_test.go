package api_test

import (
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/api/model"
)

// texts are the members of an input that are texts, by their names on the wire, with those
// of the structures and of the first elements of the lists in it.
func texts(s *model.Shape, at string, found map[string]*model.Shape) map[string]*model.Shape {
	switch s.Kind {
	case model.Structure:
		for i := range s.Fields {
			texts(s.Fields[i].Shape, strings.TrimPrefix(at+"."+s.Fields[i].Name, "."), found)
		}
	case model.List:
		texts(s.Element, at+".member.1", found)
	case model.String:
		if len(s.Enum) == 0 {
			found[at] = s
		}
	}
	return found
}

// longest are long values of a member that the model takes: as long as it allows, or longer
// than anybody needs where it sets no bound; one of each length, and one of signs.
func longest(s *model.Shape, base string) (values []string) {
	sizes := []int{3000, 100_000}
	if s.Max != nil {
		sizes = []int{int(min(*s.Max, 100_000))}
	}
	for _, size := range sizes {
		for _, fills := range []string{"a1", "!"} {
			if value, ok := longValue(s, base, size, fills); ok {
				values = append(values, value)
			}
		}
	}
	return values
}

// longValue is the first value of a length that a member takes, of these letters beside
// what such values begin and end with.
func longValue(s *model.Shape, base string, size int, fills string) (string, bool) {
	for _, fill := range fills {
		for _, begin := range []string{"/", "", base, "v1"} {
			for _, end := range []string{"/", ""} {
				value := begin + strings.Repeat(string(fill), max(size-len(begin+end), 0)) + end
				var v model.Violations
				if v.String(nil, s, value); v.Message() == "" {
					return value, true
				}
			}
		}
	}
	return "", false
}

// answeredNames are what an answer calls things, by the members of inputs that take the same again.
func answeredNames(t *testing.T, body []byte) map[string][]string {
	found, element := map[string][]string{}, ""
	for d := xml.NewDecoder(strings.NewReader(string(body))); ; {
		token, err := d.Token()
		if token == nil {
			if err.Error() != "EOF" {
				t.Fatalf("%v in %.300s", err, body)
			}
			return found
		}
		switch token := token.(type) {
		case xml.StartElement:
			element = token.Name.Local
		case xml.CharData:
			for _, kind := range []string{"Name", "Arn", "Id", "SerialNumber"} {
				if text := strings.TrimSpace(string(token)); text != "" && strings.HasSuffix(element, kind) {
					found[element] = append(found[element], text)
				}
			}
		}
	}
}

// takers are the members of all inputs of IAM by name.
func takers() map[string][]*model.Shape {
	found := map[string][]*model.Shape{}
	for _, op := range model.IAM().Operations() {
		if op.Input == nil {
			continue
		}
		for i := range op.Input.Fields {
			f := &op.Input.Fields[i]
			found[f.Name] = append(found[f.Name], f.Shape)
		}
	}
	return found
}

// TestLongInput gives every operation of the model each of its texts as long as the model
// lets it be: no answer is the node's failure, no line of the log grows with it, and what is
// made by it has names that the other operations take.
func TestLongInput(t *testing.T) {
	w := newWorld(t)
	again, cases, made := takers(), 0, 0
	for _, op := range model.IAM().Operations() {
		if op.Input == nil {
			continue
		}
		base, members := w.base(op), texts(op.Input, "", map[string]*model.Shape{})
		for _, member := range slices.Sorted(maps.Keys(members)) {
			whole := base
			if _, there := base[member]; !there { // one that is not required, with what goes with it
				top, _, _ := strings.Cut(member, ".")
				whole = asked{}
				guess(op.Input.Field(top).Shape, top, map[string]int{}, whole)
				whole = base.with(top, whole)
			}
			for _, value := range longest(members[member], base[member]) {
				cases++
				in := whole.with(member, asked{member: value})
				for name, text := range in { // each makes something of its own
					if name != member && text == "abcd" && strings.HasSuffix(name, "Name") {
						in[name] = fmt.Sprintf("abcd%d", cases)
					}
				}
				w.logs.Reset()
				rec := w.iam(w.root, op.Name, in.pairs()...)
				if n := w.logs.Len(); n > 4096 {
					t.Errorf("%s with %s of %d bytes has %d bytes logged", op.Name, member, len(value), n)
				}
				if rec.Code != 200 {
					w.checked(op, in, rec)
					continue
				}
				made++
				for name, texts := range answeredNames(t, rec.Body.Bytes()) {
					for _, s := range again[name] {
						for _, text := range texts {
							var v model.Violations
							if v.String([]byte(name), s, text); v.Message() != "" {
								t.Errorf("%s with %s of %d bytes makes what nobody can name: %.300s", op.Name, member, len(value), v.Message())
							}
						}
					}
				}
			}
		}
	}
	if cases < 500 || made < 30 {
		t.Errorf("%d cases, of which %d are answered", cases, made)
	}
}
