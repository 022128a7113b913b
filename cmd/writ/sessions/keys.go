// Package sessions has what the verbs on sessions and on the keys that seal them do with a
// cluster.
package sessions

import (
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/client"
)

// NewKeys makes the verbs on session keys, without what they do, and the command that holds
// them.
func NewKeys() (list, rotate, revoke, group *cobra.Command) {
	list = &cobra.Command{Use: "list", Short: "Show the session keys: number, state, since when", Args: cobra.NoArgs,
		Long: `Shows the keys that seal the tokens of sessions, and never what they are. An active key seals
and opens; one that is verify-only opens what it sealed; sessions that a revoked one sealed have
ended. Keys whose last sessions have ended leave the list when the next one is added.`}
	rotate = &cobra.Command{Use: "rotate", Short: "Have another key seal sessions", Args: cobra.NoArgs,
		Long: `Adds a session key, which seals from then on, and prints the position and token of the change.
The key before it opens what it sealed, so no session ends. The leader does this by itself when a
key has reached the age of --session-key-age of ` + "`writ serve`" + `. It is refused while 16 keys have
sessions that may last: those of a key have ended 37 hours after another took its place.`}
	revoke = &cobra.Command{Use: "revoke NUMBER", Short: "End every session that a key sealed", Args: cobra.ExactArgs(1),
		Long: `Revokes a session key and prints the position and token of the change: every session that the
key sealed ends, those of all accounts. Give the token to ` + "`writ wait --token`" + `, which says when no
node accepts them any more. New sessions are sealed by another key.`,
		Example: "  writ wait --token \"$(writ session-key revoke 3 --output json | jq -r .token)\""}
	return list, rotate, revoke, shell.Group(&cobra.Command{Use: "session-key", Short: "Show, rotate and revoke the keys that seal sessions"})
}

// ListKeys shows the session keys.
func ListKeys(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
	found, err := c.SessionKeys(ctx, client.Freshness{})
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if o.JSON() {
		return shell.PrintJSON(out, found)
	}
	if len(found.Keys) == 0 {
		_, err = fmt.Fprintln(out, "there is no session key: the first session that is asked for makes it")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tSTATE\tCREATED\tRETIRED")
	for _, k := range found.Keys {
		retired := "-"
		if k.Retired != nil {
			retired = k.Retired.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", k.Number, k.State, k.Created.Format(time.RFC3339), retired)
	}
	return w.Flush()
}

// RotateKey has another key seal sessions.
func RotateKey(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
	done, err := c.RotateSessionKey(ctx)
	return told(cmd, o, done, err)
}

// RevokeKey ends every session that a key sealed.
func RevokeKey(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, number string) error {
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return shell.Usage("%q is no number of a session key; `writ session-key list` shows them", number)
	}
	done, err := c.RevokeSessionKey(ctx, uint32(n))
	return told(cmd, o, done, err)
}

// told prints what a change of session keys came to.
func told(cmd *cobra.Command, o *shell.Output, done *client.SessionKeyChange, err error) error {
	if err != nil {
		return err
	}
	if o.JSON() {
		return shell.PrintJSON(cmd.OutOrStdout(), done)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "session key %d is %s at position %d; token %s\n", done.Number, done.State, done.Position, done.Token)
	return err
}
