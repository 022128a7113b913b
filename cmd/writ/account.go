package main

import (
	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/account"
	"github.com/writ-iam/writ/cmd/writ/sessions"
)

func newAccount() *cobra.Command {
	q, cmd := new(account.Quotas), account.New()
	cmd.AddCommand(onCluster(q.Command(), changeTimeout, q.Run))
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
