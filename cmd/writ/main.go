// Command writ runs a Writ cluster and asks it things: `writ dev` is a whole
// cluster on loopback, `writ serve` one node; `writ can`, `writ wait` and `writ
// status` ask a running one; `writ policy` works on policy documents alone.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes; pipelines rely on them.
const (
	exitError     = 1 // something went wrong
	exitUsage     = 2 // the command line is not right
	exitNotYet    = 3 // not everywhere in time
	exitDenied    = 4 // denied, or the effect is absent, or findings that are errors
	exitUnhealthy = 5 // diverged or unhealthy
)

// exit is an error with an exit code. With a nil error nothing more is printed:
// the command has said what there is to say.
type exit struct {
	code int
	err  error
}

// Error is that of the error within.
func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

// Unwrap returns the error within.
func (e *exit) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exit{exitUsage, fmt.Errorf(format, args...)}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends what the first does not
	err := run(ctx, os.Args[1:])
	stop()
	if err == nil {
		return
	}
	var e *exit
	if !errors.As(err, &e) {
		e = &exit{exitError, err}
	}
	if e.err != nil {
		fmt.Fprintln(os.Stderr, "writ:", strings.TrimSpace(e.err.Error()))
	}
	os.Exit(e.code)
}

// run carries out one command line. What goes wrong before a command begins is
// wrong usage.
func run(ctx context.Context, args []string) error {
	root, begun := newRoot(), false
	noteBegin(root, &begun)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var e *exit
	if err != nil && !begun && !errors.As(err, &e) {
		return usage("%w; see `writ --help`", err)
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
