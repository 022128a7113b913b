package identity

import (
	"github.com/tidwall/btree"
	"github.com/writ-iam/writ/log/table"
)

// scope is where names are unique: one kind of entity in one account.
type scope uint64

// aliases is the scope of the aliases of accounts, which are unique in the cluster.
const aliases scope = 0

// scopeOf puts policies first and users last, the order in which State.Records
// yields them. Kinds above 7 have no names here: a scope has no more room.
func scopeOf(account AccountID, kind Kind) scope {
	return scope(7-kind)<<table.HandleBits | scope(table.HandleOf(account))
}

func (s scope) kind() Kind { return 7 - Kind(s>>table.HandleBits) }

// name is an entry of the index of names: the text without regard to case.
type name struct {
	scope scope
	text  string
	to    table.Handle
}

func nameLess(a, b name) bool {
	return a.scope < b.scope || a.scope == b.scope && a.text < b.text
}

// names is the persistent index of names, in order of scope and text, with the
// number of names in each scope. It is derived from the records.
type names struct {
	entries *btree.BTreeG[name]
	number  btree.Map[scope, int]
}

func newNames() names {
	return names{entries: btree.NewBTreeGOptions(nameLess, btree.Options{NoLocks: true})}
}

func (n *names) snapshot() names {
	return names{entries: n.entries.Copy(), number: *n.number.Copy()}
}

func (n *names) find(in scope, text string) (table.Handle, bool) {
	e, ok := n.entries.Get(name{scope: in, text: lower(text)})
	return e.to, ok
}

func (n *names) count(in scope) int {
	number, _ := n.number.Get(in)
	return number
}

func (n *names) add(in scope, text string, to table.Handle) {
	if _, there := n.entries.Set(name{in, lower(text), to}); !there {
		n.number.Set(in, n.count(in)+1)
	}
}

func (n *names) remove(in scope, text string) {
	if _, there := n.entries.Delete(name{scope: in, text: lower(text)}); !there {
		return
	}
	if number := n.count(in) - 1; number > 0 {
		n.number.Set(in, number)
	} else {
		n.number.Delete(in)
	}
}

func (n *names) rename(in scope, from, text string, to table.Handle) {
	n.remove(in, from)
	n.add(in, text, to)
}

// each yields the entities whose names come after the name after, in order of name.
func (n *names) each(in scope, after string, yield func(table.Handle) bool) {
	start := name{scope: in, text: lower(after)}
	n.entries.Ascend(start, func(e name) bool {
		if e.scope != in {
			return false
		}
		return e.text == start.text || yield(e.to)
	})
}

// named finds the record of a name in the table of its kind. The index has accounts by
// their handles, and who asks may have found another text with the handle of an account:
// the record says whose it is.
func named[R holder](s *State, t *table.Table[ID, R], account AccountID, kind Kind, text string) (R, bool) {
	to, ok := s.names.find(scopeOf(account, kind), text)
	if !ok {
		var none R
		return none, false
	}
	r, ok := t.Rows.Get(to)
	return r, ok && r.held().account == account
}

// list yields the entities of a kind whose names come after the name after, in
// order of name without regard to case.
func list[R table.Row](s *State, t *table.Table[ID, R], account AccountID, kind Kind, after string, yield func(R) bool) {
	s.names.each(scopeOf(account, kind), after, func(to table.Handle) bool {
		r, _ := t.Rows.Get(to)
		return yield(r)
	})
}
