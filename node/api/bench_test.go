package api_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const benchQuestion = `{"principal":"arn:aws:iam::123456789012:user/alice","action":"s3:GetObject","resource":"arn:aws:s3:::bucket/key","context":{"aws:SourceIp":"203.0.113.7"}}`

// quiet keeps log lines below errors from being made, as nodes do by default.
func quiet(c *config) {
	c.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil))
}

func benchWorld(b *testing.B) (*world, credential) {
	w := newWorld(b, quiet)
	w.user("alice", allow("s3:Get*"))
	return w, w.user("app", allow("writ:Authorize"))
}

// bareAnswer is about as much JSON as a decision has.
type bareAnswer struct {
	Decision, Cluster, Incarnation string
	Position                       uint64
	Hash                           string
	KnownHead                      uint64
	Freshness, Node, ID            string
}

// bare is the limit: a handler that parses a small JSON and answers one.
func bare(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Principal, Action, Resource string
		Context                     map[string]any
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(bareAnswer{"allow", clusterID, incarnation, 6, "0123456789abcdef", 6, "leased", "node-1", incarnation})
}

// BenchmarkHTTP asks over loopback with 64 connections that are kept alive: a bare
// handler, and the edge with signed requests.
func BenchmarkHTTP(b *testing.B) {
	w, app := benchWorld(b)
	front := w.user("front", mayAuthenticate("s3"))
	in := w.received(signedBy{by: temporary{credential: front}, method: "GET", target: "/b/k", payload: "UNSIGNED-PAYLOAD", service: "s3"})
	who, err := json.Marshal(in)
	if err != nil {
		b.Fatal(err)
	}
	in.Action, in.Resource = "s3:GetObject", "arn:aws:s3:::b/k"
	may, err := json.Marshal(in)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name, target, body string
		by                 credential
		handler            http.Handler
	}{
		{"bare", "/v1/authorize", benchQuestion, app, http.HandlerFunc(bare)}, {"authorize", "/v1/authorize", benchQuestion, app, w.server},
		{"authenticate", "/v1/authenticate", string(who), front, w.server}, {"authenticate and authorize", "/v1/authenticate", string(may), front, w.server},
	} {
		b.Run(c.name, func(b *testing.B) { overHTTP(b, w, c.by, c.target, c.body, c.handler) })
	}
}

func overHTTP(b *testing.B, w *world, app credential, target, body string, handler http.Handler) {
	const connections = 64
	s := httptest.NewServer(handler)
	defer s.Close()
	r := httptest.NewRequest(http.MethodPost, s.URL+target, strings.NewReader(body))
	w.sign(r, app, "writ", []byte(body))
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	before := processorTime(b)
	defer func() { b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op") }()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range connections {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		wg.Go(func() {
			defer conn.Close()
			in := bufio.NewReader(conn)
			for left.Add(-1) >= 0 {
				if err := roundTrip(conn, in, wire.Bytes()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// processorTime is what this process has used, which other processes do not change
// as they change the time that passes.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// roundTrip costs the client as little as may be.
func roundTrip(conn net.Conn, in *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	length, first := 0, true
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch {
		case first:
			if first = false; !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
				return fmt.Errorf("answer %q", line)
			}
		case bytes.HasPrefix(line, []byte("Content-Length: ")):
			for _, c := range bytes.TrimSpace(line[len("Content-Length: "):]) {
				length = 10*length + int(c-'0')
			}
		case len(line) == 2:
			_, err := in.Discard(length)
			return err
		}
	}
}

// discarder is a ResponseWriter that keeps nothing.
type discarder struct{ header http.Header }

func (d *discarder) Header() http.Header         { return d.header }
func (d *discarder) Write(b []byte) (int, error) { return len(b), nil }
func (d *discarder) WriteHeader(int)             {}

// SetReadDeadline is what a connection has.
func (d *discarder) SetReadDeadline(time.Time) error { return nil }

// BenchmarkHandler is the edge alone, without connections.
func BenchmarkHandler(b *testing.B) {
	w, app := benchWorld(b)
	ask := httptest.NewRequest(http.MethodPost, "http://writ.test/v1/authorize", nil)
	w.sign(ask, app, "writ", []byte(benchQuestion))
	get, body := form(iamVersion, "GetUser", "UserName", "alice")
	w.sign(get, w.root, "iam", body)
	broker := w.rolesOf("broker", "writ:Authorize")
	session := w.assume(broker)
	bySession := httptest.NewRequest(http.MethodPost, "http://writ.test/v1/authorize", nil)
	bySession.Header.Set("X-Amz-Security-Token", session.token)
	w.sign(bySession, session.credential, "writ", []byte(benchQuestion))
	assume, assuming := form(stsVersion, "AssumeRole", "RoleArn", "arn:aws:iam::123456789012:role/deploy", "RoleSessionName", "one")
	w.sign(assume, broker, "sts", assuming)
	for _, c := range []struct {
		name string
		r    *http.Request
		body []byte
	}{{"authorize", ask, []byte(benchQuestion)}, {"GetUser", get, body}, {"authorize by session", bySession, []byte(benchQuestion)}, {"AssumeRole", assume, assuming}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			c.r.ContentLength = int64(len(c.body))
			d := &discarder{header: http.Header{}}
			for b.Loop() {
				clear(d.header)
				c.r.Body = io.NopCloser(bytes.NewReader(c.body))
				w.server.ServeHTTP(d, c.r)
			}
		})
	}
}
