package operations

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/node/sigv4"
)

// The clients.
const (
	clients = 32
	// pace is the time between two requests of one client: 50 a second of all of them.
	pace = clients * time.Second / 50
	// attemptLimit bounds one attempt at a request, requestLimit all of them.
	attemptLimit = 30 * time.Second
	requestLimit = 90 * time.Second
	retryPause   = 50 * time.Millisecond
	everything   = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
)

// caller signs with one access key.
type caller struct{ id, secret, session string }

// answer is what a node said to an attempt.
type answer struct {
	status int
	body   []byte
	token  string // of a write
}

var web = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: attemptLimit}

// ask sends an action once. The attempts at one request have one name.
func (c caller) ask(ctx context.Context, node, service, attempt, atLeast string, form url.Values) (*answer, error) {
	body := []byte(form.Encode())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, node+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Amz-Sdk-Invocation-Id", attempt)
	if atLeast != "" {
		r.Header.Set("X-Writ-At-Least", atLeast)
	}
	if c.session != "" {
		r.Header.Set("X-Amz-Security-Token", c.session)
	}
	s := sigv4.Signer{AccessKeyID: c.id, SecretAccessKey: c.secret, Region: "us-east-1", Service: service}
	s.Sign(r, sha256.Sum256(body), time.Now())
	got, err := web.Do(r)
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		return nil, err
	}
	return &answer{got.StatusCode, text, got.Header.Get("X-Writ-Token")}, nil
}

// crowd is the clients: each has an access key of its own, every fourth a session, and uses
// every node that runs.
type crowd struct {
	p       *plant
	callers []caller
	stop    context.CancelFunc
	all     sync.WaitGroup

	mu      sync.Mutex
	acked   []string      // guarded by mu: the users whose creation was acknowledged
	acks    chan struct{} // guarded by mu: closed and replaced at each acknowledgement
	token   string        // guarded by mu: of the latest write
	tallied tally         // guarded by mu
	refused []string      // guarded by mu: requests that came to nothing, whatever was tried
}

// tally is what the clients saw in a part of the test.
type tally struct {
	requests int
	failed   []string      // attempts that were not answered with success
	longest  time.Duration // of a request with all its attempts
}

func form(action string, pairs ...string) url.Values {
	version := "2010-05-08"
	if action == "AssumeRole" {
		version = "2011-06-15"
	}
	f := url.Values{"Action": {action}, "Version": {version}}
	for i := 0; i < len(pairs); i += 2 {
		f.Set(pairs[i], pairs[i+1])
	}
	return f
}

// newCrowd gives each client its credentials, and lets all of them begin.
func newCrowd(p *plant) *crowd {
	p.t.Helper()
	c := &crowd{p: p, acks: make(chan struct{})}
	root := caller{id: p.root.AccessKeyID, secret: p.root.SecretAccessKey}
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + setup.DefaultAccount + `"},"Action":"sts:AssumeRole"}}`
	c.must(root, "iam", form("CreateRole", "RoleName", "worker", "AssumeRolePolicyDocument", trust))
	c.must(root, "iam", form("PutRolePolicy", "RoleName", "worker", "PolicyName", "own", "PolicyDocument", everything))
	for i := range clients {
		name := fmt.Sprintf("client-%d", i)
		c.must(root, "iam", form("CreateUser", "UserName", name))
		c.must(root, "iam", form("PutUserPolicy", "UserName", name, "PolicyName", "own", "PolicyDocument", everything))
		made := c.must(root, "iam", form("CreateAccessKey", "UserName", name))
		var key struct {
			ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
			Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
		}
		if err := xml.Unmarshal(made.body, &key); err != nil {
			p.t.Fatal(err)
		}
		who := caller{id: key.ID, secret: key.Secret}
		if i%4 == 0 {
			who = c.assume(who)
		}
		c.callers = append(c.callers, who)
	}
	p.do("wait", "--head") // every node knows them
	ctx, cancel := context.WithCancel(p.t.Context())
	c.stop = cancel
	for i := range c.callers {
		c.all.Go(func() { c.use(ctx, i) })
	}
	p.t.Cleanup(c.quiet)
	return c
}

// must sends an action that has to succeed to the first writer.
func (c *crowd) must(who caller, service string, f url.Values) *answer {
	c.p.t.Helper()
	a, err := who.ask(c.p.t.Context(), c.p.running()[0].url(), service, f.Encode(), "", f)
	if err != nil || a.status != http.StatusOK {
		c.p.t.Fatalf("%v: %+v, %v", f, a, err)
	}
	return a
}

// assume makes a session of who.
func (c *crowd) assume(who caller) caller {
	c.p.t.Helper()
	a := c.must(who, "sts", form("AssumeRole", "RoleArn", "arn:aws:iam::"+setup.DefaultAccount+":role/worker", "RoleSessionName", "work"))
	var s struct {
		ID     string `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
		Secret string `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
		Token  string `xml:"AssumeRoleResult>Credentials>SessionToken"`
	}
	if err := xml.Unmarshal(a.body, &s); err != nil {
		c.p.t.Fatal(err)
	}
	return caller{s.ID, s.Secret, s.Token}
}

// use is one client: it makes users, and reads each fourth back at another node.
func (c *crowd) use(ctx context.Context, who int) {
	next := time.NewTicker(pace)
	defer next.Stop()
	for n := 0; ; n++ {
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
		name := fmt.Sprintf("made-%d-%d", who, n)
		made := c.request(who, n, "", form("CreateUser", "UserName", name))
		if made == nil {
			continue
		}
		c.acknowledged(name, made.token)
		if n%4 == 0 {
			c.request(who, n+1, made.token, form("GetUser", "UserName", name))
		}
	}
}

func (c *crowd) acknowledged(name, token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked, c.token = append(c.acked, name), token
	close(c.acks)
	c.acks = make(chan struct{})
}

// request sends an action until it is done, to one node after the other, as an SDK behind a
// load balancer does. It goes on when the clients are told to stop: its outcome is known then.
func (c *crowd) request(who, turn int, atLeast string, f url.Values) *answer {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.p.t.Context()), requestLimit)
	defer cancel()
	begun := time.Now()
	var failed []string
	for i := 0; ; i++ {
		nodes := c.p.running()
		at := nodes[(who+turn+i)%len(nodes)]
		a, err := c.callers[who].ask(ctx, at.url(), "iam", f.Encode(), atLeast, f)
		if err == nil && a.status == http.StatusOK {
			c.tell(time.Since(begun), failed, "")
			return a
		}
		why := fmt.Sprintf("%s of %s at %s after %v: %v", f.Get("Action"), f.Get("UserName"), at.name, time.Since(begun).Round(time.Millisecond), err)
		if err == nil {
			why = fmt.Sprintf("%s %d %.300s", why, a.status, a.body)
		}
		failed = append(failed, why)
		if err == nil && a.status < 500 || ctx.Err() != nil {
			c.tell(time.Since(begun), failed, why)
			return nil
		}
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
		}
	}
}

// tell takes in how a request went.
func (c *crowd) tell(took time.Duration, failed []string, refused string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tallied.requests++
	c.tallied.failed = append(c.tallied.failed, failed...)
	c.tallied.longest = max(c.tallied.longest, took)
	if refused != "" {
		c.refused = append(c.refused, refused)
	}
}

// part ends a part of the test: it returns what the clients saw in it, and what came to nothing
// fails the test.
func (c *crowd) part(name string) tally {
	c.p.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.tallied
	c.tallied = tally{}
	c.p.t.Logf("%-34s %5d requests, %3d attempts failed, the longest request took %v", name, was.requests, len(was.failed), was.longest.Round(time.Millisecond))
	if len(c.refused) > 0 {
		c.p.t.Fatalf("%s: %d requests came to nothing: %s", name, len(c.refused), strings.Join(c.refused[:min(3, len(c.refused))], "\n"))
	}
	return was
}

// goOn waits until so many more writes were acknowledged.
func (c *crowd) goOn(count int) {
	c.p.t.Helper()
	limit := time.After(patience)
	for range count {
		c.mu.Lock()
		next := c.acks
		c.mu.Unlock()
		select {
		case <-next:
		case <-limit:
			c.p.t.Fatalf("no %d writes within %v", count, patience)
		}
	}
}

// quiet ends the clients, when their requests are over.
func (c *crowd) quiet() {
	c.stop()
	c.all.Wait()
}

// kept finds every user whose creation was acknowledged, at the node that leads.
func (c *crowd) kept(t *testing.T) {
	t.Helper()
	found := map[string]bool{}
	leader := c.p.leader().url()
	for marker := ""; ; {
		f := form("ListUsers", "MaxItems", "1000")
		if marker != "" {
			f.Set("Marker", marker)
		}
		a, err := caller{id: c.p.root.AccessKeyID, secret: c.p.root.SecretAccessKey}.ask(t.Context(), leader, "iam", "list"+marker, "", f)
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("list the users: %+v, %v", a, err)
		}
		var page struct {
			Names  []string `xml:"ListUsersResult>Users>member>UserName"`
			Marker string   `xml:"ListUsersResult>Marker"`
		}
		if err := xml.Unmarshal(a.body, &page); err != nil {
			t.Fatal(err)
		}
		for _, name := range page.Names {
			found[name] = true
		}
		if marker = page.Marker; marker == "" {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	lost := slices.DeleteFunc(slices.Clone(c.acked), func(name string) bool { return found[name] })
	if len(lost) > 0 {
		t.Fatalf("%d of %d acknowledged writes are lost: %v", len(lost), len(c.acked), lost[:min(5, len(lost))])
	}
	t.Logf("%d acknowledged writes are there", len(c.acked))
}
