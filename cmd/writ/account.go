package main

import (
	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/account"
)

func newAccount() *cobra.Command {
	var q account.Quotas
	cmd := account.New()
	cmd.AddCommand(onCluster(q.Command(), changeTimeout, q.Run))
	return cmd
}
