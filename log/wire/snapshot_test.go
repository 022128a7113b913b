package wire

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// manyUsers returns a state of n users with a group and a key each.
func manyUsers(n int) *identity.State {
	const account = identity.AccountID("123456789012")
	s := identity.NewState()
	at := identity.Position(0)
	evolve := func(events ...identity.Event) {
		at++
		identity.Evolve(s, at, identity.Meta{Time: identity.Time(at)}, events)
	}
	evolve(&identity.ClusterBootstrapped{Cluster: "c", Incarnation: "i", FeatureLevel: 1}, &identity.AccountCreated{ID: account})
	groups := max(1, n/1000)
	for g := range groups {
		evolve(&identity.GroupCreated{Account: account, ID: groupID(g), Name: fmt.Sprintf("group-%d", g), Path: "/"})
	}
	for u := range n {
		// A multiplicative hash, so that users come in no order of their ids.
		id := identity.ID(fmt.Sprintf("AIDA%016X", uint64(u)*0x9E3779B97F4A7C15))
		evolve(&identity.UserCreated{Account: account, ID: id, Name: fmt.Sprintf("user-%d", u), Path: "/", Created: identity.Time(at)},
			&identity.UserAddedToGroup{Group: groupID(u % groups), User: id},
			&identity.AccessKeyCreated{Account: account, Owner: id, ID: fmt.Sprintf("AKIA%016X", u), Sealed: bytes.Repeat([]byte{byte(u)}, 68)})
	}
	return s
}

func groupID(g int) identity.ID { return identity.ID(fmt.Sprintf("AGPA%016X", g)) }

var someLives = event.LivesOf(true, []event.Life{{Replica: "r1", Nonce: "n1"}, {Replica: "r1", Nonce: "n2"}})

func snapshotOf(t testing.TB, s *identity.State) []byte {
	t.Helper()
	var w bytes.Buffer
	h := SnapshotHeader{Head: event.Head{Position: s.Position(), Hash: event.Hash{9}}, Floor: 4, Index: 7, Term: 3, Lives: someLives}
	if err := WriteSnapshot(&w, s, h); err != nil {
		t.Fatal(err)
	}
	return w.Bytes()
}

func TestSnapshotComesBack(t *testing.T) {
	for _, n := range []int{0, 1, 3000} {
		want := manyUsers(n)
		got, h, err := ReadSnapshot(bytes.NewReader(snapshotOf(t, want)))
		if err != nil {
			t.Fatal(err)
		}
		if got.Digest() != want.Digest() || got.Recount() != want.Digest() || h.Digest != want.Digest() {
			t.Errorf("%d users: another state came back", n)
		}
		if h.Cluster != "c" || h.Incarnation != "i" || h.Head.Position != want.Position() || h.Head.Hash != (event.Hash{9}) ||
			h.Floor != 4 || h.Index != 7 || h.Term != 3 || !reflect.DeepEqual(h.Lives, someLives) {
			t.Errorf("header %+v", h)
		}
	}
}

// The lives of a whole roster fit into a header; what does not is refused as it is
// written, not as it is read.
func TestSnapshotHeaderIsBounded(t *testing.T) {
	many := func(n int) event.Lives {
		var list []event.Life
		for i := range n {
			list = append(list, event.Life{Replica: fmt.Sprintf("%064d", i/4), Nonce: fmt.Sprintf("%064d", i)})
		}
		return event.LivesOf(true, list)
	}
	s := manyUsers(1)
	for n, fits := range map[int]bool{4096: true, 10_000: false} {
		var w bytes.Buffer
		err := WriteSnapshot(&w, s, SnapshotHeader{Head: event.Head{Position: s.Position()}, Lives: many(n)})
		if !fits {
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("%d lives: %v", n, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, h, err := ReadSnapshot(&w); err != nil || h.Lives.Len() != n {
			t.Errorf("%d of %d lives come back: %v", h.Lives.Len(), n, err)
		}
	}
}

func TestSnapshotOfAnotherPositionIsRefused(t *testing.T) {
	if err := WriteSnapshot(&bytes.Buffer{}, manyUsers(1), SnapshotHeader{}); err == nil {
		t.Error("written")
	}
}

func TestDamagedSnapshotIsRefused(t *testing.T) {
	good := snapshotOf(t, manyUsers(20))
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 4
		if _, _, err := ReadSnapshot(bytes.NewReader(bad)); !errors.Is(err, ErrCorrupt) {
			var unknown *UnknownError
			if !errors.As(err, &unknown) { // a kind or format that happens to be a later one
				t.Fatalf("byte %d changed: %v", i, err)
			}
		}
		if _, _, err := ReadSnapshot(bytes.NewReader(good[:i])); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut at byte %d: %v", i, err)
		}
	}
}

func TestSnapshotIsTheSameTwice(t *testing.T) {
	s := manyUsers(100)
	first := snapshotOf(t, s)
	again, _, err := ReadSnapshot(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, snapshotOf(t, again)) {
		t.Error("other bytes for an equal state")
	}
}

func BenchmarkWriteSnapshot(b *testing.B) {
	const users = 100_000
	s := manyUsers(users)
	size := len(snapshotOf(b, s))
	for b.Loop() {
		snapshotOf(b, s)
	}
	b.ReportMetric(float64(users)*float64(b.N)/b.Elapsed().Seconds(), "users/s")
	b.ReportMetric(float64(size)/users, "bytes/user")
}

func BenchmarkReadSnapshot(b *testing.B) {
	const users = 100_000
	snapshot := snapshotOf(b, manyUsers(users))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ReadSnapshot(bytes.NewReader(snapshot)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(users)*float64(b.N)/b.Elapsed().Seconds(), "users/s")
}

// A snapshot keeps quotas of all kinds, and whose defaults an account goes by.
func TestSnapshotKeepsQuotas(t *testing.T) {
	s := manyUsers(1)
	account := s.Accounts()[0].ID
	set := &identity.QuotasSet{Account: account, Defaults: identity.DefaultsOfAWS}
	for q := range identity.NumQuotas {
		set.Own = append(set.Own, identity.OwnQuota{Quota: q, Value: 100 + uint32(q)})
	}
	identity.Evolve(s, s.Position()+1, identity.Meta{}, []identity.Event{set})
	got, _, err := ReadSnapshot(bytes.NewReader(snapshotOf(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := got.Account(account)
	if want, _ := s.Account(account); a.Quotas != want.Quotas || a.Quotas.Of(identity.QuotaPoliciesPerRole) != 100+uint32(identity.QuotaPoliciesPerRole) {
		t.Errorf("the quotas come back as %+v, not %+v", a.Quotas, want.Quotas)
	}
}
