package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wire"
)

// Verification reads this much at a time.
const (
	verifyCount = 1024
	verifySize  = 4 << 20 // bytes
)

// Verify checks the whole chain: every batch from the first to the last against
// its own hash and that of the batch before it, where the history begins against the hash
// that was kept of what was dropped. It returns the head it reached.
// A gap gives a *MissingError, damage ErrCorrupt. progress, if not nil, is called
// now and then with the last position that was found right; it may rest, so that
// others have the processor.
func (s *Store) Verify(ctx context.Context, progress func(event.Position)) (event.Head, error) {
	return s.VerifyFrom(ctx, 1, progress)
}

// VerifyFrom is Verify for the batches from a position on, or from the beginning, if that is
// later, to which it goes on when more is dropped meanwhile. What was before is believed.
func (s *Store) VerifyFrom(ctx context.Context, from event.Position, progress func(event.Position)) (event.Head, error) {
	dropped := s.Dropped()
	head := event.Head{Position: max(from, dropped.Through+1) - 1}
	var err error
	if head.Hash, err = s.Hash(head.Position); err != nil {
		return head, err
	}
	for end := s.Last(); head.Position < end.Position; {
		if err := ctx.Err(); err != nil {
			return head, err
		}
		batches, err := s.Read(head.Position+1, verifyCount, verifySize)
		var gone *DroppedError
		switch {
		case errors.As(err, &gone):
			dropped := s.Dropped()
			head = event.Head{Position: dropped.Through, Hash: dropped.Hash}
			continue
		case err != nil:
			return head, err
		}
		if len(batches) == 0 {
			return head, fmt.Errorf("%w: nothing behind batch %d of %d", ErrCorrupt, head.Position, end.Position)
		}
		for _, b := range batches {
			next, prev, err := wire.PeekBatch(b)
			if err != nil {
				return head, err
			}
			if next.Position != head.Position+1 || prev != head.Hash {
				return head, fmt.Errorf("%w: batch %d does not follow batch %d", ErrCorrupt, next.Position, head.Position)
			}
			head = next
		}
		if progress != nil {
			progress(head.Position)
		}
	}
	return head, nil
}
