package replication

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/replication/tail"
	"github.com/writ-iam/writ/test/history"
)

// believing is a sink that must be shown the batches of one history and nothing
// else.
type believing struct {
	*sink
	history *history.History
	forged  atomic.Pointer[event.Batch]
}

func (s *believing) Apply(batches []*event.Batch) error {
	for _, b := range batches {
		s.history.Mu.Lock()
		ok := b.Position <= s.history.Newest.Position
		if ok {
			real, err := wire.DecodeBatch(s.history.Batches[b.Position-1])
			ok = err == nil && real.Hash == b.Hash
		}
		s.history.Mu.Unlock()
		if !ok {
			s.forged.Store(b)
		}
	}
	return s.sink.Apply(batches)
}

// another makes batches that follow a history and are not of it. The first gives
// somebody a key.
func another(t testing.TB, h *history.History, n int) [][]byte {
	t.Helper()
	other := history.Copy(t, h)
	other.Users = 1_000_000
	other.Grow(t, n)
	return other.Batches[len(h.Batches):]
}

// attacked is a stream with the first batches of a history, signed as they should
// be, a follower that has applied them, and a client that may do anything.
type attacked struct {
	history  *history.History
	link     *Link
	subject  string
	writer   *history.Writer
	sink     *believing
	follower *Follower
	log      *capture
	stop     func() error
}

func attack(t *testing.T) *attacked {
	a := &attacked{history: history.New(t, "aa"), link: openNATS(t), log: new(capture)}
	h := a.history
	h.Grow(t, 49)
	cfg := streamConfig(h.Cluster(), 1, 1)
	if _, err := a.link.js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	a.subject = cfg.Subjects[0]
	a.publish(t, h.Batches...)
	a.writer, a.sink = history.Serve(t, h), &believing{sink: newSink(), history: h}
	a.follower, a.stop = startFollower(t, FollowerConfig{
		Cluster: history.ClusterID, Sink: a.sink, Source: history.SourceOf(t, a.writer), Link: a.link, Logger: a.log.logger(),
	})
	a.sink.wait(t, h)
	await(t, "streaming", func() bool { return a.follower.Status().Mode == Streaming })
	return a
}

// publish puts batches on the stream as a writer does.
func (a *attacked) publish(t testing.TB, batches ...[]byte) {
	t.Helper()
	for _, b := range batches {
		a.put(t, theWriter().message(t, a.subject, b))
	}
}

func (a *attacked) put(t testing.TB, messages ...*nats.Msg) {
	t.Helper()
	for _, m := range messages {
		if _, err := a.link.js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

// requests is how many the writer was asked over HTTP for batches.
func (a *attacked) requests() int { return a.writer.Count("GET " + tail.EventsPath) }

// bare are messages without a signature.
func (a *attacked) bare(batches ...[]byte) (messages []*nats.Msg) {
	for _, b := range batches {
		messages = append(messages, &nats.Msg{Subject: a.subject, Data: b})
	}
	return messages
}

// changing signs what it has changed.
type changing struct {
	*notary
	change func(*event.SignedBatch)
}

func (c changing) Sign(b *event.SignedBatch) error {
	c.change(b)
	return c.notary.Sign(b)
}

// by are messages with signatures over batches as they are, changed before they are
// signed.
func (a *attacked) by(t testing.TB, n *notary, change func(*event.SignedBatch), batches ...[]byte) (messages []*nats.Msg) {
	for _, encoded := range batches {
		p := &Publisher{cfg: PublisherConfig{Log: a.history, Signer: changing{n, change}}}
		m := &nats.Msg{Subject: a.subject, Data: encoded}
		var err error
		if m.Header, err = p.sign(encoded); err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
	return messages
}

// diverging gives a batch another digest of the state, and a hash that fits.
func diverging(t *testing.T, encoded []byte) []byte {
	t.Helper()
	b, err := wire.DecodeBatch(encoded)
	if err != nil {
		t.Fatal(err)
	}
	b.State[0]++
	out, err := wire.EncodeBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestForgeries has a client that speaks nothing but NATS, and may do there whatever
// it likes, append to the stream what it made itself, or what it found. A follower
// answers from none of it, ends for none of it, and goes on after one repair.
// forgery is what an attacker puts into the stream.
type forgery struct {
	attack   func(t *testing.T, a *attacked) []*nats.Msg // after batch 50
	harmless bool                                        // nothing is refused
}

// unchanged leaves what is signed as it is.
func unchanged(*event.SignedBatch) {}

// forgedSignatures are batches of another history, signed by whom or for what they should
// not be.
var forgedSignatures = map[string]forgery{
	"a batch without a signature": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		return a.bare(another(t, a.history, 1)...)
	}},
	"a batch that leads to another state than it says": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		return a.bare(diverging(t, another(t, a.history, 1)[0]))
	}},
	"a replica's signature": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		return a.by(t, newNotary("replica"), unchanged, another(t, a.history, 2)...)
	}},
	"a replica's signature under a writer's certificate": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		return a.by(t, newNotary("writer"), unchanged, another(t, a.history, 2)...)
	}},
	"a writer's signature for another cluster": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		return a.by(t, theWriter(), func(b *event.SignedBatch) { b.Cluster = "other" }, another(t, a.history, 1)...)
	}},
	"a writer's signature for another incarnation": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		return a.by(t, theWriter(), func(b *event.SignedBatch) { b.Incarnation = "other" }, another(t, a.history, 1)...)
	}},
	"a writer's signature for another position": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		return a.by(t, theWriter(), func(b *event.SignedBatch) { b.Position-- }, another(t, a.history, 1)...)
	}},
	"a writer's signature for another hash": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		m := theWriter().message(t, a.subject, a.history.Batches[49])
		m.Data = another(t, a.history, 1)[0]
		return []*nats.Msg{m}
	}},
	"a signed head is no signed batch": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		m := a.by(t, theWriter(), unchanged, another(t, a.history, 1)...)
		h := event.SignedHead{Cluster: history.ClusterID, Incarnation: "aa", Position: 51}
		m[0].Header.Set(headerSignature, string(h.Statement()))
		return m
	}},
}

// forgedOrders are batches, forged or not, in an order that no writer publishes.
var forgedOrders = map[string]forgery{
	"a forgery behind a good batch": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		a.history.Grow(t, 1)
		return append([]*nats.Msg{theWriter().message(t, a.subject, a.history.Batches[50])}, a.bare(another(t, a.history, 3)...)...)
	}},
	"a forgery that good batches follow": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		forged := a.bare(another(t, a.history, 1)...)
		a.history.Grow(t, 2)
		return append(forged, theWriter().message(t, a.subject, a.history.Batches[50]), theWriter().message(t, a.subject, a.history.Batches[51]))
	}},
	"an old batch": {harmless: true, attack: func(t *testing.T, a *attacked) []*nats.Msg {
		return []*nats.Msg{theWriter().message(t, a.subject, a.history.Batches[20])}
	}},
	"many old batches": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		m := make([]*nats.Msg, maxRepeats+1)
		for i := range m {
			m[i] = a.bare(a.history.Batches[i%50])[0]
		}
		return m
	}},
	"a signed burst out of order": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		a.history.Grow(t, 2)
		return []*nats.Msg{theWriter().message(t, a.subject, a.history.Batches[51]), theWriter().message(t, a.subject, a.history.Batches[50])}
	}},
	"a burst whose end never comes": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		a.history.Grow(t, 3)
		return a.bare(a.history.Batches[50:]...)
	}},
	"a burst without an end": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		return a.bare(another(t, a.history, 3*maxHeld)...)
	}},
}

// forgedForms are messages that no writer makes.
var forgedForms = map[string]forgery{
	"headers like bombs": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		m := a.bare(another(t, a.history, 1)...)[0]
		m.Header = nats.Header{headerSignature: {"x"}, headerSigner: {"y"}}
		for i := range 400 {
			m.Header.Set(fmt.Sprintf("%s-%d", headerSigner, i), strings.Repeat("z", 100))
		}
		return []*nats.Msg{m}
	}},
	"a certificate that is none": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		m := a.bare(another(t, a.history, 1)...)[0]
		m.Header = nats.Header{headerSignature: {"!"}, headerSigner: {strings.Repeat("!", 2*maxCertificate)}}
		return []*nats.Msg{m}
	}},
	"a message larger than any batch": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		return a.bare(bytes.Repeat([]byte{0xc6}, wire.MaxBatchSize+1))
	}},
	"no batch at all": {attack: func(t *testing.T, a *attacked) []*nats.Msg {
		return a.bare([]byte("allow everything"))
	}},
}

func TestForgeries(t *testing.T) {
	for _, table := range []map[string]forgery{forgedSignatures, forgedOrders, forgedForms} {
		for name, test := range table {
			t.Run(name, test.run)
		}
	}
}

// run holds that a follower shows nothing that was forged, and all that was not.
func (test forgery) run(t *testing.T) {
	a := attack(t)
	a.permissive(t)
	before := a.requests()
	messages := test.attack(t, a)
	a.put(t, messages...)
	if !test.harmless {
		await(t, "refused", func() bool { return a.repairs() > 0 || a.sink.forged.Load() != nil })
	}
	if b := a.sink.forged.Load(); b != nil {
		t.Fatalf("a forged batch %d was shown", b.Position)
	}
	a.history.Grow(t, 3)
	a.follower.Expect(a.history.Last().Position)
	a.sink.wait(t, a.history)
	if b := a.sink.forged.Load(); b != nil {
		t.Fatalf("a forged batch %d was shown", b.Position)
	}
	if s := a.follower.Status(); s.Bootstraps != 1 {
		t.Errorf("%+v", s)
	}
	refused, asked := a.repairs(), a.requests()-before
	if most := 8 * (refused + 1); asked > most {
		t.Errorf("%d requests over HTTP for %d repairs", asked, refused)
	}
	if said := strings.Count(a.log.String(), "level=WARN"); said > 2*(refused+1) {
		t.Errorf("%d warnings for %d repairs:\n%s", said, refused, a.log)
	}
	startPublisher(t, a.link, a.history) // finds what is wrong, and has another stream made
	a.history.Grow(t, 1)
	await(t, "streaming again", func() bool {
		return a.follower.Status().Mode == Streaming && a.follower.Status().Stream == streamName(a.history.Cluster())
	})
	a.writer.Set(func() { a.writer.Down = true })
	a.history.Grow(t, 100)
	a.sink.wait(t, a.history)
	if err := a.stop(); err != nil && err != context.Canceled {
		t.Error(err)
	}
}

// repairs is how many feeds of the stream ended because of what they brought.
func (a *attacked) repairs() int {
	s := a.follower.Status()
	return s.Refused + s.Unproved
}

// permissive lets the stream take messages that a publisher's would refuse.
func (a *attacked) permissive(t *testing.T) {
	t.Helper()
	cfg := streamConfig(a.history.Cluster(), 1, 1)
	cfg.MaxMsgSize = -1
	if _, err := a.link.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

// TestFloodOfForgeries has forgeries come without a pause, each in the place of the
// next batch. Repairs become rare, and so do the requests they cost.
func TestFloodOfForgeries(t *testing.T) {
	const repairs = 7
	a := attack(t)
	before, began := a.requests(), time.Now()
	var flood sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	flood.Go(func() {
		for ctx.Err() == nil { // each follower that attaches finds one where it goes on
			forged := theWriter().message(t, a.subject, a.history.Batches[49])
			forged.Data = []byte("forged")
			if _, err := a.link.js.PublishMsg(ctx, forged); err != nil {
				return
			}
		}
	})
	await(t, "refused", func() bool { return a.repairs() >= repairs })
	took, asked := time.Since(began), a.requests()-before
	cancel()
	flood.Wait()
	var least time.Duration // between the first and the last
	for n, hold := 1, 2*minHold; n < repairs; n, hold = n+1, min(2*hold, maxHold) {
		least += hold
	}
	if took < least {
		t.Errorf("%d repairs within %v, less than %v", repairs, took, least)
	}
	if most := 4*repairs + int(took/tailWait); asked > most {
		t.Errorf("%d requests over HTTP, more than %d", asked, most)
	}
	a.history.Grow(t, 3)
	a.sink.wait(t, a.history)
	if s := a.follower.Status(); s.Bootstraps != 1 || a.sink.forged.Load() != nil {
		t.Errorf("%+v", s)
	}
}

// TestGenerationsAreBounded has somebody put a message of his own on every stream
// that a publisher makes. The commands that this costs are bounded, readers follow.
func TestGenerationsAreBounded(t *testing.T) {
	l := openNATS(t)
	h := history.New(t, "aa")
	h.Grow(t, 10)
	log := new(capture)
	p := publisherOf(l, h)
	p.cfg.Logger = log.logger()
	if p.raises.Burst() != raiseBurst || p.raises.Limit() != rate.Every(raiseInterval) {
		t.Fatalf("%d at once, %v a second", p.raises.Burst(), p.raises.Limit())
	}
	const burst = 3
	p.raises.SetBurst(burst) // the waits between them double
	run(t, p.Run)
	w, s := history.Serve(t, h), newSink()
	f, _ := startFollower(t, FollowerConfig{Sink: s, Source: history.SourceOf(t, w), Link: dial(t, LinkConfig{Name: "follower", URLs: l.conn.Servers()})})
	begin := h.Cluster().StreamGeneration
	var attacks sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	attacks.Go(func() {
		for ctx.Err() == nil {
			_ = l.conn.Publish(streamSubject(h.Cluster()), []byte("forged"))
			_ = wake.After(ctx, time.Millisecond)
		}
	})
	await(t, "at its limit", func() bool {
		h.Grow(t, 1) // else damage is found by the checks of every checkInterval
		return strings.Contains(log.String(), "too many new generations were asked for")
	})
	for range 3 {
		h.Grow(t, 50)
		f.Expect(h.Last().Position)
		s.wait(t, h)
	}
	cancel()
	attacks.Wait()
	if raised := int(h.Cluster().StreamGeneration - begin); raised > burst+1 {
		t.Errorf("%d new generations", raised)
	}
	if said := strings.Count(log.String(), "publishing to the stream"); said > 2*sayBurst+1 {
		t.Errorf("%d lines", said)
	}
	if f.Status().Bootstraps != 1 {
		t.Errorf("%+v", f.Status())
	}
}

// TestStreamBeyondTheHistory has somebody make the stream first, beginning where no
// history will ever be.
func TestStreamBeyondTheHistory(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 10)
	l := openNATS(t)
	if _, err := l.js.CreateStream(t.Context(), streamConfig(h.Cluster(), 1, 1<<40)); err != nil {
		t.Fatal(err)
	}
	startPublisher(t, l, h)
	await(t, "renewed", func() bool { return h.Cluster().StreamGeneration == 2 })
	published(t, l, h)
	checkStream(t, l, h)
}

// TestBurstsAreSigned has every message after which nothing is ready, and one in at
// most maxBurst of the others, carry a signature.
func TestBurstsAreSigned(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 1000)
	l := openNATS(t)
	startPublisher(t, l, h)
	published(t, l, h)
	for range 5 {
		h.Grow(t, 1)
		published(t, l, h)
	}
	stream, err := l.js.Stream(t.Context(), streamName(h.Cluster()))
	if err != nil {
		t.Fatal(err)
	}
	burst, signatures := 0, 0
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		burst++
		by := signatureOf(m.Header)
		if by.value == "" {
			if seq > 1001 {
				t.Errorf("batch %d is not signed, although nothing followed it", seq)
			}
			continue
		}
		batch, err := wire.DecodeBatch(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := by.signed(batch)
		if err != nil {
			t.Fatal(err)
		}
		if err := theWriter().Vouched(signed); err != nil || burst > maxBurst {
			t.Errorf("batch %d ends a burst of %d: %v", seq, burst, err)
		}
		burst = 0
		signatures++
	}
	if signatures > 1001/maxBurst+1001/window+16 {
		t.Errorf("%d signatures", signatures)
	}
}

// TestWithoutVouchers has a follower that nobody told who is a writer.
func TestWithoutVouchers(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 1)
	f := NewFollower(FollowerConfig{Sink: newSink(), Source: history.SourceOf(t), Logger: quiet})
	b, err := wire.DecodeBatch(h.Batches[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := f.vouched(b, signatureOf(theWriter().message(t, "x", h.Batches[1]).Header)); err == nil {
		t.Error("believed")
	}
}

// TestInboxIsBounded has more bytes arrive than a follower keeps unread.
func TestInboxIsBounded(t *testing.T) {
	f, feed := NewFollower(FollowerConfig{Sink: newSink(), Source: history.SourceOf(t), Logger: quiet}), newFeed(t.Context(), "stream")
	in := newInbox()
	var took atomic.Int64
	var arrivals sync.WaitGroup
	arrivals.Go(func() {
		for range 2 * maxReceived / wire.MaxBatchSize {
			f.take(feed, in, arrival(wire.MaxBatchSize))
			if !feed.ended() {
				took.Add(1)
			}
		}
	})
	await(t, "full", func() bool { return !in.room.TryAcquire(wire.MaxBatchSize) })
	if n := took.Load(); n*wire.MaxBatchSize > maxReceived {
		t.Errorf("%d messages of %d bytes were taken", n, wire.MaxBatchSize)
	}
	f.take(feed, in, arrival(wire.MaxBatchSize+1))
	arrivals.Wait()
	if !errors.Is(feed.failure(), ErrRefused) {
		t.Error(feed.failure())
	}
}

// arrived is a message of a consumer.
type arrived struct {
	jetstream.Msg
	data []byte
}

func arrival(size int) jetstream.Msg   { return arrived{data: make([]byte, size)} }
func (a arrived) Data() []byte         { return a.data }
func (a arrived) Headers() nats.Header { return nil }

// TestWhatArrivesInTheInbox has somebody learn where a follower hears its consumer,
// and speak there for NATS itself.
func TestWhatArrivesInTheInbox(t *testing.T) {
	a := attack(t)
	var inbox atomic.Pointer[string] // the latest that a request named
	sub, err := a.link.conn.Subscribe("$JS.API.CONSUMER.MSG.NEXT.>", func(m *nats.Msg) { inbox.Store(&m.Reply) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	startPublisher(t, a.link, a.history)
	if _, err := a.link.js.Stream(t.Context(), streamName(a.history.Cluster())); err != nil { // the subscription is known by then
		t.Fatal(err)
	}
	if err := a.link.js.DeleteStream(t.Context(), streamName(a.history.Cluster())); err != nil { // so the follower asks anew
		t.Fatal(err)
	}
	status := func(code, text string, pairs ...string) *nats.Msg {
		m := &nats.Msg{Header: nats.Header{"Status": {code}, "Description": {text}}}
		for i := 0; i < len(pairs); i += 2 {
			m.Header.Set(pairs[i], pairs[i+1])
		}
		return m
	}
	for name, spoken := range map[string]*nats.Msg{
		"a forged batch":            a.bare(another(t, a.history, 1)...)[0],
		"a real batch again":        theWriter().message(t, a.subject, a.history.Batches[10]),
		"a message too large":       {Data: bytes.Repeat([]byte{1}, wire.MaxBatchSize+1)},
		"nothing":                   {},
		"a heartbeat":               status("100", "Idle Heartbeat", "Nats-Last-Consumer", "99999999", "Nats-Last-Stream", "99999999"),
		"a heartbeat of no sense":   status("100", "Idle Heartbeat", "Nats-Last-Consumer", "-1", "Nats-Consumer-Stalled", a.subject),
		"flow control":              status("100", "FlowControl Request"),
		"an end of requests":        status("408", "Request Timeout", "Nats-Pending-Messages", "-5", "Nats-Pending-Bytes", "x"),
		"too much pending":          status("408", "Request Timeout", "Nats-Pending-Messages", "9223372036854775807", "Nats-Pending-Bytes", "9223372036854775807"),
		"a consumer that is gone":   status("409", "Consumer Deleted"),
		"a server that goes":        status("409", "Server Shutdown"),
		"a pin that was not wanted": status("423", "Nats-Wrong-Pin-Id"),
		"no such status":            status("x", "y"),
	} {
		await(t, "streaming", func() bool {
			return inbox.Load() != nil && a.follower.Status().Mode == Streaming && a.follower.Status().Stream == streamName(a.history.Cluster())
		})
		for range 20 {
			m := *spoken
			m.Subject, m.Reply = *inbox.Load(), ""
			if err := a.link.conn.PublishMsg(&m); err != nil {
				t.Fatal(err)
			}
		}
		a.history.Grow(t, 5)
		a.follower.Expect(a.history.Last().Position)
		await(t, "there", func() bool { _, head := a.sink.Snapshot(); return head == a.history.Last() })
		if b := a.sink.forged.Load(); b != nil {
			t.Fatalf("%s: a forged batch %d was shown", name, b.Position)
		}
		if s := a.follower.Status(); s.Bootstraps != 1 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
