package conformance

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/model"
	"github.com/writ-iam/writ/node/api/sts"
)

// TestBoto3 calls every action that Writ carries out with boto3, which parses
// the answers by its own model.
func TestBoto3(t *testing.T) {
	python := installed(t, "python3")
	if out, err := exec.Command(python, "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("boto3 is not installed: %s", out)
	}
	script, err := filepath.Abs("testdata/actions.py")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	material(t, dir)
	cmd := client(t, dir, python, script)
	_, other := opened(t, "boto3@example.com")
	cmd.Env = append(cmd.Env, "MATERIAL="+dir, "OTHER="+string(other.Account), "OTHER_KEY="+other.RootKey.ID, "OTHER_SECRET="+other.RootKey.Secret)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var called []string
	if err := json.Unmarshal(out, &called); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, a := range append(slices.Clone(iam.Actions()), sts.Actions()...) {
		if !slices.Contains(called, a.Name) {
			t.Errorf("the script does not call %s", a.Name)
		}
	}
}

// TestBoto3Whole gives every operation of the IAM API wrong input, and walks whole lists.
func TestBoto3Whole(t *testing.T) {
	python := installed(t, "python3")
	if out, err := exec.Command(python, "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("boto3 is not installed: %s", out)
	}
	script, err := filepath.Abs("testdata/whole.py")
	if err != nil {
		t.Fatal(err)
	}
	cmd := client(t, t.TempDir(), python, script)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var refused map[string]string
	if err := json.Unmarshal(out, &refused); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	newer := []string{"GetAccountProperties", "PutAccountProperties"} // boto3's model lacks them: TestBoto3 calls them itself
	for _, op := range model.IAM().Operations() {
		if slices.Contains(newer, op.Name) {
			continue
		}
		if code := refused[op.Name]; code == "" || code == "InvalidAction" {
			t.Errorf("%s is refused with %q", op.Name, code)
		}
	}
}
