// Command bench measures Writ beside its limits, both in one run: what a bare
// handler over the same raft, or over nothing, does on the same machine at the same
// time. It prints ratios of medians over alternating rounds; the machine's own
// speed cancels out.
//
// Besides these whole-process figures there are Go benchmarks beside the code:
// replay, bootstrap and latency in replication, the state machine in log, decisions
// in projection/authz.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/writ-iam/writ/test/cluster"
)

// options of a run.
type options struct {
	root   string
	rounds int
	length time.Duration
	users  int
	events int
	rate   int
}

func main() {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "limit-") {
		fatal(runLimit(os.Args[1], os.Args[2:]))
		return
	}
	var o options
	only := flag.String("only", "create,decide,start,memory", "what to measure, separated by commas")
	flag.StringVar(&o.root, "root", ".", "the module's root")
	flag.IntVar(&o.rounds, "rounds", 3, "alternating rounds of each pair")
	flag.DurationVar(&o.length, "length", 3*time.Second, "of one round")
	flag.IntVar(&o.users, "users", 1_000_000, "in the memory and scale figures")
	flag.IntVar(&o.events, "events", 100_000, "in the start figure")
	flag.IntVar(&o.rate, "rate", 200, "writes a second in the propagation figure")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for _, name := range strings.Split(*only, ",") {
		measure, ok := map[string]func(context.Context, options) error{
			"create": measureCreate, "decide": measureDecide, "start": measureStart, "memory": measureMemory,
			"propagation": measurePropagation, "scale": measureScale, "moto": measureMoto, "beside": measureBeside, "sessions": measureSessions, "backup": measureBackup, "doors": measureDoors,
		}[name]
		if !ok {
			fatal(fmt.Errorf("there is no figure %q", name))
		}
		fatal(measure(ctx, o))
	}
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// started runs `writ dev` in a directory of its own; the function that it returns
// ends it and removes the directory.
func started(ctx context.Context, o options, flags ...string) (*cluster.Cluster, func() error, error) {
	dir, binary, err := built(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	c, err := cluster.Start(ctx, binary, filepath.Join(dir, "cluster"), flags...)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return c, func() error { return errors.Join(c.Stop(), os.RemoveAll(dir)) }, nil
}

// startedWriters starts three writers alone, and finds the one that leads.
func startedWriters(ctx context.Context, o options) (c *cluster.Cluster, leader cluster.Node, stop func() error, err error) {
	c, stop, err = started(ctx, o, "--writers", "3", "--replicas", "0")
	if err != nil {
		return nil, leader, nil, err
	}
	s, err := c.Status(ctx)
	if err == nil {
		leader, err = c.Node(s.Leader)
	}
	if err != nil {
		return nil, leader, nil, errors.Join(err, stop())
	}
	return c, leader, stop, nil
}

// built makes a directory with the program in it.
func built(ctx context.Context, o options) (dir, binary string, err error) {
	if dir, err = os.MkdirTemp("", "writ-bench-"); err != nil {
		return "", "", fmt.Errorf("make a directory: %w", err)
	}
	if binary, err = cluster.Build(ctx, o.root, dir); err != nil {
		return "", "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, binary, nil
}

// round is what one round of load came to.
type round struct {
	count     int
	perSecond float64
	p50, p99  time.Duration
	processor float64 // microseconds of the server for each, where that is measured
}

func median(rounds []round, of func(round) float64) float64 {
	var all []float64
	for _, r := range rounds {
		all = append(all, of(r))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func rate(r round) float64      { return r.perSecond }
func p50(r round) float64       { return r.p50.Seconds() * 1000 }
func p99(r round) float64       { return r.p99.Seconds() * 1000 }
func processor(r round) float64 { return r.processor }

// tell prints a figure beside its limit.
func tell(what string, ours, limit []round) {
	fmt.Printf("%-40s writ %8.0f/s p50 %6.2f ms p99 %7.2f ms   limit %8.0f/s p50 %6.2f ms p99 %7.2f ms   ratio %.2f\n", what,
		median(ours, rate), median(ours, p50), median(ours, p99), median(limit, rate), median(limit, p50), median(limit, p99),
		median(ours, rate)/median(limit, rate))
}
