package policies

import (
	"bufio"
	"bytes"
	"cmp"
	_ "embed" // of the page about cases
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/authz/cases"
)

func newTest() *cobra.Command {
	var o shell.Output
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Run unit tests of policies; exits 4 if one fails",
		Long: `Reads cases, one JSON object a line: a request, the policies that bear on it and the
decision that it should get (allow, explicitDeny or implicitDeny). Prints each case that
gets another decision, with the reason, and a summary. "writ help policy cases" describes
the format; the least that a case needs is

  {"request":{"action":"s3:GetObject","resource_arn":"*"},"expected":{"decision":"implicitDeny"}}

With --output json every case gets a line with id, decision, passed, expected, by (the
layers that deny, or lack an allow) and reason; the summary then goes to standard error.

Exits 4 if a case fails, 1 if a line is no case or a file cannot be read (the others
still run), 0 if all pass.`,
		Example: `  writ policy test cases.jsonl
  generate-cases | writ policy test -
  writ policy test cases.jsonl --output json | jq 'select(.passed | not)'`,
		Args: someFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := o.Check(); err != nil {
				return err
			}
			t := newCaseTester(cmd, &o)
			for _, file := range files {
				t.file(file)
			}
			return t.finish()
		},
	}
	o.Flag(cmd.Flags())
	return cmd
}

//go:embed policy-cases.md
var caseFormat string

// newCases is the help page about the format of cases.
func newCases() *cobra.Command {
	return &cobra.Command{Use: "cases", Short: "The format of cases", Long: caseFormat}
}

var errAfterCase = errors.New("text after the case; write one case a line")

// caseTester runs cases, a batch at a time on all processors, and prints and
// counts the results in the order of the lines.
type caseTester struct {
	in   inputs
	out  *bufio.Writer // keeps its first error until finish
	errs io.Writer
	json *json.Encoder // nil for text

	batch []caseLine
	bytes int // of the batch's text

	passed, failed, broken int
}

// A batch is run when it has maxBatch lines, or maxCaseLine bytes.
const maxBatch = 1024

// caseLine is a line of a file, then what came of it.
type caseLine struct {
	place  string // file:line
	text   []byte
	err    error // the line is no case
	result caseResult
	tree   string // of a case that failed, for people
}

// caseResult is the line of a case with --output json.
type caseResult struct {
	ID       string   `json:"id"`
	Decision string   `json:"decision"`
	Passed   bool     `json:"passed"`
	Expected string   `json:"expected"`
	By       []string `json:"by"`
	Reason   string   `json:"reason"`
}

func newCaseTester(cmd *cobra.Command, o *shell.Output) *caseTester {
	t := &caseTester{
		in:   inputs{stdin: cmd.InOrStdin()},
		out:  bufio.NewWriter(cmd.OutOrStdout()),
		errs: cmd.ErrOrStderr(),
	}
	if o.JSON() {
		t.json = json.NewEncoder(t.out)
		t.json.SetEscapeHTML(false)
	}
	return t
}

// file runs the cases of a file.
func (t *caseTester) file(name string) {
	f, err := t.in.open(name)
	if err != nil {
		t.report(fmt.Errorf("read cases: %w", err))
		return
	}
	defer f.Close()
	lines := 0
	err = cases.EachLine(f, func(line int, text []byte, err error) {
		lines++
		t.batch = append(t.batch, caseLine{place: fmt.Sprintf("%s:%d", name, line), text: bytes.Clone(text), err: err})
		if t.bytes += len(text); t.bytes >= cases.MaxLine || len(t.batch) == maxBatch {
			t.runBatch()
		}
	})
	t.runBatch()
	switch {
	case err != nil:
		t.report(fmt.Errorf("read cases: %w", err))
	case lines == 0: // whoever made them has failed
		t.report(fmt.Errorf("read cases: %s has none", name))
	}
}

// report tells of a file that cannot be read or a line that is no case.
func (t *caseTester) report(err error) {
	t.broken++
	fmt.Fprintln(t.errs, "writ:", err)
}

// runBatch runs the lines read so far and prints what came of them.
func (t *caseTester) runBatch() {
	var workers sync.WaitGroup
	var next atomic.Int64
	for range min(runtime.GOMAXPROCS(0), len(t.batch)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(t.batch)); i = next.Add(1) - 1 {
				t.batch[i].run()
			}
		})
	}
	workers.Wait()
	for i := range t.batch {
		t.print(&t.batch[i])
	}
	t.batch, t.bytes = t.batch[:0], 0
}

// run runs the case of a line. A case without an id has its place as one.
func (l *caseLine) run() {
	if l.err != nil {
		return
	}
	c, err := cases.Decode(l.text)
	if err == nil && !json.Valid(l.text) {
		err = errAfterCase
	}
	if err != nil {
		l.err = err
		return
	}
	x, err := c.Run()
	if err != nil {
		l.err = err
		if c.ID != "" {
			l.err = fmt.Errorf("case %s: %w", c.ID, err)
		}
		return
	}
	l.result = caseResult{
		ID: cmp.Or(c.ID, l.place), Decision: x.Outcome.String(), Passed: c.Passed(x),
		Expected: c.Expected.Decision, By: layerNames(x.By), Reason: reason(&x),
	}
	if !l.result.Passed {
		l.tree = explained(c.ID, &x).text()
	}
}

func (t *caseTester) print(l *caseLine) {
	switch r := &l.result; {
	case l.err != nil:
		t.report(fmt.Errorf("%s: %w", l.place, l.err))
		return
	case r.Passed:
		t.passed++
	default:
		t.failed++
	}
	if t.json != nil {
		_ = t.json.Encode(l.result) // t.out keeps the error
		return
	}
	if l.result.Passed {
		return
	}
	fmt.Fprintf(t.out, "%s: case %s: expected %s, got %s\n", l.place, l.result.ID, l.result.Expected, l.result.Decision)
	for line := range strings.Lines(l.tree) {
		fmt.Fprint(t.out, "  ", line)
	}
}

// finish prints the summary and returns how the command ends.
func (t *caseTester) finish() error {
	summary := fmt.Sprintf("%d passed, %d failed\n", t.passed, t.failed)
	if t.json != nil {
		fmt.Fprint(t.errs, summary)
	} else {
		fmt.Fprint(t.out, summary)
	}
	if err := t.out.Flush(); err != nil {
		return fmt.Errorf("print the results: %w", err)
	}
	switch {
	case t.broken > 0:
		return &shell.Exit{Code: shell.CodeError}
	case t.failed > 0:
		return &shell.Exit{Code: shell.CodeDenied}
	}
	return nil
}

func layerNames(layers []authz.Layer) []string {
	names := make([]string, len(layers))
	for i, l := range layers {
		names[i] = l.String()
	}
	return names
}
