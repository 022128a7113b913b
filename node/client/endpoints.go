package client

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of finding nodes.
const (
	// discoverEvery is how long what /v1/cluster told is used, and discoverAgain how
	// long to wait after nobody told anything.
	discoverEvery = 30 * time.Second
	discoverAgain = 2 * time.Second
	// discoverPatience bounds one question for the members.
	discoverPatience = 3 * time.Second
	// A node that failed is asked last for minAvoid; the time doubles up to maxAvoid
	// while it goes on failing.
	minAvoid = 2 * time.Second
	maxAvoid = 2 * time.Minute
	// maxEndpoint is the longest URL of a node that is taken from a cluster.
	maxEndpoint = 256
)

// route says which node suits a question.
type route int

const (
	toLeader  route = iota // the leader, then other writers, then anybody
	toReplica              // replicas that hold a lease, near ones first, then anybody
	toAnybody              // as toLeader, but without asking for the members first
)

// errEndpoint is returned for what is not the URL of a node.
var errEndpoint = errors.New("not an http or https URL")

// IsEndpoint tells whether a text is the URL of a node: http or https, without
// query, fragment or user.
func IsEndpoint(text string) bool {
	_, err := parseEndpoint(text)
	return err == nil
}

func parseEndpoint(text string) (*url.URL, error) {
	base, err := url.Parse(text)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.RawQuery != "" || base.Fragment != "" || base.User != nil {
		return nil, errEndpoint
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	return base, nil
}

// directory is what a client knows of the nodes.
type directory struct {
	seeds  []*url.URL
	near   string
	pinned bool // to the only seed
	secure bool // all seeds are https
	salt   maphash.Seed

	turn chan struct{} // of capacity 1: taken by whoever asks for the members

	mu      sync.Mutex // guards the fields below
	nodes   []known    // seeds and members, each once
	members int        // how many of them the cluster told of
	leader  string     // name
	next    time.Time  // when to ask for the members again
	trouble map[string]trouble
	orders  map[route][]*url.URL // as of the fields above, until the time below
	until   time.Time
}

// known is a node that the client was given, or that the cluster told of.
type known struct {
	Member
	base *url.URL
	key  string // base, as text
	seed int    // place among the seeds; -1: is none
	told bool   // by the cluster
}

// trouble is a node that failed, by its URL.
type trouble struct {
	until time.Time
	avoid time.Duration
}

func newDirectory(seeds []*url.URL, near string, pinned bool) *directory {
	d := &directory{
		seeds: seeds, near: near, pinned: pinned, salt: maphash.MakeSeed(),
		secure: !slices.ContainsFunc(seeds, func(u *url.URL) bool { return u.Scheme != "https" }),
		turn:   make(chan struct{}, 1), trouble: make(map[string]trouble), orders: make(map[route][]*url.URL),
	}
	d.learn(&Cluster{})
	return d
}

// order is whom to ask, the most suitable first; never nobody.
func (d *directory) order(ctx context.Context, c *Client, r route) []*url.URL {
	if d.pinned {
		return d.seeds
	}
	if r != toAnybody {
		d.discover(ctx, c)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if !now.Before(d.until) {
		clear(d.orders)
	}
	if d.orders[r] == nil {
		d.orders[r] = d.sorted(r, now)
	}
	return d.orders[r]
}

// sorted makes an order, and notes until when it is good. The lock is held.
func (d *directory) sorted(r route, now time.Time) []*url.URL {
	type candidate struct {
		base *url.URL
		rank []int // smaller is better, the first difference counts
		tie  uint64
	}
	d.until = now.Add(discoverEvery)
	list := make([]candidate, len(d.nodes))
	for i := range d.nodes {
		n := &d.nodes[i]
		avoided := 0
		if t := d.trouble[n.key]; now.Before(t.until) {
			avoided = 1
			if t.until.Before(d.until) {
				d.until = t.until
			}
		}
		// What suits equally well is asked in an order of this client's own.
		list[i] = candidate{n.base, append([]int{avoided}, d.rank(r, n)...), maphash.String(d.salt, n.key)}
	}
	slices.SortFunc(list, func(a, b candidate) int { return cmp.Or(slices.Compare(a.rank, b.rank), cmp.Compare(a.tie, b.tie)) })
	out := make([]*url.URL, len(list))
	for i := range list {
		out[i] = list[i].base
	}
	return out
}

// Ranks of nodes: those that suit a question, those of which nothing is known, and
// the others.
const (
	rankBest = iota
	rankGood
	rankSeed
	rankPoor
	rankBad
)

// rank says how well a node suits a question.
func (d *directory) rank(r route, m *known) []int {
	switch {
	case !m.told:
		return []int{rankSeed, m.seed}
	case m.State == "quarantined" || m.State == "unreachable" || m.State == "removed":
		return []int{rankBad}
	case r != toReplica && m.Name == d.leader:
		return []int{rankBest}
	case r != toReplica && m.Role == "writer":
		return []int{rankGood}
	case r == toReplica && m.State == "leased":
		far := 1
		if m.Region == d.near {
			far = 0
		}
		return []int{rankBest, far, int(min(m.Lag, 1<<30))}
	}
	return []int{rankPoor}
}

// answered notes that a node is in order, failed that it is not.
func (d *directory) answered(node *url.URL) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.trouble) == 0 {
		return
	}
	if _, ok := d.trouble[node.String()]; ok {
		delete(d.trouble, node.String())
		clear(d.orders)
	}
}

func (d *directory) failed(node *url.URL) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.trouble[node.String()]
	t.avoid = min(max(2*t.avoid, minAvoid), maxAvoid)
	now := time.Now()
	t.until = now.Add(t.avoid)
	d.trouble[node.String()] = t
	clear(d.orders)
	if soon := now.Add(discoverAgain); d.next.After(soon) {
		d.next = soon // the others may know more
	}
}

// discover asks for the members when what is known of them is old. While one call
// asks, others go on with what there is.
func (d *directory) discover(ctx context.Context, c *Client) {
	d.mu.Lock()
	due, first := !time.Now().Before(d.next), d.members == 0
	d.mu.Unlock()
	if !due {
		return
	}
	if first {
		select {
		case d.turn <- struct{}{}:
		case <-ctx.Done():
			return
		}
	} else {
		select {
		case d.turn <- struct{}{}:
		default:
			return
		}
	}
	defer func() { <-d.turn }()
	d.mu.Lock()
	due, asked := !time.Now().Before(d.next), d.informed()
	d.mu.Unlock()
	if !due {
		return
	}
	next := discoverAgain
	for _, node := range asked {
		s, err := c.membersBy(ctx, node)
		if err == nil && d.refresh(s) {
			return
		}
		var p *Problem
		if errors.As(err, &p) && !p.Temporary() { // not allowed: the seeds have to do
			next = discoverEvery
			break
		}
		if ctx.Err() != nil {
			break
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next = time.Now().Add(next)
}

// refresh takes in what a node told, unless that knows no members either.
func (d *directory) refresh(s *Cluster) bool {
	if d.pinned || len(s.Members) == 0 {
		return false
	}
	d.learn(s)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next = time.Now().Add(discoverEvery)
	return true
}

// informed is who can be asked for the members: seeds first and then writers, those
// in trouble last. The lock is held.
func (d *directory) informed() (list []*url.URL) {
	now := time.Now()
	nodes := slices.DeleteFunc(slices.Clone(d.nodes), func(n known) bool { return n.seed < 0 && n.Role != "writer" })
	place := func(n known) int {
		if n.seed < 0 {
			return len(d.seeds)
		}
		return n.seed
	}
	slices.SortStableFunc(nodes, func(a, b known) int {
		return cmp.Or(cmp.Compare(max(0, d.trouble[a.key].until.Sub(now)), max(0, d.trouble[b.key].until.Sub(now))), cmp.Compare(place(a), place(b)))
	})
	for _, n := range nodes {
		list = append(list, n.base)
	}
	return list
}

// all is every node, in no order that means anything. It is not changed afterwards.
func (d *directory) all() []known {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nodes
}

// membersBy asks one node for the members, once.
func (c *Client) membersBy(ctx context.Context, node *url.URL) (*Cluster, error) {
	q := newCall(http.MethodGet, "/v1/cluster", nil, Freshness{Consistency: "any"})
	q.silence = discoverPatience
	a, _, err := c.once(ctx, q, node)
	if err != nil {
		return nil, err
	}
	var s Cluster
	if err := a.decode(&s); err != nil {
		return nil, err
	}
	return &s, nil
}

// learn takes in what a node told. Members without an endpoint cannot be asked, and
// those that would be asked less safely than the seeds are not.
func (d *directory) learn(s *Cluster) {
	var nodes []known
	places := make(map[string]int) // in nodes, by key
	for i, base := range d.seeds {
		if _, again := places[base.String()]; !again {
			places[base.String()] = len(nodes)
			nodes = append(nodes, known{base: base, key: base.String(), seed: i})
		}
	}
	told := 0
	for _, m := range s.Members {
		base, err := parseEndpoint(m.Endpoint)
		if err != nil || len(m.Endpoint) > maxEndpoint || d.secure && base.Scheme != "https" {
			continue
		}
		told++
		key := base.String()
		if at, given := places[key]; given {
			nodes[at].Member, nodes[at].told = m, true
			continue
		}
		places[key] = len(nodes)
		nodes = append(nodes, known{Member: m, base: base, key: key, seed: -1, told: true})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nodes, d.members, d.leader = nodes, told, s.Leader
	for key := range d.trouble { // keep no more than there are nodes
		if _, ok := places[key]; !ok {
			delete(d.trouble, key)
		}
	}
	clear(d.orders)
}
