package judge

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

const (
	cluster     = "c"
	incarnation = "i"
	root        = "AKIAROOT"
	leaked      = "AKIALEAKED"
)

// hashOf is the hash of the batch at a position of the one good history.
func hashOf(p event.Position) (h event.Hash) {
	if p > 0 {
		h[0], h[1] = 0xab, byte(p)
	}
	return h
}

func at(seconds float64) Moment { return Moment(seconds * float64(time.Second)) }

// good is a history in which every promise was kept:
//
//	position 1  alice is created            acknowledged at 1 s
//	position 2  alice is allowed everything acknowledged at 2 s
//	position 3  alice is tagged "x"         acknowledged at 3 s, everywhere at 4 s
//	position 4  a key is made
//	position 5  the key tags alice "y"      acknowledged at 6 s
//	position 6  the key is revoked          acknowledged at 7 s
func good() *History {
	h := &History{Cluster: cluster, Writers: []string{"w1", "w2"}, Replicas: []string{"r1", "r2"}, Window: 10 * time.Second}
	add := func(by string, action, user, value string, got float64, e identity.Event) {
		p := event.Position(len(h.Writes) + 1)
		w := Write{Attempt: action + user + value, Action: action, User: user, Value: value, Position: p}
		w.Key[0] = byte(p)
		w.Token = event.Token{Cluster: cluster, Incarnation: incarnation, Position: p, Prefix: prefix(p)}
		w.Request = Request{Client: "c1", Node: "w1", Life: 1, Credential: by, Sent: at(got - 0.5), Got: at(got), Status: 200}
		h.Writes = append(h.Writes, w)
		b := &event.Batch{Cluster: cluster, Incarnation: incarnation, Position: p, Prev: hashOf(p - 1), Hash: hashOf(p), Events: []identity.Event{e}}
		b.Cause.Key, b.Cause.Action, b.Cause.By.Credential = w.Key, "iam:"+action, by
		if len(h.Ends) == 0 {
			h.Ends = []End{{Node: "w1"}, {Node: "w2"}, {Node: "r1"}}
		}
		for i := range h.Ends {
			end := &h.Ends[i]
			end.Position, end.Hash, end.Digest, end.Floor = p, hex.EncodeToString(b.Hash[:]), b.State.String(), 3
			if end.Node[0] == 'w' {
				end.Batches = append(end.Batches, b)
			}
		}
	}
	add(root, "CreateUser", "alice", "", 1, &identity.UserCreated{ID: "1", Name: "alice"})
	add(root, "AttachUserPolicy", "alice", "", 2, &identity.PolicyAttached{ID: "1"})
	add(root, "TagUser", "alice", "x", 3, &identity.EntityTagged{ID: "1", Tags: []identity.Tag{{Key: "mark", Value: "x"}}})
	add(root, "CreateAccessKey", "alice", "", 5, &identity.AccessKeyCreated{ID: leaked})
	add(leaked, "TagUser", "alice", "y", 6, &identity.EntityTagged{ID: "1", Tags: []identity.Tag{{Key: "mark", Value: "y"}}})
	add(root, "UpdateAccessKey", "alice", leaked, 7, &identity.AccessKeyUpdated{ID: leaked})
	h.Waits = []Wait{
		{Request: Request{Node: "w1", Sent: at(3), Got: at(4), Status: 200}, Position: 3, State: "everywhere", VisibleOn: []string{"r1"}, Fenced: []string{"r2"}, Floor: 3, Cluster: cluster, Incarnation: incarnation},
		{Request: Request{Node: "w2", Sent: at(5), Got: at(6), Status: 200}, Position: 3, State: "everywhere", Floor: 3, Cluster: cluster, Incarnation: incarnation},
		{Request: Request{Node: "w1", Sent: at(6), Got: at(7), Status: 200}, Position: 5, Replicas: []string{"r2"}, State: "everywhere", VisibleOn: []string{"r2"}, Floor: 3, Cluster: cluster, Incarnation: incarnation},
	}
	effect := Wait{Request: Request{Node: "w1", Sent: at(7), Got: at(8), Status: 200}, Position: 6, Replicas: []string{"r1"}, State: "everywhere", VisibleOn: []string{"r1"},
		Floor: 3, Cluster: cluster, Incarnation: incarnation, Effect: "present", User: "alice", Decision: "allow", Allow: true, Decided: []Decided{{"r1", 6, "allow", "leased"}}}
	h.Waits = append(h.Waits, effect)
	for p := event.Position(1); p <= 2; p++ {
		h.Told = append(h.Told, Told{Client: "c3", Node: "r1", After: p - 1, Position: p, Token: h.Writes[p-1].Token})
	}
	h.Told = append(h.Told, Told{Client: "c3", Node: "r2", After: 2, Gap: true, Position: 3}, Told{Client: "c3", Node: "r2", After: 3, Position: 4, Token: h.Writes[3].Token})
	h.Reads = []Read{
		decision("r1", 4.5, 3, "leased", "allow"),
		decision("r2", 5, 1, "unleased", "implicitDeny"),
		decision("r2", 5, 2, "unleased", "indeterminate"),
		decision("w1", 6.5, 5, "strict", "allow"),
		shown("w1", 3.5, 3, "x"),
		shown("w2", 7.5, 6, "y"),
	}
	return h
}

func prefix(p event.Position) [8]byte {
	h := hashOf(p)
	return [8]byte(h[:8])
}

// decision is a right answer about alice, if it is one.
func decision(node string, sent float64, p event.Position, freshness, what string) Read {
	h := hashOf(p)
	return Read{
		Request: Request{Client: "c2", Node: node, Life: 1, Credential: "AKIAOTHER", Sent: at(sent), Got: at(sent + 0.1), Status: 200},
		User:    "alice", Decides: true, Position: p, Freshness: freshness, Cluster: cluster, Incarnation: incarnation, Hash: hex.EncodeToString(h[:8]), Decision: what,
	}
}

// shown is a right answer that shows alice, if it is one.
func shown(node string, sent float64, p event.Position, tag string) Read {
	r := decision(node, sent, p, "strict", "")
	r.Decides, r.Decision, r.Exists, r.Tag = false, "", true, tag
	return r
}

func TestGoodHistory(t *testing.T) {
	for _, v := range Judge(good()) {
		t.Error(v)
	}
}

// Each history is bad in one way, which must be found, and called by its name.
// spoiling makes a good history one that breaks an invariant.
type spoiling struct {
	invariant string
	spoil     func(*History)
}

// read adds an answer to a history.
func read(h *History, r Read) { h.Reads = append(h.Reads, r) }

// staleAnswers are older than they may be.
var staleAnswers = map[string]spoiling{
	"an old answer after everywhere":                 {"P5", func(h *History) { read(h, decision("r2", 4.1, 2, "leased", "allow")) }},
	"an old answer after everywhere for one replica": {"P5", func(h *History) { read(h, decision("r2", 7.1, 4, "leased", "allow")) }},
	"a lease asked for and not had": {"P5", func(h *History) {
		r := decision("r2", 5, 3, "unleased", "indeterminate")
		r.Mode = "leased"
		read(h, r)
	}},
	"an allow without a lease or a flag": {"P5", func(h *History) { read(h, decision("r2", 5, 3, "unleased", "allow")) }},
	"an old answer after the window":     {"P6", func(h *History) { read(h, decision("r1", 16.1, 4, "leased", "allow")) }},
	"an answer older than it says": {"I13", func(h *History) {
		r := decision("r1", 6.5, 4, "leased", "allow")
		r.Bounded, r.Staleness = true, 400*time.Millisecond
		read(h, r)
	}},
	"an answer older than was allowed": {"I13", func(h *History) {
		r := decision("r1", 6.5, 4, "unleased", "allow")
		r.MaxStaleness = 400 * time.Millisecond
		read(h, r)
	}},
	"an answer older than a token": {"I14", func(h *History) { r := decision("r1", 6, 4, "at_least", "allow"); r.AtLeast = 5; read(h, r) }},
	"an answer older than the caller's own write": {"I14", func(h *History) {
		r := decision("w1", 3.1, 2, "unleased", "indeterminate")
		r.Credential = root
		read(h, r)
	}},
	"a strict answer that lacks a write":  {"strict", func(h *History) { read(h, decision("w2", 6.1, 4, "strict", "allow")) }},
	"a strict answer that is not":         {"strict", func(h *History) { r := decision("w2", 7.1, 6, "leased", "allow"); r.Mode = "strict"; read(h, r) }},
	"an answer older than the one before": {"I5", func(h *History) { read(h, decision("r1", 5, 2, "unleased", "indeterminate")) }},
}

// badLogs are of what nodes have, and of what writes did.
var badLogs = map[string]spoiling{
	"a gap":                     {"I1", func(h *History) { w := h.Ends[1].Batches; h.Ends[1].Batches = append(w[:2:2], w[3:]...) }},
	"a broken chain":            {"I1", func(h *History) { b := *h.Ends[1].Batches[2]; b.Prev[5]++; h.Ends[1].Batches[2] = &b }},
	"two histories":             {"I2", func(h *History) { b := *h.Ends[1].Batches[2]; b.Hash[5]++; h.Ends[1].Batches[2] = &b }},
	"a node of another history": {"I2", func(h *History) { h.Ends[2].Hash = "00" + h.Ends[2].Hash[2:] }},
	"a node ahead of the log":   {"I2", func(h *History) { h.Ends[2].Position = 7 }},
	"another state":             {"I4", func(h *History) { h.Ends[2].Digest = "elsewhere" }},
	"a lost write": {"I16", func(h *History) {
		for i := range 2 {
			h.Ends[i].Batches = h.Ends[i].Batches[:5]
		}
	}},
	"a write in another's place": {"I16", func(h *History) { h.Writes[4].Token.Prefix[0]++ }},
	"an equal call's answer, too soon": {"I16", func(h *History) {
		h.Writes[4].Key, h.Writes[4].Signed = identity.Key{77}, h.Ends[0].Batches[h.Writes[4].Position-1].Cause.Signature.ID
		h.Writes[4].Got = h.Writes[4].Sent + time.Second
	}},
	"a write that says something else":     {"I16", func(h *History) { h.Writes[4].Action = "DeleteUser" }},
	"a key with two effects":               {"I15", func(h *History) { h.Ends[0].Batches[4].Cause.Key = h.Ends[0].Batches[2].Cause.Key }},
	"a strict answer of the past, in time": {"I15", func(h *History) { r := shown("w2", 3.2, 1, ""); read(h, r) }},
	"a refusal that nothing explains": {"I15", func(h *History) {
		w := h.Writes[0]
		w.Attempt, w.Status, w.Code, w.Sent, w.Got = "again", 404, "NoSuchEntity", at(4), at(5)
		w.Action, w.Key = "TagUser", identity.Key{9}
		h.Writes = append(h.Writes, w)
	}},
}

// wrongAnswers say or let through what the state does not.
var wrongAnswers = map[string]spoiling{
	"a wrong allow":                   {"I3", func(h *History) { read(h, decision("r1", 1.5, 1, "leased", "allow")) }},
	"a wrong deny":                    {"I3", func(h *History) { read(h, decision("r1", 5, 3, "leased", "implicitDeny")) }},
	"a wrong tag":                     {"I3", func(h *History) { read(h, shown("w1", 3.5, 3, "y")) }},
	"a position nobody has":           {"I12", func(h *History) { read(h, decision("r1", 5, 9, "leased", "allow")) }},
	"another history's answer":        {"I12", func(h *History) { r := decision("r1", 5, 3, "leased", "allow"); r.Hash = "00"; read(h, r) }},
	"another incarnation":             {"I17", func(h *History) { r := decision("r1", 5, 3, "leased", "allow"); r.Incarnation = "j"; read(h, r) }},
	"a leader of another incarnation": {"I17", func(h *History) { h.Waits[1].Incarnation = "j" }},
	"a revoked key that is accepted":  {"I19", func(h *History) { r := decision("r1", 8, 6, "leased", "allow"); r.Credential = leaked; read(h, r) }},
	"a revoked key that authors":      {"I19", func(h *History) { h.Ends[0].Batches[3].Cause.By.Credential = leaked }},
	"a write to what was set apart": {"deny", func(h *History) {
		h.Outsider = leaked
		for i := range 2 {
			h.Ends[i].Batches[0].Events[0].(*identity.UserCreated).Path = ApartPath
		}
	}},
	"a write to what was guarded": {"deny", func(h *History) {
		h.Outsider = leaked
		h.Ends[0].Batches[2].Events[0].(*identity.EntityTagged).Tags[0] = identity.Tag{Key: ApartTag, Value: ApartValue}
	}},
}

// brokenPromises are of what was told of changes: that they are everywhere, in effect, next.
var brokenPromises = map[string]spoiling{
	"everywhere taken back":            {"I11", func(h *History) { h.Waits[1].State, h.Waits[1].Position = "partial", 2 }},
	"everywhere above the floor":       {"I8", func(h *History) { h.Waits[0].Floor = 2 }},
	"a floor that fell":                {"I8", func(h *History) { h.Ends[1].Floor = 2 }},
	"a refusal without a code":         {"I22", func(h *History) { r := decision("r1", 5, 3, "", ""); r.Status = 503; read(h, r) }},
	"a failure inside":                 {"I22", func(h *History) { h.Waits[1].Status, h.Waits[1].Code = 500, "InternalError" }},
	"a position told twice":            {"stream", func(h *History) { h.Told[1].Position, h.Told[1].Token = 1, h.Told[0].Token }},
	"a position left out":              {"stream", func(h *History) { h.Told[3].After = 2 }},
	"another history told":             {"stream", func(h *History) { h.Told[1].Token.Prefix[0]++ }},
	"an effect that is not there":      {"effect", func(h *History) { h.Waits[3].Decided[0].Position = 1 }},
	"an effect that is not everywhere": {"effect", func(h *History) { h.Waits[3].State = "partial" }},
	"an effect that a replica denies":  {"effect", func(h *History) { h.Waits[3].Decided[0] = Decided{"r1", 1, "implicitDeny", "leased"} }},
	"what was noted":                   {"halted", func(h *History) { h.Notes = []Violation{{"halted", "w1"}} }},
}

func TestBadHistories(t *testing.T) {
	for _, table := range []map[string]spoiling{staleAnswers, badLogs, wrongAnswers, brokenPromises} {
		for name, c := range table {
			t.Run(name, c.judge)
		}
	}
}

// judge holds that the invariant is found to be broken.
func (c spoiling) judge(t *testing.T) {
	h := good()
	c.spoil(h)
	c.finds(t, h)
}

// finds holds that a violation of the invariant is found in a history.
func (c spoiling) finds(t *testing.T, h *History) {
	t.Helper()
	found := Judge(h)
	for _, v := range found {
		if v.Invariant == c.invariant {
			return
		}
	}
	t.Errorf("no violation of %s among %v", c.invariant, found)
}

// Unknown outcomes stay open: a write may take effect long after its client gave up,
// or never, and the answers are right either way.
func TestUnknownOutcomes(t *testing.T) {
	h := good()
	h.Writes[2].Status, h.Writes[2].Got = 0, Never // the tag x, which took effect
	h.Waits = nil
	late := h.Writes[2]
	late.Attempt, late.Value, late.Key = "never", "z", identity.Key{9}
	h.Writes = append(h.Writes, late)
	for _, v := range Judge(h) {
		t.Error(v)
	}
	h.Reads = append(h.Reads, shown("w1", 4.2, 3, "z"))
	if found := Judge(h); len(found) == 0 || !strings.Contains(found[0].String(), "z") {
		t.Errorf("a write without an effect was shown: %v", found)
	}
}

// By a wrong wall clock of a leader, an equal call of the same second is a replay.
func TestEqualCallsUnderAWrongClock(t *testing.T) {
	h := good()
	b, twin := h.Ends[0].Batches[4], h.Writes[4]
	b.Cause.Signature.ID[0] = 1
	twin.Attempt, twin.Key, twin.Signed, twin.Sent, twin.Got = "again", identity.Key{77}, b.Cause.Signature.ID, at(6.1), at(6.2)
	h.Writes = append(h.Writes, twin)
	for name, c := range map[string]struct {
		astray Span
		good   bool
	}{
		"none":                   {Span{at(1), at(2)}, false},
		"put right between them": {Span{at(3), at(6.05)}, true},
		"set between them":       {Span{at(6.05), at(9)}, true},
	} {
		h.Astray = []Span{c.astray}
		if found := Judge(h); (len(found) == 0) != c.good {
			t.Errorf("%s: %v", name, found)
		}
	}
}
