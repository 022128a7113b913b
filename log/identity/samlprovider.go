package identity

import (
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// SAMLProvider is a SAML 2.0 provider whose assertions an account's roles may trust.
type SAMLProvider struct {
	Account    AccountID
	Name       string
	UUID       string // what service providers know it by
	Metadata   []byte // its document, as package node/saml packs it
	ValidUntil Time
	Encryption AssertionEncryption
	In         Partition // the cluster's; not stored with the record
	Keys       []SAMLKey // that open encrypted assertions, in the order added
	Created    Time
	Tags       []Tag
}

// SAMLKey is a private key that opens the encrypted assertions of a provider.
type SAMLKey struct {
	ID     string
	Sealed []byte // the key, encrypted; the log never holds it in the clear
	Added  Time
}

// AssertionEncryption says whether the assertions of a provider must be encrypted.
// Numbers are stored: append, never reorder or reuse.
type AssertionEncryption uint8

// The modes of encryption. Zero leaves it as it is.
const (
	EncryptionAllowed  AssertionEncryption = 1
	EncryptionRequired AssertionEncryption = 2
)

// MaxSAMLKeys is how many private keys a SAML provider may have.
const MaxSAMLKeys = 2

// ARN is arn:PARTITION:iam::ACCOUNT:saml-provider/NAME.
func (p *SAMLProvider) ARN() string { return p.In.ARN(KindSAMLProvider, p.Account, rootPath, p.Name) }

// Handle makes a SAMLProvider a record of a table, by its key, as do Is and AppendDigest.
func (p *SAMLProvider) Handle() table.Handle { return table.HandleOf(p.ARN()) }

// Is tells whether the SAMLProvider has that key.
func (p *SAMLProvider) Is(key string) bool { return p.ARN() == key }

// AppendDigest appends all that the SAMLProvider has.
func (p *SAMLProvider) AppendDigest(b []byte) []byte {
	b = append(b, "saml"...)
	b = digest.AppendString(b, p.Account)
	b = digest.AppendString(b, p.Name)
	b = digest.AppendString(b, p.UUID)
	b = digest.AppendString(b, p.Metadata)
	b = digest.AppendInt(b, int64(p.ValidUntil))
	b = digest.AppendInt(b, p.Encryption)
	b = digest.AppendInt(b, len(p.Keys))
	for _, k := range p.Keys {
		b = digest.AppendString(b, k.ID)
		b = digest.AppendString(b, k.Sealed)
		b = digest.AppendInt(b, int64(k.Added))
	}
	b = digest.AppendInt(b, int64(p.Created))
	return p.In.appendDigest(appendTags(b, p.Tags))
}

func (p *SAMLProvider) held() held {
	return held{KindSAMLProvider, ID(p.ARN()), p.Account, p.Name, rootPath, nil, nil, nil, nil, &p.Tags}
}

// SAMLProvider returns the SAML provider of that ARN.
func (s *State) SAMLProvider(arn string) (*SAMLProvider, bool) { return s.samlProviders.Get(ID(arn)) }

// SAMLProviders lists the SAML providers of an account in order of ARN.
func (s *State) SAMLProviders(account AccountID) []*SAMLProvider {
	return providersOf(s, &s.samlProviders, account)
}

// CreateSAMLProvider makes a SAML provider.
type CreateSAMLProvider struct {
	Account    AccountID
	Name       string
	UUID       string
	Metadata   []byte
	ValidUntil Time
	Encryption AssertionEncryption
	Key        *NewSAMLKey // nil for none
	Tags       []Tag
}

// NewSAMLKey is a private key that somebody brought.
type NewSAMLKey struct {
	ID     string
	Sealed []byte
}

// SAMLProviderCreated made a SAML provider.
type SAMLProviderCreated struct {
	Account    AccountID
	Name       string
	UUID       string
	Metadata   []byte
	ValidUntil Time
	Encryption AssertionEncryption
	Keys       []SAMLKey
	Tags       []Tag
	Created    Time
}

func (c *CreateSAMLProvider) decide(s *State, m Meta) ([]Event, error) {
	id := ID(s.partition.ARN(KindSAMLProvider, c.Account, rootPath, c.Name))
	if _, ok := s.samlProviders.Get(id); ok {
		return nil, refuse(EntityAlreadyExists, "Provider with name %s already exists.", c.Name)
	}
	if err := s.mayProvide(c.Account, id, QuotaSAMLProviders); err != nil {
		return nil, err
	}
	if err := mayTag(KindSAMLProvider, nil, c.Tags, sameTag); err != nil {
		return nil, err
	}
	e := &SAMLProviderCreated{Account: c.Account, Name: c.Name, UUID: c.UUID, Metadata: c.Metadata, ValidUntil: c.ValidUntil,
		Encryption: c.Encryption, Tags: c.Tags, Created: m.Time}
	if c.Key != nil {
		e.Keys = []SAMLKey{{ID: c.Key.ID, Sealed: c.Key.Sealed, Added: m.Time}}
	}
	if err := mayEncrypt(c.Encryption, len(e.Keys)); err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

func (e *SAMLProviderCreated) evolve(s *State) {
	putProvider(s, &s.samlProviders, e.Account, &SAMLProvider{In: s.partition, Account: e.Account, Name: e.Name, UUID: e.UUID, Metadata: e.Metadata,
		ValidUntil: e.ValidUntil, Encryption: e.Encryption, Keys: e.Keys, Created: e.Created, Tags: withTags(KindSAMLProvider, nil, e.Tags)})
}

// mayEncrypt refuses to require what no key opens.
func mayEncrypt(mode AssertionEncryption, keys int) error {
	if mode == EncryptionRequired && keys == 0 {
		return refuse(InvalidInput, "Assertion encryption cannot be required without a private key.")
	}
	return nil
}

// UpdateSAMLProvider replaces what it names of a SAML provider; what is zero stays.
type UpdateSAMLProvider struct {
	Account    AccountID
	ARN        string
	Metadata   []byte
	ValidUntil Time // of Metadata
	Encryption AssertionEncryption
	AddKey     *NewSAMLKey
	RemoveKey  string
}

// SAMLProviderUpdated replaced what it names of a SAML provider; what is zero stayed.
type SAMLProviderUpdated struct {
	ID         ID // its ARN
	Metadata   []byte
	ValidUntil Time
	Encryption AssertionEncryption
	AddedKey   *SAMLKey
	RemovedKey string
}

func (c *UpdateSAMLProvider) decide(s *State, m Meta) ([]Event, error) {
	p, err := mustProvide(&s.samlProviders, KindSAMLProvider, c.Account, c.ARN)
	if err != nil {
		return nil, err
	}
	e := &SAMLProviderUpdated{ID: ID(c.ARN), Metadata: c.Metadata, ValidUntil: c.ValidUntil, Encryption: c.Encryption, RemovedKey: c.RemoveKey}
	if c.RemoveKey != "" && !slices.ContainsFunc(p.Keys, func(k SAMLKey) bool { return k.ID == c.RemoveKey }) {
		return nil, refuse(NoSuchEntity, "The private key with id %s cannot be found.", c.RemoveKey)
	}
	if c.AddKey != nil {
		e.AddedKey = &SAMLKey{ID: c.AddKey.ID, Sealed: c.AddKey.Sealed, Added: m.Time}
	}
	after := *p
	e.change(&after)
	if len(after.Keys) > MaxSAMLKeys {
		return nil, refuse(LimitExceeded, "Cannot exceed quota for PrivateKeysPerSAMLProvider: %d", MaxSAMLKeys)
	}
	if err := mayEncrypt(after.Encryption, len(after.Keys)); err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

func (e *SAMLProviderUpdated) evolve(s *State) {
	changeRecord(&s.samlProviders, e.ID, func(p *SAMLProvider) bool {
		e.change(p)
		return true
	})
}

// change makes the change in a copy of a record.
func (e *SAMLProviderUpdated) change(p *SAMLProvider) {
	if len(e.Metadata) > 0 {
		p.Metadata, p.ValidUntil = e.Metadata, e.ValidUntil
	}
	if e.Encryption != 0 {
		p.Encryption = e.Encryption
	}
	if e.RemovedKey != "" {
		p.Keys = without(p.Keys, func(k SAMLKey) bool { return k.ID == e.RemovedKey })
	}
	if e.AddedKey != nil {
		p.Keys = appended(p.Keys, *e.AddedKey)
	}
}

// DeleteSAMLProvider removes a SAML provider. Roles may still name it.
type DeleteSAMLProvider struct {
	Account AccountID
	ARN     string
}

// SAMLProviderDeleted removed a SAML provider.
type SAMLProviderDeleted struct {
	ID ID // its ARN
}

func (c *DeleteSAMLProvider) decide(s *State, _ Meta) ([]Event, error) {
	if _, err := mustProvide(&s.samlProviders, KindSAMLProvider, c.Account, c.ARN); err != nil {
		return nil, err
	}
	return []Event{&SAMLProviderDeleted{ID: ID(c.ARN)}}, nil
}

func (e *SAMLProviderDeleted) evolve(s *State) { deleteProvider(s, &s.samlProviders, e.ID) }
