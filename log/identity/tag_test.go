package identity

import (
	"fmt"
	"slices"
	"testing"
)

func TestTags(t *testing.T) { run(t, tagSpecs()) }

func tagSpecs() []spec { return slices.Concat(taggingSpecs(), tagLimitSpecs(), untaggingSpecs()) }

// What alice's tags are in some of the cases, set at once.
var (
	teamTags   = &EntityTagged{Kind: KindUser, ID: "AIDA1", Tags: []Tag{{"Team", "a"}, {"Env", "x"}}}
	kelvinTags = &EntityTagged{Kind: KindUser, ID: "AIDA1", Tags: []Tag{{"\u212A", "a"}, {"Ä", "a"}, {"Team", "a"}}}
)

// fullTags are as many as alice can have.
func fullTags() *EntityTagged {
	full := &EntityTagged{Kind: KindUser, ID: "AIDA1"}
	for i := range MaxTags {
		full.Tags = append(full.Tags, Tag{Key: fmt.Sprintf("k%02d", i)})
	}
	return full
}

// taggingSpecs are of tags that are set, in the place of others of the same key or not.
func taggingSpecs() []spec {
	return []spec{
		{name: "user", given: []Event{alice}, when: &TagEntity{Kind: KindUser, Account: acct, Name: "alice", Tags: teamTags.Tags}, then: []Event{teamTags},
			check: func(s *spying) {
				if u, _ := s.UserByID("AIDA1"); !slices.Equal(u.Tags, []Tag{{"Env", "x"}, {"Team", "a"}}) || u.Changed != s.Position() {
					s.Errorf("the user is %+v", u)
				}
			}},
		{name: "user, other case", given: []Event{alice, teamTags}, when: &TagEntity{Kind: KindUser, Account: acct, Name: "alice", Tags: []Tag{{"TEAM", "b"}, {"z", ""}}},
			then: []Event{&EntityTagged{Kind: KindUser, ID: "AIDA1", Tags: []Tag{{"TEAM", "b"}, {"z", ""}}}},
			check: func(s *spying) {
				if u, _ := s.UserByID("AIDA1"); !slices.Equal(u.Tags, []Tag{{"Env", "x"}, {"TEAM", "b"}, {"z", ""}}) {
					s.Errorf("the tags are %v", u.Tags)
				}
			}},
		{name: "user, other case outside ASCII", given: []Event{alice, kelvinTags},
			when: &TagEntity{Kind: KindUser, Account: acct, Name: "alice", Tags: []Tag{{"k", "b"}, {"ä", "b"}}, AnyCase: true},
			then: []Event{&EntityUntagged{Kind: KindUser, ID: "AIDA1", Keys: []string{"Ä", "\u212A"}},
				&EntityTagged{Kind: KindUser, ID: "AIDA1", Tags: []Tag{{"k", "b"}, {"ä", "b"}}}},
			check: func(s *spying) {
				if u, _ := s.UserByID("AIDA1"); !slices.Equal(u.Tags, []Tag{{"Team", "a"}, {"k", "b"}, {"ä", "b"}}) {
					s.Errorf("the tags are %v", u.Tags)
				}
			}},
		{name: "user, other case outside ASCII, in an old log", given: []Event{alice, kelvinTags},
			when: &TagEntity{Kind: KindUser, Account: acct, Name: "alice", Tags: []Tag{{"k", "b"}, {"ä", "b"}}},
			then: []Event{&EntityTagged{Kind: KindUser, ID: "AIDA1", Tags: []Tag{{"k", "b"}, {"ä", "b"}}}},
			check: func(s *spying) {
				if u, _ := s.UserByID("AIDA1"); len(u.Tags) != 5 {
					s.Errorf("the tags are %v", u.Tags)
				}
			}},
		{name: "full, known key outside ASCII", given: []Event{alice, fullTags(), &EntityUntagged{Kind: KindUser, ID: "AIDA1", Keys: []string{"k00"}},
			&EntityTagged{Kind: KindUser, ID: "AIDA1", Tags: []Tag{{"Ä", ""}}}},
			when: &TagEntity{Kind: KindUser, Account: acct, Name: "alice", Tags: []Tag{{"ä", "v"}}, AnyCase: true},
			then: []Event{&EntityUntagged{Kind: KindUser, ID: "AIDA1", Keys: []string{"Ä"}},
				&EntityTagged{Kind: KindUser, ID: "AIDA1", Tags: []Tag{{"ä", "v"}}}}},
		{name: "role", given: []Event{deploy}, when: &TagEntity{Kind: KindRole, Account: acct, Name: "deploy", Tags: []Tag{{"k", "v"}}},
			then: []Event{&EntityTagged{Kind: KindRole, ID: "AROA1", Tags: []Tag{{"k", "v"}}}},
			check: func(s *spying) {
				if r, _ := s.RoleByID("AROA1"); r.Changed != s.Position() {
					s.Error("the role did not change")
				}
			}},
		{name: "policy, other case", given: []Event{readS3, &EntityTagged{Kind: KindPolicy, ID: "ANPA1", Tags: []Tag{{"k", "v"}}}},
			when: &TagEntity{Kind: KindPolicy, Account: acct, Name: readS3ARN, Tags: []Tag{{"K", "v"}}},
			then: []Event{&EntityTagged{Kind: KindPolicy, ID: "ANPA1", Tags: []Tag{{"K", "v"}}}},
			check: func(s *spying) {
				if p, _ := s.PolicyByID("ANPA1"); !slices.Equal(p.Tags, []Tag{{"K", "v"}, {"k", "v"}}) || p.Changed == s.Position() {
					s.Errorf("the policy is %+v", p)
				}
			}},
	}
}

// tagLimitSpecs are of how many tags there may be, and of what cannot be tagged.
func tagLimitSpecs() []spec {
	return []spec{
		{name: "full, known key", given: []Event{alice, fullTags()}, when: &TagEntity{Kind: KindUser, Account: acct, Name: "alice", Tags: []Tag{{"K07", "v"}}},
			then: []Event{&EntityTagged{Kind: KindUser, ID: "AIDA1", Tags: []Tag{{"K07", "v"}}}}},
		{name: "full, new key", given: []Event{alice, fullTags()}, when: &TagEntity{Kind: KindUser, Account: acct, Name: "alice", Tags: []Tag{{"new", "v"}}},
			refused: "LimitExceeded: The number of tags has reached the maximum limit."},
		{name: "duplicate", given: []Event{alice}, when: &TagEntity{Kind: KindUser, Account: acct, Name: "alice", Tags: []Tag{{"a", ""}, {"A", ""}}},
			refused: "InvalidInput: Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		{name: "duplicate outside ASCII", given: []Event{alice}, when: &TagEntity{Kind: KindUser, Account: acct, Name: "alice", Tags: []Tag{{"ri\u017Fk", ""}, {"risk", ""}}, AnyCase: true},
			refused: "InvalidInput: Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		{name: "duplicate outside ASCII, in an old log", given: []Event{alice}, when: &TagEntity{Kind: KindUser, Account: acct, Name: "alice", Tags: []Tag{{"ri\u017Fk", ""}, {"risk", ""}}},
			then: []Event{&EntityTagged{Kind: KindUser, ID: "AIDA1", Tags: []Tag{{"ri\u017Fk", ""}, {"risk", ""}}}}},
		{name: "no duplicate on a policy", given: []Event{readS3}, when: &TagEntity{Kind: KindPolicy, Account: acct, Name: readS3ARN, Tags: []Tag{{"ä", ""}, {"Ä", "1"}}, AnyCase: true},
			then: []Event{&EntityTagged{Kind: KindPolicy, ID: "ANPA1", Tags: []Tag{{"ä", ""}, {"Ä", "1"}}}}},
		{name: "duplicate on a policy", given: []Event{readS3}, when: &TagEntity{Kind: KindPolicy, Account: acct, Name: readS3ARN, Tags: []Tag{{"a", ""}, {"a", "1"}}},
			refused: "InvalidInput: Duplicate tag keys found."},
		{name: "group", given: []Event{admins}, when: &TagEntity{Kind: KindGroup, Account: acct, Name: "admins"}, refused: "InvalidInput: A group has no tags."},
		{name: "unknown user", when: &TagEntity{Kind: KindUser, Account: acct, Name: "alice"}, refused: "NoSuchEntity: The user with name alice cannot be found."},
		{name: "unknown instance profile", when: &TagEntity{Kind: KindInstanceProfile, Account: acct, Name: "none"}, refused: "NoSuchEntity: Instance Profile none cannot be found."},
		{name: "unknown server certificate", when: &TagEntity{Kind: KindServerCertificate, Account: acct, Name: "none"}, refused: "NoSuchEntity: The Server Certificate with name none cannot be found."},
		{name: "unknown SAML provider", when: &TagEntity{Kind: KindSAMLProvider, Account: acct, Name: "none"}, refused: "NoSuchEntity: Manifest not found for arn none"},
		{name: "unknown OIDC provider", when: &TagEntity{Kind: KindOIDCProvider, Account: acct, Name: "none"}, refused: "NoSuchEntity: OpenIDConnect Provider not found for arn none"},
		{name: "unknown policy", when: &TagEntity{Kind: KindPolicy, Account: acct, Name: noneARN}, refused: "NoSuchEntity: Policy " + noneARN + " was not found."},
		{name: "AWS's policy", given: []Event{awsAll}, by: someone, when: &TagEntity{Kind: KindPolicy, Account: AWSAccount, Name: awsAllARN},
			refused: "UnmodifiableEntity: Policies of the account aws are modifiable by the cluster alone."},
	}
}

// untaggingSpecs are of tags that are taken away.
func untaggingSpecs() []spec {
	return []spec{
		{name: "user, other case", given: []Event{alice, teamTags}, when: &UntagEntity{Kind: KindUser, Account: acct, Name: "alice", Keys: []string{"TEAM", "none"}},
			then: []Event{&EntityUntagged{Kind: KindUser, ID: "AIDA1", Keys: []string{"TEAM", "none"}}},
			check: func(s *spying) {
				if u, _ := s.UserByID("AIDA1"); !slices.Equal(u.Tags, []Tag{{"Env", "x"}}) || u.Changed != s.Position() {
					s.Errorf("the user is %+v", u)
				}
			}},
		{name: "user, other case outside ASCII", given: []Event{alice, kelvinTags},
			when: &UntagEntity{Kind: KindUser, Account: acct, Name: "alice", Keys: []string{"k", "ä"}, AnyCase: true},
			then: []Event{&EntityUntagged{Kind: KindUser, ID: "AIDA1", Keys: []string{"k", "ä", "Ä", "\u212A"}}},
			check: func(s *spying) {
				if u, _ := s.UserByID("AIDA1"); !slices.Equal(u.Tags, []Tag{{"Team", "a"}}) {
					s.Errorf("the tags are %v", u.Tags)
				}
			}},
		{name: "policy, other case", given: []Event{readS3, &EntityTagged{Kind: KindPolicy, ID: "ANPA1", Tags: []Tag{{"k", "v"}}}},
			when: &UntagEntity{Kind: KindPolicy, Account: acct, Name: readS3ARN, Keys: []string{"K"}},
			then: []Event{&EntityUntagged{Kind: KindPolicy, ID: "ANPA1", Keys: []string{"K"}}},
			check: func(s *spying) {
				if p, _ := s.PolicyByID("ANPA1"); len(p.Tags) != 1 {
					s.Errorf("the tags are %v", p.Tags)
				}
			}},
		{name: "unknown role", when: &UntagEntity{Kind: KindRole, Account: acct, Name: "deploy"}, refused: "NoSuchEntity: The role with name deploy cannot be found."},
		{name: "unknown policy", when: &UntagEntity{Kind: KindPolicy, Account: acct, Name: noneARN}, refused: "NoSuchEntity: Policy " + noneARN + " was not found."},
	}
}
