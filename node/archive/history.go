package archive

import (
	"errors"
	"fmt"
	"io"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
)

// Target is up to where a history is taken from archives: to its end, unless one of the two
// is set.
type Target struct {
	Position event.Position
	// Time is that of writers' clocks: the last position is the one before the first change
	// that is later.
	Time identity.Time
}

// ends tells whether a batch is beyond the target.
func (t Target) ends(b *event.Batch) bool {
	return t.Position > 0 && b.Position > t.Position || t.Time > 0 && b.Cause.Time > t.Time
}

// before tells whether the target lies before the end of an archive.
func (t Target) before(h *Header) bool {
	return t.Position > 0 && t.Position < h.Position || t.Time > 0 && t.Time < h.Changed
}

// ErrTarget is returned for a position or time that the archives do not hold.
var ErrTarget = errors.New("the archives do not hold this state")

// shelf keeps batches: in an event store, or to find out whether they make the state.
type shelf interface {
	Keep(b []byte, head event.Head, prev event.Hash) error
}

// Opener opens an archive: a file, or what is in memory.
type Opener interface {
	// Open returns the archive, decrypted, from its beginning. The caller closes it.
	Open() (io.ReadCloser, error)
}

// history is what is taken from one archive after the other.
type history struct {
	target Target
	keep   shelf // gets every batch up to the target; nil for none

	state    *identity.State // nil before one was read, or begun
	head     event.Head      // of the state
	index    uint64          // of Raft, as is term: of the last entry known
	term     uint64
	last     event.Head // of the last batch seen, or archive
	reached  bool       // the target
	replayed uint64     // batches that were folded
	skipped  bool       // a snapshot, since the target lies before it
}

// take reads the next archive.
func (y *history) take(r io.Reader) (*Header, error) {
	return Read(r, y)
}

// Header finds out whether an archive leads on from what was taken so far.
func (y *history) Header(h *Header) error {
	switch {
	case y.last.Position > 0 && h.Snapshot:
		return fmt.Errorf("%w: a whole archive, of position %d, comes after another; give one, and behind it those made --since its position", ErrTarget, h.Position)
	case y.last.Position > 0 && h.From != y.last.Position+1:
		return fmt.Errorf("%w: an archive begins behind position %d where the one before ends at %d", ErrTarget, h.From-1, y.last.Position)
	case !h.Snapshot || !y.target.before(h):
		return nil
	case h.From == 0:
		return fmt.Errorf("%w: the archive holds that of position %d alone", ErrTarget, h.Position)
	case h.From > 1:
		return fmt.Errorf("%w: the batches before position %d are not in the archive, since the retention rule had dropped them or its writer lacked them, so no state before %d can be made; use an older archive", ErrTarget, h.From, h.Position)
	}
	y.skipped = true
	y.state = identity.NewState()
	return nil
}

// Snapshot reads the state, unless the target lies before it.
func (y *history) Snapshot(r io.Reader) error {
	if y.skipped {
		return nil
	}
	state, h, err := wire.ReadSnapshot(r)
	if err != nil {
		if errors.Is(err, wire.ErrCorrupt) {
			err = damaged("%w", err)
		}
		return err
	}
	y.state, y.head, y.index, y.term = state, h.Head, h.Index, h.Term
	return nil
}

// Batch takes a batch: it is kept, and folded if it comes behind the state.
func (y *history) Batch(b []byte, head event.Head, prev event.Hash) error {
	if y.last.Position > 0 && head.Position == y.last.Position+1 && prev != y.last.Hash {
		return damaged("it does not follow the one before, in another archive")
	}
	y.last = head
	if y.reached {
		return nil
	}
	if y.state != nil && head.Position > y.head.Position {
		decoded, err := wire.DecodeBatch(b)
		if err != nil {
			return damaged("%w", err)
		}
		if y.target.ends(decoded) {
			y.reached = true
			return nil
		}
		if err := y.fold(decoded); err != nil {
			return err
		}
	}
	if y.keep == nil {
		return nil
	}
	return y.keep.Keep(b, head, prev)
}

// fold folds a batch into the state.
func (y *history) fold(b *event.Batch) error {
	identity.Evolve(y.state, b.Position, b.Cause.Meta, b.Events)
	if y.state.Digest() != b.State {
		return damaged("the state that it makes is not the one that it names")
	}
	y.head, y.index, y.term = b.Head(), b.Index, b.Term
	y.replayed++
	return nil
}

// of checks that what an archive held is what its header said, and notes where it ended.
func (y *history) of(h *Header) error {
	y.last = h.Head()
	switch c := y.clusterOf(); {
	case y.state == nil || y.reached || y.skipped && y.head != h.Head():
		return nil
	case y.head != h.Head() || y.state.Digest() != h.Digest || c.ID != h.Cluster || c.Incarnation != h.Incarnation:
		return damaged("the state in it, of position %d, is not the one of its header", y.head.Position)
	}
	return nil
}

func (y *history) clusterOf() (c identity.Cluster) {
	if y.state != nil {
		c = y.state.Cluster()
	}
	return c
}

// Report is what a verification found.
type Report struct {
	*Header
	// Replayed is how many batches were folded, and made the state that they name.
	Replayed uint64
	// Batches is how many there are.
	Batches uint64
}

// Verify reads archives, each but the first made since the one before, and checks all that
// can be checked: the hashes of all parts, the chain of batches, the digest of the state,
// and that the batches make it: from the first on, where the history begins in the archive,
// else from the state of the archive before. Reports come one for each, as far as it came.
func Verify(each []Opener) (found []Report, err error) {
	y := &history{}
	for _, open := range each {
		replay := &replay{history: history{state: identity.NewState()}}
		y.keep = replay
		before := y.replayed
		h, err := y.read(open)
		if err != nil {
			return found, err
		}
		if end := replay.head; end.Position > 0 && (end != h.Head() || replay.state.Digest() != h.Digest) {
			return found, fmt.Errorf("read an archive: %w", damaged("its batches do not make its state"))
		}
		found = append(found, Report{Header: h, Batches: replay.batches, Replayed: max(replay.replayed, y.replayed-before)})
	}
	return found, nil
}

// replay counts batches, and folds them if the history begins with them.
type replay struct {
	history
	batches uint64
}

func (r *replay) Keep(b []byte, head event.Head, prev event.Hash) error {
	r.batches++
	if head.Position != r.head.Position+1 {
		return nil
	}
	return r.Batch(b, head, prev)
}

// read opens, reads and closes an archive.
func (y *history) read(of Opener) (h *Header, err error) {
	r, err := of.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if h, err = y.take(r); err == nil {
		err = y.of(h)
	}
	return h, err
}
