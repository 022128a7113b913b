package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/writ-iam/writ/node"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/node/sigv4"
)

// scriptClusters are the clusters that scripts run, of one writer and some replicas
// each, all in this process, by directory.
type scriptClusters struct {
	mu       sync.Mutex
	clusters map[string]*scriptCluster // guarded by mu
}

// scriptCluster is one of them; a script runs its commands one after the other.
type scriptCluster struct {
	writer   *node.Node
	replicas map[string]*node.Node
	lines    map[string]*line // of the replicas to the writer
}

// line is a replica's way to the writer, until it is cut: a replica is lost rather than
// stopped, for one that stops tells the writer that it is not to be waited for.
type line struct {
	mu    sync.Mutex
	cut   bool       // guarded by mu
	conns []net.Conn // guarded by mu
}

func (l *line) dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return nil, errors.Join(errors.New("the line is cut"), conn.Close())
	}
	l.conns = append(l.conns, conn)
	return conn, nil
}

func (l *line) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for _, conn := range l.conns {
		conn.Close()
	}
}

const clusterUsage = "usage: cluster start DIR [REPLICAS], or cluster stop DIR [REPLICA], which is lost then"

// cluster starts and stops a cluster. It points writ at the writer of the one
// started last.
func (c *scriptClusters) cluster(ts *testscript.TestScript, neg bool, args []string) {
	const least, most = 2, 3
	if neg || len(args) < least || len(args) > most {
		ts.Fatalf(clusterUsage)
	}
	dir := ts.MkAbs(args[1])
	switch {
	case args[0] == "start":
		replicas := 0
		if len(args) == most {
			var err error
			replicas, err = strconv.Atoi(args[2])
			ts.Check(err)
		}
		ts.Defer(func() { c.stop(ts, dir) })
		s := &scriptCluster{replicas: make(map[string]*node.Node), lines: make(map[string]*line)}
		c.mu.Lock()
		c.clusters[dir] = s
		c.mu.Unlock()
		root := s.start(ts, dir, replicas)
		ts.Setenv("WRIT_ENDPOINT", "http://"+s.writer.API())
		ts.Setenv("AWS_ACCESS_KEY_ID", root.AccessKeyID)
		ts.Setenv("AWS_SECRET_ACCESS_KEY", root.SecretAccessKey)
	case args[0] == "stop" && len(args) == most:
		c.mu.Lock()
		s := c.clusters[dir]
		c.mu.Unlock()
		s.lines[args[2]].end()
		ts.Check(s.replicas[args[2]].Stop())
		delete(s.replicas, args[2])
	case args[0] == "stop":
		c.stop(ts, dir)
	default:
		ts.Fatalf(clusterUsage)
	}
}

func (c *scriptClusters) stop(ts *testscript.TestScript, dir string) {
	c.mu.Lock()
	s := c.clusters[dir]
	delete(c.clusters, dir)
	c.mu.Unlock()
	if s == nil {
		return
	}
	for _, n := range s.replicas {
		ts.Check(n.Stop())
	}
	if s.writer != nil {
		ts.Check(s.writer.Stop())
	}
}

// start starts the cluster that lies in dir, or a new one, and returns when it is
// ready.
func (s *scriptCluster) start(ts *testscript.TestScript, dir string, replicas int) setup.RootKey {
	cluster, err := setup.LoadCluster(filepath.Join(dir, "cluster.yaml"))
	if err != nil {
		ports, err := setup.FreeAddrs(3)
		ts.Check(err)
		cluster = setup.Cluster{Account: setup.DefaultAccount, Writers: []setup.Writer{{Name: "w1", Peer: ports[0], Broker: ports[1], Routes: ports[2]}}}
		for i := range replicas {
			cluster.Replicas = append(cluster.Replicas, setup.Replica{Name: fmt.Sprintf("r%d", i+1), Region: "eu"})
		}
	}
	cluster, root, err := setup.Init(dir, cluster, setup.RootKey{}, time.Now())
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	var urls []string
	run := func(name string) *node.Node {
		s.lines[name] = &line{}
		n, err := node.Start(ctx, node.Config{
			Cluster: cluster, Name: name, Data: filepath.Join(dir, "data", name), API: "127.0.0.1:0", Files: setup.DefaultFiles(dir, name), Drain: time.Second,
			Machine: node.Machine{Dial: s.lines[name].dial},
		}, slog.New(slog.DiscardHandler))
		ts.Check(err)
		urls = append(urls, "http://"+n.API())
		return n
	}
	s.writer = run("w1")
	for _, r := range cluster.Replicas {
		s.replicas[r.Name] = run(r.Name)
	}
	for _, url := range urls {
		for !isReady(ctx, url) {
			ts.Check(ctx.Err())
			rest(ctx, temporaryPause)
		}
	}
	return root
}

// isReady asks a node whether it is ready.
func isReady(ctx context.Context, url string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
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

// callIAM calls an action of IAM as the root.
func callIAM(ts *testscript.TestScript, neg bool, args []string) {
	id := ""
	if len(args) > 1 && args[0] == "-id" {
		id, args = args[1], args[2:]
	}
	if neg || len(args)%2 != 1 {
		ts.Fatalf("usage: iam [-id VARIABLE] ACTION [NAME VALUE]...")
	}
	form := url.Values{"Action": {args[0]}, "Version": {"2010-05-08"}}
	for i := 1; i < len(args); i += 2 {
		form.Set(args[i], args[i+1])
	}
	body := form.Encode()
	r, err := http.NewRequest(http.MethodPost, ts.Getenv("WRIT_ENDPOINT")+"/", strings.NewReader(body))
	ts.Check(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	signer := sigv4.Signer{AccessKeyID: ts.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: ts.Getenv("AWS_SECRET_ACCESS_KEY"), Service: "iam"}
	signer.Sign(r, sha256.Sum256([]byte(body)), time.Now())
	answer, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if answer.StatusCode != http.StatusOK {
		ts.Fatalf("%s: %s", args[0], text)
	}
	if id != "" {
		ts.Setenv(id, answer.Header.Get("x-amzn-RequestId"))
	}
}

// jsonField sets a variable to a field of a file with JSON.
func jsonField(ts *testscript.TestScript, neg bool, args []string) {
	const needed = 3
	if neg || len(args) != needed {
		ts.Fatalf("usage: field FILE NAME VARIABLE")
	}
	var m map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &m))
	ts.Setenv(args[2], fmt.Sprint(m[args[1]]))
}
