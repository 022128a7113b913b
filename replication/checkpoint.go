package replication

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
)

// When a checkpoint is written, and how many are kept.
const (
	checkpointEvery    = 200_000         // batches after the one before
	checkpointInterval = 5 * time.Minute // if anything changed
	checkpointsKept    = 2
)

// A checkpoint is a snapshot in a file named for its position. It gets that name
// when it is whole and on disk.
const (
	checkpointPrefix  = "checkpoint-"
	checkpointPattern = checkpointPrefix + "%020d"
)

// checkpoints writes checkpoints until ctx ends, and then a last one.
func (f *Follower) checkpoints(ctx context.Context) error {
	tick := time.NewTicker(checkpointInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-f.due:
		case <-ctx.Done():
		}
		// Without a checkpoint a restart takes longer; that is no reason to stop.
		if err := f.checkpoint(); err != nil {
			f.problem("a checkpoint could not be written", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// checkpoint writes one of the present state, unless there is one.
func (f *Follower) checkpoint() error {
	f.writing.Lock()
	defer f.writing.Unlock()
	state, head := f.cfg.Sink.Snapshot()
	f.since.Store(0)
	if head.Position == 0 || head.Position == f.Status().Checkpoint {
		return nil
	}
	if err := writeCheckpoint(f.cfg.Dir, state, head); err != nil {
		return fmt.Errorf("write checkpoint %d: %w", head.Position, err)
	}
	f.note(func(s *Status) { s.Checkpoint = head.Position })
	return nil
}

// count takes note of applied batches.
func (f *Follower) count(batches int) {
	if f.since.Add(int64(batches)) >= checkpointEvery {
		f.due.Ring()
	}
}

func writeCheckpoint(dir string, state *identity.State, head event.Head) error {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	err := durable.Replace(filepath.Join(dir, fmt.Sprintf(checkpointPattern, head.Position)), 0o600, func(file io.Writer) error {
		out := bufio.NewWriterSize(file, 1<<20)
		if err := wire.WriteSnapshot(out, state, wire.SnapshotHeader{Head: head}); err != nil {
			return err
		}
		return out.Flush()
	})
	if err != nil {
		return err
	}
	return prune(dir)
}

// listCheckpoints returns the names of the checkpoints, newest first.
func listCheckpoints(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), checkpointPrefix) {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(b, a) })
	return names, nil
}

// prune removes old checkpoints, and what writing one left when it was cut short.
func prune(dir string) error {
	names, err := listCheckpoints(dir)
	if err != nil {
		return err
	}
	unfinished, err := durable.Unfinished(dir)
	if err != nil {
		return err
	}
	for _, name := range names[min(len(names), checkpointsKept):] {
		unfinished = append(unfinished, filepath.Join(dir, name))
	}
	for _, path := range unfinished {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// dropCheckpoints removes all of them.
func dropCheckpoints(dir string) error {
	names, err := listCheckpoints(dir)
	for _, name := range names {
		err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
	}
	return err
}

// newestCheckpoint reads the newest checkpoint that is sound, and says of each newer
// one why it is not used. Without any the state is nil.
func newestCheckpoint(dir string, logger *slog.Logger) (*identity.State, event.Head, error) {
	names, err := listCheckpoints(dir)
	if err != nil {
		return nil, event.Head{}, fmt.Errorf("look for checkpoints: %w", err)
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		state, header, err := readCheckpoint(path)
		if err == nil {
			return state, header.Head, nil
		}
		logger.Error("a checkpoint is refused; an older one or a writer's snapshot is used instead", "path", path, "error", err)
	}
	return nil, event.Head{}, nil
}

func readCheckpoint(path string) (*identity.State, wire.SnapshotHeader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, wire.SnapshotHeader{}, err
	}
	defer file.Close()
	return wire.ReadSnapshot(bufio.NewReaderSize(file, 1<<20))
}
