package iam

import (
	"cmp"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/saml"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/projection/policy"
)

func samlProviderActions() []Action {
	return []Action{
		write("CreateSAMLProvider", createSAMLProvider{}),
		write("DeleteSAMLProvider", deleteSAMLProvider{}),
		read("GetSAMLProvider", getSAMLProvider{}),
		read("ListSAMLProviderTags", listSAMLProviderTags{}),
		read("ListSAMLProviders", listSAMLProviders{}),
		write("TagSAMLProvider", tagSAMLProvider{}),
		write("UntagSAMLProvider", untagSAMLProvider{}),
		write("UpdateSAMLProvider", updateSAMLProvider{}),
	}
}

const (
	// metadataYears is how long a provider is valid whose document does not say it.
	metadataYears = 100
	samlIDPrefix  = "SAMLSP"
	keyIDPrefix   = "SAMLPK"
	// samlIDLength is that of the identifiers of providers and their keys: 22 to 64 are AWS's.
	samlIDLength = 26
)

// encryptions are the modes by AWS's names; none leaves it to the command.
var encryptions = map[types.AssertionEncryptionModeType]identity.AssertionEncryption{
	types.AssertionEncryptionModeTypeAllowed:  identity.EncryptionAllowed,
	types.AssertionEncryptionModeTypeRequired: identity.EncryptionRequired,
}

func shownEncryption(mode identity.AssertionEncryption) types.AssertionEncryptionModeType {
	if mode == identity.EncryptionRequired {
		return types.AssertionEncryptionModeTypeRequired
	}
	return types.AssertionEncryptionModeTypeAllowed
}

// metadata is a document, packed, and when it expires.
type metadata struct {
	packed []byte
	until  identity.Time
}

// newMetadata packs a document and checks it. It packs first, which ends early for what is
// too large.
func (c *Call) newMetadata(document string) (metadata, error) {
	return admission.Heavy(c.Bench, "metadata", func() (m metadata, err error) {
		if m.packed, err = saml.Pack(document); errors.Is(err, saml.ErrTooLarge) {
			return m, fail(codeLimitExceeded, "The metadata document has more than %d bytes when it is compressed.", saml.MaxPacked)
		}
		read, unread := saml.Parse(document)
		if unread != nil {
			return m, fail(codeInvalidInput, "Could not parse metadata")
		}
		until := read.ValidUntil
		if until.IsZero() {
			until = time.UnixMilli(int64(c.Now)).UTC().AddDate(metadataYears, 0, 0)
		}
		m.until = identity.Time(until.UnixMilli())
		return m, err
	})
}

// newSAMLKey gives a private key an identifier; nil for none.
func (c *Call) newSAMLKey(key *string) *identity.NewSAMLKey {
	if key == nil {
		return nil
	}
	return &identity.NewSAMLKey{ID: keyIDPrefix + randomText(c.Random, samlIDLength-len(keyIDPrefix))}
}

// sealSAMLKey checks a private key and seals it into what is to bring it; nil for none.
func (c *Call) sealSAMLKey(provider string, k *identity.NewSAMLKey, key *string) (err error) {
	if k == nil {
		return nil
	}
	_, err = admission.Heavy(c.Bench, "SAML private key", func() (none struct{}, _ error) {
		if err := saml.CheckPrivateKey(*key); err != nil {
			return none, fail(codeInvalidInput, "The private key must be an unencrypted RSA key of %d to %d bits in PEM format.", saml.MinPrivateKeyBits, saml.MaxPrivateKeyBits)
		}
		return none, nil
	})
	if err != nil {
		return err
	}
	k.Sealed, err = c.Seal.Seal(seal.SAMLPrivateKey, seal.SAMLKeyContext(provider, k.ID), []byte(*key))
	return err
}

type createSAMLProvider struct{}

func (createSAMLProvider) Access(c *Call, in *sdk.CreateSAMLProviderInput) []Access {
	return creation(c.toBe(identity.KindSAMLProvider, nil, in.Name), in.Tags, "iam:TagSAMLProvider")
}

func (createSAMLProvider) Command(c *Call, in *sdk.CreateSAMLProviderInput) (identity.Command, error) {
	tags, err := newTags(identity.KindSAMLProvider, in.Tags)
	if err != nil {
		return nil, err
	}
	p := identity.SAMLProvider{In: c.partition(), Account: c.Caller.Account, Name: aws.ToString(in.Name)}
	cmd := &identity.CreateSAMLProvider{Account: p.Account, Name: p.Name, UUID: samlIDPrefix + randomText(c.Random, samlIDLength-len(samlIDPrefix)),
		Encryption: cmp.Or(encryptions[in.AssertionEncryptionMode], identity.EncryptionAllowed), Key: c.newSAMLKey(in.AddPrivateKey), Tags: tags}
	if err := c.foresee(cmd); err != nil {
		return nil, err
	}
	m, err := c.newMetadata(aws.ToString(in.SAMLMetadataDocument))
	if err != nil {
		return nil, err
	}
	cmd.Metadata, cmd.ValidUntil = m.packed, m.until
	if err := c.sealSAMLKey(p.ARN(), cmd.Key, in.AddPrivateKey); err != nil {
		return nil, err
	}
	return cmd, nil
}

func (createSAMLProvider) Render(c *Call, _ *sdk.CreateSAMLProviderInput, b *event.Batch) (*sdk.CreateSAMLProviderOutput, error) {
	e, err := one[*identity.SAMLProviderCreated](b)
	if err != nil {
		return nil, err
	}
	p := identity.SAMLProvider{In: c.partition(), Account: e.Account, Name: e.Name}
	return &sdk.CreateSAMLProviderOutput{SAMLProviderArn: aws.String(p.ARN()), Tags: shownTags(e.Tags)}, nil
}

// mustSAMLProvider finds a SAML provider of the caller's account.
func (c *Call) mustSAMLProvider(arn *string) (*identity.SAMLProvider, error) {
	text, err := c.checkProviderARN(identity.KindSAMLProvider, arn)
	if err != nil {
		return nil, err
	}
	p, ok := c.state().SAMLProvider(text)
	if !ok || p.Account != c.Caller.Account {
		return nil, fail(codeNoSuchEntity, "Manifest not found for arn %s", text)
	}
	return p, nil
}

// smallMetadata is how many bytes of packed metadata are unpacked without waiting for others.
const smallMetadata = 16 << 10

type getSAMLProvider struct{}

func (getSAMLProvider) Access(c *Call, in *sdk.GetSAMLProviderInput) []Access {
	return []Access{c.onProvider(identity.KindSAMLProvider, in.SAMLProviderArn)}
}

// Answer tells the ids of private keys and never the keys. Lists are there also where they
// are empty, as AWS has it.
func (getSAMLProvider) Answer(c *Call, in *sdk.GetSAMLProviderInput) (*sdk.GetSAMLProviderOutput, error) {
	p, err := c.mustSAMLProvider(in.SAMLProviderArn)
	if err != nil {
		return nil, err
	}
	unpack := func() (string, error) { return saml.Unpack(p.Metadata) }
	var document string
	if len(p.Metadata) <= smallMetadata {
		document, err = unpack()
	} else {
		document, err = admission.Heavy(c.Bench, "metadata", unpack)
	}
	if err != nil {
		return nil, err
	}
	keys := []types.SAMLPrivateKey{}
	for _, k := range p.Keys {
		keys = append(keys, types.SAMLPrivateKey{KeyId: aws.String(k.ID), Timestamp: shownTime(k.Added)})
	}
	return &sdk.GetSAMLProviderOutput{SAMLMetadataDocument: aws.String(document), SAMLProviderUUID: aws.String(p.UUID), CreateDate: shownTime(p.Created),
		ValidUntil: shownTime(p.ValidUntil), AssertionEncryptionMode: shownEncryption(p.Encryption), PrivateKeyList: keys, Tags: present(shownTags(p.Tags))}, nil
}

type listSAMLProviders struct{}

func (listSAMLProviders) Access(c *Call, _ *sdk.ListSAMLProvidersInput) []Access {
	return c.anything()
}

func (listSAMLProviders) Answer(c *Call, _ *sdk.ListSAMLProvidersInput) (*sdk.ListSAMLProvidersOutput, error) {
	list := []types.SAMLProviderListEntry{}
	for _, p := range c.state().SAMLProviders(c.Caller.Account) {
		list = append(list, types.SAMLProviderListEntry{Arn: aws.String(p.ARN()), CreateDate: shownTime(p.Created), ValidUntil: shownTime(p.ValidUntil)})
	}
	return &sdk.ListSAMLProvidersOutput{SAMLProviderList: list}, nil
}

type updateSAMLProvider struct{}

func (updateSAMLProvider) Access(c *Call, in *sdk.UpdateSAMLProviderInput) []Access {
	return []Access{c.onProvider(identity.KindSAMLProvider, in.SAMLProviderArn)}
}

func (updateSAMLProvider) Command(c *Call, in *sdk.UpdateSAMLProviderInput) (identity.Command, error) {
	arn, err := c.checkProviderARN(identity.KindSAMLProvider, in.SAMLProviderArn)
	if err != nil {
		return nil, err
	}
	cmd := &identity.UpdateSAMLProvider{Account: c.Caller.Account, ARN: arn, Encryption: encryptions[in.AssertionEncryptionMode], RemoveKey: aws.ToString(in.RemovePrivateKey)}
	switch {
	case in.SAMLMetadataDocument == nil && in.AddPrivateKey == nil && cmd.RemoveKey == "" && cmd.Encryption == 0:
		return nil, fail(codeInvalidInput, "The request must change the metadata document, the encryption mode or a private key.")
	case in.AddPrivateKey != nil && cmd.RemoveKey != "": // "UpdateSAMLProvider" in the IAM API Reference
		return nil, fail(codeInvalidInput, "A private key must be added and another one removed in separate requests.")
	}
	cmd.AddKey = c.newSAMLKey(in.AddPrivateKey)
	if err := c.foresee(cmd); err != nil {
		return nil, err
	}
	if in.SAMLMetadataDocument != nil {
		m, err := c.newMetadata(*in.SAMLMetadataDocument)
		if err != nil {
			return nil, err
		}
		cmd.Metadata, cmd.ValidUntil = m.packed, m.until
	}
	if err := c.sealSAMLKey(arn, cmd.AddKey, in.AddPrivateKey); err != nil {
		return nil, err
	}
	return cmd, nil
}

func (updateSAMLProvider) Render(_ *Call, _ *sdk.UpdateSAMLProviderInput, b *event.Batch) (*sdk.UpdateSAMLProviderOutput, error) {
	e, err := one[*identity.SAMLProviderUpdated](b)
	if err != nil {
		return nil, err
	}
	return &sdk.UpdateSAMLProviderOutput{SAMLProviderArn: aws.String(string(e.ID))}, nil
}

type deleteSAMLProvider struct {
	nothing[sdk.DeleteSAMLProviderInput, sdk.DeleteSAMLProviderOutput]
}

func (deleteSAMLProvider) Access(c *Call, in *sdk.DeleteSAMLProviderInput) []Access {
	return []Access{c.onProvider(identity.KindSAMLProvider, in.SAMLProviderArn)}
}

func (deleteSAMLProvider) Command(c *Call, in *sdk.DeleteSAMLProviderInput) (identity.Command, error) {
	arn, err := c.checkProviderARN(identity.KindSAMLProvider, in.SAMLProviderArn)
	if err != nil {
		return nil, err
	}
	return &identity.DeleteSAMLProvider{Account: c.Caller.Account, ARN: arn}, nil
}

type tagSAMLProvider struct {
	nothing[sdk.TagSAMLProviderInput, sdk.TagSAMLProviderOutput]
}

func (tagSAMLProvider) Access(c *Call, in *sdk.TagSAMLProviderInput) []Access {
	return []Access{c.onProvider(identity.KindSAMLProvider, in.SAMLProviderArn).With(tagsKeys(in.Tags)...)}
}

func (tagSAMLProvider) Command(c *Call, in *sdk.TagSAMLProviderInput) (identity.Command, error) {
	arn, err := c.checkProviderARN(identity.KindSAMLProvider, in.SAMLProviderArn)
	if err != nil {
		return nil, err
	}
	return c.tag(identity.KindSAMLProvider, &arn, in.Tags)
}

type untagSAMLProvider struct {
	nothing[sdk.UntagSAMLProviderInput, sdk.UntagSAMLProviderOutput]
}

func (untagSAMLProvider) Access(c *Call, in *sdk.UntagSAMLProviderInput) []Access {
	return []Access{c.onProvider(identity.KindSAMLProvider, in.SAMLProviderArn).With(policy.Multi(keyTagKeys, in.TagKeys))}
}

func (untagSAMLProvider) Command(c *Call, in *sdk.UntagSAMLProviderInput) (identity.Command, error) {
	arn, err := c.checkProviderARN(identity.KindSAMLProvider, in.SAMLProviderArn)
	if err != nil {
		return nil, err
	}
	return c.untag(identity.KindSAMLProvider, &arn, in.TagKeys), nil
}

type listSAMLProviderTags struct{}

func (listSAMLProviderTags) Access(c *Call, in *sdk.ListSAMLProviderTagsInput) []Access {
	return []Access{c.onProvider(identity.KindSAMLProvider, in.SAMLProviderArn)}
}

func (listSAMLProviderTags) Answer(c *Call, in *sdk.ListSAMLProviderTagsInput) (*sdk.ListSAMLProviderTagsOutput, error) {
	p, err := c.mustSAMLProvider(in.SAMLProviderArn)
	if err != nil {
		return nil, err
	}
	tags, err := tagPage("ListSAMLProviderTags", p.Tags, in.Marker, in.MaxItems)
	return &sdk.ListSAMLProviderTagsOutput{Tags: tags.items, IsTruncated: tags.truncated, Marker: tags.marker}, err
}
