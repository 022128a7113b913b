package pipeline

import (
	"errors"
	"fmt"
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
	replica, err := shared.Node("replica-2")
	if err != nil {
		t.Fatal(err)
	}
	// Before the policy changes, so that the replica does not see the change. It is
	// fenced within its lease, in which a busy machine may not get to the wait: then
	// the wait is right to succeed, and the other change is tried.
	stopped := strings.ReplaceAll(text, "--timeout 2m", "--timeout 200ms") + fmt.Sprintf(`
resource "terraform_data" "stopped" {
  triggers_replace = [aws_iam_user.worker.arn, var.actions]

  provisioner "local-exec" {
    command = "kill -STOP %d"
  }
}
`, replica.PID)
	write(strings.Replace(stopped, `resource "aws_iam_policy" "read" {`, `resource "aws_iam_policy" "read" {`+"\n  depends_on = [terraform_data.stopped]", 1))
	var late outcome
	for attempt := range 8 {
		action := []string{"s3:GetObject", "s3:PutObject"}[attempt%2]
		late = run("apply", "-no-color", "-auto-approve", fmt.Sprintf("-var=actions=[%q]", action))
		if err := shared.Signal("replica-2", syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(late.out, "fenced replica-2") {
			break
		}
		ready(t, "replica-2")
	}
	if late.code == 0 || !strings.Contains(late.errors, "exit status 3") || strings.Contains(late.out, uses) {
		t.Fatalf("exit %d\n%s\n%s", late.code, late.out, late.errors)
	}
	write(text)
	inOrder(run("apply", "-no-color", "-auto-approve"), waits, "is everywhere", uses)
	inOrder(run("destroy", "-no-color", "-auto-approve"), "Destroy complete")
}
