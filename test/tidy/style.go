package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Sizes that the tree keeps to.
const (
	MaxFileLines = 800
	// MaxFunctionLines is how many lines a function may have, MaxTestLines one of a test.
	MaxFunctionLines = 63
	MaxTestLines     = 100
	// MaxPackageLines is how many lines a package may have without its tests, unless
	// ARCHITECTURE.md says why it has more.
	MaxPackageLines = 2500
	// slack is by how many lines a package that is listed may fall short of what it is
	// listed with.
	slack = 250
)

// CheckSizes reports files and functions that have grown too long.
func CheckSizes(files []File) (violations []string) {
	for _, f := range files {
		lines := f.Set.Position(f.AST.End()).Line
		if lines > MaxFileLines {
			violations = append(violations, fmt.Sprintf("%s has %d lines; the most is %d", f.Path, lines, MaxFileLines))
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := f.Set.Position(fn.End()).Line - f.Set.Position(fn.Pos()).Line + 1
			most := MaxFunctionLines
			if f.Test {
				most = MaxTestLines
			}
			if n > most {
				violations = append(violations, fmt.Sprintf("%s: %s has %d lines; the most is %d", f.Path, fn.Name.Name, n, most))
			}
		}
	}
	return violations
}

// CheckPackageSizes reports packages with more lines, without tests, than they may have:
// MaxPackageLines, or what the table of ARCHITECTURE.md lists them with; and rows of the
// table that promise less than was reached.
func CheckPackageSizes(files []File, rules Rules) (violations []string) {
	lines := map[string]int{}
	for _, f := range files {
		if !f.Test {
			lines[f.Pkg] += f.Set.File(f.AST.Pos()).LineCount()
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(lines)) {
		most, listed := rules.Large[pkg]
		switch n := lines[pkg]; {
		case !listed && n > MaxPackageLines:
			violations = append(violations, fmt.Sprintf("package %s has %d lines without tests; the most is %d", pkg, n, MaxPackageLines))
		case listed && n > most:
			violations = append(violations, fmt.Sprintf("package %s has %d lines without tests; ARCHITECTURE.md lets it have %d", pkg, n, most))
		case listed && n <= MaxPackageLines:
			violations = append(violations, fmt.Sprintf("package %s has %d lines without tests; take it off the list of large packages in ARCHITECTURE.md", pkg, n))
		case listed && n < most-slack:
			violations = append(violations, fmt.Sprintf("package %s has %d lines without tests; lower the %d of ARCHITECTURE.md", pkg, n, most))
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(rules.Large)) {
		if lines[pkg] == 0 {
			violations = append(violations, "there is no large package "+pkg+"; take it off the list in ARCHITECTURE.md")
		}
	}
	return violations
}

// CheckStyle reports what house style forbids: hidden starts, the standard log,
// sleeping tests, packages and exported names without a comment.
func CheckStyle(files []File) (violations []string) {
	documented := map[string]bool{}
	for _, f := range files {
		documented[f.Pkg] = documented[f.Pkg] || f.AST.Doc != nil && !f.Test
	}
	reported := map[string]bool{}
	for _, f := range files {
		if !f.Test && !documented[f.Pkg] && !reported[f.Pkg] {
			reported[f.Pkg] = true
			violations = append(violations, fmt.Sprintf("package %s has no doc comment", f.Pkg))
		}
		if slices.Contains(f.Imports(), "log") {
			violations = append(violations, f.Path+": imports the standard log; use log/slog")
		}
		if f.Test {
			if slices.Contains(f.Imports(), "testing/synctest") {
				continue // its time passes at once
			}
			for _, call := range calls(f) {
				if call.name == "time.Sleep" {
					violations = append(violations, fmt.Sprintf("%s: a test sleeps; wait for a position, a channel or an event", f.Set.Position(call.pos)))
				}
			}
			continue
		}
		violations = append(violations, undocumented(f)...)
		violations = append(violations, undurable(f)...)
	}
	return violations
}

// writesFiles are what log/durable does for everybody: whoever puts a file in place
// without it forgets to sync the file or its directory.
var writesFiles = []string{"os.Rename", "os.Link", "os.WriteFile", "os.Create", "os.CreateTemp"}

// throwaway are the packages whose files nobody misses after a crash.
var throwaway = []string{"replication/broker"}

// undurable lists places that put files in place by themselves.
func undurable(f File) (violations []string) {
	if f.Pkg == "log/durable" || slices.Contains(throwaway, f.Pkg) || strings.HasPrefix(f.Pkg, "test/") {
		return nil
	}
	for _, call := range calls(f) {
		if slices.Contains(writesFiles, call.name) {
			violations = append(violations, fmt.Sprintf("%s: calls %s; log/durable puts files where they survive a crash", f.Set.Position(call.pos), call.name))
		}
	}
	return violations
}

// undocumented lists exported declarations without a comment, and init functions.
func undocumented(f File) (violations []string) {
	report := func(pos token.Pos, format string, args ...any) {
		violations = append(violations, fmt.Sprintf("%s: %s", f.Set.Position(pos), fmt.Sprintf(format, args...)))
	}
	for _, d := range f.AST.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				report(d.Pos(), "init function: build things where they are used")
			}
			if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil {
				report(d.Pos(), "%s has no comment", d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				for _, name := range undocumentedNames(d, spec) {
					report(spec.Pos(), "%s has no comment", name)
				}
			}
		}
	}
	return violations
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

func undocumentedNames(d *ast.GenDecl, spec ast.Spec) (list []string) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
			list = append(list, s.Name.Name)
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
				list = append(list, name.Name)
			}
		}
	}
	return list
}

// forbidden is what no file of the tree may hold: keys, and paths or hosts of the
// machine that somebody worked on. The expressions are put together so that this
// file does not hold them either.
var forbidden = map[string]*regexp.Regexp{
	"a private key":         regexp.MustCompile("-----BEGIN" + " ([A-Z]+ )?PRIVATE KEY-----\\s+[A-Za-z0-9+/]{16}"),
	"a path of one machine": regexp.MustCompile("(^|[^A-Za-z0-9:*./_-])/(work" + "/main|work" + "/shared|root" + "/go|home" + "/[a-z]+/)"),
	"a package registry":    regexp.MustCompile("proxy\\." + "golang\\.org|registry\\." + "npmjs|deb\\." + "debian\\.org"),
}

// maxText is the largest file that is searched, in bytes.
const maxText = 2 << 20

// CheckText reports files with what no file may hold.
func CheckText(root string) (violations []string, err error) {
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() {
			if slices.Contains([]string{".git", ".cache", ".cluster", "bin", "writ-dev"}, name) {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxText || d.Name() == ".git" { // a file in a linked work tree
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		for what, pattern := range forbidden {
			if m := pattern.Find(text); m != nil {
				violations = append(violations, fmt.Sprintf("%s holds %s: %q", p, what, m))
			}
		}
		return nil
	})
	return violations, err
}
