// Command summary reads what `go test -json` prints, shows a line for each
// package and the whole output of every test that failed, names every skipped
// test with its reason, and ends with the counts. It exits 1 when a test or a
// build failed, and when no test ran.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// event is a line of `go test -json`.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
	Elapsed    float64
}

// maxLine bounds one line of input; a test's single print may be long.
const maxLine = 16 << 20

func main() {
	ok, err := run(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

type summary struct {
	passed, failed, skipped int
	broken                  int // packages that failed without a failing test
	output                  map[string][]string
	failedIn                map[string]bool
	skips                   []string
}

func run(in io.Reader, out io.Writer) (ok bool, err error) {
	s := summary{output: map[string][]string{}, failedIn: map[string]bool{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // not from a test: the go command speaks
			continue
		}
		s.take(e, out)
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("read the tests' output: %w", err)
	}
	if len(s.skips) > 0 {
		fmt.Fprintf(out, "\nskipped (%d):\n%s\n", len(s.skips), strings.Join(s.skips, "\n"))
	}
	fmt.Fprintf(out, "\n%d passed, %d failed, %d skipped\n", s.passed, s.failed+s.broken, s.skipped)
	return s.failed == 0 && s.broken == 0 && s.passed > 0, nil
}

func (s *summary) take(e event, out io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		if e.Action == "build-output" {
			fmt.Fprint(out, e.Output)
			return
		}
		s.output[key] = append(s.output[key], e.Output)
	case "pass", "skip", "fail":
		s.end(e, key, out)
		delete(s.output, key)
	}
}

// end counts a test, or a package where the event names no test.
func (s *summary) end(e event, key string, out io.Writer) {
	switch {
	case e.Test == "" && e.Action == "fail":
		if !s.failedIn[e.Package] {
			s.broken++
			fmt.Fprint(out, strings.Join(s.output[key], ""), s.late(e.Package))
		}
		fmt.Fprintf(out, "FAIL  %s  %.1fs\n", e.Package, e.Elapsed)
	case e.Test == "" && e.Action == "pass":
		fmt.Fprintf(out, "ok    %s  %.1fs\n", e.Package, e.Elapsed)
	case e.Test == "": // a package without tests
	case e.Action == "fail":
		s.failed++
		s.failedIn[e.Package] = true
		fmt.Fprint(out, strings.Join(s.output[key], ""))
	case e.Action == "skip":
		s.skipped++
		s.skips = append(s.skips, "  "+e.Package+" "+e.Test+": "+reason(s.output[key]))
	default:
		s.passed++
	}
}

// late is what a package said after its tests had ended, such as what they leave running:
// the runner takes it for the output of one of them.
func (s *summary) late(pkg string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s.output)) {
		if strings.HasPrefix(key, pkg+" ") && key != pkg+" " {
			b.WriteString(strings.Join(s.output[key], ""))
		}
	}
	return b.String()
}

// reason is what a skipped test said: its last line that is not the runner's own.
func reason(output []string) string {
	for i := len(output) - 1; i >= 0; i-- {
		line := strings.TrimSpace(output[i])
		if line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			return line
		}
	}
	return "no reason given"
}
