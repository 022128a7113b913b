package identity

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// crowd makes the events of users with one access key and one of a thousand
// groups each. Only the strings that many records have share memory.
type crowd struct {
	rand   *rand.Rand
	next   int
	groups [crowdGroups]ID
}

const crowdAccount AccountID = "123456789012"

const (
	crowdGroups = 1000
	crowdSealed = 76 // bytes of a sealed secret
)

func newCrowd(seed uint64) *crowd {
	c := &crowd{rand: rand.New(rand.NewPCG(seed, 1))}
	for i := range c.groups {
		c.groups[i] = ID(c.id("AGPA", 21))
	}
	return c
}

func (c *crowd) id(prefix string, n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	b := []byte(prefix)
	for len(b) < n {
		b = append(b, letters[c.rand.IntN(32)])
	}
	return string(b)
}

// state is one with an account and the groups.
func (c *crowd) state() *State {
	s := NewState()
	Evolve(s, 1, Meta{Time: 1}, []Event{&AccountCreated{ID: crowdAccount, Created: 1}})
	for i := range crowdGroups {
		e := &GroupCreated{Account: crowdAccount, ID: c.groups[i], Name: fmt.Sprintf("group-%d", i), Path: "/", Created: 1}
		Evolve(s, Position(2+i), Meta{Time: 1}, []Event{e})
	}
	return s
}

// user is the events of one user more.
func (c *crowd) user() []Event {
	c.next++
	id := ID(c.id("AIDA", 21))
	sealed := make([]byte, crowdSealed)
	for i := range sealed {
		sealed[i] = byte(c.rand.Uint32())
	}
	return []Event{
		&UserCreated{Account: crowdAccount, ID: id, Name: fmt.Sprintf("user-%07d", c.next), Path: "/", Created: 1},
		&AccessKeyCreated{Account: crowdAccount, Owner: id, ID: c.id("AKIA", 20), Sealed: sealed, Created: 1},
		&UserAddedToGroup{Group: c.groups[c.next%crowdGroups], User: id},
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The three benchmarks build a million users first; give them -benchtime 200000x,
// for BenchmarkLoad 2x.

// BenchmarkFold measures the folding of an event into a state of a million
// users, digests included, and reports the bytes that a user takes.
func BenchmarkFold(b *testing.B) {
	const users = 1_000_000
	c := newCrowd(1)
	before := heap()
	s := c.state()
	for range users {
		s.fold(c.user())
	}
	size := float64(heap()-before) / users
	batches := make([][]Event, b.N)
	for i := range batches {
		batches[i] = c.user()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, events := range batches {
		s.fold(events)
	}
	b.StopTimer()
	b.ReportMetric(size, "bytes/user")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(3*b.N), "ns/event")
	runtime.KeepAlive(s)
}

func (s *State) fold(events []Event) {
	Evolve(s, s.position+1, Meta{Time: s.time}, events)
}

// BenchmarkSnapshot measures a snapshot of a million users and the cost of the
// copies that the batch after it has to make.
func BenchmarkSnapshot(b *testing.B) {
	c := newCrowd(2)
	s := c.state()
	for range 1_000_000 {
		s.fold(c.user())
	}
	b.Run("take", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			s.Snapshot()
		}
	})
	b.Run("take and fold a batch", func(b *testing.B) {
		batches := make([][]Event, b.N)
		for i := range batches {
			batches[i] = c.user()
		}
		b.ReportAllocs()
		b.ResetTimer()
		for _, events := range batches {
			s.Snapshot()
			s.fold(events)
		}
	})
}

// BenchmarkLoad measures the making of a state of a million users of its
// records, and reports the bytes that a user takes then.
func BenchmarkLoad(b *testing.B) {
	const users = 1_000_000
	c := newCrowd(3)
	s := c.state()
	for range users {
		s.fold(c.user())
	}
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		var records []Record
		s.Records(func(r Record) bool {
			records = append(records, cloneRecord(r))
			return true
		})
		s = nil
		before := heap()
		b.StartTimer()
		l := NewLoader()
		for _, r := range records {
			l.Add(r)
		}
		loaded, err := l.State(nil)
		b.StopTimer()
		if err != nil {
			b.Fatal(err)
		}
		s = loaded
		added := heap() - before
		n := len(records)
		records = nil
		b.Logf("%d records", n)
		b.ReportMetric(float64(added)/users, "bytes/user-of-maps")
		b.ReportMetric(float64(heap())/users, "bytes/user")
	}
}

// cloneRecord is r as a decoder would make it: sharing what many records share.
func cloneRecord(r Record) Record {
	u, ok := r.(*User)
	if !ok {
		return r
	}
	c := *u
	c.ID, c.Name = ID(strings.Clone(string(u.ID))), strings.Clone(u.Name)
	c.Groups = append([]ID(nil), u.Groups...)
	c.Keys = make([]AccessKey, len(u.Keys))
	for i, k := range u.Keys {
		c.Keys[i] = AccessKey{ID: strings.Clone(k.ID), Sealed: append([]byte(nil), k.Sealed...), Active: k.Active, Created: k.Created}
	}
	return &c
}
