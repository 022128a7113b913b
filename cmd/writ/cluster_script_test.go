package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/writ-iam/writ/node"
	"github.com/writ-iam/writ/node/sigv4"
)

// scriptClusters are the clusters that scripts run, each of one writer in this
// process, by directory.
type scriptClusters struct {
	mu    sync.Mutex
	nodes map[string]*node.Node // guarded by mu
}

// cluster starts and stops a cluster. It points writ at the one started last.
func (c *scriptClusters) cluster(ts *testscript.TestScript, neg bool, args []string) {
	const needed = 2
	if neg || len(args) != needed {
		ts.Fatalf("usage: cluster start|stop DIR")
	}
	dir := ts.MkAbs(args[1])
	switch args[0] {
	case "start":
		n, root := startScriptCluster(ts, dir)
		c.mu.Lock()
		c.nodes[dir] = n
		c.mu.Unlock()
		ts.Defer(func() { c.stop(ts, dir) })
		ts.Setenv("WRIT_ENDPOINT", "http://"+n.API())
		ts.Setenv("AWS_ACCESS_KEY_ID", root.AccessKeyID)
		ts.Setenv("AWS_SECRET_ACCESS_KEY", root.SecretAccessKey)
	case "stop":
		c.stop(ts, dir)
	default:
		ts.Fatalf("usage: cluster start|stop DIR")
	}
}

func (c *scriptClusters) stop(ts *testscript.TestScript, dir string) {
	c.mu.Lock()
	n := c.nodes[dir]
	delete(c.nodes, dir)
	c.mu.Unlock()
	if n != nil {
		ts.Check(n.Stop())
	}
}

// startScriptCluster starts the cluster that lies in dir, or a new one, and returns
// when it is ready.
func startScriptCluster(ts *testscript.TestScript, dir string) (*node.Node, node.RootKey) {
	cluster, err := node.LoadCluster(filepath.Join(dir, "cluster.yaml"))
	if err != nil {
		ports, err := freePorts(3)
		ts.Check(err)
		cluster = node.Cluster{Account: node.DefaultAccount, Writers: []node.Writer{{Name: "w1", Peer: ports[0], Broker: ports[1], Routes: ports[2]}}}
	}
	cluster, root, err := node.Init(dir, cluster, node.RootKey{}, time.Now())
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	n, err := node.Start(ctx, node.Config{
		Cluster: cluster, Name: "w1", Data: filepath.Join(dir, "data"), API: "127.0.0.1:0", Files: node.DefaultFiles(dir, "w1"), Drain: time.Second,
	}, slog.New(slog.DiscardHandler))
	ts.Check(err)
	ts.Check(waitReady(ctx, []*devNode{{name: "w1", api: n.API(), log: "nothing"}}))
	return n, root
}

// callIAM calls an action of IAM as the root.
func callIAM(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args)%2 != 1 {
		ts.Fatalf("usage: iam ACTION [NAME VALUE]...")
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
