package gate

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/test/pipe"
)

// A client's connection has its times: for the first request, for a header that has
// begun, for a whole request, and between two.
func TestClientTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipe.NewListener()
		g := New(l, Bounds{Total: 100})
		s := g.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/long" {
				time.Sleep(time.Hour) // a wait; then it is answered
			}
			io.Copy(io.Discard, r.Body)
		}), slog.New(slog.DiscardHandler))
		done := make(chan struct{})
		go func() { defer close(done); s.Serve(g) }()
		defer time.Sleep(time.Second) // of the bubble's clock: the server lingers where it refused
		defer func() { s.Close(); <-done }()

		pipe.EndsAfter(t, "nothing", l.Dial(), ReadHeaderTimeout)
		c := l.Dial()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost:")
		pipe.EndsAfter(t, "half a header", c, ReadHeaderTimeout)
		c = l.Dial()
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
		pipe.EndsAfter(t, "no body", c, readTimeout)
		c = l.Dial()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		pipe.EndsAfter(t, "one request", c, idleTimeout)
		c = l.Dial()
		io.WriteString(c, "GET /long HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		if text := pipe.EndsAfter(t, "a long wait", c, time.Hour); !strings.HasPrefix(text, "HTTP/1.1 200") {
			t.Errorf("a long wait: %q", text)
		}
		for size, want := range map[int]string{MaxHeaderBytes - 1000: "HTTP/1.1 200", MaxHeaderBytes + 8000: "HTTP/1.1 431"} {
			c = l.Dial()
			go fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: %s\r\n\r\n", strings.Repeat("x", size))
			answer, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || !strings.HasPrefix("HTTP/1.1 "+answer.Status, want) {
				t.Errorf("a header of %d bytes: %v, %v", size, answer, err)
			}
			c.Close()
		}
	})
}
