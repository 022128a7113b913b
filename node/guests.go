package node

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/replication/propagation"
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
	maxGuestsAtAddress = maxForwards + ownAsks
	maxGuestsOfName    = 2 * maxGuestsAtAddress
	// nameParts is how many names take all connections, if the process has so many
	// files: peerPart is which part of all files they may take.
	nameParts = 4
	maxGuests = nameParts * maxGuestsOfName
	peerPart  = 4
	minOwn    = 32
	// tailsOfName and snapshotsOfName are how many transfers one name has at once, and
	// no more than half of its connections from one address: each of its processes
	// follows one tail, and may fill a gap meanwhile. Of the few snapshots that are
	// written at once it leaves half to others.
	tailsOfName     = 2 * propagation.MaxLives
	snapshotsOfName = 2
	// allTransfers bounds those of all names; replication has its own bounds, which
	// are no larger.
	allTransfers = 2 * identity.MaxReplicas
)

// errCrowded is returned when a name has as many transfers under way as it may.
var errCrowded = errors.New("as many at once as one name may have")

// guests are the open connections of other nodes to the peer port's HTTP server. Each
// name has a gate of its own, in which those that do nothing give way to new ones; only
// when nothing of a name gives way, a new connection under it is refused. When all names
// together have too many, the one that has most gives one up.
type guests struct {
	total int

	mu    sync.Mutex
	open  map[net.Conn]guest          // guarded by mu
	names map[guestOf]*admission.Gate // of those who are or were connected; guarded by mu
	count map[admission.Fate]uint64   // of connections that had to go; guarded by mu
}

// guest is one connection.
type guest struct {
	bearer
	place *admission.Conn
}

// guestOf says under which name connections come, and whether for clients of that node.
type guestOf struct {
	name     string
	forwards bool
}

// newGuests returns the guests of a process that may open so many files.
func newGuests(files int) *guests {
	return &guests{
		total: max(min(maxGuests, files/peerPart), nameParts), open: make(map[net.Conn]guest), names: make(map[guestOf]*admission.Gate),
		count: make(map[admission.Fate]uint64),
	}
}

// ofName and atAddress are how many connections come under one name, and of these from
// one address.
func (g *guests) ofName() int    { return g.total / nameParts }
func (g *guests) atAddress() int { return max(g.ofName()/2, 1) }

// bounds are those of one name's connections for its clients, or for itself.
func (g *guests) bounds(forwards bool) admission.Bounds {
	all := g.atAddress()
	n := max(all*ownAsks/maxGuestsAtAddress, min(all/2, minOwn), 1)
	if forwards {
		n = max(all-n, 1)
	}
	return admission.Bounds{Total: 2 * n, PerAddress: n}
}

// admit takes in a connection that has shown its certificate, unless there is no place
// for it.
func (g *guests) admit(conn *tls.Conn) bool {
	state := conn.ConnectionState()
	who := bearerOf(state.PeerCertificates[0])
	under := guestOf{who.name, state.ServerName == forClients}
	g.mu.Lock()
	defer g.mu.Unlock()
	if taken, fullest := g.taken(); taken >= g.total {
		if !fullest.Evict() {
			g.count[admission.Refused]++
			return false
		}
		g.count[admission.Evicted]++
	}
	of := g.names[under]
	if of == nil {
		of = admission.NewGate(nil, g.bounds(under.forwards))
		g.names[under] = of
	}
	before := of.Gone(admission.Evicted)
	place := of.Admit(conn.NetConn())
	g.count[admission.Evicted] += of.Gone(admission.Evicted) - before
	if place == nil {
		g.count[admission.Refused]++
		return false
	}
	g.open[conn] = guest{who, place}
	return true
}

// taken is how many connections there are, and of which name most. Names that have
// none are forgotten. g.mu is held.
func (g *guests) taken() (n int, fullest *admission.Gate) {
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
func (g *guests) note(conn net.Conn, state http.ConnState) {
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
func (g *guests) leave(conn net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c, ok := g.open[conn]; ok {
		c.place.Leave()
		delete(g.open, conn)
	}
}

// place is what a connection has of its name's gate; nil if it has gone.
func (g *guests) place(conn net.Conn) *admission.Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open[conn].place
}

// expel closes the connections of those who are barred, with all that is being
// answered on them. They were let in before; what comes later is looked at as it comes.
func (g *guests) expel(barred func(bearer) bool) {
	g.mu.Lock()
	var out []net.Conn
	for conn, c := range g.open {
		if barred(c.bearer) {
			out = append(out, conn)
		}
	}
	g.mu.Unlock()
	for _, conn := range out {
		conn.Close() // the server finds out, and forgets it
	}
}

// gone is how many connections had to go, and why.
func (g *guests) gone(f admission.Fate) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count[f]
}

// connected is how many connections are open.
func (g *guests) connected() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open)
}

// observe shows how many nodes are connected, and how many connections had to go.
func (g *guests) observe(registry *prometheus.Registry) {
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "writ_peer_connections", Help: "Connections of other nodes, but for those of raft."},
		func() float64 { return float64(g.connected()) }))
	for _, fate := range []admission.Fate{admission.Evicted, admission.Refused} {
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
	name := bearerIn(r).name
	if err := t.places.Take(name, 1); err != nil {
		t.count.Inc()
		rw.Header().Set("Retry-After", "1")
		http.Error(rw, fmt.Sprintf("%d %s: %v", t.places.Share(), t.limit, errCrowded), http.StatusServiceUnavailable)
		return
	}
	defer t.places.Free(name, 1)
	admission.Prove(r.Context())
	t.serve.ServeHTTP(rw, r)
}

// transfer bounds the transfers of a kind.
func (g *guests) transfer(limit string, ofName int, serve http.Handler, count *prometheus.CounterVec) *transfers {
	return &transfers{limit, admission.NewShares(allTransfers, min(ofName, max(g.bounds(false).PerAddress/2, 1))), serve, count.WithLabelValues(limit)}
}

// newRefusals counts the requests of other nodes that found no place.
func newRefusals(registry *prometheus.Registry) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "writ_peer_refused_total", Help: "Requests of other nodes that were refused because their name has as many under way as it may, by limit.",
	}, []string{"limit"})
	registry.MustRegister(c)
	return c
}
