package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// source makes the n-th request of a client, as bytes on the wire.
type source func(client, n int) ([]byte, error)

// load sends requests over keep-alive connections, one after the other on each, for
// a time. Clients write bytes and parse answers without net/http's client, so that
// what is measured is the server.
func load(ctx context.Context, addr string, clients int, length time.Duration, requests source) (round, error) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	begun := time.Now()
	for i := range clients {
		wg.Go(func() {
			took, err := one(ctx, addr, i, requests)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	if failed != nil {
		return round{}, failed
	}
	slices.Sort(all)
	if len(all) == 0 {
		return round{}, errors.New("nothing was answered")
	}
	return round{
		count:     len(all),
		perSecond: float64(len(all)) / time.Since(begun).Seconds(),
		p50:       all[len(all)/2], p99: all[len(all)*99/100],
	}, nil
}

// dial connects to host:port, or to a socket by its path.
func dial(addr string) (net.Conn, error) {
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	conn, err := net.Dial(network, addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// one is a client on its connection.
func one(ctx context.Context, addr string, client int, requests source) (took []time.Duration, err error) {
	conn, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer func() { conn.Close() }()
	in := bufio.NewReaderSize(conn, 16<<10)
	for n := 0; ctx.Err() == nil; n++ {
		request, err := requests(client, n)
		if err != nil {
			return took, err
		}
		begun := time.Now()
		if _, err := conn.Write(request); err != nil {
			return took, fmt.Errorf("send: %w", err)
		}
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			return took, fmt.Errorf("read the answer: %w", err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			return took, fmt.Errorf("read the answer: %w", err)
		}
		if answer.StatusCode != http.StatusOK {
			return took, fmt.Errorf("answered %s: %.300s", answer.Status, body)
		}
		took = append(took, time.Since(begun))
		if answer.Close { // as some servers do after each answer
			conn.Close()
			if conn, err = dial(addr); err != nil {
				return took, err
			}
			in.Reset(conn)
		}
	}
	return took, nil
}

// alternate runs ours and the limit in turn, after a short round of each.
func alternate(ctx context.Context, o options, ours, limit func(context.Context, time.Duration) (round, error)) (a, b []round, err error) {
	for i := range o.rounds + 1 {
		length := o.length
		if i == 0 {
			length = o.length / 3 // warms up, and is not counted
		}
		x, err := ours(ctx, length)
		if err != nil {
			return nil, nil, err
		}
		y, err := limit(ctx, length)
		if err != nil {
			return nil, nil, fmt.Errorf("the limit: %w", err)
		}
		if i > 0 {
			a, b = append(a, x), append(b, y)
		}
	}
	return a, b, nil
}
