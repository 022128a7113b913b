package tidy

import (
	"cmp"
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
)

// folding are the functions that compare or change letters without regard to case. Keys
// of tags and of conditions are compared by log/casefold and nothing else.
var folding = []string{
	"strings.EqualFold", "strings.ToLower", "strings.ToUpper", "strings.ToTitle", "strings.ToLowerSpecial", "strings.ToUpperSpecial",
	"bytes.EqualFold", "bytes.ToLower", "bytes.ToUpper",
	"unicode.ToLower", "unicode.ToUpper", "unicode.ToTitle", "unicode.SimpleFold", "unicode.To",
	"Lower", "policy.Lower", "lower", "lowered", // of projection/policy and log/identity, for ASCII
}

// unfolded are the functions that have to do with the case of something else.
var unfolded = map[string]string{
	"log/casefold.fold":                        "the one place",
	"log/casefold.Key":                         "the one place",
	"node/bridge/proxy.shown":                  "the scheme of Authorization",
	"node/bridge/proxy.hostOf":                 "host names, which are ASCII",
	"log/identity.title":                       "the noun in a message",
	"log/identity.lower":                       "names of users, roles and so on, which are ASCII",
	"log/identity.find":                        "names",
	"log/identity.add":                         "names",
	"log/identity.remove":                      "names",
	"log/identity.each":                        "names",
	"log/identity.below":                       "names",
	"log/identity.addAccount":                  "names",
	"log/identity.addHeld":                     "names",
	"log/identity.key":                         "names",
	"log/identity.oldTag":                      "tags in events, in which Decide has resolved all other spellings",
	"projection/policy.AppendFold":             "actions",
	"projection/policy.globFold":               "actions",
	"projection/policy.globFoldFrom":           "actions",
	"projection/policy/syntax.EffectOf":        "Allow and Deny",
	"projection/policy/scalar.ParseBool":       "true and false",
	"projection/policy.matchFold":              "values of StringEqualsIgnoreCase",
	"projection/policy.foldPrefix":             "values of StringEqualsIgnoreCase",
	"projection/policy/valid.isUniqueID":       "unique identifiers",
	"projection/policy/valid.InvalidPrincipal": "a type in a message",
	"projection/policy/lint.lintARN":           "services in ARNs",
	"projection/policy/catalogue.BuiltinNames": "actions",
	"projection/policy/catalogue.slip":         "names that are nearly right",
	"projection/authz.free":                    "actions",
	"projection/authz.Assumes":                 "actions",
	"projection/authz.strict":                  "actions",
	"projection/authz.restricted":              "actions",
	"projection/policy/diff.covers":            "actions",
	"projection/policy/diff.distinct":          "actions",
	"projection/policy/diff.mayMeet":           "actions",
	"projection/policy/diff.steps":             "actions",
	"node/password.defaultViolation":           "a password that is the name of its user",
	"node/dispatch.lane":                       "names of users, roles and so on, which are ASCII",
	"node/api/iam.letsThrough":                 "a filter",
	"node/managed.byName":                      "names of policies, which are ASCII",
	"node/api/model.shape":                     "members of the model",
	"node/api/query.scalar":                    "true and false",
	"node/api/query.buildField":                "members of structs",
	"node/sigv4.headersToSign":                 "headers",
	"node/sigv4.ParseAs":                       "headers",
	"node/received.CheckService":               "services in signatures, which are ASCII",
	"node/client/signed.newChunked":            "headers",
	"node/client/signed.readTrailers":          "headers",
	"node/client/signed.ask":                   "headers",
	"node/client/signed.dropCoding":            "codings",
	"node/trace.FromEnvironment":               "true and false",
	"cmd/writ.fillFlags":                       "environment variables",
}

// CheckFolding reports functions that fold letters and are not known to do so with
// something else than keys, and known ones that no longer do.
func CheckFolding(files []File) (violations []string) {
	stale := maps.Clone(unfolded)
	for _, f := range files {
		if f.Test || f.Pkg == "test" || strings.HasPrefix(f.Pkg, "test/") {
			continue
		}
		for _, d := range f.AST.Decls {
			where := f.Pkg + ".var"
			if fn, ok := d.(*ast.FuncDecl); ok {
				where = f.Pkg + "." + fn.Name.Name
			}
			for _, call := range folds(d, f.renamed()) {
				delete(stale, where)
				if _, ok := unfolded[where]; !ok {
					violations = append(violations, fmt.Sprintf("%s: %s calls %s; keys are compared by log/casefold, and what else it folds belongs into the list of test/tidy",
						f.Set.Position(call.pos), where, call.name))
				}
			}
		}
	}
	for _, where := range slices.Sorted(maps.Keys(stale)) {
		violations = append(violations, where+" folds nothing; take it off the list of test/tidy")
	}
	return violations
}

// folds lists the uses of folding in a declaration.
func folds(d ast.Decl, renamed map[string]string) (list []namedCall) {
	ast.Inspect(d, func(n ast.Node) bool {
		name := ""
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok {
				name = cmp.Or(renamed[x.Name], x.Name) + "." + n.Sel.Name
			}
		case *ast.CallExpr:
			if x, ok := n.Fun.(*ast.Ident); ok {
				name = x.Name
			}
		}
		if slices.Contains(folding, name) {
			list = append(list, namedCall{name, n.Pos()})
		}
		return true
	})
	return list
}
