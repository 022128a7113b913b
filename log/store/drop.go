package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wire"
	"go.etcd.io/bbolt"
)

// Limits of one transaction that deletes, which appended batches wait for in memory.
const (
	sweepCount = 512
	sweepSize  = 1 << 20 // bytes
)

// maxSyncedFree is how many free pages the file may have for their list to be written with
// every transaction, eight bytes each. With more, as after a large drop, opening finds them
// again by looking at all pages.
const maxSyncedFree = 1 << 16

// droppedFormat is the layout of a file with a beginning behind which batches are dropped. A
// build that does not know of it would take them for lost.
const droppedFormat = "2"

// keyDropped is the beginning, in the bucket of what is known of the file.
var keyDropped = []byte("dropped")

// Dropped is a beginning of the history: the batches up to Through, whose hash is Hash, were
// dropped by the cluster's rule at At. The first batch that stays names that hash. The zero
// value drops nothing.
type Dropped struct {
	Through event.Position
	Hash    event.Hash
	At      time.Time // to the millisecond
}

// DroppedError is returned when a position is asked for that was dropped. No writer brings it
// back; an archive of before may have it.
type DroppedError struct {
	First event.Position // that the history begins with
	At    time.Time      // when the latest drop was decided
}

// Error says where the history begins, and why.
func (e *DroppedError) Error() string {
	return fmt.Sprintf("the history begins at position %d: what was before was dropped by the retention rule on %s; a backup of before may have it",
		e.First, e.At.UTC().Format(time.RFC3339))
}

func (d Dropped) err() *DroppedError { return &DroppedError{First: d.Through + 1, At: d.At} }

// Dropped is where the history of this store begins.
func (s *Store) Dropped() Dropped {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.dropped
}

// Drop makes the history begin behind a position that it has reached. Nobody reads what was
// before from then on, Sweep deletes it, and what is missing of it is missed no more. It
// changes nothing where the history begins there, or later. Where the store has another hash
// at the position the error is ErrChain, and nothing is dropped.
func (s *Store) Drop(d Dropped) error {
	if err := s.drop(d); err != nil {
		return fmt.Errorf("drop the history up to position %d: %w", d.Through, err)
	}
	return nil
}

func (s *Store) drop(d Dropped) error {
	if err := s.Sync(); err != nil { // what is dropped is in the file, or missing
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	failed, last, before, gaps := s.err, s.last.Position, s.dropped.Through, slices.Clone(s.gaps)
	s.mu.RUnlock()
	switch {
	case failed != nil:
		return failed
	case d.Through <= before:
		return nil
	case d.Through > last:
		return &MissingError{From: last + 1, To: d.Through}
	}
	if err := s.reaches(event.Head{Position: d.Through, Hash: d.Hash}); err != nil {
		return err
	}
	var over []Gap // that end before the beginning
	for len(gaps) > 0 && gaps[0].To <= d.Through {
		over, gaps = append(over, gaps[0]), gaps[1:]
	}
	err := s.update(func(tx *bbolt.Tx) error {
		for _, g := range over {
			if err := tx.Bucket(bucketGaps).Delete(keyOf(g.To)); err != nil {
				return err
			}
		}
		if len(gaps) > 0 && gaps[0].From <= d.Through {
			gaps[0].From = d.Through + 1
			if err := putGap(tx, gaps[0]); err != nil {
				return err
			}
		}
		return putDropped(tx, d)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped, s.gaps = d, gaps
	return nil
}

// Sweep deletes some of what was dropped, in one transaction of a bounded size, and says
// whether more is left. What a crash leaves the next Sweep finds.
func (s *Store) Sweep() (more bool, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	failed, through := s.err, s.dropped.Through
	s.mu.RUnlock()
	if failed != nil {
		return false, failed
	}
	var keys [][]byte
	err = durable.Guard(ErrCorrupt, func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			keys, more = swept(tx, through)
			return nil
		})
	})
	if err == nil && len(keys) > 0 {
		err = s.update(func(tx *bbolt.Tx) error {
			for _, k := range keys {
				if err := tx.Bucket(bucketBatches).Delete(k); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return false, fmt.Errorf("delete dropped batches: %w", err)
	}
	return more, nil
}

// swept returns the keys of the first batches up to a position, and whether there are more.
func swept(tx *bbolt.Tx, through event.Position) (keys [][]byte, more bool) {
	size := 0
	c := tx.Bucket(bucketBatches).Cursor()
	for k, v := c.First(); len(k) == 8 && positionOf(k) <= through; k, v = c.Next() {
		if len(keys) == sweepCount || size >= sweepSize {
			return keys, true
		}
		keys = append(keys, slices.Clone(k))
		size += len(v)
	}
	return keys, false
}

func putDropped(tx *bbolt.Tx, d Dropped) error {
	v := binary.BigEndian.AppendUint64(nil, uint64(d.Through))
	v = binary.BigEndian.AppendUint64(append(v, d.Hash[:]...), uint64(d.At.UnixMilli()))
	meta := tx.Bucket(bucketMeta)
	if err := meta.Put(keyFormat, []byte(droppedFormat)); err != nil {
		return err
	}
	return meta.Put(keyDropped, v)
}

// loadDropped reads where the history begins.
func (s *Store) loadDropped(meta *bbolt.Bucket) error {
	v := meta.Get(keyDropped)
	if v == nil {
		return nil
	}
	if len(v) != 8+len(event.Hash{})+8 {
		return fmt.Errorf("%w: a beginning of %d bytes", ErrCorrupt, len(v))
	}
	hash, at := v[8:8+len(event.Hash{})], v[8+len(event.Hash{}):]
	s.dropped = Dropped{
		Through: positionOf(v), Hash: event.Hash(hash), At: time.UnixMilli(int64(binary.BigEndian.Uint64(at))).UTC(),
	}
	s.last = event.Head{Position: s.dropped.Through, Hash: s.dropped.Hash}
	return nil
}

// Usage is how much of the disk a store takes, in bytes, and what of it holds something.
type Usage struct {
	File int64 // never shrinks while the store is open: what is deleted makes room for what comes
	Used int64
}

// Usage looks at the file. What cannot be looked at counts as nothing.
func (s *Store) Usage() (u Usage) {
	info, err := os.Stat(s.path)
	if err != nil {
		return u
	}
	u.File = info.Size()
	_ = durable.Guard(ErrCorrupt, func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			stats := s.db.Stats()
			u.Used = tx.Size() - int64(stats.FreePageN+stats.PendingPageN)*int64(s.db.Info().PageSize)
			return nil
		})
	})
	return u
}

// Oldest is the position of the first batch that stays, behind which none is missing, and the
// time that its command names; false for a store that has none.
func (s *Store) Oldest() (first event.Position, at time.Time, ok bool) {
	first = s.First()
	found, err := s.Read(first, 1, 1)
	if err != nil || len(found) == 0 {
		return 0, at, false
	}
	header, err := wire.BatchHeader(found[0])
	if err != nil {
		return 0, at, false
	}
	b, err := wire.DecodeHeader(header)
	if err != nil {
		return 0, at, false
	}
	return first, time.UnixMilli(int64(b.Cause.Time)).UTC(), true
}

// compactTx is how many bytes Compact copies in one transaction.
const compactTx = 16 << 20

// Compact copies the store at path, which nobody may have open for writing, into a file without
// free pages, and puts that in its place. It needs room for the copy beside it. It returns
// the sizes of the file before and after.
func Compact(path string) (before, after int64, err error) {
	s, err := Open(path, Options{ReadOnly: true}) // nobody opens it for writing meanwhile
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	making := path + ".compact"
	defer func() {
		if e := os.Remove(making); e != nil && !errors.Is(e, os.ErrNotExist) { // gone where it was put in place
			err = errors.Join(err, e)
		}
	}()
	before = s.Usage().File
	if err := s.copyTo(making); err != nil {
		return before, 0, fmt.Errorf("compact event store %s: %w", path, err)
	}
	info, err := os.Stat(making)
	if err == nil {
		err = sameOwner(making, path)
	}
	if err != nil {
		return before, 0, fmt.Errorf("compact event store %s: %w", path, err)
	}
	return before, info.Size(), durable.Rename(making, path)
}

// sameOwner gives a new file to the owner of an old one: the writer may run as another user
// than who compacts its store.
func sameOwner(made, old string) error {
	info, err := os.Stat(old)
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		return os.Chown(made, int(owner.Uid), int(owner.Gid))
	}
	return nil
}

// copyTo writes all that the store has into a new file, durably.
func (s *Store) copyTo(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // of a Compact that was cut short
		return err
	}
	to, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	err = durable.Guard(ErrCorrupt, func() error { return bbolt.Compact(to, s.db, compactTx) })
	if err == nil {
		err = to.Sync()
	}
	return errors.Join(err, to.Close())
}
