package simulation

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node"
	admit "github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication/propagation"
	"github.com/writ-iam/writ/test/simulation/judge"
	"github.com/writ-iam/writ/test/simulation/network"
)

// layout is a cluster's configuration, certificates and secrets. They are made once
// and serve many histories, each with data directories of its own.
type layout struct {
	dir     string
	cluster setup.Cluster
	root    setup.RootKey
}

// bubbleBegins is what the clock of every bubble shows at first.
var bubbleBegins = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func layOut(dir string, writers int) (*layout, error) {
	c := setup.Cluster{Account: "000000000001", NATS: setup.NoNATS}
	for i := range writers {
		name := fmt.Sprintf("w%d", i+1)
		c.Writers = append(c.Writers, setup.Writer{Name: name, Peer: name + ":7400"})
	}
	for i, class := range []string{"", "", propagation.ClassTight} {
		c.Replicas = append(c.Replicas, setup.Replica{Name: fmt.Sprintf("r%d", i+1), Region: []string{"east", "west", "west"}[i], Class: class})
	}
	l := &layout{dir: dir}
	var err error
	l.cluster, l.root, err = setup.Init(dir, c, setup.RootKey{}, bubbleBegins)
	return l, err
}

// memory is where data directories live: nothing here is about disks.
func memory(t testing.TB) string {
	t.Helper()
	if _, err := os.Stat("/dev/shm"); err != nil {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "writ-simulation-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// plan is what a history is made of, all of it from the seed.
type plan struct {
	seed         uint64
	writers      int
	replicas     int
	withoutLease admit.WithoutLease
	clients      int
	snapshots    node.Snapshots
	drift        int           // thousandths; the promise holds up to ten
	calm         time.Duration // before the first fault
	storm        time.Duration // faults strike
	weather      weather
	between      func(http.RoundTripper) http.RoundTripper // clients and nodes; nil for nothing
}

// world is one history as it is played.
type world struct {
	t        *testing.T
	plan     plan
	layout   *layout
	dir      string
	net      *network.Network
	begin    time.Time
	machines map[string]*machine // by the node's name; not changed
	names    []string            // of machines, writers first
	logs     io.Writer
	trace    func(format string, args ...any)

	mu      sync.Mutex // guards what follows
	history judge.History
	faults  map[string]int
	wiped   time.Time // when a writer lost its disk last
}

// machine is where one node runs, one life after the other.
type machine struct {
	world  *world
	name   string // of the machine
	as     string // of the node that runs there: another's, of a namesake
	writer bool
	data   string
	clocks *clocks

	// node is nil while it is down. It and host belong to whoever has seized the machine.
	node *node.Node
	host *network.Host
	life atomic.Int64
	busy atomic.Bool // somebody has seized the machine
}

// root is the key of the cluster's root.
func (w *world) root() key { return key{w.layout.root.AccessKeyID, w.layout.root.SecretAccessKey, ""} }

// random is a source of choices for one actor, so that what one does depends on
// the seed and not on what the others do.
func (w *world) random(actor string) *rand.Rand {
	h := uint64(14695981039346656037)
	for _, b := range []byte(actor) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(w.plan.seed, h))
}

func newWorld(t *testing.T, p plan, l *layout, dir string) *world {
	w := &world{
		t: t, plan: p, layout: l, dir: dir, net: network.New(p.seed), begin: time.Now(), machines: map[string]*machine{},
		logs: io.Discard, faults: map[string]int{}, trace: func(string, ...any) {},
	}
	params := propagation.DefaultParams()
	w.history = judge.History{Cluster: l.cluster.ID, Window: params.Window(params.Duration)}
	rng := w.random("clocks")
	add := func(name string, writer bool) {
		w.names = append(w.names, name)
		w.machines[name] = &machine{
			world: w, name: name, as: name, writer: writer, data: filepath.Join(dir, name),
			clocks: newClocks(w.drawDrift(rng)),
		}
	}
	for _, m := range l.cluster.Writers {
		add(m.Name, true)
		w.history.Writers = append(w.history.Writers, m.Name)
	}
	for _, m := range l.cluster.Replicas[:p.replicas] {
		add(m.Name, false)
		w.history.Replicas = append(w.history.Replicas, m.Name)
	}
	w.addNamesakes()
	return w
}

// drawDrift draws rates within the bound, as often as not at one end of it.
func (w *world) drawDrift(rng *rand.Rand) func() int {
	return func() int {
		switch d := w.plan.drift; rng.IntN(4) {
		case 0:
			return d
		case 1:
			return -d
		default:
			return rng.IntN(2*d+1) - d
		}
	}
}

// now is true time since the beginning.
func (w *world) now() judge.Moment { return time.Since(w.begin) }

// note records what is wrong while the history goes on.
func (w *world) note(invariant, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history.Notes = append(w.history.Notes, judge.Violation{Invariant: invariant, Text: fmt.Sprintf("at %v: ", w.now()) + fmt.Sprintf(format, args...)})
}

// record adds to the history.
func (w *world) record(f func(*judge.History)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.history)
}

// drain is how long a node that stops lets requests finish.
const drain = time.Second

// start begins the next life of a machine's node.
func (m *machine) start() {
	w := m.world
	m.life.Add(1)
	m.host = w.net.Attach(m.name)
	m.clocks.change(func(now time.Time, each [3]*clock) { each[0].set(now, 0, each[0].drift) })
	cfg := node.Config{
		Cluster: w.layout.cluster, Name: m.as, Data: m.data, API: apiAddr(m.name), Files: setup.DefaultFiles(w.layout.dir, m.as),
		WithoutLease: w.plan.withoutLease, Drain: drain, Snapshots: w.plan.snapshots,
		Machine: node.Machine{Listen: m.host.Listen, Dial: m.host.Dial, Now: m.clocks.now, Clocks: m.clocks.read},
	}
	n, err := node.Start(context.Background(), cfg, slog.New(slog.NewTextHandler(w.logs, nil)).With("life", m.life.Load()))
	if err != nil {
		w.note("start", "%s does not start: %v", m.name, err)
		m.host.Detach(false)
		return
	}
	m.node = n
	w.trace("%s starts", m.name)
}

// stop ends the life of a machine's node as an operator does.
func (m *machine) stop() {
	if m.node == nil {
		return
	}
	m.life.Add(1) // between two lives
	m.checkSound()
	m.world.trace("%s stops", m.name)
	if err := m.node.Stop(); err != nil {
		m.world.note("stop", "%s does not stop well: %v", m.name, err)
	}
	m.host.Detach(false)
	m.node = nil
}

// crash ends it without a word of its own: nothing that it still says or writes to
// others leaves the machine. Silently, the machine itself is gone too.
func (m *machine) crash(silent bool) {
	if m.node == nil {
		return
	}
	m.life.Add(1) // between two lives
	m.checkSound()
	m.world.trace("%s crashes, silently %v", m.name, silent)
	m.host.Detach(silent)
	_ = m.node.Stop() // its network is gone: whatever it says of that is right
	m.node = nil
}

// checkSound notes a node that has given up by itself.
func (m *machine) checkSound() {
	select {
	case err := <-m.node.Failed():
		m.world.note("halted", "%s cannot go on: %v", m.name, err)
	default:
	}
}

func apiAddr(name string) string { return name + ":8420" }

// startAll starts every node, at moments of their own.
func (w *world) startAll() {
	var wg sync.WaitGroup
	rng := w.random("start")
	for _, name := range w.names {
		wait := within(rng, 0, 300*time.Millisecond)
		wg.Go(func() {
			time.Sleep(wait)
			w.machines[name].start()
		})
	}
	wg.Wait()
}

// stopAll ends the history's processes.
func (w *world) stopAll() {
	var wg sync.WaitGroup
	for _, name := range w.names {
		wg.Go(w.machines[name].stop)
	}
	wg.Wait()
}

// batches reads a writer's whole event store, which nobody has open.
func (m *machine) batches() ([]*event.Batch, error) {
	s, err := store.Open(filepath.Join(m.data, "log", log.EventsFile), store.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var list []*event.Batch
	for {
		encoded, err := s.Read(event.Position(len(list)+1), 1024, 1<<20)
		if err != nil {
			return nil, err
		}
		if len(encoded) == 0 {
			return list, nil
		}
		for _, e := range encoded {
			b, err := wire.DecodeBatch(e)
			if err != nil {
				return nil, err
			}
			list = append(list, b)
		}
	}
}

// bubble runs a history's play on a fake clock.
func bubble(t *testing.T, p plan, l *layout, dir string, play func(*world)) (w *world) {
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, p, l, dir)
		play(w)
	})
	return w
}

// pass lets time pass, which takes none outside of the bubble.
func pass(d time.Duration) { time.Sleep(d) }
