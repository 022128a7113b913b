package replication

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/writ-iam/writ/replication/broker"
	"github.com/writ-iam/writ/test/history"
)

// TestAnswersReachNoStream has a replica name the stream as the place for answers of
// JetStream, and the inbox of another. No such answer arrives in either.
func TestAnswersReachNoStream(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 20)
	b := startBroker(t)
	publisher := publisherLink(t, b)
	startPublisher(t, publisher, h)
	published(t, publisher, h)
	stream, subject := streamName(h.Cluster()), streamSubject(h.Cluster())
	generation := h.Cluster().StreamGeneration

	l := followerLink(t, b)
	await(t, "connected", l.Connected)
	name := consumerName("follower", 0)
	consumer, err := json.Marshal(consumerRequest{Stream: stream, Config: consumerConfig(name, 1)})
	if err != nil {
		t.Fatal(err)
	}
	listening, err := publisher.conn.SubscribeSync(publisher.conn.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), requestTimeout)
	defer cancel()
	if err := publisher.conn.FlushWithContext(ctx); err != nil {
		t.Fatal(err)
	}
	for _, reply := range []string{subject, listening.Subject} {
		for _, request := range []struct {
			subject string
			data    []byte
		}{
			{"$JS.API.STREAM.INFO." + stream, nil},
			{"$JS.API.CONSUMER.CREATE." + stream + "." + name, consumer},
			{"$JS.API.CONSUMER.MSG.NEXT." + stream + "." + name, []byte(`{"batch":5,"no_wait":true}`)},
			{"$JS.API.CONSUMER.DELETE." + stream + "." + name, nil},
		} {
			if err := l.conn.PublishRequest(request.subject, reply, request.data); err != nil {
				t.Fatal(err)
			}
		}
	}
	// what is asked after all that is answered after it
	if _, err := l.conn.RequestWithContext(ctx, "$JS.API.STREAM.INFO."+stream, nil); err != nil {
		t.Fatal(err)
	}
	if n, _, err := listening.Pending(); err != nil || n != 0 {
		t.Errorf("%d answers arrived at another's inbox: %v", n, err)
	}
	if err := l.conn.LastError(); err != nil {
		t.Errorf("the requests were refused: %v", err)
	}
	checkStream(t, publisher, h)
	h.Grow(t, 100)
	published(t, publisher, h)
	checkStream(t, publisher, h)
	if now := h.Cluster().StreamGeneration; now != generation {
		t.Errorf("generation %d became %d", generation, now)
	}
}

// TestCertificatesName has a replica connect under another's name.
func TestCertificatesName(t *testing.T) {
	a := newAuthority(t)
	b, err := broker.Start(t.Context(), broker.Config{
		Name: "a", Dir: filepath.Join(t.TempDir(), "broker"), ClientAddr: "127.0.0.1:0", ClientTLS: a.config(t, "writer"), Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	for name, admitted := range map[string]bool{"replica-1": true, "replica-2": false, "replica": false, "replica-1-": false} {
		id := ConnectionID(name)
		conn, err := nats.Connect("tls://"+b.ClientAddr(), nats.Secure(a.config(t, "replica-1")), nats.Name(id), nats.CustomInboxPrefix(Inbox(id)))
		if err == nil {
			conn.Close()
		}
		if (err == nil) != admitted {
			t.Errorf("as %s: %v", name, err)
		}
	}
}

// TestAConsumerThatWasLeft has a follower find its own consumer where it wants to
// make another.
func TestAConsumerThatWasLeft(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 20)
	b := startBroker(t)
	publisher := publisherLink(t, b)
	startPublisher(t, publisher, h)
	published(t, publisher, h)
	l := followerLink(t, b)
	await(t, "connected", l.Connected)
	s, begin := newSink(), h.Last().Position
	for _, b := range h.Batches {
		s.append(t, b)
	}
	h.Grow(t, 5)
	published(t, publisher, h)
	f := NewFollower(FollowerConfig{Sink: s, Source: history.SourceOf(t), Link: l, Logger: quiet})
	for n := range 3 {
		f.settle(s.Snapshot())
		consumer, err := f.attach(t.Context(), f.at.Load())
		if err != nil {
			t.Fatalf("time %d: %v", n, err)
		}
		if from := consumer.CachedInfo().Config.OptStartSeq; from != uint64(begin)+uint64(n)+1 {
			t.Errorf("it begins at %d", from)
		}
		s.append(t, h.Batches[int(begin)+n])
	}
}
