package identity

import "testing"

func TestAccessKeys(t *testing.T) { run(t, accessKeySpecs()) }

func accessKeySpecs() []spec {
	first := &AccessKeyCreated{Account: acct, Owner: "AIDA1", ID: "AKIA1", Sealed: []byte("s1"), Created: past}
	second := &AccessKeyCreated{Account: acct, Owner: "AIDA1", ID: "AKIA2", Sealed: []byte("s2"), Created: past}
	return []spec{
		{name: "user's", given: []Event{alice}, when: &CreateAccessKey{Account: acct, User: "alice", Key: NewAccessKey{ID: "AKIA1", Sealed: []byte("s1")}},
			then: []Event{&AccessKeyCreated{Account: acct, Owner: "AIDA1", ID: "AKIA1", Sealed: []byte("s1"), Created: now}},
			check: func(s *spying) {
				k, ok := s.AccessKey("AKIA1")
				if !ok || k.Account != acct || k.Owner != "AIDA1" || !k.Active || k.Created != now || string(k.Sealed) != "s1" {
					s.Errorf("the key is %+v", k)
				}
				if s.PermissionsChanged("AIDA1") == s.Position() {
					s.Error("a key counts as a change of permissions")
				}
			}},
		{name: "root's", when: &CreateAccessKey{Account: acct, Key: NewAccessKey{ID: "AKIA1", Sealed: []byte("s1")}},
			then: []Event{&AccessKeyCreated{Account: acct, Owner: ID(acct), ID: "AKIA1", Sealed: []byte("s1"), Created: now}},
			check: func(s *spying) {
				if k, ok := s.AccessKey("AKIA1"); !ok || k.Account != acct || k.Owner != ID(acct) {
					s.Errorf("the key is %+v", k)
				}
			}},
		{name: "a third", given: []Event{alice, first, second}, when: &CreateAccessKey{Account: acct, User: "alice", Key: NewAccessKey{ID: "AKIA3"}},
			refused: "LimitExceeded: Cannot exceed quota for AccessKeysPerUser: 2"},
		{name: "root's third", given: []Event{&AccessKeyCreated{Account: acct, Owner: ID(acct), ID: "AKIA2"}},
			when: &CreateAccessKey{Account: acct, Key: NewAccessKey{ID: "AKIA3"}}, refused: "LimitExceeded: Cannot exceed quota for AccessKeysPerUser: 2"},
		{name: "the id is taken", given: []Event{alice, bob, first}, when: &CreateAccessKey{Account: acct, User: "bob", Key: NewAccessKey{ID: "AKIA1"}},
			refused: "EntityAlreadyExists: The Access Key with id AKIA1 already exists."},
		{name: "unknown", when: &CreateAccessKey{Account: acct, User: "alice", Key: NewAccessKey{ID: "AKIA1"}},
			refused: "NoSuchEntity: The user with name alice cannot be found."},
		{name: "no account", when: &CreateAccessKey{Account: "000000000000", Key: NewAccessKey{ID: "AKIA1"}},
			refused: "NoSuchEntity: The account with id 000000000000 cannot be found."},

		{name: "off", given: []Event{alice, first, second}, when: &UpdateAccessKey{Account: acct, User: "alice", ID: "AKIA1"},
			then: []Event{&AccessKeyUpdated{Owner: "AIDA1", ID: "AKIA1"}},
			check: func(s *spying) {
				one, _ := s.AccessKey("AKIA1")
				if two, _ := s.AccessKey("AKIA2"); one.Active || !two.Active || string(one.Sealed) != "s1" {
					s.Errorf("the keys are %+v and %+v", one, two)
				}
			}},
		{name: "on", given: []Event{alice, first, &AccessKeyUpdated{Owner: "AIDA1", ID: "AKIA1"}}, when: &UpdateAccessKey{Account: acct, User: "alice", ID: "AKIA1", Active: true},
			then: []Event{&AccessKeyUpdated{Owner: "AIDA1", ID: "AKIA1", Active: true}},
			check: func(s *spying) {
				if k, _ := s.AccessKey("AKIA1"); !k.Active {
					s.Error("the key is inactive")
				}
			}},
		{name: "root's", when: &UpdateAccessKey{Account: acct, ID: "AKIAROOT1"}, then: []Event{&AccessKeyUpdated{Owner: ID(acct), ID: "AKIAROOT1"}}},
		{name: "another user's", given: []Event{alice, bob, first}, when: &UpdateAccessKey{Account: acct, User: "bob", ID: "AKIA1"},
			refused: "NoSuchEntity: The Access Key with id AKIA1 cannot be found."},
		{name: "another root's", when: &UpdateAccessKey{Account: acct, ID: "AKIAROOT2"},
			refused: "NoSuchEntity: The Access Key with id AKIAROOT2 cannot be found."},
		{name: "unknown user", when: &UpdateAccessKey{Account: acct, User: "alice", ID: "AKIA1"},
			refused: "NoSuchEntity: The user with name alice cannot be found."},

		{name: "there", given: []Event{alice, first, second}, when: &DeleteAccessKey{Account: acct, User: "alice", ID: "AKIA1"},
			then: []Event{&AccessKeyDeleted{Owner: "AIDA1", ID: "AKIA1"}},
			check: func(s *spying) {
				_, one := s.AccessKey("AKIA1")
				if _, two := s.AccessKey("AKIA2"); one || !two {
					s.Errorf("the keys are there: %v and %v", one, two)
				}
			}},
		{name: "unknown", given: []Event{alice}, when: &DeleteAccessKey{Account: acct, User: "alice", ID: "AKIA1"},
			refused: "NoSuchEntity: The Access Key with id AKIA1 cannot be found."},
		{name: "no account", when: &DeleteAccessKey{Account: "000000000000", ID: "AKIA1"},
			refused: "NoSuchEntity: The account with id 000000000000 cannot be found."},
	}
}
