package identity

import (
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// AccessKey is a long-term credential of a user or of an account's root.
type AccessKey struct {
	ID      string
	Sealed  []byte // the secret, encrypted; the log never holds it in the clear
	Active  bool
	Created Time
}

// NewAccessKey is a key that the proposer minted.
type NewAccessKey struct {
	ID     string
	Sealed []byte
}

// MaxAccessKeys is how many access keys a user or a root may have ("IAM and AWS STS quotas").
const MaxAccessKeys = 2

// Credential is an access key with whoever owns it.
type Credential struct {
	AccessKey
	Account AccountID
	Owner   ID // a user's ID, or the account's number for its root
}

func appendKeys(b []byte, keys []AccessKey) []byte {
	b = digest.AppendInt(b, len(keys))
	for _, k := range keys {
		b = digest.AppendString(b, k.ID)
		b = digest.AppendString(b, k.Sealed)
		b = digest.AppendBool(b, k.Active)
		b = digest.AppendInt(b, int64(k.Created))
	}
	return b
}

// AccessKey returns the key of that id with its owner, unless their account is closed.
func (s *State) AccessKey(id string) (Credential, bool) {
	owner, ok := s.keys.Get(table.HandleOf(id))
	if !ok {
		return Credential{}, false
	}
	var c Credential
	var keys []AccessKey
	if u, ok := s.users.Rows.Get(owner); ok {
		c.Account, c.Owner, keys = u.Account, u.ID, u.Keys
	} else if a, ok := s.accounts.Rows.Get(owner); ok {
		c.Account, c.Owner, keys = a.ID, ID(a.ID), a.Keys
	}
	i := findKey(keys, id)
	if i < 0 || s.Closed(c.Account) {
		return Credential{}, false
	}
	c.AccessKey = keys[i]
	return c, true
}

// CreateAccessKey gives a user, or the root where User is empty, another key.
type CreateAccessKey struct {
	Account AccountID
	User    string
	Key     NewAccessKey
}

// AccessKeyCreated gave its owner another key.
type AccessKeyCreated struct {
	Account AccountID
	Owner   ID
	ID      string
	Sealed  []byte
	Created Time
}

func (c *CreateAccessKey) decide(s *State, m Meta) ([]Event, error) {
	owner, keys, err := s.keyOwner(c.Account, c.User)
	if err != nil {
		return nil, err
	}
	if len(keys) >= MaxAccessKeys {
		return nil, refuse(LimitExceeded, "Cannot exceed quota for AccessKeysPerUser: %d", MaxAccessKeys)
	}
	if err := s.mayAddKey(c.Key.ID); err != nil {
		return nil, err
	}
	return []Event{&AccessKeyCreated{Account: c.Account, Owner: owner, ID: c.Key.ID, Sealed: c.Key.Sealed, Created: m.Time}}, nil
}

func (e *AccessKeyCreated) evolve(s *State) {
	s.changeKeys(e.Owner, func(keys []AccessKey) []AccessKey {
		return appended(keys, AccessKey{ID: e.ID, Sealed: e.Sealed, Active: true, Created: e.Created})
	})
	s.keys.Set(table.HandleOf(e.ID), table.HandleOf(e.Owner))
}

// UpdateAccessKey activates or deactivates a key.
type UpdateAccessKey struct {
	Account AccountID
	User    string
	ID      string
	Active  bool
}

// AccessKeyUpdated activated or deactivated a key.
type AccessKeyUpdated struct {
	Owner  ID
	ID     string
	Active bool
}

func (c *UpdateAccessKey) decide(s *State, _ Meta) ([]Event, error) {
	owner, err := s.mustOwnKey(c.Account, c.User, c.ID)
	if err != nil {
		return nil, err
	}
	return []Event{&AccessKeyUpdated{Owner: owner, ID: c.ID, Active: c.Active}}, nil
}

func (e *AccessKeyUpdated) evolve(s *State) {
	s.changeKeys(e.Owner, func(keys []AccessKey) []AccessKey {
		keys = slices.Clone(keys)
		if i := findKey(keys, e.ID); i >= 0 {
			keys[i].Active = e.Active
		}
		return keys
	})
}

// DeleteAccessKey ends a key for good.
type DeleteAccessKey struct {
	Account AccountID
	User    string
	ID      string
}

// AccessKeyDeleted ended a key for good.
type AccessKeyDeleted struct {
	Owner ID
	ID    string
}

func (c *DeleteAccessKey) decide(s *State, _ Meta) ([]Event, error) {
	owner, err := s.mustOwnKey(c.Account, c.User, c.ID)
	if err != nil {
		return nil, err
	}
	return []Event{&AccessKeyDeleted{Owner: owner, ID: c.ID}}, nil
}

func (e *AccessKeyDeleted) evolve(s *State) {
	s.changeKeys(e.Owner, func(keys []AccessKey) []AccessKey {
		return without(keys, func(k AccessKey) bool { return k.ID == e.ID })
	})
	s.keys.Delete(table.HandleOf(e.ID))
	s.forgetCredential(e.Owner, e.ID)
}

// keyOwner finds the user, or the root where user is empty, and its keys.
func (s *State) keyOwner(account AccountID, user string) (ID, []AccessKey, error) {
	if user == "" {
		a, err := s.mustAccount(account)
		if err != nil {
			return "", nil, err
		}
		return ID(account), a.Keys, nil
	}
	u, err := s.mustUser(account, user)
	if err != nil {
		return "", nil, err
	}
	return u.ID, u.Keys, nil
}

// mustOwnKey finds the owner of a key, which must be the user or root named.
func (s *State) mustOwnKey(account AccountID, user, id string) (ID, error) {
	owner, keys, err := s.keyOwner(account, user)
	if err != nil {
		return "", err
	}
	if findKey(keys, id) < 0 {
		return "", refuse(NoSuchEntity, "The Access Key with id %s cannot be found.", id)
	}
	return owner, nil
}

// mayAddKey refuses a key whose id is in use; see handle.
func (s *State) mayAddKey(id string) error {
	if _, taken := s.keys.Get(table.HandleOf(id)); taken {
		return refuse(EntityAlreadyExists, "The Access Key with id %s already exists.", id)
	}
	return nil
}

// changeKeys replaces the keys of a user or root. Keys do not count as a change
// of permissions: whoever uses a key is judged by the key itself.
func (s *State) changeKeys(owner ID, f func([]AccessKey) []AccessKey) {
	changeRecord(&s.users, owner, func(u *User) bool {
		u.Keys = f(u.Keys)
		return true
	})
	changeRecord(&s.accounts, AccountID(owner), func(a *Account) bool {
		a.Keys = f(a.Keys)
		return true
	})
}

func findKey(keys []AccessKey, id string) int {
	return slices.IndexFunc(keys, func(k AccessKey) bool { return k.ID == id })
}
