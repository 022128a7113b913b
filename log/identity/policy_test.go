package identity

import (
	"slices"
	"testing"
)

func TestPolicies(t *testing.T) { run(t, policySpecs()) }

// someone is a caller; what the cluster does itself has none.
var someone = Authority{Account: acct, Principal: ID(acct), Credential: "AKIAROOT1", AuthorizedAt: 1 << 40}

func version(n int) *PolicyVersionCreated {
	return &PolicyVersionCreated{ID: "ANPA1", Number: n, Document: "{}", Created: past}
}

func policySpecs() []spec {
	const protected = "UnmodifiableEntity: Policies of the account aws are modifiable by the cluster alone."
	five := []Event{readS3, version(2), version(3), version(4), version(5)}
	tags := []Tag{{"a", "1"}, {"A", "2"}} // two keys: case matters on policies
	return []spec{
		{name: "new", when: &CreatePolicy{Account: acct, ID: "ANPA1", Name: "ReadS3", Path: "/team/", Description: "d", Document: "{}", Tags: tags},
			then: []Event{&PolicyCreated{Account: acct, ID: "ANPA1", Name: "ReadS3", Path: "/team/", Description: "d", Document: "{}", Tags: tags, Created: now}},
			check: func(s *spying) {
				p, ok := s.Policy(readS3ARN)
				if !ok || p.ARN() != readS3ARN || p.Default != 1 || p.Document() != "{}" || p.Updated != now || p.Changed != s.Position() {
					s.Errorf("the policy is %+v", p)
				}
				if !slices.Equal(p.Tags, []Tag{{"A", "2"}, {"a", "1"}}) {
					s.Errorf("the tags are %v", p.Tags)
				}
			}},
		{name: "the name is taken", given: []Event{readS3}, when: &CreatePolicy{Account: acct, ID: "ANPA2", Name: "reads3", Path: "/"},
			refused: "EntityAlreadyExists: A policy called reads3 already exists. Duplicate names are not allowed."},
		{name: "duplicate tags", when: &CreatePolicy{Account: acct, ID: "ANPA1", Name: "a", Path: "/", Tags: []Tag{{"a", ""}, {"a", ""}}},
			refused: "InvalidInput: Duplicate tag keys found."},
		{name: "AWS's", by: someone, when: &CreatePolicy{Account: AWSAccount, ID: "ANPA1", Name: "a", Path: "/"}, refused: protected},
		{name: "AWS's by the cluster", when: &CreatePolicy{Account: AWSAccount, ID: "ANPA1", Name: "a", Path: "/"},
			then: []Event{&PolicyCreated{Account: AWSAccount, ID: "ANPA1", Name: "a", Path: "/", Created: now}}},

		{name: "there", given: []Event{readS3}, by: someone, when: &DeletePolicy{ARN: readS3ARN}, then: []Event{&PolicyDeleted{ID: "ANPA1"}},
			check: func(s *spying) {
				if _, ok := s.Policy(readS3ARN); ok || s.Count(acct, KindPolicy) != 0 {
					s.Error("the policy is there still")
				}
			}},
		{name: "attached", given: []Event{readS3, alice, &PolicyAttached{Kind: KindUser, ID: "AIDA1", Policy: "ANPA1"}}, when: &DeletePolicy{ARN: readS3ARN},
			refused: "DeleteConflict: Cannot delete a policy attached to entities."},
		{name: "a boundary", given: []Event{readS3, alice, &BoundarySet{Kind: KindUser, ID: "AIDA1", Policy: "ANPA1"}}, when: &DeletePolicy{ARN: readS3ARN},
			refused: "DeleteConflict: Cannot delete a policy attached to entities."},
		{name: "with versions", given: []Event{readS3, version(2)}, when: &DeletePolicy{ARN: readS3ARN},
			refused: "DeleteConflict: This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy."},
		{name: "unknown", when: &DeletePolicy{ARN: noneARN}, refused: "NoSuchEntity: Policy " + noneARN + " was not found."},
		{name: "other path", given: []Event{readS3}, when: &DeletePolicy{ARN: "arn:aws:iam::123456789012:policy/ReadS3"},
			refused: "NoSuchEntity: Policy arn:aws:iam::123456789012:policy/ReadS3 was not found."},
		{name: "AWS's", given: []Event{awsAll}, by: someone, when: &DeletePolicy{ARN: awsAllARN}, refused: protected},

		{name: "in force", given: []Event{readS3}, when: &CreatePolicyVersion{ARN: readS3ARN, Document: "{v2}", Default: true},
			then: []Event{&PolicyVersionCreated{ID: "ANPA1", Number: 2, Document: "{v2}", Default: true, Created: now}},
			check: func(s *spying) {
				if p, _ := s.PolicyByID("ANPA1"); p.Document() != "{v2}" || p.Changed != s.Position() || p.Updated != now || p.Created != past {
					s.Errorf("the policy is %+v", p)
				}
			}},
		{name: "kept back", given: []Event{readS3}, when: &CreatePolicyVersion{ARN: readS3ARN, Document: "{v2}"},
			then: []Event{&PolicyVersionCreated{ID: "ANPA1", Number: 2, Document: "{v2}", Created: now}},
			check: func(s *spying) {
				if p, _ := s.PolicyByID("ANPA1"); p.Document() != "{v1}" || p.Changed == s.Position() || len(p.Versions) != 2 {
					s.Errorf("the policy is %+v", p)
				}
			}},
		{name: "numbers are not used again", given: []Event{readS3, version(2), &PolicyVersionDeleted{ID: "ANPA1", Number: 2}},
			when: &CreatePolicyVersion{ARN: readS3ARN, Document: "{}"},
			then: []Event{&PolicyVersionCreated{ID: "ANPA1", Number: 3, Document: "{}", Created: now}}},
		{name: "too many", given: five, when: &CreatePolicyVersion{ARN: readS3ARN, Document: "{}"},
			refused: "LimitExceeded: A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version."},
		{name: "unknown", when: &CreatePolicyVersion{ARN: noneARN}, refused: "NoSuchEntity: Policy " + noneARN + " was not found."},
		{name: "AWS's", given: []Event{awsAll}, by: someone, when: &CreatePolicyVersion{ARN: awsAllARN}, refused: protected},

		{name: "there", given: []Event{readS3, version(2)}, when: &DeletePolicyVersion{ARN: readS3ARN, Number: 2},
			then: []Event{&PolicyVersionDeleted{ID: "ANPA1", Number: 2, At: now}},
			check: func(s *spying) {
				if p, _ := s.PolicyByID("ANPA1"); len(p.Versions) != 1 || p.Latest != 2 || p.Updated != now || p.Changed == s.Position() {
					s.Errorf("the policy is %+v", p)
				}
			}},
		{name: "in force", given: []Event{readS3, version(2)}, when: &DeletePolicyVersion{ARN: readS3ARN, Number: 1},
			refused: "DeleteConflict: Cannot delete the default version of a policy."},
		{name: "no version", given: []Event{readS3}, when: &DeletePolicyVersion{ARN: readS3ARN, Number: 2},
			refused: "NoSuchEntity: Policy " + readS3ARN + " version v2 does not exist or is not attachable."},
		{name: "unknown", when: &DeletePolicyVersion{ARN: noneARN, Number: 1},
			refused: "NoSuchEntity: Policy " + noneARN + " version v1 does not exist or is not attachable."},
		{name: "AWS's", given: []Event{awsAll}, by: someone, when: &DeletePolicyVersion{ARN: awsAllARN, Number: 1}, refused: protected},

		{name: "there", given: []Event{readS3, version(2), version(3)}, when: &SetDefaultPolicyVersion{ARN: readS3ARN, Number: 3},
			then: []Event{&DefaultPolicyVersionSet{ID: "ANPA1", Number: 3, At: now}},
			check: func(s *spying) {
				if p, _ := s.PolicyByID("ANPA1"); p.Default != 3 || p.Document() != "{}" || p.Changed != s.Position() || p.Updated != now {
					s.Errorf("the policy is %+v", p)
				}
			}},
		{name: "no version", given: []Event{readS3}, when: &SetDefaultPolicyVersion{ARN: readS3ARN, Number: 2},
			refused: "NoSuchEntity: Policy " + readS3ARN + " version v2 does not exist or is not attachable."},
		{name: "AWS's", given: []Event{awsAll}, by: someone, when: &SetDefaultPolicyVersion{ARN: awsAllARN, Number: 1}, refused: protected},
	}
}

func TestPolicyARNs(t *testing.T) {
	s := given(readS3, bound, awsAll)
	for arn, want := range map[string]ID{
		readS3ARN:                           "ANPA1",
		boundARN:                            "ANPA2",
		awsAllARN:                           "ANPA4",
		"":                                  "",
		"arn:aws:iam::123456789012:policy":  "",
		"arn:aws:iam::123456789012:policy/": "",
		"arn:aws:iam::123456789012:policy/ReadS3":        "", // path
		"arn:aws:iam::123456789012:policy/team/reads3":   "", // case
		"arn:aws:iam::123456789012:policy/Team/ReadS3":   "",
		"arn:aws:iam::210987654321:policy/team/ReadS3":   "",
		"arn:aws:iam::123456789012:user/team/ReadS3":     "",
		"arn:aws:iam:us-east-1:123456789012:policy/Boun": "",
		"ReadS3": "",
	} {
		var got ID
		if p, ok := s.Policy(arn); ok {
			got = p.ID
		}
		if got != want {
			t.Errorf("%q is %q, not %q", arn, got, want)
		}
	}
}
