package native_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/api/native"
	"github.com/writ-iam/writ/node/api/shape"
)

var update = flag.Bool("update", false, "write openapi.json")

// The description of the API is made here: its paths from the routes of the API and the
// prose of operations_test.go, its schemas from the types of package shape and the
// keywords of keywords_test.go. Only the finished document is in the binary.
const document = "openapi.json"

// TestDocument holds that the document is what is made.
func TestDocument(t *testing.T) {
	want, err := describe(t)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(document, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is not what the types, the routes and the prose give: run go generate, and look at the difference", document)
	}
}

// object is a JSON object whose members keep their order.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in their order, and < and > as they are.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(m.name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := enc.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// routes are the patterns of an API, in their order.
type routes []string

// Handle adds a pattern.
func (r *routes) Handle(pattern string, _ http.Handler) { *r = append(*r, pattern) }

// describe makes the document.
func describe(t *testing.T) ([]byte, error) {
	var served routes
	native.New(native.Config{}).Routes(&served)
	served = append(served, ofPort...)
	var paths object
	for _, pattern := range served {
		op, ok := operations[pattern]
		if !ok {
			t.Errorf("%s has no prose", pattern)
			continue
		}
		method, path, _ := strings.Cut(pattern, " ")
		told := member{strings.ToLower(method), op.describe(path)}
		if i := slices.IndexFunc(paths, func(m member) bool { return m.name == path }); i >= 0 {
			paths[i].value = append(paths[i].value.(object), told)
			continue
		}
		paths = append(paths, member{path, object{told}})
	}
	for pattern := range operations {
		if !slices.Contains(served, pattern) {
			t.Errorf("there is prose on %s, which is no route", pattern)
		}
	}
	made := newSchemas(t)
	var all object
	for _, v := range schemas {
		all = append(all, made.named(v))
	}
	made.done()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	err := enc.Encode(object{
		{"openapi", "3.1.0"},
		{"info", object{{"title", "Writ native API"}, {"version", "1"}, {"description", about}}},
		{"paths", paths},
		{"components", object{
			{"securitySchemes", object{{"sigv4", object{
				{"type", "apiKey"}, {"in", "header"}, {"name", "Authorization"}, {"description", "AWS4-HMAC-SHA256, service writ, any region."},
			}}}},
			{"schemas", all},
		}},
		{"security", []object{{{"sigv4", []string{}}}}},
	})
	return b.Bytes(), err
}

// parameterOf finds the parameters of a path.
var parameterOf = regexp.MustCompile(`\{([^}]*)\}`)

// describe makes the description of an operation.
func (op *operation) describe(path string) (o object) {
	o = object{{"operationId", op.id}}
	if op.summary != "" {
		o = append(o, member{"summary", op.summary})
	}
	if op.about != "" {
		o = append(o, member{"description", op.about})
	}
	if op.open {
		o = append(o, member{"security", []object{}})
	}
	var parameters []object
	for _, m := range parameterOf.FindAllStringSubmatch(path, -1) {
		parameters = append(parameters, object{{"name", m[1]}, {"in", "path"}, {"required", true}, {"schema", text}, {"description", inPath[m[1]]}})
	}
	if parameters = append(parameters, op.parameters...); parameters != nil {
		o = append(o, member{"parameters", parameters})
	}
	if op.body != "" {
		o = append(o, member{"requestBody", object{{"required", true}, {"content", object{{"application/json", object{{"schema", ref(op.body)}}}}}}})
	}
	return append(o, member{"responses", op.responses()})
}

// responses are the answers of an operation, by their status.
func (op *operation) responses() object {
	ok := object{{"description", op.answer}}
	if op.headers != nil {
		ok = append(ok, member{"headers", op.headers})
	}
	if op.content != nil {
		ok = append(ok, member{"content", op.content})
	}
	all := object{{"200", ok}}
	for _, status := range op.refusals {
		refusal := object{{"description", cmp.Or(op.meaning[status], "What is wrong, and what to do.")}}
		if !op.open || op.body != "" {
			refusal = append(refusal, member{"content", object{{"application/problem+json", object{{"schema", ref("Problem")}}}}})
		}
		all = append(all, member{strconv.Itoa(status), refusal})
	}
	return all
}

// ref refers to a schema.
func ref(name string) object { return object{{"$ref", "#/components/schemas/" + name}} }

// in makes a parameter of a place: of the query, or a header.
func in(place, name string, schema object, about string) object {
	p := object{{"name", name}, {"in", place}, {"schema", schema}}
	if about != "" {
		p = append(p, member{"description", about})
	}
	return p
}

// jsonOf is content in JSON.
func jsonOf(name string) object { return object{{"application/json", object{{"schema", ref(name)}}}} }

// Headers of answers.
var (
	requestID = member{shape.HeaderRequestID, object{{"schema", text}}}
	seen      = object{
		{shape.HeaderPosition, object{{"schema", integer}, {"description", "Position of the view that the answer comes from."}}},
		{shape.HeaderFreshness, object{{"schema", text}}},
		requestID,
	}
	changed = object{
		{shape.HeaderPosition, object{{"schema", integer}, {"description", "Position of the change."}}},
		{shape.HeaderToken, object{{"schema", text}, {"description", "Token of the change."}}},
		requestID,
	}
	begun = object{
		{shape.HeaderPosition, object{{"schema", integer}, {"description", "Position of the node when the stream began."}}},
		{shape.HeaderToken, object{{"schema", text}, {"description", "Token of that position, to go on after where no event came."}}},
		requestID,
	}
)

// Schemas of one word.
var (
	text    = object{{"type", "string"}}
	integer = object{{"type", "integer"}}
	boolean = object{{"type", "boolean"}}
)

// with adds keywords to a schema.
func (o object) with(more ...member) object { return append(slices.Clip(o), more...) }
