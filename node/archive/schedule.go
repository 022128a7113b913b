package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/setup"
)

// Limits of scheduled archives.
const (
	// MinEvery is how far apart they are at least.
	MinEvery = time.Minute
	// againAfter is when one that failed is tried again.
	againAfter = 5 * time.Minute
	// beginning is when a writer is asked again that has no state yet.
	beginning = time.Second
)

// Schedule is when a writer makes archives by itself, whole ones, and how many it keeps. The zero
// value makes none.
type Schedule struct {
	// Dir is the directory for them, the writer's own.
	Dir string
	// Every is the time between two, and Keep how many are kept.
	Every time.Duration
	Keep  int
	// RecipientsFile names who can read them; empty is for Unencrypted ones alone.
	RecipientsFile string
	Unencrypted    bool
}

// ErrSchedule is returned for a schedule that makes no sense.
var ErrSchedule = errors.New("backups cannot be made so")

// Keeper makes archives by a schedule.
type Keeper struct {
	Schedule
	recipients Recipients
	last       atomic.Int64 // when the newest was made, in seconds since 1970; 0: there is none
}

// NewKeeper checks a schedule; nil for one that makes no archives.
func NewKeeper(s Schedule) (*Keeper, error) {
	if s.Dir == "" {
		return nil, nil
	}
	k := &Keeper{Schedule: s}
	var err error
	switch {
	case s.Every < MinEvery:
		err = fmt.Errorf("every %v; use %v or more", s.Every, MinEvery)
	case s.Keep < 1:
		err = fmt.Errorf("%d are kept; keep one or more", s.Keep)
	case (s.RecipientsFile == "") != s.Unencrypted:
		err = errors.New("name a file of recipients, or say that they are not encrypted; not both")
	default:
		k.recipients, err = ParseRecipients(nil, s.RecipientsFile)
	}
	if err == nil {
		err = durable.MkdirAll(s.Dir, setup.DirMode)
	}
	var list []string
	if err == nil {
		list, err = k.list()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchedule, err)
	}
	if len(list) > 0 {
		k.last.Store(madeAt(list[len(list)-1]).Unix())
	}
	return k, nil
}

// Last is when the newest archive in the directory was made, in seconds since 1970; 0 if
// there is none. It counts those alone that were written whole, and are on disk.
func (k *Keeper) Last() float64 { return float64(k.last.Load()) }

// Told is what other nodes are told of a schedule; nil where there is none.
func (k *Keeper) Told() *shape.Backups {
	if k == nil {
		return nil
	}
	b := &shape.Backups{EveryS: int64(k.Every / time.Second)}
	if last := k.last.Load(); last > 0 {
		b.Last = time.Unix(last, 0).UTC()
	}
	return b
}

// Run makes archives of a running writer until ctx ends.
func (k *Keeper) Run(ctx context.Context, l *Live, logger *slog.Logger) {
	k.run(ctx, l.Source, l.Now, logger)
}

func (k *Keeper) run(ctx context.Context, of func() *Source, now func() time.Time, logger *slog.Logger) {
	for {
		due := time.Unix(k.last.Load(), 0).Add(k.Every)
		wait := max(0, min(due.Sub(now()), k.Every)) // a clock that was set back does not end them
		if wake.After(ctx, wait) != nil {
			return
		}
		s := of()
		if s == nil {
			if wake.After(ctx, beginning) != nil {
				return
			}
			continue
		}
		path, err := k.make(s, now())
		if err == nil {
			logger.Info("a backup was made", "file", path)
			continue
		}
		logger.Error("a backup was not made", "dir", k.Dir, "error", err, "retry", againAfter)
		if wake.After(ctx, min(againAfter, k.Every)) != nil {
			return
		}
	}
}

// fileTime is how the names of files have the time, UTC.
const fileTime = "20060102T150405Z"

// fileName are the names of files: by these alone one is taken for an archive of the
// schedule, and may be removed.
var fileName = regexp.MustCompile(`^writ-([0-9]{8}T[0-9]{6}Z)-[0-9]+\.archive(\.age)?$`)

func madeAt(name string) time.Time {
	at, err := time.Parse(fileTime, fileName.FindStringSubmatch(name)[1])
	if err != nil { // such as of February 30: somebody else named it
		return time.Time{}
	}
	return at
}

// list returns the names of the archives, the oldest first.
func (k *Keeper) list() (names []string, err error) {
	there, err := os.ReadDir(k.Dir)
	for _, e := range there {
		if e.Type().IsRegular() && fileName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, err
}

// make makes an archive, and then removes those that are no longer kept.
func (k *Keeper) make(s *Source, now time.Time) (path string, err error) {
	name := fmt.Sprintf("writ-%s-%d.archive", now.UTC().Format(fileTime), s.Header.Head.Position)
	if len(k.recipients) > 0 {
		name += ".age"
	}
	path = filepath.Join(k.Dir, name)
	s.Time = identity.Time(now.UnixMilli())
	err = durable.CreateFrom(path, setup.SecretMode, func(w io.Writer) error {
		covered, err := k.recipients.Cover(w)
		if err != nil {
			return err
		}
		if _, err = s.Write(covered, Extent{}); err != nil {
			return err
		}
		return covered.Close()
	})
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return path, err
	}
	k.last.Store(now.Unix())
	return path, k.tidy()
}

// tidy removes the oldest archives, and what a crash left half-written.
func (k *Keeper) tidy() error {
	names, err := k.list()
	if err != nil {
		return err
	}
	for _, name := range names[:max(0, len(names)-k.Keep)] {
		err = errors.Join(err, os.Remove(filepath.Join(k.Dir, name)))
	}
	left, unread := durable.Unfinished(k.Dir)
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return errors.Join(err, unread)
}
