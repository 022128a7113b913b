package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
)

// outcome is one way in which a command ends.
type outcome struct {
	code    int
	meaning string
}

// Outcomes that commands share; each also ends with exitError for what goes wrong
// on the way, and with exitUsage.
var (
	notYet    = outcome{shell.CodeNotYet, "not known to be in force everywhere when the time is up"}
	otherHead = outcome{shell.CodeUnhealthy, "a head is not in the history, or its signature is not good"}
)

// outcomes is what the code of each command promises besides 0, 1 and 2, by the
// command's path. Help is made from it, and TestExitCodes walks through it.
var outcomes = map[string][]outcome{
	"writ health":        {{shell.CodeUnhealthy, "a node does not answer or is not ready"}},
	"writ status":        {{shell.CodeUnhealthy, "no leader is known, a member is not in order, a certificate ends within 7 days, or the voters survive fewer failures than the cluster is laid out for"}},
	"writ why":           {{shell.CodeUnhealthy, "something is wrong"}},
	"writ wait":          {notYet},
	"writ can":           {notYet, {shell.CodeDenied, "denied or indeterminate; with --wait, the leader itself decides otherwise when the time is up"}},
	"writ head":          {otherHead},
	"writ verify":        {{shell.CodeUnhealthy, "a node differs; with --head, a head is not in the history"}},
	"writ seal status":   {{shell.CodeNotYet, "with --wait, secrets are still being sealed anew when the time is up"}},
	"writ upgrade check": {{shell.CodeUnhealthy, "something stands against stopping a node; with --finished, the upgrade is not over"}},
	"writ log verify":    {{shell.CodeUnhealthy, "the chain is broken"}},
	"writ backup verify": {{shell.CodeUnhealthy, "an archive is damaged, or not signed as it should be"}},
	"writ policy lint":   {{shell.CodeDenied, "there are errors"}},
	"writ policy test":   {{shell.CodeDenied, "a case fails"}},
	"writ policy diff":   {{shell.CodeDenied, "the second policy allows more"}},
}

// explainExits adds the exit codes of a command, and of those below it, to its help.
func explainExits(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		explainExits(sub)
	}
	if cmd.RunE == nil || cmd.HasSubCommands() {
		return
	}
	var b strings.Builder
	if b.WriteString(cmd.Long); cmd.Long == "" {
		b.WriteString(cmd.Short + ".")
	}
	b.WriteString("\n\nExit codes: 0 done; 1 an error; 2 wrong usage")
	for _, o := range outcomes[cmd.CommandPath()] {
		fmt.Fprintf(&b, "; %d %s", o.code, o.meaning)
	}
	b.WriteString(".")
	cmd.Long = b.String()
}
