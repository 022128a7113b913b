package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/quorum"
	"github.com/writ-iam/writ/node/setup"
)

// quorumOf is who votes, as the leader tells any of the writers.
func (m *team) quorumOf(ctx context.Context, name string) (client.Quorum, string, error) {
	s, err := m.client(name).Cluster(ctx)
	if err != nil {
		return client.Quorum{}, "", err
	}
	if s.Quorum == nil {
		return client.Quorum{}, "", errors.New("no leader tells")
	}
	var states []string
	for _, w := range s.Members {
		if w.Role == "writer" {
			states = append(states, w.Name+" "+w.State)
		}
	}
	return *s.Quorum, strings.Join(states, ", "), nil
}

// comes waits until the quorum is as it should be.
func (m *team) comes(name string, want client.Quorum) (states string) {
	m.t.Helper()
	m.until(fmt.Sprintf("the quorum %+v at %s", want, name), func(ctx context.Context) error {
		q, told, err := m.quorumOf(ctx, name)
		if states = told; err == nil && q != want {
			err = fmt.Errorf("%+v: %s", q, told)
		}
		return err
	})
	return states
}

// restart starts nodes again, one after the other, by what cluster.yaml says now.
func (m *team) restart(names ...string) {
	m.t.Helper()
	for _, name := range names {
		m.stop(name)
		m.start(name)
		m.ready(name)
	}
}

// TestMembersLeftBehind makes three writers of five. The two that cluster.yaml has no more
// still count, which everybody is told, until they are removed.
func TestMembersLeftBehind(t *testing.T) {
	m := newTeam(t, 5, 0)
	m.startAll()
	m.comes("writer-1", client.Quorum{Voters: 5, Survives: 2, Planned: 2})
	m.must("writer-1", "CreateUser", "UserName", "before")
	gone := m.cluster.Writers[3:]
	m.cluster.Writers = m.cluster.Writers[:3]
	m.stop("writer-5")
	m.stop("writer-4")
	m.restart("writer-1", "writer-2", "writer-3")
	states := m.comes("writer-1", client.Quorum{Voters: 5, Survives: 0, Planned: 1})
	for _, w := range gone {
		if !strings.Contains(states, w.Peer+" unlisted") {
			t.Errorf("%s is not told: %s", w.Peer, states)
		}
	}
	m.until("/readyz of the leader tells", func(ctx context.Context) error {
		for _, name := range []string{"writer-1", "writer-2", "writer-3"} {
			if _, text, err := m.readyz(ctx, name); err == nil && strings.Contains(text, "5 voters, which survive 0 more failures, of 1 planned") {
				return nil
			}
		}
		return errors.New("nobody tells")
	})
	c := m.client("writer-2")
	for called, code := range map[string]string{"writer-2": "DeleteConflict", m.cluster.Writers[0].Peer: "DeleteConflict", "nobody:1": "NoSuchEntity"} {
		var p *client.Problem
		if err := c.RemoveWriter(t.Context(), called); !errors.As(err, &p) || p.Code != code {
			t.Errorf("%s: %v, want %s", called, err, code)
		}
	}
	for _, w := range gone {
		if err := c.RemoveWriter(t.Context(), w.Peer); err != nil {
			t.Fatal(err)
		}
	}
	m.comes("writer-1", client.Quorum{Voters: 3, Survives: 1, Planned: 1})
	m.stop("writer-3") // the failure that is survived now
	m.must("writer-1", "CreateUser", "UserName", "after")
	m.must("writer-2", "GetUser", "UserName", "before")
}

// TestWritersAreAdded makes three writers of one.
func TestWritersAreAdded(t *testing.T) {
	m := newTeam(t, 3, 0)
	all := m.cluster.Writers
	m.cluster.Writers = all[:1]
	m.startAll()
	m.must("writer-1", "CreateUser", "UserName", "before")
	m.comes("writer-1", client.Quorum{Voters: 1})
	m.cluster.Writers = all
	m.restart("writer-1")
	m.start("writer-2", "writer-3")
	m.comes("writer-1", client.Quorum{Voters: 3, Survives: 1, Planned: 1})
	m.must("writer-3", "GetUser", "UserName", "before")
	m.stop("writer-2")
	m.must("writer-3", "CreateUser", "UserName", "after")
}

// TestWriterMoves gives writers other addresses: a follower, then the leader.
func TestWriterMoves(t *testing.T) {
	m := newTeam(t, 3, 0)
	m.startAll()
	all := client.Quorum{Voters: 3, Survives: 1, Planned: 1}
	m.comes("writer-1", all)
	for round := range 2 {
		leads := m.leader("writer-1")
		moves := leads
		if round == 0 {
			for _, w := range m.cluster.Writers {
				if w.Name != leads {
					moves = w.Name
				}
			}
		}
		m.stop(moves)
		m.cluster.Writers = append([]setup.Writer{}, m.cluster.Writers...)
		for i := range m.cluster.Writers {
			if w := &m.cluster.Writers[i]; w.Name == moves {
				ports, err := setup.FreeAddrs(3)
				if err != nil {
					t.Fatal(err)
				}
				w.Peer, w.Broker, w.Routes = ports[0], ports[1], ports[2]
			}
		}
		for _, w := range m.cluster.Writers { // by the new address
			if w.Name != moves {
				m.restart(w.Name)
			}
		}
		m.start(moves)
		m.ready(moves)
		m.comes("writer-1", all)
		m.must(moves, "CreateUser", "UserName", fmt.Sprintf("moved-%d", round))
	}
}

// TestOnlyWriterMoves gives the only writer another address.
func TestOnlyWriterMoves(t *testing.T) {
	m := newTeam(t, 1, 0)
	m.startAll()
	m.must("writer-1", "CreateUser", "UserName", "before")
	m.stop("writer-1")
	ports, err := setup.FreeAddrs(3)
	if err != nil {
		t.Fatal(err)
	}
	w := m.cluster.Writers[0]
	w.Peer, w.Broker, w.Routes = ports[0], ports[1], ports[2]
	m.cluster.Writers = []setup.Writer{w}
	m.start("writer-1")
	m.ready("writer-1")
	if states := m.comes("writer-1", client.Quorum{Voters: 1}); states != "writer-1 leading" {
		t.Error(states)
	}
	m.until("the log has the new address", func(context.Context) error {
		if s := m.node("writer-1").part.(*writer).log.Servers(); len(s) != 1 || s[0].Address != w.Peer {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	m.must("writer-1", "GetUser", "UserName", "before")
}

// TestLeadershipIsHandedOver hands it to a writer by name, from any node.
func TestLeadershipIsHandedOver(t *testing.T) {
	m := newTeam(t, 3, 0)
	m.startAll()
	m.comes("writer-1", client.Quorum{Voters: 3, Survives: 1, Planned: 1})
	for _, to := range []string{"writer-2", "writer-3", "writer-3"} {
		if err := m.client("writer-1").TransferLeadership(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		m.until(to+" leads", func(ctx context.Context) error {
			s, err := m.client("writer-1").Cluster(ctx)
			if err == nil && s.Leader != to {
				err = fmt.Errorf("%q leads", s.Leader)
			}
			return err
		})
	}
	var p *client.Problem
	if err := m.client("writer-1").TransferLeadership(t.Context(), "writer-9"); !errors.As(err, &p) || p.Code != "NoSuchEntity" {
		t.Error(err)
	}
	m.stop("writer-2")
	if err := m.client("writer-1").TransferLeadership(t.Context(), "writer-2"); !errors.As(err, &p) || p.Code != "DeleteConflict" || !strings.Contains(p.Detail, "does not answer") {
		t.Error(err)
	}
}

// TestNobodyJoinsAsAnother has a writer join with the id of another that runs, the leader or
// not, as it would with a copy of its directory.
func TestNobodyJoinsAsAnother(t *testing.T) {
	m := newTeam(t, 3, 0)
	m.startAll()
	m.comes("writer-1", client.Quorum{Voters: 3, Survives: 1, Planned: 1})
	leader := m.node(m.leader("writer-1")).part.(*writer)
	before := leader.log.Servers()
	var joins setup.Writer
	for _, w := range m.cluster.Writers {
		if w.Peer != leader.me.Peer {
			joins = w
		}
	}
	for _, s := range before {
		if s.Address == joins.Peer {
			continue
		}
		body := fmt.Sprintf(`{"id":%q,"peer":%q,"seal":%q}`, s.ID, joins.Peer, leader.node.seal.Fingerprint())
		answer, err := m.thief(joins.Name).ask(leader.me, "POST", quorum.JoinPath, []byte(body), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusConflict {
			t.Errorf("%s joins as the member at %s: %s", joins.Name, s.Address, answer.Status)
		}
	}
	if after := leader.log.Servers(); !slices.Equal(after, before) {
		t.Errorf("the members were %+v and are %+v", before, after)
	}
}
