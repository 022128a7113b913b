package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// under has so many callers create users by way of a node, until the test has stopped them;
// every one that was acknowledged is to be there.
func (m *team) under(root *caller, callers int, node string) (stop func() (acknowledged []string)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var names []string
	done := make(chan struct{})
	for i := range callers {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				name := fmt.Sprintf("load-%d-%d", i, n)
				a, err := root.call(node, "CreateUser", "UserName", name)
				if err != nil || a.status != http.StatusOK {
					m.t.Errorf("%s: %d %s, %v", name, a.status, a.body, err)
					return
				}
				mu.Lock()
				names = append(names, name)
				mu.Unlock()
			}
		})
	}
	return func() []string {
		close(done)
		wg.Wait()
		return names
	}
}

// ends waits until a node says that it cannot go on, and stops it.
func (m *team) ends(name, why string) {
	m.t.Helper()
	select {
	case err := <-m.node(name).Failed():
		if !errors.Is(err, quorum.ErrNotListed) || !strings.Contains(err.Error(), why) {
			m.t.Errorf("%s ends: %v; want %q", name, err, why)
		}
	case <-time.After(patience):
		m.t.Fatalf("%s goes on", name)
	}
	m.stop(name)
}

// follows has another writer than that of the name lead.
func (m *team) follows(name string) {
	m.t.Helper()
	m.until(name+" follows", func(ctx context.Context) error {
		if leads := m.leader("replica-1"); leads != name {
			return nil
		}
		return errors.Join(errors.New("it leads"), m.client("replica-1").TransferLeadership(ctx, "writer-1"))
	})
}

func inList(w setup.Writer) client.Writer {
	return client.Writer{Name: w.Name, Peer: w.Peer, Broker: w.Broker, Routes: w.Routes}
}

// elsewhere is a writer at other addresses.
func (m *team) elsewhere(w setup.Writer) setup.Writer {
	m.t.Helper()
	ports, err := setup.FreeAddrs(3)
	if err != nil {
		m.t.Fatal(err)
	}
	return setup.Writer{Name: w.Name, Peer: ports[0], Broker: ports[1], Routes: ports[2]}
}

// TestWritersComeAndGo makes five writers of three and three of five, replaces one that lost
// its disk and moves one, under clients whose acknowledged writes are all there in the end.
// No other node is started again for it, and none has another cluster.yaml than at first.
func TestWritersComeAndGo(t *testing.T) {
	m := newTeam(t, 5, 1)
	all := m.cluster.Writers
	first := all[:3:3]
	m.cluster.Writers = first
	m.startAll()
	three := client.Quorum{Voters: 3, Survives: 1, Planned: 1}
	m.comes("replica-1", three)
	c := m.client("replica-1")
	root := m.as("", "")
	stop := m.under(root, 32, "replica-1")

	// Whoever comes before it was added does not join, and says what to do.
	m.cluster.Writers = all[:4]
	m.start("writer-4")
	m.ends("writer-4", "run `writ writer add writer-4 --peer "+all[3].Peer+"`")
	m.joins(c, all, 4, client.Quorum{Voters: 4, Survives: 1, Planned: 1})
	m.joins(c, all, 5, client.Quorum{Voters: 5, Survives: 2, Planned: 2})

	// down to three
	m.cluster.Writers = first
	m.leaves(c, "writer-5", client.Quorum{Voters: 4, Survives: 1, Planned: 1})
	m.leaves(c, "writer-4", three)
	var p *client.Problem
	for called, code := range map[string]string{m.leader("replica-1"): "DeleteConflict", "writer-4": "NoSuchEntity", all[0].Peer: "DeleteConflict"} {
		if _, err := c.RemoveWriter(t.Context(), called); !errors.As(err, &p) || p.Code != code {
			t.Errorf("%s is removed: %v, want %s", called, err, code)
		}
	}
	m.cluster.Writers = all[:4]
	m.start("writer-4")
	m.ends("writer-4", "was removed from the cluster")
	m.cluster.Writers = first

	// one loses its disk
	m.follows("writer-2")
	m.stop("writer-2")
	if err := os.RemoveAll(m.config("writer-2").Data); err != nil {
		t.Fatal(err)
	}
	m.comes("replica-1", client.Quorum{Voters: 3, Survives: 0, Planned: 1})
	if _, err := c.RemoveWriter(t.Context(), "writer-3"); !errors.As(err, &p) || p.Code != "DeleteConflict" {
		t.Errorf("a writer that the rest need is removed: %v", err)
	}
	m.start("writer-2")
	m.comes("replica-1", three)

	// one moves: not before the log says so
	m.follows("writer-3")
	moved := m.elsewhere(all[2])
	m.stop("writer-3")
	m.cluster.Writers = []setup.Writer{all[0], all[1], moved}
	m.start("writer-3")
	m.ends("writer-3", "`writ writer move writer-3 --peer "+moved.Peer+"`")
	if _, err := c.MoveWriter(t.Context(), inList(moved)); err != nil {
		t.Fatal(err)
	}
	m.start("writer-3")
	m.comes("replica-1", three)
	m.ready("writer-3")

	acknowledged := stop()
	t.Logf("%d writes were acknowledged", len(acknowledged))
	for _, name := range acknowledged {
		if _, ok := m.node("writer-3").projection.View().State.User(setup.DefaultAccount, name); !ok {
			if a, err := root.call("writer-3", "GetUser", "UserName", name); err != nil || a.status != http.StatusOK {
				t.Errorf("%s is lost: %d, %v", name, a.status, err)
			}
		}
	}
}

// joins adds the nth of the writers and starts it.
func (m *team) joins(c *client.Client, all []setup.Writer, n int, want client.Quorum) {
	m.t.Helper()
	if _, err := c.AddWriter(m.t.Context(), inList(all[n-1])); err != nil {
		m.t.Fatal(err)
	}
	m.cluster.Writers = append(m.cluster.Writers[:3:3], all[n-1]) // no node needs to name all
	m.start(all[n-1].Name)
	m.comes("replica-1", want)
}

// leaves removes a writer, which ends by itself.
func (m *team) leaves(c *client.Client, name string, want client.Quorum) {
	m.t.Helper()
	m.follows(name)
	if _, err := c.RemoveWriter(m.t.Context(), name); err != nil {
		m.t.Fatal(err)
	}
	m.ends(name, "was removed from the cluster")
	m.comes("replica-1", want)
}

// TestOnlyWriterMoves gives the only writer another address, and then company.
func TestOnlyWriterMoves(t *testing.T) {
	m := newTeam(t, 3, 0)
	all := m.cluster.Writers
	m.cluster.Writers = all[:1]
	m.startAll()
	m.must("writer-1", "CreateUser", "UserName", "before")
	m.stop("writer-1")
	w := m.elsewhere(m.cluster.Writers[0])
	m.cluster.Writers = []setup.Writer{w}
	m.start("writer-1")
	m.ready("writer-1")
	m.until("the log has the new address", func(context.Context) error {
		if s := m.node("writer-1").part.(*writer).log.Servers(); len(s) != 1 || s[0].Address != w.Peer {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	m.must("writer-1", "GetUser", "UserName", "before")
	m.growsFromOne(all)
}

// growsFromOne makes two more writers of one, which is started again then, by a cluster.yaml
// that names itself alone.
func (m *team) growsFromOne(all []setup.Writer) {
	m.t.Helper()
	one := m.cluster.Writers[0]
	for n, want := range []client.Quorum{{Voters: 2, Planned: 0}, {Voters: 3, Survives: 1, Planned: 1}} {
		other := all[n+1]
		if _, err := m.client("writer-1").AddWriter(m.t.Context(), inList(other)); err != nil {
			m.t.Fatal(err)
		}
		m.cluster.Writers = []setup.Writer{one, other}
		m.start(other.Name)
		m.comes("writer-1", want)
	}
	m.stop("writer-1")
	m.must("writer-3", "CreateUser", "UserName", "meanwhile")
	m.cluster.Writers = []setup.Writer{one}
	m.start("writer-1")
	if m.node("writer-1").part.(*writer).alone {
		m.t.Error("it takes itself for the only writer")
	}
	m.comes("writer-1", client.Quorum{Voters: 3, Survives: 1, Planned: 1})
	m.must("writer-1", "GetUser", "UserName", "meanwhile")
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
	m.finishesChanges()
	m.removesGhosts()
	var p *client.Problem
	if err := m.client("writer-1").TransferLeadership(t.Context(), "writer-9"); !errors.As(err, &p) || p.Code != "NoSuchEntity" {
		t.Error(err)
	}
	m.stop("writer-2")
	if err := m.client("writer-1").TransferLeadership(t.Context(), "writer-2"); !errors.As(err, &p) || p.Code != "DeleteConflict" || !strings.Contains(p.Detail, "does not answer") {
		t.Error(err)
	}
}

// finishesChanges has a leader go that has added a learner: the next makes it a voter.
func (m *team) finishesChanges() {
	m.t.Helper()
	old := m.node("writer-3").part.(*writer)
	for _, s := range old.log.Servers() {
		if s.Address == m.cluster.Writers[1].Peer {
			if err := errors.Join(old.log.RemoveServer(m.t.Context(), s.ID), old.log.AddLearner(m.t.Context(), s.ID, s.Address)); err != nil {
				m.t.Fatal(err)
			}
		}
	}
	if err := m.client("writer-1").TransferLeadership(m.t.Context(), "writer-1"); err != nil {
		m.t.Fatal(err)
	}
	m.comes("writer-1", client.Quorum{Voters: 3, Survives: 1, Planned: 1})
}

// removesGhosts has Raft have a member that the cluster does not list: everybody is told, until
// it is removed.
func (m *team) removesGhosts() {
	m.t.Helper()
	const address = "127.0.0.1:1"
	leader := m.node(m.leader("writer-1"))
	if err := leader.part.(*writer).log.AddVoter(m.t.Context(), "ghost", address); err != nil {
		m.t.Fatal(err)
	}
	if states := m.comes("writer-2", client.Quorum{Voters: 4, Survives: 0, Planned: 1}); !strings.Contains(states, address+" unlisted") {
		m.t.Errorf("it is not told: %s", states)
	}
	m.until("/readyz of the leader tells", func(ctx context.Context) error {
		if _, text, err := m.readyz(ctx, leader.cfg.Name); err != nil || !strings.Contains(text, "4 voters, which survive 0 more failures, of 1 planned") {
			return fmt.Errorf("%s, %w", text, err)
		}
		return nil
	})
	if _, err := m.client("writer-2").RemoveWriter(m.t.Context(), address); err != nil {
		m.t.Fatal(err)
	}
	m.comes("writer-2", client.Quorum{Voters: 3, Survives: 1, Planned: 1})
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
