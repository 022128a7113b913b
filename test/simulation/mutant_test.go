package simulation

import (
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/writ-iam/writ/test/simulation/judge"
)

// mutate plays a history in which something that the promises need is broken, and
// expects the judge to find violations of an invariant.
func mutate(t *testing.T, invariant string, p plan, breaks func(*world)) *world {
	t.Helper()
	return mutateFor(t, invariant, p, outsider, breaks)
}

// mutateFor is mutate with another permission for the outsider.
func mutateFor(t *testing.T, invariant string, p plan, permits string, breaks func(*world)) *world {
	t.Helper()
	w := stagedFor(t, p, permits, func(w *world, _ *crowd, _ *client) { breaks(w) })
	found := map[string]int{}
	for _, v := range judge.Judge(&w.history) {
		if found[v.Invariant]++; found[v.Invariant] == 1 {
			t.Log(v)
		}
	}
	if found[invariant] == 0 {
		t.Errorf("no violation of %s was found in %d reads and %d waits, but %v", invariant, len(w.history.Reads), len(w.history.Waits), found)
	}
	return w
}

// staged plays a history of a test's own: happens is what happens while the cluster
// is in use.
func staged(t *testing.T, p plan, happens func(*world, *crowd, *client)) *world {
	t.Helper()
	return stagedFor(t, p, outsider, happens)
}

// stagedFor is staged with another permission for the outsider.
func stagedFor(t *testing.T, p plan, permits string, happens func(*world, *crowd, *client)) *world {
	t.Helper()
	t.Parallel()
	dir := memory(t)
	l, err := layOut(filepath.Join(dir, "layout"), p.writers)
	if err != nil {
		t.Fatal(err)
	}
	return bubble(t, p, l, filepath.Join(dir, "data"), func(w *world) {
		w.startAll()
		c := newCrowd(w)
		root := w.client("root")
		c.gather([]key{c.mint(root, victim(0))}, c.mintOutsider(root, permits))
		pass(10 * time.Second)
		happens(w, c, root)
		c.home()
		w.finish(c, root)
		root.leave()
		w.stopAll()
		w.collect()
	})
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
	mutate(t, "P5", steady(1), func(w *world) {
		w.machines["r1"].clocks.stop()
		w.aside("r1", 40*time.Second)
	})
}

// One whose clocks count a fifth of the time keeps its lease five times as long.
func TestSlowClocksAreFound(t *testing.T) {
	mutate(t, "P5", steady(2), func(w *world) {
		w.machines["r1"].clocks.drift(func() int { return -800 })
		pass(5 * time.Second)
		w.aside("r1", 40*time.Second)
	})
}

// Leaders whose clocks count three times as fast do not wait for leases to end.
func TestHastyLeadersAreFound(t *testing.T) {
	mutate(t, "P5", steady(3), func(w *world) {
		for _, name := range w.history.Writers {
			w.machines[name].clocks.drift(func() int { return 2000 })
		}
		for range 4 {
			w.aside("r1", 9*time.Second)
			pass(5 * time.Second)
		}
	})
}

// An operator who puts yesterday's disks back into all writers loses what was
// acknowledged since; the cluster that goes on from there is another one, and
// replicas that know better answer nothing.
func TestDisksPutBackAreFound(t *testing.T) {
	w := mutate(t, "I16", steady(4), func(w *world) {
		for _, days := range []time.Duration{0, 10 * time.Second} { // the first time there is nothing to put back
			pass(days)
			for _, name := range w.history.Writers {
				w.machines[name].stop()
			}
			for _, name := range w.history.Writers {
				w.machines[name].rollBack()
				w.machines[name].start()
			}
		}
		pass(10 * time.Second)
	})
	if !slices.ContainsFunc(w.history.Reads, func(r judge.Read) bool { return r.Code == "Quarantined" }) {
		t.Error("no replica found out that it has another history")
	}
}

// Somebody between clients and replicas who keeps answers makes them old.
func TestKeptAnswersAreFound(t *testing.T) {
	p := steady(5)
	p.between = func(way http.RoundTripper) http.RoundTripper { return &keeper{way: way, kept: map[string]kept{}} }
	mutate(t, "P5", p, func(*world) { pass(30 * time.Second) })
}

// A Deny that is not there when a write is decided, as one that was outrun, is found
// by what it did not prevent.
func TestAnOutrunDenyIsFound(t *testing.T) {
	const undenied = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*","Resource":"*"}}`
	mutateFor(t, "deny", steady(6), undenied, func(*world) { pass(30 * time.Second) })
}

// keeper answers what was asked of a replica before from memory.
type keeper struct {
	way  http.RoundTripper
	kept map[string]kept
}

type kept struct {
	at     time.Time
	header http.Header
	body   []byte
}

// keepFor is how long an answer is kept.
const keepFor = 15 * time.Second

// RoundTrip asks, or remembers. One client calls it at a time.
func (k *keeper) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/v1/authorize" {
		return k.way.RoundTrip(r)
	}
	asked, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(asked))
	name := r.URL.Host + r.URL.Path + string(asked) + r.Header.Get("X-Writ-Consistency")
	if old, ok := k.kept[name]; ok && time.Since(old.at) < keepFor {
		return &http.Response{StatusCode: http.StatusOK, Header: old.header, Body: io.NopCloser(bytes.NewReader(old.body))}, nil
	}
	answer, err := k.way.RoundTrip(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	k.kept[name] = kept{time.Now(), answer.Header, body}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}
