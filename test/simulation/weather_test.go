package simulation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/writ-iam/writ/test/simulation/judge"
	"github.com/writ-iam/writ/test/simulation/network"
)

// weather is how often each kind of fault strikes, per second; absent: never.
type weather map[string]float64

// storm strikes a world with faults until it is over, and undoes them all.
type storm struct {
	world *world
	over  chan struct{}
	wg    sync.WaitGroup
}

// begin lets the faults of the plan strike.
func (w *world) storm() *storm {
	s := &storm{world: w, over: make(chan struct{})}
	for _, kind := range slices.Sorted(maps.Keys(w.plan.weather)) {
		strike, rate, rng := kinds[kind], w.plan.weather[kind], w.random("fault "+kind)
		s.wg.Go(func() {
			for s.pause(time.Duration(rng.ExpFloat64() / rate * float64(time.Second))) {
				if strike(s, rng) {
					w.mu.Lock()
					w.faults[kind]++
					w.mu.Unlock()
				}
			}
		})
	}
	return s
}

// end ends all faults, and returns when every node is up.
func (s *storm) end() {
	close(s.over)
	s.wg.Wait()
}

// pause waits for d, and says whether the storm goes on.
func (s *storm) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.over:
		return false
	}
}

// some draws how long a fault lasts: often short, at times longer than any lease.
func some(rng *rand.Rand) time.Duration {
	if rng.IntN(2) == 0 {
		return within(rng, 10*time.Millisecond, 2*time.Second)
	}
	return within(rng, 2*time.Second, 25*time.Second)
}

// kinds are all faults. A strike returns when the fault is over, and says whether
// there was one.
var kinds = map[string]func(*storm, *rand.Rand) bool{
	"one-way cut between two nodes": func(s *storm, rng *rand.Rand) bool {
		a, b := s.two(rng)
		return s.cut(rng, [][2]string{{a, b}})
	},
	"cut between two nodes": func(s *storm, rng *rand.Rand) bool {
		a, b := s.two(rng)
		return s.cut(rng, [][2]string{{a, b}, {b, a}})
	},
	"node cut off from all others": func(s *storm, rng *rand.Rand) bool {
		return s.cut(rng, s.around(pick(rng, s.world.names), true, true))
	},
	"node that hears no other": func(s *storm, rng *rand.Rand) bool {
		return s.cut(rng, s.around(pick(rng, s.world.names), true, false))
	},
	"node that no other hears": func(s *storm, rng *rand.Rand) bool {
		return s.cut(rng, s.around(pick(rng, s.world.names), false, true))
	},
	"nodes split in two": func(s *storm, rng *rand.Rand) bool {
		var links [][2]string
		side := map[string]bool{}
		for _, name := range s.world.names {
			side[name] = rng.IntN(2) == 0
		}
		for a := range side {
			for b := range side {
				if side[a] != side[b] {
					links = append(links, [2]string{a, b})
				}
			}
		}
		return s.cut(rng, links)
	},
	"node frozen": func(s *storm, rng *rand.Rand) bool {
		name, d := pick(rng, s.world.names), some(rng)
		s.world.trace("%s freezes for %v", name, d)
		s.world.net.Freeze(name)
		s.pause(d)
		s.world.net.Thaw(name)
		return true
	},
	"connections reset": func(s *storm, rng *rand.Rand) bool {
		a, b := s.two(rng)
		s.world.trace("connections between %s and %s are reset", a, b)
		return s.world.net.Reset(a, b) > 0
	},
	"node far away": func(s *storm, rng *rand.Rand) bool {
		return s.shape(rng, network.Shape{Delay: within(rng, time.Millisecond, time.Second), Jitter: within(rng, 0, time.Second)})
	},
	"node on a thin line": func(s *storm, rng *rand.Rand) bool {
		shape := network.DefaultShape()
		shape.Rate = 2<<10 + rng.IntN(64<<10)
		return s.shape(rng, shape)
	},
	"process killed": func(s *storm, rng *rand.Rand) bool {
		return s.down(rng, pick(rng, s.world.names), func(m *machine) bool { m.crash(false); return true })
	},
	"machine lost": func(s *storm, rng *rand.Rand) bool {
		return s.down(rng, pick(rng, s.world.names), func(m *machine) bool { m.crash(true); return true })
	},
	"node restarted": func(s *storm, rng *rand.Rand) bool {
		return s.down(rng, pick(rng, s.world.names), func(m *machine) bool { m.stop(); return true })
	},
	"replica wiped": func(s *storm, rng *rand.Rand) bool {
		return s.down(rng, pick(rng, s.world.history.Replicas), func(m *machine) bool {
			m.crash(rng.IntN(2) == 0)
			m.wipe()
			return true
		})
	},
	"replica rolled back": func(s *storm, rng *rand.Rand) bool {
		return s.down(rng, pick(rng, s.world.history.Replicas), func(m *machine) bool {
			m.crash(rng.IntN(2) == 0)
			return m.rollBack()
		})
	},
	"writer wiped": func(s *storm, rng *rand.Rand) bool {
		name := pick(rng, s.world.history.Writers)
		return s.mayWipe() && s.down(rng, name, func(m *machine) bool {
			m.crash(rng.IntN(2) == 0)
			m.wipe()
			return true
		})
	},
	"replica replaced while it is cut off": (*storm).replaced,
	"second process of a replica":          (*storm).second,
	"replica taken off the roster": func(s *storm, rng *rand.Rand) bool {
		name := pick(rng, s.world.history.Replicas)
		s.roster(rng, http.MethodDelete, name, "")
		s.pause(some(rng))
		for !s.down(rng, name, func(m *machine) bool { m.stop(); return true }) { // started again, it stays out
			pass(time.Second)
		}
		s.roster(rng, http.MethodPost, name, "/admit")
		return true
	},
	"replica drained": func(s *storm, rng *rand.Rand) bool {
		name := pick(rng, s.world.history.Replicas)
		s.roster(rng, http.MethodPost, name, "/drain")
		s.pause(some(rng))
		s.roster(rng, http.MethodPost, name, "/resume")
		return true
	},
	"clock rates changed": func(s *storm, rng *rand.Rand) bool {
		s.world.machines[pick(rng, s.world.names)].clocks.drift(s.world.drawDrift(rng))
		return true
	},
	"wall clock set": func(s *storm, rng *rand.Rand) bool {
		most := pick(rng, []time.Duration{10 * time.Second, 10 * time.Minute, 2 * time.Hour})
		name, by := pick(rng, s.world.names), within(rng, -most, most)
		s.world.trace("the wall clock of %s is set by %v", name, by)
		from := s.world.now()
		s.world.machines[name].clocks.jump(by)
		s.pause(some(rng))
		s.world.machines[name].clocks.jump(-by) // somebody notices
		if to := s.world.now(); slices.Contains(s.world.history.Writers, name) {
			s.world.record(func(h *judge.History) { h.Astray = append(h.Astray, judge.Span{From: from, To: to}) })
		}
		return true
	},
}

// two draws two nodes.
func (s *storm) two(rng *rand.Rand) (a, b string) {
	order := rng.Perm(len(s.world.names))
	return s.world.names[order[0]], s.world.names[order[1]]
}

// around lists the links between a node and all others.
func (s *storm) around(name string, to, from bool) (links [][2]string) {
	for _, other := range s.world.names {
		if other == name {
			continue
		}
		if to {
			links = append(links, [2]string{other, name})
		}
		if from {
			links = append(links, [2]string{name, other})
		}
	}
	return links
}

// cut stops links for a while.
func (s *storm) cut(rng *rand.Rand, links [][2]string) bool {
	d := some(rng)
	s.world.trace("cut for %v: %v", d, links)
	for _, l := range links {
		s.world.net.Cut(l[0], l[1])
	}
	s.pause(d)
	for _, l := range links {
		s.world.net.Mend(l[0], l[1])
	}
	return len(links) > 0
}

// shape makes all links of a node bad ones for a while.
func (s *storm) shape(rng *rand.Rand, shape network.Shape) bool {
	name, d := pick(rng, s.world.names), some(rng)
	s.world.trace("the links of %s are %+v for %v", name, shape, d)
	links := s.around(name, true, true)
	for _, l := range links {
		s.world.net.Shape(l[0], l[1], shape)
	}
	s.pause(d)
	for _, l := range links {
		s.world.net.Shape(l[0], l[1], network.DefaultShape())
	}
	return true
}

// down takes a node down, for a while, if nothing else does so already.
func (s *storm) down(rng *rand.Rand, name string, how func(*machine) bool) bool {
	m := s.world.machines[name]
	if !m.busy.CompareAndSwap(false, true) {
		return false
	}
	defer m.busy.Store(false)
	struck := how(m)
	s.pause(some(rng))
	m.start()
	return struck
}

// roster changes the roster, however long it takes to be sure of that. Only one
// attempt of it can take effect, and none later.
func (s *storm) roster(rng *rand.Rand, method, replica, what string) {
	w := s.world
	attempt := fmt.Sprintf("%s%s %d", replica, what, rng.Uint64())
	c := w.client(attempt)
	defer c.leave()
	for !c.roster(pick(rng, w.names), w.root(), attempt, method, replica, what) {
		pass(within(rng, 100*time.Millisecond, time.Second))
	}
}

// wipe removes everything that a node kept; it is down.
func (m *machine) wipe() {
	m.world.trace("%s loses its disk", m.name)
	if err := os.RemoveAll(m.data); err != nil {
		m.world.note("rig", "wipe %s: %v", m.name, err)
	}
}

// rollBack puts back what the node kept at the last rollback, and keeps what is
// there now for the next one. The first time there is nothing to put back.
func (m *machine) rollBack() bool {
	old, now := m.data+".old", m.data+".now"
	err := os.RemoveAll(now)
	if err == nil {
		err = os.CopyFS(now, os.DirFS(m.data))
	}
	_, missing := os.Stat(old)
	if err == nil && missing == nil {
		m.world.trace("%s is rolled back", m.name)
		if err = os.RemoveAll(m.data); err == nil {
			err = os.Rename(old, m.data)
		}
	}
	if err == nil {
		err = os.Rename(now, old)
	}
	if err != nil {
		m.world.note("rig", "roll back %s: %v", m.name, err)
	}
	return missing == nil
}

// wipeEvery is how long a writer that lost its disk is left to become a voter again.
const wipeEvery = 20 * time.Second

// mayWipe says whether a majority keeps its disks when a writer loses its own: all
// writers vote, by the leader's word, so none of them is still the lost one.
func (s *storm) mayWipe() bool {
	w := s.world
	w.mu.Lock()
	last := w.wiped
	w.mu.Unlock()
	if len(w.history.Writers) < 3 || !last.IsZero() && time.Since(last) < wipeEvery {
		return false
	}
	c := w.client("insurer")
	defer c.leave()
	for _, name := range w.history.Writers {
		if n, ok := c.voters(name, w.root()); ok {
			if n < len(w.history.Writers) {
				return false
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.wiped = time.Now()
			return true
		}
	}
	return false
}
