package identity

import (
	"slices"
	"testing"
)

// The cast of the specs.
var (
	alice  = &UserCreated{Account: acct, ID: "AIDA1", Name: "Alice", Path: "/", Created: past}
	bob    = &UserCreated{Account: acct, ID: "AIDA2", Name: "bob", Path: "/staff/", Created: past}
	admins = &GroupCreated{Account: acct, ID: "AGPA1", Name: "Admins", Path: "/", Created: past}
	deploy = &RoleCreated{Account: acct, ID: "AROA1", Name: "Deploy", Path: "/ci/", Trust: "{trust}", MaxSession: 3600, Created: past}
	readS3 = &PolicyCreated{Account: acct, ID: "ANPA1", Name: "ReadS3", Path: "/team/", Document: "{v1}", Created: past}
	bound  = &PolicyCreated{Account: acct, ID: "ANPA2", Name: "Bound", Path: "/", Document: "{bound}", Created: past}
	theirs = &PolicyCreated{Account: other, ID: "ANPA3", Name: "Theirs", Path: "/", Document: "{theirs}", Created: past}
	awsAll = &PolicyCreated{Account: AWSAccount, ID: "ANPA4", Name: "AdministratorAccess", Path: "/", Document: "{all}", Created: past}

	aliceOwner  = Owner{Kind: KindUser, Account: acct, Name: "Alice"}
	adminsOwner = Owner{Kind: KindGroup, Account: acct, Name: "Admins"}
	deployOwner = Owner{Kind: KindRole, Account: acct, Name: "Deploy"}
)

const (
	readS3ARN = "arn:aws:iam::123456789012:policy/team/ReadS3"
	boundARN  = "arn:aws:iam::123456789012:policy/Bound"
	theirsARN = "arn:aws:iam::210987654321:policy/Theirs"
	awsAllARN = "arn:aws:iam::aws:policy/AdministratorAccess"
	noneARN   = "arn:aws:iam::123456789012:policy/None"
)

func TestUsers(t *testing.T) { run(t, userSpecs()) }

func userSpecs() []spec {
	tags := []Tag{{"b", "2"}, {"A", "1"}}
	return []spec{
		{name: "new", given: []Event{bound}, when: &CreateUser{Account: acct, ID: "AIDA1", Name: "Alice", Path: "/x/", Boundary: boundARN, Tags: tags},
			then: []Event{&UserCreated{Account: acct, ID: "AIDA1", Name: "Alice", Path: "/x/", Boundary: "ANPA2", Tags: tags, Created: now}},
			check: func(s *spying) {
				u, ok := s.User(acct, "alice")
				if !ok || u.ARN() != "arn:aws:iam::123456789012:user/x/Alice" || u.Created != now || u.Boundary != "ANPA2" || u.Changed != s.Position() {
					s.Errorf("the user is %+v", u)
				}
				if !slices.Equal(u.Tags, []Tag{{"A", "1"}, {"b", "2"}}) {
					s.Errorf("the tags are %v", u.Tags)
				}
				if k, ok := s.KindOf("AIDA1"); !ok || k != KindUser || s.BoundaryUsageCount("ANPA2") != 1 {
					s.Errorf("its kind is %d, the boundary is used %d times", k, s.BoundaryUsageCount("ANPA2"))
				}
			}},
		{name: "boundary of AWS's", given: []Event{awsAll}, when: &CreateUser{Account: acct, ID: "AIDA1", Name: "a", Path: "/", Boundary: awsAllARN},
			then: []Event{&UserCreated{Account: acct, ID: "AIDA1", Name: "a", Path: "/", Boundary: "ANPA4", Created: now}}},
		{name: "the name is taken", given: []Event{alice}, when: &CreateUser{Account: acct, ID: "AIDA2", Name: "ALICE", Path: "/"},
			refused: "EntityAlreadyExists: User with name ALICE already exists."},
		{name: "the name is a group's", given: []Event{admins}, when: &CreateUser{Account: acct, ID: "AIDA2", Name: "Admins", Path: "/"},
			then: []Event{&UserCreated{Account: acct, ID: "AIDA2", Name: "Admins", Path: "/", Created: now}}},
		{name: "the identifier is taken", given: []Event{alice}, when: &CreateUser{Account: acct, ID: "AIDA1", Name: "bob", Path: "/"},
			refused: "EntityAlreadyExists: The unique identifier AIDA1 is in use."},
		{name: "the identifier is a role's", given: []Event{deploy}, when: &CreateUser{Account: acct, ID: "AROA1", Name: "bob", Path: "/"},
			refused: "EntityAlreadyExists: The unique identifier AROA1 is in use."},
		{name: "the identifier is an account's", when: &CreateUser{Account: acct, ID: ID(other), Name: "bob", Path: "/"},
			refused: "EntityAlreadyExists: The unique identifier 210987654321 is in use."},
		{name: "no account", when: &CreateUser{Account: "000000000000", ID: "AIDA1", Name: "a", Path: "/"},
			refused: "NoSuchEntity: The account with id 000000000000 cannot be found."},
		{name: "no boundary", when: &CreateUser{Account: acct, ID: "AIDA1", Name: "a", Path: "/", Boundary: noneARN},
			refused: "NoSuchEntity: Scope ARN: " + noneARN + " does not exist or is not attachable."},
		{name: "another account's boundary", given: []Event{theirs}, when: &CreateUser{Account: acct, ID: "AIDA1", Name: "a", Path: "/", Boundary: theirsARN},
			refused: "NoSuchEntity: Scope ARN: " + theirsARN + " does not exist or is not attachable."},
		{name: "duplicate tags", when: &CreateUser{Account: acct, ID: "AIDA1", Name: "a", Path: "/", Tags: []Tag{{"Team", "1"}, {"team", "2"}}},
			refused: "InvalidInput: Duplicate tag keys found. Please note that Tag keys are case insensitive."},

		{name: "renamed and moved", given: []Event{alice}, when: &UpdateUser{Account: acct, Name: "alice", NewName: "Carol", NewPath: "/y/"},
			then: []Event{&UserUpdated{ID: "AIDA1", Name: "Carol", Path: "/y/"}},
			check: func(s *spying) {
				u, ok := s.User(acct, "carol")
				if _, old := s.User(acct, "alice"); !ok || old || u.ID != "AIDA1" || u.Path != "/y/" || u.Changed != s.Position() {
					s.Errorf("the user is %+v; still found by the old name: %v", u, old)
				}
			}},
		{name: "only moved", given: []Event{alice}, when: &UpdateUser{Account: acct, Name: "Alice", NewPath: "/y/"},
			then: []Event{&UserUpdated{ID: "AIDA1", Name: "Alice", Path: "/y/"}}},
		{name: "other case", given: []Event{alice}, when: &UpdateUser{Account: acct, Name: "Alice", NewName: "ALICE"},
			then: []Event{&UserUpdated{ID: "AIDA1", Name: "ALICE", Path: "/"}}},
		{name: "the name is taken", given: []Event{alice, bob}, when: &UpdateUser{Account: acct, Name: "Alice", NewName: "BOB"},
			refused: "EntityAlreadyExists: User with name BOB already exists."},
		{name: "unknown", when: &UpdateUser{Account: acct, Name: "Alice", NewName: "Bob"},
			refused: "NoSuchEntity: The user with name Alice cannot be found."},

		{name: "with a boundary and tags", given: []Event{bound, alice, &BoundarySet{Kind: KindUser, ID: "AIDA1", Policy: "ANPA2"}},
			when: &DeleteUser{Account: acct, Name: "alice"}, then: []Event{&UserDeleted{ID: "AIDA1"}},
			check: func(s *spying) {
				_, named := s.User(acct, "alice")
				if _, ok := s.UserByID("AIDA1"); ok || named || s.BoundaryUsageCount("ANPA2") != 0 || s.Count(acct, KindUser) != 0 {
					s.Error("something of the user is left")
				}
			}},
		{name: "in a group", given: []Event{alice, admins, &UserAddedToGroup{Group: "AGPA1", User: "AIDA1"}}, when: &DeleteUser{Account: acct, Name: "alice"},
			refused: "DeleteConflict: Cannot delete entity, must remove users from group first."},
		{name: "with a policy", given: []Event{alice, readS3, &PolicyAttached{Kind: KindUser, ID: "AIDA1", Policy: "ANPA1"}}, when: &DeleteUser{Account: acct, Name: "alice"},
			refused: "DeleteConflict: Cannot delete entity, must detach all policies first."},
		{name: "with an inline policy", given: []Event{alice, &InlinePolicyPut{Kind: KindUser, ID: "AIDA1", Name: "p"}}, when: &DeleteUser{Account: acct, Name: "alice"},
			refused: "DeleteConflict: Cannot delete entity, must delete policies first."},
		{name: "with a key", given: []Event{alice, &AccessKeyCreated{Account: acct, Owner: "AIDA1", ID: "AKIA1"}}, when: &DeleteUser{Account: acct, Name: "alice"},
			refused: "DeleteConflict: Cannot delete entity, must delete access keys first."},
		{name: "unknown", when: &DeleteUser{Account: acct, Name: "alice"}, refused: "NoSuchEntity: The user with name alice cannot be found."},
		{name: "another account's", given: []Event{alice}, when: &DeleteUser{Account: other, Name: "alice"},
			refused: "NoSuchEntity: The user with name alice cannot be found."},
	}
}

func TestUsersAreListedByName(t *testing.T) {
	s := given(bob, alice, &UserCreated{Account: acct, ID: "AIDA3", Name: "Carol"}, &UserCreated{Account: other, ID: "AIDA4", Name: "b"}, admins)
	list := func(after string, most int) (names []string) {
		s.Users(acct, after, func(u *User) bool {
			names = append(names, u.Name)
			return len(names) < most
		})
		return names
	}
	for _, c := range []struct {
		after string
		most  int
		want  []string
	}{
		{"", 10, []string{"Alice", "bob", "Carol"}},
		{"", 2, []string{"Alice", "bob"}},
		{"bob", 10, []string{"Carol"}},
		{"BOB", 10, []string{"Carol"}},
		{"az", 10, []string{"bob", "Carol"}}, // deleted since
		{"carol", 10, nil},
	} {
		if got := list(c.after, c.most); !slices.Equal(got, c.want) {
			t.Errorf("after %q: %v, not %v", c.after, got, c.want)
		}
	}
}
