// Package seal has the verbs on the keys that seal secrets.
package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/seal"
)

// Times that the verbs take at most, unless --timeout says otherwise.
const (
	lookTimeout   = 15 * time.Second
	rotateTimeout = 30 * time.Second
	// lookEvery is how often a verb that waits looks.
	lookEvery = time.Second
)

// settled is the phase in which no secret needs another key than the one that seals.
const settled = "settled"

// New makes the command with its verbs.
func New() *cobra.Command {
	cmd := shell.Group(&cobra.Command{
		Use:   "seal",
		Short: "Show and rotate the key that seals secrets",
		Long: `All secrets in the log are sealed by a key that the log never has: every node has it in its key
file. To rotate it, make a new one (` + "`writ seal add`" + `), take the file to every node that has
keys, send each SIGHUP, and run ` + "`writ seal rotate`" + `. When ` + "`writ seal status`" + ` says that the old
one is retired, take it out of the files and send SIGHUP again. Keep it where backups are kept.`,
	})
	cmd.AddCommand(newStatus(), newRotate(), newAdd(), newList())
	return cmd
}

func newStatus() *cobra.Command {
	var wait bool
	cmd := target.On(&cobra.Command{
		Use: "status", Short: "Show which keys seal secrets, which node has which, and how far a rotation is", Args: cobra.NoArgs,
		Long: `Shows the keys by their ids, never what they are. The active one seals; one that is needed has sealed
secrets that are there now; a retired one has not, and can be taken out of the key files; a new one
has never sealed. Of each node it shows which keys it has, and which needed ones it lacks.`,
	}, lookTimeout, func(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
		s, err := look(ctx, c, wait)
		if err != nil {
			return err
		}
		if o.JSON() {
			return shell.PrintJSON(cmd.OutOrStdout(), s)
		}
		return show(cmd.OutOrStdout(), s)
	})
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until no secret needs another key than the one that seals")
	return cmd
}

// look asks for the keys, again and again if it is to wait until a rotation is over.
func look(ctx context.Context, c *client.Client, wait bool) (*client.Seal, error) {
	for {
		s, err := c.Seal(ctx)
		refused := (*client.Problem)(nil)
		switch {
		case err != nil && (!wait || errors.As(err, &refused) && refused.Status < 500):
			return nil, err
		case err == nil && (!wait || s.Phase != "resealing"):
			return s, nil
		case err == nil:
			err = fmt.Errorf("%d secrets are left to be sealed anew", s.Left)
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return nil, &shell.Exit{Code: shell.CodeNotYet, Err: err}
		}
	}
}

func show(out io.Writer, s *client.Seal) error {
	switch s.Phase {
	case "unchosen":
		fmt.Fprintf(out, "%s seals, the first of the leader's key file: there was no rotation\n\n", s.Active)
	case settled:
		fmt.Fprintf(out, "%s seals, since position %d; no secret needs another key since position %d\n\n", s.Active, s.Chosen, s.Retired)
	default:
		fmt.Fprintf(out, "%s seals, since position %d; %d secrets were sealed anew, %d are left\n\n", s.Active, s.Chosen, s.Resealed, s.Left)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tSTATE\tSECRETS")
	for _, k := range s.Keys {
		fmt.Fprintf(w, "%s\t%s\t%d\n", k.ID, k.State, k.Secrets)
	}
	fmt.Fprintln(w, "\nNODE\tROLE\tKEYS\tDETAIL")
	for _, n := range s.Nodes {
		keys, detail := strings.Join(n.Keys, " "), n.Detail
		switch {
		case n.Keys == nil:
			keys = "unknown"
		case keys == "":
			keys = "none"
		}
		if len(n.Lacks) > 0 {
			detail = "lacks " + strings.Join(n.Lacks, " ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.Name, n.Role, keys, detail)
	}
	return w.Flush()
}

func newRotate() *cobra.Command {
	var key string
	cmd := target.On(&cobra.Command{
		Use: "rotate", Short: "Have a new key seal, and all secrets sealed anew", Args: cobra.NoArgs,
		Long: `Has the new key seal that stands in the key files of all nodes, and prints the position and token of
that. It is refused, and the nodes are named, until all writers and all replicas with keys have it.
From then on the leader seals all secrets anew in the background; whoever leads goes on with it.
A key that has sealed before never seals again.`,
		Example: "  writ seal rotate && writ seal status --wait --timeout 1h",
	}, rotateTimeout, func(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
		if key != "" {
			if _, ok := seal.ParseID(key); !ok {
				return shell.Usage("%q is no id of a key; `writ seal status` shows them", key)
			}
		}
		done, err := c.RotateSealKey(ctx, key)
		if err != nil {
			return err
		}
		if o.JSON() {
			err = shell.PrintJSON(cmd.OutOrStdout(), done)
		} else {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "key %s seals since position %d; token %s\n", done.Key, done.Position, done.Token)
		}
		return err
	})
	cmd.Flags().StringVar(&key, "key", "", "id of the key (default: the only new one)")
	return cmd
}

func newAdd() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "add --file FILE", Short: "Append a new random key to a key file", Args: cobra.NoArgs,
		Long: `Appends a new random key to a key file, and prints its id. The file keeps its owner and mode. Nothing
seals by the key before ` + "`writ seal rotate`" + `. Do this once, and take the same file to every node:
two files that were added to have two keys.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return shell.Usage("--file is needed: the seal.key that nodes have")
			}
			id, err := seal.AddToFile(file)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "key %s is in %s; take that file to every node that has keys, send each SIGHUP, then `writ seal rotate`\n", id, file)
			return err
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "the key file")
	return cmd
}

func newList() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "list --file FILE", Short: "Show the ids of the keys of a key file, in its order", Args: cobra.NoArgs,
		Long: "Shows the ids of the keys of a key file, in its order, and nothing else of them.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return shell.Usage("--file is needed: the seal.key that nodes have")
			}
			k, err := seal.LoadFile(file)
			if err != nil {
				return err
			}
			for _, id := range k.IDs() {
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), id); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "the key file")
	return cmd
}
