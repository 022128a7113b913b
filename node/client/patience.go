package client

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// patience is how long a call goes without an answer before the client finds out whether
	// anybody leads, and again after each such time.
	patience = 2 * time.Second
	// bleakFor is how long it counts that nobody led: a little longer than between two looks.
	bleakFor = 2*patience + lookPatience
	// lookPatience bounds the question whether a node knows a leader, which it answers at once,
	// and maxReady what is read of the answer, in bytes.
	lookPatience = time.Second
	maxReady     = 64 << 10
	// maxAsked is how many nodes are asked at once whether they know a leader.
	maxAsked = 32
)

// NoLeader is why a call had no answer: of the nodes that the client knows, none knows a
// writer that leads. Whatever the call was to do may be tried again when one does.
type NoLeader struct {
	// Heard are the nodes that answer and know of no leader, Silent those that do not answer:
	// by their names, or hosts where the client does not know those.
	Heard, Silent []string
	// Err is what the last attempt came to. It says whether a write may have taken effect.
	Err error
}

// Error names the cause and the next step.
func (n *NoLeader) Error() string {
	text := "no writer leads: " + n.cause() + "; start the writers that are down; `writ status` shows them, and the runbook \"Lost quorum\" says the rest"
	var p *Problem
	if errors.As(n.Err, &p) && p.Code == "OutcomeUnknown" {
		text += "; " + p.Error()
	}
	return text
}

// cause is what the nodes said.
func (n *NoLeader) cause() string {
	var parts []string
	if len(n.Heard) > 0 {
		parts = append(parts, "none is known to "+strings.Join(n.Heard, ", "))
	}
	if len(n.Silent) > 0 {
		parts = append(parts, "no answer of "+strings.Join(n.Silent, ", "))
	}
	return strings.Join(parts, "; ")
}

// Unwrap gives what the last attempt came to.
func (n *NoLeader) Unwrap() error { return n.Err }

// lookout finds out, beside a call that has no answer, whether nobody leads.
type lookout struct {
	client *Client
	done   context.CancelFunc
	wg     sync.WaitGroup
}

// lookOut begins to look when a call has had no answer for a while, and tells the client's
// Waiter of it, once. The caller ends it.
func (c *Client) lookOut(ctx context.Context) *lookout {
	looking, done := context.WithCancel(ctx)
	l := &lookout{client: c, done: done}
	if c.waiter != nil {
		l.wg.Go(func() { l.look(looking) })
	}
	return l
}

func (l *lookout) look(ctx context.Context) {
	told := false
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		found := l.client.leaderless(ctx)
		if ctx.Err() != nil { // it was cut short, and says nothing
			return
		}
		if l.client.noteLeaderless(found); found != nil && !told {
			told = true
			until, _ := ctx.Deadline()
			l.client.waiter.Waiting(found.cause(), until)
		}
	}
}

// end stops looking, and says why a call failed: as it was, or that nobody led. The latest look
// may have been that of a call before.
func (l *lookout) end(err error) error {
	l.done()
	l.wg.Wait()
	var t temporary
	if err == nil || errors.As(err, &t) && !t.Temporary() {
		l.client.noteLeaderless(nil)
		return err
	}
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	if l.client.bleak == nil || time.Since(l.client.bleakAt) > bleakFor {
		return err
	}
	found := *l.client.bleak
	found.Err = err
	return &found
}

// noteLeaderless keeps what the latest look found; nil: somebody leads.
func (c *Client) noteLeaderless(found *NoLeader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bleak, c.bleakAt = found, time.Now()
}

// word is what a node says of the leader, the weightiest last: a writer knows, a replica has
// a lease of one for a while after it was lost.
type word int

const (
	silent word = iota
	unsure
	unleased
	leased
	knowsNone
	knowsOne
)

// leaderless asks the nodes at once whether they know a leader; nil: one does, or nobody who
// answers can tell.
func (c *Client) leaderless(ctx context.Context) *NoLeader {
	nodes := c.nodes.all()
	nodes = nodes[:min(len(nodes), maxAsked)]
	words := make([]word, len(nodes))
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() { words[i] = c.wordOf(ctx, nodes[i].base) })
	}
	wg.Wait()
	switch slices.Max(words) {
	case unsure, leased, knowsOne:
		return nil
	}
	n := &NoLeader{}
	for i := range nodes {
		name := cmp.Or(nodes[i].Name, nodes[i].base.Host)
		switch words[i] {
		case silent:
			n.Silent = append(n.Silent, name)
		case knowsNone, unleased:
			n.Heard = append(n.Heard, name)
		}
	}
	return n
}

// wordOf asks a node whether it is ready, which it says to anybody and at once: a writer that
// knows no leader is not, and a replica tells whether it has a lease.
func (c *Client) wordOf(ctx context.Context, node *url.URL) word {
	q := newCall(http.MethodGet, "/readyz?verbose", nil, Freshness{})
	q.unsigned = true
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	got, err := c.open(ctx, q, node)
	if err != nil {
		return silent
	}
	defer got.Body.Close()
	text, err := io.ReadAll(io.LimitReader(got.Body, maxReady))
	if err != nil {
		return silent
	}
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "[+]raft "):
			return knowsOne
		case strings.HasPrefix(line, "[-]raft failed: no leader "):
			return knowsNone
		case strings.HasPrefix(line, "[-]lease "), strings.HasPrefix(line, "[+]lease ok: no lease "):
			return unleased
		case strings.HasPrefix(line, "[+]lease "):
			return leased
		}
	}
	return unsure
}
