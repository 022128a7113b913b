// Package tracetest is a collector of traces for tests: a server that takes spans by OTLP over
// HTTP, in protobuf, and remembers them.
package tracetest

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one span as it came, with the node that made it.
type Span struct {
	Node string
	*otlp.Span
}

// Attribute is the text or the number of an attribute; nil for one that is not there.
func (s Span) Attribute(name string) any {
	for _, a := range s.GetAttributes() {
		if a.GetKey() != name {
			continue
		}
		if text := a.GetValue().GetStringValue(); text != "" {
			return text
		}
		return a.GetValue().GetIntValue()
	}
	return nil
}

// Collector takes spans. It is safe for concurrent use.
type Collector struct {
	URL string

	mu      sync.Mutex // guards all below
	spans   []Span
	bodies  []byte
	headers http.Header
	changed chan struct{}
}

// New returns a collector that runs until the test ends.
func New(t testing.TB) *Collector {
	c := &Collector{changed: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			t.Errorf("spans that cannot be read: %v", err)
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

func (c *Collector) take(r *http.Request) (err error) {
	if r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		return errUnasked(r.URL.Path)
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(r.Body); err != nil {
			return err
		}
	}
	encoded, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var came otlp.TracesData // has the bytes of an export request
	if err := proto.Unmarshal(encoded, &came); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range came.GetResourceSpans() {
		node := ""
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.instance.id" {
				node = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, Span{node, s})
			}
		}
	}
	c.bodies, c.headers = append(c.bodies, encoded...), r.Header
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

// errUnasked is a request that is none for a collector.
type errUnasked string

func (e errUnasked) Error() string { return "a request for " + string(e) }

// Spans are those that came, and changed is closed when more do.
func (c *Collector) Spans() (spans []Span, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...), c.changed
}

// Headers are those of the last request.
func (c *Collector) Headers() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.headers
}

// Mentions tells whether a text is in anything that came.
func (c *Collector) Mentions(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Contains(c.bodies, []byte(text))
}
