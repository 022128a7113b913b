package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

// flushTimeout is how long a stopping node waits for the collector to take its last spans.
const flushTimeout = 2 * time.Second

// Names of attributes.
const (
	attrRequest   = attribute.Key("writ.request_id")
	attrAction    = attribute.Key("writ.action")
	attrPosition  = attribute.Key("writ.position")
	attrFreshness = attribute.Key("writ.freshness")
	attrCode      = attribute.Key("writ.code")
	attrVia       = attribute.Key("writ.via")
	attrStatus    = attribute.Key("http.response.status_code")
)

// Tracer makes the spans of one node. Nil makes none. Safe for concurrent use.
type Tracer struct {
	provider *trace.TracerProvider
	tracer   api.Tracer
	sender   *sender
	writes   writes
}

// Start returns the tracer of a node of a cluster, until Stop; nil where the settings ask for
// none. It reaches nobody yet.
func Start(s Settings, node, cluster string, logger *slog.Logger) (*Tracer, error) {
	if !s.on {
		return nil, nil
	}
	own := resource.NewSchemaless(attribute.String("service.instance.id", node), attribute.String("writ.cluster", cluster))
	res, err := resource.Merge(s.resource, own)
	if err != nil {
		return nil, fmt.Errorf("%w: OTEL_RESOURCE_ATTRIBUTES: %w", ErrSettings, err)
	}
	c := newSender(s, logger)
	to, err := exporter(c)
	if err != nil {
		return nil, fmt.Errorf("start the tracer: %w", err)
	}
	// The queue is bounded; when it is full, spans are dropped, and nobody waits.
	p := trace.NewTracerProvider(trace.WithBatcher(to), trace.WithSampler(s.sampler), trace.WithResource(res))
	logger.Info("traces are sent", "endpoint", s.endpoint, "sampler", s.sampler.Description())
	return &Tracer{provider: p, tracer: p.Tracer("github.com/writ-iam/writ"), sender: c, writes: newWrites()}, nil
}

// Stop sends what there is, for at most flushTimeout, and ends all that was started.
func (t *Tracer) Stop() {
	if t == nil {
		return
	}
	t.writes.end()
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if t.provider.Shutdown(ctx) != nil { // out of time: what is left is given up
		t.sender.cancel()
		<-t.sender.ended
	}
	t.sender.cancel()
}

// HeaderParent is where a node says by which span it hands a request on. It is not
// traceparent, which the caller may have sent, and have signed.
const HeaderParent = "X-Writ-Forwarded-Trace"

// Strip drops from a client's request what only a peer may say about it.
func Strip(r *http.Request) { delete(r.Header, HeaderParent) }

// SetParent says on a request to another node by which span it is sent, if by one.
func SetParent(r *http.Request) {
	if parent := traceparent(r.Context()); parent != "" {
		r.Header.Set(HeaderParent, parent)
	}
}

// header is the one name that a traceparent has for the propagator of W3C's form.
const header = "traceparent"

// traceparent is the span of a context in W3C's form; empty for none.
func traceparent(ctx context.Context) string {
	c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, c)
	return c[header]
}

// parsed is what a text in W3C's form says, which comes from elsewhere; not valid for one that
// is malformed.
func parsed(text string) api.SpanContext {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{header: text})
	return api.SpanContextFromContext(ctx)
}

// Span is one stage of a request that is traced, here or not. Nil does nothing.
type Span struct {
	tracer *Tracer
	span   api.Span
	ctx    context.Context
}

// Begin begins the span of a request that a node is to answer, and returns the request with
// it. Of one that a peer handed on, that peer's span is the parent, and decides whether it is
// sampled. A caller's traceparent decides nothing, since anybody may send one: it becomes a
// link.
func (t *Tracer) Begin(r *http.Request, handedOn bool) (*http.Request, *Span) {
	if t == nil {
		return r, nil
	}
	ctx, options := r.Context(), []api.SpanStartOption{api.WithSpanKind(api.SpanKindServer)}
	if handedOn {
		ctx = api.ContextWithRemoteSpanContext(ctx, parsed(r.Header.Get(HeaderParent)))
	} else if caller := parsed(r.Header.Get(header)); caller.IsValid() {
		options = append(options, api.WithLinks(api.Link{SpanContext: caller}))
	}
	s := &Span{tracer: t}
	s.ctx, s.span = t.tracer.Start(ctx, "request", options...)
	return r.WithContext(s.ctx), s
}

// Child begins a stage within the span, and returns the context of what is done there.
func (s *Span) Child(ctx context.Context, name string) (context.Context, *Span) {
	if s == nil {
		return ctx, nil
	}
	c := &Span{tracer: s.tracer}
	c.ctx, c.span = s.tracer.tracer.Start(ctx, name)
	return c.ctx, c
}

// HandOn begins the stage in which the request waits for the leader, and returns the request
// that says so.
func (s *Span) HandOn(r *http.Request) (*http.Request, *Span) {
	if s == nil {
		return r, nil
	}
	c := &Span{tracer: s.tracer}
	c.ctx, c.span = s.tracer.tracer.Start(r.Context(), "hand on", api.WithSpanKind(api.SpanKindClient))
	return r.WithContext(c.ctx), c
}

// Done ends a stage, by an error or nil. What the error says may be the caller's own words,
// and stays out.
func (s *Span) Done(err error) {
	if s == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}

// ID is that of the trace, if it is sent: for the node's log. Else it is empty.
func (s *Span) ID() string {
	if s == nil || !s.span.SpanContext().IsSampled() {
		return ""
	}
	return s.span.SpanContext().TraceID().String()
}

// Answer is what a request came to.
type Answer struct {
	Request   string // its id
	Action    string // one of our own names
	Status    int    // of HTTP
	Position  uint64 // of the answer; 0 for none
	Freshness string // empty for none
	Code      string // of a fault; empty for none
	Via       string // the node that handed it on; empty for none
}

// Answered ends the span of a request.
func (s *Span) Answered(a Answer) {
	if s == nil {
		return
	}
	defer s.span.End()
	if !s.span.IsRecording() {
		return
	}
	s.span.SetName("request " + a.Action)
	s.span.SetAttributes(attrRequest.String(a.Request), attrAction.String(a.Action), attrStatus.Int(a.Status))
	if a.Position > 0 {
		s.span.SetAttributes(attrPosition.Int64(int64(a.Position)))
	}
	for key, value := range map[attribute.Key]string{attrFreshness: a.Freshness, attrCode: a.Code, attrVia: a.Via} {
		if value != "" {
			s.span.SetAttributes(key.String(value))
		}
	}
	if a.Status >= http.StatusInternalServerError {
		s.span.SetStatus(codes.Error, "")
	}
}

// errAgain is why a stage ended without an end of its own.
var errAgain = errors.New("it was begun again, or forgotten")
