package operations

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/cluster"
)

// Limits, for a machine that is ten times as busy.
const (
	patience  = 2 * time.Minute
	lookEvery = 200 * time.Millisecond
	maxLog    = 4 << 10 // of each node's log, in bytes, that a failed test shows
)

// plant is a cluster on this machine, each node at an address of its own, as hosts have it;
// they read the files of one layout.
type plant struct {
	t                    *testing.T
	program, dir, layout string
	subnet               string // the first three numbers of the addresses
	root                 setup.RootKey
	hosts                int

	mu    sync.Mutex
	nodes []*host // guarded by mu: also clients look for who runs
}

// host is where a node runs.
type host struct {
	name, addr string
	writer     bool
	data, log  string
	cmd        *exec.Cmd
	ended      chan struct{} // closed when the process has ended, with err set
	err        error
}

func (h *host) url() string  { return "http://" + h.addr + ":8420" }
func (h *host) peer() string { return h.addr + ":8430" }

func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{t: t, dir: t.TempDir(), subnet: fmt.Sprintf("127.%d.%d", 10+os.Getpid()%200, os.Getpid()/200%250)}
	p.layout = filepath.Join(p.dir, "layout")
	var err error
	if p.program, err = cluster.Build(t.Context(), "../..", p.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, h := range p.running() {
			_ = h.cmd.Process.Kill() // it may have ended
			<-h.ended
		}
		if t.Failed() {
			t.Log(p.logs())
		}
	})
	return p
}

// address is one that no node has had.
func (p *plant) address() string {
	p.hosts++
	return fmt.Sprintf("%s.%d", p.subnet, 9+p.hosts)
}

// host makes a place for a node.
func (p *plant) host(name string, writer bool) *host {
	h := &host{name: name, addr: p.address(), writer: writer, data: filepath.Join(p.dir, name), log: filepath.Join(p.dir, name+".log")}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nodes = append(p.nodes, h)
	return h
}

// lay lays the cluster out by `writ init`, and starts it.
func (p *plant) lay(writers, replicas []string) {
	p.t.Helper()
	args := []string{"init", "--dir", p.layout}
	for _, name := range writers {
		args = append(args, "--writer", name+"="+p.host(name, true).peer())
	}
	for _, name := range replicas {
		p.host(name, false)
		args = append(args, "--replica", name+"=eu")
	}
	p.do(args...)
	text, err := os.ReadFile(filepath.Join(p.layout, "root.json"))
	if err != nil {
		p.t.Fatal(err)
	}
	if err := json.Unmarshal(text, &p.root); err != nil {
		p.t.Fatal(err)
	}
	for _, h := range p.nodes {
		p.start(h)
	}
	p.inOrder()
}

// start starts a node's process.
func (p *plant) start(h *host) {
	p.t.Helper()
	out, err := os.OpenFile(h.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close() // the process has its own
	cmd := exec.Command(p.program, "serve", "--cluster", filepath.Join(p.layout, "cluster.yaml"), "--name", h.name, "--data", h.data, "--api", h.addr+":8420", "--drain", "2s")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	p.mu.Lock()
	h.cmd, h.ended, h.err = cmd, ended, nil
	p.mu.Unlock()
	go func() { // ends with the process, which the plant ends
		err := cmd.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		h.err = err
		close(ended)
	}()
}

// runs tells whether a node's process does.
func (p *plant) runs(h *host) bool {
	if h.ended == nil {
		return false
	}
	select {
	case <-h.ended:
		return false
	default:
		return true
	}
}

// running are the nodes whose processes run.
func (p *plant) running() (list []*host) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.nodes {
		if p.runs(h) {
			list = append(list, h)
		}
	}
	return list
}

// at returns the node of that name.
func (p *plant) at(name string) *host {
	p.t.Helper()
	for _, h := range p.nodes {
		if h.name == name {
			return h
		}
	}
	p.t.Fatalf("no node %s", name)
	return nil
}

// end ends a node's process by a signal, and wants it to exit by itself with 0 on SIGTERM.
func (p *plant) end(h *host, s syscall.Signal) {
	p.t.Helper()
	if err := h.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("end %s: %v", h.name, err)
	}
	if err := p.gone(h); err != nil && s == syscall.SIGTERM {
		p.t.Errorf("%s, on SIGTERM: %v", h.name, err)
	}
}

// gone waits until a node's process has ended, and returns how.
func (p *plant) gone(h *host) error {
	p.t.Helper()
	select {
	case <-h.ended:
	case <-time.After(patience):
		p.t.Fatalf("%s does not end", h.name)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return h.err
}

// hup has every node read its files again.
func (p *plant) hup() {
	p.t.Helper()
	for _, h := range p.running() {
		if err := h.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			p.t.Fatal(err)
		}
	}
}

// run runs a verb as the root, who knows the writers.
func (p *plant) run(args ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.program, args...)
	var endpoints []string
	for _, h := range p.running() {
		if h.writer {
			endpoints = append(endpoints, h.url())
		}
	}
	cmd.Env = []string{"HOME=" + p.dir, "PATH=" + os.Getenv("PATH"), "WRIT_ENDPOINT=" + strings.Join(endpoints, ","),
		"AWS_ACCESS_KEY_ID=" + p.root.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + p.root.SecretAccessKey}
	var said, complained bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &complained
	err = cmd.Run()
	if err != nil {
		err = fmt.Errorf("writ %s: %w: %s%s", strings.Join(args, " "), err, said.String(), complained.String())
	}
	return said.String(), complained.String(), err
}

// do runs a verb that has to succeed, and returns what it printed.
func (p *plant) do(args ...string) string {
	p.t.Helper()
	out, _, err := p.run(args...)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// refused runs a verb that has to fail, and returns what it said.
func (p *plant) refused(args ...string) string {
	p.t.Helper()
	out, complaint, err := p.run(args...)
	if err == nil {
		p.t.Fatalf("writ %s is done: %s", strings.Join(args, " "), out)
	}
	return out + complaint
}

// until waits for something to be so.
func (p *plant) until(what string, look func() error) {
	p.t.Helper()
	limit := time.Now().Add(patience)
	for {
		err := look()
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			p.t.Fatalf("%s: not after %v: %v", what, patience, err)
		}
		select {
		case <-time.After(lookEvery):
		case <-p.t.Context().Done():
			p.t.Fatal(p.t.Context().Err())
		}
	}
}

// lets tries a verb again while it refuses, as it does until all nodes are ready for it.
func (p *plant) lets(args ...string) (out string) {
	p.t.Helper()
	p.until("writ "+strings.Join(args, " "), func() (err error) {
		out, _, err = p.run(args...)
		return err
	})
	return out
}

// inOrder waits until `writ status` exits 0 and every node that runs is ready.
func (p *plant) inOrder() {
	p.t.Helper()
	p.lets("status")
	for _, h := range p.running() {
		p.ready(h)
	}
}

// ready waits until a node is.
func (p *plant) ready(h *host) {
	p.t.Helper()
	p.until(h.name+" is ready", func() error {
		answer, err := http.Get(h.url() + "/readyz?verbose")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			text, err := io.ReadAll(answer.Body)
			return errors.Join(fmt.Errorf("%s: %s", answer.Status, text), err)
		}
		return nil
	})
}

// status is what `writ status` tells.
func (p *plant) status() (s client.Cluster) {
	p.t.Helper()
	p.until("a status with a leader", func() error {
		out, _, _ := p.run("status", "--output", "json") // it exits 5 as well
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		if s.Leader == "" || s.Quorum == nil {
			return errors.New("no leader is known")
		}
		return nil
	})
	return s
}

// survives waits until `writ status` is in order with so many voters, and tells of so many
// failures that they survive.
func (p *plant) survives(voters, failures int) {
	p.t.Helper()
	p.inOrder()
	if q := p.status().Quorum; q.Voters != voters || q.Survives != failures || q.Learners != 0 {
		p.t.Fatalf("status says %+v; want %d voters that survive %d failures", *q, voters, failures)
	}
}

// leader is the node that leads, as status says.
func (p *plant) leader() *host {
	p.t.Helper()
	return p.at(p.status().Leader)
}

// logs are the ends of what the nodes logged.
func (p *plant) logs() string {
	var all strings.Builder
	for _, h := range p.nodes {
		text, err := os.ReadFile(h.log)
		fmt.Fprintf(&all, "%s: %v\n%s\n", h.log, err, text[max(0, len(text)-maxLog):])
	}
	return all.String()
}
