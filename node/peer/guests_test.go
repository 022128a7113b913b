package peer

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/gate"
)

// visitors come to a peer port from addresses of a test's choice, which answers /held
// when the test ends and all else at once.
type visitors struct {
	t    *testing.T
	port *Port
	far  *farListener
	rest chan struct{} // has one for each time that a connection was at rest
}

// newVisitors opens the port of a process that may open so many files.
func newVisitors(t *testing.T, who *Identity, files int) *visitors {
	t.Helper()
	v := &visitors{t: t, far: &farListener{asked: make(chan struct{}, 10_000)}, rest: make(chan struct{}, 10_000)}
	var err error
	if v.port, err = Listen(farNetwork{far: v.far}, "127.0.0.1:0", who, files); err != nil {
		t.Fatal(err)
	}
	<-v.far.asked
	end := make(chan struct{})
	s := &http.Server{
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			gate.Prove(r.Context())
			if r.URL.Path == "/held" {
				rw.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(rw).Flush()
				<-end
			}
		}),
	}
	v.port.guests.Attend(s)
	note := s.ConnState
	s.ConnState = func(conn net.Conn, state http.ConnState) {
		note(conn, state)
		if state == http.StateIdle {
			v.rest <- struct{}{}
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(v.port.http) }()
	t.Cleanup(func() { close(end); s.Close(); v.port.Close(); <-done })
	return v
}

// visit connects from an address, and asks for a path; the answer has begun, or was
// given but for /held, when it returns. The connection stays.
func (v *visitors) visit(who *Identity, from, path string) (*tls.Conn, error) {
	return v.visitAs("", who, from, path)
}

func (v *visitors) visitAs(as string, who *Identity, from, path string) (*tls.Conn, error) {
	from += ":1"
	v.far.addr.Store(&from)
	config := who.TLS(ID{}, ProtocolHTTP)
	config.ServerName = as
	conn, err := tls.Dial("tcp", v.far.Listener.Addr().String(), config)
	<-v.far.asked
	if err != nil {
		return nil, err
	}
	v.t.Cleanup(func() { conn.Close() })
	return conn, v.ask(conn, path)
}

// ask asks for a path on a connection.
func (v *visitors) ask(conn net.Conn, path string) error {
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	if err == nil && path != "/held" {
		<-v.rest // the port knows, too
	}
	return err // of an answer that has no body, or whose body is not waited for
}

// A name has so many connections, and from one address half of them. Those that rest
// give way; whoever holds all that it may, at one address, keeps its own name out
// there, and nobody else.
func TestGuests(t *testing.T) {
	const files = 80 * FilesPart // 80 connections, 20 of a name; 10 of these for itself, 5 from an address
	i, _ := newIdentities(t)
	v := newVisitors(t, i.writer, files)
	g := v.port.guests
	own := g.Bounds(false)
	if g.total != 80 || own.Total != 10 || own.PerAddress != 5 || g.Bounds(true).PerAddress != 5 {
		t.Fatalf("%d, of a name %+v for itself and %+v for clients", g.total, own, g.Bounds(true))
	}
	first, err := v.visit(i.replica, "192.0.2.1", "/")
	if err != nil {
		t.Fatal(err)
	}
	for range 4 * own.Total { // they rest, and give way
		if _, err := v.visit(i.replica, "198.51.100.1", "/"); err != nil {
			t.Fatal(err)
		}
	}
	if refused, evicted := g.gone(gate.Refused), g.gone(gate.Evicted); refused != 0 || evicted != uint64(4*own.Total-own.PerAddress) {
		t.Errorf("%d were refused, %d gave way", refused, evicted)
	}
	for range own.PerAddress {
		if _, err := v.visit(i.replica, "198.51.100.1", "/held"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.visit(i.replica, "198.51.100.1", "/"); err == nil {
		t.Error("one more than an address may have was let in")
	}
	// the same name elsewhere, old and new
	if err := v.ask(first, "/"); err != nil {
		t.Error(err)
	}
	for n := 1; n < own.Total-own.PerAddress; n++ {
		if _, err := v.visit(i.replica, "192.0.2.1", "/held"); err != nil {
			t.Error(err)
		}
	}
	if _, err := v.visit(i.replica, "192.0.2.2", "/held"); err != nil { // in place of the first
		t.Error(err)
	}
	if _, err := v.visit(i.replica, "192.0.2.3", "/"); err == nil {
		t.Error("one more than a name may have was let in")
	}
	// what its clients ask, which has places of its own
	forwards := g.Bounds(true)
	for range forwards.PerAddress {
		if _, err := v.visitAs(forClients, i.replica, "198.51.100.1", "/held"); err != nil {
			t.Error(err)
		}
	}
	if _, err := v.visitAs(forClients, i.replica, "198.51.100.1", "/"); err == nil {
		t.Error("one more for clients than an address may have was let in")
	}
	// another name, from the same address
	if _, err := v.visit(i.writer, "198.51.100.1", "/"); err != nil {
		t.Error(err)
	}
	if refused := g.gone(gate.Refused); refused != 3 {
		t.Errorf("%d were refused", refused)
	}
	// raft
	raft, err := Dial(t.Context(), TCP{}, v.far.Listener.Addr().String(), ID{}, ProtocolRaft, i.writer)
	if err != nil {
		t.Fatal(err)
	}
	raft.Close()
}

// When all connections are taken, the name that has most gives one up; names that are
// connected no more are forgotten.
func TestGuestsOfManyNames(t *testing.T) {
	i, _ := newIdentities(t)
	v := newVisitors(t, i.writer, 8*FilesPart)
	g := v.port.guests
	g.mu.Lock()
	g.total = 2 // of two names, together
	g.names[guestOf{name: i.replica.Leaf().Subject.CommonName}] = gate.New(nil, gate.Bounds{Total: 9, PerAddress: 9})
	g.mu.Unlock()
	for range 3 {
		if _, err := v.visit(i.replica, "192.0.2.1", "/"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.visit(i.writer, "192.0.2.2", "/"); err != nil {
		t.Fatal(err)
	}
	if evicted := g.gone(gate.Evicted); evicted != 2 {
		t.Errorf("%d gave way", evicted)
	}
	g.mu.Lock()
	conns := slices.Collect(maps.Keys(g.open))
	g.mu.Unlock()
	for _, conn := range conns {
		g.leave(conn)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if n, _ := g.taken(); n != 0 || len(g.names) != 0 {
		t.Errorf("%d connections, %d names", n, len(g.names))
	}
}

// What a node may need is not beyond the bounds.
func TestBoundsOfGuests(t *testing.T) {
	g := newGuests(1 << 20)
	if g.Bounds(true).PerAddress < MaxForwards || g.ofName() < 2*g.atAddress() || g.total < nameParts*g.ofName() {
		t.Errorf("%d of a name, %d from an address, %d at all", g.ofName(), g.atAddress(), g.total)
	}
	for _, files := range []int{0, 100, 1024, 4096} {
		if b := newGuests(files).Bounds(false); b.PerAddress < 1 || newGuests(files).Bounds(true).PerAddress < 1 {
			t.Errorf("of %d files: %+v", files, b)
		}
		if g := newGuests(files); g.ofName() < 1 || g.atAddress() < 1 || g.total > max(files/FilesPart, nameParts) {
			t.Errorf("of %d files: %d of a name, %d from an address, %d at all", files, g.ofName(), g.atAddress(), g.total)
		}
	}
}

// Whoever shakes hands without end at an address of a node takes a part of what nodes
// have, and nodes elsewhere shake hands as before.
func TestHandshakesOfOneAddress(t *testing.T) {
	i, _ := newIdentities(t)
	v := newVisitors(t, i.writer, 1<<16)
	const flooder, node = "198.51.100.1", "192.0.2.1"
	for _, from := range []string{flooder, node} {
		if _, err := v.visit(i.replica, from, "/"); err != nil {
			t.Fatal(err)
		}
	}
	from := flooder + ":1"
	v.far.addr.Store(&from)
	for range maxKnownHandshakes/handshakeParts + 10 {
		conn, err := net.Dial("tcp", v.far.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		<-v.far.asked
		if n := v.port.peers.gate.Open(); n > maxKnownHandshakes/handshakeParts {
			t.Fatalf("%d handshakes are under way with one address", n)
		}
	}
	for begun := 0; v.port.known.of(netip.MustParseAddr(flooder)).Allow(); begun++ {
		if begun == 2*handshakeBurst {
			t.Fatal("one address has all handshakes")
		}
	}
	if _, err := v.visit(i.replica, node, "/"); err != nil {
		t.Error(err)
	}
}
