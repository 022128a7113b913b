package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// A snapshot is the magic text, the header, the records of a state in blocks,
// an empty block, the number of records, and the SHA-256 of all that. Header and
// blocks have their length before them; a block is compressed by itself.
const magic = "writ snapshot\n"

// formatSnapshot begins the header. A stored number is forever.
const formatSnapshot uint8 = 1

// Limits of a snapshot's parts, in bytes.
const (
	maxSnapshotHeader = 4 << 10
	blockSize         = 256 << 10                 // a block is closed when it has reached this
	maxBlock          = blockSize + MaxRecordSize // of a block before compression
	blocksAhead       = 4                         // read but not yet loaded
	recordTexts       = 256                       // of texts of neighbouring records in one piece of memory
)

// SnapshotHeader says which state a snapshot holds and where in the history it
// stands.
type SnapshotHeader struct {
	Cluster     string
	Incarnation string
	Head        event.Head
	Floor       event.Position // of the freshness leases; see the replication protocol
	Index       uint64         // of the last raft entry applied
	Term        uint64         // of that entry
	Digest      identity.Digest
}

func (c *coder) snapshotHeader(h *SnapshotHeader) {
	format := formatSnapshot
	num(c, &format)
	if c.err == nil && format != formatSnapshot {
		c.fail(&UnknownError{What: "snapshot format", Number: uint64(format)})
	}
	str(c, &h.Cluster)
	str(c, &h.Incarnation)
	num(c, &h.Head.Position)
	c.fixed(h.Head.Hash[:])
	num(c, &h.Floor)
	num(c, &h.Index)
	num(c, &h.Term)
	c.digest(&h.Digest)
}

// WriteSnapshot writes the state s. Of the header, the caller gives Head, Floor,
// Index and Term; the rest is the state's own. It takes time linear in the state
// and little memory.
func WriteSnapshot(w io.Writer, s *identity.State, h SnapshotHeader) error {
	if h.Head.Position != s.Position() {
		return fmt.Errorf("write snapshot: the state is at position %d, the header says %d", s.Position(), h.Head.Position)
	}
	h.Cluster, h.Incarnation, h.Digest = s.Cluster().ID, s.Cluster().Incarnation, s.Digest()
	b, err := newBlockWriter(w)
	if err != nil {
		return fmt.Errorf("write snapshot %d: %w", s.Position(), err)
	}
	b.header(&h)
	s.Records(b.add)
	if err := b.close(); err != nil {
		return fmt.Errorf("write snapshot %d: %w", s.Position(), err)
	}
	return nil
}

// blockWriter writes the parts of a snapshot. Its first error sticks.
type blockWriter struct {
	w     io.Writer
	sum   hash.Hash
	zip   *zstd.Encoder
	block *coder
	count uint64
	room  []byte // for a compressed block
	err   error
}

func newBlockWriter(w io.Writer) (*blockWriter, error) {
	// Measured on users with a group and a key: as small as the default level, and quicker.
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return &blockWriter{w: w, sum: sha256.New(), zip: zip, block: writer()}, nil
}

func (b *blockWriter) write(p []byte) {
	if b.err == nil {
		b.sum.Write(p)
		_, b.err = b.w.Write(p)
	}
}

// part writes p with its length before it.
func (b *blockWriter) part(p []byte) {
	b.write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
	b.write(p)
}

func (b *blockWriter) header(h *SnapshotHeader) {
	b.write([]byte(magic))
	c := writer()
	defer c.release()
	c.snapshotHeader(h)
	if b.err = c.done(); b.err == nil {
		b.part(c.out.Bytes())
	}
}

// add writes a record; it returns false when there is no use in going on.
func (b *blockWriter) add(r identity.Record) bool {
	start := b.block.out.Len()
	b.block.record(r)
	if size := b.block.out.Len() - start; size > MaxRecordSize {
		b.block.fail(fmt.Errorf("%w: a record of %d bytes, at most %d", ErrTooLarge, size, MaxRecordSize))
	}
	b.count++
	if b.block.out.Len() >= blockSize {
		b.flush()
	}
	return b.err == nil && b.block.err == nil
}

func (b *blockWriter) flush() {
	if err := b.block.done(); b.err == nil {
		b.err = err
	}
	if b.err != nil || b.block.out.Len() == 0 {
		return
	}
	b.room = b.zip.EncodeAll(b.block.out.Bytes(), b.room[:0])
	b.part(b.room)
	b.block.out.Reset()
}

func (b *blockWriter) close() error {
	b.flush()
	b.block.release()
	b.part(nil)
	b.write(binary.BigEndian.AppendUint64(nil, b.count))
	b.write(b.sum.Sum(nil))
	if err := b.zip.Close(); b.err == nil {
		b.err = err
	}
	return b.err
}

// ReadSnapshot reads what WriteSnapshot wrote. One that is cut short, altered,
// or whose state has another digest than its header says gives ErrCorrupt.
// Bytes behind the snapshot are not looked at.
func ReadSnapshot(r io.Reader) (*identity.State, SnapshotHeader, error) {
	s, h, err := readSnapshot(r)
	if err != nil {
		return nil, SnapshotHeader{}, fmt.Errorf("read snapshot: %w", err)
	}
	return s, h, nil
}

func readSnapshot(r io.Reader) (*identity.State, SnapshotHeader, error) {
	zip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock))
	if err != nil {
		return nil, SnapshotHeader{}, err
	}
	defer zip.Close()
	b := &blockReader{r: r, sum: sha256.New(), zip: zip, block: reader(nil)}
	defer b.block.release()
	b.block.texts.room = recordTexts

	h, err := b.header()
	if err != nil {
		return nil, h, err
	}
	// Read and unpack beside the loading. The reader ends by itself, at the end of
	// the snapshot or its first error.
	blocks := make(chan []identity.Record, blocksAhead)
	go func() {
		defer close(blocks)
		err = b.blocks(blocks)
	}()
	loader := identity.NewLoader()
	for records := range blocks {
		for _, r := range records {
			loader.Add(r)
		}
	}
	if err != nil {
		return nil, h, err
	}
	s, err := loader.State()
	if err != nil {
		return nil, h, corrupt("%v", err)
	}
	if s.Position() != h.Head.Position || s.Digest() != h.Digest {
		return nil, h, corrupt("the state at position %d is not the one of position %d that was written", s.Position(), h.Head.Position)
	}
	return s, h, nil
}

// blockReader reads the parts of a snapshot.
type blockReader struct {
	r     io.Reader
	sum   hash.Hash
	zip   *zstd.Decoder
	block *coder
	count uint64
	room  []byte // for a compressed block
	plain []byte // for a block
}

// read fills p.
func (b *blockReader) read(p []byte) error {
	switch _, err := io.ReadFull(b.r, p); {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return corrupt("cut short")
	case err != nil:
		return err
	}
	b.sum.Write(p)
	return nil
}

// part reads what blockWriter.part wrote, into b.room.
func (b *blockReader) part(limit uint32) ([]byte, error) {
	var length [4]byte
	if err := b.read(length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > limit {
		return nil, corrupt("a part of %d bytes, at most %d", n, limit)
	}
	if uint32(cap(b.room)) < n {
		b.room = make([]byte, n)
	}
	return b.room[:n], b.read(b.room[:n])
}

func (b *blockReader) header() (h SnapshotHeader, err error) {
	var begin [len(magic)]byte
	if err := b.read(begin[:]); err != nil {
		return h, err
	}
	if string(begin[:]) != magic {
		return h, corrupt("not a snapshot")
	}
	p, err := b.part(maxSnapshotHeader)
	if err != nil {
		return h, err
	}
	b.block.reset(p)
	b.block.snapshotHeader(&h)
	return h, b.block.done()
}

// blocks sends the records of each block to out, up to and including the trailer.
func (b *blockReader) blocks(out chan<- []identity.Record) error {
	for {
		p, err := b.part(maxBlock)
		if err != nil {
			return err
		}
		if len(p) == 0 {
			return b.trailer()
		}
		records, err := b.records(p)
		if err != nil {
			return err
		}
		b.count += uint64(len(records))
		out <- records
	}
}

// records reads a compressed block.
func (b *blockReader) records(p []byte) (records []identity.Record, err error) {
	b.plain, err = b.zip.DecodeAll(p, b.plain[:0])
	if err != nil {
		return nil, corrupt("block: %v", err)
	}
	b.block.reset(b.plain)
	for b.block.in.left() > 0 {
		r := b.block.readRecord()
		if b.block.err != nil {
			return nil, b.block.err
		}
		records = append(records, r)
	}
	return records, nil
}

func (b *blockReader) trailer() error {
	var count [8]byte
	if err := b.read(count[:]); err != nil {
		return err
	}
	if n := binary.BigEndian.Uint64(count[:]); n != b.count {
		return corrupt("%d records where %d were written", b.count, n)
	}
	want := b.sum.Sum(nil)
	var got [sha256.Size]byte
	if err := b.read(got[:]); err != nil {
		return err
	}
	if !bytes.Equal(want, got[:]) {
		return corrupt("the SHA-256 does not match")
	}
	return nil
}
