package retention

import (
	"errors"
	"fmt"

	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/fault"
)

// Stored is what an event store has of the history, and what that takes.
func Stored(events *store.Store) *shape.StoredHistory {
	u := events.Usage()
	s := &shape.StoredHistory{First: events.First(), File: u.File, Used: u.Used}
	if _, at, ok := events.Oldest(); ok {
		s.Oldest = &at
	}
	return s
}

// Refusal answers a retry whose first answer was dropped: the request took effect, and nobody
// knows any more what it was told. Other errors stay as they are.
func Refusal(err error) error {
	var dropped *store.DroppedError
	if !errors.As(err, &dropped) {
		return err
	}
	return fault.New(fault.TookEffect, fmt.Sprintf("An attempt of this request took effect before position %d; what it was answered was dropped by the retention rule.", dropped.First),
		"Look at what it changed.").Because(err)
}
