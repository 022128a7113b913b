// Package network joins machines in memory. It is made for testing/synctest:
// everything that waits here waits on a condition or a timer of the bubble that the
// network was made in, so that hours of silence on a cut line take no time.
//
// Connections carry bytes in order, each write after the delay of its link, as TCP
// does: a cut link loses nothing, it delivers when it is whole again, unless the
// connection was reset or given up meanwhile. Buffers are bounded; who writes to one
// that is full waits.
//
// Faults are set per directed link and per machine: cuts of one direction or both,
// delay, jitter, little bandwidth, resets, machines whose network is frozen, and
// machines that go, with or without a word to those that they were connected to.
package network

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Limits of a network.
const (
	// bufferSize is how many bytes may be under way in one direction of a connection
	// before its writer waits.
	bufferSize = 256 << 10
	// backlog is how many connections may wait to be accepted; more are refused.
	backlog = 128
	// dialTimeout bounds a connection attempt, as nodes do on a real network.
	dialTimeout = 2 * time.Second
	// firstPort is that of the first connection's near end.
	firstPort = 32768
)

// Shape is how a link carries what is sent over it.
type Shape struct {
	// Delay is how long a write takes at least, and Jitter how much longer at most.
	// Without any delay, two that answer each other at once would stop the time.
	Delay, Jitter time.Duration
	// Rate is bytes per second; zero is no limit.
	Rate int
}

// DefaultShape is that of links nobody has shaped: two racks of one site.
func DefaultShape() Shape {
	return Shape{Delay: 200 * time.Microsecond, Jitter: 300 * time.Microsecond}
}

// Network joins machines by name. Its methods may be called by any goroutine of
// its bubble.
type Network struct {
	mu      sync.Mutex
	changed *sync.Cond // a machine, a listener, or whether a link carries
	rng     *rand.Rand
	hosts   map[string]*Host // the present life of each machine
	frozen  map[string]int
	links   map[pair]*link
	conns   map[*conn]struct{}
	ports   int
}

type pair struct{ from, to string }

type link struct {
	cuts  int // more than none: nothing arrives
	shape Shape
}

// New returns a network without machines. The seed decides on jitter.
func New(seed uint64) *Network {
	n := &Network{
		rng: rand.New(rand.NewPCG(seed, 0x11e7)), hosts: map[string]*Host{}, frozen: map[string]int{},
		links: map[pair]*link{}, conns: map[*conn]struct{}{}, ports: firstPort,
	}
	n.changed = sync.NewCond(&n.mu)
	return n
}

// link is the one between two machines in one direction. The lock is held.
func (n *Network) link(from, to string) *link {
	l := n.links[pair{from, to}]
	if l == nil {
		l = &link{shape: DefaultShape()}
		n.links[pair{from, to}] = l
	}
	return l
}

// carries says whether what from sends reaches to. The lock is held.
func (n *Network) carries(from, to string) bool {
	return n.link(from, to).cuts == 0 && n.frozen[from] == 0 && n.frozen[to] == 0
}

// change alters the conditions under which connections work, and wakes all who
// wait on them.
func (n *Network) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	n.changed.Broadcast()
	for c := range n.conns {
		c.moved.Broadcast()
	}
}

// Cut stops a link in one direction: what is under way waits. A link that was cut
// twice must be mended twice.
func (n *Network) Cut(from, to string) { n.change(func() { n.link(from, to).cuts++ }) }

// Mend ends one cut.
func (n *Network) Mend(from, to string) { n.change(func() { n.link(from, to).cuts-- }) }

// Shape changes how a link carries what is sent from now on.
func (n *Network) Shape(from, to string, s Shape) {
	n.change(func() { n.link(from, to).shape = s })
}

// Freeze stops everything from and to a machine, which stays up and learns nothing.
func (n *Network) Freeze(name string) { n.change(func() { n.frozen[name]++ }) }

// Thaw ends one freeze.
func (n *Network) Thaw(name string) { n.change(func() { n.frozen[name]-- }) }

// Reset breaks the connections between two machines, at both ends at once, and says
// how many these were.
func (n *Network) Reset(a, b string) (count int) {
	n.change(func() {
		for c := range n.conns {
			if c.near == a && c.far == b || c.near == b && c.far == a {
				c.broken = syscall.ECONNRESET
				count++
			}
		}
	})
	return count / 2
}

// Host is one life of a machine: what its process listens on and dials by. After
// Detach it can do neither.
type Host struct {
	network   *Network
	name      string
	detached  bool
	dark      bool                 // detached without a word: not even refusals
	listeners map[string]*listener // by port
}

// Attach begins a machine's life, or its next one.
func (n *Network) Attach(name string) *Host {
	h := &Host{network: n, name: name, listeners: map[string]*listener{}}
	n.change(func() {
		if old := n.hosts[name]; old != nil && !old.detached {
			panic("network: machine " + name + " is up")
		}
		n.hosts[name] = h
	})
	return h
}

// Detach ends the machine's life: its own ends of connections break. Where it is
// silent the other ends learn nothing before they write to the machine's next life;
// else they learn of it as soon as links carry.
func (h *Host) Detach(silent bool) {
	n := h.network
	n.change(func() {
		h.detached, h.dark = true, silent
		for c := range n.conns {
			if c.host != h {
				continue
			}
			c.broken, c.in.gone = net.ErrClosed, true
			if !silent {
				c.out.put(segment{reset: true})
			}
			delete(n.conns, c)
			c.moved.Broadcast()
		}
		for _, l := range h.listeners {
			l.close()
		}
	})
}

// Listen listens on a port of this machine; the address' host is not looked at.
func (h *Host) Listen(addr string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	n := h.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.detached {
		return nil, fmt.Errorf("listen on %s: %w", addr, syscall.ENETDOWN)
	}
	if port == "0" {
		n.ports++
		port = strconv.Itoa(n.ports)
	}
	if h.listeners[port] != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, syscall.EADDRINUSE)
	}
	l := &listener{host: h, port: port}
	h.listeners[port] = l
	n.changed.Broadcast()
	return l, nil
}

// Dial connects to host:port. It waits while the links between the two do not
// carry, for at most dialTimeout.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := h.dial(ctx, addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: address(addr), Err: err}
	}
	return c, nil
}

func (h *Host) dial(ctx context.Context, addr string) (net.Conn, error) {
	far, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n := h.network
	n.mu.Lock()
	defer n.mu.Unlock()
	wake := context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.changed.Broadcast()
	})
	defer wake()
	for { // there and back again
		for !h.detached && ctx.Err() == nil && !(n.carries(h.name, far) && n.carries(far, h.name) && n.up(far)) {
			n.changed.Wait()
		}
		if h.detached || ctx.Err() != nil {
			break
		}
		trip := n.delay(h.name, far) + n.delay(far, h.name)
		n.mu.Unlock()
		pause(ctx, trip)
		n.mu.Lock()
		if n.carries(h.name, far) && n.carries(far, h.name) && n.up(far) {
			break
		}
	}
	switch to := n.hosts[far]; {
	case h.detached:
		return nil, syscall.ENETDOWN
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case to.detached || to.listeners[port] == nil || to.listeners[port].closed || len(to.listeners[port].waiting) >= backlog:
		return nil, syscall.ECONNREFUSED
	default:
		return n.connect(h, to, port), nil
	}
}

// up says whether a machine answers, be it that nothing runs there.
func (n *Network) up(name string) bool {
	h := n.hosts[name]
	return h != nil && !h.dark
}

// delay draws how long a small write takes. The lock is held.
func (n *Network) delay(from, to string) time.Duration {
	s := n.link(from, to).shape
	return s.Delay + time.Duration(n.rng.Int64N(int64(s.Jitter)+1))
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// connect makes a connection. The lock is held.
func (n *Network) connect(from, to *Host, port string) *conn {
	n.ports++
	moved := sync.NewCond(&n.mu)
	there := &stream{network: n, from: from.name, to: to.name, moved: moved}
	back := &stream{network: n, from: to.name, to: from.name, moved: moved}
	local, remote := address(net.JoinHostPort(from.name, strconv.Itoa(n.ports))), address(net.JoinHostPort(to.name, port))
	near := &conn{network: n, host: from, near: from.name, far: to.name, local: local, remote: remote, in: back, out: there, moved: moved}
	far := &conn{network: n, host: to, near: to.name, far: from.name, local: remote, remote: local, in: there, out: back, moved: moved}
	n.conns[near], n.conns[far] = struct{}{}, struct{}{}
	l := to.listeners[port]
	l.waiting = append(l.waiting, far)
	n.changed.Broadcast()
	return near
}

// address is a host:port.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

// listener is a port that a machine listens on; its fields are the network's.
type listener struct {
	host    *Host
	port    string
	waiting []*conn
	closed  bool
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	n := l.host.network
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(l.waiting) == 0 && !l.closed {
		n.changed.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	c := l.waiting[0]
	l.waiting = l.waiting[1:]
	return c, nil
}

// Close stops listening; connections that nobody accepted are reset.
func (l *listener) Close() error {
	n := l.host.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.close()
	delete(l.host.listeners, l.port)
	n.changed.Broadcast()
	return nil
}

// close is Close with the lock held.
func (l *listener) close() {
	l.closed = true
	for _, c := range l.waiting {
		c.close()
	}
	l.waiting = nil
}

// Addr is the port's address, under the machine's name.
func (l *listener) Addr() net.Addr { return address(net.JoinHostPort(l.host.name, l.port)) }
