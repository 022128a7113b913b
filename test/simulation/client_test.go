package simulation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/test/simulation/judge"
	"github.com/writ-iam/writ/test/simulation/network"
)

// maxBody bounds what a client reads of an answer, in bytes.
const maxBody = 1 << 20

// key is an access key, with a token where it is a session's.
type key struct{ id, secret, token string }

// client is somebody outside the cluster, on a machine of their own. It repeats
// nothing by itself: every request is in the history.
type client struct {
	world  *world
	name   string
	rng    *rand.Rand
	host   *network.Host
	http   *http.Client
	count  int                  // of attempts that were given a name
	signed identity.SignatureID // of the latest request
}

func (w *world) client(name string) *client {
	c := &client{world: w, name: name, rng: w.random(name), host: w.net.Attach(name)}
	var way http.RoundTripper = &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return c.host.Dial(ctx, addr) },
	}
	if w.plan.between != nil {
		way = w.plan.between(way)
	}
	c.http = &http.Client{Transport: way}
	return c
}

// leave ends the client's connections.
func (c *client) leave() { c.host.Detach(false) }

// send sends one request, signed by a key unless that is none, and fills in what every request has. The body of the
// answer is nil when no whole answer came.
func (c *client) send(to *judge.Request, as key, timeout time.Duration, service, method, target string, body []byte, header http.Header) (http.Header, []byte) {
	w := c.world
	life := &w.machines[to.Node].life
	to.Client, to.Credential, to.Life, to.Got = c.name, as.id, int(life.Load()), judge.Never
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+apiAddr(to.Node)+target, bytes.NewReader(body))
	if err != nil {
		panic(err) // it is made of constants
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if as.token != "" {
		r.Header.Set("X-Amz-Security-Token", as.token)
	}
	to.Sent = w.now()
	if as.id != "" {
		sign := sigv4.Signer{AccessKeyID: as.id, SecretAccessKey: as.secret, Region: "us-east-1", Service: service}
		sign.Sign(r, sha256.Sum256(body), time.Now())
		c.signed = signatureOf(as, r)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return nil, nil
	}
	to.Got, to.Status = w.now(), answer.StatusCode
	if to.Life != int(life.Load()) {
		to.Life = judge.SomeLife
	}
	return answer.Header, text
}

const iamVersion = "2010-05-08"

// write makes one attempt at a change.
func (c *client) write(node string, as key, attempt string, timeout time.Duration, action string, user, value string, pairs ...string) (judge.Write, []byte) {
	form := url.Values{"Action": {action}, "Version": {iamVersion}}
	if user != "" {
		form.Set("UserName", user)
	}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	body := []byte(form.Encode())
	out := judge.Write{Attempt: attempt, Key: idempotencyKey(as.id, "iam", action, attempt, body), Action: action, User: user, Value: value}
	out.Node = node
	header, text := c.send(&out.Request, as, timeout, "iam", http.MethodPost, "/", body, http.Header{
		"Content-Type":          {"application/x-www-form-urlencoded"},
		"Amz-Sdk-Invocation-Id": {attempt},
	})
	out.Signed = c.signed
	if out.Answered() {
		token, err := event.ParseToken(header.Get("X-Writ-Token"))
		if err != nil {
			c.world.note("I22", "%s acknowledges a write without a token: %v", node, err)
		}
		out.Token, out.Position = token, position(header)
	} else if out.Status != 0 {
		out.Code = xmlCode(text)
	}
	c.world.record(func(h *judge.History) { h.Writes = append(h.Writes, out) })
	return out, text
}

// signatureOf is what the log knows the signature of a request by.
func signatureOf(as key, r *http.Request) (id identity.SignatureID) {
	_, signature, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	sum := sha256.Sum256([]byte(as.id + "/" + signature))
	copy(id[:], sum[:])
	return id
}

// idempotencyKey is the one that the API derives from a request.
func idempotencyKey(credential, service, action, attempt string, body []byte) identity.Key {
	h := sha256.New()
	for _, part := range []string{credential, service, action, attempt, ""} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	sum := sha256.Sum256(body)
	h.Write(sum[:])
	return identity.Key(h.Sum(nil))
}

func position(h http.Header) event.Position {
	n, _ := strconv.ParseUint(h.Get("X-Writ-Position"), 10, 64) // absent is zero
	return event.Position(n)
}

func xmlCode(text []byte) string {
	var e struct {
		Error struct{ Code string }
	}
	_ = xml.Unmarshal(text, &e) // what is no XML has no code
	return e.Error.Code
}

func jsonCode(text []byte) string {
	var e struct{ Code string }
	_ = json.Unmarshal(text, &e) // what is no JSON has no code
	return e.Code
}

// freshness is what a question asks of its answer.
type freshness struct {
	mode         string // empty: the node's own rule
	atLeast      *event.Token
	maxStaleness time.Duration
}

func (f freshness) header(r *judge.Read) http.Header {
	h := http.Header{}
	r.Mode, r.MaxStaleness = f.mode, f.maxStaleness
	if f.mode != "" {
		h.Set("X-Writ-Consistency", f.mode)
	}
	if f.atLeast != nil {
		h.Set("X-Writ-At-Least", f.atLeast.String())
		r.AtLeast = f.atLeast.Position
	}
	if f.maxStaleness > 0 {
		h.Set("X-Writ-Max-Staleness", f.maxStaleness.String())
	}
	return h
}

// decide asks whether a user may do something; only the one policy allows it.
func (c *client) decide(node string, as key, timeout time.Duration, user string, f freshness) judge.Read {
	r := judge.Read{User: user, Decides: true}
	r.Node = node
	header := f.header(&r)
	header.Set("Content-Type", "application/json")
	body := fmt.Appendf(nil, `{"principal":"arn:aws:iam::%s:user/%s","action":"s3:GetObject","resource":"arn:aws:s3:::b/o"}`, c.world.layout.cluster.Account, user)
	head, text := c.send(&r.Request, as, timeout, "writ", http.MethodPost, "/v1/authorize", body, header)
	if r.Answered() {
		var a struct {
			Decision, Cluster, Incarnation, Hash, Freshness string
			Position                                        event.Position
			KnownHead                                       event.Position `json:"known_head"`
			Staleness                                       *int64         `json:"staleness_bound_ms"`
		}
		if err := json.Unmarshal(text, &a); err != nil {
			c.world.note("I22", "%s answers %q: %v", node, text, err)
		}
		r.Decision, r.Cluster, r.Incarnation, r.Hash, r.Freshness = a.Decision, a.Cluster, a.Incarnation, a.Hash, a.Freshness
		r.Position, r.KnownHead = a.Position, a.KnownHead
		if a.Staleness != nil {
			r.Bounded, r.Staleness = true, time.Duration(*a.Staleness)*time.Millisecond
		}
	} else if r.Status != 0 {
		r.Code, r.Position, r.Freshness = jsonCode(text), position(head), head.Get("X-Writ-Freshness")
	}
	c.world.record(func(h *judge.History) { h.Reads = append(h.Reads, r) })
	return r
}

// get asks for a user.
func (c *client) get(node string, as key, timeout time.Duration, user string, f freshness) judge.Read {
	r := judge.Read{User: user}
	r.Node = node
	header := f.header(&r)
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	form := url.Values{"Action": {"GetUser"}, "Version": {iamVersion}, "UserName": {user}}
	head, text := c.send(&r.Request, as, timeout, "iam", http.MethodPost, "/", []byte(form.Encode()), header)
	if r.Status != 0 {
		r.Position, r.Freshness = position(head), head.Get("X-Writ-Freshness")
	}
	if r.Answered() {
		var a struct {
			User struct {
				Tags []struct{ Value string } `xml:"Tags>member"`
			} `xml:"GetUserResult>User"`
		}
		if err := xml.Unmarshal(text, &a); err != nil {
			c.world.note("I22", "%s answers %q: %v", node, text, err)
		}
		r.Exists = true
		if len(a.User.Tags) > 0 {
			r.Tag = a.User.Tags[0].Value
		}
	} else if r.Status != 0 {
		r.Code = xmlCode(text)
	}
	c.world.record(func(h *judge.History) { h.Reads = append(h.Reads, r) })
	return r
}

// scope is whom a wait is about; the zero scope is every replica.
type scope struct {
	replicas []string
	region   string
	count    int
}

// wait asks how far a position has come, and waits until it is everywhere.
func (c *client) wait(node string, as key, token event.Token, s scope, patience time.Duration) judge.Wait {
	out := judge.Wait{Position: token.Position, Replicas: s.replicas, Region: s.region, Count: s.count}
	out.Node = node
	q := url.Values{}
	if len(s.replicas) > 0 {
		q.Set("replicas", strings.Join(s.replicas, ","))
	}
	if s.region != "" {
		q.Set("region", s.region)
	}
	if s.count > 0 {
		q.Set("count", strconv.Itoa(s.count))
	}
	if patience > 0 {
		q.Set("wait", "everywhere")
		q.Set("timeout", patience.String())
	}
	_, text := c.send(&out.Request, as, patience+5*time.Second, "writ", http.MethodGet, "/v1/propagation/"+token.String()+"?"+q.Encode(), nil, nil)
	if out.Answered() {
		var a struct {
			Cluster, Incarnation, State string
			Position, Floor             event.Position
			VisibleOn                   []string `json:"visible_on"`
			Fenced, Pending             []string
			Roster                      event.Position `json:"roster_position"`
			WorstCase                   *int64         `json:"worst_case_ms"`
		}
		if err := json.Unmarshal(text, &a); err != nil {
			c.world.note("I22", "%s answers %q: %v", node, text, err)
		}
		out.Cluster, out.Incarnation, out.State, out.Floor, out.Roster = a.Cluster, a.Incarnation, a.State, a.Floor, a.Roster
		out.VisibleOn, out.Fenced, out.Pending = a.VisibleOn, a.Fenced, a.Pending
		if a.WorstCase != nil {
			out.Bounded, out.WorstCase = true, time.Duration(*a.WorstCase)*time.Millisecond
		}
		if a.Position != token.Position {
			c.world.note("I14", "%s speaks of position %d, asked for %d", node, a.Position, token.Position)
		}
	} else if out.Status != 0 {
		out.Code = jsonCode(text)
	}
	c.world.record(func(h *judge.History) { h.Waits = append(h.Waits, out) })
	return out
}

// effect waits until a decision about a user is what it should be, everywhere.
func (c *client) effect(node string, as key, user string, allow bool, atLeast event.Token, patience time.Duration) judge.Wait {
	out := judge.Wait{User: user, Allow: allow}
	out.Node = node
	expect := "deny"
	if allow {
		expect = "allow"
	}
	body := fmt.Appendf(nil, `{"principal":"arn:aws:iam::%s:user/%s","action":"s3:GetObject","resource":"arn:aws:s3:::b/o","expect":%q,"timeout":%q,"at_least":%q}`,
		c.world.layout.cluster.Account, user, expect, patience.String(), atLeast.String())
	_, text := c.send(&out.Request, as, patience+5*time.Second, "writ", http.MethodPost, "/v1/propagation/effect", body, http.Header{"Content-Type": {"application/json"}})
	if out.Answered() {
		var a struct {
			Cluster, Incarnation, State, Effect, Decision string
			Position, Floor                               event.Position
			VisibleOn                                     []string `json:"visible_on"`
			Fenced, Pending                               []string
			Replicas                                      []struct {
				Name, Decision, Freshness string
				Position                  event.Position
			}
		}
		if err := json.Unmarshal(text, &a); err != nil {
			c.world.note("I22", "%s answers %q: %v", node, text, err)
		}
		out.Cluster, out.Incarnation, out.State, out.Floor, out.Position = a.Cluster, a.Incarnation, a.State, a.Floor, a.Position
		out.VisibleOn, out.Fenced, out.Pending, out.Effect, out.Decision = a.VisibleOn, a.Fenced, a.Pending, a.Effect, a.Decision
		for _, r := range a.Replicas {
			out.Decided = append(out.Decided, judge.Decided{Node: r.Name, Position: r.Position, Decision: r.Decision, Freshness: r.Freshness})
		}
	} else if out.Status != 0 {
		out.Code = jsonCode(text)
	}
	c.world.record(func(h *judge.History) { h.Waits = append(h.Waits, out) })
	return out
}

// voters asks the leader how many writers vote and answer it.
func (c *client) voters(node string, as key) (n int, ok bool) {
	var r judge.Request
	r.Node = node
	_, text := c.send(&r, as, 5*time.Second, "writ", http.MethodGet, "/v1/cluster", nil, nil)
	var a struct {
		Leader  string
		Members []struct{ Role, State string }
	}
	if !r.Answered() || json.Unmarshal(text, &a) != nil || a.Leader == "" {
		return 0, false
	}
	for _, m := range a.Members {
		if m.Role == "writer" && (m.State == "voting" || m.State == "leading") {
			n++
		}
	}
	return n, true
}

// local asks what a node holds.
func (c *client) local(node string, as key) (end judge.End, ok bool) {
	var r judge.Request
	r.Node = node
	_, text := c.send(&r, as, 5*time.Second, "writ", http.MethodGet, "/v1/cluster?local", nil, http.Header{"X-Writ-Consistency": {"any"}})
	if !r.Answered() {
		return end, false
	}
	var a struct {
		Position, Floor event.Position
		Hash, Digest    string
	}
	if err := json.Unmarshal(text, &a); err != nil {
		c.world.note("I22", "%s answers %q: %v", node, text, err)
		return end, false
	}
	return judge.End{Node: node, Position: a.Position, Hash: a.Hash, Digest: a.Digest, Floor: a.Floor}, true
}

// roster changes the roster, and says whether that is settled: done, or refused.
func (c *client) roster(node string, as key, attempt, method, replica, what string) bool {
	out := judge.Write{Attempt: attempt, Action: "roster" + what, Value: replica}
	out.Node = node
	header, text := c.send(&out.Request, as, 5*time.Second, "writ", method, "/v1/replicas/"+replica+what, nil, http.Header{"Amz-Sdk-Invocation-Id": {attempt}})
	if out.Answered() {
		token, err := event.ParseToken(header.Get("X-Writ-Token"))
		if err != nil {
			c.world.note("I22", "%s acknowledges a change of the roster without a token: %v", node, err)
		}
		out.Token, out.Position = token, position(header)
	} else if out.Status != 0 {
		out.Code = jsonCode(text)
	}
	c.world.trace("roster: %s %s: status %d %s", replica, what, out.Status, out.Code)
	c.world.record(func(h *judge.History) { h.Roster = append(h.Roster, out) })
	return out.Answered() || out.Refused() && out.Code != "SignatureDoesNotMatch" // to a node whose clock was set
}
