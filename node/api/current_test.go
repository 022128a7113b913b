package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/replication/propagation"
)

// An answer that takes its time is not told to a caller whose right ended meanwhile.
func TestAnswersDoNotOutliveTheRight(t *testing.T) {
	const effect = `{"principal":"arn:aws:iam::123456789012:user/app","action":"writ:Verify","expect":"allow","timeout":"30s"}`
	owner := identity.Owner{Kind: identity.KindUser, Account: account, Name: "app"}
	for name, c := range map[string]struct{ method, target, body string }{
		"a wait":         {"GET", "/v1/propagation?head&wait=everywhere", ""},
		"a look":         {"GET", "/v1/propagation?head", ""},
		"an effect":      {"POST", "/v1/propagation/effect", effect},
		"a verification": {"POST", "/v1/verify", ""},
		"a signed head":  {"GET", "/v1/head", ""},
		"a status":       {"GET", "/v1/cluster", ""},
	} {
		for _, loss := range []struct {
			change identity.Command
			code   string
		}{
			{nil, ""},
			{&identity.DeleteAccessKey{Account: account, User: "app", ID: "AKIAUSERUSERAPP"}, "InvalidClientTokenId"},
			{&identity.UpdateAccessKey{Account: account, User: "app", ID: "AKIAUSERUSERAPP"}, "InvalidClientTokenId"},
			{&identity.DeleteInlinePolicy{Owner: owner, Name: "own"}, "AccessDenied"},
		} {
			for _, took := range []time.Duration{0, time.Minute} {
				synctest.Test(t, func(t *testing.T) {
					var w *world
					happens := sync.OnceFunc(func() {
						time.Sleep(took)
						if loss.change != nil {
							w.must(loss.change)
						}
					})
					w = newWorld(t, func(c *config) {
						c.Node.Everywhere = func(context.Context, event.Position, propagation.Scope, time.Duration) (propagation.Status, error) {
							happens()
							return propagation.Status{State: propagation.StateEverywhere}, nil
						}
						c.Node.Verify = func(context.Context, event.Position, time.Duration) (*shape.Verification, error) {
							happens()
							return &shape.Verification{Nodes: []shape.Verified{}}, nil
						}
						c.Node.SignHead = func(context.Context) (*event.SignedHead, error) {
							happens()
							return &event.SignedHead{Position: w.log.position(), Certificate: []byte{1}, Signature: []byte{1}}, nil
						}
						c.Node.Status = func(context.Context) shape.Cluster {
							happens()
							return shape.Cluster{Position: w.log.position()}
						}
					})
					w.now = time.Now
					app := w.user("app", allow("writ:*"))
					rec := w.native(app, c.method, c.target, c.body)
					if loss.change == nil {
						w.accepted(name, rec)
					} else {
						w.problem(fmt.Sprintf("%s after %v, %T", name, took, loss.change), rec, 403, loss.code)
					}
				})
			}
		}
	}
}

// A leader that was deposed while somebody waited cannot know whether the caller's key
// is still good, and tells nothing.
func TestAnswersNeedALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var deposed atomic.Bool
		w := newWorld(t, func(c *config) {
			c.Node.Everywhere = func(context.Context, event.Position, propagation.Scope, time.Duration) (propagation.Status, error) {
				deposed.Store(true)
				time.Sleep(time.Minute)
				return propagation.Status{State: propagation.StatePartial}, nil
			}
			read := c.Node.StrictHead
			c.Node.StrictHead = func(ctx context.Context) (event.Head, error) {
				if deposed.Load() {
					return event.Head{}, errors.New("deposed")
				}
				return read(ctx)
			}
		})
		w.now = time.Now
		w.problem("deposed", w.native(w.root, "GET", "/v1/propagation?head&wait=everywhere", ""), 503, "Unavailable")
	})
}

// While a caller waits for an effect, replicas are asked on its behalf only as long as
// it has the right.
func TestNoQuestionsWithoutTheRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		var w *world
		w = newWorld(t, func(c *config) {
			c.Node.Everywhere = func(ctx context.Context, _ event.Position, _ propagation.Scope, wait time.Duration) (propagation.Status, error) {
				time.Sleep(wait + 600*time.Millisecond) // the replica is due to be asked again before the wait looks again
				return propagation.Status{State: propagation.StatePartial, VisibleOn: []string{"r1"}}, nil
			}
			c.Node.Decide = func(context.Context, string, event.Position, []byte) (shape.Evaluated, error) {
				if asked.Add(1) == 2 {
					w.must(&identity.DeleteAccessKey{Account: account, User: "app", ID: "AKIAUSERUSERAPP"})
				}
				return shape.Evaluated{}, errors.New("not yet")
			}
		})
		w.now = time.Now
		app := w.user("app", allow("writ:*"))
		begun := time.Now()
		w.problem("an effect", w.native(app, "POST", "/v1/propagation/effect",
			`{"principal":"arn:aws:iam::123456789012:user/app","action":"writ:Verify","expect":"allow","timeout":"5m"}`), 403, "InvalidClientTokenId")
		if took := time.Since(begun); asked.Load() != 2 || took > 5*time.Second {
			t.Errorf("replicas were asked %d times; it took %v", asked.Load(), took)
		}
	})
}

// A watcher that reads slowly is told nothing more, either, of what was read for it
// before its key was deleted.
func TestSlowWatchersAreToldNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		app := w.user("app", allow("writ:Watch"))
		for i := range 100 {
			w.must(&identity.RegisterReplica{Name: fmt.Sprintf("r%d", i)})
		}
		s := w.watch(t, app, "?after=0&heartbeat=60s")
		s.expect("heartbeat", "")
		for at := 1; at <= 10; at++ {
			s.expect("position", fmt.Sprint(at))
		}
		synctest.Wait() // one more is on its way
		w.must(&identity.DeleteAccessKey{Account: account, User: "app", ID: app.id})
		s.expect("position", "11")
		s.expect("end", "", "code", "InvalidClientTokenId", "status", 403.)
		<-s.done
	})
}

// A stream at a node that can no longer prove that it is current ends, before more is
// told.
func TestStreamsNeedProof(t *testing.T) {
	for _, setting := range []freshness.WithoutLease{freshness.AdmitNothing, freshness.AdmitQuestions, freshness.AdmitReads} {
		ends := setting != freshness.AdmitReads
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			app := w.user("app", allow("writ:Watch"))
			n, l := w.replica(func(c *config) { c.WithoutLease = setting })
			w.log.show(n.projection)
			l.grant(w, n.projection, n.projection.Head())
			s := n.watch(t, app, "?heartbeat=60s")
			s.expect("heartbeat", "", "freshness", "leased")
			leased := n.watch(t, app, "?heartbeat=60s", "X-Writ-Consistency", "leased")
			leased.expect("heartbeat", "", "freshness", "leased")
			time.Sleep(11 * time.Second) // the lease runs out
			w.must(&identity.RegisterReplica{Name: "r"})
			w.log.show(n.projection)
			leased.expect("end", "", "code", "NotLeased", "status", 503.)
			<-leased.done
			if ends {
				s.expect("end", "", "code", "NotLeased", "status", 503.)
				<-s.done
				w.problem("again", n.native(app, "GET", "/v1/events", "", "X-Writ-Consistency", "any"), 503, "NotLeased")
				return
			}
			s.expect("position", "5")
			s.expect("heartbeat", "", "freshness", "unleased")
		})
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			app := w.user("app", allow("writ:Watch"))
			var cut atomic.Bool
			n := w.addNode(false, func(c *config) {
				read := c.Node.StrictHead
				c.Node.Votes, c.Now, c.WithoutLease = true, time.Now, setting
				c.Node.StrictHead = func(ctx context.Context) (event.Head, error) {
					if cut.Load() {
						<-ctx.Done()
						return event.Head{}, ctx.Err()
					}
					return read(ctx)
				}
			})
			n.now = time.Now
			w.log.show(n.projection)
			s := n.watch(t, app, "?heartbeat=60s")
			s.expect("heartbeat", "", "freshness", "strict", "lag", 0.)
			cut.Store(true)
			time.Sleep(2 * time.Second)
			w.must(&identity.RegisterReplica{Name: "r"})
			w.log.show(n.projection) // as if it were told by another that is cut off
			if ends {
				s.expect("end", "", "code", "Unavailable", "status", 503.)
				<-s.done
				return
			}
			s.expect("position", "5")
		})
	}
}

// Where a watcher goes on is a position of the one history that it was told of.
func TestWatchGoesOnInItsHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		app := w.user("app", allow("writ:Watch"))
		token := w.projection.View().Token()
		change := func(f func(*event.Token)) string { k := token; f(&k); return k.String() }
		behind, l := w.replica() // shows position 4
		w.log.show(behind.projection)
		l.grant(w, behind.projection, behind.projection.Head())
		w.must(&identity.RegisterReplica{Name: "a"}, &identity.RegisterReplica{Name: "b"}) // 5 and 6
		latest := w.projection.View().Token()
		for _, n := range []*node{w.node, behind} {
			for name, c := range map[string]struct {
				text string
				code string
			}{
				"another cluster":           {change(func(k *event.Token) { k.Cluster = "of yesterday" }), "WrongToken"},
				"another incarnation":       {change(func(k *event.Token) { k.Incarnation = "of yesterday" }), "WrongToken"},
				"another branch":            {change(func(k *event.Token) { k.Prefix[0]++ }), "WrongToken"},
				"a token that is ahead":     {change(func(k *event.Token) { k.Position = 7 }), "WrongToken"},
				"a token that is far ahead": {change(func(k *event.Token) { k.Position = 999999 }), "WrongToken"},
			} {
				w.problem(name, n.native(app, "GET", "/v1/events?after="+c.text, ""), 409, c.code)
				w.problem(name+" as an id", n.native(app, "GET", "/v1/events?after=0", "", "Last-Event-ID", c.text), 409, c.code)
			}
			for _, at := range []string{"7", "999999", "9223372036854775807"} {
				w.problem("a position that is ahead", n.native(app, "GET", "/v1/events?after="+at, ""), 409, "NotCommitted")
			}
			w.problem("a position is no id", n.native(app, "GET", "/v1/events", "", "Last-Event-ID", "3"), 400, "InvalidRequest")
		}

		// a node that lags gets there, and compares then
		waits := behind.watch(t, app, "", "Last-Event-ID", latest.String())
		waits.expect("heartbeat", "", "position", 4.)
		bare := behind.watch(t, app, "?after=5")
		bare.expect("heartbeat", "", "position", 4.)
		latest.Prefix[7]++
		misled := behind.watch(t, app, "?after="+latest.String())
		misled.expect("heartbeat", "", "position", 4.)
		w.must(&identity.RegisterReplica{Name: "c"})
		w.log.show(behind.projection)
		waits.expect("position", "7")
		bare.expect("position", "6")
		bare.expect("position", "7")
		misled.expect("end", "", "code", "WrongToken", "status", 409.)
		<-misled.done

		// one that cannot find out does not leave the watcher waiting
		alone, l := w.replica(func(c *config) {
			c.Node.StrictHead = func(context.Context) (event.Head, error) { return event.Head{}, errors.New("nobody leads") }
		})
		w.log.show(alone.projection)
		l.grant(w, alone.projection, alone.projection.Head())
		w.problem("ahead of a node without a leader", alone.native(app, "GET", "/v1/events?after=99", ""), 503, "Unavailable")
	})
}

// What a question without a lease gets is a decision: neither policies, nor names of
// others.
func TestQuestionsWithoutALeaseShowNoMore(t *testing.T) {
	w := newWorld(t)
	mallory := w.user("mallory", allow("*"))
	w.must(&identity.CreateUser{Account: account, ID: "AIDAALICE", Name: "alice", Path: "/"})
	for _, setting := range []freshness.WithoutLease{freshness.AdmitQuestions, freshness.AdmitReads} {
		n, _ := w.replica(func(c *config) { c.WithoutLease = setting })
		w.log.show(n.projection)
		ask := func(body string) *httptest.ResponseRecorder { return n.native(mallory, "POST", "/v1/authorize", body) }
		reads := setting == freshness.AdmitReads
		for _, member := range []string{`"explain"`, `"expl\u0061in"`} {
			body := `{"principal":"arn:aws:iam::123456789012:user/mallory","action":"s3:GetObject",` + member + `:true}`
			if rec := ask(body); reads {
				w.accepted("explained", rec)
			} else {
				w.problem("explained", rec, 503, "NotLeased")
			}
			if rec := n.native(mallory, "POST", "/v1/authorize/batch", `{"questions":[`+body+`]}`); (rec.Code == http.StatusOK) != reads {
				t.Errorf("a batch with an explanation: %d %s", rec.Code, rec.Body)
			}
		}
		rec := ask(`{"principal":"arn:aws:iam::123456789012:user/alise","action":"s3:GetObject"}`)
		w.problem("a name that is nearly another", rec, 404, "NoSuchPrincipal")
		if strings.Contains(rec.Body.String(), "alice") != reads {
			t.Errorf("with %s: %s", setting, rec.Body)
		}
	}
}
