package tidy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// CheckEdges reports where the sentence about the folders at the top and the table of
// packages tell different things. Rows that may import anything are left out: what they
// import is theirs to say.
func CheckEdges(rules Rules) (violations []string) {
	told := map[string]bool{}
	for _, edge := range rules.Edges {
		told[edge] = true
	}
	inTable := map[string]bool{}
	for _, rule := range rules.Packages {
		for _, name := range rule.May {
			edge := top(rule.Package) + " -> " + top(name)
			if name == "*" || top(rule.Package) == top(name) {
				continue
			}
			inTable[edge] = true
			if !told[edge] {
				violations = append(violations, fmt.Sprintf("the table lets %s import %s, the sentence does not tell of %s", rule.Package, name, edge))
			}
		}
		if rule.Any {
			for edge := range told {
				if from, _, _ := strings.Cut(edge, " -> "); from == top(rule.Package) {
					inTable[edge] = true
				}
			}
		}
	}
	for _, edge := range slices.Sorted(maps.Keys(told)) {
		if !inTable[edge] {
			violations = append(violations, fmt.Sprintf("the sentence tells of %s, which no row of the table has", edge))
		}
	}
	if len(told) == 0 {
		violations = append(violations, "no sentence tells of the folders at the top")
	}
	return violations
}

// CheckCrossings reports imports between folders at the top that the sentence does not
// tell of.
func CheckCrossings(files []File, rules Rules) (violations []string) {
	for _, f := range files {
		if f.Test || top(f.Pkg) == "test" {
			continue
		}
		for _, p := range f.Imports() {
			ours, ok := strings.CutPrefix(p, Module+"/")
			if edge := top(f.Pkg) + " -> " + top(ours); ok && top(f.Pkg) != top(ours) && !slices.Contains(rules.Edges, edge) {
				violations = append(violations, fmt.Sprintf("%s: imports %s, and the sentence does not tell of %s", f.Path, ours, edge))
			}
		}
	}
	return violations
}

// top is the folder at the top that a package is in.
func top(pkg string) string {
	name, _, _ := strings.Cut(pkg, "/")
	return name
}

// CheckHomes reports direct requirements of go.mod without a home in the table,
// homes of what is not required, and homes that do not import what they are the home of.
// Requirements of tests alone have the home "test".
func CheckHomes(files []File, rules Rules, gomod string) (violations []string) {
	required := requirements(gomod)
	for _, module := range required {
		if _, ok := rules.Homes[homeOf(module, rules)]; !ok {
			violations = append(violations, "go.mod requires "+module+", which has no home in the table of ARCHITECTURE.md")
		}
	}
	for _, dep := range slices.Sorted(maps.Keys(rules.Homes)) {
		if !slices.ContainsFunc(required, func(module string) bool { return homeOf(module, rules) == dep }) {
			violations = append(violations, "go.mod does not require "+dep+", which has a home in the table")
			continue
		}
		for _, home := range rules.Homes[dep] {
			if !slices.ContainsFunc(files, func(f File) bool { return livesIn(f, home) && slices.ContainsFunc(f.Imports(), within(dep)) }) {
				violations = append(violations, home+" is a home of "+dep+", and does not import it")
			}
		}
	}
	return violations
}

// livesIn tells whether a file is one of a home; a test anywhere is one of "test".
func livesIn(f File, home string) bool {
	if home == "test" {
		return f.Test || top(f.Pkg) == "test"
	}
	return !f.Test && covers(home, f.Pkg)
}

// within tells whether an import is of a module.
func within(module string) func(path string) bool {
	return func(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }
}

// homeOf is the row of a module: its own, or that of the module that it is below.
func homeOf(module string, rules Rules) string {
	for dep := range rules.Homes {
		if module == dep || strings.HasPrefix(module, dep+"/") {
			return dep
		}
	}
	return module
}

// requirements lists what go.mod requires directly.
func requirements(gomod string) (list []string) {
	block := false
	for line := range strings.Lines(gomod) {
		line = strings.TrimSpace(line)
		switch line {
		case "require (":
			block = true
			continue
		case ")":
			block = false
		}
		module, single := strings.CutPrefix(line, "require ")
		if words := strings.Fields(module); (block || single) && len(words) >= 2 && !strings.Contains(line, "// indirect") {
			list = append(list, words[0])
		}
	}
	return list
}
