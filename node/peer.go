package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Protocols that share a writer's peer port, told apart by ALPN.
const (
	protocolRaft = "writ-raft/2"
	protocolHTTP = "http/1.1"
)

// Limits of connections between nodes.
const (
	handshakeTimeout = 5 * time.Second
	// acceptBacklog is how many accepted connections may wait for their protocol.
	acceptBacklog = 64
	// maxHandshakes bounds the handshakes under way, against a flood.
	maxHandshakes = 256
	// acceptPause is how long a port that cannot accept, say for want of file
	// descriptors, leaves it.
	acceptPause = 10 * time.Millisecond
	peerIdle    = 2 * time.Minute
	// maxIdlePeers is how many connections to one writer are kept for the next request.
	maxIdlePeers = 256
)

// peerPort accepts TLS connections from other nodes and hands each to the
// protocol that it asked for.
type peerPort struct {
	listener net.Listener
	tls      *tls.Config
	raft     *protocolListener
	http     *protocolListener
	slots    chan struct{}
	ctx      context.Context // of handshakes; ends with the port
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

func listenPeers(m Machine, addr string, identity *peerTLS) (*peerPort, error) {
	l, err := m.Listen(addr)
	if err != nil {
		return nil, fmt.Errorf("listen for other nodes: %w", err)
	}
	p := &peerPort{
		listener: l,
		tls:      identity.config(peer{}, protocolRaft, protocolHTTP),
		raft:     newProtocolListener(l.Addr()),
		http:     newProtocolListener(l.Addr()),
		slots:    make(chan struct{}, maxHandshakes),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	return p, nil
}

// accept runs until the port is closed.
func (p *peerPort) accept() {
	for {
		conn, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			select {
			case <-time.After(acceptPause): // the next may do
			case <-p.ctx.Done():
			}
			continue
		}
		select {
		case p.slots <- struct{}{}:
			p.wg.Go(func() { p.handshake(conn); <-p.slots })
		default:
			conn.Close()
		}
	}
}

// handshake finds out who calls and which protocol they speak.
func (p *peerPort) handshake(conn net.Conn) {
	ctx, cancel := context.WithTimeout(p.ctx, handshakeTimeout)
	defer cancel()
	c := tls.Server(conn, p.tls)
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close() // not a node of this cluster: nobody to answer to
		return
	}
	to := p.http
	if state := c.ConnectionState(); state.NegotiatedProtocol == protocolRaft {
		if roleOf(state.PeerCertificates[0]) != RoleWriter {
			c.Close() // raft has no authentication of its own
			return
		}
		to = p.raft
	}
	if !to.give(ctx, c) {
		c.Close()
	}
}

// Close stops accepting; connections that were handed on live on.
func (p *peerPort) Close() error {
	p.raft.Close()
	p.http.Close()
	err := p.listener.Close()
	p.cancel()
	p.wg.Wait()
	p.raft.drain()
	p.http.drain()
	return err
}

// protocolListener is the net.Listener of one protocol.
type protocolListener struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newProtocolListener(addr net.Addr) *protocolListener {
	return &protocolListener{addr: addr, conns: make(chan net.Conn, acceptBacklog), closed: make(chan struct{})}
}

func (l *protocolListener) give(ctx context.Context, c net.Conn) bool {
	select {
	case l.conns <- c:
		return true
	case <-l.closed:
	case <-ctx.Done():
	}
	return false
}

// Accept returns the next connection of the protocol.
func (l *protocolListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept return net.ErrClosed.
func (l *protocolListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// drain closes the connections that nobody accepted any more.
func (l *protocolListener) drain() {
	for {
		select {
		case c := <-l.conns:
			c.Close()
		default:
			return
		}
	}
}

// Addr is the port's address.
func (l *protocolListener) Addr() net.Addr { return l.addr }

// dialPeer connects to the writer at addr for a protocol.
func dialPeer(ctx context.Context, m Machine, addr string, to peer, protocol string, identity *peerTLS) (net.Conn, error) {
	conn, err := m.Dial(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	c := tls.Client(conn, identity.config(to, protocol))
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	return c, nil
}

// peerClient returns an HTTP client for https://host:port of any writer. It has at
// most limit connections to each; 0 is as many as it takes.
func peerClient(m Machine, identity *peerTLS, limit int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:     identity.config(peer{role: RoleWriter}, protocolHTTP),
		DialContext:         func(ctx context.Context, _, addr string) (net.Conn, error) { return m.Dial(ctx, addr) },
		TLSHandshakeTimeout: handshakeTimeout,
		MaxConnsPerHost:     limit,
		MaxIdleConnsPerHost: maxIdlePeers,
		IdleConnTimeout:     peerIdle,
	}}
}
