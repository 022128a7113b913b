package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
)

// The cluster that is put to the test.
const (
	writers  = 3
	replicas = 3
	spares   = 2
	// firstNumber is the last number of the first node's address; all nodes are in the
	// sixteen from it on.
	firstNumber = 16
	// diskSize of a node, in MiB: room for an hour's log, and little enough for a
	// machine's memory.
	diskSize = 2048
	// readyLimit bounds the start of the whole cluster.
	readyLimit = 90 * time.Second
	pollEvery  = 250 * time.Millisecond
	// pollLimit bounds one poll: a writer asks the others, which may be silent.
	pollLimit = 1500 * time.Millisecond
	// leaderMemory is how old the leader's latest word may be.
	leaderMemory = 2 * time.Second
)

// Names of ports, as `writ init` numbers them.
const (
	portAPI    = 8420
	portPeer   = 8430
	portBroker = 8431
	portRoutes = 8432
)

// lab is the cluster and what it stands on.
type lab struct {
	dir, layout         string
	binary, clockBinary string
	other               string // a second build of writ; empty: all nodes run the one
	net                 *network
	spawn               *spawner
	judge               *judge
	cluster             setup.Cluster
	root                setup.RootKey
	members             []*member      // the cluster's
	namesakes           []*member      // places for second processes of the replicas, in their order
	spares              []*member      // places for more writers
	elsewhere           []*member      // places for writers that move, in their order
	nats                *server.Server // outside; nil where writers embed theirs
	watching            sync.WaitGroup // of processes
	ending              atomic.Bool    // nothing is started any more

	mu    sync.Mutex // guards polls
	polls map[string]poll
}

// poll is what a writer said of itself.
type poll struct {
	at    time.Duration
	leads bool
	term  uint64
	own   *client.Cluster
}

// newLab lays a cluster out; nothing runs yet.
func newLab(ctx context.Context, cfg Config, j *judge) (_ *lab, err error) {
	l := &lab{dir: cfg.Dir, layout: filepath.Join(cfg.Dir, "layout"), judge: j, polls: map[string]poll{}, other: cfg.Other}
	bin := filepath.Join(cfg.Dir, "bin")
	if l.binary = cfg.Binary; l.binary == "" {
		l.binary = filepath.Join(bin, "writ")
		if err := build(ctx, cfg.Root, "./cmd/writ", l.binary); err != nil {
			return nil, err
		}
	}
	l.clockBinary = filepath.Join(bin, "clocknode")
	if err := build(ctx, cfg.Root, "./test/chaos/clocknode", l.clockBinary); err != nil {
		return nil, err
	}
	if l.net, err = newNetwork(ctx, cfg.Isolate); err != nil {
		return nil, err
	}
	l.spawn = newSpawner()
	defer func() {
		if err != nil {
			err = errors.Join(err, l.net.remove(ctx))
			l.spawn.stop()
			l.stopNATS()
		}
	}()
	var c setup.Cluster
	c.Account = setup.DefaultAccount
	if c.NATS, err = l.startNATS(cfg.OutsideNATS); err != nil {
		return nil, err
	}
	for i := range writers + replicas {
		m := l.place(fmt.Sprintf("w%d", i+1), i)
		m.writer = i < writers
		if !m.writer {
			name := fmt.Sprintf("r%d", i-writers+1)
			m = l.place(name, i)
			second := l.place(name+"b", i+replicas)
			second.as = name
			l.namesakes = append(l.namesakes, second)
		}
		m.clocked = l.other == "" && (m.name == clockedWriter || m.name == clockedReplica)
		l.members = append(l.members, m)
		if !m.writer {
			c.Replicas = append(c.Replicas, setup.Replica{Name: m.name, Region: []string{"eu", "us"}[i%2]})
			continue
		}
		w, err := setup.Writer{Name: m.name, Peer: fmt.Sprintf("%s:%d", m.addr, portPeer)}.Complete()
		if err != nil {
			return nil, err
		}
		c.Writers = append(c.Writers, w)
	}
	l.roomForMore()
	if l.cluster, l.root, err = setup.Init(l.layout, c, setup.RootKey{}, time.Now()); err != nil {
		return nil, err
	}
	for _, m := range l.places() {
		if err := errors.Join(l.net.join(ctx, m.name, m.number), l.net.disk(ctx, m.name, m.dir, diskSize)); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// roomForMore makes places for writers that join, and for those that move.
func (l *lab) roomForMore() {
	for i := range spares {
		m := l.place(fmt.Sprintf("w%d", writers+i+1), writers+2*replicas+i)
		m.writer = true
		l.spares = append(l.spares, m)
	}
	for i := range writers {
		m := l.place(fmt.Sprintf("w%d-moved", i+1), writers+2*replicas+spares+i)
		m.as, m.writer, m.layout = l.members[i].name, true, filepath.Join(l.layout, "moved")
		l.elsewhere = append(l.elsewhere, m)
	}
}

// Members whose clocks the rig sets.
const (
	clockedWriter  = "w3"
	clockedReplica = "r3"
)

// place makes a place for a process, whose address is the i-th of those of the nodes.
func (l *lab) place(name string, i int) *member {
	m := &member{name: name, as: name, number: firstNumber + i, lab: l, other: l.other != ""}
	m.addr = l.net.host(m.number)
	m.url = fmt.Sprintf("http://%s:%d", m.addr, portAPI)
	m.dir, m.logFile = filepath.Join(l.dir, "data", name), filepath.Join(l.dir, name+".log")
	return m
}

// places are all that a process may run in: the cluster's nodes, their namesakes, and spare ones.
func (l *lab) places() []*member { return slices.Concat(l.members, l.namesakes, l.spares, l.elsewhere) }

// namesake is the place for a second process of a replica.
func (l *lab) namesake(of *member) *member {
	for _, m := range l.namesakes {
		if m.as == of.name {
			return m
		}
	}
	return nil
}

// member returns the node of that name, or the namesake in the place of that name.
func (l *lab) member(name string) *member {
	for _, m := range l.places() {
		if m.name == name {
			return m
		}
	}
	return nil
}

// some returns the writers or the replicas.
func (l *lab) some(writer bool) (list []*member) {
	for _, m := range l.members {
		if m.writer == writer {
			list = append(list, m)
		}
	}
	return list
}

// followers are all places of replicas' processes.
func (l *lab) followers() []*member { return slices.Concat(l.some(false), l.namesakes) }

// start starts every node and waits until all are ready.
func (l *lab) start(ctx context.Context) error {
	for _, m := range l.members {
		if err := m.start(); err != nil {
			return err
		}
	}
	limit, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for _, m := range l.members {
		for !m.ready(limit) {
			if !pause(limit, 100*time.Millisecond) {
				return fmt.Errorf("%s is not ready after %v: %s", m.name, readyLimit, lastWord(m.logFile))
			}
		}
	}
	return nil
}

// stop ends every node as an operator does, then the network.
func (l *lab) stop(ctx context.Context) error {
	l.ending.Store(true)
	var wg sync.WaitGroup
	all := l.places()
	errs := make([]error, len(all))
	for i, m := range all {
		wg.Go(func() { errs[i] = m.stop(ctx) })
	}
	wg.Wait()
	l.watching.Wait()
	return errors.Join(errs...)
}

// keep copies the disks beside where they are mounted, so that they outlive the rig.
func (l *lab) keep(ctx context.Context) error {
	if !l.net.isolated {
		return nil
	}
	return commands(ctx, "cp -a "+filepath.Join(l.dir, "data")+" "+filepath.Join(l.dir, "kept"))
}

// close ends what is left and takes the network down.
func (l *lab) close(ctx context.Context) error {
	l.ending.Store(true)
	for _, m := range l.places() {
		_ = m.kill() // it has none, mostly
	}
	l.watching.Wait()
	l.spawn.stop()
	l.stopNATS()
	return l.net.remove(ctx)
}

// ready asks a node whether it is.
func (m *member) ready(ctx context.Context) bool {
	_, ok := m.readyz(ctx)
	return ok
}

// readyz returns the lines of /readyz.
func (m *member) readyz(ctx context.Context) (string, bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+"/readyz?verbose", nil)
	if err != nil {
		return err.Error(), false
	}
	answer, err := plainHTTP.Do(r)
	if err != nil {
		return err.Error(), false
	}
	defer answer.Body.Close()
	return readText(answer.Body), answer.StatusCode == http.StatusOK
}

// watch polls every node until ctx ends: who leads, and what each holds.
func (l *lab) watch(ctx context.Context) {
	var wg sync.WaitGroup
	for _, m := range l.places() {
		wg.Go(func() {
			for pause(ctx, pollEvery) {
				l.poll(ctx, m)
			}
		})
	}
	wg.Wait()
}

// poll asks a node what it holds and, if it is a writer, whether it leads.
func (l *lab) poll(ctx context.Context, m *member) {
	sent := l.judge.now()
	own, err := l.local(ctx, m)
	if err != nil {
		return
	}
	l.judge.holds(m.name, own)
	if !m.writer {
		return
	}
	p := poll{at: sent, leads: own.Leader == m.as, term: own.Term, own: own}
	l.mu.Lock()
	l.polls[m.name] = p
	l.mu.Unlock()
	if p.leads {
		l.judge.led(sent, l.judge.now(), m.name, p.term)
	}
}

// local asks a node what it has, whoever leads.
func (l *lab) local(ctx context.Context, m *member) (*client.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	a, err := l.caller().get(ctx, m.url+"/v1/cluster?local", "any")
	if err != nil {
		return nil, err
	}
	var c client.Cluster
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d: %s", m.name, a.status, a.body)
	}
	if err := json.Unmarshal(a.body, &c); err != nil {
		return nil, fmt.Errorf("decode the answer of %s: %w", m.name, err)
	}
	return &c, nil
}

// caller signs with the root's key.
func (l *lab) caller() *caller { return newCaller(l.root.AccessKeyID, l.root.SecretAccessKey) }

// leader is the writer that said last that it leads, if it said so lately.
func (l *lab) leader() (m *member, term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.judge.now()
	for name, p := range l.polls {
		if p.leads && now-p.at < leaderMemory && p.term > term {
			m, term = l.member(name), p.term
		}
	}
	return m, term
}

// whole tells whether all writers vote and are near the head, as the leader sees it.
func (l *lab) whole(ctx context.Context) error {
	m, _ := l.leader()
	if m == nil {
		return errors.New("nobody leads")
	}
	s, err := l.local(ctx, m)
	if err != nil {
		return err
	}
	var bad []string
	for _, other := range s.Members {
		if other.Role == "writer" && (other.Lag > 50 || other.State != "voting" && other.State != "leading") {
			bad = append(bad, fmt.Sprintf("%s is %s, %d behind", other.Name, other.State, other.Lag))
		}
	}
	if s.Leader == "" || len(bad) > 0 {
		return errors.New("not whole: " + strings.Join(bad, ", "))
	}
	return nil
}

// settled tells whether all nodes are at the head with one state, and all replicas
// hold leases.
func (l *lab) settled(ctx context.Context) error {
	if err := l.whole(ctx); err != nil {
		return err
	}
	m, _ := l.leader()
	if m == nil {
		return errors.New("nobody leads")
	}
	s, err := l.local(ctx, m)
	if err != nil {
		return err
	}
	leased := 0
	for _, r := range s.Members {
		if r.Role == "replica" && r.State == "leased" {
			leased++
		}
	}
	if leased != replicas {
		return fmt.Errorf("%d of %d replicas hold leases: %+v", leased, replicas, s.Members)
	}
	for _, m := range l.members {
		own, err := l.local(ctx, m)
		if err != nil {
			return err
		}
		if own.Position != s.Position || own.Digest != s.Digest || own.Hash != s.Hash {
			return fmt.Errorf("%s is at %d with %s, the leader at %d with %s", m.name, own.Position, own.Digest, s.Position, s.Digest)
		}
	}
	return nil
}

// pause waits; false says that ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// clearDir removes what is in a directory, and not the directory, which may be a mount.
func clearDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("clear %s: %w", dir, err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("clear %s: %w", dir, err)
		}
	}
	return nil
}
