package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/changes"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection"
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
)

// watcher is one stream of events.
type watcher struct {
	*call
	api     *API
	control *http.ResponseController
	right   dispatch.Right
	leased  bool // without a lease nothing is told, whatever the node admits
	every   time.Duration
	next    event.Position // to be told
	told    time.Time      // when there was something to tell
	began   string         // the incarnation in which the stream began
	// from is the token that the stream began after, while this node is behind it.
	from *event.Token
	// admitted is the head of the view in which the caller was found to have the right,
	// and when.
	admitted event.Head
	found    time.Time
	buf      []byte
}

// Ends of streams.
var (
	errOtherIncarnation = fault.New(fault.WrongIncarnation, "", "")
	errSteppedBack      = fault.New(fault.NotReached, "The node's state was replaced by an earlier one.", "Go on at another node, after the last position.")
	errStopping         = fault.New(fault.Stopping, "", "")
)

// watch answers GET /v1/events: the positions after the one that the caller has,
// as they come, and heartbeats that tell how far the node is behind.
type watch struct{ *API }

func (s watch) serve(c *call) error {
	w := &watcher{call: c, api: s.API, control: http.NewResponseController(&c.W), every: defaultHeartbeat}
	if text := c.URL.Query().Get("heartbeat"); text != "" {
		var err error
		if w.every, err = time.ParseDuration(text); err != nil || w.every < minHeartbeat || w.every > maxHeartbeat {
			return fault.BadRequest(fmt.Sprintf("Give a duration from %v to %v.", minHeartbeat, maxHeartbeat), "heartbeat is %q.", text)
		}
	}
	ask, _, err := s.cfg.Views.Ask(c.Header, freshness.ForRead)
	if err != nil {
		return err
	}
	w.leased = ask.Mode == propagation.ModeLeased
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	w.right = c.Right("", s.ofCluster(actionWatch))
	if err := w.right.In(c.Seen.View); err != nil {
		return err
	}
	if err := w.begin(); err != nil {
		return err
	}
	free, err := s.cfg.Desk.Take(admission.Watchers, &c.Request)
	if err != nil {
		return err
	}
	defer free()
	s.cfg.Meter.Watching(1)
	defer s.cfg.Meter.Watching(-1)
	return w.run()
}

// begin finds the position to begin after: the last one that the caller was told,
// the one that it names, or this node's own.
func (w *watcher) begin() error {
	text, isID := w.Header.Get(shape.HeaderLastEvent), true
	if text == "" {
		text, isID = w.URL.Query().Get("after"), false
	}
	v := w.Seen.View
	if text == "" {
		w.next = v.Head.Position + 1
		return nil
	}
	if at, err := strconv.ParseUint(text, 10, 63); err == nil && !isID { // a bare position is an id of no history
		w.next = event.Position(at) + 1
		return w.api.cfg.Views.Committed(w.Context(), &w.Seen, event.Position(at), fault.New(fault.NotCommitted, fmt.Sprintf("Position %d was never committed.", at), ""))
	}
	t, err := event.ParseToken(text)
	if err != nil {
		return fault.BadRequest("Give a position, or a token or an event's id exactly as it came.", "The position to begin after is %s.", fault.Quote(text))
	}
	c := v.Cluster()
	if err := t.Check(c.ID, c.Incarnation); err != nil {
		return w.api.cfg.Views.TokenFault(err)
	}
	w.next = t.Position + 1
	if t.Position <= v.Head.Position {
		return w.compare(t)
	}
	w.from = &t
	return w.api.cfg.Views.Committed(w.Context(), &w.Seen, t.Position, freshness.NeverCommitted(t))
}

// compare says whether a token's position has the same hash here, as far as heads are
// kept.
func (w *watcher) compare(t event.Token) error {
	if found, err := w.api.cfg.History.Changes(t.Position, 1); t.Position > 0 && err == nil && len(found) == 1 && [8]byte(found[0].Head.Hash[:8]) != t.Prefix {
		return freshness.TokenFault(fmt.Errorf("%w: position %d", projection.ErrTokenMismatch, t.Position))
	}
	if _, err := w.api.cfg.Projection.WaitToken(w.Context(), t); err != nil { // there is nothing to wait for
		return w.api.cfg.Views.TokenFault(err)
	}
	return nil
}

// run sends events until the caller goes, the node stops, or the caller may watch
// no more.
func (w *watcher) run() error {
	h := w.W.Header()
	h.Set(shape.HeaderRequestID, w.ID)
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set(shape.HeaderPosition, w.Seen.Position())
	h.Set(shape.HeaderToken, w.Seen.View.Token().String())
	// A stream must not keep the state of its beginning in memory.
	w.began = w.Seen.View.Cluster().Incarnation
	w.Seen, w.Principal = freshness.Seen{}, nil
	if err := w.extend(); err != nil {
		return err
	}
	w.W.WriteHeader(http.StatusOK)
	beat := time.NewTicker(w.every)
	defer beat.Stop()
	err := w.heartbeat()
	for err == nil {
		changed := w.api.cfg.Projection.Changed() // before it is looked at
		var more bool
		if more, err = w.tell(); err != nil {
			break
		}
		if more {
			changed = closedChannel
		}
		select {
		case <-beat.C:
			err = w.heartbeat()
		case <-changed:
			if !more {
				w.rest()
			}
		case <-w.api.ending:
			err = errStopping
		case <-w.Context().Done():
			return nil
		}
	}
	a := fault.Of(err).Native()
	_ = w.send("end", "", shape.EndEvent{Status: a.Status, Code: a.Code, Detail: a.Detail, Hint: a.Hint}) // who does not take it has gone
	return err
}

// rest waits until it is time to look again, or the end has come.
func (w *watcher) rest() {
	t := time.NewTimer(watchRest - time.Since(w.told))
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.api.ending:
	case <-w.Context().Done():
	}
}

// closedChannel never blocks.
var closedChannel = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

// admit finds out whether the caller may be told what is known by now. It is asked
// before each event: what ended the right would be among what is told. anew asks
// again where the position has not moved: permissions change with time, too.
func (w *watcher) admit(anew bool) (freshness.Current, error) {
	c, err := w.api.cfg.Views.Current(w.Context(), w.leased)
	if err != nil {
		return c, err
	}
	if c.View.Cluster().Incarnation != w.began {
		return c, errOtherIncarnation
	}
	now := w.api.cfg.Now()
	if !anew && c.View.Head == w.admitted && now.Sub(w.found) < freshness.HeadEvery {
		return c, nil
	}
	if err := w.right.In(c.View); err != nil {
		return c, err
	}
	w.admitted, w.found = c.View.Head, now
	return c, nil
}

// tell sends the next changes, as far as this node shows them, and says whether
// there are more.
func (w *watcher) tell() (more bool, err error) {
	v := w.api.cfg.Projection.View()
	if v.Cluster().Incarnation != w.began {
		return false, errOtherIncarnation
	}
	head := v.Head.Position
	if w.next > head+1 || w.next > head && w.from == nil {
		return false, nil
	}
	if t := w.from; t != nil { // it is here now
		if err := w.compare(*t); err != nil {
			return false, err
		}
		w.from = nil
		return w.next <= head, nil
	}
	list, err := w.api.cfg.History.Changes(w.next, int(min(watchChunk, head-w.next+1)))
	var gap *changes.GapError
	switch {
	case errors.As(err, &gap):
		return w.tellGap(min(gap.To, head), head)
	case err != nil:
		return false, fmt.Errorf("read the changes from position %d on: %w", w.next, err)
	}
	for i := range list {
		if err := w.tellOne(&list[i]); err != nil {
			return false, err
		}
	}
	w.told = time.Now()
	return w.next <= head, w.flush()
}

// tellGap says that the positions from the next one on are not here. It has no id:
// the hash that it would carry is not here either.
func (w *watcher) tellGap(to, head event.Position) (more bool, err error) {
	now, err := w.admit(false)
	if err != nil {
		return false, err
	}
	hint := "Read the state anew, or watch at a writer: writers keep every position."
	if w.api.cfg.Votes {
		hint = "This writer is fetching them; watch at another one."
	}
	if r := shape.RetentionOf(now.View.State.Retention()); r.Gone(w.next-1) != "" {
		hint = r.Gone(w.next-1) + " Read the state anew; a backup of before may have them."
	}
	if err := w.send("gap", "", shape.GapEvent{From: w.next, To: to, Hint: hint}); err != nil {
		return false, err
	}
	w.next = to + 1
	return w.next <= head, nil
}

// tellOne sends one change, if the caller may know of it, and of all that this node
// shows.
func (w *watcher) tellOne(c *changes.Change) error {
	if c.Incarnation != w.began {
		return errOtherIncarnation
	}
	now, err := w.admit(false)
	if err != nil {
		return err
	}
	if now.View.Head.Position < c.Head.Position {
		return errSteppedBack
	}
	token := event.TokenOf(c.Cluster, c.Incarnation, c.Head).String()
	if err := w.send("position", token, shape.PositionEvent{
		Position: c.Head.Position, Token: token,
		Time: time.UnixMilli(int64(c.Time)).UTC().Format("2006-01-02T15:04:05.000Z"), Action: c.Action, Events: c.Kinds,
	}); err != nil {
		return err
	}
	w.next = c.Head.Position + 1
	return nil
}

// heartbeat tells where this node is, and how far the cluster.
func (w *watcher) heartbeat() error {
	s := w.api
	c, err := w.admit(true)
	if err != nil {
		return err
	}
	at := c.View.Head.Position
	b := shape.HeartbeatEvent{Node: s.cfg.Name, Position: at, Freshness: string(c.Cover.Freshness)}
	if c.Cover.Bounded {
		ms := c.Cover.Staleness.Milliseconds() + 1
		b.StalenessMS = &ms
	}
	switch {
	case !s.cfg.Votes:
	case s.cfg.Dispatcher.Leads():
		c.Head, c.Known, b.Freshness = at, true, "leading"
	case c.Known:
		b.Freshness = string(propagation.Strict)
	}
	if c.Known {
		head := max(c.Head, at)
		lag := head - at
		b.Head, b.Lag = &head, &lag
	}
	if err := w.send("heartbeat", "", b); err != nil {
		return err
	}
	return w.flush()
}

// send writes one event. Its id, if any, is what a watcher goes on after.
func (w *watcher) send(kind, id string, data any) error {
	body, err := json.Marshal(data)
	if err != nil { // of our own types
		panic(err)
	}
	w.buf = w.buf[:0]
	if id != "" {
		w.buf = append(append(append(w.buf, "id: "...), id...), '\n')
	}
	w.buf = append(append(w.buf, "event: "...), kind...)
	w.buf = append(append(append(w.buf, "\ndata: "...), body...), "\n\n"...)
	if err := w.extend(); err != nil {
		return err
	}
	_, err = w.W.Write(w.buf)
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
