// Package policies is the verbs of writ on policy documents in files: lint, test, explain
// and diff, with the parser and the decisions of a running cluster but without one.
package policies

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// New declares the commands on policy documents.
func New() *cobra.Command {
	cmd := shell.Group(&cobra.Command{
		Use:   "policy",
		Short: "Check, test, explain and compare policy documents, without a cluster",
		Long: `Works on policy documents in files, with the parser and the decisions of a running
cluster but without one. A file named - is standard input.`,
	})
	cmd.AddCommand(newLint(), newTest(), newExplain(), newDiff(), newCases())
	return cmd
}

// someFiles demands at least one argument.
func someFiles(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return shell.Usage("say which files, or - for standard input; see `%s --help`", cmd.CommandPath())
	}
	return nil
}

// inputs opens the files of a command line.
type inputs struct {
	stdin io.Reader
	used  bool // standard input was opened
}

// open opens a file, or standard input for "-". Reading may wait for whoever writes,
// which no context ends: the first signal ends the process from here on.
func (in *inputs) open(name string) (io.ReadCloser, error) {
	signal.Reset(os.Interrupt, syscall.SIGTERM)
	if name != "-" {
		return os.Open(name)
	}
	if in.used {
		return nil, shell.Usage("standard input (-) can be read only once; give the others as files")
	}
	in.used = true
	return io.NopCloser(in.stdin), nil
}

// text reads a file with a policy. Of one that is too large it reads as much as
// the parser needs to refuse it.
func (in *inputs) text(name string) (string, error) {
	f, err := in.open(name)
	if err != nil {
		return "", fmt.Errorf("read a policy: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, syntax.MaxDocument+1))
	if err != nil {
		return "", fmt.Errorf("read a policy: %w", err)
	}
	return string(text), nil
}

// document reads and parses a policy. The error tells file, line and column.
func (in *inputs) document(name string) (*syntax.Document, error) {
	text, err := in.text(name)
	if err != nil {
		return nil, err
	}
	doc, err := syntax.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	return doc, nil
}
