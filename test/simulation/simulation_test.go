package simulation

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-iam/writ/node"
	admit "github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/test/simulation/judge"
)

var (
	seeds = flag.Int("seeds", 0, "histories to play; 0: as many as tests have time for")
	first = flag.Uint64("first", 1, "seed of the first history; the others follow")
	print = flag.Bool("print", false, "print what happens in a history, and what its nodes log")
)

// draw makes the plan of a seed. Faults are the rule: one history in twenty has none.
func draw(seed uint64) plan {
	rng := (&world{plan: plan{seed: seed}}).random("plan")
	p := plan{
		seed: seed, writers: 3, replicas: 2 + rng.IntN(2), withoutLease: pick(rng, []admit.WithoutLease{admit.AdmitNothing, admit.AdmitQuestions, admit.AdmitReads}), clients: 2 + rng.IntN(3),
		drift: 10 * rng.IntN(2), calm: within(rng, 0, 3*time.Second), storm: within(rng, 20*time.Second, 80*time.Second), weather: weather{},
	}
	if rng.IntN(4) == 0 {
		p.writers = pick(rng, []int{1, 1, 5})
	}
	if rng.IntN(2) == 0 { // so often that writers that were away need one
		p.snapshots = node.Snapshots{Interval: within(rng, time.Second, 5*time.Second), Every: 4 + rng.Uint64N(30), Keep: 4 + rng.Uint64N(60)}
	}
	if rng.IntN(20) == 0 {
		return p
	}
	violence := 0.02 + 0.13*rng.Float64()
	switch rng.IntN(20) {
	case 0:
		violence *= 5
	case 1:
		p.storm *= 4
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if rng.IntN(5) < 2 {
			p.weather[kind] = violence * (0.2 + rng.Float64())
		}
	}
	return p
}

// tally adds up many histories.
type tally struct {
	mu                                         sync.Mutex // guards all below
	histories, violations                      int
	virtual                                    time.Duration
	writes, done, reads, leased, strict        int
	waits, everywhere, effects, told, restarts int
	sessions                                   int
	faults                                     map[string]int
	codes                                      map[string]int
}

func (s *tally) add(w *world, virtual time.Duration, violations int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &w.history
	s.histories++
	s.violations += violations
	s.virtual += virtual
	s.writes += len(h.Writes)
	s.reads += len(h.Reads)
	s.waits += len(h.Waits)
	s.told += len(h.Told)
	for i := range h.Sessions {
		if h.Sessions[i].Answered() {
			s.sessions++
		}
	}
	code := func(r *judge.Request) {
		if r.Status != 0 && r.Code != "" {
			s.codes[r.Code]++
		}
	}
	for i := range h.Writes {
		if code(&h.Writes[i].Request); h.Writes[i].Answered() {
			s.done++
		}
	}
	for i := range h.Reads {
		r := &h.Reads[i]
		code(&r.Request)
		switch {
		case r.Answered() && r.Freshness == "leased":
			s.leased++
		case r.Answered() && r.Freshness == "strict":
			s.strict++
		}
	}
	for i := range h.Waits {
		if code(&h.Waits[i].Request); h.Waits[i].State == "everywhere" {
			s.everywhere++
		}
		if h.Waits[i].Effect == "present" {
			s.effects++
		}
	}
	for _, m := range w.machines {
		s.restarts += (int(m.life.Load()) - 1) / 2 // the number goes up at each start and at each stop
	}
	for kind, n := range w.faults {
		s.faults[kind] += n
	}
}

func (s *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d histories judged, %v of virtual time, %d violations\n", s.histories, s.virtual.Round(time.Second), s.violations)
	fmt.Fprintf(&b, "%d writes (%d acknowledged), %d reads (%d leased, %d strict), %d waits (%d everywhere, %d of them effects), %d positions told to watchers, %d sessions, %d restarts\n",
		s.writes, s.done, s.reads, s.leased, s.strict, s.waits, s.everywhere, s.effects, s.told, s.sessions, s.restarts)
	list := func(title string, counts map[string]int) {
		fmt.Fprintf(&b, "%s:\n", title)
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			fmt.Fprintf(&b, "  %7d %s\n", counts[name], name)
		}
	}
	list("faults", s.faults)
	list("refusals", s.codes)
	return b.String()
}

func TestSimulation(t *testing.T) {
	dir := memory(t)
	layouts := map[int]*layout{}
	for _, writers := range []int{1, 3, 5} {
		l, err := layOut(filepath.Join(dir, fmt.Sprintf("layout-%d", writers)), writers)
		if err != nil {
			t.Fatal(err)
		}
		layouts[writers] = l
	}
	n := *seeds
	if n == 0 {
		n = quickSeeds
	}
	total := &tally{faults: map[string]int{}, codes: map[string]int{}}
	begun := time.Now()
	t.Run("seeds", func(t *testing.T) {
		for seed := *first; seed < *first+uint64(n); seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				one(t, draw(seed), layouts, dir, total)
			})
		}
	})
	told := fmt.Sprintf("seeds %d to %d in %v: %v", *first, *first+uint64(n)-1, time.Since(begun).Round(time.Second), total)
	if *seeds > 0 {
		fmt.Print(told) // for who asked for them, whether or not they fail
	}
	t.Log(told)
}

// one plays and judges one history.
func one(t *testing.T, p plan, layouts map[int]*layout, dir string, total *tally) {
	data := filepath.Join(dir, fmt.Sprint(p.seed))
	var virtual time.Duration
	w := bubble(t, p, layouts[p.writers], data, func(w *world) {
		if *print {
			w.logs = os.Stderr
			w.trace = func(format string, args ...any) {
				fmt.Fprintf(os.Stderr, "--- %v %s\n", w.now(), fmt.Sprintf(format, args...))
			}
			w.trace("%+v", p)
		}
		w.play()
		virtual = w.now()
	})
	if err := os.RemoveAll(data); err != nil {
		t.Error(err)
	}
	found := judge.Judge(&w.history)
	for _, v := range found {
		t.Errorf("seed %d: %v", p.seed, v)
	}
	if len(found) > 0 {
		t.Errorf("seed %d again: make simulate FIRST=%d SEEDS=1", p.seed, p.seed)
	}
	total.add(w, virtual, len(found))
}
