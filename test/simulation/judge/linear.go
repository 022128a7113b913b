package judge

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// linearTimeout bounds the search for an order, per history, in real time.
const linearTimeout = 20 * time.Second

// call is what was asked of one user.
type call struct {
	action string // of IAM
	value  string
}

// outcome is what came of it.
type outcome struct {
	code string // of a refusal; empty: done
	open bool   // nobody knows
	is   user   // what GetUser showed
}

// linear judges the first half of I15: for each user there is an order of all calls,
// each at a moment between its question and its answer, that explains every answer.
// A write whose outcome is unknown has until the end to take effect; one that the
// log does not have never did.
func linear(h *History, l *ledger) (found []Violation) {
	byUser := operations(h, l)
	deadline := time.Now().Add(linearTimeout)
	for _, name := range slices.Sorted(maps.Keys(byUser)) {
		switch porcupine.CheckOperationsTimeout(model(), byUser[name], max(time.Millisecond, time.Until(deadline))) {
		case porcupine.Illegal:
			found = append(found, violation("I15", "no order of the %d calls about %s explains their answers:%s", len(byUser[name]), name, describe(byUser[name])))
		case porcupine.Unknown:
			found = append(found, violation("undecided", "whether the %d calls about %s have an order was not found out in %v", len(byUser[name]), name, linearTimeout))
		}
	}
	return found
}

// operations lists the calls about each user.
func operations(h *History, l *ledger) map[string][]porcupine.Operation {
	byUser := map[string][]porcupine.Operation{}
	add := func(name string, c call, o outcome, sent, got Moment) {
		if got == Never {
			o.open = true
		}
		byUser[name] = append(byUser[name], porcupine.Operation{Input: c, Output: o, Call: int64(sent), Return: int64(got)})
	}
	attempts := map[string][]*Write{}
	for i := range h.Writes {
		w := &h.Writes[i]
		if _, ok := steps[w.Action]; ok {
			attempts[w.Attempt] = append(attempts[w.Attempt], w)
		}
	}
	for _, tries := range attempts {
		first, last := tries[0], tries[len(tries)-1]
		c := call{first.Action, first.Value}
		_, effective := l.keys[first.Key]
		switch {
		case last.Answered() && !effective && l.late(last):
			continue // it did nothing
		case last.Answered():
			add(first.User, c, outcome{}, first.Sent, last.Got)
			continue
		case last.Refused() && judged[last.Code]:
			add(first.User, c, outcome{code: last.Code}, last.Sent, last.Got)
		}
		if effective {
			add(first.User, c, outcome{open: true}, first.Sent, Never)
		}
	}
	for i := range h.Reads {
		r := &h.Reads[i]
		if !r.Decides && r.Freshness == "strict" && (r.Answered() || r.Code == "NoSuchEntity") {
			add(r.User, call{action: "GetUser"}, outcome{is: user{Exists: r.Exists, Tag: r.Tag}}, r.Sent, r.Got)
		}
	}
	return byUser
}

// judged are the codes of refusals that tell something about the user.
var judged = map[string]bool{"EntityAlreadyExists": true, "NoSuchEntity": true, "DeleteConflict": true}

// steps are what each action does to a user, and with which code it is refused.
var steps = map[string]func(u user, value string) (after user, code string){
	"CreateUser": func(u user, _ string) (user, string) {
		if u.Exists {
			return u, "EntityAlreadyExists"
		}
		return user{Exists: true}, ""
	},
	"DeleteUser": func(u user, _ string) (user, string) {
		if u.Attached {
			return u, "DeleteConflict"
		}
		return user{}, absent(u)
	},
	"TagUser": func(u user, value string) (user, string) {
		if u.Exists {
			u.Tag = value
		}
		return u, absent(u)
	},
	"AttachUserPolicy": func(u user, _ string) (user, string) {
		u.Attached = u.Exists
		return u, absent(u)
	},
	"DetachUserPolicy": func(u user, _ string) (user, string) {
		if !u.Attached {
			return u, "NoSuchEntity"
		}
		u.Attached = false
		return u, ""
	},
}

func absent(u user) string {
	if !u.Exists {
		return "NoSuchEntity"
	}
	return ""
}

// model is one user, as the write API must show it.
func model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return user{} },
		Step: func(state, input, output any) (bool, any) {
			u, c, o := state.(user), input.(call), output.(outcome)
			if c.action == "GetUser" {
				return o.is == user{Exists: u.Exists, Tag: u.Tag}, u
			}
			after, code := steps[c.action](u, c.value)
			switch {
			case o.open:
				return true, after // refused, it leaves the user as it was
			case o.code != code:
				return false, u
			}
			return true, after
		},
	}
}

// describe lists calls for whoever looks for the cause.
func describe(list []porcupine.Operation) string {
	slices.SortFunc(list, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var text strings.Builder
	for _, op := range list {
		c, o := op.Input.(call), op.Output.(outcome)
		result := "done"
		switch {
		case o.open:
			result = "unknown"
		case o.code != "":
			result = o.code
		case c.action == "GetUser":
			result = "absent"
			if o.is.Exists {
				result = "there, tag " + o.is.Tag
			}
		}
		text.WriteString("\n    " + Moment(op.Call).String() + " to " + Moment(op.Return).String() + " " + c.action + " " + c.value + ": " + result)
	}
	return text.String()
}
