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
)

// errEndpoint is returned for what is not the URL of a node.
var errEndpoint = errors.New("not an http or https URL")

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
	members []member
	leader  string    // name
	next    time.Time // when to ask for the members again
	trouble map[string]trouble
}

// member is a node that the cluster told of.
type member struct {
	Member
	base *url.URL
}

// trouble is a node that failed, by its URL.
type trouble struct {
	until time.Time
	avoid time.Duration
}

func newDirectory(seeds []*url.URL, near string, pinned bool) *directory {
	secure := !slices.ContainsFunc(seeds, func(u *url.URL) bool { return u.Scheme != "https" })
	return &directory{
		seeds: seeds, near: near, pinned: pinned, secure: secure, salt: maphash.MakeSeed(),
		turn: make(chan struct{}, 1), trouble: make(map[string]trouble),
	}
}

// order is whom to ask, the most suitable first; never nobody.
func (d *directory) order(ctx context.Context, c *Client, r route) []*url.URL {
	if d.pinned {
		return d.seeds
	}
	d.discover(ctx, c)
	d.mu.Lock()
	defer d.mu.Unlock()
	type candidate struct {
		base *url.URL
		rank []int // smaller is better, the first difference counts
		tie  uint64
	}
	var list []candidate
	now := time.Now()
	add := func(base *url.URL, rank ...int) {
		key := base.String()
		if slices.ContainsFunc(list, func(c candidate) bool { return c.base.String() == key }) {
			return
		}
		avoided := 0
		if now.Before(d.trouble[key].until) {
			avoided = 1
		}
		list = append(list, candidate{base, append([]int{avoided}, rank...), maphash.String(d.salt, key)})
	}
	for _, m := range d.members {
		add(m.base, d.rank(r, &m)...)
	}
	for i, base := range d.seeds { // after those that suit, before those that do not
		add(base, rankSeed, i)
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Or(slices.Compare(a.rank, b.rank), cmp.Compare(a.tie, b.tie)) })
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

// rank says how well a member suits a question.
func (d *directory) rank(r route, m *member) []int {
	switch {
	case m.State == "quarantined" || m.State == "unreachable" || m.State == "removed":
		return []int{rankBad}
	case r == toLeader && m.Name == d.leader:
		return []int{rankBest}
	case r == toLeader && m.Role == "writer":
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
	delete(d.trouble, node.String())
}

func (d *directory) failed(node *url.URL) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.trouble[node.String()]
	t.avoid = min(max(2*t.avoid, minAvoid), maxAvoid)
	now := time.Now()
	t.until = now.Add(t.avoid)
	d.trouble[node.String()] = t
	if soon := now.Add(discoverAgain); d.next.After(soon) {
		d.next = soon // the others may know more
	}
}

// discover asks for the members when what is known of them is old. While one call
// asks, others go on with what there is.
func (d *directory) discover(ctx context.Context, c *Client) {
	d.mu.Lock()
	due, known := !time.Now().Before(d.next), d.members != nil
	d.mu.Unlock()
	if !due {
		return
	}
	if known {
		select {
		case d.turn <- struct{}{}:
		default:
			return
		}
	} else {
		select {
		case d.turn <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
	defer func() { <-d.turn }()
	d.mu.Lock()
	due, asked := !time.Now().Before(d.next), d.known()
	d.mu.Unlock()
	if !due {
		return
	}
	next := discoverAgain
	for _, node := range asked {
		s, err := c.membersBy(ctx, node)
		if err == nil && len(s.Members) > 0 {
			d.learn(s)
			next = discoverEvery
			break
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

// known is everybody that can be asked for the members: seeds first, those in
// trouble last. The lock is held.
func (d *directory) known() []*url.URL {
	list := slices.Clone(d.seeds)
	for _, m := range d.members {
		if m.Role == "writer" && !slices.ContainsFunc(list, func(u *url.URL) bool { return u.String() == m.base.String() }) {
			list = append(list, m.base)
		}
	}
	now := time.Now()
	slices.SortStableFunc(list, func(a, b *url.URL) int {
		return cmp.Compare(max(0, d.trouble[a.String()].until.Sub(now)), max(0, d.trouble[b.String()].until.Sub(now)))
	})
	return list
}

// membersBy asks one node for the members, once.
func (c *Client) membersBy(ctx context.Context, node *url.URL) (*Cluster, error) {
	q := newCall(http.MethodGet, "/v1/cluster", nil, Freshness{Consistency: "any"})
	q.silence = discoverPatience
	a, _, err := c.once(ctx, q, node)
	if err != nil {
		return nil, err
	}
	return decodeCluster(a)
}

// learn takes in what a node told. Members without an endpoint cannot be asked, and
// those that would be asked less safely than the seeds are not.
func (d *directory) learn(s *Cluster) {
	var members []member
	for _, m := range s.Members {
		base, err := parseEndpoint(m.Endpoint)
		if err != nil || len(m.Endpoint) > maxEndpoint || d.secure && base.Scheme != "https" {
			continue
		}
		members = append(members, member{m, base})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.members, d.leader = members, s.Leader
	for key := range d.trouble { // keep no more than there are nodes
		if !slices.ContainsFunc(members, func(m member) bool { return m.base.String() == key }) &&
			!slices.ContainsFunc(d.seeds, func(u *url.URL) bool { return u.String() == key }) {
			delete(d.trouble, key)
		}
	}
}
