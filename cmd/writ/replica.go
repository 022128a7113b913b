package main

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

func newReplica() *cobra.Command {
	cmd := shell.Group(&cobra.Command{
		Use:   "replica",
		Short: "Show and change the roster: the replicas that \"everywhere\" waits for",
		Long: `A replica enters the roster by itself when it is started, unless it was removed: then only
after ` + "`writ replica admit`." + ` "Everywhere" waits for every replica in the roster, and for one
that was taken off until its last lease has run out.`,
	})
	cmd.AddCommand(newReplicaList(),
		newReplicaChange("drain", "Stop new leases for a replica that is about to go",
			"Its last lease still runs out; after that it answers as one that is cut off.", "drains", (*client.Client).Drain),
		newReplicaChange("resume", "End a replica's draining",
			"It gets leases again with its next renewal.", "is registered again", (*client.Client).Resume),
		newReplicaRemove(),
		newReplicaChange("admit", "Let a removed replica in again",
			"It registers by itself when it runs. Admit no name whose certificate may be in wrong hands.", "may enter again", (*client.Client).Admit))
	return cmd
}

func newReplicaRemove() *cobra.Command {
	var unregistered bool
	cmd := newReplicaChange("remove", "Take a replica off the roster, and refuse its name from then on",
		`Its last lease still runs out. No writer that has heard of the removal serves the name
any more, on any port, whatever process comes with its certificate, until `+"`writ replica admit`."+`
A replica that runs answers as one that is cut off.`, "is removed",
		func(c *client.Client, ctx context.Context, name string) (*client.RosterChange, error) {
			if unregistered {
				return c.RemoveUnregistered(ctx, name)
			}
			return c.Remove(ctx, name)
		})
	cmd.Flags().BoolVar(&unregistered, "unregistered", false, "bar the name also where the roster does not have it: that of a certificate which must not be used")
	return cmd
}

func newReplicaList() *cobra.Command {
	t := target.Nodes{Limit: lookTimeout}
	var o shell.Output
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the replicas, and what the leader knows of them",
		Long:  "Shows the replicas, and what the leader knows of them. All endpoints are asked at once; it ends within --timeout, whoever does not answer.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listReplicas(cmd.Context(), cmd.OutOrStdout(), &t, &o)
		},
	}
	t.Flags(cmd.Flags())
	o.Flag(cmd.Flags())
	return cmd
}

func listReplicas(ctx context.Context, out io.Writer, t *target.Nodes, o *shell.Output) error {
	if err := o.Check(); err != nil {
		return err
	}
	s, err := cluster(ctx, t)
	if err != nil {
		return err
	}
	replicas := []client.Member{}
	for _, m := range s.Members {
		if m.Role == "replica" {
			replicas = append(replicas, m)
		}
	}
	if o.JSON() {
		return shell.PrintJSON(out, replicas)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tREGION\tSTATE\tPOSITION\tLAG\tMAY HOLD A LEASE FOR\tDETAIL")
	for _, m := range replicas {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%v\t%s\n", m.Name, m.Region, m.State, m.Position, m.Lag, time.Duration(m.MayHoldMS)*time.Millisecond, m.Detail)
	}
	return w.Flush()
}

// newReplicaChange is a command that changes the entry of one replica.
func newReplicaChange(verb, short, long, done string, change func(*client.Client, context.Context, string) (*client.RosterChange, error)) *cobra.Command {
	t := target.Nodes{Limit: changeTimeout}
	var o shell.Output
	cmd := &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Long:  short + ". " + long,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Check(); err != nil {
				return err
			}
			c, err := t.Client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), t.Limit)
			defer cancel()
			r, err := change(c, ctx, args[0])
			if err != nil {
				return err
			}
			if o.JSON() {
				return shell.PrintJSON(cmd.OutOrStdout(), r)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s at position %d; token %s\n", r.Replica, done, r.Position, r.Token)
			return err
		},
	}
	t.Flags(cmd.Flags())
	o.Flag(cmd.Flags())
	return cmd
}
