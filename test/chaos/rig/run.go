package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	propagationrules "github.com/writ-iam/writ/replication/propagation"
)

// Limits of the end of a run.
const (
	// settleSlack is what I21 allows for besides 3 D: elections, a busy machine.
	settleSlack = 15 * time.Second
	// calm is how long clients go on after the last fault.
	calm = 5 * time.Second
)

// Config says what to run.
type Config struct {
	// Root is the directory of the module, for building.
	Root string
	// Dir gets layout, data, logs. It must be empty or not exist.
	Dir string
	// Binary is a writ that is built already; empty builds one.
	Binary string
	// For is how long faults are dealt.
	For time.Duration
	// Seed chooses the faults, their victims and their lengths. What the machine
	// makes of them differs from run to run.
	Seed uint64
	// Faults are the names of those to deal, in this order, again and again; empty for
	// all of them, shuffled.
	Faults []string
	// Isolate gives each node a network namespace and a disk of its own where the
	// machine lets it; faults that need these are skipped otherwise.
	Isolate bool
	// OutsideNATS has the cluster use one NATS server that admits everybody, in place of
	// its own brokers; faults of the one kind are left out with the other.
	OutsideNATS bool
	// Other is another build of writ, such as that of the previous release: all nodes begin with it,
	// and faults have them change from one to the other. Without it no node does.
	Other string
	// Out gets the story of the run, line by line.
	Out io.Writer
}

// ErrConfig is returned when a Config cannot be run.
var ErrConfig = errors.New("the rig cannot run this")

// Faults are the names and descriptions of all faults, in the order of the table.
func Faults() (list [][2]string) {
	for _, f := range allFaults() {
		list = append(list, [2]string{f.name, f.about})
	}
	return list
}

func allFaults() []*fault {
	network := networkFaults()
	for _, f := range network {
		f.needs = needsIsolation
	}
	return slices.Concat(processFaults(), network, natsFaults(), diskFaults(), clockFaults(), rosterFaults(), namesakeFaults(), memberFaults(), keyFaults(), restoreFaults(), buildFaults())
}

// Run runs the cluster, hurts it for as long as it is told, and returns what it saw.
// An error says that the rig could not do its work; broken promises are in the
// report. When something broke, logs and data stay in Config.Dir.
func Run(ctx context.Context, cfg Config) (_ *Report, err error) {
	deck, skipped, err := choose(cfg)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the rig's directory: %w", err)
	}
	j := newJudge()
	l, err := newLab(ctx, cfg, j)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close(context.WithoutCancel(ctx))) }()
	deck = slices.DeleteFunc(deck, func(f *fault) bool {
		return f.nats == outsideNATS && !cfg.OutsideNATS || f.nats == embeddedNATS && cfg.OutsideNATS || !f.fits(cfg.Other)
	})
	if len(deck) == 0 {
		return nil, fmt.Errorf("%w: none of these faults is one of such a cluster; see OutsideNATS and Other", ErrConfig)
	}
	if !l.net.isolated {
		deck, skipped = possible(deck)
	}
	r := &rig{
		cfg: cfg, lab: l, judge: j, rng: rand.New(rand.NewPCG(cfg.Seed, 0)),
		busy: map[*member]string{}, striking: map[int]*strike{}, freed: make(chan struct{}), tallies: map[string]*tally{},
	}
	var printing sync.Mutex
	r.out = func(format string, args ...any) {
		printing.Lock()
		defer printing.Unlock()
		fmt.Fprintf(cfg.Out, format+"\n", args...)
	}
	r.out("seed %d for %v, %d kinds of fault, in %s", cfg.Seed, cfg.For, len(deck), cfg.Dir)
	if len(skipped) > 0 {
		r.out("skipped, because there are no network namespaces (%s): %s", l.net.why, strings.Join(skipped, " "))
	}
	report := &Report{Seed: cfg.Seed, Skipped: skipped}
	if err := r.all(ctx, deck, report); err != nil {
		return nil, errors.Join(err, l.keep(ctx))
	}
	report.Violations = j.found()
	if len(report.Violations) > 0 {
		r.out("logs and data are kept in %s", cfg.Dir)
		err = l.keep(ctx)
	}
	r.fill(report)
	return report, err
}

// choose picks the faults that were asked for.
func choose(cfg Config) (deck []*fault, skipped []string, err error) {
	all := allFaults()
	if len(cfg.Faults) == 0 {
		return all, nil, nil
	}
	for _, name := range cfg.Faults {
		i := slices.IndexFunc(all, func(f *fault) bool { return f.name == name })
		if i < 0 {
			return nil, nil, fmt.Errorf("%w: there is no fault %q", ErrConfig, name)
		}
		deck = append(deck, all[i])
	}
	return deck, nil, nil
}

// possible leaves out what needs namespaces.
func possible(deck []*fault) (left []*fault, skipped []string) {
	for _, f := range deck {
		if f.needs == needsIsolation {
			skipped = append(skipped, f.name)
		} else {
			left = append(left, f)
		}
	}
	return left, skipped
}

// all is a run from beginning to end.
func (r *rig) all(ctx context.Context, deck []*fault, report *Report) error {
	if err := r.lab.start(ctx); err != nil {
		return err
	}
	r.work = newWorkload(r.lab, r.judge, r.cfg.Seed)
	if err := r.work.prepare(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with ctx
		select {
		case <-r.judge.first:
			cancel()
		case <-ctx.Done():
		}
	}()
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { r.lab.watch(watching) })
	r.clients(ctx)
	defer func() { r.quiet(); unwatch(); watch.Wait() }()

	dealing, enough := context.WithTimeout(ctx, r.cfg.For)
	r.deal(dealing, deck, len(r.cfg.Faults) == 0)
	enough()
	r.out("%8.1fs  no more faults", r.judge.now().Seconds())
	pause(ctx, calm)
	if broken(r.judge) {
		return nil
	}
	// I21: with the clients quiet, every replica reaches the head and holds a lease.
	r.quiet()
	if !r.settle(ctx) {
		return nil
	}
	if err := r.lab.stop(ctx); err != nil {
		return err
	}
	return r.judgeEnd(ctx)
}

// clients lets the clients begin. quiet ends them, and returns when their requests are over;
// resume lets them begin again. One goroutine at a time does either.
func (r *rig) clients(ctx context.Context) {
	r.resume = func() {
		working, idle := context.WithCancel(ctx)
		var work sync.WaitGroup
		work.Go(func() { r.work.run(working) })
		r.quiet = func() { idle(); work.Wait() }
	}
	r.resume()
}

func broken(j *judge) bool {
	select {
	case <-j.first:
		return true
	default:
		return false
	}
}

// settle waits until the whole cluster agrees.
func (r *rig) settle(ctx context.Context) bool {
	bound := 3*propagationrules.DefaultParams().Duration + settleSlack
	limit, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	begun := r.judge.now()
	for {
		err := r.lab.settled(limit)
		if err == nil {
			r.out("%8.1fs  all nodes are at the head with one state, all replicas hold leases, after %.1fs", r.judge.now().Seconds(), (r.judge.now() - begun).Seconds())
			return true
		}
		if !pause(limit, pollEvery) {
			r.judge.violate("I21 the cluster does not settle", "%v after the last fault: %v", bound, err)
			return false
		}
	}
}

// judgeEnd holds everything against the event stores, and looks for secrets.
func (r *rig) judgeEnd(ctx context.Context) error {
	histories := map[string]*history{}
	var names []string
	for _, m := range r.lab.some(true) {
		h, err := readHistory(ctx, m.dir, r.work.outsider)
		if err != nil {
			r.judge.violate("I2 a broken log", "%s: %v", m.name, err)
			return nil
		}
		histories[m.name] = h
		names = append(names, m.name)
	}
	h := histories[names[0]]
	r.judge.judgeHead(h, names, histories)
	r.judge.judgeWrites(h, r.work.writes)
	for _, wrong := range h.wrong {
		r.judge.violate("deny: a write that was forbidden where it was decided", "%s", wrong)
	}
	r.judge.judgeReads(h, r.work.principals)
	if err := r.judge.judgeSessions(h, r.work.ended); err != nil {
		return err
	}
	return r.judge.judgeSecrets(r.lab.dir, r.work.secret)
}

// judgeSecrets looks for secrets in every file that the nodes wrote (I20).
func (j *judge) judgeSecrets(dir string, secrets []string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "layout" || d.Name() == "bin") { // the operator's own, and programs
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("look for secrets: %w", err)
		}
		for i, s := range secrets {
			if bytes.Contains(text, []byte(s)) {
				j.violate("I20 a secret in a file", "secret %d stands in %s", i, path)
			}
		}
		return nil
	})
}
