package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/archive"
	"github.com/writ-iam/writ/node/setup"
)

// NewRecover makes the verb that goes on with one writer where a majority is lost for good.
func NewRecover() *cobra.Command {
	var data string
	var yes bool
	cmd := &cobra.Command{
		Use:   "recover --data DIR [--yes]",
		Short: "Go on with one writer when the majority is lost for good",
		Long: `Makes the directory of a writer, which is not running, that of the only writer of a new incarnation. All
that it has counts; what a majority acknowledged without it is lost. Choose the directory with the
highest position among those that are left. Without --yes, it says what it would do.

It works on a copy, so the disk has to have room for one, and keeps the log that there was. Start the
other writers with empty directories afterwards; they join. A writer that comes back with what it
had ends, and says so. Tokens of positions and sessions of before are refused.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if data == "" {
				return shell.Usage("--data is needed: the directory of the writer that is left")
			}
			return recoverWriter(cmd, data, yes)
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "the writer's directory")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func recoverWriter(cmd *cobra.Command, data string, yes bool) error {
	var refused error
	out := cmd.OutOrStdout()
	found, err := (&archive.Recovery{Data: data, Time: archive.Time(time.Now().UnixMilli())}).Run(func(r archive.Recovered) bool {
		fmt.Fprintf(out, `this writer has position %d, hash %x, changed last at %s; it knew position %d to be committed
kept: all up to position %d, those after %d though nobody may have been told of them
lost: whatever other writers acknowledged after position %d
`, r.Kept.Position, r.Kept.Hash, clock(r.Changed), r.Committed, r.Kept.Position, r.Committed, r.Kept.Position)
		for _, m := range r.Members {
			fmt.Fprintf(out, "member of the log until now: %s, %s\n", m.Address, m.ID)
			if runs(m.Address) {
				refused = fmt.Errorf("something answers at %s: where a majority can still be started, start it; else stop that writer first", m.Address)
			}
		}
		if refused == nil && !yes {
			refused = shell.Usage("nothing was changed: say --yes to go on with this writer alone")
		}
		return refused == nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; --data is the directory that a writer was started with", err)
	case errors.Is(err, setup.ErrInUse):
		return fmt.Errorf("%w: stop the writer first", err)
	case err != nil:
		return err
	case refused != nil:
		return refused
	}
	if found.Before == "" {
		_, err = fmt.Fprintf(out, "an earlier recovery of %s is finished\n", data)
		return err
	}
	_, err = fmt.Fprintf(out, `done: %s is the only writer of a new incarnation; what there was is in %s
next: start it; then start the other writers with empty directories, and the replicas as they are
`, data, found.Before)
	return err
}
