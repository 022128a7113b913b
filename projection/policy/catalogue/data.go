package catalogue

import (
	"strings"

	"github.com/writ-iam/writ/projection/policy"
)

// builtinActions are the actions of the services that Writ itself offers, as
// in AWS's Service Authorization Reference.
var builtinActions = map[string]string{
	"iam": `
	AcceptDelegationRequest AddClientIDToOpenIDConnectProvider AddRoleToInstanceProfile AddUserToGroup
	AssociateDelegationRequest AttachGroupPolicy AttachRolePolicy AttachUserPolicy ChangePassword CreateAccessKey
	CreateAccountAlias CreateDelegationRequest CreateGroup CreateInstanceProfile CreateLoginProfile
	CreateOpenIDConnectProvider CreatePolicy CreatePolicyVersion CreateRole CreateSAMLProvider
	CreateServiceLinkedRole CreateServiceSpecificCredential CreateUser CreateVirtualMFADevice DeactivateMFADevice
	DeleteAccessKey DeleteAccountAlias DeleteAccountPasswordPolicy DeleteGroup DeleteGroupPolicy
	DeleteInstanceProfile DeleteLoginProfile DeleteOpenIDConnectProvider DeletePolicy DeletePolicyVersion
	DeleteRole DeleteRolePermissionsBoundary DeleteRolePolicy DeleteSAMLProvider DeleteSSHPublicKey
	DeleteServerCertificate DeleteServiceLinkedRole DeleteServiceSpecificCredential DeleteSigningCertificate
	DeleteUser DeleteUserPermissionsBoundary DeleteUserPolicy DeleteVirtualMFADevice DetachGroupPolicy
	DetachRolePolicy DetachUserPolicy DisableOrganizationsRootCredentialsManagement
	DisableOrganizationsRootSessions DisableOutboundWebIdentityFederation EnableMFADevice
	EnableOrganizationsRootCredentialsManagement EnableOrganizationsRootSessions
	EnableOutboundWebIdentityFederation GenerateCredentialReport GenerateOrganizationsAccessReport
	GenerateServiceLastAccessedDetails GetAccessKeyLastUsed GetAccountAuthorizationDetails
	GetAccountPasswordPolicy GetAccountProperties GetAccountSummary GetContextKeysForCustomPolicy
	GetContextKeysForPrincipalPolicy
	GetCredentialReport GetDelegationRequest GetGroup GetGroupPolicy GetHumanReadableSummary GetInstanceProfile
	GetLoginProfile GetMFADevice GetOpenIDConnectProvider GetOrganizationsAccessReport
	GetOutboundWebIdentityFederationInfo GetPolicy GetPolicyVersion GetRole GetRolePolicy GetSAMLProvider
	GetSSHPublicKey GetServerCertificate GetServiceLastAccessedDetails GetServiceLastAccessedDetailsWithEntities
	GetServiceLinkedRoleDeletionStatus GetUser GetUserPolicy ListAccessKeys ListAccountAliases
	ListAttachedGroupPolicies ListAttachedRolePolicies ListAttachedUserPolicies ListDelegationRequests
	ListEntitiesForPolicy ListGroupPolicies ListGroups ListGroupsForUser ListInstanceProfileTags
	ListInstanceProfiles ListInstanceProfilesForRole ListMFADeviceTags ListMFADevices
	ListOpenIDConnectProviderTags ListOpenIDConnectProviders ListOrganizationsFeatures ListPolicies
	ListPoliciesGrantingServiceAccess ListPolicyTags ListPolicyVersions ListRolePolicies ListRoleTags ListRoles
	ListSAMLProviderTags ListSAMLProviders ListSSHPublicKeys ListServerCertificateTags ListServerCertificates
	ListServiceSpecificCredentials ListSigningCertificates ListUserPolicies ListUserTags ListUsers
	ListVirtualMFADevices PassRole PutAccountProperties PutGroupPolicy PutRolePermissionsBoundary PutRolePolicy
	PutUserPermissionsBoundary PutUserPolicy RejectDelegationRequest RemoveClientIDFromOpenIDConnectProvider
	RemoveRoleFromInstanceProfile RemoveUserFromGroup ResetServiceSpecificCredential ResyncMFADevice
	SendDelegationToken SetDefaultPolicyVersion SetSecurityTokenServicePreferences SimulateCustomPolicy
	SimulatePrincipalPolicy TagInstanceProfile TagMFADevice TagOpenIDConnectProvider TagPolicy TagRole
	TagSAMLProvider TagServerCertificate TagUser UntagInstanceProfile UntagMFADevice UntagOpenIDConnectProvider
	UntagPolicy UntagRole UntagSAMLProvider UntagServerCertificate UntagUser UpdateAccessKey
	UpdateAccountPasswordPolicy UpdateAssumeRolePolicy UpdateDelegationRequest UpdateGroup UpdateLoginProfile
	UpdateOpenIDConnectProviderThumbprint UpdateRole UpdateRoleDescription UpdateSAMLProvider UpdateSSHPublicKey
	UpdateServerCertificate UpdateServiceSpecificCredential UpdateSigningCertificate UpdateUser UploadSSHPublicKey
	UploadServerCertificate UploadSigningCertificate`,
	"sts": `
	AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity AssumeRoot DecodeAuthorizationMessage GetAccessKeyInfo
	GetCallerIdentity GetDelegatedAccessToken GetFederationToken GetServiceBearerToken GetSessionToken
	GetWebIdentityToken SetContext SetSourceIdentity TagGetWebIdentityToken TagSession`,
	"writ": nativeNames(),
}

// builtinKeys are AWS's global condition keys and those of the services above.
// A name that ends in a slash stands for every key that begins so. The letter
// tells the type as in Key: s text, n number, d date, b boolean, i
// address, a ARN; a plus means multivalued.
var builtinKeys = map[byte]string{
	's': `
	aws:CalledViaAWSMCP aws:CalledViaFirst aws:CalledViaLast aws:Ec2InstanceSourceVpc aws:FederatedProvider aws:PrincipalAccount
	aws:PrincipalOrgID aws:PrincipalOrgMasterAccountId aws:PrincipalOrgPaths+ aws:PrincipalServiceName aws:PrincipalServiceNamesList+
	aws:PrincipalTag/ aws:PrincipalType aws:RequestTag/ aws:RequestedRegion aws:ResourceAccount
	aws:ResourceOrgID aws:ResourceOrgPaths+ aws:ResourceTag/ aws:SourceAccount aws:SourceIdentity
	aws:SourceOrgID aws:SourceOrgPaths+ aws:SourceOwner aws:SourceVpc aws:SourceVpce aws:TagKeys+ aws:UserAgent
	aws:CalledVia+ aws:VpceAccount aws:VpceOrgID aws:VpceOrgPaths+ aws:referer aws:userid aws:username
	iam:AWSServiceName iam:AccountPropertyNamespaces+ iam:DelegationRequestOwner iam:FIDO-FIPS-140-2-certification
	iam:FIDO-FIPS-140-3-certification iam:FIDO-certification iam:NotificationChannel iam:OrganizationsPolicyId
	iam:PassedToService iam:RegisterSecurityKey iam:ResourceTag/ iam:ServiceSpecificCredentialServiceName
	sts:AWSServiceName sts:ExternalId sts:IdentityTokenAudience+ sts:RequestContext/ sts:RoleSessionName
	sts:SigningAlgorithm sts:SourceIdentity sts:TransitiveTagKeys+ writ:signingService`,
	'n': `
	aws:MultiFactorAuthAge iam:DelegationDuration iam:ServiceSpecificCredentialAgeDays sts:DurationSeconds`,
	'd': `
	aws:CurrentTime aws:EpochTime aws:TokenIssueTime`,
	'b': `
	aws:AssumedRoot aws:IsMcpServiceAction aws:MultiFactorAuthPresent aws:PrincipalIsAWSService aws:SecureTransport aws:ViaAWSMCPService
	aws:ViaAWSService`,
	'i': `
	aws:Ec2InstanceSourcePrivateIPv4 aws:SourceIp aws:VpcSourceIp`,
	'a': `
	aws:ChatbotSourceArn aws:PrincipalArn aws:SignInSessionArn aws:SourceArn aws:SourceVpcArn
	iam:AssociatedResourceArn iam:PermissionsBoundary iam:PolicyARN iam:TemplateArn
	sts:RequestContextProviders+ sts:TaskPolicyArn`,
}

// nativeNames are the names of NativeActions as the catalogue has those of a service.
func nativeNames() string {
	return strings.ReplaceAll(strings.Join(policy.NativeActions(), " "), "writ:", "")
}
