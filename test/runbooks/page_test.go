package runbooks

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// page is where the runbooks are.
const page = "../../docs/operating/runbooks.md"

// step is a command of the page, and lines that it prints among others.
type step struct {
	command string
	prints  []string
}

// sections reads the page: the steps of its ```console blocks, by heading, in order.
func sections(t *testing.T) (headings []string, steps map[string][]step) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	steps = make(map[string][]step)
	heading, inside := "", false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "## "):
			heading = strings.TrimPrefix(line, "## ")
			headings = append(headings, heading)
		case line == "```console":
			inside = true
		case strings.HasPrefix(line, "```"):
			inside = false
		case inside && strings.HasPrefix(line, "$ "):
			command := strings.TrimPrefix(line, "$ ")
			steps[heading] = append(steps[heading], step{command: command})
		case inside:
			list := steps[heading]
			list[len(list)-1].prints = append(list[len(list)-1].prints, line)
		}
	}
	return headings, steps
}

// looks tells whether a command only looks, so that it may be run until it prints what it
// should. All others are run once.
func (s step) looks() bool {
	return looking.MatchString(s.command)
}

var looking = regexp.MustCompile(`^(writ (status|health|why|verify|seal status|cert list|writer list|replica list|session-key list|can|wait)\b|curl|journalctl|grep)`)

// missing are the lines that the page shows and the output has not. "…" stands for anything.
func (s step) missing(output string) (lines []string) {
	var printed []string
	for line := range strings.Lines(output) {
		printed = append(printed, squeeze(line))
	}
	for _, want := range s.prints {
		parts := strings.Split(squeeze(want), "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		pattern := regexp.MustCompile("^" + strings.Join(parts, ".*") + "$")
		found := false
		for _, line := range printed {
			found = found || pattern.MatchString(line)
		}
		if !found {
			lines = append(lines, want)
		}
	}
	return lines
}

// squeeze makes one space of several: columns are as wide as what is in them.
func squeeze(line string) string { return strings.Join(strings.Fields(line), " ") }
