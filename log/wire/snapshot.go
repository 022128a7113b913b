package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// A snapshot is the magic text, the header, the records of a state in blocks,
// an empty block, the number of records, and the SHA-256 of all that. Header and
// blocks have their length before them; a block is compressed by itself.
const magic = "writ snapshot\n"

// The formats of a header: what its first byte says. A stored number is forever.
const (
	formatNamelessSnapshot uint8 = 1 // from before snapshots named lives
	formatSnapshot         uint8 = 2
)

// Limits of a snapshot's parts, in bytes.
const (
	maxSnapshotHeader = 1 << 20                   // some thousands of lives are in it
	blockSize         = 256 << 10                 // a block is closed when it has reached this
	maxBlock          = blockSize + MaxRecordSize // of a block before compression
	blocksAhead       = 8                         // read but not yet loaded
	unpackers         = 3                         // of blocks, at once
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
	Digest      digest.Sum
	// Lives may hold freshness leases.
	Lives event.Lives
}

func (c *coder) snapshotHeader(h *SnapshotHeader) {
	format := formatSnapshot
	num(c, &format)
	if c.err == nil && format != formatSnapshot && format != formatNamelessSnapshot {
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
	if format == formatSnapshot {
		c.lives(&h.Lives)
	}
}

// WriteSnapshot writes the state s. Of the header, the caller gives Head, Floor,
// Index, Term and Lives; the rest is the state's own. It takes time linear in the state
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
	if b.err = c.done(); b.err != nil {
		return
	}
	if size := c.out.Len(); size > maxSnapshotHeader {
		b.err = fmt.Errorf("%w: a header of %d bytes, at most %d", ErrTooLarge, size, maxSnapshotHeader)
		return
	}
	b.part(c.out.Bytes())
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
	zip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(unpackers), zstd.WithDecoderMaxMemory(maxBlock))
	if err != nil {
		return nil, SnapshotHeader{}, err
	}
	defer zip.Close()
	b := &blockReader{r: r, sum: sha256.New(), zip: zip}
	h, err := b.header()
	if err != nil {
		return nil, h, err
	}
	s, err := b.load()
	if err != nil {
		return nil, h, err
	}
	if s.Position() != h.Head.Position || s.Digest() != h.Digest {
		return nil, h, corrupt("the state at position %d is not the one of position %d that was written", s.Position(), h.Head.Position)
	}
	return s, h, nil
}

// load reads, unpacks and loads the blocks, each beside the others.
func (b *blockReader) load() (*identity.State, error) {
	packed, ordered := make(chan *block, blocksAhead), make(chan *block, blocksAhead)
	var running sync.WaitGroup
	var stop atomic.Bool
	var failed error
	running.Go(func() {
		defer close(ordered)
		defer close(packed)
		failed = b.blocks(func(next *block) bool {
			packed <- next
			ordered <- next
			return !stop.Load()
		})
	})
	for range unpackers {
		running.Go(func() { b.unpack(packed) })
	}
	loader, count := identity.NewLoader(), uint64(0)
	var refused error
	for next := range ordered {
		if <-next.unpacked; next.err != nil && refused == nil {
			refused = next.err
			stop.Store(true)
		}
		for _, r := range next.records {
			loader.Add(r)
		}
		count += uint64(len(next.records))
	}
	running.Wait()
	switch {
	case refused != nil:
		return nil, refused
	case failed != nil:
		return nil, failed
	case count != b.count:
		return nil, corrupt("%d records where %d were written", count, b.count)
	}
	s, err := loader.State(sideBySide)
	if err != nil {
		return nil, corrupt("%v", err)
	}
	return s, nil
}

func sideBySide(jobs []func()) {
	var running sync.WaitGroup
	for _, job := range jobs {
		running.Go(job)
	}
	running.Wait()
}

// block is a part of a snapshot on its way to the loader.
type block struct {
	packed   []byte
	unpacked chan struct{} // closed when the two below are set
	records  []identity.Record
	err      error
}

// blockReader reads the parts of a snapshot.
type blockReader struct {
	r     io.Reader
	sum   hash.Hash
	zip   *zstd.Decoder
	count uint64 // of records, as the trailer says
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

// part reads what blockWriter.part wrote.
func (b *blockReader) part(limit uint32) ([]byte, error) {
	var length [4]byte
	if err := b.read(length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > limit {
		return nil, corrupt("a part of %d bytes, at most %d", n, limit)
	}
	part := make([]byte, n)
	return part, b.read(part)
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
	c := reader(p)
	defer c.release()
	c.snapshotHeader(&h)
	return h, c.done()
}

// blocks gives each block to yield, until that returns false, and reads the trailer.
func (b *blockReader) blocks(yield func(*block) bool) error {
	for {
		p, err := b.part(maxBlock)
		if err != nil {
			return err
		}
		if len(p) == 0 {
			return b.trailer()
		}
		if !yield(&block{packed: p, unpacked: make(chan struct{})}) {
			return nil
		}
	}
}

// unpack unpacks blocks until there are no more.
func (b *blockReader) unpack(packed <-chan *block) {
	c := reader(nil)
	defer c.release()
	c.texts.room = recordTexts
	var plain []byte
	for next := range packed {
		var err error
		if plain, err = b.zip.DecodeAll(next.packed, plain[:0]); err != nil {
			next.err = corrupt("block: %v", err)
		} else {
			next.records, next.err = c.records(plain)
		}
		next.packed = nil
		close(next.unpacked)
	}
}

// records reads the records of a block.
func (c *coder) records(plain []byte) (records []identity.Record, err error) {
	c.reset(plain)
	for c.in.left() > 0 {
		r := c.readRecord()
		if c.err != nil {
			return nil, c.err
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
	b.count = binary.BigEndian.Uint64(count[:])
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
