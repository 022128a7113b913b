package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/github"
	"github.com/writ-iam/writ/cmd/writ/past"
	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/projection/authz"
)

func newCan() *cobra.Command {
	t := target.Nodes{Replicas: true}
	var o shell.Output
	var a canFlags
	cmd := &cobra.Command{
		Use:   "can --as ARN --action ACTION [--resource ARN] [--wait --expect allow|deny]",
		Short: "Ask whether a principal may do something, or wait until it may; exits 4 if not",
		Long: `Asks a replica (one of $WRIT_REPLICAS, unless --endpoint is given) for a decision
and prints it with the position at which it holds and how fresh it is.

With --at it asks about a position or a time of the past instead, which a writer answers from the
history; it takes the permission writ:AuthorizeAt, too.

With --wait it asks the leader instead, until the decision is as expected there and at every
replica that may answer as fresh, each by its own engine and clock. It exits 3 if that was not
so everywhere in time, and 4 if the leader itself decides otherwise when the time is up.

A question is about one action and one resource: patterns such as s3:* are refused (exit 2),
for a principal may lack them and have each action that they stand for. A principal that does
not exist is an error, too (exit 1), even with --expect deny; to wait until one is deleted,
wait for its deletion, with writ wait. What makes an answer doubtful, such as an action that
no catalogue knows, is said on standard error.`,
		Example: `  writ can --as arn:aws:iam::123456789012:user/alice --action s3:GetObject --resource arn:aws:s3:::bucket/key
  writ can --wait --as arn:aws:iam::123456789012:user/mallory --action s3:GetObject --resource arn:aws:s3:::bucket/key --expect deny --for all`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(o.Check(), a.check(cmd)); err != nil {
				return err
			}
			if a.wait {
				t.Replicas = false
				return awaitEffect(cmd, &t, &o, &a)
			}
			return can(cmd, &t, &o, &a)
		},
	}
	t.Flags(cmd.Flags())
	o.Flag(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&a.question.Principal, "as", "", "ARN of the principal")
	f.StringVar(&a.question.Action, "action", "", "action, such as s3:GetObject")
	f.StringVar(&a.question.Resource, "resource", "*", "ARN of the resource")
	f.StringArrayVar(&a.context, "context", nil, "condition key and value, key=value; several for one key make a list")
	f.StringVar(&a.fresh.AtLeast, "at-least", "", "token of a write that the answer must not be older than")
	f.StringVar(&a.fresh.Consistency, "consistency", "", "leased, strict or any (default: the node's rule)")
	f.DurationVar(&a.fresh.MaxStaleness, "max-staleness", 0, "refuse an answer that could be older than this")
	f.BoolVar(&a.wait, "wait", false, "wait until it is as expected everywhere")
	f.StringVar(&a.expect, "expect", "", "allow or deny, with --wait")
	f.StringVar(&a.scopeText, "for", "all", "with --wait: all, region=NAME, count=N, or replicas by name, NAME,NAME...")
	f.DurationVar(&a.timeout, "timeout", time.Minute, "how long to wait at most; without --wait, how long it may take, 15s if not given")
	f.StringVar(&a.at, "at", "", "ask about the past: a position, or a time as in 2026-07-01T12:00:00Z")
	a.github.Flag(f)
	return cmd
}

// canFlags are what the flags of `writ can` say.
type canFlags struct {
	question client.Question
	context  []string
	fresh    client.Freshness
	at       string

	// The rest goes with --wait.
	wait      bool
	expect    string
	scopeText string
	scope     client.Scope
	timeout   time.Duration
	github    github.Report
}

// check reads what the flags say together.
func (a *canFlags) check(cmd *cobra.Command) (err error) {
	if a.question.Principal == "" || a.question.Action == "" {
		return shell.Usage("say who and what: --as ARN --action SERVICE:ACTION")
	}
	if err := authz.CheckPrincipal(a.question.Principal); err != nil {
		return shell.Usage("--as: %w", err)
	}
	if err := authz.CheckAction(a.question.Action); err != nil {
		return shell.Usage("--action: %w", err)
	}
	if err := authz.CheckResource(a.question.Resource); err != nil {
		return shell.Usage("--resource: %w", err)
	}
	a.question.Context = make(map[string][]string)
	for _, pair := range a.context {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return shell.Usage("--context is %q; use key=value", pair)
		}
		if err := authz.CheckContextKey(key); err != nil {
			return shell.Usage("--context: %w", err)
		}
		a.question.Context[key] = append(a.question.Context[key], value)
	}
	if a.at != "" {
		if a.wait || a.fresh != (client.Freshness{}) {
			return shell.Usage("--at is about the past, which is exact: --wait, --at-least, --consistency and --max-staleness do not go with it")
		}
		if err := past.CheckMoment(a.at); err != nil {
			return shell.Usage("--at: %w", err)
		}
		a.question.At = client.Moment(a.at)
	}
	if !a.wait {
		for _, name := range []string{"expect", "for", github.FlagName} {
			if cmd.Flags().Changed(name) {
				return shell.Usage("--%s goes with --wait", name)
			}
		}
		return nil
	}
	if a.expect != "allow" && a.expect != "deny" {
		return shell.Usage("say what to wait for: --expect allow or --expect deny")
	}
	if a.fresh.Consistency != "" || a.fresh.MaxStaleness != 0 {
		return shell.Usage("--consistency and --max-staleness do not go with --wait, which takes fresh answers alone")
	}
	if a.scope, err = parseScope(a.scopeText); err != nil {
		return err
	}
	return a.github.Check()
}

// parseScope reads whom a wait is about.
func parseScope(text string) (s client.Scope, err error) {
	key, value, named := strings.Cut(text, "=")
	switch {
	case text == "all":
	case named && key == "region" && value != "":
		s.Region = value
	case named && key == "count":
		if s.Count, err = strconv.Atoi(value); err != nil || s.Count <= 0 {
			return s, shell.Usage("--for is %q; use a number of replicas, at least 1", text)
		}
	case named || text == "":
		return s, shell.Usage("--for is %q; use all, region=NAME, count=N, or names of replicas", text)
	default:
		s.Replicas = strings.Split(text, ",")
	}
	return s, nil
}

// warn says what makes an answer doubtful.
func warn(errs io.Writer, warnings []string) {
	for _, w := range warnings {
		fmt.Fprintln(errs, "writ: warning:", w)
	}
}

func can(cmd *cobra.Command, t *target.Nodes, o *shell.Output, a *canFlags) error {
	c, err := t.Client()
	if err != nil {
		return err
	}
	if !cmd.Flags().Changed("timeout") {
		a.timeout = askTimeout
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	ask := c.Authorize
	if a.at != "" {
		ask = func(ctx context.Context, q client.Question, _ client.Freshness) (*client.Decision, error) {
			return c.AuthorizeAt(ctx, q)
		}
	}
	d, err := ask(ctx, a.question, a.fresh)
	if errors.Is(err, context.DeadlineExceeded) && t.Endpoint == "" {
		return fmt.Errorf("no node that can answer as fresh did so within %v: %w; one that is cut off answers, flagged, when it alone is asked: --endpoint URL", a.timeout, err)
	}
	if err != nil {
		return err
	}
	warn(cmd.ErrOrStderr(), d.Warnings)
	out := cmd.OutOrStdout()
	if o.JSON() {
		err = shell.PrintJSON(out, d)
	} else {
		err = printDecision(out, d)
	}
	if err == nil && !d.Allowed() {
		return &shell.Exit{Code: shell.CodeDenied}
	}
	return err
}

func printDecision(out io.Writer, d *client.Decision) error {
	word := "deny (" + d.Decision + ")"
	switch d.Decision {
	case "allow":
		word = "allow"
	case "indeterminate":
		word = "indeterminate: allowed at this position, which may be old"
	}
	fresh := d.Freshness
	if d.At != nil {
		fresh = "the past, " + d.At.Format(time.RFC3339) + "; it says nothing of now"
	}
	if d.StalenessMS != nil {
		fresh += fmt.Sprintf(", at most %v old", time.Duration(*d.StalenessMS)*time.Millisecond)
	}
	if _, err := fmt.Fprintf(out, "%s at position %d on %s (%s)\n", word, d.Position, d.Node, fresh); err != nil {
		return err
	}
	if d.Reason != "" {
		_, err := fmt.Fprintln(out, d.Reason)
		return err
	}
	return nil
}

// awaitEffect waits until a decision is as expected everywhere.
func awaitEffect(cmd *cobra.Command, t *target.Nodes, o *shell.Output, a *canFlags) error {
	c, err := t.Client()
	if err != nil {
		return err
	}
	begun := time.Now()
	var e *client.Effect
	err = newProgress(cmd.ErrOrStderr(), o).wait(cmd.Context(), a.timeout, func(ctx context.Context, wait time.Duration) (done bool, line string, err error) {
		e, err = c.Effect(ctx, client.Expectation{Question: a.question, Expect: a.expect, AtLeast: a.fresh.AtLeast}, a.scope, wait)
		if err != nil {
			return false, "", err
		}
		line = progressLine(&e.Propagation)
		if e.Absent() {
			line = fmt.Sprintf("position %d: the leader decides %s", e.Position, e.Decision)
		}
		return e.Present(), line, nil
	})
	if errors.Is(err, errNotInTime) {
		return notInTime(&a.github, "writ can", a.timeout, begun, err)
	}
	if err != nil {
		return err
	}
	warn(cmd.ErrOrStderr(), e.Warnings)
	facts := append([]github.Fact{{Name: "effect", Value: e.Effect}, {Name: "decision", Value: e.Decision}}, github.FactsOf(&e.Propagation, time.Since(begun))...)
	if o.JSON() {
		err = shell.PrintJSON(cmd.OutOrStdout(), e)
	} else {
		err = printEffect(cmd.OutOrStdout(), e)
	}
	if err := errors.Join(err, a.github.Write("writ can: "+a.expect+" is "+e.Effect, facts)); err != nil {
		return err
	}
	switch {
	case e.Present():
		return nil
	case e.Absent():
		return &shell.Exit{Code: shell.CodeDenied, Err: fmt.Errorf("%s is absent: after %v the leader decides %s", a.expect, a.timeout, e.Decision)}
	}
	return &shell.Exit{Code: shell.CodeNotYet, Err: fmt.Errorf("%s is not in force everywhere within %v", a.expect, a.timeout)}
}

// printEffect tells who decides what.
func printEffect(out io.Writer, e *client.Effect) error {
	if _, err := fmt.Fprintf(out, "%s is %s; the leader decides %s; %s\n", e.Expect, e.Effect, e.Decision, describe(&e.Propagation)); err != nil {
		return err
	}
	if e.Absent() && e.Reason != "" {
		if _, err := fmt.Fprintln(out, e.Reason); err != nil {
			return err
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range e.Replicas {
		if r.Decision == "" {
			fmt.Fprintf(w, "  %s\tno decision\t%s\n", r.Name, r.Reason)
			continue
		}
		fmt.Fprintf(w, "  %s\t%s\tat position %d, %s\n", r.Name, r.Decision, r.Position, r.Freshness)
	}
	return w.Flush()
}
