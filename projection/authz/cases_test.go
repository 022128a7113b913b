package authz

import "testing"

func TestCases(t *testing.T) {
	for _, line := range readCaseLines(t) {
		c, err := DecodeCase(line)
		if err != nil {
			t.Fatal(err)
		}
		prepared, request, err := c.prepare()
		if err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		x, err := c.Run()
		if err != nil || !c.Passed(x) {
			t.Errorf("%s (%s): %v by %v, want %s by %v (%v)", c.ID, c.Group, x.Outcome, x.By, c.Expected.Decision, c.Expected.By, err)
		}
		if d := prepared.Decide(request); d != x.Decision() {
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
		c, err := DecodeCase(line)
		if err != nil {
			return
		}
		prepared, request, err := c.prepare()
		if err != nil {
			return
		}
		x := prepared.Explain(request)
		if d := prepared.Decide(request); d != x.Decision() {
			t.Errorf("Decide says %v by %v, Explain %v by %v", d.Outcome, d.By, x.Outcome, x.By)
		}
	})
}
