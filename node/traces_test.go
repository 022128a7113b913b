package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/trace"
	"github.com/writ-iam/writ/node/trace/tracetest"
	"github.com/writ-iam/writ/replication"
)

// tracesTo makes nodes that are started from now on send their traces to a collector.
func (m *team) tracesTo(url string) {
	m.t.Helper()
	m.t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
	m.t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	s, err := trace.FromEnvironment()
	if err != nil {
		m.t.Fatal(err)
	}
	m.traces = s
}

// stage is a span as a test looks for it: what is done, and at which node.
type stage struct{ name, node, under string }

// way is what a CreateUser that is sent to replica-1 goes through, each stage under the one
// whose name and node stand after it.
var way = []stage{
	{"request CreateUser", "replica-1", ""},
	{"hand on", "replica-1", "request CreateUser replica-1"},
	{"request CreateUser", "writer-1", "hand on replica-1"},
	{"propose", "writer-1", "request CreateUser writer-1"},
	{"commit", "writer-1", "propose writer-1"},
	{"apply", "writer-1", "propose writer-1"},
	{"store", "writer-1", "propose writer-1"},
	{"view", "writer-1", "request CreateUser writer-1"},
	{"publish", "writer-1", "propose writer-1"},
	{"receive", "replica-2", "publish writer-1"},
	{"apply", "replica-2", "receive replica-2"},
	{"everywhere", "writer-1", "propose writer-1"},
}

// missing tells what a request's trace lacks of the way; nil: nothing. All of it is of one
// trace, since each stage is looked for under another.
func missing(spans []tracetest.Span, request string) error {
	found := map[string]tracetest.Span{}
	for _, s := range way {
		under, ok := found[s.under]
		if s.under != "" && !ok {
			return fmt.Errorf("%s is not there", s.under)
		}
		for _, span := range spans {
			is := span.GetName() == s.name && span.Node == s.node && string(span.GetParentSpanId()) == string(under.GetSpanId())
			if s.under == "" {
				is = is && span.Attribute("writ.request_id") == request
			} else {
				is = is && string(span.GetTraceId()) == string(under.GetTraceId())
			}
			if is {
				found[s.name+" "+s.node] = span
			}
		}
		if _, ok := found[s.name+" "+s.node]; !ok {
			return fmt.Errorf("no %s of %s is under %q", s.name, s.node, s.under)
		}
	}
	return nil
}

// TestOneTraceOfACreateUser follows a write from the replica that it is sent to, over the
// leader and the stream, to another replica's view.
func TestOneTraceOfACreateUser(t *testing.T) {
	c := tracetest.New(t)
	m := newTeam(t, 1, 2)
	m.tracesTo(c.URL)
	m.level = slog.LevelDebug
	m.startAll()
	m.choosesATrace("replica-1")
	// What comes by a writer's tail is applied untraced. A follower may leave the stream for it
	// at any time, so that a write may be traced in part: one of them is traced whole.
	m.until("replica-2 follows the stream", func(context.Context) error {
		if r, ok := m.node("replica-2").part.(*replica); !ok || r.follower.Status().Mode != replication.Streaming {
			return errors.New("it does not")
		}
		return nil
	})
	const user, password = "canary-of-a-user", "Canary-Of-A-Password-1"
	var requests []string
	m.until("a CreateUser is traced all the way", func(ctx context.Context) error {
		name := fmt.Sprintf("%s-%d", user, len(requests))
		status, header, body := m.iam("replica-1", "CreateUser", "UserName", name)
		if status != http.StatusOK {
			return fmt.Errorf("CreateUser: %d %s", status, body)
		}
		m.everywhere("writer-1", header.Get("X-Writ-Token"))
		m.must("replica-1", "CreateLoginProfile", "UserName", name, "Password", password)
		requests = append(requests, header.Get("X-Amzn-Requestid"))
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		for {
			spans, changed := c.Spans()
			var err error
			for _, request := range requests {
				if err = missing(spans, request); err == nil {
					m.told(spans, request)
					return nil
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return err
			}
		}
	})
	for _, secret := range []string{user, password, m.root.AccessKeyID, m.root.SecretAccessKey, "Signature", "signature", string(m.cluster.Account), "arn:aws"} {
		if c.Mentions(secret) {
			t.Errorf("a span mentions %q", secret)
		}
	}
}

// chosen is a trace that somebody outside chose.
const chosen = "00112233445566778899aabbccddeeff"

// choosesATrace sends a request that wants to be of a trace, in every header that says so.
func (m *team) choosesATrace(name string) {
	m.t.Helper()
	r, err := http.NewRequestWithContext(m.t.Context(), http.MethodGet, m.url(name)+"/v1/cluster", nil)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, header := range []string{"traceparent", trace.HeaderParent} {
		r.Header.Set(header, "00-"+chosen+"-0123456789abcdef-01")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		m.t.Fatal(err)
	}
	answer.Body.Close()
}

// told looks for what else there must be when a request's trace is there: its id in the log,
// and, sent before it by the same node, a span that is linked to the trace that a caller chose.
func (m *team) told(spans []tracetest.Span, request string) {
	m.t.Helper()
	linked := 0
	for _, s := range spans {
		if fmt.Sprintf("%x", s.GetTraceId()) == chosen {
			m.t.Errorf("%s of %s is of a trace that a caller chose", s.GetName(), s.Node)
		}
		for _, l := range s.GetLinks() {
			if fmt.Sprintf("%x", l.GetTraceId()) == chosen {
				linked++
			}
		}
		if s.Node == "replica-1" && s.Attribute("writ.request_id") == request {
			if line := fmt.Sprintf("trace_id=%x", s.GetTraceId()); !strings.Contains(m.logs.String(), line) {
				m.t.Errorf("no line of the log has %s", line)
			}
		}
	}
	if linked != 1 {
		m.t.Errorf("%d links to the trace that a caller chose; want 1", linked)
	}
}

// TestACollectorThatHangsHoldsNothingUp has writes go on, and nodes stop, while the collector
// takes connections and answers none.
func TestACollectorThatHangsHoldsNothingUp(t *testing.T) {
	release := make(chan struct{})
	asked := make(chan struct{}, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	m := newTeam(t, 1, 1)
	m.tracesTo(server.URL)
	m.startAll()
	m.must("replica-1", "CreateUser", "UserName", "first")
	<-asked // the collector has spans, and keeps who sends them waiting
	token := m.must("replica-1", "CreateUser", "UserName", "second")
	m.everywhere("replica-1", token)
	m.stop("replica-1")
	m.stop("writer-1")
}
