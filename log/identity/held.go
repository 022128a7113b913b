package identity

// held points at the parts that users, groups, roles and policies have in
// common; nil where the kind lacks the part. It serves to read a record of the
// state and to write a copy of one, never to write a record of the state.
type held struct {
	kind     Kind
	id       ID
	account  AccountID
	name     string
	changed  *Position
	attached *[]ID
	inline   *[]InlinePolicy
	boundary *ID
	tags     *[]Tag
}

func (u *User) held() held {
	return held{KindUser, u.ID, u.Account, u.Name, &u.Changed, &u.Attached, &u.Inline, &u.Boundary, &u.Tags}
}

func (g *Group) held() held {
	return held{KindGroup, g.ID, g.Account, g.Name, &g.Changed, &g.Attached, &g.Inline, nil, nil}
}

func (r *Role) held() held {
	return held{KindRole, r.ID, r.Account, r.Name, &r.Changed, &r.Attached, &r.Inline, &r.Boundary, &r.Tags}
}

func (p *Policy) held() held {
	return held{KindPolicy, p.ID, p.Account, p.Name, &p.Changed, nil, nil, nil, &p.Tags}
}

// mustHold finds the entity of that kind and name, or refuses as AWS does.
func (s *State) mustHold(kind Kind, account AccountID, name string) (held, error) {
	to, ok := s.names.find(scopeOf(account, kind), name)
	if !ok {
		return held{}, refuse(NoSuchEntity, "The %s with name %s cannot be found.", kind.Noun(), name)
	}
	_, id, _ := s.entity(to)
	h, _ := s.held(kind, id)
	return h, nil
}

// held finds the entity by its unique identifier.
func (s *State) held(kind Kind, id ID) (held, bool) {
	switch kind {
	case KindUser:
		if u, ok := s.users.get(id); ok {
			return u.held(), true
		}
	case KindGroup:
		if g, ok := s.groups.get(id); ok {
			return g.held(), true
		}
	case KindRole:
		if r, ok := s.roles.get(id); ok {
			return r.held(), true
		}
	case KindPolicy:
		if p, ok := s.policies.get(id); ok {
			return p.held(), true
		}
	}
	return held{}, false
}

// change replaces the entity by a changed copy. Slices of the copy are shared
// with the original: f must replace them, not write into them.
func (s *State) change(kind Kind, id ID, f func(held)) {
	switch kind {
	case KindUser:
		changeRecord(&s.users, id, func(u *User) { f(u.held()) })
	case KindGroup:
		changeRecord(&s.groups, id, func(g *Group) { f(g.held()) })
	case KindRole:
		changeRecord(&s.roles, id, func(r *Role) { f(r.held()) })
	case KindPolicy:
		changeRecord(&s.policies, id, func(p *Policy) { f(p.held()) })
	}
}

// changeRecord replaces the record under key, if there is one, by a changed
// copy. Slices of the copy are shared with the original: f must replace them,
// not write into them.
func changeRecord[K ~string, R any, P interface {
	*R
	record
}](t *table[K, P], key K, f func(P)) {
	old, ok := t.get(key)
	if !ok {
		return
	}
	r := *old
	f(&r)
	t.put(&r)
}

// appended is list with more at its end, in memory of its own.
func appended[E any](list []E, more ...E) []E {
	return append(list[:len(list):len(list)], more...)
}

// without is list without the elements that drop chooses, in memory of its own;
// nil when nothing is left.
func without[E any](list []E, drop func(E) bool) (kept []E) {
	for _, e := range list {
		if !drop(e) {
			kept = append(kept, e)
		}
	}
	return kept
}
