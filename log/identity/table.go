package identity

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/tidwall/btree"
)

// Digest identifies the content of a state: the sum, in four lanes modulo 2^64,
// of the SHA-256 hashes of all its records. It does not depend on the order in
// which the records came to be, so it is kept up to date in constant time per
// change and can be recomputed from the records alone.
type Digest [4]uint64

// Bytes is the digest as 32 bytes, big-endian.
func (d Digest) Bytes() (b [32]byte) {
	for i, lane := range d {
		binary.BigEndian.PutUint64(b[8*i:], lane)
	}
	return b
}

func (d *Digest) add(h [32]byte) {
	for i := range d {
		d[i] += binary.BigEndian.Uint64(h[8*i:])
	}
}

func (d *Digest) sub(h [32]byte) {
	for i := range d {
		d[i] -= binary.BigEndian.Uint64(h[8*i:])
	}
}

// record is one immutable value of a table. What appendDigest leaves out must be derivable.
type record interface {
	comparable
	// appendDigest appends an injective encoding of the record, its key included.
	appendDigest(b []byte) []byte
}

// table is a persistent map of records that keeps its own digest.
type table[K ~string, R record] struct {
	rows btree.Map[K, R]
	sum  Digest
}

func (t *table[K, R]) get(key K) (R, bool) { return t.rows.Get(key) }

func (t *table[K, R]) put(key K, r R) {
	old, replaced := t.rows.Set(key, r)
	if replaced {
		t.sum.sub(hashRecord(old))
	}
	t.sum.add(hashRecord(r))
}

// load is put, quick when keys arrive in order.
func (t *table[K, R]) load(key K, r R) {
	old, replaced := t.rows.Load(key, r)
	if replaced {
		t.sum.sub(hashRecord(old))
	}
	t.sum.add(hashRecord(r))
}

func (t *table[K, R]) delete(key K) {
	if old, ok := t.rows.Delete(key); ok {
		t.sum.sub(hashRecord(old))
	}
}

// snapshot is a copy that later changes to t do not reach. Only t's owner may call it.
func (t *table[K, R]) snapshot() table[K, R] {
	return table[K, R]{rows: *t.rows.Copy(), sum: t.sum}
}

// recount computes the digest from the records.
func (t *table[K, R]) recount() (d Digest) {
	t.rows.Scan(func(_ K, r R) bool {
		d.add(hashRecord(r))
		return true
	})
	return d
}

func hashRecord[R record](r R) [32]byte {
	var buf [512]byte
	return sha256.Sum256(r.appendDigest(buf[:0]))
}

// appendString appends s with its length before it, so that neighbours cannot run together.
func appendString[S ~string | ~[]byte](b []byte, s S) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendInt[N ~int64 | ~uint64 | ~int | ~uint32 | ~uint8](b []byte, n N) []byte {
	return binary.AppendUvarint(b, uint64(n))
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// edge relates one entity to another: group to member, policy to holder.
type edge struct{ from, to ID }

func edgeLess(a, b edge) bool {
	return a.from < b.from || a.from == b.from && a.to < b.to
}

// relation is a persistent set of edges in order of (from, to), with the number
// of edges from each entity. Relations are derived from the records and so have
// no digest.
type relation struct {
	edges  *btree.BTreeG[edge]
	degree btree.Map[ID, int]
}

func newRelation() relation {
	return relation{edges: btree.NewBTreeGOptions(edgeLess, btree.Options{NoLocks: true})}
}

func (r *relation) add(from, to ID) {
	if _, there := r.edges.Set(edge{from, to}); !there {
		r.degree.Set(from, r.count(from)+1)
	}
}

func (r *relation) remove(from, to ID) {
	if _, there := r.edges.Delete(edge{from, to}); !there {
		return
	}
	if n := r.count(from) - 1; n > 0 {
		r.degree.Set(from, n)
	} else {
		r.degree.Delete(from)
	}
}

func (r *relation) count(from ID) int {
	n, _ := r.degree.Get(from)
	return n
}

func (r *relation) snapshot() relation {
	return relation{edges: r.edges.Copy(), degree: *r.degree.Copy()}
}

// each calls yield for the targets of from that sort after the target after, in order.
func (r *relation) each(from, after ID, yield func(to ID) bool) {
	r.edges.Ascend(edge{from, after}, func(e edge) bool {
		if e.from != from {
			return false
		}
		if e.to == after {
			return true
		}
		return yield(e.to)
	})
}
