package changes

import (
	"errors"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
)

// storedBytes bounds what is read of an event store at once.
const storedBytes = 1 << 20

// ReadStored is Read of a writer, which reads in its event store what is not among the latest. A
// *GapError says that the first ones are not there.
func (c *Recent) ReadStored(events *store.Store, from event.Position, count int) ([]Change, error) {
	if list := c.Read(from, count); len(list) > 0 {
		return list, nil
	}
	found, err := events.Read(from, count, storedBytes)
	var missing *store.MissingError
	var dropped *store.DroppedError
	switch {
	case errors.As(err, &missing):
		return nil, &GapError{From: from, To: missing.To}
	case errors.As(err, &dropped):
		return nil, &GapError{From: from, To: dropped.First - 1}
	}
	if err != nil {
		return nil, err
	}
	list, latest := make([]Change, 0, len(found)), events.Last().Position
	for _, bytes := range found {
		b, err := wire.DecodeBatch(bytes)
		if err != nil {
			return nil, err
		}
		one := Of(b)
		list = append(list, one)
		if b.Position+Kept > latest { // others will ask for it, too
			c.Add(one)
		}
	}
	return list, nil
}
