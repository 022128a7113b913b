package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/gate"
)

// Limits of what one name holds of a writer's peer port, whose certificate may be in
// wrong hands. An honest node has a connection for each request that is under way.
const (
	// ownAsks is about how many requests of its own a process has under way at one
	// writer: signatures to be verified, answers to questions, and a few for its lease,
	// its history and heads.
	ownAsks = 512
	// maxGuestsAtAddress is how many connections come under one name from one address,
	// and maxGuestsOfName under one name at all: whoever opens as many as it can leaves
	// half of them to processes of the name elsewhere. Of both, what clients ask of the
	// node has a part, and what the node asks for itself the other: clients that wait
	// keep no lease from being renewed. minOwn is what the latter has at least, if that
	// is no more than half.
	maxGuestsAtAddress = MaxForwards + ownAsks
	maxGuestsOfName    = 2 * maxGuestsAtAddress
	minOwn             = 32
	// nameParts is how many names take all connections, if the process has so many
	// files.
	nameParts = 4
	maxGuests = nameParts * maxGuestsOfName
	// FilesPart is which part of the files of a process connections of nodes may take:
	// one in so many.
	FilesPart = 4
)

// ErrCrowded is returned when a name has as many transfers under way as it may.
var ErrCrowded = errors.New("as many at once as one name may have")

// Guests are the open connections of other nodes to the peer port's HTTP server. Each
// name has a gate of its own, in which those that do nothing give way to new ones; only
// when nothing of a name gives way, a new connection under it is refused. When all names
// together have too many, the one that has most gives one up.
type Guests struct {
	total   int
	refused *prometheus.CounterVec // transfers, by limit

	mu    sync.Mutex
	open  map[net.Conn]guest     // guarded by mu
	names map[guestOf]*gate.Gate // of those who are or were connected; guarded by mu
	count map[gate.Fate]uint64   // of connections that had to go; guarded by mu
}

// guest is one connection.
type guest struct {
	ID
	place *gate.Conn
}

// guestOf says under which name connections come, and whether for clients of that node.
type guestOf struct {
	name     string
	forwards bool
}

// newGuests returns the guests of a process that may open so many files.
func newGuests(files int) *Guests {
	return &Guests{
		total: max(min(maxGuests, files/FilesPart), nameParts), open: make(map[net.Conn]guest), names: make(map[guestOf]*gate.Gate),
		count: make(map[gate.Fate]uint64),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "writ_peer_refused_total", Help: "Requests of other nodes that were refused because their name has as many under way as it may, by limit.",
		}, []string{"limit"}),
	}
}

// ofName and atAddress are how many connections come under one name, and of these from
// one address.
func (g *Guests) ofName() int    { return g.total / nameParts }
func (g *Guests) atAddress() int { return max(g.ofName()/2, 1) }

// Gate is that of the connections of a name's own, without those for its clients; nil if
// it had none lately.
func (g *Guests) Gate(name string) *gate.Gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.names[guestOf{name: name}]
}

// Bounds are those of one name's connections for its clients, or for itself.
func (g *Guests) Bounds(forwards bool) gate.Bounds {
	all := g.atAddress()
	n := max(all*ownAsks/maxGuestsAtAddress, min(all/2, minOwn), 1)
	if forwards {
		n = max(all-n, 1)
	}
	return gate.Bounds{Total: 2 * n, PerAddress: n}
}

// admit takes in a connection that has shown its certificate, unless there is no place
// for it.
func (g *Guests) admit(conn *tls.Conn) bool {
	state := conn.ConnectionState()
	who := Of(state.PeerCertificates[0])
	under := guestOf{who.Name, state.ServerName == forClients}
	g.mu.Lock()
	defer g.mu.Unlock()
	if taken, fullest := g.taken(); taken >= g.total {
		if !fullest.Evict() {
			g.count[gate.Refused]++
			return false
		}
		g.count[gate.Evicted]++
	}
	of := g.names[under]
	if of == nil {
		of = gate.New(nil, g.Bounds(under.forwards))
		g.names[under] = of
	}
	before := of.Gone(gate.Evicted)
	place := of.Admit(conn.NetConn())
	g.count[gate.Evicted] += of.Gone(gate.Evicted) - before
	if place == nil {
		g.count[gate.Refused]++
		return false
	}
	g.open[conn] = guest{who, place}
	return true
}

// taken is how many connections there are, and of which name most. Names that have
// none are forgotten. g.mu is held.
func (g *Guests) taken() (n int, fullest *gate.Gate) {
	most := 0
	for under, of := range g.names {
		switch open := of.Open(); {
		case open == 0:
			delete(g.names, under)
		case open > most:
			most, fullest = open, of
			fallthrough
		default:
			n += open
		}
	}
	return n, fullest
}

// note is the server's ConnState.
func (g *Guests) note(conn net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		g.leave(conn)
		return
	}
	g.mu.Lock()
	c, ok := g.open[conn]
	g.mu.Unlock()
	if ok {
		c.place.State(state)
	}
}

// leave forgets a connection.
func (g *Guests) leave(conn net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c, ok := g.open[conn]; ok {
		c.place.Leave()
		delete(g.open, conn)
	}
}

// Attend has a server tell how its connections fare, so that those that do nothing give
// way; what its handlers prove by gate.Prove is proved for their connections.
func (g *Guests) Attend(s *http.Server) {
	s.ConnState = g.note
	s.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if place := g.place(conn); place != nil {
			return place.Context(ctx)
		}
		return ctx
	}
}

// place is what a connection has of its name's gate; nil if it has gone.
func (g *Guests) place(conn net.Conn) *gate.Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open[conn].place
}

// Expel closes the connections of those who are barred, with all that is being
// answered on them. They were let in before; what comes later is looked at as it comes.
func (g *Guests) Expel(barred func(ID) bool) {
	g.mu.Lock()
	var out []net.Conn
	for conn, c := range g.open {
		if barred(c.ID) {
			out = append(out, conn)
		}
	}
	g.mu.Unlock()
	for _, conn := range out {
		conn.Close() // the server finds out, and forgets it
	}
}

// gone is how many connections had to go, and why.
func (g *Guests) gone(f gate.Fate) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count[f]
}

// connected is how many connections are open.
func (g *Guests) connected() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open)
}

// Observe shows how many nodes are connected, how many connections had to go, and how
// many transfers were refused.
func (g *Guests) Observe(registry *prometheus.Registry) {
	registry.MustRegister(g.refused)
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "writ_peer_connections", Help: "Connections of other nodes, but for those of raft."},
		func() float64 { return float64(g.connected()) }))
	for _, fate := range []gate.Fate{gate.Evicted, gate.Refused} {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "writ_peer_connections_closed_total", Help: "Connections of other nodes that made room for others of their name, or found none.",
			ConstLabels: prometheus.Labels{"fate": string(fate)},
		}, func() float64 { return float64(g.gone(fate)) }))
	}
}

// transfers bounds what one name reads of a kind at once.
type transfers struct {
	limit  string // its name in metrics
	places *admission.Slots
	serve  http.Handler
	count  prometheus.Counter // of those that were refused
}

// ServeHTTP answers a request of the name that its certificate says, or refuses it for
// now.
func (t *transfers) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	name := Caller(r).Name
	if err := t.places.Take(name, 1); err != nil {
		t.count.Inc()
		rw.Header().Set("Retry-After", "1")
		http.Error(rw, fmt.Sprintf("%d %s: %v", t.places.Share(), t.limit, ErrCrowded), http.StatusServiceUnavailable)
		return
	}
	defer t.places.Free(name, 1)
	gate.Prove(r.Context())
	t.serve.ServeHTTP(rw, r)
}

// Transfer bounds the transfers of a kind: all of them, and those of one name, which has
// no more than half of its connections from one address. Those that are refused are
// counted.
func (g *Guests) Transfer(kind string, all, ofName int, serve http.Handler) http.Handler {
	return &transfers{kind, admission.NewShares(all, min(ofName, max(g.Bounds(false).PerAddress/2, 1))), serve, g.refused.WithLabelValues(kind)}
}
