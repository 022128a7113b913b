package identity

import (
	"cmp"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// AccountSettings are what an account has set besides what Account says. An account that
// never set anything has none.
type AccountSettings struct {
	Account AccountID
	// TokenVersion is that of session tokens of STS's global endpoint, 1 or 2; 0 is 1.
	TokenVersion uint8
	// Issuer is the issuer of the account's web identity tokens; empty if there never was
	// one. It stays when they are disabled, for those who were told of it.
	Issuer string
	// Vends says that web identity tokens are issued.
	Vends bool
	// Organization are the features of centralized root access; of the management
	// account's settings alone.
	Organization OrganizationFeatures
	// RoleManager says that roles are made by role manager, which is kept for those who ask:
	// nothing here makes roles.
	RoleManager bool
}

// OrganizationFeatures are the features of centralized root access that are enabled.
type OrganizationFeatures struct {
	RootCredentials bool // the management account manages the root credentials of the others
	RootSessions    bool // it may act as their roots
}

// Handle makes AccountSettings a record of a table, by its key, as do Is and AppendDigest.
func (a *AccountSettings) Handle() table.Handle { return table.HandleOf(a.Account) }

// Is tells whether the AccountSettings have that key.
func (a *AccountSettings) Is(key string) bool { return string(a.Account) == key }

// AppendDigest appends all that the AccountSettings have.
func (a *AccountSettings) AppendDigest(b []byte) []byte {
	b = append(b, "settings"...)
	b = digest.AppendString(b, a.Account)
	b = digest.AppendInt(b, a.TokenVersion)
	b = digest.AppendString(b, a.Issuer)
	b = digest.AppendBool(b, a.Vends)
	b = digest.AppendBool(b, a.Organization.RootCredentials)
	b = digest.AppendBool(b, a.Organization.RootSessions)
	if a.RoleManager { // it came later: the digests of logs that lack it stay
		b = append(b, "role manager"...)
	}
	return b
}

// AccountSettings are the settings of an account, zero where nothing was set.
func (s *State) AccountSettings(account AccountID) AccountSettings {
	if a, ok := s.settings.Get(account); ok {
		return *a
	}
	return AccountSettings{Account: account}
}

// ManagementAccount is the account that manages the others, which are one organization:
// the first that was made. It is empty in a state without accounts.
func (s *State) ManagementAccount() (first AccountID) {
	var since Time
	s.accounts.Rows.Scan(func(_ table.Handle, a *Account) bool {
		if first == "" || cmp.Or(cmp.Compare(a.Created, since), cmp.Compare(a.ID, first)) < 0 {
			first, since = a.ID, a.Created
		}
		return true
	})
	return first
}

// changeSettings changes the settings of an account.
func (s *State) changeSettings(account AccountID, f func(*AccountSettings)) {
	a := s.AccountSettings(account)
	f(&a)
	s.settings.Put(&a)
}

// SetTokenVersion says of which version the session tokens of STS's global endpoint are.
type SetTokenVersion struct {
	Account AccountID
	Version uint8 // 1 or 2
}

// TokenVersionSet said of which version the session tokens of STS's global endpoint are.
type TokenVersionSet struct {
	Account AccountID
	Version uint8
}

func (c *SetTokenVersion) decide(s *State, _ Meta) ([]Event, error) {
	if _, err := s.mustAccount(c.Account); err != nil {
		return nil, err
	}
	return []Event{&TokenVersionSet{Account: c.Account, Version: c.Version}}, nil
}

func (e *TokenVersionSet) evolve(s *State) {
	s.changeSettings(e.Account, func(a *AccountSettings) { a.TokenVersion = e.Version })
}

// EnableWebIdentity lets an account's principals have web identity tokens.
type EnableWebIdentity struct {
	Account AccountID
	Issuer  string // if the account has none yet
}

// WebIdentityEnabled let an account's principals have web identity tokens.
type WebIdentityEnabled struct {
	Account AccountID
	Issuer  string
}

func (c *EnableWebIdentity) decide(s *State, _ Meta) ([]Event, error) {
	if _, err := s.mustAccount(c.Account); err != nil {
		return nil, err
	}
	a := s.AccountSettings(c.Account)
	if a.Vends {
		return nil, refuse(FeatureEnabled, "Outbound web identity federation is already enabled for your account.")
	}
	return []Event{&WebIdentityEnabled{Account: c.Account, Issuer: cmp.Or(a.Issuer, c.Issuer)}}, nil
}

func (e *WebIdentityEnabled) evolve(s *State) {
	s.changeSettings(e.Account, func(a *AccountSettings) { a.Issuer, a.Vends = e.Issuer, true })
}

// DisableWebIdentity ends that an account's principals have web identity tokens.
type DisableWebIdentity struct{ Account AccountID }

// WebIdentityDisabled ended that an account's principals have web identity tokens.
type WebIdentityDisabled struct{ Account AccountID }

func (c *DisableWebIdentity) decide(s *State, _ Meta) ([]Event, error) {
	if !s.AccountSettings(c.Account).Vends {
		return nil, refuse(FeatureDisabled, "%s", WebIdentityIsDisabled)
	}
	return []Event{&WebIdentityDisabled{Account: c.Account}}, nil
}

func (e *WebIdentityDisabled) evolve(s *State) {
	s.changeSettings(e.Account, func(a *AccountSettings) { a.Vends = false })
}

// WebIdentityIsDisabled is what an account is told that has no web identity tokens.
const WebIdentityIsDisabled = "Outbound web identity federation is not enabled for your account."

// SetOrganizationFeatures enables or disables features of centralized root access. What is
// nil stays.
type SetOrganizationFeatures struct {
	Account         AccountID // the management account
	RootCredentials *bool
	RootSessions    *bool
}

// OrganizationFeaturesSet says which features of centralized root access are enabled.
type OrganizationFeaturesSet struct {
	Account  AccountID
	Features OrganizationFeatures
}

func (c *SetOrganizationFeatures) decide(s *State, _ Meta) ([]Event, error) {
	features := s.AccountSettings(c.Account).Organization
	enables := false
	for _, f := range [...]struct {
		to   *bool
		feat *bool
	}{{c.RootCredentials, &features.RootCredentials}, {c.RootSessions, &features.RootSessions}} {
		if f.to != nil {
			*f.feat, enables = *f.to, enables || *f.to
		}
	}
	switch {
	case c.Account == s.ManagementAccount():
		return []Event{&OrganizationFeaturesSet{Account: c.Account, Features: features}}, nil
	case enables:
		return nil, refuse(CallerNotManagement, "The account making the request is not the management account for the organization.")
	}
	return nil, refuse(NotAdministrator, "%s", IsNotAdministrator)
}

// IsNotAdministrator is what an account is told that does not manage the organization.
const IsNotAdministrator = "The account making the request is not the management account or a delegated administrator account for centralized root access."

func (e *OrganizationFeaturesSet) evolve(s *State) {
	s.changeSettings(e.Account, func(a *AccountSettings) { a.Organization = e.Features })
}

// SetRoleManager says whether an account has role manager.
type SetRoleManager struct {
	Account AccountID
	Enabled bool
}

// RoleManagerSet said whether an account has role manager.
type RoleManagerSet struct {
	Account AccountID
	Enabled bool
}

func (c *SetRoleManager) decide(s *State, _ Meta) ([]Event, error) {
	if _, err := s.mustAccount(c.Account); err != nil {
		return nil, err
	}
	return []Event{&RoleManagerSet{Account: c.Account, Enabled: c.Enabled}}, nil
}

func (e *RoleManagerSet) evolve(s *State) {
	s.changeSettings(e.Account, func(a *AccountSettings) { a.RoleManager = e.Enabled })
}
