// Package dev runs a whole cluster on loopback, for whoever tries Writ out or tests with it.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/writ-iam/writ/cmd/writ/account"
	"github.com/writ-iam/writ/cmd/writ/serve"
	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/setup"
)

// Limits of a cluster on loopback.
const (
	maxReplicas = 16
	region      = "us-east-1"
)

// ReplicasFlag is how many replicas there are. The variable of that name tells commands
// where the replicas are, as env.sh sets it.
const ReplicasFlag = "replicas"

type options struct {
	writers, replicas   int
	dir, api, account   string
	nats, quotas, email string
	doors               string
	partition           setup.Partition
	withoutLease        freshness.WithoutLease
}

// New returns the command that runs a cluster on loopback.
func New() *cobra.Command {
	var d options
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a whole cluster on loopback, from nothing",
		Long: `Runs writers and replicas as processes of their own, with certificates, keys and a root
access key made on the first start. A node that dies is started again. The directory keeps
the cluster: started again there, it goes on.

The first writer serves on --api, the replicas on the ports after it, the other writers on
those after the replicas. WRIT_ROOT_ACCESS_KEY_ID and WRIT_ROOT_SECRET_ACCESS_KEY set the
root access key of a new cluster.`,
		Example: "  writ dev --writers 3 --replicas 2\n  . writ-dev/env.sh && aws iam create-user --user-name alice",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), cmd.OutOrStdout(), cmd.Flags(), &d)
		},
	}
	d.flags(cmd.Flags())
	return cmd
}

func (d *options) flags(f *pflag.FlagSet) {
	f.IntVar(&d.writers, "writers", 1, "how many writers: 1, 3 or 5")
	f.IntVar(&d.replicas, ReplicasFlag, 1, "how many replicas")
	f.StringVar(&d.dir, "dir", "writ-dev", "directory of the cluster")
	f.StringVar(&d.api, "api", "127.0.0.1:8420", "address of the first writer's API; port 0 chooses free ports")
	f.StringVar(&d.account, "account", setup.DefaultAccount, "number of the first account, twelve digits")
	serve.PartitionFlag(f, &d.partition)
	serve.WithoutLeaseFlag(f, &d.withoutLease)
	account.FirstFlags(f, &d.quotas, &d.email)
	f.StringVar(&d.doors, "doors", "", "file of the doors that the last replica opens, or a writer where there is none")
	f.StringVar(&d.nats, "nats", "", "URL of a NATS server with JetStream, instead of embedded ones; none for event tails over HTTP alone")
}

func run(ctx context.Context, out io.Writer, flags *pflag.FlagSet, d *options) error {
	if d.writers != 1 && d.writers != 3 && d.writers != 5 {
		return shell.Usage("--writers is %d; use 1, 3 or 5", d.writers)
	}
	if d.replicas < 0 || d.replicas > maxReplicas {
		return shell.Usage("--replicas is %d; use 0 to %d", d.replicas, maxReplicas)
	}
	dir, err := filepath.Abs(d.dir)
	if err != nil {
		return fmt.Errorf("find the directory %s: %w", d.dir, err)
	}
	c, err := plan(dir, flags, d)
	if err != nil {
		return err
	}
	c, root, err := setup.Init(dir, c, serve.RootFromEnv(), time.Now())
	if err != nil {
		return err
	}
	if root.AccessKeyID == "" {
		return fmt.Errorf("%s is missing, and env.sh is made of it: put it back, with the root's key or another; no key is made for a cluster that has begun", filepath.Join(dir, "root.json"))
	}
	nodes, err := processes(dir, d.api, c)
	if err != nil {
		return err
	}
	if err := portsFree(nodes); err != nil {
		return err
	}
	if err := writeEnv(dir, nodes, len(c.Writers), root); err != nil {
		return err
	}
	for _, n := range nodes {
		n.withoutLease = d.withoutLease
	}
	if d.doors != "" {
		if nodes[len(nodes)-1].doors, err = filepath.Abs(d.doors); err != nil {
			return fmt.Errorf("find the file %s: %w", d.doors, err)
		}
	}
	return supervise(ctx, out, dir, nodes, len(c.Writers))
}

// portsFree refuses ports that somebody listens on. Another cluster there would answer in
// place of the nodes that cannot start, and be taken for them.
func portsFree(nodes []*process) error {
	for _, n := range nodes {
		l, err := net.Listen("tcp", n.api)
		if err != nil {
			return fmt.Errorf("%s is to serve on %s, which cannot be had; end what runs there, or choose other ports with --api: %w", n.name, n.api, err)
		}
		l.Close() // the node opens it next
	}
	return nil
}

// plan is the cluster that lies in dir, or a new one on free ports.
func plan(dir string, flags *pflag.FlagSet, d *options) (setup.Cluster, error) {
	old, err := setup.LoadCluster(filepath.Join(dir, "cluster.yaml"))
	if err == nil {
		d.adopt(flags, &old)
		if len(old.Writers) != d.writers || len(old.Replicas) > d.replicas || string(old.Account) != d.account || old.Partition != d.partition {
			return old, shell.Usage("%s holds a cluster of %d writers and %d replicas for account %s of the partition %s; leave those flags out, or choose another --dir",
				dir, len(old.Writers), len(old.Replicas), old.Account, old.Partition)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return old, err
	}
	c := old
	c.Account, c.Partition, c.NATS, c.Quotas, c.Email = setup.AccountID(d.account), d.partition, d.nats, d.quotas, d.email
	for i := len(c.Writers); i < d.writers; i++ {
		ports, err := setup.FreeAddrs(3)
		if err != nil {
			return c, err
		}
		c.Writers = append(c.Writers, setup.Writer{Name: "writer-" + strconv.Itoa(i+1), Peer: ports[0], Broker: ports[1], Routes: ports[2]})
	}
	for i := len(c.Replicas); i < d.replicas; i++ {
		c.Replicas = append(c.Replicas, setup.Replica{Name: "replica-" + strconv.Itoa(i+1)})
	}
	return c, nil
}

// adopt takes from a cluster that is there what no flag names.
func (d *options) adopt(flags *pflag.FlagSet, c *setup.Cluster) {
	for name, take := range map[string]func(){
		"writers":    func() { d.writers = len(c.Writers) },
		ReplicasFlag: func() { d.replicas = len(c.Replicas) },
		"account":    func() { d.account = string(c.Account) },
		"partition":  func() { d.partition = c.Partition },
		"nats":       func() { d.nats = c.NATS },
		"quotas":     func() { d.quotas = c.Quotas },
		"email":      func() { d.email = c.Email },
	} {
		if !flags.Changed(name) {
			take()
		}
	}
}

// processes lists the processes: writers first, then replicas.
func processes(dir, api string, c setup.Cluster) ([]*process, error) {
	host, portText, err := net.SplitHostPort(api)
	if err != nil {
		return nil, shell.Usage("--api is %q; use host:port", api)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, shell.Usage("--api is %q; the port is no number", api)
	}
	var nodes []*process
	add := func(name string, offset int) error {
		n := &process{name: name, api: net.JoinHostPort(host, strconv.Itoa(port+offset)), data: filepath.Join(dir, "data", name), log: filepath.Join(dir, name+".log")}
		if port == 0 {
			free, err := setup.FreeAddrs(1)
			if err != nil {
				return err
			}
			n.api = free[0]
		}
		nodes = append(nodes, n)
		return nil
	}
	for i, w := range c.Writers {
		offset := 0
		if i > 0 {
			offset = len(c.Replicas) + i
		}
		if err := add(w.Name, offset); err != nil {
			return nil, err
		}
	}
	for i, r := range c.Replicas {
		if err := add(r.Name, 1+i); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

// writeEnv writes env.sh, which points AWS clients and writ at the cluster.
func writeEnv(dir string, nodes []*process, writers int, root setup.RootKey) error {
	var replicas []string
	for _, n := range nodes[writers:] {
		replicas = append(replicas, n.name+"="+n.url())
	}
	var text strings.Builder
	for _, v := range [][2]string{
		{"AWS_ENDPOINT_URL", nodes[0].url()},
		{"AWS_REGION", region},
		{"AWS_DEFAULT_REGION", region},
		{"AWS_ACCESS_KEY_ID", root.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", root.SecretAccessKey},
		{"WRIT_ENDPOINT", nodes[0].url()},
		{"WRIT_REPLICAS", strings.Join(replicas, ",")},
	} {
		fmt.Fprintf(&text, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
	}
	return setup.WriteSecret(filepath.Join(dir, "env.sh"), []byte(text.String()))
}
