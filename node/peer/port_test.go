package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/node/gate"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/layout"
	"github.com/writ-iam/writ/test/pipe"
)

// farListener gives the connections that it accepts addresses of a test's choice.
type farListener struct {
	net.Listener
	addr atomic.Pointer[string]
	// asked has an element for each time that the next connection was asked for: what
	// was to be done with those before is done.
	asked chan struct{}
}

func (l *farListener) Accept() (net.Conn, error) {
	l.asked <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &farConn{c, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(*l.addr.Load()))}, nil
}

// farNetwork is that of a farListener.
type farNetwork struct {
	TCP
	far *farListener
}

func (n farNetwork) Listen(addr string) (l net.Listener, err error) {
	n.far.Listener, err = n.TCP.Listen(addr)
	return n.far, err
}

// oneNetwork is a network of one listener and one connection.
type oneNetwork struct {
	listener net.Listener
	conn     net.Conn
}

func (n oneNetwork) Listen(string) (net.Listener, error)            { return n.listener, nil }
func (n oneNetwork) Dial(context.Context, string) (net.Conn, error) { return n.conn, nil }

type farConn struct {
	net.Conn
	addr net.Addr
}

func (c *farConn) RemoteAddr() net.Addr { return c.addr }

// Handshakes that strangers leave unfinished keep no node from connecting: neither
// one that has been there, nor one that comes for the first time.
func TestUnfinishedHandshakes(t *testing.T) {
	dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 1))
	identity, err := LoadIdentity(c, setup.DefaultFiles(dir, "replica-1"))
	if err != nil {
		t.Fatal(err)
	}
	writer, err := LoadIdentity(c, setup.DefaultFiles(dir, "writer-1"))
	if err != nil {
		t.Fatal(err)
	}
	far := &farListener{asked: make(chan struct{}, 1000)}
	p, err := Listen(farNetwork{far: far}, "127.0.0.1:0", writer, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	addr := far.Listener.Addr().String()
	<-far.asked
	// connect comes from an address, and shows a certificate.
	connect := func(from string) error {
		far.addr.Store(&from)
		defer func() { <-far.asked }()
		conn, err := Dial(t.Context(), TCP{}, addr, ID{}, ProtocolHTTP, identity)
		if err != nil {
			return err
		}
		defer conn.Close()
		there, err := p.http.Accept()
		if err != nil {
			return err
		}
		return there.Close()
	}
	if err := connect("192.0.2.1:1"); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	// 200 strangers leave theirs unfinished; each is accepted before the next.
	for i := range 200 {
		from := fmt.Sprintf("198.51.100.%d:1", i)
		far.addr.Store(&from)
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		<-far.asked
		if n := p.strangers.gate.Open(); n > maxHandshakes {
			t.Fatalf("%d handshakes are under way", n)
		}
	}
	if p.strangers.gate.Gone(gate.Evicted) == 0 && time.Since(begun) < handshakeTimeout {
		t.Error("none gave way")
	}
	if n := p.peers.gate.Open(); n != 0 {
		t.Errorf("strangers take %d places of nodes", n)
	}
	if err := errors.Join(connect("192.0.2.1:2"), connect("192.0.2.2:1")); err != nil {
		t.Error(err)
	}
	if p.known.of(netip.MustParseAddr("192.0.2.2")) == nil || p.known.of(netip.MustParseAddr("198.51.100.7")) != nil {
		t.Error("the wrong addresses are known")
	}
	// those who come faster than they may are turned away, and nodes are not
	for p.strangers.rate.Allow() {
	}
	if err := connect("192.0.2.1:3"); err != nil {
		t.Error(err)
	}
}

// The memory of addresses is bounded.
func TestKnownNetworks(t *testing.T) {
	var k knownNetworks
	addr := netip.MustParseAddr("10.0.0.0")
	for range 3 * maxKnownNetworks {
		addr = addr.Next()
		if k.add(addr); k.of(addr) == nil || len(k.list) > maxKnownNetworks {
			t.Fatalf("%d are known", len(k.list))
		}
	}
}

// A handshake that is not finished ends in time, on both ends, and gives its place back.
func TestHandshakesEnd(t *testing.T) {
	dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 1))
	identity, err := LoadIdentity(c, setup.DefaultFiles(dir, "writer-1"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := pipe.NewListener()
		p, err := Listen(oneNetwork{listener: l}, "", identity, 1<<16)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		pipe.EndsAfter(t, "a stranger", l.Dial(), handshakeTimeout)
		synctest.Wait()
		if n := p.strangers.gate.Open(); n != 0 {
			t.Errorf("%d places are taken", n)
		}
		silent, there := net.Pipe()
		defer there.Close()
		go io.Copy(io.Discard, there)
		begun := time.Now()
		_, err = Dial(t.Context(), oneNetwork{conn: silent}, "", ID{}, ProtocolHTTP, identity)
		if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took != handshakeTimeout {
			t.Errorf("a silent writer: %v after %v", err, took)
		}
	})
}
