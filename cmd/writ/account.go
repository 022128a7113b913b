package main

import (
	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/account"
	"github.com/writ-iam/writ/cmd/writ/provider"
	"github.com/writ-iam/writ/cmd/writ/sessions"
)

func newAccount() *cobra.Command {
	q, create, alias, root, cmd := new(account.Quotas), new(account.Create), new(account.Alias), new(account.Root), account.New()
	cmd.AddCommand(onCluster(account.List(), askTimeout, account.RunList), onCluster(account.Close(), changeTimeout, account.RunClose),
		onCluster(create.Command(), changeTimeout, create.Run), onCluster(q.Command(), changeTimeout, q.Run),
		onCluster(alias.Command(), changeTimeout, alias.Run), onCluster(root.Command(), changeTimeout, root.Run))
	return cmd
}

func newSessionKey() *cobra.Command {
	list, rotate, revoke, cmd := sessions.NewKeys()
	cmd.AddCommand(onCluster(list, askTimeout, sessions.ListKeys), onCluster(rotate, changeTimeout, sessions.RotateKey), onCluster(revoke, changeTimeout, sessions.RevokeKey))
	return cmd
}

func newSessions() *cobra.Command {
	list, cmd := sessions.New()
	cmd.AddCommand(onCluster(list, askTimeout, sessions.List))
	return cmd
}

func newProvider() *cobra.Command {
	cmd := provider.New()
	cmd.AddCommand(onCluster(new(provider.Keys).Command()))
	return cmd
}
