package identity

import (
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// OIDCProvider is an OpenID Connect provider whose tokens an account's roles may trust.
type OIDCProvider struct {
	Account     AccountID
	URL         string // host and path, as it was given; https:// is before it
	Created     Time
	ClientIDs   []string // in the order added
	Thumbprints []string // forty hexadecimal digits in lower case each, in the order given
	Tags        []Tag
	// Keys are those by which its tokens are, a JSON Web Key Set, where they were given; empty:
	// those that it publishes.
	Keys string
	In   Partition // the cluster's; not stored with the record
}

// Quotas of an OpenID Connect provider ("IAM and AWS STS quotas").
const (
	MaxClientIDs   = 100
	MaxThumbprints = 5
	// MaxProviderKeys is how long the key set is that is given for one, in bytes: two hundred
	// keys of elliptic curves, or as many of RSA as have room.
	MaxProviderKeys = 64 << 10
)

// ARN is arn:PARTITION:iam::ACCOUNT:oidc-provider/HOST/PATH.
func (p *OIDCProvider) ARN() string { return p.In.ARN(KindOIDCProvider, p.Account, rootPath, p.URL) }

// Handle makes an OIDCProvider a record of a table, by its key, as do Is and AppendDigest.
func (p *OIDCProvider) Handle() table.Handle { return table.HandleOf(p.ARN()) }

// Is tells whether the OIDCProvider has that key.
func (p *OIDCProvider) Is(key string) bool { return p.ARN() == key }

// AppendDigest appends all that the OIDCProvider has.
func (p *OIDCProvider) AppendDigest(b []byte) []byte {
	b = append(b, "oidc"...)
	b = digest.AppendString(b, p.Account)
	b = digest.AppendString(b, p.URL)
	b = digest.AppendInt(b, int64(p.Created))
	b = appendTexts(b, p.ClientIDs)
	b = appendTexts(b, p.Thumbprints)
	b = appendTags(b, p.Tags)
	if p.Keys != "" {
		b = digest.AppendString(b, p.Keys)
	}
	return p.In.appendDigest(b)
}

func appendTexts(b []byte, texts []string) []byte {
	b = digest.AppendInt(b, len(texts))
	for _, t := range texts {
		b = digest.AppendString(b, t)
	}
	return b
}

func (p *OIDCProvider) held() held {
	return held{KindOIDCProvider, ID(p.ARN()), p.Account, p.URL, rootPath, nil, nil, nil, nil, &p.Tags}
}

// OIDCProvider returns the OpenID Connect provider of that ARN.
func (s *State) OIDCProvider(arn string) (*OIDCProvider, bool) { return s.oidcProviders.Get(ID(arn)) }

// OIDCProviders lists the OpenID Connect providers of an account in order of ARN.
func (s *State) OIDCProviders(account AccountID) []*OIDCProvider {
	return providersOf(s, &s.oidcProviders, account)
}

// CreateOIDCProvider makes an OpenID Connect provider.
type CreateOIDCProvider struct {
	Account     AccountID
	URL         string
	ClientIDs   []string // none twice
	Thumbprints []string
	Tags        []Tag
}

// OIDCProviderCreated made an OpenID Connect provider.
type OIDCProviderCreated struct {
	Account     AccountID
	URL         string
	ClientIDs   []string
	Thumbprints []string
	Tags        []Tag
	Created     Time
}

func (c *CreateOIDCProvider) decide(s *State, m Meta) ([]Event, error) {
	id := ID(s.partition.ARN(KindOIDCProvider, c.Account, rootPath, c.URL))
	if _, ok := s.oidcProviders.Get(id); ok {
		return nil, refuse(EntityAlreadyExists, "Provider with url https://%s already exists.", c.URL)
	}
	if err := s.mayProvide(c.Account, id, QuotaOIDCProviders); err != nil {
		return nil, err
	}
	if len(c.ClientIDs) > MaxClientIDs {
		return nil, tooManyClientIDs()
	}
	if len(c.Thumbprints) > MaxThumbprints {
		return nil, tooManyThumbprints()
	}
	if err := mayTag(KindOIDCProvider, nil, c.Tags, sameTag); err != nil {
		return nil, err
	}
	return []Event{&OIDCProviderCreated{Account: c.Account, URL: c.URL, ClientIDs: c.ClientIDs, Thumbprints: c.Thumbprints, Tags: c.Tags, Created: m.Time}}, nil
}

func (e *OIDCProviderCreated) evolve(s *State) {
	putProvider(s, &s.oidcProviders, e.Account, &OIDCProvider{In: s.partition, Account: e.Account, URL: e.URL, Created: e.Created,
		ClientIDs: e.ClientIDs, Thumbprints: e.Thumbprints, Tags: withTags(KindOIDCProvider, nil, e.Tags)})
}

func tooManyClientIDs() *Refusal {
	return refuse(LimitExceeded, "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: %d", MaxClientIDs)
}

// tooManyThumbprints refuses as AWS does, whose words are about one thumbprint less.
func tooManyThumbprints() *Refusal {
	return refuse(InvalidInput, "Thumbprint list must contain fewer than %d entries.", MaxThumbprints)
}

// DeleteOIDCProvider removes an OpenID Connect provider. Roles may still name it.
type DeleteOIDCProvider struct {
	Account AccountID
	ARN     string
}

// OIDCProviderDeleted removed an OpenID Connect provider.
type OIDCProviderDeleted struct {
	ID ID // its ARN
}

func (c *DeleteOIDCProvider) decide(s *State, _ Meta) ([]Event, error) {
	if _, err := mustProvide(&s.oidcProviders, KindOIDCProvider, c.Account, c.ARN); err != nil {
		return nil, refuse(NoSuchEntity, "OpenId connect Provider %s cannot be found.", c.ARN)
	}
	return []Event{&OIDCProviderDeleted{ID: ID(c.ARN)}}, nil
}

func (e *OIDCProviderDeleted) evolve(s *State) { deleteProvider(s, &s.oidcProviders, e.ID) }

// AddClientID lets an OpenID Connect provider issue tokens for one more client. One that it
// has already is no mistake.
type AddClientID struct {
	Account  AccountID
	ARN      string
	ClientID string
}

// ClientIDAdded gave an OpenID Connect provider a client, if it did not have it.
type ClientIDAdded struct {
	Provider ID
	ClientID string
}

func (c *AddClientID) decide(s *State, _ Meta) ([]Event, error) {
	p, err := mustProvide(&s.oidcProviders, KindOIDCProvider, c.Account, c.ARN)
	if err != nil {
		return nil, err
	}
	if len(p.ClientIDs) >= MaxClientIDs && !slices.Contains(p.ClientIDs, c.ClientID) {
		return nil, tooManyClientIDs()
	}
	return []Event{&ClientIDAdded{Provider: ID(c.ARN), ClientID: c.ClientID}}, nil
}

func (e *ClientIDAdded) evolve(s *State) {
	changeRecord(&s.oidcProviders, e.Provider, func(p *OIDCProvider) bool {
		if slices.Contains(p.ClientIDs, e.ClientID) {
			return false
		}
		p.ClientIDs = appended(p.ClientIDs, e.ClientID)
		return true
	})
}

// RemoveClientID takes a client away from an OpenID Connect provider. One that it does not
// have is no mistake.
type RemoveClientID struct {
	Account  AccountID
	ARN      string
	ClientID string
}

// ClientIDRemoved took a client away from an OpenID Connect provider, if it had it.
type ClientIDRemoved struct {
	Provider ID
	ClientID string
}

func (c *RemoveClientID) decide(s *State, _ Meta) ([]Event, error) {
	if _, err := mustProvide(&s.oidcProviders, KindOIDCProvider, c.Account, c.ARN); err != nil {
		return nil, err
	}
	return []Event{&ClientIDRemoved{Provider: ID(c.ARN), ClientID: c.ClientID}}, nil
}

func (e *ClientIDRemoved) evolve(s *State) {
	changeRecord(&s.oidcProviders, e.Provider, func(p *OIDCProvider) bool {
		p.ClientIDs = without(p.ClientIDs, func(id string) bool { return id == e.ClientID })
		return true
	})
}

// SetThumbprints replaces the thumbprints of an OpenID Connect provider.
type SetThumbprints struct {
	Account     AccountID
	ARN         string
	Thumbprints []string
}

// ThumbprintsSet replaced the thumbprints of an OpenID Connect provider.
type ThumbprintsSet struct {
	Provider    ID
	Thumbprints []string
}

func (c *SetThumbprints) decide(s *State, _ Meta) ([]Event, error) {
	if _, err := mustProvide(&s.oidcProviders, KindOIDCProvider, c.Account, c.ARN); err != nil {
		return nil, err
	}
	if len(c.Thumbprints) > MaxThumbprints {
		return nil, tooManyThumbprints()
	}
	return []Event{&ThumbprintsSet{Provider: ID(c.ARN), Thumbprints: c.Thumbprints}}, nil
}

func (e *ThumbprintsSet) evolve(s *State) {
	changeRecord(&s.oidcProviders, e.Provider, func(p *OIDCProvider) bool {
		p.Thumbprints = e.Thumbprints
		return true
	})
}

// SetProviderKeys gives the keys by which the tokens of an OpenID Connect provider are, in the
// place of those that it publishes.
type SetProviderKeys struct {
	Account AccountID
	ARN     string
	Keys    string // a JSON Web Key Set; empty for those that it publishes
}

// ProviderKeysSet gave the keys by which the tokens of an OpenID Connect provider are.
type ProviderKeysSet struct {
	Provider ID
	Keys     string
}

func (c *SetProviderKeys) decide(s *State, _ Meta) ([]Event, error) {
	if _, err := mustProvide(&s.oidcProviders, KindOIDCProvider, c.Account, c.ARN); err != nil {
		return nil, err
	}
	if len(c.Keys) > MaxProviderKeys {
		return nil, refuse(InvalidInput, "The keys have %d bytes, at most %d.", len(c.Keys), MaxProviderKeys)
	}
	return []Event{&ProviderKeysSet{Provider: ID(c.ARN), Keys: c.Keys}}, nil
}

func (e *ProviderKeysSet) evolve(s *State) {
	changeRecord(&s.oidcProviders, e.Provider, func(p *OIDCProvider) bool {
		p.Keys = e.Keys
		return true
	})
}
