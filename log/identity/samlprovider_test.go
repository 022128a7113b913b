package identity

import (
	"fmt"
	"slices"
	"testing"
)

func TestSAMLProviders(t *testing.T) { run(t, samlProviderSpecs()) }

const corpARN = "arn:aws:iam::123456789012:saml-provider/corp"

func samlProviderSpecs() []spec {
	return slices.Concat(createSAMLProviderSpecs(), updateSAMLProviderSpecs())
}

// corp is a provider with as many keys.
func corp(keys int) *SAMLProviderCreated {
	e := &SAMLProviderCreated{Account: acct, Name: "corp", UUID: "SAMLSP1", Metadata: []byte("one"), ValidUntil: 7, Encryption: EncryptionAllowed, Created: past}
	for i := range keys {
		e.Keys = append(e.Keys, SAMLKey{ID: fmt.Sprintf("KEY%d", i), Sealed: []byte("sealed"), Added: past})
	}
	return e
}

func createSAMLProviderSpecs() []spec {
	create := func() *CreateSAMLProvider {
		return &CreateSAMLProvider{Account: acct, Name: "corp", UUID: "SAMLSP2", Metadata: []byte("two"), ValidUntil: 9, Encryption: EncryptionRequired,
			Key: &NewSAMLKey{ID: "KEY", Sealed: []byte("sealed")}, Tags: []Tag{{"a", "1"}}}
	}
	keyless := create()
	keyless.Key = nil
	twice := create()
	twice.Tags = []Tag{{"a", "1"}, {"a", "2"}}
	foreign := create()
	foreign.Account = "333333333333"
	var many []Event
	for i := range 100 {
		many = append(many, &SAMLProviderCreated{Account: acct, Name: fmt.Sprintf("p%d", i), Created: past})
	}
	keys := []SAMLKey{{ID: "KEY", Sealed: []byte("sealed"), Added: now}}
	return []spec{
		{name: "new", given: issuers(), when: create(),
			then: []Event{&SAMLProviderCreated{Account: acct, Name: "corp", UUID: "SAMLSP2", Metadata: []byte("two"), ValidUntil: 9,
				Encryption: EncryptionRequired, Keys: keys, Tags: []Tag{{"a", "1"}}, Created: now}},
			check: func(s *spying) {
				p, ok := s.SAMLProvider(corpARN)
				if !ok || p.UUID != "SAMLSP2" || p.ValidUntil != 9 || p.Encryption != EncryptionRequired || len(p.Keys) != 1 || len(p.Tags) != 1 || p.Created != now {
					s.Errorf("the provider is %+v", p)
				}
				if list := s.SAMLProviders(acct); len(list) != 1 || list[0] != p || len(s.OIDCProviders(acct)) != 100 {
					s.Errorf("listed are %v", list)
				}
			}},
		{name: "taken", given: []Event{corp(0)}, when: create(), refused: "EntityAlreadyExists: Provider with name corp already exists."},
		{name: "one too many", given: many, when: create(), refused: "LimitExceeded: Cannot exceed quota for SAMLProvidersPerAccount: 100"},
		{name: "no account", when: foreign, refused: "NoSuchEntity: The account with id 333333333333 cannot be found."},
		{name: "tags of which two are one", when: twice, refused: "InvalidInput: " + DuplicateTags(KindSAMLProvider)},
		{name: "nothing to open assertions with", when: keyless, refused: "InvalidInput: Assertion encryption cannot be required without a private key."},

		{name: "there", given: []Event{corp(0)}, when: &DeleteSAMLProvider{Account: acct, ARN: corpARN}, then: []Event{&SAMLProviderDeleted{ID: corpARN}},
			check: func(s *spying) {
				if p, ok := s.SAMLProvider(corpARN); ok || len(s.SAMLProviders(acct)) != 0 {
					s.Errorf("the provider is %+v", p)
				}
			}},
		{name: "not there", when: &DeleteSAMLProvider{Account: acct, ARN: corpARN}, refused: "NoSuchEntity: Manifest not found for arn " + corpARN},
		{name: "another account's", given: []Event{corp(0)}, when: &DeleteSAMLProvider{Account: other, ARN: corpARN}, refused: "NoSuchEntity: Manifest not found for arn " + corpARN},
	}
}

func updateSAMLProviderSpecs() []spec {
	update := func(change func(*UpdateSAMLProvider)) *UpdateSAMLProvider {
		c := &UpdateSAMLProvider{Account: acct, ARN: corpARN}
		change(c)
		return c
	}
	add := func(c *UpdateSAMLProvider) { c.AddKey = &NewSAMLKey{ID: "NEW", Sealed: []byte("sealed")} }
	added := &SAMLKey{ID: "NEW", Sealed: []byte("sealed"), Added: now}
	has := func(want ...string) func(*spying) {
		return func(s *spying) {
			p, _ := s.SAMLProvider(corpARN)
			var got []string
			for _, k := range p.Keys {
				got = append(got, k.ID)
			}
			if !slices.Equal(got, want) {
				s.Errorf("the keys are %v, not %v", got, want)
			}
		}
	}
	required := corp(1)
	required.Encryption = EncryptionRequired
	return []spec{
		{name: "the document", given: []Event{corp(1)}, when: update(func(c *UpdateSAMLProvider) { c.Metadata, c.ValidUntil = []byte("two"), 9 }),
			then: []Event{&SAMLProviderUpdated{ID: corpARN, Metadata: []byte("two"), ValidUntil: 9}},
			check: func(s *spying) {
				if p, _ := s.SAMLProvider(corpARN); string(p.Metadata) != "two" || p.ValidUntil != 9 || p.UUID != "SAMLSP1" || p.Encryption != EncryptionAllowed || len(p.Keys) != 1 {
					s.Errorf("the provider is %+v", p)
				}
			}},
		{name: "the mode", given: []Event{corp(1)}, when: update(func(c *UpdateSAMLProvider) { c.Encryption = EncryptionRequired }),
			then: []Event{&SAMLProviderUpdated{ID: corpARN, Encryption: EncryptionRequired}},
			check: func(s *spying) {
				if p, _ := s.SAMLProvider(corpARN); p.Encryption != EncryptionRequired || string(p.Metadata) != "one" || p.ValidUntil != 7 {
					s.Errorf("the provider is %+v", p)
				}
			}},
		{name: "another key", given: []Event{corp(1)}, when: update(add), then: []Event{&SAMLProviderUpdated{ID: corpARN, AddedKey: added}}, check: has("KEY0", "NEW")},
		{name: "a key less", given: []Event{corp(2)}, when: update(func(c *UpdateSAMLProvider) { c.RemoveKey = "KEY0" }),
			then: []Event{&SAMLProviderUpdated{ID: corpARN, RemovedKey: "KEY0"}}, check: has("KEY1")},
		{name: "one key too many", given: []Event{corp(2)}, when: update(add), refused: "LimitExceeded: Cannot exceed quota for PrivateKeysPerSAMLProvider: 2"},
		{name: "no such key", given: []Event{corp(1)}, when: update(func(c *UpdateSAMLProvider) { c.RemoveKey = "KEY1" }),
			refused: "NoSuchEntity: The private key with id KEY1 cannot be found."},
		{name: "the last key, which is required", given: []Event{required}, when: update(func(c *UpdateSAMLProvider) { c.RemoveKey = "KEY0" }),
			refused: "InvalidInput: Assertion encryption cannot be required without a private key."},
		{name: "the mode, without a key", given: []Event{corp(0)}, when: update(func(c *UpdateSAMLProvider) { c.Encryption = EncryptionRequired }),
			refused: "InvalidInput: Assertion encryption cannot be required without a private key."},
		{name: "no provider", when: update(add), refused: "NoSuchEntity: Manifest not found for arn " + corpARN},
		{name: "another account's", given: []Event{corp(0)}, when: &UpdateSAMLProvider{Account: other, ARN: corpARN, Encryption: EncryptionAllowed},
			refused: "NoSuchEntity: Manifest not found for arn " + corpARN},

		{name: "of a SAML provider", given: []Event{corp(0)}, when: &TagEntity{Kind: KindSAMLProvider, Account: acct, Name: corpARN, Tags: []Tag{{"a", "1"}}, AnyCase: true},
			then: []Event{&EntityTagged{Kind: KindSAMLProvider, ID: corpARN, Tags: []Tag{{"a", "1"}}}},
			check: func(s *spying) {
				if p, _ := s.SAMLProvider(corpARN); !slices.Equal(p.Tags, []Tag{{"a", "1"}}) {
					s.Errorf("the tags are %v", p.Tags)
				}
			}},
	}
}
