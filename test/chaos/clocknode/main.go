// Command clocknode is `writ serve` for tests: one node whose clocks are read from a
// file, so that they can be set and made to run fast or slow while it runs.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/writ-iam/writ/node"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication/propagation"
)

// lookEvery is how often the file is read again.
const lookEvery = 20 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "clocknode:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var cfg node.Config
	var cluster, clock string
	f := flag.NewFlagSet("clocknode", flag.ContinueOnError)
	f.StringVar(&cluster, "cluster", "", "the cluster's configuration")
	f.StringVar(&cfg.Name, "name", "", "this node's name in it")
	f.StringVar(&cfg.Data, "data", "", "directory of what the node keeps")
	f.StringVar(&cfg.API, "api", "127.0.0.1:0", "address to serve clients on")
	f.StringVar(&clock, "clock", "", "file with the state of the clocks")
	f.DurationVar(&cfg.Drain, "drain", 10*time.Second, "how long a stopping node lets requests finish")
	if err := f.Parse(args); err != nil {
		return err
	}
	c, err := setup.LoadCluster(cluster)
	if err != nil {
		return err
	}
	cfg.Cluster, cfg.Files = c, setup.DefaultFiles(filepath.Dir(cluster), cfg.Name)
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	clocks := newClocks()
	var wg sync.WaitGroup
	defer wg.Wait()
	looking, done := context.WithCancel(ctx)
	defer done()
	wg.Go(func() { clocks.follow(looking, clock, logger) })
	cfg.Machine = node.Machine{Now: clocks.wall, Clocks: clocks.read}
	return node.Run(ctx, cfg, logger)
}

// state is what the file says. The zero value is right clocks.
type state struct {
	// Wall is added to the wall clock, in nanoseconds.
	Wall time.Duration `json:"wall"`
	// Rate is how much faster than right all clocks run, in parts of a million;
	// negative is slower.
	Rate int64 `json:"rate"`
}

// clocks count the real ones at a rate of their own.
type clocks struct {
	mu    sync.Mutex // guards the fields below
	start time.Time
	last  reading // of the real clocks
	shown reading // what it came to
	state state
}

// reading is the three clocks at one instant.
type reading struct{ monotonic, boottime, wall time.Duration }

func newClocks() *clocks {
	c := &clocks{start: time.Now()}
	c.last = c.real()
	c.shown = c.last
	return c
}

// real reads the machine's clocks.
func (c *clocks) real() reading {
	now := time.Now()
	r := reading{monotonic: now.Sub(c.start), wall: time.Duration(now.UnixNano())}
	var boot unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) == nil {
		r.boottime = time.Duration(boot.Nano())
	} else {
		r.boottime = r.monotonic
	}
	return r
}

// advance brings what is shown up to now. The lock is held.
func (c *clocks) advance() {
	now := c.real()
	c.shown.monotonic += c.at(now.monotonic - c.last.monotonic)
	c.shown.boottime += c.at(now.boottime - c.last.boottime)
	c.shown.wall += c.at(now.wall - c.last.wall)
	c.last = now
}

// at is how long d is by these clocks.
func (c *clocks) at(d time.Duration) time.Duration {
	return d + time.Duration(float64(d)*float64(c.state.Rate)/1e6)
}

// set changes rate and offset from now on.
func (c *clocks) set(s state) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	c.shown.wall += s.Wall - c.state.Wall
	c.state = s
}

func (c *clocks) read() propagation.Clocks {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	return propagation.Clocks{Monotonic: c.shown.monotonic, Boottime: c.shown.boottime, Wall: c.shown.wall}
}

func (c *clocks) wall() time.Time { return time.Unix(0, int64(c.read().Wall)) }

// follow does what the file says, until ctx ends.
func (c *clocks) follow(ctx context.Context, path string, logger *slog.Logger) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var last state
	for {
		text, err := os.ReadFile(path)
		var s state
		if err == nil && json.Unmarshal(text, &s) == nil && s != last {
			last = s
			c.set(s)
			logger.Warn("the clocks were set", "wall", s.Wall, "rate", s.Rate)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
