package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// The versions of sealed claims, their first byte: those that have keys are of the second, those
// that say where their chain began of the third. No claims have both.
const (
	versionPlain = 1
	versionKeys  = 2
	versionChain = 3
)

// version is that of the claims.
func (c *Claims) version() byte {
	switch {
	case len(c.Keys) > 0:
		return versionKeys
	case c.Origin != Origin{}:
		return versionChain
	}
	return versionPlain
}

// maxFixed is how many bytes the claims take at most without policies and tags: version, kind
// and depth, access key id, texts with lengths of up to two bytes, three times, position, and
// the form of what follows.
const maxFixed = 3 + idSize + accountDigits + MaxPrincipal + MaxName + MaxSourceIdentity + MaxProvider + MaxSubject + MaxParent + 7*2 +
	3*maxSecondsSize + binary.MaxVarintLen64 + 1

// maxOrigin is how many bytes it takes at most where the chain began: no more than the provider
// and the subject, which no such claims have. Else this does not compile.
const (
	maxOrigin = accountDigits + MaxPrincipal + MaxParent + 3*2 + maxSecondsSize
	_         = uint(MaxProvider + MaxSubject - maxOrigin)
)

// maxSecondsSize is how many bytes a varint of maxSeconds has.
const maxSecondsSize = 6

// encode makes the claims' bytes, with the bytes that the access key id stands for. The
// claims are checked. The error wraps ErrTooLarge.
func (c *Claims) encode(id []byte) ([]byte, error) {
	form, packed := c.pack()
	if len(packed) > MaxPacked {
		return nil, fmt.Errorf("%w: they take %d%% of the room for them", ErrTooLarge, percent(len(packed)))
	}
	size := maxFixed + len(packed)
	for _, f := range c.fields() {
		size -= f.limit - len(*f.text)
	}
	if c.version() == versionChain {
		size += maxOrigin
	}
	b := append(make([]byte, 0, size), c.version(), byte(c.Kind), c.Depth)
	b = append(b, id...)
	for _, f := range c.fields() {
		b = appendText(b, *f.text)
	}
	b = binary.AppendUvarint(b, uint64(c.Issued.Unix()))
	b = binary.AppendUvarint(b, uint64(c.Expires.Unix()-c.Issued.Unix()))
	mfa := uint64(0)
	if !c.MFA.IsZero() {
		mfa = uint64(c.MFA.Unix())
	}
	b = binary.AppendUvarint(b, mfa)
	b = binary.AppendUvarint(b, c.Position)
	if c.version() == versionChain {
		for _, f := range c.Origin.fields() {
			b = appendText(b, *f.text)
		}
		b = binary.AppendUvarint(b, uint64(c.Origin.Began.Unix()))
	}
	b = append(b, form)
	return append(b, packed...), nil
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendTexts(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, text := range list {
		b = appendText(b, text)
	}
	return b
}

// errEncoding is wrapped by errors of decode: the bytes are not what encode makes.
var errEncoding = errors.New("its claims are in a form that this build does not read")

// decode reads what encode made, and nothing else. The claims' texts are parts of plain.
func decode(plain string) (*Claims, error) {
	const head = 3 + idSize
	if len(plain) < head || plain[0] < versionPlain || plain[0] > versionChain {
		return nil, errEncoding
	}
	c := &Claims{Kind: Kind(plain[1]), Depth: plain[2], AccessKey: accessKeyID([]byte(plain[3:head]))}
	d := decoder{rest: plain[head:]}
	for _, f := range c.fields() {
		*f.text = d.text()
	}
	issued := d.seconds()
	c.Issued = time.Unix(issued, 0).UTC()
	c.Expires = time.Unix(issued+d.seconds(), 0).UTC()
	if mfa := d.seconds(); mfa != 0 {
		c.MFA = time.Unix(mfa, 0).UTC()
	}
	c.Position = d.uvarint()
	if plain[0] == versionChain {
		for _, f := range c.Origin.fields() {
			*f.text = d.text()
		}
		c.Origin.Began = time.Unix(d.seconds(), 0).UTC()
	}
	form := d.byte()
	if d.bad || !c.unpack(form, d.rest, plain[0]) || c.version() != plain[0] {
		return nil, errEncoding
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", errEncoding, err)
	}
	return c, nil
}

// decoder reads encoded claims. Once it is bad it reads zeros.
type decoder struct {
	rest string
	bad  bool
}

func (d *decoder) fail() { d.rest, d.bad = "", true }

// uvarint reads a number in its shortest form.
func (d *decoder) uvarint() (v uint64) {
	for i := range min(len(d.rest), binary.MaxVarintLen64) {
		b := d.rest[i]
		if i == binary.MaxVarintLen64-1 && b > 1 {
			break // more than 64 bits
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b >= 0x80 {
			continue
		}
		if b == 0 && i > 0 {
			break // there is a shorter form
		}
		d.rest = d.rest[i+1:]
		return v
	}
	d.fail()
	return 0
}

func (d *decoder) byte() byte {
	if d.rest == "" {
		d.fail()
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

// seconds reads a time, or the time between two.
func (d *decoder) seconds() int64 {
	v := d.uvarint()
	if v > maxSeconds {
		d.fail()
		return 0
	}
	return int64(v)
}

// count reads how many elements follow: none that there are no bytes for.
func (d *decoder) count(most int) int {
	n := d.uvarint()
	if n > uint64(min(most, len(d.rest))) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.count(len(d.rest))
	text := d.rest[:n]
	d.rest = d.rest[n:]
	return text
}

func (d *decoder) texts(most int) []string {
	n := d.count(most)
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = d.text()
	}
	return list
}
