package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/replication/propagation"
)

// replica adds a node that answers under a lease, by the clock of the bubble.
func (w *world) replica(change ...func(*config)) (*node, *leased) {
	begun := time.Now()
	l := newLeased(w, func() time.Duration { return time.Since(begun) + time.Hour })
	n := w.addNode(false, append([]func(*config){func(c *config) { c.Node.Name, c.Node.Fresh = "replica-1", l.fresh }}, change...)...)
	return n, l
}

// parked starts a request that must not end before it is let go on.
func parked(t *testing.T, serve func() *httptest.ResponseRecorder) <-chan *httptest.ResponseRecorder {
	t.Helper()
	done := make(chan *httptest.ResponseRecorder, 1)
	go func() { done <- serve() }()
	synctest.Wait()
	select {
	case rec := <-done:
		t.Fatalf("it did not wait: %d %s", rec.Code, rec.Body)
	default:
	}
	return done
}

const question = `{"principal":"arn:aws:iam::123456789012:user/alice","action":"s3:Get"}`

// address is one of many networks.
func address(i int) string { return fmt.Sprintf("198.51.%d.%d:1234", i/250, i%250) }

func (n *node) questionFrom(addr string, c credential, headers ...string) *httptest.ResponseRecorder {
	return n.nativeFrom(addr, c, "POST", "/v1/authorize", question, headers...)
}

func (n *node) question(c credential, headers ...string) *httptest.ResponseRecorder {
	return n.native(c, "POST", "/v1/authorize", question, headers...)
}

func TestLeasedAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.user("alice", allow("s3:Get"))
		n, l := w.replica()
		w.log.show(n.projection)
		l.grant(w, n.projection, n.projection.Head())
		time.Sleep(time.Second) // of the bubble's clock

		m := w.json(n.question(w.root))
		if m["decision"] != "allow" || m["freshness"] != "leased" || m["lease_remaining_ms"] != float64(9000) || m["staleness_bound_ms"] != float64(1011) || m["node"] != "replica-1" {
			t.Errorf("leased: %v", m)
		}
		for _, mode := range []string{"leased", "any", "strict"} {
			want := map[string]string{"leased": "leased", "any": "leased", "strict": "strict"}[mode]
			if m := w.json(n.question(w.root, "X-Writ-Consistency", mode)); m["freshness"] != want || m["decision"] != "allow" {
				t.Errorf("%s: %v", mode, m)
			}
		}
		w.accepted("stale enough", n.question(w.root, "X-Writ-Max-Staleness", "2s"))
		if detail := w.problem("too stale", n.question(w.root, "X-Writ-Max-Staleness", "500ms"), 503, "TooStale"); !strings.HasPrefix(detail, "At position 4: ") {
			t.Errorf("the detail is %q", detail)
		}

		time.Sleep(10 * time.Second) // the lease runs out
		m = w.json(n.question(w.root))
		if m["decision"] != "indeterminate" || m["freshness"] != "unleased" || m["lease_remaining_ms"] != nil {
			t.Errorf("unleased: %v", m)
		}
		if m := w.json(n.native(w.root, "POST", "/v1/authorize", strings.Replace(question, "Get", "Put", 1))); m["decision"] != "implicitDeny" {
			t.Errorf("an unleased denial: %v", m)
		}
		if m := w.json(n.question(w.root, "X-Writ-Max-Staleness", "1m")); m["decision"] != "indeterminate" || m["freshness"] != "unleased" || m["staleness_bound_ms"] == nil {
			t.Errorf("unleased with a bound: %v", m)
		}
		if m := w.json(n.question(w.root, "X-Writ-At-Least", w.projection.View().Token().String())); m["decision"] != "indeterminate" || m["freshness"] != "at_least" {
			t.Errorf("unleased at a token: %v", m)
		}
		w.problem("leased without a lease", n.question(w.root, "X-Writ-Consistency", "leased"), 503, "NotLeased")
		w.refused("a read", n.whoami(w.root), 503, "NotLeased", "At position 4: the replica holds no lease, so its answer could be old; "+
			"without one this node admits only questions for decisions, and flags the answers.")

		l.lease.Quarantine("FORK")
		w.problem("quarantined", n.question(w.root, "X-Writ-Consistency", "any"), 503, "Quarantined")
	})
}

func TestAdmitNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.user("alice", allow("s3:Get"))
		n, l := w.replica(func(c *config) { c.WithoutLease = freshness.AdmitNothing })
		w.log.show(n.projection)
		w.problem("no lease", n.question(w.root), 503, "NotLeased")
		rec := n.whoami(w.root)
		w.refused("no lease", rec, 503, "NotLeased", "")
		if rec.Header().Get("Retry-After") != "1" {
			t.Error("no Retry-After")
		}
		l.grant(w, n.projection, n.projection.Head())
		w.accepted("leased", n.question(w.root))
		time.Sleep(11 * time.Second)
		w.problem("run out", n.question(w.root), 503, "NotLeased")
		w.problem("asked for any", n.question(w.root, "X-Writ-Consistency", "any"), 503, "NotLeased") // that is not the caller's choice
	})
}

func TestAdmitReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.user("alice", allow("s3:Get"))
		n, l := w.replica(func(c *config) { c.WithoutLease = freshness.AdmitReads })
		w.log.show(n.projection)
		l.grant(w, n.projection, n.projection.Head())
		time.Sleep(11 * time.Second)
		for header, value := range map[string]string{"X-Writ-Max-Staleness": "1m", "X-Writ-At-Least": w.projection.View().Token().String()} {
			if m := w.json(n.question(w.root, header, value)); m["decision"] != "allow" {
				t.Errorf("a caller who says how old an answer may be: %v", m)
			}
		}
		if m := w.json(n.question(w.root)); m["decision"] != "indeterminate" {
			t.Errorf("one who does not: %v", m)
		}
		rec := w.accepted("a read", n.whoami(w.root))
		if rec.Header().Get("X-Writ-Freshness") != "unleased" {
			t.Errorf("headers %v", rec.Header())
		}
		w.refused("asked for a lease", n.iam(w.root, "ListUsers", "@X-Writ-Consistency", "leased"), 503, "NotLeased", "")
	})
}

// A lease is looked at before the view is loaded: one that is granted in between
// does not count for an answer from an older view.
func TestLeaseIsLookedAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.user("alice", allow("s3:Get"))
		var n *node
		var l *leased
		n, l = w.replica(func(c *config) {
			fresh := c.Node.Fresh
			c.Node.Fresh = func() (f propagation.Freshness) {
				f = fresh()
				// after the look: alice loses the permission, which this node applies
				w.must(&identity.DeleteInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}, Name: "own"})
				w.log.show(n.projection)
				return f
			}
		})
		w.log.show(n.projection)
		l.grant(w, n.projection, n.projection.Head())
		if m := w.json(n.question(w.root)); m["decision"] != "implicitDeny" || m["freshness"] != "leased" {
			t.Errorf("the view was loaded before the lease was looked at: %v", m)
		}
	})
}

func TestAtLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n, _ := w.replica(func(c *config) { c.WithoutLease = freshness.AdmitReads })
		w.log.show(n.projection)
		w.user("alice", allow("s3:Get"))
		token := w.projection.View().Token()

		done := parked(t, func() *httptest.ResponseRecorder { return n.question(w.root, "X-Writ-At-Least", token.String()) })
		w.log.show(n.projection)
		if m := w.json(<-done); m["decision"] != "allow" || m["freshness"] != "at_least" || m["position"] != float64(token.Position) {
			t.Errorf("the answer is %v", m)
		}
		ahead := token
		ahead.Position++
		done = parked(t, func() *httptest.ResponseRecorder { return n.question(w.root, "X-Writ-At-Least", ahead.String()) })
		begun := time.Now()
		w.problem("not in time", <-done, 503, "NotReached")
		if waited := time.Since(begun); waited != admission.DefaultWait {
			t.Errorf("it waited for %v", waited)
		}
		for name, change := range map[string]func(*event.Token){
			"another cluster": func(k *event.Token) { k.Cluster = "x" },
			"another history": func(k *event.Token) { k.Prefix[0]++ },
		} {
			k := token
			change(&k)
			w.problem(name, n.question(w.root, "X-Writ-At-Least", k.String()), 409, "WrongToken")
			r, body := form(stsVersion, "GetCallerIdentity", "@X-Writ-At-Least", k.String())
			w.refused(name, n.serve(n.sign(r, w.root, "sts", body)), 409, "WrongToken", "")
		}
		// What proves nothing of itself says nothing of tokens: it may be of a state before a restore.
		old, l := w.replica()
		w.log.show(old.projection)
		another := token
		another.Incarnation = "x"
		w.problem("without a lease", old.question(w.root, "X-Writ-At-Least", another.String()), 503, "NotReached")
		l.grant(w, old.projection, old.projection.Head())
		w.problem("with a lease", old.question(w.root, "X-Writ-At-Least", another.String()), 409, "WrongToken")
		for header, value := range map[string]string{"X-Writ-At-Least": "nonsense", "X-Writ-Consistency": "sometimes", "X-Writ-Max-Staleness": "soon"} {
			w.problem(header, n.question(w.root, header, value), 400, "InvalidRequest")
		}
		w.problem("negative", n.question(w.root, "X-Writ-Max-Staleness", "-1s"), 400, "InvalidRequest")
	})
}

// Nothing is asked, and nobody waits, for a signature that is known to be wrong.
// Keys that the node does not know may be newer than its view: they wait, but
// take no places from those that it knows.
func TestStrangersWaitApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.user("alice", "")
		asked := 0
		n, l := w.replica(func(c *config) {
			read := c.Node.StrictHead
			c.Node.StrictHead = func(ctx context.Context) (event.Head, error) { asked++; return read(ctx) }
		})
		w.log.show(n.projection)
		l.grant(w, n.projection, n.projection.Head())
		fresh := w.user("fresh", allow("writ:*")) // newer than the replica's view
		token := w.projection.View().Token().String()

		wrong := credential{w.root.id, "another secret"}
		begun := time.Now()
		for _, headers := range [][]string{{"X-Writ-At-Least", token}, {"X-Writ-Consistency", "strict"}} {
			w.problem("a wrong signature", n.question(wrong, headers...), 403, "SignatureDoesNotMatch")
		}
		if waited := time.Since(begun); waited > 0 || asked > 0 {
			t.Errorf("it waited for %v, and the head was read %d times", waited, asked)
		}

		nobody := credential{"AKIANOBODYNOBODY0000", "x"}
		var strangers sync.WaitGroup
		for i := range 255 {
			strangers.Go(func() { n.questionFrom(address(i), nobody, "X-Writ-At-Least", token) })
		}
		synctest.Wait()
		first := parked(t, func() *httptest.ResponseRecorder { return n.question(fresh, "X-Writ-At-Least", token) })
		if detail := w.problem("one too many", n.question(nobody, "X-Writ-At-Least", token), 503, "Unavailable"); !strings.Contains(detail, "256 requests by unknown access keys") {
			t.Errorf("the detail is %q", detail)
		}
		w.problem("one too many", n.question(nobody, "X-Writ-Consistency", "strict"), 503, "Unavailable")
		w.accepted("who is known need not wait", n.question(w.root, "X-Writ-Consistency", "leased"))
		known := parked(t, func() *httptest.ResponseRecorder { return n.question(w.root, "X-Writ-At-Least", token) })
		w.log.show(n.projection)
		w.accepted("a newer key", <-first)
		w.accepted("a known key", <-known)
		strangers.Wait()
		w.problem("nobody", n.question(nobody, "X-Writ-At-Least", token), 403, "InvalidClientTokenId")
	})
}

func TestStrict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		failure := error(nil)
		n, _ := w.replica(func(c *config) {
			read := c.Node.StrictHead
			c.Node.StrictHead = func(ctx context.Context) (event.Head, error) {
				if failure != nil {
					return event.Head{}, failure
				}
				return read(ctx)
			}
		})
		w.log.show(n.projection)
		w.user("alice", allow("s3:Get"))
		done := parked(t, func() *httptest.ResponseRecorder { return n.question(w.root, "X-Writ-Consistency", "strict") })
		w.log.show(n.projection)
		if m := w.json(<-done); m["decision"] != "allow" || m["freshness"] != "strict" {
			t.Errorf("the answer is %v", m)
		}
		w.must(&identity.CreateUser{Account: account, ID: "AIDABOB", Name: "bob", Path: "/"})
		done = parked(t, func() *httptest.ResponseRecorder { return n.question(w.root, "X-Writ-Consistency", "strict") })
		w.problem("not in time", <-done, 503, "Unavailable")
		failure = errors.New("10.0.0.1 is down")
		if detail := w.problem("no head", n.question(w.root, "X-Writ-Consistency", "strict"), 503, "Unavailable"); strings.Contains(detail, "10.") {
			t.Errorf("an inner cause in %q", detail)
		}
	})
}

// What the view refuses is told however fast others write: the head is read once, and a
// view of it or a later one is current enough. A code of a device is tried once for it.
func TestRefusalsWhileOthersWrite(t *testing.T) {
	others := 0
	var w *world
	w = newWorld(t, func(c *config) {
		read := c.Node.StrictHead
		c.Node.StrictHead = func(ctx context.Context) (event.Head, error) {
			others++
			name := fmt.Sprint("other-", others)
			w.must(&identity.CreateUser{Account: account, ID: identity.ID("AIDAOTHER" + name), Name: name, Path: "/"})
			return read(ctx)
		}
	})
	w.user("alice", allow("s3:Get"))
	made := w.accepted("a device", w.iam(w.root, "CreateVirtualMFADevice", "VirtualMFADeviceName", "phone"))
	_, rest, _ := strings.Cut(made.Body.String(), "<SerialNumber>")
	serial, _, _ := strings.Cut(rest, "</SerialNumber>")
	for i := range 5 {
		rec := w.iam(w.root, "EnableMFADevice", "UserName", "alice", "SerialNumber", serial, "AuthenticationCode1", "000000", "AuthenticationCode2", "000000")
		if !strings.Contains(rec.Body.String(), "<Code>InvalidAuthenticationCode</Code>") {
			t.Errorf("try %d: %d %s", i, rec.Code, rec.Body)
		}
	}
	rec := w.iam(w.root, "EnableMFADevice", "UserName", "alice", "SerialNumber", serial, "AuthenticationCode1", "000000", "AuthenticationCode2", "000000")
	if !strings.Contains(rec.Body.String(), "<Code>EntityTemporarilyUnmodifiable</Code>") {
		t.Errorf("the sixth try: %d %s", rec.Code, rec.Body)
	}
	if others == 0 {
		t.Error("nobody wrote meanwhile")
	}
}

// A writer has no lease: what asks for one is read strictly there, and so is all that
// is not admitted without.
func TestFreshnessAtAWriter(t *testing.T) {
	w := newWorld(t)
	w.user("alice", allow("s3:Get"))
	if rec := w.accepted("a read", w.iam(w.root, "GetUser", "UserName", "alice", "@X-Writ-Consistency", "any")); rec.Header().Get("X-Writ-Freshness") != "strict" {
		t.Errorf("a read is %s", rec.Header().Get("X-Writ-Freshness"))
	}
	token := w.projection.View().Token().String()
	for _, c := range []struct{ headers, freshness, decision string }{
		{"", "strict", "allow"},
		{"X-Writ-Consistency: strict", "strict", "allow"},
		{"X-Writ-Consistency: leased", "strict", "allow"},
		{"X-Writ-Consistency: any", "unleased", "indeterminate"},
		{"X-Writ-Max-Staleness: 1s", "strict", "allow"},
		{"X-Writ-At-Least: " + token, "strict", "allow"},
		{"X-Writ-At-Least: " + token + "; X-Writ-Consistency: any", "unleased", "indeterminate"},
		{"X-Writ-At-Least: " + token + "; X-Writ-Max-Staleness: 1s", "strict", "allow"},
	} {
		var headers []string
		for _, h := range strings.Split(c.headers, "; ") {
			if name, value, ok := strings.Cut(h, ": "); ok {
				headers = append(headers, name, value)
			}
		}
		if m := w.json(w.question(w.root, headers...)); m["freshness"] != c.freshness || m["decision"] != c.decision {
			t.Errorf("%q: %v", c.headers, m)
		}
	}
}

// What is given twice is refused at every route, whichever would have counted.
func TestGivenTwice(t *testing.T) {
	w := newWorld(t)
	w.user("mallory", "")
	token := w.projection.View().Token().String()
	twice := map[string][2]string{"X-Writ-Consistency": {"any", "strict"}, "X-Writ-Max-Staleness": {"10h", "1ns"}, "X-Writ-At-Least": {token, token}}
	for _, p := range probes(t, w.server, token) {
		if p.open || p.verifier { // they read no headers of the API
			continue
		}
		for name, values := range twice {
			p := p
			p.header = p.header.Clone()
			if p.header == nil {
				p.header = http.Header{}
			}
			p.header[name] = values[:]
			rec := w.send(w.root, p)
			if want := "The header " + name + " is given 2 times."; rec.Code != 400 || !strings.Contains(rec.Body.String(), "InvalidRequest") || !strings.Contains(rec.Body.String(), want) {
				t.Errorf("%s with %s twice: %d %s", p.name, name, rec.Code, rec.Body)
			}
		}
		if p.service != "writ" {
			continue // the Query protocol has its own parameters, and refuses these, too
		}
		path, query, _ := strings.Cut(p.target, "?")
		for more, detail := range map[string]string{
			"count=1&count=900": `The query parameter "count" is given 2 times.`, "x&x=": `The query parameter "x" is given 2 times.`, "count=%zz": "The query string is malformed.",
		} {
			p := p
			p.target = path + "?" + strings.TrimPrefix(query+"&"+more, "&")
			if got := w.problem(p.name+" "+more, w.send(w.root, p), 400, "InvalidRequest"); got != detail {
				t.Errorf("%s with %s: %q", p.name, more, got)
			}
		}
	}
}
