// Package writers has the verbs on the members of the log.
package writers

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/client"
)

// Times that the verbs take at most, unless --timeout says otherwise.
const (
	lookTimeout   = 10 * time.Second
	changeTimeout = 30 * time.Second
)

// New makes the command with its verbs.
func New() *cobra.Command {
	cmd := shell.Group(&cobra.Command{
		Use:   "writer",
		Short: "Show and change who votes in the log",
		Long: `The writers of cluster.yaml join the log by themselves. A writer that is taken out of it, or whose
directory was lost when its address changed, leaves a member behind that votes no more and still
counts: one more failure may then end all writes. ` + "`writ writer list`" + ` shows such members, and
` + "`writ writer remove`" + ` ends them.`,
	})
	list := target.On(&cobra.Command{
		Use: "list", Short: "Show the members of the log as Raft has them, and how many failures they survive", Args: cobra.NoArgs,
	}, lookTimeout, show)
	remove := target.On(&cobra.Command{
		Use: "remove ADDRESS|ID", Short: "Remove a member that cluster.yaml does not have", Args: cobra.ExactArgs(1),
		Long: `Removes a member from the log, by its address (HOST:PORT) or its id. A writer of cluster.yaml is
refused: it would join again; take it out of cluster.yaml at every node first, and start the writers
again, one after the other. Nothing is removed where the rest could not commit.`,
		Example: "  writ writer remove writer-4:8430",
	}, changeTimeout, remove)
	transfer := target.On(&cobra.Command{
		Use: "transfer [NAME]", Short: "Hand leadership to another writer", Args: cobra.MaximumNArgs(1),
		Long: `Hands leadership to a writer, or to the one that is furthest ahead. Writes wait meanwhile, as in an
election. A writer that is stopped by SIGTERM does this by itself.`,
	}, changeTimeout, transfer)
	cmd.AddCommand(list, remove, transfer)
	return cmd
}

func show(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
	s, err := c.Cluster(ctx)
	if err != nil {
		return err
	}
	if s.Quorum == nil {
		return fmt.Errorf("no leader is known, who alone knows the members of the log; `writ status` shows what %s knows", s.Node)
	}
	list := []client.Member{}
	for _, m := range s.Members {
		if m.Role == "writer" {
			list = append(list, m)
		}
	}
	out := cmd.OutOrStdout()
	if o.JSON() {
		return shell.PrintJSON(out, struct {
			Quorum  *client.Quorum  `json:"quorum"`
			Writers []client.Member `json:"writers"`
		}{s.Quorum, list})
	}
	if err := Quorum(out, s.Quorum); err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tPOSITION\tLAG\tDETAIL")
	for _, m := range list {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", m.Name, m.State, m.Position, m.Lag, m.Detail)
	}
	return w.Flush()
}

// Quorum writes who votes, and how many failures that survives.
func Quorum(out io.Writer, q *client.Quorum) error {
	survives := fmt.Sprintf("survive the failure of %d more", q.Survives)
	if q.Survives < 0 {
		survives = "are too few that answer: nothing can be written"
	}
	learners := ""
	if q.Learners > 0 {
		learners = fmt.Sprintf(" and %d learners", q.Learners)
	}
	_, err := fmt.Fprintf(out, "%d voters%s, which %s; laid out for %d\n\n", q.Voters, learners, survives, q.Planned)
	return err
}

func remove(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, called string) error {
	if err := c.RemoveWriter(ctx, called); err != nil {
		return err
	}
	return done(cmd, o, called, called+" is a member of the log no more")
}

func transfer(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, called string) error {
	if err := c.TransferLeadership(ctx, called); err != nil {
		return err
	}
	if called == "" {
		return done(cmd, o, called, "another writer leads")
	}
	return done(cmd, o, called, called+" leads")
}

func done(cmd *cobra.Command, o *shell.Output, called, text string) error {
	if o.JSON() {
		return shell.PrintJSON(cmd.OutOrStdout(), struct {
			Writer string `json:"writer"`
		}{called})
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}
