package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/client"
)

func newWatch() *cobra.Command {
	t := target.Nodes{Replicas: true}
	var o shell.Output
	var after string
	cmd := &cobra.Command{
		Use:   "watch [--after TOKEN|POSITION]",
		Short: "Print every position as it comes, and how far the watched node is behind",
		Long: `Prints a line for every position: when something changed, by which action, and which kinds
of things; never who changed what. Without --after it begins at the position of the node that
it watches, and it goes on at another when that one fails. On a terminal a last line tells
how far the node is behind the head of the log, so that quiet can be told from lag.

A token belongs to one history: of another one, say from before the cluster's directory was
wiped, it is refused, and so is a position that was never committed. A position alone cannot
tell: it means that of the history which is there.

With --output json every event is one line, heartbeats among them.`,
		Example: "  writ watch --after 0\n  writ watch --output json | jq -r 'select(.event == \"position\").token'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Check(); err != nil {
				return err
			}
			c, err := t.Client()
			if err != nil {
				return err
			}
			return watch(cmd.Context(), cmd.OutOrStdout(), newProgress(cmd.ErrOrStderr(), &o), c, &o, after)
		},
	}
	t.Flags(cmd.Flags())
	o.Flag(cmd.Flags())
	cmd.Flags().StringVar(&after, "after", "", "token of a write, or a position, to begin after; 0 is the beginning of the history")
	return cmd
}

// watch prints events until the context ends, which is how a watch is meant to end.
func watch(ctx context.Context, out io.Writer, p *progress, c *client.Client, o *shell.Output, after string) error {
	defer p.clear()
	enc := json.NewEncoder(out)
	err := c.Watch(ctx, after, func(e client.Event) error {
		switch {
		case o.JSON():
			return enc.Encode(e)
		case e.Kind == client.HeartbeatEvent:
			p.show(describeHeartbeat(e))
			return nil
		}
		p.clear()
		_, err := fmt.Fprintln(out, describeEvent(e))
		return err
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// describeEvent tells about a position or a gap in one line.
func describeEvent(e client.Event) string {
	if e.Kind == client.GapEvent {
		return fmt.Sprintf("%d-%d  not told: %s", e.From, e.To, e.Hint)
	}
	action := e.Action
	if action == "" {
		action = "(cluster)"
	}
	return fmt.Sprintf("%d  %s  %s  %s", e.Position, e.Time.Format(time.RFC3339), action, strings.Join(e.Kinds, " "))
}

// describeHeartbeat tells where the watched node is.
func describeHeartbeat(e client.Event) string {
	line := fmt.Sprintf("%s at position %d", e.Node, e.Position)
	switch {
	case e.Lag == nil:
		line += ", the head of the log is not known"
	case *e.Lag == 0:
		line += ", the head of the log"
	default:
		line += fmt.Sprintf(", %d behind", *e.Lag)
	}
	return line + " (" + e.Freshness + ")"
}
