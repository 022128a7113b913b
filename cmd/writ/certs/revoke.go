package certs

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/client"
)

// serial is how serial numbers are spelled. Those that the authority gives have 20 digits and
// more, but for one in 2^47: a shorter one is taken for a name.
var serial = regexp.MustCompile(`^[0-9a-f]{20,40}$`)

func newRevoke() *cobra.Command {
	var running, unknown bool
	cmd := target.On(&cobra.Command{
		Use: "revoke NAME|SERIAL", Short: "End certificates of a node, so that no other node takes them", Args: cobra.ExactArgs(1),
		Long: `Ends all certificates of a node's name that were issued by now, or the one certificate of a serial
number (20 to 40 hexadecimal digits; ` + "`writ cert list`" + `). A node's name, or the number of a certificate
that was made by hand, ends those that came of it by renewal, too: whoever stole one cannot have
renewed itself out of that. The number of a renewed certificate ends that one alone; list shows which
one it came of. Connections are closed; ` + "`writ wait`" + ` with the printed token says when all nodes know. There is no way back: a node of
the name needs another certificate, by ` + "`writ cert renew`" + `.

What a node that runs still uses is revoked with --running alone: it is cut off at once. To replace
a certificate without that, renew it first, and revoke the serial number of the old one when
` + "`writ cert list`" + ` shows that the node uses the new one.`,
		Example: "  writ cert revoke r2\n  writ cert revoke 5f1c0a9b7d3e2f4860718293a4b5c6d7",
	}, changeTimeout, func(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, what string) error {
		which := client.CertificatesToRevoke{Name: what}
		if digits := strings.TrimLeft(what, "0"); serial.MatchString(digits) {
			which = client.CertificatesToRevoke{Serial: digits}
		}
		if err := looked(ctx, cmd.ErrOrStderr(), c, which, running, unknown); err != nil {
			return err
		}
		done, err := c.RevokeCertificates(ctx, which)
		if err != nil {
			return err
		}
		if o.JSON() {
			return shell.PrintJSON(cmd.OutOrStdout(), done)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "revoked %s at position %d\n`writ wait --token %s` says when all nodes know\n", what, done.Position, done.Token)
		return err
	})
	cmd.Flags().BoolVar(&running, "running", false, "also what a node that runs uses, which is cut off")
	cmd.Flags().BoolVar(&unknown, "unknown", false, "also a name that no member has had since the leader began")
	return cmd
}

// looked refuses to revoke what a node uses that runs, unless running, and a name that no member
// has, unless unknown: a name with a slip in it would be shut out for good, and the stolen one go on.
func looked(ctx context.Context, out io.Writer, c *client.Client, which client.CertificatesToRevoke, running, unknown bool) error {
	s, err := c.Cluster(ctx)
	if err != nil {
		return err
	}
	switch has := func(m client.Member) bool {
		return which.Name != "" && m.Name == which.Name || which.Name == "" && uses(m, which)
	}; {
	case slices.ContainsFunc(s.Members, has):
	case which.Name != "" && !unknown:
		return fmt.Errorf("no member is called %s: `writ status` lists them; if one was called so that is gone, say --unknown", which.Name)
	case which.Name == "":
		fmt.Fprintf(out, "no member uses %s now: see that the number is right\n", which.Serial)
	}
	for _, m := range s.Members {
		if !running && m.State != "removed" && uses(m, which) {
			return fmt.Errorf("%s is a member and would be cut off: `writ cert renew %s`, and when `writ cert list` shows that it uses the new certificate, revoke the serial number of the old one; or say --running", m.Name, m.Name)
		}
	}
	return nil
}

// uses tells whether a member is known to use what is to be revoked. One that the leader has
// not heard yet may use anything of its name.
func uses(m client.Member, which client.CertificatesToRevoke) bool {
	if which.Name != "" {
		return m.Name == which.Name
	}
	return slices.ContainsFunc(m.Certificates, func(c client.Certificate) bool {
		return c.Which == client.CertificateOfNode && c.State != client.CertificateRevoked && (c.Serial == which.Serial || c.Origin == which.Serial)
	})
}
