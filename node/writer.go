package node

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/node/archive"
	"github.com/writ-iam/writ/node/ask"
	"github.com/writ-iam/writ/node/changes"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/lease"
	"github.com/writ-iam/writ/node/measure"
	"github.com/writ-iam/writ/node/past"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/proof"
	"github.com/writ-iam/writ/node/quorum"
	"github.com/writ-iam/writ/node/report"
	"github.com/writ-iam/writ/node/retention"
	"github.com/writ-iam/writ/node/sealing"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication"
	"github.com/writ-iam/writ/replication/broker"
	"github.com/writ-iam/writ/replication/propagation"
)

// aloneTimeout is how long a writer without others waits before it elects itself:
// there is nobody to hear from.
const aloneTimeout = 100 * time.Millisecond

// writer is the part of a node that votes in the log.
type writer struct {
	node   *Node
	me     setup.Writer
	log    *log.Log
	alone  bool // it began as the only writer
	port   *peer.Port
	peers  *peerServer
	broker *broker.Broker    // nil where NATS runs outside, or not at all
	link   *replication.Link // of the publisher; nil without NATS

	recent *changes.Recent // that watchers asked for

	expelled chan struct{} // capacity 1: connections to the broker were closed, and their consumers may be left

	// leading is this writer's leadership; nil while it does not lead.
	leading atomic.Pointer[leadership]
	roster  struct {
		sync.Mutex
		last *propagation.Roster
	}
	alarm   atomic.Pointer[error] // memory that changed under our feet
	quorum  *quorum.Keeper
	backups *archive.Keeper // nil where it makes none by itself
	spread  *measure.Spread // of positions, while this writer leads

	counter sealing.Counter // of secrets, for those who ask

	retention retention.Keeper

	prover   *proof.Prover   // of its log
	verifier *proof.Verifier // compares the nodes, while this writer leads
}

func (n *Node) startWriter(ctx context.Context) (_ *writer, err error) {
	me, _ := n.cfg.Cluster.Writer(n.cfg.Name)
	w := &writer{node: n, me: me, recent: &changes.Recent{}, expelled: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			n.cancel()
			err = errors.Join(err, w.stop())
		}
	}()
	if w.port, err = peer.Listen(network{n.cfg.Machine}, setup.ListenAddr(n.cfg.PeerListen, me.Peer), n.tls, n.files); err != nil {
		return nil, err
	}
	cfg := log.Config{
		Dir: filepath.Join(n.cfg.Data, "log"), Advertise: me.Peer, Cluster: n.cfg.Cluster.ID,
		Stream: w.port.Raft(), Backfill: n.backfill, Logger: n.logger, Meter: measure.NewLog(n.registry),
		SnapshotInterval: n.cfg.Snapshots.Interval, SnapshotThreshold: n.cfg.Snapshots.Every, TrailingLogs: n.cfg.Snapshots.Keep,
	}
	if w.alone = len(n.tls.Writers().Writers()) == 1; w.alone {
		cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout = aloneTimeout, aloneTimeout, aloneTimeout
	}
	if w.log, err = log.Open(cfg); err != nil {
		return nil, err
	}
	n.finder.Follow(w.log)
	n.learnWriters(w.log.Applied().State)
	w.quorum = quorum.New(quorum.Config{Me: me, Cluster: n.cfg.Cluster, Log: w.log, Finder: n.finder, Keys: n.keys, Node: w, Build: n.build, HoldLevel: n.cfg.HoldLevel, Logger: n.logger})
	n.tls.RevokedBy(w)
	w.prover = proof.NewProver(w.log)
	w.verifier = &proof.Verifier{Name: me.Name, Writers: n.tls.Writers(), Prover: w.prover, Finder: n.finder}
	if err = w.adopt(); err != nil {
		return nil, err
	}
	n.wg.Go(w.follow)
	history := n.keepPast(w.log)
	edge := n.buildEdge(api.Node{Log: w, Heads: w, Lease: w, Tracker: w, History: w, Chain: w, Backups: w.live(), Past: history, Notary: w, Voters: w.quorum, Sealing: w, Condition: w})
	w.peers = servePeers(w, edge)
	if err := w.startBroker(ctx); err != nil {
		return nil, err
	}
	n.wg.Go(func() { w.guard(n.ctx) })
	n.wg.Go(func() { w.sweep(n.ctx) })
	if err := w.keepBackups(); err != nil {
		return nil, err
	}
	w.retain()
	w.quorum.Observe(n.registry)
	measure.Writer(n.registry, w.log, w)
	measure.Replicas(n.registry, w, n.projection)
	w.spread = measure.NewSpread(n.registry)
	n.wg.Go(w.watch)
	n.wg.Go(func() {
		if err := w.quorum.Join(n.ctx); err != nil {
			n.fail(err)
		}
	})
	n.wg.Go(func() { w.quorum.WatchOthers(n.ctx) })
	n.wg.Go(func() { n.teller(w).Run(n.ctx) })
	n.wg.Go(func() { n.scrubber.Run(n.ctx, propagation.DefaultParams().Lease(""), w.unsound) })
	return w, nil
}

// keepPast keeps states of past positions until the node stops, and makes views of such.
func (n *Node) keepPast(l *log.Log) *past.History {
	k := &past.Keeper{Log: l, Dir: filepath.Join(n.cfg.Data, "past"), Rule: n.cfg.Past, Logger: n.logger}
	h := past.NewHistory(l, k, n.cfg.Machine.Now, n.logger)
	n.wg.Go(func() { k.Run(n.ctx) })
	n.wg.Go(func() { h.Sweep(n.ctx) })
	return h
}

// retain trims the event store by what the log says is dropped, until the node stops.
func (w *writer) retain() {
	n := w.node
	w.retention = retention.Keeper{Log: w.log, Every: n.cfg.RetentionEvery, Logger: n.logger}
	n.wg.Go(func() {
		if err := w.retention.Trim(n.ctx); err != nil {
			n.fail(err)
		}
	})
}

// Outlived ends this writer.
func (w *writer) Outlived(err error) { w.node.fail(err) }

// unsound is called when a record in memory is not what was put there. The writer
// answers nothing from then on, and ends: its log and its snapshots on disk are
// checked by hashes of their own when it starts again.
func (w *writer) unsound() {
	err := fmt.Errorf("%w: a record in memory changed", log.ErrDiverged)
	if w.alarm.CompareAndSwap(nil, &err) {
		w.node.fail(err)
	}
}

// Sound is false once a record in memory changed.
func (w *writer) Sound() bool { return w.alarm.Load() == nil }

// Replicas tells about all replicas, if this writer leads.
func (w *writer) Replicas() []propagation.ReplicaStatus {
	if t := w.leading.Load(); t != nil {
		return t.Tracker.Replicas()
	}
	return nil
}

// Fresh is nothing: a writer has no lease. Its reads are strict, or at a token, or
// say that nobody knows how old they are. One that is not sound gives none.
func (w *writer) Fresh() propagation.Freshness {
	var s *propagation.Snapshot
	if w.alarm.Load() != nil {
		l := propagation.NewLease(propagation.DefaultParams(), propagation.Replica{}, "")
		l.Quarantine(propagation.KindDiverged)
		s = l.Snapshot()
	}
	return s.Check(w.node.clocks())
}

// startBroker starts the embedded NATS server, unless an outside one is used, and
// the link by which this writer publishes.
func (w *writer) startBroker(ctx context.Context) (err error) {
	n := w.node
	if n.cfg.Cluster.NATS == setup.NoNATS {
		return nil
	}
	link := replication.LinkConfig{}
	if n.cfg.Cluster.NATS == "" {
		cfg := broker.Config{
			Name: n.cfg.Name, Cluster: n.cfg.Cluster.ID, Dir: filepath.Join(n.cfg.Data, "broker"),
			ClientAddr: setup.ListenAddr(n.cfg.BrokerListen, w.me.Broker), ClientTLS: n.tls.TLS(peer.ID{Role: setup.RoleReplica}), Logger: n.logger,
			Admits:      func(cert *x509.Certificate) bool { return w.belongs(peer.Of(cert)) == nil && !n.tls.Revoked(cert) },
			Consumers:   replication.ConsumerNames,
			Connections: min(broker.MaxConnections, n.files/peer.BrokerPart),
		}
		if writers := n.tls.Writers().Writers(); len(writers) > 1 {
			cfg.RouteAddr = setup.ListenAddr(n.cfg.RoutesListen, w.me.Routes)
			cfg.RouteTLS = n.tls.TLS(peer.ID{Role: setup.RoleWriter})
			for _, other := range writers {
				if other.Routes != "" {
					cfg.Routes = append(cfg.Routes, other.Routes)
				}
			}
		}
		if w.broker, err = broker.Start(ctx, cfg); err != nil {
			return err
		}
		link.InProcess = w.broker
		link.User, link.Password = w.broker.Credentials()
	}
	if w.link, err = n.dialNATS(link); err != nil {
		return err
	}
	measure.NATS(n.registry, w.link)
	if w.broker == nil {
		return nil
	}
	return w.link.ServeConsumers(broker.ConsumerRequests)
}

// adopt shows what the state machine has reached, unless that is of another partition than
// the node's.
func (w *writer) adopt() error {
	a := w.log.Applied()
	if a.Head.Position == 0 || a.Head == w.node.projection.Head() {
		return nil
	}
	err := w.node.admits(a.State)
	if err == nil {
		w.node.projection.Adopt(a.State, a.Head)
	}
	return err
}

// follow adopts every state until the node stops.
func (w *writer) follow() {
	for {
		changed := w.log.Changed()
		if w.adopt() != nil {
			return
		}
		select {
		case <-changed:
		case <-w.node.ctx.Done():
			return
		}
	}
}

// watch leads when this writer is elected, and reports when the log fails.
func (w *writer) watch() {
	n := w.node
	for {
		select {
		case term := <-w.log.Leadership():
			w.lead(term)
		case <-w.log.Failed():
			n.fail(w.log.Err())
			return
		case <-n.ctx.Done():
			return
		}
	}
}

// leadership is one term of this writer's leadership.
type leadership struct {
	*lease.Tracker
	tasks *ask.Tasks // to the replicas
}

// run tracks the replicas until ctx, which is that of the term, ends.
func (l *leadership) run(ctx context.Context) {
	defer l.tasks.End()
	l.Tracker.Run(ctx)
}

// lead does what the leader does, until the term ends.
func (w *writer) lead(term log.Leadership) {
	n := w.node
	ctx, cancel := context.WithCancel(term.Context)
	defer cancel()
	stop := context.AfterFunc(n.ctx, cancel)
	defer stop()
	if err := w.bootstrap(ctx); err != nil {
		n.logger.Error("the cluster could not be begun", "error", err)
		if ctx.Err() == nil {
			n.fail(err)
		}
		return
	}
	// Clients see here at least what earlier leaders showed them.
	if _, err := n.projection.Wait(ctx, w.log.Applied().Head.Position); err != nil {
		return
	}
	c := w.log.Applied().State.Cluster()
	t := &leadership{tasks: ask.NewTasks(term.Term, c.Incarnation)}
	t.Tracker = lease.NewTracker(propagation.DefaultParams(), c, term.Term, n.clocks, leaderLog{w})
	var wg sync.WaitGroup
	wg.Go(func() { t.run(ctx) })
	wg.Go(func() { w.publish(ctx) })
	wg.Go(func() { report.Run(ctx, published{w}, n.cfg.Machine.Now, n.logger) })
	wg.Go(func() { n.edge.RotateKeys(ctx, n.cfg.SessionKeyAge, n.cfg.IssuerKeyAge) })
	wg.Go(func() { t.Raise(ctx, w, n.logger) })
	wg.Go(func() { w.quorum.Watch(ctx) })
	wg.Go(func() {
		(&sealing.Resealer{Log: published{w}, Keys: n.keys, Logger: n.logger}).Run(ctx)
	})
	wg.Go(func() { w.spread.Run(ctx, w.log, t) })
	wg.Go(func() { w.retention.Lead(ctx, w, n.cfg.Machine.Now) })
	w.leading.Store(t)
	n.finder.Learn(w.me.Peer)
	n.logger.Info("this writer leads", "term", term.Term, "position", w.log.Applied().Head.Position)
	<-ctx.Done()
	w.leading.Store(nil)
	wg.Wait()
	n.logger.Info("this writer leads no more", "term", term.Term)
}

// publish keeps the stream filled while this writer leads, from when there is a
// replica to follow it: without one, or without NATS, nothing is fanned out.
func (w *writer) publish(ctx context.Context) {
	if w.link == nil {
		return
	}
	for {
		changed := w.log.Changed()
		if s := w.log.Applied().State; s.Cluster().RosterChanged > 0 && len(s.Replicas()) > 0 {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
	replicas := 1
	if len(w.node.tls.Writers().Writers()) >= 3 && w.node.cfg.Cluster.NATS == "" {
		replicas = 3
	}
	p := replication.NewPublisher(replication.PublisherConfig{
		Link: w.link, Events: w.log.Events(), Log: published{w}, Signer: published{w}, Tracer: w.node.tracer, Copies: replicas, Logger: w.node.logger,
	})
	if err := p.Run(ctx); ctx.Err() == nil {
		w.node.logger.Error("the publisher ended; replicas follow over HTTP", "error", err)
	}
}

// published is a writer as its publisher sees it.
type published struct{ *writer }

// Changed tells when the log has more.
func (w published) Changed() <-chan struct{} { return w.log.Changed() }

// Cluster is what the state says of the cluster.
func (w published) Cluster() identity.Cluster { return w.log.Applied().State.Cluster() }

// State is what the log has come to.
func (w published) State() *identity.State { return w.log.Applied().State }

// Store puts a part of a credential report into the log.
func (w published) Store(ctx context.Context, part *identity.StoreCredentialReport) error {
	return w.propose(ctx, randomKey(), part)
}

// RaiseGeneration asks the log for a stream of the next generation.
func (w published) RaiseGeneration(ctx context.Context, from uint32) error {
	return w.propose(ctx, randomKey(), &identity.RaiseStreamGeneration{From: from})
}

// Sign vouches for a batch that is committed.
func (w published) Sign(b *event.SignedBatch) error { return proof.SignBatch(w.node.tls, b) }

// propose puts a command of the cluster's own into the log. Commands with one key
// take effect at most once.
func (w *writer) propose(ctx context.Context, key identity.Key, c identity.Command) error {
	_, err := w.log.Propose(ctx, event.Command{
		Cause: event.Cause{Meta: identity.Meta{Time: identity.Time(w.node.cfg.Machine.Now().UnixMilli()), Key: key}}, Content: c,
	})
	return err
}

// Maintain proposes a command of the cluster's own, once.
func (w *writer) Maintain(ctx context.Context, c identity.Command) error {
	return w.propose(ctx, randomKey(), c)
}

// view is the tracker's view of an applied state.
func (w *writer) view(a *log.Applied) propagation.Shown {
	w.roster.Lock()
	defer w.roster.Unlock()
	w.roster.last = lease.RosterOf(a.State, w.roster.last)
	return propagation.Shown{Head: a.Head, Floor: a.Floor, Level: a.State.Cluster().FeatureLevel, Roster: w.roster.last, Lives: a.Lives}
}

// leaderLog is the log as a tracker needs it.
type leaderLog struct{ w *writer }

var _ lease.Log = leaderLog{}

// Observe is the state that the writer has applied.
func (l leaderLog) Observe() propagation.Shown { return l.w.view(l.w.log.Applied()) }

// Commit commits a fence.
func (l leaderLog) Commit(ctx context.Context, f propagation.Fence) (uint64, propagation.Shown, error) {
	a, err := l.w.log.Fence(ctx, wire.Fence{
		Term: f.Term, Head: f.Head, Floor: f.Floor, Opened: f.Opened, Dropped: f.Dropped, Complete: f.Complete,
	})
	if err != nil {
		return 0, propagation.Shown{}, err
	}
	return a.Term, l.w.view(a), nil
}

// Hashes is what the log says of a position.
func (l leaderLog) Hashes(at event.Position) (propagation.Hashes, bool) {
	if a := l.w.log.Applied(); a.Head.Position == at {
		return propagation.Hashes{Hash: a.Head.Hash, State: lease.StateHash(a.State.Digest())}, true
	}
	b, err := l.w.prover.Batch(at)
	if err != nil {
		return propagation.Hashes{}, false
	}
	return propagation.Hashes{Hash: b.Hash, State: lease.StateHash(b.State)}, true
}

// Leads tells whether this writer leads.
func (w *writer) Leads() bool { return w.leading.Load() != nil }

// Propose proposes a client's command, in the edge's terms.
func (w *writer) Propose(ctx context.Context, c event.Command) (*event.Batch, error) {
	p := w.node.tracer.Propose(ctx, c.Cause.Key)
	o, err := w.log.Propose(ctx, c)
	p.Done(o, err)
	var notLeader *log.NotLeaderError
	switch {
	case err == nil:
		return o.Batch, nil
	case errors.As(err, &notLeader):
		w.node.finder.Forget(w.me.Peer)
		return nil, fmt.Errorf("%w: %w", dispatch.ErrNotLeader, err)
	case errors.Is(err, log.ErrOutcomeUnknown):
		return nil, fmt.Errorf("%w: %w", dispatch.ErrOutcomeUnknown, err)
	case errors.Is(err, log.ErrBusy), errors.Is(err, log.ErrDiskFull):
		return nil, fmt.Errorf("%w: %w", dispatch.ErrOverloaded, err)
	case errors.Is(err, wire.ErrTooLarge):
		return nil, fmt.Errorf("%w: %w", dispatch.ErrTooLarge, err)
	case errors.Is(err, log.ErrStopped):
		return nil, fmt.Errorf("%w: %w", dispatch.ErrNotLeader, err)
	}
	return nil, retention.Refusal(err)
}

// StrictHead returns a head that was current after the call: proved here by the
// leader, asked of it elsewhere.
func (w *writer) StrictHead(ctx context.Context) (event.Head, error) {
	if w.leading.Load() != nil {
		if len(w.log.Servers()) == 1 {
			return w.log.Applied().Head, nil // nobody else can have committed anything
		}
		head, err := w.log.StrictHead(ctx)
		var notLeader *log.NotLeaderError
		if !errors.As(err, &notLeader) {
			return head, err
		}
	}
	var a propagation.Answer
	if err := w.node.finder.Post(ctx, lease.HeadPath, propagation.Read{}, &a); err != nil {
		return event.Head{}, err
	}
	if a.Kind != propagation.KindHead || a.Cluster != w.node.cfg.Cluster.ID {
		return event.Head{}, fmt.Errorf("the leader of cluster %s answers %s", a.Cluster, a.Kind)
	}
	return a.Head, nil
}

// Everywhere says how far a position has come, if this writer leads.
func (w *writer) Everywhere(ctx context.Context, at event.Position, scope propagation.Scope, wait time.Duration) (propagation.Status, error) {
	t := w.leading.Load()
	if t == nil {
		return propagation.Status{}, dispatch.ErrNotLeader
	}
	s, err := t.Everywhere(ctx, at, scope, wait)
	if errors.Is(err, peer.ErrNotLeader) {
		return s, dispatch.ErrNotLeader
	}
	if err == nil && s.State == propagation.StateEverywhere {
		w.node.tracer.Everywhere(ctx, at)
	}
	return s, err
}

// retire hands leadership over, so that writes go on elsewhere while this node
// lets its requests finish.
func (w *writer) retire(ctx context.Context) {
	if w.log.IsLeader() && len(w.log.Servers()) > 1 {
		if err := w.log.TransferLeadership(ctx); err != nil {
			w.node.logger.Warn("leadership was not handed over; the others will elect", "error", err)
		}
	}
}

// stop ends what the writer started: those who use the log and the broker before
// these, the port last.
func (w *writer) stop() error {
	n := w.node
	var err error
	if w.peers != nil {
		w.peers.stop()
	}
	n.wg.Wait()
	if w.link != nil {
		w.link.Close()
	}
	if w.broker != nil {
		w.broker.Stop()
	}
	if w.log != nil {
		ctx, cancel := context.WithTimeout(context.Background(), max(n.cfg.Drain, time.Second))
		defer cancel()
		err = w.log.Close(ctx)
	}
	if w.port != nil {
		err = errors.Join(err, w.port.Close())
	}
	return err
}

// backfill fetches batches that this writer's store lacks from the others.
func (n *Node) backfill(ctx context.Context, from, to event.Position, yield func([]byte) error) error {
	batches, err := n.source().Fetch(ctx, identity.Cluster{ID: n.cfg.Cluster.ID}, from, to)
	if err != nil {
		return err
	}
	for _, b := range batches {
		if err := yield(b); err != nil {
			return err
		}
	}
	return nil
}
