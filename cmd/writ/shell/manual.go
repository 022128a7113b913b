package shell

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// NewManual makes the command that writes the manual pages, from the same declarations as --help.
func NewManual() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:    "man --dir DIR",
		Short:  "Write manual pages for all commands",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("make the directory of manual pages: %w", err)
			}
			return doc.GenManTree(cmd.Root(), &doc.GenManHeader{Title: "WRIT", Section: "1", Source: "Writ"}, dir)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "man", "directory to write to")
	return cmd
}
