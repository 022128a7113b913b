package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/writ-iam/writ/test/cluster"
)

// TestTerraform applies the example, changes it, and finds that terraform waits
// before it goes on, each time.
func TestTerraform(t *testing.T) {
	terraform := installed(t, "terraform")
	mirror, err := cluster.TerraformProviders()
	if errors.Is(err, cluster.ErrNoProviders) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir, file := t.TempDir(), "main.tf"
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) outcome {
		t.Helper()
		cmd := shared.Command(t.Context(), dir, terraform, args...)
		cmd.Env = append(cmd.Env, path(), "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1", "AWS_MAX_ATTEMPTS=3")
		return finish(t, cmd)
	}
	text := block(t, "terraform")
	write(text)
	if o := run("init", "-no-color", "-plugin-dir="+mirror); o.code != 0 {
		t.Fatalf("%s\n%s", o.out, o.errors)
	}

	// waited for, and then used
	inOrder := func(o outcome, parts ...string) {
		t.Helper()
		rest, ok := o.out, o.code == 0
		for _, part := range parts {
			_, after, found := strings.Cut(rest, part)
			rest, ok = after, ok && found
		}
		if !ok {
			t.Fatalf("exit %d, want %q in order:\n%s\n%s", o.code, parts, o.out, o.errors)
		}
	}
	waits, uses := "terraform_data.in_force (local-exec): position ", "terraform_data.deployment (local-exec): allow at position "
	inOrder(run("apply", "-no-color", "-auto-approve"), waits, "is everywhere", uses)
	inOrder(run("plan", "-no-color", "-detailed-exitcode"), "No changes")
	inOrder(run("apply", "-no-color", "-auto-approve", `-var=actions=["s3:PutObject"]`), waits, "is everywhere", uses)

	// not in time: the apply fails, nothing that relies on it is done, and the next
	// apply waits again
	write(strings.ReplaceAll(text, "--timeout 2m", "--timeout 200ms"))
	if err := shared.Signal("replica-2", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	late := run("apply", "-no-color", "-auto-approve")
	if err := shared.Signal("replica-2", syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if late.code == 0 || !strings.Contains(late.errors, "exit status 3") || strings.Contains(late.out, uses) {
		t.Fatalf("exit %d\n%s\n%s", late.code, late.out, late.errors)
	}
	write(text)
	inOrder(run("apply", "-no-color", "-auto-approve"), waits, "is everywhere", uses)
	inOrder(run("destroy", "-no-color", "-auto-approve"), "Destroy complete")
}
