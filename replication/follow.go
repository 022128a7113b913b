package replication

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/semaphore"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/replication/tail"
)

// Limits of following the stream.
const (
	// pullMessages and pullBytes bound what NATS may have on its way to a follower.
	pullMessages = 4096
	pullBytes    = 8 << 20
	// pullHeartbeat is how often NATS shows that it is there; two may be missed.
	pullHeartbeat = 2 * time.Second
	pullExpiry    = 30 * time.Second
	// attachPatience is how long NATS may take to answer before a tail is followed.
	attachPatience = 50 * time.Millisecond
	// consumerExpiry is when NATS forgets a follower that is gone.
	consumerExpiry = 30 * time.Second
	detachTimeout  = 500 * time.Millisecond
	// probeInterval is about how often a writer is asked for its head meanwhile.
	probeInterval = 2 * time.Second
	// patience is how long a feed may take to bring what is known to exist.
	patience = 500 * time.Millisecond
)

var errDisconnected = errors.New("the connection to NATS is lost")

// follow follows the stream of the state's generation until that fails, and says
// whether it was of use for a good while: what is useful for a moment only, again and
// again, may be so because somebody spoils it again and again.
func (f *Follower) follow(ctx context.Context) bool {
	at, began := f.at.Load(), time.Now()
	feed := newFeed(ctx, streamName(at.cluster))
	err := f.consume(feed, at)
	f.flush(ctx, feed)
	feed.end(nil)
	if failure := feed.failure(); failure != nil {
		err = failure
	}
	if ctx.Err() != nil {
		return false
	}
	if err == nil { // another stream replaces it
		return true
	}
	f.problem("the stream is left for a writer's event tail", fmt.Errorf("%s: %w", feed.stream, err))
	return feed.applied.Load() && !errors.Is(err, errLate) && time.Since(began) >= steady
}

// reach attaches to the stream. NATS may take its time to answer, or not answer at
// all; meanwhile the tail is followed.
func (f *Follower) reach(ctx context.Context, at *place) (consumer jetstream.Consumer, err error) {
	tailing, stop := context.WithCancel(ctx)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		defer stop()
		consumer, err = f.attach(ctx, at)
	}()
	for wake.After(tailing, attachPatience) == nil {
		if err := f.tail(tailing, tailWait); err != nil && tailing.Err() == nil {
			f.problem("the writers' event tail does not lead on", err)
		}
	}
	<-answered
	return consumer, err
}

// consume receives the stream's messages from the follower's place on, and returns
// when the feed has ended.
func (f *Follower) consume(feed *feed, at *place) error {
	consumer, err := f.reach(feed.ctx, at)
	if err != nil {
		return err
	}
	defer f.detach(consumer)
	if f.at.Load().cluster != at.cluster { // meanwhile another stream replaced it
		return nil
	}
	f.note(func(s *Status) { s.Mode, s.Stream = Streaming, feed.stream })
	conn := f.cfg.Link.conn
	lost := conn.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer conn.RemoveStatusListener(lost)

	in := newInbox()
	consuming, err := consumer.Consume(
		func(m jetstream.Msg) { f.take(feed, in, m) },
		jetstream.PullMaxMessagesWithBytesLimit(pullMessages, pullBytes),
		jetstream.PullHeartbeat(pullHeartbeat), jetstream.PullExpiry(pullExpiry),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { feed.end(err) }),
	)
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	var helpers sync.WaitGroup
	helpers.Go(func() { f.gather(feed, in) })
	helpers.Go(func() { f.probe(feed) })
	f.watch(feed, lost)
	consuming.Stop()
	<-consuming.Closed()
	helpers.Wait()
	return nil
}

// attach makes a consumer that begins behind the follower's head.
func (f *Follower) attach(ctx context.Context, at *place) (jetstream.Consumer, error) {
	if !f.cfg.Link.Connected() {
		return nil, errDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := f.cfg.Link.js.Stream(ctx, streamName(at.cluster))
	if err != nil {
		return nil, fmt.Errorf("look at it: %w", err)
	}
	next := uint64(at.head.Position) + 1
	switch state := s.CachedInfo().State; {
	case state.LastSeq+1 < next:
		return nil, fmt.Errorf("it ends at %d: %w", state.LastSeq, errLate)
	case state.FirstSeq > next:
		return nil, fmt.Errorf("it begins at %d only", state.FirstSeq)
	}
	return f.newConsumer(ctx, s, next)
}

// newConsumer makes a consumer under a name of this replica that no other process of it
// has, as far as there is one. Else the one that has it is removed: that one's process,
// if there still is one, makes another.
func (f *Follower) newConsumer(ctx context.Context, s jetstream.Stream, next uint64) (consumer jetstream.Consumer, err error) {
	link, start := f.cfg.Link, rand.IntN(maxConsumers)
	for n := range maxConsumers {
		consumer, err = s.CreateConsumer(ctx, consumerConfig(consumerName(link.name, (start+n)%maxConsumers), next))
		if !errors.Is(err, jetstream.ErrConsumerExists) {
			break
		}
	}
	if name := consumerName(link.name, start); errors.Is(err, jetstream.ErrConsumerExists) {
		if err = s.DeleteConsumer(ctx, name); err == nil || errors.Is(err, jetstream.ErrConsumerNotFound) {
			consumer, err = s.CreateConsumer(ctx, consumerConfig(name, next))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make a consumer: %w", err)
	}
	return consumer, nil
}

// detach removes a consumer, if that is possible at once; else it expires.
func (f *Follower) detach(consumer jetstream.Consumer) {
	if !f.cfg.Link.Connected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), detachTimeout)
	defer cancel()
	info := consumer.CachedInfo()
	if err := f.cfg.Link.js.DeleteConsumer(ctx, info.Stream, info.Name); err != nil {
		f.cfg.Logger.Debug("a consumer is left to expire", "error", err)
	}
}

// inbox is what was received and not yet looked at: a bounded number of messages,
// and of their bytes.
type inbox struct {
	messages chan jetstream.Msg
	room     *semaphore.Weighted
}

func newInbox() *inbox {
	return &inbox{messages: make(chan jetstream.Msg, pullMessages), room: semaphore.NewWeighted(maxReceived)}
}

// take waits for room and puts a message in.
func (f *Follower) take(feed *feed, in *inbox, m jetstream.Msg) {
	size := len(m.Data())
	if size > wire.MaxBatchSize { // no server was asked to keep such a thing
		f.refuse(feed, fmt.Errorf("%w: a message of %d bytes", ErrRefused, size))
		return
	}
	if in.room.Acquire(feed.ctx, int64(size)) != nil {
		return
	}
	select {
	case in.messages <- m:
	case <-feed.ctx.Done():
	}
}

// gather puts what was received, as much as there is at a time.
func (f *Follower) gather(feed *feed, in *inbox) {
	for {
		c, size := &chunk{feed: feed}, 0
		add := func(m jetstream.Msg) {
			if parent := traceOf(m.Headers()); parent != "" {
				c.traces = append(c.traces, traced{len(c.bytes), parent, time.Now()})
			}
			c.bytes, c.signatures = append(c.bytes, m.Data()), append(c.signatures, signatureOf(m.Headers()))
			size += len(m.Data())
		}
		select {
		case m := <-in.messages:
			add(m)
		case <-feed.ctx.Done():
			return
		}
		for len(in.messages) > 0 && len(c.bytes) < tail.ChunkBatches && size < tail.ChunkBytes {
			add(<-in.messages)
		}
		if f.put(c) != nil {
			return
		}
		in.room.Release(int64(size))
	}
}

// probe asks a writer for its head now and then: a stream that nobody publishes to
// looks like one that is idle.
func (f *Follower) probe(feed *feed) {
	for wake.After(feed.ctx, probeInterval/2+rand.N(probeInterval)) == nil {
		head, err := f.cfg.Source.Head(feed.ctx, f.at.Load().cluster)
		if err == nil { // without a writer there is nothing to compare with
			f.Expect(head)
		}
	}
}

// watch ends a feed that makes no progress although more is known to exist, or
// that lost its connection. It returns when the feed has ended.
func (f *Follower) watch(feed *feed, lost <-chan nats.Status) {
	late := time.NewTimer(patience)
	defer late.Stop()
	from, armed := f.at.Load().head.Position, true
	for {
		select {
		case <-feed.ctx.Done():
			return
		case <-lost:
			feed.end(errDisconnected)
			return
		case <-f.expected:
		case <-late.C:
			armed = false
			now, target := f.at.Load().head.Position, event.Position(f.target.Load())
			if now == from && now < target {
				feed.end(fmt.Errorf("position %d exists: %w", target, errLate))
				return
			}
		}
		if now := f.at.Load().head.Position; !armed && now < event.Position(f.target.Load()) {
			from, armed = now, true
			late.Reset(patience)
		}
	}
}
