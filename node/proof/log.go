package proof

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
)

// ErrBroken is returned when the chain of batches in a writer's directory is not
// what was once written.
var ErrBroken = errors.New("the chain is broken")

// ErrInUse is returned when the writer whose directory is to be read is running.
var ErrInUse = store.ErrLocked

// Walked is a chain that was found whole: from the batch at First to the head.
type Walked struct {
	event.Head
	First   event.Position
	Dropped time.Time // when what is before First was dropped; zero: nothing was
}

// VerifyLog reads the event store in a writer's directory, from genesis or where the retention
// rule has the history begin, to the head, and checks every hash and link. The node must not be
// running.
func VerifyLog(ctx context.Context, data string) (w Walked, err error) {
	path := filepath.Join(data, "log", log.EventsFile)
	s, err := store.Open(path, store.Options{ReadOnly: true})
	if err != nil {
		return w, fmt.Errorf("open %s: %w", path, broken(err))
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	d := s.Dropped()
	w.First, w.Dropped = d.Through+1, d.At
	if w.Head, err = s.Verify(ctx, func(event.Position) {}); err != nil {
		return w, fmt.Errorf("verify %s: %w", path, broken(err))
	}
	return w, nil
}

// broken marks what proves a chain broken as ErrBroken. A file that is not there,
// is in use or was written by a later release proves nothing.
func broken(err error) error {
	var missing *store.MissingError
	if errors.Is(err, store.ErrCorrupt) || errors.Is(err, wire.ErrCorrupt) || errors.As(err, &missing) {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return err
}

// CompactLog makes the event store in a writer's directory as small as what is in it. The node
// must not be running. It returns the sizes of the file before and after.
func CompactLog(data string) (before, after int64, err error) {
	return store.Compact(filepath.Join(data, "log", log.EventsFile))
}
