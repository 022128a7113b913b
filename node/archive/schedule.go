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
	"github.com/writ-iam/writ/node/archive/bucket"
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
	// Dir is the directory for them, or the URL s3://BUCKET/PREFIX/ of where they are in the
	// store that S3 names; the writer's own.
	Dir string
	S3  bucket.Config
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
	in         room
	last       atomic.Int64 // when the newest was made, in seconds since 1970; 0: there is none
}

// room is where the archives of a schedule are. Each call may take as long as disks and stores do.
type room interface {
	// list returns the names of what is there, in order, and others' among them.
	list(context.Context) ([]string, error)
	// create makes an archive, as Places.Create does.
	create(ctx context.Context, name string, write func(io.Writer) error) error
	// tidy removes archives, and what a crash left half-written.
	tidy(ctx context.Context, names []string) error
}

// NewKeeper checks a schedule; nil for one that makes no archives. A store is asked nothing yet: a
// writer starts without it.
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
		k.in, err = s.room()
	}
	if err == nil && !bucket.Is(s.Dir) {
		err = k.look(context.Background(), time.Now())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchedule, err)
	}
	return k, nil
}

func (s *Schedule) room() (room, error) {
	if !bucket.Is(s.Dir) {
		return directory{s.Dir}, durable.MkdirAll(s.Dir, setup.DirMode)
	}
	at, err := bucket.ParsePrefix(s.Dir)
	if err != nil {
		return nil, err
	}
	store, err := s.S3.Open()
	return prefix{store, at}, err
}

// look finds out when the newest archive was made.
func (k *Keeper) look(ctx context.Context, now time.Time) error {
	list, err := k.list(ctx, now)
	if len(list) > 0 {
		k.last.Store(madeAt(list[len(list)-1]).Unix())
	}
	return err
}

// Last is when the newest archive in the directory was made, in seconds since 1970; 0 if
// there is none, or the store has not told yet. It counts those alone that were written whole.
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
	if err := k.look(ctx, now()); err != nil {
		logger.Error("it is not known which backups there are, so one is made", "dir", k.Dir, "error", err)
	}
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
		path, err := k.make(ctx, s, now())
		if err == nil {
			logger.Info("a backup was made", "dir", k.Dir, "file", path)
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

// list returns the names of the archives, the oldest first. What a name puts into the future
// is left out: it is no newest one, and must not push those out that are made now.
func (k *Keeper) list(ctx context.Context, now time.Time) (names []string, err error) {
	names, err = k.in.list(ctx)
	return slices.DeleteFunc(names, func(name string) bool { return !fileName.MatchString(name) || madeAt(name).After(now) }), err
}

// make makes an archive, and then removes those that are no longer kept.
func (k *Keeper) make(ctx context.Context, s *Source, now time.Time) (name string, err error) {
	name = fmt.Sprintf("writ-%s-%d.archive", now.UTC().Format(fileTime), s.Header.Head.Position)
	if len(k.recipients) > 0 {
		name += ".age"
	}
	s.Time = identity.Time(now.UnixMilli())
	err = k.in.create(ctx, name, func(w io.Writer) error {
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
		return name, err
	}
	k.last.Store(now.Unix())
	return name, k.tidy(ctx, now)
}

// tidy removes the oldest archives, and what a crash left half-written.
func (k *Keeper) tidy(ctx context.Context, now time.Time) error {
	names, err := k.list(ctx, now)
	if err != nil {
		return err
	}
	return k.in.tidy(ctx, names[:max(0, len(names)-k.Keep)])
}

// directory is a room on disk.
type directory struct{ path string }

func (d directory) list(context.Context) (names []string, err error) {
	there, err := os.ReadDir(d.path) // in order
	for _, e := range there {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (d directory) create(_ context.Context, name string, write func(io.Writer) error) error {
	return durable.CreateFrom(filepath.Join(d.path, name), setup.SecretMode, write)
}

func (d directory) tidy(_ context.Context, names []string) (err error) {
	for _, name := range names {
		err = errors.Join(err, os.Remove(filepath.Join(d.path, name)))
	}
	left, unread := durable.Unfinished(d.path)
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return errors.Join(err, unread)
}

// prefix is a room in a store.
type prefix struct {
	store *bucket.Store
	at    bucket.Location
}

func (p prefix) list(ctx context.Context) ([]string, error) { return p.store.List(ctx, p.at) }

func (p prefix) create(ctx context.Context, name string, write func(io.Writer) error) error {
	return p.store.Create(ctx, p.at.Below(name), write)
}

func (p prefix) tidy(ctx context.Context, names []string) (err error) {
	for _, name := range names {
		err = errors.Join(err, p.store.Remove(ctx, p.at.Below(name)))
	}
	return errors.Join(err, p.store.AbortBelow(ctx, p.at, fileName.MatchString))
}
