package log

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
)

// currentTerm is Raft's name for its term among what it keeps.
var currentTerm = []byte("CurrentTerm")

// ErrEmpty is returned when a directory holds no log to go on from.
var ErrEmpty = errors.New("the directory holds no log")

// Renewal begins another incarnation of a cluster in a directory that nobody has open. The
// server that the directory becomes is a new one, and the only member: those that knew it
// before do not reach it by the id that they know, and so can neither outvote nor overwrite it.
//
// What it does is done step by step, and a directory in which it failed is good for
// nothing: work on a copy, and put that in place when it is done.
type Renewal struct {
	Dir string // as in Config
	// Advertise is the host:port by which other writers will reach the server. Recover goes
	// by what the log says of the server that there was, where it is empty.
	Advertise string
	// Begin says what begins; without a cluster it is the same one that goes on.
	Begin  identity.BeginIncarnation
	Time   identity.Time
	Logger *slog.Logger // nil for slog.Default()
}

// Survivor is what a writer's directory held before a Recover.
type Survivor struct {
	// Kept is the last position in the directory, which the new incarnation goes on behind.
	Kept event.Head
	// Committed is the last position that the writer knew to be committed. What is between
	// it and Kept may have been acknowledged to its callers, or not.
	Committed event.Position
	Members   []Server      // of the log, as far as the writer knew
	Changed   identity.Time // when the state of Kept changed last
}

// Restore makes the directory that of a log which goes on behind a state, with the header
// of its snapshot. The event store may be there already, up to the state's position: else
// the batches before it are a gap, which no writer can fill.
func (r Renewal) Restore(state *identity.State, h wire.SnapshotHeader) (after *Applied, err error) {
	err = r.in(func(o *offline) (err error) {
		if last := o.fsm.store.Last(); last.Position > h.Head.Position {
			return fmt.Errorf("%w: the event store has position %d, beyond the state's %d", ErrDiverged, last.Position, h.Head.Position)
		}
		if err := o.fsm.store.SkipTo(h.Head); err != nil {
			return err
		}
		o.fsm.state = state
		o.fsm.publish(&Applied{Head: h.Head, Index: max(h.Index, 1), Term: max(h.Term, 1), next: make(chan struct{})}, true)
		after, err = r.begin(o, max(h.Index, 1)+1)
		return err
	})
	return after, err
}

// Recover makes the directory of one writer, which had a log, that of the only member of
// another incarnation. All that is in the log counts as committed.
func (r Renewal) Recover() (before Survivor, after *Applied, err error) {
	err = r.in(func(o *offline) (err error) {
		before.Committed = o.fsm.store.Last().Position
		last, err := o.replay(&before)
		if err != nil {
			return err
		}
		before.Kept, before.Changed = o.fsm.applied.Load().Head, o.fsm.state.Time()
		if before.Kept.Position == 0 {
			return ErrEmpty
		}
		for _, m := range before.Members {
			if m.ID == o.was && r.Advertise == "" {
				r.Advertise = m.Address
			}
		}
		if r.Advertise == "" {
			return fmt.Errorf("%w: the server %s, whose directory this is, was no member of its log", ErrDiverged, o.was)
		}
		after, err = r.begin(o, last+1)
		return err
	})
	return before, after, err
}

// offline is a log that no Raft drives.
type offline struct {
	was, id   string // the server's, before and from now on
	fsm       *fsm
	disk      *raftboltdb.BoltStore
	snapshots *raft.FileSnapshotStore
}

// in opens the directory, as another server's, for do.
func (r Renewal) in(do func(*offline) error) (err error) {
	l := &Log{config: Config{Dir: r.Dir, Logger: r.Logger}, fail: newFailure()}
	if l.config.Logger == nil {
		l.config.Logger = slog.Default()
	}
	defer func() {
		if err = errors.Join(err, l.release()); err != nil {
			err = fmt.Errorf("begin an incarnation in %s: %w", r.Dir, err)
		}
	}()
	if err := durable.MkdirAll(r.Dir, 0o700); err != nil {
		return err
	}
	o := &offline{}
	if o.was, err = serverID(r.Dir); err != nil {
		return err
	}
	if o.id, err = newServerID(r.Dir); err != nil {
		return err
	}
	if l.store, err = store.Open(filepath.Join(r.Dir, EventsFile), store.Options{Failed: l.fail.latch}); err != nil {
		return err
	}
	if err := l.openDisk(); err != nil {
		return err
	}
	// One snapshot alone is kept: from one of before, Raft would go on in the incarnation of before.
	if o.snapshots, err = raft.NewFileSnapshotStoreWithLogger(r.Dir, 1, bridge(l.config.Logger)); err != nil {
		return err
	}
	o.disk, o.fsm = l.disk, newFSM("", l.store, l.fail, func() {})
	if err := durable.Guard(wire.ErrCorrupt, func() error { return do(o) }); err != nil {
		return err
	}
	return durable.SyncDir(r.Dir)
}

// replay applies all that the directory holds, and returns the index of its last entry.
func (o *offline) replay(s *Survivor) (last uint64, err error) {
	kept, err := o.snapshots.List()
	if err != nil {
		return 0, err
	}
	if len(kept) > 0 {
		// The newest one alone: the entries behind an older one are gone.
		meta, r, err := o.snapshots.Open(kept[0].ID)
		if err != nil {
			return 0, err
		}
		if err := o.fsm.Restore(r); err != nil {
			return 0, err
		}
		last = meta.Index
		s.note(meta.Configuration)
	}
	end, err := o.disk.LastIndex()
	if err != nil {
		return 0, err
	}
	for at := last + 1; at <= end; at++ {
		var entry raft.Log
		if err := o.disk.GetLog(at, &entry); err != nil {
			return 0, fmt.Errorf("raft entry %d: %w", at, err)
		}
		if entry.Type == raft.LogConfiguration {
			s.note(raft.DecodeConfiguration(entry.Data))
		}
		if entry.Type == raft.LogCommand {
			if o.fsm.Apply(&entry); o.fsm.fail.latched() != nil {
				return 0, o.fsm.fail.latched()
			}
		}
		last = at
	}
	return last, nil
}

func (s *Survivor) note(c raft.Configuration) {
	s.Members = nil
	for _, m := range c.Servers {
		s.Members = append(s.Members, Server{ID: string(m.ID), Address: string(m.Address), Voter: m.Suffrage == raft.Voter})
	}
}

// begin applies the command that begins the incarnation, as the entry of an index, and leaves
// the state behind it, this server as the only member, and nothing else.
func (r Renewal) begin(o *offline, index uint64) (*Applied, error) {
	a := o.fsm.applied.Load()
	c := a.State.Cluster()
	r.Begin.Cluster = cmp.Or(r.Begin.Cluster, c.ID)
	entry, err := wire.EncodeCommand(&event.Command{
		Cluster: c.ID, Incarnation: c.Incarnation, Base: a.Head, Content: &r.Begin,
		Cause: event.Cause{Meta: identity.Meta{Time: r.Time, Rules: identity.CurrentRules}},
	})
	if err != nil {
		return nil, err
	}
	term, err := o.disk.GetUint64(currentTerm)
	if err != nil && !errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return nil, err
	}
	term = max(term, a.Term, 1)
	if result := o.fsm.Apply(&raft.Log{Index: index, Term: term, Type: raft.LogCommand, Data: entry}).(result); result.err != nil {
		return nil, result.err
	}
	if err := o.disk.SetUint64(currentTerm, term); err != nil {
		return nil, err
	}
	if err := o.persist(raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: raft.ServerID(o.id), Address: raft.ServerAddress(r.Advertise)}}}); err != nil {
		return nil, err
	}
	first, err := o.disk.FirstIndex()
	if err != nil {
		return nil, err
	}
	last, err := o.disk.LastIndex()
	if err == nil && last > 0 {
		err = o.disk.DeleteRange(first, last)
	}
	return o.fsm.applied.Load(), err
}

// persist writes a snapshot with the members of the log.
func (o *offline) persist(members raft.Configuration) error {
	a := o.fsm.applied.Load()
	s, err := o.fsm.Snapshot()
	if err != nil {
		return err
	}
	_, names := raft.NewInmemTransport("") // it writes addresses as they are
	sink, err := o.snapshots.Create(raft.SnapshotVersionMax, a.Index, a.Term, members, 1, names)
	if err != nil {
		return err
	}
	return s.Persist(sink)
}

// NewestSnapshot opens the newest snapshot in the directory of a log that nobody has open;
// ErrEmpty where there is none.
func NewestSnapshot(dir string) (io.ReadCloser, error) {
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, bridge(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, fmt.Errorf("look for snapshots in %s: %w", dir, err)
	}
	kept, err := snapshots.List()
	if err == nil && len(kept) == 0 {
		err = ErrEmpty
	}
	if err != nil {
		return nil, fmt.Errorf("look for snapshots in %s: %w", dir, err)
	}
	_, r, err := snapshots.Open(kept[0].ID)
	return r, err
}

// Incarnation is the one that the log's directory is of; empty for none. A member whom nobody
// leads has applied nothing, and may have batches all the same.
func (l *Log) Incarnation() string {
	if found, err := l.store.Read(l.store.Last().Position, 1, 1); err == nil && len(found) > 0 {
		if b, err := wire.DecodeBatch(found[0]); err == nil {
			return b.Incarnation
		}
	}
	return l.Applied().State.Cluster().Incarnation
}
