package certs

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
)

// Times that the verbs take at most, unless --timeout says otherwise.
const (
	lookTimeout   = 10 * time.Second
	changeTimeout = 30 * time.Second
)

// layoutDir is the directory of a layout, if no flag says it.
const layoutDir = "writ-cluster"

// New makes the command with its verbs.
func New() *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "cert", Short: "Show, renew and revoke the certificates by which nodes know each other"})
	cmd.AddCommand(newList(), newRenew(), newRevoke(), newAuthority())
	return cmd
}

func newList() *cobra.Command {
	var dir string
	cmd := target.On(&cobra.Command{
		Use: "list", Short: "Show the certificates that nodes use, or with --dir those in a layout's files", Args: cobra.NoArgs,
		Long: `Shows for each node its own certificate, the authority that issued it, and the certificate that
it shows clients, as the node itself says. With --dir it reads the files of a directory that
` + "`writ init`" + ` made, and asks nobody.`,
	}, lookTimeout, func(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
		s, err := c.Cluster(ctx)
		if err != nil {
			return err
		}
		if s.Leader == "" {
			return target.Leaderless(s, "the certificates of all nodes")
		}
		return show(cmd.OutOrStdout(), o, listed(s), time.Now())
	})
	cmd.Flags().StringVar(&dir, "dir", "", "read the files of this layout instead")
	asks := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if dir == "" {
			return asks(cmd, args)
		}
		o := shell.Output{Format: cmd.Flags().Lookup("output").Value.String()}
		if err := o.Check(); err != nil {
			return err
		}
		list, err := inFiles(dir)
		if err != nil {
			return err
		}
		return show(cmd.OutOrStdout(), &o, list, time.Now())
	}
	return cmd
}

// row is a certificate of a node.
type row struct {
	Name string `json:"name"`
	client.Certificate
}

func listed(s *client.Cluster) []row {
	list := []row{}
	for _, m := range s.Members {
		for _, c := range m.Certificates {
			list = append(list, row{m.Name, c})
		}
	}
	return list
}

// inFiles are the certificates of a layout's files.
func inFiles(dir string) ([]row, error) {
	c, err := layout(dir)
	if err != nil {
		return nil, err
	}
	list := []row{}
	add := func(name, which, path string) error {
		cert, err := setup.ReadCertificate(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // kept elsewhere
		} else if err != nil {
			return err
		}
		list = append(list, row{name, client.Certificate{
			Which: which, Serial: setup.Serial(cert), Origin: setup.OriginOf(cert).Serial, NotBefore: cert.NotBefore.UTC(), NotAfter: cert.NotAfter.UTC(),
		}})
		return nil
	}
	if err := add("", client.CertificateOfAuthority, filepath.Join(dir, "ca.crt")); err != nil {
		return nil, err
	}
	for _, n := range c.Nodes() {
		if err := add(n.Name, client.CertificateOfNode, setup.DefaultFiles(dir, n.Name).Cert); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func layout(dir string) (setup.Cluster, error) {
	c, err := setup.LoadCluster(filepath.Join(dir, "cluster.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return c, shell.Usage("%s holds no cluster: give the --dir that `writ init` made", dir)
	}
	return c, err
}

func show(out io.Writer, o *shell.Output, list []row, now time.Time) error {
	if o.JSON() {
		return shell.PrintJSON(out, list)
	}
	return table(out, list, now)
}

func table(out io.Writer, list []row, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tWHICH\tSERIAL\tCAME OF\tENDS")
	for _, r := range list {
		name := r.Name
		if name == "" {
			name = "-"
		}
		origin := "-" // made by hand
		if r.Origin != "" && r.Origin != r.Serial {
			origin = r.Origin
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", name, r.Which, r.Serial, origin, ends(r.Certificate, now))
	}
	return w.Flush()
}

func newRenew() *cobra.Command {
	var dir string
	var all bool
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "renew NAME|--all",
		Short: "Make new certificates and keys for nodes, in the directory of the layout",
		Long: `Makes another key and certificate for a node of cluster.yaml, or for all of them, by the
authority in the directory that ` + "`writ init`" + ` made. Where a node reads the very files, it uses
them within ten seconds, without being started again; else take nodes/NAME.crt and nodes/NAME.key
to its machine. Certificates that were there stay good until they end or are revoked
(` + "`writ cert revoke`" + `).`,
		Example: "  writ cert renew r1 --dir cluster\n  writ cert renew --all --dir cluster --life 2160h",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) == 1) {
				return shell.Usage("name one node, or say --all")
			}
			if life < setup.MinLife || life > setup.MaxLife {
				return shell.Usage("--life is %v; choose %v to %v", life, setup.MinLife, setup.MaxLife)
			}
			return renew(cmd.OutOrStdout(), dir, args, life)
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", layoutDir, "directory of the cluster's layout")
	f.BoolVar(&all, "all", false, "all nodes of cluster.yaml")
	f.DurationVar(&life, "life", setup.NodeLife, "how long the certificates last")
	return cmd
}

// renew makes certificates for the nodes of those names, or for all without names.
func renew(out io.Writer, dir string, names []string, life time.Duration) error {
	c, err := layout(dir)
	if err != nil {
		return err
	}
	nodes := c.Nodes()
	if len(names) > 0 {
		i := slices.IndexFunc(nodes, func(n setup.Node) bool { return n.Name == names[0] })
		if i < 0 {
			return fmt.Errorf("%s has no node %s; `writ node add` adds one", filepath.Join(dir, "cluster.yaml"), names[0])
		}
		nodes = nodes[i : i+1]
	}
	a, err := setup.LayoutAuthority(dir)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		var cert *x509.Certificate
		if cert, err = a.Renew(dir, c.ID, n, life, time.Now()); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s %s has certificate %s until %s\n", n.Role, n.Name, setup.Serial(cert), cert.NotAfter.UTC().Format(time.RFC3339)); err != nil {
			return err
		}
	}
	return nil
}
