package main

import (
	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/account"
)

func newAccount() *cobra.Command {
	q, cmd := new(account.Quotas), account.New()
	cmd.AddCommand(onCluster(q.Command(), changeTimeout, q.Run))
	return cmd
}
