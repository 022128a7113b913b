package identity

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/tidwall/btree"
)

// Record is one entry of a State, the unit of a snapshot: *Header, *Account,
// *User, *Group, *Role, *Policy, *Replica, *BarredReplica or *Attempt.
type Record interface {
	appendDigest(b []byte) []byte
}

// Header is the part of a State that there is one of.
type Header struct {
	Position  Position
	Time      Time
	Cluster   Cluster
	Forgotten Forgotten
}

func (h *Header) appendDigest(b []byte) []byte {
	b = h.Cluster.appendDigest(appendInt(appendInt(b, uint64(h.Position)), int64(h.Time)))
	if h.Forgotten == (Forgotten{}) { // as before there were signatures
		return b
	}
	return appendInt(appendInt(b, int64(h.Forgotten.Signed)), int64(h.Forgotten.Until))
}

func (s *State) header() Header {
	return Header{Position: s.position, Time: s.time, Cluster: s.cluster, Forgotten: s.attempts.gone}
}

// Records yields every record of the state until yield returns false: the
// header, the accounts, the policies, roles, groups and users in order of
// account and name, the replicas, the barred ones, and the attempts from the oldest on. Equal
// states yield equal records in equal order. A Loader makes the state again.
func (s *State) Records(yield func(Record) bool) {
	h := s.header()
	if !yield(&h) {
		return
	}
	more := true
	s.accounts.rows.Scan(func(_ handle, a *Account) bool {
		more = yield(a)
		return more
	})
	if !more {
		return
	}
	s.names.entries.Ascend(name{scope: aliases + 1}, func(n name) bool {
		more = yield(s.record(n))
		return more
	})
	if !more {
		return
	}
	s.replicas.rows.Scan(func(_ handle, r *Replica) bool {
		more = yield(r)
		return more
	})
	if !more {
		return
	}
	s.barred.rows.Scan(func(_ handle, r *BarredReplica) bool {
		more = yield(r)
		return more
	})
	if !more {
		return
	}
	s.attempts.order.Scan(func(_ Position, h handle) bool {
		a, _ := s.attempts.byKey.rows.Get(h)
		return yield(a)
	})
}

// record is the one that a name belongs to.
func (s *State) record(n name) Record {
	switch n.scope.kind() {
	case KindUser:
		u, _ := s.users.rows.Get(n.to)
		return u
	case KindGroup:
		g, _ := s.groups.rows.Get(n.to)
		return g
	case KindRole:
		r, _ := s.roles.rows.Get(n.to)
		return r
	}
	p, _ := s.policies.rows.Get(n.to)
	return p
}

// Loader makes a State of its records. Any order gives the same state; that of
// State.Records is the quickest. Strings that many records have, such as the ids
// of accounts and groups, should share memory: the loader keeps them as they are.
//
// The maps are filled at the end, from sorted lists: that is several times
// faster than one entry after the other, and leaves no gaps in their nodes.
type Loader struct {
	state  *State
	header bool
	err    error

	accounts rows[*Account]
	users    rows[*User]
	groups   rows[*Group]
	roles    rows[*Role]
	policies rows[*Policy]
	replicas rows[*Replica]
	barred   rows[*BarredReplica]
	attempts rows[*Attempt]
	signed   []edge
	keys     rows[handle]
	names    []name
	members  []edge
	holders  []edge
	bounded  []edge
}

// NewLoader returns a loader that was given nothing yet.
func NewLoader() *Loader { return &Loader{state: NewState()} }

// Add takes a record, which nobody may change from then on.
func (l *Loader) Add(r Record) {
	switch r := r.(type) {
	case *Header:
		l.header = true
		l.state.position, l.state.time, l.state.cluster, l.state.attempts.gone = r.Position, r.Time, r.Cluster, r.Forgotten
	case *Account:
		l.addAccount(r)
	case *User:
		l.addUser(r)
	case *Group:
		addRow(&l.state.groups, &l.groups, r)
		l.addHeld(r.held(), r.handle())
	case *Role:
		addRow(&l.state.roles, &l.roles, r)
		l.addHeld(r.held(), r.handle())
	case *Policy:
		addRow(&l.state.policies, &l.policies, r)
		l.addHeld(r.held(), r.handle())
	case *Replica:
		addRow(&l.state.replicas, &l.replicas, r)
	case *BarredReplica:
		addRow(&l.state.barred, &l.barred, r)
	case *Attempt:
		addRow(&l.state.attempts.byKey, &l.attempts, r)
		l.state.attempts.order.Load(r.At, r.handle())
		if r.Signature != (Signature{}) {
			l.signed = append(l.signed, r.signed())
		}
		l.state.attempts.count(r, 1)
	default:
		l.err = fmt.Errorf("load state: unknown record %T", r)
	}
}

func (l *Loader) addAccount(a *Account) {
	addRow(&l.state.accounts, &l.accounts, a)
	l.addKeys(a.Keys, a.handle())
	if a.Alias != "" {
		l.names = append(l.names, name{aliases, lower(a.Alias), a.handle()})
	}
}

func (l *Loader) addUser(u *User) {
	h := u.handle()
	addRow(&l.state.users, &l.users, u)
	l.addHeld(u.held(), h)
	l.addKeys(u.Keys, h)
	for _, g := range u.Groups {
		l.members = append(l.members, edge{handleOf(g), h})
	}
}

func (l *Loader) addKeys(keys []AccessKey, owner handle) {
	for i := range keys {
		l.keys.add(handleOf(keys[i].ID), owner)
	}
}

func (l *Loader) addHeld(h held, to handle) {
	l.names = append(l.names, name{scopeOf(h.account, h.kind), lower(h.name), to})
	if h.attached != nil {
		for _, p := range *h.attached {
			l.holders = append(l.holders, edge{handleOf(p), to})
		}
	}
	if h.boundary != nil && *h.boundary != "" {
		l.bounded = append(l.bounded, edge{handleOf(*h.boundary), to})
	}
}

// State returns the state whose records were added; the loader is spent then. It
// fails when the header is missing, a record was of no known kind, or two
// records have the same key. Most of its time is sorting and filling maps, in jobs
// that know nothing of each other: run runs them, side by side if it likes, and
// returns when all have ended; nil runs one after the other.
func (l *Loader) State(run func(jobs []func())) (*State, error) {
	s := l.state
	if !l.header {
		l.err = errors.Join(l.err, errors.New("load state: no header among the records"))
	}
	fills := []func() error{
		func() error { return fill(&s.accounts.rows, &l.accounts) },
		func() error { return fill(&s.users.rows, &l.users) },
		func() error { return fill(&s.groups.rows, &l.groups) },
		func() error { return fill(&s.roles.rows, &l.roles) },
		func() error { return fill(&s.policies.rows, &l.policies) },
		func() error { return fill(&s.replicas.rows, &l.replicas) },
		func() error { return fill(&s.barred.rows, &l.barred) },
		func() error { return fill(&s.attempts.byKey.rows, &l.attempts) },
		func() error {
			fillEdges(s.attempts.signed, l.signed)
			s.attempts.signed = packed(s.attempts.signed)
			return nil
		},
		func() error { return fill(&s.keys, &l.keys) },
		func() error { return fillNames(&s.names, &l.names) },
		func() error { fillRelation(&s.members, &l.members); return nil },
		func() error { fillRelation(&s.holders, &l.holders); return nil },
		func() error { fillRelation(&s.bounded, &l.bounded); return nil },
	}
	errs := make([]error, len(fills)+1)
	errs[len(fills)] = l.err
	jobs := make([]func(), len(fills))
	for i, fill := range fills {
		jobs[i] = func() { errs[i] = fill() }
	}
	if run == nil {
		run = inTurn
	}
	run(jobs)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

func inTurn(jobs []func()) {
	for _, job := range jobs {
		job()
	}
}

// rows are the entries of a map by handle.
type rows[V any] []row[V]

type row[V any] struct {
	key   handle
	value V
}

func (r *rows[V]) add(key handle, value V) { *r = append(*r, row[V]{key, value}) }

// addRow takes a record of a table.
func addRow[K ~string, R record](t *table[K, R], to *rows[R], r R) {
	h := r.handle()
	t.sums[h.part()].add(hashRecord(r))
	to.add(h, r)
}

// fill moves the rows into an empty map.
func fill[V any](m *btree.Map[handle, V], from *rows[V]) (err error) {
	slices.SortFunc(*from, func(a, b row[V]) int { return cmp.Compare(a.key, b.key) })
	for _, r := range *from {
		if _, twice := m.Load(r.key, r.value); twice {
			err = fmt.Errorf("load state: two records or keys with handle %d", r.key)
		}
	}
	*from = nil
	pack(m)
	return err
}

func fillNames(n *names, from *[]name) (err error) {
	if !slices.IsSortedFunc(*from, compareNames) {
		slices.SortFunc(*from, compareNames)
	}
	for _, e := range *from {
		if _, twice := n.entries.Load(e); twice {
			err = fmt.Errorf("load state: two records with the name %s", e.text)
		}
		n.number.Set(e.scope, n.count(e.scope)+1)
	}
	*from = nil
	n.entries = packed(n.entries)
	return err
}

func compareNames(a, b name) int {
	if c := cmp.Compare(a.scope, b.scope); c != 0 {
		return c
	}
	return cmp.Compare(a.text, b.text)
}

func fillRelation(r *relation, from *[]edge) {
	fillEdges(r.edges, *from)
	for _, e := range *from {
		r.degree.Set(e.from, r.count(e.from)+1)
	}
	*from = nil
	r.edges = packed(r.edges)
}

// fillEdges moves edges into an empty set.
func fillEdges(to *btree.BTreeG[edge], from []edge) {
	slices.SortFunc(from, func(a, b edge) int {
		if c := cmp.Compare(a.from, b.from); c != 0 {
			return c
		}
		return cmp.Compare(a.to, b.to)
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

// packed is pack for a set.
func packed[E any](t *btree.BTreeG[E]) *btree.BTreeG[E] {
	c := t.Copy()
	c.ScanMut(func(E) bool { return true })
	return c
}
