package iam

import (
	"cmp"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// absentActions are about nouns that Writ does not have yet, and answer as AWS
// does where there are none: tools list them before they delete a user or role,
// and read them when they plan.
func absentActions() []Action {
	return []Action{
		read("GetInstanceProfile", getInstanceProfile{}),
		read("ListInstanceProfiles", listInstanceProfiles{}),
		read("ListOpenIDConnectProviders", listOpenIDConnectProviders{}),
		read("ListSAMLProviders", listSAMLProviders{}),
		read("ListSSHPublicKeys", listSSHPublicKeys{}),
		read("ListServerCertificates", listServerCertificates{}),
		read("ListServiceSpecificCredentials", listServiceSpecificCredentials{}),
		read("ListSigningCertificates", listSigningCertificates{}),
	}
}

type getInstanceProfile struct{}

func (getInstanceProfile) Access(c *Call, in *sdk.GetInstanceProfileInput) []Access {
	return []Access{c.absent("instance-profile/", in.InstanceProfileName)}
}

func (getInstanceProfile) Answer(_ *Call, in *sdk.GetInstanceProfileInput) (*sdk.GetInstanceProfileOutput, error) {
	return nil, fail(codeNoSuchEntity, "Instance Profile %s cannot be found.", aws.ToString(in.InstanceProfileName))
}

type listInstanceProfiles struct{}

func (listInstanceProfiles) Access(c *Call, _ *sdk.ListInstanceProfilesInput) []Access {
	return []Access{c.absent("instance-profile/", nil)}
}

func (listInstanceProfiles) Answer(_ *Call, in *sdk.ListInstanceProfilesInput) (*sdk.ListInstanceProfilesOutput, error) {
	return &sdk.ListInstanceProfilesOutput{InstanceProfiles: []types.InstanceProfile{}}, noPage(in.Marker)
}

type listOpenIDConnectProviders struct{}

func (listOpenIDConnectProviders) Access(c *Call, _ *sdk.ListOpenIDConnectProvidersInput) []Access {
	return c.anything()
}

func (listOpenIDConnectProviders) Answer(*Call, *sdk.ListOpenIDConnectProvidersInput) (*sdk.ListOpenIDConnectProvidersOutput, error) {
	return &sdk.ListOpenIDConnectProvidersOutput{OpenIDConnectProviderList: []types.OpenIDConnectProviderListEntry{}}, nil
}

type listSAMLProviders struct{}

func (listSAMLProviders) Access(c *Call, _ *sdk.ListSAMLProvidersInput) []Access {
	return c.anything()
}

func (listSAMLProviders) Answer(*Call, *sdk.ListSAMLProvidersInput) (*sdk.ListSAMLProvidersOutput, error) {
	return &sdk.ListSAMLProvidersOutput{SAMLProviderList: []types.SAMLProviderListEntry{}}, nil
}

type listSSHPublicKeys struct{}

func (listSSHPublicKeys) Access(c *Call, in *sdk.ListSSHPublicKeysInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (listSSHPublicKeys) Answer(c *Call, in *sdk.ListSSHPublicKeysInput) (*sdk.ListSSHPublicKeysOutput, error) {
	return &sdk.ListSSHPublicKeysOutput{SSHPublicKeys: []types.SSHPublicKeyMetadata{}}, cmp.Or(noPage(in.Marker), c.checkUser(in.UserName))
}

type listServerCertificates struct{}

func (listServerCertificates) Access(c *Call, _ *sdk.ListServerCertificatesInput) []Access {
	return []Access{c.absent("server-certificate/", nil)}
}

func (listServerCertificates) Answer(_ *Call, in *sdk.ListServerCertificatesInput) (*sdk.ListServerCertificatesOutput, error) {
	return &sdk.ListServerCertificatesOutput{ServerCertificateMetadataList: []types.ServerCertificateMetadata{}}, noPage(in.Marker)
}

type listServiceSpecificCredentials struct{}

func (listServiceSpecificCredentials) Access(c *Call, in *sdk.ListServiceSpecificCredentialsInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (listServiceSpecificCredentials) Answer(c *Call, in *sdk.ListServiceSpecificCredentialsInput) (*sdk.ListServiceSpecificCredentialsOutput, error) {
	return &sdk.ListServiceSpecificCredentialsOutput{ServiceSpecificCredentials: []types.ServiceSpecificCredentialMetadata{}}, cmp.Or(noPage(in.Marker), c.checkUser(in.UserName))
}

type listSigningCertificates struct{}

func (listSigningCertificates) Access(c *Call, in *sdk.ListSigningCertificatesInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (listSigningCertificates) Answer(c *Call, in *sdk.ListSigningCertificatesInput) (*sdk.ListSigningCertificatesOutput, error) {
	return &sdk.ListSigningCertificatesOutput{Certificates: []types.SigningCertificate{}}, cmp.Or(noPage(in.Marker), c.checkUser(in.UserName))
}

// absent is the access to an entity of a noun that Writ does not have yet.
func (c *Call) absent(noun string, name *string) Access {
	return Access{Resource: "arn:aws:iam::" + string(c.Caller.Account) + ":" + noun + aws.ToString(name), Account: c.Caller.Account}
}

// noPage refuses a marker: a list that is empty has no second page.
func noPage(marker *string) error {
	if marker != nil {
		return fail(codeValidationError, "Invalid Marker.")
	}
	return nil
}

// checkUser fails where a user is named that is not there.
func (c *Call) checkUser(name *string) error {
	if name == nil {
		return nil
	}
	_, err := c.mustUser(name)
	return err
}
