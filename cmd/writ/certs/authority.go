package certs

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
)

func newAuthority() *cobra.Command {
	cmd := shell.Group(&cobra.Command{
		Use: "authority", Short: "Replace the authority that issues the certificates of nodes, while they run",
		Long: `Three steps, each in the directory that ` + "`writ init`" + ` made. After each, take ca.crt to every node
that does not read the very file, and ca.key to the writers that have it:

  1. writ cert authority rotate   makes another authority; nodes trust both
  2. writ cert authority use      it signs from now on, and all nodes get certificates by it
  3. writ cert authority drop     nodes trust the old one no more

The second and the third ask the cluster first, and refuse while a node is not ready for them.`,
	})
	cmd.AddCommand(newRotate(), newUse(), newDrop())
	return cmd
}

func newRotate() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "rotate", Short: "Make another authority, which nodes trust beside the one that signs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := layout(dir)
			if err != nil {
				return err
			}
			r, err := setup.OpenRotation(dir)
			if err != nil {
				return err
			}
			next, err := r.Begin(c.ID, time.Now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s has two authorities, and %s will sign\ntake it to every node, and then: writ cert authority use --dir %s\n", filepath.Join(dir, "ca.crt"), setup.Serial(next), dir)
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "dir", layoutDir, "directory of the cluster's layout")
	return cmd
}

// step is one of the steps that ask the cluster first.
type step struct {
	dir    string
	anyway bool
}

func (s *step) on(cmd *cobra.Command, do func(context.Context, *client.Client, io.Writer, *setup.Rotation) error) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd = target.On(cmd, lookTimeout, func(ctx context.Context, c *client.Client, cmd *cobra.Command, _ *shell.Output, _ string) error {
		r, err := setup.OpenRotation(s.dir)
		if err != nil {
			return err
		}
		return do(ctx, c, cmd.OutOrStdout(), r)
	})
	f := cmd.Flags()
	f.StringVar(&s.dir, "dir", layoutDir, "directory of the cluster's layout")
	f.BoolVar(&s.anyway, "anyway", false, "without asking the cluster: nodes that are not ready are cut off until they get new files")
	return cmd
}

// ready refuses while a member is not ready, or says nothing.
func (s *step) ready(ctx context.Context, c *client.Client, why string, ready func(client.Member) bool) error {
	if s.anyway {
		return nil
	}
	cluster, err := c.Cluster(ctx)
	if err != nil {
		return err
	}
	if cluster.Leader == "" {
		return target.Leaderless(cluster, "the certificates of all nodes")
	}
	var not []string
	for _, m := range cluster.Members {
		if m.State != "removed" && m.State != "unlisted" && !ready(m) {
			not = append(not, m.Name)
		}
	}
	if len(not) > 0 {
		return fmt.Errorf("%s: %s; nodes look at their files every ten seconds, and `writ cert list` shows what each uses", strings.Join(not, ", "), why)
	}
	return nil
}

func newUse() *cobra.Command {
	var s step
	return s.on(&cobra.Command{
		Use: "use", Short: "Have the new authority sign, and make certificates by it for all nodes",
		Long: `Refuses while a node does not trust the new authority. The old one's key is removed.`,
	}, func(ctx context.Context, c *client.Client, out io.Writer, r *setup.Rotation) error {
		next := r.Signs
		if n := r.Next(); n != nil {
			next = n
		}
		serial := setup.Serial(next.Certificate())
		if err := s.ready(ctx, c, "not known to trust authority "+serial+" yet: take ca.crt there", func(m client.Member) bool {
			return slices.ContainsFunc(m.Certificates, func(c client.Certificate) bool {
				return c.Which == client.CertificateOfAuthority && c.Serial == serial
			})
		}); err != nil {
			return err
		}
		if err := r.Use(); err != nil {
			return err
		}
		if err := renew(out, s.dir, nil, setup.NodeLife); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "authority %s signs\ntake ca.crt, and what nodes/ has of each, to every node, and then: writ cert authority drop --dir %s\n", serial, s.dir)
		return err
	})
}

func newDrop() *cobra.Command {
	var s step
	return s.on(&cobra.Command{
		Use: "drop", Short: "Trust the old authority no more",
		Long: `Refuses while a node uses a certificate of the old authority. Signed heads of before are then
checked with the old ca.crt: keep a copy.`,
	}, func(ctx context.Context, c *client.Client, out io.Writer, r *setup.Rotation) error {
		serial := setup.Serial(r.Signs.Certificate())
		if err := s.ready(ctx, c, "not known to use a certificate of authority "+serial+" yet", func(m client.Member) bool {
			return slices.ContainsFunc(m.Certificates, func(c client.Certificate) bool {
				return c.Which == client.CertificateOfNode && c.Issuer == serial
			})
		}); err != nil {
			return err
		}
		if err := r.Drop(); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "%s has authority %s alone\ntake it to every node: until one has it, it believes the old authority, too, and `writ cert list` shows that\n", filepath.Join(s.dir, "ca.crt"), serial)
		return err
	})
}
