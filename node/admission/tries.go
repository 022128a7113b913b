package admission

import (
	"errors"
	"strings"
	"sync"
	"time"
)

// maxTriers is how many holders can lack tries at once; while as many do, others get none.
const maxTriers = 1 << 16

// ErrTries is returned to a holder that has no try left.
var ErrTries = errors.New("too many wrong tries")

// Tries bound how often a holder may guess at a secret and be wrong: some times, and then
// once whenever a try has come back. They are of one node and kept in memory alone. The
// nil Tries have none. Safe for concurrent use.
type Tries struct {
	most int
	each time.Duration

	mu sync.Mutex
	by map[string]lacking // by holder, those that lack tries; guarded by mu
}

// lacking is how many tries a holder lacks, and since when the next one is on its way.
type lacking struct {
	tries int
	since time.Time
}

// NewTries returns tries: most for each holder, of which each one comes back after a time.
func NewTries(most int, each time.Duration) *Tries {
	return &Tries{most: most, each: each, by: make(map[string]lacking)}
}

// Take takes one of a holder's tries, or returns ErrTries. It is taken before the guess is
// looked at, so that guesses side by side are no more than those one after the other.
// Whoever was right gives it back.
func (t *Tries) Take(holder string, now time.Time) error {
	if t == nil {
		return ErrTries
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	has := t.by[holder].at(now, t.each)
	if has.tries >= t.most {
		return ErrTries
	}
	if has.tries == 0 {
		if len(t.by) >= maxTriers {
			t.sweep(now)
		}
		if len(t.by) >= maxTriers {
			return ErrTries
		}
		holder, has.since = strings.Clone(holder), now
	}
	has.tries++
	t.by[holder] = has
	return nil
}

// Return gives a try back that Take took.
func (t *Tries) Return(holder string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	has := t.by[holder].at(now, t.each)
	has.tries--
	t.keep(holder, has)
}

// sweep forgets who lacks nothing any more. The lock is held.
func (t *Tries) sweep(now time.Time) {
	for holder, has := range t.by {
		t.keep(holder, has.at(now, t.each))
	}
}

// keep notes what a holder lacks. The lock is held.
func (t *Tries) keep(holder string, has lacking) {
	if has.tries > 0 {
		t.by[holder] = has
	} else {
		delete(t.by, holder)
	}
}

// at is what is lacking by now. A clock that goes back gives nothing back.
func (l lacking) at(now time.Time, each time.Duration) lacking {
	back := int(max(now.Sub(l.since), 0) / each)
	if back >= l.tries {
		return lacking{}
	}
	return lacking{l.tries - back, l.since.Add(time.Duration(back) * each)}
}
