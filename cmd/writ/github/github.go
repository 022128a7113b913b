// Package github tells GitHub Actions what a verb found: outputs of a step for later
// steps, and a table in the summary of the job.
package github

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/client"
)

// Report tells the later steps of a GitHub Actions job what a wait found, and the
// job's summary.
type Report struct {
	on      bool
	output  string // file for NAME=VALUE lines
	summary string // file for Markdown
}

// FlagName is the flag that asks for it.
const FlagName = "github-output"

// Flag declares the flag.
func (g *Report) Flag(flags *pflag.FlagSet) {
	flags.BoolVar(&g.on, FlagName, false, "append the outcome to $GITHUB_OUTPUT and $GITHUB_STEP_SUMMARY, as a step of GitHub Actions")
}

// Check finds the files before anything is waited for.
func (g *Report) Check() error {
	if !g.on {
		return nil
	}
	g.output, g.summary = os.Getenv("GITHUB_OUTPUT"), os.Getenv("GITHUB_STEP_SUMMARY")
	if g.output == "" || g.summary == "" {
		return shell.Usage("--%s needs $GITHUB_OUTPUT and $GITHUB_STEP_SUMMARY, which GitHub Actions sets for a step", FlagName)
	}
	return nil
}

// Fact is one line of an outcome.
type Fact struct{ Name, Value string }

// FactsOf are what every wait found.
func FactsOf(p *client.Propagation, took time.Duration) []Fact {
	return []Fact{
		{"state", p.State},
		{"position", strconv.FormatUint(uint64(p.Position), 10)},
		{"token", p.Token},
		{"visible-on", strings.Join(p.VisibleOn, ",")},
		{"fenced", strings.Join(p.Fenced, ",")},
		{"pending", strings.Join(p.Pending, ",")},
		{"elapsed-ms", strconv.FormatInt(took.Milliseconds(), 10)},
	}
}

// Write appends an outcome to both files.
func (g *Report) Write(title string, facts []Fact) error {
	if !g.on {
		return nil
	}
	var lines, table strings.Builder
	fmt.Fprintf(&table, "### %s\n\n| | |\n| --- | --- |\n", inTable(title))
	for _, f := range facts {
		fmt.Fprintf(&lines, "%s=%s\n", f.Name, oneLine(f.Value))
		if f.Value != "" {
			fmt.Fprintf(&table, "| %s | %s |\n", f.Name, inTable(f.Value))
		}
	}
	table.WriteString("\n")
	return errors.Join(appendTo(g.output, lines.String()), appendTo(g.summary, table.String()))
}

// oneLine keeps a value from ending its line: the runner reads NAME=VALUE up to the
// line's end, whatever the value holds.
func oneLine(value string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u0085' || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, value)
}

// inTable keeps a value from being Markdown or HTML.
func inTable(value string) string {
	var b strings.Builder
	for _, r := range oneLine(value) {
		if r < 0x80 && strings.ContainsRune("\\`*_{}[]()<>#+!|&~@", r) {
			fmt.Fprintf(&b, "&#%d;", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// appendTo adds text to a file.
func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the file that GitHub Actions names: %w", err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write what GitHub Actions is to know: %w", err)
	}
	return nil
}
