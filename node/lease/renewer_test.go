package lease

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
	"github.com/writ-iam/writ/test/layout"
	"github.com/writ-iam/writ/test/roundtrip"
)

// answers answers what replicas ask a leader; the first of each kind opens a session.
type answers struct {
	mu          sync.Mutex
	kinds       []propagation.Kind // of leases, in order; the last goes on
	incarnation string
	renewals    []propagation.Renewal
	registered  int
	standing    string // if set, everything is refused for it
	refused     int
}

// set changes what is answered from now on.
func (a *answers) set(standing string, kinds ...propagation.Kind) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.standing, a.kinds = standing, kinds
}

func (a *answers) serve(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x := propagation.Answer{Cluster: "c", Incarnation: a.incarnation, Term: 1, Opening: propagation.Opening{Term: 1, Number: 1}, Head: event.Head{Position: 9}}
	if r.URL.Path == Path && a.standing != "" {
		a.renewals = append(a.renewals, propagation.Renewal{})
	}
	if a.standing != "" {
		a.refused++
		return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{peer.HeaderStanding: {a.standing}}, Body: http.NoBody}, nil
	}
	switch r.URL.Path {
	case Path:
		var q propagation.Renewal
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			return nil, err
		}
		a.renewals = append(a.renewals, q)
		x.Kind, x.Nonce, x.Seq, x.Duration = a.kinds[0], q.Nonce, q.Seq, 3*time.Second
		if len(a.kinds) > 1 {
			a.kinds = a.kinds[1:]
		}
	case HeadPath:
		var q propagation.Read
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			return nil, err
		}
		x.Kind, x.Nonce, x.Seq = propagation.KindHead, q.Nonce, q.Seq
	case RegisterPath:
		a.registered++
	}
	body, err := json.Marshal(x)
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(body)))}, err
}

func (a *answers) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.renewals)
}

// last is the latest renewal.
func (a *answers) last() propagation.Renewal {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.renewals[len(a.renewals)-1]
}

// finderAmong finds the leader among three writers that answer without a network.
func finderAmong(writers http.RoundTripper) *peer.Finder {
	c := &http.Client{Transport: writers}
	return peer.NewFinderOver(c, c, peer.NewDirectory([]setup.Writer{{Name: "a", Peer: "a:1"}, {Name: "b", Peer: "b:1"}, {Name: "c", Peer: "c:1"}}))
}

// alone is a replica of which a renewer is all.
type alone struct{}

// Heard and Endpoint are those of around.
func (alone) Heard(uint64, event.Position) {}
func (alone) Endpoint() string             { return "" }
func (alone) SealKeys() []string           { return []string{} }

// Certificates are none.
func (alone) Certificates() []shape.Certificate { return nil }

func newRenewer(a *answers) (*Renewer, Sink) {
	f := finderAmong(roundtrip.ByHost{"a:1": a.serve, "b:1": a.serve, "c:1": a.serve})
	f.Learn("a:1")
	p := projection.New()
	r := NewRenewer(Config{
		Replica: setup.Replica{Name: "r1", Class: "tight"}, Cluster: "c", Process: NewNonce(), Clocks: ReadClocks(time.Now()),
		Finder: f, Projection: p, Node: alone{}, Logger: slog.New(slog.DiscardHandler),
	})
	return r, Sink{p, r}
}

func TestRenewing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{incarnation: "i", kinds: []propagation.Kind{propagation.KindUnregistered, propagation.KindOpen, propagation.KindGrant}}
		r, s := newRenewer(a)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx) }()
		synctest.Wait()
		if a.count() != 0 {
			t.Fatal("a replica without a state renews")
		}
		if _, err := r.StrictHead(t.Context()); err == nil {
			t.Error("a replica of no incarnation compares positions")
		}
		s.Restore(layout.State(t, "i", 5))
		time.Sleep(2 * time.Second) // of the bubble's clock
		synctest.Wait()
		if a.registered != 1 || !r.held.Load() || !r.snapshot.Load().Valid(r.clocks()) || r.snapshot.Load().Head() != 9 {
			t.Errorf("registered %d times, held %v", a.registered, r.held.Load())
		}
		if head, err := r.StrictHead(t.Context()); err != nil || head.Position != 9 {
			t.Errorf("the strict head is %v, %v", head, err)
		}
		if _, err := r.Fresh().Cover(5, propagation.Ask{Mode: propagation.ModeLeased}); err != nil {
			t.Errorf("not leased: %v", err)
		}
		a.mu.Lock()
		a.kinds = []propagation.Kind{propagation.KindOpen, propagation.KindGrant}
		a.mu.Unlock()
		// a step back withdraws the lease, before the state is replaced
		s.Restore(layout.State(t, "i", 3))
		if _, err := r.Fresh().Cover(3, propagation.Ask{Mode: propagation.ModeLeased}); err == nil {
			t.Error("leased after a step back")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, err := r.Fresh().Cover(3, propagation.Ask{Mode: propagation.ModeLeased}); err != nil {
			t.Errorf("not leased again: %v", err)
		}
		// a state that is not the cluster's: it answers nothing, says so at once and
		// then again, and no grant changes that
		wrong := &event.Batch{Position: 4, Cluster: "c", Incarnation: "i"}
		if err := s.Apply([]*event.Batch{wrong}); err == nil {
			t.Error("a wrong digest was taken")
		}
		synctest.Wait()
		told := a.last()
		if r.snapshot.Load().Quarantined() != propagation.KindDiverged || told.Fault != propagation.KindDiverged {
			t.Errorf("not quarantined, or not told: %+v", told)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if last := a.last(); last.Fault != propagation.KindDiverged || last.Seq == told.Seq {
			t.Errorf("the leader is not told again: %+v", last)
		}
		if _, err := r.Fresh().Cover(3, propagation.Ask{Mode: propagation.ModeAny}); !errors.Is(err, propagation.ErrQuarantined) {
			t.Errorf("it answers: %v", err)
		}
		a.mu.Lock()
		a.incarnation = "another"
		a.mu.Unlock()
		if _, err := r.StrictHead(t.Context()); err == nil {
			t.Error("the head of another incarnation was taken")
		}
		cancel()
		<-done
	})
}

// A change after a quiet time is reported at once; those that follow gather.
func TestChangesGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{incarnation: "i", kinds: []propagation.Kind{propagation.KindOpen, propagation.KindGrant}}
		r, s := newRenewer(a)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx) }()
		s.Restore(layout.State(t, "i", 5))
		time.Sleep(200 * time.Millisecond) // of the bubble's clock; the next in turn is later
		synctest.Wait()
		before := a.count()
		apply := func(at event.Position) {
			state, head := layout.State(t, "i", at)
			r.projection.Adopt(state, head)
			synctest.Wait()
		}
		apply(6)
		if a.count() != before+1 || a.last().Position != 6 {
			t.Errorf("%d renewals, the last at %d", a.count()-before, a.last().Position)
		}
		apply(7)
		apply(8)
		if a.count() != before+1 {
			t.Error("changes are reported one by one")
		}
		time.Sleep(gather + gather/2)
		synctest.Wait()
		if a.count() != before+2 || a.last().Position != 8 {
			t.Errorf("%d renewals, the last at %d", a.count()-before, a.last().Position)
		}
		cancel()
		<-done
	})
}

// A state is replaced by a writer's only after the leader has looked at it, and not
// if it is of another history.
func TestMayReplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{incarnation: "i", kinds: []propagation.Kind{propagation.KindOpen, propagation.KindGrant}}
		r, s := newRenewer(a)
		s.Restore(layout.State(t, "i", 5))
		if err := r.MayReplace(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nobody has judged it: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx) }()
		for _, kind := range []propagation.Kind{propagation.KindGrant, propagation.KindBehind, propagation.KindUnregistered} {
			a.mu.Lock()
			a.kinds = []propagation.Kind{kind}
			a.mu.Unlock()
			before := a.count()
			if err := r.MayReplace(t.Context()); err != nil || a.count() == before {
				t.Errorf("%s: %v, %d renewals after %d", kind, err, a.count(), before)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		for kind, want := range map[propagation.Kind]error{
			propagation.KindNotLeader: context.DeadlineExceeded,
			propagation.KindFork:      errForked, propagation.KindDiverged: nil, propagation.KindWrongIncarnation: nil,
		} {
			a.mu.Lock()
			a.kinds = []propagation.Kind{kind}
			a.mu.Unlock()
			if err := r.MayReplace(t.Context()); !errors.Is(err, want) {
				t.Errorf("%s: %v", kind, err)
			}
			s.Restore(layout.State(t, "i", 5)) // out of quarantine
		}
		cancel()
		<-done
	})
}

// While the state is replaced again and again, no renewal reports what is about to
// go: the lease would find that the next report is below it, and panic.
func TestRenewingRacesRestore(t *testing.T) {
	a := &answers{incarnation: "i", kinds: []propagation.Kind{propagation.KindOpen}}
	r, s := newRenewer(a)
	s.Restore(layout.State(t, "i", 5))
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 300 {
			s.Restore(layout.State(t, "i", event.Position(5-i%2)))
		}
	})
	wg.Go(func() {
		for range 300 {
			r.once(t.Context())
		}
	})
	wg.Wait()
}

// A replica that was removed while it runs drops its lease and stays out, asks seldom
// whether it was admitted, and registers by itself when it was.
func TestRemovedReaderStaysOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{incarnation: "i", kinds: []propagation.Kind{propagation.KindOpen, propagation.KindGrant}}
		r, s := newRenewer(a)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx) }()
		s.Restore(layout.State(t, "i", 5))
		time.Sleep(time.Minute) // of the bubble's clock
		a.set("barred")
		time.Sleep(time.Second)
		synctest.Wait()
		if a.registered != 0 || !r.Removed() || r.snapshot.Load().Valid(r.clocks()) {
			t.Errorf("registered %d times, removed is %v, the lease is in force: %v", a.registered, r.Removed(), r.snapshot.Load().Valid(r.clocks()))
		}
		asked := a.count()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := a.count() - asked; n == 0 || n > int(time.Minute/peer.RestEvery) {
			t.Errorf("it asks %d times a minute", n)
		}
		a.set("", propagation.KindUnregistered, propagation.KindOpen, propagation.KindDraining)
		time.Sleep(time.Minute)
		synctest.Wait()
		if a.registered != 1 || r.Removed() || !r.Draining() {
			t.Errorf("admitted, it registered %d times, removed is %v, draining %v", a.registered, r.Removed(), r.Draining())
		}
		cancel()
		<-done
	})
}

// A replica without a state registers first, asks seldom while it is barred, and says so.
func TestBarredReaderDoesNotJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{incarnation: "i"}
		a.set("barred")
		r, _ := newRenewer(a)
		joined := make(chan error, 1)
		go func() { joined <- r.Enter(t.Context()) }()
		time.Sleep(time.Minute) // of the bubble's clock
		synctest.Wait()
		if n := a.refused; n == 0 || n > int(time.Minute/peer.RestEvery) || !r.Removed() {
			t.Errorf("it asked %d times in a minute, removed is %v", n, r.Removed())
		}
		a.set("")
		if err := <-joined; err != nil || a.registered != 1 {
			t.Errorf("admitted, it registered %d times: %v", a.registered, err)
		}
	})
}
