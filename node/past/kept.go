package past

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/log/wire"
)

// Limits of the states that a writer keeps.
const (
	// Every is how many positions lie between two states that are kept, of the newest; of older
	// ones more and more, see thin.
	Every event.Position = 50_000
	// MaxStates is how many states are kept at most.
	MaxStates = 64
	// MaxBytes is what their files take at most together. A state that would take more alone
	// is not kept.
	MaxBytes int64 = 2 << 30
	// againAfter is when a state is kept that could not be, such as for lack of room.
	againAfter = time.Minute
	// pruneEvery is how often states are looked for that lie before the history's beginning.
	pruneEvery = time.Minute
	// share is the part of the time in which a state is written: one in so many. The disk is
	// for the log most of the time.
	share = 4

	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600
	suffix               = ".state"
	digits               = 20 // of a position in a file's name, so that names sort as positions
)

// Log is a writer's log, as far as its past is made of it.
type Log interface {
	// Applied is what the log has come to. It does not change.
	Applied() *log.Applied
	// Changed returns a channel that is closed when there is more.
	Changed() <-chan struct{}
	// Events are the batches of the history.
	Events() *store.Store
}

// Rule is which states are kept. The zero value is the constants.
type Rule struct {
	Every  event.Position
	States int
	Bytes  int64
}

func (r Rule) complete() Rule {
	if r.Every == 0 {
		r.Every = Every
	}
	if r.States == 0 {
		r.States = MaxStates
	}
	if r.Bytes == 0 {
		r.Bytes = MaxBytes
	}
	return r
}

// Keeper keeps states of past positions in a directory: one each so many positions, fewer and
// fewer with their age, within a number and bytes. It may be used by any number of goroutines.
type Keeper struct {
	Log    Log
	Dir    string // is made; the keeper's own
	Rule   Rule
	Logger *slog.Logger

	mu sync.Mutex // of the files
}

// kept is a file with a state.
type kept struct {
	at   event.Position
	size int64
}

func (k *Keeper) path(at event.Position) string {
	return filepath.Join(k.Dir, fmt.Sprintf("%0*d%s", digits, at, suffix))
}

// list returns what is kept, the oldest first. Files with other names are nobody's, but for
// those that a crash left half-written, which are removed.
func (k *Keeper) list() (list []kept, err error) {
	unfinished, err := durable.Unfinished(k.Dir)
	for _, path := range unfinished {
		err = errors.Join(err, gone(os.Remove(path)))
	}
	if err != nil {
		return nil, fmt.Errorf("look for kept states: %w", err)
	}
	there, err := os.ReadDir(k.Dir)
	if err != nil {
		return nil, fmt.Errorf("look for kept states: %w", err)
	}
	for _, e := range there {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		at, err := strconv.ParseUint(name, 10, 64)
		if !ok || err != nil || len(name) != digits || at == 0 {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // removed meanwhile
		}
		list = append(list, kept{event.Position(at), info.Size()})
	}
	return list, nil // by name, and so by position
}

// gone makes nothing of the error of a file that is not there.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Run keeps states until ctx ends. What fails is logged and tried again: nothing but the time
// that a view of the past takes depends on it.
func (k *Keeper) Run(ctx context.Context) {
	for {
		changed := k.Log.Changed()
		wait, err := k.turn()
		if err != nil {
			k.Logger.Warn("no state of the past could be kept; views of the past take longer to make", "error", err)
			wait = againAfter
		}
		if wait > 0 {
			if wake.After(ctx, wait) != nil {
				return
			}
			continue
		}
		prune := time.NewTimer(pruneEvery)
		select {
		case <-changed:
		case <-prune.C:
		case <-ctx.Done():
		}
		prune.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// turn keeps the state that was reached, if it is due, and says how long to rest then.
func (k *Keeper) turn() (rest time.Duration, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := durable.MkdirAll(k.Dir, dirMode); err != nil {
		return 0, err
	}
	list, err := k.list()
	if err != nil {
		return 0, err
	}
	if list, err = k.prune(list); err != nil {
		return 0, err
	}
	a := k.Log.Applied()
	newest := event.Position(0)
	if len(list) > 0 {
		newest = list[len(list)-1].at
	}
	// A log that was restored to an earlier position leaves later states behind: prune looks
	// at their hashes when they are used, and here they count as none.
	if a.Head.Position < newest {
		newest = 0
	}
	if a.Head.Position < newest+k.Rule.complete().Every {
		return 0, nil
	}
	begun := time.Now()
	err = k.write(a.State, a.SnapshotHeader(), list)
	return (share - 1) * time.Since(begun), err
}

// keep keeps a state that was folded.
func (k *Keeper) keep(state *identity.State, head event.Head) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := durable.MkdirAll(k.Dir, dirMode); err != nil {
		return err
	}
	list, err := k.list()
	if err != nil {
		return err
	}
	return k.write(state, wire.SnapshotHeader{Head: head}, list)
}

// errTooLong is returned for a state that takes more than all may.
var errTooLong = errors.New("the state takes more than kept states may")

// write writes a state, and makes room for it by the rule. mu is held.
func (k *Keeper) write(state *identity.State, h wire.SnapshotHeader, list []kept) error {
	rule := k.Rule.complete()
	path := k.path(h.Head.Position)
	err := durable.Replace(path, fileMode, func(w io.Writer) error {
		return wire.WriteSnapshot(&bounded{w, rule.Bytes}, state, h)
	})
	if err != nil {
		return fmt.Errorf("keep the state of position %d: %w", h.Head.Position, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(e kept) bool { return e.at == h.Head.Position })
	list = append(list, kept{h.Head.Position, info.Size()})
	slices.SortFunc(list, func(a, b kept) int { return int(int64(a.at) - int64(b.at)) })
	for _, e := range thin(list, rule.States, rule.Bytes) {
		if err := gone(os.Remove(k.path(e.at))); err != nil {
			return err
		}
	}
	return nil
}

// bounded refuses to write more than so many bytes.
type bounded struct {
	w    io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errTooLong
	}
	return b.w.Write(p)
}

// thin chooses what is kept no more, so that the rest is within a number and bytes: each time
// the one without which the gap between its neighbours is least for its age. So the states
// lie the closer together the newer they are. The newest stays.
func thin(list []kept, states int, bytes int64) (out []kept) {
	list = slices.Clone(list)
	total := int64(0)
	for _, e := range list {
		total += e.size
	}
	for len(list) > 1 && (len(list) > states || total > bytes) {
		newest := list[len(list)-1].at
		least, drop := 0.0, -1
		for i := range list[:len(list)-1] {
			before := event.Position(0) // the history's beginning, at the least
			if i > 0 {
				before = list[i-1].at
			}
			gap := float64(list[i+1].at-before) / float64(newest-before)
			if drop < 0 || gap < least {
				least, drop = gap, i
			}
		}
		total -= list[drop].size
		out = append(out, list[drop])
		list = slices.Delete(list, drop, drop+1)
	}
	return out
}

// prune removes states from before the history's beginning: nothing can be folded from them.
// mu is held.
func (k *Keeper) prune(list []kept) ([]kept, error) {
	through := k.Log.Events().Dropped().Through
	for len(list) > 0 && list[0].at < through {
		if err := gone(os.Remove(k.path(list[0].at))); err != nil {
			return list, err
		}
		list = list[1:]
	}
	return list, nil
}

// Usage is how many states are kept, and what their files take, in bytes.
func (k *Keeper) Usage() (states int, bytes int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	list, err := k.list()
	if err != nil {
		return 0, 0
	}
	for _, e := range list {
		bytes += e.size
	}
	return len(list), bytes
}

// before returns the positions of the states that are kept at a position or before, the newest first.
func (k *Keeper) before(at event.Position) (out []event.Position) {
	k.mu.Lock()
	defer k.mu.Unlock()
	list, err := k.list()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.Logger.Warn("the kept states could not be looked at; the view is folded without them", "error", err)
	}
	for _, e := range slices.Backward(list) {
		if e.at <= at {
			out = append(out, e.at)
		}
	}
	return out
}

// errForeign is returned for a state that is not of the history.
var errForeign = errors.New("the state is of another history")

// load reads the state that is kept of a position. hash is that of the batch there. A file that
// is not what was written, or is of another history, is removed.
func (k *Keeper) load(at event.Position, hash event.Hash) (*identity.State, event.Head, error) {
	path := k.path(at)
	state, h, err := read(path)
	if err == nil && (h.Head.Position != at || h.Head.Hash != hash) {
		err = errForeign
	}
	if err == nil {
		return state, h.Head, nil
	}
	k.Logger.Warn("a kept state is not used, and removed", "file", path, "error", err)
	k.mu.Lock()
	defer k.mu.Unlock()
	return nil, event.Head{}, errors.Join(err, gone(os.Remove(path)))
}

func read(path string) (*identity.State, wire.SnapshotHeader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, wire.SnapshotHeader{}, err
	}
	defer f.Close()
	return wire.ReadSnapshot(f)
}
