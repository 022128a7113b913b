package authz

import (
	"cmp"
	"slices"

	"github.com/writ-iam/writ/projection/policy"
)

// indexBuilder collects statements for an index.
type indexBuilder struct {
	always []ref
	keyed  []keyedRef
}

// keyedRef is a statement under the head of one of its patterns.
type keyedRef struct {
	service uint32
	entry   entry
	ref     ref
}

func (b *indexBuilder) add(r ref) {
	if r.statement.NotAction || slices.ContainsFunc(r.statement.Actions, func(p policy.ActionPattern) bool {
		return p.Service == ""
	}) {
		b.always = append(b.always, r)
		return
	}
	first := len(b.keyed)
	for i := range r.statement.Actions {
		k := keyOf(&r.statement.Actions[i])
		k.ref = r
		if !slices.Contains(b.keyed[first:], k) {
			b.keyed = append(b.keyed, k)
		}
	}
}

func keyOf(p *policy.ActionPattern) keyedRef {
	var a actionHash
	a.hash(p.Service + ":" + p.Prefix)
	k := keyedRef{service: a.service}
	if p.Exact {
		k.entry = entry{length: exactLength, hash: a.name[exactLength]}
	} else {
		k.entry = entry{length: uint8(a.length), hash: a.name[a.length]}
	}
	return k
}

// index lays the statements out. Within an entry they keep their order.
func (b *indexBuilder) index() index {
	slices.SortStableFunc(b.keyed, func(x, y keyedRef) int {
		return cmp.Or(cmp.Compare(x.service, y.service), compareEntries(x.entry, y.entry))
	})
	x := index{always: slices.Clip(b.always)}
	for i, k := range b.keyed {
		newService := i == 0 || k.service != b.keyed[i-1].service
		if newService {
			x.services = append(x.services, service{hash: k.service, first: uint32(len(x.entries))})
		}
		if newService || compareEntries(k.entry, b.keyed[i-1].entry) != 0 {
			k.entry.first = uint32(i)
			x.entries = append(x.entries, k.entry)
		}
		x.refs = append(x.refs, k.ref)
	}
	x.services, x.entries, x.refs = slices.Clip(x.services), slices.Clip(x.entries), slices.Clip(x.refs)
	return x
}
