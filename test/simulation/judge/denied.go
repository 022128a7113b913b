package judge

import (
	"strings"

	"github.com/writ-iam/writ/log/identity"
)

// What is set apart from History.Outsider: by its path, or by a tag.
const (
	ApartPath  = "/apart/"
	ApartTag   = "guard"
	ApartValue = "yes"
)

// target is what a Deny of the outsider's looks at.
type target struct {
	path  string
	guard string // value of the tag
}

func (t target) apart() bool { return strings.HasPrefix(t.path, ApartPath) || t.guard == ApartValue }

// denied judges that no write took effect that was forbidden in the state in which
// it was decided: not one of the outsider's is about what was set apart from it at
// the position before.
func denied(h *History, l *ledger) (found []Violation) {
	targets := map[identity.ID]target{}
	for _, b := range l.batches {
		if h.Outsider != "" && b.Cause.By.Credential == h.Outsider {
			for _, e := range b.Events {
				if id := about(e); targets[id].apart() {
					found = append(found, violation("deny", "position %d has %s by the outsider, of %s, which was set apart from it: %+v", b.Position, b.Cause.Action, id, targets[id]))
				}
			}
		}
		for _, e := range b.Events {
			change := func(id identity.ID, f func(*target)) {
				t := targets[id]
				f(&t)
				targets[id] = t
			}
			switch e := e.(type) {
			case *identity.UserCreated:
				change(e.ID, func(t *target) { t.path = e.Path; t.tag(e.Tags) })
			case *identity.GroupCreated:
				change(e.ID, func(t *target) { t.path = e.Path })
			case *identity.UserUpdated:
				change(e.ID, func(t *target) { t.path = e.Path })
			case *identity.EntityTagged:
				change(e.ID, func(t *target) { t.tag(e.Tags) })
			case *identity.EntityUntagged:
				change(e.ID, func(t *target) { t.untag(e.Keys) })
			case *identity.UserDeleted:
				delete(targets, e.ID)
			}
		}
	}
	return found
}

func (t *target) tag(tags []identity.Tag) {
	for _, tag := range tags {
		if tag.Key == ApartTag {
			t.guard = tag.Value
		}
	}
}

func (t *target) untag(keys []string) {
	for _, key := range keys {
		if key == ApartTag {
			t.guard = ""
		}
	}
}

// about is the user or group that an event changes and that was there before.
func about(e identity.Event) identity.ID {
	switch e := e.(type) {
	case *identity.InlinePolicyPut:
		return e.ID
	case *identity.AccessKeyCreated:
		return e.Owner
	case *identity.UserAddedToGroup:
		return e.Group
	case *identity.EntityTagged:
		return e.ID
	case *identity.EntityUntagged:
		return e.ID
	case *identity.UserUpdated:
		return e.ID
	case *identity.UserDeleted:
		return e.ID
	}
	return ""
}
