package identity

import "github.com/tidwall/btree"

// handle stands for an identifier in the tables and derived maps: a hash of its
// text, so that a map's nodes hold numbers in place instead of pointers to text.
// That makes look-ups several times faster and the maps a third of the size.
//
// Invariant: no two identifiers in a state have the same handle. Decide refuses
// the one identifier in 2^61 that would break it, as one that is in use.
type handle uint64

// handleBits is the size of a handle; names have room for a kind beside it.
const handleBits = 61

// handleOf is the FNV-1a hash of the text, less its last bits. A change of it
// alters the order of records, which listings and snapshots show.
func handleOf[S ~string](text S) handle {
	h := uint64(0xcbf29ce484222325)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 0x100000001b3
	}
	return handle(h >> (64 - handleBits))
}

// record is one immutable value of a table. What appendDigest leaves out must be derivable.
type record interface {
	comparable
	handle() handle
	// is says whether the record has that key; two keys can share a handle only
	// if one of them is in no table.
	is(key string) bool
	// appendDigest appends an injective encoding of the record, its key included.
	appendDigest(b []byte) []byte
}

// Parts is into how many parts the records of a state are divided, by their
// handles. Each part has a digest of its own, so that a state can be checked a
// part at a time, and a part that is found altered is found at once.
const (
	Parts    = 1 << partBits
	partBits = 3
)

// part is the one that records of that handle belong to.
func (h handle) part() int { return int(h >> (handleBits - partBits)) }

// table is a persistent map of records by key that keeps its own digests.
type table[K ~string, R record] struct {
	rows btree.Map[handle, R]
	sums [Parts]Digest
}

// sum is the digest of all records.
func (t *table[K, R]) sum() (d Digest) {
	for _, part := range t.sums {
		d.add(part)
	}
	return d
}

func (t *table[K, R]) get(key K) (R, bool) {
	r, ok := t.rows.Get(handleOf(key))
	if !ok || !r.is(string(key)) {
		var none R
		return none, false
	}
	return r, true
}

func (t *table[K, R]) put(r R) {
	sum := &t.sums[r.handle().part()]
	old, replaced := t.rows.Set(r.handle(), r)
	if replaced {
		sum.sub(hashRecord(old))
	}
	sum.add(hashRecord(r))
}

func (t *table[K, R]) delete(r R) {
	if old, ok := t.rows.Delete(r.handle()); ok {
		t.sums[r.handle().part()].sub(hashRecord(old))
	}
}

// snapshot is a copy that later changes to t do not reach. Only t's owner may call it.
func (t *table[K, R]) snapshot() table[K, R] {
	return table[K, R]{rows: *t.rows.Copy(), sums: t.sums}
}

// recount computes the digest of one part from its records.
func (t *table[K, R]) recount(part int, c *count) {
	t.rows.Ascend(handle(part)<<(handleBits-partBits), func(h handle, r R) bool {
		if h.part() != part {
			return false
		}
		c.buf = r.appendDigest(c.buf[:0])
		c.sum.add(hash(c.buf))
		c.records++
		return true
	})
	c.kept.add(t.sums[part])
}

// count is what a recount has found.
type count struct {
	sum     Digest // of the records
	kept    Digest // that was kept up to date as they changed
	records int
	buf     []byte // scratch memory: most of a recount's time would go into the collector
}

// edge relates one entity to another: group to member, policy to holder.
type edge struct{ from, to handle }

func edgeLess(a, b edge) bool {
	return a.from < b.from || a.from == b.from && a.to < b.to
}

// relation is a persistent set of edges in order of (from, to), with the number
// of edges from each entity. Relations are derived from the records and so have
// no digest.
type relation struct {
	edges  *btree.BTreeG[edge]
	degree btree.Map[handle, int]
}

func newRelation() relation {
	return relation{edges: btree.NewBTreeGOptions(edgeLess, btree.Options{NoLocks: true})}
}

func (r *relation) add(from, to handle) {
	if _, there := r.edges.Set(edge{from, to}); !there {
		r.degree.Set(from, r.count(from)+1)
	}
}

func (r *relation) remove(from, to handle) {
	if _, there := r.edges.Delete(edge{from, to}); !there {
		return
	}
	if n := r.count(from) - 1; n > 0 {
		r.degree.Set(from, n)
	} else {
		r.degree.Delete(from)
	}
}

func (r *relation) count(from handle) int {
	n, _ := r.degree.Get(from)
	return n
}

func (r *relation) snapshot() relation {
	return relation{edges: r.edges.Copy(), degree: *r.degree.Copy()}
}

// each calls yield for the targets of from that come after the one of that id,
// or all if it is empty, until yield returns false.
func (r *relation) each(from, after ID, yield func(to handle) bool) {
	start := edge{from: handleOf(from)}
	if after != "" {
		start.to = handleOf(after) + 1
	}
	r.edges.Ascend(start, func(e edge) bool { return e.from == start.from && yield(e.to) })
}
