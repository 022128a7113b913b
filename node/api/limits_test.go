package api_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/replication/propagation"
)

// stalled is a body that stops after its first bytes until the request ends.
type stalled struct {
	ctx   context.Context
	first io.Reader
}

func (s *stalled) Read(b []byte) (int, error) {
	if n, err := s.first.Read(b); err == nil {
		return n, nil
	}
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// held is a request that a node holds until the test lets it go.
type held struct {
	rec    *httptest.ResponseRecorder
	done   chan struct{}
	cancel context.CancelFunc
}

// lazyReader is a caller who reads nothing of an answer of success until the request ends.
type lazyReader struct {
	*httptest.ResponseRecorder
	ctx context.Context
}

func (u *lazyReader) Write(b []byte) (int, error) {
	if u.Code == http.StatusOK {
		<-u.ctx.Done()
	}
	return u.ResponseRecorder.Write(b)
}

// hold sends a request and waits until it is held, or was answered. The caller reads
// no answer if unread is wanted, and comes by way of replica-1 if that is, second.
func (n *node) hold(r *http.Request, wanted ...bool) *held {
	ctx, cancel := context.WithCancel(r.Context())
	h := &held{httptest.NewRecorder(), make(chan struct{}), cancel}
	serve := n.server.ServeHTTP
	if len(wanted) > 1 && wanted[1] {
		serve = func(rec http.ResponseWriter, r *http.Request) { n.server.ServeForwarded(rec, r, "replica-1") }
	}
	var rec http.ResponseWriter = h.rec
	if len(wanted) > 0 && wanted[0] {
		rec = &lazyReader{h.rec, ctx}
	}
	r = r.WithContext(ctx)
	if s, ok := r.Body.(*stalledBody); ok {
		s.ctx = ctx
	}
	go func() {
		defer close(h.done)
		serve(rec, r)
	}()
	synctest.Wait()
	return h
}

type stalledBody struct{ stalled }

func (*stalledBody) Close() error { return nil }

func (h *held) answered() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

func (h *held) end() { h.cancel(); <-h.done }

// blocked hands requests on to a leader that does not answer.
func blocked(_ http.ResponseWriter, r *http.Request, _ admission.Forwarded) error {
	<-r.Context().Done()
	return r.Context().Err()
}

// placeTests make a request that takes places of one limit.
var placeTests = map[string]struct {
	limit   string // its name, where that is not the test's
	limits  admission.Limits
	replica bool
	// make makes a request; body is what is sent of it at once.
	make     func(n *node, c credential) *http.Request
	stranger bool // the holders are addresses
	proved   bool // the holders have proved who they are, from their addresses
	unread   bool // the holders read no answer
}{
	"waiting": {limits: admission.Limits{Waiting: 8}, replica: true, make: func(n *node, c credential) *http.Request {
		ahead := n.world.projection.View().Token()
		ahead.Position++
		return n.signed(c, "POST", "/v1/authorize", question, "X-Writ-At-Least", ahead.String())
	}},
	"strangers": {limits: admission.Limits{Strangers: 8, StrangersPerSecond: 1_000_000}, replica: true, stranger: true, make: func(n *node, c credential) *http.Request {
		r, body := form(iamVersion, "CreateUser", "UserName", "new")
		return n.sign(r, c, "iam", body)
	}},
	"watchers": {limits: admission.Limits{Watchers: 8}, make: func(n *node, c credential) *http.Request {
		return n.signed(c, "GET", "/v1/events", "")
	}},
	"effects": {limits: admission.Limits{Effects: 8}, make: func(n *node, c credential) *http.Request {
		return n.signed(c, "POST", "/v1/propagation/effect", question[:len(question)-1]+`,"expect":"allow","timeout":"10m"}`)
	}},
	"handed_on": {limits: admission.Limits{HandedOn: 8}, replica: true, make: func(n *node, c credential) *http.Request {
		r, body := form(iamVersion, "CreateUser", "UserName", "new")
		return n.sign(r, c, "iam", body)
	}},
	"held": {limits: admission.Limits{Held: 8}, replica: true, make: func(n *node, c credential) *http.Request {
		return n.signed(c, "GET", "/v1/propagation?head&wait=everywhere&timeout=10m", "")
	}},
	"held at the leader": {limit: "held", limits: admission.Limits{Held: 8}, make: func(n *node, c credential) *http.Request {
		return n.signed(c, "GET", "/v1/propagation?head&wait=everywhere&timeout=10m", "")
	}},
	"strangers_signatures": {limits: admission.Limits{StrangersSignatures: 8}, replica: true, make: func(n *node, c credential) *http.Request {
		return n.signed(c, "POST", "/v1/authorize", question)
	}},
	"signatures": {limits: admission.Limits{Signatures: 8}, replica: true, proved: true, make: func(n *node, c credential) *http.Request {
		return n.signed(c, "POST", "/v1/authorize", question)
	}},
	"bodies": {limits: admission.Limits{Bodies: 8 * 4 << 10}, proved: true, make: func(n *node, c credential) *http.Request {
		return n.stalling(c)
	}},
	"answers": {limits: admission.Limits{Answers: 8 * 100_000}, unread: true, make: func(n *node, c credential) *http.Request {
		r, body := form(iamVersion, "GetRole", "RoleName", "long")
		return n.sign(r, c, "iam", body)
	}},
	"answers of the native API": {limit: "answers", limits: admission.Limits{Answers: 8 * 100_000}, unread: true, make: func(n *node, c credential) *http.Request {
		return n.signed(c, "POST", "/v1/authorize/batch", `{"questions":[`+strings.Repeat(question+",", 249)+question+`]}`)
	}},
	"strangers_bodies": {limits: admission.Limits{StrangersBodies: 8 * 4 << 10}, stranger: true, make: func(n *node, c credential) *http.Request {
		return n.stalling(c)
	}},
}

// signed is a request of the native API.
func (n *node) signed(c credential, method, target, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "http://writ.test"+target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return n.sign(r, c, "writ", []byte(body))
}

// stalling is a request of whose body 5 KB come, of 8 KiB that it declares.
func (n *node) stalling(c credential) *http.Request {
	r := n.signed(c, "POST", "/v1/authorize", "")
	r.Body, r.ContentLength = &stalledBody{stalled{first: bytes.NewReader(make([]byte, 5000))}}, 8<<10
	return r
}

// Each limit has a share for one principal, or one address of strangers: it is
// refused beyond it while others are served, until all places are taken. Places are
// given back.
func TestPlaces(t *testing.T) {
	for name, c := range placeTests {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { testPlaces(t, name) }) })
		if c.limits == (admission.Limits{}) {
			t.Errorf("%s has no limit", name)
		}
	}
}

func testPlaces(t *testing.T, name string) {
	c, proving := placeTests[name], true // what proves the holders
	set := func(cfg *config) {
		cfg.Limits = c.limits
		cfg.Node.Forward = blocked
		if strings.HasSuffix(name, "signatures") {
			cfg.Seal = nil
			cfg.Node.Confirm = func(ctx context.Context, _ sigv4.Claim) (admission.Confirmed, error) {
				if proving {
					return admission.Confirmed{}, nil
				}
				<-ctx.Done()
				return admission.Confirmed{}, ctx.Err()
			}
		}
		cfg.Node.Everywhere = func(ctx context.Context, _ event.Position, _ propagation.Scope, wait time.Duration) (propagation.Status, error) {
			<-ctx.Done()
			return propagation.Status{}, ctx.Err()
		}
	}
	w := newWorld(t, set)
	n := w.node
	var holders []credential
	for i := range 5 {
		user := w.user(fmt.Sprint("user", i), allow("*"))
		if c.stranger {
			user = credential{"AKIANOBODYNOBODY0000", "x"}
		}
		holders = append(holders, user)
	}
	w.user("alice", allow("s3:*")) // of whom is asked
	w.must(&identity.CreateRole{Account: account, ID: "AROALONG", Name: "long", Path: "/", Trust: strings.Repeat(" ", 32_000)})
	if c.replica {
		n, _ = w.replica(set)
		w.log.show(n.projection)
	}
	var all []*held
	open := func(holder int) *held {
		r := c.make(n, holders[holder])
		r.RemoteAddr = address(holder)
		h := n.hold(r, c.unread)
		all = append(all, h)
		return h
	}
	refused := func(h *held, text string) {
		t.Helper()
		if !h.answered() || h.rec.Code != http.StatusServiceUnavailable || !strings.Contains(h.rec.Body.String(), text) || h.rec.Header().Get("Retry-After") == "" {
			t.Errorf("not refused with %q: %d %s", text, h.rec.Code, h.rec.Body)
		}
	}
	for holder, user := range holders {
		if c.proved {
			w.accepted("a small question", n.questionFrom(address(holder), user))
		}
	}
	proving = false
	for holder := range 4 {
		for range 2 {
			if h := open(holder); h.answered() {
				t.Fatalf("holder %d is answered %d %s", holder, h.rec.Code, h.rec.Body)
			}
		}
		if holder == 0 {
			refused(open(0), "as many as one caller may have")
		}
	}
	refused(open(4), " already.")
	caller := "known"
	if c.stranger || name == "bodies" || strings.HasSuffix(name, "signatures") { // before anybody has signed
		caller = "stranger"
	}
	if got := n.metric(`writ_refused_total{caller="` + caller + `",limit="` + cmp.Or(c.limit, name) + `"}`); got != 2 {
		t.Errorf("%v refusals are counted", got)
	}
	all[0].end()
	time.Sleep(time.Second) // of the bubble's clock: strangers have a rate, too
	if h := open(4); h.answered() {
		t.Errorf("a place that was given back is not to be had: %d %s", h.rec.Code, h.rec.Body)
	}
	for _, h := range all {
		h.end()
	}
	if h := open(0); h.answered() {
		t.Errorf("all places were given back: %d %s", h.rec.Code, h.rec.Body)
	}
	all[len(all)-1].end()
	if logs := w.logs.String(); strings.Contains(logs, `"level":"ERROR"`) {
		t.Errorf("what callers do is told as an error: %s", logs)
	}
}

// A stranger's write is handed on, for its key may be new, but few in a second are;
// one that is known and does not verify is not. Nothing of it is an error.
func TestStrangersAreHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		handed := 0
		var seen admission.Forwarded
		n, _ := w.replica(func(c *config) {
			c.Limits = admission.Limits{Strangers: 32, StrangersPerSecond: 8} // of which one network has a quarter
			forward := to(&w.node, &seen)
			c.Node.Forward = func(rw http.ResponseWriter, r *http.Request, f admission.Forwarded) error {
				handed++
				return forward(rw, r, f)
			}
		})
		w.log.show(n.projection)
		fresh := w.user("fresh", allow("*")) // newer than the replica's view
		nobody := credential{"AKIANOBODYNOBODY0000", "x"}
		create := func(c credential, name string) *httptest.ResponseRecorder {
			return n.iam(c, "CreateUser", "UserName", name)
		}

		w.accepted("a new key", create(fresh, "a"))
		for range 7 {
			w.refused("nobody", create(nobody, "b"), 403, "InvalidClientTokenId", "")
		}
		w.refused("one too many", create(nobody, "b"), 503, "ServiceUnavailable", "Too many requests by unknown access keys come at a time. Try again.")
		w.problem("and of the native API", n.native(nobody, "GET", "/v1/propagation?head", ""), 503, "Unavailable")
		if handed != 8 {
			t.Errorf("%d were handed on", handed)
		}
		r, body := form(iamVersion, "CreateUser", "UserName", "b")
		r.RemoteAddr = "198.51.100.7:1"
		w.refused("of another network", n.serve(n.sign(r, nobody, "iam", body)), 403, "InvalidClientTokenId", "")
		time.Sleep(time.Second) // of the bubble's clock
		w.accepted("later", create(fresh, "c"))

		handed = 0
		for _, c := range []credential{{w.root.id, "a guess"}} {
			w.refused("a guess", create(c, "d"), 403, "SignatureDoesNotMatch", "")
			w.problem("a guess", n.native(c, "GET", "/v1/propagation?head", ""), 403, "SignatureDoesNotMatch")
		}
		w.accepted("whom the node knows needs no such place", create(w.root, "e"))
		if handed != 1 {
			t.Errorf("%d were handed on", handed)
		}
		if logs := w.logs.String(); strings.Contains(logs, `"level":"ERROR"`) {
			t.Errorf("what strangers do is told as an error: %s", logs)
		}
		if got := n.metric(`writ_refused_total{caller="stranger",limit="strangers_rate"}`); got != 2 {
			t.Errorf("%v are counted", got)
		}
	})
}

// A leader that is not to be reached is an error of the node for whom it knows, and
// none for strangers.
func TestErrorsAreOurs(t *testing.T) {
	w := newWorld(t)
	n := w.addNode(false, func(c *config) {
		c.Node.Forward = func(http.ResponseWriter, *http.Request, admission.Forwarded) error {
			return errors.New("10.0.0.1 is down")
		}
	})
	w.log.show(n.projection)
	w.refused("nobody", n.iam(credential{"AKIANOBODYNOBODY0000", "x"}, "CreateUser", "UserName", "x"), 503, "ServiceUnavailable", "")
	if logs := w.logs.String(); strings.Contains(logs, `"level":"ERROR"`) {
		t.Errorf("a stranger's is told as an error: %s", logs)
	}
	w.refused("the root", n.iam(w.root, "CreateUser", "UserName", "x"), 503, "ServiceUnavailable", "")
	if logs := w.logs.String(); strings.Count(logs, `"level":"ERROR"`) != 1 {
		t.Errorf("the root's is not told as an error: %s", logs)
	}
}

// One question for the head serves all who came before it was put. Strangers cause
// few of them, and a key that is new is found by them.
func TestHeadsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		var mu sync.Mutex
		w := newWorld(t, func(c *config) {
			read := c.Node.StrictHead
			c.Node.StrictHead = func(ctx context.Context) (event.Head, error) {
				mu.Lock()
				asked++
				mu.Unlock()
				time.Sleep(time.Millisecond) // of the bubble's clock
				return read(ctx)
			}
		})
		count := func() int { mu.Lock(); defer mu.Unlock(); n := asked; asked = 0; return n }
		alice := w.user("alice", allow("*"))
		w.node.leads = false // a writer that follows

		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() { w.accepted("alice", w.iam(alice, "GetUser")) })
		}
		wg.Wait()
		if n := count(); n < 1 || n > 2 {
			t.Errorf("500 reads at once asked %d times", n)
		}

		begun := time.Now()
		nobody := credential{"AKIANOBODYNOBODY0000", "x"}
		for i := range 50 {
			wg.Go(func() {
				for time.Since(begun) < time.Second {
					w.problem("nobody", w.questionFrom(address(i), nobody), 403, "InvalidClientTokenId")
				}
			})
		}
		wg.Wait()
		if n := count(); n < 10 || n > 21 {
			t.Errorf("a second of strangers asked %d times", n)
		}
		w.node.leads = true
		// who goes away while it asks leaves the others their answer
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 20 {
			wg.Go(func() {
				r, body := form(iamVersion, "GetUser")
				w.serve(w.sign(r.WithContext(ctx), alice, "iam", body))
			})
			wg.Go(func() { w.accepted("alice", w.iam(alice, "GetUser")) })
		}
		wg.Wait()
	})
}

// The bytes of bodies are counted as they come, and those that come whole and small
// take none.
func TestBodies(t *testing.T) {
	w := newWorld(t, func(c *config) { c.Limits = admission.Limits{Bodies: 64 << 10, StrangersBodies: 4 << 10} })
	alice := w.user("alice", allow("*"))
	w.problem("declared too long", w.native(alice, "POST", "/v1/authorize", strings.Repeat("x", admission.MaxBody+1)), 413, "RequestEntityTooLarge")
	for _, c := range []struct {
		size     int
		declared bool
		status   int
	}{ // 4 KiB are free, a quarter of the rest is for one; what is not declared grows by doubling
		{4 << 10, true, 400}, {20 << 10, true, 400}, {20<<10 + 1, true, 503}, {15 << 10, false, 400}, {17 << 10, false, 503},
	} {
		r := w.signed(alice, "POST", "/v1/authorize", strings.Repeat("x", c.size))
		if !c.declared {
			r.ContentLength = -1
		}
		if rec := w.serve(r); rec.Code != c.status {
			t.Errorf("%+v: %d %s", c, rec.Code, rec.Body)
		}
	}
	nobody := credential{"AKIANOBODYNOBODY0000", "x"}
	w.problem("a stranger's", w.native(nobody, "POST", "/v1/authorize", strings.Repeat("x", 4<<10)), 403, "InvalidClientTokenId")
	w.problem("a stranger's", w.native(nobody, "POST", "/v1/authorize", strings.Repeat("x", 5<<10+1)), 503, "Unavailable")
	for declared, more := range map[int64]int{admission.MaxBody: 0, -1: 0, 3: -1} {
		whole := newWorld(t)
		body := strings.Repeat("x", admission.MaxBody)
		if declared == 3 {
			body = "xx"
		}
		r := whole.signed(whole.root, "POST", "/v1/authorize", body)
		r.ContentLength = declared
		code := "InvalidRequest"
		if more < 0 {
			code = "IncompleteBody"
		}
		whole.problem(code, whole.serve(r), 400, code)
	}
	r := w.signed(alice, "POST", "/v1/authorize", strings.Repeat("x", admission.MaxBody+1))
	r.ContentLength = -1
	free := newWorld(t)
	free.problem("undeclared too long", free.serve(r), 413, "RequestEntityTooLarge")
}

// Whoever knows the id of a key, but not its secret, holds bodies as a stranger does: the
// owner's are read, from where it has proved who it is, and from elsewhere once it did.
func TestStrangersHoldNothingOfAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const owners, fresh, first = 0, 1, 2 // addresses
		w := newWorld(t, func(c *config) { c.Limits = admission.Limits{Bodies: 512 << 10, StrangersBodies: 64 << 10} })
		alice := w.user("alice", allow("*"))
		big := func(addr int) *httptest.ResponseRecorder {
			return w.nativeFrom(address(addr), alice, "POST", "/v1/authorize", strings.Repeat("x", 100<<10))
		}
		w.accepted("a small question", w.questionFrom(address(owners), alice))
		guess := credential{alice.id, "a guess"}
		var all []*held
		hold := func(addr int) bool {
			r := w.stalling(guess)
			r.RemoteAddr = address(addr)
			h := w.hold(r)
			all = append(all, h)
			return !h.answered()
		}
		for holder := range 4 {
			for i := range 4 { // a quarter of 64 KiB
				if !hold(first + holder) {
					t.Fatalf("address %d holds %d bodies only", holder, i)
				}
			}
			if holder < 3 && hold(first+holder) {
				t.Error("an address has more than its share")
			}
		}
		for addr := range 60 { // half of the key's share
			if hold(first + 4 + addr) {
				t.Error("strangers hold more than all of their bytes")
			}
		}
		w.problem("the owner", big(owners), 400, "InvalidRequest")
		handed := w.signed(alice, "POST", "/v1/authorize", strings.Repeat("x", 100<<10))
		(&admission.Forwarded{RequestID: "1", Source: "198.51.99.1"}).SetHeaders(handed)
		rec := httptest.NewRecorder()
		w.server.ServeForwarded(rec, handed, "replica-1")
		w.problem("handed on by a node that has read it", rec, 400, "InvalidRequest")
		good := w.signed(alice, "POST", "/v1/authorize", question)
		(&admission.Forwarded{RequestID: "2", Source: strings.Split(address(fresh), ":")[0]}).SetHeaders(good)
		w.server.ServeForwarded(rec, good, "replica-1") // a node's word proves no address
		w.problem("at an address that has proved nothing", big(fresh), 503, "Unavailable")
		w.accepted("a small question", w.questionFrom(address(fresh), alice))
		w.problem("that it has proved", big(fresh), 400, "InvalidRequest")
		w.now = func() time.Time { return noon.Add(10 * time.Minute) }
		w.problem("long after that", big(fresh), 503, "Unavailable")
		for _, h := range all {
			h.end()
		}
		w.problem("and with room", big(fresh), 503, "Unavailable") // more than an address's share
		w.questionFrom(address(fresh), guess)
		w.problem("a guess proves nothing", big(fresh), 503, "Unavailable")
	})
}

// Whoever has a node's certificate says which keys' requests it hands on. What is held of
// them before their signatures are verified is that node's, and a share of all.
func TestANodeHoldsNothingOfTheKeysItNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *config) { c.Limits = admission.Limits{Bodies: 64 << 10} })
		var all []*held
		refused := 0
		for i := range 8 { // as many keys as would have taken all
			victim := w.user(fmt.Sprintf("victim%d", i), allow("*"))
			for range 2 {
				r := w.stalling(credential{victim.id, "a guess"})
				(&admission.Forwarded{RequestID: "1", Source: "198.51.99.1"}).SetHeaders(r)
				h := w.hold(r, false, true)
				if all = append(all, h); h.answered() {
					refused++
				}
			}
		}
		if refused != len(all)-4 {
			t.Errorf("%d of %d were refused, a quarter is a share", refused, len(all))
		}
		alice := w.user("alice", allow("*"))
		w.accepted("a small question", w.questionFrom(address(1), alice))
		w.problem("who has proved who she is", w.nativeFrom(address(1), alice, "POST", "/v1/authorize", strings.Repeat("x", 20<<10)), 400, "InvalidRequest")
		for _, h := range all {
			h.end()
		}
	})
}

// A principal has one share, however many keys it has.
func TestKeysOfAPrincipalShareItsBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *config) { c.Limits = admission.Limits{Bodies: 64 << 10, StrangersBodies: 4 << 10} })
		keys := []credential{w.user("alice", allow("*")), {"AKIAALICESSECOND0000", "another secret"}}
		w.must(&identity.CreateAccessKey{Account: account, User: "alice", Key: w.sealed(account, keys[1])})
		for i, k := range keys {
			w.accepted("a small question", w.questionFrom(address(i), k))
		}
		var all []*held
		served := 0
		for i := range 8 {
			r := w.stalling(keys[i%2])
			r.RemoteAddr = address(i % 2)
			h := w.hold(r)
			if all = append(all, h); !h.answered() {
				served++
			}
		}
		if served != 4 {
			t.Errorf("%d bodies are held, a quarter is 4", served)
		}
		for _, h := range all {
			h.end()
		}
	})
}

// A body that was a stranger's counts as its key's when its signature was verified.
func TestProvedBodiesAreNoStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n, _ := w.replica(func(c *config) { c.Limits = admission.Limits{StrangersBodies: 32 << 10, Bodies: 32 << 10} })
		alice := w.user("alice", allow("*"))
		w.log.show(n.projection)
		ahead := w.projection.View().Token()
		ahead.Position++
		wait := func() *held {
			padded := question + strings.Repeat(" ", 8<<10-len(question))
			r := n.signed(alice, "POST", "/v1/authorize", padded, "X-Writ-At-Least", ahead.String())
			r.RemoteAddr = address(0)
			return n.hold(r)
		}
		first, second := wait(), wait() // they fill an address's share, and then the key's
		r := n.stalling(credential{alice.id, "a guess"})
		r.RemoteAddr = address(1)
		stranger := n.hold(r)
		if first.answered() || second.answered() || stranger.answered() {
			t.Fatalf("they do not wait: %s, %s, %s", first.rec.Body, second.rec.Body, stranger.rec.Body)
		}
		third := wait()
		if !third.answered() || third.rec.Code != http.StatusServiceUnavailable {
			t.Error("the key's share was full")
		}
		third.end()
		first.end()
		second.end()
		stranger.end()
		third = wait()
		if third.answered() {
			t.Errorf("all was given back: %s", third.rec.Body)
		}
		third.end()
	})
}

// The bytes of an answer are taken while it is written, if it is not small. A write whose
// answer finds no place has taken effect, and says so; its retry gets the answer.
func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *config) { c.Limits = admission.Limits{Answers: 4 * 150_000} })
		alice := w.user("alice", allow("*"))
		// percent-encoded, a blank is three bytes
		trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}}`
		trust += strings.Repeat(" ", 40_000)
		create := func(name string) (*http.Request, []byte) {
			return form(iamVersion, "CreateRole", "RoleName", name, "AssumeRolePolicyDocument", trust, "@Amz-Sdk-Invocation-Id", "invocation of "+name)
		}
		w.accepted("a first small request", w.iam(alice, "GetUser"))
		r, body := create("one")
		first := w.hold(w.sign(r, alice, "iam", body), true)
		if first.answered() {
			t.Fatalf("it is answered %s", first.rec.Body)
		}
		small := func() { w.accepted("a small answer", w.iam(alice, "GetUser")) }
		small()
		w.refused("a long one", w.iam(alice, "GetRole", "RoleName", "one"), 503, "ServiceUnavailable", "150000 bytes of answers are being written already, as many as one caller may have. Try again.")
		w.accepted("another's", w.iam(w.root, "GetRole", "RoleName", "one"))

		before := w.log.position()
		r, body = create("two")
		refused := w.serve(w.sign(r, alice, "iam", body))
		w.refused("a write", refused, 503, "OutcomeUnknown", "")
		if text := fmt.Sprintf("took effect at position %d.", before+1); !strings.Contains(refused.Body.String(), text) || refused.Header().Get("Retry-After") == "" {
			t.Errorf("it does not say that it %s: %v %s", text, refused.Header(), refused.Body)
		}
		first.end()
		r, body = create("two")
		again := w.accepted("its retry", w.serve(w.sign(r, alice, "iam", body)))
		if got := w.log.position(); got != before+1 || len(again.Body.String()) < 120_000 {
			t.Errorf("the retry is answered %d bytes, at position %d", again.Body.Len(), got)
		}
		small()
	})
}

// The limits are the ones that the documentation names.
func TestDefaultPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 4 {
			c := w.user(fmt.Sprint("user", i), allow("writ:Watch"))
			for range 256 {
				w.watch(t, c, "").expect("heartbeat", "")
			}
			w.problem("beyond the share", w.native(c, "GET", "/v1/events", ""), 503, "Unavailable")
		}
		if detail := w.problem("one too many", w.native(w.root, "GET", "/v1/events", ""), 503, "Unavailable"); detail != "1024 callers watch already." {
			t.Errorf("the detail is %q", detail)
		}
	})
}

// served is a server of a node's edge, over pipes.
type served struct {
	*http.Server
	conns chan net.Conn
	done  chan struct{}
}

func (n *node) listen(t *testing.T) *served {
	t.Helper()
	s := &served{&http.Server{Handler: n.server}, make(chan net.Conn), make(chan struct{})}
	go func() {
		defer close(s.done)
		s.Serve(&oneConn{conns: s.conns, addr: &net.TCPAddr{}})
	}()
	t.Cleanup(func() { s.Close(); <-s.done })
	return s
}

// A body that does not come, or comes at less than the least rate, ends its request
// in time; one that comes at that rate is read.
func TestSlowBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.listen(t)
		const size = 640 << 10 // ten seconds' worth
		for name, c := range map[string]struct {
			piece  int
			every  time.Duration
			status int
			took   time.Duration
		}{
			"nothing":          {0, time.Hour, 408, 5 * time.Second},
			"a trickle":        {1, time.Second, 408, 5 * time.Second},
			"a quarter as due": {16 << 10, time.Second, 408, 6500 * time.Millisecond},
			"as due":           {64 << 10, time.Second, 400, 10 * time.Second},
		} {
			client, there := net.Pipe()
			s.conns <- there
			begun := time.Now()
			fmt.Fprintf(client, "POST /v1/authorize HTTP/1.1\r\nHost: writ.test\r\nContent-Length: %d\r\n", size)
			r := w.signed(w.root, "POST", "/v1/authorize", string(make([]byte, size)))
			for _, header := range []string{"Authorization", "X-Amz-Date"} {
				fmt.Fprintf(client, "%s: %s\r\n", header, r.Header.Get(header))
			}
			io.WriteString(client, "\r\n")
			var sender sync.WaitGroup
			sender.Go(func() {
				for sent := 0; sent < size; sent += c.piece {
					time.Sleep(c.every)
					if _, err := client.Write(make([]byte, c.piece)); err != nil {
						return
					}
				}
			})
			answer, err := http.ReadResponse(bufio.NewReader(client), nil)
			if err != nil || answer.StatusCode != c.status || time.Since(begun).Truncate(time.Millisecond) != c.took {
				t.Errorf("%s: %v, %v after %v", name, answer, err, time.Since(begun))
			}
			client.Close()
			sender.Wait()
		}
	})
}

// Whoever asks for the metrics often gets those that were gathered last.
func TestMetricsAreCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gathered := 0
		w := newWorld(t)
		w.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gathered"}, func() float64 { gathered++; return float64(gathered) }))
		for range 1000 {
			w.series("gathered")
		}
		if gathered != 20 || w.metric("gathered") != 20 {
			t.Errorf("%d times gathered", gathered)
		}
		time.Sleep(time.Second) // of the bubble's clock
		if w.metric("gathered") != 21 {
			t.Error("they are not gathered any more")
		}
	})
}
