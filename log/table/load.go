package table

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tidwall/btree"
)

// Rows are the entries of a map by handle.
type Rows[V any] []loaded[V]

type loaded[V any] struct {
	key   Handle
	value V
}

// Add adds an entry.
func (r *Rows[V]) Add(key Handle, value V) { *r = append(*r, loaded[V]{key, value}) }

// AddRow takes a record of a table that is filled later, in whatever order.
func AddRow[K ~string, R Row](t *Table[K, R], to *Rows[R], r R) {
	h := r.Handle()
	t.sums[h.Part()].Add(SumOf(r))
	to.Add(h, r)
}

// Fill moves the rows into an empty map. It fails when two have the same handle.
func Fill[V any](m *btree.Map[Handle, V], from *Rows[V]) (err error) {
	slices.SortFunc(*from, func(a, b loaded[V]) int { return cmp.Compare(a.key, b.key) })
	for _, r := range *from {
		if _, twice := m.Load(r.key, r.value); twice {
			err = fmt.Errorf("load state: two records or keys with handle %d", r.key)
		}
	}
	*from = nil
	pack(m)
	return err
}

// FillRelation moves edges into an empty relation.
func FillRelation(r *Relation, from *[]Edge) {
	FillEdges(r.Edges, *from)
	for _, e := range *from {
		r.Degree.Set(e.From, r.Count(e.From)+1)
	}
	*from = nil
	r.Edges = Packed(r.Edges)
}

// FillEdges moves edges into an empty set.
func FillEdges(to *btree.BTreeG[Edge], from []Edge) {
	slices.SortFunc(from, func(a, b Edge) int {
		if c := cmp.Compare(a.From, b.From); c != 0 {
			return c
		}
		return cmp.Compare(a.To, b.To)
	})
	for _, e := range from {
		to.Load(e)
	}
}

// pack gives the nodes of a map that was filled in order, which share arrays of
// twice their size, arrays of their own size: a change of a copy copies a node.
func pack[K ~uint64, V any](m *btree.Map[K, V]) {
	c := m.Copy()
	c.ScanMut(func(K, V) bool { return true })
	*m = *c
}

// Packed is pack for a set.
func Packed[E any](t *btree.BTreeG[E]) *btree.BTreeG[E] {
	c := t.Copy()
	c.ScanMut(func(E) bool { return true })
	return c
}
