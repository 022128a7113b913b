package proof

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

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

// VerifyLog reads the event store in a writer's directory from genesis to head and
// checks every hash and link. The node must not be running. It returns the head.
func VerifyLog(ctx context.Context, data string) (head event.Head, err error) {
	path := filepath.Join(data, "log", log.EventsFile)
	s, err := store.Open(path, store.Options{ReadOnly: true})
	if err != nil {
		return head, fmt.Errorf("open %s: %w", path, broken(err))
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if head, err = s.Verify(ctx, func(event.Position) {}); err != nil {
		return head, fmt.Errorf("verify %s: %w", path, broken(err))
	}
	return head, nil
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
