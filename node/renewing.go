package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// Paths that a leader answers for readers.
const (
	leasePath    = "/peer/lease"
	headPath     = "/peer/head"
	registerPath = "/peer/register"
)

// renewTimeout bounds one renewal: a reader that hears nothing asks anew.
const renewTimeout = 3 * time.Second

// gather is how long changes gather after an answer, with up to half of that on top,
// before they are reported out of turn. The leader takes reports no oftener than every
// TickEvery: one that leaves at once after a tick waits for the next all the same, and
// then knows nothing of the changes in between.
const gather = propagation.TickEvery / 2

// renewal is a renewal on its way to the leader, with what is not of the protocol.
type renewal struct {
	propagation.Renewal
	Endpoint string `json:"endpoint,omitempty"` // where clients reach the reader
}

// renewing keeps a reader's lease: it tells the leader what the reader has
// applied, and takes in what the leader grants.
type renewing struct {
	clocks     func() propagation.Clocks
	finder     *leaderFinder
	projection *projection.Projection
	// register enters this reader into the roster, if it is not barred.
	register func(context.Context) error
	// misplaced tells whether the roster, as this reader shows it, has it in another
	// region or class.
	misplaced func() bool
	expect    func(event.Position) // is told how far the history reaches
	heard     func(term uint64)    // is told who answered
	endpoint  func() string        // where clients reach this reader; empty: nobody knows
	logger    *slog.Logger

	record *lifeRecord // nil in tests that need none; of run's goroutine

	mu       sync.Mutex // guards lease and stopped
	lease    *propagation.Lease
	stopped  bool
	reported event.Position // by the latest renewal; of run's goroutine
	again    bool           // renew at once; of run's goroutine
	early    time.Time      // no renewal out of turn before; of run's goroutine
	news     chan struct{}  // one element: renew at once; of anybody
	held     atomic.Bool    // a lease was granted since the start
	entering bool           // the latest word was that the roster lacks this reader; of run's goroutine
	placed   string         // incarnation in whose roster its region and class are right; of run's goroutine
	// standing is the leader's latest word on this reader's place in the roster:
	// UNREGISTERED of one that was removed, DRAINING, or any other.
	standing atomic.Pointer[propagation.Kind]
	refused  atomic.Pointer[string]  // why the leader takes this reader in no more; nil: it does
	sent     atomic.Uint64           // number of the latest renewal
	verdict  atomic.Pointer[verdict] // the leader's latest; never nil
	// snapshot is what queries read; nil until the reader knows its cluster.
	snapshot atomic.Pointer[propagation.Snapshot]
}

// verdict is the leader's word on one renewal.
type verdict struct {
	seq  uint64 // of the renewal
	head event.Head
	kind propagation.Kind
	next chan struct{} // closed when there is another verdict
}

// take publishes a verdict.
func (r *renewing) take(v verdict) {
	v.next = make(chan struct{})
	close(r.verdict.Swap(&v).next)
}

// judgeTimeout bounds the wait for the leader's word on the state that is there.
const judgeTimeout = 5 * time.Second

// errForked is why a forked reader keeps its state.
var errForked = errors.New("its history is not the cluster's")

// mayReplace asks the leader about the state that is there, before it is replaced
// by a writer's. A state of another history is evidence, and stays: either this
// reader was misled, or the writers have lost what they had committed.
func (r *renewing) mayReplace(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	before := r.sent.Load() // what was answered to these is from before
	r.poke()
	for {
		v := r.verdict.Load()
		switch fault := r.snapshot.Load().Quarantined(); {
		case fault == propagation.KindFork:
			return errForked
		case fault != "":
			return nil // it is no use as it is
		case v.seq > before && v.head == r.projection.Head() && v.kind != propagation.KindOpen:
			return nil
		}
		select {
		case <-v.next:
		case <-ctx.Done():
			return fmt.Errorf("no leader has judged it: %w", ctx.Err())
		}
	}
}

// poke makes the reader renew at once.
func (r *renewing) poke() {
	select {
	case r.news <- struct{}{}:
	default: // it is about to
	}
}

// nonce is 128 random bits, in hexadecimal.
func nonce() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// fresh looks at the lease. The view is loaded after it.
func (r *renewing) fresh() propagation.Freshness {
	return r.snapshot.Load().Check(r.clocks())
}

// change does something to the lease and shows queries what came of it.
func (r *renewing) change(f func(*propagation.Lease)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.lease)
	r.snapshot.Store(r.lease.Snapshot())
}

// stepBack drops the lease and then replaces the state by another one, perhaps of
// another incarnation. No renewal tells of the old state in between.
func (r *renewing) stepBack(incarnation string, replace func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lease.Rejoin(incarnation, nonce())
	r.snapshot.Store(r.lease.Snapshot())
	replace()
}

// quarantine stops the reader from answering, and tells the leader.
func (r *renewing) quarantine(why propagation.Kind) {
	r.change(func(l *propagation.Lease) { l.Quarantine(why) })
	r.poke()
}

// run renews until ctx ends or the reader has stopped.
func (r *renewing) run(ctx context.Context) {
	if _, err := r.projection.Wait(ctx, 1); err != nil {
		return // before there was anything to report
	}
	for ctx.Err() == nil {
		r.mu.Lock()
		wait := r.lease.Next(r.clocks(), mathrand.Float64())
		sound, stopped := r.lease.Snapshot().Quarantined() == "", r.stopped
		r.mu.Unlock()
		if stopped {
			return
		}
		if r.removed() {
			wait = max(wait, rest())
		}
		if r.again {
			wait, r.again = 0, false
		}
		if !r.rest(ctx, wait, sound) {
			return
		}
		r.once(ctx)
	}
}

// rest waits for the time of the next renewal, or until something was applied that
// the leader does not know of and has gathered for a while.
func (r *renewing) rest(ctx context.Context, wait time.Duration, early bool) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		var applied <-chan struct{}
		var gathered <-chan time.Time
		if early {
			applied = r.projection.Changed()
		}
		if early && r.projection.Head().Position > r.reported {
			applied, gathered = nil, time.After(time.Until(r.early))
		}
		select {
		case <-applied:
			continue
		case <-gathered:
		case <-timer.C:
		case <-r.news:
		case <-ctx.Done():
		}
		return ctx.Err() == nil
	}
}

// begin records the nonce of the life that is about to ask, and returns it.
func (r *renewing) begin() string {
	r.mu.Lock()
	nonce := r.lease.Nonce()
	r.mu.Unlock()
	if err := r.record.begin(nonce); err != nil {
		r.logger.Warn("after a crash of this replica the leader will wait for its lease", "error", err)
	}
	return nonce
}

// once sends one renewal and takes in the answer.
func (r *renewing) once(ctx context.Context) {
	var q propagation.Renewal
	nonce, asks := r.begin(), false
	r.change(func(l *propagation.Lease) {
		if asks = !r.stopped && l.Nonce() == nonce; !asks {
			return
		}
		v := r.projection.View() // under the lock: the state does not step back meanwhile
		q = l.Renew(r.clocks(), propagation.Applied{Head: v.Head, State: digestHash(v.State.Digest()), Level: identity.FeatureLevel})
	})
	if !asks {
		r.again = true // under the nonce that is in force now
		return
	}
	r.reported = q.Position
	r.sent.Store(q.Seq)
	defer func() { r.early = time.Now().Add(gather + mathrand.N(gather/2)) }()
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	var a propagation.Answer
	if err := r.finder.post(ctx, leasePath, renewal{q, r.endpoint()}, &a); err != nil {
		r.barred(err)
		r.logger.Debug("the lease was not renewed", "error", err)
		return
	}
	r.change(func(l *propagation.Lease) { l.Receive(r.clocks(), a) })
	r.expect(r.snapshot.Load().Head())
	r.heard(a.Term)
	if a.Kind != propagation.KindNotLeader && a.Kind != propagation.KindBusy {
		r.take(verdict{seq: q.Seq, head: event.Head{Position: q.Position, Hash: q.Hash}, kind: a.Kind})
	}
	r.refuse(a)
	switch a.Kind {
	case propagation.KindOpen, propagation.KindGrant, propagation.KindBehind, propagation.KindDraining:
		r.entering = false
		r.standing.Store(&a.Kind)
		r.held.Store(r.held.Load() || a.Kind == propagation.KindGrant)
		if a.Kind == propagation.KindGrant {
			r.move(ctx, q.Incarnation)
		}
	case propagation.KindUnregistered:
		r.enter(ctx)
	case propagation.KindFork, propagation.KindDiverged, propagation.KindWrongIncarnation:
		if q.Fault != "" {
			return // as it knew
		}
		r.logger.Error("this replica is quarantined and answers nothing", "kind", a.Kind, "reason", a.Reason)
	}
}

// refuse notes why the leader takes this reader in no more: too many processes of
// its name hold leases, or may.
func (r *renewing) refuse(a propagation.Answer) {
	switch {
	case a.Kind == propagation.KindBusy && a.Head.Position > 0: // said after a fence, so of this reader
		if r.refused.Swap(&a.Reason) == nil {
			r.logger.Warn("this replica gets no lease", "reason", a.Reason)
		}
	case a.Kind != propagation.KindBusy && a.Kind != propagation.KindNotLeader:
		r.refused.Store(nil)
	}
}

// restEvery is about how long a removed reader waits before it asks again whether it
// was admitted.
const restEvery = 5 * time.Second

// rest is restEvery with up to half of that on top.
func rest() time.Duration { return restEvery + mathrand.N(restEvery/2) }

// join enters a reader into the roster that has no state yet: writers give theirs to
// members alone. It returns when that is done, or ctx ends.
func (r *renewing) join(ctx context.Context) error {
	for {
		err := r.register(ctx)
		if err == nil {
			return nil
		}
		wait := joinPause + mathrand.N(joinPause)
		if r.barred(err) {
			wait = rest()
		} else if ctx.Err() == nil {
			r.logger.Warn("the replica could not be registered", "error", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// enter registers a reader that the roster lacks.
func (r *renewing) enter(ctx context.Context) {
	if err := r.register(ctx); err != nil {
		if !r.barred(err) {
			r.logger.Warn("the replica could not be registered", "error", err)
		}
		return
	}
	r.placed, r.again = "", !r.entering // a leader that goes on saying so is not asked at once again
	r.entering = true
}

// barred tells whether an error is a writer's word that an operator removed this
// reader. Then it has no lease any more, and stays out until it is admitted again.
func (r *renewing) barred(err error) bool {
	if !errors.Is(err, errBarred) {
		return false
	}
	r.change((*propagation.Lease).Withdraw)
	if !r.removed() {
		out := propagation.KindUnregistered
		r.standing.Store(&out)
		r.logger.Warn("this replica was removed from the roster by command: it answers without a lease until `writ replica admit` with its name, at a writer, lets it in again")
	}
	return true
}

// move registers a reader anew that the roster has in another region or class than
// its configuration, which was changed before it was started.
func (r *renewing) move(ctx context.Context, incarnation string) {
	if r.placed == incarnation {
		return
	}
	if r.misplaced() {
		if err := r.register(ctx); err != nil {
			r.logger.Warn("the replica's region and class could not be registered", "error", err)
			return
		}
	}
	r.placed = incarnation
}

// removed tells whether this reader was taken off the roster by command.
func (r *renewing) removed() bool { return r.stands(propagation.KindUnregistered) }

// draining tells whether this reader is in the roster, but gets no new leases.
func (r *renewing) draining() bool { return r.stands(propagation.KindDraining) }

func (r *renewing) stands(kind propagation.Kind) bool {
	k := r.standing.Load()
	return k != nil && *k == kind
}

// digestHash is a digest as the lease protocol carries it.
func digestHash(d digest.Sum) (h event.Hash) {
	binary.BigEndian.PutUint64(h[0:], d[0])
	binary.BigEndian.PutUint64(h[8:], d[1])
	return h
}

// strictHead asks the leader for a head that is current after the call.
func (r *renewing) strictHead(ctx context.Context) (event.Head, error) {
	var q propagation.Read
	r.change(func(l *propagation.Lease) { q = l.Read(r.clocks()) })
	var a propagation.Answer
	if err := r.finder.post(ctx, headPath, q, &a); err != nil {
		return event.Head{}, err
	}
	if a.Kind != propagation.KindHead || a.Cluster != q.Cluster || a.Incarnation != q.Incarnation {
		return event.Head{}, fmt.Errorf("the leader of cluster %s, incarnation %q, answers %s", a.Cluster, a.Incarnation, a.Kind)
	}
	r.change(func(l *propagation.Lease) { l.Receive(r.clocks(), a) })
	return a.Head, nil
}

// post sends JSON to the leader and decodes the JSON that it answers.
func (f *leaderFinder) post(ctx context.Context, path string, question, answer any) error {
	return f.postHeld(ctx, 0, path, question, answer)
}

// postHeld is post for what the leader may hold back for a while.
func (f *leaderFinder) postHeld(ctx context.Context, hold time.Duration, path string, question, answer any) error {
	return f.postOver(ctx, f.client, hold, path, question, answer)
}

// postOver is postHeld over the connections of one of the clients.
func (f *leaderFinder) postOver(ctx context.Context, client *http.Client, hold time.Duration, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("encode a question to the leader: %w", err)
	}
	got, err := f.send(ctx, client, hold, func(ctx context.Context, addr string) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodPost, "https://"+addr+path, bytes.NewReader(body))
	})
	if err != nil {
		return err
	}
	defer discard(got)
	text, err := io.ReadAll(io.LimitReader(got.Body, maxSmallAnswer))
	if err != nil {
		return fmt.Errorf("read the leader's answer: %w", err)
	}
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("the leader answers %s: %.256s", got.Status, text)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("decode the leader's answer: %w", err)
	}
	return nil
}
