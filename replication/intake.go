package replication

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wire"
)

const (
	// intakeChunks bounds what was received but not yet applied.
	intakeChunks = 16
	// smallChunk is up to how many batches are decoded where they were received.
	smallChunk = 4
)

// feed is one attempt to receive batches in order, from the stream or a tail. It
// ends with its first failure; what it brought after that is not looked at.
type feed struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	stream  string      // empty for a tail
	applied atomic.Bool // something that it brought was
	holding holding     // of a stream's feed
	traces  traces      // of the same
}

// errEnded is the cause of a feed that ended without a failure.
var errEnded = errors.New("the feed ended")

func newFeed(ctx context.Context, stream string) *feed {
	f := &feed{stream: stream}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	return f
}

// end ends the feed, with a failure or nil, unless it has ended.
func (f *feed) end(failure error) {
	if failure == nil {
		failure = errEnded
	}
	f.cancel(failure)
}

// ended says whether the feed has ended.
func (f *feed) ended() bool { return f.ctx.Err() != nil }

// failure is what the feed ended with, nil if it did without one or goes on.
func (f *feed) failure() error {
	if cause := context.Cause(f.ctx); !errors.Is(cause, errEnded) {
		return cause
	}
	return nil
}

// chunk is some consecutive batches on their way from a feed to the sink.
type chunk struct {
	feed       *feed
	bytes      [][]byte
	signatures []signature    // of each, where the stream brought them
	traces     []traced       // of those that their writer traces
	size       int            // of all bytes
	batches    []*event.Batch // the sound ones at the beginning
	err        error          // what is wrong with the one after them
	decoded    chan struct{}  // closed when batches and err are set
	applied    chan struct{}  // closed when the chunk is done with
}

// put hands a feed's batches to the decoders and, behind what was put before, to the sink.
func (f *Follower) put(c *chunk) error {
	_, err := f.enqueue(c.feed.ctx, c)
	return err
}

// flush waits until everything that a feed put is applied or refused.
func (f *Follower) flush(ctx context.Context, from *feed) {
	c, err := f.enqueue(ctx, &chunk{feed: from})
	if err != nil {
		return
	}
	select {
	case <-c.applied:
	case <-ctx.Done():
	}
}

// enqueue has a chunk decoded beside the others; a small one is decoded at once,
// because handing it over takes longer. At most intakeChunks and one are under way:
// each has a place in the queue or is the one being applied.
func (f *Follower) enqueue(ctx context.Context, c *chunk) (*chunk, error) {
	c.decoded, c.applied = make(chan struct{}), make(chan struct{})
	small := len(c.bytes) <= smallChunk
	if small {
		c.decode()
	}
	select {
	case f.intake <- c:
		if !small {
			f.decoders.Go(c.decode)
		}
		return c, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *chunk) decode() {
	defer close(c.decoded)
	if len(c.bytes) == 0 {
		return
	}
	c.batches = make([]*event.Batch, 0, len(c.bytes))
	for _, b := range c.bytes {
		c.size += len(b)
		batch, err := wire.DecodeBatch(b)
		if err != nil {
			c.err = fmt.Errorf("%w: %w", ErrRefused, err)
			return
		}
		c.batches = append(c.batches, batch)
	}
	c.bytes = nil
}

// applyAll is the one place that applies: chunk by chunk, in the order they were
// put. Its error is the sink's.
func (f *Follower) applyAll(ctx context.Context) error {
	for {
		select {
		case c := <-f.intake:
			<-c.decoded
			if err := f.apply(c); err != nil {
				return err
			}
			close(c.applied)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// apply hands the part of a chunk that continues the history to the sink, as far as
// it is proved, and ends the feed when there is another part.
func (f *Follower) apply(c *chunk) error {
	if c.feed.ended() {
		c.feed.holding.stop()
		return nil
	}
	c.feed.traces.note(f.at.Load().head.Position, c)
	run, refused := f.sift(c.feed, c.batches)
	run, unproved := f.prove(c, run)
	for _, err := range []error{c.err, unproved} {
		if refused == nil {
			refused = err
		}
	}
	if len(run) > 0 {
		began := time.Now()
		if err := f.cfg.Sink.Apply(run); err != nil {
			return fmt.Errorf("apply batches %d to %d: %w", run[0].Position, run[len(run)-1].Position, err)
		}
		c.feed.traces.tell(f.cfg.Tracer, run, began)
		c.feed.applied.Store(true)
		for _, b := range run {
			f.known.Add(b.Head())
		}
		before := f.at.Load().cluster
		f.settle(f.cfg.Sink.Snapshot())
		f.count(len(run))
		if now := f.at.Load().cluster; now != before {
			c.feed.end(nil) // there is another stream to follow
		}
	}
	if refused != nil {
		f.refuse(c.feed, refused)
	}
	return nil
}

// refuse ends a feed, unless it has ended, because of what it brought.
func (f *Follower) refuse(from *feed, why error) {
	f.giveUp(from, why, func(s *Status) { s.Refused++ })
}

// giveUp ends a feed, and counts that unless it has ended.
func (f *Follower) giveUp(from *feed, why error, count func(*Status)) {
	if !from.ended() {
		f.note(count)
	}
	from.end(why)
}

// sift returns the batches that continue the history and what the feed holds of it,
// and why the first other one does not. Those that are known already are left out.
func (f *Follower) sift(from *feed, batches []*event.Batch) (run []*event.Batch, refused error) {
	at := f.at.Load()
	head := at.head
	if held := from.holding.batches; len(held) > 0 {
		head = held[len(held)-1].Head()
	}
	for i, b := range batches {
		known, there := f.known.At(b.Position)
		switch {
		case !f.mine(at, b):
			return run, fmt.Errorf("%w: batch %d is of cluster %q, incarnation %q", ErrRefused, b.Position, b.Cluster, b.Incarnation)
		case b.Position <= head.Position && there && known.Hash != b.Hash:
			return run, fmt.Errorf("%w: another batch %d was applied", ErrRefused, b.Position)
		case b.Position <= head.Position:
			continue
		case b.Position > head.Position+1:
			return run, fmt.Errorf("%w: batch %d after %d", ErrRefused, b.Position, head.Position)
		case b.Prev != head.Hash:
			return run, fmt.Errorf("%w: batch %d follows another batch %d", ErrRefused, b.Position, head.Position)
		}
		if run == nil {
			run = make([]*event.Batch, 0, len(batches)-i)
		}
		run = append(run, b)
		head = b.Head()
	}
	return run, nil
}

// mine says whether a batch is of the history that is followed. Before its first
// batch that can be any of the cluster.
func (f *Follower) mine(at *place, b *event.Batch) bool {
	if at.head.Position == 0 {
		return f.cfg.Cluster == "" || f.cfg.Cluster == b.Cluster
	}
	return b.Cluster == at.cluster.ID && b.Incarnation == at.cluster.Incarnation
}
