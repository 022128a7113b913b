package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/github"
	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/client"
)

func newWait() *cobra.Command {
	var t target.Nodes
	var o shell.Output
	var w waitFlags
	cmd := &cobra.Command{
		Use:   "wait [--token TOKEN | --request-id ID | --arn ARN | --head]",
		Short: "Wait until a change is in force everywhere; exits 3 if it is not in time",
		Long: `Waits until no replica will ever again answer as fresh from before a position: each
shows it, or has lost its lease. The position is that of a write's token (the X-Writ-Token
header of its answer), that of the write with a request id (the x-amzn-RequestId of its answer,
which the AWS CLI shows with --debug and SDKs keep; remembered for five minutes), that of the
latest change to what an ARN names and depends on, or the head of the log. On a terminal, a
line tells how far it has come. A token of another history, or of a position that was never
committed, is an error (exit 1) at once: nothing is to be waited for. To wait for what a change does, see writ can --wait.`,
		Example: "  writ wait --head\n  writ wait --arn arn:aws:iam::123456789012:user/alice --timeout 30s",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return wait(cmd, &t, &o, &w)
		},
	}
	t.Flags(cmd.Flags())
	o.Flag(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&w.target.Token, "token", "", "token of a write")
	f.StringVar(&w.target.RequestID, "request-id", "", "x-amzn-RequestId of a write's answer")
	f.StringVar(&w.target.ARN, "arn", "", "ARN of a user, group, role or policy")
	f.BoolVar(&w.head, "head", false, "everything that is committed by now")
	f.DurationVar(&w.timeout, "timeout", time.Minute, "how long to wait at most")
	f.StringSliceVar(&w.scope.Replicas, "replica", nil, "wait for these replicas only")
	f.StringVar(&w.scope.Region, "region", "", "wait for the replicas of one region only")
	f.IntVar(&w.scope.Count, "count", 0, "wait until this many replicas show it")
	w.github.Flag(f)
	cmd.MarkFlagsMutuallyExclusive("token", "request-id", "arn", "head")
	return cmd
}

type waitFlags struct {
	target  client.Target
	head    bool
	timeout time.Duration
	scope   client.Scope
	github  github.Report
}

func wait(cmd *cobra.Command, t *target.Nodes, o *shell.Output, w *waitFlags) error {
	if err := errors.Join(o.Check(), w.github.Check()); err != nil {
		return err
	}
	if w.target == (client.Target{}) && !w.head {
		return shell.Usage("say what to wait for: --token, --request-id, --arn or --head")
	}
	c, err := t.Client()
	if err != nil {
		return err
	}
	begun, target := time.Now(), w.target
	var p *client.Propagation
	err = newProgress(cmd.ErrOrStderr(), o).wait(cmd.Context(), w.timeout, func(ctx context.Context, wait time.Duration) (done bool, line string, err error) {
		found, err := c.Propagation(ctx, target, w.scope, wait)
		if err != nil {
			return false, "", err
		}
		p = found
		if p.Token != "" {
			target = client.Target{Token: p.Token} // what was asked for may move on
		}
		return p.Everywhere(), progressLine(p), nil
	})
	if errors.Is(err, errNotInTime) {
		return notInTime(&w.github, "writ wait", w.timeout, begun, err)
	}
	if err != nil {
		return err
	}
	facts := github.FactsOf(p, time.Since(begun))
	if o.JSON() {
		err = shell.PrintJSON(cmd.OutOrStdout(), p)
	} else {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), describe(p))
	}
	if err := errors.Join(err, w.github.Write("writ wait: "+p.State, facts)); err != nil {
		return err
	}
	if !p.Everywhere() {
		return &shell.Exit{Code: shell.CodeNotYet, Err: fmt.Errorf("not everywhere within %v", w.timeout)}
	}
	return nil
}

// notInTime ends a wait whose time was up before anybody said how far it has come.
func notInTime(g *github.Report, command string, timeout time.Duration, begun time.Time, cause error) error {
	facts := append([]github.Fact{{Name: "effect", Value: "unknown"}}, github.FactsOf(&client.Propagation{State: "unknown"}, time.Since(begun))...)
	if err := g.Write(command+": unknown", facts); err != nil {
		return err
	}
	return &shell.Exit{Code: shell.CodeNotYet, Err: fmt.Errorf("not known to be in force everywhere within %v: %w", timeout, cause)}
}

// describe says in one line how far a position has come.
func describe(p *client.Propagation) string {
	text := fmt.Sprintf("position %d is %s", p.Position, p.State)
	for _, part := range []struct {
		what  string
		names []string
	}{{"visible on", p.VisibleOn}, {"fenced", p.Fenced}, {"pending", p.Pending}} {
		if len(part.names) > 0 {
			text += fmt.Sprintf("; %s %s", part.what, strings.Join(part.names, ", "))
		}
	}
	for _, l := range p.PendingLives {
		text += fmt.Sprintf("; %s has several processes, of which %s is at position %d and may answer for %v more, heard %v ago", l.Replica, l.Life, l.Position,
			time.Duration(l.MayHoldMS)*time.Millisecond, time.Duration(l.HeardMS)*time.Millisecond)
	}
	if !p.Everywhere() && p.WorstCaseMS != nil {
		text += fmt.Sprintf("; at most %v more", time.Duration(*p.WorstCaseMS)*time.Millisecond)
	}
	return text
}
