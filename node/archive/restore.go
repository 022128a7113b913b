package archive

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/setup"
)

// The names in a node's directory: of the log, and of one that is being made. What is
// ready and not yet in its place has the third.
const (
	logDir     = "log"
	makingDir  = "log.making"
	readyDir   = "log.ready"
	lockFile   = "lock"
	beforeName = "log.before-"
)

// Errors of restoring and recovering.
var (
	// ErrOccupied is returned for a directory that holds something.
	ErrOccupied = errors.New("the directory is not empty")
	// ErrUnfinished is returned for a directory in which something ended half-way.
	ErrUnfinished = errors.New("a restore or recovery was not finished in this directory")
)

// Unfinished refuses the directory of a node in which a restore or a recovery ended
// half-way: a writer that began with an empty log there would forget what it had.
func Unfinished(data string) error {
	if _, err := os.Stat(filepath.Join(data, logDir)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range []string{readyDir, makingDir} {
		if _, err := os.Stat(filepath.Join(data, name)); err == nil {
			return fmt.Errorf("%w: %s is there and %s is not; run `writ restore` or `writ recover` again", ErrUnfinished, filepath.Join(data, name), logDir)
		}
	}
	return nil
}

// Restore is what a cluster is restored from, and to.
type Restore struct {
	// Archives are the archives, each but the first made since the one before.
	Archives []Opener
	Target   Target
	// Judge, if set, is asked before anything is put in place.
	Judge Judge
	// Cluster is the id of the cluster that goes on, and Advertise the address at which the
	// writer that Data becomes is reached by others.
	Cluster, Advertise string
	Writers            []identity.Writer // of its layout
	Data               string            // an empty directory, or none
	Time               identity.Time
}

// Judge decides whether a restore goes on. One that is nil lets all go on.
type Judge interface {
	// Accept is asked about the archives, in order, and the state that was made of them.
	// What it refuses is not restored.
	Accept([]*Header, *identity.State) error
}

// Restored is what came of a restore.
type Restored struct {
	From        event.Head // the state that the cluster goes on behind
	Incarnation string     // that begins
	Position    event.Position
	Changed     identity.Time // when the state had changed last
	Cut         bool          // the archives have more, which the target left out
}

// Run restores: the directory becomes that of a writer who is the only member of another
// incarnation. It is done as a whole, or not at all.
func (r *Restore) Run() (done Restored, err error) {
	unlock, err := r.claim()
	if err != nil {
		return done, err
	}
	defer unlock()
	making := filepath.Join(r.Data, makingDir)
	if err := errors.Join(os.RemoveAll(making), os.RemoveAll(filepath.Join(r.Data, readyDir))); err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(making)) }() // gone where it was put in place
	if err := durable.MkdirAll(making, setup.DirMode); err != nil {
		return done, err
	}
	y, err := r.read(making)
	if err != nil {
		return done, err
	}
	done = Restored{From: y.head, Incarnation: newIncarnation(), Changed: y.state.Time(), Cut: y.skipped}
	after, err := log.Renewal{
		Dir: making, Advertise: r.Advertise, Time: r.Time, Logger: slog.New(slog.DiscardHandler),
		Begin: identity.BeginIncarnation{Cluster: r.Cluster, Incarnation: done.Incarnation, Why: identity.Restored, Writers: r.Writers},
	}.Restore(y.state, wire.SnapshotHeader{Head: y.head, Index: y.index, Term: y.term})
	if err != nil {
		return done, err
	}
	done.Position = after.Head.Position
	return done, place(r.Data, making, logDir)
}

// newIncarnation is an id that no incarnation has.
func newIncarnation() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// place gives what is made its name, durably.
func place(data, from, to string) error {
	return durable.Rename(from, filepath.Join(data, to))
}

// claim takes an empty directory until unlock is called.
func (r *Restore) claim() (unlock func(), err error) {
	if err := durable.MkdirAll(r.Data, setup.DirMode); err != nil {
		return nil, fmt.Errorf("make the writer's directory: %w", err)
	}
	lock, err := setup.Lock(r.Data)
	if err != nil {
		return nil, err
	}
	there, err := os.ReadDir(r.Data)
	for _, e := range there {
		if name := e.Name(); err == nil && name != lockFile && name != makingDir && name != readyDir && name != "lost+found" {
			err = fmt.Errorf("%w: %s has %s in it; a restore begins in an empty one", ErrOccupied, r.Data, name)
		}
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return func() { lock.Close() }, nil
}

// stored keeps batches in an event store.
type stored struct{ *store.Store }

func (s *stored) Keep(b []byte, head event.Head, prev event.Hash) error {
	if s.Last().Position == 0 && head.Position > 1 {
		if err := s.SkipTo(event.Head{Position: head.Position - 1, Hash: prev}); err != nil {
			return err
		}
	}
	return s.Append([]store.Entry{{Head: head, Prev: prev, Bytes: b}})
}

// read takes the history out of the archives, its batches into an event store.
func (r *Restore) read(dir string) (y *history, err error) {
	s, err := store.Open(filepath.Join(dir, log.EventsFile), store.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	y = &history{target: r.Target, keep: &stored{s}}
	var headers []*Header
	for _, open := range r.Archives {
		h, err := y.read(open)
		if err != nil {
			return nil, err
		}
		headers = append(headers, h)
	}
	switch t := r.Target; {
	case y.skipped && y.head.Position == 0:
		return nil, fmt.Errorf("%w: the history begins later", ErrTarget)
	case y.state == nil || y.head.Position == 0:
		return nil, fmt.Errorf("%w: they begin with no state; give a whole archive first", ErrTarget)
	case t.Position > y.head.Position:
		return nil, fmt.Errorf("%w: they end at position %d, before %d", ErrTarget, y.head.Position, t.Position)
	}
	if r.Judge != nil {
		if err := r.Judge.Accept(headers, y.state); err != nil {
			return nil, err
		}
	}
	// What the rule had dropped is not missing.
	if d := y.state.Retention().Dropped; d.Through > 0 && d.Through <= s.Last().Position {
		err = s.Drop(store.Dropped{Through: d.Through, Hash: d.Hash, At: time.UnixMilli(int64(d.At))})
	}
	return y, err
}
