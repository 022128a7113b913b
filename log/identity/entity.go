package identity

import (
	"github.com/writ-iam/writ/log/table"
)

// KindOf says what the entity with that unique identifier is, if there is one.
func (s *State) KindOf(id ID) (Kind, bool) {
	kind, found, ok := s.entity(table.HandleOf(id))
	if !ok || found != id {
		return 0, false
	}
	return kind, true
}

// entity finds the user, group, role or policy with that handle.
func (s *State) entity(h table.Handle) (Kind, ID, bool) {
	if u, ok := s.users.Rows.Get(h); ok {
		return KindUser, u.ID, true
	}
	if g, ok := s.groups.Rows.Get(h); ok {
		return KindGroup, g.ID, true
	}
	if r, ok := s.roles.Rows.Get(h); ok {
		return KindRole, r.ID, true
	}
	if p, ok := s.policies.Rows.Get(h); ok {
		return KindPolicy, p.ID, true
	}
	return 0, "", false
}

// Count is how many entities of a kind the account has.
func (s *State) Count(account AccountID, kind Kind) int {
	return s.names.count(scopeOf(account, kind))
}

// mayCreate refuses an entity that its account has no place for. The account
// "aws" has neither a record nor quotas.
func (s *State) mayCreate(account AccountID, kind Kind, name string, id ID) error {
	if account != AWSAccount {
		a, err := s.mustAccount(account)
		if err != nil {
			return err
		}
		if limit, quota := a.quota(kind); s.Count(account, kind) >= int(limit) {
			return refuse(LimitExceeded, "Cannot exceed quota for %s: %d", quota, limit)
		}
	}
	if err := s.mayIdentify(id); err != nil {
		return err
	}
	return s.mayRename(account, kind, name, id)
}

// mayRename refuses a name that another entity of the account and kind has.
func (s *State) mayRename(account AccountID, kind Kind, name string, id ID) error {
	holder, taken := s.names.find(scopeOf(account, kind), name)
	switch {
	case !taken || holder == table.HandleOf(id):
		return nil
	case kind == KindPolicy:
		return refuse(EntityAlreadyExists, "A policy called %s already exists. Duplicate names are not allowed.", name)
	}
	return refuse(EntityAlreadyExists, "%s with name %s already exists.", kind.title(), name)
}

// mayIdentify refuses a unique identifier that an account or entity has; see handle.
func (s *State) mayIdentify(id ID) error {
	_, _, taken := s.entity(table.HandleOf(id))
	if _, account := s.accounts.Rows.Get(table.HandleOf(id)); taken || account {
		return refuse(EntityAlreadyExists, "The unique identifier %s is in use.", id)
	}
	return nil
}

// held points at the parts that users, groups, roles and policies have in
// common; nil where the kind lacks the part. It serves to read a record of the
// state and to write a copy of one, never to write a record of the state.
type held struct {
	kind     Kind
	id       ID
	account  AccountID
	name     string
	path     string
	changed  *Position
	attached *[]ID
	inline   *[]InlinePolicy
	boundary *ID
	tags     *[]Tag
}

func (u *User) held() held {
	return held{KindUser, u.ID, u.Account, u.Name, u.Path, &u.Changed, &u.Attached, &u.Inline, &u.Boundary, &u.Tags}
}

func (g *Group) held() held {
	return held{KindGroup, g.ID, g.Account, g.Name, g.Path, &g.Changed, &g.Attached, &g.Inline, nil, nil}
}

func (r *Role) held() held {
	return held{KindRole, r.ID, r.Account, r.Name, r.Path, &r.Changed, &r.Attached, &r.Inline, &r.Boundary, &r.Tags}
}

func (p *Policy) held() held {
	return held{KindPolicy, p.ID, p.Account, p.Name, p.Path, &p.Changed, nil, nil, nil, &p.Tags}
}

// held finds the entity of that kind.
func (s *State) held(kind Kind, h table.Handle) (held, bool) {
	switch kind {
	case KindUser:
		if u, ok := s.users.Rows.Get(h); ok {
			return u.held(), true
		}
	case KindGroup:
		if g, ok := s.groups.Rows.Get(h); ok {
			return g.held(), true
		}
	case KindRole:
		if r, ok := s.roles.Rows.Get(h); ok {
			return r.held(), true
		}
	case KindPolicy:
		if p, ok := s.policies.Rows.Get(h); ok {
			return p.held(), true
		}
	}
	return held{}, false
}

// mustHold finds the user, group or role, or refuses as AWS does.
func (s *State) mustHold(o Owner) (held, error) {
	if o.Kind != KindUser && o.Kind != KindGroup && o.Kind != KindRole {
		return held{}, refuse(InvalidInput, "An entity of kind %d cannot be the owner.", o.Kind)
	}
	to, ok := s.names.find(scopeOf(o.Account, o.Kind), o.Name)
	if !ok {
		return held{}, refuse(NoSuchEntity, "The %s with name %s cannot be found.", o.Kind.Noun(), o.Name)
	}
	h, _ := s.held(o.Kind, to)
	return h, nil
}

// change is changeRecord for the parts that kinds have in common.
func (s *State) change(kind Kind, id ID, f func(held) bool) {
	switch kind {
	case KindUser:
		changeRecord(&s.users, id, func(u *User) bool { return f(u.held()) })
	case KindGroup:
		changeRecord(&s.groups, id, func(g *Group) bool { return f(g.held()) })
	case KindRole:
		changeRecord(&s.roles, id, func(r *Role) bool { return f(r.held()) })
	case KindPolicy:
		changeRecord(&s.policies, id, func(p *Policy) bool { return f(p.held()) })
	}
}

// changeRecord replaces the record under key, if there is one, by a changed
// copy, unless f finds nothing to change and returns false. Slices of the copy
// are shared with the original: f must replace them, not write into them.
func changeRecord[K ~string, R any, P interface {
	*R
	table.Record
}](t *table.Table[K, P], key K, f func(P) bool) {
	old, ok := t.Get(key)
	if !ok {
		return
	}
	r := *old
	if f(&r) {
		t.Put(&r)
	}
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
