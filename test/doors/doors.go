// Package doors runs a writer and a replica in process, for the tests of what doors serve.
package doors

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/layout"
)

// Names of the nodes.
const (
	Writer  = "writer-1"
	Replica = "replica-1"
)

// Pair is a writer, and a replica that has doors.
type Pair struct {
	Root    setup.RootKey
	Account string
	// IAM calls the writer as root.
	IAM *iam.Client

	t      testing.TB
	dir    string
	layout setup.Cluster
	logs   logs
	nodes  map[string]*node.Node
}

type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// Start starts the writer, and the replica with the doors of a file's text.
func Start(t testing.TB, file string) *Pair {
	t.Helper()
	dir, c, root := layout.Init(t, layout.Cluster(t, 1, 1))
	p := &Pair{Root: root, Account: string(c.Account), t: t, dir: dir, layout: c, nodes: map[string]*node.Node{}}
	t.Cleanup(func() {
		for _, name := range []string{Replica, Writer} {
			p.Stop(name)
		}
		if t.Failed() {
			p.logs.mu.Lock()
			defer p.logs.mu.Unlock()
			t.Log(p.logs.b.String())
		}
	})
	p.Run(Writer, "")
	p.Run(Replica, file)
	p.IAM = iam.New(iam.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://" + p.Node(Writer).API()),
		Credentials: credentials.NewStaticCredentialsProvider(root.AccessKeyID, root.SecretAccessKey, ""),
	})
	p.Until("the cluster answers", func(ctx context.Context) error {
		_, err := p.IAM.ListUsers(ctx, &iam.ListUsersInput{})
		return err
	})
	return p
}

// Config is that of a node with the doors of a file's text; empty: none.
func (p *Pair) Config(name, file string) node.Config {
	p.t.Helper()
	cfg := node.Config{Cluster: p.layout, Name: name, Data: filepath.Join(p.dir, "data", name), API: "127.0.0.1:0",
		Files: setup.DefaultFiles(p.dir, name), Drain: 5 * time.Second}
	if file != "" {
		cfg.Doors = p.File("doors-"+name+".yaml", file)
	}
	return cfg
}

// Run starts a node.
func (p *Pair) Run(name, file string) {
	p.t.Helper()
	n, err := node.Start(p.t.Context(), p.Config(name, file), slog.New(slog.NewTextHandler(&p.logs, nil)))
	if err != nil {
		p.t.Fatal(err)
	}
	p.nodes[name] = n
}

// Stop stops a node, if it runs.
func (p *Pair) Stop(name string) {
	if n := p.nodes[name]; n != nil {
		delete(p.nodes, name)
		if err := n.Stop(); err != nil {
			p.t.Error(err)
		}
	}
}

// Node is a node that runs.
func (p *Pair) Node(name string) *node.Node { return p.nodes[name] }

// File writes a file beside that of the doors, and returns its path.
func (p *Pair) File(name, text string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// Path is that of a name in the directory of the doors' file.
func (p *Pair) Path(name string) string { return filepath.Join(p.dir, name) }

// Door is where the i-th door of the replica is open.
func (p *Pair) Door(i int) string { return p.nodes[Replica].Doors()[i] }

// ARN is that of a user or role of the cluster's first account.
func (p *Pair) ARN(what string) string { return "arn:aws:iam::" + p.Account + ":" + what }

// User makes a user with an inline policy; empty: none.
func (p *Pair) User(name, policy string) {
	p.t.Helper()
	if _, err := p.IAM.CreateUser(p.t.Context(), &iam.CreateUserInput{UserName: &name}); err != nil {
		p.t.Fatal(err)
	}
	if policy != "" {
		p.Policy(name, policy)
	}
}

// Policy gives a user its inline policy.
func (p *Pair) Policy(user, policy string) {
	p.t.Helper()
	_, err := p.IAM.PutUserPolicy(p.t.Context(), &iam.PutUserPolicyInput{UserName: &user, PolicyName: aws.String("own"), PolicyDocument: &policy})
	if err != nil {
		p.t.Fatal(err)
	}
}

// Caught waits until the replica shows what the writer does, and has a lease.
func (p *Pair) Caught() {
	p.t.Helper()
	at := p.Head()
	p.Until("the replica shows position and has a lease", func(ctx context.Context) error {
		if _, err := p.nodes[Replica].Projection().Wait(ctx, at); err != nil {
			return err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.nodes[Replica].API()+"/readyz", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return errNotReady
		}
		return nil
	})
}

// Head is where the writer is.
func (p *Pair) Head() event.Position { return p.nodes[Writer].Projection().Head().Position }

// Socket is a client of a Unix socket.
func Socket(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
}

var errNotReady = errors.New("the node is not ready")

const (
	patience  = time.Minute
	pollEvery = 20 * time.Millisecond
)

// Until tries until it succeeds.
func (p *Pair) Until(what string, try func(context.Context) error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.t.Fatalf("until %s: %v", what, err)
		}
	}
}
