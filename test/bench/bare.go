package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication"
	"github.com/writ-iam/writ/replication/broker"
	"github.com/writ-iam/writ/replication/tail"
)

const (
	bareStream  = "bare"
	bareSubject = "writ.bare"
	// What a follower may have on its way to it, as in replication.
	pullMessages, pullBytes = 4096, 8 << 20
)

// bare is the limit of propagation: brokers like those of a team's writers, with a
// stream like theirs, a publisher in the process of one, and consumers that do
// nothing with what they get.
type bare struct {
	brokers   []*broker.Broker
	conns     []*nats.Conn
	links     []*replication.Link // that make consumers
	consumers []*bareConsumer
	publisher jetstream.JetStream
	payload   []byte
}

// startBare runs the limit beside a team, whose certificates it uses. The caller
// stops it, even after an error.
func startBare(ctx context.Context, w *writing, consumers int) (*bare, error) {
	b, t := &bare{}, w.team
	secure, err := nodeTLS(t, t.layout.Writers[0].Name)
	if err != nil {
		return b, err
	}
	if b.payload, err = someBatch(ctx, w, secure); err != nil {
		return b, err
	}
	addrs, err := setup.FreeAddrs(len(t.layout.Writers))
	if err != nil {
		return b, err
	}
	for i, addr := range addrs {
		one, err := broker.Start(ctx, broker.Config{
			Name: fmt.Sprintf("bare-%d", i), Cluster: "bare", Dir: filepath.Join(t.dir, "bare", fmt.Sprint(i)),
			ClientAddr: "127.0.0.1:0", ClientTLS: secure, Consumers: func(string) []string { return bareNames(consumers) }, RouteAddr: addr, Routes: addrs, RouteTLS: secure,
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return b, err
		}
		b.brokers = append(b.brokers, one)
		user, password := one.Credentials()
		link, err := replication.Dial(replication.LinkConfig{
			Name: fmt.Sprintf("bare-%d", i), InProcess: one, User: user, Password: password, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return b, err
		}
		b.links = append(b.links, link)
		if err := link.ServeConsumers(broker.ConsumerRequests); err != nil {
			return b, err
		}
	}
	return b, b.connect(ctx, secure, consumers)
}

// nodeTLS is what a node's connections use.
func nodeTLS(t *team, name string) (*tls.Config, error) {
	files := setup.DefaultFiles(t.dir, name)
	cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("read a certificate: %w", err)
	}
	ca, err := os.ReadFile(files.CA)
	if err != nil {
		return nil, fmt.Errorf("read a certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
		InsecureSkipVerify: true, // loopback, and node certificates name no addresses
	}, nil
}

// someBatch is one that a write made, to have a message of the usual size.
func someBatch(ctx context.Context, w *writing, secure *tls.Config) ([]byte, error) {
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: secure}}
	defer c.CloseIdleConnections()
	source := tail.NewSource(c, func() []string { return []string{"https://" + w.team.layout.Writers[0].Peer} })
	if _, err := w.write(ctx, 10, time.Second/5); err != nil {
		return nil, err
	}
	at := w.leader.of.Head().Position
	batches, err := source.Fetch(ctx, identity.Cluster{ID: w.team.layout.ID}, at, at)
	if err != nil {
		return nil, err
	}
	return batches[0], nil
}

// connect makes the stream, its publisher and its consumers.
func (b *bare) connect(ctx context.Context, secure *tls.Config, consumers int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, one := range b.brokers {
		for one.Ready() != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("the brokers are not ready: %w", one.Ready())
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	id := replication.ConnectionID("publisher")
	conn, err := nats.Connect("", nats.InProcessServer(b.brokers[0]), nats.UserInfo(b.brokers[0].Credentials()), nats.Name(id), nats.CustomInboxPrefix(replication.Inbox(id)))
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	b.conns = append(b.conns, conn)
	if b.publisher, err = jetstream.New(conn); err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	if err := b.createStream(ctx); err != nil {
		return err
	}
	for i := range consumers {
		id := replication.ConnectionID(secure.Certificates[0].Leaf.Subject.CommonName)
		conn, err := nats.Connect("tls://"+b.brokers[i%len(b.brokers)].ClientAddr(), nats.Secure(secure), nats.Name(id), nats.CustomInboxPrefix(replication.Inbox(id)))
		if err != nil {
			return fmt.Errorf("connect to NATS: %w", err)
		}
		b.conns = append(b.conns, conn)
		js, err := jetstream.New(conn)
		if err != nil {
			return fmt.Errorf("use JetStream: %w", err)
		}
		b.consumers = append(b.consumers, &bareConsumer{js, bareNames(consumers)[i]})
	}
	return nil
}

// bareNames are the consumers of all connections, which are made under one name.
func bareNames(consumers int) (names []string) {
	for i := range consumers {
		names = append(names, fmt.Sprintf("bare-%d", i))
	}
	return names
}

// bareConsumer makes one consumer after the other, under its own name. One
// that rests may be sent what nobody hears: the broker of another writer cannot tell.
type bareConsumer struct {
	js jetstream.JetStream
	id string
}

// renew makes a consumer of what comes from now on.
func (c *bareConsumer) renew(ctx context.Context) (jetstream.Consumer, error) {
	if err := c.js.DeleteConsumer(ctx, bareStream, c.id); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, fmt.Errorf("remove a consumer: %w", err)
	}
	s, err := c.js.Stream(ctx, bareStream)
	if err != nil {
		return nil, fmt.Errorf("look at the stream: %w", err)
	}
	made, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Name: c.id, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.CachedInfo().State.LastSeq + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("make a consumer: %w", err)
	}
	return made, nil
}

// createStream makes the stream, as soon as the brokers have found each other.
func (b *bare) createStream(ctx context.Context) error {
	for {
		_, err := b.publisher.CreateStream(ctx, jetstream.StreamConfig{
			Name: bareStream, Subjects: []string{bareSubject}, Storage: jetstream.MemoryStorage, Replicas: len(b.brokers),
			MaxBytes: 128 << 20, MaxAge: 24 * time.Hour, DenyDelete: true, DenyPurge: true,
		})
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("make a stream: %w", err)
		}
	}
}

func (b *bare) stop() error {
	for _, c := range b.conns {
		c.Close()
	}
	for _, l := range b.links {
		l.Close()
	}
	for _, one := range b.brokers {
		one.Stop()
	}
	return nil
}

// round publishes at a rate for a time, and waits for all of it.
func (b *bare) round(ctx context.Context, rate int, length time.Duration) (round, error) {
	n := int(length.Seconds() * float64(rate))
	got := make([][]time.Time, len(b.consumers))
	done := make(chan struct{}, len(b.consumers))
	for i, one := range b.consumers {
		c, err := one.renew(ctx)
		if err != nil {
			return round{}, err
		}
		consuming, err := c.Consume(func(jetstream.Msg) {
			if got[i] = append(got[i], time.Now()); len(got[i]) == n {
				done <- struct{}{}
			}
		}, jetstream.PullMaxMessagesWithBytesLimit(pullMessages, pullBytes))
		if err != nil {
			return round{}, fmt.Errorf("consume: %w", err)
		}
		defer func() {
			consuming.Stop()
			<-consuming.Closed()
		}()
	}
	sent := make([]time.Time, 0, n)
	err := pace(ctx, rate, length, func() error {
		sent = append(sent, time.Now())
		_, err := b.publisher.PublishMsgAsync(&nats.Msg{Subject: bareSubject, Data: b.payload})
		return err
	})
	if err != nil {
		return round{}, fmt.Errorf("publish: %w", err)
	}
	late := time.After(settleTimeout)
	for range b.consumers {
		select {
		case <-done:
		case <-late:
			return round{}, errors.New("not all of what was published arrived")
		case <-ctx.Done():
			return round{}, ctx.Err()
		}
	}
	all := make([]time.Duration, n)
	for i, begun := range sent {
		for _, g := range got {
			all[i] = max(all[i], g[i].Sub(begun))
		}
	}
	return latencies(all)
}
