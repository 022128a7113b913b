package identity

import "testing"

func TestSettings(t *testing.T) { run(t, settingsSpecs()) }

func settingsSpecs() []spec {
	const none AccountID = "333333333333"
	yes, no := true, false
	vends := &WebIdentityEnabled{Account: acct, Issuer: "https://one.example.com"}
	has := func(want AccountSettings) func(*spying) {
		return func(s *spying) {
			if got := s.AccountSettings(want.Account); got != want {
				s.Errorf("the settings are %+v", got)
			}
			if got := s.AccountSettings(other); got != (AccountSettings{Account: other}) {
				s.Errorf("the settings of another account are %+v", got)
			}
		}
	}
	return []spec{
		{name: "to 2", when: &SetTokenVersion{Account: acct, Version: 2}, then: []Event{&TokenVersionSet{Account: acct, Version: 2}},
			check: has(AccountSettings{Account: acct, TokenVersion: 2})},
		{name: "no account", when: &SetTokenVersion{Account: none, Version: 2}, refused: "NoSuchEntity: The account with id 333333333333 cannot be found."},

		{name: "first", when: &EnableWebIdentity{Account: acct, Issuer: "https://one.example.com"}, then: []Event{vends},
			check: has(AccountSettings{Account: acct, Issuer: "https://one.example.com", Vends: true})},
		{name: "again", given: []Event{vends, &WebIdentityDisabled{Account: acct}}, when: &EnableWebIdentity{Account: acct, Issuer: "https://two.example.com"},
			then: []Event{vends}, check: has(AccountSettings{Account: acct, Issuer: "https://one.example.com", Vends: true})},
		{name: "already", given: []Event{vends}, when: &EnableWebIdentity{Account: acct, Issuer: "https://two.example.com"},
			refused: "FeatureEnabled: Outbound web identity federation is already enabled for your account."},
		{name: "no account", when: &EnableWebIdentity{Account: none}, refused: "NoSuchEntity: The account with id 333333333333 cannot be found."},
		{name: "enabled", given: []Event{vends}, when: &DisableWebIdentity{Account: acct}, then: []Event{&WebIdentityDisabled{Account: acct}},
			check: has(AccountSettings{Account: acct, Issuer: "https://one.example.com"})},
		{name: "not enabled", when: &DisableWebIdentity{Account: acct}, refused: "FeatureDisabled: " + WebIdentityIsDisabled},

		{name: "role manager", when: &SetRoleManager{Account: acct, Enabled: true}, then: []Event{&RoleManagerSet{Account: acct, Enabled: true}},
			check: has(AccountSettings{Account: acct, RoleManager: true})},
		{name: "no role manager", given: []Event{&RoleManagerSet{Account: acct, Enabled: true}}, when: &SetRoleManager{Account: acct},
			then: []Event{&RoleManagerSet{Account: acct}}, check: has(AccountSettings{Account: acct})},
		{name: "role manager of no account", when: &SetRoleManager{Account: none}, refused: "NoSuchEntity: The account with id 333333333333 cannot be found."},

		{name: "one", when: &SetOrganizationFeatures{Account: acct, RootSessions: &yes},
			then:  []Event{&OrganizationFeaturesSet{Account: acct, Features: OrganizationFeatures{RootSessions: true}}},
			check: has(AccountSettings{Account: acct, Organization: OrganizationFeatures{RootSessions: true}})},
		{name: "the other", given: []Event{&OrganizationFeaturesSet{Account: acct, Features: OrganizationFeatures{RootSessions: true}}},
			when:  &SetOrganizationFeatures{Account: acct, RootCredentials: &yes},
			then:  []Event{&OrganizationFeaturesSet{Account: acct, Features: OrganizationFeatures{RootCredentials: true, RootSessions: true}}},
			check: has(AccountSettings{Account: acct, Organization: OrganizationFeatures{RootCredentials: true, RootSessions: true}})},
		{name: "less", given: []Event{&OrganizationFeaturesSet{Account: acct, Features: OrganizationFeatures{RootCredentials: true, RootSessions: true}}},
			when:  &SetOrganizationFeatures{Account: acct, RootSessions: &no},
			then:  []Event{&OrganizationFeaturesSet{Account: acct, Features: OrganizationFeatures{RootCredentials: true}}},
			check: has(AccountSettings{Account: acct, Organization: OrganizationFeatures{RootCredentials: true}})},
		{name: "more, by another account", when: &SetOrganizationFeatures{Account: other, RootSessions: &yes},
			refused: "CallerIsNotManagementAccountException: The account making the request is not the management account for the organization."},
		{name: "less, by another account", when: &SetOrganizationFeatures{Account: other, RootSessions: &no},
			refused: "AccountNotManagementOrDelegatedAdministratorException: " + IsNotAdministrator},
	}
}

// TestManagementAccount makes accounts in other orders than those of their numbers.
func TestManagementAccount(t *testing.T) {
	if got := NewState().ManagementAccount(); got != "" {
		t.Errorf("of no accounts, %s manages the others", got)
	}
	s := NewState()
	for i, id := range []AccountID{"222222222222", "333333333333", "111111111111"} {
		apply(s, &AccountCreated{ID: id, Created: past + Time(i)})
	}
	if got := s.ManagementAccount(); got != "222222222222" {
		t.Errorf("%s manages the others", got)
	}
	if got := given().ManagementAccount(); got != acct { // two of the same time
		t.Errorf("%s manages the others", got)
	}
}
