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
		Long: `Asks the node of --endpoint, or else every node of $WRIT_ENDPOINT, or else the one at
` + localEndpoint + `, and prints its checks.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return health(cmd.Context(), cmd.OutOrStdout(), &t)
		},
	}
	t.flags(cmd.Flags())
	return cmd
}

const (
	// askTimeout is how long a command that waits for nothing takes at most, whoever
	// does not answer.
	askTimeout = 30 * time.Second
	// healthTimeout is how long a node may take to say how it is.
	healthTimeout = 5 * time.Second
	// localEndpoint is where a node serves clients unless it is told otherwise.
	localEndpoint = "http://127.0.0.1:8420"
)

func health(ctx context.Context, out io.Writer, t *target) error {
	endpoints := []string{t.endpoint}
	if t.endpoint == "" {
		if endpoints = envEndpoints(); len(endpoints) == 0 {
			endpoints = []string{localEndpoint}
		}
	}
	for _, text := range endpoints {
		if !client.IsEndpoint(text) {
			return usage("the endpoint %q is no http or https URL; set --endpoint or WRIT_ENDPOINT", text)
		}
	}
	hc, err := node.HTTPClient(t.caFile)
	if err != nil {
		return err
	}
	var failed []error
	for _, endpoint := range endpoints {
		if len(endpoints) > 1 {
			fmt.Fprintf(out, "%s\n", endpoint)
		}
		if err := healthOf(ctx, out, hc, endpoint); err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return &exit{exitUnhealthy, errors.Join(failed...)}
	}
	return nil
}

// healthOf prints what one node says of itself; an error: it is not ready.
func healthOf(ctx context.Context, out io.Writer, hc *http.Client, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(endpoint, "/")+"/readyz?verbose", nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", endpoint, err)
	}
	answer, err := hc.Do(r)
	if err != nil {
		return fmt.Errorf("the node does not answer: %w", err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(out, io.LimitReader(answer.Body, client.MaxAnswer)); err != nil {
		return fmt.Errorf("read the answer of %s: %w", endpoint, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is not ready", endpoint)
	}
	return nil
}

func newStatus() *cobra.Command {
	var t target
	var o output
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show who leads, who lags, and where; exits 5 if a member is not in order",
		Long: `Shows every member as the leader knows it. It exits 5 if no leader is known, and if a member
is not in order: a writer that does not answer or has not joined, a replica that is quarantined
or holds no lease. Draining and removed replicas are in order.`,
		Args: cobra.NoArgs,
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
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s, err := c.Cluster(ctx)
	var p *client.Problem
	if errors.As(err, &p) && p.Temporary() || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &exit{exitUnhealthy, fmt.Errorf("no leader is known, and no node that was asked holds a lease: %w; `writ health` asks without a key", err)}
	}
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
	return inOrder(s)
}

// inOrder says what is not in order in a cluster.
func inOrder(s *client.Cluster) error {
	var wrong []string
	if s.Leader == "" {
		wrong = append(wrong, "no leader is known; a majority of the writers must be up and reach each other")
	}
	leased := make(map[string]bool)
	for _, m := range s.Members {
		leased[m.Name] = leased[m.Name] || m.State == "leased"
	}
	for _, m := range s.Members {
		if m.Life != "" && leased[m.Name] && m.State != "quarantined" {
			continue // another process of the name serves
		}
		switch m.State {
		case "quarantined", "unreachable", "joining", "silent", "fenced":
			text := m.Name + " is " + m.State
			if m.Detail != "" {
				text += ": " + m.Detail
			}
			wrong = append(wrong, text)
		}
	}
	if len(wrong) > 0 {
		return &exit{exitUnhealthy, errors.New(strings.Join(wrong, "; "))}
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
