package native_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// schemaMaker makes schemas of Go types: what a member is from its type, whether it is
// always there from its tag, what it means from its comment, and what neither says from
// the keywords.
type schemaMaker struct {
	t        *testing.T
	comments map[string]string // "Type" and "Type.Field"
	unused   map[string]bool   // keywords that no member has asked for
}

func newSchemas(t *testing.T) *schemaMaker {
	m := &schemaMaker{t: t, comments: map[string]string{}, unused: map[string]bool{}}
	for name := range keywords {
		m.unused[name] = true
	}
	for _, pattern := range []string{"keywords_test.go", "../shape/*.go", "../../../log/event/signed.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			m.read(file)
		}
	}
	return m
}

// read takes the comments of the structs of a file.
func (m *schemaMaker) read(file string) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, d := range f.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range group.Specs {
			decl, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			m.comments[decl.Name.Name] = cmp.Or(decl.Doc.Text(), group.Doc.Text())
			if s, ok := decl.Type.(*ast.StructType); ok {
				for _, field := range s.Fields.List {
					for _, name := range field.Names {
						m.comments[decl.Name.Name+"."+name.Name] = cmp.Or(field.Doc.Text(), field.Comment.Text())
					}
				}
			}
		}
	}
}

// done reports keywords that no type has a place for.
func (m *schemaMaker) done() {
	for name := range m.unused {
		m.t.Errorf("there are keywords for %s, which no schema has", name)
	}
}

// named is the schema of a type under its name.
func (m *schemaMaker) named(v any) member {
	s := reflect.TypeOf(v)
	comment := strings.Join(strings.Fields(m.comments[s.Name()]), " ")
	if comment == "" {
		m.t.Errorf("%s has no comment", s.Name())
	}
	return member{s.Name(), m.structure(s).with(member{"description", comment})}
}

// structure is the schema of a struct.
func (m *schemaMaker) structure(s reflect.Type) object {
	var required []string
	var properties object
	fields := fieldsOf(s, s)
	for _, f := range fields {
		if f.always {
			required = append(required, f.name)
		}
		p := m.schemaOf(f.Type)
		if f.Type.Kind() == reflect.Pointer && f.always { // no value is null
			p[0].value = []any{p[0].value, "null"}
		}
		if refersTo(p) {
			properties = append(properties, member{f.name, p})
			continue
		}
		p = p.with(m.extra(s.Name()+"."+f.name, f.owner.Name()+"."+f.name)...)
		if text := m.comment(f, fields); text != "" && !slices.ContainsFunc(p, func(k member) bool { return k.name == "description" }) {
			p = p.with(member{"description", text})
		}
		properties = append(properties, member{f.name, p})
	}
	o := object{{"type", "object"}}
	if required != nil {
		o = append(o, member{"required", required})
	}
	return append(o.with(m.extra(s.Name())...), member{"properties", properties})
}

// extra are the keywords of the first of some names that has any.
func (m *schemaMaker) extra(names ...string) object {
	for _, name := range names {
		if k, ok := keywords[name]; ok {
			delete(m.unused, name)
			return k
		}
	}
	return nil
}

// schemaOf is the schema of a type, without what only its place says.
func (m *schemaMaker) schemaOf(v reflect.Type) object {
	if s, ok := types[v]; ok {
		return slices.Clone(s)
	}
	if slices.ContainsFunc(schemas, func(named any) bool { return reflect.TypeOf(named) == v }) {
		return ref(v.Name())
	}
	switch v.Kind() {
	case reflect.String:
		return slices.Clone(text)
	case reflect.Bool:
		return slices.Clone(boolean)
	case reflect.Int, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return slices.Clone(integer)
	case reflect.Pointer:
		return m.schemaOf(v.Elem())
	case reflect.Slice:
		return object{{"type", "array"}, {"items", m.schemaOf(v.Elem())}}
	case reflect.Struct:
		return m.structure(v)
	}
	m.t.Errorf("no schema is known for %s", v)
	return object{{"type", "null"}}
}

func refersTo(schema object) bool { return schema[0].name == "$ref" }

// field is a field of a struct as it is in JSON.
type field struct {
	reflect.StructField
	name   string
	owner  reflect.Type // the struct that has it, where another one embeds that
	always bool         // it is there whatever its value is
}

// fieldsOf are the fields that a struct has in JSON, in their order.
func fieldsOf(s, owner reflect.Type) (list []field) {
	for i := range s.NumField() {
		f := s.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			list = append(list, fieldsOf(f.Type, f.Type)...)
		case name != "" && name != "-":
			list = append(list, field{f, name, owner, !strings.Contains(options, "omit")})
		}
	}
	return list
}

// comment is what the comment of a field says, in the names that members have in JSON.
// A name in front stays as it is written there.
func (m *schemaMaker) comment(f field, fields []field) string {
	words := strings.Fields(m.comments[f.owner.Name()+"."+f.Name])
	if len(words) == 0 {
		return ""
	}
	text := strings.Join(words, " ")
	for _, other := range fields {
		text = regexp.MustCompile(`\b`+other.Name+`\b`).ReplaceAllLiteralString(text, other.name)
	}
	if first, _, _ := strings.Cut(text, " "); !slices.ContainsFunc(fields, func(other field) bool { return other.name == first }) {
		letters := []rune(text)
		letters[0] = unicode.ToUpper(letters[0])
		text = string(letters)
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
