package embed

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/replication/propagation"
	"github.com/writ-iam/writ/test/layout"
)

// get is a question about alice.
var get = Question{Principal: arn("alice"), Action: "s3:Get"}

// decides fails a test unless a question is answered so, as fresh as that.
func decides(t testing.TB, d Decision, err error, want Outcome, level propagation.Level) {
	t.Helper()
	if err != nil || d.Outcome != want || d.Freshness != level || d.Flagged != (level != propagation.Leased && level != propagation.Strict) {
		t.Fatalf("%+v, %v; want %v, %s", d, err, want, level)
	}
}

func TestDecisions(t *testing.T) {
	w := newWorld(t, 1)
	made := w.user("alice", "s3:Get")
	r := w.ready(w.config("replica-1"))
	ctx := t.Context()
	d, err := r.DecideAt(ctx, made, get)
	decides(t, d, err, Allow, propagation.Leased)
	if !d.Allowed() || d.Position < made.Position || d.LeaseRemaining <= 0 || d.KnownHead < d.Position {
		t.Errorf("at %+v: %+v", made, d)
	}
	if now, ok := r.Token(); !ok || now.Cluster != made.Cluster || now.Position < d.Position || now.Position == d.Position && [8]byte(d.Hash[:8]) != now.Prefix {
		t.Errorf("the replica's token is %v, %v, after %+v", now, ok, d)
	}
	d, err = r.Decide(Question{Principal: arn("alice"), Action: "s3:Put", Resource: "arn:aws:s3:::bucket/key"})
	decides(t, d, err, ImplicitDeny, propagation.Leased)

	// a change of the policy is waited for by its token
	at := w.must("PutUserPolicy", "UserName", "alice", "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:Get","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}}`)
	address, err := NewKey("AWS:sourceIP")
	if err != nil {
		t.Fatal(err)
	}
	inside := get
	inside.Context = []Entry{address.Single("10.1.2.3")}
	d, err = r.DecideAt(ctx, at, inside)
	decides(t, d, err, ExplicitDeny, propagation.Leased)
	d, err = r.Decide(get)
	decides(t, d, err, ImplicitDeny, propagation.Leased)
	d, x, err := r.Explain(inside)
	decides(t, d, err, ExplicitDeny, propagation.Leased)
	if len(x.Statements) != 1 || !strings.Contains(x.Message, "explicit deny") {
		t.Errorf("the explanation is %+v", x)
	}
	// and a later one without
	w.must("PutUserPolicy", "UserName", "alice", "PolicyName", "p", "PolicyDocument", allow("s3:Get"))
	d, err = r.DecideStrictly(ctx, get)
	decides(t, d, err, Allow, propagation.Strict)

	if _, err := r.Decide(Question{Principal: arn("nobody"), Action: "s3:Get"}); !errors.Is(err, ErrNoPrincipal) {
		t.Errorf("about nobody: %v", err)
	}
	bound := get
	bound.MaxStaleness = time.Nanosecond
	if d, err := r.Decide(bound); !errors.Is(err, ErrTooStale) || d.Outcome != Indeterminate {
		t.Errorf("within a nanosecond: %+v, %v", d, err)
	}
	bound.MaxStaleness = time.Hour
	d, err = r.Decide(bound)
	decides(t, d, err, Allow, propagation.Leased)
	if !d.Bounded || d.Staleness <= 0 {
		t.Errorf("%+v has no bound", d)
	}
}

// A token that is not to be reached ends with the caller's patience, one of another history at once.
func TestTokens(t *testing.T) {
	w := newWorld(t, 1)
	r := w.ready(w.config("replica-1"))
	made := w.user("alice", "s3:Get")
	d, err := r.DecideAt(t.Context(), made, get)
	decides(t, d, err, Allow, propagation.Leased)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	beyond := made
	beyond.Position += 1000
	if d, err := r.DecideAt(ctx, beyond, get); !errors.Is(err, ErrNotReached) || !errors.Is(err, context.Canceled) || d.Outcome != Indeterminate {
		t.Errorf("beyond the head: %+v, %v", d, err)
	}
	for want, change := range map[error]func(*event.Token){
		event.ErrWrongCluster:       func(t *event.Token) { t.Cluster = "another" },
		event.ErrWrongIncarnation:   func(t *event.Token) { t.Incarnation = "another" },
		projection.ErrTokenMismatch: func(t *event.Token) { t.Prefix[0] ^= 1 },
	} {
		other := made
		change(&other)
		if d, err := r.DecideAt(t.Context(), other, get); !errors.Is(err, want) || d.Outcome != Indeterminate {
			t.Errorf("%+v, %v; want %v", d, err, want)
		}
	}
}

// A replica that is cut off from the writers allows nothing once its lease has run out, unless the
// caller takes what is flagged. A denial stays one.
func TestCutOff(t *testing.T) {
	w := newWorld(t, 1)
	made := w.user("alice", "s3:Get")
	cfg, hands := w.config("replica-1"), newHands()
	cfg.clocks = hands.clocks
	r := w.ready(cfg)
	d, err := r.DecideAt(t.Context(), made, get)
	decides(t, d, err, Allow, propagation.Leased)
	w.stop()
	hands.set(time.Hour) // the lease has run out, whenever it was renewed last
	d, err = r.Decide(get)
	decides(t, d, err, Indeterminate, propagation.Unleased)
	if d.LeaseRemaining != 0 || d.Allowed() {
		t.Errorf("%+v", d)
	}
	d, err = r.DecideAt(t.Context(), made, get) // a token proves nothing of what came after it
	decides(t, d, err, Indeterminate, propagation.AtLeast)
	d, err = r.Decide(Question{Principal: arn("alice"), Action: "s3:Put"})
	decides(t, d, err, ImplicitDeny, propagation.Unleased)
	_, x, err := r.Explain(get)
	if err != nil || x.Outcome.String() != "allow" {
		t.Errorf("the explanation is %+v, %v", x, err)
	}
	anyhow := get
	anyhow.Any = true
	d, err = r.Decide(anyhow)
	decides(t, d, err, Allow, propagation.Unleased)
	anyhow.MaxStaleness = time.Minute
	if d, err := r.Decide(anyhow); !errors.Is(err, ErrTooStale) || d.Outcome != Indeterminate {
		t.Errorf("within a minute: %+v, %v", d, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if d, err := r.DecideStrictly(ctx, get); !errors.Is(err, ErrNotReached) || d.Outcome != Indeterminate {
		t.Errorf("strictly: %+v, %v", d, err)
	}
	said := ""
	for _, c := range r.Checks() {
		if c.Name == "lease" {
			said = c.Detail
		}
	}
	if !strings.Contains(said, "no lease is in force") {
		t.Errorf("the replica says of its lease: %q", said)
	}

	w.start() // and it goes on by itself
	w.until("the replica holds a lease again", func(context.Context) error {
		if d, err = r.Decide(get); err == nil && d.Outcome != Allow {
			err = errors.New("it does not")
		}
		return err
	})
}

// Two replicas in one process know nothing of each other, and the leader tells what they are. One name
// may have several processes, each in a directory of its own, and each is waited for.
func TestNames(t *testing.T) {
	w := newWorld(t, 2)
	first, second := w.ready(w.config("replica-1")), w.ready(w.config("replica-2"))
	if _, err := Start(t.Context(), w.config("replica-1")); !errors.Is(err, setup.ErrInUse) {
		t.Errorf("in the directory of another: %v", err)
	}
	twin := w.config("replica-1")
	twin.Dir = filepath.Join(t.TempDir(), "twin")
	third := w.ready(twin)
	made := w.user("alice", "s3:Get")
	for _, r := range []*Replica{first, second, third} {
		d, err := r.DecideAt(t.Context(), made, get)
		decides(t, d, err, Allow, propagation.Leased)
	}
	w.until("the leader knows three embedded replicas", func(ctx context.Context) error {
		c, err := w.client().Cluster(ctx)
		if err != nil {
			return err
		}
		names := ""
		for _, m := range c.Members {
			if m.Embedded && m.Role == "replica" && m.State == "leased" && m.Endpoint == "" && m.Build != nil {
				names += m.Name + " "
			}
		}
		if names != "replica-1 replica-1 replica-2 " {
			return errors.New(names)
		}
		return nil
	})
	p, err := w.client().Propagation(t.Context(), client.Target{Token: made.String()}, client.Scope{}, patience)
	if err != nil || !p.Everywhere() || len(p.VisibleOn) != 2 {
		t.Errorf("everywhere: %+v, %v", p, err)
	}
	// one that is closed gives its lease up, and nobody waits for it
	w.close(second)
	p, err = w.client().Propagation(t.Context(), client.Target{Token: w.must("CreateUser", "UserName", "bob").String()}, client.Scope{}, patience)
	if err != nil || !p.Everywhere() || len(p.Fenced) != 1 || p.Fenced[0] != "replica-2" {
		t.Errorf("everywhere: %+v, %v", p, err)
	}
	d, err := first.Decide(get)
	decides(t, d, err, Allow, propagation.Leased)
}

// A replica that is removed from the roster allows nothing once its lease has run out.
func TestRemoved(t *testing.T) {
	w := newWorld(t, 1)
	made := w.user("alice", "s3:Get")
	r := w.ready(w.config("replica-1"))
	if err := r.Reach(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client().Remove(t.Context(), "replica-1"); err != nil {
		t.Fatal(err)
	}
	w.until("the replica has no lease", func(context.Context) error {
		if d, err := r.Decide(get); err != nil || d.Outcome != Indeterminate {
			return errors.Join(err, errors.New(d.Outcome.String()))
		}
		return nil
	})
}

// A replica whose memory was altered is quarantined, and decides nothing.
func TestQuarantine(t *testing.T) {
	w := newWorld(t, 1)
	made := w.user("alice", "s3:Get")
	r := w.ready(w.config("replica-1"))
	if err := r.Reach(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	if err := layout.Alter(r.projection, "alice"); err != nil {
		t.Fatal(err)
	}
	anyhow := get
	anyhow.Any = true
	w.until("the replica is quarantined", func(context.Context) error {
		if d, err := r.Decide(anyhow); !errors.Is(err, ErrQuarantined) || d.Outcome != Indeterminate {
			return errors.New(d.Outcome.String())
		}
		return nil
	})
	if d, err := r.DecideAt(t.Context(), made, anyhow); !errors.Is(err, ErrQuarantined) || d.Outcome != Indeterminate {
		t.Errorf("at a token: %+v, %v", d, err)
	}
	if d, err := r.DecideStrictly(t.Context(), anyhow); err == nil || d.Outcome != Indeterminate {
		t.Errorf("strictly: %+v, %v", d, err)
	}
	if d, _, err := r.Explain(anyhow); !errors.Is(err, ErrQuarantined) || d.Outcome != Indeterminate {
		t.Errorf("explained: %+v, %v", d, err)
	}
}

// A replica that starts again begins with what is in its directory, without the writers.
func TestRestart(t *testing.T) {
	w := newWorld(t, 1)
	made := w.user("alice", "s3:Get")
	r := w.ready(w.config("replica-1"))
	if err := r.Reach(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	w.close(r)
	w.stop()
	r = w.embed(w.config("replica-1"))
	d, err := r.DecideAt(t.Context(), made, get)
	decides(t, d, err, Indeterminate, propagation.AtLeast)
	select {
	case <-r.Ready():
		t.Error("it is ready without a lease")
	default:
	}
	w.start()
	select {
	case <-r.Ready():
	case <-time.After(patience):
		t.Fatalf("it is not ready: %+v", r.Checks())
	}
	d, err = r.Decide(get)
	decides(t, d, err, Allow, propagation.Leased)
}

// A replica leaves the process as it is, and nothing behind: here without writers, so that all that
// runs is its own.
func TestCloseLeavesNothing(t *testing.T) {
	w := laidOut(t, 1)
	var before, after unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	lowered := unix.Rlimit{Cur: before.Max - 1, Max: before.Max} // so that raising it would show
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lowered); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	others := goleak.IgnoreCurrent()
	r, err := Start(t.Context(), w.config("replica-1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &after); err != nil || after != lowered {
		t.Errorf("the limit of files is %+v after %+v, %v", after, lowered, err)
	}
	if api := r.node.API(); api != "" {
		t.Errorf("clients are served at %s", api)
	}
	if d, err := r.Decide(get); !errors.Is(err, ErrNoState) || d.Outcome != Indeterminate {
		t.Errorf("without a state: %+v, %v", d, err)
	}
	if _, ok := r.Token(); ok {
		t.Error("without a state there is a token")
	}
	waits := make(chan error, 2)
	go func() { waits <- r.Reach(context.Background(), event.Token{Position: 1}) }()
	go func() { _, err := r.DecideStrictly(context.Background(), get); waits <- err }()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Close(gone); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("closed without patience: %v", err)
	}
	w.close(r)
	for range cap(waits) {
		if err := <-waits; !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNotReached) {
			t.Errorf("who waited is told %v", err)
		}
	}
	goleak.VerifyNone(t, others)
	if d, err := r.Decide(get); !errors.Is(err, ErrClosed) || d.Outcome != Indeterminate {
		t.Errorf("after the end: %+v, %v", d, err)
	}
	if _, err := r.DecideAt(t.Context(), event.Token{}, get); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := r.DecideStrictly(t.Context(), get); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if _, _, err := r.Explain(get); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// What makes no sense does not start.
func TestStartRefuses(t *testing.T) {
	w := laidOut(t, 1)
	for what, change := range map[string]func(*Config){
		"no file":         func(c *Config) { c.ClusterFile = "" },
		"no name":         func(c *Config) { c.Name = "" },
		"no directory":    func(c *Config) { c.Dir = "" },
		"no such replica": func(c *Config) { c.Name = "replica-9" },
		"a writer":        func(c *Config) { c.Name = "writer-1" },
		"another's": func(c *Config) {
			c.Cert, c.Key = filepath.Join(w.dir, "nodes/writer-1.crt"), filepath.Join(w.dir, "nodes/writer-1.key")
		},
		"negative bounds":  func(c *Config) { c.Kept.Principals = -1 },
		"negative work":    func(c *Config) { c.MaxWork = -1 },
		"no such file":     func(c *Config) { c.ClusterFile += ".none" },
		"no certificate":   func(c *Config) { c.Cert += ".none" },
		"a file for a dir": func(c *Config) { c.Dir = c.ClusterFile },
	} {
		cfg := w.config("replica-1")
		change(&cfg)
		if r, err := Start(t.Context(), cfg); err == nil {
			w.close(r)
			t.Errorf("%s: it starts", what)
		}
	}
}

// Questions that mean nothing are refused, and those that are too large.
func TestQuestions(t *testing.T) {
	w := newWorld(t, 1)
	made := w.user("alice", "s3:Get")
	cfg := w.config("replica-1")
	cfg.MaxWork = 1 << 20
	r := w.ready(cfg)
	if err := r.Reach(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	key := func(name string) Key {
		k, err := NewKey(name)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	many := make([]Entry, 257)
	for i := range many {
		many[i] = key(fmt.Sprintf("a:%d", i)).Single("v")
	}
	for what, change := range map[string]func(*Question){
		"no principal":     func(q *Question) { q.Principal = "" },
		"no ARN":           func(q *Question) { q.Principal = "alice" },
		"no action":        func(q *Question) { q.Action = "" },
		"a wildcard":       func(q *Question) { q.Action = "s3:*" },
		"no resource":      func(q *Question) { q.Resource = "bucket" },
		"a zero key":       func(q *Question) { q.Context = []Entry{{}} },
		"a key twice":      func(q *Question) { q.Context = []Entry{key("a:b").Single("1"), key("A:B").Single("2")} },
		"too many keys":    func(q *Question) { q.Context = many },
		"too many values":  func(q *Question) { q.Context = []Entry{key("a:b").Multi(make([]string, 1001)...)} },
		"a long principal": func(q *Question) { q.Principal = arn(strings.Repeat("a", 3000)) },
	} {
		q := get
		change(&q)
		if d, err := r.Decide(q); !errors.Is(err, ErrQuestion) || d.Outcome != Indeterminate {
			t.Errorf("%s: %+v, %v", what, d, err)
		}
	}
	q := get
	q.Context = many[:256]
	d, err := r.Decide(q)
	decides(t, d, err, Allow, propagation.Leased)
	for _, name := range []string{"", " a:b", "a:\x00", strings.Repeat("k", 257)} {
		if _, err := NewKey(name); !errors.Is(err, ErrQuestion) {
			t.Errorf("the key %q: %v", name, err)
		}
	}

	// a policy that costs too much decides nothing
	at := w.must("PutUserPolicy", "UserName", "alice", "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAnyValue:StringLike":{"a:b":"`+strings.Repeat("*a?", 400)+`b"}}}}`)
	q = get
	q.Context = []Entry{key("a:b").Multi(slow()...)}
	if d, err := r.DecideAt(t.Context(), at, q); !errors.Is(err, policy.ErrWork) || d.Outcome != Indeterminate {
		t.Errorf("too much work: %+v, %v", d, err)
	}
	d, err = r.Decide(get)
	decides(t, d, err, ImplicitDeny, propagation.Leased)
}

// slow are values that take long to match.
func slow() []string {
	values := make([]string, 1000)
	for i := range values {
		values[i] = strings.Repeat("a", 1000)
	}
	return values
}

// A decision allocates nothing, also when many ask at once.
func TestNoAllocations(t *testing.T) {
	w := newWorld(t, 1)
	made := w.user("alice", "s3:Get")
	r := w.ready(w.config("replica-1"))
	if err := r.Reach(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	key, err := NewKey("aws:SourceIp")
	if err != nil {
		t.Fatal(err)
	}
	q := get
	q.Context = []Entry{key.Single("10.1.2.3")}
	if _, err := r.Decide(q); err != nil {
		t.Fatal(err)
	}
	result := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if d, err := r.Decide(q); err != nil || d.Position == 0 {
				b.Fatal(err)
			}
		}
	})
	if n := result.AllocsPerOp(); n > 0 && !raced {
		t.Errorf("a decision allocates %d times", n)
	}
	t.Logf("%v a decision, %d B", time.Duration(result.NsPerOp()), result.AllocedBytesPerOp())
}

// Decisions are made while the state changes, and while the replica ends: each is of some state of
// the history, and none allows what no state did.
func TestAtOnce(t *testing.T) {
	w := newWorld(t, 1)
	made := w.user("alice", "s3:Get")
	r := w.ready(w.config("replica-1"))
	if err := r.Reach(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	var askers sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		askers.Go(func() {
			last := event.Position(0)
			for {
				d, err := r.Decide(get)
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil || d.Position < last || d.Outcome == ExplicitDeny {
					t.Errorf("%+v after %d, %v", d, last, err)
					return
				}
				last = d.Position
				if _, err := r.Decide(Question{Principal: arn("alice"), Action: "s3:Other"}); err != nil && !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
			}
		})
	}
	var at event.Token
	for range 10 {
		w.must("DeleteUserPolicy", "UserName", "alice", "PolicyName", "p")
		at = w.must("PutUserPolicy", "UserName", "alice", "PolicyName", "p", "PolicyDocument", allow("s3:Get"))
	}
	if err := r.Reach(t.Context(), at); err != nil {
		t.Error(err)
	}
	w.close(r)
	askers.Wait()
}

// Metrics are in the process's own registry, apart for each replica, and gone after the end.
func TestMetrics(t *testing.T) {
	w := newWorld(t, 2)
	made := w.user("alice", "s3:Get")
	registry := prometheus.NewRegistry()
	var all []*Replica
	for _, name := range []string{"replica-1", "replica-2"} {
		cfg := w.config(name)
		cfg.Metrics = registry
		r := w.ready(cfg)
		d, err := r.DecideAt(t.Context(), made, get)
		decides(t, d, err, Allow, propagation.Leased)
		all = append(all, r)
	}
	same := w.config("replica-2")
	same.Dir, same.Metrics = filepath.Join(t.TempDir(), "twin"), registry
	if _, err := Start(t.Context(), same); err == nil {
		t.Error("two replicas show the same metrics")
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			own := false
			for _, l := range m.GetLabel() {
				own = own || l.GetName() == "writ_node" && strings.HasPrefix(l.GetValue(), "replica-")
			}
			if !own || strings.HasPrefix(f.GetName(), "go_") {
				t.Errorf("%s is of nobody", f.GetName())
			}
			if f.GetName() != "writ_embedded_decisions_total" || m.GetCounter().GetValue() == 1 {
				seen[f.GetName()]++
			}
		}
	}
	if seen["writ_position"] != 2 || seen["writ_embedded_decisions_total"] != 2 || seen["writ_embedded"] != 2 {
		t.Errorf("shown are %v", seen)
	}
	for _, r := range all {
		w.close(r)
	}
	if families, err := registry.Gather(); err != nil || len(families) > 0 {
		t.Errorf("after the end there are %d, %v", len(families), err)
	}
}
