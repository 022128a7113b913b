package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/node/sigv4"
)

// progress sees whether something still goes on, however slowly: on a busy machine
// nobody can say how long it takes.
type progress struct {
	last uint64
	at   time.Time
}

// stalled says whether what is counted has been the same for all of patience.
func (p *progress) stalled(count uint64) bool {
	if count != p.last || p.at.IsZero() {
		p.last, p.at = count, time.Now()
	}
	return time.Since(p.at) > patience
}

// head is the latest position that a node shows.
func (m *team) head() (latest event.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.nodes {
		latest = max(latest, n.projection.Head().Position)
	}
	return latest
}

// caller calls the nodes of a team with one access key. Any number of goroutines
// may use it.
type caller struct {
	team       *team
	http       *http.Client
	id, secret string
}

// as is a caller with a key; the root's where id is empty.
func (m *team) as(id, secret string) *caller {
	if id == "" {
		id, secret = m.root.AccessKeyID, m.root.SecretAccessKey
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	m.t.Cleanup(transport.CloseIdleConnections)
	return &caller{m, &http.Client{Transport: transport}, id, secret}
}

// answer is what a caller was told.
type answer struct {
	status   int
	code     string // of an error
	position event.Position
	token    string
	body     string
}

// tookEffect is in the answer to a request that is refused now, and of which an
// earlier try, perhaps one between nodes, was carried out.
var tookEffect = regexp.MustCompile(`An attempt of this request took effect at position (\d+)`)

// request is the body and the header of a call; pairs that begin with @ are of the header.
func request(action string, pairs ...string) (body []byte, header http.Header) {
	form, header := url.Values{"Action": {action}, "Version": {"2010-05-08"}}, http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		if name, ok := strings.CutPrefix(pairs[i], "@"); ok {
			header.Set(name, pairs[i+1])
		} else {
			form.Set(pairs[i], pairs[i+1])
		}
	}
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	header.Set("Amz-Sdk-Invocation-Id", rand.Text())
	return []byte(form.Encode()), header
}

// Callers send again as SDKs do, less and less often: hundreds that do not keep a busy
// machine from electing a leader.
const (
	firstPause = 20 * time.Millisecond
	maxPause   = 5 * time.Second
)

// call sends one request until a node knows what became of it, with the same
// invocation id, while the answer is that it may be sent again. It gives up when
// nobody's writes take effect any more.
func (c *caller) call(node, action string, pairs ...string) (a answer, err error) {
	body, header := request(action, pairs...)
	pause := firstPause
	var others progress
	for tries := 1; ; tries++ {
		a, err = c.once(node, body, header)
		if at := tookEffect.FindStringSubmatch(a.body); at != nil {
			position, err := strconv.ParseUint(at[1], 10, 64)
			a.status, a.position = http.StatusOK, event.Position(position)
			return a, err
		}
		if err == nil && a.status < http.StatusInternalServerError {
			return a, nil
		}
		if others.stalled(uint64(c.team.head())) {
			return a, fmt.Errorf("%s by way of %s, %d times: %d %s, %w", action, node, tries, a.status, a.body, err)
		}
		select {
		case <-time.After(pause/2 + mathrand.N(pause)):
			pause = min(2*pause, maxPause)
		case <-c.team.t.Context().Done():
			return a, context.Cause(c.team.t.Context())
		}
	}
}

func (c *caller) once(node string, body []byte, header http.Header) (answer, error) {
	r, err := http.NewRequestWithContext(c.team.t.Context(), http.MethodPost, c.team.url(node)+"/", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header = header.Clone()
	signer := sigv4.Signer{AccessKeyID: c.id, SecretAccessKey: c.secret, Service: "iam"}
	signer.Sign(r, sha256.Sum256(body), time.Now())
	got, err := c.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		return answer{}, err
	}
	at, _ := strconv.ParseUint(got.Header.Get("X-Writ-Position"), 10, 64) // a refusal has none
	return answer{status: got.StatusCode, code: element(text, "Code"), position: event.Position(at), token: got.Header.Get("X-Writ-Token"), body: string(text)}, nil
}

// must is call for what succeeds, in the test's own goroutine.
func (c *caller) must(node, action string, pairs ...string) answer {
	c.team.t.Helper()
	a, err := c.call(node, action, pairs...)
	if err != nil || a.status != http.StatusOK {
		c.team.t.Fatalf("%s by way of %s: %d %s, %v", action, node, a.status, a.body, err)
	}
	return a
}

// element is the text of the first XML element of that name.
func element(text []byte, name string) string {
	_, rest, _ := bytes.Cut(text, []byte("<"+name+">"))
	value, _, _ := bytes.Cut(rest, []byte("</"+name+">"))
	return string(value)
}

// names are all nodes, writers first.
func (m *team) names() (all []string) {
	for _, w := range m.cluster.Writers {
		all = append(all, w.Name)
	}
	for _, r := range m.cluster.Replicas {
		all = append(all, r.Name)
	}
	return all
}

// history is every batch from a position on, as a writer has it.
func (m *team) history(name string, from event.Position) (batches []*event.Batch) {
	m.t.Helper()
	store := m.node(name).part.(*writer).log.Events()
	for {
		found, err := store.Read(from, 1000, math.MaxInt)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, text := range found {
			b, err := wire.DecodeBatch(text)
			if err != nil {
				m.t.Fatal(err)
			}
			batches = append(batches, b)
			from = b.Position + 1
		}
		if len(found) == 0 {
			return batches
		}
	}
}

// handOver makes the leader hand leadership over. Where it cannot now, a later
// call may.
func (m *team) handOver() {
	for _, w := range m.cluster.Writers {
		if l := m.node(w.Name).part.(*writer).log; l.IsLeader() {
			_ = l.TransferLeadership(m.t.Context()) // it may have lost office in between
		}
	}
}

const (
	managedPolicy = "arn:aws:iam::" + setup.DefaultAccount + ":policy/writer"
	grants        = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*","Resource":"*"}}`
)

// suspect is a user whose right to write is taken away.
type suspect struct {
	*caller
	user string
}

// removal takes a suspect's right to write away.
type removal struct {
	name string
	// group says that the right comes by way of a group.
	group bool
	// bySelf says that the suspect's own key does it.
	bySelf bool
	action func(s *suspect) []string // an action and its parameters
	event  identity.Event            // what it leaves in the log
	code   string                    // of the refusals afterwards
}

var removals = []removal{
	{name: "the key is deleted", code: "InvalidClientTokenId", event: &identity.AccessKeyDeleted{},
		action: func(s *suspect) []string {
			return []string{"DeleteAccessKey", "UserName", s.user, "AccessKeyId", s.id}
		}},
	{name: "the key deletes itself", code: "InvalidClientTokenId", event: &identity.AccessKeyDeleted{}, bySelf: true,
		action: func(s *suspect) []string {
			return []string{"DeleteAccessKey", "UserName", s.user, "AccessKeyId", s.id}
		}},
	{name: "the key is deactivated", code: "InvalidClientTokenId", event: &identity.AccessKeyUpdated{},
		action: func(s *suspect) []string {
			return []string{"UpdateAccessKey", "UserName", s.user, "AccessKeyId", s.id, "Status", "Inactive"}
		}},
	{name: "the policy is detached", code: "AccessDenied", event: &identity.PolicyDetached{},
		action: func(s *suspect) []string {
			return []string{"DetachUserPolicy", "UserName", s.user, "PolicyArn", managedPolicy}
		}},
	{name: "the user leaves the group", code: "AccessDenied", event: &identity.UserRemovedFromGroup{}, group: true,
		action: func(s *suspect) []string {
			return []string{"RemoveUserFromGroup", "UserName", s.user, "GroupName", "writers"}
		}},
}

// suspect makes a user who may write.
func (m *team) suspect(root *caller, name string, byGroup bool) *suspect {
	m.t.Helper()
	root.must("writer-1", "CreateUser", "UserName", name)
	if byGroup {
		root.must("writer-1", "AddUserToGroup", "UserName", name, "GroupName", "writers")
	} else {
		root.must("writer-1", "AttachUserPolicy", "UserName", name, "PolicyArn", managedPolicy)
	}
	key := []byte(root.must("writer-1", "CreateAccessKey", "UserName", name).body)
	return &suspect{m.as(element(key, "AccessKeyId"), element(key, "SecretAccessKey")), name}
}

// race is one history: callers write with a key while its right is taken away.
type race struct {
	*team
	removal
	suspect *suspect
	root    *caller
	writers int // goroutines
	// changes says that leadership changes meanwhile.
	changes bool

	acked   atomic.Int64
	begins  atomic.Bool   // the removal has been sent, or is about to be
	removed chan struct{} // closed when it was acknowledged
	// step hears of every so many writes, and of the removal that is about to be sent.
	step chan struct{}

	mu      sync.Mutex
	written []event.Position // guarded by mu: of the writes that were acknowledged
	refused int              // guarded by mu: writes refused
	wrong   []string         // guarded by mu
}

func (r *race) complain(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
}

// tell moves on whoever waits for a step, if somebody does.
func (r *race) tell() {
	select {
	case r.step <- struct{}{}:
	default:
	}
}

// write creates users by way of one node after the other until it has been refused
// twice after the removal's answer came.
func (r *race) write(who int) {
	nodes := r.names()
	for n, late := 0, 0; late < 2; n++ {
		after := false
		select {
		case <-r.removed:
			after = true
			late++
		default:
		}
		node := nodes[(who+n)%len(nodes)]
		a, err := r.suspect.call(node, "CreateUser", "UserName", fmt.Sprintf("%s-%d-%d", r.suspect.user, who, n))
		switch {
		case err != nil:
			r.complain("a write by way of %s: %v", node, err)
			return
		case a.status == http.StatusOK && after:
			r.complain("a write by way of %s, begun after the removal was acknowledged, is at %d", node, a.position)
		case a.status == http.StatusOK:
			r.mu.Lock()
			r.written = append(r.written, a.position)
			r.mu.Unlock()
			if r.acked.Add(1)%int64(r.writers) == 0 {
				r.tell()
			}
		case a.status != http.StatusForbidden || a.code != r.code:
			r.complain("a write by way of %s: %d %s, want %s", node, a.status, a.body, r.code)
		case !r.begins.Load():
			r.complain("a write by way of %s was refused before there was a reason: %s", node, a.body)
		default:
			r.mu.Lock()
			r.refused++
			r.mu.Unlock()
		}
	}
}

// run lets callers write, takes the right away in the middle, and returns what
// the removal was told.
func (r *race) run(by string) (gone answer) {
	r.t.Helper()
	var wg sync.WaitGroup
	for who := range r.writers {
		wg.Go(func() { r.write(who) })
		r.untilAcknowledged(who / 2) // no faster than the machine bears them
	}
	r.untilAcknowledged(2 * r.writers)
	r.begins.Store(true)
	r.tell()
	c, action := r.root, r.action(r.suspect)
	if r.bySelf {
		c = r.suspect.caller
	}
	gone, err := c.call(by, action[0], action[1:]...)
	close(r.removed)
	wg.Wait()
	if err != nil || gone.status != http.StatusOK {
		r.t.Fatalf("%s: %d %s, %v", r.name, gone.status, gone.body, err)
	}
	return gone
}

// untilAcknowledged waits for so many writes, as long as there are more and more.
func (r *race) untilAcknowledged(want int) {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var writes progress
	for got := r.acked.Load(); got < int64(want); got = r.acked.Load() {
		if writes.stalled(uint64(got)) {
			r.t.Fatalf("%d of %d writes are acknowledged, and no more come", got, want)
		}
		<-tick.C
	}
}

// race runs one history and judges it; by names the node that is asked for the
// removal.
func (m *team) race(root *caller, what removal, user string, writers int, by string, leaderChanges bool) {
	m.t.Helper()
	from := m.node("writer-1").projection.Head().Position
	r := &race{team: m, removal: what, suspect: m.suspect(root, user, what.group), root: root,
		writers: writers, changes: leaderChanges, removed: make(chan struct{}), step: make(chan struct{}, 1)}
	var wg sync.WaitGroup
	if r.changes {
		wg.Go(func() {
			for {
				select {
				case <-r.step:
					m.handOver()
				case <-r.removed:
					return
				}
			}
		})
	}
	gone := r.run(by)
	wg.Wait()
	r.judge(from, gone)
	if m.t.Failed() {
		m.t.Fatalf("while %s, with %d writers", what.name, writers)
	}
}

// judge compares the log with what callers were told.
func (r *race) judge(from event.Position, gone answer) {
	r.t.Helper()
	for _, text := range r.wrong {
		r.t.Error(text)
	}
	var authored []event.Position
	lost := true
	for _, b := range r.history(r.leader("writer-1"), from) {
		mine := b.Cause.By.Credential == r.suspect.id
		switch {
		case b.Position == gone.position:
			lost = fmt.Sprintf("%T", b.Events[0]) != fmt.Sprintf("%T", r.event)
			if mine != r.bySelf {
				r.t.Errorf("the removal at %d was authored by %s", b.Position, b.Cause.By.Credential)
			}
		case mine && b.Position > gone.position:
			r.t.Errorf("the key authored %s at position %d, after the removal at %d", b.Cause.Action, b.Position, gone.position)
		case mine:
			authored = append(authored, b.Position)
		}
	}
	if lost {
		r.t.Errorf("the removal is not at its position %d", gone.position)
	}
	for _, at := range r.written {
		if !slices.Contains(authored, at) {
			r.t.Errorf("the write acknowledged at %d is not in the log before the removal at %d", at, gone.position)
		}
	}
	if len(authored) != len(r.written) {
		r.t.Errorf("%d writes are in the log, %d were acknowledged", len(authored), len(r.written))
	}
	// at every node, whoever looks from there or later sees it
	for _, name := range r.names() {
		a, err := r.suspect.call(name, "GetUser", "UserName", r.suspect.user, "@X-Writ-At-Least", gone.token)
		if err != nil || a.code != r.code {
			r.t.Errorf("a read by way of %s after the removal: %d %s, %v", name, a.status, a.body, err)
		}
	}
	r.t.Logf("%d writers: %d writes before the removal at %d, %d refused", r.writers, len(r.written), gone.position, r.refused)
}

// contained is a team where suspects can be made.
func contained(t *testing.T) (*team, *caller) {
	m := newTeam(t, 3, 2)
	m.startAll()
	root := m.as("", "")
	root.must("writer-1", "CreatePolicy", "PolicyName", "writer", "PolicyDocument", grants)
	root.must("writer-1", "CreateGroup", "GroupName", "writers")
	root.must("writer-1", "AttachGroupPolicy", "GroupName", "writers", "PolicyArn", managedPolicy)
	return m, root
}

// Rule 7 of ARCHITECTURE.md: once a key is deleted, deactivated or has lost the
// permission, it authors nothing, at any concurrency and by way of any node.
func TestContainment(t *testing.T) {
	for _, what := range removals {
		t.Run(what.name, func(t *testing.T) {
			m, root := contained(t)
			for _, c := range []struct{ writers, rounds int }{{1, 6}, {8, 3}, {64, 2}, {256, 1}} {
				for round := range c.rounds {
					m.race(root, what, fmt.Sprintf("u-%d-%d", c.writers, round), c.writers, m.names()[round%5], false)
				}
			}
		})
	}
}

// The same while leadership changes hands: a write or a removal that is sent again
// takes effect once, on its side of the line.
func TestContainmentWhileTheLeaderChanges(t *testing.T) {
	m, root := contained(t)
	for i, what := range removals {
		if what.bySelf {
			continue // sent again, it is told its position, but no token to go on with
		}
		m.race(root, what, fmt.Sprintf("u-%d", i), 32, m.names()[i], true)
	}
}

// Of two keys that delete each other at the same time, one is left.
func TestKeysThatDeleteEachOther(t *testing.T) {
	m, root := contained(t)
	const pairs = 48
	var all [pairs][2]*suspect
	for i := range all {
		for j := range all[i] {
			all[i][j] = m.suspect(root, fmt.Sprintf("pair-%d-%d", i, j), false)
		}
	}
	from := m.node("writer-1").projection.Head().Position + 1
	var wg sync.WaitGroup
	start := make(chan struct{})
	var told [pairs][2]answer
	var errs [pairs][2]error
	for i := range all {
		for j := range all[i] {
			wg.Go(func() {
				<-start
				own, other := all[i][j], all[i][1-j]
				told[i][j], errs[i][j] = own.call(m.names()[(i+2*j)%5], "DeleteAccessKey", "UserName", other.user, "AccessKeyId", other.id)
			})
		}
	}
	close(start)
	wg.Wait()
	authors := map[string]bool{}
	for _, b := range m.history(m.leader("writer-1"), from) {
		authors[b.Cause.By.Credential] = true
	}
	for i, pair := range all {
		if err := errors.Join(errs[i][:]...); err != nil {
			t.Error(err)
		}
		one, two := told[i][0], told[i][1]
		if one.status == http.StatusOK {
			one, two = two, one
		}
		if two.status != http.StatusOK || one.code != "InvalidClientTokenId" {
			t.Errorf("pair %d: %d %s and %d %s", i, one.status, one.body, two.status, two.body)
		}
		if authors[pair[0].id] == authors[pair[1].id] {
			t.Errorf("pair %d: the first key authored: %v, the second: %v", i, authors[pair[0].id], authors[pair[1].id])
		}
	}
}
