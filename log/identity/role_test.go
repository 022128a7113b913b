package identity

import (
	"slices"
	"testing"
)

func TestRoles(t *testing.T) { run(t, roleSpecs()) }

func roleSpecs() []spec {
	description, session := "new", 7200
	return []spec{
		{name: "new", given: []Event{bound},
			when: &CreateRole{Account: acct, ID: "AROA1", Name: "Deploy", Path: "/ci/", Description: "d", MaxSession: 7200, Trust: "{t}", Boundary: boundARN, Tags: []Tag{{"k", "v"}}},
			then: []Event{&RoleCreated{Account: acct, ID: "AROA1", Name: "Deploy", Path: "/ci/", Description: "d", MaxSession: 7200, Trust: "{t}", Boundary: "ANPA2", Tags: []Tag{{"k", "v"}}, Created: now}},
			check: func(s *spying) {
				r, ok := s.Role(acct, "deploy")
				if !ok || r.ARN() != "arn:aws:iam::123456789012:role/ci/Deploy" || r.Trust != "{t}" || r.Description != "d" || r.MaxSession != 7200 ||
					r.Boundary != "ANPA2" || !slices.Equal(r.Tags, []Tag{{"k", "v"}}) || r.Changed != s.Position() {
					s.Errorf("the role is %+v", r)
				}
			}},
		{name: "usual session", when: &CreateRole{Account: acct, ID: "AROA1", Name: "Deploy", Path: "/", Trust: "{t}"},
			then: []Event{&RoleCreated{Account: acct, ID: "AROA1", Name: "Deploy", Path: "/", MaxSession: DefaultMaxSession, Trust: "{t}", Created: now}}},
		{name: "the name is taken", given: []Event{deploy}, when: &CreateRole{Account: acct, ID: "AROA2", Name: "DEPLOY", Path: "/"},
			refused: "EntityAlreadyExists: Role with name DEPLOY already exists."},
		{name: "the path is reserved", when: &CreateRole{Account: acct, ID: "AROA1", Name: "a", Path: "/aws-service-role/x/"},
			refused: "InvalidInput: Path prefix '/aws-service-role/' can only be used for AWS Service linked Roles"},
		{name: "duplicate tags", when: &CreateRole{Account: acct, ID: "AROA1", Name: "a", Path: "/", Tags: []Tag{{"k", ""}, {"K", ""}}},
			refused: "InvalidInput: Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		{name: "no boundary", when: &CreateRole{Account: acct, ID: "AROA1", Name: "a", Path: "/", Boundary: noneARN},
			refused: "NoSuchEntity: Scope ARN: " + noneARN + " does not exist or is not attachable."},

		{name: "both", given: []Event{deploy}, when: &UpdateRole{Account: acct, Name: "deploy", Description: &description, MaxSession: &session},
			then: []Event{&RoleUpdated{ID: "AROA1", Description: "new", MaxSession: 7200}},
			check: func(s *spying) {
				if r, _ := s.RoleByID("AROA1"); r.Description != "new" || r.MaxSession != 7200 || r.Trust != "{trust}" || r.Changed != s.Position() {
					s.Errorf("the role is %+v", r)
				}
			}},
		{name: "neither", given: []Event{deploy}, when: &UpdateRole{Account: acct, Name: "deploy"},
			then: []Event{&RoleUpdated{ID: "AROA1", MaxSession: 3600}}},
		{name: "unknown", when: &UpdateRole{Account: acct, Name: "deploy"}, refused: "NoSuchEntity: The role with name deploy cannot be found."},

		{name: "there", given: []Event{deploy}, when: &UpdateTrust{Account: acct, Name: "deploy", Trust: "{new}"},
			then: []Event{&TrustUpdated{ID: "AROA1", Trust: "{new}"}},
			check: func(s *spying) {
				if r, _ := s.RoleByID("AROA1"); r.Trust != "{new}" || s.PermissionsChanged("AROA1") != s.Position() {
					s.Errorf("the role is %+v", r)
				}
			}},
		{name: "unknown", when: &UpdateTrust{Account: acct, Name: "deploy"}, refused: "NoSuchEntity: The role with name deploy cannot be found."},

		{name: "with a boundary", given: []Event{bound, deploy, &BoundarySet{Kind: KindRole, ID: "AROA1", Policy: "ANPA2"}},
			when: &DeleteRole{Account: acct, Name: "deploy"}, then: []Event{&RoleDeleted{ID: "AROA1"}},
			check: func(s *spying) {
				if _, ok := s.RoleByID("AROA1"); ok || s.BoundaryUsageCount("ANPA2") != 0 {
					s.Error("something of the role is left")
				}
			}},
		{name: "with a policy", given: []Event{deploy, readS3, &PolicyAttached{Kind: KindRole, ID: "AROA1", Policy: "ANPA1"}},
			when: &DeleteRole{Account: acct, Name: "deploy"}, refused: "DeleteConflict: Cannot delete entity, must detach all policies first."},
		{name: "with an inline policy", given: []Event{deploy, &InlinePolicyPut{Kind: KindRole, ID: "AROA1", Name: "p"}},
			when: &DeleteRole{Account: acct, Name: "deploy"}, refused: "DeleteConflict: Cannot delete entity, must delete policies first."},
		{name: "unknown", when: &DeleteRole{Account: acct, Name: "deploy"}, refused: "NoSuchEntity: The role with name deploy cannot be found."},
	}
}
