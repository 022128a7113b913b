package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/cluster"
	"github.com/writ-iam/writ/test/population"
)

// few is the population that the large one is compared with.
const few = 1000

// measureScale compares a replica of many users with one of a thousand, in
// alternating rounds: signed decisions over HTTP, asked of the whole population in
// random order. Then it tells what the large one costs: memory, and the time of a
// start from nothing, from a checkpoint, and of a writer.
func measureScale(ctx context.Context, o options) (err error) {
	var clusters [2]*cluster.Cluster
	var asked [2]*questions
	for i, users := range []int{o.users, few} {
		c, stop, err := populated(ctx, o, users)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		if asked[i], err = askAll(c, users); err != nil {
			return err
		}
		clusters[i] = c
	}
	var rounds [2]func(context.Context, time.Duration) (round, error)
	for i, c := range clusters {
		replica, err := c.Node("replica-1")
		if err != nil {
			return err
		}
		rounds[i] = func(ctx context.Context, d time.Duration) (round, error) {
			return asking(ctx, replica.URL, d, asked[i])
		}
	}
	if err := tellMemory(ctx, clusters[0], "after its start", o.users); err != nil {
		return err
	}
	many, little, err := alternate(ctx, o, rounds[0], rounds[1])
	if err != nil {
		return err
	}
	for i, r := range [][]round{many, little} {
		fmt.Printf("%-28s %8.0f/s p50 %6.2f ms p99 %7.2f ms, %.1f us of processor time each\n", fmt.Sprintf("decisions, %d users", []int{o.users, few}[i]),
			median(r, rate), median(r, p50), median(r, p99), median(r, processor))
	}
	fmt.Printf("%-28s %.2f (rounds %s); of decisions a processor second %.2f\n", "ratio of decisions/s",
		median(many, rate)/median(little, rate), ratios(many, little), median(little, processor)/median(many, processor))
	if err := tellMemory(ctx, clusters[0], "after the questions", o.users); err != nil {
		return err
	}
	return starts(ctx, o, clusters[0])
}

// asking is a round of decisions over 64 connections, with the processor time that
// the replica took for them: on a machine that others use, that tells more.
func asking(ctx context.Context, url string, length time.Duration, q *questions) (round, error) {
	before, err := metrics(ctx, url)
	if err != nil {
		return round{}, err
	}
	r, err := load(ctx, host(url), 64, length, q.next)
	if err != nil {
		return round{}, err
	}
	after, err := metrics(ctx, url)
	r.processor = 1e6 * (after[processorSeconds] - before[processorSeconds]) / float64(r.count)
	return r, err
}

// processorSeconds is a metric of every process.
const processorSeconds = "process_cpu_seconds_total"

// ratios are those of each pair of rounds, from the lowest to the highest.
func ratios(a, b []round) string {
	var all []float64
	for i := range a {
		all = append(all, a[i].perSecond/b[i].perSecond)
	}
	return fmt.Sprintf("%.2f to %.2f", slices.Min(all), slices.Max(all))
}

// starts tells how long the nodes of a cluster take to be ready again.
func starts(ctx context.Context, o options, c *cluster.Cluster) error {
	for _, s := range []struct {
		what, node string
		signal     syscall.Signal
		wipe       string
	}{
		{"replica with a checkpoint", "replica-1", syscall.SIGTERM, ""},
		{"replica from nothing", "replica-1", syscall.SIGKILL, filepath.Join(c.Dir, "data", "replica-1", "checkpoints")},
		{"writer", "writer-1", syscall.SIGTERM, ""},
	} {
		var all []float64
		for range o.rounds {
			took, err := restart(ctx, c, s.node, s.signal, s.wipe)
			if err != nil {
				return err
			}
			all = append(all, took.Seconds())
		}
		slices.Sort(all)
		middle := all[len(all)/2]
		fmt.Printf("%-28s ready %.2f s after its start (%.2f to %.2f), %.0f users/s\n", s.what, middle, all[0], all[len(all)-1], float64(o.users)/middle)
	}
	return tellMemory(ctx, c, "after a start from nothing", o.users)
}

// populated runs a writer and a replica that hold so many users, like started.
func populated(ctx context.Context, o options, users int) (c *cluster.Cluster, stop func() error, err error) {
	dir, binary, err := built(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	remove := func() error { return os.RemoveAll(dir) }
	begun := time.Now()
	at := filepath.Join(dir, "cluster")
	if err := populatedIn(ctx, binary, at, users); err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	fmt.Printf("%-28s %d users in %.1f s\n", "population", users, time.Since(begun).Seconds())
	if c, err = cluster.Start(ctx, binary, at); err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return c, func() error { return errors.Join(c.Stop(), remove()) }, nil
}

// populatedIn begins a cluster in dir, ends it, and gives its writer the users.
func populatedIn(ctx context.Context, binary, dir string, users int, flags ...string) error {
	c, err := cluster.Start(ctx, binary, dir, flags...)
	if err != nil {
		return err
	}
	if err := c.Stop(); err != nil {
		return err
	}
	layout, err := setup.LoadCluster(filepath.Join(dir, "cluster.yaml"))
	if err != nil {
		return err
	}
	if err := population.Make(dir, layout.Writers[0], users); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(dir, "data", "replica-1"))
}

// questions are signed requests, one for each user, in random order.
type questions struct {
	requests [][]byte
	turn     atomic.Uint64
}

// next is the request that was not sent for the longest time.
func (q *questions) next(int, int) ([]byte, error) {
	return q.requests[q.turn.Add(1)%uint64(len(q.requests))], nil
}

// askAll signs a question about every user of a cluster, beforehand: what is
// measured is the server. Signatures hold for a quarter of an hour.
func askAll(c *cluster.Cluster, users int) (*questions, error) {
	replica, err := c.Node("replica-1")
	if err != nil {
		return nil, err
	}
	all := make([][]byte, users)
	rest := all
	s := signer(c, "writ")
	var g errgroup.Group
	for shard := range slices.Chunk(rand.Perm(users), users/runtime.GOMAXPROCS(0)+1) {
		requests := rest[:len(shard)]
		rest = rest[len(shard):]
		g.Go(func() error {
			var bytes []byte // of all, in one piece: nothing for the collector to follow
			var ends []int
			for _, i := range shard {
				body := fmt.Sprintf(`{"principal":"arn:aws:iam::%s:user/%s","action":"s3:GetObject","resource":"arn:aws:s3:::bucket/key"}`, setup.DefaultAccount, population.UserName(i))
				r, err := signed(s, replica.URL+"/v1/authorize", "application/json", []byte(body))
				if err != nil {
					return err
				}
				bytes = append(bytes, r...)
				ends = append(ends, len(bytes))
			}
			from := 0
			for i, to := range ends {
				requests[i] = bytes[from:to:to]
				from = to
			}
			return nil
		})
	}
	return &questions{requests: all}, g.Wait()
}

// tellMemory prints what a cluster's replica takes.
func tellMemory(ctx context.Context, c *cluster.Cluster, when string, users int) error {
	n, err := c.Node("replica-1")
	if err != nil {
		return err
	}
	m, err := metrics(ctx, n.URL)
	if err != nil {
		return err
	}
	// The next collection comes when the heap is twice what was alive in the last one.
	alive, resident := m["go_memstats_next_gc_bytes"]/2, m["process_resident_memory_bytes"]
	fmt.Printf("%-28s %.0f MB alive on the heap, %.0f MB resident: %.0f and %.0f bytes a user\n", "replica "+when,
		alive/1e6, resident/1e6, alive/float64(users), resident/float64(users))
	return nil
}

// metrics reads what a node tells of itself; metrics with labels are left out.
func metrics(ctx context.Context, url string) (map[string]float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	defer answer.Body.Close()
	all := make(map[string]float64)
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			all[name] = value
		}
	}
	return all, lines.Err()
}
