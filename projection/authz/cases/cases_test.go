package cases

import (
	"testing"

	"github.com/writ-iam/writ/projection/authz"
)

func TestCases(t *testing.T) {
	for _, line := range readCaseLines(t) {
		c, err := Decode(line)
		if err != nil {
			t.Fatal(err)
		}
		layers, request, err := c.read()
		if err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		x, err := c.Run()
		if err != nil || !c.Passed(x) {
			t.Errorf("%s (%s): %v by %v, want %s by %v (%v)", c.ID, c.Group, x.Outcome, x.By, c.Expected.Decision, c.Expected.By, err)
		}
		if d := authz.Prepare(layers).Evaluate(request); d != x.Decision() {
			t.Errorf("%s: Decide says %v by %v, Explain %v by %v", c.ID, d.Outcome, d.By, x.Outcome, x.By)
		}
	}
}

// FuzzCase reads and runs whatever there is: it may fail, and must not differ
// between Decide and Explain.
func FuzzCase(f *testing.F) {
	for i, line := range readCaseLines(f) {
		if i%60 == 0 {
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c, err := Decode(line)
		if err != nil {
			return
		}
		layers, request, err := c.read()
		if err != nil {
			return
		}
		x := authz.Prepare(layers).Explain(request)
		if d := authz.Prepare(layers).Evaluate(request); d != x.Decision() {
			t.Errorf("Decide says %v by %v, Explain %v by %v", d.Outcome, d.By, x.Outcome, x.By)
		}
	})
}
