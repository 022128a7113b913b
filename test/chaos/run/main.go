// Command run puts a cluster through the process rig for as long as it is told and
// prints what came of it; see the README beside the tests. It exits 1 when a promise
// was broken.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/writ-iam/writ/test/chaos/rig"
)

func main() {
	var cfg rig.Config
	var faults string
	var list bool
	flag.StringVar(&cfg.Root, "root", ".", "the module's root")
	flag.StringVar(&cfg.Dir, "dir", "", "directory for layout, data and logs; empty for a temporary one")
	flag.StringVar(&cfg.Binary, "binary", "", "a writ that is built already")
	flag.DurationVar(&cfg.For, "for", time.Hour, "how long faults are dealt")
	flag.Uint64Var(&cfg.Seed, "seed", 0, "chooses faults, victims and lengths; 0 for one of the clock")
	flag.StringVar(&faults, "faults", "", "names of the faults to deal, separated by commas; empty for all")
	flag.BoolVar(&cfg.OutsideNATS, "outside-nats", false, "let the cluster use a NATS server that admits everybody, and attack it there")
	flag.StringVar(&cfg.Other, "other", "", "another build of writ, such as the previous release's: nodes begin with it and change between both")
	flag.BoolVar(&list, "list", false, "list the faults")
	flag.Parse()
	if list {
		for _, f := range rig.Faults() {
			fmt.Printf("%-28s %s\n", f[0], f[1])
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, cfg, faults); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, cfg rig.Config, faults string) (err error) {
	if cfg.Seed == 0 {
		cfg.Seed = uint64(time.Now().UnixNano())
	}
	if faults != "" {
		cfg.Faults = strings.Split(faults, ",")
	}
	temporary := cfg.Dir == ""
	if temporary {
		if cfg.Dir, err = os.MkdirTemp("", "writ-chaos-"); err != nil {
			return fmt.Errorf("make a directory: %w", err)
		}
	}
	cfg.Isolate, cfg.Out = true, os.Stdout
	report, err := rig.Run(ctx, cfg)
	if err != nil {
		return fmt.Errorf("%w; logs and data are in %s", err, cfg.Dir)
	}
	report.Print(os.Stdout)
	if n := len(report.Violations); n > 0 {
		return fmt.Errorf("%d promises were broken with seed %d; logs and data are in %s", n, cfg.Seed, cfg.Dir)
	}
	if temporary {
		return os.RemoveAll(cfg.Dir)
	}
	return nil
}
