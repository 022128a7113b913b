package identity

import (
	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// PasswordPolicy is what an account asks of its users' passwords. An account has one
// or none; the password alone shows whether it is met, so whoever sees it finds out.
type PasswordPolicy struct {
	Account AccountID
	PasswordRequirements
	Changed Position
}

// PasswordRequirements are the settings of a password policy.
type PasswordRequirements struct {
	MinLength   uint32 // in characters
	Symbols     bool   // at least one, as are the next three
	Numbers     bool
	Uppercase   bool
	Lowercase   bool
	AllowChange bool   // users may change their own without another permission
	MaxAge      uint32 // in days, after which a password expires; zero: never
	HardExpiry  bool   // who signs in with an expired password may not change it then
	Reuse       uint32 // how many of a user's latest passwords may not come again
}

// MaxPasswordReuse is how many passwords of a user are kept at most ("Setting an
// account password policy" in the IAM User Guide).
const MaxPasswordReuse = 24

// day is that of MaxAge, in milliseconds.
const day Time = 24 * 60 * 60 * 1000

// Handle makes a PasswordPolicy a record of a table, by its account, as do Is and AppendDigest.
func (p *PasswordPolicy) Handle() table.Handle { return table.HandleOf(p.Account) }

// Is tells whether the PasswordPolicy is of that account.
func (p *PasswordPolicy) Is(key string) bool { return string(p.Account) == key }

// AppendDigest appends all that the PasswordPolicy has.
func (p *PasswordPolicy) AppendDigest(b []byte) []byte {
	b = digest.AppendString(b, "password-policy")
	b = digest.AppendString(b, p.Account)
	for _, n := range [...]uint32{p.MinLength, p.MaxAge, p.Reuse} {
		b = digest.AppendInt(b, n)
	}
	for _, set := range [...]bool{p.Symbols, p.Numbers, p.Uppercase, p.Lowercase, p.AllowChange, p.HardExpiry} {
		b = digest.AppendBool(b, set)
	}
	return digest.AppendInt(b, uint64(p.Changed))
}

// PasswordPolicy returns an account's password policy, if it has one.
func (s *State) PasswordPolicy(account AccountID) (*PasswordPolicy, bool) {
	return s.passwordPolicies.Get(account)
}

// PasswordPolicy returns an account's password policy, if it has one. Nothing relies on
// it: a command that brings a password says which policy it was checked against.
func (w *Witness) PasswordPolicy(account AccountID) (*PasswordPolicy, bool) {
	return w.state.PasswordPolicy(account)
}

// SetPasswordPolicy gives an account a password policy instead of the one it had.
type SetPasswordPolicy struct {
	Account      AccountID
	Requirements PasswordRequirements
}

// PasswordPolicySet gave an account its password policy.
type PasswordPolicySet struct {
	Account      AccountID
	Requirements PasswordRequirements
}

func (c *SetPasswordPolicy) decide(s *State, _ Meta) ([]Event, error) {
	if _, err := s.mustAccount(c.Account); err != nil {
		return nil, err
	}
	return []Event{&PasswordPolicySet{Account: c.Account, Requirements: c.Requirements}}, nil
}

func (e *PasswordPolicySet) evolve(s *State) {
	s.passwordPolicies.Put(&PasswordPolicy{Account: e.Account, PasswordRequirements: e.Requirements, Changed: s.position})
}

// DeletePasswordPolicy takes an account's password policy away.
type DeletePasswordPolicy struct {
	Account AccountID
}

// PasswordPolicyDeleted took an account's password policy away.
type PasswordPolicyDeleted struct {
	Account AccountID
}

func (c *DeletePasswordPolicy) decide(s *State, _ Meta) ([]Event, error) {
	if _, ok := s.PasswordPolicy(c.Account); !ok {
		return nil, refuse(NoSuchEntity, "The account policy with name PasswordPolicy cannot be found.")
	}
	return []Event{&PasswordPolicyDeleted{Account: c.Account}}, nil
}

func (e *PasswordPolicyDeleted) evolve(s *State) {
	if p, ok := s.PasswordPolicy(e.Account); ok {
		s.passwordPolicies.Delete(p)
	}
}
