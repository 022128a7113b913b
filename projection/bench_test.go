package projection_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection"
)

// BenchmarkPrincipalByARN looks up principals of a population in random order:
// the small one fits into what is kept, the large one does not.
func BenchmarkPrincipalByARN(b *testing.B) {
	for _, users := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprintf("users=%d", users), func(b *testing.B) {
			v := crowd(users)
			arns := make([]string, users)
			for i, n := range rand.Perm(users) {
				arns[i] = userARN(fmt.Sprintf("user-%07d", n))
			}
			next := 0
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.PrincipalByARN(arns[next%users]); err != nil {
					b.Fatal(err)
				}
				next++
			}
		})
	}
}

// crowd is a view of so many users in groups of a thousand.
func crowd(users int) *projection.View {
	s := identity.NewState()
	at := identity.Position(0)
	fold := func(events ...identity.Event) {
		at++
		identity.Evolve(s, at, identity.Meta{}, events)
	}
	fold(&identity.ClusterBootstrapped{Cluster: "c", Incarnation: "i", FeatureLevel: 1}, &identity.AccountCreated{ID: account})
	var group identity.ID
	for i := range users {
		if i%1000 == 0 {
			group = identity.ID(fmt.Sprintf("AGPA%017d", i))
			fold(&identity.GroupCreated{Account: account, ID: group, Name: fmt.Sprintf("group-%d", i), Path: "/"},
				&identity.InlinePolicyPut{Kind: identity.KindGroup, ID: group, Name: "p", Document: allow("s3:Get")})
		}
		id := identity.ID(fmt.Sprintf("AIDA%017d", i))
		fold(&identity.UserCreated{Account: account, ID: id, Name: fmt.Sprintf("user-%07d", i), Path: "/"},
			&identity.UserAddedToGroup{Group: group, User: id})
	}
	return fresh(s.Snapshot(), event.Head{Position: at})
}
