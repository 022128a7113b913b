package identity

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestLoginProfiles(t *testing.T) { run(t, loginProfileSpecs()) }

// aliceIn gives alice the password "one"; in histories that begin with alice, at firstSet.
var aliceIn = &LoginProfileCreated{Account: acct, User: "AIDA1", Sealed: []byte("one"), Reset: true, Created: past}

const firstSet = afterBase + 1

func two(policy Position) NewPassword {
	return NewPassword{User: "AIDA1", Policy: policy, Sealed: []byte("two")}
}

func loginProfileSpecs() []spec {
	return append(append(createLoginProfileSpecs(), updateLoginProfileSpecs()...), changePasswordSpecs()...)
}

func createLoginProfileSpecs() []spec {
	return []spec{
		{name: "the first", given: []Event{alice}, when: &CreateLoginProfile{Account: acct, User: "alice", Password: two(0), Reset: true},
			then: []Event{&LoginProfileCreated{Account: acct, User: "AIDA1", Sealed: []byte("two"), Reset: true, Created: now}},
			check: func(s *spying) {
				expectPasswords(s, "[two]", true)
				if s.PermissionsChanged("AIDA1") == s.Position() {
					s.Error("a password counts as a change of permissions")
				}
			}},
		{name: "a second", given: []Event{alice, aliceIn}, when: &CreateLoginProfile{Account: acct, User: "alice", Password: two(0)},
			refused: "EntityAlreadyExists: Login Profile for user Alice already exists."},
		{name: "unknown", when: &CreateLoginProfile{Account: acct, User: "alice", Password: two(0)},
			refused: "NoSuchEntity: The user with name alice cannot be found."},
		{name: "under a policy", given: []Event{alice, strict}, when: &CreateLoginProfile{Account: acct, User: "alice", Password: two(afterBase + 1)},
			then: []Event{&LoginProfileCreated{Account: acct, User: "AIDA1", Sealed: []byte("two"), Created: now}}},
		{name: "under no policy yet", given: []Event{alice, strict}, when: &CreateLoginProfile{Account: acct, User: "alice", Password: two(0)},
			refused: "StaleAuthorization: The password was not checked against the account's password policy of now."},
		{name: "under a policy that is gone", given: []Event{alice, strict, &PasswordPolicyDeleted{Account: acct}},
			when:    &CreateLoginProfile{Account: acct, User: "alice", Password: two(afterBase + 1)},
			refused: "StaleAuthorization: The password was not checked against the account's password policy of now."},
		{name: "for the user of that name before", given: []Event{bob}, when: &CreateLoginProfile{Account: acct, User: "bob", Password: two(0)},
			refused: "StaleAuthorization: The user bob is not the one that the password is for."},
		{name: "without a hash", given: []Event{alice}, when: &CreateLoginProfile{Account: acct, User: "alice", Password: NewPassword{User: "AIDA1"}},
			refused: "StaleAuthorization: The attempt that this one repeats is not known any more."},

		{name: "there", given: []Event{alice, aliceIn}, when: &DeleteLoginProfile{Account: acct, User: "alice"},
			then: []Event{&LoginProfileDeleted{User: "AIDA1"}},
			check: func(s *spying) {
				if p, ok := s.LoginProfile("AIDA1"); ok {
					s.Errorf("the profile is %+v", p)
				}
			}},
		{name: "none", given: []Event{alice}, when: &DeleteLoginProfile{Account: acct, User: "alice"},
			refused: "NoSuchEntity: Login Profile for User Alice cannot be found."},
		{name: "unknown", when: &DeleteLoginProfile{Account: acct, User: "alice"},
			refused: "NoSuchEntity: The user with name alice cannot be found."},
		{name: "with a password", given: []Event{alice, aliceIn}, when: &DeleteUser{Account: acct, Name: "alice"},
			refused: "DeleteConflict: Cannot delete entity, must delete login profile first."},
		{name: "with a password no more", given: []Event{alice, aliceIn, &LoginProfileDeleted{User: "AIDA1"}},
			when: &DeleteUser{Account: acct, Name: "alice"}, then: []Event{&UserDeleted{ID: "AIDA1"}}},
	}
}

func updateLoginProfileSpecs() []spec {
	password, no := two(0), false
	set := &PasswordSet{User: "AIDA1", Sealed: []byte("two"), Keep: 1, Set: now}
	return []spec{
		{name: "the password", given: []Event{alice, aliceIn}, when: &UpdateLoginProfile{Account: acct, User: "alice", Instead: firstSet, Password: &password},
			then:  []Event{set, &LoginProfileUpdated{User: "AIDA1", Reset: true}},
			check: func(s *spying) { expectPasswords(s, "[two]", true) }},
		{name: "the duty to choose another", given: []Event{alice, aliceIn}, when: &UpdateLoginProfile{Account: acct, User: "alice", Reset: &no},
			then:  []Event{&LoginProfileUpdated{User: "AIDA1"}},
			check: func(s *spying) { expectPasswords(s, "[one]", false) }},
		{name: "both", given: []Event{alice, aliceIn}, when: &UpdateLoginProfile{Account: acct, User: "alice", Instead: firstSet, Password: &password, Reset: &no},
			then: []Event{set, &LoginProfileUpdated{User: "AIDA1"}}},
		{name: "nothing", given: []Event{alice, aliceIn}, when: &UpdateLoginProfile{Account: acct, User: "alice"},
			then: []Event{&LoginProfileUpdated{User: "AIDA1", Reset: true}}},
		{name: "changed meanwhile", given: []Event{alice, aliceIn, &PasswordSet{User: "AIDA1", Sealed: []byte("1.5"), Keep: 1, Set: past}},
			when:    &UpdateLoginProfile{Account: acct, User: "alice", Instead: firstSet, Password: &password},
			refused: "StaleAuthorization: The password of the user Alice was changed meanwhile."},
		{name: "none", given: []Event{alice}, when: &UpdateLoginProfile{Account: acct, User: "alice", Password: &password},
			refused: "NoSuchEntity: Login Profile for User Alice cannot be found."},
	}
}

func changePasswordSpecs() []spec {
	under := two(firstSet + 1)
	again := &PasswordSet{User: "AIDA1", Sealed: []byte("1.5"), Keep: 2, Set: past}
	return []spec{
		{name: "the one that was told", given: []Event{alice, aliceIn}, when: &ChangePassword{Account: acct, User: "Alice", Instead: firstSet, Password: two(0)},
			then:  []Event{&PasswordSet{User: "AIDA1", Sealed: []byte("two"), Keep: 1, Set: now}, &LoginProfileUpdated{User: "AIDA1"}},
			check: func(s *spying) { expectPasswords(s, "[two]", false) }},
		{name: "changed meanwhile", given: []Event{alice, aliceIn, again}, when: &ChangePassword{Account: acct, User: "Alice", Instead: firstSet, Password: two(0)},
			refused: "StaleAuthorization: The password of the user Alice was changed meanwhile."},
		{name: "made again meanwhile", given: []Event{alice, aliceIn, &LoginProfileDeleted{User: "AIDA1"}, aliceIn},
			when:    &ChangePassword{Account: acct, User: "Alice", Instead: firstSet, Password: two(0)},
			refused: "StaleAuthorization: The password of the user Alice was changed meanwhile."},
		{name: "one is kept", given: []Event{alice, aliceIn, strict}, when: &ChangePassword{Account: acct, User: "Alice", Instead: firstSet, Password: under},
			then:  []Event{&PasswordSet{User: "AIDA1", Sealed: []byte("two"), Keep: 2, Set: now}, &LoginProfileUpdated{User: "AIDA1"}},
			check: func(s *spying) { expectPasswords(s, "[two one]", false) }},
		{name: "one is kept, one goes", given: []Event{alice, aliceIn, strict, again}, when: &ChangePassword{Account: acct, User: "Alice", Instead: firstSet + 2, Password: under},
			then:  []Event{&PasswordSet{User: "AIDA1", Sealed: []byte("two"), Keep: 2, Set: now}, &LoginProfileUpdated{User: "AIDA1"}},
			check: func(s *spying) { expectPasswords(s, "[two 1.5]", false) }},
		{name: "by leave of a policy that is gone", given: []Event{alice}, when: &ChangePassword{Account: acct, User: "Alice", Password: under},
			refused: "StaleAuthorization: The password was not checked against the account's password policy of now."},
		{name: "none", given: []Event{alice}, when: &ChangePassword{Account: acct, User: "Alice", Password: two(0)},
			refused: "NoSuchEntity: Login Profile for User Alice cannot be found."},
		{name: "unknown", when: &ChangePassword{Account: acct, User: "Alice", Password: two(0)},
			refused: "NoSuchEntity: The user with name Alice cannot be found."},
	}
}

// expectPasswords looks at alice's login profile after a change of it.
func expectPasswords(s *spying, passwords string, reset bool) {
	s.Helper()
	p, ok := s.LoginProfile("AIDA1")
	if !ok || fmt.Sprintf("%s", p.Passwords) != passwords || p.Reset != reset || p.User != "AIDA1" || p.Account != acct {
		s.Errorf("the profile is %+v, with %s", p, p.Passwords)
	}
	if passwords != "[one]" && (p.Set != now || p.SetAt != s.Position()) {
		s.Errorf("it was set at %d, by position %d", p.Set, p.SetAt)
	}
}

// However much a policy wants kept, there is a limit.
func TestPasswordsAreKeptWithinALimit(t *testing.T) {
	s := given(alice, aliceIn, &PasswordPolicySet{Account: acct, Requirements: PasswordRequirements{Reuse: 1 << 30}})
	for range 2 * MaxPasswordReuse {
		p, _ := s.LoginProfile("AIDA1")
		m := Meta{Time: now, Rules: CurrentRules}
		events, err := Decide(s, m, &ChangePassword{Account: acct, User: "alice", Instead: p.SetAt, Password: two(afterBase + 2)})
		if err != nil {
			t.Fatal(err)
		}
		Evolve(s, s.Position()+1, m, events)
	}
	if p, _ := s.LoginProfile("AIDA1"); len(p.Passwords) != MaxPasswordReuse {
		t.Errorf("%d are kept", len(p.Passwords))
	}
}

// drawnPasswords are commands about passwords, of the users "a" and "b" of populated for the most part.
func drawnPasswords(t *rapid.T) []func() Command {
	draw := func() NewPassword {
		return NewPassword{User: oneOf[ID](t, "for", "U0", "U0", "U1"), Sealed: []byte(oneOf(t, "sealed", "", "x", "y", "z"))}
	}
	return []func() Command{
		func() Command { return &SetPasswordPolicy{Account: oneOf(t, "account", acct, other, other, "0")} },
		func() Command { return &DeletePasswordPolicy{Account: drawAccount(t)} },
		func() Command { return &CreateLoginProfile{Account: acct, User: drawName(t), Password: draw()} },
		func() Command {
			password := draw()
			return &UpdateLoginProfile{Account: acct, User: drawName(t), Instead: Position(drawNumber(t)), Password: &password}
		},
		func() Command {
			return &ChangePassword{Account: acct, User: drawName(t), Instead: Position(drawNumber(t)), Password: draw()}
		},
		func() Command { return &DeleteLoginProfile{Account: acct, User: drawName(t)} },
	}
}
