package past

import (
	"fmt"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
)

// When is a moment of the past: a position, or a time if that is zero.
type When struct {
	Position event.Position
	Time     time.Time
}

// Hint says how a moment is named.
const Hint = `Give a position, such as 120000, or a time, such as "2026-07-01T12:00:00Z".`

// outOfOrder is how far behind the place where the clock passes a time batches are looked at that
// may be of before it: those who propose have clocks of their own.
const outOfOrder = 1024

// ParseWhen reads a position or a time as RFC 3339 has it. The error is a *fault.Fault.
func ParseWhen(text string) (w When, err error) {
	if at, err := strconv.ParseUint(text, 10, 64); err == nil {
		if at == 0 {
			return w, fault.BadRequest(Hint, "There is nothing at position 0: positions begin with 1.")
		}
		return When{Position: event.Position(at)}, nil
	}
	if w.Time, err = time.Parse(time.RFC3339, text); err != nil {
		return w, fault.BadRequest(Hint, "%s is neither a position nor a time.", fault.Quote(text))
	}
	return w, nil
}

// ReadWhen reads a moment from JSON: a number, or a text.
func ReadWhen(r *decision.Reader) (When, error) {
	text := r.Digits()
	if text == "" {
		var err error
		if text, err = r.String(); err != nil {
			return When{}, err
		}
	}
	return ParseWhen(text)
}

// String is the moment as a caller names it.
func (w When) String() string {
	if w.Position > 0 {
		return strconv.FormatUint(uint64(w.Position), 10)
	}
	return w.Time.UTC().Format(time.RFC3339Nano)
}

// Find returns the position of a moment. That of a time is the last whose change is not later, by
// the clocks of those who proposed the changes. Where these went back, so that times are not in
// order, it is the last within outOfOrder positions of one that the time passes. The error is a *fault.Fault where
// the history has no such moment, or none any more.
func (h *History) Find(w When) (event.Position, error) {
	head := h.log.Applied().Head.Position
	if w.Position > head || w.Position == 0 && w.Time.After(h.now()) {
		return 0, fault.New(fault.NotCommitted, fmt.Sprintf("%s lies in the future: the history is at position %d.", w, head),
			"Name a moment of the past; to wait for a change, use `writ wait`.")
	}
	if w.Position > 0 {
		if through := h.log.Events().Dropped().Through; w.Position < through {
			return 0, h.notKept(w.Position)
		}
		return w.Position, nil
	}
	at, err := h.atTime(identity.Time(w.Time.UnixMilli()), head)
	if err != nil {
		return 0, h.told(at, err)
	}
	return at, nil
}

// atTime finds the position of a time. With an error it is the one that could not be looked at.
func (h *History) atTime(t identity.Time, head event.Position) (event.Position, error) {
	first := h.log.Events().Dropped().Through + 1
	low, high := first, head // everything before low is not later; high or behind it is, or ends
	for low <= high {
		middle := low + (high-low)/2
		b, err := h.header(middle)
		if err != nil {
			return middle, err
		}
		if b.Cause.Time <= t {
			low = middle + 1
		} else {
			high = middle - 1
		}
	}
	found := low - 1
	for at := low; at <= min(head, low+outOfOrder); at++ {
		b, err := h.header(at)
		if err != nil {
			return at, err
		}
		if b.Cause.Time <= t {
			found = at
		}
	}
	switch {
	case found >= first:
		return found, nil
	case first > 1:
		return 0, h.notKept(first - 1)
	}
	return 0, fault.New(fault.NotCommitted, fmt.Sprintf("%s lies before the history's first change.", time.UnixMilli(int64(t)).UTC().Format(time.RFC3339)), Hint)
}

// header reads the header of a batch.
func (h *History) header(at event.Position) (*event.Batch, error) {
	found, err := h.log.Events().Read(at, 1, 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("position %d is not in the event store", at)
	}
	header, err := wire.BatchHeader(found[0])
	if err != nil {
		return nil, err
	}
	return wire.DecodeHeader(header)
}
