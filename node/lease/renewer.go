package lease

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// renewTimeout bounds one renewal: a replica that hears nothing asks anew.
const renewTimeout = 3 * time.Second

// gather is how long changes gather after an answer, with up to half of that on top,
// before they are reported out of turn. The leader takes reports no oftener than every
// TickEvery: one that leaves at once after a tick waits for the next all the same, and
// then knows nothing of the changes in between.
const gather = propagation.TickEvery / 2

// Renewer keeps a replica's lease: it tells the leader what the replica has
// applied, and takes in what the leader grants.
type Renewer struct {
	clocks     func() propagation.Clocks
	finder     *peer.Finder
	projection *projection.Projection
	replica    setup.Replica
	node       Node
	build      *shape.Build // that runs; nil: it is not told
	embedded   bool
	logger     *slog.Logger

	lifeFile *LifeFile // nil in tests that need none; of run's goroutine

	mu       sync.Mutex // guards lease and stopped
	lease    *propagation.Lease
	stopped  bool
	reported event.Position // by the latest renewal; of run's goroutine
	again    bool           // renew at once; of run's goroutine
	early    time.Time      // no renewal out of turn before; of run's goroutine
	news     chan struct{}  // one element: renew at once; of anybody
	held     atomic.Bool    // a lease was granted since the start
	granted  chan struct{}  // closed when held is set first
	entering bool           // the latest word was that the roster lacks this replica; of run's goroutine
	placed   string         // incarnation in whose roster its region and class are right; of run's goroutine
	// standing is the leader's latest word on this replica's place in the roster:
	// UNREGISTERED of one that was removed, DRAINING, or any other.
	standing atomic.Pointer[propagation.Kind]
	refused  atomic.Pointer[string]  // why the leader takes this replica in no more; nil: it does
	sent     atomic.Uint64           // number of the latest renewal
	verdict  atomic.Pointer[verdict] // the leader's latest; never nil
	// snapshot is what queries read; nil until the replica knows its cluster.
	snapshot atomic.Pointer[propagation.Snapshot]
}

// Node is the replica around a renewer.
type Node interface {
	// Heard is told who answered, by the term, and how far the history reaches.
	Heard(term uint64, head event.Position)
	// Endpoint is where clients reach the replica; empty: nobody knows.
	Endpoint() string
	// Certificates are those that the replica uses.
	Certificates() []shape.Certificate
	// SealKeys are the ids of the keys that the replica opens secrets by; not nil.
	SealKeys() []string
}

// Config is what a renewer is made of. All fields are required but LifeFile and Build.
type Config struct {
	// Replica is the replica, as the configuration has it.
	Replica setup.Replica
	Cluster string // its id
	// Process is the nonce of the process, which tells it from others of its name.
	Process string
	// LifeFile keeps the nonces of the processes in a directory; nil for none.
	LifeFile   *LifeFile
	Clocks     func() propagation.Clocks
	Finder     *peer.Finder
	Projection *projection.Projection
	Node       Node
	Build      *shape.Build // that the leader is told to run here
	Embedded   bool         // the leader is told that the replica is a part of somebody's process
	Logger     *slog.Logger
}

// NewRenewer returns a renewer, without a lease. What the process before held in the
// same directory is given up with the first renewal.
func NewRenewer(cfg Config) *Renewer {
	over, err := cfg.LifeFile.over()
	if err != nil {
		cfg.Logger.Warn("the leader will wait for the lease of the process before this one", "error", err)
	}
	r := &Renewer{
		clocks: cfg.Clocks, finder: cfg.Finder, projection: cfg.Projection, replica: cfg.Replica, node: cfg.Node, build: cfg.Build, embedded: cfg.Embedded, logger: cfg.Logger, lifeFile: cfg.LifeFile,
		news: make(chan struct{}, 1), granted: make(chan struct{}),
		lease: propagation.NewLease(propagation.DefaultParams(), propagation.Replica{Name: cfg.Replica.Name, Class: cfg.Replica.Class, Cluster: cfg.Cluster}, cfg.Process, over...),
	}
	r.snapshot.Store(r.lease.Snapshot())
	r.verdict.Store(&verdict{next: make(chan struct{})})
	return r
}

// Snapshot is the lease as queries read it.
func (r *Renewer) Snapshot() *propagation.Snapshot { return r.snapshot.Load() }

// Nonce is that of the life under which the replica asks.
func (r *Renewer) Nonce() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lease.Nonce()
}

// Held tells whether a lease was granted since the start.
func (r *Renewer) Held() bool { return r.held.Load() }

// Granted returns a channel that is closed once a lease was granted since the start.
func (r *Renewer) Granted() <-chan struct{} { return r.granted }

// Sent is the number of the latest renewal.
func (r *Renewer) Sent() uint64 { return r.sent.Load() }

// Refused is why the leader takes this replica in no more; empty: it does.
func (r *Renewer) Refused() string {
	if why := r.refused.Load(); why != nil {
		return *why
	}
	return ""
}

// verdict is the leader's word on one renewal.
type verdict struct {
	seq  uint64 // of the renewal
	head event.Head
	kind propagation.Kind
	next chan struct{} // closed when there is another verdict
}

// take publishes a verdict.
func (r *Renewer) take(v verdict) {
	v.next = make(chan struct{})
	close(r.verdict.Swap(&v).next)
}

// judgeTimeout bounds the wait for the leader's word on the state that is there.
const judgeTimeout = 5 * time.Second

// errForked is why a forked replica keeps its state.
var errForked = errors.New("its history is not the cluster's")

// MayReplace asks the leader about the state that is there, before it is replaced
// by a writer's. A state of another history is evidence, and stays: either this
// replica was misled, or the writers have lost what they had committed.
func (r *Renewer) MayReplace(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	before := r.sent.Load() // what was answered to these is from before
	r.Wake()
	for {
		v := r.verdict.Load()
		switch fault := r.snapshot.Load().Quarantined(); {
		case fault == propagation.KindFork:
			return errForked
		case fault != "":
			return nil // it is no use as it is
		case v.seq > before && v.head == r.projection.Head() && v.kind != propagation.KindOpen:
			return nil
		}
		select {
		case <-v.next:
		case <-ctx.Done():
			return fmt.Errorf("no leader has judged it: %w", ctx.Err())
		}
	}
}

// Wake makes the replica renew at once.
func (r *Renewer) Wake() {
	select {
	case r.news <- struct{}{}:
	default: // it is about to
	}
}

// NewNonce is 128 random bits, in hexadecimal.
func NewNonce() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Fresh looks at the lease. The view is loaded after it.
func (r *Renewer) Fresh() propagation.Freshness {
	return r.snapshot.Load().Check(r.clocks())
}

// change does something to the lease and shows queries what came of it.
func (r *Renewer) change(f func(*propagation.Lease)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.lease)
	r.snapshot.Store(r.lease.Snapshot())
}

// stepBack drops the lease and then replaces the state by another one, perhaps of
// another incarnation. No renewal tells of the old state in between.
func (r *Renewer) stepBack(incarnation string, replace func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lease.Rejoin(incarnation, NewNonce())
	r.snapshot.Store(r.lease.Snapshot())
	replace()
}

// Quarantine stops the replica from answering, and tells the leader.
func (r *Renewer) Quarantine(why propagation.Kind) {
	r.change(func(l *propagation.Lease) { l.Quarantine(why) })
	r.Wake()
}

// Run renews until ctx ends or the replica has stopped.
func (r *Renewer) Run(ctx context.Context) {
	if _, err := r.projection.Wait(ctx, 1); err != nil {
		return // before there was anything to report
	}
	for ctx.Err() == nil {
		r.mu.Lock()
		wait := r.lease.Next(r.clocks(), mathrand.Float64())
		sound, stopped := r.lease.Snapshot().Quarantined() == "", r.stopped
		r.mu.Unlock()
		if stopped {
			return
		}
		if r.Removed() {
			wait = max(wait, peer.Rest())
		}
		if r.again {
			wait, r.again = 0, false
		}
		if !r.rest(ctx, wait, sound) {
			return
		}
		r.once(ctx)
	}
}

// rest waits for the time of the next renewal, or until something was applied that
// the leader does not know of and has gathered for a while.
func (r *Renewer) rest(ctx context.Context, wait time.Duration, early bool) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		var applied <-chan struct{}
		var gathered <-chan time.Time
		if early {
			applied = r.projection.Changed()
		}
		if early && r.projection.Head().Position > r.reported {
			applied, gathered = nil, time.After(time.Until(r.early))
		}
		select {
		case <-applied:
			continue
		case <-gathered:
		case <-timer.C:
		case <-r.news:
		case <-ctx.Done():
		}
		return ctx.Err() == nil
	}
}

// begin records the nonce of the life that is about to ask, and returns it.
func (r *Renewer) begin() string {
	nonce := r.Nonce()
	if err := r.lifeFile.begin(nonce); err != nil {
		r.logger.Warn("after a crash of this replica the leader will wait for its lease", "error", err)
	}
	return nonce
}

// once sends one renewal and takes in the answer.
func (r *Renewer) once(ctx context.Context) {
	var q propagation.Renewal
	nonce, asks := r.begin(), false
	r.change(func(l *propagation.Lease) {
		if asks = !r.stopped && l.Nonce() == nonce; !asks {
			return
		}
		v := r.projection.View() // under the lock: the state does not step back meanwhile
		q = l.Renew(r.clocks(), propagation.Applied{Head: v.Head, State: StateHash(v.State.Digest()), Level: identity.FeatureLevel})
	})
	if !asks {
		r.again = true // under the nonce that is in force now
		return
	}
	r.reported = q.Position
	r.sent.Store(q.Seq)
	defer func() { r.early = time.Now().Add(gather + mathrand.N(gather/2)) }()
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	var a propagation.Answer
	told := Told{Endpoint: r.node.Endpoint(), Certificates: r.node.Certificates(), SealKeys: r.node.SealKeys(), Build: r.build, Embedded: r.embedded}
	if err := r.finder.Post(ctx, Path, Renewal{q, told}, &a); err != nil {
		r.barred(err)
		r.logger.Debug("the lease was not renewed", "error", err)
		return
	}
	r.change(func(l *propagation.Lease) { l.Receive(r.clocks(), a) })
	r.node.Heard(a.Term, r.snapshot.Load().Head())
	if a.Kind != propagation.KindNotLeader && a.Kind != propagation.KindBusy {
		r.take(verdict{seq: q.Seq, head: event.Head{Position: q.Position, Hash: q.Hash}, kind: a.Kind})
	}
	r.refuse(a)
	switch a.Kind {
	case propagation.KindOpen, propagation.KindGrant, propagation.KindBehind, propagation.KindDraining:
		r.entering = false
		r.standing.Store(&a.Kind)
		if a.Kind == propagation.KindGrant {
			if !r.held.Swap(true) {
				close(r.granted)
			}
			r.move(ctx, q.Incarnation)
		}
	case propagation.KindUnregistered:
		r.rejoin(ctx)
	case propagation.KindFork, propagation.KindDiverged, propagation.KindWrongIncarnation:
		if q.Fault != "" {
			return // as it knew
		}
		r.logger.Error("this replica is quarantined and answers nothing", "kind", a.Kind, "reason", a.Reason)
	}
}

// refuse notes why the leader takes this replica in no more: too many processes of
// its name hold leases, or may.
func (r *Renewer) refuse(a propagation.Answer) {
	switch {
	case a.Kind == propagation.KindBusy && a.Head.Position > 0: // said after a fence, so of this replica
		if r.refused.Swap(&a.Reason) == nil {
			r.logger.Warn("this replica gets no lease", "reason", a.Reason)
		}
	case a.Kind != propagation.KindBusy && a.Kind != propagation.KindNotLeader:
		r.refused.Store(nil)
	}
}

// stopTimeout bounds how long a replica that stops tries to tell the leader. If it
// fails, the leader waits until the lease would have run out.
const stopTimeout = time.Second

// StateHash is a digest as the lease protocol carries it.
func StateHash(d digest.Sum) (h event.Hash) {
	binary.BigEndian.PutUint64(h[0:], d[0])
	binary.BigEndian.PutUint64(h[8:], d[1])
	return h
}

// StrictHead asks the leader for a head that is current after the call.
func (r *Renewer) StrictHead(ctx context.Context) (event.Head, error) {
	var q propagation.Read
	r.change(func(l *propagation.Lease) { q = l.Read(r.clocks()) })
	var a propagation.Answer
	if err := r.finder.Post(ctx, HeadPath, q, &a); err != nil {
		return event.Head{}, err
	}
	if a.Kind != propagation.KindHead || a.Cluster != q.Cluster || a.Incarnation != q.Incarnation {
		return event.Head{}, fmt.Errorf("the leader of cluster %s, incarnation %q, answers %s", a.Cluster, a.Incarnation, a.Kind)
	}
	r.change(func(l *propagation.Lease) { l.Receive(r.clocks(), a) })
	return a.Head, nil
}

// Stop drops the lease for good, and tells the leader, who then need not wait for it
// to run out. Nobody asks this replica any more.
func (r *Renewer) Stop() {
	r.mu.Lock()
	r.stopped = true
	last, ok := r.lease.Stop()
	r.snapshot.Store(r.lease.Snapshot())
	r.mu.Unlock()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var a propagation.Answer
	err := r.finder.Post(ctx, Path, Renewal{Renewal: last}, &a)
	if err == nil && a.Kind != propagation.KindEnded {
		err = fmt.Errorf("the leader answers %s", a.Kind)
	}
	if err != nil {
		r.logger.Info("the leader was not told that this replica stops; it waits until the lease would have run out", slog.Any("error", err))
	}
}
