// Package provider holds the verbs on identity providers.
package provider

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/client"
)

const (
	// timeout is how long a change takes at most, with an election.
	timeout = 30 * time.Second
	// maxFile is how much is read of a file of keys, in bytes.
	maxFile = 1 << 20
)

// New makes the group of the verbs.
func New() *cobra.Command {
	return shell.Group(&cobra.Command{Use: "provider", Short: "Work on the account's identity providers"})
}

// Keys is the verb that gives the keys of a provider.
type Keys struct {
	file      string
	published bool
}

// Command makes the command, how long it takes at most, and what it does with a cluster.
func (k *Keys) Command() (*cobra.Command, time.Duration, func(context.Context, *client.Client, *cobra.Command, *shell.Output, string) error) {
	cmd := &cobra.Command{
		Use:   "keys ARN (--file FILE | --published)",
		Short: "Give the keys of an OpenID Connect provider that nodes cannot reach",
		Long: `Gives the keys by which the tokens of an OpenID Connect provider of the caller's account are: a
JSON Web Key Set of public keys, as the issuer publishes it. From then on these keys alone are
good, and no node asks the issuer: give them anew when the issuer changes them, the new key
beside the old one first. A private key in the file is refused. It prints the position and
token of the change; ` + "`writ wait --token`" + ` says when it is everywhere.

--published ends that: nodes ask the issuer again.`,
		Example: "  kubectl get --raw /openid/v1/jwks | writ provider keys arn:aws:iam::123456789012:oidc-provider/kubernetes.default.svc.cluster.local --file -",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&k.file, "file", "", "file with the JSON Web Key Set; - for standard input")
	cmd.Flags().BoolVar(&k.published, "published", false, "have nodes ask the issuer for its keys again")
	return cmd, timeout, k.run
}

func (k *Keys) run(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, arn string) error {
	if (k.file == "") != k.published {
		return shell.Usage("give one of --file and --published")
	}
	set := client.ProviderKeys{Provider: arn}
	if !k.published {
		text, err := read(cmd.InOrStdin(), k.file)
		if err != nil {
			return err
		}
		set.Keys = text
	}
	done, err := c.SetProviderKeys(ctx, set)
	if err != nil {
		return err
	}
	if o.JSON() {
		return shell.PrintJSON(cmd.OutOrStdout(), done)
	}
	what := fmt.Sprintf("%d keys of %s are good", done.Keys, done.Provider)
	if k.published {
		what = "the keys that " + done.Provider + " publishes are good"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s from position %d on; token %s\n", what, done.Position, done.Token)
	return err
}

// read reads a file of keys.
func read(stdin io.Reader, file string) ([]byte, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read the keys: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	if len(text) > maxFile {
		return nil, shell.Usage("%s is larger than %d bytes", file, maxFile)
	}
	return text, nil
}
