package sealing

import (
	"fmt"
	"testing"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/seal"
)

// BenchmarkCount counts the secrets of a million access keys: what a status costs, at most a tenth of
// the time, and a node that joins and lacks a key.
func BenchmarkCount(b *testing.B) {
	const users, account = 1_000_000, identity.AccountID("123456789012")
	s := identity.NewState()
	at := identity.Position(0)
	evolve := func(events ...identity.Event) {
		at++
		identity.Evolve(s, at, identity.Meta{Time: identity.Time(at)}, events)
	}
	evolve(&identity.ClusterBootstrapped{Cluster: "c", Incarnation: "i", FeatureLevel: 2}, &identity.AccountCreated{ID: account})
	sealed := make([]byte, 77)
	for i := range users {
		id := identity.ID(fmt.Sprintf("AIDA%017d", i))
		evolve(&identity.UserCreated{Account: account, ID: id, Name: fmt.Sprintf("user-%07d", i), Path: "/"},
			&identity.AccessKeyCreated{Account: account, Owner: id, ID: fmt.Sprintf("AKIA%016d", i), Sealed: sealed})
	}
	b.ResetTimer()
	for b.Loop() {
		n := uint64(0)
		for _, of := range CountOf(s).Sealed {
			n += of
		}
		if n != users {
			b.Fatalf("%d secrets", n)
		}
	}
}

// TestShown has nodes show some keys of three: one seals, one has sealed a secret that is left, and
// one is not needed.
func TestShown(t *testing.T) {
	path := keyFile(t, 1)
	s, _ := secrets(t, open(t, path).Key())
	for range 2 {
		if _, err := seal.AddToFile(path); err != nil {
			t.Fatal(err)
		}
	}
	k := open(t, path)
	ids := k.Key().IDs()
	old, active, spare := ids[0].String(), ids[1].String(), ids[2].String()
	identity.Evolve(s, s.Position()+1, identity.Meta{Time: 2}, []identity.Event{&identity.SealKeyChosen{Key: identity.SealKeyID(ids[1])}})
	k.Follow(s)
	for name, c := range map[string]struct {
		shown []string
		want  bool
	}{
		"all": {[]string{old, active, spare}, true}, "what is needed": {[]string{old, active}, true}, "the one that seals": {[]string{active}, false},
		"not the one that seals": {[]string{old, spare}, false}, "none": {nil, false},
	} {
		marks := map[string]string{}
		for _, id := range c.shown {
			marks[id] = k.Key().Marks()[id]
		}
		for range 2 { // the second time, what was counted is remembered
			if got := k.Shown(s, marks); got != c.want {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
	if k.Shown(s, map[string]string{old: "forged", active: k.Key().Marks()[active]}) {
		t.Error("a mark of another key is believed")
	}
}
