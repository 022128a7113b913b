package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/cluster"
)

// Of the figure beside moto's server.
const (
	motoClients = 16
	motoUsers   = 10_000
	motoPage    = 100 // users below one path
	// motoStart bounds how long moto's server takes until it answers.
	motoStart = time.Minute
)

// measureMoto is GetUser, a page of 100 users by path prefix of 10,000, and CreateUser
// at one writer, beside moto's server, which keeps everything in memory and syncs
// nothing. Both get the same bytes. moto's server closes each connection after one answer;
// what connecting costs is counted as its clients feel it: between requests, not in their
// latency. moto_server has to be installed.
func measureMoto(ctx context.Context, o options) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	moto, err := startMoto(ctx)
	if err != nil {
		return err
	}
	c, stop, err := started(ctx, o, "--writers", "1", "--replicas", "0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	writer, err := c.Node("writer-1")
	if err != nil {
		return err
	}
	for _, url := range []string{writer.URL, moto} {
		if err := fillUsers(ctx, c, url, motoUsers); err != nil {
			return err
		}
	}
	var turn atomic.Int64
	for _, figure := range []struct{ name, body string }{
		{"GetUser", "Action=GetUser&Version=2010-05-08&UserName=m-0-77"},
		{"ListUsers, 100 by prefix", "Action=ListUsers&Version=2010-05-08&PathPrefix=%2Fp7%2F"},
		{"CreateUser", ""},
	} {
		at := func(url string) func(context.Context, time.Duration) (round, error) {
			return func(ctx context.Context, d time.Duration) (round, error) {
				requests := createUser(c, url, fmt.Sprintf("t%d", turn.Add(1)))
				if figure.body != "" {
					requests = same(c, url, figure.body)
				}
				return load(ctx, host(url), motoClients, d, requests)
			}
		}
		ours, peer, err := alternate(ctx, o, at(writer.URL), at(moto))
		if err != nil {
			return err
		}
		tell(figure.name+", beside moto", ours, peer)
	}
	return nil
}

// startMoto starts moto's server on a free port; it ends with ctx.
func startMoto(ctx context.Context) (url string, err error) {
	addrs, err := setup.FreeAddrs(1)
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(addrs[0])
	if err != nil {
		return "", fmt.Errorf("read a free address: %w", err)
	}
	if err := exec.CommandContext(ctx, "moto_server", "-H", "127.0.0.1", "-p", port).Start(); err != nil {
		return "", fmt.Errorf("start moto's server: %w", err)
	}
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		conn, err := net.Dial("tcp", addrs[0])
		if err == nil {
			return "http://" + addrs[0], conn.Close()
		}
		if ctx.Err() != nil || time.Since(begun) > motoStart {
			return "", fmt.Errorf("moto's server does not answer: %w", err)
		}
	}
}

// fillUsers makes users in as many paths as there are pages.
func fillUsers(ctx context.Context, c *cluster.Cluster, url string, users int64) error {
	s := signer(c, "iam")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var made atomic.Int64
	_, err := load(ctx, host(url), motoClients, time.Hour, func(client, n int) ([]byte, error) {
		i := made.Add(1) - 1
		if i >= users {
			cancel()
			i = 0
		}
		name := fmt.Sprintf("m-%d-%d", i%motoPage, i/motoPage)
		if ctx.Err() != nil { // one more request, whose answer does not matter
			return signed(s, url+"/", "application/x-www-form-urlencoded", []byte("Action=GetAccountSummary&Version=2010-05-08"))
		}
		body := fmt.Sprintf("Action=CreateUser&Version=2010-05-08&UserName=%s&Path=%%2Fp%d%%2F", name, i/motoPage)
		return signed(s, url+"/", "application/x-www-form-urlencoded", []byte(body))
	})
	return err
}

// same makes the same request again and again, each signed anew.
func same(c *cluster.Cluster, url, body string) source {
	s := signer(c, "iam")
	return func(int, int) ([]byte, error) {
		return signed(s, url+"/", "application/x-www-form-urlencoded", []byte(body))
	}
}
