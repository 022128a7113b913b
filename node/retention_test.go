package node

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/archive"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/proof"
)

// old puts changes into the log that are of two hours ago.
func (m *team) old(leader string, count int) {
	m.t.Helper()
	w := m.node(leader).part.(*writer)
	c := w.log.Applied().State.Cluster()
	at := identity.Time(time.Now().Add(-2 * time.Hour).UnixMilli())
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range 16 {
		wg.Go(func() {
			for n := i; n < count; n += 16 {
				_, err := w.log.Propose(m.t.Context(), event.Command{
					Cluster: c.ID, Incarnation: c.Incarnation, Cause: event.Cause{Meta: identity.Meta{Time: at}},
					Content: &identity.TagEntity{Kind: identity.KindUser, Account: w.node.cfg.Cluster.Account, Name: "alice", Tags: []identity.Tag{{Key: "n", Value: fmt.Sprint(n)}}},
				})
				if err != nil {
					m.t.Errorf("change %d: %v", n, err)
					return
				}
			}
		})
	}
}

// begins waits until a writer has the history from a position on, and nothing before.
func (m *team) begins(name string, first event.Position) {
	m.t.Helper()
	m.until(fmt.Sprintf("%s has the history from %d on", name, first), func(context.Context) error {
		events := m.node(name).part.(*writer).log.Events()
		if gaps := events.Gaps(); events.First() != first || len(gaps) > 0 {
			return fmt.Errorf("it begins at %d, with the gaps %v", events.First(), gaps)
		}
		return nil
	})
}

// A rule is set; all writers drop the same, and one that joins fetches the rest. Whoever asks for
// what was dropped is told so.
func TestRetention(t *testing.T) {
	m := newTeam(t, 3, 1)
	m.retentionEvery = 20 * time.Millisecond
	m.startAll()
	m.must("writer-1", "CreateUser", "UserName", "alice")
	kept, err := m.client("writer-1").Head(t.Context()) // of before what is dropped
	if err != nil {
		t.Fatal(err)
	}
	leader := m.leader("writer-1")
	m.old(leader, 1300)
	floor, keep := event.Position(100), uint64(1000)
	set, err := m.client("replica-1").SetRetention(t.Context(), client.RetentionToSet{KeepPositions: &keep, Floor: &floor})
	if err != nil || set.KeepPositions != 1000 || set.Floor != 100 {
		t.Fatalf("set %+v, %v", set, err)
	}
	for _, name := range []string{"writer-1", "writer-2", "writer-3"} {
		m.begins(name, floor)
	}
	m.tellsDropped(leader, kept, floor)

	// one that joins gets what the others have, and one that is compacted goes on
	m.stop("writer-3")
	if err := os.RemoveAll(m.config("writer-3").Data); err != nil {
		t.Fatal(err)
	}
	m.start("writer-3")
	m.ready("writer-3")
	m.begins("writer-3", floor)
	m.stop("writer-2")
	data := m.config("writer-2").Data
	if _, _, err := proof.CompactLog(data); err != nil {
		t.Error(err)
	}
	if w, err := proof.VerifyLog(t.Context(), data); err != nil || w.First != floor || w.Dropped.IsZero() {
		t.Errorf("verified %+v, %v", w, err)
	}
	m.start("writer-2")
	m.ready("writer-2")
	m.until("all nodes are proved equal", func(ctx context.Context) error {
		found, err := m.client(m.leader("writer-1")).Verify(ctx, 1, patience)
		for _, n := range found.Nodes {
			if n.Verdict != client.VerdictOK || n.Role == "writer" && n.First != floor {
				return fmt.Errorf("%+v", n)
			}
		}
		return err
	})
	none := event.Position(0)
	if _, err := m.client("writer-1").SetRetention(t.Context(), client.RetentionToSet{Floor: &none}); err != nil {
		t.Error(err)
	}
	if r, err := m.client("replica-1").Retention(t.Context(), client.Freshness{Consistency: "strict"}); err != nil || r.First < floor || r.Floor != 0 || r.Dropped == nil {
		t.Errorf("retention is %+v, %v", r, err)
	}
}

// tellsDropped asks for what is no longer there.
func (m *team) tellsDropped(name string, kept *client.SignedHead, first event.Position) {
	m.t.Helper()
	says := fmt.Sprintf("begins at position %d", first)
	c := m.client(name)
	_, err := c.Chain(m.t.Context(), kept.Position, 10)
	m.refused(err, "NoSuchEntity", says)
	early := first - 1
	_, err = c.SetRetention(m.t.Context(), client.RetentionToSet{Floor: &early})
	m.refused(err, "InvalidInput", says)
	told := ""
	_ = c.Watch(m.t.Context(), "1", func(e client.Event) error {
		if e.Kind != client.GapEvent {
			return nil
		}
		told = string(e.Kind) + ": " + e.Hint
		return context.Canceled
	})
	m.refused(fmt.Errorf("%s", told), "gap", says)
	if _, err := c.Backup(m.t.Context(), 10, false); err == nil {
		m.t.Error("a backup since a position that was dropped is made")
	} else {
		m.refused(err, fmt.Sprint(first), "retention rule")
	}
	whole := m.backup(name, 0)
	found, err := archive.Verify(archives(whole))
	if err != nil || found[0].From != first {
		m.t.Errorf("a backup of %+v, %v", found, err)
	}
	r := archive.Restore{Archives: archives(whole), Target: archive.Target{Position: first}, Cluster: m.cluster.ID, Advertise: "127.0.0.1:1", Data: m.t.TempDir()}
	_, err = r.Run()
	m.refused(err, "retention rule")
	r.Target, r.Time = archive.Target{}, identity.Time(time.Now().UnixMilli())
	if _, err := r.Run(); err != nil {
		m.t.Error(err)
	}
	if w, err := proof.VerifyLog(m.t.Context(), r.Data); err != nil || w.First != first {
		m.t.Errorf("restored and verified %+v, %v", w, err)
	}
}
