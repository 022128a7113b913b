package tidy

import (
	"fmt"
	"go/ast"
	"go/types"
	"maps"
	"slices"
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
	"node/gate.Gate.now":                   "a clock",
	"node/api/native.Config.Now":           "a clock",
	"replication/broker.Config.Admits":     "whom NATS takes",
	"replication/broker.Config.Consumers":  "whom NATS takes",
	"replication/broker.admission.admits":  "whom NATS takes",
	"replication/broker.admission.consume": "whom NATS takes",
	"replication/tail.Source.writers":      "addresses",
	"node/api.Config.Now":                  "a clock",
	"node/client.watch.deliver":            "the caller's own",
	"node/certs.Keeper.Now":                "a clock",
	"node/certs.Signer.Now":                "a clock",
	"node/decision.Config.Now":             "a clock",
	"node/dispatch.Config.Now":             "a clock",
	"node/effect.Config.Now":               "a clock",
	"node/federation/oidc.Verifier.now":    "a clock",
	"node/freshness.Config.Now":            "a clock",
	"node/lease.Renewer.clocks":            "clocks",
	"node/lease.Config.Clocks":             "clocks",
	"node/lease.Tracker.clocks":            "clocks",
	"node/embed.Config.clocks":             "clocks",
	"node/embed.Replica.clocks":            "clocks",
	"node/archive.Live.Now":                "a clock",
	"node/proof.Vouchers.now":              "a clock",
	"node/client/signed.Config.Now":        "a clock",
	"node/past.History.now":                "a clock",
	"node/past.Search.May":                 "the caller's right, in the views that a search begins and ends with",
	"node/client/signed.keys.now":          "a clock",
}

// CheckFunctionFields looks for fields of function type in code that is no test, by what
// their types are.
func CheckFunctionFields(files []File, t *Types) (violations []string, err error) {
	packages := map[string][]File{}
	for _, f := range files {
		if !f.Test && top(f.Pkg) != "test" {
			packages[f.Pkg] = append(packages[f.Pkg], f)
		}
	}
	stale := maps.Clone(functionFields)
	for _, pkg := range slices.Sorted(maps.Keys(packages)) {
		info, err := t.check(pkg, packages[pkg])
		if err != nil {
			return nil, err
		}
		for _, f := range packages[pkg] {
			for _, name := range fieldsOfFunctions(f, info) {
				delete(stale, name)
				if _, ok := functionFields[name]; !ok {
					violations = append(violations, fmt.Sprintf("%s: the field %s is a function: let its owner implement an interface of the consumer", f.Path, name))
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(stale)) {
		violations = append(violations, "there is no field "+name+" of function type; take it off the list of test/tidy")
	}
	return violations, nil
}

// fieldsOfFunctions lists the fields of a file's structs that are functions, each by its
// package, the type or function that declares the struct, and its name.
func fieldsOfFunctions(f File, info *types.Info) (names []string) {
	for _, d := range f.AST.Decls {
		owner := "var"
		if fn, ok := d.(*ast.FuncDecl); ok {
			owner = fn.Name.Name
		}
		ast.Inspect(d, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				owner = n.Name.Name
			case *ast.StructType:
				s, ok := info.Types[n].Type.(*types.Struct)
				if !ok {
					return true
				}
				for field := range s.Fields() {
					if holdsFunction(field.Type(), nil) {
						names = append(names, f.Pkg+"."+owner+"."+field.Name())
					}
				}
			}
			return true
		})
	}
	return names
}

// cancels are the functions that end a context, which any struct may keep.
var cancels = []string{"context.CancelFunc", "context.CancelCauseFunc"}

// holdsFunction tells whether a type is one of functions, or of what leads to one: a
// pointer, a list, a map, a channel, a type made for one such as atomic.Pointer. Outer are
// the types around it.
func holdsFunction(t types.Type, outer []types.Type) bool {
	if slices.Contains(outer, t) {
		return false
	}
	outer = append(outer, t)
	switch t := t.(type) {
	case *types.Signature:
		return true
	case *types.Alias:
		return holdsFunction(types.Unalias(t), outer)
	case *types.Named:
		if slices.Contains(cancels, full(t.Obj())) {
			return false
		}
		for of := range t.TypeArgs().Types() {
			if holdsFunction(of, outer) {
				return true
			}
		}
		return holdsFunction(t.Underlying(), outer)
	case *types.Pointer:
		return holdsFunction(t.Elem(), outer)
	case *types.Slice:
		return holdsFunction(t.Elem(), outer)
	case *types.Array:
		return holdsFunction(t.Elem(), outer)
	case *types.Chan:
		return holdsFunction(t.Elem(), outer)
	case *types.Map:
		return holdsFunction(t.Elem(), outer)
	}
	return false
}
