package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wake"
)

// Limits of filling gaps.
const (
	fillCount    = 512 // batches fetched at once: they can be proved only together
	fillRetryMax = 30 * time.Second
)

// lookForGaps makes fill look whether the store lacks something.
func (l *Log) lookForGaps() {
	select {
	case l.gapped <- struct{}{}:
	default:
	}
}

// fill fetches what the store lacks, the newest first, until ctx ends.
func (l *Log) fill(ctx context.Context) {
	for {
		select {
		case <-l.gapped:
		case <-ctx.Done():
			return
		}
		retry := retryInterval
		for gaps := l.store.Gaps(); len(gaps) > 0; gaps = l.store.Gaps() {
			err := l.fillSome(ctx, gaps[len(gaps)-1])
			var own *store.OwnHistoryError
			switch {
			case err == nil:
				retry = retryInterval
				continue
			case errors.As(err, &own):
				l.fail.latch(fmt.Errorf("%w: %w", ErrDiverged, err))
				return
			case ctx.Err() != nil, l.fail.latched() != nil:
				return
			}
			l.config.Logger.Warn("batches are missing from the event store and cannot be fetched yet",
				slog.Any("error", err), slog.Duration("retry", retry))
			if wake.After(ctx, retry) != nil {
				return
			}
			retry = min(2*retry, fillRetryMax)
		}
	}
}

// fillSome fetches the end of a gap.
func (l *Log) fillSome(ctx context.Context, gap store.Gap) error {
	from := gap.From
	if gap.To-gap.From >= fillCount {
		from = gap.To - fillCount + 1
	}
	want := int(gap.To - from + 1)
	batches := make([][]byte, 0, want)
	err := l.config.Backfill(ctx, from, gap.To, func(b []byte) error {
		if len(batches) == want {
			return fmt.Errorf("more than the %d batches that were asked for", want)
		}
		batches = append(batches, b)
		return nil
	})
	if err == nil && len(batches) < want {
		err = fmt.Errorf("%d batches where %d were asked for", len(batches), want)
	}
	if err != nil {
		return fmt.Errorf("fetch batches %d to %d: %w", from, gap.To, err)
	}
	if err := l.store.Backfill(batches); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.filled)
	l.filled = make(chan struct{})
	return nil
}
