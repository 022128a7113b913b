package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/pages"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// EventsFile is the name of the event store in Config.Dir.
const EventsFile = "events.db"

// entriesFile is the name of Raft's entries and votes in Config.Dir.
const entriesFile = "raft.db"

// Log is a writer's end of the Raft log. Its methods may be called from any
// number of goroutines.
type Log struct {
	config    Config
	id        string
	fail      *failure
	store     *store.Store
	disk      *raftboltdb.BoltStore
	fsm       *fsm
	transport raft.Transport
	raft      *raft.Raft
	room      room
	opened    uint64 // index of the last command on the disk as it was opened

	running    atomic.Pointer[raft.Raft] // raft while its goroutines run; see latching
	closing    chan struct{}             // closed when Close begins
	stop       context.CancelFunc        // of background
	background sync.WaitGroup            // watch and fill
	proposals  sync.WaitGroup            // that wait for Raft; added to under mu
	leadership chan Leadership
	gapped     chan struct{} // capacity 1: the store may have a gap

	mu      sync.Mutex    // guards the fields below
	closed  bool          // Close has begun
	filled  chan struct{} // closed and replaced when a gap shrinks
	read    *read         // the fence to come that reads a head; see StrictHead
	reading bool          // one is in flight
}

// Open opens the log in c.Dir, and begins an empty one where there is none. It
// takes part in elections as soon as it is a member of a cluster; see Bootstrap.
// It reads the newest snapshot, which takes seconds for a large one.
func Open(c Config) (*Log, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{
		config: c, fail: newFailure(), room: room{dir: c.Dir, need: c.MinFree},
		closing: make(chan struct{}), leadership: make(chan Leadership), gapped: make(chan struct{}, 1), filled: make(chan struct{}),
	}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open log %s: %w", c.Dir, errors.Join(err, l.release()))
	}
	return l, nil
}

func (l *Log) open() (err error) {
	if err := durable.MkdirAll(l.config.Dir, 0o700); err != nil {
		return err
	}
	if l.id, err = serverID(l.config.Dir); err != nil {
		return err
	}
	l.store, err = store.Open(filepath.Join(l.config.Dir, EventsFile), store.Options{Failed: l.fail.latch})
	if err != nil {
		return err
	}
	if err := l.openDisk(); err != nil {
		return err
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(l.config.Dir, keptSnapshots, bridge(l.config.Logger))
	if err != nil {
		return err
	}
	if err := durable.SyncDir(l.config.Dir); err != nil {
		return err
	}
	l.fsm = newFSM(l.config.Cluster, l.store, l.fail, l.lookForGaps)
	l.fsm.meter = l.config.Meter
	notify := make(chan bool, 16)
	if err := l.start(snapshots, notify); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.background.Go(func() { l.watch(ctx, notify) })
	if l.config.Backfill != nil {
		l.background.Go(func() { l.fill(ctx) })
		l.lookForGaps()
	}
	return nil
}

// openDisk opens Raft's entries and votes.
func (l *Log) openDisk() (err error) {
	path := filepath.Join(l.config.Dir, entriesFile)
	if err := pages.Check(path); err != nil {
		return fmt.Errorf("raft log %s: %w", path, err)
	}
	err = durable.Guard(wire.ErrCorrupt, func() error {
		// The list of free pages is large and changes with every snapshot: it is
		// found again on opening rather than written with every entry.
		l.disk, err = raftboltdb.New(raftboltdb.Options{Path: path, MsgpackUseNewTimeFormat: true,
			BoltOptions: &bbolt.Options{Timeout: lockTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}})
		return err
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return ErrLocked
	}
	if err != nil {
		return fmt.Errorf("raft log %s: %w", path, err)
	}
	return nil
}

// lastCommand is the index of the last entry that the state machine is given; zero
// where there is none.
func lastCommand(disk raft.LogStore) (uint64, error) {
	first, err := disk.FirstIndex()
	if err != nil {
		return 0, err
	}
	last, err := disk.LastIndex()
	if err != nil {
		return 0, err
	}
	for at := last; at >= max(first, 1); at-- {
		var entry raft.Log
		if err := disk.GetLog(at, &entry); err != nil {
			return 0, err
		}
		if entry.Type == raft.LogCommand {
			return at, nil
		}
	}
	return 0, nil
}

// start starts Raft, which restores the newest snapshot first.
func (l *Log) start(snapshots raft.SnapshotStore, notify chan<- bool) error {
	disk := &latching{disk: l.disk, fail: l.fail, meter: l.config.Meter, running: &l.running}
	entries, err := raft.NewLogCache(cachedEntries, disk)
	if err != nil {
		return err
	}
	if l.opened, err = lastCommand(disk); err != nil {
		return err
	}
	l.transport = l.config.transport(l.id)
	err = durable.Guard(wire.ErrCorrupt, func() error { // Raft panics on an entry that it cannot read
		l.raft, err = raft.NewRaft(l.config.raft(l.id, notify), l.fsm, entries, disk, snapshots, l.transport)
		return err
	})
	switch failed := l.fail.latched(); {
	case failed != nil && err == nil: // Raft runs, from an older snapshot
		return errors.Join(failed, l.raft.Shutdown().Error())
	case failed != nil:
		return failed
	case err != nil: // Raft does not pass on why it could not restore a snapshot
		return errors.Join(err, l.fsm.refused)
	}
	l.running.Store(l.raft)
	return nil
}

// Bootstrap makes this server the only member of a new cluster; others are added
// by AddVoter. A log that has begun already gives ErrBootstrapped.
func (l *Log) Bootstrap() error {
	err := l.raft.BootstrapCluster(raft.Configuration{Servers: []raft.Server{
		{Suffrage: raft.Voter, ID: raft.ServerID(l.id), Address: raft.ServerAddress(l.config.Advertise)},
	}}).Error()
	if errors.Is(err, raft.ErrCantBootstrap) {
		return ErrBootstrapped
	}
	return err
}

// ID is this server's id: a uuid that its directory holds.
func (l *Log) ID() string { return l.id }

// Applied returns what the state machine has reached. It costs one atomic load.
func (l *Log) Applied() *Applied { return l.fsm.applied.Load() }

// CaughtUp tells whether the state machine has come as far as the log on this
// server's disk had when it was opened. Before that its state may lack what this
// server has acknowledged itself.
func (l *Log) CaughtUp() bool { return l.Applied().Index >= l.opened }

// Changed returns a channel that is closed when Applied returns something newer
// than it did at the call. Call it before Applied, and wait after.
func (l *Log) Changed() <-chan struct{} { return l.fsm.applied.Load().next }

// Events is the event store, for reading.
func (l *Log) Events() *store.Store { return l.store }

// Failed is closed when the log cannot go on; Err says why. The owner then ends
// the process with that message.
func (l *Log) Failed() <-chan struct{} { return l.fail.done }

// Err is what Failed reports; nil before.
func (l *Log) Err() error { return l.fail.latched() }

// Close hands leadership over, waits for proposals under way and for Raft to
// stop, and brings everything to disk. When ctx ends first it stops the hard way,
// which loses nothing that was committed.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.closing)
	l.mu.Unlock()

	if l.IsLeader() && l.fail.latched() == nil && len(l.Servers()) > 1 {
		if err := l.TransferLeadership(ctx); err != nil {
			l.config.Logger.Warn("leadership was not handed over; the others will elect", slog.Any("error", err))
		}
	}
	if within(ctx, l.proposals.Wait) != nil {
		l.config.Logger.Warn("proposals are under way that Raft has not answered; their outcome is unknown")
	}
	l.running.Store(nil)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	stopping := l.raft.Shutdown()
	if t, ok := l.transport.(transport); ok {
		t.lines.hangUp()
	}
	var stopped error
	err := within(ctx, func() { stopped = stopping.Error() })
	if err == nil {
		err = stopped
	}
	l.stop()
	l.background.Wait()
	return errors.Join(err, l.release())
}

// release closes what is open: connections and files.
func (l *Log) release() error {
	var errs []error
	if t, ok := l.transport.(raft.WithClose); ok {
		errs = append(errs, t.Close())
	}
	if t, ok := l.transport.(transport); ok {
		t.lines.hangUp() // Close leaves the connections open
	}
	if l.store != nil {
		errs = append(errs, l.store.Close())
	}
	if l.disk != nil {
		errs = append(errs, l.disk.Close())
	}
	return errors.Join(errs...)
}

// within runs f and returns when it does, or with an error when ctx ends first.
func within(ctx context.Context, f func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop raft: %w", ctx.Err())
	}
}

// untilDeadline returns how long ctx has left, at most limit.
func untilDeadline(ctx context.Context, limit time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return max(time.Nanosecond, min(limit, time.Until(deadline)))
	}
	return limit
}
