package identity

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestInlinePolicies(t *testing.T)      { run(t, inlineSpecs()) }
func TestAttachments(t *testing.T)         { run(t, attachSpecs()) }
func TestPermissionsBoundary(t *testing.T) { run(t, boundarySpecs()) }

func inlineSpecs() []spec {
	// White space of the policy language does not count.
	long := func(n int) string { return strings.Repeat("x \t\r\n", n) }
	stored := &InlinePolicyPut{Kind: KindUser, ID: "AIDA1", Name: "one", Document: "{1}"}
	return []spec{
		{name: "user", given: []Event{alice}, when: &PutInlinePolicy{Owner: aliceOwner, Name: "one", Document: "{1}"}, then: []Event{stored},
			check: func(s *spying) {
				if u, _ := s.UserByID("AIDA1"); !slices.Equal(u.Inline, []InlinePolicy{{"one", "{1}"}}) || u.Changed != s.Position() {
					s.Errorf("the user is %+v", u)
				}
			}},
		{name: "replaced", given: []Event{alice, stored, &InlinePolicyPut{Kind: KindUser, ID: "AIDA1", Name: "two"}},
			when: &PutInlinePolicy{Owner: aliceOwner, Name: "one", Document: "{new}"},
			then: []Event{&InlinePolicyPut{Kind: KindUser, ID: "AIDA1", Name: "one", Document: "{new}"}},
			check: func(s *spying) {
				if u, _ := s.UserByID("AIDA1"); !slices.Equal(u.Inline, []InlinePolicy{{"one", "{new}"}, {"two", ""}}) {
					s.Errorf("the user is %+v", u)
				}
			}},
		{name: "group", given: []Event{admins}, when: &PutInlinePolicy{Owner: adminsOwner, Name: "one", Document: long(5120)},
			then: []Event{&InlinePolicyPut{Kind: KindGroup, ID: "AGPA1", Name: "one", Document: long(5120)}}},
		{name: "role", given: []Event{deploy}, when: &PutInlinePolicy{Owner: deployOwner, Name: "one", Document: long(10240)},
			then: []Event{&InlinePolicyPut{Kind: KindRole, ID: "AROA1", Name: "one", Document: long(10240)}}},
		{name: "user, full", given: []Event{alice, stored}, when: &PutInlinePolicy{Owner: aliceOwner, Name: "one", Document: long(2048)},
			then: []Event{&InlinePolicyPut{Kind: KindUser, ID: "AIDA1", Name: "one", Document: long(2048)}}},
		{name: "user, too large", given: []Event{alice, stored}, when: &PutInlinePolicy{Owner: aliceOwner, Name: "two", Document: long(2046)},
			refused: "LimitExceeded: Maximum policy size of 2048 bytes exceeded for user Alice"},
		{name: "group, too large", given: []Event{admins}, when: &PutInlinePolicy{Owner: adminsOwner, Name: "one", Document: long(5121)},
			refused: "LimitExceeded: Maximum policy size of 5120 bytes exceeded for group Admins"},
		{name: "role, too large", given: []Event{deploy}, when: &PutInlinePolicy{Owner: deployOwner, Name: "one", Document: long(10241)},
			refused: "LimitExceeded: Maximum policy size of 10240 bytes exceeded for role Deploy"},
		{name: "mostly white space", given: []Event{alice, stored}, when: &PutInlinePolicy{Owner: aliceOwner, Name: "two", Document: strings.Repeat(" ", MaxInlineText-1)},
			refused: "LimitExceeded: The policies of user Alice would be longer than 131072 bytes, white space included; store them with less of it."},
		{name: "mostly white space, before that was bounded", first: true, given: []Event{alice, stored},
			when: &PutInlinePolicy{Owner: aliceOwner, Name: "two", Document: strings.Repeat(" ", MaxInlineText-1)},
			then: []Event{&InlinePolicyPut{Kind: KindUser, ID: "AIDA1", Name: "two", Document: strings.Repeat(" ", MaxInlineText-1)}}},
		{name: "unknown", when: &PutInlinePolicy{Owner: deployOwner, Name: "one"}, refused: "NoSuchEntity: The role with name Deploy cannot be found."},
		{name: "no owner", when: &PutInlinePolicy{Owner: Owner{Kind: KindPolicy, Account: acct, Name: "a"}},
			refused: "InvalidInput: An entity of kind 4 cannot be the owner."},
		{name: "no kind", when: &PutInlinePolicy{Owner: Owner{Kind: 9, Account: acct, Name: "a"}},
			refused: "InvalidInput: An entity of kind 9 cannot be the owner."},

		{name: "there", given: []Event{alice, stored}, when: &DeleteInlinePolicy{Owner: aliceOwner, Name: "one"},
			then: []Event{&InlinePolicyDeleted{Kind: KindUser, ID: "AIDA1", Name: "one"}},
			check: func(s *spying) {
				if u, _ := s.UserByID("AIDA1"); len(u.Inline) != 0 || u.Changed != s.Position() {
					s.Errorf("the user is %+v", u)
				}
			}},
		{name: "user's unknown", given: []Event{alice}, when: &DeleteInlinePolicy{Owner: aliceOwner, Name: "one"},
			refused: "NoSuchEntity: The user policy with name one cannot be found."},
		{name: "group's unknown", given: []Event{admins}, when: &DeleteInlinePolicy{Owner: adminsOwner, Name: "one"},
			refused: "NoSuchEntity: The group policy with name one cannot be found."},
		{name: "role's unknown", given: []Event{deploy}, when: &DeleteInlinePolicy{Owner: deployOwner, Name: "one"},
			refused: "NoSuchEntity: The role policy with name one cannot be found."},
		{name: "unknown", when: &DeleteInlinePolicy{Owner: aliceOwner, Name: "one"}, refused: "NoSuchEntity: The user with name Alice cannot be found."},
	}
}

func attachSpecs() []spec {
	full := map[Kind][]Event{KindUser: {alice}, KindGroup: {admins}, KindRole: {deploy}}
	for kind, id := range map[Kind]ID{KindUser: "AIDA1", KindGroup: "AGPA1", KindRole: "AROA1"} {
		for i := range QuotaPoliciesPerUser.Default(DefaultsUnchosen) {
			policy := ID(fmt.Sprintf("ANPAx%d", i))
			full[kind] = append(full[kind], &PolicyCreated{Account: acct, ID: policy, Name: fmt.Sprintf("p%d", i), Path: "/"},
				&PolicyAttached{Kind: kind, ID: id, Policy: policy})
		}
		full[kind] = append(full[kind], readS3)
	}
	attached := &PolicyAttached{Kind: KindUser, ID: "AIDA1", Policy: "ANPA1"}
	return []spec{
		{name: "user", given: []Event{alice, readS3}, when: &AttachPolicy{Owner: aliceOwner, Policy: readS3ARN}, then: []Event{attached},
			check: func(s *spying) {
				u, _ := s.UserByID("AIDA1")
				if !slices.Equal(u.Attached, []ID{"ANPA1"}) || u.Changed != s.Position() || s.AttachmentCount("ANPA1") != 1 {
					s.Errorf("the user is %+v", u)
				}
			}},
		{name: "group", given: []Event{admins, readS3}, when: &AttachPolicy{Owner: adminsOwner, Policy: readS3ARN},
			then: []Event{&PolicyAttached{Kind: KindGroup, ID: "AGPA1", Policy: "ANPA1"}},
			check: func(s *spying) {
				if g, _ := s.GroupByID("AGPA1"); !slices.Equal(g.Attached, []ID{"ANPA1"}) || g.Changed != s.Position() {
					s.Errorf("the group is %+v", g)
				}
			}},
		{name: "role, AWS's", given: []Event{deploy, awsAll}, when: &AttachPolicy{Owner: deployOwner, Policy: awsAllARN},
			then: []Event{&PolicyAttached{Kind: KindRole, ID: "AROA1", Policy: "ANPA4"}}},
		{name: "again", given: []Event{alice, readS3, attached}, when: &AttachPolicy{Owner: aliceOwner, Policy: readS3ARN}, then: []Event{attached},
			check: func(s *spying) {
				if u, _ := s.UserByID("AIDA1"); len(u.Attached) != 1 || u.Changed == s.Position() {
					s.Errorf("the user is %+v", u)
				}
			}},
		{name: "again, full", given: full[KindUser], when: &AttachPolicy{Owner: aliceOwner, Policy: "arn:aws:iam::123456789012:policy/p3"},
			then: []Event{&PolicyAttached{Kind: KindUser, ID: "AIDA1", Policy: "ANPAx3"}}},
		{name: "user, full", given: full[KindUser], when: &AttachPolicy{Owner: aliceOwner, Policy: readS3ARN},
			refused: "LimitExceeded: Cannot exceed quota for PoliciesPerUser: 10"},
		{name: "group, full", given: full[KindGroup], when: &AttachPolicy{Owner: adminsOwner, Policy: readS3ARN},
			refused: "LimitExceeded: Cannot exceed quota for PoliciesPerGroup: 10"},
		{name: "role, full", given: full[KindRole], when: &AttachPolicy{Owner: deployOwner, Policy: readS3ARN},
			refused: "LimitExceeded: Cannot exceed quota for PoliciesPerRole: 10"},
		{name: "unknown policy", given: []Event{alice}, when: &AttachPolicy{Owner: aliceOwner, Policy: noneARN},
			refused: "NoSuchEntity: Policy " + noneARN + " does not exist or is not attachable."},
		{name: "another account's", given: []Event{alice, theirs}, when: &AttachPolicy{Owner: aliceOwner, Policy: theirsARN},
			refused: "NoSuchEntity: Policy " + theirsARN + " does not exist or is not attachable."},
		{name: "unknown user", given: []Event{readS3}, when: &AttachPolicy{Owner: aliceOwner, Policy: readS3ARN},
			refused: "NoSuchEntity: The user with name Alice cannot be found."},

		{name: "there", given: []Event{alice, readS3, attached}, when: &DetachPolicy{Owner: aliceOwner, Policy: readS3ARN},
			then: []Event{&PolicyDetached{Kind: KindUser, ID: "AIDA1", Policy: "ANPA1"}},
			check: func(s *spying) {
				u, _ := s.UserByID("AIDA1")
				if len(u.Attached) != 0 || u.Changed != s.Position() || s.AttachmentCount("ANPA1") != 0 {
					s.Errorf("the user is %+v", u)
				}
			}},
		{name: "not attached", given: []Event{alice, readS3}, when: &DetachPolicy{Owner: aliceOwner, Policy: readS3ARN},
			refused: "NoSuchEntity: Policy " + readS3ARN + " was not found."},
		{name: "unknown policy", given: []Event{alice}, when: &DetachPolicy{Owner: aliceOwner, Policy: noneARN},
			refused: "NoSuchEntity: Policy " + noneARN + " was not found."},
		{name: "unknown role", when: &DetachPolicy{Owner: deployOwner, Policy: readS3ARN}, refused: "NoSuchEntity: The role with name Deploy cannot be found."},
	}
}

func boundarySpecs() []spec {
	set := &BoundarySet{Kind: KindUser, ID: "AIDA1", Policy: "ANPA2"}
	return []spec{
		{name: "user", given: []Event{alice, bound}, when: &SetBoundary{Owner: aliceOwner, Policy: boundARN}, then: []Event{set},
			check: func(s *spying) {
				if u, _ := s.UserByID("AIDA1"); u.Boundary != "ANPA2" || u.Changed != s.Position() || s.BoundaryUsageCount("ANPA2") != 1 || s.AttachmentCount("ANPA2") != 0 {
					s.Errorf("the user is %+v", u)
				}
			}},
		{name: "another", given: []Event{alice, bound, readS3, set}, when: &SetBoundary{Owner: aliceOwner, Policy: readS3ARN},
			then: []Event{&BoundarySet{Kind: KindUser, ID: "AIDA1", Policy: "ANPA1"}},
			check: func(s *spying) {
				if s.BoundaryUsageCount("ANPA2") != 0 || s.BoundaryUsageCount("ANPA1") != 1 {
					s.Error("the old boundary counts still")
				}
			}},
		{name: "none", given: []Event{alice, bound, set}, when: &SetBoundary{Owner: aliceOwner}, then: []Event{&BoundarySet{Kind: KindUser, ID: "AIDA1"}},
			check: func(s *spying) {
				if u, _ := s.UserByID("AIDA1"); u.Boundary != "" || u.Changed != s.Position() || s.BoundaryUsageCount("ANPA2") != 0 {
					s.Errorf("the user is %+v", u)
				}
			}},
		{name: "role", given: []Event{deploy, awsAll}, when: &SetBoundary{Owner: deployOwner, Policy: awsAllARN},
			then: []Event{&BoundarySet{Kind: KindRole, ID: "AROA1", Policy: "ANPA4"}}},
		{name: "group", given: []Event{admins, bound}, when: &SetBoundary{Owner: adminsOwner, Policy: boundARN},
			refused: "InvalidInput: A group has no permissions boundary."},
		{name: "unknown policy", given: []Event{alice}, when: &SetBoundary{Owner: aliceOwner, Policy: noneARN},
			refused: "NoSuchEntity: Scope ARN: " + noneARN + " does not exist or is not attachable."},
		{name: "unknown user", when: &SetBoundary{Owner: aliceOwner}, refused: "NoSuchEntity: The user with name Alice cannot be found."},
	}
}

func TestHoldersOfAPolicy(t *testing.T) {
	s := given(alice, admins, deploy, readS3, bound,
		&PolicyAttached{Kind: KindUser, ID: "AIDA1", Policy: "ANPA1"},
		&PolicyAttached{Kind: KindGroup, ID: "AGPA1", Policy: "ANPA1"},
		&PolicyAttached{Kind: KindRole, ID: "AROA1", Policy: "ANPA1"},
		&BoundarySet{Kind: KindRole, ID: "AROA1", Policy: "ANPA2"})
	var order []ID
	found := map[ID]Kind{}
	s.PolicyHolders("ANPA1", "", func(k Kind, id ID) bool {
		found[id] = k
		order = append(order, id)
		return true
	})
	if len(found) != 3 || found["AIDA1"] != KindUser || found["AGPA1"] != KindGroup || found["AROA1"] != KindRole {
		t.Errorf("the holders are %v", found)
	}
	var rest []ID
	s.PolicyHolders("ANPA1", order[0], func(_ Kind, id ID) bool {
		rest = append(rest, id)
		return false
	})
	if !slices.Equal(rest, order[1:2]) {
		t.Errorf("after %s comes %v of %v", order[0], rest, order)
	}
	s.Bounded("ANPA2", "", func(k Kind, id ID) bool {
		if k != KindRole || id != "AROA1" {
			t.Errorf("bounded is %d %s", k, id)
		}
		return true
	})
}
