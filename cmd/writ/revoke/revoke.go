// Package revoke ends sessions.
package revoke

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/client"
)

// timeout is how long a revocation takes at most, with an election.
const timeout = 30 * time.Second

// sessions are what the flags name.
type sessions struct {
	which  client.SessionsToRevoke
	role   string
	before string
}

// New makes the command, how long it takes at most, and what it does with a cluster.
func New() (*cobra.Command, time.Duration, func(context.Context, *client.Client, *cobra.Command, *shell.Output, string) error) {
	var s sessions
	cmd := &cobra.Command{
		Use:   "revoke (--session ID | --role ARN | --principal ARN | --key ID)",
		Short: "End sessions: temporary credentials",
		Long: `Ends sessions of the caller's account, and prints the position and token of the change: give the
token to ` + "`writ wait --token`" + `, which says when no node accepts them any more.

--session ends one session, by its access key id (ASIA...), and those that it asked for in the same
account; those that these asked for go on, and are ended one by one, by --role or by their
beginning. No node keeps a list of sessions: an id that no session has is not told from one that is.
--role and --principal end all sessions of a role, a user or the root, by its ARN. --key ends those
that an access key asked for, by its id. These reach every session of a chain that began with the
key or the principal, through however many roles and accounts: a chain begins with an access key
and whose it is, with who signed in, or with the role of a web identity. A role in the middle of a
chain does not end what was made of its sessions: end them by the beginning.
New sessions can be made afterwards: to prevent that, change the role's trust or the permissions.

With --issued-before only sessions end that were issued at that time or earlier (RFC 3339), and
those whose chain began then or earlier.`,
		Example: "  writ revoke --role arn:aws:iam::123456789012:role/deploy\n  writ wait --token \"$(writ revoke --session ASIAEXAMPLEEXAMPLE12 --output json | jq -r .token)\"",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&s.which.Session, "session", "", "end the session with this access key id")
	f.StringVar(&s.role, "role", "", "end all sessions of the role with this ARN")
	f.StringVar(&s.which.Principal, "principal", "", "end all sessions of the role, user or root with this ARN, and chains that began with it")
	f.StringVar(&s.which.Key, "key", "", "end all sessions that this access key asked for, and their chains")
	f.StringVar(&s.before, "issued-before", "", "end those alone that were issued then or earlier, as 2026-01-02T15:04:05Z")
	return cmd, timeout, s.run
}

// named is what the flags name, if it is one thing.
func (s *sessions) named() (client.SessionsToRevoke, error) {
	which, given := s.which, 0
	for _, text := range [...]string{which.Session, s.role, which.Principal, which.Key} {
		if text != "" {
			given++
		}
	}
	if given != 1 {
		return which, shell.Usage("give one of --session, --role, --principal and --key, not %d of them", given)
	}
	// A node takes these for what they name, which would end more than was meant.
	if s.role != "" && !strings.Contains(s.role, ":role/") {
		return which, shell.Usage("--role %q is not the ARN of a role; --principal takes those of users and the root, too", s.role)
	}
	if strings.HasPrefix(which.Session, "AKIA") {
		return which, shell.Usage("--session %q is an access key, not a session (ASIA...); --key ends the sessions that it asked for", which.Session)
	}
	if s.role != "" {
		which.Principal = s.role
	}
	if s.before != "" {
		at, err := time.Parse(time.RFC3339, s.before)
		if err != nil {
			return which, shell.Usage("--issued-before %q is no time such as 2026-01-02T15:04:05Z", s.before)
		}
		which.IssuedBefore = &at
	}
	return which, nil
}

func (s *sessions) run(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
	which, err := s.named()
	if err != nil {
		return err
	}
	done, err := c.RevokeSessions(ctx, which)
	if err != nil {
		return err
	}
	if o.JSON() {
		return shell.PrintJSON(cmd.OutOrStdout(), done)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "sessions of %s are revoked at position %d; token %s\n", done.Subject, done.Position, done.Token)
	return err
}
