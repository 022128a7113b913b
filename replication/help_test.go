package replication

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/replication/broker"
	"github.com/writ-iam/writ/test/history"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

var quiet = slog.New(slog.DiscardHandler)

// sink folds batches as a projection does.
type sink struct {
	mu       sync.Mutex
	state    *identity.State
	view     *identity.State
	head     event.Head
	changed  chan struct{}
	restores int
	fail     error // of the next Apply
}

func newSink() *sink {
	s := identity.NewState()
	return &sink{state: s, view: s.Snapshot(), changed: make(chan struct{})}
}

func (s *sink) Snapshot() (*identity.State, event.Head) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view, s.head
}

func (s *sink) Apply(batches []*event.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	for _, b := range batches {
		if b.Position != s.head.Position+1 || b.Prev != s.head.Hash {
			return fmt.Errorf("batch %d was handed on at %d", b.Position, s.head.Position)
		}
		identity.Evolve(s.state, b.Position, b.Cause.Meta, b.Events)
		if s.state.Digest() != b.State {
			return fmt.Errorf("the state differs at %d", b.Position)
		}
		s.head = b.Head()
	}
	s.publish()
	return nil
}

func (s *sink) Restore(state *identity.State, head event.Head) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.head = state, head
	s.restores++
	s.publish()
}

func (s *sink) publish() {
	s.view = s.state.Snapshot()
	close(s.changed)
	s.changed = make(chan struct{})
}

// wait returns when the sink has the head, and fails the test when it has another
// one at that position or beyond, or another state.
func (s *sink) wait(t testing.TB, h *history.History) {
	t.Helper()
	want := h.Last()
	for {
		s.mu.Lock()
		head, changed := s.head, s.changed
		s.mu.Unlock()
		if want = h.Last(); head == want { // a publisher may have raised the generation meanwhile
			break
		}
		if head.Position >= want.Position {
			t.Fatalf("the sink is at %d (%x), the history at %d (%x)", head.Position, head.Hash[:4], want.Position, want.Hash[:4])
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatalf("the sink stopped at %d of %d", head.Position, want.Position)
		}
	}
	state, _ := s.Snapshot()
	if writers, header := h.Snapshot(); header.Head == want && writers.Digest() != state.Digest() {
		t.Fatal("the digests differ")
	}
}

func (s *sink) restored() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restores
}

// run starts something that ends with its context, and ends it with the test or by
// the returned function, which returns its error.
func run(t testing.TB, f func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	var err error
	go func() {
		defer close(ended)
		err = f(ctx)
	}()
	stop = func() error {
		cancel()
		<-ended
		return err
	}
	t.Cleanup(func() { stop() })
	return stop
}

func startBroker(t testing.TB) *broker.Broker {
	t.Helper()
	b, err := broker.Start(t.Context(), broker.Config{
		Name: "a", Dir: filepath.Join(t.TempDir(), "broker"), ClientAddr: "127.0.0.1:0", Consumers: ConsumerNames, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	return b
}

func dial(t testing.TB, cfg LinkConfig) *Link {
	t.Helper()
	cfg.Logger = quiet
	l, err := Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// publisherLink is the link of the process that the broker lives in.
func publisherLink(t testing.TB, b *broker.Broker) *Link {
	user, password := b.Credentials()
	l := dial(t, LinkConfig{Name: "publisher", InProcess: b, User: user, Password: password})
	if err := l.ServeConsumers(broker.ConsumerRequests); err != nil {
		t.Fatal(err)
	}
	return l
}

// followerLink is the link of another process.
func followerLink(t testing.TB, b *broker.Broker) *Link {
	return dial(t, LinkConfig{Name: "follower", URLs: []string{"nats://" + b.ClientAddr()}})
}

func startPublisher(t testing.TB, l *Link, h *history.History) (stop func() error) {
	return run(t, publisherOf(l, h).Run)
}

func publisherOf(l *Link, h *history.History) *Publisher {
	return NewPublisher(PublisherConfig{
		Link: l, Events: h, Log: h, Signer: theWriter(), Logger: quiet,
	})
}

// notary signs batches as a writer does. Its certificate is its name.
type notary struct {
	key  *ecdsa.PrivateKey
	name string
}

func newNotary(name string) *notary {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return &notary{key, name}
}

// theWriter is the one that followers of these tests believe.
var theWriter = sync.OnceValue(func() *notary { return newNotary("writer") })

func (n *notary) Sign(b *event.SignedBatch) (err error) {
	sum := sha256.Sum256(b.Statement())
	b.Signature, err = ecdsa.SignASN1(rand.Reader, n.key, sum[:])
	b.Certificate = []byte(n.name)
	return err
}

func (n *notary) Vouched(b *event.SignedBatch) error {
	sum := sha256.Sum256(b.Statement())
	if string(b.Certificate) != n.name || !ecdsa.VerifyASN1(&n.key.PublicKey, sum[:], b.Signature) {
		return fmt.Errorf("%s did not sign batch %d", n.name, b.Position)
	}
	return nil
}

// logOf is a log that only says of which cluster it is.
type logOf struct {
	Log
	cluster identity.Cluster
}

func (l logOf) Cluster() identity.Cluster { return l.cluster }

// message is a batch as a writer publishes it, if it is one: signed.
func (n *notary) message(t testing.TB, subject string, batch []byte) *nats.Msg {
	t.Helper()
	m := &nats.Msg{Subject: subject, Data: batch}
	b, err := wire.DecodeBatch(batch)
	if err != nil {
		return m
	}
	p := &Publisher{cfg: PublisherConfig{
		Signer: n, Log: logOf{cluster: identity.Cluster{ID: b.Cluster, Incarnation: b.Incarnation}},
	}}
	if m.Header, err = p.sign(batch); err != nil {
		t.Fatal(err)
	}
	return m
}

// startFollower runs a follower and fails the test if it ends by itself.
func startFollower(t testing.TB, cfg FollowerConfig) (f *Follower, stop func() error) {
	if cfg.Logger == nil {
		cfg.Logger = quiet
	}
	if cfg.Voucher == nil {
		cfg.Voucher = theWriter()
	}
	f = NewFollower(cfg)
	return f, run(t, f.Run)
}

// capture is an slog handler that keeps what it is told.
type capture struct {
	mu   sync.Mutex
	text []byte
}

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p...)
	return len(p), nil
}

func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text)
}

func (c *capture) logger() *slog.Logger { return slog.New(slog.NewTextHandler(io.Writer(c), nil)) }

// await polls for what has no channel of its own. The test's deadline bounds it.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("not %s in time", what)
		}
	}
}

// append folds a batch as if it had been followed.
func (s *sink) append(t testing.TB, b []byte) {
	t.Helper()
	batch, err := wire.DecodeBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Apply([]*event.Batch{batch}); err != nil {
		t.Fatal(err)
	}
}
