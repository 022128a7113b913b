package identity

import (
	"slices"
	"strings"

	"github.com/tidwall/btree"

	"github.com/writ-iam/writ/log/table"
)

// rootPath is the path of what was given none.
const rootPath = "/"

// place is an entry of the index of paths: the path, and the name without regard to case.
type place struct {
	scope scope
	path  string
	text  string
	to    table.Handle
}

func placeLess(a, b place) bool {
	switch {
	case a.scope != b.scope:
		return a.scope < b.scope
	case a.path != b.path:
		return a.path < b.path
	}
	return a.text < b.text
}

// paths is the persistent index of what has another path than the root's, in order of
// scope, path and name. It is derived from the records.
type paths struct{ entries *btree.BTreeG[place] }

func newPaths() paths {
	return paths{btree.NewBTreeGOptions(placeLess, btree.Options{NoLocks: true})}
}

func (p *paths) snapshot() paths { return paths{p.entries.Copy()} }

func (p *paths) add(in scope, path, text string, to table.Handle) {
	if path != rootPath {
		p.entries.Set(place{in, path, lower(text), to})
	}
}

func (p *paths) remove(in scope, path, text string) {
	if path != rootPath {
		p.entries.Delete(place{scope: in, path: path, text: lower(text)})
	}
}

func (p *paths) move(in scope, from, text, to, renamed string, h table.Handle) {
	p.remove(in, from, text)
	p.add(in, to, renamed, h)
}

// MaxBelow is how many entities whose paths begin with one prefix are put in order of
// name for one list.
const MaxBelow = 5000

// below returns what has a path that begins with prefix, which is longer than the root's,
// in order of name, that behind the name after; ok is false for more than MaxBelow.
func (p *paths) below(in scope, prefix, after string) (found []place, ok bool) {
	after, ok = lower(after), true
	seen := 0
	p.entries.Ascend(place{scope: in, path: prefix}, func(e place) bool {
		if e.scope != in || !strings.HasPrefix(e.path, prefix) {
			return false
		}
		if seen == MaxBelow {
			ok = false
			return false
		}
		seen++
		if e.text > after {
			found = append(found, e)
		}
		return true
	})
	slices.SortFunc(found, func(a, b place) int { return strings.Compare(a.text, b.text) })
	return found, ok
}

// listBelow is list for the entities whose path begins with a prefix that is longer than
// the root's. It yields nothing and returns false where these are more than MaxBelow.
func listBelow[R table.Row](s *State, t *table.Table[ID, R], account AccountID, kind Kind, prefix, after string, yield func(R) bool) bool {
	found, ok := s.paths.below(scopeOf(account, kind), prefix, after)
	if !ok {
		return false
	}
	for _, e := range found {
		if r, _ := t.Rows.Get(e.to); !yield(r) {
			break
		}
	}
	return true
}
