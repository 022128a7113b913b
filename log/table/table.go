// Package table is persistent maps of records, and relations between them: a snapshot
// takes constant time and later changes do not reach it. A table keeps the digest of its
// records up to date and can recount it. It is pure.
package table

import (
	"github.com/tidwall/btree"

	"github.com/writ-iam/writ/log/digest"
)

// Handle stands for an identifier in the tables and derived maps: a hash of its
// text, so that a map's nodes hold numbers in place instead of pointers to text.
// That makes look-ups several times faster and the maps a third of the size.
//
// Invariant: no two identifiers in a state have the same handle. Decide refuses
// the one identifier in 2^61 that would break it, as one that is in use.
type Handle uint64

// HandleBits is the size of a handle; names have room for a kind beside it.
const HandleBits = 61

// HandleOf is the FNV-1a hash of the text, less its last bits. A change of it
// alters the order of records, which listings and snapshots show.
func HandleOf[S ~string](text S) Handle {
	h := uint64(0xcbf29ce484222325)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 0x100000001b3
	}
	return Handle(h >> (64 - HandleBits))
}

// Row is one immutable value of a table. What AppendDigest leaves out must be derivable.
type Row interface {
	comparable
	Handle() Handle
	// Is says whether the record has that key; two keys can share a handle only
	// if one of them is in no table.
	Is(key string) bool
	// AppendDigest appends an injective encoding of the record, its key included.
	AppendDigest(b []byte) []byte
}

// Parts is into how many parts the records of a state are divided, by their
// handles. Each part has a digest of its own, so that a state can be checked a
// part at a time, and a part that is found altered is found at once.
const (
	Parts    = 1 << partBits
	partBits = 3
)

// Part is the one that records of that handle belong to.
func (h Handle) Part() int { return int(h >> (HandleBits - partBits)) }

// Table is a persistent map of records by key that keeps its own digests.
type Table[K ~string, R Row] struct {
	// Rows are the records by handle, to be read: who changes them otherwise than by
	// Put and Delete alters them behind the digests' back.
	Rows btree.Map[Handle, R]
	sums [Parts]digest.Sum
}

// Sum is the digest of all records.
func (t *Table[K, R]) Sum() (d digest.Sum) {
	for _, part := range t.sums {
		d.Add(part)
	}
	return d
}

// Get returns the record with a key.
func (t *Table[K, R]) Get(key K) (R, bool) {
	r, ok := t.Rows.Get(HandleOf(key))
	if !ok || !r.Is(string(key)) {
		var none R
		return none, false
	}
	return r, true
}

// Put puts a record in, in place of the one with its key.
func (t *Table[K, R]) Put(r R) {
	sum := &t.sums[r.Handle().Part()]
	old, replaced := t.Rows.Set(r.Handle(), r)
	if replaced {
		sum.Sub(SumOf(old))
	}
	sum.Add(SumOf(r))
}

// Delete takes out the record with the key of r.
func (t *Table[K, R]) Delete(r R) {
	if old, ok := t.Rows.Delete(r.Handle()); ok {
		t.sums[r.Handle().Part()].Sub(SumOf(old))
	}
}

// Snapshot is a copy that later changes to t do not reach. Only t's owner may call it.
func (t *Table[K, R]) Snapshot() Table[K, R] {
	return Table[K, R]{Rows: *t.Rows.Copy(), sums: t.sums}
}

// Recount computes the digest of one part from its records.
func (t *Table[K, R]) Recount(part int, c *Count) {
	t.Rows.Ascend(Handle(part)<<(HandleBits-partBits), func(h Handle, r R) bool {
		if h.Part() != part {
			return false
		}
		c.buf = r.AppendDigest(c.buf[:0])
		c.Sum.Add(digest.Of(c.buf))
		c.Records++
		return true
	})
	c.Kept.Add(t.sums[part])
}

// Count is what a recount has found.
type Count struct {
	Sum     digest.Sum // of the records
	Kept    digest.Sum // that was kept up to date as they changed
	Records int
	buf     []byte // scratch memory: most of a recount's time would go into the collector
}

// Edge relates one entity to another: group to member, policy to holder.
type Edge struct{ From, To Handle }

// EdgeLess is the order of edges.
func EdgeLess(a, b Edge) bool {
	return a.From < b.From || a.From == b.From && a.To < b.To
}

// Relation is a persistent set of edges in order of (from, to), with the number
// of edges from each entity. Relations are derived from the records and so have
// no digest.
type Relation struct {
	Edges  *btree.BTreeG[Edge]
	Degree btree.Map[Handle, int]
}

// NewRelation returns a relation without edges.
func NewRelation() Relation {
	return Relation{Edges: btree.NewBTreeGOptions(EdgeLess, btree.Options{NoLocks: true})}
}

// Add adds an edge, if it is not there.
func (r *Relation) Add(from, to Handle) {
	if _, there := r.Edges.Set(Edge{from, to}); !there {
		r.Degree.Set(from, r.Count(from)+1)
	}
}

// Remove takes an edge away, if it is there.
func (r *Relation) Remove(from, to Handle) {
	if _, there := r.Edges.Delete(Edge{from, to}); !there {
		return
	}
	if n := r.Count(from) - 1; n > 0 {
		r.Degree.Set(from, n)
	} else {
		r.Degree.Delete(from)
	}
}

// Count is how many edges lead from an entity.
func (r *Relation) Count(from Handle) int {
	n, _ := r.Degree.Get(from)
	return n
}

// Snapshot is a copy that later changes to r do not reach.
func (r *Relation) Snapshot() Relation {
	return Relation{Edges: r.Edges.Copy(), Degree: *r.Degree.Copy()}
}

// Each calls yield for the targets of from that come after the one of that id,
// or all if it is empty, until yield returns false.
func (r *Relation) Each(from, after string, yield func(to Handle) bool) {
	start := Edge{From: HandleOf(from)}
	if after != "" {
		start.To = HandleOf(after) + 1
	}
	r.Edges.Ascend(start, func(e Edge) bool { return e.From == start.From && yield(e.To) })
}

// SumOf is the digest of one record.
func SumOf[R Row](r R) digest.Sum {
	var buf [512]byte
	return digest.Of(r.AppendDigest(buf[:0]))
}
