package tidy

import (
	"fmt"
	"go/ast"
	"path"
)

// faults is the package with the table of errors, and the one that makes codes.
const faults = "node/fault"

// CheckCodes holds that a code of node/fault is one of its table's: nobody else makes one of
// a number.
func CheckCodes(files []File) (violations []string) {
	for _, f := range files {
		if f.Pkg == faults || f.Test {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			name, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := name.X.(*ast.Ident); !ok || pkg.Name != path.Base(faults) || pkg.Obj != nil {
				return true
			}
			switch {
			case name.Sel.Name == "Code":
				violations = append(violations, fmt.Sprintf("%s: a code of %s is made of something else: name one of its table", f.Path, faults))
			case name.Sel.Name == "New" && counted(call.Args[0]):
				violations = append(violations, fmt.Sprintf("%s: %s.New takes a number: name a code of its table", f.Path, faults))
			}
			return true
		})
	}
	return violations
}

// counted tells whether an expression has a number in it.
func counted(e ast.Expr) (number bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		if _, ok := n.(*ast.BasicLit); ok {
			number = true
		}
		return !number
	})
	return number
}
