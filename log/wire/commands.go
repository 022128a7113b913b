package wire

import "github.com/writ-iam/writ/log/identity"

// commandKinds numbers the handlers of commands. A stored number is forever:
// append, never reorder or reuse.
//
// The numbers above lastOfLevel1 are of feature level 2; see Level.
var commandKinds = newKinds("command",
	command(1, 3, bootstrap),
	command(2, 1, raiseStreamGeneration),
	command(3, 1, raiseFeatureLevel),
	command(4, 1, registerReplica),
	command(5, 1, drainReplica),
	command(6, 1, removeReplica),
	command(7, 2, createAccount),
	command(8, 1, setAccountAlias),
	command(9, 1, deleteAccountAlias),
	command(10, 1, setAccountQuotas),
	command(11, 1, createUser),
	command(12, 1, updateUser),
	command(13, 1, deleteUser),
	command(14, 1, createGroup),
	command(15, 1, updateGroup),
	command(16, 1, deleteGroup),
	command(17, 1, addUserToGroup),
	command(18, 1, removeUserFromGroup),
	command(19, 1, createRole),
	command(20, 1, updateRole),
	command(21, 1, updateTrust),
	command(22, 1, deleteRole),
	command(23, 1, createPolicy),
	command(24, 1, deletePolicy),
	command(25, 1, createPolicyVersion),
	command(26, 1, deletePolicyVersion),
	command(27, 1, setDefaultPolicyVersion),
	command(28, 1, putInlinePolicy),
	command(29, 1, deleteInlinePolicy),
	command(30, 1, attachPolicy),
	command(31, 1, detachPolicy),
	command(32, 1, setBoundary),
	command(33, 1, createAccessKey),
	command(34, 1, updateAccessKey),
	command(35, 1, deleteAccessKey),
	command(36, 2, tagEntity),
	command(37, 2, untagEntity),
	command(38, 1, resumeReplica),
	command(39, 1, barReplica),
	command(40, 1, admitReplica),
	command(50, 1, createInstanceProfile),
	command(51, 1, deleteInstanceProfile),
	command(52, 1, addRoleToInstanceProfile),
	command(53, 1, removeRoleFromInstanceProfile),
	command(54, 1, createServiceLinkedRole),
	command(55, 1, deleteServiceLinkedRole),
	command(60, 1, createOIDCProvider),
	command(61, 1, deleteOIDCProvider),
	command(62, 1, addClientID),
	command(63, 1, removeClientID),
	command(64, 1, setThumbprints),
	command(65, 1, createSAMLProvider),
	command(66, 1, updateSAMLProvider),
	command(67, 1, deleteSAMLProvider),
	command(68, 1, setTokenVersion),
	command(69, 1, enableWebIdentity),
	command(70, 1, disableWebIdentity),
	command(71, 1, setOrganizationFeatures),
	command(72, 1, setRoleManager),
	command(73, 1, setProviderKeys),
	command(74, 1, addIssuerKey),
	command(75, 1, revokeIssuerKey),
	command(76, 1, registerPasskey),
	command(77, 1, usePasskey),
	command(80, 1, setPasswordPolicy),
	command(81, 1, deletePasswordPolicy),
	command(82, 1, createLoginProfile),
	command(83, 1, updateLoginProfile),
	command(84, 1, changePassword),
	command(85, 1, deleteLoginProfile),
	command(86, 1, createMFADevice),
	command(87, 1, deleteMFADevice),
	command(88, 1, enableMFADevice),
	command(89, 1, resyncMFADevice),
	command(90, 1, deactivateMFADevice),
	command(91, 1, useMFACode),
	command(96, 1, chooseSealKey),
	command(97, 1, resealSecrets),
	command(98, 1, retireSealKeys),
	command(100, 1, uploadServerCertificate),
	command(101, 1, updateServerCertificate),
	command(102, 1, deleteServerCertificate),
	command(103, 1, uploadSSHPublicKey),
	command(104, 1, updateSSHPublicKey),
	command(105, 1, deleteSSHPublicKey),
	command(106, 1, uploadSigningCertificate),
	command(107, 1, updateSigningCertificate),
	command(108, 1, deleteSigningCertificate),
	command(109, 1, createServiceCredential),
	command(110, 1, updateServiceCredential),
	command(111, 1, resetServiceCredential),
	command(112, 1, deleteServiceCredential),
	command(113, 1, beginIncarnation),
	command(114, 1, setRetention),
	command(115, 1, dropHistory),
	command(117, 1, revokeNodeCertificates),

	command(120, 2, createDelegationRequest),
	command(121, 1, associateDelegationRequest),
	command(122, 1, updateDelegationRequest),
	command(123, 1, acceptDelegationRequest),
	command(124, 1, rejectDelegationRequest),
	command(125, 1, sendDelegationToken),
	command(126, 1, generateCredentialReport),
	command(127, 1, storeCredentialReport),
	command(128, 1, noteUses),
	command(129, 1, startAccessJob),
	command(41, 1, stageCatalogue),
	command(42, 1, installCatalogue),
	command(43, 2, bootstrapIn),
	command(45, 1, setQuotas),
	command(46, 1, addSessionKey),
	command(47, 1, revokeSessionKey),
	command(48, 1, revokeSessions),
	command(56, 1, closeAccount),
	command(57, 1, setRootPassword),
	command(58, 1, setRootEmail),
	command(59, 1, deleteRootPassword),
	command(92, 1, listWriters),
	command(93, 1, addWriter),
	command(94, 1, changeWriter),
	command(95, 1, removeWriter),
)

const lastOfLevel1 = 40

// Level is the feature level from which on a command may be put into the log: builds
// that support less cannot read it.
func Level(c identity.Command) uint32 {
	if k, err := commandKinds.of(c); err == nil && k.number > lastOfLevel1 {
		return 2
	}
	var tagged identity.Kind
	switch c := c.(type) {
	case *identity.CreateAccount: // builds of level 1 put none into a log by itself, and read a version before
		return 2
	case *identity.TagEntity:
		tagged = c.Kind
	case *identity.UntagEntity:
		tagged = c.Kind
	}
	if tagged > identity.KindPolicy { // what they are authorized against is looked up in ways of level 2
		return 2
	}
	return 1
}

// The cluster.

func bootstrap(c *coder, v *identity.Bootstrap) {
	str(c, &v.Cluster)
	str(c, &v.Incarnation)
	atom(c, &v.Account)
	newAccessKey(c, &v.RootKey)
	list(c, &v.Managed, createPolicy)
	if c.version >= 2 {
		list(c, &v.Catalogue, cataloguePolicy)
	}
	if c.version >= 3 {
		list(c, &v.Writers, writerOf)
	}
}

// bootstrapIn codes the beginning as bootstrap does in its version 2, and the next as in 3.
func bootstrapIn(c *coder, v *identity.BootstrapIn) {
	c.partition(&v.Partition)
	str(c, &v.Bootstrap.Cluster)
	str(c, &v.Bootstrap.Incarnation)
	atom(c, &v.Bootstrap.Account)
	newAccessKey(c, &v.Bootstrap.RootKey)
	list(c, &v.Bootstrap.Managed, createPolicy)
	list(c, &v.Bootstrap.Catalogue, cataloguePolicy)
	if c.version >= 2 {
		list(c, &v.Bootstrap.Writers, writerOf)
	}
}

// partition codes the partition of what is not of aws. A build knows those of its own time.
func (c *coder) partition(v *identity.Partition) {
	num(c, v)
	switch {
	case c.err != nil:
	case *v == identity.PartitionAWS:
		c.fail(corrupt("the partition aws is named"))
	case !v.Known():
		c.fail(&UnknownError{What: "partition", Number: uint64(*v)})
	}
}

func stageCatalogue(c *coder, v *identity.StageCatalogue) {
	atom(c, &v.Catalogue)
	num(c, &v.Part)
	list(c, &v.Policies, cataloguePolicy)
}

func installCatalogue(c *coder, v *identity.InstallCatalogue) {
	atom(c, &v.Catalogue)
	num(c, &v.Parts)
}

func raiseStreamGeneration(c *coder, v *identity.RaiseStreamGeneration) { num(c, &v.From) }

func raiseFeatureLevel(c *coder, v *identity.RaiseFeatureLevel) { num(c, &v.Level) }

func registerReplica(c *coder, v *identity.RegisterReplica) {
	str(c, &v.Name)
	atom(c, &v.Region)
	atom(c, &v.Class)
}

func drainReplica(c *coder, v *identity.DrainReplica) { str(c, &v.Name) }

func resumeReplica(c *coder, v *identity.ResumeReplica) { str(c, &v.Name) }

func removeReplica(c *coder, v *identity.RemoveReplica) { str(c, &v.Name) }

func barReplica(c *coder, v *identity.BarReplica) {
	str(c, &v.Name)
	c.flag(&v.Unregistered)
}

func admitReplica(c *coder, v *identity.AdmitReplica) { str(c, &v.Name) }

// Accounts.

func createAccount(c *coder, v *identity.CreateAccount) {
	str(c, &v.ID)
	newAccessKey(c, &v.RootKey)
	if c.version > 1 {
		str(c, &v.Email)
		str(c, &v.Name)
		str(c, &v.Alias)
	}
}

func closeAccount(c *coder, v *identity.CloseAccount) { atom(c, &v.Account) }

func setRootPassword(c *coder, v *identity.SetRootPassword) {
	atom(c, &v.Account)
	num(c, &v.Instead)
	c.blob(&v.Sealed)
}

func setRootEmail(c *coder, v *identity.SetRootEmail) {
	atom(c, &v.Account)
	str(c, &v.Email)
	c.flag(&v.First)
}

func deleteRootPassword(c *coder, v *identity.DeleteRootPassword) { atom(c, &v.Account) }

func setAccountAlias(c *coder, v *identity.SetAccountAlias) {
	atom(c, &v.Account)
	str(c, &v.Alias)
}

func deleteAccountAlias(c *coder, v *identity.DeleteAccountAlias) {
	atom(c, &v.Account)
	str(c, &v.Alias)
}

func setAccountQuotas(c *coder, v *identity.SetAccountQuotas) {
	atom(c, &v.Account)
	firstQuotas(c, &v.Quotas)
}

func setQuotas(c *coder, v *identity.SetQuotas) {
	atom(c, &v.Account)
	defaults(c, &v.Defaults)
	list(c, &v.Own, ownQuota)
	c.flag(&v.First)
}

// Users and groups.

func createUser(c *coder, v *identity.CreateUser) {
	atom(c, &v.Account)
	str(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
	atom(c, &v.Boundary)
	list(c, &v.Tags, tag)
}

func updateUser(c *coder, v *identity.UpdateUser) {
	atom(c, &v.Account)
	str(c, &v.Name)
	str(c, &v.NewName)
	atom(c, &v.NewPath)
}

func deleteUser(c *coder, v *identity.DeleteUser) {
	atom(c, &v.Account)
	str(c, &v.Name)
}

func createGroup(c *coder, v *identity.CreateGroup) {
	atom(c, &v.Account)
	str(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
}

func updateGroup(c *coder, v *identity.UpdateGroup) {
	atom(c, &v.Account)
	str(c, &v.Name)
	str(c, &v.NewName)
	atom(c, &v.NewPath)
}

func deleteGroup(c *coder, v *identity.DeleteGroup) {
	atom(c, &v.Account)
	str(c, &v.Name)
}

func addUserToGroup(c *coder, v *identity.AddUserToGroup) {
	atom(c, &v.Account)
	atom(c, &v.Group)
	str(c, &v.User)
}

func removeUserFromGroup(c *coder, v *identity.RemoveUserFromGroup) {
	atom(c, &v.Account)
	atom(c, &v.Group)
	str(c, &v.User)
}

// Roles.

func createRole(c *coder, v *identity.CreateRole) {
	atom(c, &v.Account)
	str(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
	str(c, &v.Description)
	num(c, &v.MaxSession)
	str(c, &v.Trust)
	atom(c, &v.Boundary)
	list(c, &v.Tags, tag)
}

func updateRole(c *coder, v *identity.UpdateRole) {
	atom(c, &v.Account)
	str(c, &v.Name)
	option(c, &v.Description, str)
	option(c, &v.MaxSession, num)
}

func updateTrust(c *coder, v *identity.UpdateTrust) {
	atom(c, &v.Account)
	str(c, &v.Name)
	str(c, &v.Trust)
}

func deleteRole(c *coder, v *identity.DeleteRole) {
	atom(c, &v.Account)
	str(c, &v.Name)
}

func createServiceLinkedRole(c *coder, v *identity.CreateServiceLinkedRole) {
	atom(c, &v.Account)
	str(c, &v.ID)
	atom(c, &v.Service)
	str(c, &v.Name)
	str(c, &v.Description)
	str(c, &v.Trust)
	atom(c, &v.Policy)
}

func deleteServiceLinkedRole(c *coder, v *identity.DeleteServiceLinkedRole) {
	atom(c, &v.Account)
	str(c, &v.Name)
	str(c, &v.Task)
}

// Instance profiles.

func createInstanceProfile(c *coder, v *identity.CreateInstanceProfile) {
	atom(c, &v.Account)
	str(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
	list(c, &v.Tags, tag)
}

func deleteInstanceProfile(c *coder, v *identity.DeleteInstanceProfile) {
	atom(c, &v.Account)
	str(c, &v.Name)
}

func addRoleToInstanceProfile(c *coder, v *identity.AddRoleToInstanceProfile) {
	atom(c, &v.Account)
	str(c, &v.Profile)
	str(c, &v.Role)
}

func removeRoleFromInstanceProfile(c *coder, v *identity.RemoveRoleFromInstanceProfile) {
	atom(c, &v.Account)
	str(c, &v.Profile)
	str(c, &v.Role)
}

// Policies.

func createPolicy(c *coder, v *identity.CreatePolicy) {
	atom(c, &v.Account)
	str(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
	str(c, &v.Description)
	str(c, &v.Document)
	list(c, &v.Tags, tag)
}

func deletePolicy(c *coder, v *identity.DeletePolicy) { str(c, &v.ARN) }

func createPolicyVersion(c *coder, v *identity.CreatePolicyVersion) {
	str(c, &v.ARN)
	str(c, &v.Document)
	c.flag(&v.Default)
}

func deletePolicyVersion(c *coder, v *identity.DeletePolicyVersion) {
	str(c, &v.ARN)
	num(c, &v.Number)
}

func setDefaultPolicyVersion(c *coder, v *identity.SetDefaultPolicyVersion) {
	str(c, &v.ARN)
	num(c, &v.Number)
}

func putInlinePolicy(c *coder, v *identity.PutInlinePolicy) {
	owner(c, &v.Owner)
	str(c, &v.Name)
	str(c, &v.Document)
}

func deleteInlinePolicy(c *coder, v *identity.DeleteInlinePolicy) {
	owner(c, &v.Owner)
	str(c, &v.Name)
}

func attachPolicy(c *coder, v *identity.AttachPolicy) {
	owner(c, &v.Owner)
	str(c, &v.Policy)
}

func detachPolicy(c *coder, v *identity.DetachPolicy) {
	owner(c, &v.Owner)
	str(c, &v.Policy)
}

func setBoundary(c *coder, v *identity.SetBoundary) {
	owner(c, &v.Owner)
	str(c, &v.Policy)
}

// Access keys and tags.

func createAccessKey(c *coder, v *identity.CreateAccessKey) {
	atom(c, &v.Account)
	str(c, &v.User)
	newAccessKey(c, &v.Key)
}

func updateAccessKey(c *coder, v *identity.UpdateAccessKey) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
	c.flag(&v.Active)
}

func deleteAccessKey(c *coder, v *identity.DeleteAccessKey) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
}

func tagEntity(c *coder, v *identity.TagEntity) {
	num(c, &v.Kind)
	atom(c, &v.Account)
	str(c, &v.Name)
	list(c, &v.Tags, tag)
	if c.version >= 2 {
		c.flag(&v.AnyCase)
	}
}

func untagEntity(c *coder, v *identity.UntagEntity) {
	num(c, &v.Kind)
	atom(c, &v.Account)
	str(c, &v.Name)
	list(c, &v.Keys, atom)
	if c.version >= 2 {
		c.flag(&v.AnyCase)
	}
}

// Passwords.

func setPasswordPolicy(c *coder, v *identity.SetPasswordPolicy) {
	atom(c, &v.Account)
	passwordRequirements(c, &v.Requirements)
}

func deletePasswordPolicy(c *coder, v *identity.DeletePasswordPolicy) { atom(c, &v.Account) }

func createLoginProfile(c *coder, v *identity.CreateLoginProfile) {
	atom(c, &v.Account)
	str(c, &v.User)
	newPassword(c, &v.Password)
	c.flag(&v.Reset)
}

func updateLoginProfile(c *coder, v *identity.UpdateLoginProfile) {
	atom(c, &v.Account)
	str(c, &v.User)
	num(c, &v.Instead)
	option(c, &v.Password, newPassword)
	option(c, &v.Reset, (*coder).flag)
}

func changePassword(c *coder, v *identity.ChangePassword) {
	atom(c, &v.Account)
	str(c, &v.User)
	num(c, &v.Instead)
	newPassword(c, &v.Password)
}

func deleteLoginProfile(c *coder, v *identity.DeleteLoginProfile) {
	atom(c, &v.Account)
	str(c, &v.User)
}

// Providers of identities.

func createOIDCProvider(c *coder, v *identity.CreateOIDCProvider) {
	atom(c, &v.Account)
	str(c, &v.URL)
	list(c, &v.ClientIDs, str)
	list(c, &v.Thumbprints, str)
	list(c, &v.Tags, tag)
}

func deleteOIDCProvider(c *coder, v *identity.DeleteOIDCProvider) {
	atom(c, &v.Account)
	str(c, &v.ARN)
}

func addClientID(c *coder, v *identity.AddClientID) {
	atom(c, &v.Account)
	str(c, &v.ARN)
	str(c, &v.ClientID)
}

func removeClientID(c *coder, v *identity.RemoveClientID) {
	atom(c, &v.Account)
	str(c, &v.ARN)
	str(c, &v.ClientID)
}

func setThumbprints(c *coder, v *identity.SetThumbprints) {
	atom(c, &v.Account)
	str(c, &v.ARN)
	list(c, &v.Thumbprints, str)
}

func setProviderKeys(c *coder, v *identity.SetProviderKeys) {
	atom(c, &v.Account)
	str(c, &v.ARN)
	str(c, &v.Keys)
}

func createSAMLProvider(c *coder, v *identity.CreateSAMLProvider) {
	atom(c, &v.Account)
	str(c, &v.Name)
	str(c, &v.UUID)
	c.blob(&v.Metadata)
	num(c, &v.ValidUntil)
	num(c, &v.Encryption)
	option(c, &v.Key, newSAMLKey)
	list(c, &v.Tags, tag)
}

func updateSAMLProvider(c *coder, v *identity.UpdateSAMLProvider) {
	atom(c, &v.Account)
	str(c, &v.ARN)
	c.blob(&v.Metadata)
	num(c, &v.ValidUntil)
	num(c, &v.Encryption)
	option(c, &v.AddKey, newSAMLKey)
	str(c, &v.RemoveKey)
}

func deleteSAMLProvider(c *coder, v *identity.DeleteSAMLProvider) {
	atom(c, &v.Account)
	str(c, &v.ARN)
}

// Settings of accounts.

func setTokenVersion(c *coder, v *identity.SetTokenVersion) {
	atom(c, &v.Account)
	num(c, &v.Version)
}

func enableWebIdentity(c *coder, v *identity.EnableWebIdentity) {
	atom(c, &v.Account)
	str(c, &v.Issuer)
}

func disableWebIdentity(c *coder, v *identity.DisableWebIdentity) { atom(c, &v.Account) }

func setOrganizationFeatures(c *coder, v *identity.SetOrganizationFeatures) {
	atom(c, &v.Account)
	option(c, &v.RootCredentials, (*coder).flag)
	option(c, &v.RootSessions, (*coder).flag)
}

func setRoleManager(c *coder, v *identity.SetRoleManager) {
	atom(c, &v.Account)
	c.flag(&v.Enabled)
}

// MFA devices.

func createMFADevice(c *coder, v *identity.CreateMFADevice) {
	atom(c, &v.Account)
	str(c, &v.Name)
	c.blob(&v.Sealed)
	list(c, &v.Tags, tag)
}

func deleteMFADevice(c *coder, v *identity.DeleteMFADevice) {
	atom(c, &v.Account)
	str(c, &v.ID)
}

func enableMFADevice(c *coder, v *identity.EnableMFADevice) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
	codes(c, &v.Codes)
}

func resyncMFADevice(c *coder, v *identity.ResyncMFADevice) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
	codes(c, &v.Codes)
}

func deactivateMFADevice(c *coder, v *identity.DeactivateMFADevice) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
}

// Parts of commands.

func newSAMLKey(c *coder, v *identity.NewSAMLKey) {
	str(c, &v.ID)
	c.blob(&v.Sealed)
}

func codes(c *coder, v *identity.Codes) {
	num(c, &v.Made)
	num(c, &v.Step)
}

func newPassword(c *coder, v *identity.NewPassword) {
	str(c, &v.User)
	num(c, &v.Policy)
	c.blob(&v.Sealed)
}

func owner(c *coder, v *identity.Owner) {
	num(c, &v.Kind)
	atom(c, &v.Account)
	str(c, &v.Name)
}

func newAccessKey(c *coder, v *identity.NewAccessKey) {
	str(c, &v.ID)
	c.blob(&v.Sealed)
}
