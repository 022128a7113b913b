// Package store holds the verbs on a node's event store, which work without a cluster.
package store

import (
	"errors"
	"fmt"
	"io/fs"

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
and that the next one follows. The node must not be running.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if data == "" {
				return shell.Usage("--data is needed: the directory of a writer")
			}
			head, err := proof.VerifyLog(cmd.Context(), data)
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
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "the chain is whole from position 1 to %d, hash %x\n", head.Position, head.Hash)
			return err
		},
	}
	verify.Flags().StringVar(&data, "data", "", "the node's directory")
	cmd.AddCommand(verify)
	return cmd
}
