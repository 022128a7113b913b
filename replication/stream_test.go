package replication

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/replication/broker"
	"github.com/writ-iam/writ/test/history"
)

// checkStream fails the test unless the stream of the history's generation is
// exactly the history from its first message on: same bytes, at the same numbers.
func checkStream(t *testing.T, l *Link, h *history.History) {
	t.Helper()
	s, err := l.js.Stream(t.Context(), streamName(h.Cluster()))
	if err != nil {
		t.Fatal(err)
	}
	state := s.CachedInfo().State
	if state.LastSeq != uint64(h.Last().Position) || state.Msgs != state.LastSeq-state.FirstSeq+1 || state.NumDeleted != 0 {
		t.Fatalf("stream %+v, history at %d", state, h.Last().Position)
	}
	for seq := state.FirstSeq; seq <= state.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatalf("message %d: %v", seq, err)
		}
		if !bytes.Equal(m.Data, h.Batches[seq-1]) {
			t.Fatalf("message %d is not batch %d", seq, seq)
		}
	}
}

// published waits until the stream has the history's head.
func published(t *testing.T, l *Link, h *history.History) {
	t.Helper()
	await(t, "published", func() bool {
		s, err := l.js.Stream(t.Context(), streamName(h.Cluster()))
		return err == nil && s.CachedInfo().State.LastSeq == uint64(h.Last().Position)
	})
}

func TestFollowsTheStream(t *testing.T) {
	h := history.New(t, "aa")
	b := startBroker(t)
	l := publisherLink(t, b)
	startPublisher(t, l, h)
	w := history.Serve(t, h)
	s := newSink()
	f, _ := startFollower(t, FollowerConfig{Cluster: history.ClusterID, Sink: s, Source: history.SourceOf(t, w), Link: followerLink(t, b)})
	h.Grow(t, 100)
	s.wait(t, h)
	await(t, "streaming", func() bool { return f.Status().Mode == Streaming })
	w.Set(func() { w.Down = true }) // the stream alone carries on
	h.Grow(t, 10_000)
	s.wait(t, h)
	if status := f.Status(); status.Mode != Streaming || status.Bootstraps != 1 || status.Refused != 0 {
		t.Errorf("%+v", status)
	}
	published(t, l, h)
	checkStream(t, l, h)
}

func TestStreamBeginsWithRecentBatches(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, refill+500)
	h.Forget(300)
	b := startBroker(t)
	l := publisherLink(t, b)
	startPublisher(t, l, h)
	published(t, l, h)
	s, err := l.js.Stream(t.Context(), streamName(h.Cluster()))
	if err != nil {
		t.Fatal(err)
	}
	if state := s.CachedInfo().State; state.Msgs != refill {
		t.Errorf("%+v", state)
	}
}

// term is the log of a writer that leads until it is over.
type term struct {
	*history.History
	over atomic.Bool
}

func (l *term) RaiseGeneration(ctx context.Context, from uint32) error {
	if l.over.Load() {
		return errors.New("not the leader")
	}
	return l.History.RaiseGeneration(ctx, from)
}

// TestTwoPublishers has a deposed leader and its successor publish at once.
func TestTwoPublishers(t *testing.T) {
	h := history.New(t, "aa")
	b := startBroker(t)
	l := publisherLink(t, b)
	old, leads := publisherOf(l, h), &term{History: h}
	old.cfg.Log = leads
	stopOld := run(t, old.Run)
	w := history.Serve(t, h)
	s := newSink()
	startFollower(t, FollowerConfig{Sink: s, Source: history.SourceOf(t, w), Link: followerLink(t, b)})
	h.Grow(t, 500)
	published(t, l, h)
	generation := h.Cluster().StreamGeneration

	successor := publisherOf(publisherLink(t, b), h)
	leads.over.Store(true)
	run(t, successor.Run)
	h.Grow(t, 3000)
	published(t, l, h)
	if err := stopOld(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	h.Grow(t, 500)
	published(t, l, h)
	s.wait(t, h)
	checkStream(t, l, h)
	if now := h.Cluster().StreamGeneration; now != generation {
		t.Errorf("generation %d became %d", generation, now)
	}
}

func TestDeletedStream(t *testing.T) {
	h := history.New(t, "aa")
	b := startBroker(t)
	l := publisherLink(t, b)
	startPublisher(t, l, h)
	w := history.Serve(t, h)
	s := newSink()
	f, _ := startFollower(t, FollowerConfig{Sink: s, Source: history.SourceOf(t, w), Link: followerLink(t, b)})
	h.Grow(t, 100)
	s.wait(t, h)
	await(t, "streaming", func() bool { return f.Status().Mode == Streaming })

	before := h.Cluster()
	if err := l.js.DeleteStream(t.Context(), streamName(before)); err != nil {
		t.Fatal(err)
	}
	h.Grow(t, 100)
	await(t, "renewed", func() bool { return h.Cluster().StreamGeneration > before.StreamGeneration })
	published(t, l, h)
	s.wait(t, h)
	await(t, "streaming the new generation", func() bool { return f.Status().Stream == streamName(h.Cluster()) })
	checkStream(t, l, h)
	if status := f.Status(); status.Bootstraps != 1 {
		t.Errorf("%+v", status)
	}
}

func TestWipedBroker(t *testing.T) {
	h := history.New(t, "aa")
	dir := filepath.Join(t.TempDir(), "broker")
	b, err := broker.Start(t.Context(), broker.Config{Name: "a", Dir: dir, ClientAddr: "127.0.0.1:0", Consumers: ConsumerNames, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	l := publisherLink(t, b)
	startPublisher(t, l, h)
	w := history.Serve(t, h)
	s := newSink()
	f, _ := startFollower(t, FollowerConfig{Sink: s, Source: history.SourceOf(t, w), Link: followerLink(t, b)})
	h.Grow(t, 100)
	s.wait(t, h)
	await(t, "streaming", func() bool { return f.Status().Mode == Streaming })

	before := h.Cluster()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	h.Grow(t, 100)
	s.wait(t, h)
	await(t, "renewed", func() bool { return h.Cluster().StreamGeneration > before.StreamGeneration })
	h.Grow(t, 100)
	s.wait(t, h)
	published(t, l, h)
	await(t, "streaming the new generation", func() bool {
		return f.Status().Stream == streamName(h.Cluster()) && f.Status().Mode == Streaming
	})
	checkStream(t, l, h)
}

func TestNATSGoesAndComesBack(t *testing.T) {
	h := history.New(t, "aa")
	b := startBroker(t)
	addr := b.ClientAddr()
	stopPublisher := startPublisher(t, publisherLink(t, b), h)
	w := history.Serve(t, h)
	s := newSink()
	f, _ := startFollower(t, FollowerConfig{Sink: s, Source: history.SourceOf(t, w), Link: followerLink(t, b)})
	h.Grow(t, 100)
	s.wait(t, h)
	await(t, "streaming", func() bool { return f.Status().Mode == Streaming })

	stopPublisher()
	b.Stop()
	h.Grow(t, 500)
	s.wait(t, h)
	await(t, "tailing", func() bool { return f.Status().Mode == Tailing })

	b, err := broker.Start(t.Context(), broker.Config{Name: "a", Dir: filepath.Join(t.TempDir(), "b"), ClientAddr: addr, Consumers: ConsumerNames, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	startPublisher(t, publisherLink(t, b), h)
	await(t, "streaming again", func() bool { return f.Status().Mode == Streaming })
	w.Set(func() { w.Down = true })
	h.Grow(t, 500)
	s.wait(t, h)
}

// openNATS is a server on which everything is allowed, as a careless operator runs it.
func openNATS(t *testing.T) *Link {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	l := dial(t, LinkConfig{Name: "test", URLs: []string{s.ClientURL()}})
	await(t, "connected", l.Connected)
	return l
}

// TestDamageOfTheStream has streams with what no publisher puts there. A follower
// whose writers are silent goes as far as it can prove, and on when one answers.
func TestDamageOfTheStream(t *testing.T) {
	const damaged = 50
	for name, test := range map[string]struct {
		damage func(t *testing.T, h *history.History, messages [][]byte) [][]byte
		delete bool
		stops  event.Position
	}{
		"altered": {stops: damaged - 1, damage: func(t *testing.T, h *history.History, m [][]byte) [][]byte {
			m[damaged-1] = bytes.Clone(m[damaged-1])
			m[damaged-1][40] ^= 1
			return m
		}},
		"cut short": {stops: damaged - 1, damage: func(t *testing.T, h *history.History, m [][]byte) [][]byte {
			m[damaged-1] = m[damaged-1][:20]
			return m
		}},
		"empty": {stops: damaged - 1, damage: func(t *testing.T, h *history.History, m [][]byte) [][]byte {
			m[damaged-1] = nil
			return m
		}},
		"a hole": {stops: damaged - 1, delete: true},
		"another incarnation": {stops: damaged - 1, damage: func(t *testing.T, h *history.History, m [][]byte) [][]byte {
			other := history.New(t, "bb")
			other.Grow(t, len(m))
			return append(m[:damaged-1], other.Batches[damaged-1:len(m)]...)
		}},
		"another history of the incarnation": {stops: damaged - 1, damage: func(t *testing.T, h *history.History, m [][]byte) [][]byte {
			other := history.New(t, "aa")
			other.Must(t, &identity.SetAccountAlias{Account: "123456789012", Alias: "other"})
			other.Grow(t, len(m))
			return append(m[:damaged-1], other.Batches[damaged-1:len(m)]...)
		}},
		"repeated": {stops: 100, damage: func(t *testing.T, h *history.History, m [][]byte) [][]byte {
			return append(m[:damaged], m[damaged-10:]...)
		}},
		"swapped": {stops: damaged - 1, damage: func(t *testing.T, h *history.History, m [][]byte) [][]byte {
			m[damaged-1], m[damaged] = m[damaged], m[damaged-1]
			return m
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := history.New(t, "aa")
			h.Grow(t, 99)
			l := openNATS(t)
			messages := append([][]byte{}, h.Batches...)
			if test.damage != nil {
				messages = test.damage(t, h, messages)
			}
			cfg := streamConfig(h.Cluster(), 1, 1)
			cfg.DenyDelete = false
			stream, err := l.js.CreateStream(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				if _, err := l.js.PublishMsg(t.Context(), theWriter().message(t, cfg.Subjects[0], m)); err != nil {
					t.Fatal(err)
				}
			}
			if test.delete {
				if err := stream.DeleteMsg(t.Context(), damaged); err != nil {
					t.Fatal(err)
				}
			}

			s := newSink()
			s.append(t, h.Batches[0])
			w := history.Serve(t, h)
			w.Down = true
			f, _ := startFollower(t, FollowerConfig{Sink: s, Source: history.SourceOf(t, w), Link: l})
			await(t, "at what can be proved", func() bool {
				_, head := s.Snapshot()
				return head.Position == test.stops
			})
			if test.stops < 100 {
				await(t, "refused", func() bool { return f.Status().Refused > 0 })
			}
			if _, head := s.Snapshot(); head.Position != test.stops {
				t.Fatalf("at %d after a refusal", head.Position)
			}
			w.Set(func() { w.Down = false })
			s.wait(t, h)
			if f.Status().Bootstraps != 0 {
				t.Error("a snapshot was taken although the tail leads on")
			}
		})
	}
}

// TestDamagedStreamIsRenewed has the publisher find what followers would refuse.
func TestDamagedStreamIsRenewed(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, h *history.History, cfg *jetstream.StreamConfig, messages [][]byte) [][]byte{
		"sound": nil,
		"ends with another batch": func(t *testing.T, h *history.History, cfg *jetstream.StreamConfig, m [][]byte) [][]byte {
			m[len(m)-1] = []byte("x")
			return m
		},
		"ends behind the history": func(t *testing.T, h *history.History, cfg *jetstream.StreamConfig, m [][]byte) [][]byte {
			return append(m, []byte("x"), []byte("y"))
		},
		"unprotected": func(t *testing.T, h *history.History, cfg *jetstream.StreamConfig, m [][]byte) [][]byte {
			cfg.DenyPurge = false
			return m
		},
		"other limits": func(t *testing.T, h *history.History, cfg *jetstream.StreamConfig, m [][]byte) [][]byte {
			cfg.MaxBytes = 1 << 20
			return m
		},
		"direct access": func(t *testing.T, h *history.History, cfg *jetstream.StreamConfig, m [][]byte) [][]byte {
			cfg.AllowDirect = true
			return m
		},
		"ends before the store begins": func(t *testing.T, h *history.History, cfg *jetstream.StreamConfig, m [][]byte) [][]byte {
			h.Forget(90)
			return m[:80]
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := history.New(t, "aa")
			h.Grow(t, 99)
			l := openNATS(t)
			cfg := streamConfig(h.Cluster(), 1, 1)
			messages := append([][]byte{}, h.Batches...)
			if damage != nil {
				messages = damage(t, h, &cfg, messages)
			}
			if _, err := l.js.CreateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				if _, err := l.js.PublishMsg(t.Context(), theWriter().message(t, cfg.Subjects[0], m)); err != nil {
					t.Fatal(err)
				}
			}
			startPublisher(t, l, h)
			want := uint32(1)
			if damage != nil {
				want = 2
				await(t, "renewed", func() bool { return h.Cluster().StreamGeneration == 2 })
				await(t, "rid of the damaged one", func() bool {
					_, err := l.js.Stream(t.Context(), cfg.Name)
					return errors.Is(err, jetstream.ErrStreamNotFound)
				})
			}
			h.Grow(t, 10)
			published(t, l, h)
			checkStream(t, l, h)
			if got := h.Cluster().StreamGeneration; got != want {
				t.Errorf("generation %d, want %d", got, want)
			}
		})
	}
}

// TestSilentStream has a stream that works and that nobody publishes to.
func TestSilentStream(t *testing.T) {
	h := history.New(t, "aa")
	b := startBroker(t)
	l := publisherLink(t, b)
	stop := startPublisher(t, l, h)
	w := history.Serve(t, h)
	s := newSink()
	f, _ := startFollower(t, FollowerConfig{Sink: s, Source: history.SourceOf(t, w), Link: followerLink(t, b)})
	h.Grow(t, 100)
	published(t, l, h)
	await(t, "streaming", func() bool { return f.Status().Mode == Streaming })
	s.wait(t, h)
	stop()
	h.Grow(t, 10) // found by asking a writer
	s.wait(t, h)
	h.Grow(t, 10)
	f.Expect(h.Last().Position) // told by a lease
	s.wait(t, h)
}

func TestReadersMayNotWrite(t *testing.T) {
	b := startBroker(t)
	l := followerLink(t, b)
	await(t, "connected", l.Connected)
	denied := make(chan error, 1)
	l.conn.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err })
	for _, subject := range []string{streamSubject(identity.Cluster{ID: "x"}), "$JS.API.STREAM.CREATE.x", "$JS.API.STREAM.DELETE.x"} {
		if err := l.conn.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		if err := <-denied; !errors.Is(err, nats.ErrPermissionViolation) {
			t.Error(err)
		}
	}
}

// TestCheck looks at a stream as a publisher does while it works.
func TestCheck(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 4)
	l := openNATS(t)
	p := publisherOf(l, h)
	stream := func(c identity.Cluster, messages [][]byte) jetstream.Stream {
		cfg := streamConfig(c, 1, 1)
		s, err := l.js.CreateStream(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if _, err := l.js.Publish(t.Context(), cfg.Subjects[0], m); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	c := h.Cluster()
	sound := stream(c, h.Batches)
	for range 5 {
		if err := p.check(t.Context(), sound, &pipeline{next: 6}); err != nil {
			t.Error(err)
		}
	}
	if err := p.check(t.Context(), sound, &pipeline{next: 7}); err == nil {
		t.Error("a lost message was not noticed")
	}
	messages := append([][]byte{}, h.Batches...)
	messages[2] = []byte("x")
	c.StreamGeneration++
	p.cfg.Log = logOf{cluster: c}
	altered := stream(c, messages)
	for p.check(t.Context(), altered, &pipeline{next: 6}) == nil {
		// one of four is altered, and three are compared at a time
	}
	if err := l.js.DeleteStream(t.Context(), streamName(c)); err != nil {
		t.Fatal(err)
	}
	if err := p.check(t.Context(), altered, &pipeline{next: 6}); err == nil {
		t.Error("a missing stream was not noticed")
	}
}
