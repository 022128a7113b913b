package main

import (
	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/account"
	"github.com/writ-iam/writ/cmd/writ/provider"
)

func newAccount() *cobra.Command {
	q, cmd := new(account.Quotas), account.New()
	cmd.AddCommand(onCluster(q.Command(), changeTimeout, q.Run))
	return cmd
}

func newProvider() *cobra.Command {
	cmd := provider.New()
	cmd.AddCommand(onCluster(new(provider.Keys).Command()))
	return cmd
}
