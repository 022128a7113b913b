package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication/propagation"
	"github.com/writ-iam/writ/test/layout"
)

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
	if err := layout.Alter(m.node("replica-1").projection, "alice"); err != nil {
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
	if err := layout.Alter(m.node(old).projection, "alice"); err != nil {
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
