package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wire"
	"go.etcd.io/bbolt"
)

// Append adds batches to the end of the history. A batch that the store has
// already must be the same, byte for byte; otherwise, or when one does not follow
// the batch before it, the error is ErrChain and nothing is appended. What is
// appended can be read at once and is on disk after the next Sync.
func (s *Store) Append(entries []Entry) error {
	known, err := s.compare(entries)
	if err != nil {
		return fmt.Errorf("append to event store: %w", err)
	}
	if err := s.enqueue(entries[known:]); err != nil {
		return fmt.Errorf("append to event store: %w", err)
	}
	return nil
}

// compare returns how many of the entries the store has already, and checks those.
func (s *Store) compare(entries []Entry) (int, error) {
	for i, e := range entries {
		s.mu.RLock()
		last, dropped := s.last, s.dropped
		gap, missing := s.gapAt(e.Head.Position)
		s.mu.RUnlock()
		switch {
		case e.Head.Position == dropped.Through && e.Head.Hash != dropped.Hash:
			return 0, fmt.Errorf("%w: position %d had hash %x, not %x", ErrChain, dropped.Through, dropped.Hash, e.Head.Hash)
		case e.Head.Position <= dropped.Through:
			continue // it was the same, and is no longer kept
		case e.Head.Position > last.Position:
			return i, nil
		case missing && e.Head.Position == gap.To && e.Head.Hash != gap.Hash:
			return 0, fmt.Errorf("%w: position %d has hash %x, not %x", ErrChain, gap.To, gap.Hash, e.Head.Hash)
		case missing:
			continue // Backfill brings it, proved from the other side
		}
		stored, err := s.Read(e.Head.Position, 1, 1)
		var gone *DroppedError
		switch {
		case errors.As(err, &gone): // meanwhile
			continue
		case err != nil:
			return 0, err
		}
		if !bytes.Equal(stored[0], e.Bytes) {
			return 0, fmt.Errorf("%w: the store holds another batch at position %d", ErrChain, e.Head.Position)
		}
	}
	return len(entries), nil
}

func (s *Store) enqueue(entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return s.err
	}
	head := s.last
	for _, e := range entries {
		if e.Head.Position != head.Position+1 || e.Prev != head.Hash {
			s.mu.Unlock()
			return fmt.Errorf("%w: position %d after %x does not follow position %d with hash %x",
				ErrChain, e.Head.Position, e.Prev, head.Position, head.Hash)
		}
		head = e.Head
	}
	for _, e := range entries {
		s.pending = append(s.pending, e.Bytes)
		s.bytes += len(e.Bytes)
	}
	s.last = head
	size := s.bytes
	s.mu.Unlock()

	s.some.Ring()
	if size >= flushSize {
		s.full.Ring()
	}
	if size >= maxPending {
		return s.Sync()
	}
	return nil
}

// flusher writes pending batches to the file until Close.
func (s *Store) flusher() {
	for {
		select {
		case <-s.some:
		case <-s.stop:
			return
		}
		delay := time.NewTimer(flushDelay)
		select {
		case <-delay.C:
		case <-s.full:
		case <-s.stop:
		}
		delay.Stop()
		if s.Sync() != nil {
			return // Append says why, and so did Options.Failed
		}
	}
}

// Sync returns when everything that was appended is on disk. Its first error
// closes the store for writing.
func (s *Store) Sync() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	err, batches := s.err, s.pending
	first := s.last.Position - event.Position(len(batches)) + 1
	s.mu.RUnlock()
	if err != nil || len(batches) == 0 {
		return err
	}
	err = s.update(func(tx *bbolt.Tx) error { return putAll(tx, first, batches) })
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range batches {
		s.bytes -= len(b)
	}
	s.pending = slices.Clone(s.pending[len(batches):])
	return nil
}

// update writes to the file, with a sync. The caller holds writing. The first
// error closes the store for writing.
func (s *Store) update(f func(*bbolt.Tx) error) error {
	panicked := true
	s.db.NoFreelistSync = s.db.Stats().FreePageN > maxSyncedFree // writing guards it
	err := durable.Guard(ErrCorrupt, func() error {
		err := s.db.Update(f)
		panicked = false
		return err
	})
	if err == nil {
		return nil
	}
	err = fmt.Errorf("write event store %s: %w", s.path, err)
	s.mu.Lock()
	first := s.err == nil
	if first {
		s.err = err
	}
	s.broken = s.broken || panicked
	s.mu.Unlock()
	if first && s.options.Failed != nil {
		s.options.Failed(err)
	}
	return err
}

// putAll puts batches at consecutive positions. Pages are filled: keys only come
// in runs, and nothing is ever put between two.
func putAll(tx *bbolt.Tx, first event.Position, batches [][]byte) error {
	b := tx.Bucket(bucketBatches)
	b.FillPercent = 1
	for i, batch := range batches {
		if err := b.Put(keyOf(first+event.Position(i)), batch); err != nil {
			return err
		}
	}
	return nil
}

// SkipTo makes head the end of the history, as after a snapshot from elsewhere.
// The batches between the end so far and head are missing until Backfill brings
// them. Where the store's history reaches head already, the hash there must be
// head's, else the error is ErrChain.
func (s *Store) SkipTo(head event.Head) error {
	if err := s.Sync(); err != nil {
		return fmt.Errorf("skip to position %d: %w", head.Position, err)
	}
	if head.Position <= s.Last().Position {
		return s.reaches(head)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	gaps, last := slices.Clone(s.gaps), s.last.Position
	s.mu.RUnlock()
	gap := Gap{From: last + 1, To: head.Position, Hash: head.Hash}
	replaced := event.Position(0)
	if n := len(gaps); n > 0 && gaps[n-1].To == last { // nothing in between: one gap
		gap.From, replaced = gaps[n-1].From, last
		gaps = gaps[:n-1]
	}
	err := s.update(func(tx *bbolt.Tx) error {
		if replaced > 0 {
			if err := tx.Bucket(bucketGaps).Delete(keyOf(replaced)); err != nil {
				return err
			}
		}
		return putGap(tx, gap)
	})
	if err != nil {
		return fmt.Errorf("skip to position %d: %w", head.Position, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaps, s.last = append(gaps, gap), head
	return nil
}

// reaches checks that the history has this head; within a gap, and of what was dropped,
// nobody can say.
func (s *Store) reaches(head event.Head) error {
	hash, err := s.Hash(head.Position)
	var missing *MissingError
	var dropped *DroppedError
	switch {
	case errors.As(err, &missing), errors.As(err, &dropped):
		return nil
	case err != nil:
		return err
	case hash != head.Hash:
		return fmt.Errorf("%w: position %d has hash %x here, not %x", ErrChain, head.Position, hash, head.Hash)
	}
	return nil
}

func putGap(tx *bbolt.Tx, g Gap) error {
	v := binary.BigEndian.AppendUint64(nil, uint64(g.From))
	return tx.Bucket(bucketGaps).Put(keyOf(g.To), append(v, g.Hash[:]...))
}

// Backfill puts batches, in order, at the end of the gap that the last of them
// ends. They must be linked to each other and end with the hash that the gap must
// end with; otherwise the source is wrong and the error is ErrChain, or
// wire.ErrCorrupt. Where they reach the gap's beginning they must also follow the
// batch before it; otherwise the store is wrong and the error is an
// *OwnHistoryError.
func (s *Store) Backfill(batches [][]byte) error {
	if len(batches) == 0 {
		return nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	first, link, err := s.checkRun(batches)
	if err != nil {
		return fmt.Errorf("backfill event store: %w", err)
	}
	last := first + event.Position(len(batches)) - 1
	s.mu.RLock()
	gaps, failed := slices.Clone(s.gaps), s.err
	s.mu.RUnlock()
	if failed != nil {
		return failed
	}
	at := slices.IndexFunc(gaps, func(g Gap) bool { return g.To == last })
	left := Gap{From: gaps[at].From, To: first - 1, Hash: link}
	err = s.update(func(tx *bbolt.Tx) error {
		if err := tx.Bucket(bucketGaps).Delete(keyOf(last)); err != nil {
			return err
		}
		if left.To >= left.From {
			if err := putGap(tx, left); err != nil {
				return err
			}
		}
		return putAll(tx, first, batches)
	})
	if err != nil {
		return err
	}
	if left.To >= left.From {
		gaps[at] = left
	} else {
		gaps = slices.Delete(gaps, at, at+1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaps = gaps
	return nil
}

// OwnHistoryError is returned by Backfill when proved batches of the cluster do
// not follow what this store has before them.
type OwnHistoryError struct {
	Position event.Position // the last one of the store's own history
}

// Error says where the histories part.
func (e *OwnHistoryError) Error() string {
	return fmt.Sprintf("the event store's own history up to position %d is not the cluster's", e.Position)
}

// checkRun returns the first position of a run of batches and the hash that its
// predecessor must have.
func (s *Store) checkRun(batches [][]byte) (first event.Position, link event.Hash, err error) {
	var before event.Head
	for i, b := range batches {
		head, prev, err := wire.PeekBatch(b)
		switch {
		case err != nil:
			return 0, link, err
		case i == 0:
			first, link = head.Position, prev
		case head.Position != before.Position+1 || prev != before.Hash:
			return 0, link, fmt.Errorf("%w: position %d does not follow %d", ErrChain, head.Position, before.Position)
		}
		before = head
	}
	s.mu.RLock()
	gap, ok := s.gapAt(before.Position)
	s.mu.RUnlock()
	if !ok || before.Position != gap.To || before.Hash != gap.Hash || first < gap.From {
		return 0, link, fmt.Errorf("%w: positions %d to %d end no gap", ErrChain, first, before.Position)
	}
	if first > gap.From {
		return first, link, nil
	}
	own, err := s.Hash(first - 1)
	if err == nil && own != link {
		err = &OwnHistoryError{Position: first - 1}
	}
	return first, link, err
}
