// Package gate bounds the connections of a port: who waits, who is known, and who goes when
// there are too many.
package gate

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Limits of connections.
const (
	// WritePatience is how long a client may take to read writeChunk of an answer, or
	// what is left of it.
	WritePatience = 10 * time.Second
	writeChunk    = 64 << 10
	// grace is how long a new connection, or a request that nobody has proved to be a
	// caller's, is preferred to those that have had so long.
	grace = time.Second
	// addressPart is which part of all connections one address has, if nothing is said.
	addressPart = 8
	// ProbeReserve is how many connections from the machine itself are accepted beyond
	// all others, for probes of health.
	ProbeReserve = 16
)

// Bounds are the limits of a Gate.
type Bounds struct {
	// Total is how many connections are open at once.
	Total int
	// PerAddress is how many of them one address has, or one /64 of IPv6; 0 is an
	// eighth of all.
	PerAddress int
	// Proxies are addresses that others are behind: only Total bounds theirs.
	Proxies []netip.Prefix
	// WritePatience is how long a client may take to read a piece of its answer; 0 is
	// the constant of that name.
	WritePatience time.Duration
}

// Gate is a listener that bounds the connections which are open at once. When there
// are too many, the one that is worth least is closed in favour of a new one: first
// those that wait, and have never shown a caller who is known; then those whose
// request nobody has proved to be a caller's; then those of callers who rest; the
// oldest first, and none that is newer than a moment, while there are others. A request
// that was proved is never cut off. Only when nothing of an address, or of all, may be
// closed, a new connection is refused. So whoever opens connections and lets them lie,
// from however many addresses, closes their own.
//
// A client that does not read what it asked for is cut off in time, whatever the
// server on top writes.
type Gate struct {
	net.Listener
	bounds Bounds

	mu       sync.Mutex
	all      ranked                 // guarded by mu
	networks map[netip.Addr]*ranked // those with connections; guarded by mu
	count    map[Fate]uint64        // of connections that had to go; guarded by mu
	now      func() time.Time
}

// Fate is why a connection was closed by a Gate.
type Fate string

// Fates of connections.
const (
	// Evicted is a connection that made room for a new one.
	Evicted Fate = "evicted"
	// Refused is a new one for which no room could be made.
	Refused Fate = "refused"
)

// rank is what a connection is worth.
type rank int

const (
	idleStranger rank = iota // waits, and has never shown a known caller
	busyStranger             // serves a request that is not proved
	idleKnown                // waits, and has served a known caller
	busyKnown                // serves a known caller
	ranks
)

// ranked are connections by what they are worth.
type ranked struct {
	queues [ranks]queue
	size   int
}

// A connection is in two queues of its rank.
const (
	inAll = iota
	inNetwork
)

// queue is connections in the order in which they came to their rank. It is linked
// through them, for they move with each request.
type queue struct{ first, last *Conn }

// link is a connection's place in a queue.
type link struct{ before, after *Conn }

func (q *queue) push(c *Conn, in int) {
	c.links[in] = link{before: q.last}
	if q.last == nil {
		q.first = c
	} else {
		q.last.links[in].after = c
	}
	q.last = c
}

func (q *queue) remove(c *Conn, in int) {
	l := c.links[in]
	if l.before == nil {
		q.first = l.after
	} else {
		l.before.links[in].after = l.after
	}
	if l.after == nil {
		q.last = l.before
	} else {
		l.after.links[in].before = l.before
	}
	c.links[in] = link{}
}

// New returns a gate in front of a listener. PerAddress defaults to a part of
// Total.
func New(l net.Listener, b Bounds) *Gate {
	b.Total = max(b.Total, 1)
	if b.PerAddress == 0 {
		b.PerAddress = max(b.Total/addressPart, 1)
	}
	if b.WritePatience == 0 {
		b.WritePatience = WritePatience
	}
	return &Gate{Listener: l, bounds: b, networks: make(map[netip.Addr]*ranked), count: make(map[Fate]uint64), now: time.Now}
}

// Accept returns the next connection that is let in.
func (g *Gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if errors.Is(err, syscall.EMFILE) && g.Evict() {
			continue
		}
		if err != nil {
			return nil, err
		}
		if c := g.Admit(conn); c != nil {
			return c, nil
		}
	}
}

// Admit lets a connection in, closing another one if it must, or closes it and
// returns nil.
func (g *Gate) Admit(conn net.Conn) *Conn {
	addr := Remote(conn)
	c := &Conn{Conn: conn, gate: g, network: Network(addr)}
	victim, ok := g.enter(c, addr)
	if victim != nil {
		victim.Conn.Close()
	}
	if !ok {
		conn.Close()
		return nil
	}
	return c
}

// enter makes room for a connection and puts it in.
func (g *Gate) enter(c *Conn, addr netip.Addr) (victim *Conn, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	of := g.networks[c.network]
	switch {
	case of != nil && of.size >= g.bounds.PerAddress && g.bounded(addr):
		victim = g.victim(of)
		ok = victim != nil
	case g.all.size >= g.bounds.Total:
		victim = g.victim(&g.all)
		ok = victim != nil || addr.IsLoopback() && g.all.size < g.bounds.Total+ProbeReserve
	default:
		ok = true
	}
	if victim != nil {
		g.count[Evicted]++
		g.leave(victim)
	}
	if !ok {
		g.count[Refused]++
		return nil, false
	}
	if of = g.networks[c.network]; of == nil {
		of = &ranked{}
		g.networks[c.network] = of
	}
	c.in = true
	g.put(c, of, idleStranger)
	of.size++
	g.all.size++
	return victim, true
}

// bounded tells whether an address has a bound of its own.
func (g *Gate) bounded(addr netip.Addr) bool {
	return addr.IsValid() && !slices.ContainsFunc(g.bounds.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// victim is the connection to be closed first, if any may be.
func (g *Gate) victim(q *ranked) *Conn {
	var fallback *Conn // the oldest of those that are new
	for _, r := range [...]rank{idleStranger, busyStranger, idleKnown} {
		c := q.queues[r].first
		if c == nil {
			continue
		}
		if r == idleKnown || g.now().Sub(c.since) >= grace {
			return c
		}
		if fallback == nil || c.since.Before(fallback.since) {
			fallback = c
		}
	}
	return fallback
}

// Evict closes the connection that is worth least, if any may be closed.
func (g *Gate) Evict() bool {
	g.mu.Lock()
	c := g.victim(&g.all)
	if c != nil {
		g.count[Evicted]++
		g.leave(c)
	}
	g.mu.Unlock()
	if c == nil {
		return false
	}
	c.Conn.Close()
	return true
}

// put gives a connection a rank, as the latest. g.mu is held.
func (g *Gate) put(c *Conn, of *ranked, r rank) {
	c.rank, c.since = r, g.now()
	g.all.queues[r].push(c, inAll)
	of.queues[r].push(c, inNetwork)
}

// take is the opposite of put. g.mu is held.
func (g *Gate) take(c *Conn, of *ranked) {
	g.all.queues[c.rank].remove(c, inAll)
	of.queues[c.rank].remove(c, inNetwork)
}

// leave forgets a connection. g.mu is held.
func (g *Gate) leave(c *Conn) {
	if !c.in {
		return
	}
	c.in = false
	of := g.networks[c.network]
	g.take(c, of)
	g.all.size--
	if of.size--; of.size == 0 {
		delete(g.networks, c.network)
	}
}

// move changes what a connection is worth.
func (g *Gate) move(c *Conn, change func() rank) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := change()
	if !c.in || r == c.rank {
		return
	}
	of := g.networks[c.network]
	g.take(c, of)
	g.put(c, of, r)
}

// Open is how many connections are open.
func (g *Gate) Open() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.all.size
}

// Gone is how many connections had to go, and why.
func (g *Gate) Gone(f Fate) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count[f]
}

// Conn is a connection that a Gate let in.
type Conn struct {
	net.Conn
	gate    *Gate
	network netip.Addr

	// The rest is guarded by gate.mu.
	in    bool
	known bool // has served a known caller
	rank  rank
	since time.Time // of the rank
	links [2]link
}

// Write writes b, as fast as the other end reads: each piece of it has a time.
func (c *Conn) Write(b []byte) (n int, err error) {
	for {
		piece := b[n:min(n+writeChunk, len(b))]
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.gate.bounds.WritePatience)); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(piece)
		n += m
		if err != nil || n == len(b) {
			return n, err
		}
	}
}

// NetConn is the connection that was let in.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Close closes the connection and makes room for another one.
func (c *Conn) Close() error {
	c.Leave()
	return c.Conn.Close()
}

// Leave makes room for another connection: this one is counted no more.
func (c *Conn) Leave() {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.gate.leave(c)
}

// busy says that a request has begun, which nobody has proved to be a caller's.
func (c *Conn) busy() { c.gate.move(c, func() rank { return busyStranger }) }

// rest says that the connection waits for the next request.
func (c *Conn) rest() {
	c.gate.move(c, func() rank {
		if c.known {
			return idleKnown
		}
		return idleStranger
	})
}

// prove says that the request is of a caller who is known.
func (c *Conn) prove() {
	c.gate.move(c, func() rank { c.known = true; return busyKnown })
}

// State is for http.Server.ConnState, and Context for its ConnContext: they tell the
// gate what its connections do.
func (g *Gate) State(conn net.Conn, state http.ConnState) {
	if c := inner(conn); c != nil {
		c.State(state)
	}
}

// State is Gate.State for one connection.
func (c *Conn) State(state http.ConnState) {
	switch state {
	case http.StateActive:
		c.busy()
	case http.StateIdle:
		c.rest()
	}
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

// Context returns ctx with a connection; see State.
func (g *Gate) Context(ctx context.Context, conn net.Conn) context.Context {
	if c := inner(conn); c != nil {
		return c.Context(ctx)
	}
	return ctx
}

// Context is Gate.Context for one connection.
func (c *Conn) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// Prove says of the request with this context that its caller is known: what it waits
// for is not cut off in favour of others. It does nothing without a Gate.
func Prove(ctx context.Context) {
	if c, ok := ctx.Value(connKey{}).(*Conn); ok {
		c.prove()
	}
}

// inner is the gate's connection inside of one of a server.
func inner(conn net.Conn) *Conn {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	c, _ := conn.(*Conn)
	return c
}

// Remote is the address of a connection's other end; the zero one if it has none of IP.
func Remote(conn net.Conn) netip.Addr {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	a, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// networkBits is how much of an IPv6 address names a network: who has one address of
// it has them all.
const networkBits = 64

// Network is what stands for an address as a holder: an IPv4 address, or the network
// of an IPv6 one.
func Network(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(networkBits); err == nil {
			return p.Addr()
		}
	}
	return addr
}
