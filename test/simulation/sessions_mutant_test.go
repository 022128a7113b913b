package simulation

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// buildMutant is a part of the shipped code, and what breaks it. The part must stand there
// once: a mutant of code that is no longer there mutates nothing.
type buildMutant struct{ name, file, part, broken string }

// sessionMutants each break what sessions need: that a node refuses revoked ones, that the
// state machine does, and that all kinds of revocations count.
var sessionMutants = []buildMutant{
	{"revoked sessions call", "node/admission/session.go", "if v.State.Revoked(", "if false && v.State.Revoked("},
	{"revoked sessions author", "log/identity/session.go", "case s.Revoked(by.Account", "case false && s.Revoked(by.Account"},
}

var mutants = flag.Bool("mutants", false, "build the nodes anew with each mutant, which takes minutes")

// TestSessionMutants builds the simulation with each mutant, and has the judge find that a
// session was taken that had ended. Without -mutants it looks only whether they still apply.
func TestSessionMutants(t *testing.T) {
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range sessionMutants {
		t.Run(m.name, func(t *testing.T) {
			path := filepath.Join(top, m.file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), m.part); n != 1 {
				t.Fatalf("%s has %q %d times", m.file, m.part, n)
			}
			if !*mutants {
				return
			}
			dir := t.TempDir()
			broken, overlay := filepath.Join(dir, "broken.go"), filepath.Join(dir, "overlay.json")
			replace, err := json.Marshal(map[string]any{"Replace": map[string]string{path: broken}})
			if err != nil {
				t.Fatal(err)
			}
			for name, content := range map[string]string{broken: strings.Replace(string(text), m.part, m.broken, 1), overlay: string(replace)} {
				if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			said, err := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-vet=off", "-timeout=30m", "-overlay="+overlay, "-run=^TestSimulation$", "-seeds=16", ".").CombinedOutput()
			if err == nil || !strings.Contains(string(said), "I19: ") {
				t.Errorf("%v, and no violation of I19 was found\n%s", err, said)
			}
		})
	}
}
