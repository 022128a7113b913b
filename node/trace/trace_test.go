package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/trace/tracetest"
	"github.com/writ-iam/writ/replication"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asked sets variables, and no others of OpenTelemetry, and reads them.
func asked(t *testing.T, pairs ...string) (Settings, error) {
	t.Helper()
	for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"} {
		t.Setenv(name, "")
	}
	for _, name := range []string{"ENDPOINT", "PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"} {
		t.Setenv("OTEL_EXPORTER_OTLP_"+name, "")
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_"+name, "")
	}
	for i := 0; i < len(pairs); i += 2 {
		t.Setenv(pairs[i], pairs[i+1])
	}
	return FromEnvironment()
}

func TestWhatVariablesAskFor(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for _, c := range []struct {
		pairs []string
		at    string // empty: off
	}{
		{nil, ""},
		{[]string{"OTEL_SERVICE_NAME", "iam"}, ""},
		{[]string{"OTEL_TRACES_EXPORTER", "otlp"}, "http://localhost:4318/v1/traces"},
		{[]string{endpoint, "http://c:4318/"}, "http://c:4318/v1/traces"},
		{[]string{endpoint, "http://c:4318/otlp"}, "http://c:4318/otlp/v1/traces"},
		{[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/in", endpoint, "http://other"}, "https://c/in"},
		{[]string{endpoint, "http://c", "OTEL_TRACES_EXPORTER", "none"}, ""},
		{[]string{endpoint, "http://c", "OTEL_SDK_DISABLED", "TRUE"}, ""},
		{[]string{endpoint, "http://c", "OTEL_SDK_DISABLED", "false", "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"}, "http://c/v1/traces"},
	} {
		s, err := asked(t, c.pairs...)
		if err != nil || s.On() != (c.at != "") || s.endpoint != c.at {
			t.Errorf("%q: traces %v to %q, %v; want them to %q", c.pairs, s.On(), s.endpoint, err, c.at)
		}
	}
}

func TestWhatIsNotKnownIsRefused(t *testing.T) {
	for _, pairs := range [][]string{
		{"OTEL_TRACES_EXPORTER", "zipkin"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@collector"},
		{"OTEL_TRACES_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
		{"OTEL_TRACES_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"},
		{"OTEL_TRACES_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"},
		{"OTEL_TRACES_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_TIMEOUT", "10s"},
		{"OTEL_TRACES_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_TIMEOUT", "60001"},
		{"OTEL_TRACES_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_HEADERS", "authorization secret"},
		{"OTEL_TRACES_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_HEADERS", "a=secret%0d%0ab: c"},
		{"OTEL_TRACES_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere"},
		{"OTEL_TRACES_EXPORTER", "otlp", "OTEL_TRACES_SAMPLER", "jaeger_remote"},
		{"OTEL_TRACES_EXPORTER", "otlp", "OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "1.5"},
	} {
		s, err := asked(t, pairs...)
		if !errors.Is(err, ErrSettings) || s.On() || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: traces %v, %v", pairs, s.On(), err)
		}
	}
}

// logs are the lines of a log.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// tracer starts a tracer that sends to a collector.
func tracer(t *testing.T, url string, pairs ...string) (*Tracer, *logs) {
	t.Helper()
	s, err := asked(t, append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT", url, "OTEL_BSP_SCHEDULE_DELAY", "20"}, pairs...)...)
	if err != nil {
		t.Fatal(err)
	}
	said := &logs{}
	tr, err := Start(s, "writer-1", "c-1", slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Stop)
	return tr, said
}

func request(t *testing.T, pairs ...string) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	return r
}

const (
	foreign = "0123456789abcdef0123456789abcdef"
	parent  = "00-" + foreign + "-0123456789abcdef-01"
)

func TestWhoMayChooseATrace(t *testing.T) {
	c := tracetest.New(t)
	tr, _ := tracer(t, c.URL, "OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x", "OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
	for _, r := range []*http.Request{request(t, "traceparent", parent), request(t, HeaderParent, parent), request(t, "traceparent", parent, HeaderParent, parent)} {
		Strip(r)
		if _, s := tr.Begin(r, false); s.ID() == foreign {
			t.Error("a caller chose the trace")
		} else {
			s.Answered(Answer{Action: "client", Status: 200})
		}
	}
	_, s := tr.Begin(request(t, HeaderParent, parent, "traceparent", "00-11111111111111111111111111111111-1111111111111111-01"), true)
	if s.ID() != foreign {
		t.Errorf("what a node handed on is of trace %q", s.ID())
	}
	s.Answered(Answer{Action: "peer", Status: 200})
	if _, s := tr.Begin(request(t, HeaderParent, strings.TrimSuffix(parent, "1")+"0"), true); s.ID() != "" {
		t.Error("what a node did not sample is sampled where it is handed on")
	}
	tr.Stop()
	spans, _ := c.Spans()
	linked := 0
	for _, s := range spans {
		if s.GetName() == "request client" {
			linked += len(s.GetLinks())
		} else if len(s.GetLinks()) > 0 {
			t.Errorf("%s is linked to what its caller said", s.GetName())
		}
	}
	if len(spans) != 4 || linked != 2 {
		t.Errorf("%d spans, %d of them with links to the caller's; want 4 and 2", len(spans), linked)
	}
	if got := c.Headers().Get("Authorization"); got != "Bearer x" {
		t.Errorf("the collector got the authorization %q", got)
	}
}

func TestNothingIsTracedUnasked(t *testing.T) {
	var tr *Tracer
	r := request(t)
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		_, s := tr.Begin(r, false)
		_, child := s.Child(ctx, "view")
		child.Done(nil)
		tr.Propose(ctx, identity.Key{}).Done(log.Outcome{}, nil)
		tr.Publishing(1, nil)
		tr.Published(1)
		tr.Everywhere(ctx, 1)
		tr.Applied(replication.Delivery{})
		s.Answered(Answer{})
	}); n != 0 {
		t.Errorf("no tracer allocates %v times a request", n)
	}
	tr.Stop()
	if n := strings.Count(goroutines(), "otel"); n > 0 {
		t.Errorf("%d goroutines of OpenTelemetry run", n)
	}
}

// committed is an outcome at a position, and the batch's bytes.
func committed(t *testing.T, key identity.Key, at event.Position) (log.Outcome, []byte) {
	t.Helper()
	b := &event.Batch{Cluster: "c-1", Incarnation: "i-1", Position: at, Index: uint64(at) + 3, Term: 1, Cause: event.Cause{Meta: identity.Meta{Key: key}}}
	encoded, err := wire.EncodeBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	return log.Outcome{Batch: b, Times: &log.Times{Given: now, Committed: now, Decided: now, Stored: now}}, encoded
}

func TestAWriteFromItsProposalToEverywhere(t *testing.T) {
	c := tracetest.New(t)
	tr, _ := tracer(t, c.URL)
	_, s := tr.Begin(request(t), false)
	key := identity.Key{1}
	o, encoded := committed(t, key, 7)
	if _, other := committed(t, identity.Key{9}, 6); tr.Publishing(6, other) != "" {
		t.Error("a batch is traced that nobody proposed here")
	}
	p := tr.Propose(s.ctx, key)
	said := tr.Publishing(7, encoded) // before Propose has returned
	if parsed(said).TraceID().String() != s.ID() {
		t.Errorf("the batch is published with %q", said)
	}
	tr.Published(7)
	if tr.Publishing(7, encoded) != "" {
		t.Error("what the stream has is published anew, and traced")
	}
	p.Done(o, nil)
	tr.Everywhere(t.Context(), 7)
	tr.Everywhere(t.Context(), 7)
	now := time.Now()
	tr.Applied(replication.Delivery{Position: 7, Traceparent: said, Received: now, Began: now, Ended: now})
	for _, forged := range []string{"", strings.Repeat("x", len(parent)), "00-00000000000000000000000000000000-0000000000000000-01"} {
		tr.Applied(replication.Delivery{Position: 8, Traceparent: forged, Received: now, Began: now, Ended: now})
	}
	refused := tr.Propose(s.ctx, identity.Key{2})
	refused.Done(log.Outcome{}, errors.New("the words of a caller"))
	if n := tr.writes.unpublished; n != 0 {
		t.Errorf("%d writes wait for their publication", n)
	}
	s.Answered(Answer{Action: "CreateUser", Status: 200})
	tr.Stop()
	spans, _ := c.Spans()
	var names []string
	for _, s := range spans {
		names = append(names, s.GetName())
	}
	slices.Sort(names)
	want := "apply apply commit everywhere propose propose publish receive request CreateUser store"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("spans %s; want %s", got, want)
	}
	if c.Mentions("words of a caller") {
		t.Error("a span has the text of an error")
	}
}

func TestWhatIsRememberedOfWritesIsBounded(t *testing.T) {
	c := tracetest.New(t)
	tr, _ := tracer(t, c.URL)
	for i := range maxWrites + 10 {
		tr.Propose(t.Context(), identity.Key{byte(i), byte(i >> 8)})
	}
	if n := len(tr.writes.list); n != maxWrites || len(tr.writes.byKey) != n || tr.writes.unpublished != n {
		t.Errorf("%d writes are remembered, by %d keys, %d of them not published; want %d", n, len(tr.writes.byKey), tr.writes.unpublished, maxWrites)
	}
	tr.writes.mu.Lock()
	tr.writes.prune(time.Now().Add(keptFor + time.Hour))
	tr.writes.mu.Unlock()
	if n := len(tr.writes.list) + len(tr.writes.byKey) + tr.writes.unpublished; n != 0 {
		t.Errorf("%d are left after %v", n, keptFor)
	}
}

// TestACollectorThatHangs is a collector that takes connections and answers nobody. Spans are
// made at once, far more than there is room for, and the end does not wait for it either.
func TestACollectorThatHangs(t *testing.T) {
	asked, release := make(chan struct{}, 100), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	tr, _ := tracer(t, server.URL, "OTEL_BSP_MAX_QUEUE_SIZE", "64")
	for i := range 5000 {
		_, s := tr.Begin(request(t), false)
		s.Answered(Answer{Action: fmt.Sprint(i), Status: 200})
	}
	<-asked
	tr.Stop() // and goleak finds nothing left
	select {
	case <-tr.sender.ended:
	default:
		t.Error("what sends has not ended")
	}
}

func TestACollectorThatRefusesIsToldOnce(t *testing.T) {
	var mu sync.Mutex
	refused, took := 0, make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if refused++; refused <= 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		} else if refused == 4 {
			close(took)
		}
	}))
	t.Cleanup(server.Close)
	tr, said := tracer(t, server.URL)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	for done := false; !done; {
		_, s := tr.Begin(request(t), false)
		s.Answered(Answer{Status: 200})
		select {
		case <-took:
			done = true
		case <-ctx.Done():
			t.Fatal("the collector was not asked again")
		case <-ticks.C:
		}
	}
	tr.Stop()
	text := said.String()
	if strings.Count(text, "does not take spans") != 1 || strings.Count(text, "takes spans again") != 1 {
		t.Errorf("the log says:\n%s", text)
	}
}

// goroutines is what runs.
func goroutines() string {
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}
