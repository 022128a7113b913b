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

// entity finds the entity of any kind with that handle.
func (s *State) entity(h table.Handle) (Kind, ID, bool) {
	for kind := KindUser; kind <= lastKind; kind++ {
		if found, ok := s.held(kind, h); ok {
			return kind, found.id, true
		}
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
		if err := s.hasRoom(a, kind); err != nil {
			return err
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
	case kind == KindInstanceProfile:
		return refuse(EntityAlreadyExists, "Instance Profile %s already exists.", name)
	case kind == KindServerCertificate:
		return refuse(EntityAlreadyExists, "The Server Certificate with name %s already exists.", name)
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

// held points at the parts that entities have in common; nil where the kind lacks
// the part. It serves to read a record of the state and to write a copy of one,
// never to write a record of the state.
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

// holder is the record of an entity.
type holder interface {
	table.Row
	Record
	held() held
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

// held finds the entity of that kind. A kind without a line has no entities.
func (s *State) held(kind Kind, h table.Handle) (held, bool) {
	switch kind {
	case KindUser:
		return heldIn(&s.users, h)
	case KindGroup:
		return heldIn(&s.groups, h)
	case KindRole:
		return heldIn(&s.roles, h)
	case KindPolicy:
		return heldIn(&s.policies, h)
	case KindInstanceProfile:
		return heldIn(&s.instanceProfiles, h)
	case KindServerCertificate:
		return heldIn(&s.certificates, h)
	case KindSAMLProvider:
		return heldIn(&s.samlProviders, h)
	case KindOIDCProvider:
		return heldIn(&s.oidcProviders, h)
	case KindMFADevice:
		return heldIn(&s.mfaDevices, h)
	}
	return held{}, false
}

func heldIn[R holder](t *table.Table[ID, R], h table.Handle) (held, bool) {
	if r, ok := t.Rows.Get(h); ok {
		return r.held(), true
	}
	return held{}, false
}

// heldByName finds the entity that a command names: a provider by its ARN, any other by
// its name in its account.
func (s *State) heldByName(kind Kind, account AccountID, name string) (held, bool) {
	if !kind.named() {
		return s.heldByARN(kind, name)
	}
	to, ok := s.names.find(scopeOf(account, kind), name)
	if !ok {
		return held{}, false
	}
	h, ok := s.held(kind, to)
	return h, ok && h.account == account // as in named
}

// heldByARN finds the entity of a kind without names that has the ARN.
func (s *State) heldByARN(kind Kind, arn string) (held, bool) {
	h, ok := s.held(kind, table.HandleOf(arn))
	return h, ok && h.id == ID(arn)
}

// noSuch is AWS's answer to a name that no entity of the kind has.
func noSuch(kind Kind, name string) *Refusal {
	form := "The " + kind.Noun() + " with name %s cannot be found."
	switch kind {
	case KindPolicy:
		form = "Policy %s was not found."
	case KindInstanceProfile:
		form = "Instance Profile %s cannot be found."
	case KindServerCertificate:
		form = "The Server Certificate with name %s cannot be found."
	case KindMFADevice:
		form = "MFA Device with serial number %s does not exist."
	case KindSAMLProvider:
		form = "Manifest not found for arn %s"
	case KindOIDCProvider:
		form = "OpenIDConnect Provider not found for arn %s"
	}
	return refuse(NoSuchEntity, form, name)
}

// mustHold finds the user, group or role whose policies a command changes, or refuses as AWS does.
func (s *State) mustHold(o Owner) (held, error) {
	if o.Kind != KindUser && o.Kind != KindGroup && o.Kind != KindRole {
		return held{}, refuse(InvalidInput, "An entity of kind %d cannot be the owner.", o.Kind)
	}
	h, ok := s.heldByName(o.Kind, o.Account, o.Name)
	if !ok {
		return held{}, noSuch(o.Kind, o.Name)
	}
	return h, mustBeOrdinary(h.kind, h.path, h.name)
}

// change is changeRecord for the parts that kinds have in common.
func (s *State) change(kind Kind, id ID, f func(held) bool) {
	switch kind {
	case KindUser:
		changeHeld(&s.users, id, f)
	case KindGroup:
		changeHeld(&s.groups, id, f)
	case KindRole:
		changeHeld(&s.roles, id, f)
	case KindPolicy:
		changeHeld(&s.policies, id, f)
	case KindInstanceProfile:
		changeHeld(&s.instanceProfiles, id, f)
	case KindServerCertificate:
		changeHeld(&s.certificates, id, f)
	case KindSAMLProvider:
		changeHeld(&s.samlProviders, id, f)
	case KindOIDCProvider:
		changeHeld(&s.oidcProviders, id, f)
	case KindMFADevice:
		changeHeld(&s.mfaDevices, id, f)
	}
}

func changeHeld[R any, P interface {
	*R
	holder
}](t *table.Table[ID, P], id ID, f func(held) bool) {
	changeRecord(t, id, func(r P) bool { return f(r.held()) })
}

// changeRecord replaces the record under key, if there is one, by a changed
// copy, unless f finds nothing to change and returns false. Slices of the copy
// are shared with the original: f must replace them, not write into them.
func changeRecord[K ~string, R any, P interface {
	*R
	table.Row
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
