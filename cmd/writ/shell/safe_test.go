package shell_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/writ-iam/writ/cmd/writ/shell"
)

// A name that another node tells must not move the cursor, retitle the window, or turn the
// rest of the line round.
func TestHostileTextIsShown(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"writer-1\tvoting\n", "writer-1\tvoting\n"},
		{"größer 日本 \ufffd", "größer 日本 \ufffd"},
		{"r1\x1b]0;owned\x07\x1b[2J", `r1\u001b]0;owned\u0007\u001b[2J`},
		{"ok\rquarantined\x7f\u009b2J", `ok\u000dquarantined\u007f\u009b2J`},
		{"\u202egnitov\u2066", `\u202egnitov\u2066`},
		{"a\xffb\xc3", `a\xffb`}, // the last byte begins a rune whose end may come
	} {
		var out strings.Builder
		p := shell.Safe(&out)
		for _, b := range []byte(c.text) { // however it comes
			if _, err := p.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		if out.String() != c.want {
			t.Errorf("%q is printed as %q, not %q", c.text, out.String(), c.want)
		}
	}
}

func TestHostileTextStaysJSON(t *testing.T) {
	const name = "r1\x1b[2J\u009b\u202e"
	var out strings.Builder
	if err := shell.PrintJSON(shell.Safe(&out), name); err != nil {
		t.Fatal(err)
	}
	var back string
	if err := json.Unmarshal([]byte(out.String()), &back); err != nil || back != name {
		t.Errorf("%s reads as %q (%v), not %q", out.String(), back, err, name)
	}
	if strings.ContainsAny(out.String(), "\x1b\u009b\u202e") {
		t.Errorf("a terminal obeys %q", out.String())
	}
}

func TestCellsAndLines(t *testing.T) {
	if got := shell.Cell("x\nfake\trow\x1b"); got != `x\u000afake\u0009row\u001b` {
		t.Errorf("a cell is %q", got)
	}
	if got := shell.OneLine("a is down\nb is down\n\nDid you mean this?\n\tstatus\n; see help"); got != "a is down; b is down; Did you mean this? status; see help" {
		t.Errorf("one line is %q", got)
	}
}
