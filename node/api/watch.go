package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/replication/propagation"
)

// Limits of watching.
const (
	// The time between two heartbeats of a stream.
	minHeartbeat     = time.Second
	defaultHeartbeat = 5 * time.Second
	maxHeartbeat     = time.Minute
	// watchChunk is how many changes are read at once. Nothing else is held for a
	// watcher that is slow: the next are read when these were written.
	watchChunk = 256
	// watchRest is the least time between two looks for changes: those that come in
	// between are written as one.
	watchRest = 20 * time.Millisecond
	// watchPatience is how long a watcher may leave what it was sent unread.
	watchPatience = 10 * time.Second
	// headEvery is the least time between two strict reads of the head on behalf of
	// all watchers of a writer that follows, headPatience what one may take.
	headEvery    = time.Second
	headPatience = 500 * time.Millisecond
)

// Change is what a watcher is told of one position: not who changed what, only that
// and when something of these kinds did.
type Change struct {
	Head                 event.Head
	Cluster, Incarnation string
	Time                 identity.Time
	Action               string   // empty for the cluster's own commands
	Kinds                []string // of the events, each once, in order
}

// ChangeOf is what a batch changed.
func ChangeOf(b *event.Batch) Change {
	c := Change{Head: b.Head(), Cluster: b.Cluster, Incarnation: b.Incarnation, Time: b.Cause.Time, Action: b.Cause.Action}
	for _, e := range b.Events {
		if kind := reflect.TypeOf(e).Elem().Name(); !slices.Contains(c.Kinds, kind) {
			c.Kinds = append(c.Kinds, kind)
		}
	}
	return c
}

// GapError is returned when a node does not have the changes From..To, which exist.
type GapError struct{ From, To event.Position }

// Error names the positions.
func (e *GapError) Error() string {
	return fmt.Sprintf("the changes at positions %d to %d are not kept here", e.From, e.To)
}

// Events of a stream, as watchers see them.
type (
	positionEvent struct {
		Position event.Position `json:"position"`
		Token    string         `json:"token"`
		Time     string         `json:"time"`
		Action   string         `json:"action"`
		Events   []string       `json:"events"`
	}
	heartbeatEvent struct {
		Node     string          `json:"node"`
		Position event.Position  `json:"position"`
		Head     *event.Position `json:"head"` // null: not known
		Lag      *event.Position `json:"lag"`
		// Freshness is "leased" or "unleased" at a replica; "leading" at a leader, whose
		// own word the head is; "strict" at another writer that asked the leader less
		// than headEvery ago, else "unleased".
		Freshness   string `json:"freshness"`
		StalenessMS *int64 `json:"staleness_bound_ms"` // null: there is no bound
	}
	gapEvent struct {
		From event.Position `json:"from"`
		To   event.Position `json:"to"`
		Hint string         `json:"hint"`
	}
	endEvent struct {
		Status int    `json:"status"` // as of an answer that is refused so
		Code   string `json:"code"`
		Detail string `json:"detail"`
		Hint   string `json:"hint,omitempty"`
	}
)

// watcher is one stream of events.
type watcher struct {
	*nativeCall
	server  *Server
	control *http.ResponseController
	mode    propagation.Mode // without which nothing is told
	every   time.Duration
	next    event.Position // to be told
	told    time.Time      // when there was something to tell
	began   string         // the incarnation in which the stream began
	buf     []byte
}

// Ends of streams.
var (
	errOtherIncarnation = problem{http.StatusConflict, "WrongIncarnation", "The cluster has a new incarnation, whose positions are others.",
		"Read the state anew, and watch from there."}
	errStopping = problem{http.StatusServiceUnavailable, "Stopping", "The node is stopping.", "Go on at another node, after the last position."}
)

// events answers GET /v1/events: the positions after the one that the caller has,
// as they come, and heartbeats that tell how far the node is behind.
func (s *Server) events(c *nativeCall) error {
	w := &watcher{nativeCall: c, server: s, control: http.NewResponseController(&c.w), every: defaultHeartbeat}
	if text := c.URL.Query().Get("heartbeat"); text != "" {
		var err error
		if w.every, err = time.ParseDuration(text); err != nil || w.every < minHeartbeat || w.every > maxHeartbeat {
			return badRequest(fmt.Sprintf("Give a duration from %v to %v.", minHeartbeat, maxHeartbeat), "heartbeat is %q.", text)
		}
	}
	ask, _, err := s.ask(c.Header, forRead)
	if err != nil {
		return err
	}
	w.mode = propagation.ModeAny
	if ask.Mode == propagation.ModeLeased || !s.cfg.Node.Votes && !s.cfg.WithoutLease.admits(forRead) {
		w.mode = propagation.ModeLeased
	}
	if err := s.verify(c, forRead); err != nil {
		return err
	}
	if err := s.permit(&c.own, &c.request, c.sig, c.principal, s.ofCluster(actionWatch)); err != nil {
		return err
	}
	if err := w.begin(); err != nil {
		return err
	}
	free, err := s.take(&s.places.watchers, &c.request)
	if err != nil {
		return err
	}
	defer free()
	s.cfg.Metrics.watchers.Inc()
	defer s.cfg.Metrics.watchers.Dec()
	return w.run()
}

// begin finds the position to begin after: the last one that the caller was told,
// the one that it names, or this node's own.
func (w *watcher) begin() error {
	text := w.Header.Get("Last-Event-ID")
	if text == "" {
		text = w.URL.Query().Get("after")
	}
	if text == "" {
		w.next = w.seen.view.Head.Position + 1
		return nil
	}
	if at, err := strconv.ParseUint(text, 10, 63); err == nil {
		w.next = event.Position(at) + 1
		return nil
	}
	t, err := event.ParseToken(text)
	if err != nil {
		return badRequest("Give a position, or a token exactly as an answer gave it.", "The position to begin after is %s.", quoted(text))
	}
	c := w.seen.view.Cluster()
	if err := t.Check(c.ID, c.Incarnation); err != nil {
		return tokenProblem(err)
	}
	if t.Position <= w.seen.view.Head.Position {
		if _, err := w.server.cfg.Projection.WaitToken(w.Context(), t); err != nil { // compares
			return tokenProblem(err)
		}
	}
	w.next = t.Position + 1
	return nil
}

// run sends events until the caller goes, the node stops, or the caller may watch
// no more.
func (w *watcher) run() error {
	h := w.w.Header()
	h.Set(headerRequestID, w.id)
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set(HeaderPosition, w.seen.position())
	// A stream must not keep the state of its beginning in memory.
	w.began = w.seen.view.Cluster().Incarnation
	w.seen, w.principal, w.own = seen{}, nil, inquiry{}
	if err := w.extend(); err != nil {
		return err
	}
	w.w.WriteHeader(http.StatusOK)
	beat := time.NewTicker(w.every)
	defer beat.Stop()
	err := w.heartbeat()
	for err == nil {
		changed := w.server.cfg.Projection.Changed() // before it is looked at
		var more bool
		if more, err = w.tell(); err != nil {
			break
		}
		if more {
			changed = closedChannel
		}
		select {
		case <-beat.C:
			if err = w.admit(); err == nil {
				err = w.heartbeat()
			}
		case <-changed:
			if !more {
				w.rest()
			}
		case <-w.server.ending:
			err = errStopping
		case <-w.Context().Done():
			return nil
		}
	}
	p := nativeProblem(err)
	_ = w.send("end", 0, endEvent(p)) // who does not take it has gone
	return err
}

// rest waits until it is time to look again, or the end has come.
func (w *watcher) rest() {
	t := time.NewTimer(watchRest - time.Since(w.told))
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.server.ending:
	case <-w.Context().Done():
	}
}

// closedChannel never blocks.
var closedChannel = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

// admit finds out whether the caller may go on watching.
func (w *watcher) admit() error {
	s := w.server
	_, principal, err := s.authenticate(&w.request, w.sig, s.cfg.Projection.View())
	if err != nil {
		return err
	}
	now := w.request
	now.now = s.cfg.Now()
	return s.permit(new(inquiry), &now, w.sig, principal, s.ofCluster(actionWatch))
}

// tell sends the next changes, as far as this node shows them, and says whether
// there are more.
func (w *watcher) tell() (more bool, err error) {
	v := w.server.cfg.Projection.View()
	if v.Cluster().Incarnation != w.began {
		return false, errOtherIncarnation
	}
	head := v.Head.Position
	if w.next > head {
		return false, nil
	}
	list, err := w.server.cfg.Node.Changes(w.next, int(min(watchChunk, head-w.next+1)))
	var gap *GapError
	switch {
	case errors.As(err, &gap):
		hint := "Read the state anew, or watch at a writer: writers keep every position."
		if w.server.cfg.Node.Votes {
			hint = "This writer is fetching them; watch at another one."
		}
		to := min(gap.To, head)
		if err := w.send("gap", to, gapEvent{w.next, to, hint}); err != nil {
			return false, err
		}
		w.next = to + 1
		return w.next <= head, nil
	case err != nil:
		return false, fmt.Errorf("read the changes from position %d on: %w", w.next, err)
	}
	for i := range list {
		c := &list[i]
		if c.Incarnation != w.began {
			return false, errOtherIncarnation
		}
		err := w.send("position", c.Head.Position, positionEvent{
			Position: c.Head.Position, Token: event.TokenOf(c.Cluster, c.Incarnation, c.Head).String(),
			Time: time.UnixMilli(int64(c.Time)).UTC().Format("2006-01-02T15:04:05.000Z"), Action: c.Action, Events: c.Kinds,
		})
		if err != nil {
			return false, err
		}
		w.next = c.Head.Position + 1
	}
	w.told = time.Now()
	return w.next <= head, w.flush()
}

// heartbeat tells where this node is, and how far the cluster.
func (w *watcher) heartbeat() error {
	s := w.server
	fresh := s.cfg.Node.Fresh()
	v := s.cfg.Projection.View()
	c, err := fresh.Cover(v.Head.Position, propagation.Ask{Mode: w.mode})
	if err != nil {
		return problem{http.StatusServiceUnavailable, notFresh(err), err.Error() + ".", "Watch at another node."}
	}
	b := heartbeatEvent{Node: s.cfg.Node.Name, Position: v.Head.Position, Freshness: string(c.Freshness)}
	head, known := c.Head, c.Head > 0
	if c.Bounded {
		ms := c.Staleness.Milliseconds() + 1
		b.StalenessMS = &ms
	}
	switch {
	case !s.cfg.Node.Votes:
	case s.cfg.Node.Leads():
		head, known, b.Freshness = v.Head.Position, true, "leading"
	default:
		if head, known = s.shared.read(w.Context(), s.cfg.Now, s.cfg.Node.StrictHead); known {
			b.Freshness = string(propagation.Strict)
		}
	}
	if known {
		head = max(head, v.Head.Position)
		lag := head - v.Head.Position
		b.Head, b.Lag = &head, &lag
	}
	if err := w.send("heartbeat", 0, b); err != nil {
		return err
	}
	return w.flush()
}

// send writes one event. Its id, if any, is what a watcher goes on after.
func (w *watcher) send(kind string, id event.Position, data any) error {
	body, err := json.Marshal(data)
	if err != nil { // of our own types
		panic(err)
	}
	w.buf = w.buf[:0]
	if id > 0 {
		w.buf = strconv.AppendUint(append(w.buf, "id: "...), uint64(id), 10)
		w.buf = append(w.buf, '\n')
	}
	w.buf = append(append(w.buf, "event: "...), kind...)
	w.buf = append(append(append(w.buf, "\ndata: "...), body...), "\n\n"...)
	if err := w.extend(); err != nil {
		return err
	}
	_, err = w.w.Write(w.buf)
	return err
}

func (w *watcher) flush() error {
	if err := w.extend(); err != nil {
		return err
	}
	return w.control.Flush()
}

// extend gives the watcher time to take what is written next.
func (w *watcher) extend() error {
	err := w.control.SetWriteDeadline(time.Now().Add(watchPatience))
	if errors.Is(err, http.ErrNotSupported) {
		return nil // not a connection: a test
	}
	return err
}

// EndStreams ends all streams of events, and lets none begin that would go on.
func (s *Server) EndStreams() { s.endOnce.Do(func() { close(s.ending) }) }

// sharedHead reads the head strictly on behalf of all watchers: one question at a
// time, and no more often than every headEvery.
type sharedHead struct {
	turn  chan struct{} // of capacity 1: taken by whoever uses the fields below
	asked time.Time
	head  event.Position
	known bool
}

// read returns a head that was the cluster's less than headEvery ago.
func (h *sharedHead) read(ctx context.Context, now func() time.Time, strict func(context.Context) (event.Head, error)) (event.Position, bool) {
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return 0, false
	}
	if t := now(); h.asked.IsZero() || t.Sub(h.asked) >= headEvery {
		// Others wait for the answer, too: the end of one watcher is not theirs.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), headPatience)
		defer cancel()
		head, err := strict(ctx)
		h.asked, h.head, h.known = t, head.Position, err == nil
	}
	return h.head, h.known
}
