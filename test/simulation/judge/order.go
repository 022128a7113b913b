package judge

import (
	"slices"

	"github.com/writ-iam/writ/log/event"
)

// floors judges I8 and I11: what was said to be everywhere is in the floor for
// ever, and is not taken back.
func floors(h *History, _ *ledger) (found []Violation) {
	var list []mark
	for i := range h.Waits {
		if w := &h.Waits[i]; w.Answered() && w.State == "everywhere" && w.all() {
			list = append(list, mark{w.Got, w.Position})
		}
	}
	declared := newMarks(list)
	for i := range h.Waits {
		w := &h.Waits[i]
		if !w.Answered() {
			continue
		}
		must := declared.before(w.Sent)
		if w.State == "everywhere" && w.all() && w.Floor < w.Position {
			found = append(found, violation("I8", "%s says at %v that %d is everywhere, with a floor of %d", w.Node, w.Got, w.Position, w.Floor))
		}
		if w.all() && w.Position <= must && w.State != "everywhere" {
			found = append(found, violation("I11", "%s, asked at %v, says that %d is %s, after %d was said to be everywhere", w.Node, w.Sent, w.Position, w.State, must))
		}
	}
	var highest event.Position
	if len(declared) > 0 {
		highest = declared[len(declared)-1].at
	}
	for _, e := range h.Ends {
		if slices.Contains(h.Writers, e.Node) && e.Floor < highest {
			found = append(found, violation("I8", "%s ends with a floor of %d, after %d was said to be everywhere", e.Node, e.Floor, highest))
		}
	}
	return found
}

// typed judges I22: every refusal has a code, and none is a failure inside.
func typed(h *History, _ *ledger) (found []Violation) {
	seen := map[string]bool{}
	look := func(r *Request) {
		text := ""
		switch {
		case r.Status == 0 || r.Answered() || seen[r.Code]:
			return
		case r.Code == "":
			text = "without a code"
		case r.Code == "InternalFailure" || r.Code == "InternalError":
			text = "as its own failure, " + r.Code
		default:
			return
		}
		seen[r.Code] = true
		found = append(found, violation("I22", "%s refuses at %v with status %d %s", r.Node, r.Got, r.Status, text))
	}
	for i := range h.Writes {
		look(&h.Writes[i].Request)
	}
	for i := range h.Reads {
		look(&h.Reads[i].Request)
	}
	for i := range h.Waits {
		look(&h.Waits[i].Request)
	}
	return found
}

// told judges streams of changes: every position after the one before, each the one
// that the history has, none left out unless openly.
func told(h *History, l *ledger) (found []Violation) {
	for _, t := range h.Told {
		b := l.at(t.Position)
		switch {
		case b == nil:
			found = append(found, violation("stream", "%s tells of position %d, which no writer holds", t.Node, t.Position))
		case t.Gap && t.Position <= t.After:
			found = append(found, violation("stream", "%s leaves out the positions up to %d, after %d", t.Node, t.Position, t.After))
		case !t.Gap && t.Position != t.After+1:
			found = append(found, violation("stream", "%s tells %s of position %d after %d", t.Node, t.Client, t.Position, t.After))
		case !t.Gap && (t.Token.Position != t.Position || t.Token.Prefix != [8]byte(b.Hash[:8]) || t.Token.Incarnation != b.Incarnation):
			found = append(found, violation("stream", "%s tells of position %d with the token of another history", t.Node, t.Position))
		}
	}
	return found
}
