package shell

import (
	"strings"

	"github.com/spf13/cobra"
)

// Group makes a command that only holds others: alone it shows its help, and one that
// it does not hold is wrong usage.
func Group(cmd *cobra.Command) *cobra.Command {
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		hint := ""
		if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
			hint = "; did you mean " + strings.Join(names, " or ") + "?"
		}
		return Usage("`%s` has no command %q%s; see `%[1]s --help`", cmd.CommandPath(), args[0], hint)
	}
	return cmd
}
