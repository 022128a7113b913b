package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/log/wire"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Limits of what is appended but not yet in the file.
const (
	flushDelay  = 500 * time.Millisecond // a batch waits no longer than this
	flushSize   = 1 << 20                // bytes; more are written at once
	maxPending  = 16 << 20               // bytes; with more, Append waits for the disk
	lockTimeout = 2 * time.Second        // to wait for another process to close the file
)

// format is the layout of a file from which nothing was dropped; see droppedFormat. Another
// one is refused.
const format = "1"

// The buckets of the file. Positions are keys of eight bytes, big-endian.
var (
	bucketBatches = []byte("batches") // position -> encoded batch
	bucketGaps    = []byte("gaps")    // last position missing -> first one, hash of the last
	bucketMeta    = []byte("meta")
	keyFormat     = []byte("format")
)

// Gap is a range of positions whose batches are missing, and the hash that the
// last of them must have.
type Gap struct {
	From, To event.Position
	Hash     event.Hash
}

// Entry is a batch to be appended. The caller made Bytes with wire.EncodeBatch
// and vouches for Head and Prev, which are the batch's.
type Entry struct {
	Head  event.Head
	Prev  event.Hash
	Bytes []byte // not changed after Append
}

// Options for Open.
type Options struct {
	// ReadOnly leaves the file as it is; several processes may do so at once.
	ReadOnly bool
	// Failed, if set, is called once, with the first error of writing. After it
	// the store takes no more batches. It must not call the store.
	Failed func(error)
}

// Store is an open event store. Its methods may be called from any number of
// goroutines; batches are appended by one.
type Store struct {
	path    string
	options Options
	db      *bbolt.DB

	full wake.Bell     // pending has reached flushSize
	some wake.Bell     // pending is no longer empty
	stop chan struct{} // closed by Close
	done sync.WaitGroup

	writing sync.Mutex // held while the file is written; taken before mu

	mu      sync.RWMutex // guards the fields below
	last    event.Head
	dropped Dropped  // the beginning; all gaps are behind it
	gaps    []Gap    // in order, never touching
	pending [][]byte // the batches last.Position-len(pending)+1 .. last.Position
	bytes   int      // of pending
	err     error    // the first error of writing; ErrClosed after Close
	broken  bool     // bbolt panicked while writing: its locks may be held for ever
}

// Open opens the store at path, and makes an empty one where there is no file
// unless it is opened read-only. One process may have it open for writing.
func Open(path string, o Options) (*Store, error) {
	s := &Store{path: path, options: o, full: wake.NewBell(), some: wake.NewBell(), stop: make(chan struct{})}
	if err := durable.Guard(ErrCorrupt, s.open); err != nil {
		return nil, fmt.Errorf("open event store %s: %w", path, err)
	}
	if o.ReadOnly {
		s.err = ErrClosed
		return s, nil
	}
	s.done.Go(s.flusher)
	return s, nil
}

func (s *Store) open() (err error) {
	s.db, err = bbolt.Open(s.path, 0o600, &bbolt.Options{
		Timeout: lockTimeout, ReadOnly: s.options.ReadOnly, FreelistType: bbolt.FreelistMapType,
	})
	var system syscall.Errno
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return ErrLocked
	case errors.As(err, &system):
		return err
	case err != nil: // the rest is what bbolt finds wrong with the content
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err = s.db.View(s.checkSize); err == nil && !s.options.ReadOnly {
		err = s.db.Update(initialize)
	}
	if err == nil {
		err = s.db.View(s.load)
	}
	if err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

// checkSize notices a file that was cut short, before a page is read from behind its end.
func (s *Store) checkSize(tx *bbolt.Tx) error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return fmt.Errorf("%w: the file has %d bytes of %d", ErrCorrupt, info.Size(), tx.Size())
	}
	return nil
}

func initialize(tx *bbolt.Tx) error {
	if tx.Bucket(bucketMeta) != nil {
		return nil
	}
	for _, name := range [][]byte{bucketBatches, bucketGaps, bucketMeta} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketMeta).Put(keyFormat, []byte(format))
}

// load reads where the history ends and what is missing.
func (s *Store) load(tx *bbolt.Tx) error {
	meta, batches, gaps := tx.Bucket(bucketMeta), tx.Bucket(bucketBatches), tx.Bucket(bucketGaps)
	if meta == nil || batches == nil || gaps == nil {
		return fmt.Errorf("%w: not an event store", ErrCorrupt)
	}
	if got := string(meta.Get(keyFormat)); got != format && got != droppedFormat {
		return fmt.Errorf("format %q is not known here: a later release is needed", got)
	}
	if err := s.loadDropped(meta); err != nil {
		return err
	}
	err := gaps.ForEach(func(k, v []byte) error {
		if len(k) != 8 || len(v) != 8+len(event.Hash{}) {
			return fmt.Errorf("%w: a gap of %d and %d bytes", ErrCorrupt, len(k), len(v))
		}
		g := Gap{From: positionOf(v), To: positionOf(k), Hash: event.Hash(v[8:])}
		s.gaps = append(s.gaps, g)
		s.last = event.Head{Position: g.To, Hash: g.Hash}
		return nil
	})
	if err != nil {
		return err
	}
	k, v := batches.Cursor().Last()
	if k == nil || len(k) == 8 && positionOf(k) <= s.last.Position {
		return nil
	}
	head, _, err := wire.PeekBatch(v)
	switch {
	case err != nil:
		return fmt.Errorf("%w: last batch: %w", ErrCorrupt, err)
	case len(k) != 8 || head.Position != positionOf(k):
		return fmt.Errorf("%w: batch %d stands under key %x", ErrCorrupt, head.Position, k)
	}
	s.last = head
	return nil
}

// Close writes what is pending, and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	select {
	case <-s.stop:
		s.mu.Unlock()
		return nil
	default:
		close(s.stop)
	}
	s.mu.Unlock()
	s.done.Wait()
	var err error
	if !s.options.ReadOnly {
		err = s.Sync()
	}
	s.mu.Lock()
	broken := s.broken
	if s.err == nil {
		s.err = ErrClosed
	}
	s.mu.Unlock()
	if broken {
		return err
	}
	return errors.Join(err, s.db.Close())
}

// Last is the end of the history.
func (s *Store) Last() event.Head {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.last
}

// First is the lowest position from which no batch up to the last is missing or dropped;
// 1 for an empty store.
func (s *Store) First() event.Position {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if n := len(s.gaps); n > 0 {
		return s.gaps[n-1].To + 1
	}
	return s.dropped.Through + 1
}

// Gaps returns what is missing, in order.
func (s *Store) Gaps() []Gap {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.gaps)
}

// gapAt returns the gap that position lies in. The caller holds mu.
func (s *Store) gapAt(position event.Position) (Gap, bool) {
	for _, g := range s.gaps {
		if g.From <= position && position <= g.To {
			return g, true
		}
	}
	return Gap{}, false
}

func positionOf(key []byte) event.Position { return event.Position(binary.BigEndian.Uint64(key)) }

func keyOf(position event.Position) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(position))
}

// Read returns the batches from position from on, in order: at most count, and no
// more once they have reached size bytes. Each was checked against its hash and
// its neighbour's. There are none behind the end of the history; reading stops
// before a gap, and gives a *MissingError when it would begin in one, or a
// *DroppedError before the beginning. The caller must not change the bytes.
func (s *Store) Read(from event.Position, count, size int) ([][]byte, error) {
	if from == 0 || count <= 0 {
		return nil, nil
	}
	s.mu.RLock()
	last, gaps, dropped := s.last.Position, s.gaps, s.dropped
	filed := last - event.Position(len(s.pending))
	var recent [][]byte // from the later of from and filed+1
	if from <= last {
		recent = s.pending[max(from, filed+1)-filed-1:]
	}
	s.mu.RUnlock()

	if from <= dropped.Through {
		return nil, dropped.err()
	}
	end := min(last, from+event.Position(count)-1)
	for _, g := range gaps {
		switch {
		case g.From <= from && from <= g.To:
			return nil, &MissingError{From: from, To: g.To}
		case from < g.From:
			end = min(end, g.From-1)
		}
	}
	var out [][]byte
	if from <= min(end, filed) {
		var err error
		if out, err = s.readFile(from, min(end, filed), size); err != nil {
			if dropped = s.Dropped(); from <= dropped.Through { // meanwhile: it may be deleted
				return nil, dropped.err()
			}
			return nil, fmt.Errorf("read event store %s: %w", s.path, err)
		}
	}
	for _, b := range out {
		size -= len(b)
	}
	for next := from + event.Position(len(out)); next <= end && next > filed && size > 0; next++ {
		b := recent[next-max(from, filed+1)]
		out = append(out, b)
		size -= len(b)
	}
	return out, nil
}

// readFile returns copies of the batches from..to in the file, checked, until they reach size bytes.
func (s *Store) readFile(from, to event.Position, size int) (out [][]byte, err error) {
	err = durable.Guard(ErrCorrupt, func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			c := tx.Bucket(bucketBatches).Cursor()
			k, v := c.Seek(keyOf(from))
			var before event.Hash
			for position := from; position <= to && size > 0; position++ {
				if k == nil || !bytes.Equal(k, keyOf(position)) {
					return fmt.Errorf("%w: batch %d is not there", ErrCorrupt, position)
				}
				head, prev, err := wire.PeekBatch(v)
				switch {
				case err != nil:
					return fmt.Errorf("%w: batch %d: %w", ErrCorrupt, position, err)
				case head.Position != position:
					return fmt.Errorf("%w: batch %d stands in the place of %d", ErrCorrupt, head.Position, position)
				case position > from && prev != before:
					return fmt.Errorf("%w: batch %d does not follow the one before", ErrCorrupt, position)
				}
				out = append(out, bytes.Clone(v))
				size -= len(v)
				before = head.Hash
				k, v = c.Next()
			}
			return nil
		})
	})
	return out, err
}

// Hash returns the hash of the batch at a position; that of position 0 is zero.
// It is known of the last position of a gap, and of the last that was dropped; the others
// give *MissingError and *DroppedError.
func (s *Store) Hash(position event.Position) (event.Hash, error) {
	s.mu.RLock()
	last, dropped := s.last, s.dropped
	gap, missing := s.gapAt(position)
	s.mu.RUnlock()
	switch {
	case position == 0:
		return event.Hash{}, nil
	case position == dropped.Through:
		return dropped.Hash, nil
	case position == last.Position:
		return last.Hash, nil
	case position > last.Position:
		return event.Hash{}, &MissingError{From: last.Position + 1, To: position}
	case missing && position == gap.To:
		return gap.Hash, nil
	}
	b, err := s.Read(position, 1, 1)
	if err != nil {
		return event.Hash{}, err
	}
	head, _, err := wire.PeekBatch(b[0])
	return head.Hash, err
}
