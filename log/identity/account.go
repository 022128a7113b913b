package identity

// Account holds users, groups, roles and policies, and a root that may do everything.
type Account struct {
	ID      AccountID
	Created Time
	Alias   string
	Quotas  Quotas
	Keys    []AccessKey // of the root
	Tags    []Tag
	Changed Position // of the root's credentials or rights
}

// Quotas bounds what an account may hold. Zero means the default.
type Quotas struct {
	Users    uint32
	Groups   uint32
	Roles    uint32
	Policies uint32
}

// Default quotas of an account. AWS's own (5000 users, 300 groups, 1000 roles,
// 1500 policies, of "IAM and AWS STS quotas") protect a service shared by
// strangers and can be raised on request; a cluster that one runs oneself starts
// higher. The quotas of a single entity are AWS's.
const (
	DefaultUsersQuota    = 10_000_000
	DefaultGroupsQuota   = 100_000
	DefaultRolesQuota    = 1_000_000
	DefaultPoliciesQuota = 1_000_000
)

func (a *Account) appendDigest(b []byte) []byte {
	b = append(b, 'a')
	b = appendString(b, a.ID)
	b = appendInt(b, int64(a.Created))
	b = appendString(b, a.Alias)
	for _, q := range [...]uint32{a.Quotas.Users, a.Quotas.Groups, a.Quotas.Roles, a.Quotas.Policies} {
		b = appendInt(b, q)
	}
	b = appendKeys(b, a.Keys)
	b = appendTags(b, a.Tags)
	return appendInt(b, uint64(a.Changed))
}

// CreateAccount opens an account with a root access key.
type CreateAccount struct {
	ID      AccountID
	RootKey NewAccessKey
}

// AccountCreated opened an account.
type AccountCreated struct {
	ID      AccountID
	Created Time
}

// SetAccountAlias gives an account its one alias, unique in the cluster.
type SetAccountAlias struct {
	Account AccountID
	Alias   string
}

// AccountAliasSet gave an account its alias.
type AccountAliasSet struct {
	Account AccountID
	Alias   string
}

// DeleteAccountAlias takes an account's alias away.
type DeleteAccountAlias struct {
	Account AccountID
	Alias   string
}

// AccountAliasDeleted took an account's alias away.
type AccountAliasDeleted struct {
	Account AccountID
	Alias   string
}

// SetAccountQuotas replaces the quotas of an account.
type SetAccountQuotas struct {
	Account AccountID
	Quotas  Quotas
}

// AccountQuotasSet replaced the quotas of an account.
type AccountQuotasSet struct {
	Account AccountID
	Quotas  Quotas
}
