package iam

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/thumbprint"
	"github.com/writ-iam/writ/projection/policy"
)

func oidcProviderActions() []Action {
	return []Action{
		write("AddClientIDToOpenIDConnectProvider", addClientID{}),
		write("CreateOpenIDConnectProvider", createOIDCProvider{}),
		write("DeleteOpenIDConnectProvider", deleteOIDCProvider{}),
		read("GetOpenIDConnectProvider", getOIDCProvider{}),
		read("ListOpenIDConnectProviderTags", listOIDCProviderTags{}),
		read("ListOpenIDConnectProviders", listOIDCProviders{}),
		write("RemoveClientIDFromOpenIDConnectProvider", removeClientID{}),
		write("TagOpenIDConnectProvider", tagOIDCProvider{}),
		write("UntagOpenIDConnectProvider", untagOIDCProvider{}),
		write("UpdateOpenIDConnectProviderThumbprint", updateThumbprints{}),
	}
}

// checkProviderARN checks the form of the ARN of a provider of the cluster's partition. Whether there is such a
// provider is not its business.
func (c *Call) checkProviderARN(kind identity.Kind, arn *string) (string, error) {
	text := aws.ToString(arn)
	rest, iam := strings.CutPrefix(text, c.partition().IAM())
	account, resource, ok := strings.Cut(rest, ":")
	noun, name, named := strings.Cut(resource, "/")
	switch {
	case !ok || !named || account == "" || name == "" || !iam:
		return "", fail(codeValidationError, "Invalid ARN: %s", text)
	case noun != kind.Noun():
		return "", fail(codeValidationError, "Invalid resource type in ARN")
	}
	return text, nil
}

const schemeHTTPS = "https://"

// newProviderURL is the URL of a provider without its scheme, as its ARN has it: a host,
// with a path or without. It stays as it was given, but for the scheme: it is compared
// with what tokens say.
func newProviderURL(given *string) (address, host string, err error) {
	text := aws.ToString(given)
	switch {
	case !strings.Contains(text, "://"):
		return "", "", fail(codeValidationError, "Invalid Open ID Connect Provider URL")
	case !strings.HasPrefix(text, schemeHTTPS):
		return "", "", fail(codeInvalidInput, "Invalid Open ID Connect Provider URL. The URL must begin with https://.")
	}
	u, err := url.Parse(text)
	if err != nil || u.User != nil || strings.ContainsAny(text, "?#") || !hostName.MatchString(u.Host) {
		return "", "", fail(codeInvalidInput, "Invalid Open ID Connect Provider URL.")
	}
	return strings.TrimPrefix(text, schemeHTTPS), u.Host, nil
}

// hostName matches a host without a port.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

// newThumbprints are thumbprints for a command, in lower case.
func newThumbprints(given []string) ([]string, error) {
	var list []string
	for _, text := range given {
		sum, err := hex.DecodeString(text)
		if err != nil || len(sum) != sha1.Size {
			return nil, fail(codeInvalidInput, "Thumbprint must be 40 hexadecimal characters.")
		}
		list = append(list, hex.EncodeToString(sum))
	}
	return list, nil
}

type createOIDCProvider struct{}

func (createOIDCProvider) Access(c *Call, in *sdk.CreateOpenIDConnectProviderInput) []Access {
	name := strings.TrimPrefix(aws.ToString(in.Url), schemeHTTPS)
	return creation(c.toBe(identity.KindOIDCProvider, nil, &name), in.Tags, "iam:TagOpenIDConnectProvider")
}

// Command asks the provider for its thumbprint where the request names none.
func (createOIDCProvider) Command(c *Call, in *sdk.CreateOpenIDConnectProviderInput) (identity.Command, error) {
	address, host, err := newProviderURL(in.Url)
	if err != nil {
		return nil, err
	}
	tags, err := newTags(identity.KindOIDCProvider, in.Tags)
	if err != nil {
		return nil, err
	}
	thumbprints, err := newThumbprints(in.ThumbprintList)
	if err != nil {
		return nil, err
	}
	cmd := &identity.CreateOIDCProvider{Account: c.Caller.Account, URL: address, Thumbprints: thumbprints, Tags: tags}
	for _, id := range in.ClientIDList {
		if !slices.Contains(cmd.ClientIDs, id) {
			cmd.ClientIDs = append(cmd.ClientIDs, id)
		}
	}
	if len(thumbprints) > 0 {
		return cmd, nil
	}
	if err := c.foresee(cmd); err != nil {
		return nil, err
	}
	seen, err := admission.Once(c.Bench, "thumbprint", func() (string, error) { return c.Thumbprints.Fetch(string(c.Caller.ID), host) })
	switch {
	case err != nil && !errors.Is(err, thumbprint.ErrUnreachable):
		return nil, err
	case err != nil: // why is not for the caller to know: it would tell what is in the node's network
		return nil, fail(codeOpenIDIdpCommunicationError, "The request failed because IAM cannot connect to the OpenID Connect identity provider URL %s.", *in.Url)
	case seen != "":
		cmd.Thumbprints = []string{seen}
	}
	return cmd, nil
}

func (createOIDCProvider) Render(c *Call, _ *sdk.CreateOpenIDConnectProviderInput, b *event.Batch) (*sdk.CreateOpenIDConnectProviderOutput, error) {
	e, err := one[*identity.OIDCProviderCreated](b)
	if err != nil {
		return nil, err
	}
	p := identity.OIDCProvider{In: c.partition(), Account: e.Account, URL: e.URL}
	return &sdk.CreateOpenIDConnectProviderOutput{OpenIDConnectProviderArn: aws.String(p.ARN()), Tags: shownTags(e.Tags)}, nil
}

// mustOIDCProvider finds an OpenID Connect provider of the caller's account.
func (c *Call) mustOIDCProvider(arn *string) (*identity.OIDCProvider, error) {
	text, err := c.checkProviderARN(identity.KindOIDCProvider, arn)
	if err != nil {
		return nil, err
	}
	p, ok := c.state().OIDCProvider(text)
	if !ok || p.Account != c.Caller.Account {
		return nil, fail(codeNoSuchEntity, "OpenIDConnect Provider not found for arn %s", text)
	}
	return p, nil
}

type getOIDCProvider struct{}

func (getOIDCProvider) Access(c *Call, in *sdk.GetOpenIDConnectProviderInput) []Access {
	return []Access{c.onProvider(identity.KindOIDCProvider, in.OpenIDConnectProviderArn)}
}

// Answer has the URL without its scheme, and lists also where they are empty, as AWS does.
func (getOIDCProvider) Answer(c *Call, in *sdk.GetOpenIDConnectProviderInput) (*sdk.GetOpenIDConnectProviderOutput, error) {
	p, err := c.mustOIDCProvider(in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	return &sdk.GetOpenIDConnectProviderOutput{Url: aws.String(p.URL), CreateDate: shownTime(p.Created), ClientIDList: present(p.ClientIDs),
		ThumbprintList: present(p.Thumbprints), Tags: present(shownTags(p.Tags))}, nil
}

type listOIDCProviders struct{}

func (listOIDCProviders) Access(c *Call, _ *sdk.ListOpenIDConnectProvidersInput) []Access {
	return c.anything()
}

func (listOIDCProviders) Answer(c *Call, _ *sdk.ListOpenIDConnectProvidersInput) (*sdk.ListOpenIDConnectProvidersOutput, error) {
	list := []types.OpenIDConnectProviderListEntry{}
	for _, p := range c.state().OIDCProviders(c.Caller.Account) {
		list = append(list, types.OpenIDConnectProviderListEntry{Arn: aws.String(p.ARN())})
	}
	return &sdk.ListOpenIDConnectProvidersOutput{OpenIDConnectProviderList: list}, nil
}

type deleteOIDCProvider struct {
	nothing[sdk.DeleteOpenIDConnectProviderInput, sdk.DeleteOpenIDConnectProviderOutput]
}

func (deleteOIDCProvider) Access(c *Call, in *sdk.DeleteOpenIDConnectProviderInput) []Access {
	return []Access{c.onProvider(identity.KindOIDCProvider, in.OpenIDConnectProviderArn)}
}

func (deleteOIDCProvider) Command(c *Call, in *sdk.DeleteOpenIDConnectProviderInput) (identity.Command, error) {
	arn, err := c.checkProviderARN(identity.KindOIDCProvider, in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	return &identity.DeleteOIDCProvider{Account: c.Caller.Account, ARN: arn}, nil
}

type addClientID struct {
	nothing[sdk.AddClientIDToOpenIDConnectProviderInput, sdk.AddClientIDToOpenIDConnectProviderOutput]
}

func (addClientID) Access(c *Call, in *sdk.AddClientIDToOpenIDConnectProviderInput) []Access {
	return []Access{c.onProvider(identity.KindOIDCProvider, in.OpenIDConnectProviderArn)}
}

func (addClientID) Command(c *Call, in *sdk.AddClientIDToOpenIDConnectProviderInput) (identity.Command, error) {
	arn, err := c.checkProviderARN(identity.KindOIDCProvider, in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	return &identity.AddClientID{Account: c.Caller.Account, ARN: arn, ClientID: aws.ToString(in.ClientID)}, nil
}

type removeClientID struct {
	nothing[sdk.RemoveClientIDFromOpenIDConnectProviderInput, sdk.RemoveClientIDFromOpenIDConnectProviderOutput]
}

func (removeClientID) Access(c *Call, in *sdk.RemoveClientIDFromOpenIDConnectProviderInput) []Access {
	return []Access{c.onProvider(identity.KindOIDCProvider, in.OpenIDConnectProviderArn)}
}

func (removeClientID) Command(c *Call, in *sdk.RemoveClientIDFromOpenIDConnectProviderInput) (identity.Command, error) {
	arn, err := c.checkProviderARN(identity.KindOIDCProvider, in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	return &identity.RemoveClientID{Account: c.Caller.Account, ARN: arn, ClientID: aws.ToString(in.ClientID)}, nil
}

type updateThumbprints struct {
	nothing[sdk.UpdateOpenIDConnectProviderThumbprintInput, sdk.UpdateOpenIDConnectProviderThumbprintOutput]
}

func (updateThumbprints) Access(c *Call, in *sdk.UpdateOpenIDConnectProviderThumbprintInput) []Access {
	return []Access{c.onProvider(identity.KindOIDCProvider, in.OpenIDConnectProviderArn)}
}

func (updateThumbprints) Command(c *Call, in *sdk.UpdateOpenIDConnectProviderThumbprintInput) (identity.Command, error) {
	arn, err := c.checkProviderARN(identity.KindOIDCProvider, in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	thumbprints, err := newThumbprints(in.ThumbprintList)
	if err != nil {
		return nil, err
	}
	return &identity.SetThumbprints{Account: c.Caller.Account, ARN: arn, Thumbprints: thumbprints}, nil
}

type tagOIDCProvider struct {
	nothing[sdk.TagOpenIDConnectProviderInput, sdk.TagOpenIDConnectProviderOutput]
}

func (tagOIDCProvider) Access(c *Call, in *sdk.TagOpenIDConnectProviderInput) []Access {
	return []Access{c.onProvider(identity.KindOIDCProvider, in.OpenIDConnectProviderArn).With(tagsKeys(in.Tags)...)}
}

func (tagOIDCProvider) Command(c *Call, in *sdk.TagOpenIDConnectProviderInput) (identity.Command, error) {
	arn, err := c.checkProviderARN(identity.KindOIDCProvider, in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	return c.tag(identity.KindOIDCProvider, &arn, in.Tags)
}

type untagOIDCProvider struct {
	nothing[sdk.UntagOpenIDConnectProviderInput, sdk.UntagOpenIDConnectProviderOutput]
}

func (untagOIDCProvider) Access(c *Call, in *sdk.UntagOpenIDConnectProviderInput) []Access {
	return []Access{c.onProvider(identity.KindOIDCProvider, in.OpenIDConnectProviderArn).With(policy.Multi(keyTagKeys, in.TagKeys))}
}

func (untagOIDCProvider) Command(c *Call, in *sdk.UntagOpenIDConnectProviderInput) (identity.Command, error) {
	arn, err := c.checkProviderARN(identity.KindOIDCProvider, in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	return c.untag(identity.KindOIDCProvider, &arn, in.TagKeys), nil
}

type listOIDCProviderTags struct{}

func (listOIDCProviderTags) Access(c *Call, in *sdk.ListOpenIDConnectProviderTagsInput) []Access {
	return []Access{c.onProvider(identity.KindOIDCProvider, in.OpenIDConnectProviderArn)}
}

func (listOIDCProviderTags) Answer(c *Call, in *sdk.ListOpenIDConnectProviderTagsInput) (*sdk.ListOpenIDConnectProviderTagsOutput, error) {
	p, err := c.mustOIDCProvider(in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	tags, err := tagPage("ListOpenIDConnectProviderTags", p.Tags, in.Marker, in.MaxItems)
	return &sdk.ListOpenIDConnectProviderTagsOutput{Tags: tags.items, IsTruncated: tags.truncated, Marker: tags.marker}, err
}
