package simulation

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/writ-iam/writ/test/simulation/judge"
)

// mutate plays a history in which something that the promises need is broken, and
// expects the judge to find violations of an invariant.
func mutate(t *testing.T, invariant string, p plan, breaks func(w *world, c *crowd, root *client)) {
	t.Helper()
	t.Parallel()
	dir := memory(t)
	l, err := layOut(filepath.Join(dir, "layout"), p.writers)
	if err != nil {
		t.Fatal(err)
	}
	w := bubble(t, p, l, filepath.Join(dir, "data"), func(w *world) {
		w.startAll()
		c := newCrowd(w)
		root := w.client("root")
		keys := []key{c.mint(root, victim(0))}
		c.gather(keys)
		breaks(w, c, root)
		c.home()
		w.finish(c, root)
		root.leave()
		w.stopAll()
		w.collect()
	})
	found := map[string]int{}
	for _, v := range judge.Judge(&w.history) {
		if found[v.Invariant]++; found[v.Invariant] == 1 {
			t.Log(v)
		}
	}
	if found[invariant] == 0 {
		t.Errorf("no violation of %s was found in %d reads and %d waits, but %v", invariant, len(w.history.Reads), len(w.history.Waits), found)
	}
}

// steady is a plan without faults, for those who bring their own.
func steady(seed uint64) plan {
	return plan{seed: seed, writers: 3, replicas: 2, clients: 4, storm: time.Minute}
}

// aside cuts a replica off from the writers while pipelines wait for it.
func (w *world) aside(name string, d time.Duration) {
	links := (&storm{world: w}).around(name, true, true)
	for _, l := range links {
		w.net.Cut(l[0], l[1])
	}
	pass(d)
	for _, l := range links {
		w.net.Mend(l[0], l[1])
	}
}

// A replica whose three clocks all stop answers as leased for ever.
func TestStoppedClocksAreFound(t *testing.T) {
	mutate(t, "P5", steady(1), func(w *world, _ *crowd, _ *client) {
		pass(10 * time.Second)
		w.machines["r1"].clocks.stop()
		w.aside("r1", 40*time.Second)
	})
}
