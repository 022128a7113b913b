package identity

import (
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

// below yields what has a path that begins with prefix, which is longer than the root's,
// in order of path and name, from behind after on: a path and a name behind it.
func (p *paths) below(in scope, prefix, after string, yield func(table.Handle) bool) {
	start := place{scope: in, path: prefix}
	if cut := strings.LastIndexByte(after, '/') + 1; cut > 0 {
		start.path, start.text = after[:cut], lower(after[cut:])
	}
	p.entries.Ascend(start, func(e place) bool {
		if e.scope != in || !strings.HasPrefix(e.path, prefix) {
			return e.scope == in && e.path < prefix
		}
		return after != "" && e.path == start.path && e.text == start.text || yield(e.to)
	})
}

// listBelow is list for the entities whose path begins with a prefix that is longer
// than the root's, in order of path and name; after is a path and a name behind it.
func listBelow[R table.Row](s *State, t *table.Table[ID, R], account AccountID, kind Kind, prefix, after string, yield func(R) bool) {
	s.paths.below(scopeOf(account, kind), prefix, after, func(to table.Handle) bool {
		r, _ := t.Rows.Get(to)
		return yield(r)
	})
}
