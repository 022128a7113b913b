// Package cluster runs `writ dev` for tests: real processes on loopback, whose
// output tells where they are and which of them was started again.
package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/writ-iam/writ/node/client"
)

// Limits of a cluster under test.
const (
	readyTimeout = 90 * time.Second
	stopTimeout  = 40 * time.Second
	// maxLog is how much of a node's log Logs shows, in bytes.
	maxLog = 8 << 10
)

// Build compiles cmd/writ into dir and returns the binary; $WRIT_BINARY names one
// that is there already. root is the path to the module's root.
func Build(ctx context.Context, root, dir string) (string, error) {
	if binary := os.Getenv("WRIT_BINARY"); binary != "" {
		return binary, nil
	}
	binary := filepath.Join(dir, "writ")
	// As a release is built, so that the test of releases finds all compiled.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/writ")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build writ: %w\n%s", err, out)
	}
	return binary, nil
}

// Node is a process of the cluster.
type Node struct {
	Name string
	Role string
	URL  string
	PID  int
	Log  string
}

// Cluster is a running `writ dev`.
type Cluster struct {
	Dir string
	// Env is what env.sh sets.
	Env map[string]string

	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended, with err set
	err   error
	ready chan struct{} // closed when every node is

	mu          sync.Mutex
	nodes       []Node // in order of their first start
	diagnostics bytes.Buffer
}

// Start runs `writ dev` with the flags in dir, and returns when every node is ready.
func Start(ctx context.Context, binary, dir string, flags ...string) (*Cluster, error) {
	c := &Cluster{Dir: dir, ended: make(chan struct{}), ready: make(chan struct{})}
	c.cmd = exec.Command(binary, append([]string{"dev", "--dir", dir, "--api", "127.0.0.1:0"}, flags...)...)
	c.cmd.Stderr = &c.diagnostics
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start writ dev: %w", err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start writ dev: %w", err)
	}
	go func() {
		defer close(c.ended)
		c.read(out)
		c.err = c.cmd.Wait()
	}()
	timeout := time.NewTimer(readyTimeout)
	defer timeout.Stop()
	select {
	case <-c.ready:
	case <-c.ended:
		return nil, fmt.Errorf("writ dev ended: %w\n%s", c.err, c.diagnostics.String())
	case <-timeout.C:
		return nil, errors.Join(fmt.Errorf("writ dev is not ready after %v\n%s", readyTimeout, c.Logs()), c.Stop())
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), c.Stop())
	}
	if c.Env, err = ReadEnv(filepath.Join(dir, "env.sh")); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// read takes in what writ dev says: a line for every start of a node, and "ready".
func (c *Cluster) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) == 1 && f[0] == "ready":
			close(c.ready)
		case len(f) >= 7 && f[3] == "pid":
			pid, err := strconv.Atoi(f[4])
			if err == nil {
				c.started(Node{Name: f[0], Role: f[1], URL: f[2], PID: pid, Log: f[6]})
			}
		}
	}
}

func (c *Cluster) started(n Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.nodes {
		if c.nodes[i].Name == n.Name {
			c.nodes[i] = n
			return
		}
	}
	c.nodes = append(c.nodes, n)
}

// Nodes returns the processes as they were started last.
func (c *Cluster) Nodes() []Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Node(nil), c.nodes...)
}

// Node returns the process of that name.
func (c *Cluster) Node(name string) (Node, error) {
	for _, n := range c.Nodes() {
		if n.Name == name {
			return n, nil
		}
	}
	return Node{}, fmt.Errorf("no node %s", name)
}

// Signal sends a signal to a node's process.
func (c *Cluster) Signal(name string, s syscall.Signal) error {
	n, err := c.Node(name)
	if err != nil {
		return err
	}
	if err := syscall.Kill(n.PID, s); err != nil {
		return fmt.Errorf("signal %s: %w", name, err)
	}
	return nil
}

// Client returns a client of the node at url, with the root's key.
func (c *Cluster) Client(url string) (*client.Client, error) {
	return client.New(client.Config{Endpoint: url, AccessKeyID: c.Env["AWS_ACCESS_KEY_ID"], SecretAccessKey: c.Env["AWS_SECRET_ACCESS_KEY"]})
}

// Status asks one node after the other what the cluster's leader knows.
func (c *Cluster) Status(ctx context.Context) (*client.Cluster, error) {
	var all error
	for _, n := range c.Nodes() {
		w, err := c.Client(n.URL)
		if err != nil {
			return nil, err
		}
		s, err := w.Cluster(ctx)
		if err == nil && s.Leader != "" {
			return s, nil
		}
		all = errors.Join(all, err)
	}
	return nil, fmt.Errorf("no node knows a leader: %w", all)
}

// Environ is the environment of a program that uses the cluster.
func (c *Cluster) Environ() []string {
	env := os.Environ()
	for name, value := range c.Env {
		env = append(env, name+"="+value)
	}
	return env
}

// Logs is the end of every node's log.
func (c *Cluster) Logs() string {
	var text strings.Builder
	files, err := filepath.Glob(filepath.Join(c.Dir, "*.log"))
	if err != nil { // the pattern is a constant
		panic(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		fmt.Fprintf(&text, "%s: %v\n%s\n", file, err, b[max(0, len(b)-maxLog):])
	}
	return text.String()
}

// Stop ends all processes. An error says that they had to be killed, or failed.
func (c *Cluster) Stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop writ dev: %w", err)
	}
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-c.ended:
		return c.err
	case <-timeout.C:
		_ = c.cmd.Process.Kill() // what is to be told is that it had to be
		return fmt.Errorf("writ dev did not stop in %v", stopTimeout)
	}
}

// ReadEnv reads the lines export NAME='VALUE' of env.sh.
func ReadEnv(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the environment: %w", err)
	}
	env := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok {
			env[name] = strings.ReplaceAll(strings.Trim(value, "'"), `'\''`, "'")
		}
	}
	return env, nil
}

// Ready asks a node whether it is ready.
func (c *Cluster) Ready(ctx context.Context, name string) bool {
	n, err := c.Node(name)
	if err != nil {
		return false
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL+"/readyz", nil)
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
