package identity

import (
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/casefold"
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

	Email    string // of the root: no other account's, whatever the letter case; empty where nobody gave one
	Name     string
	Password RootPassword
	Closed   Time // 0: it is open
}

// RootPassword is what a root signs in with. The zero value is that of a root without.
type RootPassword struct {
	Sealed []byte // the hash; empty where a password may be chosen and none was
	Set    Time
	SetAt  Position // it names that password
}

// MaxAccounts is how many accounts a cluster has at most, closed ones among them: a list of
// them has no pages.
const MaxAccounts = 1000

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
	b = a.Quotas.appendLater(b)
	if p := &a.Password; a.Email == "" && a.Name == "" && a.Closed == 0 && len(p.Sealed) == 0 && p.Set == 0 && p.SetAt == 0 { // as before there were any
		return b
	}
	b = append(b, "root"...)
	b = digest.AppendString(b, a.Email)
	b = digest.AppendString(b, a.Name)
	b = digest.AppendInt(b, int64(a.Closed))
	b = digest.AppendString(b, a.Password.Sealed)
	b = digest.AppendInt(b, int64(a.Password.Set))
	return digest.AppendInt(b, uint64(a.Password.SetAt))
}

// Account returns the account of that number.
func (s *State) Account(id AccountID) (*Account, bool) { return s.accounts.Get(id) }

// Accounts returns all accounts in order of their numbers.
func (s *State) Accounts() []*Account {
	all := s.accounts.Rows.Values()
	slices.SortFunc(all, func(a, b *Account) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return all
}

// NumAccounts is how many accounts there are, closed ones among them.
func (s *State) NumAccounts() int { return s.accounts.Rows.Len() }

// AccountByAlias returns the account that has the alias.
func (s *State) AccountByAlias(alias string) (*Account, bool) {
	to, ok := s.names.find(aliases, alias)
	if !ok {
		return nil, false
	}
	return s.accounts.Rows.Get(to)
}

// Closed tells whether an account was closed. What it has is kept, and none of it is found
// by whoever looks for a credential, a principal or what a name or an ARN names.
func (s *State) Closed(id AccountID) bool {
	a, ok := s.accounts.Get(id)
	return ok && a.Closed != 0
}

// AccountByEmail returns the account whose root has that e-mail address, whatever the
// letter case.
func (s *State) AccountByEmail(email string) (found *Account, ok bool) {
	s.accounts.Rows.Scan(func(_ table.Handle, a *Account) bool {
		if email != "" && casefold.Equal(a.Email, email) {
			found, ok = a, true
		}
		return !ok
	})
	return found, ok
}

// CreateAccount opens an account.
type CreateAccount struct {
	ID      AccountID
	RootKey NewAccessKey // without an ID: none
	Email   string       // of its root; empty: none
	Name    string
	Alias   string // empty: none
}

// AccountCreated opened an account.
type AccountCreated struct {
	ID      AccountID
	Created Time
}

// AccountDescribed said which e-mail address an account's root has, and how the account is
// called.
type AccountDescribed struct {
	Account AccountID
	Email   string
	Name    string
}

func (c *CreateAccount) decide(s *State, m Meta) ([]Event, error) {
	if _, ok := s.accounts.Get(c.ID); ok || table.HandleOf(c.ID) == table.HandleOf(AWSAccount) {
		return nil, refuse(EntityAlreadyExists, "Account with id %s already exists.", c.ID)
	}
	if s.NumAccounts() >= MaxAccounts {
		return nil, refuse(LimitExceeded, "The cluster has %d accounts, which is as many as there can be.", MaxAccounts)
	}
	if err := s.mayIdentify(ID(c.ID)); err != nil {
		return nil, err
	}
	if err := s.mayHaveEmail(c.ID, c.Email); err != nil {
		return nil, err
	}
	created := m.Time
	if first, ok := s.accounts.Get(s.ManagementAccount()); ok { // whatever the clock says: it stays the first
		created = max(created, first.Created+1)
	}
	events := []Event{&AccountCreated{ID: c.ID, Created: created}}
	if c.Email != "" || c.Name != "" {
		events = append(events, &AccountDescribed{Account: c.ID, Email: c.Email, Name: c.Name})
	}
	if c.Alias != "" {
		if err := s.mayHaveAlias(c.Alias); err != nil {
			return nil, err
		}
		events = append(events, &AccountAliasSet{Account: c.ID, Alias: c.Alias})
	}
	if c.RootKey.ID != "" {
		if err := s.mayAddKey(c.RootKey.ID); err != nil {
			return nil, err
		}
		events = append(events, &AccessKeyCreated{Account: c.ID, Owner: ID(c.ID), ID: c.RootKey.ID, Sealed: c.RootKey.Sealed, Created: m.Time})
	}
	return events, nil
}

func (e *AccountCreated) evolve(s *State) {
	s.accounts.Put(&Account{ID: e.ID, Created: e.Created, Changed: s.position})
}

func (e *AccountDescribed) evolve(s *State) {
	changeRecord(&s.accounts, e.Account, func(a *Account) bool {
		a.Email, a.Name = e.Email, e.Name
		return true
	})
}

// CloseAccount ends an account for good: its credentials, and that anybody is anything in
// it. What it has is kept, and its number, alias and e-mail address stay taken.
type CloseAccount struct{ Account AccountID }

// AccountClosed ended an account.
type AccountClosed struct {
	Account AccountID
	Closed  Time
}

func (c *CloseAccount) decide(s *State, m Meta) ([]Event, error) {
	if _, err := s.mustAccount(c.Account); err != nil {
		return nil, err
	}
	if c.Account == s.ManagementAccount() {
		return nil, refuse(InvalidInput, "The account %s manages the others and cannot be closed.", c.Account)
	}
	return []Event{&AccountClosed{Account: c.Account, Closed: max(m.Time, 1)}}, nil
}

func (e *AccountClosed) evolve(s *State) {
	changeRecord(&s.accounts, e.Account, func(a *Account) bool {
		a.Closed, a.Changed = e.Closed, s.position
		return true
	})
}

// SetRootEmail gives an account's root another e-mail address.
type SetRootEmail struct {
	Account AccountID
	Email   string
	First   bool // only where it has none
}

func (c *SetRootEmail) decide(s *State, _ Meta) ([]Event, error) {
	a, err := s.mustAccount(c.Account)
	if err != nil {
		return nil, err
	}
	if c.First && a.Email != "" {
		return nil, refuse(EntityAlreadyExists, "The root of account %s has an e-mail address.", c.Account)
	}
	if err := s.mayHaveEmail(c.Account, c.Email); err != nil {
		return nil, err
	}
	return []Event{&AccountDescribed{Account: c.Account, Email: c.Email, Name: a.Name}}, nil
}

// mayHaveEmail refuses the e-mail address of another account's root.
func (s *State) mayHaveEmail(id AccountID, email string) error {
	if a, taken := s.AccountByEmail(email); taken && a.ID != id {
		return refuse(EntityAlreadyExists, "The e-mail address %s belongs to the root of another account.", email)
	}
	return nil
}

// SetRootPassword gives an account's root another password, which the proposer has hashed
// and sealed.
type SetRootPassword struct {
	Account AccountID
	Instead Position // where the password was set that it replaces; zero: there is none
	Sealed  []byte   // empty: the root may choose a password, and has none until then
}

// RootPasswordSet gave an account's root another password.
type RootPasswordSet struct {
	Account AccountID
	Sealed  []byte
	Set     Time
}

func (c *SetRootPassword) decide(s *State, m Meta) ([]Event, error) {
	a, err := s.mustAccount(c.Account)
	switch {
	case err != nil:
		return nil, err
	case len(c.Sealed) == 0 && a.Password.SetAt != 0:
		return nil, refuse(EntityAlreadyExists, "Login Profile for user root already exists.")
	case a.Password.SetAt != c.Instead:
		return nil, refuse(StaleAuthorization, "The password of the root of account %s was changed meanwhile.", c.Account)
	}
	return []Event{&RootPasswordSet{Account: c.Account, Sealed: c.Sealed, Set: m.Time}}, nil
}

func (e *RootPasswordSet) evolve(s *State) {
	changeRecord(&s.accounts, e.Account, func(a *Account) bool {
		a.Password = RootPassword{Sealed: e.Sealed, Set: e.Set, SetAt: s.position}
		return true
	})
}

// DeleteRootPassword takes the password of an account's root away.
type DeleteRootPassword struct{ Account AccountID }

// RootPasswordDeleted took the password of an account's root away.
type RootPasswordDeleted struct{ Account AccountID }

func (c *DeleteRootPassword) decide(s *State, _ Meta) ([]Event, error) {
	a, err := s.mustAccount(c.Account)
	if err != nil {
		return nil, err
	}
	if a.Password.SetAt == 0 {
		return nil, refuse(NoSuchEntity, "Login Profile for User root cannot be found.")
	}
	return []Event{&RootPasswordDeleted{Account: c.Account}}, nil
}

func (e *RootPasswordDeleted) evolve(s *State) {
	changeRecord(&s.accounts, e.Account, func(a *Account) bool {
		a.Password = RootPassword{}
		return true
	})
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
	if err := s.mayHaveAlias(c.Alias); err != nil {
		return nil, err
	}
	return []Event{&AccountAliasSet{Account: c.Account, Alias: c.Alias}}, nil
}

func (s *State) mayHaveAlias(alias string) error {
	if _, taken := s.AccountByAlias(alias); taken {
		return refuse(EntityAlreadyExists, "The account alias %s already exists.", alias)
	}
	return nil
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

// mustAccount finds an account that is open.
func (s *State) mustAccount(id AccountID) (*Account, error) {
	a, ok := s.accounts.Get(id)
	switch {
	case !ok:
		return nil, refuse(NoSuchEntity, "The account with id %s cannot be found.", id)
	case a.Closed != 0:
		return nil, refuse(NoSuchEntity, "The account with id %s is closed.", id)
	}
	return a, nil
}
