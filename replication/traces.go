package replication

import (
	"time"

	"github.com/nats-io/nats.go"

	"github.com/writ-iam/writ/log/event"
)

// PublishTracer is told what becomes of batches on their way to the stream. A publisher
// calls it, and waits for it. It keeps nothing for long of what is never acknowledged: what is
// published again is told again.
type PublishTracer interface {
	// Publishing is called before a batch is published, with its bytes. It returns what the
	// batch's traceparent is to be, in the form of W3C; empty for none.
	Publishing(at event.Position, encoded []byte) string
	// Published is called when the stream has the batch.
	Published(at event.Position)
}

// ApplyTracer is told of batches whose writer traces them. A follower calls it, and waits for it.
type ApplyTracer interface {
	// Applied is called when the sink has a batch.
	Applied(Delivery)
}

// Delivery is how a batch that its writer traces came to a follower's sink.
type Delivery struct {
	Position event.Position
	// Traceparent came with the batch. No signature covers it, and whoever may publish to NATS
	// can have written it: it serves telemetry alone. Its length is right, if nothing else.
	Traceparent            string
	Received, Began, Ended time.Time // from the stream; and when the sink began and ended to apply it
}

// untraced is the tracer of publishers and followers that have none.
type untraced struct{}

func (untraced) Publishing(event.Position, []byte) string { return "" }
func (untraced) Published(event.Position)                 {}
func (untraced) Applied(Delivery)                         {}

// headerTrace is the header of a message whose batch is traced. The tail brings none: what
// comes by it is applied untraced.
const headerTrace = "traceparent"

// traceLength is how long a traceparent is, in bytes, of the version that there is.
const traceLength = len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")

// withTrace adds a traceparent to a message's headers, unless it is none.
func withTrace(h nats.Header, parent string) nats.Header {
	if parent == "" {
		return h
	}
	if h == nil {
		h = nats.Header{}
	}
	h.Set(headerTrace, parent)
	return h
}

// traceOf is the traceparent in a message's headers; empty for none, or what cannot be one.
func traceOf(h nats.Header) string {
	if parent := h.Get(headerTrace); len(parent) == traceLength {
		return parent
	}
	return ""
}

// traced is what a message says of its trace.
type traced struct {
	index    int // of its batch, in the chunk
	parent   string
	received time.Time
}

// traces are those of batches that a feed brought and that are not applied yet. It belongs to
// whoever applies. It has at most maxHeld.
type traces map[event.Position]traced

// note remembers those of a chunk, as far as they are beyond a position.
func (t *traces) note(applied event.Position, c *chunk) {
	for _, n := range c.traces {
		if n.index >= len(c.batches) || c.batches[n.index].Position <= applied || len(*t) >= maxHeld {
			continue
		}
		if *t == nil {
			*t = make(traces)
		}
		(*t)[c.batches[n.index].Position] = n
	}
}

// tell tells of batches that were applied from began to now, and forgets them.
func (t traces) tell(to ApplyTracer, run []*event.Batch, began time.Time) {
	if len(t) == 0 {
		return
	}
	ended := time.Now()
	for _, b := range run {
		if n, ok := t[b.Position]; ok {
			to.Applied(Delivery{Position: b.Position, Traceparent: n.parent, Received: n.received, Began: began, Ended: ended})
			delete(t, b.Position)
		}
	}
}
