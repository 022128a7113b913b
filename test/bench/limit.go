package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"github.com/writ-iam/writ/node/setup"
)

// The limits are processes of this program: limit-raft is one of three servers of
// hashicorp/raft over raft-boltdb with a state machine that does nothing, behind a
// bare net/http handler; limit-json is a bare handler that parses and answers a
// small JSON; limit-mint is one that does the cryptography of a session.

func runLimit(kind string, args []string) error {
	switch kind {
	case "limit-raft":
		return limitRaft(args[0], args[1], args[2:])
	case "limit-json":
		return limitJSON(args[0])
	case "limit-mint":
		return limitMint(args[0])
	}
	return fmt.Errorf("there is no %s", kind)
}

// nothing is the trivial state machine: it counts.
type nothing struct{ n atomic.Uint64 }

func (f *nothing) Apply(*raft.Log) any { return f.n.Add(1) }
func (f *nothing) ApplyBatch(logs []*raft.Log) []any {
	out := make([]any, len(logs))
	for i := range logs {
		out[i] = f.n.Add(1)
	}
	return out
}
func (f *nothing) Snapshot() (raft.FSMSnapshot, error) { return empty{}, nil }
func (f *nothing) Restore(r io.ReadCloser) error       { return r.Close() }

type empty struct{}

func (empty) Persist(sink raft.SnapshotSink) error { return sink.Close() }
func (empty) Release()                             {}

// limitRaft serves raft at addr and HTTP at api. The one that is given peers begins.
func limitRaft(addr, dir string, peersAndAPI []string) error {
	api, peers := peersAndAPI[0], peersAndAPI[1:]
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(addr)
	c.Logger = hclog.NewNullLogger()
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = time.Second, time.Second, 500*time.Millisecond
	disk, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, "raft.db")})
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	transport, err := raft.NewTCPTransportWithLogger(addr, nil, 3, 10*time.Second, c.Logger)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	r, err := raft.NewRaft(c, &nothing{}, disk, disk, raft.NewInmemSnapshotStore(), transport)
	if err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	if len(peers) > 0 {
		cfg := raft.Configuration{Servers: []raft.Server{{ID: raft.ServerID(addr), Address: raft.ServerAddress(addr)}}}
		for _, p := range peers {
			cfg.Servers = append(cfg.Servers, raft.Server{ID: raft.ServerID(p), Address: raft.ServerAddress(p)})
		}
		if err := r.BootstrapCluster(cfg).Error(); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
	}
	return http.ListenAndServe(api, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/leader" {
			fmt.Fprint(w, r.State() == raft.Leader)
			return
		}
		body, err := io.ReadAll(q.Body)
		if err == nil {
			err = r.Apply(body, 5*time.Second).Error()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "ok")
	}))
}

// limitJSON parses a question and answers a decision, and does nothing else.
func limitJSON(api string) error {
	network := "tcp"
	if strings.HasPrefix(api, "/") {
		network = "unix"
	}
	l, err := net.Listen(network, api)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var question struct{ Principal, Action, Resource string }
		if err := json.NewDecoder(q.Body).Decode(&question); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(map[string]any{"decision": "allow", "position": 7}); err != nil {
			return
		}
	}))
}

// child starts this program as a limit; cancel ends it.
func child(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", args[0], err)
	}
	go func() { _ = cmd.Wait() }() // it is killed when ctx ends
	return nil
}

// raftLimit starts three limit-raft processes and returns the leader's API.
func raftLimit(ctx context.Context, dir string) (string, error) {
	all, err := setup.FreeAddrs(6)
	if err != nil {
		return "", err
	}
	addrs, apis := all[:3], all[3:]
	for i := range addrs {
		d := filepath.Join(dir, fmt.Sprint(i))
		if err := os.MkdirAll(d, 0o700); err != nil {
			return "", fmt.Errorf("make a directory: %w", err)
		}
		args := []string{"limit-raft", addrs[i], d, apis[i]}
		if i == 0 {
			args = append(args, addrs[1:]...)
		}
		if err := child(ctx, args...); err != nil {
			return "", err
		}
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		for _, api := range apis {
			if leads(api) {
				return api, nil
			}
		}
	}
	return "", errors.New("the limit has no leader")
}

func leads(api string) bool {
	r, err := http.Get("http://" + api + "/leader")
	if err != nil {
		return false
	}
	defer r.Body.Close()
	line, err := bufio.NewReader(r.Body).ReadString('\n')
	return errors.Is(err, io.EOF) && strings.TrimSpace(line) == "true"
}
