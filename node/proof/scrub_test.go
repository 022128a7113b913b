package proof

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
	"github.com/writ-iam/writ/test/layout"
)

// manyUsers is a state with records in every part.
func manyUsers(t testing.TB, n int) *identity.State {
	t.Helper()
	s, _ := layout.State(t, "i", 1)
	for i := range n {
		id := fmt.Sprintf("AIDA%017d", i)
		events, err := identity.Decide(s, identity.Meta{}, &identity.CreateUser{Account: setup.DefaultAccount, ID: identity.ID(id), Name: id, Path: "/"})
		if err != nil {
			t.Fatal(err)
		}
		identity.Evolve(s, event.Position(2+i), identity.Meta{}, events)
	}
	return s
}

// A record that is altered at any time is found before a lease granted then has
// run out, whichever part it is in.
func TestScrubWithinALease(t *testing.T) {
	const users = 64
	for _, class := range []string{"", propagation.ClassTight} {
		lease := propagation.DefaultParams().Lease(class)
		for i := range 24 {
			synctest.Test(t, func(t *testing.T) {
				s := manyUsers(t, users)
				p := projection.New()
				n := NewScrubber(p, slog.New(slog.DiscardHandler))
				ctx, cancel := context.WithCancel(t.Context())
				p.Adopt(s, event.Head{Position: s.Position()})
				found := make(chan struct{}, 1)
				var wg sync.WaitGroup
				wg.Go(func() {
					n.Run(ctx, lease, func() {
						select {
						case found <- struct{}{}:
						default:
						}
					})
				})
				time.Sleep(lease*3/2 + time.Duration(i)*lease/17)
				select {
				case <-found:
					t.Fatal("a sound state is found altered")
				default:
				}
				if text := n.Detail(s); !strings.Contains(text, fmt.Sprintf("%d records recounted", users+1)) {
					t.Errorf("after a pass: %s", text)
				}
				if err := layout.Alter(p, fmt.Sprintf("AIDA%017d", i)); err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				<-found
				if took := time.Since(begun); took >= lease {
					t.Errorf("found after %v; a lease lasts %v", took, lease)
				}
				cancel()
				wg.Wait()
			})
		}
	}
}

// BenchmarkScrub measures the time until an altered record is found, as a replica
// scrubs, beside the lease: found-s/op, and the busy time of one pass.
func BenchmarkScrub(b *testing.B) {
	lease := propagation.DefaultParams().Lease("")
	for _, users := range []int{100_000, 1_000_000} {
		s := manyUsers(b, users).Snapshot()
		b.Run(fmt.Sprint(users), func(b *testing.B) {
			p := projection.New()
			n := NewScrubber(p, slog.New(slog.DiscardHandler))
			ctx, cancel := context.WithCancel(b.Context())
			p.Adopt(s, event.Head{Position: s.Position()})
			found := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() { n.Run(ctx, lease, func() { found <- struct{}{} }) })
			worst := time.Duration(0)
			for i := range b.N {
				user := fmt.Sprintf("AIDA%017d", (i*7919)%users)
				begun := time.Now()
				err := layout.Alter(p, user)
				<-found
				worst = max(worst, time.Since(begun))
				if err = errors.Join(err, layout.Alter(p, user)); err != nil { // back again
					b.Fatal(err)
				}
			}
			b.ReportMetric(worst.Seconds(), "worst-s")
			b.ReportMetric(lease.Seconds(), "lease-s")
			if pass := n.latest.Load(); pass != nil {
				b.ReportMetric(pass.busy.Seconds(), "busy-s/pass")
				b.ReportMetric(pass.took.Seconds(), "s/pass")
			}
			cancel()
			wg.Wait()
		})
	}
}
