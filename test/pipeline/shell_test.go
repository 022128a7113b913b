package pipeline

import (
	"strings"
	"testing"
)

func TestShell(t *testing.T) {
	installed(t, "aws")
	cmd := shared.Command(t.Context(), t.TempDir(), "bash", "-euxo", "pipefail", "-c", block(t, "shell"))
	cmd.Env = append(cmd.Env, path())
	o := must(t, cmd)
	if n := strings.Count(o.out, "is everywhere; visible on replica-1, replica-2"); n != 3 {
		t.Errorf("%d of 3 waits ended:\n%s\n%s", n, o.out, o.errors)
	}
	// what --debug was searched for was found
	if !strings.Contains(o.errors, "+ writ wait --request-id ") || strings.Contains(o.errors, "--request-id ''") {
		t.Errorf("no request id was found:\n%s", o.errors)
	}
}

func TestBoto3(t *testing.T) {
	python := installed(t, "python3")
	dir := t.TempDir()
	if finish(t, shared.Command(t.Context(), dir, python, "-c", "import boto3")).code != 0 {
		t.Skip("boto3 is not installed")
	}
	cmd := shared.Command(t.Context(), dir, python, "-c", block(t, "boto3"))
	cmd.Env = append(cmd.Env, path())
	if o := must(t, cmd); strings.Count(o.out, "is everywhere") != 2 {
		t.Errorf("it says %s", o.out)
	}
}
