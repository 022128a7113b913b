package identity

import "testing"

func TestAccounts(t *testing.T) { run(t, accountSpecs()) }

func accountSpecs() []spec {
	const third AccountID = "333333333333"
	key := NewAccessKey{ID: "AKIAROOT3", Sealed: []byte("s")}
	named := &AccountAliasSet{Account: acct, Alias: "example"}
	return []spec{
		{name: "new", when: &CreateAccount{ID: third, RootKey: key},
			then: []Event{
				&AccountCreated{ID: third, Created: now},
				&AccessKeyCreated{Account: third, Owner: ID(third), ID: "AKIAROOT3", Sealed: []byte("s"), Created: now},
			},
			check: func(s *spying) {
				if k, ok := s.AccessKey("AKIAROOT3"); !ok || k.Account != third || k.Owner != ID(third) {
					s.Errorf("the root key is %+v", k)
				}
				if a, ok := s.Account(third); !ok || a.Created != now || a.Changed != afterBase {
					s.Errorf("the account is %+v", a)
				}
			}},
		{name: "taken", when: &CreateAccount{ID: acct, RootKey: key}, refused: "EntityAlreadyExists: Account with id 123456789012 already exists."},
		{name: "AWS's own", when: &CreateAccount{ID: AWSAccount, RootKey: key}, refused: "EntityAlreadyExists: Account with id aws already exists."},
		{name: "the key is taken", when: &CreateAccount{ID: third, RootKey: NewAccessKey{ID: "AKIAROOT1"}},
			refused: "EntityAlreadyExists: The Access Key with id AKIAROOT1 already exists."},
		{name: "the number is an entity's identifier", given: []Event{&UserCreated{Account: acct, ID: ID(third), Name: "odd"}},
			when: &CreateAccount{ID: third, RootKey: key}, refused: "EntityAlreadyExists: The unique identifier 333333333333 is in use."},

		{name: "first", when: &SetAccountAlias{Account: acct, Alias: "example"}, then: []Event{named},
			check: func(s *spying) {
				if a, ok := s.AccountByAlias("example"); !ok || a.ID != acct || a.Alias != "example" {
					s.Errorf("the account is %+v", a)
				}
			}},
		{name: "instead of another", given: []Event{named}, when: &SetAccountAlias{Account: acct, Alias: "second"},
			then: []Event{&AccountAliasSet{Account: acct, Alias: "second"}},
			check: func(s *spying) {
				if a, ok := s.AccountByAlias("example"); ok {
					s.Errorf("the old alias finds %+v", a)
				}
			}},
		{name: "another account's", given: []Event{named}, when: &SetAccountAlias{Account: other, Alias: "example"},
			refused: "EntityAlreadyExists: The account alias example already exists."},
		{name: "one's own", given: []Event{named}, when: &SetAccountAlias{Account: acct, Alias: "example"},
			refused: "EntityAlreadyExists: The account alias example already exists."},
		{name: "no account", when: &SetAccountAlias{Account: third, Alias: "example"},
			refused: "NoSuchEntity: The account with id 333333333333 cannot be found."},

		{name: "there", given: []Event{named}, when: &DeleteAccountAlias{Account: acct, Alias: "example"},
			then: []Event{&AccountAliasDeleted{Account: acct, Alias: "example"}},
			check: func(s *spying) {
				if a, _ := s.Account(acct); a.Alias != "" {
					s.Errorf("the alias is %s", a.Alias)
				}
				if _, ok := s.AccountByAlias("example"); ok {
					s.Error("the alias is found")
				}
			}},
		{name: "another", given: []Event{named}, when: &DeleteAccountAlias{Account: acct, Alias: "second"},
			refused: "NoSuchEntity: The account alias with name second cannot be found."},
		{name: "another account's", given: []Event{named}, when: &DeleteAccountAlias{Account: other, Alias: "example"},
			refused: "NoSuchEntity: The account alias with name example cannot be found."},
		{name: "no account", when: &DeleteAccountAlias{Account: third, Alias: "example"},
			refused: "NoSuchEntity: The account with id 333333333333 cannot be found."},
	}
}

func TestAccountsAreInOrder(t *testing.T) {
	s := given(&AccountCreated{ID: "000000000001"})
	var got string
	for _, a := range s.Accounts() {
		got += string(a.ID) + " "
	}
	if want := "000000000001 123456789012 210987654321 "; got != want {
		t.Errorf("the accounts are %s, not %s", got, want)
	}
}
