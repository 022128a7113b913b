package api_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/dispatch"
)

// captured is a signed request as somebody on its way saw it.
type captured struct {
	method, url string
	header      http.Header
	body        []byte
	held        func() // if set, what happens before the body comes
}

// Read lets happen what does before the body comes, of which it is the beginning.
func (g *captured) Read([]byte) (int, error) {
	if g.held != nil {
		g.held()
	}
	return 0, io.EOF
}

// capture signs a request that makes a key, and keeps a copy of it.
func (w *world) capture(c credential) captured {
	r, body := form(iamVersion, "CreateAccessKey", "UserName", "alice")
	w.sign(r, c, "iam", body)
	return captured{method: r.Method, url: r.URL.String(), header: r.Header.Clone(), body: body}
}

// send sends it, with headers that its signature does not cover.
func (g captured) send(n *node, unsigned ...string) *httptest.ResponseRecorder {
	return n.serve(g.request(unsigned...))
}

func (g captured) request(unsigned ...string) *http.Request {
	r := httptest.NewRequest(g.method, g.url, io.NopCloser(io.MultiReader(&g, bytes.NewReader(g.body))))
	r.Header, r.ContentLength = g.header.Clone(), int64(len(g.body))
	for i := 0; i < len(unsigned); i += 2 {
		r.Header.Set(unsigned[i], unsigned[i+1])
	}
	return r
}

// A captured write takes effect once, whatever is done to what its signature does not
// cover; honest twins of one second take effect both.
func TestReplaysTakeEffectOnce(t *testing.T) {
	const invocation = "Amz-Sdk-Invocation-Id"
	at := func(w *world, d time.Duration) { w.node.now = func() time.Time { return noon.Add(d) } }
	setUp := func() (*world, captured, *httptest.ResponseRecorder) {
		w := newWorld(t)
		w.must(&identity.CreateUser{Account: account, ID: "AIDAALICE", Name: "alice", Path: "/"})
		g := w.capture(w.root)
		return w, g, w.accepted("the first", g.send(w.node, invocation, "one"))
	}
	const bound = identity.TwinTime * identity.Time(time.Millisecond)
	for _, c := range []struct {
		name     string
		after    time.Duration
		unsigned []string
	}{
		{"without an invocation id", time.Duration(bound) + time.Millisecond, nil},
		{"with another one", time.Duration(bound) + time.Millisecond, []string{invocation, "two"}},
		{"with another agent", time.Minute, []string{invocation, "two", "User-Agent", "x"}},
		{"when the key of the attempt alone would be forgotten", 14 * time.Minute, []string{invocation, "two"}},
	} {
		w, g, first := setUp()
		before := w.log.position()
		at(w, c.after)
		again := w.accepted(c.name, g.send(w.node, c.unsigned...))
		if w.log.position() != before {
			t.Errorf("%s: it took effect again", c.name)
		}
		for _, header := range []string{"X-Writ-Position", "X-Writ-Token", "X-Amzn-Requestid"} {
			if a, b := first.Header().Get(header), again.Header().Get(header); a != b || a == "" {
				t.Errorf("%s: %s is %q, then %q", c.name, header, a, b)
			}
		}
		if a, b := between(first.Body.String(), "AccessKeyId"), between(again.Body.String(), "AccessKeyId"); a != b {
			t.Errorf("%s: made key %s, then %s", c.name, a, b)
		}
	}

	w, g, _ := setUp()
	before := w.log.position()
	at(w, time.Duration(bound))
	w.accepted("a twin", g.send(w.node, invocation, "two"))
	if w.log.position() != before+1 {
		t.Error("an equal call of the same second did not take effect")
	}

	// A twin that had to wait for a leader, at the node that it came to, is one; for as long
	// as a node waits, and by the word of a node alone.
	const held = "X-Writ-Forwarded-Held"
	for _, c := range []struct {
		name   string
		after  time.Duration
		held   string
		client bool
		twin   bool
	}{
		{"looked for the leader", 12 * time.Second, "10500", false, true},
		{"looked for longer than a node does", 18 * time.Second, "60000", false, false},
		{"sent late, however it was held before", 12 * time.Second, "500", false, false},
		{"a client says so", 12 * time.Second, "10500", true, false},
		{"in the future", 12 * time.Second, "-99999", false, false},
		{"so long that it would wrap into the future", 12 * time.Second, "18131168073709", false, false},
		{"longer than any number", 12 * time.Second, "99999999999999999999", false, false},
	} {
		w, g, _ := setUp()
		before := w.log.position()
		at(w, c.after)
		unsigned := []string{invocation, "two", held, c.held}
		if c.client {
			w.accepted(c.name, g.send(w.node, unsigned...))
		} else {
			r := g.request(unsigned...)
			(&admission.Forwarded{RequestID: "r", Attempt: "two", Source: "192.0.2.7"}).SetHeaders(r)
			rec := httptest.NewRecorder()
			w.server.ServeForwarded(rec, r, "replica-1")
			w.accepted(c.name, rec)
		}
		if took := w.log.position() != before; took != c.twin {
			t.Errorf("%s: it took effect %v", c.name, took)
		}
	}

	// A replay arrives with the end of its body, however early it began.
	w, g, _ = setUp()
	before = w.log.position()
	at(w, time.Duration(bound))
	g.held = func() { at(w, time.Duration(bound)+time.Millisecond) }
	w.accepted("a replay whose body is held back", g.send(w.node, invocation, "two"))
	if w.log.position() != before {
		t.Error("a replay whose body came late took effect")
	}
	g.held = func() { at(w, 20*time.Minute) }
	w.refused("a body that comes when the signature is good no longer", g.send(w.node, invocation, "two"), http.StatusForbidden, "SignatureDoesNotMatch", "")

	// A replay that is refused now is not told merely that.
	w, g, _ = setUp()
	at(w, time.Minute)
	w.must(&identity.DeleteAccessKey{Account: account, ID: w.root.id})
	w.refused("after the key's end", g.send(w.node, invocation, "two"), http.StatusServiceUnavailable, "OutcomeUnknown", "")
}

// A presigned write lives for fifteen minutes, whatever its signer says, unless the
// node is told otherwise; it is no less a replay the second time.
func TestPresignedWrites(t *testing.T) {
	presign := func(w *world, expires string) captured {
		target := "http://writ.test/?Action=CreateAccessKey&UserName=alice&Version=" + iamVersion
		if expires != "" {
			target += "&X-Amz-Expires=" + expires
		}
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
		url, _, err := v4.NewSigner().PresignHTTP(context.Background(), aws.Credentials{AccessKeyID: w.root.id, SecretAccessKey: w.root.secret}, r, empty, "iam", "us-east-1", noon)
		if err != nil {
			t.Fatal(err)
		}
		return captured{method: http.MethodGet, url: url, header: http.Header{}}
	}
	const day = "86400"
	for _, c := range []struct {
		name, expires string
		setting       time.Duration
		at            time.Duration
		good          bool
	}{
		{"in time", day, 0, dispatch.DefaultPresignedWrites, true},
		{"late", day, 0, dispatch.DefaultPresignedWrites + time.Second, false},
		{"later than its signer says", "60", 0, 61 * time.Second, false},
		{"a longer setting", day, 24 * time.Hour, 23 * time.Hour, true},
		{"a shorter setting", day, time.Minute, 61 * time.Second, false},
		{"a shorter setting, and no word of the signer", "", time.Minute, 61 * time.Second, false},
	} {
		w := newWorld(t, func(cfg *config) { cfg.PresignedWrites = c.setting })
		w.must(&identity.CreateUser{Account: account, ID: "AIDAALICE", Name: "alice", Path: "/"})
		g := presign(w, c.expires)
		w.node.now = func() time.Time { return noon.Add(c.at) }
		rec := g.send(w.node)
		if (rec.Code == http.StatusOK) != c.good {
			t.Errorf("%s: status %d: %s", c.name, rec.Code, rec.Body)
		}
		if !c.good {
			if e := w.error(rec); e.Code != "SignatureDoesNotMatch" {
				t.Errorf("%s: %s: %s", c.name, e.Code, e.Message)
			}
			continue
		}
		before := w.log.position()
		w.node.now = func() time.Time { return noon.Add(c.at + 3*time.Second) }
		if rec := g.send(w.node); rec.Code == http.StatusOK && w.log.position() != before {
			t.Errorf("%s: again, it took effect again", c.name)
		}
	}
}

// No node says of a write that it came when it did not: neither later than it is, nor
// longer ago than a node looks for the leader.
func TestTheTimeOfAHandedOnWrite(t *testing.T) {
	for held, want := range map[string]time.Duration{
		"": 0, "2000": -2 * time.Second, "60000": -15 * time.Second, "-2000": 0, "18131168073709": -15 * time.Second, "9223372036854775807": -15 * time.Second,
		"18446744073709551615": 0, "x": 0,
	} {
		w := newWorld(t)
		alice := w.user("alice", allow("*"))
		r, body := form(iamVersion, "CreateUser", "UserName", "new")
		(&admission.Forwarded{RequestID: "r", Attempt: "a", Source: "192.0.2.7"}).SetHeaders(r)
		r.Header.Set("X-Writ-Forwarded-Held", held)
		rec := httptest.NewRecorder()
		w.server.ServeForwarded(rec, w.sign(r, alice, "iam", body), "replica-1")
		w.accepted(held, rec)
		if came := time.UnixMilli(int64(w.log.batches[w.log.position()-1].Cause.Time)).Sub(w.now()); came != want {
			t.Errorf("held for %q: it came %v from now, not %v", held, came, want)
		}
	}
}

// A retry of which the cluster forgets, before it is decided, that it took effect is told so,
// and what to do.
func TestRetryOfWhatIsForgotten(t *testing.T) {
	w := newWorld(t)
	first := w.accepted("the first", w.iam(w.root, "CreateGroup", "GroupName", "g", "@Amz-Sdk-Invocation-Id", "i-1"))
	later := w.addNode(true, func(c *config) {
		c.Node.Propose = func(_ context.Context, cmd event.Command) (*event.Batch, error) {
			w.log.mu.Lock()
			defer w.log.mu.Unlock()
			_, err := identity.Decide(w.log.state, cmd.Cause.Meta, cmd.Content)
			return nil, err
		}
	})
	w.log.show(later.projection)
	w.refused("the retry", later.iam(w.root, "CreateGroup", "GroupName", "g", "@Amz-Sdk-Invocation-Id", "i-1"), 503, "OutcomeUnknown",
		"An attempt of this request took effect at position "+first.Header().Get("X-Writ-Position")+". Now it is refused: the cluster no longer remembers what it answered; "+
			"look whether what the request asked for is still there before you ask for it anew")
	w.refused("another request", later.iam(w.root, "CreateGroup", "GroupName", "g", "@Amz-Sdk-Invocation-Id", "i-2"), 409, "EntityAlreadyExists", "")
}
