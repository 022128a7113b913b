package admission

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/writ-iam/writ/node/fault"
)

// Limits of taking shifts.
const (
	// maxShiftWaiters and maxShiftWaitersOne are how many requests may wait for a shift,
	// of all callers and of one.
	maxShiftWaiters    = 64
	maxShiftWaitersOne = 8
)

// shifts share out the processors that may be busy with work of callers' own making:
// half of them, and at least one, so that raft and leases always find another.
// Among callers whoever has the fewest shifts is next, and of those whoever had one
// the longest ago: nobody waits for all that another has in store.
type shifts struct {
	mu      sync.Mutex
	free    int                // guarded by mu, as is the rest
	waiting int                // in all queues
	count   uint64             // shifts that were given
	queues  map[string]*claims // by caller; those that hold or wait
}

// claims are what one caller has and wants.
type claims struct {
	held   int
	latest uint64 // number of the latest shift
	queue  []*claim
}

type claim struct{ granted chan struct{} }

func newShifts() *shifts {
	return &shifts{free: max(1, runtime.GOMAXPROCS(0)/2), queues: make(map[string]*claims)}
}

// of returns a caller's claims. The lock is held.
func (t *shifts) of(who string) *claims {
	q := t.queues[who]
	if q == nil {
		q = &claims{}
		t.queues[who] = q
	}
	return q
}

// take waits for a shift of a caller, for a bounded time. Who has one may wait for the
// next in any number.
func (t *shifts) take(ctx context.Context, who string, again bool) error {
	t.mu.Lock()
	q := t.of(who)
	if t.free > 0 && t.waiting == 0 {
		t.give(q)
		t.mu.Unlock()
		return nil
	}
	if !again && (t.waiting >= maxShiftWaiters || len(q.queue) >= maxShiftWaitersOne) {
		t.forget(who)
		t.mu.Unlock()
		return fault.Later("The node is busy with requests that take much work.", ErrBusy)
	}
	c := &claim{make(chan struct{})}
	q.queue = append(q.queue, c)
	t.waiting++
	t.mu.Unlock()
	timer := time.NewTimer(DefaultWait)
	defer timer.Stop()
	var err error
	select {
	case <-c.granted:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = fault.Later(fmt.Sprintf("The node was busy with other requests for %v.", DefaultWait), ErrBusy)
	}
	t.drop(who, c)
	return err
}

// give takes a free shift for a caller. The lock is held.
func (t *shifts) give(q *claims) {
	t.free--
	t.count++
	q.held++
	q.latest = t.count
}

// drop takes a claim back, and the shift with it if it was granted by now.
func (t *shifts) drop(who string, c *claim) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.queues[who]
	if i := slices.Index(q.queue, c); i >= 0 {
		q.queue = slices.Delete(q.queue, i, i+1)
		t.waiting--
		t.forget(who)
		return
	}
	t.release(who)
}

// end gives a shift back.
func (t *shifts) end(who string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.release(who)
}

// release frees a shift, and gives it to whoever is next. The lock is held.
func (t *shifts) release(who string) {
	t.queues[who].held--
	t.free++
	var next *claims
	for _, q := range t.queues {
		if len(q.queue) > 0 && (next == nil || q.before(next)) {
			next = q
		}
	}
	if next != nil {
		close(next.queue[0].granted)
		next.queue = next.queue[1:]
		t.waiting--
		t.give(next)
	}
	t.forget(who)
}

// before tells whose shift comes first.
func (q *claims) before(other *claims) bool {
	if q.held != other.held {
		return q.held < other.held
	}
	return q.latest < other.latest
}

// forget drops a caller who neither has nor wants a shift. The lock is held.
func (t *shifts) forget(who string) {
	if q := t.queues[who]; q.held == 0 && len(q.queue) == 0 {
		delete(t.queues, who)
	}
}

// wanted tells whether anybody waits.
func (t *shifts) wanted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waiting > 0
}
