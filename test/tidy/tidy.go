// Package tidy holds the rules of the source tree that would decay if they were
// only written down: who may import whom, where an outside dependency lives, what
// the pure packages must not touch, sizes, and documentation. The tables are read
// from ARCHITECTURE.md, so that page and code cannot differ.
package tidy

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Module is the path of the module that the rules are about.
const Module = "github.com/writ-iam/writ"

// Rules are the tables of ARCHITECTURE.md.
type Rules struct {
	Packages []Rule              // in order of the table
	Homes    map[string][]string // outside module path -> packages that may import it
	Edges    []string            // between folders at the top, "log -> node", in order of the page
	Large    map[string]int      // package -> lines that it may have, of those over MaxPackageLines
}

// Rule says what a package may import of ours; Any stands for everything, a name
// with /... at its end for a package and those below it.
type Rule struct {
	Package string
	May     []string
	Any     bool
	Pure    bool // without I/O, clock and randomness
}

// may tells whether the rule lets a package be imported.
func (r Rule) may(pkg string) bool {
	return r.Any || slices.ContainsFunc(r.May, func(name string) bool { return covers(name, pkg) })
}

// covers tells whether a name of the tables, with or without /..., stands for a package.
func covers(name, pkg string) bool {
	top, below := strings.CutSuffix(name, "/...")
	return pkg == top || below && strings.HasPrefix(pkg, top+"/")
}

var code = regexp.MustCompile("`([^`]+)`")

// ReadRules reads the tables of ARCHITECTURE.md.
func ReadRules(page string) (Rules, error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return Rules{}, fmt.Errorf("read the import table: %w", err)
	}
	rules := Rules{Homes: map[string][]string{}, Large: map[string]int{}, Edges: readEdges(string(text))}
	table := ""
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		switch {
		case !strings.HasPrefix(line, "|"):
			table = ""
		case table == "":
			table = strings.TrimSpace(cells[0])
		case strings.HasPrefix(line, "| ---"):
		case table == "Package":
			r := Rule{Package: names(cells[0])[0], May: names(cells[2])}
			r.Any, r.Pure = slices.Contains(r.May, "*"), strings.HasSuffix(strings.TrimSpace(cells[1]), "Pure.")
			rules.Packages = append(rules.Packages, r)
		case table == "Dependency":
			for _, dep := range names(cells[0]) {
				rules.Homes[dep] = names(cells[1])
			}
		case table == "Large package":
			lines, err := strconv.Atoi(strings.ReplaceAll(strings.TrimSpace(cells[1]), ",", ""))
			if err != nil || strings.TrimSpace(cells[2]) == "" {
				return Rules{}, fmt.Errorf("read the sizes of packages: %q: want a package, its lines and why", line)
			}
			rules.Large[names(cells[0])[0]] = lines
		}
	}
	if len(rules.Packages) == 0 || len(rules.Homes) == 0 {
		return Rules{}, fmt.Errorf("no import table in %s", page)
	}
	return rules, nil
}

// edgesSentence is where ARCHITECTURE.md says which folders at the top import which.
var edgesSentence = regexp.MustCompile(`(?s)Between the top-level folders: (.*?)\.`)

// readEdges reads that sentence; `node -> log, projection` is two edges.
func readEdges(text string) (edges []string) {
	sentence := edgesSentence.FindStringSubmatch(text)
	if sentence == nil {
		return nil
	}
	for _, piece := range names(sentence[1]) {
		from, to, _ := strings.Cut(piece, " -> ")
		for name := range strings.SplitSeq(to, ",") {
			edges = append(edges, from+" -> "+strings.TrimSpace(name))
		}
	}
	return edges
}

func names(cell string) (list []string) {
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		list = append(list, m[1])
	}
	return list
}

// rule finds what binds a package: its own row, or that of "test" for all below it.
func (r Rules) rule(pkg string) (Rule, bool) {
	if strings.HasPrefix(pkg, "test/") {
		pkg = "test"
	}
	i := slices.IndexFunc(r.Packages, func(rule Rule) bool { return rule.Package == pkg })
	if i < 0 {
		return Rule{}, false
	}
	return r.Packages[i], true
}

// File is one parsed source file.
type File struct {
	Path string // relative to the root, with slashes
	Test bool   // is a _test.go
	Pkg  string // directory relative to the root
	AST  *ast.File
	Set  *token.FileSet
}

// Scan parses all Go files below root that belong to the module.
func Scan(root string) (files []File, err error) {
	set := token.NewFileSet()
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if name := d.Name(); rel != "." && (strings.HasPrefix(name, ".") || name == "testdata" || exists(filepath.Join(p, "go.mod"))) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		f, err := parser.ParseFile(set, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse %s: %w", rel, err)
		}
		files = append(files, File{Path: rel, Test: strings.HasSuffix(rel, "_test.go"), Pkg: path.Dir(rel), AST: f, Set: set})
		return nil
	})
	return files, err
}

func exists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}

// Imports are the import paths of a file.
func (f File) Imports() (list []string) {
	for _, spec := range f.AST.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil { // the parser has seen to that
			panic(err)
		}
		list = append(list, p)
	}
	return list
}

// CheckImports reports what leaves the tables. Test files may import any package
// of ours, and what tests need from outside.
func CheckImports(files []File, rules Rules) (violations []string) {
	for _, f := range files {
		rule, known := rules.rule(f.Pkg)
		if !known {
			violations = append(violations, fmt.Sprintf("%s: package %s is not in the import table of ARCHITECTURE.md", f.Path, f.Pkg))
			continue
		}
		if f.Test || rule.Package == "test" {
			continue
		}
		for _, p := range f.Imports() {
			if ours, ok := strings.CutPrefix(p, Module+"/"); ok {
				if !rule.may(ours) || ours == "test" || strings.HasPrefix(ours, "test/") || top(ours) == "cmd" && top(f.Pkg) != "cmd" {
					violations = append(violations, fmt.Sprintf("%s: %s may not import %s", f.Path, f.Pkg, ours))
				}
			} else if strings.Contains(strings.Split(p, "/")[0], ".") && !rules.atHome(p, f.Pkg) {
				violations = append(violations, fmt.Sprintf("%s: %s is no home of %s", f.Path, f.Pkg, p))
			}
		}
	}
	return violations
}

// CheckIdle reports what rows of the table let a package import though nothing of it does,
// for what a table allows beyond the need is a door that nobody watches. Rows of `*` may.
func CheckIdle(files []File, rules Rules) (violations []string) {
	imported := map[string][]string{}
	for _, f := range files {
		if !f.Test {
			imported[f.Pkg] = append(imported[f.Pkg], f.Imports()...)
		}
	}
	for _, rule := range rules.Packages {
		if rule.Any {
			continue
		}
		for _, name := range rule.May {
			if !slices.ContainsFunc(imported[rule.Package], func(p string) bool { ours, ok := strings.CutPrefix(p, Module+"/"); return ok && covers(name, ours) }) {
				violations = append(violations, fmt.Sprintf("the table lets %s import %s, which it does not; take it off the row", rule.Package, name))
			}
		}
	}
	return violations
}

// atHome says whether a package may import an outside one.
func (r Rules) atHome(dep, pkg string) bool {
	for module, homes := range r.Homes {
		if dep != module && !strings.HasPrefix(dep, module+"/") {
			continue
		}
		if len(homes) == 0 { // "anywhere but the pure packages"
			rule, _ := r.rule(pkg)
			return !rule.Pure
		}
		for _, home := range homes {
			if covers(home, pkg) {
				return true
			}
		}
	}
	return false
}

type namedCall struct {
	name string
	pos  token.Pos
}

// calls lists the selectors pkg.Name that a file uses. A package has the last part of
// its path for a name, whatever the file calls it.
func calls(f File) (list []namedCall) {
	named := f.renamed()
	ast.Inspect(f.AST, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				list = append(list, namedCall{cmp.Or(named[x.Name], x.Name) + "." + sel.Sel.Name, sel.Pos()})
			}
		}
		return true
	})
	return list
}

// renamed are the packages that a file imports under another name.
func (f File) renamed() map[string]string {
	names := map[string]string{}
	for _, spec := range f.AST.Imports {
		if spec.Name != nil {
			names[spec.Name.Name] = path.Base(strings.Trim(spec.Path.Value, "`\""))
		}
	}
	return names
}
