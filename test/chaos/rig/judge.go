package rig

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/client"
)

// Bounds that the judge holds the cluster to.
const (
	// window is W of the lease protocol for leases of ten seconds.
	window = 10*time.Second*101/99 + 100*time.Millisecond
	// windowSlack is what P6 allows for besides: a poll, a tick, a busy machine.
	windowSlack = 4 * time.Second
	// confirmedGap is the longest time between two words of one leader that counts
	// as leading throughout.
	confirmedGap = 1500 * time.Millisecond
	// clockSlack is what rounding to milliseconds may take from a bound.
	clockSlack = 2 * time.Millisecond
	// prefixLen is how many digits of a hash answers carry.
	prefixLen = 16
	// maxViolations is how many are kept; the first stops the run.
	maxViolations = 50
)

// mark is a position and when it was known.
type mark struct {
	at       time.Duration
	position event.Position
}

// rising is the highest position known so far, over time.
type rising []mark

func (r *rising) add(at time.Duration, p event.Position) {
	if n := len(*r); n > 0 && (*r)[n-1].position >= p {
		return
	}
	if n := len(*r); n > 0 && at < (*r)[n-1].at {
		at = (*r)[n-1].at // known to the judge only now
	}
	*r = append(*r, mark{at, p})
}

// before is the highest position known at a time.
func (r rising) before(at time.Duration) event.Position {
	i := sort.Search(len(r), func(i int) bool { return r[i].at > at })
	if i == 0 {
		return 0
	}
	return r[i-1].position
}

// beyond is when the first position above p was known.
func (r rising) beyond(p event.Position) (time.Duration, bool) {
	i := sort.Search(len(r), func(i int) bool { return r[i].position > p })
	if i == len(r) {
		return 0, false
	}
	return r[i].at, true
}

// claim is what was said of a position, by whom.
type claim struct {
	hash, digest, by string
}

// stretch is a time throughout which one writer led, as it said itself.
type stretch struct {
	leader   string
	term     uint64
	from, to time.Duration
}

// violation is a promise that was broken.
type violation struct {
	At     time.Duration
	What   string
	Detail string
}

// String is a line of the report.
func (v violation) String() string {
	return fmt.Sprintf("%8.3fs %s: %s", v.At.Seconds(), v.What, v.Detail)
}

// judge holds answers against each other as they come.
type judge struct {
	start time.Time
	first chan struct{} // closed by the first violation

	mu          sync.Mutex // guards all below
	violations  []violation
	acked       rising // what clients were told is committed
	everywhere  rising // what clients were told is everywhere
	claims      map[event.Position]claim
	incarnation string
	former      map[string]bool   // incarnations that have ended
	elections   int               // terms in them
	terms       map[uint64]string // who led
	stretches   []stretch
	served      map[string]int // answers by freshness
	refused     map[string]int // refusals by code
	silent      int            // requests that got no answer
	samples     []sample
	waits       []waited
	moments     map[string]int // rare things seen, by name
}

// sample is a decision to be held against the log at the end.
type sample struct {
	position  event.Position
	principal int
	decision  string
	node      string
	freshness string
}

// waited is a wait until everywhere that ended.
type waited struct {
	position event.Position
	acked    time.Duration
	arrived  time.Duration
}

func newJudge() *judge {
	return &judge{
		start: time.Now(), first: make(chan struct{}), claims: map[event.Position]claim{}, terms: map[uint64]string{},
		served: map[string]int{}, refused: map[string]int{}, moments: map[string]int{},
	}
}

// now is the one clock of all records.
func (j *judge) now() time.Duration { return time.Since(j.start) }

// violate takes note of a broken promise.
func (j *judge) violate(what, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.violated(what, format, args...)
}

// violated is violate under the lock.
func (j *judge) violated(what, format string, args ...any) {
	if len(j.violations) == 0 {
		close(j.first)
	}
	if len(j.violations) < maxViolations {
		j.violations = append(j.violations, violation{j.now(), what, fmt.Sprintf(format, args...)})
	}
}

// found returns the violations so far.
func (j *judge) found() []violation {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.violations)
}

// moment counts something rare.
func (j *judge) moment(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.moments[name]++
}

// ack says that a client was told that a position is committed.
func (j *judge) ack(p event.Position) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acked.add(j.now(), p)
}

// ackedBefore is the highest position that had been acknowledged by then.
func (j *judge) ackedBefore(at time.Duration) event.Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.acked.before(at)
}

// arrived says that a client was told that a position is everywhere.
func (j *judge) arrived(w waited) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.everywhere.add(w.arrived, w.position)
	j.waits = append(j.waits, w)
}

// same compares what is said of a position with what was said before (I2, I4, I17).
func (j *judge) same(by string, p event.Position, hash, digest, incarnation string) {
	if j.incarnation == "" {
		j.incarnation = incarnation
	}
	if incarnation != j.incarnation {
		j.violated("I17 an answer of another incarnation", "%s speaks of %s, the cluster's is %s", by, incarnation, j.incarnation)
	}
	if p == 0 {
		return
	}
	hash = hash[:min(prefixLen, len(hash))]
	old, known := j.claims[p]
	if known && old.hash != hash {
		j.violated("I2 two hashes at one position", "position %d is %s on %s and %s on %s", p, old.hash, old.by, hash, by)
		return
	}
	if known && digest != "" && old.digest != "" && old.digest != digest {
		j.violated("I4 two states at one position", "position %d is %s on %s and %s on %s", p, old.digest, old.by, digest, by)
		return
	}
	if !known || old.digest == "" && digest != "" {
		j.claims[p] = claim{hash, digest, by}
	}
}

// holds takes what a node says that it holds.
func (j *judge) holds(node string, c *client.Cluster) {
	if c.Position == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.former[c.Incarnation] {
		j.moments["a node that has yet to take a restored state"]++
		return
	}
	j.same(node, c.Position, c.Hash, c.Digest, c.Incarnation)
}

// led takes a writer's word that it leads: one for each term, and the time over
// which it is known.
func (j *judge) led(sent, got time.Duration, name string, term uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if other, ok := j.terms[term]; ok && other != name {
		j.violated("two leaders in one term", "%s and %s in term %d", other, name, term)
	}
	j.terms[term] = name
	if n := len(j.stretches); n > 0 {
		last := &j.stretches[n-1]
		if last.leader == name && last.term == term && sent-last.to <= confirmedGap {
			last.to = got
			return
		}
	}
	j.stretches = append(j.stretches, stretch{name, term, sent, got})
}

// ledBy is the longest time between two instants in which a writer led throughout.
func (j *judge) ledBy(name string, from, to time.Duration) (most time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := len(j.stretches) - 1; i >= 0 && j.stretches[i].to > from; i-- {
		if s := j.stretches[i]; s.leader == name {
			most = max(most, min(to, s.to)-max(from, s.from))
		}
	}
	return most
}

// question is what a reader asked, and when.
type question struct {
	node      string
	mode      string
	principal int
	atLeast   event.Position
	sent      time.Duration
	got       time.Duration
}

// decided judges a decision at once.
func (j *judge) decided(q question, d *decision) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.served[d.Freshness]++
	if j.former[d.Incarnation] && d.Freshness == "unleased" && d.Decision != "allow" { // it names both, and vouches for nothing
		j.moments["an unleased answer of before a restore"]++
		return
	}
	j.same(q.node, d.Position, d.Hash, "", d.Incarnation)
	told := fmt.Sprintf("%s answered %s (%s) at position %d to a question (%s) sent at %.3fs, answered at %.3fs",
		q.node, d.Decision, d.Freshness, d.Position, q.mode, q.sent.Seconds(), q.got.Seconds())
	if floor := j.everywhere.before(q.sent); d.Freshness == "leased" && d.Position < floor {
		j.violated("I10 a leased answer from before what was everywhere", "%s; %d had been everywhere", told, floor)
	}
	if head := j.acked.before(q.sent); d.Freshness == "strict" && d.Position < head {
		j.violated("I14 a strict answer without what was acknowledged", "%s; %d had been acknowledged", told, head)
	}
	if d.Position < q.atLeast {
		j.violated("P4 an answer older than its token", "%s; its token is of %d", told, q.atLeast)
	}
	if d.Decision == "allow" && d.Freshness == "unleased" {
		j.violated("an allow that nobody knows to be fresh", "%s", told)
	}
	if q.mode == "leased" && d.Freshness == "unleased" {
		j.violated("an answer less fresh than asked for", "%s", told)
	}
	if d.StalenessMS != nil {
		bound := time.Duration(*d.StalenessMS)*time.Millisecond + clockSlack
		if at, ok := j.acked.beyond(d.Position); ok && q.sent-at > bound {
			j.violated("I13 a staleness bound that is too small", "%s; a later position had been acknowledged %v before the question, the bound is %v", told, q.sent-at, bound)
		}
	}
	j.samples = append(j.samples, sample{d.Position, q.principal, d.Decision, q.node, d.Freshness})
}

// refusals are statuses that need a code, and those that nothing here may cause.
func (j *judge) refuse(node, what string, a *answer) problem {
	p := a.problem()
	j.mu.Lock()
	defer j.mu.Unlock()
	if p.Code == "" {
		j.violated("I22 a refusal without a code", "%s answers %s with %d: %.300s", node, what, a.status, a.body)
		return p
	}
	j.refused[p.Code]++
	switch {
	case a.status == 500, p.Code == "InternalFailure", p.Code == "InternalError", p.Code == "ServiceFailure":
		j.violated("an internal error", "%s answers %s with %d %s: %s", node, what, a.status, p.Code, p.Detail)
	case p.Code == "WrongToken":
		j.violated("a token refused that is the cluster's own", "%s answers %s: %s", node, what, p.Detail)
	}
	return p
}

// unanswered counts a request that got no answer.
func (j *judge) unanswered() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.silent++
}

// counts are figures for the report, in a fixed order.
func counts(m map[string]int) string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s %d", name, m[name]))
	}
	return strings.Join(parts, ", ")
}
