package serve

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/writ-iam/writ/cmd/writ/account"
	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/setup"
)

// layoutDir is the directory of a layout, if no flag says it.
const layoutDir = "writ-cluster"

// layout is what the flags of `writ init` say.
type layout struct {
	dir, number, nats, quotas, email string
	partition                        setup.Partition
	writers, replicas                []string
}

// NewInit returns the command that lays a cluster out.
func NewInit() *cobra.Command {
	var l layout
	cmd := &cobra.Command{
		Use:   "init --writer NAME=HOST:PORT ... [--replica NAME[=REGION] ...]",
		Short: "Lay out a cluster: configuration, certificates, keys",
		Long: `Makes a directory with cluster.yaml, the cluster's certificate authority, a certificate
for every node, the key that seals secrets, and the first account's root access key.

Run again, it adds the nodes that are new and changes what flags name; whatever no flag
names stays as it is, and what changed is printed. What cannot change, such as the account,
is refused. No key is made anew: not the root's, which is in the log since the cluster
began, nor the one that seals secrets. ` + "`writ node add`" + ` adds one node.

A writer's address is that of its peer port; its broker and its broker's routes take the
two ports after it, unless given as NAME=PEER,BROKER,ROUTES. Files that root makes have the
owner of the directory.`,
		Example: "  writ init --dir cluster --writer w1=w1:8430 --writer w2=w2:8430 --writer w3=w3:8430 --replica r1=eu --replica r2=us",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			named, err := l.named(cmd.Flags())
			if err != nil {
				return err
			}
			return l.init(cmd.OutOrStdout(), named)
		},
	}
	f := cmd.Flags()
	f.StringVar(&l.dir, "dir", layoutDir, "directory to make, or to add to")
	f.StringVar(&l.number, "account", setup.DefaultAccount, "number of the first account, twelve digits")
	account.FirstFlags(f, &l.quotas, &l.email)
	PartitionFlag(f, &l.partition)
	f.StringVar(&l.nats, "nats", "", "URL of a NATS server with JetStream, instead of embedded ones, or several with commas; none for event tails over HTTP alone")
	f.StringArrayVar(&l.writers, "writer", nil, "a writer: NAME=HOST:PORT")
	f.StringArrayVar(&l.replicas, "replica", nil, "a replica: NAME or NAME=REGION")
	return cmd
}

// PartitionFlag declares the flag of the commands that lay a cluster out.
func PartitionFlag(f *pflag.FlagSet, p *setup.Partition) {
	f.TextVar(p, "partition", setup.Partition(0), "partition of AWS that all ARNs name, for good: "+strings.Join(setup.PartitionNames(), ", "))
}

// named is what flags say; what none names is nobody's to change.
func (l *layout) named(f *pflag.FlagSet) (n setup.Named, err error) {
	if f.Changed("account") {
		n.Account = new(setup.AccountID(l.number))
	}
	if f.Changed("partition") {
		n.Partition = &l.partition
	}
	for name, of := range map[string]struct {
		flag *string
		said **string
	}{"nats": {&l.nats, &n.NATS}, "quotas": {&l.quotas, &n.Quotas}, "email": {&l.email, &n.Email}} {
		if f.Changed(name) {
			*of.said = of.flag
		}
	}
	for _, text := range l.writers {
		w, err := setup.ParseWriter(text)
		if err != nil {
			return n, shell.Usage("--writer %s: %w", text, err)
		}
		n.Writers = append(n.Writers, w)
	}
	for _, text := range l.replicas {
		r := setup.NamedReplica{}
		name, region, ok := strings.Cut(text, "=")
		if r.Name = name; ok {
			r.Region = &region
		}
		n.Replicas = append(n.Replicas, r)
	}
	return n, n.Once()
}

func (l *layout) init(out io.Writer, n setup.Named) error {
	old, err := setup.LoadCluster(filepath.Join(l.dir, "cluster.yaml"))
	switch {
	case err == nil:
		return extend(out, l.dir, old, n)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case len(n.Writers) == 0:
		return shell.Usage("%s holds no cluster yet: name its writers, `--writer NAME=HOST:PORT`; or give the --dir of the cluster that is there", l.dir)
	}
	c, said, err := (&setup.Cluster{Account: setup.AccountID(l.number), Partition: l.partition}).Begin(n)
	if err != nil {
		return err
	}
	return write(out, l.dir, c, said[:0], RootFromEnv())
}

// extend gives a layout that is there what was said of it.
func extend(out io.Writer, dir string, old setup.Cluster, n setup.Named) error {
	next, said, err := old.With(n)
	if err != nil {
		return err
	}
	root := RootFromEnv()
	if is, err := setup.LoadRootKey(filepath.Join(dir, "root.json")); err == nil && root.AccessKeyID != "" && root != is {
		return fmt.Errorf("WRIT_ROOT_ACCESS_KEY_ID and WRIT_ROOT_SECRET_ACCESS_KEY name another key than %s, which the cluster begins with: unset them; `aws iam create-access-key` makes the root another key",
			filepath.Join(dir, "root.json"))
	}
	return write(out, dir, next, said, root)
}

func write(out io.Writer, dir string, c setup.Cluster, said []string, given setup.RootKey) error {
	file := filepath.Join(dir, "cluster.yaml")
	c, root, err := setup.Init(dir, c, given, time.Now())
	if err != nil {
		return err
	}
	lines := []string{fmt.Sprintf("cluster %s of account %s is laid out in %s", c.ID, c.Account, dir)}
	lines = append(lines, said...)
	if root.AccessKeyID == "" {
		lines = append(lines, filepath.Join(dir, "root.json")+" is not there, and was not made: the root's key is in the log since the cluster began")
	} else {
		lines = append(lines, fmt.Sprintf("root access key %s (secret in %s)", root.AccessKeyID, filepath.Join(dir, "root.json")))
	}
	lines = append(lines, "start each node with: writ serve --cluster "+file+" --name NAME --data DIR")
	_, err = fmt.Fprintln(out, strings.Join(lines, "\n"))
	return err
}

// NewNode returns the command that adds nodes to a layout.
func NewNode() *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "node", Short: "Add nodes to a cluster's layout"})
	cmd.AddCommand(newNodeAdd())
	return cmd
}

func newNodeAdd() *cobra.Command {
	var dir, peer, region, class string
	cmd := &cobra.Command{
		Use:   "add writer|replica NAME",
		Short: "Add a node to the directory that `writ init` made: its certificate, and its entry in cluster.yaml",
		Long: `Adds a node to a cluster that is laid out. All else in the directory stays as it is, and a
node that is there already stays, too; its certificate is made if it is missing.

Then take cluster.yaml, ca.crt, seal.key and the node's two files in nodes/ to the node's
machine, and start it. A replica enters the roster by itself, but for a name that was
removed: ` + "`writ replica admit`" + ` lets that in again. What the other nodes need for another
writer, docs/operating/members.md says under "The writers".`,
		Example: "  writ node add writer w4 --peer w4:8430 --dir cluster\n  writ node add replica r3 --region eu --dir cluster",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			old, err := setup.LoadCluster(filepath.Join(dir, "cluster.yaml"))
			if errors.Is(err, fs.ErrNotExist) {
				return shell.Usage("%s holds no cluster: give the --dir that `writ init` made", dir)
			} else if err != nil {
				return err
			}
			n, err := addition(cmd.Flags(), args[0], args[1], peer, &region, &class)
			if err != nil {
				return err
			}
			return addNode(cmd.OutOrStdout(), dir, args[1], old, n)
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", layoutDir, "directory of the cluster's layout")
	f.StringVar(&peer, "peer", "", "address of a writer's peer port: HOST:PORT, or PEER,BROKER,ROUTES")
	f.StringVar(&region, "region", "", "region of a replica")
	f.StringVar(&class, "class", "", "class of a replica's lease: tight for a short one")
	return cmd
}

// addition is what is said of one node.
func addition(f *pflag.FlagSet, role, name, peer string, region, class *string) (n setup.Named, err error) {
	switch setup.Role(role) {
	case setup.RoleWriter:
		if peer == "" || f.Changed("region") || f.Changed("class") {
			return n, shell.Usage("a writer has an address (--peer HOST:PORT), and neither region nor class")
		}
		w, err := setup.ParseWriter(name + "=" + peer)
		if err != nil {
			return n, shell.Usage("--peer %s: %w", peer, err)
		}
		n.Writers = []setup.Writer{w}
		return n, nil
	case setup.RoleReplica:
		if peer != "" {
			return n, shell.Usage("a replica has no --peer: it listens for no other node")
		}
		r := setup.NamedReplica{Name: name}
		if f.Changed("region") {
			r.Region = region
		}
		if f.Changed("class") {
			r.Class = class
		}
		n.Replicas = []setup.NamedReplica{r}
		return n, nil
	}
	return n, shell.Usage("%q is no role of a node: say writer or replica", role)
}

func addNode(out io.Writer, dir, name string, old setup.Cluster, n setup.Named) error {
	next, said, err := old.With(n)
	if err != nil {
		return err
	}
	if _, _, err = setup.Init(dir, next, setup.RootKey{}, time.Now()); err != nil {
		return err
	}
	if len(said) == 0 {
		said = []string{name + " is there already, and was left as it is"}
	}
	f := setup.DefaultFiles(dir, name)
	first := ""
	if len(n.Writers) > 0 {
		first = "where the cluster runs already, first: writ writer add " + name + " --peer " + n.Writers[0].Peer + "\n"
	}
	_, err = fmt.Fprintf(out, "%s\ncertificate %s, key %s\n%sstart it with: writ serve --cluster %s --name %s --data DIR\n",
		strings.Join(said, "\n"), f.Cert, f.Key, first, filepath.Join(dir, "cluster.yaml"), name)
	return err
}
