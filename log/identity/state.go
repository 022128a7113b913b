package identity

import (
	"github.com/tidwall/btree"
	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// State is everything that commands have established, at one position. The zero
// value is not usable; see NewState.
//
// The goroutine that made a State owns it: only that goroutine may call Evolve
// or Snapshot. A snapshot is never changed by anyone and may be read by all.
// Entities handed out by a State are immutable.
type State struct {
	position Position
	time     Time // of the latest command; never decreases

	cluster   Cluster
	partition Partition
	catalogue Catalogue
	accounts  table.Table[AccountID, *Account]
	users     table.Table[ID, *User]
	groups    table.Table[ID, *Group]
	roles     table.Table[ID, *Role]
	policies  table.Table[ID, *Policy]
	replicas  table.Table[string, *Replica]
	barred    table.Table[string, *BarredReplica]
	attempts  attempts
	staged    table.Table[ID, *CataloguePolicy] // of a catalogue that is not in force yet

	delegations      table.Table[string, *DelegationRequest]
	reports          table.Table[AccountID, *CredentialReport]
	reportParts      table.Table[string, *CredentialReportPart]
	usages           table.Table[ID, *Usage]
	accessJobs       table.Table[AccountID, *AccessJobs]
	passwordPolicies table.Table[AccountID, *PasswordPolicy]
	loginProfiles    table.Table[ID, *LoginProfile]
	mfaDevices       table.Table[ID, *MFADevice]
	passkeys         table.Table[ID, *Passkeys]
	instanceProfiles table.Table[ID, *InstanceProfile]
	deletionTasks    table.Table[AccountID, *DeletionTasks]

	keyrings      table.Table[ID, *Keyring]
	certificates  table.Table[ID, *ServerCertificate]
	oidcProviders table.Table[ID, *OIDCProvider]
	samlProviders table.Table[ID, *SAMLProvider]
	settings      table.Table[AccountID, *AccountSettings]
	sessionKeys   table.Table[string, *SessionKeys]
	issuerKeys    table.Table[string, *IssuerKeys]
	sealKeys      table.Table[string, *SealKeys]
	revocations   table.Table[AccountID, *Revocations]
	writers       table.Table[string, *Writers]

	nodeRevocations table.Table[string, *NodeRevocation]
	incarnations    table.Table[string, *Incarnations]
	retention       table.Table[string, *Retention]

	// The rest is derived from the records above.
	names   names
	paths   paths
	keys    btree.Map[table.Handle, table.Handle] // access key -> user or account
	members table.Relation                        // group -> user
	holders table.Relation                        // policy -> user, group or role that it is attached to
	bounded table.Relation                        // policy -> user or role whose boundary it is

	carriers  table.Relation                        // role -> instance profile that carries it
	served    table.Relation                        // account -> owner of a keyring with credentials for services
	signers   btree.Map[table.Handle, table.Handle] // account and signing certificate -> owner of the keyring it is in
	devices   table.Relation                        // user or account -> MFA device that is enabled for it
	delegated table.Relation                        // account, as requestor or owner -> delegation request
	providers table.Relation                        // account -> OpenID Connect or SAML provider
	versions  tally                                 // of managed policies
	enabled   tally                                 // MFA devices that are enabled for somebody

	registered tally // passkeys
}

// NewState returns the empty state, at position zero.
func NewState() *State {
	return &State{
		attempts: newAttempts(),
		names:    newNames(),
		devices:  table.NewRelation(),
		paths:    newPaths(),
		members:  table.NewRelation(),
		holders:  table.NewRelation(),
		bounded:  table.NewRelation(),
		carriers: table.NewRelation(),
		served:   table.NewRelation(),

		delegated: table.NewRelation(),

		providers: table.NewRelation(),
	}
}

// Snapshot returns an immutable copy in constant time.
func (s *State) Snapshot() *State {
	c := *s
	c.accounts = s.accounts.Snapshot()
	c.users = s.users.Snapshot()
	c.groups = s.groups.Snapshot()
	c.roles = s.roles.Snapshot()
	c.policies = s.policies.Snapshot()
	c.replicas = s.replicas.Snapshot()
	c.barred = s.barred.Snapshot()
	c.attempts = s.attempts.snapshot()
	c.passwordPolicies = s.passwordPolicies.Snapshot()
	c.loginProfiles = s.loginProfiles.Snapshot()
	c.mfaDevices = s.mfaDevices.Snapshot()
	c.passkeys = s.passkeys.Snapshot()
	c.registered = s.registered.snapshot()
	c.devices = s.devices.Snapshot()
	c.instanceProfiles = s.instanceProfiles.Snapshot()
	c.deletionTasks = s.deletionTasks.Snapshot()
	c.keyrings = s.keyrings.Snapshot()
	c.certificates = s.certificates.Snapshot()
	c.staged = s.staged.Snapshot()
	c.oidcProviders = s.oidcProviders.Snapshot()
	c.samlProviders = s.samlProviders.Snapshot()
	c.settings = s.settings.Snapshot()
	c.sessionKeys = s.sessionKeys.Snapshot()
	c.issuerKeys = s.issuerKeys.Snapshot()
	c.sealKeys = s.sealKeys.Snapshot()
	c.revocations = s.revocations.Snapshot()
	c.writers = s.writers.Snapshot()
	c.nodeRevocations = s.nodeRevocations.Snapshot()
	c.incarnations = s.incarnations.Snapshot()
	c.retention = s.retention.Snapshot()

	c.names = s.names.snapshot()
	c.paths = s.paths.snapshot()
	c.keys = *s.keys.Copy()
	c.members = s.members.Snapshot()
	c.holders = s.holders.Snapshot()
	c.bounded = s.bounded.Snapshot()
	c.carriers = s.carriers.Snapshot()
	c.served = s.served.Snapshot()
	c.signers = *s.signers.Copy()

	c.delegations = s.delegations.Snapshot()
	c.delegated = s.delegated.Snapshot()
	c.reports = s.reports.Snapshot()
	c.reportParts = s.reportParts.Snapshot()
	c.usages = s.usages.Snapshot()
	c.accessJobs = s.accessJobs.Snapshot()
	c.providers = s.providers.Snapshot()
	c.versions, c.enabled = s.versions.snapshot(), s.enabled.snapshot()
	return &c
}

// Position is the number of the last command folded in.
func (s *State) Position() Position { return s.position }

// Time is that of the latest command, in milliseconds; it never decreases.
func (s *State) Time() Time { return s.time }

// counted is a table that keeps a digest of its records and can recount it.
type counted interface {
	Sum() digest.Sum
	Recount(part int, c *table.Count)
}

// tables has every table of the state: what is not in it has no digest.
func (s *State) tables() []counted {
	return []counted{
		&s.accounts,
		&s.users,
		&s.groups,
		&s.roles,
		&s.policies,
		&s.replicas,
		&s.barred,
		&s.attempts.byKey,
		&s.delegations,
		&s.reports,
		&s.reportParts,
		&s.usages,
		&s.accessJobs,
		&s.passwordPolicies,
		&s.loginProfiles,
		&s.mfaDevices,
		&s.passkeys,
		&s.instanceProfiles,
		&s.deletionTasks,
		&s.keyrings,
		&s.certificates,
		&s.staged,
		&s.oidcProviders,
		&s.samlProviders,
		&s.settings,
		&s.sessionKeys,
		&s.issuerKeys,
		&s.revocations,
		&s.writers,
		&s.nodeRevocations,
		&s.sealKeys,
		&s.incarnations,
		&s.retention,
	}
}

// Digest identifies the state's content: at equal positions, equal digests.
func (s *State) Digest() digest.Sum {
	var d digest.Sum
	for _, t := range s.tables() {
		d.Add(t.Sum())
	}
	return s.digest(d)
}

// Recount computes the digest from the records themselves, in time linear in
// their number. It differs from Digest when a record was altered in memory. What
// is derived from the records, such as the map of access keys, has no digest.
func (s *State) Recount() digest.Sum {
	var c table.Count
	for part := range table.Parts {
		s.recount(part, &c)
	}
	return s.digest(c.Sum)
}

// CheckPart recounts one of the Parts of the records. It returns how many records
// there are in it, and whether they are what was put there. When every part is
// sound, Recount equals Digest.
func (s *State) CheckPart(part int) (records int, sound bool) {
	var c table.Count
	s.recount(part, &c)
	return c.Records, c.Sum == c.Kept
}

func (s *State) recount(part int, c *table.Count) {
	for _, t := range s.tables() {
		t.Recount(part, c)
	}
}

// digest is that of a state whose records have the sum d.
func (s *State) digest(d digest.Sum) digest.Sum {
	h := s.header()
	d.Add(digest.Of(h.AppendDigest(make([]byte, 0, 128))))
	if s.partition != PartitionAWS {
		home := Home{s.partition}
		d.Add(digest.Of(home.AppendDigest(nil)))
	}
	return d
}

// begin opens the command at position at.
func (s *State) begin(at Position, m Meta) {
	s.position = at
	s.time = max(s.time, m.Time)
	s.attempts.expire(s.time, m.Rules)
	if m.Key != (Key{}) {
		r := &Attempt{Key: m.Key, At: at, Time: s.time, Signature: m.Signature}
		if m.Signature != (Signature{}) {
			r.Arrived = m.Time
		}
		s.attempts.remember(r)
	}
}
