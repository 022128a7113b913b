package replication

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/replication/tail"
	"github.com/writ-iam/writ/test/history"
)

func TestFollowsOverHTTPAlone(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 1000)
	w := history.Serve(t, h)
	s := newSink()
	f, stop := startFollower(t, FollowerConfig{Cluster: history.ClusterID, Sink: s, Source: history.SourceOf(t, w)})
	s.wait(t, h)
	for range 20 {
		h.Grow(t, 50)
		s.wait(t, h)
	}
	if status := f.Status(); status.Mode != Tailing || status.Bootstraps != 1 || status.Problem != "" {
		t.Errorf("%+v", status)
	}
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWritersComeAndGo(t *testing.T) {
	h := history.New(t, "aa")
	behind := history.Copy(t, h) // of a writer that is cut off
	a, b, c := history.Serve(t, h), history.Serve(t, behind), history.Serve(t, h)
	a.Down, b.Down, c.Down = true, true, true
	s := newSink()
	f, _ := startFollower(t, FollowerConfig{Sink: s, Source: history.SourceOf(t, a, b, c)})
	await(t, "complaining", func() bool { return strings.Contains(f.Status().Problem, tail.ErrUnavailable.Error()) })
	b.Set(func() { b.Down = false })
	s.wait(t, behind)
	h.Grow(t, 100)
	a.Set(func() { a.Down = false })
	f.Expect(h.Last().Position)
	s.wait(t, h)
	a.Set(func() { a.Down = true })
	a.CloseClientConnections()
	h.Grow(t, 100)
	c.Set(func() { c.Down = false })
	s.wait(t, h)
	if status := f.Status(); status.Bootstraps != 1 {
		t.Errorf("%+v", status)
	}
}

// TestSnapshotsComeFromOthersThanTheLeader has one writer lead.
func TestSnapshotsComeFromOthersThanTheLeader(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 100)
	leader, other := history.Serve(t, h), history.Serve(t, h)
	leader.Leading = true
	source := history.SourceOf(t, leader, other)
	for range 4 {
		source.Rotate()
		state, header, err := source.Snapshot(t.Context(), h.Cluster())
		if err != nil || header.Head != h.Last() || state.Position() != h.Last().Position {
			t.Fatal(header, err)
		}
	}
	if n := other.Count("GET " + tail.SnapshotPath); n != 4 {
		t.Errorf("%d snapshots from the other writer", n)
	}
	other.Set(func() { other.Down = true })
	if _, _, err := source.Snapshot(t.Context(), h.Cluster()); err != nil {
		t.Errorf("the leader alone gives none: %v", err)
	}
}

// flip alters one byte of each answer of a route.
func flip(path string) func(string, http.ResponseWriter) http.ResponseWriter {
	return func(p string, w http.ResponseWriter) http.ResponseWriter {
		if p != path {
			return w
		}
		return &flipper{ResponseWriter: w}
	}
}

type flipper struct {
	http.ResponseWriter
	sent int
}

func (f *flipper) Unwrap() http.ResponseWriter { return f.ResponseWriter }

func (f *flipper) Write(p []byte) (int, error) {
	const at = 100
	if f.sent <= at && at < f.sent+len(p) {
		p = append([]byte{}, p...)
		p[at-f.sent] ^= 1
	}
	f.sent += len(p)
	return f.ResponseWriter.Write(p)
}

// TestTailThatDoesNotLeadOn has the tail fail for good in several ways; after the
// third time a snapshot takes the follower to where the writers are.
func TestTailThatDoesNotLeadOn(t *testing.T) {
	for name, test := range map[string]struct {
		spoil   func(t *testing.T, h *history.History, w *history.Writer) *history.History
		mention string
	}{
		"the batches are gone": {mention: "410", spoil: func(t *testing.T, h *history.History, w *history.Writer) *history.History {
			h.Grow(t, 100)
			h.Forget(90)
			return h
		}},
		"the batches are altered": {mention: wire.ErrCorrupt.Error(), spoil: func(t *testing.T, h *history.History, w *history.Writer) *history.History {
			w.Set(func() { w.Mangle = flip(tail.EventsPath) })
			h.Grow(t, 100)
			return h
		}},
		"another history of the incarnation": {mention: "follows another batch", spoil: func(t *testing.T, h *history.History, w *history.Writer) *history.History {
			other := history.New(t, "aa")
			other.Users = 1000
			other.Grow(t, 200)
			return other
		}},
		"another incarnation": {mention: "409", spoil: func(t *testing.T, h *history.History, w *history.Writer) *history.History {
			other := history.New(t, "bb")
			other.Grow(t, 20)
			return other
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := history.New(t, "aa")
			h.Grow(t, 50)
			w := history.Serve(t, h)
			s := newSink()
			f, stop := startFollower(t, FollowerConfig{Cluster: history.ClusterID, Sink: s, Source: history.SourceOf(t, w)})
			s.wait(t, h)
			stop()
			now := test.spoil(t, h, w)
			if now != h {
				w = history.Serve(t, now)
			}
			f, _ = startFollower(t, FollowerConfig{Cluster: history.ClusterID, Sink: s, Source: history.SourceOf(t, w)})
			await(t, "there", func() bool {
				_, head := s.Snapshot()
				return head == now.Last()
			})
			await(t, "accounted for", func() bool { return f.Status().Bootstraps == 1 })
			if tails := w.Count("GET " + tail.EventsPath); tails < maxFailures {
				t.Errorf("the tail was asked %d times", tails)
			}
			if problem := f.Status().Problem; !strings.Contains(problem, test.mention) {
				t.Errorf("problem %q does not mention %q", problem, test.mention)
			}
			w.Set(func() { w.Mangle = nil })
			now.Grow(t, 10)
			await(t, "there again", func() bool {
				_, head := s.Snapshot()
				return head == now.Last()
			})
		})
	}
}

// keeping is the membership of one who keeps its state.
type keeping struct {
	Membership
	asked atomic.Int32
}

func (k *keeping) MayReplace(context.Context) error {
	k.asked.Add(1)
	return errors.New("it is evidence")
}

// A state that must not be replaced stays, whatever the writers have.
func TestAStateThatIsKept(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 50)
	s := newSink()
	var keep keeping
	// the first state is taken without a question
	_, stop := startFollower(t, FollowerConfig{Cluster: history.ClusterID, Sink: s, Source: history.SourceOf(t, history.Serve(t, h)), Membership: &keep})
	s.wait(t, h)
	stop()
	_, before := s.Snapshot()
	other := history.New(t, "aa")
	other.Users = 1000
	other.Grow(t, 200)
	f, _ := startFollower(t, FollowerConfig{Cluster: history.ClusterID, Sink: s, Source: history.SourceOf(t, history.Serve(t, other)), Membership: &keep})
	await(t, "asked", func() bool { return keep.asked.Load() == 1 })
	if _, head := s.Snapshot(); head != before || f.Status().Bootstraps != 0 {
		t.Errorf("it is at %v, was at %v", head, before)
	}
	if problem := f.Status().Problem; !strings.Contains(problem, "it is evidence") && !strings.Contains(problem, "follows another batch") {
		t.Errorf("problem %q", problem)
	}
}

func TestAnAlteredSnapshotIsRefused(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 100)
	w := history.Serve(t, h)
	w.Mangle = flip(tail.SnapshotPath)
	s := newSink()
	f, _ := startFollower(t, FollowerConfig{Sink: s, Source: history.SourceOf(t, w)})
	await(t, "refused", func() bool { return strings.Contains(f.Status().Problem, wire.ErrCorrupt.Error()) })
	if s.restored() != 0 {
		t.Error("restored")
	}
	w.Set(func() { w.Mangle = nil })
	s.wait(t, h)
}

func TestAnotherClustersSnapshotIsRefused(t *testing.T) {
	w := history.Serve(t, history.New(t, "aa"))
	f, _ := startFollower(t, FollowerConfig{Cluster: "another", Sink: newSink(), Source: history.SourceOf(t, w)})
	await(t, "refused", func() bool { return strings.Contains(f.Status().Problem, "this is cluster "+history.ClusterID) })
}

func TestRestartFromCheckpoint(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 200)
	w := history.Serve(t, h)
	cfg := FollowerConfig{Cluster: history.ClusterID, Source: history.SourceOf(t, w), Dir: filepath.Join(t.TempDir(), "checkpoints")}
	follow := func() (*sink, *Follower, func() error) {
		s := newSink()
		cfg.Sink = s
		f, stop := startFollower(t, cfg)
		s.wait(t, h)
		return s, f, stop
	}
	_, _, stop := follow()
	h.Grow(t, 100)
	stop()
	if n := w.Count("GET " + tail.SnapshotPath); n != 1 {
		t.Fatalf("%d snapshots for a start from nothing", n)
	}
	for range 3 {
		h.Grow(t, 100)
		s, f, stop := follow()
		if f.Status().Checkpoint == 0 || s.restored() != 1 {
			t.Errorf("%+v", f.Status())
		}
		stop()
	}
	if n := w.Count("GET " + tail.SnapshotPath); n != 1 {
		t.Errorf("%d snapshots, with checkpoints", n)
	}
	entries, err := os.ReadDir(cfg.Dir)
	if err != nil || len(entries) != checkpointsKept {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestCorruptedCheckpoints(t *testing.T) {
	h := history.New(t, "aa")
	w := history.Serve(t, h)
	dir := t.TempDir()
	var heads []event.Position
	for range 2 {
		h.Grow(t, 100)
		state, header := h.Snapshot()
		if err := writeCheckpoint(dir, state, header.Head); err != nil {
			t.Fatal(err)
		}
		heads = append(heads, header.Head.Position)
	}
	names, err := listCheckpoints(dir)
	if err != nil || len(names) != 2 {
		t.Fatal(names, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "unfinished-1"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	damage := func(name string) {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	damage(names[0])
	log := new(capture)
	state, head, err := newestCheckpoint(dir, log.logger())
	if err != nil || head.Position != heads[0] || state.Position() != heads[0] {
		t.Fatalf("%v at %d instead of the older checkpoint", err, head.Position)
	}
	if text := log.String(); !strings.Contains(text, "a checkpoint is refused") || !strings.Contains(text, names[0]) {
		t.Errorf("said %q", text)
	}
	s := newSink()
	_, stop := startFollower(t, FollowerConfig{Sink: s, Source: history.SourceOf(t, w), Dir: dir})
	s.wait(t, h)
	if n := w.Count("GET " + tail.SnapshotPath); n != 0 {
		t.Errorf("%d snapshots although a checkpoint is good", n)
	}
	stop()

	if names, err = listCheckpoints(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		damage(name)
	}
	s = newSink()
	startFollower(t, FollowerConfig{Sink: s, Source: history.SourceOf(t, w), Dir: dir})
	s.wait(t, h)
	if n := w.Count("GET " + tail.SnapshotPath); n != 1 {
		t.Errorf("%d snapshots without a good checkpoint", n)
	}
	if _, err := os.Stat(filepath.Join(dir, "unfinished-1")); !os.IsNotExist(err) {
		t.Error("what was cut short is still there")
	}
}

// A replica that took the state of a restored cluster starts with it again, although checkpoints
// of the incarnation before it had higher positions.
func TestRestartAfterARestore(t *testing.T) {
	former, restored := history.New(t, "aa"), history.New(t, "bb")
	former.Grow(t, 200)
	restored.Grow(t, 50)
	dir := filepath.Join(t.TempDir(), "checkpoints")
	snapshots := 0
	for i, h := range []*history.History{former, former, restored, restored, restored} {
		w, s := history.Serve(t, h), newSink()
		f, stop := startFollower(t, FollowerConfig{Cluster: history.ClusterID, Source: history.SourceOf(t, w), Dir: dir, Sink: s})
		await(t, "the history's incarnation", func() bool {
			state, _ := s.Snapshot()
			return state.Cluster().Incarnation == h.Cluster().Incarnation
		})
		h.Grow(t, 1)
		s.wait(t, h)
		stop()
		if n := w.Count("GET " + tail.SnapshotPath); n > 0 {
			snapshots++
		} else if i == 0 || i == 2 || f.Status().Checkpoint == 0 {
			t.Errorf("start %d: no snapshot, %+v", i, f.Status())
		}
	}
	if snapshots != 2 {
		t.Errorf("%d starts took a snapshot: the first ever, and the first after the restore should", snapshots)
	}
}

func TestAnotherClustersCheckpoint(t *testing.T) {
	h := history.New(t, "aa")
	dir := t.TempDir()
	state, header := h.Snapshot()
	if err := writeCheckpoint(dir, state, header.Head); err != nil {
		t.Fatal(err)
	}
	f := NewFollower(FollowerConfig{Cluster: "another", Sink: newSink(), Source: history.SourceOf(t), Dir: dir, Logger: quiet})
	if err := f.Run(t.Context()); !errors.Is(err, ErrOtherCluster) || !strings.Contains(err.Error(), history.ClusterID) {
		t.Error(err)
	}
}

func TestSinkFailureIsFinal(t *testing.T) {
	h := history.New(t, "aa")
	w := history.Serve(t, h)
	s := newSink()
	s.append(t, h.Batches[0])
	s.fail = errors.New("diverged")
	h.Grow(t, 10)
	err := NewFollower(FollowerConfig{Sink: s, Source: history.SourceOf(t, w), Logger: quiet}).Run(t.Context())
	if !errors.Is(err, s.fail) {
		t.Error(err)
	}
}

// unknownKind gives the only event of an encoded batch a kind of a later release.
func unknownKind(t *testing.T, b []byte) []byte {
	t.Helper()
	b = append([]byte{}, b...)
	if b[0] != 0xc4 { // bin 8: the head
		t.Fatalf("the head begins with %x", b[0])
	}
	head := b[2 : 2+int(b[1])]
	entry := head[len(head)-36:] // kind, version, bin 8 of 32 bytes
	if entry[2] != 0xc4 || entry[3] != 32 {
		t.Fatalf("the entry is %x", entry)
	}
	entry[0] = 0x7f
	sum := sha256.Sum256(head)
	copy(b[2+len(head)+2:], sum[:])
	return b
}

func TestStopsBeforeTheUnknown(t *testing.T) {
	h := history.New(t, "aa")
	w := history.Serve(t, h)
	h.Grow(t, 10)
	h.Batches[9] = unknownKind(t, h.Batches[9])
	s := newSink()
	s.append(t, h.Batches[0])
	f := NewFollower(FollowerConfig{Sink: s, Source: history.SourceOf(t, w), Logger: quiet})
	err := f.Run(t.Context())
	var unknown *wire.UnknownError
	if !errors.Is(err, ErrUnknown) || !errors.As(err, &unknown) {
		t.Error(err)
	}
	if _, head := s.Snapshot(); head.Position != 9 {
		t.Errorf("stopped at %d", head.Position)
	}
}

// TestBusyTailIsNoFailure has the only writer refuse tails for want of places.
func TestBusyTailIsNoFailure(t *testing.T) {
	h := history.New(t, "aa")
	w := history.Serve(t, h)
	w.Mangle = func(path string, rw http.ResponseWriter) http.ResponseWriter {
		if path != tail.EventsPath {
			return rw
		}
		http.Error(rw, "too many transfers at once", http.StatusServiceUnavailable)
		return nil
	}
	s := newSink()
	f, _ := startFollower(t, FollowerConfig{Sink: s, Source: history.SourceOf(t, w)})
	await(t, "refused", func() bool { return w.Count("GET "+tail.EventsPath) > maxFailures+1 })
	w.Set(func() { w.Mangle = nil })
	h.Grow(t, 10)
	s.wait(t, h)
	if n := f.Status().Bootstraps; n != 1 {
		t.Errorf("%d snapshots", n)
	}
}
