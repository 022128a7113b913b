package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/writ-iam/writ/cmd/writ/account"
	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node"
	"github.com/writ-iam/writ/node/setup"
)

// Limits of a cluster on loopback.
const (
	maxDevReplicas = 16
	// readyTimeout is how long a cluster may take until every node is ready.
	readyTimeout = 60 * time.Second
	readyPause   = 50 * time.Millisecond
	// restartPause is how long a node that died stays down.
	restartPause = time.Second
	// shortLife is too short for a node that was in order when it started.
	shortLife = 5 * time.Second
	// stopTimeout is how long nodes may take to stop before they are killed.
	stopTimeout = 20 * time.Second
	devRegion   = "us-east-1"
)

type devFlags struct {
	writers, replicas   int
	dir, api, account   string
	nats, quotas, email string
	partition           setup.Partition
	withoutLease        node.WithoutLease
}

func newDev() *cobra.Command {
	var d devFlags
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
			return dev(cmd.Context(), cmd.OutOrStdout(), cmd.Flags(), &d)
		},
	}
	d.flags(cmd.Flags())
	return cmd
}

func (d *devFlags) flags(f *pflag.FlagSet) {
	f.IntVar(&d.writers, "writers", 1, "how many writers: 1, 3 or 5")
	f.IntVar(&d.replicas, replicasFlag, 1, "how many replicas")
	f.StringVar(&d.dir, "dir", "writ-dev", "directory of the cluster")
	f.StringVar(&d.api, "api", "127.0.0.1:8420", "address of the first writer's API; port 0 chooses free ports")
	f.StringVar(&d.account, "account", setup.DefaultAccount, "number of the first account, twelve digits")
	partitionFlag(f, &d.partition)
	withoutLeaseFlag(f, &d.withoutLease)
	account.FirstFlags(f, &d.quotas, &d.email)
	f.StringVar(&d.nats, "nats", "", "URL of a NATS server with JetStream, instead of embedded ones; none for event tails over HTTP alone")
}

// devNode is one process of the cluster.
type devNode struct {
	name, api, data, log string
	withoutLease         node.WithoutLease
}

func (n *devNode) url() string { return "http://" + n.api }

func dev(ctx context.Context, out io.Writer, flags *pflag.FlagSet, d *devFlags) error {
	if d.writers != 1 && d.writers != 3 && d.writers != 5 {
		return shell.Usage("--writers is %d; use 1, 3 or 5", d.writers)
	}
	if d.replicas < 0 || d.replicas > maxDevReplicas {
		return shell.Usage("--replicas is %d; use 0 to %d", d.replicas, maxDevReplicas)
	}
	dir, err := filepath.Abs(d.dir)
	if err != nil {
		return fmt.Errorf("find the directory %s: %w", d.dir, err)
	}
	c, err := devCluster(dir, flags, d)
	if err != nil {
		return err
	}
	c, root, err := setup.Init(dir, c, rootFromEnv(), time.Now())
	if err != nil {
		return err
	}
	nodes, err := devNodes(dir, d.api, c)
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
	return superviseDev(ctx, out, dir, nodes, len(c.Writers))
}

// portsFree refuses ports that somebody listens on. Another cluster there would answer in
// place of the nodes that cannot start, and be taken for them.
func portsFree(nodes []*devNode) error {
	for _, n := range nodes {
		l, err := net.Listen("tcp", n.api)
		if err != nil {
			return fmt.Errorf("%s is to serve on %s, which cannot be had; end what runs there, or choose other ports with --api: %w", n.name, n.api, err)
		}
		l.Close() // the node opens it next
	}
	return nil
}

// devCluster is the cluster that lies in dir, or a new one on free ports.
func devCluster(dir string, flags *pflag.FlagSet, d *devFlags) (setup.Cluster, error) {
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
func (d *devFlags) adopt(flags *pflag.FlagSet, c *setup.Cluster) {
	for name, take := range map[string]func(){
		"writers":    func() { d.writers = len(c.Writers) },
		replicasFlag: func() { d.replicas = len(c.Replicas) },
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

// devNodes lists the processes: writers first, then replicas.
func devNodes(dir, api string, c setup.Cluster) ([]*devNode, error) {
	host, portText, err := net.SplitHostPort(api)
	if err != nil {
		return nil, shell.Usage("--api is %q; use host:port", api)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, shell.Usage("--api is %q; the port is no number", api)
	}
	var nodes []*devNode
	add := func(name string, offset int) error {
		n := &devNode{name: name, api: net.JoinHostPort(host, strconv.Itoa(port+offset)), data: filepath.Join(dir, "data", name), log: filepath.Join(dir, name+".log")}
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
func writeEnv(dir string, nodes []*devNode, writers int, root setup.RootKey) error {
	var replicas []string
	for _, n := range nodes[writers:] {
		replicas = append(replicas, n.name+"="+n.url())
	}
	var text strings.Builder
	for _, v := range [][2]string{
		{"AWS_ENDPOINT_URL", nodes[0].url()},
		{"AWS_REGION", devRegion},
		{"AWS_DEFAULT_REGION", devRegion},
		{"AWS_ACCESS_KEY_ID", root.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", root.SecretAccessKey},
		{"WRIT_ENDPOINT", nodes[0].url()},
		{"WRIT_REPLICAS", strings.Join(replicas, ",")},
	} {
		fmt.Fprintf(&text, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
	}
	return setup.WriteSecret(filepath.Join(dir, "env.sh"), []byte(text.String()))
}

// superviseDev runs the nodes until ctx ends, and stops them all.
func superviseDev(ctx context.Context, out io.Writer, dir string, nodes []*devNode, writers int) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	failed := make(chan error, len(nodes))
	var outLock sync.Mutex
	say := func(format string, args ...any) {
		outLock.Lock()
		defer outLock.Unlock()
		fmt.Fprintf(out, format, args...)
	}
	for i, n := range nodes {
		role := "replica"
		if i < writers {
			role = "writer"
		}
		started := func(pid int) { say("%-10s %-8s %s  pid %d  log %s\n", n.name, role, n.url(), pid, n.log) }
		wg.Go(func() {
			if err := n.keep(ctx, self, dir, started, say); err != nil {
				failed <- err
			}
		})
	}
	ready := make(chan error, 1)
	wg.Go(func() { ready <- waitReady(ctx, nodes) })
	for {
		select {
		case err := <-ready:
			if err != nil {
				return err
			}
			say("environment: . %s\nready\n", filepath.Join(dir, "env.sh"))
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// keep runs the node's process, again and again, until ctx ends. A node that says
// at once why it cannot run is not started again.
func (n *devNode) keep(ctx context.Context, self, dir string, started func(pid int), say func(string, ...any)) error {
	for {
		begun := time.Now()
		err := n.once(ctx, self, dir, started)
		if ctx.Err() != nil {
			return nil
		}
		var stopped *exec.ExitError
		if !errors.As(err, &stopped) || stopped.Exited() && stopped.ExitCode() != 0 && time.Since(begun) < shortLife {
			return fmt.Errorf("%s stopped: %w; its last words: %s", n.name, err, lastLine(n.log))
		}
		say("%-10s ended (%v); starting it again\n", n.name, err)
		select {
		case <-time.After(restartPause):
		case <-ctx.Done():
			return nil
		}
	}
}

// once runs the node's process until it ends. When ctx ends the process is told to
// stop, and killed if it does not.
func (n *devNode) once(ctx context.Context, self, dir string, started func(pid int)) error {
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", n.name, err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, self, "serve", "--cluster", filepath.Join(dir, "cluster.yaml"), "--name", n.name, "--data", n.data, "--api", n.api, "--advertise", n.url(),
		"--without-lease", n.withoutLease.String())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	started(cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		return err
	}
	return &exec.ExitError{ProcessState: cmd.ProcessState}
}

// lastLine is the end of a log, for a person to read.
func lastLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// waitReady returns when every node says that it is ready.
func waitReady(ctx context.Context, nodes []*devNode) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for _, n := range nodes {
		for !isReady(ctx, n) {
			select {
			case <-time.After(readyPause):
			case <-ctx.Done():
				if errors.Is(ctx.Err(), context.DeadlineExceeded) {
					return fmt.Errorf("%s is not ready after %v; see %s", n.name, readyTimeout, n.log)
				}
				return nil
			}
		}
	}
	return nil
}

func isReady(ctx context.Context, n *devNode) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url()+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}
