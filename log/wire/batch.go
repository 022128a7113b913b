package wire

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// The formats of a batch: what its head begins with. A stored number is forever.
const (
	formatUnsigned     uint8 = 1 // without the signature of the request; read, and written no more
	formatBatch        uint8 = 2
	formatRelayedBatch uint8 = 3 // of a command that came by way of another node; see event.Cause.Via
	formatRuledBatch   uint8 = 4 // with the rules that its command was decided by, and with that node or none
	formatSessionBatch uint8 = 5 // that, of a command by a session
	formatChainBatch   uint8 = 6 // that, and where the chain of the session began
)

// An encoded batch is three values: the head, its SHA-256, and the list of event
// payloads. The head holds every field of the batch and, of each event, the kind
// number, the version and the SHA-256 of its payload. So the hash covers
// everything, and one payload can be erased (nil in its place) while the chain
// is still proved.

// entry is what the head says of one event.
type entry struct {
	number  uint64
	version uint64
	sum     [sha256.Size]byte
}

func (c *coder) entry(v *entry) {
	num(c, &v.number)
	num(c, &v.version)
	c.fixed(v.sum[:])
}

// fields codes the head except for its entries.
func (c *coder) fields(b *event.Batch) {
	format := formatBatch
	switch {
	case b.Cause.By.Session.Origin != (identity.Origin{}):
		format = formatChainBatch
	case b.Cause.By.Session != (identity.Session{}):
		format = formatSessionBatch
	case b.Cause.Rules > identity.FirstRules:
		format = formatRuledBatch
	case b.Cause.Via != "":
		format = formatRelayedBatch
	}
	num(c, &format)
	if c.err == nil && (format < formatUnsigned || format > formatChainBatch) {
		c.fail(&UnknownError{What: "batch format", Number: uint64(format)})
	}
	atom(c, &b.Cluster)
	atom(c, &b.Incarnation)
	num(c, &b.Position)
	num(c, &b.Index)
	num(c, &b.Term)
	c.cause(&b.Cause)
	if format != formatUnsigned {
		c.signature(&b.Cause.Signature)
	}
	switch format {
	case formatRelayedBatch:
		c.relay(&b.Cause.Via)
	case formatRuledBatch:
		c.ruled(&b.Cause)
	case formatSessionBatch:
		c.ruled(&b.Cause)
		c.session(&b.Cause.By.Session)
	case formatChainBatch:
		c.ruled(&b.Cause)
		c.session(&b.Cause.By.Session)
		c.origin(&b.Cause.By.Session.Origin)
	}
	c.digest(&b.State)
	c.fixed(b.Prev[:])
}

func (c *coder) digest(d *digest.Sum) {
	for i := range d {
		num(c, &d[i])
	}
}

// EncodeBatch makes the bytes of a batch and sets its Hash. One that exceeds
// MaxBatchSize or MaxEvents gives ErrTooLarge.
func EncodeBatch(b *event.Batch) ([]byte, error) {
	p, err := BeginBatch(&b.Cause, b.Events)
	if err != nil {
		return nil, fmt.Errorf("encode batch %d: %w", b.Position, err)
	}
	return p.Finish(b)
}

// Pending is a batch whose events are encoded and which will not be too large. It is
// finished or dropped.
type Pending struct {
	c       *coder
	entries []entry
	ends    []int // of the payloads
}

// Most bytes of what surrounds the payloads in a batch: its fields, without the text
// of its cause, and what is said of each event.
const (
	maxFrame = 512
	maxEntry = 64
)

// BeginBatch encodes the events of a batch before the rest of it is known, the state
// after them say. Those that would exceed MaxBatchSize or MaxEvents give ErrTooLarge.
func BeginBatch(cause *event.Cause, events []identity.Event) (*Pending, error) {
	if len(events) > MaxEvents {
		return nil, fmt.Errorf("%w: %d events, at most %d", ErrTooLarge, len(events), MaxEvents)
	}
	p := &Pending{c: writer(), entries: make([]entry, len(events)), ends: make([]int, len(events))}
	for i, e := range events {
		if err := p.event(i, e); err != nil {
			p.Drop()
			return nil, err
		}
	}
	by := &cause.By
	size := p.c.out.Len() + maxFrame + maxEntry*len(events) +
		len(by.Account) + len(by.Principal) + len(by.Credential) + len(cause.Request) + len(cause.Action) + len(cause.Source)
	if size > MaxBatchSize {
		p.Drop()
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, MaxBatchSize)
	}
	return p, nil
}

func (p *Pending) event(i int, e identity.Event) error {
	k, err := eventKinds.of(e)
	if err != nil {
		return err
	}
	c := p.c
	start := c.out.Len()
	c.version = k.version
	k.visit(c, e)
	p.ends[i] = c.out.Len()
	p.entries[i] = entry{k.number, k.version, sha256.Sum256(c.out.Bytes()[start:])}
	return c.err
}

// Drop gives up the batch.
func (p *Pending) Drop() { p.c.release() }

// Finish makes the bytes of the batch and sets its Hash; b has the cause and the events
// with which it was begun.
func (p *Pending) Finish(b *event.Batch) ([]byte, error) {
	c := p.c
	defer c.release()
	payloads := c.out.Len()
	c.fields(b)
	list(c, &p.entries, (*coder).entry)
	end := c.out.Len()
	hash := sha256.Sum256(c.out.Bytes()[payloads:])

	// What is copied below was written above, before it in the same buffer.
	c.bin(c.out.Bytes()[payloads:end])
	c.bin(hash[:])
	n := len(p.ends)
	c.length(&n)
	start := 0
	for _, stop := range p.ends {
		c.bin(c.out.Bytes()[start:stop])
		start = stop
	}
	if err := c.done(); err != nil {
		return nil, fmt.Errorf("encode batch %d: %w", b.Position, err)
	}
	encoded := c.out.Bytes()[end:]
	if len(encoded) > MaxBatchSize {
		return nil, fmt.Errorf("encode batch %d: %w: %d bytes, at most %d", b.Position, ErrTooLarge, len(encoded), MaxBatchSize)
	}
	b.Hash = hash
	return bytes.Clone(encoded), nil
}

// DecodeBatch reads what EncodeBatch made and checks every hash in it. A payload
// that was erased gives ErrShredded.
func DecodeBatch(b []byte) (*event.Batch, error) {
	batch, err := decodeBatch(b, true)
	if err != nil {
		return nil, fmt.Errorf("decode batch: %w", err)
	}
	return batch, nil
}

// PeekBatch returns a batch's place in the chain without reading its events. All
// hashes are checked; a payload that was erased is none of its concern.
func PeekBatch(b []byte) (head event.Head, prev event.Hash, err error) {
	batch, err := decodeBatch(b, false)
	if err != nil {
		return event.Head{}, event.Hash{}, fmt.Errorf("peek at batch: %w", err)
	}
	return batch.Head(), batch.Prev, nil
}

// BatchHeader returns the head of an encoded batch: the bytes whose SHA-256 is the
// batch's hash. It tells everything of the batch but the payloads of its events, of
// which it has the hashes. They are part of b. Nothing is checked but the hash.
func BatchHeader(b []byte) ([]byte, error) {
	if len(b) > MaxBatchSize {
		return nil, fmt.Errorf("read the header of a batch: %w: %d bytes, at most %d", ErrTooLarge, len(b), MaxBatchSize)
	}
	c := reader(b)
	defer c.release()
	var hash event.Hash
	head, _ := c.take()
	c.fixed(hash[:])
	switch {
	case c.err != nil:
		return nil, fmt.Errorf("read the header of a batch: %w", c.err)
	case sha256.Sum256(head) != hash:
		return nil, fmt.Errorf("read the header of a batch: %w", corrupt("the SHA-256 does not match"))
	}
	return head, nil
}

// DecodeHeader reads what BatchHeader returned into a batch without events, whose
// Hash is computed. Whether that is the hash of any batch of the cluster, only the
// chain can tell.
func DecodeHeader(head []byte) (*event.Batch, error) {
	if len(head) > MaxBatchSize {
		return nil, fmt.Errorf("decode the header of a batch: %w: %d bytes, at most %d", ErrTooLarge, len(head), MaxBatchSize)
	}
	c := reader(head)
	defer c.release()
	b := new(event.Batch)
	c.fields(b)
	var entries []entry
	list(c, &entries, (*coder).entry)
	if err := c.done(); err != nil {
		return nil, fmt.Errorf("decode the header of a batch: %w", err)
	}
	b.Hash = sha256.Sum256(head)
	return b, nil
}

func decodeBatch(b []byte, events bool) (*event.Batch, error) {
	if len(b) > MaxBatchSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b), MaxBatchSize)
	}
	c := reader(b)
	defer c.release()
	head, _ := c.take()
	batch := new(event.Batch)
	c.fixed(batch.Hash[:])
	var room [4]payload
	payloads := room[:0]
	n := 0
	if c.length(&n); n > MaxEvents {
		return nil, fmt.Errorf("%w: %d events, at most %d", ErrTooLarge, n, MaxEvents)
	}
	for range n {
		bytes, ok := c.take()
		if !ok {
			break
		}
		payloads = append(payloads, payload{bytes: bytes})
	}
	if err := c.done(); err != nil {
		return nil, err
	}
	if sha256.Sum256(head) != batch.Hash {
		return nil, corrupt("the SHA-256 does not match")
	}
	if err := c.head(head, batch, payloads); err != nil {
		return nil, err
	}
	if !events {
		return batch, nil
	}
	batch.Events = make([]identity.Event, len(payloads))
	for i := range payloads {
		e, err := c.event(&payloads[i])
		if err != nil {
			return nil, fmt.Errorf("event %d of batch %d: %w", i+1, batch.Position, err)
		}
		batch.Events[i] = e
	}
	return batch, nil
}

// payload is the bytes of one event, nil when erased, and what the head says of it.
type payload struct {
	entry
	bytes []byte
}

// head reads the head's fields into batch and its entries into payloads, and
// checks the payloads against their hashes.
func (c *coder) head(head []byte, batch *event.Batch, payloads []payload) error {
	c.reset(head)
	c.fields(batch)
	n := len(payloads)
	c.length(&n)
	if c.err == nil && n != len(payloads) {
		c.fail(corrupt("%d payloads for %d events", len(payloads), n))
	}
	for i := range payloads {
		p := &payloads[i]
		c.entry(&p.entry)
		if c.err == nil && p.bytes != nil && sha256.Sum256(p.bytes) != p.sum {
			c.fail(corrupt("the SHA-256 of event %d does not match", i+1))
		}
	}
	return c.done()
}

func (c *coder) event(p *payload) (identity.Event, error) {
	k, err := eventKinds.at(p.number, p.version)
	if err != nil {
		return nil, err
	}
	if p.bytes == nil {
		return nil, ErrShredded
	}
	c.reset(p.bytes)
	c.version = p.version
	e := k.make()
	k.visit(c, e)
	return e, c.done()
}
