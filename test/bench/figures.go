package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/test/cluster"
)

// measureCreate is CreateUser over the real API (signature, authorization, XML) at
// the leader of three writer processes, beside the trivial state machine.
func measureCreate(ctx context.Context, o options) (err error) {
	c, leader, stop, err := startedWriters(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	api, err := raftLimit(ctx, filepath.Join(c.Dir, "limit"))
	if err != nil {
		return err
	}
	var turn atomic.Int64
	for _, clients := range []int{1, 64, 256} {
		ours, limit, err := alternate(ctx, o,
			func(ctx context.Context, d time.Duration) (round, error) {
				return load(ctx, host(leader.URL), clients, d, createUser(c, leader.URL, fmt.Sprintf("u%d", turn.Add(1))))
			},
			func(ctx context.Context, d time.Duration) (round, error) {
				return load(ctx, api, clients, d, createUser(c, "http://"+api, fmt.Sprintf("u%d", turn.Add(1))))
			})
		if err != nil {
			return err
		}
		tell(fmt.Sprintf("CreateUser, %d clients", clients), ours, limit)
	}
	return nil
}

// measureDecide is POST /v1/authorize at a replica over 64 keep-alive connections,
// with signed requests, beside a bare handler that gets the same bytes.
func measureDecide(ctx context.Context, o options) (err error) {
	c, stop, err := started(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	replica, err := c.Node("replica-1")
	if err != nil {
		return err
	}
	if err := aliceOf(ctx, c); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	bare, err := setup.FreeAddrs(1)
	if err != nil {
		return err
	}
	if err := child(ctx, "limit-json", bare[0]); err != nil {
		return err
	}
	body := []byte(`{"principal":"arn:aws:iam::123456789012:user/alice","action":"s3:GetObject","resource":"arn:aws:s3:::bucket/key"}`)
	request, err := signed(signer(c, "writ"), replica.URL+"/v1/authorize", "application/json", body)
	if err != nil {
		return err
	}
	same := func(int, int) ([]byte, error) { return request, nil }
	time.Sleep(500 * time.Millisecond) // for the bare handler to listen
	ours, limit, err := alternate(ctx, o,
		func(ctx context.Context, d time.Duration) (round, error) {
			return load(ctx, host(replica.URL), 64, d, same)
		},
		func(ctx context.Context, d time.Duration) (round, error) { return load(ctx, bare[0], 64, d, same) })
	if err != nil {
		return err
	}
	tell("decisions, 64 connections", ours, limit)
	return nil
}

// aliceOf makes alice and what she may do, and waits until it is everywhere.
func aliceOf(ctx context.Context, c *cluster.Cluster) error {
	url := c.Env["WRIT_ENDPOINT"]
	for _, form := range []string{
		"Action=CreateUser&Version=2010-05-08&UserName=alice",
		"Action=CreateGroup&Version=2010-05-08&GroupName=readers",
		"Action=AddUserToGroup&Version=2010-05-08&GroupName=readers&UserName=alice",
		"Action=PutGroupPolicy&Version=2010-05-08&GroupName=readers&PolicyName=read&PolicyDocument=" +
			"%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3AGet%2A%22%2C%22Resource%22%3A%22arn%3Aaws%3As3%3A%3A%3Abucket%2F%2A%22%7D%7D",
	} {
		request, err := signed(signer(c, "iam"), url+"/", "application/x-www-form-urlencoded", []byte(form))
		if err != nil {
			return err
		}
		sent := false
		once := func(int, int) ([]byte, error) {
			if sent {
				return nil, context.Canceled
			}
			sent = true
			return request, nil
		}
		if _, err := load(ctx, host(url), 1, time.Second, once); err != nil && !strings.Contains(err.Error(), context.Canceled.Error()) {
			return err
		}
	}
	w, err := c.Client(url)
	if err != nil {
		return err
	}
	_, err = w.Propagation(ctx, client.Target{}, client.Scope{}, 30*time.Second)
	return err
}

// measureStart is how soon a replica is ready after so many events: from nothing,
// and from its checkpoint.
func measureStart(ctx context.Context, o options) (err error) {
	c, stop, err := started(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	url := c.Env["WRIT_ENDPOINT"]
	var n atomic.Int64
	begun := time.Now()
	for round := 0; int(n.Load()) < o.events; round++ {
		create := createUser(c, url, fmt.Sprintf("s%d", round))
		counted := func(client, i int) ([]byte, error) { n.Add(1); return create(client, i) }
		if _, err := load(ctx, host(url), 128, 2*time.Second, counted); err != nil {
			return err
		}
	}
	fmt.Printf("%-28s %d in %.1f s\n", "events written", n.Load(), time.Since(begun).Seconds())
	w, err := c.Client(url)
	if err != nil {
		return err
	}
	if _, err := w.Propagation(ctx, client.Target{}, client.Scope{}, time.Minute); err != nil {
		return err
	}
	replica, err := c.Node("replica-1")
	if err != nil {
		return err
	}
	data := filepath.Join(c.Dir, "data", "replica-1", "checkpoints")
	for _, how := range []string{"with a checkpoint", "from nothing"} {
		wipe := ""
		signal := syscall.SIGTERM
		if how == "from nothing" {
			wipe, signal = data, syscall.SIGKILL
		}
		took, err := restart(ctx, c, replica.Name, signal, wipe)
		if err != nil {
			return err
		}
		fmt.Printf("%-28s ready %.2f s after its start\n", "replica "+how, took.Seconds())
	}
	return nil
}

// restart ends a node, which writ dev starts again, and returns how long the new
// process took until it was ready.
func restart(ctx context.Context, c *cluster.Cluster, name string, signal syscall.Signal, wipe string) (time.Duration, error) {
	old, err := c.Node(name)
	if err != nil {
		return 0, err
	}
	if err := c.Signal(name, signal); err != nil {
		return 0, err
	}
	wiped := false
	for ctx.Err() == nil {
		now, err := c.Node(name)
		if err != nil {
			return 0, err
		}
		if !wiped && wipe != "" && syscall.Kill(old.PID, 0) != nil {
			if err := os.RemoveAll(wipe); err != nil {
				return 0, fmt.Errorf("wipe the checkpoints: %w", err)
			}
			wiped = true
		}
		if now.PID != old.PID {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	begun := time.Now()
	for ctx.Err() == nil {
		if c.Ready(ctx, name) {
			return time.Since(begun), nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return 0, ctx.Err()
}

// measureMemory is what a million users cost, each with a group and a key: the
// state that the log folds, and the view that answers from it, which share it.
func measureMemory(_ context.Context, o options) error {
	before := heap()
	s := identity.NewState()
	identity.Evolve(s, 1, identity.Meta{Time: 1}, []identity.Event{
		&identity.ClusterBootstrapped{Cluster: "c", Incarnation: "i", FeatureLevel: 1},
		&identity.AccountCreated{ID: "123456789012", Created: 1},
		&identity.GroupCreated{Account: "123456789012", ID: "AGPA00000000000000000", Name: "all", Path: "/", Created: 1},
	})
	at := identity.Position(1)
	for i := range o.users {
		id := identity.ID(fmt.Sprintf("AIDA%017d", i))
		at++
		identity.Evolve(s, at, identity.Meta{Time: identity.Time(i)}, []identity.Event{
			&identity.UserCreated{Account: "123456789012", ID: id, Name: "user-" + strconv.Itoa(i), Path: "/", Created: identity.Time(i)},
			&identity.AccessKeyCreated{Account: "123456789012", Owner: id, ID: fmt.Sprintf("AKIA%016d", i), Sealed: make([]byte, 77), Created: identity.Time(i)},
			&identity.UserAddedToGroup{Group: "AGPA00000000000000000", User: id},
		})
	}
	p := projection.New()
	p.Adopt(s.Snapshot(), p.Head())
	bytes := heap() - before
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return fmt.Errorf("read the memory in use: %w", err)
	}
	fmt.Printf("%-28s %.0f bytes of heap a user at %d users; at most %.0f bytes of resident memory a user while it grew\n", "memory",
		float64(bytes)/float64(o.users), o.users, float64(usage.Maxrss)*1024/float64(o.users))
	runtime.KeepAlive(s)
	runtime.KeepAlive(p)
	return nil
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
