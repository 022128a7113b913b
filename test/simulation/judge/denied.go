package judge

import (
	"fmt"
	"strings"

	"github.com/writ-iam/writ/log/event"
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

// Denied judges that no write took effect that was forbidden in the state in which
// it was decided: not one of the outsider's is about what was set apart from it at
// the position before.
type Denied struct {
	outsider string // its access key; empty for nobody
	targets  map[identity.ID]target
}

// NewDenied returns a judge of what the bearer of an access key does, from an empty
// history on.
func NewDenied(outsider string) *Denied {
	return &Denied{outsider, map[identity.ID]target{}}
}

// Take folds the next batch and says what is wrong with it.
func (d *Denied) Take(b *event.Batch) (wrong []string) {
	if d.outsider != "" && b.Cause.By.Credential == d.outsider {
		for _, e := range b.Events {
			if id := about(e); d.targets[id].apart() {
				wrong = append(wrong, fmt.Sprintf("position %d has %s by the outsider, of %s, which was set apart from it: %+v", b.Position, b.Cause.Action, id, d.targets[id]))
			}
		}
	}
	for _, e := range b.Events {
		d.fold(e)
	}
	return wrong
}

func (d *Denied) fold(e identity.Event) {
	change := func(id identity.ID, f func(*target)) {
		t := d.targets[id]
		f(&t)
		d.targets[id] = t
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
		delete(d.targets, e.ID)
	}
}

func denied(h *History, l *ledger) (found []Violation) {
	d := NewDenied(h.Outsider)
	for _, b := range l.batches {
		for _, wrong := range d.Take(b) {
			found = append(found, violation("deny", "%s", wrong))
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
