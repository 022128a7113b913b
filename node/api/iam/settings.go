package iam

import (
	"crypto/sha256"
	"encoding/base32"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/issuer"
	"github.com/writ-iam/writ/projection/policy"
)

func settingsActions() []Action {
	return []Action{
		write("DisableOrganizationsRootCredentialsManagement", disableRootCredentials{}),
		write("DisableOrganizationsRootSessions", disableRootSessions{}),
		write("DisableOutboundWebIdentityFederation", disableWebIdentity{}),
		write("EnableOrganizationsRootCredentialsManagement", enableRootCredentials{}),
		write("EnableOrganizationsRootSessions", enableRootSessions{}),
		write("EnableOutboundWebIdentityFederation", enableWebIdentity{}),
		read("GetAccountProperties", getAccountProperties{}),
		read("GetOutboundWebIdentityFederationInfo", getWebIdentityInfo{}),
		read("ListOrganizationsFeatures", listOrganizationsFeatures{}),
		write("PutAccountProperties", putAccountProperties{}),
		write("SetSecurityTokenServicePreferences", setTokenVersion{}),
	}
}

type setTokenVersion struct {
	nothing[sdk.SetSecurityTokenServicePreferencesInput, sdk.SetSecurityTokenServicePreferencesOutput]
}

func (setTokenVersion) Access(c *Call, _ *sdk.SetSecurityTokenServicePreferencesInput) []Access {
	return c.anything()
}

func (setTokenVersion) Command(c *Call, in *sdk.SetSecurityTokenServicePreferencesInput) (identity.Command, error) {
	version := uint8(1)
	if in.GlobalEndpointTokenVersion == types.GlobalEndpointTokenVersionV2Token {
		version = 2
	}
	return &identity.SetTokenVersion{Account: c.Caller.Account, Version: version}, nil
}

type enableWebIdentity struct{}

func (enableWebIdentity) Access(c *Call, _ *sdk.EnableOutboundWebIdentityFederationInput) []Access {
	return c.anything()
}

// Command makes an issuer, which the account gets if it never had one.
func (enableWebIdentity) Command(c *Call, _ *sdk.EnableOutboundWebIdentityFederationInput) (identity.Command, error) {
	if c.Issuer == "" {
		return nil, fail(codeInvalidInput, "There is no URL for issuers here: the writers need one, by --issuer or --advertise.")
	}
	id, err := issuer.NewID(c.Caller.Account, c.Random)
	if err != nil {
		return nil, err
	}
	url := strings.TrimSuffix(c.Issuer, "/") + issuer.Below + id
	return &identity.EnableWebIdentity{Account: c.Caller.Account, Issuer: url}, nil
}

func (enableWebIdentity) Render(_ *Call, _ *sdk.EnableOutboundWebIdentityFederationInput, b *event.Batch) (*sdk.EnableOutboundWebIdentityFederationOutput, error) {
	e, err := one[*identity.WebIdentityEnabled](b)
	if err != nil {
		return nil, err
	}
	return &sdk.EnableOutboundWebIdentityFederationOutput{IssuerIdentifier: aws.String(e.Issuer)}, nil
}

type disableWebIdentity struct {
	nothing[sdk.DisableOutboundWebIdentityFederationInput, sdk.DisableOutboundWebIdentityFederationOutput]
}

func (disableWebIdentity) Access(c *Call, _ *sdk.DisableOutboundWebIdentityFederationInput) []Access {
	return c.anything()
}

func (disableWebIdentity) Command(c *Call, _ *sdk.DisableOutboundWebIdentityFederationInput) (identity.Command, error) {
	return &identity.DisableWebIdentity{Account: c.Caller.Account}, nil
}

type getWebIdentityInfo struct{}

func (getWebIdentityInfo) Access(c *Call, _ *sdk.GetOutboundWebIdentityFederationInfoInput) []Access {
	return c.anything()
}

func (getWebIdentityInfo) Answer(c *Call, _ *sdk.GetOutboundWebIdentityFederationInfoInput) (*sdk.GetOutboundWebIdentityFederationInfoOutput, error) {
	a := c.state().AccountSettings(c.Caller.Account)
	if !a.Vends {
		return nil, fail(codeFeatureDisabled, "%s", identity.WebIdentityIsDisabled)
	}
	return &sdk.GetOutboundWebIdentityFederationInfoOutput{IssuerIdentifier: aws.String(a.Issuer), JwtVendingEnabled: true}, nil
}

// organizationText is base32 in the letters of organizations' ids.
var organizationText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567")

// organizationID is the id of the cluster's accounts as an organization, made of the
// cluster's own.
func organizationID(cluster string) *string {
	const length = 10 // AWS's have as many
	sum := sha256.Sum256([]byte("organization of " + cluster))
	return aws.String("o-" + organizationText.EncodeToString(sum[:])[:length])
}

// shownFeatures are features of an organization for an answer, in AWS's order.
func shownFeatures(f identity.OrganizationFeatures) []types.FeatureType {
	list := []types.FeatureType{}
	if f.RootCredentials {
		list = append(list, types.FeatureTypeRootCredentialsManagement)
	}
	if f.RootSessions {
		list = append(list, types.FeatureTypeRootSessions)
	}
	return list
}

type listOrganizationsFeatures struct{}

func (listOrganizationsFeatures) Access(c *Call, _ *sdk.ListOrganizationsFeaturesInput) []Access {
	return c.anything()
}

func (listOrganizationsFeatures) Answer(c *Call, _ *sdk.ListOrganizationsFeaturesInput) (*sdk.ListOrganizationsFeaturesOutput, error) {
	if c.Caller.Account != c.state().ManagementAccount() {
		return nil, fail(codeNotAdministrator, "%s", identity.IsNotAdministrator)
	}
	return &sdk.ListOrganizationsFeaturesOutput{OrganizationId: organizationID(c.View.Cluster().ID),
		EnabledFeatures: shownFeatures(c.state().AccountSettings(c.Caller.Account).Organization)}, nil
}

// organizationNow is what every change of the organization's features answers.
func organizationNow(b *event.Batch) (id *string, features []types.FeatureType, err error) {
	e, err := one[*identity.OrganizationFeaturesSet](b)
	if err != nil {
		return nil, nil, err
	}
	return organizationID(b.Cluster), shownFeatures(e.Features), nil
}

type enableRootCredentials struct{}

func (enableRootCredentials) Access(c *Call, _ *sdk.EnableOrganizationsRootCredentialsManagementInput) []Access {
	return c.anything()
}

func (enableRootCredentials) Command(c *Call, _ *sdk.EnableOrganizationsRootCredentialsManagementInput) (identity.Command, error) {
	return &identity.SetOrganizationFeatures{Account: c.Caller.Account, RootCredentials: aws.Bool(true)}, nil
}

func (enableRootCredentials) Render(_ *Call, _ *sdk.EnableOrganizationsRootCredentialsManagementInput, b *event.Batch) (*sdk.EnableOrganizationsRootCredentialsManagementOutput, error) {
	id, features, err := organizationNow(b)
	return &sdk.EnableOrganizationsRootCredentialsManagementOutput{OrganizationId: id, EnabledFeatures: features}, err
}

type disableRootCredentials struct{}

func (disableRootCredentials) Access(c *Call, _ *sdk.DisableOrganizationsRootCredentialsManagementInput) []Access {
	return c.anything()
}

func (disableRootCredentials) Command(c *Call, _ *sdk.DisableOrganizationsRootCredentialsManagementInput) (identity.Command, error) {
	return &identity.SetOrganizationFeatures{Account: c.Caller.Account, RootCredentials: aws.Bool(false)}, nil
}

func (disableRootCredentials) Render(_ *Call, _ *sdk.DisableOrganizationsRootCredentialsManagementInput, b *event.Batch) (*sdk.DisableOrganizationsRootCredentialsManagementOutput, error) {
	id, features, err := organizationNow(b)
	return &sdk.DisableOrganizationsRootCredentialsManagementOutput{OrganizationId: id, EnabledFeatures: features}, err
}

type enableRootSessions struct{}

func (enableRootSessions) Access(c *Call, _ *sdk.EnableOrganizationsRootSessionsInput) []Access {
	return c.anything()
}

func (enableRootSessions) Command(c *Call, _ *sdk.EnableOrganizationsRootSessionsInput) (identity.Command, error) {
	return &identity.SetOrganizationFeatures{Account: c.Caller.Account, RootSessions: aws.Bool(true)}, nil
}

func (enableRootSessions) Render(_ *Call, _ *sdk.EnableOrganizationsRootSessionsInput, b *event.Batch) (*sdk.EnableOrganizationsRootSessionsOutput, error) {
	id, features, err := organizationNow(b)
	return &sdk.EnableOrganizationsRootSessionsOutput{OrganizationId: id, EnabledFeatures: features}, err
}

type disableRootSessions struct{}

func (disableRootSessions) Access(c *Call, _ *sdk.DisableOrganizationsRootSessionsInput) []Access {
	return c.anything()
}

func (disableRootSessions) Command(c *Call, _ *sdk.DisableOrganizationsRootSessionsInput) (identity.Command, error) {
	return &identity.SetOrganizationFeatures{Account: c.Caller.Account, RootSessions: aws.Bool(false)}, nil
}

func (disableRootSessions) Render(_ *Call, _ *sdk.DisableOrganizationsRootSessionsInput, b *event.Batch) (*sdk.DisableOrganizationsRootSessionsOutput, error) {
	id, features, err := organizationNow(b)
	return &sdk.DisableOrganizationsRootSessionsOutput{OrganizationId: id, EnabledFeatures: features}, err
}

// roleManager is the namespace of the one property that accounts have, and propertyEnabled
// its name: "true" or "false".
const (
	roleManager     = "RoleManager"
	propertyEnabled = roleManager + "/Enabled"
)

// keyNamespaces are the namespaces of the properties that an action reads or sets.
const keyNamespaces policy.Key = "iam:accountpropertynamespaces"

type getAccountProperties struct{}

func (getAccountProperties) Access(c *Call, _ *sdk.GetAccountPropertiesInput) []Access {
	return []Access{c.anything()[0].With(policy.Multi(keyNamespaces, []string{roleManager}))}
}

func (getAccountProperties) Answer(c *Call, _ *sdk.GetAccountPropertiesInput) (*sdk.GetAccountPropertiesOutput, error) {
	enabled := c.state().AccountSettings(c.Caller.Account).RoleManager
	return &sdk.GetAccountPropertiesOutput{Properties: map[string]string{propertyEnabled: strconv.FormatBool(enabled)}}, nil
}

type putAccountProperties struct {
	nothing[sdk.PutAccountPropertiesInput, sdk.PutAccountPropertiesOutput]
}

func (putAccountProperties) Access(c *Call, in *sdk.PutAccountPropertiesInput) []Access {
	named := map[string]bool{}
	for key := range in.Properties {
		namespace, _, _ := strings.Cut(key, "/")
		named[namespace] = true
	}
	return []Access{c.anything()[0].With(policy.Multi(keyNamespaces, slices.Sorted(maps.Keys(named))))}
}

func (putAccountProperties) Command(c *Call, in *sdk.PutAccountPropertiesInput) (identity.Command, error) {
	keys := slices.Sorted(maps.Keys(in.Properties))
	first := ""
	for i, key := range keys {
		namespace, name, _ := strings.Cut(key, "/")
		switch {
		case namespace == "" || name == "" || strings.Contains(name, "/"):
			return nil, fail(codeInvalidInput, "Property key must be in format Namespace/PropertyName: %s", key)
		case i > 0 && namespace != first:
			return nil, fail(codeInvalidInput, "All properties must belong to the same namespace")
		}
		first = namespace
	}
	for _, key := range keys {
		switch {
		case first != roleManager:
			return nil, fail(codeInvalidInput, "Unsupported namespace: %s", first)
		case key != propertyEnabled:
			return nil, fail(codeInvalidInput, "Unsupported property: %s", key)
		}
	}
	switch in.Properties[propertyEnabled] {
	case "true", "false":
		return &identity.SetRoleManager{Account: c.Caller.Account, Enabled: in.Properties[propertyEnabled] == "true"}, nil
	case "":
		return nil, fail(codeInvalidInput, "%s namespace requires Enabled property", roleManager)
	}
	return nil, fail(codeInvalidInput, "Enabled must be 'true' or 'false'")
}
