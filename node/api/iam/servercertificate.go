package iam

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/projection/policy"
)

func serverCertificateActions() []Action {
	return []Action{
		write("DeleteServerCertificate", deleteServerCertificate{}),
		read("GetServerCertificate", getServerCertificate{}),
		read("ListServerCertificateTags", listServerCertificateTags{}),
		read("ListServerCertificates", listServerCertificates{}),
		write("TagServerCertificate", tagServerCertificate{}),
		write("UntagServerCertificate", untagServerCertificate{}),
		write("UpdateServerCertificate", updateServerCertificate{}),
		write("UploadServerCertificate", uploadServerCertificate{}),
	}
}

type uploadServerCertificate struct{}

func (uploadServerCertificate) Access(c *Call, in *sdk.UploadServerCertificateInput) []Access {
	return creation(c.toBe(identity.KindServerCertificate, in.Path, in.ServerCertificateName), in.Tags, "iam:TagServerCertificate")
}

func (uploadServerCertificate) Command(c *Call, in *sdk.UploadServerCertificateInput) (identity.Command, error) {
	tags, err := newTags(identity.KindServerCertificate, in.Tags)
	if err != nil {
		return nil, err
	}
	cmd := &identity.UploadServerCertificate{Account: c.Caller.Account, ID: c.newID(identity.ServerCertificateIDPrefix), Name: aws.ToString(in.ServerCertificateName),
		Path: pathOr(in.Path), Body: strings.TrimSpace(aws.ToString(in.CertificateBody)), Chain: strings.TrimSpace(aws.ToString(in.CertificateChain)), Tags: tags}
	if err := c.foresee(cmd); err != nil {
		return nil, err
	}
	cmd.Expires, err = admission.Heavy(c.Bench, "server certificate", func() (identity.Time, error) { return c.checkServerCertificate(in) })
	if err != nil {
		return nil, err
	}
	cmd.Sealed, err = c.Seal.Seal(seal.ServerCertificateKey, seal.AccessKeyContext(string(c.Caller.Account), string(cmd.ID)), []byte(aws.ToString(in.PrivateKey)))
	if err != nil {
		return nil, err
	}
	return cmd, nil
}

// checkServerCertificate reads the certificate, its chain and its key, and says when the
// certificate expires. It must be valid now ("Manage server certificates in IAM").
func (c *Call) checkServerCertificate(in *sdk.UploadServerCertificateInput) (expires identity.Time, err error) {
	body := parseCertificate(aws.ToString(in.CertificateBody))
	if body == nil {
		return 0, fail(codeMalformedCertificate, "Unable to parse certificate. Please ensure the certificate is in PEM format.")
	}
	if !usableKey(body) {
		return 0, fail(codeMalformedCertificate, "The certificate has a key that is not supported.")
	}
	if wrong := checkValidity(body, c.Now); wrong != "" {
		return 0, fail(codeMalformedCertificate, "%s", wrong)
	}
	key, err := parsePrivateKey(aws.ToString(in.PrivateKey))
	if err != nil {
		return 0, err
	}
	if err := checkKeyPair(body, key); err != nil {
		return 0, err
	}
	if err := checkChain(body, aws.ToString(in.CertificateChain)); err != nil {
		return 0, err
	}
	return identity.Time(body.NotAfter.UnixMilli()), nil
}

// Render tells nothing of the key, as nothing does from then on.
func (uploadServerCertificate) Render(c *Call, _ *sdk.UploadServerCertificateInput, b *event.Batch) (*sdk.UploadServerCertificateOutput, error) {
	e, err := one[*identity.ServerCertificateUploaded](b)
	if err != nil {
		return nil, err
	}
	shown := shownServerCertificate(&identity.ServerCertificate{In: c.partition(), ID: e.ID, Account: e.Account, Name: e.Name, Path: e.Path, Uploaded: e.Uploaded, Expires: e.Expires})
	return &sdk.UploadServerCertificateOutput{ServerCertificateMetadata: &shown, Tags: shownTags(e.Tags)}, nil
}

// shownServerCertificate is a certificate as lists show it.
func shownServerCertificate(s *identity.ServerCertificate) types.ServerCertificateMetadata {
	return types.ServerCertificateMetadata{Arn: aws.String(s.ARN()), Expiration: shownTime(s.Expires), Path: aws.String(s.Path),
		ServerCertificateId: aws.String(string(s.ID)), ServerCertificateName: aws.String(s.Name), UploadDate: shownTime(s.Uploaded)}
}

type getServerCertificate struct{}

func (getServerCertificate) Access(c *Call, in *sdk.GetServerCertificateInput) []Access {
	return []Access{c.on(identity.KindServerCertificate, in.ServerCertificateName)}
}

// Answer has a list of tags even where there are none, as AWS's.
func (getServerCertificate) Answer(c *Call, in *sdk.GetServerCertificateInput) (*sdk.GetServerCertificateOutput, error) {
	s, err := c.mustServerCertificate(in.ServerCertificateName)
	if err != nil {
		return nil, err
	}
	metadata := shownServerCertificate(s)
	shown := &types.ServerCertificate{CertificateBody: aws.String(s.Body), ServerCertificateMetadata: &metadata, Tags: append([]types.Tag{}, shownTags(s.Tags)...)}
	if s.Chain != "" {
		shown.CertificateChain = aws.String(s.Chain)
	}
	return &sdk.GetServerCertificateOutput{ServerCertificate: shown}, nil
}

func (c *Call) mustServerCertificate(name *string) (*identity.ServerCertificate, error) {
	if s, ok := c.state().ServerCertificate(c.Caller.Account, aws.ToString(name)); ok {
		return s, nil
	}
	return nil, fail(codeNoSuchEntity, "The Server Certificate with name %s cannot be found.", aws.ToString(name))
}

// serverCertificatesBelow walks the server certificates whose path begins with a prefix.
func (c *Call) serverCertificatesBelow(prefix *string) (list string, _ walk[*identity.ServerCertificate]) {
	s, account := c.state(), c.Caller.Account
	return below("ListServerCertificates", prefix,
		func(after string, yield func(*identity.ServerCertificate) bool) {
			s.ServerCertificates(account, after, yield)
		},
		func(prefix, after string, yield func(*identity.ServerCertificate) bool) bool {
			return s.ServerCertificatesBelow(account, prefix, after, yield)
		})
}

type listServerCertificates struct{}

func (listServerCertificates) Access(c *Call, in *sdk.ListServerCertificatesInput) []Access {
	return c.below(identity.KindServerCertificate, in.PathPrefix)
}

func (listServerCertificates) Answer(c *Call, in *sdk.ListServerCertificatesInput) (*sdk.ListServerCertificatesOutput, error) {
	list, walk := c.serverCertificatesBelow(in.PathPrefix)
	p, err := paginate(list, in.Marker, in.MaxItems, walk, func(s *identity.ServerCertificate) string { return s.Name },
		func(s *identity.ServerCertificate) (types.ServerCertificateMetadata, bool) {
			return shownServerCertificate(s), under(in.PathPrefix, s.Path)
		})
	return &sdk.ListServerCertificatesOutput{ServerCertificateMetadataList: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

type updateServerCertificate struct {
	nothing[sdk.UpdateServerCertificateInput, sdk.UpdateServerCertificateOutput]
}

func (updateServerCertificate) Access(c *Call, in *sdk.UpdateServerCertificateInput) []Access {
	return c.renaming(identity.KindServerCertificate, in.ServerCertificateName, in.NewPath, in.NewServerCertificateName)
}

func (updateServerCertificate) Command(c *Call, in *sdk.UpdateServerCertificateInput) (identity.Command, error) {
	return &identity.UpdateServerCertificate{Account: c.Caller.Account, Name: aws.ToString(in.ServerCertificateName),
		NewName: aws.ToString(in.NewServerCertificateName), NewPath: aws.ToString(in.NewPath)}, nil
}

type deleteServerCertificate struct {
	nothing[sdk.DeleteServerCertificateInput, sdk.DeleteServerCertificateOutput]
}

func (deleteServerCertificate) Access(c *Call, in *sdk.DeleteServerCertificateInput) []Access {
	return []Access{c.on(identity.KindServerCertificate, in.ServerCertificateName)}
}

func (deleteServerCertificate) Command(c *Call, in *sdk.DeleteServerCertificateInput) (identity.Command, error) {
	return &identity.DeleteServerCertificate{Account: c.Caller.Account, Name: aws.ToString(in.ServerCertificateName)}, nil
}

type tagServerCertificate struct {
	nothing[sdk.TagServerCertificateInput, sdk.TagServerCertificateOutput]
}

func (tagServerCertificate) Access(c *Call, in *sdk.TagServerCertificateInput) []Access {
	return []Access{c.on(identity.KindServerCertificate, in.ServerCertificateName).With(tagsKeys(in.Tags)...)}
}

func (tagServerCertificate) Command(c *Call, in *sdk.TagServerCertificateInput) (identity.Command, error) {
	return c.tag(identity.KindServerCertificate, in.ServerCertificateName, in.Tags)
}

type untagServerCertificate struct {
	nothing[sdk.UntagServerCertificateInput, sdk.UntagServerCertificateOutput]
}

func (untagServerCertificate) Access(c *Call, in *sdk.UntagServerCertificateInput) []Access {
	return []Access{c.on(identity.KindServerCertificate, in.ServerCertificateName).With(policy.Multi(keyTagKeys, in.TagKeys))}
}

func (untagServerCertificate) Command(c *Call, in *sdk.UntagServerCertificateInput) (identity.Command, error) {
	return c.untag(identity.KindServerCertificate, in.ServerCertificateName, in.TagKeys), nil
}

type listServerCertificateTags struct{}

func (listServerCertificateTags) Access(c *Call, in *sdk.ListServerCertificateTagsInput) []Access {
	return []Access{c.on(identity.KindServerCertificate, in.ServerCertificateName)}
}

func (listServerCertificateTags) Answer(c *Call, in *sdk.ListServerCertificateTagsInput) (*sdk.ListServerCertificateTagsOutput, error) {
	s, err := c.mustServerCertificate(in.ServerCertificateName)
	if err != nil {
		return nil, err
	}
	tags, err := tagPage("ListServerCertificateTags", s.Tags, in.Marker, in.MaxItems)
	return &sdk.ListServerCertificateTagsOutput{Tags: tags.items, IsTruncated: tags.truncated, Marker: tags.marker}, err
}
