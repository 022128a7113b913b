package identity

import (
	"errors"
	"testing"
)

// Whoever was authorized at one position and is contained afterwards can author
// nothing more.
func TestContainment(t *testing.T) {
	key := &AccessKeyCreated{Account: acct, Owner: "AIDA1", ID: "AKIA1", Created: past}
	history := []Event{
		alice, bob, key, &AccessKeyCreated{Account: acct, Owner: "AIDA1", ID: "AKIA2", Created: past}, admins, deploy, readS3, bound, awsAll,
		&PolicyCreated{Account: acct, ID: "ANPA5", Name: "unrelated", Path: "/"},
		&GroupCreated{Account: acct, ID: "AGPA2", Name: "others"},
		&PolicyVersionCreated{ID: "ANPA1", Number: 2},
		&UserAddedToGroup{Group: "AGPA1", User: "AIDA1"},
		&PolicyAttached{Kind: KindUser, ID: "AIDA1", Policy: "ANPA1"},
		&PolicyAttached{Kind: KindGroup, ID: "AGPA1", Policy: "ANPA4"},
		&BoundarySet{Kind: KindUser, ID: "AIDA1", Policy: "ANPA2"},
	}
	const changed, inactive, gone = "StaleAuthorization: The permissions of AIDA1 changed after position 21.",
		"StaleAuthorization: The access key AKIA1 is inactive.", "StaleAuthorization: The access key AKIA1 no longer exists."
	for _, c := range []struct {
		name    string
		then    []Event // after the authorization
		refused string
	}{
		{"nothing", nil, ""},
		{"key deleted", []Event{&AccessKeyDeleted{Owner: "AIDA1", ID: "AKIA1"}}, gone},
		{"key made again by another", []Event{&AccessKeyDeleted{Owner: "AIDA1", ID: "AKIA1"}, &AccessKeyCreated{Account: acct, Owner: "AIDA2", ID: "AKIA1"}}, gone},
		{"key deactivated", []Event{&AccessKeyUpdated{Owner: "AIDA1", ID: "AKIA1"}}, inactive},
		{"key deactivated and activated", []Event{&AccessKeyUpdated{Owner: "AIDA1", ID: "AKIA1"}, &AccessKeyUpdated{Owner: "AIDA1", ID: "AKIA1", Active: true}}, ""},
		{"other key deleted", []Event{&AccessKeyDeleted{Owner: "AIDA1", ID: "AKIA2"}}, ""},
		{"user deleted", []Event{&AccessKeyDeleted{Owner: "AIDA1", ID: "AKIA1"}, &UserDeleted{ID: "AIDA1"}}, gone},
		{"user renamed", []Event{&UserUpdated{ID: "AIDA1", Name: "carol", Path: "/"}}, changed},
		{"user tagged", []Event{&EntityTagged{Kind: KindUser, ID: "AIDA1", Tags: []Tag{{"k", "v"}}}}, changed},
		{"user untagged", []Event{&EntityUntagged{Kind: KindUser, ID: "AIDA1", Keys: []string{"k"}}}, changed},
		{"other user tagged", []Event{&EntityTagged{Kind: KindUser, ID: "AIDA2", Tags: []Tag{{"k", "v"}}}}, ""},
		{"policy detached", []Event{&PolicyDetached{Kind: KindUser, ID: "AIDA1", Policy: "ANPA1"}}, changed},
		{"policy detached from the group", []Event{&PolicyDetached{Kind: KindGroup, ID: "AGPA1", Policy: "ANPA4"}}, changed},
		{"policy detached from another group", []Event{&PolicyDetached{Kind: KindGroup, ID: "AGPA2", Policy: "ANPA4"}}, ""},
		{"policy attached", []Event{&PolicyAttached{Kind: KindUser, ID: "AIDA1", Policy: "ANPA5"}}, changed},
		{"policy attached again", []Event{&PolicyAttached{Kind: KindUser, ID: "AIDA1", Policy: "ANPA1"}}, ""},
		{"policy version created", []Event{&PolicyVersionCreated{ID: "ANPA1", Number: 3}}, ""},
		{"policy version created in force", []Event{&PolicyVersionCreated{ID: "ANPA1", Number: 3, Default: true}}, changed},
		{"policy version deleted", []Event{&PolicyVersionDeleted{ID: "ANPA1", Number: 2}}, ""},
		{"policy version put in force", []Event{&DefaultPolicyVersionSet{ID: "ANPA1", Number: 2}}, changed},
		{"version of the group's policy put in force", []Event{&DefaultPolicyVersionSet{ID: "ANPA4", Number: 1}}, changed},
		{"version of another policy put in force", []Event{&DefaultPolicyVersionSet{ID: "ANPA5", Number: 1}}, ""},
		{"policy tagged", []Event{&EntityTagged{Kind: KindPolicy, ID: "ANPA1", Tags: []Tag{{"k", "v"}}}}, ""},
		{"inline policy put", []Event{&InlinePolicyPut{Kind: KindUser, ID: "AIDA1", Name: "p"}}, changed},
		{"inline policy deleted", []Event{&InlinePolicyDeleted{Kind: KindUser, ID: "AIDA1", Name: "p"}}, changed},
		{"inline policy put on the group", []Event{&InlinePolicyPut{Kind: KindGroup, ID: "AGPA1", Name: "p"}}, changed},
		{"boundary removed", []Event{&BoundarySet{Kind: KindUser, ID: "AIDA1"}}, changed},
		{"boundary's version put in force", []Event{&DefaultPolicyVersionSet{ID: "ANPA2", Number: 1}}, changed},
		{"removed from the group", []Event{&UserRemovedFromGroup{Group: "AGPA1", User: "AIDA1"}}, changed},
		{"removed from the group, whose policy was detached then", []Event{
			&UserRemovedFromGroup{Group: "AGPA1", User: "AIDA1"}, &PolicyDetached{Kind: KindGroup, ID: "AGPA1", Policy: "ANPA4"}}, changed},
		{"added to a group", []Event{&UserAddedToGroup{Group: "AGPA2", User: "AIDA1"}}, changed},
		{"added to the same group", []Event{&UserAddedToGroup{Group: "AGPA1", User: "AIDA1"}}, ""},
		{"group renamed", []Event{&GroupUpdated{ID: "AGPA1", Name: "ops", Path: "/"}}, changed},
		{"others do things", []Event{&UserDeleted{ID: "AIDA2"}, &RoleDeleted{ID: "AROA1"}, &AccountAliasSet{Account: acct, Alias: "a"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := given(history...)
			by := Authority{Account: acct, Principal: "AIDA1", Credential: "AKIA1", AuthorizedAt: s.Position()}
			apply(s, &ReplicaRegistered{Name: "unrelated"})
			for _, e := range c.then {
				apply(s, e)
			}
			_, err := Decide(s, Meta{Time: now, By: by}, &CreateGroup{Account: acct, ID: "AGPAnew", Name: "new", Path: "/"})
			switch {
			case c.refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.refused != "" && (err == nil || err.Error() != c.refused):
				t.Errorf("refused with\n\t%v, not\n\t%s", err, c.refused)
			}
			var refusal *Refusal
			if err != nil && !errors.As(err, &refusal) {
				t.Errorf("%v is no refusal", err)
			}
			by.AuthorizedAt = s.Position() // authorized anew
			_, err = Decide(s, Meta{Time: now, By: by}, &CreateGroup{Account: acct, ID: "AGPAnew", Name: "new", Path: "/"})
			if stands := c.refused == "" || c.refused == changed; stands != (err == nil) {
				t.Errorf("authorized anew: %v", err)
			}
		})
	}
}

func TestContainmentOfRoot(t *testing.T) {
	s := given(alice)
	by := Authority{Account: acct, Principal: ID(acct), Credential: "AKIAROOT1", AuthorizedAt: 2}
	command := &DeleteUser{Account: acct, Name: "alice"}
	if _, err := Decide(s, Meta{By: by}, command); err != nil {
		t.Error(err)
	}
	by.AuthorizedAt = 1 // before there was an account
	if _, err := Decide(s, Meta{By: by}, command); err == nil {
		t.Error("authorized before the account was opened")
	}
	by.AuthorizedAt = 2
	by.Principal = "AIDA1" // who has no such key
	if _, err := Decide(s, Meta{By: by}, command); err == nil {
		t.Error("authorized with another's key")
	}
	apply(s, &AccessKeyDeleted{Owner: ID(acct), ID: "AKIAROOT1"})
	by.Principal = ID(acct)
	if _, err := Decide(s, Meta{By: by}, command); err == nil {
		t.Error("authorized with a deleted key")
	}
}

func TestPermissionsOfARoleChange(t *testing.T) {
	s := given(deploy, readS3, bound, &PolicyAttached{Kind: KindRole, ID: "AROA1", Policy: "ANPA1"}, &BoundarySet{Kind: KindRole, ID: "AROA1", Policy: "ANPA2"})
	for _, e := range []Event{
		&DefaultPolicyVersionSet{ID: "ANPA1", Number: 1}, &DefaultPolicyVersionSet{ID: "ANPA2", Number: 1}, &TrustUpdated{ID: "AROA1"},
		&RoleUpdated{ID: "AROA1"}, &EntityTagged{Kind: KindRole, ID: "AROA1"}, &InlinePolicyPut{Kind: KindRole, ID: "AROA1", Name: "p"},
		&BoundarySet{Kind: KindRole, ID: "AROA1"}, &PolicyDetached{Kind: KindRole, ID: "AROA1", Policy: "ANPA1"},
	} {
		apply(s, e)
		if got := s.PermissionsChanged("AROA1"); got != s.Position() {
			t.Errorf("after %T at %d the permissions changed at %d", e, s.Position(), got)
		}
	}
	if got := s.PermissionsChanged("nobody"); got != 0 {
		t.Errorf("those of nobody changed at %d", got)
	}
}
