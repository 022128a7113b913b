package runbooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/cluster"
)

// Limits of what is waited for.
const (
	stopLimit  = 40 * time.Second
	stepLimit  = 90 * time.Second
	lookPause  = 300 * time.Millisecond
	commandMax = 2 * time.Minute
)

// hosts are those of a cluster, which the commands of the page believe to be on: each node is a
// unit of the `systemctl` in their PATH, which asks the test that owns the processes.
type hosts struct {
	t        *testing.T
	dir, bin string
	layout   string
	env      []string
	cluster  setup.Cluster
	url      map[string]string
	clocks   string // the node whose clock can be set

	units map[string]*unit // owned by the goroutine of serve
	jobs  chan func()
}

// unit is a process of one node.
type unit struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// newHosts lays a cluster out; nothing runs yet.
func newHosts(t *testing.T) *hosts {
	t.Helper()
	dir := t.TempDir()
	h := &hosts{
		t: t, dir: dir, bin: filepath.Join(dir, "bin"), layout: filepath.Join(dir, "etc"), url: map[string]string{},
		units: map[string]*unit{}, jobs: make(chan func()),
	}
	if err := os.Mkdir(h.bin, 0o700); err != nil {
		t.Fatal(err)
	}
	binary, err := cluster.Build(t.Context(), "../..", h.bin)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"writ": binary, "systemctl": self, "journalctl": self, "chronyc": self} {
		if path := filepath.Join(h.bin, name); path != to {
			if err := os.Symlink(to, path); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := setup.Cluster{Account: setup.DefaultAccount}
	for _, name := range []string{"w1", "w2", "w3"} {
		c.Writers = append(c.Writers, setup.Writer{Name: name, Peer: free(t), Broker: free(t), Routes: free(t)})
	}
	c.Replicas = []setup.Replica{{Name: "r1", Region: "eu"}, {Name: "r2", Region: "us"}}
	var root setup.RootKey
	if h.cluster, root, err = setup.Init(h.layout, c, setup.RootKey{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	h.environ(root)
	return h
}

func free(t *testing.T) string {
	t.Helper()
	addrs, err := setup.FreeAddrs(1)
	if err != nil {
		t.Fatal(err)
	}
	return addrs[0]
}

// environ is what the commands of the page see, and nothing else of AWS or Writ.
func (h *hosts) environ(root setup.RootKey) {
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if name != "PATH" && name != "HOME" && !strings.HasPrefix(name, "AWS_") && !strings.HasPrefix(name, "WRIT_") {
			h.env = append(h.env, v)
		}
	}
	var writers, replicas []string
	for _, n := range h.cluster.Nodes() {
		h.url[n.Name] = "http://" + free(h.t)
		h.env = append(h.env, strings.ToUpper(n.Name)+"="+h.url[n.Name])
		if n.Role == "writer" {
			writers = append(writers, h.url[n.Name])
		} else {
			replicas = append(replicas, n.Name+"="+h.url[n.Name])
		}
	}
	h.env = append(h.env, "PATH="+h.bin+":"+os.Getenv("PATH"), "HOME="+h.dir, "LAYOUT="+h.layout, "DATA="+filepath.Join(h.dir, "data"),
		"WRIT_ENDPOINT="+strings.Join(writers, ","), "WRIT_REPLICAS="+strings.Join(replicas, ","), "AWS_ENDPOINT_URL="+writers[0],
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "PYTHONWARNINGS=ignore",
		"AWS_ACCESS_KEY_ID="+root.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+root.SecretAccessKey, "HOSTS_SOCKET="+h.socket())
}

func (h *hosts) socket() string { return filepath.Join(h.dir, "socket") }

func (h *hosts) data(name string) string { return filepath.Join(h.dir, "data", name) }

func (h *hosts) log(name string) string { return filepath.Join(h.dir, name+".log") }

// client asks as the root.
func (h *hosts) client() *client.Client {
	h.t.Helper()
	cfg := client.Config{}
	for _, v := range h.env {
		name, value, _ := strings.Cut(v, "=")
		switch name {
		case "WRIT_ENDPOINT":
			cfg.Endpoints = strings.Split(value, ",")
		case "AWS_ACCESS_KEY_ID":
			cfg.AccessKeyID = value
		case "AWS_SECRET_ACCESS_KEY":
			cfg.SecretAccessKey = value
		}
	}
	c, err := client.New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// run carries out a command of the page as a shell does, and returns what it prints, with its
// exit code in a last line.
func (h *hosts) run(ctx context.Context, command string) (string, int) {
	ctx, cancel := context.WithTimeout(ctx, commandMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-uo", "pipefail", "-c", command)
	cmd.Dir, cmd.Env = h.dir, h.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatalf("%s: %v", command, err)
	}
	code := cmd.ProcessState.ExitCode()
	return fmt.Sprintf("%s\nexit code %d\n", strings.ReplaceAll(out.String(), h.dir, "…"), code), code
}

// serve owns the processes: the kernel kills them when its thread ends, however the test does.
func (h *hosts) serve() {
	runtime.LockOSThread()
	for job := range h.jobs {
		job()
	}
}

// do has the owner of the processes do something.
func (h *hosts) do(verb, name string) error {
	result := make(chan error)
	h.jobs <- func() { result <- h.control(verb, name) }
	return <-result
}

// control is what systemctl does.
func (h *hosts) control(verb, name string) error {
	u := h.units[name]
	runs := u != nil && !u.over()
	switch verb {
	case "start":
		if runs {
			return nil
		}
		return h.start(name)
	case "restart":
		return errors.Join(h.control("stop", name), h.control("start", name))
	case "stop":
		if !runs {
			return nil
		}
		return u.end(syscall.SIGTERM)
	case "kill":
		if !runs {
			return nil
		}
		return u.end(syscall.SIGKILL)
	case "reload":
		return u.cmd.Process.Signal(syscall.SIGHUP)
	case "freeze":
		return u.cmd.Process.Signal(syscall.SIGSTOP)
	case "thaw":
		return u.cmd.Process.Signal(syscall.SIGCONT)
	}
	return fmt.Errorf("systemctl has no verb %s", verb)
}

func (u *unit) over() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

// end signals a process, and waits until it has ended.
func (u *unit) end(s syscall.Signal) error {
	if err := u.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err := u.cmd.Process.Signal(syscall.SIGCONT); err != nil && !errors.Is(err, os.ErrProcessDone) { // as systemd does
		return err
	}
	select {
	case <-u.done:
		return nil
	case <-time.After(stopLimit):
		return errors.Join(fmt.Errorf("pid %d did not stop in %v", u.cmd.Process.Pid, stopLimit), u.cmd.Process.Kill())
	}
}

// start begins a node's process as the unit in docs/deploy does.
func (h *hosts) start(name string) error {
	out, err := os.OpenFile(h.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	words := []string{filepath.Join(h.bin, "writ"), "serve", "--advertise", h.url[name]}
	if name == h.clocks {
		words = []string{filepath.Join(h.bin, "clocknode"), "--clock", h.clockFile()}
	}
	words = append(words, "--cluster", filepath.Join(h.layout, "cluster.yaml"), "--name", name, "--data", h.data(name), "--api", strings.TrimPrefix(h.url[name], "http://"), "--drain", "1s")
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	u := &unit{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(u.done)
		_ = cmd.Wait() // its log says why it ended
	}()
	h.units[name] = u
	return nil
}

// clockFile is the file of a node's clocks; see test/chaos/clocknode.
func (h *hosts) clockFile() string { return filepath.Join(h.dir, "clock.json") }

func (h *hosts) setClock(wall time.Duration) error {
	text, err := json.Marshal(map[string]time.Duration{"wall": wall})
	if err != nil {
		return err
	}
	if err := os.WriteFile(h.clockFile()+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(h.clockFile()+".new", h.clockFile())
}

// open begins to answer systemctl, journalctl and chronyc, until the test ends.
func (h *hosts) open() {
	h.t.Helper()
	l, err := net.Listen("unix", h.socket())
	if err != nil {
		h.t.Fatal(err)
	}
	go h.serve()
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			h.answer(conn)
		}
	}()
	h.t.Cleanup(func() {
		l.Close()
		<-accepting
		for _, n := range h.cluster.Nodes() {
			if err := h.do("kill", n.Name); err != nil {
				h.t.Error(err)
			}
		}
		close(h.jobs)
	})
}

// answer carries out one command that a program of the page sent.
func (h *hosts) answer(conn net.Conn) {
	defer conn.Close()
	var words []string
	if err := json.NewDecoder(conn).Decode(&words); err != nil {
		return
	}
	said, err := "", error(nil)
	unit := strings.TrimPrefix(words[len(words)-1], "writ@")
	switch words[0] {
	case "systemctl":
		err = h.do(words[1], unit)
	case "journalctl":
		var text []byte
		text, err = os.ReadFile(h.log(unit))
		said = string(text)
	case "chronyc":
		err = h.setClock(0)
	}
	if err != nil {
		said = err.Error()
	}
	_ = json.NewEncoder(conn).Encode(reply{said, err != nil}) // who does not wait for it needs none
}

// reply is what a program of the page prints, and whether it fails.
type reply struct {
	Said   string
	Failed bool
}

// ask is the program that systemctl, journalctl and chronyc are links to.
func ask(program string, args []string) int {
	conn, err := net.Dial("unix", os.Getenv("HOSTS_SOCKET"))
	var r reply
	if err == nil {
		defer conn.Close()
		err = json.NewEncoder(conn).Encode(append([]string{program}, args...))
	}
	if err == nil {
		err = json.NewDecoder(conn).Decode(&r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, program+":", err)
		return 1
	}
	fmt.Print(r.Said)
	if r.Failed {
		return 1
	}
	return 0
}

// TestMain is also the programs of the hosts.
func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); name == "systemctl" || name == "journalctl" || name == "chronyc" {
		os.Exit(ask(name, os.Args[1:]))
	}
	os.Exit(m.Run())
}
