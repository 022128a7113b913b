package propagation

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// rosterOf is a roster of n replicas.
func rosterOf(n int) *Roster {
	r := &Roster{At: event.Position(n)}
	for i := range n {
		r.Registered = append(r.Registered, Registration{Name: fmt.Sprintf("replica-%04d", i), Region: "eu", Registered: event.Position(i + 1)})
	}
	return r
}

// leasedReplica is a replica with a lease granted at time zero, and some heads.
func leasedReplica(b testing.TB) *Lease {
	at := event.Position(1)
	v := Shown{Head: headAt(at), Roster: rosterOf(1), Lives: event.Lives{Complete: true}}
	tr := NewTracker(DefaultParams(), simCluster, simEpoch, 1, Clocks{}, v)
	l := NewLease(DefaultParams(), Replica{Name: "replica-0000", Cluster: simCluster, Incarnation: simEpoch}, "n")
	for i := range maxReaderHeads {
		now := Clocks{Monotonic: time.Duration(i) * time.Second}
		v.Head = headAt(at + event.Position(i))
		tr.Renew(l.Renew(now, Applied{Head: v.Head}))
		f, ok := tr.BeginTick(now)
		if !ok {
			b.Fatal("no tick")
		}
		v.Lives = v.Lives.Change(f.Opened, f.Dropped)
		for _, reply := range tr.EndTick(now, 1, v, func(p event.Position) (Hashes, bool) { return Hashes{Hash: hashAt(p)}, true }) {
			l.Receive(now, reply.Answer)
		}
	}
	return l
}

// BenchmarkQuery is what freshness costs a query: load, check, cover.
func BenchmarkQuery(b *testing.B) {
	var published atomic.Pointer[Snapshot]
	published.Store(leasedReplica(b).Snapshot())
	for _, parallel := range []bool{false, true} {
		b.Run(fmt.Sprintf("parallel=%v", parallel), func(b *testing.B) {
			b.ReportAllocs()
			query := func() {
				f := published.Load().Check(Clocks{Monotonic: 16 * time.Second})
				if c, err := f.Cover(20, Ask{MaxStaleness: time.Minute}); err != nil || c.Freshness != Leased {
					b.Error(c, err)
				}
			}
			if parallel {
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						query()
					}
				})
				return
			}
			for b.Loop() {
				query()
			}
		})
	}
}

// thousand is a leader with 1,000 replicas that have openings.
func thousand(b *testing.B) (*Tracker, []Renewal, Shown) {
	v := Shown{Head: headAt(1000), Roster: rosterOf(1000), Lives: event.Lives{Complete: true}}
	tr := NewTracker(DefaultParams(), simCluster, simEpoch, 1, Clocks{}, v)
	var renewals []Renewal
	for _, m := range v.Roster.Registered {
		renewals = append(renewals, Renewal{
			Replica: m.Name, Cluster: simCluster, Incarnation: simEpoch, Nonce: m.Name,
			Position: v.Head.Position, Hash: v.Head.Hash,
		})
	}
	for seq := range uint64(1 + len(renewals)/MaxTurnover) { // as many as one fence opens, and then the next
		for i, reply := range tickOf(b, tr, renewals, &v, seq) {
			renewals[i].Opening = reply.Answer.Opening
		}
	}
	return tr, renewals, v
}

func tickOf(b *testing.B, tr *Tracker, renewals []Renewal, v *Shown, seq uint64) []Reply {
	now := Clocks{Monotonic: time.Duration(seq) * TickEvery}
	for i := range renewals {
		renewals[i].Seq = seq
		tr.Renew(renewals[i])
	}
	f, ok := tr.BeginTick(now)
	if !ok {
		b.Fatal("no tick")
	}
	v.Lives = v.Lives.Change(f.Opened, f.Dropped)
	return tr.EndTick(now, 1, *v, recordAt)
}

// BenchmarkTick is one tick in which 1,000 replicas renew.
func BenchmarkTick(b *testing.B) {
	tr, renewals, v := thousand(b)
	b.ReportAllocs()
	seq := uint64(10)
	for b.Loop() {
		seq++
		for _, reply := range tickOf(b, tr, renewals, &v, seq) {
			if reply.Answer.Kind != KindGrant {
				b.Fatal(reply.Answer)
			}
		}
	}
}

// BenchmarkEverywhere is one question about 1,000 replicas.
func BenchmarkEverywhere(b *testing.B) {
	tr, renewals, v := thousand(b)
	tickOf(b, tr, renewals, &v, 10)
	b.ReportAllocs()
	for b.Loop() {
		if s, err := tr.Everywhere(Clocks{}, 1000, Scope{}); err != nil || !s.Settled {
			b.Fatal(s, err)
		}
	}
}
