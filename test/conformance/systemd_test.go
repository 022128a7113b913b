package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// maxExposure is ten times what systemd calls the exposure level of a service: 0 to 100.
const maxExposure = "15"

// TestSystemdUnit checks the unit of docs/deploy: systemd understands it, it gives a node no more
// than it needs, and the program has the flags that it uses.
func TestSystemdUnit(t *testing.T) {
	const unit = "../../docs/deploy/systemd/writ@.service"
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	help, err := exec.Command(program, "serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, command, _ := strings.Cut(string(text), "ExecStart=")
	flags := regexp.MustCompile(` --[a-z-]+`).FindAllString(command, -1)
	if len(flags) < 5 {
		t.Errorf("the unit has the flags %v", flags)
	}
	for _, flag := range flags {
		if !strings.Contains(string(help), flag+" ") {
			t.Errorf("serve has no flag%s", flag)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze on this machine")
	}
	copied := filepath.Join(t.TempDir(), "writ@.service")
	if err := os.WriteFile(copied, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/writ", program)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify"}, {"security", "--offline=true", "--threshold=" + maxExposure}} {
		if out, err := exec.Command(analyze, append(args, copied)...).CombinedOutput(); err != nil {
			t.Errorf("systemd-analyze %v: %v\n%s", args, err, out)
		}
	}
}
