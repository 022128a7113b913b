package identity

import (
	"math"

	"github.com/writ-iam/writ/log/digest"
)

// Quota names a bound that an account can have of its own. Numbers are stored: append, never
// reorder or reuse, and give commands that have a new one a feature level of their own.
type Quota uint8

// The quotas that can be set: what an account may hold, and how many managed policies one
// user, group or role may have attached ("IAM and AWS STS quotas").
const (
	QuotaUsers Quota = iota // it bounds the virtual MFA devices, too, as in AWS
	QuotaGroups
	QuotaRoles
	QuotaPolicies
	QuotaInstanceProfiles
	QuotaServerCertificates
	QuotaOIDCProviders
	QuotaSAMLProviders
	QuotaPoliciesPerUser
	QuotaPoliciesPerGroup
	QuotaPoliciesPerRole

	// NumQuotas is how many there are.
	NumQuotas
)

// firstQuotas is how many quotas the first command that set any knew: those of FirstQuotas.
const firstQuotas = QuotaPolicies + 1

// maxCount is the most that a quota of what lists have pages for can be: GetAccountSummary
// tells no higher number.
const maxCount = math.MaxInt32

// maxProviders is the most that a quota of providers can be, of either kind: lists of them
// have no pages. AWS gives no account more OpenID Connect providers.
const maxProviders = 700

// quotaTable says of each quota what it is called, here and by AWS, what it is when nobody
// set it, by Writ's defaults and by AWS's, and the most that it can be set to. AWS's own
// defaults protect a service shared by strangers and can be raised on request; a cluster
// that one runs oneself starts higher with what it counts in an account. What one entity may
// have, and providers, which are listed without pages, start as AWS's do.
var quotaTable = [NumQuotas]struct {
	kind                  Kind // of which an account has a quota; none for what one entity may have
	name, aws             string
	writ, awsDefault, max uint32
}{
	QuotaUsers:              {KindUser, "users", "UsersPerAccount", 10_000_000, 5000, maxCount},
	QuotaGroups:             {KindGroup, "groups", "GroupsPerAccount", 100_000, 300, maxCount},
	QuotaRoles:              {KindRole, "roles", "RolesPerAccount", 1_000_000, 1000, maxCount},
	QuotaPolicies:           {KindPolicy, "policies", "PoliciesPerAccount", 1_000_000, 1500, maxCount},
	QuotaInstanceProfiles:   {KindInstanceProfile, "instance-profiles", "InstanceProfilesPerAccount", 1_000_000, 1000, maxCount},
	QuotaServerCertificates: {KindServerCertificate, "server-certificates", "ServerCertificatesPerAccount", 1000, 20, maxCount},
	QuotaOIDCProviders:      {KindOIDCProvider, "oidc-providers", "OpenIdConnectProvidersPerAccount", 100, 100, maxProviders},
	QuotaSAMLProviders:      {KindSAMLProvider, "saml-providers", "SAMLProvidersPerAccount", 100, 100, maxProviders},
	QuotaPoliciesPerUser:    {0, "policies-per-user", "PoliciesPerUser", 10, 10, 20},
	QuotaPoliciesPerGroup:   {0, "policies-per-group", "PoliciesPerGroup", 10, 10, 10},
	QuotaPoliciesPerRole:    {0, "policies-per-role", "PoliciesPerRole", 10, 10, 25},
}

// String is what the native API and the command line call the quota.
func (q Quota) String() string { return quotaTable[q].name }

// AWSName is what AWS calls the quota where it refuses more.
func (q Quota) AWSName() string { return quotaTable[q].aws }

// Max is the most that the quota can be set to.
func (q Quota) Max() uint32 { return quotaTable[q].max }

// Default is the quota of an account that has none of its own, by the defaults that the
// account goes by.
func (q Quota) Default(d Defaults) uint32 {
	if d == DefaultsOfAWS {
		return quotaTable[q].awsDefault
	}
	return quotaTable[q].writ
}

// QuotaByName finds the quota that String gave the name of.
func QuotaByName(name string) (Quota, bool) {
	for q := range NumQuotas {
		if quotaTable[q].name == name {
			return q, true
		}
	}
	return 0, false
}

// Defaults says what the quotas of an account are that it has none of its own for. Numbers
// are stored.
type Defaults uint8

// The defaults that an account can go by.
const (
	DefaultsUnchosen Defaults = 0 // those of Writ, as long as nobody chooses
	DefaultsOfWrit   Defaults = 1
	DefaultsOfAWS    Defaults = 2

	lastDefaults = DefaultsOfAWS
)

// Known says whether this build knows the defaults.
func (d Defaults) Known() bool { return d <= lastDefaults }

// Quotas bounds what an account may hold.
type Quotas struct {
	Defaults Defaults
	Own      [NumQuotas]uint32 // by number; 0: the default
}

// Of is the quota that is in force.
func (q *Quotas) Of(quota Quota) uint32 {
	if own := q.Own[quota]; own != 0 {
		return own
	}
	return quota.Default(q.Defaults)
}

// Later returns the quotas that the account has of its own, but for the first four, which
// its record has had room for since the first release.
func (q *Quotas) Later() (own []OwnQuota) {
	for quota := firstQuotas; quota < NumQuotas; quota++ {
		if q.Own[quota] != 0 {
			own = append(own, OwnQuota{quota, q.Own[quota]})
		}
	}
	return own
}

// appendFirst appends what a record of the first release has, and appendLater, at the end of
// a record, what later ones add: nothing where nothing of that is set, as in older digests.
func (q *Quotas) appendFirst(b []byte) []byte {
	for quota := range firstQuotas {
		b = digest.AppendInt(b, q.Own[quota])
	}
	return b
}

func (q *Quotas) appendLater(b []byte) []byte {
	later := q.Later()
	if q.Defaults == DefaultsUnchosen && len(later) == 0 {
		return b
	}
	b = digest.AppendInt(b, uint8(q.Defaults))
	for _, own := range later {
		b = digest.AppendInt(b, uint8(own.Quota))
		b = digest.AppendInt(b, own.Value)
	}
	return b
}

// OwnQuota is a quota that an account has of its own.
type OwnQuota struct {
	Quota Quota
	Value uint32 // 0: the default, from now on
}

// SetQuotas changes quotas of an account. A quota below what there is takes nothing away;
// nothing is added as long as it is so.
type SetQuotas struct {
	Account AccountID
	// Defaults are those that the account goes by from then on, and without any quota of
	// its own that Own does not name. DefaultsUnchosen leaves all that as it is.
	Defaults Defaults
	Own      []OwnQuota
	// First asks for that only where nobody has chosen the account's defaults.
	First bool
}

// QuotasSet changed quotas of an account.
type QuotasSet struct {
	Account  AccountID
	Defaults Defaults
	Own      []OwnQuota
}

func (c *SetQuotas) decide(s *State, _ Meta) ([]Event, error) {
	a, err := s.mustAccount(c.Account)
	if err != nil {
		return nil, err
	}
	if c.First && a.Quotas.Defaults != DefaultsUnchosen {
		return nil, refuse(EntityAlreadyExists, "The defaults of the quotas of account %s have been chosen.", c.Account)
	}
	return []Event{&QuotasSet{Account: c.Account, Defaults: c.Defaults, Own: c.Own}}, nil
}

func (e *QuotasSet) evolve(s *State) {
	changeRecord(&s.accounts, e.Account, func(a *Account) bool {
		if e.Defaults != DefaultsUnchosen {
			a.Quotas = Quotas{Defaults: e.Defaults}
		}
		for _, own := range e.Own {
			a.Quotas.Own[own.Quota] = own.Value
		}
		return true
	})
}

// FirstQuotas are the quotas that SetAccountQuotas sets.
type FirstQuotas struct {
	Users    uint32
	Groups   uint32
	Roles    uint32
	Policies uint32
}

// SetAccountQuotas replaces the first four quotas of an account. It is read where logs have
// it; SetQuotas has come in its place.
type SetAccountQuotas struct {
	Account AccountID
	Quotas  FirstQuotas
}

// AccountQuotasSet replaced the first four quotas of an account.
type AccountQuotasSet struct {
	Account AccountID
	Quotas  FirstQuotas
}

func (c *SetAccountQuotas) decide(s *State, _ Meta) ([]Event, error) {
	if _, err := s.mustAccount(c.Account); err != nil {
		return nil, err
	}
	return []Event{&AccountQuotasSet{Account: c.Account, Quotas: c.Quotas}}, nil
}

func (e *AccountQuotasSet) evolve(s *State) {
	changeRecord(&s.accounts, e.Account, func(a *Account) bool {
		a.Quotas.Own[QuotaUsers], a.Quotas.Own[QuotaGroups] = e.Quotas.Users, e.Quotas.Groups
		a.Quotas.Own[QuotaRoles], a.Quotas.Own[QuotaPolicies] = e.Quotas.Roles, e.Quotas.Policies
		return true
	})
}

// QuotaInUse is how much of a quota an account uses. It is false for quotas of one user,
// group or role, of which there is no one number.
func (s *State) QuotaInUse(account AccountID, q Quota) (n int, counted bool) {
	switch q {
	case QuotaOIDCProviders:
		return len(s.OIDCProviders(account)), true
	case QuotaSAMLProviders:
		return len(s.SAMLProviders(account)), true
	}
	kind := quotaTable[q].kind
	return s.Count(account, kind), kind != 0
}

// within refuses one more of what the account has n of, under AWS's name for that.
func (a *Account) within(q Quota, n int, name string) error {
	if limit := a.Quotas.Of(q); n >= int(limit) {
		return refuse(LimitExceeded, "Cannot exceed quota for %s: %d", name, limit)
	}
	return nil
}

// hasRoom refuses one more entity of a kind whose names are counted.
func (s *State) hasRoom(a *Account, kind Kind) error {
	n := s.Count(a.ID, kind)
	if kind == KindMFADevice { // as many as users
		return a.within(QuotaUsers, n, "VirtualMFADevicesPerAccount")
	}
	for q := range NumQuotas {
		if quotaTable[q].kind == kind {
			return a.within(q, n, q.AWSName())
		}
	}
	return nil
}

// mayAttach refuses one more managed policy to the user, group or role that has n.
func (s *State) mayAttach(h held, n int) error {
	a, err := s.mustAccount(h.account)
	if err != nil {
		return err
	}
	q := QuotaPoliciesPerRole
	switch h.kind {
	case KindUser:
		q = QuotaPoliciesPerUser
	case KindGroup:
		q = QuotaPoliciesPerGroup
	}
	return a.within(q, n, q.AWSName())
}
