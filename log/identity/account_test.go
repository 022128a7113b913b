package identity

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestAccounts(t *testing.T) { run(t, slices.Concat(accountSpecs(), rootSpecs())) }

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
		{name: "described", when: &CreateAccount{ID: third, Email: "Ops@example.com", Name: "Three", Alias: "three"},
			then: []Event{
				&AccountCreated{ID: third, Created: now},
				&AccountDescribed{Account: third, Email: "Ops@example.com", Name: "Three"},
				&AccountAliasSet{Account: third, Alias: "three"},
			},
			check: func(s *spying) {
				if a, ok := s.AccountByEmail("oPS@EXAMPLE.com"); !ok || a.ID != third || a.Name != "Three" || len(a.Keys) != 0 {
					s.Errorf("the account is %+v", a)
				}
				if a, ok := s.AccountByAlias("three"); !ok || a.ID != third {
					s.Errorf("the alias finds %+v", a)
				}
				if a, ok := s.AccountByEmail(""); ok {
					s.Errorf("no address finds %+v", a)
				}
			}},
		{name: "after the first, whatever the clock says", given: []Event{&AccountCreated{ID: "444444444444", Created: 1}},
			when: &CreateAccount{ID: third}, then: []Event{&AccountCreated{ID: third, Created: now}}},
		{name: "its address is taken", given: []Event{&AccountDescribed{Account: acct, Email: "ops@example.com"}}, when: &CreateAccount{ID: third, Email: "OPS@example.com"},
			refused: "EntityAlreadyExists: The e-mail address OPS@example.com belongs to the root of another account."},
		{name: "its alias is taken", given: []Event{named}, when: &CreateAccount{ID: third, Alias: "example"},
			refused: "EntityAlreadyExists: The account alias example already exists."},
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

func rootSpecs() []spec {
	const none AccountID = "333333333333"
	gone := "NoSuchEntity: The account with id 210987654321 is closed."
	closed := &AccountClosed{Account: other, Closed: past}
	set := &RootPasswordSet{Account: acct, Sealed: []byte("sealed"), Set: past}
	return []spec{
		{name: "a member", when: &CloseAccount{Account: other}, then: []Event{&AccountClosed{Account: other, Closed: now}},
			check: func(s *spying) {
				if a, _ := s.Account(other); !s.Closed(other) || a.Closed != now || a.Changed != afterBase {
					s.Errorf("the account is %+v", a)
				}
			}},
		{name: "the one that manages the others", when: &CloseAccount{Account: acct},
			refused: "InvalidInput: The account 123456789012 manages the others and cannot be closed."},
		{name: "closed", given: []Event{closed}, when: &CloseAccount{Account: other}, refused: gone},
		{name: "no account", when: &CloseAccount{Account: none}, refused: "NoSuchEntity: The account with id 333333333333 cannot be found."},

		{name: "first", when: &SetRootEmail{Account: acct, Email: "a@example.com", First: true}, then: []Event{&AccountDescribed{Account: acct, Email: "a@example.com"}}},
		{name: "first, of two", given: []Event{&AccountDescribed{Account: acct, Email: "b@example.com"}}, when: &SetRootEmail{Account: acct, Email: "a@example.com", First: true},
			refused: "EntityAlreadyExists: The root of account 123456789012 has an e-mail address."},
		{name: "other letters", given: []Event{&AccountDescribed{Account: acct, Email: "a@example.com", Name: "A"}}, when: &SetRootEmail{Account: acct, Email: "A@example.com"},
			then: []Event{&AccountDescribed{Account: acct, Email: "A@example.com", Name: "A"}}},
		{name: "another's", given: []Event{&AccountDescribed{Account: acct, Email: "a@example.com"}}, when: &SetRootEmail{Account: other, Email: "A@example.com"},
			refused: "EntityAlreadyExists: The e-mail address A@example.com belongs to the root of another account."},
		{name: "of a closed account", given: []Event{&AccountDescribed{Account: other, Email: "a@example.com"}, closed}, when: &SetRootEmail{Account: acct, Email: "a@example.com"},
			refused: "EntityAlreadyExists: The e-mail address a@example.com belongs to the root of another account."},
		{name: "closed", given: []Event{closed}, when: &SetRootEmail{Account: other, Email: "a@example.com"}, refused: gone},

		{name: "first", when: &SetRootPassword{Account: acct, Sealed: []byte("sealed")}, then: []Event{&RootPasswordSet{Account: acct, Sealed: []byte("sealed"), Set: now}},
			check: func(s *spying) {
				if a, _ := s.Account(acct); string(a.Password.Sealed) != "sealed" || a.Password.Set != now || a.Password.SetAt != afterBase {
					s.Errorf("the password is %+v", a.Password)
				}
			}},
		{name: "instead", given: []Event{set}, when: &SetRootPassword{Account: acct, Instead: afterBase, Sealed: []byte("other")},
			then: []Event{&RootPasswordSet{Account: acct, Sealed: []byte("other"), Set: now}}},
		{name: "instead of another", given: []Event{set}, when: &SetRootPassword{Account: acct, Sealed: []byte("other")},
			refused: "StaleAuthorization: The password of the root of account 123456789012 was changed meanwhile."},
		{name: "to be chosen", when: &SetRootPassword{Account: acct}, then: []Event{&RootPasswordSet{Account: acct, Set: now}}},
		{name: "to be chosen instead", given: []Event{set}, when: &SetRootPassword{Account: acct, Instead: afterBase},
			refused: "EntityAlreadyExists: Login Profile for user root already exists."},
		{name: "closed", given: []Event{closed}, when: &SetRootPassword{Account: other, Sealed: []byte("sealed")}, refused: gone},

		{name: "there", given: []Event{set}, when: &DeleteRootPassword{Account: acct}, then: []Event{&RootPasswordDeleted{Account: acct}},
			check: func(s *spying) {
				if a, _ := s.Account(acct); a.Password.SetAt != 0 || a.Password.Sealed != nil {
					s.Errorf("the password is %+v", a.Password)
				}
			}},
		{name: "none", when: &DeleteRootPassword{Account: acct}, refused: "NoSuchEntity: Login Profile for User root cannot be found."},
		{name: "closed", given: []Event{closed}, when: &DeleteRootPassword{Account: other}, refused: gone},

		{name: "in a closed account", given: []Event{closed}, when: &CreateUser{Account: other, ID: "AIDA1", Name: "ada", Path: "/"}, refused: gone},
		{name: "by a closed account's root", given: []Event{closed}, by: Authority{Account: other, Principal: ID(other), Credential: "AKIAROOT2", AuthorizedAt: 5},
			when: &CreateUser{Account: acct, ID: "AIDA1", Name: "ada", Path: "/"}, refused: "StaleAuthorization: The access key AKIAROOT2 no longer exists."},
		{name: "by a closed account's session", given: []Event{&SessionKeyAdded{Number: 1, Sealed: []byte("s")}, closed},
			by:   Authority{Account: other, Principal: ID(other), Credential: "ASIA1", AuthorizedAt: 6, Session: Session{Key: 1, Minted: 6, Issued: past, Until: now + 1}},
			when: &CreateUser{Account: acct, ID: "AIDA1", Name: "ada", Path: "/"}, refused: "StaleAuthorization: The session ASIA1 is revoked."},
	}
}

func TestClosedAccountIsGone(t *testing.T) {
	s := given(&UserCreated{Account: other, ID: "AIDA1", Name: "ada", Path: "/"}, &AccessKeyCreated{Account: other, Owner: "AIDA1", ID: "AKIAADA"},
		&RoleCreated{Account: other, ID: "AROA1", Name: "deploy", Path: "/"}, &PolicyCreated{Account: other, ID: "ANPA1", Name: "read", Path: "/"},
		&SessionKeyAdded{Number: 1, Sealed: []byte("s")})
	lookups := []Lookup{
		{By: ByName, Kind: KindUser, Account: other, Text: "ada"}, {By: ByName, Kind: KindRole, Account: other, Text: "deploy"},
		{By: ByID, Text: "AROA1"}, {By: ByKey, Text: "AKIAADA"}, {By: ByARN, Text: "arn:aws:iam::210987654321:policy/read"},
	}
	found := func() (n int) {
		for _, l := range lookups {
			if _, ok := NewWitness(s).Find(l); ok {
				n++
			}
		}
		for _, id := range []string{"AKIAADA", "AKIAROOT2"} {
			if _, ok := s.AccessKey(id); ok {
				n++
			}
		}
		for _, id := range []ID{"AIDA1", "AROA1", ID(other)} {
			if s.PermissionsChanged(id) != 0 {
				n++
			}
		}
		if !s.Revoked(other, "AROA1", "ASIA1", Session{Key: 1, Minted: 11, Issued: past}) {
			n++
		}
		return n
	}
	if n := found(); n != len(lookups)+6 {
		t.Fatalf("%d are found of an open account", n)
	}
	apply(s, &AccountClosed{Account: other, Closed: past})
	if n := found(); n != 0 {
		t.Errorf("%d are found of a closed account", n)
	}
	if _, ok := s.User(other, "ada"); !ok || s.Count(other, KindRole) != 1 {
		t.Error("what it had is not kept")
	}
	verify(t, s)
}

func TestAccountsHaveALimit(t *testing.T) {
	s := given()
	for i := len(s.Accounts()); i < MaxAccounts; i++ {
		apply(s, &AccountCreated{ID: AccountID(fmt.Sprintf("%012d", i)), Created: past})
	}
	_, err := Decide(s, Meta{Time: now, Rules: CurrentRules}, &CreateAccount{ID: "999999999999"})
	var refused *Refusal
	if !errors.As(err, &refused) || refused.Code != LimitExceeded {
		t.Errorf("one more gives %v", err)
	}
}

// The first account stays the first, also where the clock of a later leader is behind.
func TestClockThatIsBehind(t *testing.T) {
	s := given()
	events, err := Decide(s, Meta{Time: past - 1, Rules: CurrentRules}, &CreateAccount{ID: "000000000001"})
	if err != nil {
		t.Fatal(err)
	}
	apply(s, events...)
	if first := s.ManagementAccount(); first != acct {
		t.Errorf("%s manages the others now", first)
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
