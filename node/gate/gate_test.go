package gate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// from is one end of a pipe that says it comes from an address.
type from struct {
	net.Conn
	addr net.Addr
}

func (f *from) RemoteAddr() net.Addr { return f.addr }

// gated is a gate with connections that a test looks at.
type gated struct {
	*Gate
	t *testing.T
}

func newGated(t *testing.T, b Bounds) *gated { return &gated{New(nil, b), t} }

// client is both ends of a connection.
type client struct {
	*Conn
	other net.Conn
}

// open connects from an address; nil: it was refused.
func (g *gated) open(addr string) *client {
	g.t.Helper()
	here, there := net.Pipe()
	g.t.Cleanup(func() { here.Close(); there.Close() })
	c := g.Admit(&from{here, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))})
	if c == nil {
		return nil
	}
	return &client{c, there}
}

func (g *gated) must(addr string) *client {
	g.t.Helper()
	c := g.open(addr)
	if c == nil {
		g.t.Fatalf("%s is refused", addr)
	}
	return c
}

// closed tells whether the gate has closed a connection.
func (c *client) closed() bool {
	c.other.SetReadDeadline(time.Now().Add(-time.Second))
	_, err := c.other.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

func (g *gated) look(clients map[string]*client, closed string) {
	g.t.Helper()
	for name, c := range clients {
		if want := strings.Contains(" "+closed+" ", " "+name+" "); c.closed() != want {
			g.t.Errorf("%s is closed: %v", name, !want)
		}
	}
}

// Connections are closed in the order of what they are worth, and of age.
func TestGateOrder(t *testing.T) {
	now := time.Unix(0, 0)
	g := newGated(t, Bounds{Total: 7, PerAddress: 100})
	g.now = func() time.Time { return now }
	all := map[string]*client{}
	for i, name := range []string{"idle-1", "idle-2", "serving", "resting", "busy-1", "busy-2", "used"} {
		all[name] = g.must(fmt.Sprintf("192.0.2.%d:1", i+1))
		now = now.Add(time.Millisecond)
	}
	ctx := g.Context(t.Context(), all["serving"].Conn)
	for _, name := range []string{"serving", "resting", "busy-1", "busy-2", "used"} {
		g.State(all[name].Conn, http.StateActive)
	}
	Prove(ctx)
	Prove(g.Context(t.Context(), all["resting"].Conn))
	g.State(all["resting"].Conn, http.StateIdle)
	g.State(all["used"].Conn, http.StateIdle) // its request was nobody's
	closed := ""
	next := func(name string) {
		t.Helper()
		c := g.must("192.0.2.100:1")
		all["new-"+name] = c
		g.State(c.Conn, http.StateActive)
		Prove(g.Context(t.Context(), c.Conn))
		closed += " " + name
		g.look(all, closed)
	}
	next("resting") // the others are new
	next("idle-1")
	now = now.Add(grace)
	next("idle-2")
	next("used")
	next("busy-1")
	next("busy-2")
	if g.open("192.0.2.101:1") != nil || g.Open() != 7 || g.Gone(Refused) != 1 || g.Gone(Evicted) != 6 {
		t.Errorf("%d are open, %d were refused, %d evicted", g.Open(), g.Gone(Refused), g.Gone(Evicted))
	}
	// room is made by those that end
	all["serving"].Close()
	all["serving"].Close()
	if g.Open() != 6 {
		t.Errorf("%d are open", g.Open())
	}
	g.must("192.0.2.101:1")
	g.look(all, closed+" serving")
}

// Where nobody rests, a new connection takes the place of the oldest request that
// nobody has proved, old or not: from many addresses nobody locks others out.
func TestGateLocksNobodyOut(t *testing.T) {
	g := newGated(t, Bounds{Total: 4, PerAddress: 100})
	all := map[string]*client{}
	for i := range 20 {
		name := fmt.Sprint("busy-", i)
		all[name] = g.must(fmt.Sprintf("192.0.2.%d:1", i+1))
		g.State(all[name].Conn, http.StateActive)
	}
	if g.Open() != 4 || all["busy-19"].closed() || !all["busy-15"].closed() {
		t.Errorf("%d are open", g.Open())
	}
}

// One address has a part of all connections; proxies have what there is.
func TestGatePerAddress(t *testing.T) {
	g := newGated(t, Bounds{Total: 100, PerAddress: 2, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48")}})
	for _, c := range []struct {
		addrs []string
		gone  int
	}{
		{[]string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3", "192.0.2.1:4"}, 2},
		{[]string{"192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1"}, 0},
		{[]string{"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3:0:0:3]:1"}, 1},
		{[]string{"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", "[2001:db8:0:3::1]:1"}, 0},
		{[]string{"10.1.2.3:1", "10.1.2.3:2", "10.1.2.3:3", "10.1.2.3:4"}, 0},
		{[]string{"[2001:db8:ffff::1]:1", "[2001:db8:ffff::1]:2", "[2001:db8:ffff::1]:3"}, 0},
	} {
		var all []*client
		for _, addr := range c.addrs {
			all = append(all, g.must(addr))
		}
		for i, one := range all {
			if one.closed() != (i < c.gone) {
				t.Errorf("%s is closed: %v", c.addrs[i], !(i < c.gone))
			}
		}
	}
	// when none of its own may be closed, the address is refused, and others are not
	for i := range 2 {
		Prove(g.Context(t.Context(), g.must(fmt.Sprintf("192.0.2.9:%d", i+1)).Conn))
	}
	if g.open("192.0.2.9:3") != nil {
		t.Error("a third is let in")
	}
	g.must("192.0.2.10:1")
	if g := New(nil, Bounds{Total: 80}); g.bounds.PerAddress != 10 {
		t.Errorf("one address has %d of 80", g.bounds.PerAddress)
	}
}

// Probes of the machine itself get through when nothing else does.
func TestGateProbes(t *testing.T) {
	g := newGated(t, Bounds{Total: 3, PerAddress: 100})
	serve := func(addr string) bool {
		c := g.open(addr)
		if c != nil {
			Prove(g.Context(t.Context(), c.Conn))
		}
		return c != nil
	}
	for i := range 3 {
		serve(fmt.Sprintf("192.0.2.%d:1", i+1))
	}
	if serve("192.0.2.9:1") {
		t.Error("one more is let in")
	}
	for range ProbeReserve / 2 {
		if !serve("127.0.0.1:1") || !serve("[::1]:1") {
			t.Error("a probe is refused")
		}
	}
	if serve("127.0.0.1:1") {
		t.Error("the reserve has no end")
	}
}

// The one who does not read is cut off; the one who reads slowly, piece by piece, is not.
func TestGateWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGated(t, Bounds{Total: 2})
		c := g.must("192.0.2.1:1")
		begun := time.Now()
		if n, err := c.Write(make([]byte, 100)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != WritePatience {
			t.Errorf("%d, %v after %v", n, err, time.Since(begun))
		}
		var reader sync.WaitGroup
		defer reader.Wait()
		reader.Go(func() {
			for {
				time.Sleep(WritePatience - time.Second)
				if _, err := io.CopyN(io.Discard, c.other, writeChunk); err != nil {
					return
				}
			}
		})
		begun = time.Now()
		if n, err := c.Write(make([]byte, 10*writeChunk)); n != 10*writeChunk || err != nil || time.Since(begun) != 10*(WritePatience-time.Second) {
			t.Errorf("%d, %v after %v", n, err, time.Since(begun))
		}
		c.Close()
	})
}

// pipes is a listener of pipes.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	if c, ok := <-p.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.conns) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Behind a server, connections that pipeline and read nothing end, those that rest
// give way, and the one whose caller is known is answered when it may take long.
func TestGateServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &pipes{conns: make(chan net.Conn)}
		g := New(l, Bounds{Total: 4, PerAddress: 100})
		s := &http.Server{ConnState: g.State, ConnContext: g.Context, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/known" {
				Prove(r.Context())
				time.Sleep(time.Hour)
			}
			w.Write(make([]byte, 8<<10))
		})}
		done := make(chan struct{})
		go func() { defer close(done); s.Serve(g) }()
		dial := func() net.Conn {
			here, there := net.Pipe()
			l.conns <- &from{here, net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:1"))}
			synctest.Wait()
			return there
		}
		known := dial()
		io.WriteString(known, "GET /known HTTP/1.1\r\nHost: h\r\n\r\n")
		for range 3 {
			c := dial()
			go io.WriteString(c, strings.Repeat("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 100))
		}
		synctest.Wait()
		if g.Open() != 4 {
			t.Errorf("%d are open", g.Open())
		}
		time.Sleep(WritePatience + time.Second)
		synctest.Wait()
		if g.Open() != 1 {
			t.Errorf("%d are open after those who do not read were cut off", g.Open())
		}
		for range 10 {
			dial() // and say nothing
		}
		c := dial()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if answer, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || answer.StatusCode != 200 {
			t.Errorf("a new one: %v", err)
		}
		time.Sleep(time.Hour - time.Minute) // it reads when there is something
		if answer, err := http.ReadResponse(bufio.NewReader(known), nil); err != nil || answer.StatusCode != 200 {
			t.Errorf("the known one: %v", err)
		}
		s.Close()
		<-done
	})
}

// failing is a listener that has no descriptors at first.
type failing struct {
	pipes
	failures int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.failures > 0 {
		f.failures--
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return f.pipes.Accept()
}

// Without a descriptor for the next connection, one that rests is closed.
func TestGateWithoutDescriptors(t *testing.T) {
	f := &failing{pipes: pipes{conns: make(chan net.Conn, 1)}}
	g := &gated{New(f, Bounds{Total: 10}), t}
	idle := g.must("192.0.2.1:1")
	here, there := net.Pipe()
	defer there.Close()
	f.failures = 1
	f.conns <- here
	if c, err := g.Accept(); err != nil || c == nil || !idle.closed() {
		t.Errorf("%v, %v", c, err)
	}
	f.failures = 2
	if _, err := g.Accept(); !errors.Is(err, syscall.EMFILE) {
		t.Error(err)
	}
}

// Whatever happens at once, the bound holds and nothing is lost count of.
func TestGateRaced(t *testing.T) {
	g := newGated(t, Bounds{Total: 8, PerAddress: 4})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 300 {
				here, there := net.Pipe()
				c := g.Admit(&from{here, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:1", (i+j)%5)))})
				if n := g.Open(); n > 8 {
					t.Errorf("%d are open", n)
				}
				if c != nil {
					g.State(c, http.StateActive)
					if j%3 == 0 {
						Prove(g.Context(context.Background(), c))
					}
					g.State(c, http.StateIdle)
					c.Close()
				}
				there.Close()
			}
		})
	}
	wg.Wait()
	if g.Open() != 0 || len(g.networks) != 0 {
		t.Errorf("%d are open of %d networks", g.Open(), len(g.networks))
	}
	for r := range ranks {
		if q := g.all.queues[r]; q.first != nil || q.last != nil {
			t.Errorf("connections are left of rank %d", r)
		}
	}
}

// What a gate costs each request.
func BenchmarkGate(b *testing.B) {
	g := New(nil, Bounds{Total: 1000, PerAddress: 1000})
	here, there := net.Pipe()
	defer there.Close()
	c := g.Admit(&from{here, net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:1"))})
	ctx := g.Context(b.Context(), c)
	b.ReportAllocs()
	for b.Loop() {
		g.State(c, http.StateActive)
		Prove(ctx)
		g.State(c, http.StateIdle)
	}
}

func TestNetwork(t *testing.T) {
	for given, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "2001:db8:1:2::7%eth0": "2001:db8:1:2::",
		"::1": "::",
	} {
		if got := Network(netip.MustParseAddr(given)); got.String() != want {
			t.Errorf("%s is of %s, not %s", given, got, want)
		}
	}
}
