package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/lease"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication/propagation"
)

// namesakes is a team whose replica-1 may have several processes: each in its own
// directory, with its own way to the others, all with one certificate. The clocks of
// the leases, everybody's, are set forward at will; nobody is late for that.
type namesakes struct {
	*team
	ways    map[string]*cable
	forward atomic.Int64 // how far the clocks of all nodes are ahead
}

func newNamesakes(t *testing.T, writers int) *namesakes {
	t.Helper()
	n := &namesakes{team: tailingTeam(t, writers, 1), ways: map[string]*cable{}}
	n.cluster.Replicas[0].Class = ""
	read := lease.ReadClocks(time.Now())
	n.machine.Clocks = func() propagation.Clocks {
		c, d := read(), time.Duration(n.forward.Load())
		return propagation.Clocks{Monotonic: c.Monotonic + d, Boottime: c.Boottime + d, Wall: c.Wall + d}
	}
	for _, w := range n.cluster.Writers {
		n.start(w.Name)
	}
	return n
}

// run starts a process of replica-1 in the directory of that name.
func (n *namesakes) run(process string) {
	n.t.Helper()
	way := &cable{}
	cfg := n.config("replica-1")
	cfg.Data = filepath.Join(n.dir, "data", process)
	cfg.Machine.Dial = way.dial
	started, err := n.try(cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	n.ways[process] = way
	n.add(process, started)
	n.ready(process)
}

func (n *namesakes) lease(process string) *lease.Renewer {
	return n.node(process).part.(*replica).renewer
}

// leased is the position from which a process would answer as leased; false: it would not.
func (n *namesakes) leased(process string) (event.Position, bool) {
	f := n.lease(process).Fresh()
	at := n.node(process).projection.Head().Position
	_, err := f.Cover(at, propagation.Ask{Mode: propagation.ModeLeased})
	return at, err == nil
}

// shows waits until a process has a lease at a position or a later one.
func (n *namesakes) shows(process string, at event.Position) {
	n.t.Helper()
	n.until(process+" is leased", func(context.Context) error {
		if got, ok := n.leased(process); !ok || got < at {
			return fmt.Errorf("at %d of %d, leased %v", got, at, ok)
		}
		return nil
	})
}

// ask tells how far a position has come, without waiting. It fails the test if it is
// everywhere while one of the processes answers as leased from before it.
func (n *namesakes) ask(token string, processes ...string) *client.Propagation {
	n.t.Helper()
	var p *client.Propagation
	n.until("the leader answers", func(ctx context.Context) (err error) {
		p, err = n.client("writer-1").Propagation(ctx, client.Target{Token: token}, client.Scope{}, 0)
		return err
	})
	for _, process := range processes {
		if at, ok := n.leased(process); ok && at < p.Position && p.Everywhere() {
			n.t.Errorf("position %d is everywhere, and %s answers as leased from %d", p.Position, process, at)
		}
	}
	return p
}

// waitedFor checks that the process which is cut off, and in the end it alone, keeps a
// position from being everywhere.
func (n *namesakes) waitedFor(token, cut string) {
	n.t.Helper()
	nonce := n.lease(cut).Nonce()
	n.until("the leader names the process that is cut off", func(context.Context) error {
		p := n.ask(token, cut)
		if p.Everywhere() {
			n.t.Fatalf("life %.8s is not waited for: %+v", nonce, p)
		}
		if len(p.Pending) != 1 || len(p.PendingLives) != 1 || !strings.HasPrefix(nonce, p.PendingLives[0].Life) || p.PendingLives[0].MayHoldMS <= 0 {
			return fmt.Errorf("life %.8s answers as leased, and the leader says %+v", nonce, p)
		}
		return nil
	})
}

// pass lets so much time pass, by the clocks of the leases.
func (n *namesakes) pass(d time.Duration) { n.forward.Add(int64(d)) }

// revoked has alice's only permission taken away while the process first is cut off
// with a lease, and one more process of that name runs. It returns the token.
func (n *namesakes) revoked(first, second string) string {
	n.t.Helper()
	alice := client.Question{Principal: "arn:aws:iam::" + setup.DefaultAccount + ":user/alice", Action: "s3:Get", Resource: "*"}
	n.must("writer-1", "CreateUser", "UserName", "alice")
	granted := n.must("writer-1", "PutUserPolicy", "UserName", "alice", "PolicyName", "p",
		"PolicyDocument", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*"}}`)
	n.shows(first, n.everywhere("writer-1", granted).Position)
	n.ways[first].set(true)
	n.run(second)
	n.shows(second, 1)
	token := n.must("writer-1", "DeleteUserPolicy", "UserName", "alice", "PolicyName", "p")
	p := n.ask(token, first)
	n.shows(second, p.Position)
	if d, err := n.client(first).Authorize(n.t.Context(), alice, client.Freshness{Consistency: "leased"}); err != nil || !d.Allowed() || d.Freshness != "leased" {
		n.t.Fatalf("the process that is cut off answers %+v, %v", d, err)
	}
	return token
}

// The only process of a replica holds a lease and is cut off, another of that name
// starts, and a permission is revoked. It is not in force everywhere before the
// lease of the first has run out: at this leader, at the next, and at the one after.
func TestANamesakeThatIsCutOffIsWaitedFor(t *testing.T) {
	n := newNamesakes(t, 3)
	n.run("first")
	token := n.revoked("first", "second")
	n.waitedFor(token, "first")

	n.handOver("writer-1")
	n.shows("second", n.ask(token, "first").Position)
	n.waitedFor(token, "first")
	d := propagation.DefaultParams().Duration
	n.pass(d / 2)
	n.shows("second", 1)
	if _, ok := n.leased("first"); !ok {
		t.Log("the machine is so busy that the lease has run out already")
	} else {
		n.waitedFor(token, "first")
	}
	n.handOver("writer-1") // nothing was heard of the first since the one before the last
	n.pass(d / 2)
	if _, ok := n.leased("first"); ok {
		t.Fatal("a lease of ten seconds is in force after ten seconds")
	}
	if p := n.ask(token, "first"); p.Everywhere() {
		t.Errorf("the leader cannot know how long the lease was: %+v", p)
	}
	n.pass(d)
	if p := n.everywhere("writer-1", token); len(p.Pending) > 0 || len(p.PendingLives) > 0 {
		t.Errorf("%+v", p)
	}
}

// handOver makes another writer lead.
func (n *namesakes) handOver(asked string) {
	n.t.Helper()
	before := n.leader(asked)
	n.until("another leads", func(ctx context.Context) error {
		now := n.leader(asked)
		if now != before && n.node(now).part.(*writer).leading.Load() != nil {
			return nil
		}
		return errors.Join(fmt.Errorf("%s leads", now), n.node(now).part.(*writer).log.TransferLeadership(ctx))
	})
}

// A directory that was copied while its process ran holds the nonce of a life that
// goes on: the process that starts from the copy does not tell that it is over.
func TestACopiedDirectoryEndsNobody(t *testing.T) {
	n := newNamesakes(t, 1)
	n.run("first")
	if err := os.CopyFS(filepath.Join(n.dir, "data", "second"), os.DirFS(filepath.Join(n.dir, "data", "first"))); err != nil {
		t.Fatal(err)
	}
	token := n.revoked("first", "second")
	n.waitedFor(token, "first")
	n.pass(propagation.DefaultParams().Window(propagation.DefaultParams().Duration))
	n.everywhere("writer-1", token)
}

// A process that ends without a word, as one that is killed, is waited for, unless
// the next one starts in its directory: that knows that it is gone.
func TestAProcessThatIsGoneIsNotWaitedFor(t *testing.T) {
	n := newNamesakes(t, 1)
	n.run("first")
	n.shows("first", 1)
	n.ways["first"].set(true)
	killed := n.lease("first").Nonce()
	n.stop("first") // nobody hears of that
	n.run("first")
	n.shows("first", 1)
	if lives := n.lives(); len(lives) != 1 || lives[0].Life != "" || n.lease("first").Nonce() == killed {
		t.Errorf("the process that was killed is waited for: %+v", lives)
	}
	n.everywhere("writer-1", n.must("writer-1", "CreateUser", "UserName", "alice"))

	// one that stops in good order says so itself
	untold := strings.Count(n.logs.String(), "the leader was not told")
	n.stop("first")
	if strings.Count(n.logs.String(), "the leader was not told") > untold {
		t.Skip("the machine is so busy that the leader was not reached in time")
	}
	if lives := n.lives(); len(lives) != 1 || lives[0].MayHoldMS > 0 {
		t.Errorf("the process that has stopped is waited for: %+v", lives)
	}
	if p := n.everywhere("writer-1", n.must("writer-1", "CreateUser", "UserName", "bob")); len(p.Fenced) != 1 {
		t.Errorf("%+v", p)
	}
}

// lives are those of replica-1 as the leader tells of them.
func (n *namesakes) lives() (lives []client.Member) {
	n.t.Helper()
	s, err := n.client("writer-1").Cluster(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	for _, m := range s.Members {
		if m.Name == "replica-1" {
			lives = append(lives, m)
		}
	}
	return lives
}

// Two connected processes of one name both stay leased: none takes the session of the
// other. The leader tells of both.
func TestTwoProcessesOfAName(t *testing.T) {
	n := newNamesakes(t, 1)
	n.run("first")
	n.run("second")
	nonces := map[string]string{"first": n.lease("first").Nonce(), "second": n.lease("second").Nonce()}
	period := propagation.DefaultParams().Duration / propagation.RenewalsPerLease
	for range 3 * propagation.RenewalsPerLease {
		n.pass(period)
		for process, nonce := range nonces {
			n.lease(process).Wake() // its timer knows nothing of the time that has passed
			n.until(process+" renews", func(context.Context) error {
				r := n.lease(process)
				if left := r.Snapshot().Remaining(n.node(process).clocks()); left < 3*period {
					return fmt.Errorf("%v left", left)
				}
				return nil
			})
			if got := n.lease(process).Nonce(); got != nonce {
				t.Errorf("%s began another life", process)
			}
		}
	}
	token := n.must("writer-1", "CreateUser", "UserName", "alice")
	p := n.everywhere("writer-1", token)
	for process := range nonces {
		if at, ok := n.leased(process); !ok || at < p.Position {
			t.Errorf("%s is at %d of %d, leased %v", process, at, p.Position, ok)
		}
	}
	lives := n.lives()
	if len(lives) != 2 || lives[0].Life == lives[1].Life || lives[0].Endpoint == lives[1].Endpoint {
		t.Fatalf("%+v", lives)
	}
	for _, m := range lives {
		if m.State != "leased" || m.Position < p.Position || len(m.Life) != 8 || !strings.Contains(m.Detail, "One of several processes of this name") {
			t.Errorf("%+v", m)
		}
	}
	n.stop("second")
	if lives := n.lives(); len(lives) != 1 || lives[0].Life != "" || lives[0].State != "leased" {
		t.Errorf("after one has stopped: %+v", lives)
	}
}
