package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/writ-iam/writ/node/gate"
	"github.com/writ-iam/writ/node/setup"
)

// Protocols that share a writer's peer port, told apart by ALPN.
const (
	// ProtocolRaft is that of the writers' logs.
	ProtocolRaft = "writ-raft/2"
	// ProtocolHTTP is for what nodes ask each other.
	ProtocolHTTP = "http/1.1"
)

// forClients is the TLS server name by which a node says that it connects for what its
// clients ask: such connections take none from what it asks for itself. Otherwise
// there is none, for nodes are known by their certificates.
const forClients = "for-clients.writ"

// Limits of connections between nodes.
const (
	handshakeTimeout = 5 * time.Second
	// acceptBacklog is how many accepted connections may wait for their protocol.
	acceptBacklog = 64
	// maxHandshakes bounds the handshakes under way with addresses from which no node
	// has come yet; the oldest gives way. maxKnownHandshakes is for those from which one
	// has: strangers take none of them.
	maxHandshakes      = 128
	maxKnownHandshakes = 1024
	// handshakesPerSecond bounds the handshakes that are begun with the former, and
	// knownHandshakesPerSecond those with the latter: each costs a signature.
	handshakesPerSecond      = 100
	knownHandshakesPerSecond = 1000
	// handshakeParts is how many addresses take all places and all of the rate of the
	// latter: one whose certificate is in wrong hands takes a part.
	handshakeParts = 4
	// handshakeBurst is how many handshakes of one address may be begun at once: as many
	// as a node that turns to another leader may have to hand on.
	handshakeBurst = MaxForwards
	// maxKnownNetworks is how many addresses from which nodes have come are remembered.
	maxKnownNetworks = 1024
	// acceptPause is how long a port that cannot accept, say for want of file
	// descriptors, leaves it.
	acceptPause = 10 * time.Millisecond
	// IdleTimeout is how long a connection between nodes is kept that nothing uses.
	IdleTimeout = 2 * time.Minute
	// maxIdlePeers is how many connections to one writer are kept for the next request.
	maxIdlePeers = 256
)

// Port accepts TLS connections from other nodes and hands each to the
// protocol that it asked for.
type Port struct {
	listener         net.Listener
	network          Network
	identity         *Identity
	tls              *tls.Config
	raft             *protocolListener
	http             *protocolListener
	strangers, peers handshakes
	known            knownNetworks
	guests           *Guests
	lines            lines           // of the writers' logs
	ctx              context.Context // of handshakes; ends with the port
	cancel           context.CancelFunc
	wg               sync.WaitGroup
}

// Listen opens the peer port of a process that may open so many files.
func Listen(n Network, addr string, identity *Identity, files int) (*Port, error) {
	l, err := n.Listen(addr)
	if err != nil {
		return nil, fmt.Errorf("listen for other nodes: %w", err)
	}
	p := &Port{
		listener:  l,
		network:   n,
		identity:  identity,
		tls:       identity.TLS(ID{}, ProtocolRaft, ProtocolHTTP),
		raft:      newProtocolListener(l.Addr()),
		http:      newProtocolListener(l.Addr()),
		strangers: newHandshakes(gate.Bounds{Total: maxHandshakes, PerAddress: maxHandshakes}, handshakesPerSecond, 2*maxHandshakes),
		peers: newHandshakes(gate.Bounds{Total: maxKnownHandshakes, PerAddress: maxKnownHandshakes / handshakeParts},
			knownHandshakesPerSecond, handshakeParts*handshakeBurst),
		guests: newGuests(files),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	return p, nil
}

// HTTP accepts the connections for what nodes ask each other. Its server is one that
// Guests.Attend was called for.
func (p *Port) HTTP() net.Listener { return p.http }

// Raft is the stream of the writers' logs: what it accepts and dials is between
// certificates of writers.
func (p *Port) Raft() Stream { return Stream{p.raft, p.network, p.identity} }

// Guests are the connections that HTTP accepted.
func (p *Port) Guests() *Guests { return p.guests }

// Stream is how writers' logs reach each other: over the peer port.
type Stream struct {
	net.Listener
	network  Network
	identity *Identity
}

// DialContext connects to a writer's log.
func (s Stream) DialContext(ctx context.Context, addr string) (net.Conn, error) {
	return Dial(ctx, s.network, addr, ID{Role: setup.RoleWriter}, ProtocolRaft, s.identity)
}

// accept runs until the port is closed.
func (p *Port) accept() {
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
		if place := p.begin(conn); place != nil {
			p.wg.Go(func() { p.handshake(conn, place) })
		}
	}
}

// begin takes a place for a handshake, or closes the connection and returns nil.
func (p *Port) begin(conn net.Conn) *gate.Conn {
	own := p.known.of(gate.Network(gate.Remote(conn)))
	if own == nil {
		return p.strangers.begin(conn)
	}
	if !own.Allow() {
		conn.Close()
		return nil
	}
	return p.peers.begin(conn)
}

// handshakes are those under way with some addresses.
type handshakes struct {
	gate *gate.Gate // closes the oldest for the next
	rate *rate.Limiter
}

func newHandshakes(b gate.Bounds, perSecond rate.Limit, burst int) handshakes {
	return handshakes{gate.New(nil, b), rate.NewLimiter(perSecond, burst)}
}

// begin takes a place for a handshake, or closes the connection and returns nil.
func (h *handshakes) begin(conn net.Conn) *gate.Conn {
	if !h.rate.Allow() {
		conn.Close()
		return nil
	}
	return h.gate.Admit(conn)
}

// knownNetworks are those from which nodes have come, that is, have shown their
// certificates: a few more than there are nodes.
type knownNetworks struct {
	mu   sync.Mutex
	list map[netip.Addr]*rate.Limiter // of each one's handshakes; guarded by mu
}

// of is the rate of a network's handshakes; nil of one that is not known.
func (k *knownNetworks) of(network netip.Addr) *rate.Limiter {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.list[network]
}

func (k *knownNetworks) add(network netip.Addr) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.list[network] != nil {
		return
	}
	if k.list == nil || len(k.list) >= maxKnownNetworks {
		k.list = make(map[netip.Addr]*rate.Limiter) // those who come again are learned again
	}
	k.list[network] = rate.NewLimiter(knownHandshakesPerSecond/handshakeParts, handshakeBurst)
}

// handshake finds out who calls and which protocol they speak.
func (p *Port) handshake(conn net.Conn, place *gate.Conn) {
	defer place.Leave()
	ctx, cancel := context.WithTimeout(p.ctx, handshakeTimeout)
	defer cancel()
	c := tls.Server(conn, p.tls)
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close() // not a node of this cluster: nobody to answer to
		return
	}
	p.known.add(gate.Network(gate.Remote(conn)))
	place.Leave()
	to := p.http
	if state := c.ConnectionState(); state.NegotiatedProtocol == ProtocolRaft {
		if roleOf(state.PeerCertificates[0]) != setup.RoleWriter {
			c.Close() // raft has no authentication of its own
			return
		}
		if one := p.lines.add(c); !p.raft.give(ctx, one) { // the writers' alone, and never refused
			one.Close()
		}
		return
	} else if !p.guests.admit(c) {
		conn.Close()
		return
	}
	if !to.give(ctx, c) {
		p.guests.leave(c)
		c.Close()
	}
}

// Close stops accepting; connections that were handed on live on.
func (p *Port) Close() error {
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

// Dial connects to the writer at addr for a protocol.
func Dial(ctx context.Context, n Network, addr string, to ID, protocol string, identity *Identity) (net.Conn, error) {
	return dial(ctx, n, addr, "", to, protocol, identity)
}

// dial is Dial under a server name.
func dial(ctx context.Context, n Network, addr, as string, to ID, protocol string, identity *Identity) (net.Conn, error) {
	conn, err := n.Dial(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	config := identity.config(conn, to, []string{protocol})
	config.ServerName = as
	c := tls.Client(conn, config)
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	return c, nil
}

// NewClient returns an HTTP client for https://host:port of any writer, for what the
// node itself asks.
func NewClient(n Network, identity *Identity) *http.Client { return clientFor(n, identity, "", 0) }

// clientFor returns a client for what the node itself asks or, as forClients, for what
// its clients do. It has at most limit connections to each writer; 0 is as many as it
// takes.
func clientFor(n Network, identity *Identity, as string, limit int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialTLSContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return dial(ctx, n, addr, as, ID{Role: setup.RoleWriter}, ProtocolHTTP, identity)
		},
		MaxConnsPerHost:     limit,
		MaxIdleConnsPerHost: maxIdlePeers,
		IdleConnTimeout:     IdleTimeout,
	}}
}
