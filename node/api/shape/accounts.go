package shape

import (
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// The states of an account.
const (
	AccountOpen   = "open"
	AccountClosed = "closed"
)

// Accounts are those that the caller may see: all of the cluster, or its own.
type Accounts struct {
	Accounts []Account `json:"accounts"` // In order of their numbers.
}

// Account is one account of the cluster.
type Account struct {
	Account      identity.AccountID `json:"account"`
	Name         string             `json:"name,omitempty"`
	Alias        string             `json:"alias,omitempty"`
	Email        string             `json:"email,omitempty"` // Of its root.
	Manages      bool               `json:"manages"`         // It is the first, which manages the others.
	State        string             `json:"state"`
	Created      time.Time          `json:"created"`
	Closed       *time.Time         `json:"closed,omitempty"`
	RootKeys     int                `json:"root_keys"`     // How many access keys its root has; better none.
	RootPassword bool               `json:"root_password"` // Its root has a password.
}

// AccountToCreate is an account that is to be made.
type AccountToCreate struct {
	Email   string `json:"email"`             // Of its root; no other account's.
	Name    string `json:"name,omitempty"`    // Up to 50 characters.
	Alias   string `json:"alias,omitempty"`   // No other account's.
	Account string `json:"account,omitempty"` // Its number; drawn if not given.
	RootKey bool   `json:"root_key"`          // Make an access key for its root.
}

// AccountCreation is an account that was made.
type AccountCreation struct {
	Account  identity.AccountID `json:"account"`
	RootKey  *AccountRootKey    `json:"root_key,omitempty"`
	Position event.Position     `json:"position"`
	Token    string             `json:"token"` // Of Position.
}

// AccountRootKey is an access key of a root. Its secret is told here, and nowhere again.
type AccountRootKey struct {
	ID     string `json:"access_key_id"`
	Secret string `json:"secret_access_key"`
}

// AccountAlias is the alias that an account is to have.
type AccountAlias struct {
	Alias string `json:"alias"` // Empty: none.
}

// RootEmail is the e-mail address that the root of an account is to have.
type RootEmail struct {
	Email string `json:"email"`
}

// RootPassword is the password that the root of an account is to have.
type RootPassword struct {
	Password string `json:"password"`
}

// AccountChange is a change of an account that was committed.
type AccountChange struct {
	Account  identity.AccountID `json:"account"`
	Position event.Position     `json:"position"`
	Token    string             `json:"token"` // Of Position.
}

// AccountOf tells of an account of a state.
func AccountOf(s *identity.State, a *identity.Account) Account {
	said := Account{
		Account: a.ID, Name: a.Name, Alias: a.Alias, Email: a.Email, Manages: a.ID == s.ManagementAccount(), State: AccountOpen,
		Created: time.UnixMilli(int64(a.Created)).UTC(), RootKeys: len(a.Keys), RootPassword: len(a.Password.Sealed) > 0,
	}
	if a.Closed != 0 {
		closed := time.UnixMilli(int64(a.Closed)).UTC()
		said.State, said.Closed = AccountClosed, &closed
	}
	return said
}
