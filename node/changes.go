package node

import (
	"errors"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/changes"
)

// changeBytes bounds what a writer reads of its event store at once.
const changeBytes = 1 << 20

// Changes tells watchers what a replica still knows.
func (r *replica) Changes(from event.Position, count int) ([]changes.Change, error) {
	if list := r.recent.Read(from, count); len(list) > 0 {
		return list, nil
	}
	return nil, &changes.GapError{From: from, To: max(from, r.recent.Begin(r.node.projection.Head().Position)-1)}
}

// Changes reads a writer's event store, if the changes are not among the latest.
func (w *writer) Changes(from event.Position, count int) ([]changes.Change, error) {
	if list := w.recent.Read(from, count); len(list) > 0 {
		return list, nil
	}
	found, err := w.log.Events().Read(from, count, changeBytes)
	var missing *store.MissingError
	var dropped *store.DroppedError
	switch {
	case errors.As(err, &missing):
		return nil, &changes.GapError{From: from, To: missing.To}
	case errors.As(err, &dropped):
		return nil, &changes.GapError{From: from, To: dropped.First - 1}
	}
	if err != nil {
		return nil, err
	}
	list, latest := make([]changes.Change, 0, len(found)), w.log.Applied().Head.Position
	for _, bytes := range found {
		b, err := wire.DecodeBatch(bytes)
		if err != nil {
			return nil, err
		}
		c := changes.Of(b)
		list = append(list, c)
		if b.Position+changes.Kept > latest { // others will ask for it, too
			w.recent.Add(c)
		}
	}
	return list, nil
}
