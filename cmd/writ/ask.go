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
