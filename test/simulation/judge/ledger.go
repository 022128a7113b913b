package judge

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// user is what the history says of a user at a position.
type user struct {
	Exists   bool
	Attached bool   // to the one policy, which allows everything
	Tag      string // of the one tag
}

// ledger is the history that the writers agree on, and who was what when. It
// folds the events by itself, with none of the code that answers questions.
type ledger struct {
	batches []*event.Batch // that of position p at p-1
	keys    map[identity.Key][]event.Position
	// changes of each user, and of whether each access key works, by position.
	users map[string][]change[user]
	creds map[string][]change[bool]
	// ends are what ends sessions, in order.
	ends []ending
	// astray is when writers' wall clocks were wrong.
	astray []Span
}

type change[T any] struct {
	at event.Position
	is T
}

// asOf is the latest of the changes at or before a position.
func asOf[T any](changes []change[T], at event.Position) (is T) {
	for _, c := range changes {
		if c.at > at {
			break
		}
		is = c.is
	}
	return is
}

func newLedger(h *History) *ledger {
	l := &ledger{keys: map[identity.Key][]event.Position{}, users: map[string][]change[user]{}, creds: map[string][]change[bool]{}, astray: h.Astray}
	for _, e := range h.Ends {
		if len(e.Batches) > len(l.batches) {
			l.batches = e.Batches
		}
	}
	names := map[identity.ID]string{}
	for _, b := range l.batches {
		if key := b.Cause.Key; key != (identity.Key{}) {
			l.keys[key] = append(l.keys[key], b.Position)
		}
		for _, e := range b.Events {
			l.fold(b.Position, e, names)
		}
	}
	return l
}

// fold takes in one event.
func (l *ledger) fold(at event.Position, e identity.Event, names map[identity.ID]string) {
	set := func(id identity.ID, f func(*user)) {
		name, ok := names[id]
		if !ok {
			return
		}
		u := asOf(l.users[name], at)
		f(&u)
		l.users[name] = append(l.users[name], change[user]{at, u})
	}
	switch e := e.(type) {
	case *identity.UserCreated:
		names[e.ID] = e.Name
		set(e.ID, func(u *user) { *u = user{Exists: true} })
	case *identity.UserDeleted:
		set(e.ID, func(u *user) { *u = user{} })
		delete(names, e.ID)
	case *identity.EntityTagged:
		set(e.ID, func(u *user) { u.Tag = e.Tags[len(e.Tags)-1].Value })
	case *identity.PolicyAttached:
		set(e.ID, func(u *user) { u.Attached = true })
	case *identity.PolicyDetached:
		set(e.ID, func(u *user) { u.Attached = false })
	case *identity.SessionsRevoked, *identity.SessionKeyRevoked, *identity.RoleDeleted:
		l.ends = append(l.ends, ending{at, e})
	case *identity.AccessKeyCreated:
		l.creds[e.ID] = append(l.creds[e.ID], change[bool]{at, true})
	case *identity.AccessKeyUpdated:
		l.creds[e.ID] = append(l.creds[e.ID], change[bool]{at, e.Active})
	case *identity.AccessKeyDeleted:
		l.creds[e.ID] = append(l.creds[e.ID], change[bool]{at, false})
	}
}

// at is the batch of a position; nil if there is none.
func (l *ledger) at(p event.Position) *event.Batch {
	if p == 0 || p > event.Position(len(l.batches)) {
		return nil
	}
	return l.batches[p-1]
}

// chains judges I1, I2 and I4: positions without gaps, chained by hash, the same on
// every node, and the same state at the end of them.
func chains(h *History, l *ledger) (found []Violation) {
	for _, e := range h.Ends {
		var prev event.Hash
		for i, b := range e.Batches {
			switch {
			case b.Position != event.Position(i+1):
				found = append(found, violation("I1", "%s has position %d where %d should be", e.Node, b.Position, i+1))
			case b.Prev != prev:
				found = append(found, violation("I1", "at %s position %d does not continue the one before", e.Node, b.Position))
			case b.Hash != l.batches[i].Hash:
				found = append(found, violation("I2", "%s has another batch at position %d than others", e.Node, b.Position))
			}
			prev = b.Hash
		}
		b := l.at(e.Position)
		switch {
		case b == nil:
			found = append(found, violation("I2", "%s is at position %d, which no writer holds", e.Node, e.Position))
		case !strings.HasPrefix(hex.EncodeToString(b.Hash[:]), e.Hash) || e.Hash == "":
			found = append(found, violation("I2", "%s is at position %d with the hash %q, which is another history's", e.Node, e.Position, e.Hash))
		case e.Digest != b.State.String():
			found = append(found, violation("I4", "%s has digest %s at position %d, where the log has %s", e.Node, e.Digest, e.Position, b.State))
		}
	}
	return found
}

// acknowledged judges I16: what was acknowledged is in the log at the end, where
// its answer said, and says what its answer said.
func acknowledged(h *History, l *ledger) (found []Violation) {
	for i := range h.Writes {
		w := &h.Writes[i]
		if !w.Answered() {
			continue
		}
		b := l.at(w.Position)
		switch {
		case b == nil:
			found = append(found, violation("I16", "%s of %s was acknowledged at position %d, which is not in the log any more", w.Action, w.User, w.Position))
		case [8]byte(b.Hash[:8]) != w.Token.Prefix || w.Token.Position != w.Position:
			found = append(found, violation("I16", "%s of %s was acknowledged at position %d, where another batch is now", w.Action, w.User, w.Position))
		case l.late(w):
		case b.Cause.Key != w.Key || b.Cause.Action != w.Named() || b.Cause.By.Credential != w.Credential:
			found = append(found, violation("I16", "%s of %s was acknowledged at position %d, where %s by %s is", w.Action, w.User, w.Position, b.Cause.Action, b.Cause.By.Credential))
		}
	}
	return found
}

// late says whether a call was rightly answered as an equal one of the same second. By
// leaders' wall clocks it is taken for a replay when it comes more than two seconds after
// that: so, since one second is theirs, when it was under way for more than another, or
// when a clock was wrong.
func (l *ledger) late(w *Write) bool {
	b := l.at(w.Position)
	if b == nil || b.Cause.Key == w.Key || b.Cause.Signature.ID != w.Signed {
		return false
	}
	return w.Got-w.Sent > time.Second ||
		slices.ContainsFunc(l.astray, func(s Span) bool { return s.From <= w.Got && s.To >= w.Sent-time.Second })
}

// effects judges the second half of I15: a key takes effect at most once.
func effects(_ *History, l *ledger) (found []Violation) {
	for key, at := range l.keys {
		if len(at) > 1 {
			found = append(found, violation("I15", "the idempotency key %x took effect at the positions %v", key[:6], at))
		}
	}
	slices.SortFunc(found, func(a, b Violation) int { return strings.Compare(a.Text, b.Text) })
	return found
}

// answers judges I3, I12 and I17: an answer is what the history says at the position
// that it names, of the one incarnation.
func answers(h *History, l *ledger) (found []Violation) {
	incarnation := ""
	if len(l.batches) > 0 {
		incarnation = l.batches[0].Incarnation
	}
	for i := range h.Reads {
		r := &h.Reads[i]
		nobody := r.Decides && r.Code == "NoSuchPrincipal"
		if !r.Answered() && !nobody && (r.Decides || r.Code != "NoSuchEntity") {
			continue
		}
		b := l.at(r.Position)
		switch {
		case b == nil:
			found = append(found, violation("I12", "%s answers from position %d, which no writer holds", r.Node, r.Position))
			continue
		case nobody:
			if asOf(l.users[r.User], r.Position).Exists {
				found = append(found, violation("I3", "%s does not know %s at position %d, where it exists", r.Node, r.User, r.Position))
			}
			continue
		case r.Decides && !strings.HasPrefix(hex.EncodeToString(b.Hash[:]), r.Hash):
			found = append(found, violation("I12", "%s answers from position %d with the hash %s, which is another history's", r.Node, r.Position, r.Hash))
			continue
		case r.Decides && (r.Incarnation != incarnation || r.Cluster != h.Cluster):
			found = append(found, violation("I17", "%s answers from cluster %s, incarnation %s", r.Node, r.Cluster, r.Incarnation))
		}
		is := asOf(l.users[r.User], r.Position)
		switch allowed := is.Exists && is.Attached; {
		case r.Decides && r.Decision == "indeterminate" && !allowed, r.Decides && r.Decision == "allow" && !allowed:
			found = append(found, violation("I3", "%s answers %s for %s at position %d, where nothing allows it", r.Node, r.Decision, r.User, r.Position))
		case r.Decides && allowed && r.Decision != "allow" && r.Decision != "indeterminate":
			found = append(found, violation("I3", "%s answers %s for %s at position %d, where it is allowed", r.Node, r.Decision, r.User, r.Position))
		case !r.Decides && (r.Exists != is.Exists || r.Tag != is.Tag):
			found = append(found, violation("I3", "%s shows %s at position %d as %v with tag %q, but it is %v with %q", r.Node, r.User, r.Position, r.Exists, r.Tag, is.Exists, is.Tag))
		}
	}
	for i := range h.Waits {
		if w := &h.Waits[i]; w.Answered() && (w.Incarnation != incarnation || w.Cluster != h.Cluster) {
			found = append(found, violation("I17", "%s speaks of cluster %s, incarnation %s", w.Node, w.Cluster, w.Incarnation))
		}
	}
	return found
}

// present judges waits for an effect: who decided decided what the history says, and
// an effect that is present is so at the leader, and at every replica that answered
// and may do so as fresh.
func present(h *History, l *ledger) (found []Violation) {
	for i := range h.Waits {
		w := &h.Waits[i]
		if !w.Answered() || w.Effect == "" {
			continue
		}
		decided := append([]Decided{{w.Node, w.Position, w.Decision, ""}}, w.Decided...)
		for _, d := range decided {
			if d.Decision == "" {
				continue // a replica that gave none
			}
			is := asOf(l.users[w.User], d.Position)
			allowed := is.Exists && is.Attached
			switch {
			case l.at(d.Position) == nil:
				found = append(found, violation("effect", "%s decides at position %d, which no writer holds", d.Node, d.Position))
			case d.Decision == "allow" && !allowed || strings.HasSuffix(d.Decision, "Deny") && allowed:
				found = append(found, violation("effect", "%s decides %s about %s at position %d, where it is otherwise", d.Node, d.Decision, w.User, d.Position))
			case w.Effect == "present" && (d.Decision == "allow") != w.Allow && d.Freshness != "unleased":
				found = append(found, violation("effect", "an effect is present at position %d although %s decides %s, %s", w.Position, d.Node, d.Decision, d.Freshness))
			}
		}
		if w.Effect == "present" && w.State != "everywhere" {
			found = append(found, violation("effect", "an effect is present at position %d, which is %s", w.Position, w.State))
		}
	}
	return found
}
