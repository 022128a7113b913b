package tidy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// impurePackages are what pure packages must not import.
var impurePackages = []string{
	"bufio", "context", "crypto/rand", "embed", "expvar", "io/fs", "io/ioutil", "log", "log/slog", "math/rand", "math/rand/v2",
	"net", "net/http", "os", "os/exec", "os/signal", "os/user", "path/filepath", "plugin", "runtime", "runtime/coverage", "runtime/debug", "runtime/metrics",
	"runtime/pprof", "runtime/trace", "sync", "sync/atomic", "syscall", "unsafe", "weak",
}

// impureNames are what they must not use of other packages: the clock, timers, and what
// depends on the machine that it runs on.
var impureNames = []string{
	"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc", "time.NewTimer", "time.NewTicker", "time.Tick",
	"time.Local", "time.LoadLocation", "time.Time.Local", "print", "println", "fmt.Print", "fmt.Printf", "fmt.Println", "fmt.Scan", "fmt.Scanf", "fmt.Scanln",
	"hash/maphash.MakeSeed", "hash/maphash.String", "hash/maphash.Bytes", "hash/maphash.Comparable",
}

// inLocalZone are the functions that make times in the zone of the machine. UTC() has to
// follow at once.
var inLocalZone = []string{"time.Unix", "time.UnixMilli", "time.UnixMicro"}

// unordered are the functions of pure packages that go through a map in whatever order
// it has, and why nothing depends on it.
var unordered = map[string]string{
	"projection/policy/catalogue.Builtin":      "it fills maps, and lists of one service each",
	"projection/policy/catalogue.BuiltinNames": "it fills maps, and lists of one service each",
	"projection/policy/syntax.Name":            "a type has one name",
}

// Types checks packages against what they import.
type Types struct{ exports map[string]string }

// LoadTypes reads where the compiled packages of the module at root, and of what it
// imports, are.
func LoadTypes(root string) (*Types, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export", "./...")
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	t := &Types{map[string]string{}}
	for list := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ ImportPath, Export string }
		err := list.Decode(&p)
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the list of packages: %w", err)
		}
		t.exports[p.ImportPath] = p.Export
	}
}

// check finds out what the names in the files of one package mean.
func (t *Types) check(pkg string, files []File) (*types.Info, error) {
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
	var parsed []*ast.File
	for _, f := range files {
		built, err := build.Default.MatchFile(filepath.Split(f.Set.Position(f.AST.Package).Filename))
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", pkg, err)
		}
		if built { // else it is for another system
			parsed = append(parsed, f.AST)
		}
	}
	config := types.Config{Importer: importer.ForCompiler(files[0].Set, "gc", func(path string) (io.ReadCloser, error) {
		if t.exports[path] == "" {
			return nil, fmt.Errorf("no compiled package %s", path)
		}
		return os.Open(t.exports[path])
	})}
	if _, err := config.Check(Module+"/"+pkg, files[0].Set, parsed, info); err != nil {
		return nil, fmt.Errorf("check %s: %w", pkg, err)
	}
	return info, nil
}

// CheckPurity reports where the packages that the table calls pure touch the world, by
// what their names mean, whatever they are called where they are used; and where they
// go through a map, since its order is another each time.
func CheckPurity(files []File, rules Rules, t *Types) (violations []string, err error) {
	packages := map[string][]File{}
	for _, f := range files {
		if rule, _ := rules.rule(f.Pkg); rule.Pure && !f.Test {
			packages[f.Pkg] = append(packages[f.Pkg], f)
		}
	}
	stale := maps.Clone(unordered)
	for _, pkg := range slices.Sorted(maps.Keys(packages)) {
		info, err := t.check(pkg, packages[pkg])
		if err != nil {
			return nil, err
		}
		for _, f := range packages[pkg] {
			violations = append(violations, impure(f, info)...)
			for _, found := range mapOrders(f, info) {
				delete(stale, found.name)
				if _, ok := unordered[found.name]; !ok {
					violations = append(violations, fmt.Sprintf("%s: %s goes through a map, in pure code; sort its keys, or say in the list of test/tidy why no order shows",
						f.Set.Position(found.pos), found.name))
				}
			}
		}
	}
	for _, where := range slices.Sorted(maps.Keys(stale)) {
		violations = append(violations, where+" goes through no map; take it off the list of test/tidy")
	}
	return violations, nil
}

// impure lists what a file uses of the world.
func impure(f File, info *types.Info) (violations []string) {
	for _, p := range f.Imports() {
		if slices.Contains(impurePackages, p) {
			violations = append(violations, fmt.Sprintf("%s: a pure package imports %s", f.Path, p))
		}
	}
	zoned := map[ast.Expr]bool{} // what makes a time of which UTC() is called
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if call, ok := n.X.(*ast.CallExpr); ok && full(info.Uses[n.Sel]) == "time.Time.UTC" {
				zoned[nameIn(call.Fun)] = true
			}
		case *ast.GoStmt, *ast.SelectStmt:
			violations = append(violations, fmt.Sprintf("%s: a pure package starts a goroutine or waits for one", f.Set.Position(n.Pos())))
		case *ast.Ident:
			switch name := full(info.Uses[n]); {
			case slices.Contains(impureNames, name):
				violations = append(violations, fmt.Sprintf("%s: a pure package uses %s", f.Set.Position(n.Pos()), name))
			case slices.Contains(inLocalZone, name) && !zoned[n]:
				violations = append(violations, fmt.Sprintf("%s: a pure package uses %s without UTC() after it", f.Set.Position(n.Pos()), name))
			}
		}
		return true
	})
	return violations
}

// nameIn is the name that an expression ends in, as a call's function does.
func nameIn(e ast.Expr) ast.Expr {
	if sel, ok := e.(*ast.SelectorExpr); ok {
		return sel.Sel
	}
	return e
}

// full is the name of something that a package declares, with the package's path and,
// of a method, its type; of what the language declares, the name alone.
func full(o types.Object) string {
	switch o := o.(type) {
	case *types.Builtin:
		return o.Name()
	case *types.Func:
		recv := o.Signature().Recv()
		if recv == nil {
			break
		}
		t := recv.Type()
		if p, ok := t.(*types.Pointer); ok {
			t = p.Elem()
		}
		if named, ok := t.(*types.Named); ok && o.Pkg() != nil {
			return o.Pkg().Path() + "." + named.Obj().Name() + "." + o.Name()
		}
		return ""
	}
	if o == nil || o.Pkg() == nil || o.Parent() != o.Pkg().Scope() {
		return ""
	}
	return o.Pkg().Path() + "." + o.Name()
}

// mapOrders lists the ranges over maps, and over what package maps makes of them; not
// those of which the keys are sorted at once.
func mapOrders(f File, info *types.Info) (list []namedCall) {
	for _, d := range f.AST.Decls {
		where := f.Pkg + ".var"
		if fn, ok := d.(*ast.FuncDecl); ok {
			where = f.Pkg + "." + fn.Name.Name
		}
		ast.Inspect(d, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.RangeStmt:
				if isMap(info.Types[n.X].Type) && !counts(n) {
					list = append(list, namedCall{where, n.Pos()})
				}
			case *ast.CallExpr:
				if sorts(n, info) {
					return false
				}
				if sel, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"maps.Keys", "maps.Values", "maps.All"}, full(info.Uses[sel.Sel])) {
					list = append(list, namedCall{where, n.Pos()})
				}
			}
			return true
		})
	}
	return list
}

// counts tells that a range looks at neither keys nor values.
func counts(n *ast.RangeStmt) bool { return n.Key == nil && n.Value == nil }

// sorts tells that a call puts what it gets in order, as slices.Sorted does.
func sorts(call *ast.CallExpr, info *types.Info) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && strings.HasPrefix(full(info.Uses[sel.Sel]), "slices.Sorted")
}

// isMap tells whether a type is a map, or one of its parameters can only be a map.
func isMap(t types.Type) bool {
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Map)
	if p, isParam := t.(*types.TypeParam); isParam {
		_, ok = coreOf(p).(*types.Map)
	}
	return ok
}

// coreOf is the type that all types of a type parameter have, nil without one.
func coreOf(p *types.TypeParam) (core types.Type) {
	constraint, ok := p.Underlying().(*types.Interface)
	if !ok || constraint.NumEmbeddeds() != 1 {
		return nil
	}
	switch of := constraint.EmbeddedType(0).(type) {
	case *types.Union:
		if of.Len() == 1 {
			return of.Term(0).Type().Underlying()
		}
	default:
		return of.Underlying()
	}
	return nil
}
