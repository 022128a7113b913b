package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/replication/propagation"
)

// fleet is what the leader of a world sees of its replicas.
type fleet struct {
	*world
	mu       sync.Mutex
	replicas map[string]*ship
	failure  error // of everywhere
	asked    []byte
}

type ship struct {
	*node
	*leased
	cut    bool // it gets no questions
	fenced bool
	lapsed bool
}

// newFleet has replicas that show all there is under a lease. Its clocks are the
// bubble's.
func newFleet(t *testing.T, names ...string) *fleet {
	f := &fleet{replicas: map[string]*ship{}}
	f.world = newWorld(t, func(c *config) { c.Node.Everywhere, c.Node.Decide = f.everywhere, f.decide })
	f.now = time.Now
	f.user("alice", allow("s3:Get"))
	for _, name := range names {
		n, l := f.replica()
		n.now = time.Now
		f.replicas[name] = &ship{node: n, leased: l}
		f.sail(name)
	}
	return f
}

// sail lets a replica catch up, and gives it a lease.
func (f *fleet) sail(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.replicas[name]
	f.log.show(s.projection)
	s.grant(f.world, s.projection, s.projection.Head())
}

func (f *fleet) set(name string, change func(*ship)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.replicas[name])
}

func (f *fleet) status(at event.Position, scope propagation.Scope) (s propagation.Status, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, r := range f.replicas {
		if len(scope.Replicas) > 0 && !slices.Contains(scope.Replicas, name) {
			continue
		}
		switch {
		case r.projection.Head().Position >= at:
			s.VisibleOn = append(s.VisibleOn, name)
			if r.lapsed {
				s.Lapsed = append(s.Lapsed, name)
			}
		case r.fenced:
			s.Fenced = append(s.Fenced, name)
		default:
			s.Pending = append(s.Pending, name)
		}
	}
	slices.Sort(s.VisibleOn)
	s.State = propagation.StatePartial
	if len(s.Pending) == 0 || scope.Count > 0 && len(s.VisibleOn) >= scope.Count {
		s.State = propagation.StateEverywhere
	}
	return s, f.failure
}

func (f *fleet) everywhere(ctx context.Context, at event.Position, scope propagation.Scope, wait time.Duration) (propagation.Status, error) {
	deadline := time.After(wait)
	for {
		s, err := f.status(at, scope)
		if err != nil || wait == 0 || s.State == propagation.StateEverywhere {
			return s, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-deadline:
			return s, nil
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
}

func (f *fleet) decide(ctx context.Context, name string, at event.Position, body []byte) (shape.Evaluated, error) {
	f.mu.Lock()
	r := f.replicas[name]
	cut := r.cut
	f.asked = body
	f.mu.Unlock()
	if cut {
		<-ctx.Done()
		return shape.Evaluated{}, ctx.Err()
	}
	return r.server.Evaluate(ctx, at, body)
}

// effect waits as the root for what alice may do.
func (f *fleet) effect(action, expect, more string) *httptest.ResponseRecorder {
	return f.native(f.root, "POST", "/v1/propagation/effect", `{"principal":"`+userARN("alice")+`","action":"`+action+`","expect":"`+expect+`"`+more+`}`)
}

// is checks an answer: its effect, decision, and who is where and decided what.
func (f *fleet) is(name string, rec *httptest.ResponseRecorder, effect, decision, lists string) {
	f.t.Helper()
	m := f.json(f.accepted(name, rec))
	var decided []string
	for _, r := range m["replicas"].([]any) {
		r := r.(map[string]any)
		decided = append(decided, fmt.Sprint(r["name"], ":", r["decision"]))
	}
	got := fmt.Sprint(m["visible_on"], m["fenced"], m["pending"], decided)
	if m["effect"] != effect || m["decision"] != decision || got != lists {
		f.t.Errorf("%s: effect %v, decision %v, %s\nnot %s, %s, %s; %s", name, m["effect"], m["decision"], got, effect, decision, lists, rec.Body)
	}
}

func TestEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "r1", "r2")
		begun := time.Now()
		f.is("allowed everywhere", f.effect("s3:Get", "allow", ""), "present", "allow", "[r1 r2] [] [] [r1:allow r2:allow]")
		f.is("denied everywhere", f.effect("s3:Put", "deny", ""), "present", "implicitDeny", "[r1 r2] [] [] [r1:implicitDeny r2:implicitDeny]")
		f.is("for one", f.effect("s3:Get", "allow", `,"replicas":["r2"]`), "present", "allow", "[r2] [] [] [r2:allow]")
		rec := f.effect("s3:Get", "allow", `,"resource":"arn:aws:s3:::a\"b","context":{"aws:TagKeys":["x","y"], "s3:prefix" : "p"},"count":1,"region":"eu","timeout":"1m"`)
		m := f.json(f.accepted("all members", rec))
		if want := `{"principal":"` + userARN("alice") + `","action":"s3:Get","resource":"arn:aws:s3:::a\"b","context":{"aws:TagKeys":["x","y"], "s3:prefix" : "p"}}`; string(f.asked) != want {
			t.Errorf("replicas are asked %s\nnot %s", f.asked, want)
		}
		token := f.projection.View().Token().String()
		if m["position"] != float64(4) || m["state"] != "everywhere" || m["expect"] != "allow" || m["token"] != token || rec.Header().Get("X-Writ-Position") != "4" {
			t.Errorf("the answer is %v with headers %v", m, rec.Header())
		}
		if took := time.Since(begun); took > 0 {
			t.Errorf("it took %v though nothing was to be waited for", took)
		}

		// a revocation: the wait begins before it, and ends when the last replica has it
		done := parked(t, func() *httptest.ResponseRecorder { return f.effect("s3:Get", "deny", "") })
		f.must(&identity.DeleteInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}, Name: "own"})
		f.sail("r1")
		synctest.Wait()
		f.sail("r2")
		f.is("revoked", <-done, "present", "implicitDeny", "[r1 r2] [] [] [r1:implicitDeny r2:implicitDeny]")
		token = f.projection.View().Token().String()
		f.is("at a token", f.effect("s3:Get", "deny", `,"at_least":"`+token+`"`), "present", "implicitDeny", "[r1 r2] [] [] [r1:implicitDeny r2:implicitDeny]")
	})
}

func TestEffectNotInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "r1", "r2")
		begun := time.Now()
		f.is("the leader decides otherwise", f.effect("s3:Put", "allow", `,"timeout":"3s"`), "absent", "implicitDeny", "[r1 r2] [] [] []")
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("it took %v", took)
		}
		// a replica lags
		f.must(&identity.DeleteInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}, Name: "own"})
		f.sail("r1")
		f.is("one lags", f.effect("s3:Get", "deny", `,"timeout":"2s"`), "pending", "implicitDeny", "[r1] [] [r2] [r1:implicitDeny r2:]")
		f.is("one is enough", f.effect("s3:Get", "deny", `,"count":1`), "present", "implicitDeny", "[r1] [] [r2] [r1:implicitDeny r2:]")
		// it is cut off, and fenced in the end
		f.set("r2", func(s *ship) { s.cut = true })
		begun = time.Now()
		time.AfterFunc(8*time.Second, func() { f.set("r2", func(s *ship) { s.fenced = true }) })
		f.is("one is fenced", f.effect("s3:Get", "deny", ""), "present", "implicitDeny", "[r1] [r2] [] [r1:implicitDeny r2:]")
		if took := time.Since(begun); took < 8*time.Second || took > 9*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A replica without a lease does not count, until it is known that the last one it
// had has run out.
func TestEffectWithoutALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "r1")
		time.Sleep(11 * time.Second)
		f.is("unleased", f.effect("s3:Get", "allow", `,"timeout":"2s"`), "pending", "allow", "[r1] [] [] [r1:indeterminate]")
		f.is("a denial", f.effect("s3:Put", "deny", `,"timeout":"2s"`), "pending", "implicitDeny", "[r1] [] [] [r1:implicitDeny]")
		done := parked(t, func() *httptest.ResponseRecorder { return f.effect("s3:Get", "allow", "") })
		f.sail("r1")
		f.is("leased again", <-done, "present", "allow", "[r1] [] [] [r1:allow]")
		f.set("r1", func(s *ship) { s.cut = true })
		done = parked(t, func() *httptest.ResponseRecorder { return f.effect("s3:Get", "allow", "") })
		f.set("r1", func(s *ship) { s.lapsed = true })
		f.is("gone", <-done, "present", "allow", "[r1] [] [] [r1:]")
		f.set("r1", func(s *ship) { s.cut = false; s.lease.Quarantine("FORK") })
		m := f.json(f.effect("s3:Get", "allow", `,"timeout":"1s","count":1`))
		if r := m["replicas"].([]any)[0].(map[string]any); m["effect"] != "pending" || !strings.Contains(fmt.Sprint(r["reason"]), "quarantined") {
			t.Errorf("quarantined: %v", m)
		}
	})
}

// Decisions change with time, by each node's own clock.
func TestEffectOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "r1")
		begun := time.Now()
		f.must(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}, Name: "later",
			Document: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Put","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"` +
				begun.Add(5*time.Second).UTC().Format(time.RFC3339) + `"}}}}`})
		slow := 3 * time.Second
		f.replicas["r1"].node.now = func() time.Time { return time.Now().Add(-slow) }
		f.sail("r1")
		f.is("after a while", f.effect("s3:Put", "allow", ""), "present", "allow", "[r1] [] [] [r1:allow]")
		if took := time.Since(begun); took < 5*time.Second+slow || took > 7*time.Second+slow {
			t.Errorf("it took %v", took)
		}
	})
}

func TestEffectRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "r1")
		for name, more := range map[string]string{
			"twice":       `,"expect":"allow"`,
			"unknown":     `,"until":"x"`,
			"no timeout":  `,"timeout":"soon"`,
			"too long":    `,"timeout":"11m"`,
			"no count":    `,"count":0`,
			"negative":    `,"count":-1`,
			"a text":      `,"count":"1"`,
			"no list":     `,"replicas":"r1"`,
			"no token":    `,"at_least":"x"`,
			"explained":   `,"explain":true`,
			"bad context": `,"context":{"a":1}`,
			"a long name": `,"resource":"` + strings.Repeat("x", 2049) + `"`,
		} {
			f.problem(name, f.effect("s3:Get", "allow", more), 400, "InvalidRequest")
		}
		f.problem("expects nothing", f.effect("s3:Get", "maybe", ""), 400, "InvalidRequest")
		f.problem("too large", f.effect("s3:Get", "allow", `,"context":{"a":"`+strings.Repeat("x", 25<<10)+`"}`), 413, "RequestEntityTooLarge")
		ahead := f.projection.View().Token()
		ahead.Position += 9
		f.problem("a token of the future", f.effect("s3:Get", "allow", `,"at_least":"`+ahead.String()+`"`), 409, "WrongToken")
		ahead.Cluster = "x"
		f.problem("a token of another cluster", f.effect("s3:Get", "allow", `,"at_least":"`+ahead.String()+`"`), 409, "WrongToken")

		// both permissions are needed
		for name, document := range map[string]string{"watcher": allow("writ:GetPropagation"), "asker": allow("writ:Authorize")} {
			c := f.user(name, document)
			rec := f.native(c, "POST", "/v1/propagation/effect", `{"principal":"`+userARN("alice")+`","action":"s3:Get","expect":"allow"}`)
			f.problem(name, rec, 403, "AccessDenied")
		}
		f.sail("r1")
		f.failure = propagation.ErrScope
		f.problem("a scope", f.effect("s3:Get", "allow", ""), 400, "InvalidRequest")
		f.failure = errors.New("10.0.0.1 is down")
		f.problem("trouble", f.effect("s3:Get", "allow", ""), 503, "Unavailable")
		f.failure = nil

		// so many may wait, and each gives its place back
		var waits sync.WaitGroup
		for range 64 {
			waits.Go(func() { f.effect("s3:Put", "allow", `,"timeout":"5s"`) })
		}
		synctest.Wait()
		f.problem("one too many", f.effect("s3:Get", "allow", ""), 503, "Unavailable")
		waits.Wait()
		f.accepted("then there is room", f.effect("s3:Get", "allow", ""))
	})
}

// A node that does not lead hands the wait on, before and while it waits.
func TestEffectIsForwarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "r1")
		var seen admission.Forwarded
		forward := to(&f.world.node, &seen)
		n, _ := f.replica(func(c *config) { c.Node.Forward = forward })
		n.now = time.Now
		body := `{"principal":"` + userARN("alice") + `","action":"s3:Get","expect":"allow","timeout":"45s"}`
		rec := n.native(f.root, "POST", "/v1/propagation/effect", body)
		f.is("by way of a replica", rec, "present", "allow", "[r1] [] [] [r1:allow]")
		if seen.Hold != 45*time.Second {
			t.Errorf("the leader may hold it for %v", seen.Hold)
		}
		lost := newWorld(t, func(c *config) {
			c.Node.Everywhere = func(context.Context, event.Position, propagation.Scope, time.Duration) (propagation.Status, error) {
				return propagation.Status{}, dispatch.ErrNotLeader
			}
			c.Node.Forward = func(w http.ResponseWriter, _ *http.Request, _ admission.Forwarded) error {
				w.WriteHeader(299)
				return nil
			}
		})
		lost.user("alice", allow("s3:Get"))
		if rec := lost.native(lost.root, "POST", "/v1/propagation/effect", body); rec.Code != 299 {
			t.Errorf("a leader that was deposed answers %d %s", rec.Code, rec.Body)
		}
	})
}
