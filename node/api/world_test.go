package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/changes"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

const (
	account     = identity.AccountID("123456789012")
	other       = identity.AccountID("210987654321")
	clusterID   = "6f1d7c38-3d58-4f67-8d5a-7f2f4f6d3a10"
	incarnation = "0123456789abcdef0123456789abcdef"
	iamVersion  = "2010-05-08"
	stsVersion  = "2011-06-15"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// memoryLog decides commands as the log does, without one.
type memoryLog struct {
	mu      sync.Mutex
	state   *identity.State
	head    event.Head
	batches []*event.Batch
	readers []*projection.Projection // adopt every state
	// before is called, if set, with each command before it is decided.
	before func(event.Command)
}

// Propose is api.Log's.
func (l *memoryLog) Propose(_ context.Context, c event.Command) (*event.Batch, error) {
	l.mu.Lock()
	before := l.before
	l.mu.Unlock()
	if before != nil {
		before(c)
	}
	return l.decide(c)
}

func (l *memoryLog) decide(c event.Command) (*event.Batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.state.Repeats(c.Cause.Meta); ok {
		return l.batches[at-1], nil
	}
	events, err := identity.Decide(l.state, c.Cause.Meta, c.Content, c.Relies...)
	if err != nil {
		return nil, err
	}
	at := l.head.Position + 1
	identity.Evolve(l.state, at, c.Cause.Meta, events)
	b := &event.Batch{Cluster: clusterID, Incarnation: incarnation, Position: at, Cause: c.Cause, Events: events, State: l.state.Digest(), Prev: l.head.Hash}
	b.Hash = sha256.Sum256(binary.BigEndian.AppendUint64(b.Prev[:], uint64(at)))
	l.batches, l.head = append(l.batches, b), b.Head()
	for _, p := range l.readers {
		p.Adopt(l.state.Snapshot(), l.head)
	}
	return b, nil
}

// changes is native.History's.
func (l *memoryLog) changes(from event.Position, count int) (list []changes.Change, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.batches[from-1:][:count] {
		list = append(list, changes.Of(b))
	}
	return list, nil
}

// show lets a projection see the newest state.
func (l *memoryLog) show(p *projection.Projection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.Adopt(l.state.Snapshot(), l.head)
}

func (l *memoryLog) position() event.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head.Position
}

// credential is an access key with its secret.
type credential struct{ id, secret string }

// world is a cluster without a log: the edge of its leader, and of whatever nodes
// a test adds.
type world struct {
	t    testing.TB
	log  *memoryLog
	key  *seal.Key
	root credential
	logs *bytes.Buffer // of all nodes, at all levels
	*node
}

// node is one edge.
type node struct {
	world      *world
	projection *projection.Projection
	server     *api.Server
	registry   *prometheus.Registry
	leads      bool
	now        func() time.Time
}

// newWorld has an account whose root calls the leader.
func newWorld(t testing.TB, change ...func(*config)) *world {
	t.Helper()
	w := &world{t: t, log: &memoryLog{state: identity.NewState()}, key: seal.Generate(), logs: new(bytes.Buffer)}
	w.node = w.addNode(true, change...)
	w.log.readers = append(w.log.readers, w.projection)
	w.root = credential{"AKIAROOTROOTROOT0000", "the secret of the root of the first account"}
	w.must(&identity.Bootstrap{Cluster: clusterID, Incarnation: incarnation, Account: account, RootKey: w.sealed(account, w.root)})
	return w
}

// addNode makes an edge; its projection shows what a test lets it see.
func (w *world) addNode(leads bool, change ...func(*config)) *node {
	n := &node{world: w, projection: projection.New(), registry: prometheus.NewRegistry(), leads: leads, now: func() time.Time { return noon }}
	cfg := config{
		Node: stub{
			Name: "node-1", Votes: leads, Leads: func() bool { return n.leads }, Propose: w.log.Propose,
			StrictHead: func(context.Context) (event.Head, error) {
				w.log.mu.Lock()
				defer w.log.mu.Unlock()
				return w.log.head, nil
			},
			Changes: w.log.changes,
			Fresh:   func() propagation.Freshness { return (*propagation.Snapshot)(nil).Check(propagation.Clocks{}) },
			Status: func(context.Context) shape.Cluster {
				return shape.Cluster{ID: clusterID, Node: "node-1", Leader: "node-1"}
			},
			Checks: func() []api.Check { return nil },
		},
		Config: api.Config{
			Account: account, Projection: n.projection, Seal: w.key, SignInPace: 1, Now: func() time.Time { return n.now() },
			Logger: slog.New(slog.NewJSONHandler(&locked{w: w.logs}, &slog.HandlerOptions{Level: slog.LevelDebug})), Metrics: api.NewMetrics(n.registry),
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	cfg.Config.Node = cfg.Node.node()
	n.server = api.New(cfg.Config)
	return n
}

// locked is a writer for many goroutines.
type locked struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// must carries out commands that need no permission.
func (w *world) must(commands ...identity.Command) event.Position {
	w.t.Helper()
	for _, c := range commands {
		if _, err := w.log.decide(event.Command{Content: c}); err != nil {
			w.t.Fatalf("%T: %v", c, err)
		}
	}
	return w.log.position()
}

// mustNow is must for commands that come at the time of the node.
func (w *world) mustNow(commands ...identity.Command) {
	w.t.Helper()
	for _, c := range commands {
		cause := event.Cause{Meta: identity.Meta{Time: identity.Time(w.node.now().UnixMilli())}}
		if _, err := w.log.decide(event.Command{Content: c, Cause: cause}); err != nil {
			w.t.Fatalf("%T: %v", c, err)
		}
	}
}

func (w *world) sealed(id identity.AccountID, c credential) identity.NewAccessKey {
	secret, err := iam.SealSecret(w.key, id, c.id, c.secret)
	if err != nil {
		w.t.Fatal(err)
	}
	return identity.NewAccessKey{ID: c.id, Sealed: secret}
}

// user makes a user with an access key and, if any, a policy of its own.
func (w *world) user(name, document string) credential {
	w.t.Helper()
	c := credential{"AKIAUSERUSER" + strings.ToUpper(name), "the secret of " + name}
	w.must(&identity.CreateUser{Account: account, ID: identity.ID("AIDAUSER" + strings.ToUpper(name)), Name: name, Path: "/"},
		&identity.CreateAccessKey{Account: account, User: name, Key: w.sealed(account, c)})
	if document != "" {
		w.must(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: name}, Name: "own", Document: document})
	}
	return c
}

func userARN(name string) string {
	return identity.PartitionAWS.ARN(identity.KindUser, account, "/", name)
}

func allow(action string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"` + action + `","Resource":"*"}}`
}

// sign signs a request as of the node's time.
func (n *node) sign(r *http.Request, c credential, service string, body []byte) *http.Request {
	s := sigv4.Signer{AccessKeyID: c.id, SecretAccessKey: c.secret, Region: "eu-west-1", Service: service}
	s.Sign(r, sha256.Sum256(body), n.now())
	return r
}

func (n *node) serve(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	n.server.ServeHTTP(rec, r)
	if d, err := described(); err != nil {
		n.world.t.Error(err)
	} else if err := d.holds(r, rec); err != nil {
		n.world.t.Error(err)
	}
	return rec
}

// form makes an unsigned request of the Query protocol. pairs are names and values;
// names that begin with "@" are headers.
func form(version, action string, pairs ...string) (*http.Request, []byte) {
	v := url.Values{"Version": {version}}
	if action != "" {
		v.Set("Action", action)
	}
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}
	for i := 0; i < len(pairs); i += 2 {
		if name, ok := strings.CutPrefix(pairs[i], "@"); ok {
			h.Set(name, pairs[i+1])
		} else {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	body := []byte(v.Encode())
	r := httptest.NewRequest(http.MethodPost, "http://writ.test/", bytes.NewReader(body))
	r.Header = h
	return r, body
}

// iam calls an action of IAM; see form.
func (n *node) iam(c credential, action string, pairs ...string) *httptest.ResponseRecorder {
	r, body := form(iamVersion, action, pairs...)
	return n.serve(n.sign(r, c, "iam", body))
}

// whoami asks as whom a credential is taken.
func (n *node) whoami(c credential) *httptest.ResponseRecorder {
	r, body := form(stsVersion, "GetCallerIdentity")
	return n.serve(n.sign(r, c, "sts", body))
}

// native calls the native API; body may be empty.
func (n *node) native(c credential, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	return n.nativeFrom("192.0.2.1:1234", c, method, target, body, headers...)
}

// nativeFrom calls the native API from an address.
func (n *node) nativeFrom(addr string, c credential, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://writ.test"+target, strings.NewReader(body))
	r.RemoteAddr = addr
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return n.serve(n.sign(r, c, "writ", []byte(body)))
}

// ask asks whether a principal may do an action, and returns the answer's JSON.
func (n *node) ask(c credential, principal, action string, headers ...string) map[string]any {
	n.world.t.Helper()
	rec := n.native(c, http.MethodPost, "/v1/authorize", `{"principal":"`+principal+`","action":"`+action+`"}`, headers...)
	return n.world.json(rec)
}

func (w *world) json(rec *httptest.ResponseRecorder) (m map[string]any) {
	w.t.Helper()
	if err := json.Unmarshal(rec.Body.Bytes(), &m); err != nil {
		w.t.Fatalf("%s: %v", rec.Body, err)
	}
	return m
}

// awsError is the error document of the Query protocol.
type awsError struct {
	XMLName xml.Name `xml:"ErrorResponse"`
	Type    string   `xml:"Error>Type"`
	Code    string   `xml:"Error>Code"`
	Message string   `xml:"Error>Message"`
	Request string   `xml:"RequestId"`
}

func (w *world) error(rec *httptest.ResponseRecorder) (e awsError) {
	w.t.Helper()
	if err := xml.Unmarshal(rec.Body.Bytes(), &e); err != nil {
		w.t.Fatalf("status %d, %q: %v", rec.Code, rec.Body, err)
	}
	if e.Request == "" || e.Request != rec.Header().Get("x-amzn-RequestId") {
		w.t.Errorf("the request id is %q in the body and %q in the header", e.Request, rec.Header().Get("x-amzn-RequestId"))
	}
	return e
}

// refused checks an answer's status, code and, where given, message.
func (w *world) refused(name string, rec *httptest.ResponseRecorder, status int, code, message string) {
	w.t.Helper()
	if rec.Code != status {
		w.t.Errorf("%s: status %d, not %d: %s", name, rec.Code, status, rec.Body)
		return
	}
	if e := w.error(rec); e.Code != code || message != "" && e.Message != message {
		w.t.Errorf("%s: %s: %s\nnot %s: %s", name, e.Code, e.Message, code, message)
	}
}

// accepted checks that an answer is one of success.
func (w *world) accepted(name string, rec *httptest.ResponseRecorder) *httptest.ResponseRecorder {
	w.t.Helper()
	if rec.Code != http.StatusOK {
		w.t.Fatalf("%s: status %d: %s", name, rec.Code, rec.Body)
	}
	return rec
}

// between is the text of the first element of that name.
func between(body, element string) string {
	_, rest, _ := strings.Cut(body, "<"+element+">")
	text, _, _ := strings.Cut(rest, "</"+element+">")
	return text
}

// leased is the freshness of a replica whose lease was granted at a position,
// with a head known, at a time of its clocks.
type leased struct {
	lease *propagation.Lease
	at    func() time.Duration
}

func newLeased(w *world, now func() time.Duration) *leased {
	return &leased{propagation.NewLease(propagation.DefaultParams(), propagation.Replica{Name: "replica-1", Cluster: clusterID, Incarnation: incarnation}, "nonce"), now}
}

func (l *leased) clocks() propagation.Clocks {
	d := l.at()
	return propagation.Clocks{Monotonic: d, Boottime: d, Wall: d}
}

// grant renews with what the projection shows.
func (l *leased) grant(w *world, p *projection.Projection, head event.Head) {
	w.t.Helper()
	for _, kind := range []propagation.Kind{propagation.KindOpen, propagation.KindGrant} {
		q := l.lease.Renew(l.clocks(), propagation.Applied{Head: p.Head()})
		a := propagation.Answer{Kind: kind, Cluster: clusterID, Incarnation: incarnation, Term: 1, Nonce: q.Nonce, Seq: q.Seq,
			Opening: propagation.Opening{Term: 1, Number: 1}, Duration: propagation.DefaultParams().Lease(""), Head: head}
		if !l.lease.Receive(l.clocks(), a) {
			w.t.Fatalf("the lease takes no %s", kind)
		}
	}
}

func (l *leased) fresh() propagation.Freshness { return l.lease.Snapshot().Check(l.clocks()) }

// authors are the positions of batches by credential, in order.
func (l *memoryLog) authors(c credential) (at []event.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.batches {
		if b.Cause.By.Credential == c.id {
			at = append(at, b.Position)
		}
	}
	slices.Sort(at)
	return at
}
