package propagation

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// maxDuration bounds the durations for which the arithmetic of the leases is tested.
const maxDuration = time.Hour

// The defaults are numbers for which no arithmetic of the package can overflow.
func TestParams(t *testing.T) {
	p := DefaultParams()
	for what, good := range map[string]bool{
		"the duration":       time.Second <= p.Duration && p.Duration <= maxDuration,
		"the tight duration": time.Second <= p.Tight && p.Tight <= p.Duration,
		"the drift":          1 <= p.Drift && p.Drift <= 200,
		"the margin":         0 <= p.Margin && p.Margin <= time.Minute,
	} {
		if !good {
			t.Errorf("%s is out of bounds: %+v", what, p)
		}
	}
}

// The replica's clock may count 990 while 1000 pass, the leader's 1010.
func TestWindowOutlastsLease(t *testing.T) {
	p := DefaultParams()
	for _, d := range []time.Duration{1, time.Second, p.Tight, p.Duration, maxDuration} {
		leaseEnds := p.atMost(d)
		leaderWaits := p.Window(d) * 1000 / 1010
		if leaderWaits <= leaseEnds {
			t.Errorf("a lease of %v ends after %v, a leader waits %v", d, leaseEnds, leaderWaits)
		}
	}
	if got := p.atMost(math.MaxInt64); got != math.MaxInt64 {
		t.Errorf("a bound overflows to %v", got)
	}
}

func TestHeads(t *testing.T) {
	at := func(s int) Clocks { return Clocks{Monotonic: time.Duration(s) * time.Second} }
	var h heads
	for i := 1; i <= 100; i++ {
		h = h.add(at(i), event.Position(i/2), 8)
		if len(h) > 9 {
			t.Fatalf("%d facts are kept, of at most 9", len(h))
		}
	}
	for p := event.Position(0); p <= 50; p++ {
		k, ok := h.below(p)
		if !ok || k.position > p || k.at.Monotonic > at(int(2*p+1)).Monotonic {
			t.Errorf("below %d: %+v, %v", p, k, ok)
		}
		k, ok = h.reaching(p)
		if !ok || k.position < p || k.since.Monotonic < at(int(2*p)).Monotonic {
			t.Errorf("reaching %d: %+v, %v", p, k, ok)
		}
	}
	if _, ok := h.reaching(51); ok {
		t.Error("a head is known that never was")
	}
	if again := h.add(at(3), 99, 8); !reflect.DeepEqual(again, h) {
		t.Error("a fact from before the latest is taken")
	}
	later := h.add(at(200), 40, 8)
	if k, _ := later.below(50); k.position != 40 {
		t.Errorf("a lower head that is known later does not replace the higher: %+v", k)
	}
}

// A replica that got its state from an older copy without telling, so under the
// same nonce and opening.
func TestGoingBackIsFork(t *testing.T) {
	v := Shown{Head: headAt(9), Roster: rosterOf(1), Lives: event.Lives{Complete: true}}
	tr := NewTracker(DefaultParams(), simCluster, simEpoch, 1, Clocks{}, v)
	renew := func(seq uint64, opening Opening, p event.Position) Answer {
		now := Clocks{Monotonic: time.Duration(seq) * time.Second}
		tr.Renew(Renewal{
			Replica: "replica-0000", Cluster: simCluster, Incarnation: simEpoch, Nonce: "n",
			Opening: opening, Seq: seq, Position: p, Hash: hashAt(p),
		})
		f, _ := tr.BeginTick(now)
		v.Lives = v.Lives.Change(f.Opened, f.Dropped)
		return tr.EndTick(now, 1, v, recordAt)[0].Answer
	}
	opening := renew(1, Opening{}, 9).Opening
	if a := renew(2, opening, 9); a.Kind != KindGrant {
		t.Fatalf("a sound replica: %+v", a)
	}
	if a := renew(3, opening, 8); a.Kind != KindFork || !strings.Contains(a.Reason, "from position 9 to 8") {
		t.Errorf("went back: %+v", a)
	}
	if a := renew(4, opening, 9); a.Kind != KindFork {
		t.Errorf("after a fork, in the same opening: %+v", a)
	}
	if m := tr.Replicas(Clocks{Monotonic: 5 * time.Second})[0]; m.Acked != 0 || m.Fault != KindFork {
		t.Errorf("the tracker believes what it was told before: %+v", m)
	}
}

func TestBusy(t *testing.T) {
	tr := NewTracker(DefaultParams(), simCluster, simEpoch, 7, Clocks{}, Shown{Roster: &Roster{}})
	for i := range MaxWaiting {
		if _, ok := tr.Read(Read{Seq: uint64(i)}); !ok {
			t.Fatalf("request %d is refused", i)
		}
	}
	if _, ok := tr.Read(Read{}); ok {
		t.Fatal("more than MaxWaiting requests wait")
	}
	if a := tr.Busy("n", 3); a.Kind != KindBusy || a.Nonce != "n" || a.Seq != 3 || a.Term != 7 {
		t.Errorf("%+v", a)
	}
	// The tick in flight has its own; the next may fill while it lasts.
	if _, ok := tr.BeginTick(Clocks{}); !ok {
		t.Fatal("no tick")
	}
	if _, ok := tr.BeginTick(Clocks{Monotonic: time.Hour}); ok {
		t.Error("two ticks are in flight")
	}
	if _, ok := tr.NextTick(Clocks{Monotonic: time.Hour}); ok {
		t.Error("a tick is due while one is in flight")
	}
	tr.Renew(Renewal{Seq: 1})
	if n := len(tr.Close()); n != MaxWaiting+1 {
		t.Errorf("%d are told that the term is over, not all %d", n, MaxWaiting+1)
	}
}

// A floor causes a tick of its own at once, but no two between two other ticks.
func TestFloorAlone(t *testing.T) {
	v := Shown{Head: headAt(3), Roster: &Roster{}, Lives: event.Lives{Complete: true}}
	tr := NewTracker(DefaultParams(), simCluster, simEpoch, 1, Clocks{}, v)
	now := Clocks{}
	for i := event.Position(4); i < 7; i++ {
		v.Head = headAt(i)
		tr.Observe(now, v)
		if s, err := tr.Everywhere(now, i, Scope{}); err != nil || s.Settled || s.State != StateCommitted {
			t.Fatalf("nothing proves position %d: %+v, %v", i, s, err)
		}
		if f, ok := tr.BeginTick(now); !ok || f.Floor != v.Floor {
			t.Fatalf("a proof was asked for: %+v, %v", f, ok)
		}
		tr.EndTick(now, 1, v, recordAt)
		if s, err := tr.Everywhere(now, i, Scope{}); err != nil || !s.Settled || s.State == StateEverywhere {
			t.Fatalf("%+v, %v", s, err)
		}
		if wait, ok := tr.NextTick(now); !ok || wait != 0 {
			t.Fatalf("position %d: the floor waits for %v, %v", i, wait, ok)
		}
		now.Monotonic += TickEvery / 10
		f, ok := tr.BeginTick(now)
		if !ok || f.Floor != i {
			t.Fatalf("fence %+v, %v", f, ok)
		}
		v.Floor = f.Floor
		tr.EndTick(now, 1, v, recordAt)
		if s, err := tr.Everywhere(now, i, Scope{}); err != nil || s.State != StateEverywhere || s.Floor != i {
			t.Fatalf("%+v, %v", s, err)
		}
		tr.floorAsked = i + 1 // by somebody else, at once
		wait, ok := tr.NextTick(now)
		if want := TickEvery - TickEvery/10; !ok || wait != want {
			t.Fatalf("position %d: the next tick is in %v, %v, not in %v", i, wait, ok, want)
		}
		tr.floorAsked = 0
		now.Monotonic += wait
	}
	old := Shown{Head: headAt(1), Roster: &Roster{}}
	if tr.Observe(now, old); tr.shown.Head.Position != 6 {
		t.Error("a view from before replaces a later one")
	}
}

func TestLeaseRefuses(t *testing.T) {
	start := func() (*Lease, Renewal) {
		l := NewLease(DefaultParams(), Replica{Name: "r", Cluster: simCluster, Incarnation: simEpoch}, "n")
		q := l.Renew(Clocks{}, Applied{Head: headAt(5)})
		l.Receive(Clocks{}, Answer{Kind: KindOpen, Cluster: simCluster, Incarnation: simEpoch, Nonce: "n", Seq: q.Seq, Opening: Opening{1, 1}})
		return l, l.Renew(Clocks{}, Applied{Head: headAt(5)})
	}
	good := Answer{
		Kind: KindGrant, Cluster: simCluster, Incarnation: simEpoch, Nonce: "n", Seq: 2,
		Opening: Opening{1, 1}, Duration: time.Second, Floor: 5, Head: headAt(5),
	}
	if l, _ := start(); !l.Receive(Clocks{}, good) || !l.Snapshot().Valid(Clocks{}) {
		t.Fatal("a good grant is not taken")
	}
	for name, change := range map[string]func(*Answer){
		"cluster":     func(a *Answer) { a.Cluster = "c2" },
		"incarnation": func(a *Answer) { a.Incarnation = "i2" },
		"nonce":       func(a *Answer) { a.Nonce = "m" },
		"seq":         func(a *Answer) { a.Seq = 1 },
		"opening":     func(a *Answer) { a.Opening.Number = 2 },
		"duration":    func(a *Answer) { a.Duration = 0 },
		"floor":       func(a *Answer) { a.Floor = 6 },
		"kind":        func(a *Answer) { a.Kind = "NEW" },
	} {
		l, _ := start()
		a := good
		change(&a)
		if l.Receive(Clocks{}, a); l.Snapshot().Valid(Clocks{}) {
			t.Errorf("a grant with another %s is taken", name)
		}
	}
}

func TestRenewPanicsOnAStepBack(t *testing.T) {
	l := NewLease(DefaultParams(), Replica{}, "n")
	l.Renew(Clocks{}, Applied{Head: headAt(5)})
	defer func() {
		if why := fmt.Sprint(recover()); !strings.Contains(why, "position 4 after 5") {
			t.Errorf("panic: %s", why)
		}
	}()
	l.Renew(Clocks{}, Applied{Head: headAt(4)})
}

func TestReadsAreBounded(t *testing.T) {
	l := NewLease(DefaultParams(), Replica{Cluster: simCluster, Incarnation: simEpoch}, "n")
	first := l.Read(Clocks{})
	var last Read
	for range MaxReads {
		last = l.Read(Clocks{})
	}
	answer := func(q Read, kind Kind) bool {
		return l.Receive(Clocks{}, Answer{Kind: kind, Cluster: simCluster, Incarnation: simEpoch, Nonce: "n", Seq: q.Seq, Head: headAt(9)})
	}
	if len(l.reads) != MaxReads || answer(first, KindHead) {
		t.Errorf("%d reads are remembered, the first among them", len(l.reads))
	}
	if !answer(last, KindNotLeader) || l.Snapshot().Head() != 0 {
		t.Error("a leader that proved nothing tells a head")
	}
}

func TestNoSnapshot(t *testing.T) {
	var s *Snapshot
	if s.Head() != 0 || s.Quarantined() != "" || s.Valid(Clocks{}) {
		t.Error("the nil snapshot knows something")
	}
	if _, err := s.Check(Clocks{}).Cover(1, Ask{}); !errors.Is(err, ErrNotLeased) {
		t.Errorf("%v", err)
	}
	if _, err := s.Check(Clocks{}).Cover(1, Ask{Mode: ModeAny, MaxStaleness: time.Hour}); !errors.Is(err, ErrTooStale) {
		t.Errorf("%v", err)
	}
	if c, err := (Freshness{}).Cover(1, Ask{Mode: ModeAny}); err != nil || c.Freshness != Unleased || !c.DenyOnly {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestQueryDoesNotAllocate holds for every mode, refused or not.
func TestQueryDoesNotAllocate(t *testing.T) {
	s := leasedReplica(t).Snapshot()
	for _, ask := range []Ask{{}, {Mode: ModeAny}, {Mode: ModeAtLeast, AtLeast: 99}, {Mode: ModeStrict}, {MaxStaleness: 1}} {
		if n := testing.AllocsPerRun(100, func() { _, _ = s.Check(Clocks{Monotonic: 16 * time.Second}).Cover(20, ask) }); n != 0 {
			t.Errorf("%+v: %v allocations", ask, n)
		}
	}
}

// TestMessagesTravel holds the names of the fields: other versions read them.
func TestMessagesTravel(t *testing.T) {
	renewal := Renewal{
		Replica: "r1", Cluster: "c", Incarnation: "i", Nonce: "n", Opening: Opening{2, 3}, Seq: 4,
		Position: 5, Hash: hashAt(5), State: hashAt(6), Level: 7,
		Ended: []string{"m"},
	}
	answer := Answer{
		Kind: KindGrant, Cluster: "c", Incarnation: "i", Term: 2, Nonce: "n", Seq: 4, Opening: Opening{2, 3},
		Duration: time.Second, Floor: 5, Head: headAt(6), Reason: "so",
	}
	read := Read{Cluster: "c", Incarnation: "i", Nonce: "n", Seq: 4}
	for _, tt := range []struct {
		sent, got any
		names     string
	}{
		{&renewal, new(Renewal), "replica cluster incarnation nonce session seq position hash state level ended"},
		{&answer, new(Answer), "kind cluster incarnation term nonce seq session duration_ns floor head reason"},
		{&read, new(Read), "cluster incarnation nonce seq"},
	} {
		text, err := json.Marshal(tt.sent)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, tt.got); err != nil || !reflect.DeepEqual(tt.sent, tt.got) {
			t.Errorf("%s came back as %+v: %v", text, tt.got, err)
		}
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(tt.names) {
			if _, ok := fields[name]; !ok {
				t.Errorf("%s has no field %s", text, name)
			}
			delete(fields, name)
		}
		if len(fields) > 0 {
			t.Errorf("fields that no test knows: %v", fields)
		}
	}
}
