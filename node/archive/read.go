package archive

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wire"
)

// Taker takes what is in an archive, in order. What it is given counts only when Read
// has returned without an error; an error of its own ends Read.
type Taker interface {
	Header(*Header) error
	Snapshot(io.Reader) error
	// Batch takes a batch, whose bytes are its own to keep, with its head and the hash of
	// the one before: each follows the one before it.
	Batch(b []byte, head event.Head, prev event.Hash) error
}

// Nothing takes nothing: what is read is checked alone.
type Nothing struct{}

// Header takes nothing, as do Snapshot and Batch.
func (Nothing) Header(*Header) error { return nil }

// Snapshot takes nothing.
func (Nothing) Snapshot(io.Reader) error { return nil }

// Batch takes nothing.
func (Nothing) Batch([]byte, event.Head, event.Hash) error { return nil }

// Read reads an archive, in little memory. An error is that of the taker, of r, or wraps
// ErrDamaged or ErrFormat. The signature, if there is one, is checked against the
// certificate in Header.Signed alone: who vouches for that is the caller's question.
func Read(r io.Reader, to Taker) (*Header, error) {
	in := &reader{r: bufio.NewReaderSize(r, 1<<16), sum: sha256.New()}
	h, err := in.archive(to)
	if err != nil {
		return nil, fmt.Errorf("read an archive: %w", err)
	}
	return h, nil
}

func (in *reader) archive(to Taker) (*Header, error) {
	var begin [len(magic)]byte
	_, err := io.ReadFull(in.r, begin[:])
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, err
	case string(begin[:]) != magic:
		return nil, fmt.Errorf("%w: it does not begin as one", ErrFormat)
	}
	in.sum.Write(begin[:])
	h := &Header{}
	err = in.text(partHeader, h)
	if err == nil {
		err = h.check()
	}
	if err == nil {
		err = to.Header(h)
	}
	if err == nil && h.Snapshot {
		err = in.part(partSnapshot, to.Snapshot)
	}
	if err == nil && h.From > 0 {
		err = in.part(partBatches, func(r io.Reader) error { return takeBatches(r, h, to) })
	}
	if err == nil {
		err = in.trailer(h)
	}
	return h, err
}

// takeBatches reads the batches and finds out whether they are a chain that ends at the
// header's head.
func takeBatches(r io.Reader, h *Header, to Taker) error {
	last := event.Head{Position: h.From - 1}
	for last.Position < h.Position {
		b, err := batch(r)
		if err != nil {
			return fmt.Errorf("behind position %d: %w", last.Position, err)
		}
		head, prev, err := wire.PeekBatch(b)
		switch {
		case err != nil:
			return damaged("behind position %d: %w", last.Position, err)
		case head.Position != last.Position+1, head.Position > h.From && prev != last.Hash:
			return damaged("batch %d does not follow batch %d", head.Position, last.Position)
		}
		last = head
		if err := to.Batch(b, head, prev); err != nil {
			return fmt.Errorf("batch %d: %w", head.Position, err)
		}
	}
	if last != h.Head() {
		return damaged("the last batch, of position %d, has the hash %x, not %x", last.Position, last.Hash, h.Hash)
	}
	return nil
}

func batch(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, cut(err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > wire.MaxBatchSize {
		return nil, damaged("a batch of %d bytes, at most %d", n, wire.MaxBatchSize)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, cut(err)
}

// cut makes an end where none should be damage.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("it is cut short")
	}
	return err
}

// reader reads parts, and sums up everything.
type reader struct {
	r   *bufio.Reader
	sum hash.Hash
}

func (in *reader) fill(p []byte) error {
	n, err := io.ReadFull(in.r, p)
	in.sum.Write(p[:n])
	return cut(err)
}

// text reads a part of JSON.
func (in *reader) text(number byte, v any) error {
	return in.part(number, func(r io.Reader) error {
		b, err := io.ReadAll(io.LimitReader(r, maxText+1))
		if err != nil {
			return err
		}
		if len(b) > maxText {
			return damaged("part %d has more than %d bytes", number, maxText)
		}
		if err := json.Unmarshal(b, v); err != nil {
			return damaged("part %d: %w", number, err)
		}
		return nil
	})
}

// part has take read the content of a part, reads what it leaves, and checks it.
func (in *reader) part(number byte, take func(io.Reader) error) error {
	var got [1]byte
	if err := in.fill(got[:]); err != nil {
		return err
	}
	if got[0] != number {
		return damaged("part %d where part %d belongs", got[0], number)
	}
	c := &content{in: in, sum: sha256.New()}
	taken := take(c)
	var unknown *wire.UnknownError // or what looks like one in a part that was altered
	if err := taken; err != nil && !errors.As(err, &unknown) {
		if c.err != nil && !errors.Is(c.err, io.EOF) {
			return c.err // what the taker ran into
		}
		return err
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		return err
	}
	var end [8 + sha256.Size]byte
	if err := in.fill(end[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint64(end[:]) != c.length || !bytes.Equal(end[8:], c.sum.Sum(nil)) {
		return damaged("part %d is not what was written", number)
	}
	return taken
}

func (in *reader) trailer(h *Header) error {
	want := in.sum.Sum(nil)
	var t trailer
	if err := in.text(partTrailer, &t); err != nil {
		return err
	}
	if !bytes.Equal(t.SHA256, want) {
		return damaged("its SHA-256 is %x, not %x", want, t.SHA256)
	}
	if _, err := in.r.ReadByte(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = damaged("something follows its end")
		}
		return err
	}
	if h.Signed == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(h.Signed.Certificate)
	if err != nil {
		return damaged("the certificate of its signer: %w", err)
	}
	if err := cert.CheckSignature(x509.ECDSAWithSHA256, t.statement(), t.Signature); err != nil {
		return damaged("its signature: %w", err)
	}
	return nil
}

// content is that of a part, out of its chunks.
type content struct {
	in     *reader
	sum    hash.Hash
	left   uint32 // of the chunk
	length uint64
	err    error // io.EOF behind the last chunk
}

func (c *content) Read(p []byte) (int, error) {
	if c.err == nil && c.left == 0 {
		var length [4]byte
		if c.err = c.in.fill(length[:]); c.err == nil {
			switch c.left = binary.BigEndian.Uint32(length[:]); {
			case c.left == 0:
				c.err = io.EOF
			case c.left > maxChunk:
				c.err = damaged("a chunk of %d bytes, at most %d", c.left, maxChunk)
			}
		}
	}
	if c.err != nil {
		return 0, c.err
	}
	p = p[:min(len(p), int(c.left))]
	if c.err = c.in.fill(p); c.err != nil {
		return 0, c.err
	}
	c.sum.Write(p)
	c.left -= uint32(len(p))
	c.length += uint64(len(p))
	return len(p), nil
}
