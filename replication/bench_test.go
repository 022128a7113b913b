package replication

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/replication/tail"
	"github.com/writ-iam/writ/test/history"
)

const replayed = 200_000 // batches of one event each

// grown is made once: it takes longer than what is measured with it.
var grown = sync.OnceValue(func() *history.History {
	h := history.New(new(testing.B), "aa")
	h.Grow(new(testing.B), replayed)
	return h
})

// following runs what a follower needs to apply, from the first batch on.
func following(b *testing.B, h *history.History, cfg FollowerConfig) (*Follower, *sink) {
	s := newSink()
	s.append(b, h.Batches[0])
	cfg.Sink, cfg.Logger, cfg.Voucher = s, quiet, theWriter()
	f := NewFollower(cfg)
	f.settle(s.Snapshot())
	run(b, f.applyAll)
	return f, s
}

// meter measures a benchmark of n events an iteration: how many a second, and what
// each costs in processor time, which tells more on a machine that others use too.
type meter struct {
	b    *testing.B
	used time.Duration
}

func measure(b *testing.B) *meter { return &meter{b, processorTime(b)} }

func (m *meter) report(n int) {
	events := float64(n) * float64(m.b.N)
	m.b.ReportMetric(events/m.b.Elapsed().Seconds(), "events/s")
	m.b.ReportMetric(float64(processorTime(m.b)-m.used)/events, "cpu-ns/event")
	m.b.ReportMetric(0, "ns/op")
}

func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkReplayStream is a follower that catches up from the stream, and beside
// it a consumer that does nothing with what it gets.
func BenchmarkReplayStream(b *testing.B) {
	h := grown()
	br := startBroker(b)
	l := publisherLink(b, br)
	cfg := streamConfig(h.Cluster(), 1, 1)
	if _, err := l.js.CreateStream(b.Context(), cfg); err != nil {
		b.Fatal(err)
	}
	js, err := jetstream.New(l.conn, jetstream.WithPublishAsyncMaxPending(window))
	if err != nil {
		b.Fatal(err)
	}
	w := &pipeline{js: js, by: publisherOf(l, h), subject: cfg.Subjects[0], next: 1}
	for w.next <= h.Last().Position {
		if err := w.fill(h); err != nil {
			b.Fatal(err)
		}
		acked, failed := w.oldest()
		select {
		case ack := <-acked:
			err = w.acknowledged(ack)
		case err = <-failed:
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()

	b.Run("bare", func(b *testing.B) {
		l := followerLink(b, br)
		await(b, "connected", l.Connected)
		m := measure(b)
		for b.Loop() {
			consumer, err := l.js.CreateConsumer(b.Context(), cfg.Name, consumerConfig(consumerName(l.name, 0), 1))
			if err != nil {
				b.Fatal(err)
			}
			n, done := 0, make(chan struct{})
			consuming, err := consumer.Consume(func(jetstream.Msg) {
				if n++; n == replayed {
					close(done)
				}
			}, jetstream.PullMaxMessagesWithBytesLimit(pullMessages, pullBytes))
			if err != nil {
				b.Fatal(err)
			}
			<-done
			consuming.Stop()
		}
		m.report(replayed)
	})
	b.Run("follower", func(b *testing.B) {
		link := followerLink(b, br)
		await(b, "connected", link.Connected)
		m := measure(b)
		for b.Loop() {
			f, s := following(b, h, FollowerConfig{Link: link, Source: history.SourceOf(b)})
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				f.follow(ctx)
			}()
			s.wait(b, h)
			cancel()
			<-ended
		}
		m.report(replayed)
	})
}

// BenchmarkReplayHTTP is a follower that catches up from a writer's event tail.
func BenchmarkReplayHTTP(b *testing.B) {
	h := grown()
	source := history.SourceOf(b, history.Serve(b, h))
	m := measure(b)
	for b.Loop() {
		f, s := following(b, h, FollowerConfig{Source: source})
		if err := f.tail(b.Context(), 0); err != nil {
			b.Fatal(err)
		}
		s.wait(b, h)
	}
	m.report(replayed)
}

// BenchmarkApply is the part of a replay that no second processor can take over.
func BenchmarkApply(b *testing.B) {
	h := grown()
	var batches []*event.Batch
	for _, encoded := range h.Batches {
		batch, err := wire.DecodeBatch(encoded)
		if err != nil {
			b.Fatal(err)
		}
		batches = append(batches, batch)
	}
	m := measure(b)
	for b.Loop() {
		s := newSink()
		for chunk := range slices.Chunk(batches, tail.ChunkBatches) {
			if err := s.Apply(chunk); err != nil {
				b.Fatal(err)
			}
		}
	}
	m.report(replayed)
}

// BenchmarkBootstrap is a follower that starts from nothing, and one that starts
// from a checkpoint.
func BenchmarkBootstrap(b *testing.B) {
	h := grown()
	source := history.SourceOf(b, history.Serve(b, h))
	b.Run("snapshot", func(b *testing.B) {
		m := measure(b)
		for b.Loop() {
			s := newSink()
			f := NewFollower(FollowerConfig{Sink: s, Source: source, Logger: quiet})
			f.settle(s.Snapshot())
			if err := f.begin(b.Context()); err != nil {
				b.Fatal(err)
			}
			s.wait(b, h)
		}
		m.report(replayed)
	})
	b.Run("checkpoint", func(b *testing.B) {
		dir := b.TempDir()
		state, header := h.Snapshot()
		if err := writeCheckpoint(dir, state, header.Head); err != nil {
			b.Fatal(err)
		}
		m := measure(b)
		for b.Loop() {
			s := newSink()
			f := NewFollower(FollowerConfig{Sink: s, Source: source, Dir: dir, Logger: quiet})
			f.settle(s.Snapshot())
			if err := f.begin(b.Context()); err != nil {
				b.Fatal(err)
			}
			s.wait(b, h)
		}
		m.report(replayed)
	})
}

// BenchmarkLatency is the time from when a batch is in the store until a follower
// has applied it, at 1,000 a second, beside the time from a publish to a consumer over the same
// NATS: one broker, and three with TLS.
func BenchmarkLatency(b *testing.B) {
	b.Run("brokers=1", func(b *testing.B) {
		br := startBroker(b)
		benchmarkLatency(b, 1, publisherLink(b, br), followerLink(b, br))
	})
	b.Run("brokers=3", func(b *testing.B) {
		a := newAuthority(b)
		brokers, _ := startCluster(b, a, 3)
		benchmarkLatency(b, 3, publisherLink(b, brokers[0]),
			dial(b, LinkConfig{Name: "replica", URLs: []string{"tls://" + brokers[2].ClientAddr()}, TLS: a.config(b, "replica")}))
	})
}

func benchmarkLatency(b *testing.B, replicas int, publisher, follower *Link) {
	const rate, warm, measured = 1000, 1000, 9000
	report := func(b *testing.B, took []time.Duration) {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
		b.ReportMetric(0, "ns/op")
	}
	// drive calls send on time and returns when which message was on its way.
	drive := func(send func() time.Time) []time.Time {
		sent := make([]time.Time, warm+measured)
		tick := time.NewTicker(time.Second / rate)
		defer tick.Stop()
		for n := range sent {
			<-tick.C
			sent[n] = send()
		}
		return sent
	}
	took := func(sent, got []time.Time) (took []time.Duration) {
		for n := warm; n < len(sent); n++ {
			took = append(took, got[n].Sub(sent[n]))
		}
		return took
	}

	b.Run("bare", func(b *testing.B) {
		cfg := streamConfig(identity.Cluster{ID: "bare", Incarnation: fmt.Sprint(time.Now().UnixNano())}, replicas, 1)
		if _, err := publisher.js.CreateStream(b.Context(), cfg); err != nil {
			b.Fatal(err)
		}
		await(b, "connected", follower.Connected)
		consumer, err := follower.js.CreateConsumer(b.Context(), cfg.Name, consumerConfig(consumerName(follower.name, 0), 1))
		if err != nil {
			b.Fatal(err)
		}
		got, done := make([]time.Time, 0, warm+measured), make(chan struct{})
		consuming, err := consumer.Consume(func(jetstream.Msg) {
			if got = append(got, time.Now()); len(got) == warm+measured {
				close(done)
			}
		})
		if err != nil {
			b.Fatal(err)
		}
		defer consuming.Stop()
		h := history.New(b, "aa")
		h.Grow(b, 1)
		payload := h.Batches[1]
		sent := drive(func() time.Time {
			now := time.Now()
			if _, err := publisher.js.PublishMsgAsync(&nats.Msg{Subject: cfg.Subjects[0], Data: payload}); err != nil {
				b.Fatal(err)
			}
			return now
		})
		<-done
		report(b, took(sent, got))
	})
	b.Run("writ", func(b *testing.B) {
		h := history.New(b, fmt.Sprint(time.Now().UnixNano())) // another stream each time
		p := publisherOf(publisher, h)
		p.cfg.Copies = replicas
		run(b, p.Run)
		s := &timedSink{sink: newSink()}
		f, _ := startFollower(b, FollowerConfig{Sink: s, Source: history.SourceOf(b, history.Serve(b, h)), Link: follower})
		h.Grow(b, 1)
		await(b, "streaming", func() bool { return f.Status().Mode == Streaming })
		first := h.Last().Position + 1
		s.got = make([]time.Time, warm+measured)
		s.first = first
		sent := drive(func() time.Time {
			h.Grow(b, 1)
			return h.ChangedAt
		})
		s.wait(b, h)
		report(b, took(sent, s.got))
		if f.Status().Mode != Streaming || f.Status().Bootstraps != 1 {
			b.Errorf("%+v", f.Status())
		}
	})
}

// timedSink notes when each position was applied.
type timedSink struct {
	*sink
	first event.Position
	got   []time.Time
}

func (s *timedSink) Apply(batches []*event.Batch) error {
	err := s.sink.Apply(batches)
	for _, b := range batches {
		if s.got != nil && b.Position >= s.first {
			s.got[b.Position-s.first] = time.Now()
		}
	}
	return err
}
