package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/catalog"
	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/client"
)

// importTimeout is how long an import of all its parts may take, unless --timeout says otherwise.
const importTimeout = time.Minute

func newCatalog() *cobra.Command {
	cmd := shell.Group(&cobra.Command{
		Use:   "catalog",
		Short: "Show and replace the managed policies of AWS, which every account sees",
		Long: `A cluster begins with the managed policies of AWS that are attached most, as they were when this
program was made. All of them are one catalogue, which is replaced as a whole.`,
	})
	show := target.On(&cobra.Command{Use: "show", Short: "Show which catalogue is in force, since when", Args: cobra.NoArgs}, askTimeout,
		func(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
			return catalog.Show(ctx, c, cmd.OutOrStdout(), o)
		})
	bring := target.On(&cobra.Command{
		Use:   "import [FILE]",
		Short: "Put the managed policies of a file in force, or those of this program",
		Long: `Puts in force what ` + "`aws iam get-account-authorization-details --filter AWSManagedPolicy`" + `
printed into FILE, or without FILE the policies that this program has, in place of all policies of
AWS that there are. A FILE of - is standard input, which is read for that alone: without FILE, a
file or a pipe there is refused. All accounts see the change at one position. Another import undoes
one. One that is stopped changed nothing or all, and says so: it may be repeated. The policies of
FILE are those of the cluster's partition; the program's own are made to name it.

A policy in use that the new catalogue does not have stays as it is, and is named, until an import
finds it unused.`,
		Example: "  writ catalog import\n  writ catalog import policies.json\n  writ catalog import - <policies.json",
		Args:    cobra.MaximumNArgs(1),
	}, importTimeout, func(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, file string) error {
		return catalog.Replace(ctx, c, cmd.InOrStdin(), cmd.OutOrStdout(), o, file)
	})
	cmd.AddCommand(show, bring)
	return cmd
}
