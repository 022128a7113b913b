package api_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/model"
	"github.com/writ-iam/writ/node/api/sts"
)

var update = flag.Bool("update", false, "write docs/compatibility.md")

// compatibility is the table of what Writ does of AWS's APIs, and differences where
// it is told in which way an operation differs from AWS's: a line each, the operation
// and what is different.
const (
	compatibility = "../../docs/compatibility.md"
	differences   = "testdata/differences.txt"
)

// TestEveryOperation holds that each operation of IAM's model is carried out.
func TestEveryOperation(t *testing.T) {
	built := map[string]bool{}
	for _, a := range iam.Actions() {
		built[a.Name] = true
	}
	operations := model.IAM().Operations()
	for _, op := range operations {
		if !built[op.Name] {
			t.Errorf("%s has no action", op.Name)
		}
	}
	if len(operations) != 178 || len(built) < len(operations) {
		t.Errorf("%d operations, %d actions", len(operations), len(built))
	}
}

// TestCompatibility holds the table in the docs against what is built.
func TestCompatibility(t *testing.T) {
	notes := readDifferences(t)
	var b strings.Builder
	b.WriteString(compatibilityHead)
	for _, s := range []struct {
		name    string
		model   *model.Service
		actions []iam.Action
	}{{"IAM", model.IAM(), iam.Actions()}, {"STS", model.STS(), sts.Actions()}} {
		done := 0
		var rows strings.Builder
		for _, op := range s.model.Operations() {
			mark := ""
			if slices.ContainsFunc(s.actions, func(a iam.Action) bool { return a.Name == op.Name }) {
				mark, done = "yes", done+1
			}
			fmt.Fprintf(&rows, "| `%s` | %s | %s |\n", op.Name, mark, notes[op.Name])
			delete(notes, op.Name)
		}
		fmt.Fprintf(&b, "\n## %s: %d of %d\n\n| Operation | Done | How it differs |\n| --- | --- | --- |\n%s", s.name, done, len(s.model.Operations()), rows.String())
	}
	for name := range notes {
		t.Errorf("%s has a line for %s, which is no operation", differences, name)
	}
	if *update {
		if err := os.WriteFile(compatibility, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(compatibility)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != b.String() {
		t.Errorf("%s is not what is built: go test ./node/api -run TestCompatibility -update", compatibility)
	}
}

const compatibilityHead = `# Compatibility with AWS

The operations of AWS's service models, and which of them Writ carries out. A test makes this table from the code. Where nothing is
said, codes, statuses, messages, limits and orders are AWS's; ` + "`boto3`, the `aws` CLI and terraform" + ` run unchanged.
In a cluster of another partition ([--partition](operating/layout.md#the-partition-of-aws)) ARNs name that one; principals of services keep the names that they have in
` + "`aws`" + `, so that an instance profile's role is passed to ` + "`ec2.amazonaws.com`" + ` there, too.
`

func readDifferences(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(differences)
	if err != nil {
		t.Fatal(err)
	}
	notes := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, note, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || notes[name] != "" {
			t.Errorf("%s: %q is no line, or a second one", differences, line)
		}
		notes[name] = note
	}
	return notes
}
