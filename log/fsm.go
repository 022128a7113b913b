package log

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
)

// Applied is what the state machine has reached, all of one moment.
type Applied struct {
	State *identity.State // immutable
	Head  event.Head
	Index uint64 // of the last Raft entry
	Term  uint64 // of that entry
	// Floor is the position that freshness leases are not granted below. It never decreases.
	Floor event.Position
	// Lives may hold freshness leases.
	Lives event.Lives

	next chan struct{} // closed when the next Applied is there
}

// SnapshotHeader is the header to write a snapshot of a.State with.
func (a *Applied) SnapshotHeader() wire.SnapshotHeader {
	return wire.SnapshotHeader{Head: a.Head, Floor: a.Floor, Index: a.Index, Term: a.Term, Lives: a.Lives}
}

// fsm is the state machine that Raft drives. Raft calls its methods one at a time.
type fsm struct {
	cluster  string // to refuse snapshots of another one; empty to take any
	store    *store.Store
	fail     *failure
	restored func() // called when the store may have got a gap
	meter    Meter

	state   *identity.State // owned by whoever Raft calls with, like the two below
	recent  *event.Recent
	refused error // why the last snapshot was not restored
	applied atomic.Pointer[Applied]
	kept    atomic.Uint64 // position of the newest snapshot on disk
}

func newFSM(cluster string, s *store.Store, fail *failure, restored func()) *fsm {
	f := &fsm{cluster: cluster, store: s, fail: fail, restored: restored, meter: unmeasured{}, state: identity.NewState(), recent: event.NewRecent(recentHeads)}
	// Before the first entry nobody led, so nobody holds a lease.
	f.applied.Store(&Applied{State: f.state.Snapshot(), Lives: event.Lives{Complete: true}, next: make(chan struct{})})
	return f
}

// result is what the state machine answers to one entry.
type result struct {
	batch    *event.Batch   // what an accepted command made
	times    *Times         // of the piece; Given is not known here
	repeated event.Position // where the command of this key took effect before
	fenced   *Applied       // what a fence found
	err      error          // a refusal; or why the state machine stopped, and stopped is set
	stopped  bool
}

// Apply applies one entry.
func (f *fsm) Apply(entry *raft.Log) any { return f.ApplyBatch([]*raft.Log{entry})[0] }

// ApplyBatch applies entries in order. What they made goes to the store in one
// piece and becomes visible in one. Where an entry cannot be applied, everything
// before it is, and the state machine stops for good.
func (f *fsm) ApplyBatch(entries []*raft.Log) []any {
	times := &Times{Committed: time.Now()}
	defer func() { f.meter.Applied(time.Since(times.Committed)) }()
	out := make([]any, len(entries))
	stopped := f.fail.latched()
	next := *f.applied.Load()
	var made []store.Entry
	for i, entry := range entries {
		if stopped == nil {
			var o result
			if o, stopped = f.apply(&next, entry, &made); stopped == nil {
				o.times = times
				out[i] = o
				continue
			}
			stopped = fmt.Errorf("raft entry %d: %w", entry.Index, stopped)
			f.fail.latch(stopped)
		}
		out[i] = result{err: stopped, stopped: true}
	}
	times.Decided = time.Now()
	if err := f.store.Append(made); err != nil {
		if errors.Is(err, store.ErrChain) {
			err = fmt.Errorf("%w: %w", ErrDiverged, err)
		}
		f.fail.latch(err)
		for i := range out {
			out[i] = result{err: err, stopped: true}
		}
		return out
	}
	times.Stored = time.Now()
	f.publish(&next, len(made) > 0)
	return out
}

// publish makes next what Applied returns.
func (f *fsm) publish(next *Applied, changed bool) {
	if changed {
		next.State = f.state.Snapshot()
	}
	before := next.next
	next.next = make(chan struct{})
	f.applied.Store(next)
	close(before)
}

// apply applies one entry to the state and to next, and adds the batch it makes,
// if any, to made. An error stops the state machine.
func (f *fsm) apply(next *Applied, entry *raft.Log, made *[]store.Entry) (result, error) {
	if entry.Index <= next.Index {
		return result{}, fmt.Errorf("%w: entry %d was applied already", ErrDiverged, next.Index)
	}
	o, err := result{}, error(nil)
	switch {
	case entry.Type != raft.LogCommand: // a change of members
	case wire.IsFence(entry.Data):
		o, err = f.fence(next, entry)
	default:
		o, err = f.command(next, entry, made)
	}
	if err != nil {
		return result{}, tooOld(err)
	}
	next.Index, next.Term = entry.Index, entry.Term
	return o, nil
}

// fence applies a fence: it proves that the histories agree, and may change what is
// known of leases.
func (f *fsm) fence(next *Applied, entry *raft.Log) (result, error) {
	m, err := wire.DecodeFence(entry.Data)
	if err != nil {
		return result{}, err
	}
	if err := f.agree(next.Head, m.Head); err != nil {
		return result{}, err
	}
	if m.Term == entry.Term { // else its proposer lost leadership in between: what it knew of leases is void
		next.Floor = max(next.Floor, m.Floor)
		next.Lives = next.Lives.Change(m.Opened, m.Dropped)
		next.Lives.Complete = next.Lives.Complete || m.Complete
	}
	if m.Nameless {
		next.Lives.Complete = false
	}
	return result{fenced: &Applied{
		State: f.state.Snapshot(), Head: next.Head, Index: entry.Index, Term: entry.Term, Floor: next.Floor, Lives: next.Lives,
	}}, nil
}

func (f *fsm) command(next *Applied, entry *raft.Log, made *[]store.Entry) (result, error) {
	cmd, err := wire.DecodeCommand(entry.Data)
	if err != nil {
		return result{}, err
	}
	if c, ok := cmd.Content.(*identity.RaiseFeatureLevel); ok && c.Level > identity.FeatureLevel { // builds that know it accept it
		return result{}, unknownLevel(c.Level)
	}
	if err := f.agree(next.Head, cmd.Base); err != nil {
		return result{}, err
	}
	if begins := identity.Begins(cmd.Content); begins != nil {
		if f.cluster != "" && begins.Cluster != f.cluster {
			return result{}, fmt.Errorf("the log of cluster %s: %w", begins.Cluster, ErrWrongCluster)
		} // Decide refuses the second one
	} else if err := belongs(cmd, f.state.Cluster()); err != nil {
		return result{err: err}, nil
	}
	if at, ok := f.state.Repeats(cmd.Cause.Meta); ok {
		return result{repeated: at}, nil
	}
	events, err := identity.Decide(f.state, cmd.Cause.Meta, cmd.Content, cmd.Relies...)
	if err != nil {
		return result{err: err}, nil
	}
	pending, err := wire.BeginBatch(&cmd.Cause, events)
	if errors.Is(err, wire.ErrTooLarge) { // found before the state moves on
		return result{err: &identity.Refusal{Code: identity.LimitExceeded, Message: fmt.Sprintf("The change is more than one batch can hold: %v.", err)}}, nil
	}
	if err != nil {
		return result{}, err
	}
	position := next.Head.Position + 1
	identity.Evolve(f.state, position, cmd.Cause.Meta, events)
	cluster := f.state.Cluster()
	b := &event.Batch{
		Cluster: cluster.ID, Incarnation: cluster.Incarnation, Position: position, Index: entry.Index, Term: entry.Term,
		Cause: cmd.Cause, Events: events, State: f.state.Digest(), Prev: next.Head.Hash,
	}
	encoded, err := pending.Finish(b)
	if err != nil { // BeginBatch left room for all of it
		panic(fmt.Sprintf("log: events of %T: %v", cmd.Content, err))
	}
	*made = append(*made, store.Entry{Head: b.Head(), Prev: b.Prev, Bytes: encoded})
	next.Head = b.Head()
	f.recent.Add(next.Head)
	if cluster.Incarnation != cmd.Incarnation && cmd.Incarnation != "" { // leases of before may be in force, named or not
		next.Floor, next.Lives.Complete = position, false
	}
	return result{batch: b}, nil
}

func unknownLevel(level uint32) error {
	return &wire.UnknownError{What: "feature level", Number: uint64(level)}
}

// tooOld says what an entry or snapshot of a later release means.
func tooOld(err error) error {
	if unknown := (*wire.UnknownError)(nil); errors.As(err, &unknown) {
		return fmt.Errorf("%w: %w", ErrTooOld, err)
	}
	return err
}

// belongs refuses a command that was made for another history, or before there was one.
func belongs(cmd *event.Command, c identity.Cluster) error {
	switch {
	case cmd.Cluster != c.ID || c.ID == "":
		return ErrWrongCluster
	case cmd.Incarnation != c.Incarnation:
		return ErrWrongIncarnation
	}
	return nil
}

// recentHeads is how many heads are kept in memory; base heads are seldom older.
const recentHeads = 1 << 14

// agree compares a head that another writer had with the own history, which has
// come to head. What the store lacks, or has dropped, cannot be compared.
func (f *fsm) agree(head, other event.Head) error {
	if other.Position > head.Position {
		return fmt.Errorf("%w: it ends at position %d where another had reached %d", ErrDiverged, head.Position, other.Position)
	}
	known, ok := f.recent.At(other.Position)
	hash := known.Hash
	if !ok {
		var err error
		var missing *store.MissingError
		var dropped *store.DroppedError
		hash, err = f.store.Hash(other.Position)
		if errors.As(err, &missing) || errors.As(err, &dropped) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	if hash != other.Hash {
		return fmt.Errorf("%w: position %d has hash %x here and %x elsewhere", ErrDiverged, other.Position, hash, other.Hash)
	}
	return nil
}

// Snapshot returns what Raft is to keep instead of the entries so far.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.fail.latched(); err != nil {
		return nil, err
	}
	return &snapshot{f.applied.Load(), f.store, &f.kept}, nil
}

// snapshot is a moment of the state machine, to be written beside it.
type snapshot struct {
	applied *Applied
	store   *store.Store
	kept    *atomic.Uint64
}

// Persist writes the snapshot. The batches up to it are on disk before it counts:
// Raft may drop the entries that made them.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	err := s.store.Sync()
	if err == nil {
		err = wire.WriteSnapshot(sink, s.applied.State, s.applied.SnapshotHeader())
	}
	if err != nil {
		return errors.Join(err, sink.Cancel())
	}
	if err = sink.Close(); err == nil {
		s.kept.Store(uint64(s.applied.Head.Position))
	}
	return err
}

// Release does nothing: the state is the garbage collector's.
func (*snapshot) Release() {}

// Restore replaces the state by that of a snapshot, and goes on from there. A
// snapshot that cannot be read changes nothing: Raft asks for another, or takes an
// older one of its own.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	f.refused = tooOld(f.restore(r))
	return f.refused
}

func (f *fsm) restore(r io.Reader) error {
	if err := f.fail.latched(); err != nil {
		return err
	}
	state, h, err := wire.ReadSnapshot(r)
	if err != nil {
		return err
	}
	if level := state.Cluster().FeatureLevel; level > identity.FeatureLevel {
		return unknownLevel(level)
	}
	if f.cluster != "" && h.Cluster != "" && h.Cluster != f.cluster {
		return fmt.Errorf("snapshot of cluster %s: %w", h.Cluster, ErrWrongCluster)
	}
	if err := f.store.SkipTo(h.Head); err != nil {
		if errors.Is(err, store.ErrChain) {
			err = fmt.Errorf("%w: %w", ErrDiverged, err)
		}
		f.fail.latch(err)
		return err
	}
	before := f.applied.Load()
	f.state = state
	f.recent.Forget()
	f.publish(&Applied{Head: h.Head, Index: h.Index, Term: h.Term, Floor: max(before.Floor, h.Floor), Lives: h.Lives, next: before.next}, true)
	f.kept.Store(uint64(h.Head.Position))
	f.restored()
	return nil
}
