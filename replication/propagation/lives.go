package propagation

import (
	"fmt"
	"slices"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// inherit takes over the lives that the log names when this leader's term begins:
// until when leaders before it granted them leases is not known.
func (t *Tracker) inherit(now time.Duration) {
	for x := range t.shown.Lives.All() {
		l := t.open(t.name(x.Replica), x.Nonce, now)
		l.found, l.anywhere = true, true
		l.mayHold = now + t.window(t.params.Duration)
	}
}

// name returns what is known of a name, which is made if there is none.
func (t *Tracker) name(name string) *tracked {
	i, ok := t.index(name)
	if !ok {
		t.names = slices.Insert(t.names, i, &tracked{Registration: Registration{Name: name}})
	}
	return t.names[i]
}

// open begins an opening for a life that this leader does not know, beside the
// others of its name.
func (t *Tracker) open(m *tracked, nonce string, now time.Duration) *life {
	t.openings++
	t.known++
	l := &life{Life: event.Life{Replica: m.Name, Nonce: nonce}, opening: Opening{t.term, t.openings}, heard: now, region: m.Region}
	m.lives = append(m.lives, l)
	return l
}

// life returns what is known of a life of m; nil: nothing is.
func (m *tracked) life(nonce string) *life {
	for _, l := range m.lives {
		if l.Nonce == nonce {
			return l
		}
	}
	return nil
}

// linger is how long a life is kept in the log after its latest request, even if
// it has no lease: replicas renew twice within it.
func (t *Tracker) linger() time.Duration { return 2 * t.params.Duration / RenewalsPerLease }

// lapsed says whether l can hold no lease, and has not been heard for a while.
func (l *life) lapsed(now, linger time.Duration) bool {
	return now >= l.mayHold && now >= l.heard+linger
}

// refuses says why no further life of m can be taken in; empty: one can.
func (t *Tracker) refuses(m *tracked, nonce string) string {
	switch {
	case len(nonce) > MaxNonce:
		return fmt.Sprintf("The nonce of the replica is longer than %d bytes.", MaxNonce)
	case len(m.lives) >= MaxLives:
		return fmt.Sprintf("The leader knows of %d processes of %s that may hold leases; another is taken in when one of these has stopped or run out.", len(m.lives), m.Name)
	case t.known >= MaxAllLives:
		return fmt.Sprintf("The leader knows of %d processes of replicas that may hold leases; another is taken in when one of these has stopped or run out.", t.known)
	}
	return ""
}

// turnover decides which lives the fence of a tick opens and which it drops. What is
// told to be over is forgotten at once: no fence is needed for that.
func (t *Tracker) turnover(now time.Duration, f *Fence) {
	for i := range t.batch {
		if q := &t.batch[i]; t.asks(q) {
			t.end(q)
		}
	}
	for i := range t.batch {
		q := &t.batch[i]
		m := t.registered(q.Replica)
		if m == nil || q.Nonce == "" || !t.asks(q) {
			continue
		}
		l := m.life(q.Nonce)
		if l == nil && t.refuses(m, q.Nonce) == "" {
			l = t.open(m, q.Nonce, now)
		}
		if l != nil && !l.asked {
			t.ask(m, l, now, f)
		}
	}
	f.Dropped = t.dropped(now)
	f.Complete = !t.shown.Lives.Complete && now >= t.grace
}

// ask notes that l has a request in the tick that begins.
func (t *Tracker) ask(m *tracked, l *life, now time.Duration, f *Fence) {
	l.asked, l.heard, l.found = true, now, false
	l.named = t.shown.Lives.Has(l.Life)
	if !l.named && len(f.Opened) < MaxTurnover {
		f.Opened = append(f.Opened, l.Life)
	}
}

// asks says whether q is a renewal of a replica of this history.
func (t *Tracker) asks(q *request) bool {
	return !q.read && q.Cluster == t.cluster && q.Incarnation == t.incarnation
}

// end forgets the lives that q tells to be over.
func (t *Tracker) end(q *request) {
	m := t.find(q.Replica)
	if m == nil {
		return
	}
	for _, nonce := range q.Ended[:min(len(q.Ended), MaxEnded)] {
		before := len(m.lives)
		m.lives = slices.DeleteFunc(m.lives, func(l *life) bool { return l.Nonce == nonce })
		t.known -= before - len(m.lives)
	}
}

// dropped are the lives that the log need no longer name: those that were told to
// be over, and those that can hold no lease and have no request in this tick.
func (t *Tracker) dropped(now time.Duration) (out []event.Life) {
	linger := t.linger()
	for x := range t.shown.Lives.All() {
		var l *life
		if m := t.find(x.Replica); m != nil {
			l = m.life(x.Nonce)
		}
		if l == nil || t.droppable(l, now, linger) {
			out = append(out, x)
		}
		if len(out) == MaxTurnover {
			break
		}
	}
	return out
}

// droppable says whether the log need no longer name l.
func (t *Tracker) droppable(l *life, now, linger time.Duration) bool {
	return !l.asked && l.lapsed(now, linger)
}

// forget forgets lives that can hold no lease and are in the log no more, and names
// that are neither registered nor have lives. The life of a registered name that
// was heard last is kept, to tell of it.
func (t *Tracker) forget(now time.Duration) {
	linger := t.linger()
	t.known = 0
	for _, m := range t.names {
		keep := (*life)(nil)
		for _, l := range m.lives {
			if m.registered && (keep == nil || l.heard >= keep.heard) {
				keep = l
			}
		}
		m.lives = slices.DeleteFunc(m.lives, func(l *life) bool {
			return l != keep && !l.asked && l.lapsed(now, linger) && !t.shown.Lives.Has(l.Life)
		})
		t.known += len(m.lives)
	}
	t.names = slices.DeleteFunc(t.names, func(m *tracked) bool {
		return !m.registered && len(m.lives) == 0 && now >= t.grace
	})
}
