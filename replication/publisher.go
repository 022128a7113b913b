package replication

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/replication/tail"
)

// Limits of a Publisher.
const (
	// window is how many messages may be unacknowledged.
	window = 256
	// ackTimeout bounds the wait for an acknowledgement.
	ackTimeout = 5 * time.Second
	// checkInterval is how often a stream that works is checked all the same, and
	// samples how many of its messages are then compared besides the last.
	checkInterval = 15 * time.Second
	samples       = 3
	// retryWait and maxRetryWait bound the waits after errors, which double.
	retryWait    = 50 * time.Millisecond
	maxRetryWait = 5 * time.Second
	// raiseBurst commands for a new generation may follow each other; in the long
	// run there is one at most every raiseInterval.
	raiseBurst    = 5
	raiseInterval = time.Minute
	// sayBurst and sayInterval bound what is said of interruptions, as the two above do.
	sayBurst    = 5
	sayInterval = 10 * time.Second
	// refill is how many of the latest batches a new stream begins with.
	refill = 1 << 14
	// readAhead bounds the bytes read from the store at once.
	readAhead = 1 << 20
)

// Log is a writer's log, as its publisher sees it.
type Log interface {
	// Changed returns a channel that is closed when the head moves on from where it
	// was at the call.
	Changed() <-chan struct{}
	// Cluster returns what the state says of the cluster: the stream's generation.
	Cluster() identity.Cluster
	// RaiseGeneration proposes identity.RaiseStreamGeneration from the given one. When
	// it returns nil, Cluster has the new generation. It fails on a writer that does
	// not lead.
	RaiseGeneration(ctx context.Context, from uint32) error
}

// Signer vouches for batches that are committed.
type Signer interface {
	// Sign puts the signature and the certificate of this writer on a batch.
	Sign(*event.SignedBatch) error
}

// PublisherConfig is what a writer's publisher works with.
type PublisherConfig struct {
	// Link to NATS, as a user that may create, look at and delete streams and
	// publish to them.
	Link *Link
	// Events is the writer's store: what is in it is committed.
	Events tail.Events
	// Log is the writer's.
	Log Log
	// Signer signs for the writer.
	Signer Signer
	// Tracer is told what is published; nil: nobody is.
	Tracer PublishTracer
	// Copies of the stream: 3 where three or more servers are clustered, else 1.
	Copies int
	// Logger; nil means slog.Default().
	Logger *slog.Logger
}

// Publisher puts committed batches on the stream. It runs on the leader; two that
// run at once are harmless, because both publish the same bytes at the same
// sequence numbers and the second of each pair is refused.
type Publisher struct {
	cfg    PublisherConfig
	raised uint32 // the generation that this publisher asked for, and may create
	raises *rate.Limiter
	says   *rate.Limiter
	said   string // the last interruption
}

// NewPublisher returns a publisher that does nothing before Run.
func NewPublisher(cfg PublisherConfig) *Publisher {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Copies == 0 {
		cfg.Copies = 1
	}
	if cfg.Tracer == nil {
		cfg.Tracer = untraced{}
	}
	return &Publisher{cfg: cfg, raises: rate.NewLimiter(rate.Every(raiseInterval), raiseBurst), says: rate.NewLimiter(rate.Every(sayInterval), sayBurst)}
}

// Run publishes until ctx ends, which it does when the leadership is lost. Every
// error leads to a fresh look at the stream and another attempt: batches are never
// skipped and never renumbered. Run returns ctx's error.
func (p *Publisher) Run(ctx context.Context) error {
	for wait := retryWait; ; {
		acked, err := p.publish(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if acked > 0 {
			wait, p.said = retryWait, ""
		}
		if text := err.Error(); text != p.said { // say it once
			p.said = text
			p.say(slog.LevelWarn, "publishing to the stream is interrupted", "stream", streamName(p.cfg.Log.Cluster()), "error", err)
		}
		if wake.After(ctx, wait+rand.N(wait)) != nil {
			return ctx.Err()
		}
		wait = min(2*wait, maxRetryWait)
	}
}

// say logs what may happen as often as somebody else likes, and beyond its limits at
// a level that is not looked at.
func (p *Publisher) say(level slog.Level, text string, args ...any) {
	if !p.says.Allow() {
		level = slog.LevelDebug
	}
	p.cfg.Logger.Log(context.Background(), level, text, args...)
}

// publish resyncs and then publishes until an error. It returns how many batches
// were acknowledged.
func (p *Publisher) publish(ctx context.Context) (int, error) {
	c, err := p.begun(ctx)
	if err != nil {
		return 0, err
	}
	s, next, err := p.resync(ctx, c)
	if err != nil {
		return 0, err
	}
	name := s.CachedInfo().Config.Name
	p.say(slog.LevelInfo, "publishing to the stream", "stream", name, "next", next)
	check := time.NewTicker(checkInterval)
	defer check.Stop()
	conn := p.cfg.Link.conn
	lost := conn.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer conn.RemoveStatusListener(lost)
	w := &pipeline{js: p.cfg.Link.js, by: p, subject: s.CachedInfo().Config.Subjects[0], next: next}
	for {
		changed := p.cfg.Log.Changed() // before Read, lest a batch come between the two
		if now := streamName(p.cfg.Log.Cluster()); now != name {
			return w.acked, fmt.Errorf("the stream is replaced by %s", now)
		}
		if err := w.fill(p.cfg.Events); err != nil {
			return w.acked, err
		}
		acked, failed := w.oldest()
		select {
		case <-ctx.Done():
			return w.acked, ctx.Err()
		case ack := <-acked:
			err = w.acknowledged(ack)
		case err = <-failed:
			err = fmt.Errorf("publish batch %d: %w", w.oldestUnacked(), err)
		case <-w.room(changed):
		case <-lost: // who knows what the server is like when it comes back
			err = errDisconnected
		case <-check.C:
			err = p.check(ctx, s, w)
		}
		if err != nil {
			return w.acked, err
		}
	}
}

// begun waits for a history to publish.
func (p *Publisher) begun(ctx context.Context) (identity.Cluster, error) {
	for {
		changed := p.cfg.Log.Changed()
		if c := p.cfg.Log.Cluster(); c.ID != "" {
			return c, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return identity.Cluster{}, ctx.Err()
		}
	}
}

// pipeline publishes batches with up to window of them unacknowledged.
type pipeline struct {
	js      jetstream.JetStream
	by      *Publisher // signs what ends a burst
	subject string
	next    event.Position           // to be published
	unacked []jetstream.PubAckFuture // the batches before next, in order
	ahead   [][]byte                 // the batches from next on, as far as they were read
	acked   int                      // how many batches were acknowledged
	burst   int                      // how many were published since the last that was signed
	size    int                      // of those, in bytes
}

// fill publishes while there are batches and room. The last of those that are ready
// ends a burst and is signed, so that no follower waits for what may not come soon.
func (w *pipeline) fill(events tail.Events) (err error) {
	for len(w.unacked) < window {
		if len(w.ahead) == 0 {
			if w.ahead, err = events.Read(w.next, window, readAhead); err != nil {
				return fmt.Errorf("read batches from %d: %w", w.next, err)
			}
		}
		if len(w.ahead) == 0 {
			return nil
		}
		message := &nats.Msg{Subject: w.subject, Data: w.ahead[0]}
		if w.burst, w.size = w.burst+1, w.size+len(message.Data); len(w.ahead) == 1 || w.burst >= maxBurst || w.size >= maxBurstBytes {
			if message.Header, err = w.by.sign(message.Data); err != nil {
				return err
			}
			w.burst, w.size = 0, 0
		}
		message.Header = withTrace(message.Header, w.by.cfg.Tracer.Publishing(w.next, message.Data))
		future, err := w.js.PublishMsgAsync(message, jetstream.WithExpectLastSequence(uint64(w.next-1)), jetstream.WithRetryAttempts(0))
		if err != nil {
			return fmt.Errorf("publish batch %d: %w", w.next, err)
		}
		w.unacked = append(w.unacked, future)
		w.ahead = w.ahead[1:]
		w.next++
	}
	return nil
}

// oldest returns where the oldest unacknowledged batch's fate will arrive.
func (w *pipeline) oldest() (<-chan *jetstream.PubAck, <-chan error) {
	if len(w.unacked) == 0 {
		return nil, nil
	}
	return w.unacked[0].Ok(), w.unacked[0].Err()
}

// oldestUnacked is the first position that is not acknowledged.
func (w *pipeline) oldestUnacked() event.Position { return w.next - event.Position(len(w.unacked)) }

// acknowledged takes the oldest batch out of the window.
func (w *pipeline) acknowledged(ack *jetstream.PubAck) error {
	if at := w.oldestUnacked(); ack.Sequence != uint64(at) {
		return fmt.Errorf("batch %d was stored at sequence %d", at, ack.Sequence)
	}
	w.by.cfg.Tracer.Published(event.Position(ack.Sequence))
	w.unacked[0] = nil
	w.unacked = w.unacked[1:]
	w.acked++
	return nil
}

// room returns changed when there is room for what changed brings.
func (w *pipeline) room(changed <-chan struct{}) <-chan struct{} {
	if len(w.unacked) < window {
		return changed
	}
	return nil
}

// resync looks at the stream of the current generation, has a new one made when it
// is damaged, and returns where publishing goes on.
func (p *Publisher) resync(ctx context.Context, c identity.Cluster) (jetstream.Stream, event.Position, error) {
	s, damage, err := p.look(ctx, c)
	if err == nil && damage != "" {
		s, err = p.renew(ctx, c, damage)
	}
	if err != nil {
		return nil, 0, err
	}
	p.raised = 0 // the stream is there, and if it is lost it gets another name
	state := s.CachedInfo().State
	return s, event.Position(max(state.LastSeq+1, state.FirstSeq)), nil
}

// missing is the damage of a stream that is not there.
const missing = "it is missing"

// look finds the stream and says what is wrong with it.
func (p *Publisher) look(ctx context.Context, c identity.Cluster) (s jetstream.Stream, damage string, err error) {
	if !p.cfg.Link.Connected() {
		return nil, "", errDisconnected
	}
	asking, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err = p.cfg.Link.js.Stream(asking, streamName(c))
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, missing, nil
	case err != nil:
		return nil, "", fmt.Errorf("look at stream %s: %w", streamName(c), err)
	}
	damage, err = p.inspect(asking, s, c)
	return s, damage, err
}

// check looks again at a stream that works and compares some of its messages.
func (p *Publisher) check(ctx context.Context, s jetstream.Stream, w *pipeline) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if _, err := s.Info(ctx); err != nil {
		return fmt.Errorf("check the stream: %w", err)
	}
	if last, oldest := s.CachedInfo().State.LastSeq, w.oldestUnacked(); event.Position(last+1) < oldest {
		return fmt.Errorf("the stream ends at %d, although it acknowledged batch %d", last, oldest-1)
	}
	damage, err := p.inspect(ctx, s, p.cfg.Log.Cluster())
	for state, n := s.CachedInfo().State, 0; n < samples && state.Msgs > 1 && damage == "" && err == nil; n++ {
		damage, err = p.compare(ctx, s, state.FirstSeq+rand.Uint64N(state.LastSeq-state.FirstSeq))
	}
	if err == nil && damage != "" {
		err = fmt.Errorf("the stream is damaged: %s", damage)
	}
	return err
}

// inspect says what is wrong with a stream whose information was just fetched: its
// configuration, holes, an end that is not in this history, or a beginning that
// publishing could not go on from.
func (p *Publisher) inspect(ctx context.Context, s jetstream.Stream, c identity.Cluster) (damage string, err error) {
	info := s.CachedInfo()
	first, last := uint64(p.cfg.Events.First()), uint64(p.cfg.Events.Last().Position)
	switch state := info.State; {
	case asWanted(info.Config, streamConfig(c, p.cfg.Copies, 0)) != "":
		return asWanted(info.Config, streamConfig(c, p.cfg.Copies, 0)), nil
	case state.LastSeq > last:
		return fmt.Sprintf("it ends at %d, the history at %d", state.LastSeq, last), nil
	case state.NumDeleted > 0 || state.Msgs > 0 && state.Msgs != state.LastSeq-state.FirstSeq+1:
		return fmt.Sprintf("it has %d messages from %d to %d", state.Msgs, state.FirstSeq, state.LastSeq), nil
	case state.FirstSeq > last+1:
		return fmt.Sprintf("it begins at %d, the history ends at %d", state.FirstSeq, last), nil
	case max(state.LastSeq+1, state.FirstSeq) < first:
		return fmt.Sprintf("it ends at %d, and the batches before %d are not here", state.LastSeq, first), nil
	case state.Msgs == 0:
		return "", nil
	default:
		return p.compare(ctx, s, state.LastSeq)
	}
}

// compare says whether the message at a sequence number is the store's batch.
func (p *Publisher) compare(ctx context.Context, s jetstream.Stream, at uint64) (damage string, err error) {
	if event.Position(at) < p.cfg.Events.First() {
		return "", nil // cannot be compared here
	}
	stored, err := p.cfg.Events.Read(event.Position(at), 1, 1)
	if err == nil && len(stored) == 0 {
		err = errors.New("it is not there")
	}
	if err != nil {
		return "", fmt.Errorf("read batch %d: %w", at, err)
	}
	message, err := s.GetMsg(ctx, at)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		info, err := s.Info(ctx)
		if err != nil || info.State.FirstSeq > at { // it has aged out meanwhile
			return "", err
		}
		return fmt.Sprintf("message %d is missing", at), nil
	case err != nil:
		return "", fmt.Errorf("read message %d: %w", at, err)
	case string(message.Data) != string(stored[0]):
		return fmt.Sprintf("message %d is not the batch of that position", at), nil
	}
	return "", nil
}

// renew makes a new stream in the place of a damaged one: of the next generation,
// unless this very publisher had it raised and did not come to creating it.
func (p *Publisher) renew(ctx context.Context, c identity.Cluster, damage string) (jetstream.Stream, error) {
	if damaged := c.StreamGeneration; p.raised != damaged || damage != missing {
		if !p.raises.Allow() {
			return nil, fmt.Errorf("stream %s: %s; too many new generations were asked for", streamName(c), damage)
		}
		p.cfg.Logger.Warn("the stream cannot be used; asking for a new generation", "stream", streamName(c), "reason", damage)
		if err := p.cfg.Log.RaiseGeneration(ctx, damaged); err != nil {
			return nil, fmt.Errorf("raise the stream generation from %d: %w", damaged, err)
		}
		c = p.cfg.Log.Cluster()
		p.raised = c.StreamGeneration
	}
	return p.create(ctx, c)
}

// create makes the stream of a generation, empty, so that publishing begins with
// recent batches, and removes the streams that it replaces.
func (p *Publisher) create(ctx context.Context, c identity.Cluster) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	first, last := p.cfg.Events.First(), p.cfg.Events.Last().Position
	if last >= refill {
		first = max(first, last-refill+1)
	}
	s, err := p.cfg.Link.js.CreateStream(ctx, streamConfig(c, p.cfg.Copies, uint64(first)))
	if err != nil {
		return nil, fmt.Errorf("create stream %s: %w", streamName(c), err)
	}
	names := p.cfg.Link.js.StreamNames(ctx)
	for name := range names.Name() {
		if name == streamName(c) || !strings.HasPrefix(name, streamPrefix(c.ID)) {
			continue
		}
		// Its followers learn at once that it is gone.
		if err := p.cfg.Link.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			p.cfg.Logger.Warn("an abandoned stream could not be removed", "stream", name, "error", err)
		}
	}
	if err := names.Err(); err != nil {
		p.cfg.Logger.Warn("abandoned streams could not be listed", "error", err)
	}
	return s, nil
}
