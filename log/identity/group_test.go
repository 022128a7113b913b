package identity

import (
	"fmt"
	"slices"
	"testing"
)

func TestGroups(t *testing.T) { run(t, groupSpecs()) }

func groupSpecs() []spec {
	joined := &UserAddedToGroup{Group: "AGPA1", User: "AIDA1"}
	crowded := []Event{alice, admins}
	for i := range MaxGroupsPerUser {
		id := ID(fmt.Sprintf("AGPAx%d", i))
		crowded = append(crowded, &GroupCreated{Account: acct, ID: id, Name: fmt.Sprintf("g%d", i)}, &UserAddedToGroup{Group: id, User: "AIDA1"})
	}
	return []spec{
		{name: "new", when: &CreateGroup{Account: acct, ID: "AGPA1", Name: "Admins", Path: "/x/"},
			then: []Event{&GroupCreated{Account: acct, ID: "AGPA1", Name: "Admins", Path: "/x/", Created: now}},
			check: func(s *spying) {
				g, ok := s.Group(acct, "ADMINS")
				if !ok || g.ARN() != "arn:aws:iam::123456789012:group/x/Admins" || g.Created != now || g.Changed != s.Position() {
					s.Errorf("the group is %+v", g)
				}
			}},
		{name: "the name is taken", given: []Event{admins}, when: &CreateGroup{Account: acct, ID: "AGPA2", Name: "admins", Path: "/"},
			refused: "EntityAlreadyExists: Group with name admins already exists."},
		{name: "no account", when: &CreateGroup{Account: "000000000000", ID: "AGPA1", Name: "a"},
			refused: "NoSuchEntity: The account with id 000000000000 cannot be found."},

		{name: "renamed and moved", given: []Event{admins, alice, joined}, when: &UpdateGroup{Account: acct, Name: "admins", NewName: "Ops", NewPath: "/y/"},
			then: []Event{&GroupUpdated{ID: "AGPA1", Name: "Ops", Path: "/y/"}},
			check: func(s *spying) {
				g, ok := s.Group(acct, "ops")
				if !ok || g.Path != "/y/" || g.Changed != s.Position() || s.PermissionsChanged("AIDA1") != s.Position() {
					s.Errorf("the group is %+v", g)
				}
			}},
		{name: "only moved", given: []Event{admins}, when: &UpdateGroup{Account: acct, Name: "admins", NewPath: "/y/"},
			then: []Event{&GroupUpdated{ID: "AGPA1", Name: "Admins", Path: "/y/"}}},
		{name: "the name is taken", given: []Event{admins, &GroupCreated{Account: acct, ID: "AGPA2", Name: "ops"}},
			when: &UpdateGroup{Account: acct, Name: "admins", NewName: "Ops"}, refused: "EntityAlreadyExists: Group with name Ops already exists."},
		{name: "unknown", when: &UpdateGroup{Account: acct, Name: "admins", NewName: "Ops"},
			refused: "NoSuchEntity: The group with name admins cannot be found."},

		{name: "empty", given: []Event{admins, alice, joined, &UserRemovedFromGroup{Group: "AGPA1", User: "AIDA1"}},
			when: &DeleteGroup{Account: acct, Name: "admins"}, then: []Event{&GroupDeleted{ID: "AGPA1"}},
			check: func(s *spying) {
				if _, ok := s.GroupByID("AGPA1"); ok || s.Count(acct, KindGroup) != 0 {
					s.Error("the group is there still")
				}
			}},
		{name: "with a member", given: []Event{admins, alice, joined}, when: &DeleteGroup{Account: acct, Name: "admins"},
			refused: "DeleteConflict: Cannot delete entity, must remove users from group first."},
		{name: "with a policy", given: []Event{admins, readS3, &PolicyAttached{Kind: KindGroup, ID: "AGPA1", Policy: "ANPA1"}},
			when: &DeleteGroup{Account: acct, Name: "admins"}, refused: "DeleteConflict: Cannot delete entity, must detach all policies first."},
		{name: "with an inline policy", given: []Event{admins, &InlinePolicyPut{Kind: KindGroup, ID: "AGPA1", Name: "p"}},
			when: &DeleteGroup{Account: acct, Name: "admins"}, refused: "DeleteConflict: Cannot delete entity, must delete policies first."},
		{name: "unknown", when: &DeleteGroup{Account: acct, Name: "admins"}, refused: "NoSuchEntity: The group with name admins cannot be found."},

		{name: "new", given: []Event{admins, alice}, when: &AddUserToGroup{Account: acct, Group: "admins", User: "alice"}, then: []Event{joined},
			check: func(s *spying) {
				u, _ := s.UserByID("AIDA1")
				if !slices.Equal(u.Groups, []ID{"AGPA1"}) || u.Changed != s.Position() || !slices.Equal(members(s.State, ""), []ID{"AIDA1"}) {
					s.Errorf("the user is %+v, the members %v", u, members(s.State, ""))
				}
			}},
		{name: "a member", given: []Event{admins, alice, joined}, when: &AddUserToGroup{Account: acct, Group: "admins", User: "alice"}, then: []Event{joined},
			check: func(s *spying) {
				if u, _ := s.UserByID("AIDA1"); len(u.Groups) != 1 || u.Changed == s.Position() {
					s.Errorf("the user is %+v", u)
				}
			}},
		{name: "too many", given: crowded, when: &AddUserToGroup{Account: acct, Group: "admins", User: "alice"},
			refused: "LimitExceeded: Cannot exceed quota for GroupsPerUser: 10"},
		{name: "a member of many", given: crowded, when: &AddUserToGroup{Account: acct, Group: "G3", User: "alice"},
			then: []Event{&UserAddedToGroup{Group: "AGPAx3", User: "AIDA1"}}},
		{name: "no user", given: []Event{admins}, when: &AddUserToGroup{Account: acct, Group: "admins", User: "alice"},
			refused: "NoSuchEntity: The user with name alice cannot be found."},
		{name: "no group", given: []Event{alice}, when: &AddUserToGroup{Account: acct, Group: "admins", User: "alice"},
			refused: "NoSuchEntity: The group with name admins cannot be found."},
		{name: "neither", when: &AddUserToGroup{Account: acct, Group: "admins", User: "alice"},
			refused: "NoSuchEntity: The user with name alice cannot be found."},

		{name: "a member", given: []Event{admins, alice, joined}, when: &RemoveUserFromGroup{Account: acct, Group: "admins", User: "alice"},
			then: []Event{&UserRemovedFromGroup{Group: "AGPA1", User: "AIDA1"}},
			check: func(s *spying) {
				u, _ := s.UserByID("AIDA1")
				if len(u.Groups) != 0 || u.Changed != s.Position() || len(members(s.State, "")) != 0 {
					s.Errorf("the user is %+v", u)
				}
			}},
		{name: "no member", given: []Event{admins, alice}, when: &RemoveUserFromGroup{Account: acct, Group: "admins", User: "alice"},
			then: []Event{&UserRemovedFromGroup{Group: "AGPA1", User: "AIDA1"}}},
		{name: "no group", given: []Event{alice}, when: &RemoveUserFromGroup{Account: acct, Group: "admins", User: "alice"},
			refused: "NoSuchEntity: The group with name admins cannot be found."},
		{name: "neither", when: &RemoveUserFromGroup{Account: acct, Group: "admins", User: "alice"},
			refused: "NoSuchEntity: The user with name alice cannot be found."},
	}
}

// members are those of the group AGPA1.
func members(s *State, after ID) (ids []ID) {
	s.GroupUsers("AGPA1", after, func(u *User) bool {
		ids = append(ids, u.ID)
		return true
	})
	return ids
}

func TestMembersArePagedByAnyOfThem(t *testing.T) {
	events := []Event{admins, alice}
	for i := range 20 { // on either side of the one that is listed
		id := ID(fmt.Sprintf("AGPAx%d", i))
		events = append(events, &GroupCreated{Account: acct, ID: id, Name: string(id)}, &UserAddedToGroup{Group: id, User: "AIDA1"})
	}
	for i := range 100 {
		id := ID(fmt.Sprintf("AIDAx%d", i))
		events = append(events, &UserCreated{Account: acct, ID: id, Name: fmt.Sprintf("u%d", i)}, &UserAddedToGroup{Group: "AGPA1", User: id})
	}
	s := given(events...)
	all := members(s, "")
	if len(all) != 100 {
		t.Fatalf("%d members", len(all))
	}
	for i, id := range all {
		if rest := members(s, id); !slices.Equal(rest, all[i+1:]) {
			t.Fatalf("after member %d come %v", i, rest)
		}
	}
	apply(s, &UserRemovedFromGroup{Group: "AGPA1", User: all[50]}) // between two pages
	if rest := members(s, all[50]); !slices.Equal(rest, all[51:]) {
		t.Fatalf("after a former member come %v", rest)
	}
}

func TestGroupsAndRolesAndPoliciesAreListed(t *testing.T) {
	s := given(alice, admins, deploy, readS3, bound, awsAll, &GroupCreated{Account: acct, ID: "AGPA2", Name: "a"}, &RoleCreated{Account: acct, ID: "AROA2", Name: "z"})
	var got []string
	s.Groups(acct, "", func(g *Group) bool { got = append(got, g.Name); return true })
	s.Roles(acct, "deploy", func(r *Role) bool { got = append(got, r.Name); return true })
	s.Policies(acct, "", func(p *Policy) bool { got = append(got, p.Name); return true })
	s.Policies(AWSAccount, "", func(p *Policy) bool { got = append(got, p.Name); return true })
	if want := []string{"a", "Admins", "z", "Bound", "ReadS3", "AdministratorAccess"}; !slices.Equal(got, want) {
		t.Errorf("listed are %v, not %v", got, want)
	}
}
