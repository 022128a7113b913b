package iam

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"math"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

func accountActions() []Action {
	return []Action{
		write("CreateAccountAlias", createAccountAlias{}),
		write("DeleteAccountAlias", deleteAccountAlias{}),
		read("GetAccountAuthorizationDetails", getAccountAuthorizationDetails{}),
		read("GetAccountSummary", getAccountSummary{}),
		read("ListAccountAliases", listAccountAliases{}),
	}
}

type createAccountAlias struct {
	nothing[sdk.CreateAccountAliasInput, sdk.CreateAccountAliasOutput]
}

func (createAccountAlias) Access(c *Call, _ *sdk.CreateAccountAliasInput) []Access {
	return c.anything()
}

func (createAccountAlias) Command(c *Call, in *sdk.CreateAccountAliasInput) (identity.Command, error) {
	return &identity.SetAccountAlias{Account: c.Caller.Account, Alias: aws.ToString(in.AccountAlias)}, nil
}

type deleteAccountAlias struct {
	nothing[sdk.DeleteAccountAliasInput, sdk.DeleteAccountAliasOutput]
}

func (deleteAccountAlias) Access(c *Call, _ *sdk.DeleteAccountAliasInput) []Access {
	return c.anything()
}

func (deleteAccountAlias) Command(c *Call, in *sdk.DeleteAccountAliasInput) (identity.Command, error) {
	return &identity.DeleteAccountAlias{Account: c.Caller.Account, Alias: aws.ToString(in.AccountAlias)}, nil
}

type listAccountAliases struct{}

func (listAccountAliases) Access(c *Call, _ *sdk.ListAccountAliasesInput) []Access {
	return c.anything()
}

func (listAccountAliases) Answer(c *Call, in *sdk.ListAccountAliasesInput) (*sdk.ListAccountAliasesOutput, error) {
	var aliases []string
	if a, ok := c.state().Account(c.Caller.Account); ok && a.Alias != "" {
		aliases = []string{a.Alias}
	}
	itself := func(alias string) string { return alias }
	p, err := paginate("ListAccountAliases", in.Marker, in.MaxItems, sorted(aliases, itself), itself, all[string])
	return &sdk.ListAccountAliasesOutput{AccountAliases: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

// policyVersions is AWS's PolicyVersionsInUseQuota. Writ bounds policies and the versions
// of each, and tells that many versions where these are more.
const policyVersions = 10_000

type getAccountSummary struct{}

func (getAccountSummary) Access(c *Call, _ *sdk.GetAccountSummaryInput) []Access {
	return c.anything()
}

func (getAccountSummary) Answer(c *Call, _ *sdk.GetAccountSummaryInput) (*sdk.GetAccountSummaryOutput, error) {
	s, id := c.state(), c.Caller.Account
	a, ok := s.Account(id)
	if !ok {
		return nil, fail(codeNoSuchEntity, "The account with id %s cannot be found.", id)
	}
	rootKeys := 0
	if len(a.Keys) > 0 {
		rootKeys = 1
	}
	rootCertificates := 0
	if len(s.Keyring(identity.ID(id)).Certificates) > 0 {
		rootCertificates = 1
	}
	quota := func(q identity.Quota) int { return int(a.Quotas.Of(q)) }
	summary := map[string]int{
		"Users": s.Count(id, identity.KindUser), "UsersQuota": quota(identity.QuotaUsers),
		"Groups": s.Count(id, identity.KindGroup), "GroupsQuota": quota(identity.QuotaGroups),
		"Roles": s.Count(id, identity.KindRole), "RolesQuota": quota(identity.QuotaRoles),
		"Policies": s.Count(id, identity.KindPolicy), "PoliciesQuota": quota(identity.QuotaPolicies),
		"PolicyVersionsInUse": s.PolicyVersions(id), "PolicyVersionsInUseQuota": min(max(policyVersions, identity.MaxPolicyVersions*quota(identity.QuotaPolicies)), math.MaxInt32),
		"PolicySizeQuota": syntax.MaxManaged, "VersionsPerPolicyQuota": identity.MaxPolicyVersions,
		"UserPolicySizeQuota": syntax.MaxUser, "GroupPolicySizeQuota": syntax.MaxGroup, "RolePolicySizeQuota": syntax.MaxRole,
		"AssumeRolePolicySizeQuota":    syntax.MaxTrust,
		"AttachedPoliciesPerUserQuota": quota(identity.QuotaPoliciesPerUser), "AttachedPoliciesPerGroupQuota": quota(identity.QuotaPoliciesPerGroup),
		"AttachedPoliciesPerRoleQuota": quota(identity.QuotaPoliciesPerRole),
		"GroupsPerUserQuota":           identity.MaxGroupsPerUser, "AccessKeysPerUserQuota": identity.MaxAccessKeys,
		"InstanceProfiles": s.Count(id, identity.KindInstanceProfile), "InstanceProfilesQuota": quota(identity.QuotaInstanceProfiles),
		"Providers": len(s.OIDCProviders(id)) + len(s.SAMLProviders(id)), "GlobalEndpointTokenVersion": max(1, int(s.AccountSettings(id).TokenVersion)),
		"AccountAccessKeysPresent": rootKeys, "AccountMFAEnabled": min(1, s.CountMFA(identity.ID(id))), "AccountPasswordPresent": min(1, len(a.Password.Sealed)), "AccountSigningCertificatesPresent": rootCertificates,
		"ServerCertificates": s.Count(id, identity.KindServerCertificate), "ServerCertificatesQuota": quota(identity.QuotaServerCertificates),
		"SigningCertificatesPerUserQuota": identity.MaxSigningCertificates,
		"MFADevices":                      s.Count(id, identity.KindMFADevice) + s.CountPasskeys(id), "MFADevicesInUse": s.EnabledMFADevices(id) + s.CountPasskeys(id),
	}
	out := &sdk.GetAccountSummaryOutput{SummaryMap: make(map[string]int32, len(summary))}
	for key, n := range summary {
		out.SummaryMap[key] = int32(n)
	}
	return out, nil
}
