// Package target is which nodes a verb asks, and as whom.
package target

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
)

// EndpointFlag is the name of the flag of one endpoint. Its variable, WRIT_ENDPOINT, may
// name several.
const EndpointFlag = "endpoint"

// Nodes says which nodes a command asks, and as whom.
type Nodes struct {
	// Endpoint is the URL of the one node to ask; empty for all that the environment names.
	Endpoint string
	// CAFile has the certificates to trust at https endpoints; empty for the system's.
	CAFile string
	// Replicas lets the command ask replicas first, those of a region before others.
	Replicas bool
	// Limit is how long the command may take; 0 where it says that itself.
	Limit time.Duration

	near, secretFile string
	told             sync.Once // that it waits for a leader: by one of its clients
}

// Flags declares the flags by which a command is told.
func (n *Nodes) Flags(flags *pflag.FlagSet) {
	flags.StringVar(&n.Endpoint, EndpointFlag, "", "URL of the one node to ask (default: those of $WRIT_ENDPOINT and $WRIT_REPLICAS, and whom they tell of)")
	flags.StringVar(&n.CAFile, "ca-file", "", "certificates to trust at https endpoints, PEM")
	flags.StringVar(&n.secretFile, "secret-access-key-file", "", "file with the secret access key (default: $AWS_SECRET_ACCESS_KEY)")
	if n.Limit > 0 {
		flags.DurationVar(&n.Limit, "timeout", n.Limit, "how long it may take at most, whoever does not answer")
	}
	if n.Replicas {
		flags.StringVar(&n.near, "near", "", "region whose replicas are asked first")
	}
}

// endpoints are the URLs that the environment gives, replicas first where the
// command is for them.
func (n *Nodes) endpoints() (list []string) {
	list = FromEnv()
	var replicas []string
	for pair := range strings.SplitSeq(os.Getenv("WRIT_REPLICAS"), ",") {
		if _, text, ok := strings.Cut(pair, "="); ok {
			replicas = append(replicas, text)
		}
	}
	if n.Replicas {
		return append(replicas, list...)
	}
	return append(list, replicas...)
}

// FromEnv returns the URLs that the environment gives for any command.
func FromEnv() (list []string) {
	for text := range strings.SplitSeq(cmp.Or(os.Getenv("WRIT_ENDPOINT"), os.Getenv("AWS_ENDPOINT_URL")), ",") {
		if text != "" {
			list = append(list, text)
		}
	}
	return list
}

// Each returns a client for each of the endpoints.
func (n *Nodes) Each() (list []*client.Client, err error) {
	endpoints := n.endpoints()
	if n.Endpoint != "" || len(endpoints) == 0 {
		endpoints = []string{n.Endpoint}
	}
	for _, endpoint := range endpoints {
		c, err := n.clientOf(endpoint)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// Client returns a client for the nodes, called as $AWS_ACCESS_KEY_ID.
func (n *Nodes) Client() (*client.Client, error) { return n.clientOf(n.Endpoint) }

// clientOf returns a client for one endpoint, or for all where that is empty, called as
// $AWS_ACCESS_KEY_ID.
func (n *Nodes) clientOf(endpoint string) (*client.Client, error) {
	for pair := range strings.SplitSeq(os.Getenv("WRIT_REPLICAS"), ",") {
		if _, text, _ := strings.Cut(pair, "="); pair != "" && !strings.HasPrefix(text, "http") {
			return nil, shell.Usage("WRIT_REPLICAS has %q; use NAME=URL, with commas between them", pair)
		}
	}
	secret := os.Getenv("AWS_SECRET_ACCESS_KEY")
	if n.secretFile != "" {
		text, err := os.ReadFile(n.secretFile)
		if err != nil {
			return nil, fmt.Errorf("read the secret access key: %w", err)
		}
		secret = strings.TrimSpace(string(text))
	}
	http, err := setup.HTTPClient(n.CAFile)
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Config{
		Endpoint: endpoint, Endpoints: n.endpoints(), Near: n.near, AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: secret,
		SessionToken: os.Getenv("AWS_SESSION_TOKEN"), WebIdentity: client.WebIdentityFromEnv(), Region: os.Getenv("AWS_REGION"), HTTP: http,
		Waiter: n,
	})
	if err != nil {
		return nil, shell.Usage("%w; %s", err, shell.DevHint)
	}
	return c, nil
}

// Waiting tells, once, that a command waits for a leader, and how long it may.
func (n *Nodes) Waiting(cause string, until time.Time) {
	n.told.Do(func() {
		limit := ""
		if !until.IsZero() {
			limit = fmt.Sprintf(", at most %v more", max(0, time.Until(until)).Round(time.Second))
		}
		fmt.Fprintf(shell.Safe(os.Stderr), "writ: waiting for a writer that leads%s: %s\n", limit, cause)
	})
}

// Leaderless says that a verb cannot be carried out by what a node tells that knows of no leader.
func Leaderless(s *client.Cluster, what string) error {
	return fmt.Errorf("no writer leads, as %s has it, and the leader alone knows %s; start the writers that are down; `writ status` shows them, and the runbook \"Lost quorum\" says the rest", s.Node, what)
}

// On makes a command that does something with a cluster, and what its one argument
// names, if it is given.
func On(cmd *cobra.Command, limit time.Duration, do func(context.Context, *client.Client, *cobra.Command, *shell.Output, string) error) *cobra.Command {
	n := Nodes{Limit: limit}
	var o shell.Output
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.Check(); err != nil {
			return err
		}
		c, err := n.Client()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), n.Limit)
		defer cancel()
		return do(ctx, c, cmd, &o, append(args, "")[0])
	}
	n.Flags(cmd.Flags())
	o.Flag(cmd.Flags())
	return cmd
}
