package simulation

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// namesake is the machine on which a second process of a replica may run.
func namesake(replica string) string { return replica + "b" }

// addNamesakes adds a machine beside each replica's. Nothing runs there before a
// fault starts it, and other faults do not strike it.
func (w *world) addNamesakes() {
	w.history.Namesakes = map[string]string{}
	rng := w.random("namesakes")
	for _, name := range w.history.Replicas {
		second := namesake(name)
		w.machines[second] = &machine{
			world: w, name: second, as: name, data: filepath.Join(w.dir, second), clocks: newClocks(w.drawDrift(rng)),
		}
		w.history.Namesakes[second] = name
	}
}

// up says whether a node runs on the machine: the number of its life goes up at each
// start and at each stop. A replica's own machine is asked all the same.
func (m *machine) up() bool { return m.as == m.name || m.life.Load()%2 == 1 }

// outset is what a second process finds in its directory: nothing, what it had when
// it ran last, or a copy of the first one's, which runs.
func (m *machine) outset(rng *rand.Rand) {
	err := error(nil)
	switch rng.IntN(3) {
	case 0:
		err = os.RemoveAll(m.data)
	case 1:
		if err = os.RemoveAll(m.data); err == nil && os.CopyFS(m.data, os.DirFS(m.world.machines[m.as].data)) != nil {
			err = os.RemoveAll(m.data) // something changed under the copy
		}
	}
	if err != nil {
		m.world.note("rig", "prepare the directory of %s: %v", m.name, err)
	}
}

// leave ends a process in one of the ways in which processes end.
func (m *machine) leave(rng *rand.Rand) {
	if how := rng.IntN(3); how == 0 {
		m.stop()
	} else {
		m.crash(how == 1)
	}
}

// replaced lets a second process of a replica start while the first is cut off from
// all others, with a lease. Later the first is back, or it is gone for good and one
// takes its place.
func (s *storm) replaced(rng *rand.Rand) bool {
	w := s.world
	name := pick(rng, w.history.Replicas)
	first, second := w.machines[name], w.machines[namesake(name)]
	if !first.busy.CompareAndSwap(false, true) {
		return false
	}
	defer first.busy.Store(false)
	if first.node == nil {
		return false
	}
	w.trace("%s is cut off, and a second process of it starts", name)
	links := s.around(name, true, true)
	for _, l := range links {
		w.net.Cut(l[0], l[1])
	}
	second.outset(rng)
	second.start()
	s.pause(some(rng))
	gone := rng.IntN(2) == 0
	if gone {
		first.crash(true)
	}
	for _, l := range links {
		w.net.Mend(l[0], l[1])
	}
	s.pause(some(rng))
	if gone {
		first.start()
		s.pause(some(rng))
	}
	second.leave(rng)
	return true
}

// second lets a second process of a replica run beside the first.
func (s *storm) second(rng *rand.Rand) bool {
	w := s.world
	name := pick(rng, w.history.Replicas)
	first, second := w.machines[name], w.machines[namesake(name)]
	if !first.busy.CompareAndSwap(false, true) {
		return false
	}
	defer first.busy.Store(false)
	if first.node == nil {
		return false
	}
	w.trace("a second process of %s starts", name)
	second.outset(rng)
	second.start()
	s.pause(some(rng))
	second.leave(rng)
	return true
}

// forge has the second process of a replica find, as if it were its own, the nonce of
// the first, which runs: its directory pretends to be the place where that ran.
func (w *world) forge(name string) error {
	first, second := w.machines[name], w.machines[namesake(name)]
	text, err := os.ReadFile(filepath.Join(first.data, "life.json"))
	if err != nil {
		return err
	}
	life := map[string]any{}
	if err := json.Unmarshal(text, &life); err != nil {
		return err
	}
	if err := os.RemoveAll(second.data); err != nil {
		return err
	}
	if err := os.MkdirAll(second.data, 0o700); err != nil {
		return err
	}
	lock := filepath.Join(second.data, "lock")
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		return err
	}
	var s syscall.Stat_t
	if err := syscall.Stat(lock, &s); err != nil {
		return err
	}
	life["device"], life["inode"] = s.Dev, s.Ino
	if text, err = json.Marshal(life); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(second.data, "life.json"), text, 0o600)
}

// A second process that tells of the first that it is over, while that is cut off and
// answers under its lease, makes "everywhere" a lie.
func TestAForgedEndIsFound(t *testing.T) {
	mutate(t, "P5", steady(7), func(w *world) {
		for range 3 {
			if err := w.forge("r1"); err != nil {
				t.Error(err)
				return
			}
			second := w.machines[namesake("r1")]
			done := make(chan struct{})
			go func() {
				defer close(done)
				pass(100 * time.Millisecond)
				second.start()
			}()
			w.aside("r1", 9*time.Second)
			<-done
			second.stop()
			pass(15 * time.Second)
		}
	})
}
