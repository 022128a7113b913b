package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/shape"
)

// Limits of watching.
const (
	// watchHeartbeat is how often nodes are asked to show that they are there;
	// watchSilence is how long they may not, before another one is watched.
	watchHeartbeat = 5 * time.Second
	watchSilence   = 3 * watchHeartbeat
	// watchPatience is how long a watch goes on without hearing from any node.
	watchPatience = 5 * time.Minute
	maxWatchPause = 5 * time.Second
	// maxWatchLine bounds one line of a stream, in bytes.
	maxWatchLine = 1 << 20
)

// EventKind says what an Event tells.
type EventKind string

// Kinds of events.
const (
	// PositionEvent tells of one position: Position, Token, Time, Action and Kinds.
	PositionEvent EventKind = "position"
	// HeartbeatEvent tells how far a node is: Node, Position, Head, Lag, Freshness and
	// StalenessMS.
	HeartbeatEvent EventKind = "heartbeat"
	// GapEvent tells that no node that was asked has the positions From..To any more,
	// or yet: whoever keeps a state of its own reads it anew. Hint says what to do.
	GapEvent EventKind = "gap"
)

// Event is what a watcher is told; its Kind says which fields are set.
type Event struct {
	Kind     EventKind      `json:"event"`
	Position event.Position `json:"position,omitempty"`

	Token  string    `json:"token,omitempty"`
	Time   time.Time `json:"time,omitzero"`
	Action string    `json:"action,omitempty"` // of the API; empty for the cluster's own commands
	Kinds  []string  `json:"events,omitempty"` // of what changed, each once

	Node string          `json:"node,omitempty"`
	Head *event.Position `json:"head,omitempty"` // of the cluster; nil: the node does not know it
	Lag  *event.Position `json:"lag,omitempty"`
	// Freshness is "leased" or "unleased" at a replica, "leading", "strict" or
	// "unleased" at a writer.
	Freshness   string `json:"freshness,omitempty"`
	StalenessMS *int64 `json:"staleness_bound_ms,omitempty"`

	From event.Position `json:"from,omitempty"`
	To   event.Position `json:"to,omitempty"`
	Hint string         `json:"hint,omitempty"`
}

// Watch calls f for every position after a token or a position, in order and each
// once, and for heartbeats. An empty after begins at the position of the node that
// is asked first. Where a stream breaks off, Watch goes on behind the last position,
// at another node if it knows one; where a replica has not got what comes next, at a
// writer. It ends with ctx's error, with f's, with a *Problem if the caller may not
// watch (any more), or the position to begin after is of another history or was never
// committed, and after minutes without a node.
func (c *Client) Watch(ctx context.Context, after string, f func(Event) error) error {
	w := &watch{client: c, after: after, deliver: f, route: toReplica}
	if at, err := strconv.ParseUint(after, 10, 63); err == nil {
		w.last = event.Position(at)
	} else if t, err := event.ParseToken(after); err == nil {
		w.last = t.Position
	}
	heard, pause := time.Time{}, firstPause
	for round := 1; ; round++ {
		var err error
		for _, node := range c.nodes.order(ctx, c, w.route) {
			w.heard = false
			err = w.stream(ctx, node)
			var p *Problem
			var stop *stopped
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.As(err, &stop):
				return stop.err
			case errors.As(err, &p) && !p.Temporary():
				return err
			case w.heard:
				heard, pause = time.Now(), firstPause
			}
			if !errors.Is(err, errElsewhere) {
				c.nodes.failed(node)
			}
			if w.heard {
				break // a new order: the others may be in order again
			}
		}
		if heard.IsZero() && round == Attempts || !heard.IsZero() && time.Since(heard) > watchPatience {
			return fmt.Errorf("there is no node to watch: %w", err)
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
			pause = min(2*pause, maxWatchPause)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watch is one call of Watch.
type watch struct {
	client  *Client
	after   string         // where the next stream begins; empty: at its node's position
	last    event.Position // that was delivered, or begun after
	route   route
	heard   bool // from the stream under way
	deliver func(Event) error
}

// stopped is an error of the caller's function.
type stopped struct{ err error }

// Error is that of the error within.
func (s *stopped) Error() string { return s.err.Error() }

// errElsewhere ends a stream of a node that lacks what comes next.
var errElsewhere = errors.New("the node does not have the next positions")

// stream watches one node for as long as it is of use.
func (w *watch) stream(ctx context.Context, node *url.URL) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(watchSilence, func() { cancel(fmt.Errorf("%s is silent", node.Host)) })
	defer silent.Stop()
	q := newCall(http.MethodGet, "/v1/events?"+url.Values{"after": {w.after}, "heartbeat": {watchHeartbeat.String()}}.Encode(), nil, Freshness{Consistency: "any"})
	got, err := w.client.stream(ctx, q, node)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	if w.after == "" { // a later stream begins where this one did, in its history
		w.after = got.Header.Get(shape.HeaderToken)
	}
	return w.read(got.Body, func() { silent.Reset(watchSilence) })
}

// stream opens an answer of one node that is read as it comes. The caller closes it.
func (c *Client) stream(ctx context.Context, q *call, node *url.URL) (*http.Response, error) {
	got, err := c.open(ctx, q, node)
	if err != nil {
		return nil, err
	}
	if got.StatusCode != http.StatusOK {
		defer got.Body.Close()
		text, err := io.ReadAll(io.LimitReader(got.Body, MaxAnswer))
		if err != nil {
			return nil, fmt.Errorf("read the answer of %s: %w", node.Host, err)
		}
		return nil, problemOf(node, got.StatusCode, got.Header, text)
	}
	c.nodes.answered(node)
	return got, nil
}

// read takes in events until the stream ends.
func (w *watch) read(body io.Reader, alive func()) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxWatchLine)
	kind := ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			kind = value
		case "data":
			alive()
			w.heard = true
			if err := w.take(kind, []byte(value)); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return io.ErrUnexpectedEOF
}

// take takes in one event.
func (w *watch) take(kind string, data []byte) error {
	if kind == "end" {
		var p Problem
		if err := json.Unmarshal(data, &p); err != nil {
			return fmt.Errorf("decode the end of the events: %w", err)
		}
		return &p
	}
	e := Event{}
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("decode an event: %w", err)
	}
	switch e.Kind = EventKind(kind); e.Kind {
	case PositionEvent:
		if e.Position <= w.last {
			return nil // was delivered
		}
		w.last, w.after = e.Position, e.Token
	case GapEvent:
		if w.route == toReplica && !w.client.nodes.pinned {
			w.route = toLeader // writers keep every position
			return errElsewhere
		}
		if e.To <= w.last {
			return nil // was delivered: a gap has no token to go on after
		}
		w.last = e.To
	case HeartbeatEvent:
	default:
		return nil // of a later release
	}
	if err := w.deliver(e); err != nil {
		return &stopped{err}
	}
	return nil
}
