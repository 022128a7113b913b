//go:build !mutants

package propagation

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMutants builds this package once more with the branches that break rules, which
// testdata/mutants.diff puts into the shipped code, and has the simulation find each
// rule that is broken. The rules themselves are code of that build, and of tests in
// this one.
func TestMutants(t *testing.T) {
	t.Parallel()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	diff, err := os.ReadFile("testdata/mutants.diff")
	if err != nil {
		t.Fatal(err)
	}
	changed, err := applied(string(diff), os.ReadFile)
	if err != nil {
		t.Fatalf("testdata/mutants.diff is of another text: %v", err)
	}
	out := t.TempDir()
	replace := map[string]string{
		filepath.Join(here, "rules.go"):      filepath.Join(here, "rules_test.go"),
		filepath.Join(here, "rules_test.go"): "", // is rules.go there
	}
	for name, text := range changed {
		replace[filepath.Join(here, name)] = filepath.Join(out, name)
		if err := os.WriteFile(filepath.Join(out, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(out, "overlay.json")
	if err := os.WriteFile(path, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-vet=off", "-timeout=30m", "-tags=mutants", "-overlay="+path, "-run=^TestEachMutant$", "-v", ".").CombinedOutput()
	found := strings.Count(string(said), "    --- PASS: TestEachMutant/")
	if err != nil || found == 0 {
		t.Fatalf("%v, %d mutants were found\n%s", err, found, said)
	}
	t.Logf("%d mutants were found", found)
}

// applied returns the files that a unified diff changes, as it changes them. Each hunk
// must find its text once: a mutant of code that is no longer there mutates nothing.
func applied(diff string, read func(name string) ([]byte, error)) (map[string]string, error) {
	changed, name := map[string]string{}, ""
	hunks := strings.Split("\n"+diff, "\n@@ ")
	for i, hunk := range hunks {
		head, body, _ := strings.Cut(hunk, "\n")
		body, next, more := strings.Cut(body, "\n--- ")
		if i == 0 {
			next, more = strings.CutPrefix(hunk, "\n--- ")
		} else {
			before, after := sides(body)
			if n := strings.Count(changed[name], before); n != 1 {
				return nil, fmt.Errorf("%s: the text of @@ %s is there %d times:\n%s", name, head, n, before)
			}
			changed[name] = strings.Replace(changed[name], before, after, 1)
		}
		if !more {
			continue
		}
		name, _, _ = strings.Cut(next, "\n")
		if _, twice := changed[name]; twice {
			return nil, fmt.Errorf("%s stands twice", name)
		}
		text, err := read(name)
		if err != nil {
			return nil, fmt.Errorf("read what is to be mutated: %w", err)
		}
		changed[name] = string(text)
	}
	if len(changed) == 0 {
		return nil, errors.New("the diff is empty")
	}
	return changed, nil
}

// sides are the texts of a hunk before and after.
func sides(hunk string) (before, after string) {
	for line := range strings.Lines(strings.TrimSuffix(hunk, "\n") + "\n") {
		switch rest := line[1:]; line[0] {
		case ' ':
			before, after = before+rest, after+rest
		case '-':
			before += rest
		case '+':
			after += rest
		}
	}
	return before, after
}

func TestMutantsOfOtherText(t *testing.T) {
	const diff = "--- a.go\n+++ a.go\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n@@ -7 +7 @@\n-four\n+five\n"
	for text, want := range map[string]string{
		"one\ntwo\nfour\n":       "one\nthree\nfive\n",
		"one\n2\nfour\n":         "",
		"one\ntwo\n":             "",
		"four\none\ntwo\nfour\n": "",
	} {
		changed, err := applied(diff, func(string) ([]byte, error) { return []byte(text), nil })
		if changed["a.go"] != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, changed, err)
		}
	}
	if _, err := applied("", os.ReadFile); err == nil {
		t.Error("an empty diff passes")
	}
	if _, err := applied("--- none.go\n+++ none.go\n@@ -1 +1 @@\n-a\n+b\n", os.ReadFile); err == nil {
		t.Error("a file that is not there passes")
	}
}

// TestRulesAreBroken holds that each rule is broken by some branch of the diff or of the
// simulation.
func TestRulesAreBroken(t *testing.T) {
	read := func(names ...string) (all string) {
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all += string(text)
		}
		return all
	}
	branches := read("testdata/mutants.diff", "sim_leader_test.go", "sim_replica_test.go", "sim_test.go")
	mutants := read("each_mutant_test.go")
	rules := 0
	for line := range strings.Lines(read("rules_test.go")) {
		words := strings.Fields(line)
		if len(words) == 0 || !strings.HasPrefix(words[0], "rule") {
			continue
		}
		rules++
		isWord := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
		for where, text := range map[string]string{"no branch breaks it": branches, "no mutant breaks it": mutants} {
			if !slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return !isWord(r) }), words[0]) {
				t.Errorf("%s: %s", words[0], where)
			}
		}
	}
	if rules == 0 {
		t.Error("no rules")
	}
}
