package identity

import (
	"fmt"
	"testing"
)

func TestQuotas(t *testing.T) { run(t, quotaSpecs()) }

// quotasAre checks the quotas of an account by their names; those not given are Writ's defaults.
func quotasAre(d Defaults, want map[Quota]uint32) func(*spying) {
	return func(s *spying) {
		a, _ := s.Account(acct)
		for q := range NumQuotas {
			expected, given := want[q]
			if !given {
				expected = q.Default(d)
			}
			if got := a.Quotas.Of(q); got != expected {
				s.Errorf("the quota of %s is %d, not %d", q, got, expected)
			}
		}
	}
}

func quotaSpecs() []spec {
	const third AccountID = "333333333333"
	first := &AccountQuotasSet{Account: acct, Quotas: FirstQuotas{Users: 3, Policies: 4}}
	own := []OwnQuota{{QuotaGroups, 5}, {QuotaPoliciesPerRole, 6}, {QuotaUsers, 0}}
	aws := &QuotasSet{Account: acct, Defaults: DefaultsOfAWS}
	return []spec{
		{name: "the first four", when: &SetAccountQuotas{Account: acct, Quotas: first.Quotas}, then: []Event{first},
			check: quotasAre(DefaultsOfWrit, map[Quota]uint32{QuotaUsers: 3, QuotaPolicies: 4})},
		{name: "no account", when: &SetAccountQuotas{Account: third}, refused: "NoSuchEntity: The account with id 333333333333 cannot be found."},
		{name: "the first four leave the others", given: []Event{&QuotasSet{Account: acct, Own: own}}, when: &SetAccountQuotas{Account: acct, Quotas: first.Quotas},
			then: []Event{first}, check: quotasAre(DefaultsOfWrit, map[Quota]uint32{QuotaUsers: 3, QuotaPolicies: 4, QuotaPoliciesPerRole: 6})},

		{name: "some, and the default", given: []Event{first}, when: &SetQuotas{Account: acct, Own: own}, then: []Event{&QuotasSet{Account: acct, Own: own}},
			check: quotasAre(DefaultsOfWrit, map[Quota]uint32{QuotaGroups: 5, QuotaPolicies: 4, QuotaPoliciesPerRole: 6})},
		{name: "AWS's in place of all", given: []Event{first, &QuotasSet{Account: acct, Own: own}}, when: &SetQuotas{Account: acct, Defaults: DefaultsOfAWS},
			then: []Event{aws}, check: quotasAre(DefaultsOfAWS, nil)},
		{name: "AWS's but for one", when: &SetQuotas{Account: acct, Defaults: DefaultsOfAWS, Own: own[:1]},
			then: []Event{&QuotasSet{Account: acct, Defaults: DefaultsOfAWS, Own: own[:1]}}, check: quotasAre(DefaultsOfAWS, map[Quota]uint32{QuotaGroups: 5})},
		{name: "one beside AWS's", given: []Event{aws}, when: &SetQuotas{Account: acct, Own: own[:1]},
			then: []Event{&QuotasSet{Account: acct, Own: own[:1]}}, check: quotasAre(DefaultsOfAWS, map[Quota]uint32{QuotaGroups: 5})},
		{name: "back", given: []Event{aws}, when: &SetQuotas{Account: acct, Defaults: DefaultsOfWrit},
			then: []Event{&QuotasSet{Account: acct, Defaults: DefaultsOfWrit}}, check: quotasAre(DefaultsOfWrit, nil)},
		{name: "at the beginning", given: []Event{first}, when: &SetQuotas{Account: acct, Defaults: DefaultsOfAWS, First: true}, then: []Event{aws}},
		{name: "not at the beginning", given: []Event{&QuotasSet{Account: acct, Defaults: DefaultsOfWrit}}, when: &SetQuotas{Account: acct, Defaults: DefaultsOfAWS, First: true},
			refused: "EntityAlreadyExists: The defaults of the quotas of account 123456789012 have been chosen."},
		{name: "no account", when: &SetQuotas{Account: third}, refused: "NoSuchEntity: The account with id 333333333333 cannot be found."},
	}
}

// Each quota is reached by two, refuses a third under AWS's name, leaves another account's
// alone, and takes nothing away when it falls below what there is.
func TestEachQuotaBounds(t *testing.T) {
	user := Owner{Kind: KindUser, Account: acct, Name: "u0"}
	group := Owner{Kind: KindGroup, Account: acct, Name: "g0"}
	role := Owner{Kind: KindRole, Account: acct, Name: "r0"}
	attach := func(to Owner) func(string) Command {
		return func(n string) Command {
			return &AttachPolicy{Owner: to, Policy: PartitionAWS.ARN(KindPolicy, acct, "/", "p"+n)}
		}
	}
	more := map[Quota]func(n string) Command{
		QuotaUsers:           func(n string) Command { return &CreateUser{Account: acct, ID: ID("U" + n), Name: "u" + n, Path: "/"} },
		QuotaGroups:          func(n string) Command { return &CreateGroup{Account: acct, ID: ID("G" + n), Name: "g" + n, Path: "/"} },
		QuotaRoles:           func(n string) Command { return &CreateRole{Account: acct, ID: ID("R" + n), Name: "r" + n, Path: "/"} },
		QuotaPolicies:        func(n string) Command { return &CreatePolicy{Account: acct, ID: ID("P" + n), Name: "p" + n, Path: "/"} },
		QuotaPoliciesPerUser: attach(user), QuotaPoliciesPerGroup: attach(group), QuotaPoliciesPerRole: attach(role),
		QuotaInstanceProfiles: func(n string) Command {
			return &CreateInstanceProfile{Account: acct, ID: ID("I" + n), Name: n, Path: "/"}
		},
		QuotaServerCertificates: func(n string) Command {
			return &UploadServerCertificate{Account: acct, ID: ID("S" + n), Name: n, Path: "/"}
		},
		QuotaOIDCProviders: func(n string) Command { return &CreateOIDCProvider{Account: acct, URL: n} },
		QuotaSAMLProviders: func(n string) Command { return &CreateSAMLProvider{Account: acct, Name: n} },
	}
	for q := range NumQuotas {
		s := NewState()
		for _, e := range []Event{&AccountCreated{ID: acct}, &AccountCreated{ID: other}} {
			apply(s, e)
		}
		for kind := range more { // what policies are attached to, and others beside
			if kind != q && kind <= QuotaPolicies {
				for i := range 3 {
					must(t, s, more[kind](fmt.Sprint(i)))
				}
			}
		}
		must(t, s, &SetQuotas{Account: acct, Own: []OwnQuota{{q, 2}}})
		must(t, s, more[q]("0"))
		must(t, s, more[q]("1"))
		refused := fmt.Sprintf("LimitExceeded: Cannot exceed quota for %s: 2", q.AWSName())
		if _, err := Decide(s, Meta{}, more[q]("2")); err == nil || err.Error() != refused {
			t.Errorf("a third is refused with %v, not %s", err, refused)
		}
		if n, counted := s.QuotaInUse(acct, q); counted && n != 2 || counted != (q < QuotaPoliciesPerUser) {
			t.Errorf("%d of %s are in use, %v", n, q, counted)
		}
		must(t, s, &SetQuotas{Account: acct, Own: []OwnQuota{{q, 1}}})
		must(t, s, &SetQuotas{Account: acct, Own: []OwnQuota{{q, 3}}})
		must(t, s, more[q]("2"))
		if by, ok := QuotaByName(q.String()); !ok || by != q || q.AWSName() == "" || q.Default(DefaultsOfAWS) > q.Default(DefaultsOfWrit) || q.Max() < q.Default(DefaultsOfAWS) {
			t.Errorf("%s is found as %s", q, by)
		}
	}
}

// must carries a command out.
func must(t *testing.T, s *State, c Command) {
	t.Helper()
	events, err := Decide(s, Meta{}, c)
	if err != nil {
		t.Fatalf("%T: %v", c, err)
	}
	apply(s, events...)
}
