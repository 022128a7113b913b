package wire

import (
	"fmt"

	"github.com/writ-iam/writ/log/event"
)

// Mark is an entry of the Raft log that changes no identities and makes no batch.
// Committed, it proves that its term's leader still led after it was proposed. What
// it says of leases counts only where Term is that of the entry.
type Mark struct {
	Term uint64     // in which it was proposed
	Head event.Head // of the proposer; a state machine that differs there has diverged
	// Floor is a position that the freshness leases no longer go below; it never decreases.
	Floor event.Position
	// Opened are lives that may hold leases from here on, Dropped those that no longer
	// do; one that is both does not.
	Opened, Dropped []event.Life
	// Complete says that no life holds a lease which the log does not name.
	Complete bool
	// Nameless marks were made when leases were granted to lives that no mark named;
	// the three fields above were not in them.
	Nameless bool
}

// EncodeMark makes the entry of the Raft log for a mark, with the SHA-256 of its
// fields at the end.
func EncodeMark(m *Mark) ([]byte, error) {
	c := writer()
	defer c.release()
	format := formatMark
	if m.Nameless {
		format = formatNamelessMark
	}
	num(c, &format)
	c.mark(m)
	if err := c.done(); err != nil {
		return nil, fmt.Errorf("encode mark: %w", err)
	}
	return c.sealed()
}

// IsMark says whether an entry of the Raft log claims to be a mark and not a command.
func IsMark(b []byte) bool {
	return len(b) > 0 && (b[0] == formatMark || b[0] == formatNamelessMark)
}

// DecodeMark reads what EncodeMark made.
func DecodeMark(b []byte) (*Mark, error) {
	c, format, err := openSealed(b, "mark format", formatMark, formatNamelessMark)
	if err != nil {
		return nil, fmt.Errorf("decode mark: %w", err)
	}
	defer c.release()
	m := &Mark{Nameless: format == formatNamelessMark}
	c.mark(m)
	if err := c.done(); err != nil {
		return nil, fmt.Errorf("decode mark: %w", err)
	}
	return m, nil
}

func (c *coder) mark(m *Mark) {
	num(c, &m.Term)
	num(c, &m.Head.Position)
	c.fixed(m.Head.Hash[:])
	num(c, &m.Floor)
	if !m.Nameless {
		list(c, &m.Opened, (*coder).life)
		list(c, &m.Dropped, (*coder).life)
		c.flag(&m.Complete)
	}
}

func (c *coder) life(l *event.Life) {
	atom(c, &l.Replica)
	str(c, &l.Nonce)
}

// lives codes a set of lives.
func (c *coder) lives(v *event.Lives) {
	complete, all := v.Complete, make([]event.Life, 0, v.Len())
	for l := range v.All() {
		all = append(all, l)
	}
	c.flag(&complete)
	list(c, &all, (*coder).life)
	if c.reading && c.err == nil {
		*v = event.LivesOf(complete, all)
	}
}
