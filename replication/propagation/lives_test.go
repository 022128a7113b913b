package propagation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// term is a leader of one term over a log in which every fence is committed at once.
type term struct {
	*Tracker
	t   *testing.T
	v   Shown
	now Clocks
	// fence is the latest.
	fence Fence
}

func newTerm(t *testing.T, number uint64, v Shown) *term {
	x := &term{t: t, v: v}
	x.Tracker = NewTracker(DefaultParams(), simCluster, simEpoch, number, x.now, v)
	return x
}

func viewOf(replicas int) Shown {
	return Shown{Head: headAt(2000), Roster: rosterOf(replicas), Lives: event.Lives{Complete: true}}
}

// ask is one tick with these renewals.
func (x *term) ask(qs ...Renewal) []Answer {
	x.t.Helper()
	x.now.Monotonic += TickEvery
	for _, q := range qs {
		q.Cluster, q.Incarnation, q.Position, q.Hash = simCluster, simEpoch, x.v.Head.Position, x.v.Head.Hash
		q.Seq = uint64(x.now.Monotonic)
		if _, ok := x.Renew(q); !ok {
			x.t.Fatal("busy")
		}
	}
	ok := false
	if x.fence, ok = x.BeginTick(x.now); !ok {
		x.t.Fatal("no tick")
	}
	x.v.Lives = x.v.Lives.Change(x.fence.Opened, x.fence.Dropped)
	var out []Answer
	for _, r := range x.EndTick(x.now, x.term, x.v, recordAt) {
		out = append(out, r.Answer)
	}
	return out
}

func (x *term) wait(d time.Duration) { x.now.Monotonic += d }

// One name gets so many lives and no more; other names get theirs all the same, and
// a life that has run out makes room.
func TestLivesOfANameAreBounded(t *testing.T) {
	x := newTerm(t, 1, viewOf(2))
	const name, other = "replica-0000", "replica-0001"
	for i := range MaxLives {
		if a := x.ask(Renewal{Replica: name, Nonce: fmt.Sprint("n", i)})[0]; a.Kind != KindOpen {
			t.Fatalf("life %d: %+v", i, a)
		}
	}
	a := x.ask(Renewal{Replica: name, Nonce: "one more"}, Renewal{Replica: other, Nonce: "n"}, Renewal{Replica: name, Nonce: "n0"})
	if a[0].Kind != KindBusy || !strings.Contains(a[0].Reason, "16 processes of "+name) || a[1].Kind != KindOpen || a[2].Kind != KindOpen {
		t.Errorf("beyond the bound: %+v", a)
	}
	if n := x.v.Lives.Len(); n != MaxLives+1 {
		t.Errorf("%d lives are in the log", n)
	}
	// Who holds a lease keeps its place, the others lose theirs.
	if a := x.ask(Renewal{Replica: name, Nonce: "n0", Opening: a[2].Opening}); a[0].Kind != KindGrant {
		t.Fatalf("%+v", a)
	}
	x.wait(x.linger())
	x.ask(Renewal{Replica: other, Nonce: "n"})
	if got := slices.Collect(x.v.Lives.All()); !slices.Equal(got, []event.Life{{Replica: name, Nonce: "n0"}, {Replica: other, Nonce: "n"}}) {
		t.Errorf("in the log are %v", got)
	}
	if a := x.ask(Renewal{Replica: name, Nonce: "one more"})[0]; a.Kind != KindOpen {
		t.Errorf("after the others have run out: %+v", a)
	}
}

// All names together get so many lives and no more, over several leaders.
func TestAllLivesAreBounded(t *testing.T) {
	const replicas = MaxAllLives/MaxLives + 1
	v := viewOf(replicas)
	var list []event.Life
	for i := range MaxAllLives {
		list = append(list, event.Life{Replica: v.Roster.Registered[i/MaxLives].Name, Nonce: fmt.Sprint("n", i)})
	}
	v.Lives = event.LivesOf(true, list)
	x := newTerm(t, 2, v)
	last := v.Roster.Registered[replicas-1].Name
	if a := x.ask(Renewal{Replica: last, Nonce: "n"})[0]; a.Kind != KindBusy || !strings.Contains(a.Reason, "4096") || x.v.Lives.Len() != MaxAllLives {
		t.Errorf("%+v, %d lives", a, x.v.Lives.Len())
	}
	x.wait(x.window(x.params.Duration))
	x.ask(Renewal{Replica: last, Nonce: "n"})
	if a := x.ask(Renewal{Replica: last, Nonce: "n"})[0]; a.Kind != KindOpen || !x.v.Lives.Has(event.Life{Replica: last, Nonce: "n"}) {
		t.Errorf("after the others have run out: %+v", a)
	}
}

// A fence opens and drops so many lives; the next one does the rest. Who is not named
// yet gets no lease.
func TestTurnoverIsBounded(t *testing.T) {
	x := newTerm(t, 1, viewOf(MaxTurnover+1))
	var qs []Renewal
	for _, m := range x.v.Roster.Registered {
		qs = append(qs, Renewal{Replica: m.Name, Nonce: "n"})
	}
	answers := x.ask(qs...)
	if len(x.fence.Opened) != MaxTurnover || x.v.Lives.Len() != MaxTurnover {
		t.Errorf("one fence opens %d", len(x.fence.Opened))
	}
	for i := range qs {
		qs[i].Opening = answers[i].Opening
	}
	answers = x.ask(qs...)
	if kind := answers[MaxTurnover].Kind; kind != KindGrant || answers[0].Kind != KindGrant || len(x.fence.Opened) != 1 {
		t.Errorf("the second fence opens %d, and then the last is told %s", len(x.fence.Opened), kind)
	}
	x.wait(x.window(x.params.Duration))
	x.ask(Renewal{Replica: "nobody", Nonce: "n"})
	if len(x.fence.Dropped) != MaxTurnover || x.v.Lives.Len() != 1 {
		t.Errorf("one fence drops %d", len(x.fence.Dropped))
	}
	if x.ask(Renewal{Replica: "nobody", Nonce: "n"}); x.v.Lives.Len() != 0 || x.known != MaxTurnover+1 {
		t.Errorf("%d are left, %d are remembered", x.v.Lives.Len(), x.known) // the latest of each name
	}
}

// A life that the log does not name gets no lease, even if it has an opening: it was
// registered while a tick was under way, or dropped by one whose outcome nobody knows.
func TestNoLeaseUnlessNamed(t *testing.T) {
	x := newTerm(t, 1, viewOf(0))
	x.Renew(Renewal{Cluster: simCluster, Incarnation: simEpoch, Replica: "replica-0000", Nonce: "n", Position: 2000, Hash: hashAt(2000)})
	x.BeginTick(x.now)
	x.v.Roster = rosterOf(1)
	a := x.EndTick(x.now, 1, x.v, recordAt)[0].Answer
	if a.Kind != KindOpen || x.v.Lives.Len() != 0 {
		t.Fatalf("registered meanwhile: %+v, %d lives", a, x.v.Lives.Len())
	}
	q := Renewal{Replica: "replica-0000", Nonce: "n", Opening: a.Opening}
	if a := x.ask(q)[0]; a.Kind != KindGrant {
		t.Fatalf("named by this tick: %+v", a)
	}
	// A fence drops it; the leader does not learn of that.
	x.wait(x.window(x.params.Duration))
	x.Read(Read{Cluster: simCluster, Incarnation: simEpoch})
	if f, _ := x.BeginTick(x.now); len(f.Dropped) != 1 {
		t.Fatalf("it is not dropped: %+v", f)
	}
	x.FailTick()
	x.v.Lives = event.Lives{Complete: true}
	if a := x.ask(q)[0]; a.Kind != KindOpen || len(x.fence.Opened) != 0 {
		t.Errorf("dropped behind the leader's back: %+v", a)
	}
	if a := x.ask(q)[0]; a.Kind != KindGrant || len(x.fence.Opened) != 1 {
		t.Errorf("named again: %+v", a)
	}
}

// A nonce is bounded, and so is what one renewal tells to be over; what it tells is
// of its own name alone.
func TestWhatARenewalSaysIsBounded(t *testing.T) {
	x := newTerm(t, 1, viewOf(2))
	long := strings.Repeat("n", MaxNonce)
	a := x.ask(Renewal{Replica: "replica-0000", Nonce: long}, Renewal{Replica: "replica-0001", Nonce: long + "n"})
	if a[0].Kind != KindOpen || a[1].Kind != KindBusy || x.v.Lives.Len() != 1 {
		t.Errorf("%+v", a)
	}
	if a := x.ask(Renewal{Replica: "replica-0001", Ended: []string{long}}); a[0].Kind != KindEnded || x.v.Lives.Len() != 1 {
		t.Errorf("one name ends a life of another: %+v", a)
	}
	ended := make([]string, MaxEnded, MaxEnded+1)
	if x.ask(Renewal{Replica: "replica-0000", Ended: append(ended, long)}); x.v.Lives.Len() != 1 {
		t.Error("more is taken than may be told at once")
	}
	if x.ask(Renewal{Replica: "replica-0000", Ended: append(ended[1:], long)}); x.v.Lives.Len() != 0 {
		t.Error("the end of a life is not taken")
	}
}

// What a replica tells to be over is told until it is answered, and bounded.
func TestEndedIsToldUntilAnswered(t *testing.T) {
	l := NewLease(DefaultParams(), Replica{Name: "r", Cluster: simCluster, Incarnation: simEpoch}, "n1", "n0")
	at := Applied{Head: headAt(5)}
	answer := func(q Renewal, kind Kind) {
		l.Receive(Clocks{}, Answer{Kind: kind, Cluster: simCluster, Incarnation: simEpoch, Nonce: q.Nonce, Seq: q.Seq})
	}
	for _, kind := range []Kind{KindNotLeader, KindBusy} {
		q := l.Renew(Clocks{}, at)
		if answer(q, kind); !slices.Equal(q.Ended, []string{"n0"}) {
			t.Errorf("before an answer: %v", q.Ended)
		}
	}
	answer(l.Renew(Clocks{}, at), KindBehind)
	if q := l.Renew(Clocks{}, at); len(q.Ended) != 0 {
		t.Errorf("after an answer: %v", q.Ended)
	}
	l.StepBack("n2")
	l.StepBack("n3") // under n2 nothing was ever asked
	if q := l.Renew(Clocks{}, at); q.Nonce != "n3" || !slices.Equal(q.Ended, []string{"n1"}) {
		t.Errorf("after a step back: %+v", q)
	}
	for i := range MaxEnded {
		l.StepBack(fmt.Sprint("m", i))
		l.Renew(Clocks{}, at)
	}
	if q := l.Renew(Clocks{}, at); len(q.Ended) != MaxEnded || q.Ended[0] != "n3" {
		t.Errorf("after many: %v", q.Ended)
	}
}

// A replica that has stopped answers nothing as leased, takes nothing, asks nothing.
func TestStop(t *testing.T) {
	l := leasedReplica(t)
	now := Clocks{Monotonic: 16 * time.Second}
	q := l.Renew(now, Applied{Head: headAt(16)})
	grant := Answer{Kind: KindGrant, Cluster: simCluster, Incarnation: simEpoch, Nonce: q.Nonce, Seq: q.Seq, Opening: q.Opening, Duration: time.Minute, Head: headAt(16)}
	last, ok := l.Stop()
	if !ok || last.Nonce != "" || !slices.Equal(last.Ended, []string{"n"}) || last.Replica != "replica-0000" || last.Cluster != simCluster || last.Incarnation != simEpoch {
		t.Errorf("%+v", last)
	}
	if l.Receive(now, grant) || l.Snapshot().Valid(now) {
		t.Error("it has a lease")
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it asks for another")
			}
		}()
		l.Renew(now, Applied{Head: headAt(16)})
	}()
	if again, _ := l.Stop(); !slices.Equal(again.Ended, last.Ended) {
		t.Errorf("stopped twice: %+v", again)
	}
	never := NewLease(DefaultParams(), Replica{}, "n")
	if _, ok := never.Stop(); ok {
		t.Error("a replica that never asked has something to tell")
	}
}

// A replica that lags beyond the linger keeps its place in the log by renewing.
func TestRenewingKeepsALifeInTheLog(t *testing.T) {
	x := newTerm(t, 1, viewOf(2))
	q := Renewal{Replica: "replica-0000", Nonce: "n", Opening: x.ask(Renewal{Replica: "replica-0000", Nonce: "n"})[0].Opening}
	for range 8 {
		x.wait(x.params.Duration / RenewalsPerLease)
		x.ask(Renewal{Replica: "replica-0001", Nonce: "n"})
		q.Level = 0
		x.v.Level = 1 // it is too old for a lease
		if a := x.ask(q)[0]; a.Kind != KindBehind || len(x.fence.Opened)+len(x.fence.Dropped) > 0 {
			t.Fatalf("%+v, %+v", a, x.fence)
		}
	}
}
