package replication

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/replication/tail"
)

// Limits of a Follower.
const (
	// maxFailures of the tail in a row lead to a snapshot.
	maxFailures = 3
	// tailWait is how long a writer is asked to wait at its head.
	tailWait = 5 * time.Second
	// minHold and maxHold bound how long a stream that disappointed is left alone;
	// the time doubles from one disappointment to the next.
	minHold = 50 * time.Millisecond
	maxHold = 15 * time.Second
	// steady is how long a stream serves before its past disappointments are forgotten.
	steady = maxHold
	// bootstrapWait is how long to wait after a snapshot could not be had.
	bootstrapWait = 1 * time.Second
	// keptWait is how long a follower rests whose state must not be replaced.
	keptWait = 5 * time.Second
	// shutWait is how much longer a follower rests that the writers do not serve.
	shutWait = 4 * time.Second
	// recent is how many of the latest hashes are kept to compare repeated batches with.
	recent = 1 << 12
)

// Sink holds the state that a follower keeps up to date. The follower calls Apply
// and Restore, never two at once; Snapshot may be called at any time.
type Sink interface {
	// Snapshot returns the state, immutable, and the head that it is at. It takes
	// constant time.
	Snapshot() (*identity.State, event.Head)
	// Apply folds batches that continue the history, all of them or none that can be
	// seen. An error is final: it ends the follower's Run.
	Apply([]*event.Batch) error
	// Restore replaces the state by another, which the sink then owns. The head may
	// be lower than it was, or of another incarnation: whoever promised something on
	// the strength of the old state withdraws it first.
	Restore(*identity.State, event.Head)
}

// Membership is a replica's membership of its cluster.
type Membership interface {
	// MayReplace is asked before a state that is there is replaced by a writer's,
	// because the writers' history does not continue it; an error keeps the state.
	MayReplace(context.Context) error
	// Enter is called when the writers do not serve this replica, which has no state yet,
	// and returns when they may.
	Enter(context.Context) error
}

// Voucher knows the writers of a cluster.
type Voucher interface {
	// Vouched says whether a writer of the cluster signed a batch; an error tells why
	// not. One goroutine calls it.
	Vouched(*event.SignedBatch) error
}

// FollowerConfig is what a follower works with.
type FollowerConfig struct {
	// Cluster is the id of the cluster to follow. Empty follows the one that the
	// checkpoint or else the writers have.
	Cluster string
	// Sink gets what is followed.
	Sink Sink
	// Source reads from the writers.
	Source *tail.Source
	// Membership is the node's membership. Nil: a state may always be replaced, and there is
	// no other way in than to ask again.
	Membership Membership
	// Link to NATS, as a user that may look at streams and consume them; nil follows
	// over HTTP alone.
	Link *Link
	// Voucher says who signed what came over NATS. Nil believes nobody.
	Voucher Voucher
	// Tracer is told what is applied that its writer traces; nil: nobody is.
	Tracer ApplyTracer
	// Dir keeps the checkpoints; empty keeps none.
	Dir string
	// Logger; nil means slog.Default().
	Logger *slog.Logger
}

// Follower keeps a Sink up to date: from the newest good checkpoint, or else a
// writer's snapshot, and then batch by batch, from the stream while that serves it
// well and from the writers' event tails while it does not. Its methods may be
// called by any goroutine.
type Follower struct {
	cfg    FollowerConfig
	intake chan *chunk
	at     atomic.Pointer[place]
	known  *event.Recent // of whoever applies

	target   atomic.Uint64 // the highest position that is said to exist
	expected wake.Bell     // target has risen
	due      wake.Bell     // a checkpoint is
	since    atomic.Int64  // batches applied since the last one
	decoders sync.WaitGroup
	writing  sync.Mutex // held while checkpoints are written, and while what they are of is replaced

	mu     sync.Mutex
	status Status
}

// place is where a follower stands.
type place struct {
	head    event.Head
	cluster identity.Cluster
}

// Mode is what a follower does at the moment.
type Mode string

// The modes of a follower.
const (
	Starting      Mode = "starting"      // reading a checkpoint
	Bootstrapping Mode = "bootstrapping" // reading a writer's snapshot
	Streaming     Mode = "stream"        // following the stream
	Tailing       Mode = "tail"          // following a writer over HTTP
)

// Status tells an operator how a follower fares. It says nothing of freshness.
type Status struct {
	Mode       Mode
	Stream     string // that is or was last followed
	Problem    string // the last one, even if it is over
	ProblemAt  time.Time
	Bootstraps int            // snapshots taken from writers
	Refused    int            // feeds that ended because a batch did not belong
	Unproved   int            // feeds that ended because no proof of a batch came in time
	Checkpoint event.Position // the newest one written or read
}

// Errors of following. None of them is final but ErrUnknown.
var (
	// ErrUnknown is returned when the next batch needs a later release.
	ErrUnknown = errors.New("the history goes on with what this release does not know")
	// ErrRefused is returned, wrapped, for a batch that does not continue the history.
	ErrRefused = errors.New("a batch is refused")
	// ErrOtherCluster is returned when a checkpoint belongs to another cluster.
	ErrOtherCluster = errors.New("the data belongs to another cluster")

	errLate = errors.New("it is behind what is known to exist")
	errKept = errors.New("the state is kept")
)

// NewFollower returns a follower that does nothing before Run.
func NewFollower(cfg FollowerConfig) *Follower {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Tracer == nil {
		cfg.Tracer = untraced{}
	}
	return &Follower{
		cfg:    cfg,
		intake: make(chan *chunk, intakeChunks), expected: wake.NewBell(), due: wake.NewBell(), known: event.NewRecent(recent),
		status: Status{Mode: Starting},
	}
}

// Status returns how the follower fares.
func (f *Follower) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *Follower) note(change func(*Status)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.status)
}

func (f *Follower) problem(text string, err error) {
	level := slog.LevelWarn
	f.note(func(s *Status) {
		problem := fmt.Sprintf("%s: %v", text, err)
		if s.Problem == problem { // said already
			level = slog.LevelDebug
		}
		s.Problem, s.ProblemAt = problem, time.Now()
	})
	f.cfg.Logger.Log(context.Background(), level, text, "position", f.at.Load().head.Position, "error", err)
}

// Expect tells the follower that the history reaches a position at least: a lease,
// a token or another node said so. A feed that does not deliver it soon is left for
// another one.
func (f *Follower) Expect(position event.Position) {
	for {
		old := f.target.Load()
		if old >= uint64(position) {
			return
		}
		if f.target.CompareAndSwap(old, uint64(position)) {
			f.expected.Ring()
			return
		}
	}
}

// Run follows until ctx ends, writes a last checkpoint and returns ctx's error. It
// ends before that when the sink refuses a batch, with ErrUnknown when a batch needs
// a later release, and with ErrOtherCluster.
func (f *Follower) Run(ctx context.Context) error {
	f.settle(f.cfg.Sink.Snapshot())
	defer f.decoders.Wait()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.applyAll(ctx) })
	group.Go(func() error {
		if err := f.begin(ctx); err != nil {
			return err
		}
		return f.drive(ctx)
	})
	if f.cfg.Dir != "" {
		group.Go(func() error { return f.checkpoints(ctx) })
	}
	return group.Wait()
}

// settle takes note of where the sink stands.
func (f *Follower) settle(state *identity.State, head event.Head) {
	f.at.Store(&place{head: head, cluster: state.Cluster()})
}

// begin finds a state to start from.
func (f *Follower) begin(ctx context.Context) error {
	if f.at.Load().head.Position > 0 {
		return nil // the sink has one
	}
	if f.cfg.Dir != "" {
		state, head, err := newestCheckpoint(f.cfg.Dir, f.cfg.Logger)
		if err != nil {
			return err
		}
		if state != nil {
			if id := state.Cluster().ID; f.cfg.Cluster != "" && id != f.cfg.Cluster {
				return fmt.Errorf("%w: the checkpoint in %s is of cluster %s, not %s", ErrOtherCluster, f.cfg.Dir, id, f.cfg.Cluster)
			}
			f.restore(state, head)
			f.note(func(s *Status) { s.Checkpoint = head.Position })
			f.cfg.Logger.Info("starting from a checkpoint", "position", head.Position)
			return nil
		}
	}
	for {
		err := f.bootstrap(ctx)
		if errors.Is(err, tail.ErrShut) && f.cfg.Membership != nil {
			if err = f.cfg.Membership.Enter(ctx); err == nil {
				err = f.bootstrap(ctx)
			}
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		f.problem("no writer gives a snapshot", err)
		if err := wake.After(ctx, bootstrapWait+rand.N(bootstrapWait)); err != nil {
			return err
		}
	}
}

// bootstrap replaces the state by a writer's. Nothing is on its way to the sink.
func (f *Follower) bootstrap(ctx context.Context) error {
	old := f.at.Load()
	if old.head.Position > 0 && f.cfg.Membership != nil {
		if err := f.cfg.Membership.MayReplace(ctx); err != nil {
			return fmt.Errorf("%w, at position %d: %w", errKept, old.head.Position, err)
		}
	}
	f.note(func(s *Status) { s.Mode = Bootstrapping })
	wanted := identity.Cluster{ID: f.cfg.Cluster}
	if wanted.ID == "" {
		wanted.ID = old.cluster.ID
	}
	state, header, err := f.cfg.Source.Snapshot(ctx, wanted)
	if err != nil {
		return err
	}
	if i := old.cluster.Incarnation; i != "" && i != header.Incarnation {
		f.cfg.Logger.Warn("the cluster has a new incarnation", "old", i, "new", header.Incarnation)
	}
	f.replace(state, header, &old.cluster)
	f.note(func(s *Status) { s.Bootstraps++ })
	f.cfg.Logger.Info("starting from a writer's snapshot", "before", old.head.Position, "position", header.Head.Position)
	f.due.Ring()
	return nil
}

// replace has the state of a writer's snapshot follow on what there was. Checkpoints of what ended
// there are removed: they are newer by their positions, so that the next start would begin with
// them, and they would be kept in place of those of the new state.
func (f *Follower) replace(state *identity.State, header wire.SnapshotHeader, before *identity.Cluster) {
	f.writing.Lock()
	defer f.writing.Unlock()
	ended := before.Incarnation != "" && before.Incarnation != header.Incarnation || header.Head.Position < f.at.Load().head.Position
	f.restore(state, header.Head)
	if !ended || f.cfg.Dir == "" {
		return
	}
	f.note(func(s *Status) { s.Checkpoint = 0 })
	if err := dropCheckpoints(f.cfg.Dir); err != nil {
		f.problem("checkpoints of a state that was replaced are there still", err)
	}
}

func (f *Follower) restore(state *identity.State, head event.Head) {
	f.target.Store(0)
	f.known.Forget()
	f.known.Add(head)
	f.cfg.Sink.Restore(state, head)
	f.settle(f.cfg.Sink.Snapshot())
}

// drive follows a writer's tail up to its head, then the stream for as long as that
// works, and so on. While the stream is held off, the tail is followed at the head.
func (f *Follower) drive(ctx context.Context) error {
	failures, hold, retry, generation := 0, minHold, time.Now(), uint32(0)
	for {
		if now := f.at.Load().cluster.StreamGeneration; now != generation {
			generation, hold, retry = now, minHold, time.Now()
		}
		wait := max(0, min(tailWait, time.Until(retry)))
		if f.cfg.Link == nil {
			wait = tailWait
		}
		err := f.tail(ctx, wait)
		var unknown *wire.UnknownError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &unknown):
			return fmt.Errorf("%w, after position %d: %w", ErrUnknown, f.at.Load().head.Position, err)
		case err == nil:
			failures = 0
		case !errors.Is(err, tail.ErrUnavailable):
			f.problem("the writers' event tail does not lead on", err)
			if failures++; failures >= maxFailures {
				failures = 0
				if err := f.bootstrap(ctx); err != nil && ctx.Err() == nil {
					f.problem("the state is not replaced by a writer's", err)
					if errors.Is(err, errKept) && wake.After(ctx, keptWait) != nil {
						return ctx.Err()
					}
				}
			}
		}
		wait = retryWait + rand.N(bootstrapWait)
		if errors.Is(err, tail.ErrShut) {
			wait += shutWait
		}
		if err != nil && wake.After(ctx, wait) != nil {
			return ctx.Err()
		}
		if failures > 0 || f.cfg.Link == nil || time.Now().Before(retry) {
			continue
		}
		if f.follow(ctx) {
			hold = minHold
		} else {
			hold = min(2*hold, maxHold)
		}
		retry = time.Now().Add(hold)
	}
}

// tail follows a writer over HTTP to its head, and waits there for more.
func (f *Follower) tail(ctx context.Context, wait time.Duration) error {
	if wait > 0 {
		f.note(func(s *Status) { s.Mode = Tailing })
	}
	for {
		feed := newFeed(ctx, "")
		watching := make(chan struct{})
		go func() {
			defer close(watching)
			f.watch(feed, nil)
		}()
		from := f.at.Load()
		head, err := f.cfg.Source.Tail(feed.ctx, from.cluster, from.head.Position+1, wait, func(batches [][]byte) error {
			return f.put(&chunk{feed: feed, bytes: batches})
		})
		f.flush(ctx, feed)
		ended := feed.ended()
		feed.end(nil)
		<-watching
		switch failure := feed.failure(); {
		case errors.Is(failure, errLate):
			f.cfg.Source.Rotate() // a writer that is itself behind
			return nil
		case ended:
			return failure
		}
		now := f.at.Load().head.Position
		if err != nil || wait > 0 || now >= head || now == from.head.Position {
			return err
		}
	}
}
