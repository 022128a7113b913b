package tour

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/writ-iam/writ/test/cluster"
)

// block is the shell code behind the marker <!-- tour --> in the README.
func block(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "<!-- tour -->\n```sh\n")
	code, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("the README has no tour")
	}
	return code
}

func TestREADME(t *testing.T) {
	code := block(t)
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("no aws CLI on this machine")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	binary, err := cluster.Build(t.Context(), "../..", filepath.Join(dir, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Start(t.Context(), binary, filepath.Join(dir, "writ-dev"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", code)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "AWS_PAGER=", "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, c.Logs())
	}
	for _, want := range []string{
		"is everywhere; visible on replica-1",
		"allow at position",
		"deny (implicitDeny) at position",
		"because no identity-based policy allows the s3:PutObject action",
		"exit code 4",
		`"UserName": "alice"`,
		"DeleteConflict",
		"leading",
		"leased",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the tour does not say %q:\n%s", want, out)
		}
	}
}
