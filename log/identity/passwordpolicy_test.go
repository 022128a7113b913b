package identity

import "testing"

func TestPasswordPolicies(t *testing.T) { run(t, passwordPolicySpecs()) }

// strict is a policy that wants the latest two passwords not to come again.
var strict = &PasswordPolicySet{Account: acct, Requirements: PasswordRequirements{MinLength: 12, Reuse: 2, MaxAge: 90}}

func passwordPolicySpecs() []spec {
	all := PasswordRequirements{MinLength: 8, Symbols: true, Numbers: true, Uppercase: true, Lowercase: true, AllowChange: true,
		MaxAge: 30, HardExpiry: true, Reuse: 24}
	return []spec{
		{name: "the first", when: &SetPasswordPolicy{Account: acct, Requirements: all}, then: []Event{&PasswordPolicySet{Account: acct, Requirements: all}},
			check: func(s *spying) {
				if p, ok := s.PasswordPolicy(acct); !ok || p.PasswordRequirements != all || p.Changed != s.Position() {
					s.Errorf("the policy is %+v", p)
				}
				if _, ok := s.PasswordPolicy(other); ok {
					s.Error("the other account has a policy, too")
				}
			}},
		{name: "another", given: []Event{strict}, when: &SetPasswordPolicy{Account: acct, Requirements: all},
			then: []Event{&PasswordPolicySet{Account: acct, Requirements: all}}},
		{name: "no account", when: &SetPasswordPolicy{Account: "000000000000"},
			refused: "NoSuchEntity: The account with id 000000000000 cannot be found."},
		{name: "there", given: []Event{strict}, when: &DeletePasswordPolicy{Account: acct}, then: []Event{&PasswordPolicyDeleted{Account: acct}},
			check: func(s *spying) {
				if p, ok := s.PasswordPolicy(acct); ok {
					s.Errorf("the policy is %+v", p)
				}
			}},
		{name: "none", given: []Event{strict}, when: &DeletePasswordPolicy{Account: other},
			refused: "NoSuchEntity: The account policy with name PasswordPolicy cannot be found."},
	}
}

func TestPasswordsExpire(t *testing.T) {
	p := &LoginProfile{Set: now}
	for _, test := range []struct {
		name    string
		under   *PasswordPolicy
		at      Time
		expires Time
		expired bool
	}{
		{"without a policy", nil, now * 2, 0, false},
		{"without an age", &PasswordPolicy{}, now * 2, 0, false},
		{"in time", &PasswordPolicy{PasswordRequirements: PasswordRequirements{MaxAge: 2}}, now + 2*day - 1, now + 2*day, false},
		{"late", &PasswordPolicy{PasswordRequirements: PasswordRequirements{MaxAge: 2}}, now + 2*day, now + 2*day, true},
	} {
		if at := p.Expires(test.under); at != test.expires || p.Expired(test.under, test.at) != test.expired {
			t.Errorf("%s: it expires at %d, and has at %d: %v", test.name, at, test.at, p.Expired(test.under, test.at))
		}
	}
}
