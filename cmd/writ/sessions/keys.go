// Package sessions has what the verbs on sessions, and on the keys of the cluster that seal them
// and sign web identity tokens, do with a cluster.
package sessions

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/client"
)

// Keys is a kind of keys of the cluster, for the verbs on them.
type Keys int

// The kinds.
const (
	SessionKeys Keys = iota
	IssuerKeys
)

// name is the kind's, in words.
func (k Keys) name() string { return [...]string{"session", "issuer"}[k] }

// Commands makes the verbs on keys, without what they do, and the command that holds them.
func (k Keys) Commands() (list, rotate, revoke, group *cobra.Command) {
	said := texts[k]
	list = &cobra.Command{Use: "list", Short: "Show the " + k.name() + " keys: number, state, since when", Args: cobra.NoArgs, Long: said.list}
	rotate = &cobra.Command{Use: "rotate", Short: "Have another key " + said.does, Args: cobra.NoArgs, Long: said.rotate}
	revoke = &cobra.Command{Use: "revoke NUMBER", Short: said.ends, Args: cobra.ExactArgs(1), Long: said.revoke,
		Example: "  writ wait --token \"$(writ " + k.name() + "-key revoke 3 --output json | jq -r .token)\""}
	return list, rotate, revoke, shell.Group(&cobra.Command{Use: k.name() + "-key", Short: "Show, rotate and revoke the keys that " + said.does})
}

// texts are what the verbs say of themselves.
var texts = [...]struct{ does, ends, list, rotate, revoke string }{
	SessionKeys: {
		does: "seal sessions", ends: "End every session that a key sealed",
		list: `Shows the keys that seal the tokens of sessions, and never what they are. An active key seals
and opens; one that is verify-only opens what it sealed; sessions that a revoked one sealed have
ended. Keys whose last sessions have ended leave the list when the next one is added.`,
		rotate: `Adds a session key, which seals from then on, and prints the position and token of the change.
The key before it opens what it sealed, so no session ends. The leader does this by itself when a
key has reached the age of --session-key-age of ` + "`writ serve`" + `. It is refused while 16 keys have
sessions that may last: those of a key have ended 37 hours after another took its place.`,
		revoke: `Revokes a session key and prints the position and token of the change: every session that the
key sealed ends, those of all accounts. Give the token to ` + "`writ wait --token`" + `, which says when no
node accepts them any more. New sessions are sealed by another key.`,
	},
	IssuerKeys: {
		does: "sign web identity tokens", ends: "Have no token be good that a key signed",
		list: `Shows the keys that sign the web identity tokens of GetWebIdentityToken, for all accounts, and
never what they are. An active key signs; one that is verify-only is shown to verifiers beside it;
a revoked one is not. KEY IDS are what the headers of its tokens say (kid), one for each algorithm.`,
		rotate: `Adds an issuer key, which signs from then on, and prints the position and token of the change.
Verifiers are told of the key before it for two hours more, in which the last token that it signed
ends. The leader does this by itself when a key has reached the age of --issuer-key-age of
` + "`writ serve`" + `. It is refused while 8 keys have tokens that may last.`,
		revoke: `Revokes an issuer key and prints the position and token of the change. Once ` + "`writ wait --token`" + `
says that it is everywhere, no node tells verifiers of the key, nor takes a token that it signed.
Others than Writ go on for as long as they keep what they were told of keys: a minute, if they go
by what the answer says. New tokens are signed by another key.`,
	},
}

// List shows the keys.
func (k Keys) List(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
	var found any
	var rows []string
	switch k {
	case SessionKeys:
		keys, err := c.SessionKeys(ctx, client.Freshness{})
		if err != nil {
			return err
		}
		found = keys
		for _, k := range keys.Keys {
			rows = append(rows, row(k.Number, k.State, k.Created, k.Retired))
		}
	case IssuerKeys:
		keys, err := c.IssuerKeys(ctx, client.Freshness{})
		if err != nil {
			return err
		}
		found = keys
		for _, k := range keys.Keys {
			rows = append(rows, row(k.Number, k.State, k.Created, k.Retired)+"\t"+strings.Join(k.KeyIDs, " "))
		}
	}
	if o.JSON() {
		return shell.PrintJSON(cmd.OutOrStdout(), found)
	}
	return k.print(cmd, rows)
}

// print shows keys in lines.
func (k Keys) print(cmd *cobra.Command, rows []string) error {
	out := cmd.OutOrStdout()
	if len(rows) == 0 {
		_, err := fmt.Fprintf(out, "there is no %s key: the first %s that is asked for makes it\n", k.name(), [...]string{"session", "web identity token"}[k])
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tSTATE\tCREATED\tRETIRED"+[...]string{"", "\tKEY IDS"}[k])
	for _, row := range rows {
		fmt.Fprintln(w, row)
	}
	return w.Flush()
}

func row(number uint32, state string, created time.Time, retired *time.Time) string {
	until := "-"
	if retired != nil {
		until = retired.Format(time.RFC3339)
	}
	return fmt.Sprintf("%d\t%s\t%s\t%s", number, state, created.Format(time.RFC3339), until)
}

// Rotate has another key take the place of the active one.
func (k Keys) Rotate(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
	rotate := c.RotateSessionKey
	if k == IssuerKeys {
		rotate = c.RotateIssuerKey
	}
	done, err := rotate(ctx)
	return k.told(cmd, o, done, err)
}

// Revoke has nothing be good any more that a key made.
func (k Keys) Revoke(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, number string) error {
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return shell.Usage("%q is no number of a key; `writ %s-key list` shows them", number, k.name())
	}
	revoke := c.RevokeSessionKey
	if k == IssuerKeys {
		revoke = c.RevokeIssuerKey
	}
	done, err := revoke(ctx, uint32(n))
	return k.told(cmd, o, done, err)
}

// told prints what a change of keys came to.
func (k Keys) told(cmd *cobra.Command, o *shell.Output, done *client.KeyChange, err error) error {
	if err != nil {
		return err
	}
	if o.JSON() {
		return shell.PrintJSON(cmd.OutOrStdout(), done)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s key %d is %s at position %d; token %s\n", k.name(), done.Number, done.State, done.Position, done.Token)
	return err
}
