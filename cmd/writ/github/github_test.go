package github

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/client"
)

// Whatever a value holds, it stays in its line and in its cell.
func TestGithubOutputHoldsItsLines(t *testing.T) {
	dir := t.TempDir()
	g := Report{on: true, output: filepath.Join(dir, "output"), summary: filepath.Join(dir, "summary")}
	p := &client.Propagation{State: "partial\nstate=everywhere\r\nX<<EOF\x00\u2028a=b", VisibleOn: []string{"a|b", "<b>`c`", "[d](e)"}}
	if err := g.Write("# it\n\n<script>", FactsOf(p, 1500*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	output, err := os.ReadFile(g.output)
	if err != nil {
		t.Fatal(err)
	}
	want := "state=partial state=everywhere  X<<EOF  a=b\nposition=0\ntoken=\nvisible-on=a|b,<b>`c`,[d](e)\nfenced=\npending=\nelapsed-ms=1500\n"
	if string(output) != want {
		t.Errorf("the output is %q\nnot %q", output, want)
	}
	summary, err := os.ReadFile(g.summary)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(summary)), "\n") {
		if bars := strings.Count(line, "|"); i > 1 && bars != 3 {
			t.Errorf("the summary has the line %q", line)
		}
	}
	if strings.ContainsAny(string(summary), "<>`[]") {
		t.Errorf("the summary is %q", summary)
	}
	g.output = filepath.Join(dir, "missing", "output")
	if err := g.Write("x", nil); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a file that cannot be written: %v", err)
	}
}
