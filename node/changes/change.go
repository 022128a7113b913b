// Package changes is what watchers are told of the batches of a history, and the latest of
// that in memory.
package changes

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// Change is what a watcher is told of one position: not who changed what, only that
// and when something of these kinds did.
type Change struct {
	Head                 event.Head
	Cluster, Incarnation string
	Time                 identity.Time
	Action               string   // empty for the cluster's own commands
	Kinds                []string // of the events, each once, in order
}

// Of is what a batch changed.
func Of(b *event.Batch) Change {
	c := Change{Head: b.Head(), Cluster: b.Cluster, Incarnation: b.Incarnation, Time: b.Cause.Time, Action: b.Cause.Action}
	for _, e := range b.Events {
		if kind := reflect.TypeOf(e).Elem().Name(); !slices.Contains(c.Kinds, kind) {
			c.Kinds = append(c.Kinds, kind)
		}
	}
	return c
}

// GapError is returned when a node does not have the changes From..To, which exist.
type GapError struct{ From, To event.Position }

// Error names the positions.
func (e *GapError) Error() string {
	return fmt.Sprintf("the changes at positions %d to %d are not kept here", e.From, e.To)
}
