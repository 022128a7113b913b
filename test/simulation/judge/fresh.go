package judge

import (
	"cmp"
	"slices"
	"sort"

	"github.com/writ-iam/writ/log/event"
)

// mark is that a position held for somebody from a moment on.
type mark struct {
	from Moment
	at   event.Position
}

// marks are in order of their moments, with the highest position so far.
type marks []mark

func newMarks(list []mark) marks {
	slices.SortFunc(list, func(a, b mark) int { return cmp.Compare(a.from, b.from) })
	for i := 1; i < len(list); i++ {
		list[i].at = max(list[i].at, list[i-1].at)
	}
	return list
}

// before is the highest position that held before a moment.
func (m marks) before(t Moment) event.Position {
	i := sort.Search(len(m), func(i int) bool { return m[i].from >= t })
	if i == 0 {
		return 0
	}
	return m[i-1].at
}

// acks are the positions of the writes that were acknowledged, by moment.
func acks(h *History) marks {
	var list []mark
	for i := range h.Writes {
		if w := &h.Writes[i]; w.Answered() {
			list = append(list, mark{w.Got, w.Position})
		}
	}
	return newMarks(list)
}

// promises are the positions of which "everywhere" was said, for each replica.
func promises(h *History) map[string]marks {
	lists := map[string][]mark{}
	for i := range h.Waits {
		w := &h.Waits[i]
		if !w.Answered() || w.State != "everywhere" {
			continue
		}
		bound := h.Replicas
		switch {
		case w.Count > 0:
			bound = w.VisibleOn
		case len(w.Replicas) > 0:
			bound = w.Replicas
		case w.Region != "":
			bound = slices.Concat(w.VisibleOn, w.Fenced)
		}
		for _, name := range bound {
			lists[name] = append(lists[name], mark{w.Got, w.Position})
		}
	}
	promised := map[string]marks{}
	for name, list := range lists {
		promised[name] = newMarks(list)
	}
	return promised
}

// fresh judges P5, which is I10, and P6: what was everywhere before a question was
// sent is in every leased answer to it, and so is what was acknowledged more than
// the window before.
func fresh(h *History, _ *ledger) (found []Violation) {
	promised, acked := promises(h), acks(h)
	for i := range h.Reads {
		r := &h.Reads[i]
		if !r.Answered() || r.Freshness != "leased" {
			continue
		}
		if must := promised[h.replica(r.Node)].before(r.Sent); r.Position < must {
			found = append(found, violation("P5", "%s, asked at %v, answers as leased from position %d, after %d was said to be everywhere", r.Node, r.Sent, r.Position, must))
		}
		if must := acked.before(r.Sent - h.Window); r.Position < must {
			found = append(found, violation("P6", "%s, asked at %v, answers as leased from position %d; %d was acknowledged more than %v before", r.Node, r.Sent, r.Position, must, h.Window))
		}
	}
	return found
}

// bounds judges I13: an answer lacks nothing that was acknowledged longer ago than
// the bound that it names, nor longer than the caller allowed.
func bounds(h *History, _ *ledger) (found []Violation) {
	acked := acks(h)
	for i := range h.Reads {
		r := &h.Reads[i]
		if !r.Answered() {
			continue
		}
		if must := acked.before(r.Sent - r.Staleness); r.Bounded && r.Position < must {
			found = append(found, violation("I13", "%s, asked at %v, says that position %d is at most %v old, but lacks %d", r.Node, r.Sent, r.Position, r.Staleness, must))
		}
		if must := acked.before(r.Sent - r.MaxStaleness); r.MaxStaleness > 0 && r.Position < must {
			found = append(found, violation("I13", "%s, asked at %v for an answer at most %v old, gives one from position %d that lacks %d", r.Node, r.Sent, r.MaxStaleness, r.Position, must))
		}
	}
	return found
}

// tokens judges I14: an answer is not older than the token in the question, nor
// than the caller's own latest write through the same node.
func tokens(h *History, _ *ledger) (found []Violation) {
	type through struct {
		node       string
		life       int
		credential string
	}
	lists := map[through][]mark{}
	for i := range h.Writes {
		if w := &h.Writes[i]; w.Answered() && w.Life != SomeLife {
			key := through{w.Node, w.Life, w.Credential}
			lists[key] = append(lists[key], mark{w.Got, w.Position})
		}
	}
	own := map[through]marks{}
	for key, list := range lists {
		own[key] = newMarks(list)
	}
	for i := range h.Reads {
		r := &h.Reads[i]
		if !r.Answered() {
			continue
		}
		if r.Position < r.AtLeast {
			found = append(found, violation("I14", "%s answers from position %d, asked for %d at least", r.Node, r.Position, r.AtLeast))
		}
		if must := own[through{r.Node, r.Life, r.Credential}].before(r.Sent); r.Position < must {
			found = append(found, violation("I14", "%s answers from position %d; the caller's own write through it took effect at %d", r.Node, r.Position, must))
		}
	}
	return found
}

// strict judges that strict answers have everything that was acknowledged before
// the question was sent.
func strict(h *History, _ *ledger) (found []Violation) {
	acked := acks(h)
	for i := range h.Reads {
		r := &h.Reads[i]
		if must := acked.before(r.Sent); r.Answered() && r.Freshness == "strict" && r.Position < must {
			found = append(found, violation("strict", "%s, asked at %v, answers as strict from position %d, after %d was acknowledged", r.Node, r.Sent, r.Position, must))
		}
		if r.Answered() && r.Mode == "strict" && r.Freshness != "strict" {
			found = append(found, violation("strict", "%s, asked for a strict answer, gives one that is %s", r.Node, r.Freshness))
		}
		if r.Answered() && r.Mode == "leased" && r.Freshness != "leased" && r.Freshness != "strict" {
			found = append(found, violation("P5", "%s, asked for a leased answer, gives one that is %s", r.Node, r.Freshness))
		}
	}
	return found
}

// flags judges that an allow that is not known to be fresh is not told as one.
func flags(h *History, _ *ledger) (found []Violation) {
	for i := range h.Reads {
		r := &h.Reads[i]
		if r.Answered() && r.Freshness == "unleased" && r.MaxStaleness == 0 && r.Decision == "allow" {
			found = append(found, violation("P5", "%s allows without a lease, and does not flag it", r.Node))
		}
	}
	return found
}

// contained judges I19: a credential that was revoked is not accepted by a leased
// answer at or after the revocation, nor after that was everywhere; and nothing in
// the log was authored by it after.
func contained(h *History, l *ledger) (found []Violation) {
	for _, b := range l.batches {
		if by := b.Cause.By.Credential; by != "" && !asOf(l.creds[by], b.Position-1) && l.creds[by] != nil {
			found = append(found, violation("I19", "position %d was authored by %s, which did not work at the position before", b.Position, by))
		}
	}
	for i := range h.Reads {
		r := &h.Reads[i]
		if r.Answered() && l.creds[r.Credential] != nil && !asOf(l.creds[r.Credential], r.Position) {
			found = append(found, violation("I19", "%s accepts %s at position %d, where it does not work", r.Node, r.Credential, r.Position))
		}
	}
	return found
}

// monotonic judges I5: within one life of a process, no answer is from before one
// that was received when its question was sent.
func monotonic(h *History, _ *ledger) (found []Violation) {
	type life struct {
		node string
		life int
	}
	lists := map[life][]mark{}
	for i := range h.Reads {
		if r := &h.Reads[i]; r.Answered() && r.Life != SomeLife {
			lists[life{r.Node, r.Life}] = append(lists[life{r.Node, r.Life}], mark{r.Got, r.Position})
		}
	}
	shown := map[life]marks{}
	for key, list := range lists {
		shown[key] = newMarks(list)
	}
	for i := range h.Reads {
		r := &h.Reads[i]
		if must := shown[life{r.Node, r.Life}].before(r.Sent); r.Answered() && r.Position < must {
			found = append(found, violation("I5", "%s, asked at %v, answers from position %d, after it had answered from %d", r.Node, r.Sent, r.Position, must))
		}
	}
	return found
}
