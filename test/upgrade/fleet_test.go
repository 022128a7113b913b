package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
)

const (
	// patience bounds every wait, on a machine that is busy with others.
	patience  = 2 * time.Minute
	pollEvery = 100 * time.Millisecond
	// stopLimit is how long a node may take to stop after SIGTERM.
	stopLimit = 45 * time.Second
)

// fleet is a cluster whose nodes are processes of two builds.
type fleet struct {
	t               *testing.T
	previous, today string // binaries
	layout          string
	root            setup.RootKey
	nodes           []*member
}

// member is a node with its process, if one runs.
type member struct {
	name, url, api, dir, log string

	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended
}

// newFleet lays a cluster out as the previous release does; nothing runs yet.
func newFleet(t *testing.T, previous, today string, writers, replicas int) *fleet {
	t.Helper()
	dir := t.TempDir()
	f := &fleet{t: t, previous: previous, today: today, layout: filepath.Join(dir, "layout")}
	addrs, err := setup.FreeAddrs(4*writers + replicas)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"init", "--dir", f.layout}
	add := func(name, api string) {
		f.nodes = append(f.nodes, &member{name: name, api: api, url: "http://" + api, dir: filepath.Join(dir, name), log: filepath.Join(dir, name+".log")})
	}
	for i := range writers {
		name, a := fmt.Sprintf("writer-%d", i+1), addrs[4*i:]
		args = append(args, "--writer", fmt.Sprintf("%s=%s,%s,%s", name, a[0], a[1], a[2]))
		add(name, a[3])
	}
	for i := range replicas {
		name := fmt.Sprintf("replica-%d", i+1)
		args = append(args, "--replica", name)
		add(name, addrs[4*writers+i])
	}
	if out, err := exec.CommandContext(t.Context(), previous, args...).CombinedOutput(); err != nil {
		t.Fatalf("writ init of the previous release: %v\n%s", err, out)
	}
	if f.root, err = setup.LoadRootKey(setup.DefaultFiles(f.layout, "writer-1").Root); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	return f
}

// close stops what runs, and shows the ends of the logs if the test failed.
func (f *fleet) close() {
	for _, m := range f.nodes {
		if m.cmd != nil {
			_ = m.cmd.Process.Kill() // unless it has ended
			<-m.ended
		}
		if f.t.Failed() {
			f.t.Logf("%s: %s", m.name, f.logOf(m.name))
		}
	}
}

// logOf is the end of a node's log.
func (f *fleet) logOf(name string) string {
	const shown = 6 << 10
	b, err := os.ReadFile(f.node(name).log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-shown):])
}

func (f *fleet) node(name string) *member {
	i := slices.IndexFunc(f.nodes, func(m *member) bool { return m.name == name })
	return f.nodes[i]
}

// start starts a node with a build.
func (f *fleet) start(name, binary string, flags ...string) {
	f.t.Helper()
	m := f.node(name)
	out, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer out.Close() // the process has its own
	m.cmd = exec.Command(binary, append([]string{"serve", "--cluster", filepath.Join(f.layout, "cluster.yaml"), "--name", name, "--data", m.dir, "--api", m.api, "--drain", "2s"}, flags...)...)
	m.cmd.Stdout, m.cmd.Stderr = out, out
	if err := m.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	ended := make(chan struct{})
	m.ended = ended
	go func() { _ = m.cmd.Wait(); close(ended) }() // how it ended, its state tells
}

// stop stops a node as an operator does, and returns the code that it ended with.
func (f *fleet) stop(name string) int {
	f.t.Helper()
	m := f.node(name)
	_ = m.cmd.Process.Signal(syscall.SIGTERM) // unless it has ended
	return f.wait(m)
}

// wait waits until a node has ended, and returns its exit code.
func (f *fleet) wait(m *member) int {
	f.t.Helper()
	select {
	case <-m.ended:
		return m.cmd.ProcessState.ExitCode()
	case <-time.After(stopLimit):
		f.t.Fatalf("%s did not end in %v", m.name, stopLimit)
		return 0
	}
}

// replace stops a node, and starts it with a build; it returns when the node is ready.
func (f *fleet) replace(name, binary string, flags ...string) {
	f.t.Helper()
	if code := f.stop(name); code != 0 {
		f.t.Fatalf("%s ends with %d: %s", name, code, f.logOf(name))
	}
	f.start(name, binary, flags...)
	f.ready(name)
}

// ready waits until nodes are ready.
func (f *fleet) ready(names ...string) {
	f.t.Helper()
	for _, name := range names {
		f.until(name+" is ready", func(ctx context.Context) error {
			if status, text := f.readyz(ctx, name); status != http.StatusOK {
				return errors.New(text)
			}
			return nil
		})
	}
}

// readyz is what a node says of itself; the status is 0 where it does not answer.
func (f *fleet) readyz(ctx context.Context, name string) (int, string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.node(name).url+"/readyz?verbose", nil)
	if err != nil {
		return 0, err.Error()
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, fmt.Sprint(string(text), err)
}

// until waits until there is no error.
func (f *fleet) until(what string, check func(context.Context) error) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			f.t.Fatalf("it does not come to be that %s: %v", what, err)
		}
	}
}

// endpoints are the URLs of all nodes, with commas.
func (f *fleet) endpoints() string {
	var urls []string
	for _, m := range f.nodes {
		urls = append(urls, m.url)
	}
	return strings.Join(urls, ",")
}

// run runs a verb of today's build, and returns what it printed and its exit code.
func (f *fleet) run(ctx context.Context, words ...string) (string, int) {
	f.t.Helper()
	cmd := exec.CommandContext(ctx, f.today, words...)
	cmd.Env = append(os.Environ(), "WRIT_ENDPOINT="+f.endpoints(), "WRIT_REPLICAS=", "AWS_ACCESS_KEY_ID="+f.root.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+f.root.SecretAccessKey, "AWS_SESSION_TOKEN=")
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		f.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// cluster is what the leader says of the cluster.
func (f *fleet) cluster(ctx context.Context) (s client.Cluster, err error) {
	out, _ := f.run(ctx, "status", "--output", "json")
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&s); err != nil {
		return s, fmt.Errorf("writ status: %w: %s", err, out)
	}
	if s.Leader == "" {
		return s, errors.New("no leader is known")
	}
	return s, nil
}

// becomes waits until the leader says so of a node.
func (f *fleet) becomes(name, state string) {
	f.t.Helper()
	f.until(name+" is "+state, func(ctx context.Context) error {
		s, err := f.cluster(ctx)
		if err != nil {
			return err
		}
		for _, m := range s.Members {
			if m.Name == name && m.State == state {
				return nil
			}
		}
		return fmt.Errorf("%+v", s.Members)
	})
}
