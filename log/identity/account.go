package identity

import (
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Account holds users, groups, roles and policies, and a root that may do everything.
type Account struct {
	ID      AccountID
	Created Time
	Alias   string
	Quotas  Quotas
	Keys    []AccessKey // of the root
	Tags    []Tag
	Changed Position // of the root's credentials or rights
}

// Handle makes a Account a record of a table, by its key, as do Is and AppendDigest.
func (a *Account) Handle() table.Handle { return table.HandleOf(a.ID) }

// Is tells whether the Account has that key.
func (a *Account) Is(key string) bool { return string(a.ID) == key }

// AppendDigest appends all that the Account has.
func (a *Account) AppendDigest(b []byte) []byte {
	b = append(b, 'a')
	b = digest.AppendString(b, a.ID)
	b = digest.AppendInt(b, int64(a.Created))
	b = digest.AppendString(b, a.Alias)
	b = a.Quotas.appendFirst(b)
	b = appendKeys(b, a.Keys)
	b = appendTags(b, a.Tags)
	b = digest.AppendInt(b, uint64(a.Changed))
	return a.Quotas.appendLater(b)
}

// Account returns the account of that number.
func (s *State) Account(id AccountID) (*Account, bool) { return s.accounts.Get(id) }

// Accounts returns all accounts in order of their numbers.
func (s *State) Accounts() []*Account {
	all := s.accounts.Rows.Values()
	slices.SortFunc(all, func(a, b *Account) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return all
}

// AccountByAlias returns the account that has the alias.
func (s *State) AccountByAlias(alias string) (*Account, bool) {
	to, ok := s.names.find(aliases, alias)
	if !ok {
		return nil, false
	}
	return s.accounts.Rows.Get(to)
}

// CreateAccount opens an account with a root access key.
type CreateAccount struct {
	ID      AccountID
	RootKey NewAccessKey
}

// AccountCreated opened an account.
type AccountCreated struct {
	ID      AccountID
	Created Time
}

func (c *CreateAccount) decide(s *State, m Meta) ([]Event, error) {
	if _, ok := s.accounts.Get(c.ID); ok || table.HandleOf(c.ID) == table.HandleOf(AWSAccount) {
		return nil, refuse(EntityAlreadyExists, "Account with id %s already exists.", c.ID)
	}
	if err := s.mayIdentify(ID(c.ID)); err != nil {
		return nil, err
	}
	if err := s.mayAddKey(c.RootKey.ID); err != nil {
		return nil, err
	}
	return []Event{
		&AccountCreated{ID: c.ID, Created: m.Time},
		&AccessKeyCreated{Account: c.ID, Owner: ID(c.ID), ID: c.RootKey.ID, Sealed: c.RootKey.Sealed, Created: m.Time},
	}, nil
}

func (e *AccountCreated) evolve(s *State) {
	s.accounts.Put(&Account{ID: e.ID, Created: e.Created, Changed: s.position})
}

// SetAccountAlias gives an account its one alias, unique in the cluster, instead
// of the one it had.
type SetAccountAlias struct {
	Account AccountID
	Alias   string
}

// AccountAliasSet gave an account its alias.
type AccountAliasSet struct {
	Account AccountID
	Alias   string
}

func (c *SetAccountAlias) decide(s *State, _ Meta) ([]Event, error) {
	if _, err := s.mustAccount(c.Account); err != nil {
		return nil, err
	}
	if _, taken := s.AccountByAlias(c.Alias); taken {
		return nil, refuse(EntityAlreadyExists, "The account alias %s already exists.", c.Alias)
	}
	return []Event{&AccountAliasSet{Account: c.Account, Alias: c.Alias}}, nil
}

func (e *AccountAliasSet) evolve(s *State) { s.changeAlias(e.Account, e.Alias) }

// DeleteAccountAlias takes an account's alias away.
type DeleteAccountAlias struct {
	Account AccountID
	Alias   string
}

// AccountAliasDeleted took an account's alias away.
type AccountAliasDeleted struct {
	Account AccountID
	Alias   string
}

func (c *DeleteAccountAlias) decide(s *State, _ Meta) ([]Event, error) {
	a, err := s.mustAccount(c.Account)
	if err != nil {
		return nil, err
	}
	if a.Alias == "" || a.Alias != c.Alias {
		return nil, refuse(NoSuchEntity, "The account alias with name %s cannot be found.", c.Alias)
	}
	return []Event{&AccountAliasDeleted{Account: c.Account, Alias: c.Alias}}, nil
}

func (e *AccountAliasDeleted) evolve(s *State) { s.changeAlias(e.Account, "") }

func (s *State) changeAlias(id AccountID, alias string) {
	changeRecord(&s.accounts, id, func(a *Account) bool {
		if a.Alias != "" {
			s.names.remove(aliases, a.Alias)
		}
		a.Alias = alias
		if alias != "" {
			s.names.add(aliases, alias, a.Handle())
		}
		return true
	})
}

func (s *State) mustAccount(id AccountID) (*Account, error) {
	if a, ok := s.accounts.Get(id); ok {
		return a, nil
	}
	return nil, refuse(NoSuchEntity, "The account with id %s cannot be found.", id)
}
