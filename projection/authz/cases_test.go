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
