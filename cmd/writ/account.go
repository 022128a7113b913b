package main

import (
	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/account"
)

func newAccount() *cobra.Command {
	q, create, alias, root, cmd := new(account.Quotas), new(account.Create), new(account.Alias), new(account.Root), account.New()
	cmd.AddCommand(onCluster(account.List(), askTimeout, account.RunList), onCluster(account.Close(), changeTimeout, account.RunClose),
		onCluster(create.Command(), changeTimeout, create.Run), onCluster(q.Command(), changeTimeout, q.Run),
		onCluster(alias.Command(), changeTimeout, alias.Run), onCluster(root.Command(), changeTimeout, root.Run))
	return cmd
}
