package replication

import (
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/writ-iam/writ/replication/broker"
	"github.com/writ-iam/writ/test/history"
)

// century is longer than anybody may leave a consumer behind, in nanoseconds.
const century = 100 * 365 * 24 * 3600 * int64(1e9)

// hoards are consumers that outlast their replica, or are more than they look: those
// that never run out, that wait for an acknowledgement, that have messages sent where
// somebody always listens, that are not counted, that get another name, that rest.
func hoards(stream string) []map[string]any {
	return []map[string]any{
		{"ack_policy": "explicit", "max_ack_pending": -1, "inactive_threshold": century},
		{"ack_policy": "explicit", "ack_wait": century, "inactive_threshold": 1_000_000_000},
		{"deliver_subject": "$JS.API.STREAM.DELETE." + stream, "ack_policy": "none"},
		{"deliver_subject": "writ.x", "ack_policy": "none"},
		{"deliver_subject": "$JS.API.STREAM.INFO." + stream, "ack_policy": "none", "direct": true, "sourcing": true},
		{"deliver_subject": "$JS.API.STREAM.INFO." + stream, "ack_policy": "none", "sourcing": true},
		{"pause_until": "2126-01-01T00:00:00Z", "ack_policy": "none"},
		{"metadata": map[string]string{"x": strings.Repeat("x", maxAsked/2)}, "num_replicas": 3, "ack_policy": "all"},
		{"durable_name": "x", "headers_only": true},
		{"opt_start_seq": 0}, {"opt_start_seq": -1}, {"opt_start_seq": "1"},
	}
}

// consumersOf lists those of a stream.
func consumersOf(t *testing.T, l *Link, stream string) (names []string) {
	t.Helper()
	s, err := l.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	list := s.ConsumerNames(t.Context())
	for name := range list.Name() {
		names = append(names, name)
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}

// TestConsumersAreBounded has whoever holds a replica's certificate make consumers of
// every kind, over many connections. What comes of that is a bounded number of such
// consumers as every replica has; another replica has its own all the same; and none is
// left when the name is barred.
func TestConsumersAreBounded(t *testing.T) {
	a := newAuthority(t)
	b, err := broker.Start(t.Context(), broker.Config{
		Name: "a", Dir: filepath.Join(t.TempDir(), "broker"), ClientAddr: "127.0.0.1:0", ClientTLS: a.config(t, "writer"), Consumers: ConsumerNames, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	h := history.New(t, "aa")
	h.Grow(t, 20)
	publisher := publisherLink(t, b)
	startPublisher(t, publisher, h)
	published(t, publisher, h)
	stream, certificate := streamName(h.Cluster()), a.config(t, "replica-1")
	ask := func(conn *nats.Conn, name string, odd map[string]any) {
		t.Helper()
		cfg := map[string]any{"name": name, "deliver_policy": "by_start_sequence", "opt_start_seq": 1}
		maps.Copy(cfg, odd)
		if _, ok := cfg["durable_name"]; ok {
			cfg["durable_name"] = name
		}
		body, err := json.Marshal(map[string]any{"stream_name": stream, "config": cfg})
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.PublishRequest("$JS.API.CONSUMER.CREATE."+stream+"."+name, conn.NewRespInbox(), body); err != nil {
			t.Fatal(err)
		}
	}
	odd, n := hoards(stream), 0
	for range 50 {
		id := ConnectionID("replica-1")
		conn, err := nats.Connect("tls://"+b.ClientAddr(), nats.Secure(certificate), nats.Name(id), nats.CustomInboxPrefix(Inbox(id)), nats.NoReconnect(),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // it may not ask for all of these
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{id, consumerName("replica-1", n%(2*maxConsumers)), consumerName("replica-2", n%maxConsumers)} {
			ask(conn, name, odd[n%len(odd)])
			n++
		}
		// one that is answered after all of them
		name := consumerName("replica-1", n%maxConsumers)
		request, err := json.Marshal(consumerRequest{Stream: stream, Config: jetstream.ConsumerConfig{
			Name: name, Durable: name, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: 1, AckPolicy: jetstream.AckExplicitPolicy,
		}})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := conn.Request("$JS.API.CONSUMER.CREATE."+stream+"."+name, request, requestTimeout)
		if err != nil {
			t.Fatal(err)
		}
		var made struct{ Config *jetstream.ConsumerConfig }
		if err := json.Unmarshal(answer.Data, &made); err != nil {
			t.Fatal(err)
		}
		if c := made.Config; c != nil && (c.InactiveThreshold != consumerExpiry || c.Durable != "" || c.DeliverSubject != "" || c.Replicas != 1 || c.AckPolicy != jetstream.AckNonePolicy) {
			t.Errorf("a consumer is made as its replica likes: %+v", c)
		}
		conn.Close()
	}
	left := consumersOf(t, publisher, stream)
	if may := ConsumerNames("replica-1"); slices.ContainsFunc(left, func(name string) bool { return !slices.Contains(may, name) }) {
		t.Errorf("consumers that replica-1 must not have: %v", left)
	}
	if len(left) == 0 || len(left) > maxConsumers {
		t.Errorf("%d consumers are left behind, at most %d may be", len(left), maxConsumers)
	}

	l := dial(t, LinkConfig{Name: "replica-2", URLs: []string{"tls://" + b.ClientAddr()}, TLS: a.config(t, "replica-2")})
	await(t, "connected", l.Connected)
	f := NewFollower(FollowerConfig{Sink: newSink(), Link: l, Logger: quiet})
	f.settle(f.cfg.Sink.Snapshot())
	at := *f.at.Load()
	at.cluster = h.Cluster()
	consumer, err := f.attach(t.Context(), &at)
	if err != nil {
		t.Fatalf("another replica: %v", err)
	}
	if err := publisher.DropConsumers(t.Context(), h.Cluster(), func(replica string) bool { return replica == "replica-1" }); err != nil {
		t.Fatal(err)
	}
	if left := consumersOf(t, publisher, stream); len(left) != 1 || left[0] != consumer.CachedInfo().Name {
		t.Errorf("after replica-1 was barred there are %v", left)
	}
}

// TestConsumersOfOneReader has more processes of a name than there are consumers for:
// the latest has one.
func TestConsumersOfOneReader(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 20)
	b := startBroker(t)
	publisher := publisherLink(t, b)
	startPublisher(t, publisher, h)
	published(t, publisher, h)
	l := followerLink(t, b)
	await(t, "connected", l.Connected)
	f := NewFollower(FollowerConfig{Sink: newSink(), Link: l, Logger: quiet})
	f.settle(f.cfg.Sink.Snapshot())
	at := *f.at.Load()
	at.cluster = h.Cluster()
	made := map[string]int{}
	for n := range maxConsumers + 2 {
		consumer, err := f.attach(t.Context(), &at)
		if err != nil {
			t.Fatalf("consumer %d: %v", n+1, err)
		}
		made[consumer.CachedInfo().Name]++
		if n+1 == maxConsumers && len(made) != maxConsumers {
			t.Errorf("%d consumers have %d names", maxConsumers, len(made))
		}
	}
	if left := consumersOf(t, publisher, streamName(h.Cluster())); len(left) != maxConsumers {
		t.Errorf("%d consumers", len(left))
	}
}

// TestStreamOfAnEarlierRelease has a publisher find a stream that lets consumers live
// for as long as they like.
func TestStreamOfAnEarlierRelease(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 20)
	b := startBroker(t)
	l := publisherLink(t, b)
	before := h.Cluster()
	cfg := streamConfig(before, 1, 1)
	cfg.ConsumerLimits = jetstream.StreamConsumerLimits{}
	await(t, "connected", l.Connected)
	if _, err := l.js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	startPublisher(t, l, h)
	await(t, "replaced", func() bool { return h.Cluster().StreamGeneration > before.StreamGeneration })
	published(t, l, h)
	s, err := l.js.Stream(t.Context(), streamName(h.Cluster()))
	if err != nil {
		t.Fatal(err)
	}
	if limits := s.CachedInfo().Config.ConsumerLimits; limits.InactiveThreshold != consumerExpiry {
		t.Errorf("%+v", limits)
	}
	await(t, "removed", func() bool {
		_, err := l.js.Stream(t.Context(), cfg.Name)
		return errors.Is(err, jetstream.ErrStreamNotFound)
	})
}
