package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/writ-iam/writ/cmd/writ/backup"
	"github.com/writ-iam/writ/cmd/writ/certs"
	"github.com/writ-iam/writ/cmd/writ/dev"
	"github.com/writ-iam/writ/cmd/writ/past"
	"github.com/writ-iam/writ/cmd/writ/policies"
	"github.com/writ-iam/writ/cmd/writ/retention"
	"github.com/writ-iam/writ/cmd/writ/revoke"
	"github.com/writ-iam/writ/cmd/writ/seal"
	"github.com/writ-iam/writ/cmd/writ/serve"
	"github.com/writ-iam/writ/cmd/writ/sessions"
	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/signin"
	"github.com/writ-iam/writ/cmd/writ/store"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/cmd/writ/upgrade"
	"github.com/writ-iam/writ/cmd/writ/writers"
	"github.com/writ-iam/writ/node/build"
	"github.com/writ-iam/writ/node/setup"
)

// newRoot declares the whole command line.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "writ",
		Short: "An identity and access management store that you run yourself",
		Long: `Writ speaks the AWS IAM and STS APIs, keeps every change in a replicated log, and
answers "may this principal do this?" at read replicas, saying how fresh the answer is.

Every flag can also be given as an environment variable: --api-cert-file is
WRIT_API_CERT_FILE. A YAML file named by WRIT_SETTINGS (or writ/writ.yaml in the user's
configuration directory) is read for what neither says.`,
		Version:       build.Own().Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return fillFlags(cmd.Flags())
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return shell.Usage("%w; see `%s --help`", err, cmd.CommandPath())
	})
	root.AddCommand(dev.New(), serve.NewInit(), serve.NewNode(), certs.New(), serve.New(), newHealth(), newStatus(), newWhy(), newWait(), newCan(), newReplica(), writers.New(), newCatalog(), newAccount(), newProvider(), target.On(revoke.New()), seal.New(), retention.New(), past.New(), newKeys(sessions.SessionKeys), newKeys(sessions.IssuerKeys), newSessions(), signin.New(target.FromEnv()), newWatch(), newHead(), newVerify(), backup.New(), backup.NewRestore(), backup.NewRecover(), store.New(), upgrade.New(), upgrade.NewVersion(), policies.New(), serve.NewConfig(), shell.NewManual())
	explainExits(root)
	shell.GiveOnce(root)
	return root
}

// fillFlags gives every flag that the command line left out the value that the
// environment has for it, or else the settings file.
func fillFlags(flags *pflag.FlagSet) error {
	settings, err := loadSettings()
	if err != nil {
		return err
	}
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || failed != nil || f.Name == target.EndpointFlag {
			return
		}
		name := "WRIT_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, source := os.Getenv(name), name
		if f.Name == dev.ReplicasFlag { // the variable is of URLs
			value = ""
		}
		if value == "" {
			value, source = settings[f.Name], "the settings file"
		}
		if value == "" || f.Name == "help" || f.Name == "version" {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			failed = shell.Usage("%s: %w", source, err)
		}
	})
	return failed
}

// loadSettings reads the settings file: flag names with their values.
func loadSettings() (map[string]string, error) {
	path, named := os.Getenv("WRIT_SETTINGS"), true
	if path == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return nil, nil // no home directory, so no file there
		}
		path, named = filepath.Join(dir, "writ", "writ.yaml"), false
	}
	settings, err := setup.LoadSettings(path)
	if !named && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
		return nil, nil
	}
	if err != nil {
		return nil, shell.Usage("%w", err)
	}
	return settings, nil
}
