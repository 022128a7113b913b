package wire

import "github.com/writ-iam/writ/log/identity"

// recordKinds numbers the records of a state. A stored number is forever:
// append, never reorder or reuse.
var recordKinds = newKinds("record",
	record(1, 3, header),
	record(2, 3, account),
	record(3, 1, user),
	record(4, 1, group),
	record(5, 1, role),
	record(6, 1, policy),
	record(7, 1, replica),
	record(8, 2, attempt),
	record(9, 1, barredReplica),
	record(10, 1, cataloguePolicy),
	record(12, 1, instanceProfile),
	record(15, 2, oidcProvider),
	record(16, 1, samlProvider),
	record(17, 2, accountSettings),
	record(13, 1, deletionTasks),
	record(20, 1, passwordPolicy),
	record(21, 1, loginProfile),
	record(22, 1, mfaDevice),
	record(23, 1, passkeys),
	record(25, 1, serverCertificate),
	record(26, 1, keyring),

	record(30, 2, delegationRequest),
	record(31, 1, credentialReport),
	record(32, 1, credentialReportPart),
	record(33, 1, usage),
	record(34, 1, accessJobs),

	record(40, 1, home),
	record(41, 1, sessionKeys),
	record(42, 1, revocations),
	record(43, 1, issuerKeys),
	record(50, 1, writers),

	record(51, 1, retention),
	record(52, 1, nodeRevocation),
	record(56, 1, sealKeys),
	record(54, 1, incarnations),
)

func header(c *coder, v *identity.Header) {
	num(c, &v.Position)
	num(c, &v.Time)
	str(c, &v.Cluster.ID)
	str(c, &v.Cluster.Incarnation)
	num(c, &v.Cluster.FeatureLevel)
	num(c, &v.Cluster.StreamGeneration)
	num(c, &v.Cluster.RosterChanged)
	num(c, &v.Cluster.ReplicaRemoved)
	if c.version > 1 {
		num(c, &v.Forgotten.Signed)
		num(c, &v.Forgotten.Until)
	}
	if c.version > 2 {
		catalogue(c, &v.Catalogue)
	}
}

func home(c *coder, v *identity.Home) { c.partition(&v.Partition) }

func catalogue(c *coder, v *identity.Catalogue) {
	num(c, &v.Number)
	str(c, &v.Digest)
	num(c, &v.Policies)
	num(c, &v.Installed)
	num(c, &v.At)
	str(c, &v.Staged.Digest)
	num(c, &v.Staged.Parts)
	num(c, &v.Staged.Policies)
	num(c, &v.Staged.Bytes)
	str(c, &v.Staged.Last)
	c.fixed(v.Staged.Sum[:])
}

func account(c *coder, v *identity.Account) {
	atom(c, &v.ID)
	num(c, &v.Created)
	str(c, &v.Alias)
	for q := range identity.QuotaPolicies + 1 { // those of the first release
		num(c, &v.Quotas.Own[q])
	}
	list(c, &v.Keys, accessKey)
	list(c, &v.Tags, tag)
	num(c, &v.Changed)
	if c.version > 1 {
		laterQuotas(c, &v.Quotas)
	}
	if c.version > 2 {
		str(c, &v.Email)
		str(c, &v.Name)
		c.blob(&v.Password.Sealed)
		num(c, &v.Password.Set)
		num(c, &v.Password.SetAt)
		num(c, &v.Closed)
	}
}

func user(c *coder, v *identity.User) {
	str(c, &v.ID)
	atom(c, &v.Account)
	str(c, &v.Name)
	atom(c, &v.Path)
	num(c, &v.Created)
	atom(c, &v.Boundary)
	list(c, &v.Tags, tag)
	list(c, &v.Groups, atom)
	list(c, &v.Attached, atom)
	list(c, &v.Inline, inlinePolicy)
	list(c, &v.Keys, accessKey)
	num(c, &v.Changed)
}

func group(c *coder, v *identity.Group) {
	atom(c, &v.ID)
	atom(c, &v.Account)
	str(c, &v.Name)
	atom(c, &v.Path)
	num(c, &v.Created)
	list(c, &v.Attached, atom)
	list(c, &v.Inline, inlinePolicy)
	num(c, &v.Changed)
}

func role(c *coder, v *identity.Role) {
	str(c, &v.ID)
	atom(c, &v.Account)
	str(c, &v.Name)
	atom(c, &v.Path)
	str(c, &v.Description)
	num(c, &v.Created)
	num(c, &v.MaxSession)
	str(c, &v.Trust)
	atom(c, &v.Boundary)
	list(c, &v.Tags, tag)
	list(c, &v.Attached, atom)
	list(c, &v.Inline, inlinePolicy)
	num(c, &v.Changed)
}

func policy(c *coder, v *identity.Policy) {
	atom(c, &v.ID)
	atom(c, &v.Account)
	str(c, &v.Name)
	atom(c, &v.Path)
	str(c, &v.Description)
	num(c, &v.Created)
	num(c, &v.Updated)
	num(c, &v.Default)
	num(c, &v.Latest)
	list(c, &v.Versions, policyVersion)
	list(c, &v.Tags, tag)
	num(c, &v.Changed)
}

func instanceProfile(c *coder, v *identity.InstanceProfile) {
	str(c, &v.ID)
	atom(c, &v.Account)
	str(c, &v.Name)
	atom(c, &v.Path)
	num(c, &v.Created)
	list(c, &v.Tags, tag)
	str(c, &v.Role)
}

func deletionTasks(c *coder, v *identity.DeletionTasks) {
	atom(c, &v.Account)
	list(c, &v.Tasks, str)
}

func replica(c *coder, v *identity.Replica) {
	str(c, &v.Name)
	atom(c, &v.Region)
	atom(c, &v.Class)
	c.flag(&v.Draining)
	num(c, &v.Registered)
}

func barredReplica(c *coder, v *identity.BarredReplica) {
	str(c, &v.Name)
	num(c, &v.At)
}

func attempt(c *coder, v *identity.Attempt) {
	c.fixed(v.Key[:])
	num(c, &v.At)
	num(c, &v.Time)
	if c.version > 1 {
		c.signature(&v.Signature)
		num(c, &v.Arrived)
	}
}

func passwordPolicy(c *coder, v *identity.PasswordPolicy) {
	atom(c, &v.Account)
	passwordRequirements(c, &v.PasswordRequirements)
	num(c, &v.Changed)
}

func loginProfile(c *coder, v *identity.LoginProfile) {
	str(c, &v.User)
	atom(c, &v.Account)
	num(c, &v.Created)
	list(c, &v.Passwords, (*coder).blob)
	num(c, &v.Set)
	num(c, &v.SetAt)
	c.flag(&v.Reset)
}

func oidcProvider(c *coder, v *identity.OIDCProvider) {
	atom(c, &v.Account)
	str(c, &v.URL)
	num(c, &v.Created)
	list(c, &v.ClientIDs, str)
	list(c, &v.Thumbprints, str)
	list(c, &v.Tags, tag)
	if c.version > 1 {
		str(c, &v.Keys)
	}
}

func samlProvider(c *coder, v *identity.SAMLProvider) {
	atom(c, &v.Account)
	str(c, &v.Name)
	str(c, &v.UUID)
	c.blob(&v.Metadata)
	num(c, &v.ValidUntil)
	num(c, &v.Encryption)
	list(c, &v.Keys, samlKey)
	num(c, &v.Created)
	list(c, &v.Tags, tag)
}

func accountSettings(c *coder, v *identity.AccountSettings) {
	atom(c, &v.Account)
	num(c, &v.TokenVersion)
	str(c, &v.Issuer)
	c.flag(&v.Vends)
	organizationFeatures(c, &v.Organization)
	if c.version > 1 {
		c.flag(&v.RoleManager)
	}
}

// cataloguePolicy is part of commands and events, too.
func cataloguePolicy(c *coder, v *identity.CataloguePolicy) {
	str(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
	str(c, &v.Description)
	num(c, &v.Created)
	num(c, &v.Updated)
	num(c, &v.Default)
	list(c, &v.Versions, policyVersion)
}

func mfaDevice(c *coder, v *identity.MFADevice) {
	str(c, &v.ID)
	atom(c, &v.Account)
	str(c, &v.Name)
	num(c, &v.Created)
	num(c, &v.Made)
	c.blob(&v.Sealed)
	list(c, &v.Tags, tag)
	str(c, &v.Owner)
	num(c, &v.Enabled)
	num(c, &v.Used)
}

// Parts of records and of events.

func samlKey(c *coder, v *identity.SAMLKey) {
	str(c, &v.ID)
	c.blob(&v.Sealed)
	num(c, &v.Added)
}

func organizationFeatures(c *coder, v *identity.OrganizationFeatures) {
	c.flag(&v.RootCredentials)
	c.flag(&v.RootSessions)
}

func passwordRequirements(c *coder, v *identity.PasswordRequirements) {
	num(c, &v.MinLength)
	c.flag(&v.Symbols)
	c.flag(&v.Numbers)
	c.flag(&v.Uppercase)
	c.flag(&v.Lowercase)
	c.flag(&v.AllowChange)
	num(c, &v.MaxAge)
	c.flag(&v.HardExpiry)
	num(c, &v.Reuse)
}

// laterQuotas codes what a record of the first release had no room for.
func laterQuotas(c *coder, v *identity.Quotas) {
	defaults(c, &v.Defaults)
	own := v.Later()
	list(c, &own, ownQuota)
	if c.reading && c.err == nil {
		for _, q := range own {
			v.Own[q.Quota] = q.Value
		}
	}
}

func ownQuota(c *coder, v *identity.OwnQuota) {
	num(c, &v.Quota)
	if c.err == nil && v.Quota >= identity.NumQuotas {
		c.fail(&UnknownError{What: "quota", Number: uint64(v.Quota)})
	}
	num(c, &v.Value)
}

func defaults(c *coder, v *identity.Defaults) {
	num(c, v)
	if c.err == nil && !v.Known() {
		c.fail(&UnknownError{What: "defaults of quotas", Number: uint64(*v)})
	}
}

func firstQuotas(c *coder, v *identity.FirstQuotas) {
	num(c, &v.Users)
	num(c, &v.Groups)
	num(c, &v.Roles)
	num(c, &v.Policies)
}

func tag(c *coder, v *identity.Tag) {
	atom(c, &v.Key)
	atom(c, &v.Value)
}

func inlinePolicy(c *coder, v *identity.InlinePolicy) {
	atom(c, &v.Name)
	str(c, &v.Document)
}

func accessKey(c *coder, v *identity.AccessKey) {
	str(c, &v.ID)
	c.blob(&v.Sealed)
	c.flag(&v.Active)
	num(c, &v.Created)
}

func policyVersion(c *coder, v *identity.PolicyVersion) {
	num(c, &v.Number)
	str(c, &v.Document)
	num(c, &v.Created)
}

// record writes a record with its kind.
func (c *coder) record(r identity.Record) {
	k, err := recordKinds.of(r)
	if err != nil {
		c.fail(err)
		return
	}
	number, version := k.number, k.version
	num(c, &number)
	num(c, &version)
	c.version = version
	k.visit(c, r)
}

// readRecord reads what record wrote; nil after an error.
func (c *coder) readRecord() identity.Record {
	var number, version uint64
	num(c, &number)
	num(c, &version)
	if c.err != nil {
		return nil
	}
	k, err := recordKinds.at(number, version)
	if err != nil {
		c.fail(err)
		return nil
	}
	c.version = version
	r := k.make()
	k.visit(c, r)
	return r
}
