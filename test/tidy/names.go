package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

// CheckNames holds that no two types of a package differ in the case of their letters alone:
// a reader who hears one takes it for the other.
func CheckNames(files []File) (violations []string) {
	seen := map[string]string{} // the name with its package, folded, to the name
	for _, f := range files {
		if f.Test {
			continue
		}
		for _, d := range f.AST.Decls {
			types, ok := d.(*ast.GenDecl)
			if !ok || types.Tok != token.TYPE {
				continue
			}
			for _, s := range types.Specs {
				name := s.(*ast.TypeSpec).Name.Name
				key := f.Pkg + "." + strings.ToLower(name)
				if other, ok := seen[key]; ok && other != name {
					violations = append(violations, fmt.Sprintf("%s: the types %s and %s differ in the case of their letters alone: name one of them otherwise", f.Path, name, other))
				}
				seen[key] = name
			}
		}
	}
	return violations
}
