package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/writ-iam/writ/node/api/native"
)

// schema is as much of JSON Schema as the description of the API uses.
type schema struct {
	Ref                  string             `json:"$ref"`
	Type                 any                `json:"type"` // a name, or several
	Required             []string           `json:"required"`
	Properties           map[string]*schema `json:"properties"`
	AdditionalProperties any                `json:"additionalProperties"`
	Items                *schema            `json:"items"`
	Enum                 []any              `json:"enum"`
	OneOf                []*schema          `json:"oneOf"`
}

// description is the document at /openapi.json.
type description struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Responses   map[string]struct {
			Content map[string]struct {
				Schema *schema `json:"schema"`
			} `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

var described = sync.OnceValues(func() (*description, error) {
	rec := httptest.NewRecorder()
	native.OpenAPI(rec, nil)
	d := new(description)
	return d, json.Unmarshal(rec.Body.Bytes(), d)
})

// parameter is one in a path.
var parameter = regexp.MustCompile(`\{[^}]*\}`)

// holds checks an answer of the native API against its description: the status and
// the type are described, and every member of the body is.
func (d *description) holds(r *http.Request, rec *httptest.ResponseRecorder) error {
	if rec.Header().Get("X-Amzn-Requestid") == "" && strings.HasPrefix(r.URL.Path, "/v1/") {
		return nil // what a test's leader answers, passed on
	}
	for path, methods := range d.Paths {
		op, ok := methods[strings.ToLower(r.Method)]
		if !ok || !regexp.MustCompile("^"+parameter.ReplaceAllString(path, "[^/]+")+"$").MatchString(r.URL.Path) {
			continue
		}
		answer, ok := op.Responses[strconv.Itoa(rec.Code)]
		if !ok {
			return fmt.Errorf("%s %s answers %d, which is not described", r.Method, path, rec.Code)
		}
		kind, _, _ := strings.Cut(rec.Header().Get("Content-Type"), ";")
		content, ok := answer.Content[kind]
		if !ok || !strings.HasSuffix(kind, "json") || content.Schema == nil {
			if len(answer.Content) > 0 && !ok {
				return fmt.Errorf("%s %s answers %d as %q, which is not described", r.Method, path, rec.Code, kind)
			}
			return nil
		}
		var body any
		if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
			return fmt.Errorf("%s %s: %w", r.Method, path, err)
		}
		if err := d.fits(content.Schema, body); err != nil {
			return fmt.Errorf("%s %s answers %d with a body that is not as described: %w\n%s", r.Method, path, rec.Code, err, rec.Body)
		}
		return nil
	}
	return nil
}

// fits checks a value against a schema.
func (d *description) fits(s *schema, v any) error {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		if d.Components.Schemas[name] == nil {
			return fmt.Errorf("there is no schema %s", name)
		}
		s = d.Components.Schemas[name]
	}
	if len(s.OneOf) > 0 {
		var last error
		for _, one := range s.OneOf {
			if last = d.fits(one, v); last == nil {
				return nil
			}
		}
		return last
	}
	if names := typesOf(s.Type); len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return isOf(name, v) }) {
		return fmt.Errorf("%v is no %v", v, names)
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
		return fmt.Errorf("%v is none of %v", v, s.Enum)
	}
	switch v := v.(type) {
	case []any:
		for i := range v {
			if s.Items == nil {
				break
			}
			if err := d.fits(s.Items, v[i]); err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
		}
	case map[string]any:
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				return fmt.Errorf("%s is missing", name)
			}
		}
		if s.Properties == nil {
			return nil // an object of its own kind, such as an explanation
		}
		for name, member := range v {
			p, ok := s.Properties[name]
			if !ok {
				return fmt.Errorf("%s is not described", name)
			}
			if err := d.fits(p, member); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func typesOf(t any) (names []string) {
	switch t := t.(type) {
	case string:
		return []string{t}
	case []any:
		for _, name := range t {
			names = append(names, name.(string))
		}
	}
	return names
}

func isOf(name string, v any) bool {
	switch v := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case float64:
		return name == "number" || name == "integer" && v == float64(int64(v))
	case string:
		return name == "string"
	case []any:
		return name == "array"
	}
	return name == "object"
}

// Every route of the mux is described, and no other; and so is every schema that is
// referred to.
func TestOpenAPI(t *testing.T) {
	w := newWorld(t)
	rec := w.serve(httptest.NewRequest("GET", "/openapi.json", nil))
	d, err := described()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.OpenAPI, "3.1") || rec.Header().Get("Content-Type") != "application/json" {
		t.Errorf("version %s, headers %v", d.OpenAPI, rec.Header())
	}
	var routes, want []string
	for path, methods := range d.Paths {
		for method, op := range methods {
			routes = append(routes, strings.ToUpper(method)+" "+path)
			if op.OperationID == "" || len(op.Responses) == 0 {
				t.Errorf("%s %s is not described", method, path)
			}
		}
	}
	for _, pattern := range w.server.Patterns() {
		if strings.Contains(pattern, " ") && !strings.Contains(pattern, "/.well-known/") { // the others are of the Query protocol and of OpenID Connect
			want = append(want, pattern)
		}
	}
	slices.Sort(routes)
	slices.Sort(want)
	if !slices.Equal(routes, want) {
		t.Errorf("described are\n%s\nserved\n%s", strings.Join(routes, "\n"), strings.Join(want, "\n"))
	}
	for _, ref := range bytes.Split(rec.Body.Bytes(), []byte(`"#/components/schemas/`))[1:] {
		name, _, _ := strings.Cut(string(ref), `"`)
		if d.Components.Schemas[name] == nil {
			t.Errorf("no schema %s", name)
		}
	}
}
