package api_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/model"
	"github.com/writ-iam/writ/node/api/sts"
)

// TestNoMemberIsIgnored finds every member of the inputs of the actions that are
// built, by the models and by the SDK's types, in the code of the actions: each is
// used there, or refused. And what the SDK sends, the models know: a member that they
// lack would be passed over before any action sees it.
func TestNoMemberIsIgnored(t *testing.T) {
	read, names := membersRead(t, "iam", "sts")
	all := slices.Concat(iam.Actions(), sts.Actions())
	if len(all) < 80 {
		t.Fatalf("%d actions", len(all))
	}
	for i := range all {
		a := &all[i]
		service := model.IAM()
		if a.Service == sts.Service {
			service = model.STS()
		}
		input := reflect.TypeOf(a.New()).Elem()
		members := map[string]bool{}
		if shape := service.Operation(a.Name).Input; shape != nil {
			checkMembers(t, input, shape, nil)
			for f := range input.NumField() {
				if m := shape.Field(input.Field(f).Name); m != nil {
					checkMembers(t, input.Field(f).Type, m.Shape, names)
				}
			}
			for _, m := range shape.Fields {
				members[strings.ToUpper(m.Name[:1])+m.Name[1:]] = true
			}
		}
		for name := range members {
			if key := input.Name() + "." + name; !read[key] {
				t.Errorf("%s: no code reads %s", a.Name, name)
			}
		}
	}
}

// newer are members of later models than the one that there is here.
var newer = map[string]bool{"MinimumSessionTokenSize": true}

// checkMembers finds each field of an SDK's struct in the model, down to the last, and
// its name among those that the code reads of anything, if there are names.
func checkMembers(t *testing.T, input reflect.Type, shape *model.Shape, names map[string]bool) {
	t.Helper()
	for input.Kind() == reflect.Pointer || input.Kind() == reflect.Slice {
		input = input.Elem()
	}
	for shape.Kind == model.List {
		shape = shape.Element
	}
	if shape.Kind != model.Structure || input.Kind() != reflect.Struct { // a union is checked by package query
		return
	}
	for f := range input.NumField() {
		field := input.Field(f)
		if !field.IsExported() || field.Name == "ResultMetadata" {
			continue
		}
		m := shape.Field(field.Name)
		if m == nil { // a few have small first letters
			m = shape.Field(strings.ToLower(field.Name[:1]) + field.Name[1:])
		}
		if m == nil && newer[field.Name] {
			continue
		}
		if m == nil {
			t.Errorf("the model of %s has no %s", shape.Name, field.Name)
			continue
		}
		if names != nil && !names[field.Name] {
			t.Errorf("no code reads %s of a %s", field.Name, shape.Name)
		}
		checkMembers(t, field.Type, m.Shape, names)
	}
}

// membersRead are the fields of the SDK's inputs that the code of packages reads, such
// as "CreateUserInput.Path". A function gets an input as a parameter in, of a type
// that it names. names are those of all fields that it reads.
func membersRead(t *testing.T, packages ...string) (read, names map[string]bool) {
	read, names = map[string]bool{}, map[string]bool{}
	for _, dir := range packages {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					if n.Body != nil {
						fieldsOfInputs(n.Type, n.Body, read)
					}
				case *ast.FuncLit:
					fieldsOfInputs(n.Type, n.Body, read)
				case *ast.SelectorExpr:
					names[n.Sel.Name] = true
				}
				return true
			})
		}
	}
	return read, names
}

// fieldsOfInputs notes the fields that a function reads of its inputs.
func fieldsOfInputs(f *ast.FuncType, body *ast.BlockStmt, read map[string]bool) {
	inputs := map[string]string{} // type by parameter
	for _, p := range f.Params.List {
		star, ok := p.Type.(*ast.StarExpr)
		if !ok {
			continue
		}
		if sel, ok := star.X.(*ast.SelectorExpr); ok && strings.HasSuffix(sel.Sel.Name, "Input") {
			for _, name := range p.Names {
				inputs[name.Name] = sel.Sel.Name
			}
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && inputs[x.Name] != "" {
				read[inputs[x.Name]+"."+sel.Sel.Name] = true
			}
		}
		return true
	})
}
