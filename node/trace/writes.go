package trace

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	api "go.opentelemetry.io/otel/trace"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/replication"
)

// Limits of what is remembered of writes that are traced. A write that is forgotten before
// the stream, or whoever waits for it, comes to it has fewer spans.
const (
	maxWrites = 1024
	keptFor   = time.Minute
)

var (
	_ replication.PublishTracer = (*Tracer)(nil)
	_ replication.ApplyTracer   = (*Tracer)(nil)
)

// write is what is remembered of a write that this node proposed and that is sampled.
type write struct {
	key       identity.Key
	span      api.SpanContext // of its proposal
	began     time.Time
	at        event.Position // 0 before it is known
	committed time.Time
	publish   api.Span // while it is being published
	published bool
	told      bool // that it is everywhere
}

// writes are those of the last time, the oldest first.
type writes struct {
	mu          sync.Mutex // guards all below
	list        []*write
	byKey       map[identity.Key]*write
	byPosition  map[event.Position]*write
	unpublished int // of the list
}

func newWrites() writes {
	return writes{byKey: make(map[identity.Key]*write), byPosition: make(map[event.Position]*write)}
}

// add remembers a write, in place of another attempt of the same.
func (w *writes) add(n *write) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prune(n.began)
	if before := w.byKey[n.key]; before != nil {
		w.drop(before)
	}
	w.list = append(w.list, n)
	w.byKey[n.key] = n
	w.unpublished++
	if len(w.list) > maxWrites {
		w.drop(w.list[0])
	}
}

// prune forgets what is too old. The lock is held.
func (w *writes) prune(now time.Time) {
	for len(w.list) > 0 && now.Sub(w.list[0].began) > keptFor {
		w.drop(w.list[0])
	}
}

// drop forgets a write. The lock is held.
func (w *writes) drop(n *write) {
	for i, other := range w.list {
		if other == n {
			w.list = append(w.list[:i], w.list[i+1:]...)
			break
		}
	}
	delete(w.byKey, n.key)
	if w.byPosition[n.at] == n {
		delete(w.byPosition, n.at)
	}
	n.endPublish(errAgain)
	if !n.published {
		w.unpublished--
	}
}

// endPublish ends the span of its publication, if there is one. The lock is held.
func (n *write) endPublish(err error) {
	if n.publish != nil {
		(&Span{span: n.publish}).Done(err)
		n.publish = nil
	}
}

// end forgets all.
func (w *writes) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.list) > 0 {
		w.drop(w.list[0])
	}
}

// Proposal is a command on its way into the log. Nil is one that is not traced.
type Proposal struct {
	tracer *Tracer
	ctx    context.Context
	span   api.Span
	write  *write // nil where it is not sampled
}

// Propose begins the span of a command with a key, which the log is about to get. It is
// remembered from before the publisher can come to its batch.
func (t *Tracer) Propose(ctx context.Context, key identity.Key) *Proposal {
	if t == nil {
		return nil
	}
	p := &Proposal{tracer: t}
	p.ctx, p.span = t.tracer.Start(ctx, "propose")
	if c := p.span.SpanContext(); c.IsSampled() {
		p.write = &write{key: key, span: c, began: time.Now()}
		t.writes.add(p.write)
	}
	return p
}

// Done ends the proposal by what came of it, and tells in spans of their own how long Raft,
// the state machine and the event store took.
func (p *Proposal) Done(o log.Outcome, err error) {
	if p == nil {
		return
	}
	defer (&Span{span: p.span}).Done(err)
	if p.write == nil {
		return
	}
	w := &p.tracer.writes
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || o.Repeated {
		if w.byKey[p.write.key] == p.write {
			w.drop(p.write)
		}
		return
	}
	b := o.Batch
	p.span.SetAttributes(attrPosition.Int64(int64(b.Position)), attribute.Int64("writ.raft.index", int64(b.Index)), attribute.Int64("writ.raft.term", int64(b.Term)))
	stages := []struct {
		name       string
		begin, end time.Time
	}{{"commit", o.Times.Given, o.Times.Committed}, {"apply", o.Times.Committed, o.Times.Decided}, {"store", o.Times.Decided, o.Times.Stored}}
	for _, s := range stages {
		_, span := p.tracer.tracer.Start(p.ctx, s.name, api.WithTimestamp(s.begin), api.WithAttributes(attrPosition.Int64(int64(b.Position))))
		span.End(api.WithTimestamp(s.end))
	}
	if w.byKey[p.write.key] == p.write {
		p.write.at, p.write.committed = b.Position, o.Times.Stored
		w.byPosition[b.Position] = p.write
	}
}

// Publishing implements replication.PublishTracer.
func (t *Tracer) Publishing(at event.Position, encoded []byte) string {
	if t == nil {
		return ""
	}
	w := &t.writes
	w.mu.Lock()
	w.prune(time.Now())
	none := w.unpublished == 0
	w.mu.Unlock()
	if none {
		return ""
	}
	header, err := wire.BatchHeader(encoded)
	if err != nil {
		return ""
	}
	b, err := wire.DecodeHeader(header)
	if err != nil {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.byKey[b.Cause.Key]
	if n == nil || n.published {
		return ""
	}
	n.at = at
	w.byPosition[at] = n
	n.endPublish(errAgain)
	var ctx context.Context
	ctx, n.publish = t.tracer.Start(api.ContextWithSpanContext(context.Background(), n.span), "publish", api.WithSpanKind(api.SpanKindProducer), api.WithAttributes(attrPosition.Int64(int64(at))))
	return traceparent(ctx)
}

// Published implements replication.PublishTracer.
func (t *Tracer) Published(at event.Position) {
	if t == nil {
		return
	}
	w := &t.writes
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.byPosition[at]; n != nil && !n.published {
		n.endPublish(nil)
		n.published = true
		w.unpublished--
	}
}

// Everywhere is told that a position was found to be everywhere, for the request of a
// context. It tells how long that took after the commit, once for a write.
func (t *Tracer) Everywhere(ctx context.Context, at event.Position) {
	if t == nil {
		return
	}
	w := &t.writes
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.byPosition[at]
	if n == nil {
		return
	}
	api.SpanFromContext(ctx).AddLink(api.Link{SpanContext: n.span})
	if n.told || n.committed.IsZero() {
		return
	}
	n.told = true
	_, span := t.tracer.Start(api.ContextWithSpanContext(context.Background(), n.span), "everywhere", api.WithTimestamp(n.committed), api.WithAttributes(attrPosition.Int64(int64(at))))
	span.End()
}

// Applied implements replication.ApplyTracer: a replica tells when it got a batch, and when
// its view had it. Whether that is sampled, the writer decided; one span and its part come of
// a batch at most, whatever who wrote the traceparent wanted.
func (t *Tracer) Applied(d replication.Delivery) {
	parent := api.SpanContext{}
	if t != nil {
		parent = parsed(d.Traceparent)
	}
	if !parent.IsValid() {
		return
	}
	position := api.WithAttributes(attrPosition.Int64(int64(d.Position)))
	ctx := api.ContextWithRemoteSpanContext(context.Background(), parent)
	ctx, span := t.tracer.Start(ctx, "receive", api.WithSpanKind(api.SpanKindConsumer), api.WithTimestamp(d.Received), position)
	_, apply := t.tracer.Start(ctx, "apply", api.WithTimestamp(d.Began), position)
	apply.End(api.WithTimestamp(d.Ended))
	span.End(api.WithTimestamp(d.Ended))
}
