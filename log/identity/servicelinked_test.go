package identity

import (
	"fmt"
	"slices"
	"testing"
)

const scalingTask = "task/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling/1"

// scaling is a role of a service, which scalingMay gives its policy.
var (
	scaling = &RoleCreated{Account: acct, ID: "AROA7", Name: "AWSServiceRoleForAutoScaling", Path: "/aws-service-role/autoscaling.amazonaws.com/",
		MaxSession: 3600, Trust: "{}", Created: past}
	scalingMay  = &PolicyAttached{Kind: KindRole, ID: "AROA7", Policy: "ANPA4"} // of awsAll
	scalingGone = &ServiceLinkedRoleDeleted{Account: acct, Task: scalingTask}
)

func TestServiceLinkedRoles(t *testing.T) {
	run(t, slices.Concat(serviceLinkedSpecs(), protectedSpecs()))
}

func serviceLinkedSpecs() []spec {
	create := &CreateServiceLinkedRole{Account: acct, ID: "AROA7", Service: "autoscaling.amazonaws.com", Name: scaling.Name, Trust: "{}", Policy: awsAllARN}
	made := *scaling
	made.Created = now
	described, described2 := *create, made
	described.Description, described2.Description = "scales", "scales"
	described.Policy = "arn:aws:iam::aws:policy/aws-service-role/None"
	return []spec{
		{name: "new", given: []Event{awsAll}, when: create, then: []Event{&made, scalingMay},
			check: func(s *spying) {
				r, _ := s.Role(acct, scaling.Name)
				if service, linked := r.LinkedService(); service != "autoscaling.amazonaws.com" || !linked || s.AttachmentCount("ANPA4") != 1 {
					s.Errorf("it is linked to %q, %v", service, linked)
				}
			}},
		{name: "its policy is not in the catalogue", given: []Event{awsAll}, when: &described, then: []Event{&described2}},
		{name: "the name is taken", given: []Event{scaling}, when: create,
			refused: "InvalidInput: Service role name AWSServiceRoleForAutoScaling has been taken in this account, please try a different suffix."},
		{name: "no account", when: &CreateServiceLinkedRole{Account: "000000000000", ID: "AROA7", Name: "a"},
			refused: "NoSuchEntity: The account with id 000000000000 cannot be found."},

		{name: "with its policy", given: []Event{awsAll, scaling, scalingMay}, when: &DeleteServiceLinkedRole{Account: acct, Name: "awsServiceRoleForAutoScaling", Task: "1"},
			then: []Event{&PolicyDetached{Kind: KindRole, ID: "AROA7", Policy: "ANPA4"}, &RoleDeleted{ID: "AROA7"}, scalingGone},
			check: func(s *spying) {
				if _, ok := s.Role(acct, scaling.Name); ok || !s.DeletionTask(acct, scalingTask) || s.DeletionTask(other, scalingTask) || s.DeletionTask(acct, "task/other") {
					s.Error("the role is there, or its deletion is not")
				}
			}},
		{name: "an ordinary role", given: []Event{deploy}, when: &DeleteServiceLinkedRole{Account: acct, Name: "deploy", Task: "1"},
			refused: "NoSuchEntity: The role with name deploy cannot be found."},
		{name: "unknown", when: &DeleteServiceLinkedRole{Account: acct, Name: "deploy", Task: "1"},
			refused: "NoSuchEntity: The role with name deploy cannot be found."},
	}
}

// protectedSpecs change a role that belongs to a service in every way.
func protectedSpecs() []spec {
	given := []Event{awsAll, readS3, webServer, scaling, scalingMay}
	owner, session, text := Owner{Kind: KindRole, Account: acct, Name: scaling.Name}, 7200, "new"
	const refused = "UnmodifiableEntity: Cannot perform the operation on the protected role 'AWSServiceRoleForAutoScaling' - this role is only modifiable by AWS"
	specs := []spec{
		{name: "the description of a service's role", given: given, when: &UpdateRole{Account: acct, Name: scaling.Name, Description: &text},
			then: []Event{&RoleUpdated{ID: "AROA7", Description: "new", MaxSession: 3600}}},
		{name: "the tags of a service's role", given: given, when: &TagEntity{Kind: KindRole, Account: acct, Name: scaling.Name, Tags: []Tag{{"k", "v"}}},
			then: []Event{&EntityTagged{Kind: KindRole, ID: "AROA7", Tags: []Tag{{"k", "v"}}}}},
	}
	for _, c := range []Command{
		&UpdateRole{Account: acct, Name: scaling.Name, Description: &text, MaxSession: &session},
		&UpdateTrust{Account: acct, Name: scaling.Name, Trust: "{}"},
		&DeleteRole{Account: acct, Name: scaling.Name},
		&PutInlinePolicy{Owner: owner, Name: "p", Document: "{}"},
		&DeleteInlinePolicy{Owner: owner, Name: "p"},
		&AttachPolicy{Owner: owner, Policy: readS3ARN},
		&DetachPolicy{Owner: owner, Policy: awsAllARN},
		&SetBoundary{Owner: owner, Policy: readS3ARN},
		&SetBoundary{Owner: owner},
		&AddRoleToInstanceProfile{Account: acct, Profile: "web", Role: scaling.Name},
		&RemoveRoleFromInstanceProfile{Account: acct, Profile: "web", Role: scaling.Name},
	} {
		specs = append(specs, spec{name: "a service's role", given: given, when: c, refused: refused})
	}
	return specs
}

// An account remembers its latest deletions, and no more than so many.
func TestDeletionTasksAreBounded(t *testing.T) {
	s := given()
	for i := range MaxDeletionTasks + 2 {
		before := s.Snapshot()
		apply(s, &ServiceLinkedRoleDeleted{Account: acct, Task: fmt.Sprint(i)})
		if before.DeletionTask(acct, fmt.Sprint(i)) {
			t.Fatal("a snapshot changed")
		}
	}
	for i := range MaxDeletionTasks + 2 {
		if got := s.DeletionTask(acct, fmt.Sprint(i)); got != (i >= 2) {
			t.Errorf("deletion %d is remembered: %v", i, got)
		}
	}
	verify(t, s)
}
