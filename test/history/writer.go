package history

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/writ-iam/writ/replication/tail"
)

// Writer serves a history over HTTP. Its answers can be changed.
type Writer struct {
	*httptest.Server
	history *History
	Leading bool

	mu       sync.Mutex
	Down     bool
	Mangle   func(path string, w http.ResponseWriter) http.ResponseWriter
	requests map[string]int
}

// followed is a history that a writer serves.
type followed struct {
	*History
	by *Writer
}

// Leading says what Writer.Leading does.
func (f followed) Leading() bool { return f.by.Leading }

// Serve serves a history over HTTP until the test ends.
func Serve(t testing.TB, h *History) *Writer {
	w := &Writer{history: h, requests: map[string]int{}}
	handler := tail.NewHandler(tail.HandlerConfig{
		Events: h, Log: followed{h, w}, Logger: slog.New(slog.DiscardHandler),
	})
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.requests[r.Method+" "+r.URL.Path]++
		down, mangle := w.Down, w.Mangle
		w.mu.Unlock()
		if down {
			conn, _, err := rw.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
			return
		}
		if mangle != nil {
			if rw = mangle(r.URL.Path, rw); rw == nil {
				return // it has answered
			}
		}
		handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.Close)
	return w
}

// Set changes how the writer answers.
func (w *Writer) Set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// Count is how often a request, such as "GET /peer/events", was made.
func (w *Writer) Count(request string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.requests[request]
}

// SourceOf returns a source over writers.
func SourceOf(t testing.TB, writers ...*Writer) *tail.Source {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	t.Cleanup(client.CloseIdleConnections)
	return tail.NewSource(client, func() (urls []string) {
		for _, w := range writers {
			urls = append(urls, w.URL)
		}
		return urls
	})
}
