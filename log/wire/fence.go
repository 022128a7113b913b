package wire

import (
	"fmt"

	"github.com/writ-iam/writ/log/event"
)

// Fence is an entry of the Raft log that changes no identities and makes no batch.
// Committed, it proves that its term's leader still led after it was proposed. What
// it says of leases counts only where Term is that of the entry.
type Fence struct {
	Term uint64     // in which it was proposed
	Head event.Head // of the proposer; a state machine that differs there has diverged
	// Floor is a position that the freshness leases no longer go below; it never decreases.
	Floor event.Position
	// Opened are lives that may hold leases from here on, Dropped those that no longer
	// do; one that is both does not.
	Opened, Dropped []event.Life
	// Complete says that no life holds a lease which the log does not name.
	Complete bool
	// Nameless fences were made when leases were granted to lives that no fence named;
	// the three fields above were not in them.
	Nameless bool
}

// EncodeFence makes the entry of the Raft log for a fence, with the SHA-256 of its
// fields at the end.
func EncodeFence(m *Fence) ([]byte, error) {
	c := writer()
	defer c.release()
	format := formatFence
	if m.Nameless {
		format = formatNamelessFence
	}
	num(c, &format)
	c.fence(m)
	if err := c.done(); err != nil {
		return nil, fmt.Errorf("encode fence: %w", err)
	}
	return c.sealed()
}

// IsFence says whether an entry of the Raft log claims to be a fence and not a command.
func IsFence(b []byte) bool {
	return len(b) > 0 && (b[0] == formatFence || b[0] == formatNamelessFence)
}

// DecodeFence reads what EncodeFence made.
func DecodeFence(b []byte) (*Fence, error) {
	c, format, err := openSealed(b, "fence format", formatFence, formatNamelessFence)
	if err != nil {
		return nil, fmt.Errorf("decode fence: %w", err)
	}
	defer c.release()
	m := &Fence{Nameless: format == formatNamelessFence}
	c.fence(m)
	if err := c.done(); err != nil {
		return nil, fmt.Errorf("decode fence: %w", err)
	}
	return m, nil
}

func (c *coder) fence(m *Fence) {
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
