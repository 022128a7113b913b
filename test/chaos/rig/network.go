package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// commandLimit bounds one call of ip, iptables, tc or mount.
const commandLimit = 20 * time.Second

// tools are the programs that isolation needs.
var tools = []string{"ip", "iptables", "tc", "nsenter", "mount", "umount", "unshare"}

// network gives every node an address of its own. Isolated, it is a network
// namespace for each node, joined by a bridge that lives in a namespace too, so that
// the machine's own rules and networks (Docker's among them) have no part in it.
// Otherwise nodes share the loopback interface, at different addresses.
type network struct {
	prefix   string // of every name that it makes: "wc" and this process's id
	subnet   string // the first three numbers of its addresses
	isolated bool
	why      string // not isolated
}

// leftover is the name of what a run made; it holds the process's id.
var leftover = regexp.MustCompile(`^wc([0-9]+)-`)

// newNetwork removes what dead runs left behind and lays out a new network.
func newNetwork(ctx context.Context, isolate bool) (*network, error) {
	n := &network{prefix: "wc" + strconv.Itoa(os.Getpid()), subnet: fmt.Sprintf("127.%d.%d", 10+os.Getpid()%200, os.Getpid()/200%250)}
	if !isolate {
		n.why = "it was not asked for"
		return n, nil
	}
	if os.Getuid() != 0 {
		n.why = "it needs root"
		return n, nil
	}
	for _, t := range tools {
		if _, err := exec.LookPath(t); err != nil {
			n.why = "there is no " + t
			return n, nil
		}
	}
	if err := sweep(ctx); err != nil {
		return nil, fmt.Errorf("remove what dead runs left: %w", err)
	}
	n.isolated = true
	n.subnet = freeSubnet()
	if err := n.bridge(ctx); err != nil {
		if errors.Is(err, errNoPermission) {
			n.isolated, n.why = false, err.Error()
			return n, n.remove(ctx)
		}
		return nil, errors.Join(err, n.remove(ctx))
	}
	return n, nil
}

// freeSubnet chooses one of the networks kept for tests of equipment (RFC 2544)
// that no interface here uses.
func freeSubnet() string {
	used := map[string]bool{}
	addrs, err := net.InterfaceAddrs()
	if err == nil {
		for _, a := range addrs {
			if ip, _, err := net.ParseCIDR(a.String()); err == nil && ip.To4() != nil {
				b := ip.To4()
				used[fmt.Sprintf("%d.%d.%d", b[0], b[1], b[2])] = true
			}
		}
	}
	for i := range 256 {
		if s := fmt.Sprintf("198.18.%d", (os.Getpid()+i)%256); !used[s] {
			return s
		}
	}
	return "198.19.0"
}

// errNoPermission is returned when the kernel does not let this user make namespaces.
var errNoPermission = errors.New("the kernel makes no namespaces for this user")

// bridge makes the namespace of the bridge and this process's own way into it.
func (n *network) bridge(ctx context.Context) error {
	hub := n.namespace("hub")
	if out, err := command(ctx, "ip", "netns", "add", hub); err != nil {
		return fmt.Errorf("%w: %w: %s", errNoPermission, err, out)
	}
	return commands(ctx,
		"ip -n "+hub+" link add br0 type bridge",
		"ip -n "+hub+" link set br0 up",
		"ip link add "+n.prefix+"r type veth peer name up0 netns "+hub,
		"ip -n "+hub+" link set up0 master br0 up",
		"ip addr add "+n.host(1)+"/24 dev "+n.prefix+"r",
		"ip link set "+n.prefix+"r up",
	)
}

// host is an address of the network.
func (n *network) host(number int) string { return n.subnet + "." + strconv.Itoa(number) }

// namespace is the name of a node's namespace.
func (n *network) namespace(node string) string { return n.prefix + "-" + node }

// join makes a node's namespace with its interface eth0.
func (n *network) join(ctx context.Context, node string, number int) error {
	if !n.isolated {
		return nil
	}
	ns, hub, port := n.namespace(node), n.namespace("hub"), "p"+strconv.Itoa(number)
	return commands(ctx,
		"ip netns add "+ns,
		"ip -n "+hub+" link add "+port+" type veth peer name eth0 netns "+ns,
		"ip -n "+hub+" link set "+port+" master br0 up",
		"ip -n "+ns+" addr add "+n.host(number)+"/24 dev eth0",
		"ip -n "+ns+" link set eth0 up",
		"ip -n "+ns+" link set lo up",
	)
}

// rule is one rule of iptables in a node's namespace, without its verb.
type rule struct {
	node string
	text string // such as "INPUT -s 198.18.0.5 -j DROP"
}

// block puts rules in force.
func (n *network) block(ctx context.Context, rules []rule) error { return n.change(ctx, "-A", rules) }

// unblock removes rules; what is not there any more is no error.
func (n *network) unblock(ctx context.Context, rules []rule) error {
	return n.change(ctx, "-D", rules)
}

func (n *network) change(ctx context.Context, verb string, rules []rule) (err error) {
	for _, r := range rules {
		e := commands(ctx, "ip netns exec "+n.namespace(r.node)+" iptables -w 5 "+verb+" "+r.text)
		err = errors.Join(err, e)
	}
	return err
}

// remove ends every process in the network and takes it down.
func (n *network) remove(ctx context.Context) error {
	if os.Getuid() != 0 || n.prefix == "" {
		return nil
	}
	err := sweepNames(ctx, func(pid int) bool { return pid == os.Getpid() })
	// It goes with the bridge's namespace, which the kernel takes down when it likes.
	_, _ = command(ctx, "ip", "link", "del", n.prefix+"r")
	return err
}

// sweep removes the namespaces and disks of runs whose process has ended.
func sweep(ctx context.Context) error {
	return sweepNames(ctx, func(pid int) bool { return pid != os.Getpid() && syscall.Kill(pid, 0) != nil })
}

func sweepNames(ctx context.Context, ours func(pid int) bool) (err error) {
	out, e := command(ctx, "ip", "netns", "list")
	if e != nil {
		return fmt.Errorf("list network namespaces: %w", e)
	}
	for line := range strings.Lines(out) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !isOurs(name, ours) {
			continue
		}
		pids, _ := command(ctx, "ip", "netns", "pids", name) // the namespace may have none
		for _, text := range strings.Fields(pids) {
			if pid, e := strconv.Atoi(text); e == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			}
		}
		if out, e := command(ctx, "ip", "netns", "del", name); e != nil {
			err = errors.Join(err, fmt.Errorf("delete namespace %s: %w: %s", name, e, out))
		}
	}
	return errors.Join(err, sweepMounts(ctx, ours))
}

// sweepMounts takes down disks by their names.
func sweepMounts(ctx context.Context, ours func(pid int) bool) (err error) {
	text, e := os.ReadFile("/proc/self/mounts")
	if e != nil {
		return fmt.Errorf("list mounts: %w", e)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 || !isOurs(f[0], ours) {
			continue
		}
		if out, e := command(ctx, "umount", "-l", f[1]); e != nil {
			err = errors.Join(err, fmt.Errorf("unmount %s: %w: %s", f[1], e, out))
		}
	}
	return err
}

func isOurs(name string, ours func(pid int) bool) bool {
	m := leftover.FindStringSubmatch(name)
	if m == nil {
		return false
	}
	pid, err := strconv.Atoi(m[1])
	return err == nil && ours(pid)
}

// disk gives a node a small filesystem of its own at dir, in memory.
func (n *network) disk(ctx context.Context, node, dir string, mebibytes int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	if !n.isolated {
		return nil
	}
	return commands(ctx, fmt.Sprintf("mount -t tmpfs -o size=%dm,mode=700 %s %s", mebibytes, n.namespace(node), dir))
}

// command runs a program and returns what it printed.
func command(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// commands runs lines of words, until one fails.
func commands(ctx context.Context, lines ...string) error {
	for _, line := range lines {
		words := strings.Fields(line)
		if out, err := command(ctx, words[0], words[1:]...); err != nil {
			return fmt.Errorf("%s: %w: %s", line, err, strings.TrimSpace(out))
		}
	}
	return nil
}

// build compiles one of the module's commands, unless it is there.
func build(ctx context.Context, root, pkg, binary string) error {
	if _, err := os.Stat(binary); err == nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s into %s: %w\n%s", pkg, filepath.Base(binary), err, out)
	}
	return nil
}
