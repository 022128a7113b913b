package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/trace"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// maxAnswer is how much of a collector's answer is read, in bytes; nothing is done with it.
const maxAnswer = 64 << 10

// sender sends spans by OTLP over HTTP, in protobuf. The exporter of OpenTelemetry for this
// protocol brings all of gRPC along, which is 5 MB of program that is never run; what is before
// the wire is OpenTelemetry's here, too.
//
// What fails is not sent again: the next spans come soon, and those that wait would take the
// place of newer ones.
type sender struct {
	settings Settings
	client   *http.Client
	ctx      context.Context // of all that is sent
	cancel   context.CancelFunc
	logger   *slog.Logger
	lost     int // spans since the last that arrived; of the one goroutine that sends
	ended    chan struct{}
}

var _ otlptrace.Client = (*sender)(nil)

func newSender(s Settings, logger *slog.Logger) *sender {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: s.tls.Clone(), ForceAttemptHTTP2: true,
		MaxIdleConns: 1, MaxConnsPerHost: 1, IdleConnTimeout: time.Minute,
	}
	c := &sender{settings: s, client: &http.Client{Transport: transport, CheckRedirect: noRedirect}, logger: logger, ended: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// noRedirect keeps headers, which may be credentials, from going elsewhere.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Start does nothing: the first spans connect.
func (*sender) Start(context.Context) error { return nil }

// Stop closes the connection. Nothing is sent after it.
func (c *sender) Stop(context.Context) error {
	c.client.CloseIdleConnections()
	close(c.ended)
	return nil
}

// UploadTraces sends spans. It fails never: whoever is asked to handle the error could only
// log it, which it does.
func (c *sender) UploadTraces(ctx context.Context, spans []*otlp.ResourceSpans) error {
	ctx, cancel := context.WithTimeout(ctx, c.settings.timeout)
	defer cancel()
	stop := context.AfterFunc(c.ctx, cancel)
	defer stop()
	err := c.send(ctx, spans)
	switch {
	case err != nil:
		if c.lost == 0 && c.ctx.Err() == nil {
			c.logger.Warn("the collector of traces does not take spans; they are lost until it does, and nothing waits for it", "endpoint", c.settings.endpoint, "error", err)
		}
		c.lost += count(spans)
	case c.lost > 0:
		c.logger.Info("the collector of traces takes spans again", "endpoint", c.settings.endpoint, "lost", c.lost)
		c.lost = 0
	}
	return nil
}

// count is how many spans there are.
func count(spans []*otlp.ResourceSpans) (n int) {
	for _, r := range spans {
		for _, s := range r.GetScopeSpans() {
			n += len(s.GetSpans())
		}
	}
	return n
}

// send sends spans once. An export request has the bytes of TracesData.
func (c *sender) send(ctx context.Context, spans []*otlp.ResourceSpans) error {
	body, err := proto.Marshal(&otlp.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	if c.settings.gzip {
		if body, err = compress(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.settings.endpoint, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("send spans: %w", err)
	}
	for name, value := range c.settings.headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	if c.settings.gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return fmt.Errorf("send spans: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer) // so that the connection is used again
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("send spans: the collector answers %s", answer.Status)
	}
	return nil
}

func compress(body []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(body)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("compress spans: %w", err)
	}
	return b.Bytes(), nil
}

// exporter gives what was sampled to a sender.
func exporter(c *sender) (trace.SpanExporter, error) {
	return otlptrace.New(context.Background(), c) // which stops only what it has started
}
