package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/changes"
	"github.com/writ-iam/writ/node/freshness"
)

// stream is one watcher's end of GET /v1/events.
type stream struct {
	t      *testing.T
	header http.Header
	status int
	out    *io.PipeWriter
	lines  *bufio.Reader
	cancel context.CancelFunc
	done   chan struct{} // closed when the handler has ended
}

func (s *stream) Header() http.Header         { return s.header }
func (s *stream) WriteHeader(status int)      { s.status = status }
func (s *stream) Write(b []byte) (int, error) { return s.out.Write(b) }
func (s *stream) Flush()                      {}

// watch begins a stream.
func (n *node) watch(t *testing.T, c credential, query string, headers ...string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	s := &stream{t: t, header: http.Header{}, out: out, lines: bufio.NewReader(in), cancel: cancel, done: make(chan struct{})}
	r := httptest.NewRequest(http.MethodGet, "http://writ.test/v1/events"+query, nil).WithContext(ctx)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	n.sign(r, c, "writ", nil)
	go func() {
		defer close(s.done)
		defer out.Close()
		n.server.ServeHTTP(s, r)
	}()
	t.Cleanup(func() { cancel(); in.Close(); <-s.done })
	return s
}

// sent is an event of a stream.
type sent struct {
	id, token, kind string // the id is a token, of the position id
	data            map[string]any
}

// next reads the next event.
func (s *stream) next() (e sent) {
	s.t.Helper()
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			s.t.Fatalf("the stream ended: %v", err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			token, err := event.ParseToken(value)
			if err != nil || token.Check(clusterID, incarnation) != nil {
				s.t.Fatalf("the id %s is no token of the cluster: %v", value, err)
			}
			e.id, e.token = fmt.Sprint(token.Position), value
		case "event":
			e.kind = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e.data); err != nil {
				s.t.Fatalf("%s: %v", line, err)
			}
		case "":
			return e
		}
	}
}

// expect reads an event of a kind and checks some of its data.
func (s *stream) expect(kind, id string, pairs ...any) sent {
	s.t.Helper()
	e := s.next()
	if e.kind != kind || e.id != id {
		s.t.Fatalf("event %s %q %v, not %s %q", e.kind, e.id, e.data, kind, id)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !reflect.DeepEqual(e.data[pairs[i].(string)], pairs[i+1]) {
			s.t.Errorf("%s of %s %s is %v, not %v", pairs[i], kind, id, e.data[pairs[i].(string)], pairs[i+1])
		}
	}
	return e
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		app := w.user("app", allow("writ:Watch")) // up to position 4
		live := w.watch(t, app, "")
		live.expect("heartbeat", "", "node", "node-1", "position", 4., "head", 4., "lag", 0., "freshness", "leading", "staleness_bound_ms", nil)
		if live.status != 200 || live.header.Get("Content-Type") != "text/event-stream" || live.header.Get("X-Writ-Position") != "4" {
			t.Errorf("status %d, headers %v", live.status, live.header)
		}
		w.accepted("create", w.iam(w.root, "CreateUser", "UserName", "alice"))
		e := live.expect("position", "5", "position", 5., "action", "iam:CreateUser", "events", []any{"UserCreated"}, "time", "2026-07-01T12:00:00.000Z")
		token, err := event.ParseToken(e.data["token"].(string))
		if err != nil || token != w.projection.View().Token() {
			t.Errorf("token %v, %v", token, err)
		}
		if len(e.data) != 5 || e.token != e.data["token"] {
			t.Errorf("a position tells %v, and has the id %s", e.data, e.token)
		}
		fourth := event.TokenOf(clusterID, incarnation, w.log.batches[3].Head()).String()
		live.expect("heartbeat", "", "position", 5.) // five seconds later
		w.must(&identity.RegisterReplica{Name: "replica-1"})
		live.expect("position", "6", "action", "", "events", []any{"ReplicaRegistered"})

		// from any position on, and on from where a stream broke off
		for _, s := range []*stream{
			w.watch(t, app, "?after=4"), w.watch(t, app, "?after=0", "Last-Event-ID", fourth), w.watch(t, app, "", "Last-Event-ID", fourth),
		} {
			s.expect("heartbeat", "", "position", 6.)
			s.expect("position", "5")
			s.expect("position", "6")
		}
		w.watch(t, app, "?heartbeat=1s&after="+e.data["token"].(string)).expect("heartbeat", "")
		w.must(&identity.RegisterReplica{Name: "replica-2"}, &identity.RegisterReplica{Name: "replica-3"})
		// more than is read at once
		for i := range 600 {
			w.must(&identity.RegisterReplica{Name: fmt.Sprintf("r%d", i)})
		}
		long := w.watch(t, app, "?after=0")
		long.expect("heartbeat", "", "position", 608.)
		for at := 1; at <= 608; at++ {
			long.expect("position", fmt.Sprint(at))
		}
		long.cancel()
		<-long.done
	})
}

func TestWatchRefuses(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice", allow("writ:Authorize"))
	foreign := event.Token{Cluster: clusterID, Incarnation: "another", Position: 1}.String()
	forked := event.TokenOf(clusterID, incarnation, event.Head{Position: 2, Hash: event.Hash{1}}).String()
	for name, c := range map[string]struct {
		by     credential
		query  string
		status int
		code   string
	}{
		"not allowed":         {alice, "", 403, "AccessDenied"},
		"another incarnation": {w.root, "?after=" + foreign, 409, "WrongToken"},
		"another history":     {w.root, "?after=" + forked, 409, "WrongToken"},
		"no position":         {w.root, "?after=yesterday", 400, "InvalidRequest"},
		"a huge position":     {w.root, "?after=18446744073709551615", 400, "InvalidRequest"},
		"too often":           {w.root, "?heartbeat=10ms", 400, "InvalidRequest"},
		"too seldom":          {w.root, "?heartbeat=1h", 400, "InvalidRequest"},
		"not a duration":      {w.root, "?heartbeat=x", 400, "InvalidRequest"},
	} {
		w.problem(name, w.native(c.by, "GET", "/v1/events"+c.query, ""), c.status, c.code)
	}
}

// Heartbeats at a replica tell lag from quiet.
func TestWatchAtAReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		app := w.user("app", allow("writ:Watch"))
		n, l := w.replica(func(c *config) { c.WithoutLease = freshness.AdmitReads })
		w.log.show(n.projection)
		l.grant(w, n.projection, event.Head{Position: 6})
		s := n.watch(t, app, "?heartbeat=4s")
		s.expect("heartbeat", "", "node", "replica-1", "position", 4., "head", 6., "lag", 2., "freshness", "leased", "staleness_bound_ms", nil)
		w.must(&identity.RegisterReplica{Name: "a"}, &identity.RegisterReplica{Name: "b"})
		w.log.show(n.projection)
		s.expect("position", "5")
		s.expect("position", "6")
		e := s.expect("heartbeat", "", "position", 6., "head", 6., "lag", 0., "freshness", "leased")
		if bound, _ := e.data["staleness_bound_ms"].(float64); bound < 4000 || bound > 5000 {
			t.Errorf("staleness after 4 s is %v", e.data["staleness_bound_ms"])
		}
		s.expect("heartbeat", "", "freshness", "leased")
		s.expect("heartbeat", "", "freshness", "unleased", "head", 6.) // after 12 s

		closed, cl := w.replica(func(c *config) { c.WithoutLease = freshness.AdmitNothing })
		w.log.show(closed.projection)
		cl.grant(w, closed.projection, closed.projection.Head())
		s = closed.watch(t, app, "?heartbeat=6s")
		s.expect("heartbeat", "", "freshness", "leased")
		s.expect("heartbeat", "", "freshness", "leased")
		s.expect("end", "", "code", "NotLeased")
		<-s.done
		w.problem("asked for any", closed.native(app, "GET", "/v1/events", "", "X-Writ-Consistency", "any"), 503, "NotLeased")
	})
}

// Watchers of a writer that follows share one question for the head.
func TestWatchAtAFollowingWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var asked atomic.Int32
		var fails atomic.Bool
		n := w.addNode(false, func(c *config) {
			c.Node.Votes, c.WithoutLease = true, freshness.AdmitReads
			c.Node.StrictHead = func(ctx context.Context) (event.Head, error) {
				if asked.Add(1); fails.Load() {
					<-ctx.Done()
					return event.Head{}, ctx.Err()
				}
				return event.Head{Position: 3}, nil
			}
			c.Now = time.Now
		})
		n.now = time.Now
		w.log.show(n.projection)
		var all []*stream
		for range 5 {
			s := n.watch(t, w.root, "", "X-Writ-Consistency", "any")
			s.expect("heartbeat", "", "position", 1., "head", 3., "lag", 2., "freshness", "strict")
			all = append(all, s)
		}
		if asked.Load() != 1 {
			t.Errorf("asked %d times for 5 watchers", asked.Load())
		}
		fails.Store(true)
		for _, s := range all {
			s.expect("heartbeat", "", "position", 1., "head", nil, "lag", nil, "freshness", "unleased")
		}
		if asked.Load() != 2 {
			t.Errorf("asked %d times", asked.Load())
		}
	})
}

// What a node does not have is told as a gap, and the stream goes on behind it.
func TestWatchGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n, l := w.replica(func(c *config) {
			c.Node.Changes = func(from event.Position, count int) ([]changes.Change, error) {
				if from < 4 {
					return nil, &changes.GapError{From: from, To: 3}
				}
				return w.log.changes(from, count)
			}
		})
		app := w.user("app", allow("writ:Watch"))
		w.enter("replica-1")
		w.log.show(n.projection)
		l.grant(w, n.projection, n.projection.Head())
		s := n.watch(t, app, "?after=1")
		s.expect("heartbeat", "")
		s.expect("gap", "", "from", 2., "to", 3., "hint", "Read the state anew, or watch at a writer: writers keep every position.")
		s.expect("position", "4")
		s.expect("position", "5")
		// a state of another incarnation has other positions
		state := identity.NewState()
		events, err := identity.Decide(state, identity.Meta{}, &identity.Bootstrap{Cluster: clusterID, Incarnation: "another", Account: account, RootKey: w.sealed(account, w.root)})
		if err != nil {
			t.Fatal(err)
		}
		identity.Evolve(state, 9, identity.Meta{}, events)
		n.projection.Restore(state, event.Head{Position: 9})
		s.expect("end", "", "code", "WrongIncarnation")
		<-s.done

		broken, l := w.replica(func(c *config) {
			c.Node.Changes = func(event.Position, int) ([]changes.Change, error) { return nil, errors.New("a secret of the disk") }
		})
		w.log.show(broken.projection)
		l.grant(w, broken.projection, broken.projection.Head())
		s = broken.watch(t, app, "?after=1")
		s.expect("heartbeat", "")
		if e := s.expect("end", "", "code", "InternalFailure"); strings.Contains(fmt.Sprint(e.data), "secret") {
			t.Errorf("the caller is told %v", e.data)
		}
	})
}

// A caller who may watch no more is shown out before the change is told that ended
// the right; all are when the node stops.
func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		owner := func(name string) identity.Owner {
			return identity.Owner{Kind: identity.KindUser, Account: account, Name: name}
		}
		for name, c := range map[string]struct {
			change identity.Command
			code   string
		}{
			"A": {&identity.DeleteAccessKey{Account: account, User: "A", ID: "AKIAUSERUSERA"}, "InvalidClientTokenId"},
			"B": {&identity.UpdateAccessKey{Account: account, User: "B", ID: "AKIAUSERUSERB"}, "InvalidClientTokenId"},
			"C": {&identity.DeleteInlinePolicy{Owner: owner("C"), Name: "own"}, "AccessDenied"},
		} {
			s := w.watch(t, w.user(name, allow("writ:Watch")), "")
			s.expect("heartbeat", "")
			w.must(c.change, &identity.RegisterReplica{Name: "after" + strings.ToLower(name)})
			s.expect("end", "", "code", c.code) // neither that position nor a later one is told
			<-s.done
		}
		var all []*stream
		for range 3 {
			s := w.watch(t, w.root, "")
			s.expect("heartbeat", "")
			all = append(all, s)
		}
		if metrics := w.serve(httptest.NewRequest("GET", "/metrics", nil)).Body.String(); !strings.Contains(metrics, "writ_watchers 3\n") {
			t.Error("three watchers are not counted")
		}
		w.server.EndStreams()
		w.server.EndStreams() // once is enough
		for _, s := range all {
			s.expect("end", "", "code", "Stopping")
			<-s.done
		}
		late := w.watch(t, w.root, "")
		late.expect("heartbeat", "")
		late.expect("end", "", "code", "Stopping")
		<-late.done
		if metrics := w.serve(httptest.NewRequest("GET", "/metrics", nil)).Body.String(); !strings.Contains(metrics, "writ_watchers 0\n") {
			t.Error("a watcher that has gone is counted")
		}
	})
}

// oneConn is the listener of one connection.
type oneConn struct {
	conns chan net.Conn
	addr  net.Addr
	once  sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l *oneConn) Close() error   { l.once.Do(func() { close(l.conns) }); return nil }
func (l *oneConn) Addr() net.Addr { return l.addr }

// A watcher that does not read is cut off, and what it left unread is held nowhere
// but in its connection.
func TestWatchersMustRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		client, conn := net.Pipe()
		l := &oneConn{conns: make(chan net.Conn, 1), addr: conn.LocalAddr()}
		l.conns <- conn
		ended := make(chan time.Time, 1)
		s := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.server.ServeHTTP(rw, r)
			ended <- time.Now()
		})}
		served := make(chan struct{})
		go func() { defer close(served); s.Serve(l) }()
		r := httptest.NewRequest(http.MethodGet, "http://writ.test/v1/events?after=0", nil)
		w.sign(r, w.root, "writ", nil)
		begun := time.Now()
		if err := r.Write(client); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(client), r)
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("%v, %v", answer, err)
		}
		if took := (<-ended).Sub(begun); took > 16*time.Second { // a heartbeat, and its patience
			t.Errorf("cut off after %v", took)
		}
		client.Close()
		s.Close()
		<-served
	})
}
