package tidy

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// functionFields are the fields of function type that stand in shipped code, each with
// what it is. None of them is on the way of a request, which "go to definition" must be
// able to follow: there, an interface of the consumer stands.
var functionFields = map[string]string{
	"log.fsm.restored":                     "a bell",
	"log/store.Options.Failed":             "a bell",
	"log.Config.Backfill":                  "what a writer's store lacks, from others",
	"node.Machine.Listen":                  "the network, in simulations another",
	"node.Machine.Dial":                    "the network, in simulations another",
	"node.Machine.Now":                     "a clock",
	"node.Machine.Clocks":                  "clocks",
	"node.Node.clocks":                     "clocks",
	"node/admission.Config.Now":            "a clock",
	"node/admission.Gate.now":              "a clock",
	"node/api/native.Config.Now":           "a clock",
	"replication/broker.Config.Admits":     "whom NATS takes",
	"replication/broker.Config.Consumers":  "whom NATS takes",
	"replication/broker.admission.admits":  "whom NATS takes",
	"replication/broker.admission.consume": "whom NATS takes",
	"replication/tail.Source.writers":      "addresses",
	"node/api.Config.Now":                  "a clock",
	"node/client.watch.deliver":            "the caller's own",
	"node/decision.Config.Now":             "a clock",
	"node/dispatch.Config.Now":             "a clock",
	"node/effect.Config.Now":               "a clock",
	"node/freshness.Config.Now":            "a clock",
	"node/lease.Renewer.clocks":            "clocks",
	"node/lease.Config.Clocks":             "clocks",
	"node/lease.Tracker.clocks":            "clocks",
	"node/proof.Vouchers.now":              "a clock",
}

// CheckFunctionFields looks for fields of function type in shipped code.
func CheckFunctionFields(files []File) (violations []string) {
	var seen []string
	named := functionTypes(files)
	for _, f := range files {
		if f.Test || !shipped(f.Pkg) {
			continue
		}
		for _, d := range f.AST.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				t, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				for _, field := range fieldsOfFunctions(t, named[f.Pkg]) {
					name := f.Pkg + "." + t.Name.Name + "." + field
					seen = append(seen, name)
					if _, ok := functionFields[name]; !ok {
						violations = append(violations, fmt.Sprintf("%s: the field %s is a function: let its owner implement an interface of the consumer", f.Path, name))
					}
				}
			}
		}
	}
	for name := range functionFields {
		if !slices.Contains(seen, name) {
			violations = append(violations, "there is no field "+name+" of function type; take it off the list of test/tidy")
		}
	}
	slices.Sort(violations)
	return violations
}

// shipped tells whether a package is part of what users run.
func shipped(pkg string) bool {
	top, _, _ := strings.Cut(pkg, "/")
	return top != "test" && top != "cmd"
}

// functionTypes lists the types of each package that are functions.
func functionTypes(files []File) map[string][]string {
	named := map[string][]string{}
	for _, f := range files {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if t, ok := n.(*ast.TypeSpec); ok {
				if _, ok := t.Type.(*ast.FuncType); ok && !f.Test {
					named[f.Pkg] = append(named[f.Pkg], t.Name.Name)
				}
			}
			return true
		})
	}
	return named
}

// isFunction tells whether a type is one of functions, or a list or map of them.
func isFunction(t ast.Expr, named []string) bool {
	switch t := t.(type) {
	case *ast.FuncType:
		return true
	case *ast.Ident:
		return slices.Contains(named, t.Name)
	case *ast.ArrayType:
		return isFunction(t.Elt, named)
	case *ast.MapType:
		return isFunction(t.Value, named)
	}
	return false
}

// fieldsOfFunctions lists the fields of a struct that are functions.
func fieldsOfFunctions(t *ast.TypeSpec, named []string) (names []string) {
	s, ok := t.Type.(*ast.StructType)
	if !ok {
		return nil
	}
	for _, field := range s.Fields.List {
		if !isFunction(field.Type, named) {
			continue
		}
		for _, n := range field.Names {
			names = append(names, n.Name)
		}
	}
	return names
}
