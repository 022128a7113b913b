package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/writ-iam/writ/cmd/writ/policies"
	"github.com/writ-iam/writ/cmd/writ/revoke"
	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/signin"
	"github.com/writ-iam/writ/cmd/writ/store"
	"github.com/writ-iam/writ/node/client"
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
		Version:       version(),
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
	root.AddCommand(newDev(), newInit(), newServe(), newHealth(), newStatus(), newWait(), newCan(), newReplica(), newCatalog(), newAccount(), newProvider(), onCluster(revoke.New()), newSessionKey(), newSessions(), signin.New(envEndpoints()), newWatch(), newHead(), newVerify(), store.New(), policies.New(), newConfig(), shell.NewManual())
	explainExits(root)
	shell.GiveOnce(root)
	return root
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
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
		if f.Changed || failed != nil || f.Name == endpointFlag {
			return
		}
		name := "WRIT_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, source := os.Getenv(name), name
		if f.Name == replicasFlag { // the variable is of URLs
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
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, nil
	}
	if err != nil {
		return nil, shell.Usage("%w", err)
	}
	return settings, nil
}

// endpointFlag takes part in a choice among several variables; see target.
const endpointFlag = "endpoint"

// replicasFlag is how many replicas `writ dev` has. The variable of that name tells
// commands where the replicas are, as env.sh sets it.
const replicasFlag = "replicas"

// target says which nodes a command asks, and as whom.
type target struct {
	endpoint   string
	near       string
	caFile     string
	secretFile string
	// replicas lets the command prefer the replicas of a region.
	replicas bool
	// limit is how long the command may take; 0 where it says that itself.
	limit time.Duration
}

func (t *target) flags(flags *pflag.FlagSet) {
	flags.StringVar(&t.endpoint, endpointFlag, "", "URL of the one node to ask (default: those of $WRIT_ENDPOINT and $WRIT_REPLICAS, and whom they tell of)")
	flags.StringVar(&t.caFile, "ca-file", "", "certificates to trust at https endpoints, PEM")
	flags.StringVar(&t.secretFile, "secret-access-key-file", "", "file with the secret access key (default: $AWS_SECRET_ACCESS_KEY)")
	if t.limit > 0 {
		flags.DurationVar(&t.limit, "timeout", t.limit, "how long it may take at most, whoever does not answer")
	}
	if t.replicas {
		flags.StringVar(&t.near, "near", "", "region whose replicas are asked first")
	}
}

// endpoints are the URLs that the environment gives, replicas first where the
// command is for them.
func (t *target) endpoints() (list []string) {
	list = envEndpoints()
	var replicas []string
	for pair := range strings.SplitSeq(os.Getenv("WRIT_REPLICAS"), ",") {
		if _, text, ok := strings.Cut(pair, "="); ok {
			replicas = append(replicas, text)
		}
	}
	if t.replicas {
		return append(replicas, list...)
	}
	return append(list, replicas...)
}

// envEndpoints are the URLs that the environment gives for any command.
func envEndpoints() (list []string) {
	for text := range strings.SplitSeq(cmp.Or(os.Getenv("WRIT_ENDPOINT"), os.Getenv("AWS_ENDPOINT_URL")), ",") {
		if text != "" {
			list = append(list, text)
		}
	}
	return list
}

// each returns a client for each of the endpoints.
func (t *target) each() (list []*client.Client, err error) {
	endpoints := t.endpoints()
	if t.endpoint != "" || len(endpoints) == 0 {
		endpoints = []string{t.endpoint}
	}
	for _, endpoint := range endpoints {
		c, err := t.clientOf(endpoint)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// clientOf returns a client for one endpoint, or for all where that is empty, called as
// $AWS_ACCESS_KEY_ID.
func (t *target) clientOf(endpoint string) (*client.Client, error) {
	for pair := range strings.SplitSeq(os.Getenv("WRIT_REPLICAS"), ",") {
		if _, text, _ := strings.Cut(pair, "="); pair != "" && !strings.HasPrefix(text, "http") {
			return nil, shell.Usage("WRIT_REPLICAS has %q; use NAME=URL, with commas between them", pair)
		}
	}
	secret := os.Getenv("AWS_SECRET_ACCESS_KEY")
	if t.secretFile != "" {
		text, err := os.ReadFile(t.secretFile)
		if err != nil {
			return nil, fmt.Errorf("read the secret access key: %w", err)
		}
		secret = strings.TrimSpace(string(text))
	}
	http, err := setup.HTTPClient(t.caFile)
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Config{
		Endpoint: endpoint, Endpoints: t.endpoints(), Near: t.near, AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: secret,
		SessionToken: os.Getenv("AWS_SESSION_TOKEN"), WebIdentity: client.WebIdentityFromEnv(), Region: os.Getenv("AWS_REGION"), HTTP: http,
	})
	if err != nil {
		return nil, shell.Usage("%w; %s", err, shell.DevHint)
	}
	return c, nil
}
