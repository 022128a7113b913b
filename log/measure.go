package log

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	"github.com/writ-iam/writ/log/event"
)

// Meter is told how long the log's work takes. Its methods are called by any goroutine of
// the log, which waits for them.
type Meter interface {
	// Committed is of one entry that this writer proposed: until it had applied it.
	Committed(took time.Duration)
	// Applied is of one piece of entries that the state machine applied.
	Applied(took time.Duration)
	// Stored is of one piece of entries: until they were written and synced.
	Stored(took time.Duration)
}

// unmeasured is the Meter of a log that nobody measures.
type unmeasured struct{}

func (unmeasured) Committed(time.Duration) {}
func (unmeasured) Applied(time.Duration)   {}
func (unmeasured) Stored(time.Duration)    {}

// Sizes are how many bytes a log takes on disk.
type Sizes struct {
	Entries   int64 // Raft's entries and votes
	Events    int64 // the event store
	Snapshots int64 // all that are kept
}

// snapshotsDir is where Raft keeps its snapshots in Config.Dir.
const snapshotsDir = "snapshots"

// Sizes looks for how much the log takes on disk. What cannot be looked at counts as nothing.
func (l *Log) Sizes() (s Sizes) {
	size := func(name string) int64 {
		info, err := os.Stat(filepath.Join(l.config.Dir, name))
		if err != nil {
			return 0
		}
		return info.Size()
	}
	s.Entries, s.Events = size(entriesFile), size(EventsFile)
	_ = filepath.WalkDir(filepath.Join(l.config.Dir, snapshotsDir), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // another snapshot took its place
		}
		if info, err := e.Info(); err == nil {
			s.Snapshots += info.Size()
		}
		return nil
	})
	return s
}

// Snapshotted is the position of the newest snapshot that this writer has: entries up to it are
// not applied again, so batches up to it may be dropped.
func (l *Log) Snapshotted() event.Position { return event.Position(l.fsm.kept.Load()) }

// Snapshot makes Raft keep a snapshot now; nothing happens where there is nothing new.
func (l *Log) Snapshot() error {
	err := l.raft.Snapshot().Error()
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil
	}
	return err
}

// SnapshotAt is when the newest snapshot was made; the zero time: there is none.
func (l *Log) SnapshotAt() (at time.Time) {
	list, err := os.ReadDir(filepath.Join(l.config.Dir, snapshotsDir))
	if err != nil {
		return at
	}
	for _, e := range list {
		if info, err := e.Info(); err == nil && !strings.HasSuffix(e.Name(), ".tmp") && info.ModTime().After(at) {
			at = info.ModTime()
		}
	}
	return at
}

// MinFree is how many bytes of the disk are left free: with less, writes are refused.
func (l *Log) MinFree() uint64 { return l.config.MinFree }

// LastIndex is that of the last entry on this writer's disk.
func (l *Log) LastIndex() uint64 { return l.raft.LastIndex() }
