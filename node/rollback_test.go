package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication/propagation"
	"github.com/writ-iam/writ/test/layout"
)

// tailingTeam has replicas that follow the writers' tails, without NATS: these tests
// stop writers again and again.
func tailingTeam(t *testing.T, writers, replicas int) *team {
	t.Helper()
	c := layout.Cluster(t, writers, replicas)
	c.NATS = setup.NoNATS
	for i := range c.Writers {
		c.Writers[i].Broker, c.Writers[i].Routes = "", ""
	}
	dir, c, root := layout.Init(t, c)
	return teamIn(t, dir, c, root)
}

// keep copies the directory of a node that does not run, and returns what puts the
// copy in its place.
func (m *team) keep(name string) (putBack func()) {
	m.t.Helper()
	dir, kept := m.config(name).Data, m.t.TempDir()
	must := func(err error) {
		m.t.Helper()
		if err != nil {
			m.t.Fatal(err)
		}
	}
	must(os.CopyFS(kept, os.DirFS(dir)))
	return func() {
		m.t.Helper()
		must(os.RemoveAll(dir))
		must(os.CopyFS(dir, os.DirFS(kept)))
	}
}

// A replica whose directory is put back from yesterday has missed what came since,
// and nothing else: it catches up by itself.
func TestARolledBackReplicaCatchesUp(t *testing.T) {
	m := tailingTeam(t, 1, 1)
	m.startAll()
	m.everywhere("writer-1", m.must("writer-1", "CreateUser", "UserName", "u0"))
	m.stop("replica-1")
	putBack := m.keep("replica-1")
	m.start("replica-1")
	for i := range 10 {
		m.must("writer-1", "CreateUser", "UserName", fmt.Sprintf("u%d", 1+i))
	}
	token := m.must("writer-1", "DeleteUser", "UserName", "u0")
	m.everywhere("writer-1", token)
	m.stop("replica-1")
	putBack()
	m.start("replica-1")
	m.ready("replica-1")
	if p := m.everywhere("writer-1", token); len(p.VisibleOn) != 1 {
		t.Errorf("%+v", p)
	}
	if status, _, _ := m.iam("replica-1", "GetUser", "UserName", "u0"); status != 404 {
		t.Errorf("a user that was deleted since: %d", status)
	}
	found, err := m.verdicts(t.Context(), "writer-1")
	if err != nil || found["replica-1"].Verdict != "ok" || found["writer-1"].Verdict != "ok" {
		t.Errorf("%+v, %v", found, err)
	}
}

// neverLeased asks a forked replica in every way.
func (m *team) neverLeased(name string) {
	m.t.Helper()
	question := client.Question{Principal: "arn:aws:iam::" + setup.DefaultAccount + ":user/carol", Action: "s3:Get"}
	for _, f := range []client.Freshness{{}, {Consistency: "any"}, {Consistency: "leased"}, {MaxStaleness: time.Hour}} {
		var p *client.Problem
		ctx, cancel := context.WithTimeout(m.t.Context(), 500*time.Millisecond) // the client would try again
		d, err := m.client(name).Authorize(ctx, question, f)
		if cancel(); !errors.As(err, &p) || p.Code != "Quarantined" {
			m.t.Errorf("%+v: it answers %+v, %v", f, d, err)
		}
	}
	if status, _, body := m.iam(name, "GetUser", "UserName", "carol"); status != 503 || !strings.Contains(body, "quarantined") {
		m.t.Errorf("it answers %d %s", status, body)
	}
}

// The writer's directory is put back from yesterday, and history goes another way. A
// replica that has seen the other one is found as FORK: while it runs, when it
// starts again, and however far the new history goes. It keeps what it has, which is
// the evidence, until somebody removes it.
func TestAReplicaOfAForkedHistory(t *testing.T) {
	m := tailingTeam(t, 1, 2)
	m.startAll()
	m.everywhere("writer-1", m.must("writer-1", "CreateUser", "UserName", "alice"))
	m.stop("writer-1")
	putBack := m.keep("writer-1")
	m.start("writer-1")
	m.ready("writer-1")
	m.everywhere("writer-1", m.must("writer-1", "CreateUser", "UserName", "carol"))
	seen := m.node("replica-1").projection.Head()
	m.stop("replica-2") // it sees the new history only when it starts again
	m.stop("writer-1")
	putBack()
	m.start("writer-1")
	m.until("the writer leads again", func(context.Context) error {
		if m.node("writer-1").part.(*writer).leading.Load() == nil {
			return errors.New("it does not")
		}
		return nil
	})
	fork := func(name string) {
		t.Helper()
		m.until(name+" is a fork", func(context.Context) error {
			if k := m.node(name).part.(*replica).renewer.Snapshot().Quarantined(); k != propagation.KindFork {
				return fmt.Errorf("it is %q", k)
			}
			return nil
		})
		m.saysQuarantined(name, "FORK")
		m.neverLeased(name)
	}
	for i := range 5 {
		m.must("writer-1", "CreateUser", "UserName", fmt.Sprintf("dave%d", i))
	}
	fork("replica-1")
	m.start("replica-2")
	fork("replica-2")
	found, err := m.verdicts(t.Context(), "writer-1")
	if n := found["replica-1"]; err != nil || n.Verdict != "differs" || n.Hash != seen.Hash || !strings.Contains(n.Detail, "has the hash") {
		t.Errorf("%+v, %v", found, err)
	}
	// time does not heal it, nor does a start
	token := m.must("writer-1", "CreateUser", "UserName", "erin")
	if p := m.everywhere("writer-1", token); len(p.VisibleOn) > 0 || len(p.Fenced) != 2 {
		t.Errorf("%+v", p)
	}
	m.stop("replica-1")
	m.start("replica-1")
	fork("replica-1")
	if head := m.node("replica-1").projection.Head(); head != seen {
		t.Errorf("it is at %+v, not at %+v: the evidence is gone", head, seen)
	}
	// an operator decides for the history that the writer has
	m.stop("replica-1")
	if err := os.RemoveAll(m.config("replica-1").Data); err != nil {
		t.Fatal(err)
	}
	m.start("replica-1")
	m.ready("replica-1")
	m.must("replica-1", "GetUser", "UserName", "erin")
}

// One writer of three whose directory is put back from yesterday catches up, as long
// as the others remember what it forgot.
func TestARolledBackWriterCatchesUp(t *testing.T) {
	m := tailingTeam(t, 3, 1)
	m.startAll()
	m.must("writer-1", "CreateUser", "UserName", "u0")
	m.stop("writer-3")
	putBack := m.keep("writer-3")
	m.start("writer-3")
	m.ready("writer-3")
	for i := range 20 {
		m.must("writer-1", "CreateUser", "UserName", fmt.Sprintf("u%d", 1+i))
	}
	m.stop("writer-3")
	putBack()
	m.start("writer-3")
	m.ready("writer-3")
	token := m.must("writer-3", "CreateUser", "UserName", "last")
	m.everywhere("replica-1", token)
	m.until("all are equal", func(ctx context.Context) error {
		found, err := m.verdicts(ctx, "replica-1")
		if err != nil {
			return err
		}
		for name, n := range found {
			if n.Verdict != "ok" || n.Hash != found["writer-1"].Hash {
				return fmt.Errorf("%s: %+v", name, n)
			}
		}
		return nil
	})
}

// One writer of three forgets what it had promised, while the third knows nothing of
// it: the two together lose a committed write, which Raft cannot prevent. The writer
// that has it finds out and ends, and the replica that showed it is a fork.
func TestALostWriteIsFound(t *testing.T) {
	m := tailingTeam(t, 3, 1)
	m.startAll()
	m.everywhere("replica-1", m.must("writer-1", "CreateUser", "UserName", "alice"))
	stop := func(names ...string) {
		for _, name := range names {
			m.stop(name)
		}
	}
	stop("writer-2", "writer-3")
	putBack := m.keep("writer-2")
	m.start("writer-2") // writer-3 stays down
	m.leader("writer-2")
	m.everywhere("replica-1", m.must("writer-1", "CreateUser", "UserName", "carol"))
	term := m.node("writer-1").part.(*writer).log.Term()
	stop("writer-1", "writer-2")
	putBack()
	m.start("writer-2", "writer-3")
	// The later term wins when the two histories meet; it is to be theirs.
	m.until("the two are in a later term", func(ctx context.Context) error {
		w := m.node(m.leader("writer-3")).part.(*writer)
		if now := w.log.Term(); now <= term {
			return errors.Join(fmt.Errorf("term %d after %d", now, term), w.log.TransferLeadership(ctx))
		}
		return nil
	})
	m.must("writer-3", "CreateUser", "UserName", "dave")
	m.start("writer-1")
	select {
	case err := <-m.node("writer-1").Failed():
		if !errors.Is(err, log.ErrDiverged) {
			t.Errorf("writer-1 ends with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("writer-1 goes on")
	}
	m.stop("writer-1")
	m.until("the replica is a fork", func(context.Context) error {
		if k := m.node("replica-1").part.(*replica).renewer.Snapshot().Quarantined(); k != propagation.KindFork {
			return fmt.Errorf("it is %q", k)
		}
		return nil
	})
	m.neverLeased("replica-1")
}
