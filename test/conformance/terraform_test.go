package conformance

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/writ-iam/writ/test/cluster"
)

// workspace is a directory in which terraform works.
type workspace struct {
	t         *testing.T
	terraform string
	dir       string
}

// run returns terraform's exit code and output.
func (w *workspace) run(args ...string) (int, string) {
	w.t.Helper()
	cmd := client(w.t, w.dir, w.terraform, args...)
	cmd.Env = append(cmd.Env, "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1", "AWS_MAX_ATTEMPTS=3")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), string(out)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return 0, string(out)
}

func (w *workspace) must(args ...string) string {
	w.t.Helper()
	code, out := w.run(args...)
	if code != 0 {
		w.t.Fatalf("terraform %s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// unchanged fails the test when terraform would change what it has just made.
func (w *workspace) unchanged(args ...string) {
	w.t.Helper()
	args = append([]string{"plan", "-no-color", "-detailed-exitcode"}, args...)
	if code, out := w.run(args...); code != 0 {
		w.t.Fatalf("terraform %s: exit %d, want an empty plan\n%s", strings.Join(args, " "), code, out)
	}
}

func (w *workspace) facts() map[string]any {
	w.t.Helper()
	var facts map[string]any
	if err := json.Unmarshal([]byte(w.must("output", "-json", "facts")), &facts); err != nil {
		w.t.Fatal(err)
	}
	return facts
}

// TestTerraform applies a configuration with every noun, finds nothing left to
// do, changes it, finds nothing left to do again, and destroys it.
func TestTerraform(t *testing.T) {
	w := &workspace{t: t, terraform: installed(t, "terraform")}
	mirror, err := cluster.TerraformProviders()
	if errors.Is(err, cluster.ErrNoProviders) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.dir = t.TempDir()
	if err := os.CopyFS(w.dir, os.DirFS("testdata/terraform")); err != nil {
		t.Fatal(err)
	}
	w.must("init", "-no-color", "-plugin-dir="+mirror)

	w.must("apply", "-no-color", "-auto-approve")
	w.unchanged()
	want := map[string]any{
		"account": "123456789012", "alias": "tf-first", "user": "arn:aws:iam::123456789012:user/tf/tf-ada",
		"members": []any{"tf-bot", "tf-cy"}, "version": "arn:aws:iam::123456789012:policy/tf/tf-read",
		"users": []any{"tf-ada"}, "roles": []any{"tf-run"}, "keys": 1.0, "allowed": true,
		"trust": "arn:aws:iam::123456789012:role/tf/tf-run", "id": true,
	}
	if diff := cmp.Diff(want, w.facts()); diff != "" {
		t.Errorf("after the first apply: %s", diff)
	}

	w.must("apply", "-no-color", "-auto-approve", "-var=stage=second")
	w.unchanged("-var=stage=second")
	want["alias"], want["user"] = "tf-second", "arn:aws:iam::123456789012:user/tf/new/tf-lovelace"
	want["members"], want["users"] = []any{"tf-bot"}, []any{"tf-lovelace"}
	if diff := cmp.Diff(want, w.facts()); diff != "" {
		t.Errorf("after the second apply: %s", diff)
	}

	// force_destroy takes along what terraform did not make.
	if aws, err := exec.LookPath("aws"); err == nil {
		if out, err := client(t, w.dir, aws, "iam", "create-access-key", "--user-name", "tf-lovelace").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	w.must("destroy", "-no-color", "-auto-approve", "-var=stage=second")
}
