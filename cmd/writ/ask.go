package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/node"
	"github.com/writ-iam/writ/node/client"
)

func newHealth() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a node whether it is ready; exits 5 if it is not",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return health(cmd.Context(), cmd.OutOrStdout(), &t)
		},
	}
	t.flags(cmd.Flags())
	return cmd
}

// healthTimeout is how long a node may take to say how it is.
const healthTimeout = 5 * time.Second

func health(ctx context.Context, out io.Writer, t *target) error {
	endpoint := t.endpoint
	if endpoint == "" {
		endpoint = "http://127.0.0.1:8420"
	}
	hc, err := node.HTTPClient(t.caFile)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(endpoint, "/")+"/readyz?verbose", nil)
	if err != nil {
		return usage("--endpoint: %w", err)
	}
	answer, err := hc.Do(r)
	if err != nil {
		return &exit{exitUnhealthy, fmt.Errorf("the node does not answer: %w", err)}
	}
	defer answer.Body.Close()
	if _, err := io.Copy(out, io.LimitReader(answer.Body, client.MaxAnswer)); err != nil {
		return &exit{exitUnhealthy, fmt.Errorf("read the node's answer: %w", err)}
	}
	if answer.StatusCode != http.StatusOK {
		return &exit{code: exitUnhealthy}
	}
	return nil
}

func newStatus() *cobra.Command {
	var t target
	var o output
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show who leads, who lags, and where; exits 5 if a member is quarantined",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return status(cmd.Context(), cmd.OutOrStdout(), &t, &o)
		},
	}
	t.flags(cmd.Flags())
	o.flag(cmd.Flags())
	return cmd
}

func status(ctx context.Context, out io.Writer, t *target, o *output) error {
	if err := o.check(); err != nil {
		return err
	}
	c, err := t.client()
	if err != nil {
		return err
	}
	s, err := c.Cluster(ctx)
	if err != nil {
		return err
	}
	if o.json() {
		err = printJSON(out, s)
	} else {
		err = printStatus(out, s)
	}
	if err != nil {
		return err
	}
	for _, m := range s.Members {
		if m.State == "quarantined" {
			return &exit{exitUnhealthy, fmt.Errorf("%s is quarantined: %s", m.Name, m.Detail)}
		}
	}
	if s.Leader == "" {
		return &exit{exitUnhealthy, errors.New("no leader is known; a majority of the writers must be up and reach each other")}
	}
	return nil
}

func printStatus(out io.Writer, s *client.Cluster) error {
	fmt.Fprintf(out, "cluster %s, incarnation %s\nhead %d, state %.16s, leader %s in term %d (told by %s)\n\n", s.ID, s.Incarnation, s.Position, s.Digest, s.Leader, s.Term, s.Node)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tROLE\tSTATE\tPOSITION\tLAG\tDETAIL")
	for _, m := range s.Members {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\n", m.Name, m.Role, m.State, m.Position, m.Lag, m.Detail)
	}
	return w.Flush()
}

func newWait() *cobra.Command {
	var t target
	var o output
	var w waiting
	cmd := &cobra.Command{
		Use:   "wait [--token TOKEN | --request-id ID | --arn ARN | --head]",
		Short: "Wait until a change is in force everywhere; exits 3 if it is not in time",
		Long: `Waits until no replica will ever again answer as fresh from before a position: each
shows it, or has lost its lease. The position is that of a write's token (the X-Writ-Token
header of its answer), that of the write with a request id (the x-amzn-RequestId of its answer,
which the AWS CLI shows with --debug and SDKs keep; remembered for five minutes), that of the
latest change to what an ARN names and depends on, or the head of the log.`,
		Example: "  writ wait --head\n  writ wait --arn arn:aws:iam::123456789012:user/alice --timeout 30s",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return wait(cmd.Context(), cmd.OutOrStdout(), &t, &o, &w)
		},
	}
	t.flags(cmd.Flags())
	o.flag(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&w.target.Token, "token", "", "token of a write")
	f.StringVar(&w.target.RequestID, "request-id", "", "x-amzn-RequestId of a write's answer")
	f.StringVar(&w.target.ARN, "arn", "", "ARN of a user, group, role or policy")
	f.BoolVar(&w.head, "head", false, "everything that is committed by now")
	f.DurationVar(&w.timeout, "timeout", time.Minute, "how long to wait at most")
	f.StringSliceVar(&w.scope.Replicas, "replica", nil, "wait for these replicas only")
	f.StringVar(&w.scope.Region, "region", "", "wait for the replicas of one region only")
	f.IntVar(&w.scope.Count, "count", 0, "wait until this many replicas show it")
	cmd.MarkFlagsMutuallyExclusive("token", "request-id", "arn", "head")
	return cmd
}

type waiting struct {
	target  client.Target
	head    bool
	timeout time.Duration
	scope   client.Scope
}

func wait(ctx context.Context, out io.Writer, t *target, o *output, w *waiting) error {
	if err := o.check(); err != nil {
		return err
	}
	if w.target == (client.Target{}) && !w.head {
		return usage("say what to wait for: --token, --request-id, --arn or --head")
	}
	c, err := t.client()
	if err != nil {
		return err
	}
	p, err := c.Propagation(ctx, w.target, w.scope, w.timeout)
	if err != nil {
		return err
	}
	if o.json() {
		err = printJSON(out, p)
	} else {
		_, err = fmt.Fprintln(out, describe(p))
	}
	if err == nil && !p.Everywhere() {
		return &exit{exitNotYet, fmt.Errorf("not everywhere within %v", w.timeout)}
	}
	return err
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
	if !p.Everywhere() && p.WorstCaseMS != nil {
		text += fmt.Sprintf("; at most %v more", time.Duration(*p.WorstCaseMS)*time.Millisecond)
	}
	return text
}

func newCan() *cobra.Command {
	t := target{replicas: true}
	var o output
	var a asking
	cmd := &cobra.Command{
		Use:   "can --as ARN --action ACTION [--resource ARN]",
		Short: "Ask whether a principal may do something; exits 4 if not",
		Long: `Asks a replica (the first of $WRIT_REPLICAS, unless --endpoint is given) for a decision
and prints it with the position at which it holds and how fresh it is.`,
		Example: "  writ can --as arn:aws:iam::123456789012:user/alice --action s3:GetObject --resource arn:aws:s3:::bucket/key",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return can(cmd.Context(), cmd.OutOrStdout(), &t, &o, &a)
		},
	}
	t.flags(cmd.Flags())
	o.flag(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&a.question.Principal, "as", "", "ARN of the principal")
	f.StringVar(&a.question.Action, "action", "", "action, such as s3:GetObject")
	f.StringVar(&a.question.Resource, "resource", "*", "ARN of the resource")
	f.StringArrayVar(&a.context, "context", nil, "condition key and value, key=value; several for one key make a list")
	f.StringVar(&a.fresh.AtLeast, "at-least", "", "token of a write that the answer must not be older than")
	f.StringVar(&a.fresh.Consistency, "consistency", "", "leased, strict or any (default: the node's rule)")
	f.DurationVar(&a.fresh.MaxStaleness, "max-staleness", 0, "refuse an answer that could be older than this")
	return cmd
}

type asking struct {
	question client.Question
	context  []string
	fresh    client.Freshness
}

func can(ctx context.Context, out io.Writer, t *target, o *output, a *asking) error {
	if err := o.check(); err != nil {
		return err
	}
	if a.question.Principal == "" || a.question.Action == "" {
		return usage("say who and what: --as ARN --action SERVICE:ACTION")
	}
	a.question.Context = make(map[string][]string)
	for _, pair := range a.context {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return usage("--context is %q; use key=value", pair)
		}
		a.question.Context[key] = append(a.question.Context[key], value)
	}
	c, err := t.client()
	if err != nil {
		return err
	}
	d, err := c.Authorize(ctx, a.question, a.fresh)
	if err != nil {
		return err
	}
	if o.json() {
		err = printJSON(out, d)
	} else {
		err = printDecision(out, d)
	}
	if err == nil && !d.Allowed() {
		return &exit{code: exitDenied}
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
