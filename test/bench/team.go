package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/writ-iam/writ/node"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
)

// team is a cluster whose nodes all run in this process, so that what becomes
// visible where is timed by one clock. Its nodes talk over loopback, with mutual
// TLS, as they do anywhere.
type team struct {
	dir    string
	layout setup.Cluster
	root   setup.RootKey
	nodes  map[string]*node.Node
}

// startTeam runs writers and replicas and returns when all are ready. The caller
// stops it, even after an error.
func startTeam(ctx context.Context, writers, replicas int) (*team, error) {
	t := &team{nodes: make(map[string]*node.Node)}
	var err error
	if t.dir, err = os.MkdirTemp("", "writ-bench-"); err != nil {
		return t, fmt.Errorf("make a directory: %w", err)
	}
	addrs, err := setup.FreeAddrs(3 * writers)
	if err != nil {
		return t, err
	}
	layout := setup.Cluster{Account: setup.DefaultAccount}
	for i := range writers {
		layout.Writers = append(layout.Writers, setup.Writer{Name: fmt.Sprintf("writer-%d", i+1), Peer: addrs[3*i], Broker: addrs[3*i+1], Routes: addrs[3*i+2]})
	}
	for i := range replicas {
		layout.Replicas = append(layout.Replicas, setup.Replica{Name: fmt.Sprintf("replica-%d", i+1)})
	}
	if t.layout, t.root, err = setup.Init(t.dir, layout, setup.RootKey{}, time.Now()); err != nil {
		return t, err
	}
	for _, name := range t.names() {
		cfg := node.Config{
			Cluster: t.layout, Name: name, Data: filepath.Join(t.dir, "data", name), API: "127.0.0.1:0",
			Files: setup.DefaultFiles(t.dir, name), Drain: 5 * time.Second,
		}
		if t.nodes[name], err = node.Start(ctx, cfg, slog.New(slog.DiscardHandler)); err != nil {
			delete(t.nodes, name)
			return t, fmt.Errorf("start %s: %w", name, err)
		}
	}
	return t, t.ready(ctx)
}

// names of the nodes, writers first.
func (t *team) names() (names []string) {
	for _, w := range t.layout.Writers {
		names = append(names, w.Name)
	}
	return append(names, t.replicas()...)
}

func (t *team) replicas() (names []string) {
	for _, r := range t.layout.Replicas {
		names = append(names, r.Name)
	}
	return names
}

func (t *team) url(name string) string { return "http://" + t.nodes[name].API() }

// ready waits until every node says that it is.
func (t *team) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, name := range t.names() {
		for !isReady(ctx, t.url(name)) {
			if ctx.Err() != nil {
				return fmt.Errorf("%s is not ready: %w", name, ctx.Err())
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

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

func (t *team) client(name string) (*client.Client, error) {
	return client.New(client.Config{Endpoint: t.url(name), AccessKeyID: t.root.AccessKeyID, SecretAccessKey: t.root.SecretAccessKey,
		HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}})
}

// leader is the name of the writer that leads.
func (t *team) leader(ctx context.Context) (string, error) {
	c, err := t.client(t.layout.Writers[0].Name)
	if err != nil {
		return "", err
	}
	s, err := c.Cluster(ctx)
	if err != nil {
		return "", err
	}
	return s.Leader, nil
}

// stop ends all nodes, replicas first.
func (t *team) stop() (err error) {
	names := t.names()
	for i := range names {
		if n := t.nodes[names[len(names)-1-i]]; n != nil {
			err = errors.Join(err, n.Stop())
		}
	}
	return errors.Join(err, os.RemoveAll(t.dir))
}
