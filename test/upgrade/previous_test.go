package upgrade

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// root is the path to the module's root.
const root = "../.."

// thePrevious is the previous release's binary; without its sources the test is skipped.
func thePrevious(t *testing.T) string {
	t.Helper()
	binary, err := Previous(t.Context(), root)
	if errors.Is(err, ErrNoHistory) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// TestPrevious builds the previous release.
func TestPrevious(t *testing.T) {
	out, err := exec.Command(thePrevious(t), "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "serve") {
		t.Errorf("%v: %s", err, out)
	}
}
