package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/client"
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
				n := &Node{projection: projection.New(), logger: slog.New(slog.DiscardHandler)}
				n.ctx, n.cancel = context.WithCancel(t.Context())
				n.projection.Adopt(s, event.Head{Position: s.Position()})
				found := make(chan struct{}, 1)
				n.wg.Go(func() {
					n.scrub(lease, func() {
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
				if text := n.digestDetail(s); !strings.Contains(text, fmt.Sprintf("%d records recounted", users+1)) {
					t.Errorf("after a pass: %s", text)
				}
				if err := alter(n, fmt.Sprintf("AIDA%017d", i)); err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				<-found
				if took := time.Since(begun); took >= lease {
					t.Errorf("found after %v; a lease lasts %v", took, lease)
				}
				n.cancel()
				n.wg.Wait()
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
			n := &Node{projection: projection.New(), logger: slog.New(slog.DiscardHandler)}
			n.ctx, n.cancel = context.WithCancel(b.Context())
			n.projection.Adopt(s, event.Head{Position: s.Position()})
			found := make(chan struct{})
			n.wg.Go(func() { n.scrub(lease, func() { found <- struct{}{} }) })
			worst := time.Duration(0)
			for i := range b.N {
				user := fmt.Sprintf("AIDA%017d", (i*7919)%users)
				begun := time.Now()
				err := alter(n, user)
				<-found
				worst = max(worst, time.Since(begun))
				if err = errors.Join(err, alter(n, user)); err != nil { // back again
					b.Fatal(err)
				}
			}
			b.ReportMetric(worst.Seconds(), "worst-s")
			b.ReportMetric(lease.Seconds(), "lease-s")
			if pass := n.scrubbed.Load(); pass != nil {
				b.ReportMetric(pass.busy.Seconds(), "busy-s/pass")
				b.ReportMetric(pass.took.Seconds(), "s/pass")
			}
			n.cancel()
			n.wg.Wait()
		})
	}
}

// alter changes a record in a node's memory, as a flipped bit would.
//
//go:norace
func alter(n *Node, user string) error {
	u, ok := n.projection.View().State.User(setup.DefaultAccount, user)
	if !ok {
		return errors.New("no such user")
	}
	u.Changed ^= 1 << 40
	return nil
}

// A replica with one altered record is found and quarantined: it answers nothing
// more, whatever is asked, and everybody says so.
func TestAnAlteredReplicaIsQuarantined(t *testing.T) {
	m := newTeam(t, 1, 2)
	m.startAll()
	m.everywhere("writer-1", m.must("writer-1", "CreateUser", "UserName", "alice"))
	question := client.Question{Principal: "arn:aws:iam::" + setup.DefaultAccount + ":user/alice", Action: "s3:Get"}
	if _, err := m.client("replica-1").Authorize(t.Context(), question, client.Freshness{}); err != nil {
		t.Fatal(err)
	}
	if err := alter(m.node("replica-1"), "alice"); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	lease := m.node("replica-1").part.(*replica).renewer
	m.until("the replica is quarantined", func(context.Context) error {
		if lease.Snapshot().Quarantined() == "" {
			return errors.New("it is not")
		}
		return nil
	})
	t.Logf("quarantined after %v; its lease lasts %v", time.Since(begun), propagation.DefaultParams().Lease(propagation.ClassTight))
	for _, f := range []client.Freshness{{}, {Consistency: "any"}, {Consistency: "strict"}} {
		var p *client.Problem
		if d, err := m.client("replica-1").Authorize(t.Context(), question, f); !errors.As(err, &p) || p.Code != "Quarantined" {
			t.Errorf("%+v: it answers %+v, %v", f, d, err)
		}
	}
	m.saysQuarantined("replica-1", string(propagation.KindDiverged))
	// the others go on, and the change that follows is everywhere without it
	p := m.everywhere("replica-2", m.must("writer-1", "CreateUser", "UserName", "bob"))
	if len(p.VisibleOn) != 1 || p.VisibleOn[0] != "replica-2" || len(p.Fenced) != 1 || p.Fenced[0] != "replica-1" {
		t.Errorf("%+v", p)
	}
	// started again it is sound: what it kept on disk has a hash of its own
	m.stop("replica-1")
	m.start("replica-1")
	m.ready("replica-1")
	if d, err := m.client("replica-1").Authorize(t.Context(), question, client.Freshness{}); err != nil || d.Freshness != "leased" {
		t.Errorf("started again: %+v, %v", d, err)
	}
}

// saysQuarantined waits until the cluster's status and the replica's own readiness
// say that it is quarantined.
func (m *team) saysQuarantined(name, kind string) {
	m.t.Helper()
	m.until("the status says that "+name+" is quarantined", func(ctx context.Context) error {
		s, err := m.client("writer-1").Cluster(ctx)
		if err != nil {
			return err
		}
		for _, member := range s.Members {
			if member.Name == name && member.State == "quarantined" && member.Detail != "" {
				return nil
			}
		}
		return fmt.Errorf("members are %+v", s.Members)
	})
	for _, check := range m.node(name).part.Checks() {
		if check.Name == "digest" && (check.Err == nil || !strings.Contains(check.Err.Error(), kind)) {
			m.t.Errorf("its readiness says %v", check.Err)
		}
	}
}

// A writer with one altered record ends, and a leader is followed by another.
func TestAnAlteredLeaderEnds(t *testing.T) {
	m := newTeam(t, 3, 0)
	m.startAll()
	m.must("writer-1", "CreateUser", "UserName", "alice")
	old := m.leader("writer-1")
	if err := alter(m.node(old), "alice"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-m.node(old).Failed():
		if !errors.Is(err, log.ErrDiverged) {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
	// before it has ended, it answers nothing
	var p *client.Problem
	if d, err := m.client(old).Authorize(t.Context(), client.Question{Principal: "arn:aws:iam::" + setup.DefaultAccount + ":user/alice", Action: "s3:Get"}, client.Freshness{}); !errors.As(err, &p) || p.Code != "Quarantined" {
		t.Errorf("it answers %+v, %v", d, err)
	}
	m.stop(old)
	var asked string
	for _, w := range m.cluster.Writers {
		if w.Name != old {
			asked = w.Name
		}
	}
	if now := m.leader(asked); now == old {
		t.Errorf("%s leads still", now)
	}
	m.must(asked, "CreateUser", "UserName", "bob")
	m.start(old)
	m.ready(old)
	m.must(old, "GetUser", "UserName", "bob")
}
