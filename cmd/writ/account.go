package main

import (
	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/account"
	"github.com/writ-iam/writ/cmd/writ/provider"
	"github.com/writ-iam/writ/cmd/writ/sessions"
	"github.com/writ-iam/writ/cmd/writ/target"
)

func newAccount() *cobra.Command {
	q, create, alias, root, cmd := new(account.Quotas), new(account.Create), new(account.Alias), new(account.Root), account.New()
	cmd.AddCommand(target.On(account.List(), askTimeout, account.RunList), target.On(account.Close(), changeTimeout, account.RunClose),
		target.On(create.Command(), changeTimeout, create.Run), target.On(q.Command(), changeTimeout, q.Run),
		target.On(alias.Command(), changeTimeout, alias.Run), target.On(root.Command(), changeTimeout, root.Run))
	return cmd
}

func newKeys(k sessions.Keys) *cobra.Command {
	list, rotate, revoke, cmd := k.Commands()
	cmd.AddCommand(target.On(list, askTimeout, k.List), target.On(rotate, changeTimeout, k.Rotate), target.On(revoke, changeTimeout, k.Revoke))
	return cmd
}

func newSessions() *cobra.Command {
	list, cmd := sessions.New()
	cmd.AddCommand(target.On(list, askTimeout, sessions.List))
	return cmd
}

func newProvider() *cobra.Command {
	cmd := provider.New()
	cmd.AddCommand(target.On(new(provider.Keys).Command()))
	return cmd
}
