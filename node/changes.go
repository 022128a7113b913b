package node

import (
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/changes"
)

// Changes tells watchers what a replica still knows.
func (r *replica) Changes(from event.Position, count int) ([]changes.Change, error) {
	if list := r.recent.Read(from, count); len(list) > 0 {
		return list, nil
	}
	return nil, &changes.GapError{From: from, To: max(from, r.recent.Begin(r.node.projection.Head().Position)-1)}
}

// Changes reads a writer's event store, if the changes are not among the latest.
func (w *writer) Changes(from event.Position, count int) ([]changes.Change, error) {
	return w.recent.ReadStored(w.log.Events(), from, count)
}
