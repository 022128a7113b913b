package wire

import (
	"bytes"
	"hash/maphash"
	"io"
	"strings"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// coder writes or reads values one after another. Its methods, and the visitors
// built on them, do the one or the other to the variable they are given, so that
// a type's fields are listed once. The first error sticks; after it nothing is
// written and variables keep what they had.
type coder struct {
	reading bool
	version uint64 // of the kind whose fields are being coded
	err     error

	out bytes.Buffer
	enc *msgpack.Encoder // into out

	in  source
	dec *msgpack.Decoder // of in

	atoms atoms
	texts texts
}

// coders keeps coders for reuse; one is 80 KiB, for the strings it remembers.
var coders = sync.Pool{New: func() any {
	c := &coder{atoms: atoms{seed: maphash.MakeSeed()}}
	c.enc = msgpack.NewEncoder(&c.out)
	c.dec = msgpack.NewDecoder(&c.in)
	return c
}}

// writer returns a coder with nothing written; release gives it back.
func writer() *coder {
	c := coders.Get().(*coder)
	c.reading, c.err = false, nil
	c.out.Reset()
	return c
}

// reader returns a coder that reads b; release gives it back.
func reader(b []byte) *coder {
	c := coders.Get().(*coder)
	c.reset(b)
	return c
}

// reset makes c read b from its beginning.
func (c *coder) reset(b []byte) {
	c.reading, c.err = true, nil
	c.in = source{bytes: b}
}

// maxKept bounds the buffer of a coder that is kept for reuse.
const maxKept = 1 << 20

func (c *coder) release() {
	c.in = source{}
	c.texts = texts{}
	if c.out.Cap() > maxKept {
		c.out = bytes.Buffer{}
	}
	coders.Put(c)
}

func (c *coder) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// done returns the first error, which is ErrCorrupt when c read and something is left over.
func (c *coder) done() error {
	if c.err == nil && c.reading && c.in.left() > 0 {
		c.err = corrupt("%d bytes left over", c.in.left())
	}
	return c.err
}

// check takes the error of a msgpack call.
func (c *coder) check(err error) bool {
	switch {
	case err == nil:
		return true
	case c.reading:
		c.fail(corrupt("at byte %d of %d: %v", c.in.at, len(c.in.bytes), err))
	default:
		c.fail(err)
	}
	return false
}

// source is the bytes that a coder reads, and how far it has come.
type source struct {
	bytes []byte
	at    int
}

func (s *source) left() int { return len(s.bytes) - s.at }

// Read, ReadByte and UnreadByte are what msgpack reads by.
func (s *source) Read(p []byte) (int, error) {
	if s.left() == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.bytes[s.at:])
	s.at += n
	return n, nil
}

func (s *source) ReadByte() (byte, error) {
	if s.left() == 0 {
		return 0, io.EOF
	}
	s.at++
	return s.bytes[s.at-1], nil
}

func (s *source) UnreadByte() error {
	s.at--
	return nil
}

// take reads a length and returns that many bytes of the source, not copied. It
// is nil, with ok, where nil was written.
func (c *coder) take() (b []byte, ok bool) {
	n, short := c.shortLength()
	if !short {
		var err error
		n, err = c.dec.DecodeBytesLen()
		if !c.check(err) || n < 0 {
			return nil, c.err == nil
		}
	}
	if n > c.in.left() {
		c.fail(corrupt("%d bytes announced at byte %d of %d", n, c.in.at, len(c.in.bytes)))
		return nil, false
	}
	start := c.in.at
	c.in.at += n
	return c.in.bytes[start:c.in.at:c.in.at], true
}

// shortLength reads a length of the two forms that nearly all strings and hashes
// have. The msgpack library reads these too, in several times the time.
func (c *coder) shortLength() (n int, ok bool) {
	s := &c.in
	switch {
	case s.left() > 0 && msgpcode.IsFixedString(s.bytes[s.at]):
		s.at++
		return int(s.bytes[s.at-1] & msgpcode.FixedStrMask), true
	case s.left() > 1 && (s.bytes[s.at] == msgpcode.Bin8 || s.bytes[s.at] == msgpcode.Str8):
		s.at += 2
		return int(s.bytes[s.at-1]), true
	}
	return 0, false
}

// str codes a string that is likely to be unique.
func str[S ~string](c *coder, s *S) {
	if c.err != nil {
		return
	}
	if !c.reading {
		c.check(c.enc.EncodeString(string(*s)))
	} else if b, ok := c.take(); ok {
		*s = S(c.texts.of(b))
	}
}

// atom codes a string that many values share, such as the id of an account or a
// group. Reading it again gives the same memory.
func atom[S ~string](c *coder, s *S) {
	if c.err != nil {
		return
	}
	if !c.reading {
		c.check(c.enc.EncodeString(string(*s)))
	} else if b, ok := c.take(); ok {
		*s = S(c.atoms.of(b))
	}
}

// num codes an integer.
func num[N ~int | ~int64 | ~uint64 | ~uint32 | ~uint8](c *coder, n *N) {
	var zero N
	signed := zero-1 < zero
	switch {
	case c.err != nil:
	case !c.reading && signed:
		c.check(c.enc.EncodeInt(int64(*n)))
	case !c.reading:
		c.check(c.enc.EncodeUint(uint64(*n)))
	case signed:
		v, err := c.dec.DecodeInt64()
		if c.check(err) {
			*n = N(v)
		}
	default:
		v, err := c.dec.DecodeUint64()
		if c.check(err) && uint64(N(v)) != v {
			c.fail(corrupt("number %d out of range", v))
		}
		*n = N(v)
	}
}

// flag codes a truth value.
func (c *coder) flag(v *bool) {
	if c.err != nil {
		return
	}
	if !c.reading {
		c.check(c.enc.EncodeBool(*v))
		return
	}
	got, err := c.dec.DecodeBool()
	if c.check(err) {
		*v = got
	}
}

// blob codes bytes of any length; no bytes are nil.
func (c *coder) blob(v *[]byte) {
	if c.err != nil {
		return
	}
	if !c.reading {
		c.bin(*v)
	} else if b, ok := c.take(); ok && len(b) > 0 {
		*v = bytes.Clone(b)
	}
}

// fixed codes bytes whose number is known, such as a hash.
func (c *coder) fixed(v []byte) {
	if c.err != nil {
		return
	}
	if !c.reading {
		c.bin(v)
		return
	}
	b, ok := c.take()
	switch {
	case !ok:
	case len(b) != len(v):
		c.fail(corrupt("%d bytes where %d belong", len(b), len(v)))
	default:
		copy(v, b)
	}
}

// bin writes bytes and never nil.
func (c *coder) bin(b []byte) {
	if c.check(c.enc.EncodeBytesLen(len(b))) {
		c.out.Write(b)
	}
}

// length codes the number of elements that follow.
func (c *coder) length(n *int) {
	if c.err != nil {
		return
	}
	if !c.reading {
		c.check(c.enc.EncodeArrayLen(*n))
		return
	}
	got, err := c.dec.DecodeArrayLen()
	switch {
	case !c.check(err):
	case got < 0 || got > c.in.left(): // an element is at least a byte
		c.fail(corrupt("%d elements announced in %d bytes", got, c.in.left()))
	default:
		*n = got
	}
}

// firstRoom bounds what is allocated for a list before its elements are seen.
const firstRoom = 64

// list codes a slice; an empty one is nil.
func list[T any](c *coder, v *[]T, elem func(*coder, *T)) {
	n := len(*v)
	c.length(&n)
	if !c.reading {
		for i := range *v {
			elem(c, &(*v)[i])
		}
		return
	}
	if c.err != nil || n == 0 {
		return
	}
	items := make([]T, 0, min(n, firstRoom))
	for range n {
		var item T
		if elem(c, &item); c.err != nil {
			return
		}
		items = append(items, item)
	}
	*v = items
}

// option codes a value that may be missing.
func option[T any](c *coder, v **T, elem func(*coder, *T)) {
	there := *v != nil
	c.flag(&there)
	if c.err != nil || !there {
		return
	}
	if c.reading {
		*v = new(T)
	}
	elem(c, *v)
}

// texts makes strings, several in one piece of memory where room says so: what is
// read together is found together, and there is less for the collector to follow.
// One string keeps its whole piece alive, so pieces are small.
type texts struct {
	room  int // of a piece, in bytes; 0: each string has memory of its own
	piece strings.Builder
}

func (t *texts) of(b []byte) string {
	if len(b) == 0 || len(b) > t.room/4 {
		return string(b)
	}
	if t.piece.Cap()-t.piece.Len() < len(b) {
		t.piece = strings.Builder{}
		t.piece.Grow(t.room)
	}
	start := t.piece.Len()
	t.piece.Write(b) // within what it has: nothing moves
	return t.piece.String()[start:]
}

// Limits of the strings a coder remembers.
const (
	atomSlots = 1 << 12
	maxAtom   = 64 // bytes
)

// atoms remembers recently read strings, one per slot of their hash, so that
// equal strings share memory. It forgets rather than grows.
type atoms struct {
	seed  maphash.Seed
	slots [atomSlots]string
}

func (a *atoms) of(b []byte) string {
	if len(b) > maxAtom {
		return string(b)
	}
	slot := &a.slots[maphash.Bytes(a.seed, b)%atomSlots]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}
