package identity

import (
	"fmt"
	"slices"
	"testing"
)

// webServer carries nothing until webDeploys: the role deploy.
var (
	webServer  = &InstanceProfileCreated{Account: acct, ID: "AIPA1", Name: "Web", Path: "/x/", Tags: []Tag{{"k", "v"}}, Created: past}
	webDeploys = &RoleAddedToInstanceProfile{Profile: "AIPA1", Role: "AROA1"}
)

func TestInstanceProfiles(t *testing.T) { run(t, instanceProfileSpecs()) }

func instanceProfileSpecs() []spec {
	return slices.Concat(createInstanceProfileSpecs(), carrySpecs(), []spec{
		{name: "empty", given: []Event{webServer}, when: &DeleteInstanceProfile{Account: acct, Name: "web"},
			then: []Event{&InstanceProfileDeleted{ID: "AIPA1"}},
			check: func(s *spying) {
				if _, ok := s.InstanceProfile(acct, "web"); ok || s.Count(acct, KindInstanceProfile) != 0 {
					s.Error("the instance profile is there still")
				}
			}},
		{name: "carries a role", given: []Event{deploy, webServer, webDeploys}, when: &DeleteInstanceProfile{Account: acct, Name: "web"},
			refused: "DeleteConflict: Cannot delete entity, must remove roles from instance profile first."},
		{name: "unknown", when: &DeleteInstanceProfile{Account: acct, Name: "web"}, refused: "NoSuchEntity: Instance Profile web cannot be found."},

		{name: "carried", given: []Event{deploy, webServer, webDeploys, readS3, &PolicyAttached{Kind: KindRole, ID: "AROA1", Policy: "ANPA1"}},
			when: &DeleteRole{Account: acct, Name: "deploy"}, refused: "DeleteConflict: Cannot delete entity, must remove roles from instance profile first."},
		{name: "carried no more", given: []Event{deploy, webServer, webDeploys, &RoleRemovedFromInstanceProfile{Profile: "AIPA1", Role: "AROA1"}},
			when: &DeleteRole{Account: acct, Name: "deploy"}, then: []Event{&RoleDeleted{ID: "AROA1"}}},

		{name: "instance profile, other case", given: []Event{webServer}, when: &TagEntity{Kind: KindInstanceProfile, Account: acct, Name: "WEB", Tags: []Tag{{"K", "w"}}, AnyCase: true},
			then: []Event{&EntityTagged{Kind: KindInstanceProfile, ID: "AIPA1", Tags: []Tag{{"K", "w"}}}},
			check: func(s *spying) {
				if p, _ := s.InstanceProfile(acct, "web"); !slices.Equal(p.Tags, []Tag{{"K", "w"}, {"k", "v"}}) {
					s.Errorf("the tags are %v", p.Tags)
				}
			}},
		{name: "another account's instance profile", given: []Event{webServer}, when: &TagEntity{Kind: KindInstanceProfile, Account: other, Name: "Web", Tags: []Tag{{"k", "v"}}},
			refused: "NoSuchEntity: Instance Profile Web cannot be found."},
		{name: "instance profile", given: []Event{webServer}, when: &UntagEntity{Kind: KindInstanceProfile, Account: acct, Name: "Web", Keys: []string{"K", "k"}},
			then: []Event{&EntityUntagged{Kind: KindInstanceProfile, ID: "AIPA1", Keys: []string{"K", "k"}}},
			check: func(s *spying) {
				if p, _ := s.InstanceProfile(acct, "web"); p.Tags != nil {
					s.Errorf("the tags are %v", p.Tags)
				}
			}},
	})
}

func createInstanceProfileSpecs() []spec {
	return []spec{
		{name: "new", when: &CreateInstanceProfile{Account: acct, ID: "AIPA1", Name: "Web", Path: "/x/", Tags: []Tag{{"b", ""}, {"a", ""}}},
			then: []Event{&InstanceProfileCreated{Account: acct, ID: "AIPA1", Name: "Web", Path: "/x/", Tags: []Tag{{"b", ""}, {"a", ""}}, Created: now}},
			check: func(s *spying) {
				p, ok := s.InstanceProfile(acct, "WEB")
				if !ok || p.ARN() != "arn:aws:iam::123456789012:instance-profile/x/Web" || p.Role != "" || p.Created != now || !slices.Equal(p.Tags, []Tag{{"a", ""}, {"b", ""}}) {
					s.Errorf("the instance profile is %+v", p)
				}
				if kind, ok := s.KindOf("AIPA1"); kind != KindInstanceProfile || !ok {
					s.Errorf("it is a %d", kind)
				}
			}},
		{name: "of a role's name", given: []Event{deploy}, when: &CreateInstanceProfile{Account: acct, ID: "AIPA1", Name: "Deploy", Path: "/"},
			then: []Event{&InstanceProfileCreated{Account: acct, ID: "AIPA1", Name: "Deploy", Path: "/", Created: now}}},
		{name: "the name is taken", given: []Event{webServer}, when: &CreateInstanceProfile{Account: acct, ID: "AIPA2", Name: "web", Path: "/"},
			refused: "EntityAlreadyExists: Instance Profile web already exists."},
		{name: "the identifier is taken", given: []Event{webServer}, when: &CreateInstanceProfile{Account: acct, ID: "AIPA1", Name: "other", Path: "/"},
			refused: "EntityAlreadyExists: The unique identifier AIPA1 is in use."},
		{name: "tags twice", when: &CreateInstanceProfile{Account: acct, ID: "AIPA1", Name: "web", Path: "/", Tags: []Tag{{"a", ""}, {"a", ""}}},
			refused: "InvalidInput: Duplicate tag keys found."},
		{name: "no account", when: &CreateInstanceProfile{Account: "000000000000", ID: "AIPA1", Name: "a"},
			refused: "NoSuchEntity: The account with id 000000000000 cannot be found."},
	}
}

func carrySpecs() []spec {
	carried := func(s *spying, want ...ID) {
		var got []ID
		s.InstanceProfilesOf("AROA1", "", func(p *InstanceProfile) bool {
			got = append(got, p.ID)
			return true
		})
		if !slices.Equal(got, want) {
			s.Errorf("the role is carried by %v, not %v", got, want)
		}
	}
	return []spec{
		{name: "into an empty one", given: []Event{deploy, webServer}, when: &AddRoleToInstanceProfile{Account: acct, Profile: "web", Role: "DEPLOY"},
			then: []Event{webDeploys},
			check: func(s *spying) {
				if p, _ := s.InstanceProfile(acct, "web"); p.Role != "AROA1" {
					s.Errorf("it carries %q", p.Role)
				}
				carried(s, "AIPA1")
			}},
		{name: "again", given: []Event{deploy, webServer, webDeploys}, when: &AddRoleToInstanceProfile{Account: acct, Profile: "web", Role: "deploy"},
			refused: "LimitExceeded: Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"},
		{name: "unknown role", given: []Event{webServer}, when: &AddRoleToInstanceProfile{Account: acct, Profile: "web", Role: "deploy"},
			refused: "NoSuchEntity: The role with name deploy cannot be found."},
		{name: "unknown instance profile", given: []Event{deploy}, when: &AddRoleToInstanceProfile{Account: acct, Profile: "web", Role: "deploy"},
			refused: "NoSuchEntity: Instance Profile web cannot be found."},

		{name: "the one it carries", given: []Event{deploy, webServer, webDeploys}, when: &RemoveRoleFromInstanceProfile{Account: acct, Profile: "web", Role: "deploy"},
			then:  []Event{&RoleRemovedFromInstanceProfile{Profile: "AIPA1", Role: "AROA1"}},
			check: func(s *spying) { carried(s) }},
		{name: "another one", given: []Event{deploy, webServer}, when: &RemoveRoleFromInstanceProfile{Account: acct, Profile: "web", Role: "deploy"},
			refused: "NoSuchEntity: Role deploy in Instance Profile web cannot be found."},
		{name: "unknown instance profile", when: &RemoveRoleFromInstanceProfile{Account: acct, Profile: "web", Role: "deploy"},
			refused: "NoSuchEntity: Instance Profile web cannot be found."},
	}
}

func TestInstanceProfilesQuota(t *testing.T) {
	s := given()
	s.names.number.Set(scopeOf(acct, KindInstanceProfile), 1_000_000)
	_, err := Decide(s, Meta{Time: now}, &CreateInstanceProfile{Account: acct, ID: "AIPA1", Name: "web", Path: "/"})
	if err == nil || err.Error() != "LimitExceeded: Cannot exceed quota for InstanceProfilesPerAccount: 1000000" {
		t.Errorf("one more is %v", err)
	}
}

func TestInstanceProfilesOfARole(t *testing.T) {
	s := given(deploy)
	for i := range 20 {
		id := ID(fmt.Sprintf("AIPA%d", i))
		apply(s, &InstanceProfileCreated{Account: acct, ID: id, Name: fmt.Sprintf("p%d", i), Path: "/"})
		apply(s, &RoleAddedToInstanceProfile{Profile: id, Role: "AROA1"})
	}
	after := func(id ID) (ids []ID) {
		s.InstanceProfilesOf("AROA1", id, func(p *InstanceProfile) bool {
			ids = append(ids, p.ID)
			return true
		})
		return ids
	}
	all := after("")
	if len(all) != 20 {
		t.Fatalf("%d instance profiles", len(all))
	}
	for i, id := range all {
		if rest := after(id); !slices.Equal(rest, all[i+1:]) {
			t.Fatalf("after %s come %v", id, rest)
		}
	}
	verify(t, s)
}
