package archive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/setup"
)

// OfDirectory is the source that a writer's directory is, which is not running: the state
// behind the last batch in its event store. Nobody has signed it. The caller closes it.
func OfDirectory(data string, now identity.Time) (s *Source, unlock func() error, err error) {
	dir := filepath.Join(data, logDir)
	if _, err := os.Stat(filepath.Join(dir, log.EventsFile)); err != nil {
		return nil, nil, fmt.Errorf("%s is no writer's directory: %w", data, err)
	}
	lock, err := setup.Lock(data)
	if err != nil {
		return nil, nil, err
	}
	events, err := store.Open(filepath.Join(dir, log.EventsFile), store.Options{ReadOnly: true})
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	unlock = func() error { return errors.Join(events.Close(), lock.Close()) }
	s = &Source{Batches: events, Time: now}
	if err := s.rebuild(dir, events); err != nil {
		return nil, nil, errors.Join(err, unlock())
	}
	return s, unlock, nil
}

// rebuild makes the state of the newest snapshot and the batches behind it.
func (s *Source) rebuild(dir string, events *store.Store) error {
	y := &history{state: identity.NewState()}
	r, err := log.NewestSnapshot(dir)
	switch {
	case errors.Is(err, log.ErrEmpty): // none was written yet
	case err != nil:
		return err
	default:
		err := y.Snapshot(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	for end := events.Last().Position; y.head.Position < end; {
		found, err := events.Read(y.head.Position+1, readCount, readBytes)
		if err != nil {
			return err
		}
		for _, b := range found {
			head, prev, err := wire.PeekBatch(b)
			if err == nil {
				err = y.Batch(b, head, prev)
			}
			if err != nil {
				return fmt.Errorf("batch %d: %w", head.Position, err)
			}
		}
	}
	if y.head == (event.Head{}) {
		return fmt.Errorf("nothing is in %s: %w", dir, log.ErrEmpty)
	}
	s.State, s.Header = y.state, wire.SnapshotHeader{Head: y.head, Index: y.index, Term: y.term}
	return nil
}
