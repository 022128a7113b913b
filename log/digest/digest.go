// Package digest sums up records, so that states which were folded from the same
// history can be compared. Its bytes are forever: a change of what is hashed, or how,
// makes nodes of two builds disagree about equal states. It is pure.
package digest

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
)

// Sum identifies the content of a state: the sum, in two lanes modulo 2^64,
// of a hash of each record. It does not depend on the order in which the records
// came to be, so it is kept up to date in constant time per change and can be
// recomputed from the records alone.
//
// It is there to find bugs and broken memory, by comparing nodes that folded the
// same history. It is no proof against someone who forges a state; histories and
// snapshots carry a SHA-256 for that.
type Sum [2]uint64

// String is the digest as 32 hexadecimal digits.
func (d Sum) String() string { return fmt.Sprintf("%016x%016x", d[0], d[1]) }

// MarshalText gives what String gives.
func (d Sum) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads 32 hexadecimal digits.
func (d *Sum) UnmarshalText(text []byte) error {
	var b [16]byte
	if len(text) != hex.EncodedLen(len(b)) {
		return fmt.Errorf("a digest has %d hexadecimal digits, not %d", hex.EncodedLen(len(b)), len(text))
	}
	if _, err := hex.Decode(b[:], text); err != nil {
		return fmt.Errorf("decode a digest: %w", err)
	}
	d[0], d[1] = binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	return nil
}

// Add adds the hash of a record, or another sum.
func (d *Sum) Add(o Sum) {
	d[0] += o[0]
	d[1] += o[1]
}

// Sub takes it away again.
func (d *Sum) Sub(o Sum) {
	d[0] -= o[0]
	d[1] -= o[1]
}

// Of is that of one record's encoding: two lanes that multiply and fold one
// word after the other, with odd constants of their own. A change of it makes
// nodes of two builds disagree about equal states.
func Of(b []byte) Sum {
	const a0, a1 = 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f
	const b0, b1 = 0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53
	x, y := uint64(len(b))^a0, uint64(len(b))^b0
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		x, y = fold(x^w, a1), fold(y^w, b1)
	}
	var last [8]byte
	copy(last[:], b)
	w := binary.LittleEndian.Uint64(last[:])
	x, y = fold(x^w, a1), fold(y^w, b1)
	return Sum{fold(x^bits.RotateLeft64(y, 32), a0), fold(y, b0)}
}

// fold multiplies to 128 bits and folds the halves together.
func fold(v, by uint64) uint64 {
	hi, lo := bits.Mul64(v, by)
	return hi ^ lo
}

// AppendString appends s with its length before it, so that neighbours cannot run together.
func AppendString[S ~string | ~[]byte](b []byte, s S) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// AppendInt appends a number as a varint.
func AppendInt[N ~int64 | ~uint64 | ~int | ~uint32 | ~uint8](b []byte, n N) []byte {
	return binary.AppendUvarint(b, uint64(n))
}

// AppendBool appends a byte, 1 or 0.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
