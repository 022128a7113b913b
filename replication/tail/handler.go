// Package tail is how nodes read a writer's history from it: its Handler serves the
// batches of the event store, as their bytes, and snapshots over HTTP, and the Source of
// another node reads them from whichever writer serves it well. What comes so is proved
// by the connection; package replication uses it where the stream does not reach.
package tail

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
)

// The routes of a Handler, and the headers of its answers.
const (
	// EventsPath answers GET with the batches from ?from=N on (optionally to ?to=M),
	// each behind its length in four bytes, big-endian. At the head it waits up to
	// ?wait=DURATION for more. HEAD answers with the head alone.
	EventsPath = "/peer/events"
	// SnapshotPath answers GET with a snapshot; ?leader=no asks a leader to refuse.
	SnapshotPath = "/peer/snapshot"

	headerHead        = "Writ-Head"        // a position
	headerIncarnation = "Writ-Incarnation" // of the writer that answers
)

// Limits of a Handler.
const (
	maxTails     = 2 * identity.MaxReplicas // at once
	maxSnapshots = 4                        // at once
	maxTailWait  = 30 * time.Second         // for one answer at the head
	maxTailBytes = 64 << 20                 // of one answer; the reader asks again
	readCount    = 1024                     // batches read from the store at once
	readBytes    = 256 << 10                // of them
	// writeTimeout is how long a reader may leave what it was sent unread.
	writeTimeout = 15 * time.Second
	// busyRetry is what a refused reader is told to wait before it asks again.
	busyRetry = 1 * time.Second
)

// Log is a writer's log, as other nodes follow it.
type Log interface {
	// Changed returns a channel that is closed when the head moves on from where it
	// was at the call.
	Changed() <-chan struct{}
	// Snapshot returns the state of a position, immutable, and the header to write
	// with it; only its Cluster, Incarnation and Digest are filled in later.
	Snapshot() (*identity.State, wire.SnapshotHeader)
	// Leading says whether this writer leads; others are preferred for snapshots.
	Leading() bool
}

// HandlerConfig is what a writer serves to other nodes.
type HandlerConfig struct {
	// Events is the writer's store.
	Events Events
	// Log is the writer's.
	Log Log
	// Logger gets what goes wrong while answering; nil means slog.Default().
	Logger *slog.Logger
}

// NewHandler serves a writer's batches and snapshots. They hold everything that
// the cluster knows, sealed secrets included: mount it only where the cluster's own
// nodes, proved by their certificates, can call it.
func NewHandler(cfg HandlerConfig) http.Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	h := &handler{HandlerConfig: cfg, tails: make(chan struct{}, maxTails), snapshots: make(chan struct{}, maxSnapshots)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+EventsPath, h.events)
	mux.HandleFunc("GET "+SnapshotPath, h.snapshot)
	return mux
}

type handler struct {
	HandlerConfig
	tails, snapshots chan struct{} // one element for each request that is being answered
}

// enter takes a place among those that are answered, or refuses the request.
func enter(w http.ResponseWriter, places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
		w.Header().Set("Retry-After", strconv.Itoa(int(busyRetry.Seconds())))
		http.Error(w, "too many transfers at once", http.StatusServiceUnavailable)
		return false
	}
}

// mine refuses a request that belongs to another cluster or incarnation.
func (h *handler) mine(w http.ResponseWriter, r *http.Request) bool {
	s, _ := h.Log.Snapshot()
	c := s.Cluster()
	w.Header().Set(headerIncarnation, c.Incarnation)
	w.Header().Set(headerHead, strconv.FormatUint(uint64(h.Events.Last().Position), 10))
	if c.ID == "" {
		http.Error(w, "the cluster has not begun", http.StatusServiceUnavailable)
		return false
	}
	if id := r.FormValue("cluster"); id != "" && id != c.ID {
		http.Error(w, "this is cluster "+c.ID, http.StatusConflict)
		return false
	}
	if i := r.FormValue("incarnation"); i != "" && i != c.Incarnation {
		http.Error(w, "this is incarnation "+c.Incarnation+": the cluster was restored or recovered", http.StatusConflict)
		return false
	}
	return true
}

// tailRequest is what a reader asks of EventsPath.
type tailRequest struct {
	from, to event.Position
	wait     time.Duration
}

func parseTail(r *http.Request) (t tailRequest, err error) {
	from, err := strconv.ParseUint(r.FormValue("from"), 10, 64)
	if err != nil || from == 0 {
		return t, errors.New("from is not a position")
	}
	t.from, t.to = event.Position(from), ^event.Position(0)
	if text := r.FormValue("to"); text != "" {
		to, err := strconv.ParseUint(text, 10, 64)
		if err != nil || to < from {
			return t, errors.New("to is not a position at or after from")
		}
		t.to = event.Position(to)
	}
	if text := r.FormValue("wait"); text != "" {
		if t.wait, err = time.ParseDuration(text); err != nil || t.wait < 0 {
			return t, errors.New("wait is not a duration")
		}
		t.wait = min(t.wait, maxTailWait)
	}
	return t, nil
}

// events answers with batches.
func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	if !h.mine(w, r) || r.Method == http.MethodHead {
		return
	}
	t, err := parseTail(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if first := h.Events.First(); t.from < first {
		_, err := h.Events.Read(t.from, 1, 1)
		switch {
		case err != nil: // missing, or dropped for good
			http.Error(w, fmt.Sprintf("the store begins at %d: %v", first, err), http.StatusGone)
			return
		case t.to >= first:
			http.Error(w, fmt.Sprintf("the store begins at %d", first), http.StatusGone)
			return
		}
	}
	if !enter(w, h.tails) {
		return
	}
	defer func() { <-h.tails }()
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := h.stream(r.Context(), &sender{w: w, control: http.NewResponseController(w)}, t); err != nil {
		if r.Context().Err() == nil {
			h.Logger.Warn("an event tail ends early", "peer", r.RemoteAddr, "from", t.from, "error", err)
		}
		// What was sent so far must not look complete.
		panic(http.ErrAbortHandler)
	}
}

// stream sends what was asked for, and waits at the head.
func (h *handler) stream(ctx context.Context, out *sender, t tailRequest) error {
	if err := out.flush(); err != nil { // the reader learns the head at once
		return err
	}
	expired := time.NewTimer(t.wait)
	defer expired.Stop()
	for next, sent := t.from, 0; next <= t.to && sent < maxTailBytes; {
		changed := h.Log.Changed() // before Read, lest a batch come between the two
		batches, err := h.Events.Read(next, int(min(readCount, t.to-next+1)), readBytes)
		if err != nil {
			return fmt.Errorf("read batches from %d: %w", next, err)
		}
		if len(batches) > 0 {
			n, err := out.send(batches)
			if err != nil {
				return err
			}
			next += event.Position(len(batches))
			sent += n
			continue
		}
		select {
		case <-changed:
		case <-expired.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// sender writes batches to a reader that must keep reading.
type sender struct {
	w       io.Writer
	control *http.ResponseController
	buf     []byte
}

// frame puts batches into buf, each behind its length.
func (s *sender) frame(batches [][]byte) {
	s.buf = s.buf[:0]
	for _, b := range batches {
		s.buf = binary.BigEndian.AppendUint32(s.buf, uint32(len(b)))
		s.buf = append(s.buf, b...)
	}
}

// send writes batches, and returns how many bytes they took.
func (s *sender) send(batches [][]byte) (int, error) {
	s.frame(batches)
	if _, err := s.Write(s.buf); err != nil {
		return 0, err
	}
	return len(s.buf), s.flush()
}

// Write extends the deadline and writes.
func (s *sender) Write(p []byte) (int, error) {
	if err := s.extend(); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

func (s *sender) flush() error {
	if err := s.extend(); err != nil {
		return err
	}
	return s.control.Flush()
}

func (s *sender) extend() error {
	return s.control.SetWriteDeadline(time.Now().Add(writeTimeout))
}

// snapshot answers with the state of the moment.
func (h *handler) snapshot(w http.ResponseWriter, r *http.Request) {
	if !h.mine(w, r) {
		return
	}
	if r.FormValue("leader") == "no" && h.Log.Leading() {
		http.Error(w, "this writer leads; another one has more time", http.StatusMisdirectedRequest)
		return
	}
	if !enter(w, h.snapshots) {
		return
	}
	defer func() { <-h.snapshots }()
	state, header := h.Log.Snapshot()
	w.Header().Set(headerHead, strconv.FormatUint(uint64(header.Head.Position), 10))
	w.Header().Set("Content-Type", "application/octet-stream")
	out := &sender{w: w, control: http.NewResponseController(w)}
	if err := wire.WriteSnapshot(out, state, header); err != nil {
		h.Logger.Warn("a snapshot transfer ends early", "peer", r.RemoteAddr, "position", header.Head.Position, "error", err)
		panic(http.ErrAbortHandler)
	}
}

// Events is a writer's event store: committed batches only, dense from the first
// that no gap follows to the last. It may be used by any number of goroutines.
type Events interface {
	// First is the lowest position from which no batch up to the last is missing;
	// 1 for an empty store.
	First() event.Position
	// Last is the head; zero for an empty store.
	Last() event.Head
	// Read returns encoded batches that follow one another, from position from on:
	// at most count, and no more once they have reached size bytes. Behind the head
	// there are none, without an error; in a gap there is an error. Nobody changes
	// the bytes.
	Read(from event.Position, count, size int) ([][]byte, error)
}
