package wire

import "github.com/writ-iam/writ/log/identity"

// eventKinds numbers the events. A stored number is forever: append, never
// reorder or reuse.
var eventKinds = newKinds("event",
	change(1, 1, clusterBootstrapped),
	change(2, 1, streamGenerationRaised),
	change(3, 1, featureLevelRaised),
	change(4, 1, replicaRegistered),
	change(5, 1, replicaDrained),
	change(6, 1, replicaRemoved),
	change(7, 1, accountCreated),
	change(8, 1, accountAliasSet),
	change(9, 1, accountAliasDeleted),
	change(10, 1, accountQuotasSet),
	change(11, 1, userCreated),
	change(12, 1, userUpdated),
	change(13, 1, userDeleted),
	change(14, 1, groupCreated),
	change(15, 1, groupUpdated),
	change(16, 1, groupDeleted),
	change(17, 1, userAddedToGroup),
	change(18, 1, userRemovedFromGroup),
	change(19, 1, roleCreated),
	change(20, 1, roleUpdated),
	change(21, 1, trustUpdated),
	change(22, 1, roleDeleted),
	change(23, 1, policyCreated),
	change(24, 1, policyDeleted),
	change(25, 1, policyVersionCreated),
	change(26, 1, policyVersionDeleted),
	change(27, 1, defaultPolicyVersionSet),
	change(28, 1, inlinePolicyPut),
	change(29, 1, inlinePolicyDeleted),
	change(30, 1, policyAttached),
	change(31, 1, policyDetached),
	change(32, 1, boundarySet),
	change(33, 1, accessKeyCreated),
	change(34, 1, accessKeyUpdated),
	change(35, 1, accessKeyDeleted),
	change(36, 1, entityTagged),
	change(37, 1, entityUntagged),
	change(38, 1, replicaBarred),
	change(39, 1, replicaAdmitted),
	change(50, 1, instanceProfileCreated),
	change(51, 1, instanceProfileDeleted),
	change(52, 1, roleAddedToInstanceProfile),
	change(53, 1, roleRemovedFromInstanceProfile),
	change(54, 1, serviceLinkedRoleDeleted),
	change(60, 1, oidcProviderCreated),
	change(61, 1, oidcProviderDeleted),
	change(62, 1, clientIDAdded),
	change(63, 1, clientIDRemoved),
	change(64, 1, thumbprintsSet),
	change(65, 1, samlProviderCreated),
	change(66, 1, samlProviderUpdated),
	change(67, 1, samlProviderDeleted),
	change(68, 1, tokenVersionSet),
	change(69, 1, webIdentityEnabled),
	change(70, 1, webIdentityDisabled),
	change(71, 1, organizationFeaturesSet),
	change(72, 1, roleManagerSet),
	change(73, 1, providerKeysSet),
	change(80, 1, passwordPolicySet),
	change(81, 1, passwordPolicyDeleted),
	change(82, 1, loginProfileCreated),
	change(83, 1, loginProfileUpdated),
	change(84, 1, passwordSet),
	change(85, 1, loginProfileDeleted),
	change(86, 1, mfaDeviceCreated),
	change(87, 1, mfaDeviceDeleted),
	change(88, 1, mfaDeviceEnabled),
	change(89, 1, mfaDeviceResynced),
	change(90, 1, mfaDeviceDeactivated),
	change(91, 1, sealKeyChosen),
	change(92, 1, secretsResealed),
	change(93, 1, sealKeysRetired),
	change(100, 1, serverCertificateUploaded),
	change(101, 1, serverCertificateUpdated),
	change(102, 1, serverCertificateDeleted),
	change(103, 1, sshPublicKeyUploaded),
	change(104, 1, sshPublicKeyUpdated),
	change(105, 1, sshPublicKeyDeleted),
	change(106, 1, signingCertificateUploaded),
	change(107, 1, signingCertificateUpdated),
	change(108, 1, signingCertificateDeleted),
	change(109, 1, serviceCredentialCreated),
	change(110, 1, serviceCredentialUpdated),
	change(111, 1, serviceCredentialReset),
	change(112, 1, serviceCredentialDeleted),

	change(120, 2, delegationRequestCreated),
	change(121, 1, delegationRequestChanged),
	change(122, 1, delegationRequestForgotten),
	change(123, 1, credentialReportRequested),
	change(124, 1, credentialReportStored),
	change(125, 1, useNoted),
	change(126, 1, accessJobStarted),
	change(140, 1, nodeCertificatesRevoked),
	change(41, 1, catalogueStaged),
	change(42, 1, catalogueInstalled),
	change(43, 1, partitionChosen),
	change(45, 1, quotasSet),
	change(46, 1, sessionKeyAdded),
	change(47, 1, sessionKeyRevoked),
	change(48, 1, sessionsRevoked),
	change(74, 1, issuerKeyAdded),
	change(75, 1, issuerKeyRevoked),
	change(76, 1, passkeyRegistered),
	change(77, 1, passkeyUsed),
	change(78, 1, passkeyRemoved),
	change(113, 1, incarnationBegun),
	change(114, 1, retentionSet),
	change(115, 1, historyDropped),
	change(56, 1, accountClosed),
	change(57, 1, rootPasswordSet),
	change(58, 1, accountDescribed),
	change(59, 1, rootPasswordDeleted),
	change(94, 1, writersListed),
	change(95, 1, writerAdded),
	change(96, 1, writerChanged),
	change(97, 1, writerRemoved),
)

// The cluster.

func clusterBootstrapped(c *coder, v *identity.ClusterBootstrapped) {
	str(c, &v.Cluster)
	str(c, &v.Incarnation)
	num(c, &v.FeatureLevel)
}

func partitionChosen(c *coder, v *identity.PartitionChosen) { c.partition(&v.Partition) }

func streamGenerationRaised(c *coder, v *identity.StreamGenerationRaised) { num(c, &v.Generation) }

func featureLevelRaised(c *coder, v *identity.FeatureLevelRaised) { num(c, &v.Level) }

func replicaRegistered(c *coder, v *identity.ReplicaRegistered) {
	str(c, &v.Name)
	atom(c, &v.Region)
	atom(c, &v.Class)
}

func replicaDrained(c *coder, v *identity.ReplicaDrained) { str(c, &v.Name) }

func replicaRemoved(c *coder, v *identity.ReplicaRemoved) { str(c, &v.Name) }

func replicaBarred(c *coder, v *identity.ReplicaBarred) { str(c, &v.Name) }

func replicaAdmitted(c *coder, v *identity.ReplicaAdmitted) { str(c, &v.Name) }

func catalogueStaged(c *coder, v *identity.CatalogueStaged) {
	atom(c, &v.Catalogue)
	num(c, &v.Part)
	list(c, &v.Policies, cataloguePolicy)
}

func catalogueInstalled(c *coder, v *identity.CatalogueInstalled) {
	atom(c, &v.Catalogue)
	list(c, &v.Removed, str)
	list(c, &v.Kept, str)
	num(c, &v.At)
}

// Accounts.

func accountCreated(c *coder, v *identity.AccountCreated) {
	atom(c, &v.ID)
	num(c, &v.Created)
}

func accountDescribed(c *coder, v *identity.AccountDescribed) {
	atom(c, &v.Account)
	str(c, &v.Email)
	str(c, &v.Name)
}

func accountClosed(c *coder, v *identity.AccountClosed) {
	atom(c, &v.Account)
	num(c, &v.Closed)
}

func rootPasswordSet(c *coder, v *identity.RootPasswordSet) {
	atom(c, &v.Account)
	c.blob(&v.Sealed)
	num(c, &v.Set)
}

func rootPasswordDeleted(c *coder, v *identity.RootPasswordDeleted) { atom(c, &v.Account) }

func accountAliasSet(c *coder, v *identity.AccountAliasSet) {
	atom(c, &v.Account)
	str(c, &v.Alias)
}

func accountAliasDeleted(c *coder, v *identity.AccountAliasDeleted) {
	atom(c, &v.Account)
	str(c, &v.Alias)
}

func accountQuotasSet(c *coder, v *identity.AccountQuotasSet) {
	atom(c, &v.Account)
	firstQuotas(c, &v.Quotas)
}

func quotasSet(c *coder, v *identity.QuotasSet) {
	atom(c, &v.Account)
	defaults(c, &v.Defaults)
	list(c, &v.Own, ownQuota)
}

// Users and groups.

func userCreated(c *coder, v *identity.UserCreated) {
	atom(c, &v.Account)
	str(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
	atom(c, &v.Boundary)
	list(c, &v.Tags, tag)
	num(c, &v.Created)
}

func userUpdated(c *coder, v *identity.UserUpdated) {
	str(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
}

func userDeleted(c *coder, v *identity.UserDeleted) { str(c, &v.ID) }

func groupCreated(c *coder, v *identity.GroupCreated) {
	atom(c, &v.Account)
	atom(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
	num(c, &v.Created)
}

func groupUpdated(c *coder, v *identity.GroupUpdated) {
	atom(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
}

func groupDeleted(c *coder, v *identity.GroupDeleted) { atom(c, &v.ID) }

func userAddedToGroup(c *coder, v *identity.UserAddedToGroup) {
	atom(c, &v.Group)
	str(c, &v.User)
}

func userRemovedFromGroup(c *coder, v *identity.UserRemovedFromGroup) {
	atom(c, &v.Group)
	str(c, &v.User)
}

// Roles.

func roleCreated(c *coder, v *identity.RoleCreated) {
	atom(c, &v.Account)
	str(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
	str(c, &v.Description)
	num(c, &v.MaxSession)
	str(c, &v.Trust)
	atom(c, &v.Boundary)
	list(c, &v.Tags, tag)
	num(c, &v.Created)
}

func roleUpdated(c *coder, v *identity.RoleUpdated) {
	str(c, &v.ID)
	str(c, &v.Description)
	num(c, &v.MaxSession)
}

func trustUpdated(c *coder, v *identity.TrustUpdated) {
	str(c, &v.ID)
	str(c, &v.Trust)
}

func roleDeleted(c *coder, v *identity.RoleDeleted) { str(c, &v.ID) }

func serviceLinkedRoleDeleted(c *coder, v *identity.ServiceLinkedRoleDeleted) {
	atom(c, &v.Account)
	str(c, &v.Task)
}

// Instance profiles.

func instanceProfileCreated(c *coder, v *identity.InstanceProfileCreated) {
	atom(c, &v.Account)
	str(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
	list(c, &v.Tags, tag)
	num(c, &v.Created)
}

func instanceProfileDeleted(c *coder, v *identity.InstanceProfileDeleted) { str(c, &v.ID) }

func roleAddedToInstanceProfile(c *coder, v *identity.RoleAddedToInstanceProfile) {
	str(c, &v.Profile)
	str(c, &v.Role)
}

func roleRemovedFromInstanceProfile(c *coder, v *identity.RoleRemovedFromInstanceProfile) {
	str(c, &v.Profile)
	str(c, &v.Role)
}

// Policies.

func policyCreated(c *coder, v *identity.PolicyCreated) {
	atom(c, &v.Account)
	atom(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
	str(c, &v.Description)
	str(c, &v.Document)
	list(c, &v.Tags, tag)
	num(c, &v.Created)
}

func policyDeleted(c *coder, v *identity.PolicyDeleted) { atom(c, &v.ID) }

func policyVersionCreated(c *coder, v *identity.PolicyVersionCreated) {
	atom(c, &v.ID)
	num(c, &v.Number)
	str(c, &v.Document)
	c.flag(&v.Default)
	num(c, &v.Created)
}

func policyVersionDeleted(c *coder, v *identity.PolicyVersionDeleted) {
	atom(c, &v.ID)
	num(c, &v.Number)
	num(c, &v.At)
}

func defaultPolicyVersionSet(c *coder, v *identity.DefaultPolicyVersionSet) {
	atom(c, &v.ID)
	num(c, &v.Number)
	num(c, &v.At)
}

func inlinePolicyPut(c *coder, v *identity.InlinePolicyPut) {
	num(c, &v.Kind)
	str(c, &v.ID)
	atom(c, &v.Name)
	str(c, &v.Document)
}

func inlinePolicyDeleted(c *coder, v *identity.InlinePolicyDeleted) {
	num(c, &v.Kind)
	str(c, &v.ID)
	atom(c, &v.Name)
}

func policyAttached(c *coder, v *identity.PolicyAttached) {
	num(c, &v.Kind)
	str(c, &v.ID)
	atom(c, &v.Policy)
}

func policyDetached(c *coder, v *identity.PolicyDetached) {
	num(c, &v.Kind)
	str(c, &v.ID)
	atom(c, &v.Policy)
}

func boundarySet(c *coder, v *identity.BoundarySet) {
	num(c, &v.Kind)
	str(c, &v.ID)
	atom(c, &v.Policy)
}

// Access keys and tags.

func accessKeyCreated(c *coder, v *identity.AccessKeyCreated) {
	atom(c, &v.Account)
	str(c, &v.Owner)
	str(c, &v.ID)
	c.blob(&v.Sealed)
	num(c, &v.Created)
}

func accessKeyUpdated(c *coder, v *identity.AccessKeyUpdated) {
	str(c, &v.Owner)
	str(c, &v.ID)
	c.flag(&v.Active)
}

func accessKeyDeleted(c *coder, v *identity.AccessKeyDeleted) {
	str(c, &v.Owner)
	str(c, &v.ID)
}

func entityTagged(c *coder, v *identity.EntityTagged) {
	num(c, &v.Kind)
	str(c, &v.ID)
	list(c, &v.Tags, tag)
}

func entityUntagged(c *coder, v *identity.EntityUntagged) {
	num(c, &v.Kind)
	str(c, &v.ID)
	list(c, &v.Keys, atom)
}

// Passwords.

func passwordPolicySet(c *coder, v *identity.PasswordPolicySet) {
	atom(c, &v.Account)
	passwordRequirements(c, &v.Requirements)
}

func passwordPolicyDeleted(c *coder, v *identity.PasswordPolicyDeleted) { atom(c, &v.Account) }

func loginProfileCreated(c *coder, v *identity.LoginProfileCreated) {
	atom(c, &v.Account)
	str(c, &v.User)
	c.blob(&v.Sealed)
	c.flag(&v.Reset)
	num(c, &v.Created)
}

func loginProfileUpdated(c *coder, v *identity.LoginProfileUpdated) {
	str(c, &v.User)
	c.flag(&v.Reset)
}

func passwordSet(c *coder, v *identity.PasswordSet) {
	str(c, &v.User)
	c.blob(&v.Sealed)
	num(c, &v.Keep)
	num(c, &v.Set)
}

func loginProfileDeleted(c *coder, v *identity.LoginProfileDeleted) { str(c, &v.User) }

// Providers of identities.

func oidcProviderCreated(c *coder, v *identity.OIDCProviderCreated) {
	atom(c, &v.Account)
	str(c, &v.URL)
	list(c, &v.ClientIDs, str)
	list(c, &v.Thumbprints, str)
	list(c, &v.Tags, tag)
	num(c, &v.Created)
}

func oidcProviderDeleted(c *coder, v *identity.OIDCProviderDeleted) { str(c, &v.ID) }

func clientIDAdded(c *coder, v *identity.ClientIDAdded) {
	str(c, &v.Provider)
	str(c, &v.ClientID)
}

func clientIDRemoved(c *coder, v *identity.ClientIDRemoved) {
	str(c, &v.Provider)
	str(c, &v.ClientID)
}

func thumbprintsSet(c *coder, v *identity.ThumbprintsSet) {
	str(c, &v.Provider)
	list(c, &v.Thumbprints, str)
}

func providerKeysSet(c *coder, v *identity.ProviderKeysSet) {
	str(c, &v.Provider)
	str(c, &v.Keys)
}

func samlProviderCreated(c *coder, v *identity.SAMLProviderCreated) {
	atom(c, &v.Account)
	str(c, &v.Name)
	str(c, &v.UUID)
	c.blob(&v.Metadata)
	num(c, &v.ValidUntil)
	num(c, &v.Encryption)
	list(c, &v.Keys, samlKey)
	list(c, &v.Tags, tag)
	num(c, &v.Created)
}

func samlProviderUpdated(c *coder, v *identity.SAMLProviderUpdated) {
	str(c, &v.ID)
	c.blob(&v.Metadata)
	num(c, &v.ValidUntil)
	num(c, &v.Encryption)
	option(c, &v.AddedKey, samlKey)
	str(c, &v.RemovedKey)
}

func samlProviderDeleted(c *coder, v *identity.SAMLProviderDeleted) { str(c, &v.ID) }

// Settings of accounts.

func tokenVersionSet(c *coder, v *identity.TokenVersionSet) {
	atom(c, &v.Account)
	num(c, &v.Version)
}

func webIdentityEnabled(c *coder, v *identity.WebIdentityEnabled) {
	atom(c, &v.Account)
	str(c, &v.Issuer)
}

func webIdentityDisabled(c *coder, v *identity.WebIdentityDisabled) { atom(c, &v.Account) }

func organizationFeaturesSet(c *coder, v *identity.OrganizationFeaturesSet) {
	atom(c, &v.Account)
	organizationFeatures(c, &v.Features)
}

func roleManagerSet(c *coder, v *identity.RoleManagerSet) {
	atom(c, &v.Account)
	c.flag(&v.Enabled)
}

// MFA devices.

func mfaDeviceCreated(c *coder, v *identity.MFADeviceCreated) {
	atom(c, &v.Account)
	str(c, &v.ID)
	str(c, &v.Name)
	c.blob(&v.Sealed)
	list(c, &v.Tags, tag)
	num(c, &v.Created)
}

func mfaDeviceDeleted(c *coder, v *identity.MFADeviceDeleted) { str(c, &v.ID) }

func mfaDeviceEnabled(c *coder, v *identity.MFADeviceEnabled) {
	str(c, &v.ID)
	str(c, &v.Owner)
	num(c, &v.Used)
	num(c, &v.Enabled)
}

func mfaDeviceResynced(c *coder, v *identity.MFADeviceResynced) {
	str(c, &v.ID)
	num(c, &v.Used)
}

func mfaDeviceDeactivated(c *coder, v *identity.MFADeviceDeactivated) { str(c, &v.ID) }
