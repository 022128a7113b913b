package identity

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestOIDCProviders(t *testing.T) { run(t, oidcProviderSpecs()) }

const (
	issuer    = "idp.example.com/a"
	issuerARN = "arn:aws:iam::123456789012:oidc-provider/idp.example.com/a"
)

// printOf is a thumbprint of one digit.
func printOf(digit string) string { return strings.Repeat(digit, 40) }

// numbered are n texts.
func numbered(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("client-%d", i))
	}
	return list
}

// issuers are as many providers as an account may have.
func issuers() (events []Event) {
	for i := range 100 {
		events = append(events, &OIDCProviderCreated{Account: acct, URL: fmt.Sprintf("%d.example.com", i), Created: past})
	}
	return events
}

func oidcProviderSpecs() []spec {
	return slices.Concat(createOIDCProviderSpecs(), clientIDSpecs(), thumbprintSpecs(), providerKeySpecs())
}

func createOIDCProviderSpecs() []spec {
	made := &OIDCProviderCreated{Account: acct, URL: issuer, ClientIDs: []string{"app"}, Thumbprints: []string{printOf("a")}, Created: past}
	elsewhere := &OIDCProviderCreated{Account: other, URL: issuer, Created: past}
	return []spec{
		{name: "new", given: []Event{elsewhere}, when: &CreateOIDCProvider{Account: acct, URL: issuer, ClientIDs: []string{"app"}, Tags: []Tag{{"b", "2"}, {"a", "1"}}},
			then: []Event{&OIDCProviderCreated{Account: acct, URL: issuer, ClientIDs: []string{"app"}, Tags: []Tag{{"b", "2"}, {"a", "1"}}, Created: now}},
			check: func(s *spying) {
				p, ok := s.OIDCProvider(issuerARN)
				if !ok || p.Created != now || !slices.Equal(p.Tags, []Tag{{"a", "1"}, {"b", "2"}}) || !slices.Equal(p.ClientIDs, []string{"app"}) {
					s.Errorf("the provider is %+v", p)
				}
				if list := s.OIDCProviders(acct); len(list) != 1 || list[0] != p {
					s.Errorf("listed are %v", list)
				}
			}},
		{name: "taken", given: []Event{made}, when: &CreateOIDCProvider{Account: acct, URL: issuer},
			refused: "EntityAlreadyExists: Provider with url https://idp.example.com/a already exists."},
		{name: "in other letters", given: []Event{made}, when: &CreateOIDCProvider{Account: acct, URL: "IDP.example.com/a"},
			then: []Event{&OIDCProviderCreated{Account: acct, URL: "IDP.example.com/a", Created: now}},
			check: func(s *spying) {
				if list := s.OIDCProviders(acct); len(list) != 2 || list[0].URL != "IDP.example.com/a" {
					s.Errorf("listed are %v", list)
				}
			}},
		{name: "no account", when: &CreateOIDCProvider{Account: "333333333333", URL: issuer}, refused: "NoSuchEntity: The account with id 333333333333 cannot be found."},
		{name: "one too many", given: issuers(), when: &CreateOIDCProvider{Account: acct, URL: issuer},
			refused: "LimitExceeded: Cannot exceed quota for OpenIdConnectProvidersPerAccount: 100"},
		{name: "as many as may be, in another account", given: issuers(), when: &CreateOIDCProvider{Account: other, URL: issuer},
			then: []Event{&OIDCProviderCreated{Account: other, URL: issuer, Created: now}}},
		{name: "too many clients", when: &CreateOIDCProvider{Account: acct, URL: issuer, ClientIDs: numbered(101)},
			refused: "LimitExceeded: Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100"},
		{name: "too many thumbprints", when: &CreateOIDCProvider{Account: acct, URL: issuer, Thumbprints: numbered(6)},
			refused: "InvalidInput: Thumbprint list must contain fewer than 5 entries."},
		{name: "tags of which two are one", when: &CreateOIDCProvider{Account: acct, URL: issuer, Tags: []Tag{{"a", "1"}, {"a", "2"}}},
			refused: "InvalidInput: " + DuplicateTags(KindOIDCProvider)},

		{name: "there", given: []Event{made, elsewhere}, when: &DeleteOIDCProvider{Account: acct, ARN: issuerARN}, then: []Event{&OIDCProviderDeleted{ID: issuerARN}},
			check: func(s *spying) {
				if p, ok := s.OIDCProvider(issuerARN); ok || len(s.OIDCProviders(acct)) != 0 || len(s.OIDCProviders(other)) != 1 {
					s.Errorf("the provider is %+v", p)
				}
			}},
		{name: "not there", when: &DeleteOIDCProvider{Account: acct, ARN: issuerARN}, refused: "NoSuchEntity: OpenId connect Provider " + issuerARN + " cannot be found."},
		{name: "another account's", given: []Event{made}, when: &DeleteOIDCProvider{Account: other, ARN: issuerARN},
			refused: "NoSuchEntity: OpenId connect Provider " + issuerARN + " cannot be found."},

		{name: "of an OpenID Connect provider", given: []Event{made}, when: &TagEntity{Kind: KindOIDCProvider, Account: acct, Name: issuerARN, Tags: []Tag{{"a", "1"}}, AnyCase: true},
			then: []Event{&EntityTagged{Kind: KindOIDCProvider, ID: issuerARN, Tags: []Tag{{"a", "1"}}}},
			check: func(s *spying) {
				if p, _ := s.OIDCProvider(issuerARN); !slices.Equal(p.Tags, []Tag{{"a", "1"}}) {
					s.Errorf("the tags are %v", p.Tags)
				}
			}},
		{name: "of another account's OpenID Connect provider", given: []Event{made}, when: &UntagEntity{Kind: KindOIDCProvider, Account: other, Name: issuerARN, Keys: []string{"a"}, AnyCase: true},
			refused: "NoSuchEntity: OpenIDConnect Provider not found for arn " + issuerARN},
	}
}

func clientIDSpecs() []spec {
	made := &OIDCProviderCreated{Account: acct, URL: issuer, ClientIDs: []string{"b", "a"}, Created: past}
	full := &OIDCProviderCreated{Account: acct, URL: issuer, ClientIDs: numbered(MaxClientIDs), Created: past}
	has := func(want ...string) func(*spying) {
		return func(s *spying) {
			if p, _ := s.OIDCProvider(issuerARN); !slices.Equal(p.ClientIDs, want) {
				s.Errorf("the clients are %v, not %v", p.ClientIDs, want)
			}
		}
	}
	return []spec{
		{name: "another", given: []Event{made}, when: &AddClientID{Account: acct, ARN: issuerARN, ClientID: "c"},
			then: []Event{&ClientIDAdded{Provider: issuerARN, ClientID: "c"}}, check: has("b", "a", "c")},
		{name: "again", given: []Event{made}, when: &AddClientID{Account: acct, ARN: issuerARN, ClientID: "a"},
			then: []Event{&ClientIDAdded{Provider: issuerARN, ClientID: "a"}}, check: has("b", "a")},
		{name: "again, where there is no place", given: []Event{full}, when: &AddClientID{Account: acct, ARN: issuerARN, ClientID: "client-1"},
			then: []Event{&ClientIDAdded{Provider: issuerARN, ClientID: "client-1"}}, check: has(numbered(MaxClientIDs)...)},
		{name: "one too many", given: []Event{full}, when: &AddClientID{Account: acct, ARN: issuerARN, ClientID: "a"},
			refused: "LimitExceeded: Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100"},
		{name: "no provider", when: &AddClientID{Account: acct, ARN: issuerARN, ClientID: "a"}, refused: "NoSuchEntity: OpenIDConnect Provider not found for arn " + issuerARN},

		{name: "there", given: []Event{made}, when: &RemoveClientID{Account: acct, ARN: issuerARN, ClientID: "b"},
			then: []Event{&ClientIDRemoved{Provider: issuerARN, ClientID: "b"}}, check: has("a")},
		{name: "not there", given: []Event{made}, when: &RemoveClientID{Account: acct, ARN: issuerARN, ClientID: "c"},
			then: []Event{&ClientIDRemoved{Provider: issuerARN, ClientID: "c"}}, check: has("b", "a")},
		{name: "no provider", when: &RemoveClientID{Account: acct, ARN: issuerARN, ClientID: "a"}, refused: "NoSuchEntity: OpenIDConnect Provider not found for arn " + issuerARN},
	}
}

func thumbprintSpecs() []spec {
	made := &OIDCProviderCreated{Account: acct, URL: issuer, Thumbprints: []string{printOf("a")}, Created: past}
	return []spec{
		{name: "others", given: []Event{made}, when: &SetThumbprints{Account: acct, ARN: issuerARN, Thumbprints: []string{printOf("c"), printOf("b")}},
			then: []Event{&ThumbprintsSet{Provider: issuerARN, Thumbprints: []string{printOf("c"), printOf("b")}}},
			check: func(s *spying) {
				if p, _ := s.OIDCProvider(issuerARN); !slices.Equal(p.Thumbprints, []string{printOf("c"), printOf("b")}) {
					s.Errorf("the thumbprints are %v", p.Thumbprints)
				}
			}},
		{name: "too many", given: []Event{made}, when: &SetThumbprints{Account: acct, ARN: issuerARN, Thumbprints: numbered(6)},
			refused: "InvalidInput: Thumbprint list must contain fewer than 5 entries."},
		{name: "no provider", when: &SetThumbprints{Account: acct, ARN: issuerARN}, refused: "NoSuchEntity: OpenIDConnect Provider not found for arn " + issuerARN},
	}
}

func providerKeySpecs() []spec {
	made := &OIDCProviderCreated{Account: acct, URL: issuer, Thumbprints: []string{printOf("a")}, Created: past}
	has := func(want string) func(*spying) {
		return func(s *spying) {
			if p, _ := s.OIDCProvider(issuerARN); p.Keys != want {
				s.Errorf("the keys are %q, not %q", p.Keys, want)
			}
		}
	}
	return []spec{
		{name: "some", given: []Event{made}, when: &SetProviderKeys{Account: acct, ARN: issuerARN, Keys: "{}"},
			then: []Event{&ProviderKeysSet{Provider: issuerARN, Keys: "{}"}}, check: has("{}")},
		{name: "none", given: []Event{made, &ProviderKeysSet{Provider: issuerARN, Keys: "{}"}}, when: &SetProviderKeys{Account: acct, ARN: issuerARN},
			then: []Event{&ProviderKeysSet{Provider: issuerARN}}, check: has("")},
		{name: "too long", given: []Event{made}, when: &SetProviderKeys{Account: acct, ARN: issuerARN, Keys: strings.Repeat("x", MaxProviderKeys+1)},
			refused: "InvalidInput: The keys have 65537 bytes, at most 65536."},
		{name: "no provider", when: &SetProviderKeys{Account: acct, ARN: issuerARN, Keys: "{}"}, refused: "NoSuchEntity: OpenIDConnect Provider not found for arn " + issuerARN},
		{name: "another account's", given: []Event{made}, when: &SetProviderKeys{Account: "210987654321", ARN: issuerARN, Keys: "{}"}, refused: "NoSuchEntity: OpenIDConnect Provider not found for arn " + issuerARN},
	}
}

// TestProviderIsATarget looks a provider up as an authorization does.
func TestProviderIsATarget(t *testing.T) {
	s := given(&OIDCProviderCreated{Account: acct, URL: issuer, Tags: []Tag{{"a", "1"}}, Created: past})
	find := func(kind Kind, arn string) (Target, bool) {
		return NewWitness(s).Find(Lookup{By: ByProviderARN, Kind: kind, Text: arn})
	}
	if target, ok := find(KindOIDCProvider, issuerARN); !ok || target.ARN() != issuerARN || !slices.Equal(target.Tags, []Tag{{"a", "1"}}) {
		t.Errorf("the target is %+v", target)
	}
	for kind, arn := range map[Kind]string{KindSAMLProvider: issuerARN, KindOIDCProvider: issuerARN + "/b", KindUser: issuerARN} {
		if target, ok := find(kind, arn); ok {
			t.Errorf("%s of kind %d is %+v", arn, kind, target)
		}
	}
}
