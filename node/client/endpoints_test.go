package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/client"
)

// town is a cluster of servers that answer as they are told.
type town struct {
	t       *testing.T
	mu      sync.Mutex
	nodes   map[string]*townNode // by host; guarded by mu
	leader  string
	told    []client.Member
	asked   []string // host and target of every request but those for the members
	ids     []string // invocation ids of these
	headers []http.Header
}

type townNode struct {
	name string
	// answer, if set, answers in place of what a node would say.
	answer func(*http.Request) (*http.Response, error)
}

// newTown has a leader w1, a writer w2, and three replicas, of which r1 and r2 are near.
func newTown(t *testing.T) *town {
	c := &town{t: t, nodes: map[string]*townNode{}, leader: "w1"}
	add := func(m client.Member) {
		m.Endpoint = "http://" + m.Name + ".test"
		c.told = append(c.told, m)
		c.nodes[m.Name+".test"] = &townNode{name: m.Name}
	}
	add(client.Member{Name: "w1", Role: "writer", State: "leading"})
	add(client.Member{Name: "w2", Role: "writer", State: "voting"})
	add(client.Member{Name: "r1", Role: "replica", Region: "eu", State: "leased", Lag: 5})
	add(client.Member{Name: "r2", Role: "replica", Region: "eu", State: "leased"})
	add(client.Member{Name: "r3", Role: "replica", Region: "us", State: "leased"})
	return c
}

func (c *town) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	n, leader, told := c.nodes[r.URL.Host], c.leader, slices.Clone(c.told)
	if n == nil {
		c.mu.Unlock()
		return nil, errors.New("no such host")
	}
	answer := n.answer
	if r.URL.Path != "/v1/cluster" {
		c.asked = append(c.asked, n.name+" "+r.URL.Path)
		c.ids = append(c.ids, r.Header.Get("Amz-Sdk-Invocation-Id"))
		c.headers = append(c.headers, r.Header)
	}
	c.mu.Unlock()
	if answer != nil {
		return answer(r)
	}
	token := event.TokenOf("c", "i", event.Head{Position: 7}).String()
	switch {
	case r.URL.Path == "/v1/cluster":
		return members(leader, told)
	case r.URL.Path == "/":
		return says(200, "<R/>", "X-Writ-Position", "7", "X-Writ-Token", token, "X-Amzn-Requestid", "id-1")
	case strings.HasPrefix(r.URL.Path, "/v1/replicas"):
		return says(200, `{"replica":"r1","position":7}`, "X-Writ-Position", "7", "X-Writ-Token", token)
	}
	return says(200, `{"decision":"allow","node":"`+n.name+`","state":"everywhere"}`)
}

// members answers who is who.
func members(leader string, told []client.Member) (*http.Response, error) {
	body, err := json.Marshal(client.Cluster{Leader: leader, Members: told})
	if err != nil {
		return nil, err
	}
	return says(200, string(body))
}

func (c *town) set(name string, answer func(*http.Request) (*http.Response, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[name+".test"].answer = answer
}

// took is who was asked since the last call.
func (c *town) took() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.asked {
		name, _, _ := strings.Cut(a, " ")
		names = append(names, name)
	}
	c.asked = nil
	return names
}

func (c *town) client(change ...func(*client.Config)) *client.Client {
	c.t.Helper()
	cfg := client.Config{Endpoints: []string{"http://w2.test", "http://r3.test"}, Near: "eu", AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "sesame", HTTP: &http.Client{Transport: c}}
	for _, f := range change {
		f(&cfg)
	}
	w, err := client.New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	return w
}

func refuses(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }

func notLeased(*http.Request) (*http.Response, error) {
	return says(503, problem(503, "NotLeased"), "Retry-After", "1")
}

var someQuestion = client.Question{Principal: "p", Action: "a"}

func TestChoosesNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t)
		w := c.client()
		expect := func(what string, want ...string) {
			t.Helper()
			if got := c.took(); !slices.Equal(got, want) {
				t.Errorf("%s: asked %v, not %v", what, got, want)
			}
		}
		decide := func() *client.Decision {
			t.Helper()
			d, err := w.Authorize(t.Context(), someQuestion, client.Freshness{})
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		c.leader = "nobody"
		if _, err := w.Cluster(t.Context()); err != nil {
			t.Error(err)
		}
		c.leader = "w1"
		time.Sleep(time.Minute) // what was told is old by then
		decide()
		expect("near, and least behind", "r2")
		if _, err := w.Propagation(t.Context(), client.Target{}, client.Scope{}, 0); err != nil {
			t.Error(err)
		}
		expect("what the leader knows", "w1")
		c.set("r2", refuses)
		decide()
		expect("the next replica", "r2", "r1")
		decide()
		expect("one that failed is left alone", "r1")
		c.set("r1", notLeased)
		if d := decide(); d.Node != "r3" {
			t.Errorf("decided by %s", d.Node)
		}
		expect("far away rather than without a lease", "r1", "r3")
		c.set("r3", func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })
		begun := time.Now()
		decide()
		if took := time.Since(begun); took < 6*time.Second || took > 7*time.Second {
			t.Errorf("a silent node was left after %v", took)
		}
		if got := c.took(); len(got) != 2 || got[0] != "r3" || got[1][0] != 'w' {
			t.Errorf("asked %v, not r3 and a writer", got)
		}
		// the leader goes, and the others say who is next
		c.set("w1", refuses)
		if _, err := w.Remove(t.Context(), "r1"); err != nil {
			t.Error(err)
		}
		expect("any writer hands it on", "w1", "w2")
		c.mu.Lock()
		c.leader = "w2"
		c.mu.Unlock()
		time.Sleep(time.Minute)
		if _, err := w.Drain(t.Context(), "r1"); err != nil {
			t.Error(err)
		}
		expect("the new leader", "w2")
	})
}

// Many calls at once ask for the members once.
func TestManyCallsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t)
		asked := make(chan struct{}, 100)
		c.set("w2", func(r *http.Request) (*http.Response, error) {
			asked <- struct{}{}
			time.Sleep(time.Second)
			return members("w1", c.told)
		})
		w := c.client()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if d, err := w.Authorize(t.Context(), someQuestion, client.Freshness{}); err != nil || d.Node != "r2" {
					t.Errorf("%+v, %v", d, err)
				}
			})
		}
		all.Wait()
		if len(asked) != 1 {
			t.Errorf("asked %d times for the members", len(asked))
		}
	})
}

// Clients spread over replicas that suit them equally well; each stays with one.
func TestClientsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t)
		c.told[2].Lag = 0 // r1, like r2
		count := map[string]int{}
		for range 100 {
			w := c.client()
			first, err := w.Authorize(t.Context(), someQuestion, client.Freshness{})
			if err != nil {
				t.Fatal(err)
			}
			if again, err := w.Authorize(t.Context(), someQuestion, client.Freshness{}); err != nil || again.Node != first.Node {
				t.Errorf("first %s, then %+v, %v", first.Node, again, err)
			}
			count[first.Node]++
		}
		if count["r1"] < 10 || count["r2"] < 10 || count["r1"]+count["r2"] != 100 {
			t.Errorf("asked %v", count)
		}
	})
}

// All attempts of one call have one id, and calls have different ones.
func TestAttemptsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t)
		w := c.client()
		for _, name := range []string{"w1", "w2", "r1", "r2", "r3"} {
			c.set(name, func(r *http.Request) (*http.Response, error) {
				return says(503, problem(503, "OutcomeUnknown"))
			})
		}
		_, err := w.Remove(t.Context(), "r1")
		var p *client.Problem
		if !errors.As(err, &p) || p.Code != "OutcomeUnknown" {
			t.Errorf("the error is %v", err)
		}
		if n := len(c.ids); n < 2 || n > client.MaxAttempts || len(slices.Compact(slices.Clone(c.ids))) != 1 || c.ids[0] == "" {
			t.Errorf("%d attempts with the ids %v", n, c.ids)
		}
		first := c.ids[0]
		c.set("w2", nil)
		if _, err := w.Drain(t.Context(), "r1"); err != nil || c.ids[len(c.ids)-1] == first {
			t.Errorf("another call: %v with the id %s", err, c.ids[len(c.ids)-1])
		}
	})
}

// A caller who may not ask for the members uses what it was given.
func TestWithoutMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t)
		asked := 0
		deny := func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/v1/cluster" {
				asked++
				return says(403, problem(403, "AccessDenied"))
			}
			return says(200, `{"decision":"allow","node":"`+r.URL.Host+`"}`)
		}
		c.set("w2", deny)
		c.set("r3", deny)
		w := c.client()
		for range 3 {
			if d, err := w.Authorize(t.Context(), someQuestion, client.Freshness{}); err != nil || d.Node != "w2.test" {
				t.Errorf("%+v, %v", d, err)
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times for the members", asked)
		}
	})
}

// Endpoints that a cluster tells of are used only if they are as safe as those that
// the client was given.
func TestUnsafeEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t)
		c.told = append(c.told,
			client.Member{Name: "odd", Role: "replica", Region: "eu", State: "leased", Endpoint: "ftp://odd.test"},
			client.Member{Name: "user", Role: "replica", Region: "eu", State: "leased", Endpoint: "http://a:b@user.test"})
		w := c.client(func(cfg *client.Config) { cfg.Endpoints = []string{"https://w2.test"} })
		if d, err := w.Authorize(t.Context(), someQuestion, client.Freshness{}); err != nil || d.Node != "w2" {
			t.Errorf("%+v, %v", d, err)
		}
		if got := c.took(); !slices.Equal(got, []string{"w2"}) {
			t.Errorf("asked %v", got)
		}
	})
}

// Without a lease anywhere, the nodes' own rule decides: flagged, or refused.
func TestNobodyHoldsALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t)
		flagged := func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("X-Writ-Consistency") == "leased" || r.URL.Path == "/v1/cluster" {
				return notLeased(r)
			}
			return says(200, `{"decision":"indeterminate","freshness":"unleased"}`)
		}
		for _, name := range []string{"r1", "r2", "r3"} {
			c.set(name, flagged)
		}
		c.set("w1", refuses)
		c.set("w2", refuses)
		w := c.client()
		if d, err := w.Authorize(t.Context(), someQuestion, client.Freshness{}); err != nil || d.Freshness != "unleased" {
			t.Errorf("%+v, %v", d, err)
		}
		if d, err := w.Authorize(t.Context(), someQuestion, client.Freshness{Consistency: "leased"}); err == nil {
			t.Errorf("asked for a lease: %+v", d)
		}
	})
}

// A client does not get answers from before its own latest write.
func TestReadsItsWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t)
		w := c.client(func(cfg *client.Config) { cfg.Endpoints, cfg.Endpoint = nil, "http://r1.test" })
		atLeast := func(f client.Freshness) (string, string) {
			t.Helper()
			if _, err := w.Authorize(t.Context(), someQuestion, f); err != nil {
				t.Fatal(err)
			}
			h := c.headers[len(c.headers)-1]
			return h.Get("X-Writ-At-Least"), h.Get("X-Writ-Consistency")
		}
		if token, mode := atLeast(client.Freshness{}); token != "" || mode != "" {
			t.Errorf("before any write: %q, %q", token, mode)
		}
		r, err := w.Query(t.Context(), "iam", "CreateUser", url.Values{"UserName": {"alice"}})
		if err != nil || r.Position != 7 || r.RequestID != "id-1" || string(r.Body) != "<R/>" || r.Token == "" {
			t.Fatalf("%+v, %v", r, err)
		}
		if token, mode := atLeast(client.Freshness{}); token != r.Token || mode != "leased" {
			t.Errorf("after a write: %q, %q", token, mode)
		}
		if token, mode := atLeast(client.Freshness{ForgetOwn: true}); token != "" || mode != "" {
			t.Errorf("not asked for: %q, %q", token, mode)
		}
		if token, mode := atLeast(client.Freshness{AtLeast: "another", Consistency: "any"}); token != "another" || mode != "any" {
			t.Errorf("a token of the caller's: %q, %q", token, mode)
		}
		// a cluster that was restored does not know the write: the caller is told, once
		c.set("r1", func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("X-Writ-At-Least") != "" {
				return says(409, problem(409, "WrongToken"))
			}
			return says(200, `{"decision":"allow"}`)
		})
		if _, err := w.Authorize(t.Context(), someQuestion, client.Freshness{}); err == nil || !strings.Contains(err.Error(), "forgotten now: WrongToken") {
			t.Errorf("the token of another history: %v", err)
		}
		if _, err := w.Authorize(t.Context(), someQuestion, client.Freshness{}); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestQueryErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t)
		w := c.client(func(cfg *client.Config) { cfg.Endpoints, cfg.Endpoint = nil, "http://w1.test" })
		document := func(status int, code string) func(*http.Request) (*http.Response, error) {
			return func(*http.Request) (*http.Response, error) {
				return says(status, `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>`+code+`</Code><Message>Why.</Message></Error><RequestId>r</RequestId></ErrorResponse>`, "X-Amzn-Requestid", "r")
			}
		}
		for name, x := range map[string]struct {
			answer   func(*http.Request) (*http.Response, error)
			want     client.QueryError
			requests int
		}{
			"refused":       {document(404, "NoSuchEntity"), client.QueryError{Status: 404, Code: "NoSuchEntity", Message: "Why.", RequestID: "r"}, 1},
			"temporary":     {document(503, "OutcomeUnknown"), client.QueryError{Status: 503, Code: "OutcomeUnknown", Message: "Why.", RequestID: "r"}, client.Attempts},
			"a proxy's own": {func(*http.Request) (*http.Response, error) { return says(403, "<html>") }, client.QueryError{Status: 403, Code: "Forbidden", Message: "w1.test gave an answer that is not of Writ."}, 1},
		} {
			c.set("w1", x.answer)
			c.took()
			_, err := w.Query(t.Context(), "iam", "GetUser", nil)
			var q *client.QueryError
			if n := len(c.took()); !errors.As(err, &q) || *q != x.want || n != x.requests {
				t.Errorf("%s: %+v after %d requests", name, err, n)
			}
		}
		c.set("w1", func(*http.Request) (*http.Response, error) { return says(200, "<html>") })
		if _, err := w.Query(t.Context(), "iam", "GetUser", nil); err == nil || !strings.Contains(err.Error(), "no node of Writ") {
			t.Errorf("another server: %v", err)
		}
		if _, err := w.Query(t.Context(), "s3", "GetObject", nil); err == nil {
			t.Error("another service was called")
		}
	})
}

// Connections that are cut in the middle of an answer, over the wire.
func TestCutConnections(t *testing.T) {
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"leader":"good"}`) }))
	defer good.Close()
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, `{"leader":`)
		panic(http.ErrAbortHandler)
	}))
	defer cut.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	hc := &http.Client{Transport: &http.Transport{}}
	defer hc.CloseIdleConnections()
	c, err := client.New(client.Config{Endpoints: []string{gone.URL, cut.URL, good.URL}, AccessKeyID: "a", SecretAccessKey: "b", HTTP: hc})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.Cluster(t.Context()); err != nil || s.Leader != "good" {
		t.Errorf("%+v, %v", s, err)
	}
}

func ExampleClient() {
	c, err := client.New(client.Config{
		Endpoints: []string{"http://127.0.0.1:8420", "http://127.0.0.1:8421"}, Near: "eu",
		AccessKeyID: "AKIAROOTROOTROOT0000", SecretAccessKey: "the secret of the key",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if _, err := c.Query(ctx, "iam", "CreateUser", url.Values{"UserName": {"alice"}}); err != nil {
		fmt.Println(err)
		return
	}
	// a replica's answer, and not from before alice was made
	d, err := c.Authorize(ctx, client.Question{Principal: "arn:aws:iam::123456789012:user/alice", Action: "s3:GetObject"}, client.Freshness{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.Decision, d.Position)
}
