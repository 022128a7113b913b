// Package store holds the verbs on a node's event store, which work without a cluster.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/proof"
)

// New makes the group of the verbs, log.
func New() *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "log", Short: "Work on a node's event store"})
	var data string
	verify := &cobra.Command{
		Use:   "verify --data DIR",
		Short: "Check the chain of batches from genesis to head on this node; exits 5 if it is broken",
		Long: `Reads every batch of a writer's event store and checks its hash, its place in the chain,
and that the next one follows. Where the retention rule has dropped what was before, it begins there,
says so, and checks that the first batch follows what was dropped last. The node must not be running.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if data == "" {
				return shell.Usage("--data is needed: the directory of a writer")
			}
			w, err := proof.VerifyLog(cmd.Context(), data)
			switch {
			case errors.Is(err, proof.ErrBroken):
				return &shell.Exit{Code: shell.CodeUnhealthy, Err: err}
			case errors.Is(err, proof.ErrInUse):
				return fmt.Errorf("%w: stop the writer first; `writ verify` checks those that run", err)
			case errors.Is(err, fs.ErrNotExist):
				return fmt.Errorf("%w; --data is the directory that a writer was started with", err)
			case err != nil:
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "the chain is whole from position %d to %d, hash %x\n", w.First, w.Position, w.Hash)
			if err == nil && !w.Dropped.IsZero() {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "what was before position %d was dropped by the retention rule on %s\n", w.First, w.Dropped.Format(time.RFC3339))
			}
			return err
		},
	}
	verify.Flags().StringVar(&data, "data", "", "the node's directory")
	cmd.AddCommand(verify, newCompact())
	return cmd
}

func newCompact() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "compact --data DIR",
		Short: "Give the disk back what was dropped from this node's event store",
		Long: `Copies what is in a writer's event store into a new file and puts that in its place: dropping
leaves room for what comes, and the file as large as it was. It needs room for the copy. The node
must not be running; stop one writer at a time. Nothing is lost if it is cut short.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if data == "" {
				return shell.Usage("--data is needed: the directory of a writer")
			}
			before, after, err := proof.CompactLog(data)
			switch {
			case errors.Is(err, proof.ErrInUse):
				return fmt.Errorf("%w: stop the writer first", err)
			case errors.Is(err, fs.ErrNotExist):
				return fmt.Errorf("%w; --data is the directory that a writer was started with", err)
			case err != nil:
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "the event store has %d bytes, and had %d\n", after, before)
			return err
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "the node's directory")
	return cmd
}
