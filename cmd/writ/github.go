package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/writ-iam/writ/node/client"
)

// github tells the later steps of a GitHub Actions job what a wait found, and the
// job's summary.
type github struct {
	on      bool
	output  string // file for NAME=VALUE lines
	summary string // file for Markdown
}

const githubFlag = "github-output"

func (g *github) flag(flags *pflag.FlagSet) {
	flags.BoolVar(&g.on, githubFlag, false, "append the outcome to $GITHUB_OUTPUT and $GITHUB_STEP_SUMMARY, as a step of GitHub Actions")
}

// check finds the files before anything is waited for.
func (g *github) check() error {
	if !g.on {
		return nil
	}
	g.output, g.summary = os.Getenv("GITHUB_OUTPUT"), os.Getenv("GITHUB_STEP_SUMMARY")
	if g.output == "" || g.summary == "" {
		return usage("--%s needs $GITHUB_OUTPUT and $GITHUB_STEP_SUMMARY, which GitHub Actions sets for a step", githubFlag)
	}
	return nil
}

// fact is one line of an outcome.
type fact struct{ name, value string }

// factsOf are what every wait found.
func factsOf(p *client.Propagation, took time.Duration) []fact {
	return []fact{
		{"state", p.State},
		{"position", strconv.FormatUint(uint64(p.Position), 10)},
		{"token", p.Token},
		{"visible-on", strings.Join(p.VisibleOn, ",")},
		{"fenced", strings.Join(p.Fenced, ",")},
		{"pending", strings.Join(p.Pending, ",")},
		{"elapsed-ms", strconv.FormatInt(took.Milliseconds(), 10)},
	}
}

// write appends an outcome to both files.
func (g *github) write(title string, facts []fact) error {
	if !g.on {
		return nil
	}
	var lines, table strings.Builder
	fmt.Fprintf(&table, "### %s\n\n| | |\n| --- | --- |\n", inTable(title))
	for _, f := range facts {
		fmt.Fprintf(&lines, "%s=%s\n", f.name, oneLine(f.value))
		if f.value != "" {
			fmt.Fprintf(&table, "| %s | %s |\n", f.name, inTable(f.value))
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
