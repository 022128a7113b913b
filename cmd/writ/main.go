// Command writ runs a Writ cluster and asks it things: `writ dev` is a whole
// cluster on loopback, `writ serve` one node; `writ can`, `writ wait` and `writ
// status` ask a running one; `writ policy` works on policy documents alone.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends what the first does not
	code := command(ctx, os.Args[1:], shell.Safe(os.Stdout), shell.Safe(os.Stderr))
	stop()
	os.Exit(code)
}

// command carries out one command line, says in one line what went wrong, and returns the
// exit code.
func command(ctx context.Context, args []string, out, errs io.Writer) int {
	err := carryOut(ctx, args, out, errs)
	if err == nil {
		return 0
	}
	var e *shell.Exit
	if !errors.As(err, &e) {
		e = &shell.Exit{Code: shell.CodeError, Err: err}
	}
	if e.Err != nil {
		fmt.Fprintln(errs, "writ:", shell.OneLine(e.Err.Error()))
	}
	return e.Code
}

// carryOut carries out one command line. What goes wrong before a command begins is
// wrong usage.
func carryOut(ctx context.Context, args []string, out, errs io.Writer) error {
	root, begun := newRoot(), false
	root.SetOut(out)
	root.SetErr(errs)
	noteBegin(root, &begun)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	var e *shell.Exit
	if err != nil && !begun && !errors.As(err, &e) {
		return shell.Usage("%w; see `%s --help`", err, cmd.CommandPath())
	}
	return err
}

// noteBegin makes every command set begun when its own code begins.
func noteBegin(cmd *cobra.Command, begun *bool) {
	if inner := cmd.RunE; inner != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*begun = true
			return inner(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		noteBegin(sub, begun)
	}
}
