package identity

import "strings"

// title is the word for k that begins a sentence in AWS's messages.
func (k Kind) title() string {
	noun := k.Noun()
	return strings.ToUpper(noun[:1]) + noun[1:]
}

// quota is how many entities of a kind the account may have, with AWS's name for the quota.
func (a *Account) quota(kind Kind) (limit uint32, name string) {
	var own, standard uint32
	switch kind {
	case KindUser:
		own, standard, name = a.Quotas.Users, DefaultUsersQuota, "UsersPerAccount"
	case KindGroup:
		own, standard, name = a.Quotas.Groups, DefaultGroupsQuota, "GroupsPerAccount"
	case KindRole:
		own, standard, name = a.Quotas.Roles, DefaultRolesQuota, "RolesPerAccount"
	case KindPolicy:
		own, standard, name = a.Quotas.Policies, DefaultPoliciesQuota, "PoliciesPerAccount"
	}
	if own != 0 {
		return own, name
	}
	return standard, name
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
	if _, taken := s.KindOf(id); taken {
		return refuse(EntityAlreadyExists, "The unique identifier %s is in use.", id)
	}
	return s.mayRename(account, kind, name, id)
}

// mayRename refuses a name that another entity of the account and kind has.
func (s *State) mayRename(account AccountID, kind Kind, name string, id ID) error {
	if holder, taken := s.names.Get(nameKey(account, kind, name)); taken && holder != id {
		return refuse(EntityAlreadyExists, "%s with name %s already exists.", kind.title(), name)
	}
	return nil
}

// KindOf says what the entity with that unique identifier is, if there is one.
func (s *State) KindOf(id ID) (Kind, bool) {
	if _, ok := s.users.get(id); ok {
		return KindUser, true
	}
	if _, ok := s.groups.get(id); ok {
		return KindGroup, true
	}
	if _, ok := s.roles.get(id); ok {
		return KindRole, true
	}
	if _, ok := s.policies.get(id); ok {
		return KindPolicy, true
	}
	return 0, false
}

// Count is how many entities of a kind the account has.
func (s *State) Count(account AccountID, kind Kind) int {
	n, _ := s.counts.Get(countKey(account, kind))
	return n
}

func (s *State) linkName(account AccountID, kind Kind, name string, id ID) {
	s.names.Set(nameKey(account, kind, name), id)
	s.counts.Set(countKey(account, kind), s.Count(account, kind)+1)
}

func (s *State) unlinkName(account AccountID, kind Kind, name string) {
	s.names.Delete(nameKey(account, kind, name))
	if n := s.Count(account, kind) - 1; n > 0 {
		s.counts.Set(countKey(account, kind), n)
	} else {
		s.counts.Delete(countKey(account, kind))
	}
}

func (s *State) rename(account AccountID, kind Kind, from, to string, id ID) {
	s.names.Delete(nameKey(account, kind, from))
	s.names.Set(nameKey(account, kind, to), id)
}

// list yields the entities of a kind that sort after the name after, without
// regard to case, in order of name.
func list[R record](s *State, t *table[ID, R], account AccountID, kind Kind, after string, yield func(R) bool) {
	prefix, start := nameKey(account, kind, ""), nameKey(account, kind, after)
	s.names.Ascend(start, func(key string, id ID) bool {
		if !strings.HasPrefix(key, prefix) {
			return false
		}
		if key == start {
			return true
		}
		r, _ := t.get(id)
		return yield(r)
	})
}
