package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/proof"
)

// readCount and readBytes bound what is read of the event store at once.
const (
	readCount = 1024
	readBytes = 1 << 20
)

// Batches are those of a history: what store.Store is.
type Batches interface {
	// First is the lowest position from which no batch up to the last is missing.
	First() event.Position
	// Read returns batches from a position on: at most count, and no more once they have
	// reached size bytes.
	Read(from event.Position, count, size int) ([][]byte, error)
}

// Source is what an archive is made of: a state, immutable, the header to write its snapshot
// with, and the batches up to its position.
type Source struct {
	State   *identity.State
	Header  wire.SnapshotHeader
	Batches Batches
	// By signs the archive as the writer Node; nil for an archive that nobody signs.
	By   proof.Signer
	Node string
	Time identity.Time // when the archive is made
	// Easy leaves the processor to others for as long as it was used: at a writer that serves.
	Easy bool
}

// Extent says what of a source goes into an archive.
type Extent struct {
	// Since is the position behind which an archive of batches alone begins; zero for the
	// whole state, with the batches from the first that there is.
	Since event.Position
	// StateOnly leaves all batches out.
	StateOnly bool
}

// ErrExtent is returned for what a source does not have.
var ErrExtent = fmt.Errorf("the history does not have this")

// Write writes an archive, in little memory. It returns the header that it wrote.
func (s *Source) Write(w io.Writer, e Extent) (*Header, error) {
	h, err := s.header(e)
	if err != nil {
		return nil, err
	}
	if s.Easy {
		w = &easy{w: w, from: time.Now()}
	}
	out := &writer{w: w, sum: sha256.New()}
	_, err = io.WriteString(out, magic)
	if err == nil {
		err = out.text(partHeader, h)
	}
	if err == nil && h.Snapshot {
		err = out.part(partSnapshot, func(w io.Writer) error { return wire.WriteSnapshot(w, s.State, s.Header) })
	}
	if err == nil && h.From > 0 {
		err = out.part(partBatches, func(w io.Writer) error { return s.batches(w, h.From) })
	}
	if err == nil {
		err = out.trailer(s, h.Signed != nil)
	}
	if err != nil {
		return nil, fmt.Errorf("write an archive of position %d: %w", h.Position, err)
	}
	return h, nil
}

func (s *Source) header(e Extent) (*Header, error) {
	c, at := s.State.Cluster(), s.Header.Head
	h := &Header{
		Format: Format, Cluster: c.ID, Incarnation: c.Incarnation, Position: at.Position, Hash: at.Hash, Digest: s.State.Digest(),
		Changed: s.State.Time(), Time: s.Time, Snapshot: e.Since == 0,
	}
	first := s.Batches.First()
	switch {
	case e.StateOnly && e.Since > 0:
		return nil, fmt.Errorf("%w: the state has no part behind position %d; leave one of the two out", ErrExtent, e.Since)
	case e.Since >= at.Position:
		return nil, fmt.Errorf("%w: nothing came behind position %d; the last one is %d", ErrExtent, e.Since, at.Position)
	case e.Since > 0 && e.Since+1 < first:
		return nil, fmt.Errorf("%w: the batches before %d are not there%s; make a whole archive", ErrExtent, first, dropped(s.State))
	case e.Since > 0:
		h.From = e.Since + 1
	case !e.StateOnly && first <= at.Position:
		h.From = first
	}
	if s.By == nil {
		return h, nil
	}
	h.Signed = &event.SignedHead{
		Cluster: c.ID, Incarnation: c.Incarnation, Position: at.Position, Hash: at.Hash, Digest: h.Digest, Time: s.Time, Node: s.Node,
	}
	return h, proof.SignHead(s.By, h.Signed)
}

// dropped says why batches are not there, if the retention rule has dropped some.
func dropped(s *identity.State) string {
	if d := s.Retention().Dropped; d.Through > 0 {
		return fmt.Sprintf(" (the retention rule dropped those up to %d on %s)", d.Through, time.UnixMilli(int64(d.At)).UTC().Format(time.RFC3339))
	}
	return ""
}

// batches writes those from a position up to the state's.
func (s *Source) batches(w io.Writer, from event.Position) error {
	for end := s.Header.Head.Position; from <= end; {
		found, err := s.Batches.Read(from, int(min(readCount, end-from+1)), readBytes)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("%w: nothing at position %d, before %d", ErrExtent, from, end)
		}
		for _, b := range found {
			if _, err := w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b)))); err != nil {
				return err
			}
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
		from += event.Position(len(found))
	}
	return nil
}

// writer writes parts, and sums up everything.
type writer struct {
	w   io.Writer
	sum hash.Hash
}

func (w *writer) Write(p []byte) (int, error) {
	w.sum.Write(p)
	return w.w.Write(p)
}

// text writes a part of JSON.
func (w *writer) text(number byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.part(number, func(to io.Writer) error {
		_, err := to.Write(b)
		return err
	})
}

// part writes what write writes as a part.
func (w *writer) part(number byte, write func(io.Writer) error) error {
	if _, err := w.Write([]byte{number}); err != nil {
		return err
	}
	c := &chunks{w: w, sum: sha256.New()}
	if err := write(c); err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		return err
	}
	end := binary.BigEndian.AppendUint64(make([]byte, 4), c.length)
	_, err := w.Write(c.sum.Sum(end))
	return err
}

func (w *writer) trailer(s *Source, signed bool) (err error) {
	t := &trailer{SHA256: w.sum.Sum(nil)}
	if signed {
		if t.Signature, _, err = s.By.Sign(t.statement()); err != nil {
			return err
		}
	}
	return w.text(partTrailer, t)
}

// longestRest is how long a pause of easy is at most.
const longestRest = 100 * time.Millisecond

// easy pauses for as long as it took to make what it writes; how long its reader takes does not count.
type easy struct {
	w    io.Writer
	from time.Time // when the making of what comes next began
}

func (e *easy) Write(p []byte) (int, error) {
	made := time.Since(e.from)
	n, err := e.w.Write(p)
	_ = wake.After(context.Background(), min(made, longestRest)) // it ends by itself
	e.from = time.Now()
	return n, err
}

// chunks gathers content into chunks.
type chunks struct {
	w      io.Writer
	sum    hash.Hash
	buf    bytes.Buffer
	length uint64
}

func (c *chunks) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		room := p[:min(len(p), maxChunk-c.buf.Len())]
		c.buf.Write(room)
		n, p = n+len(room), p[len(room):]
		if c.buf.Len() == maxChunk {
			if err := c.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (c *chunks) flush() error {
	b := c.buf.Bytes()
	if len(b) == 0 {
		return nil
	}
	c.sum.Write(b)
	c.length += uint64(len(b))
	_, err := c.w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
	if err == nil {
		_, err = c.w.Write(b)
	}
	c.buf.Reset()
	return err
}
