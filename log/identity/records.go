package identity

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Record is one entry of a State, the unit of a snapshot: *Header, or what a table of the
// State holds.
type Record interface {
	AppendDigest(b []byte) []byte
}

// Header is the part of a State that there is one of.
type Header struct {
	Position  Position
	Time      Time
	Cluster   Cluster
	Forgotten Forgotten
	Catalogue Catalogue
}

// AppendDigest appends all that the Header has.
func (h *Header) AppendDigest(b []byte) []byte {
	b = h.Cluster.appendDigest(digest.AppendInt(digest.AppendInt(b, uint64(h.Position)), int64(h.Time)))
	noCatalogue := h.Catalogue == Catalogue{}
	if h.Forgotten == (Forgotten{}) && noCatalogue { // as before there were signatures
		return b
	}
	b = digest.AppendInt(digest.AppendInt(b, int64(h.Forgotten.Signed)), int64(h.Forgotten.Until))
	if noCatalogue { // as before there were any
		return b
	}
	return h.Catalogue.appendDigest(b)
}

func (s *State) header() Header {
	return Header{Position: s.position, Time: s.time, Cluster: s.cluster, Forgotten: s.attempts.gone, Catalogue: s.catalogue}
}

// Records yields every record of the state until yield returns false: the
// header, the accounts, the entities that have names (devices, certificates, instance
// profiles, policies, roles, groups, users) in order of account and name, the replicas,
// the barred ones, the attempts from the oldest on, and the rest. Equal states yield equal
// records in equal order. A Loader makes the state again.
func (s *State) Records(yield func(Record) bool) {
	h := s.header()
	_ = yield(&h) &&
		(s.partition == PartitionAWS || yield(&Home{s.partition})) &&
		rows(&s.accounts, yield) &&
		s.namedRecords(yield) &&
		rows(&s.replicas, yield) &&
		rows(&s.barred, yield) &&
		s.attempts.records(yield) &&
		rows(&s.delegations, yield) &&
		rows(&s.reports, yield) &&
		rows(&s.reportParts, yield) &&
		rows(&s.usages, yield) &&
		rows(&s.accessJobs, yield) &&
		rows(&s.passwordPolicies, yield) &&
		rows(&s.loginProfiles, yield) &&
		rows(&s.passkeys, yield) &&
		rows(&s.keyrings, yield) &&
		rows(&s.staged, yield) &&
		rows(&s.oidcProviders, yield) &&
		rows(&s.samlProviders, yield) &&
		rows(&s.sessionKeys, yield) &&
		rows(&s.issuerKeys, yield) &&
		rows(&s.revocations, yield) &&
		rows(&s.writers, yield) &&
		rows(&s.nodeRevocations, yield) &&
		rows(&s.incarnations, yield) &&
		rows(&s.retention, yield) &&
		rows(&s.settings, yield) &&
		rows(&s.deletionTasks, yield) &&
		rows(&s.sealKeys, yield)
}

// rows yields the records of a table, and says whether yield wants more.
func rows[K ~string, R interface {
	table.Row
	Record
}](t *table.Table[K, R], yield func(Record) bool) (more bool) {
	more = true
	t.Rows.Scan(func(_ table.Handle, r R) bool {
		more = yield(r)
		return more
	})
	return more
}

// namedRecords yields the records that have a name in an account, as rows does.
func (s *State) namedRecords(yield func(Record) bool) (more bool) {
	more = true
	s.names.entries.Ascend(name{scope: aliases + 1}, func(n name) bool {
		more = yield(s.record(n))
		return more
	})
	return more
}

// records yields the attempts from the oldest on, as rows does.
func (a *attempts) records(yield func(Record) bool) (more bool) {
	more = true
	a.order.Scan(func(_ Position, h table.Handle) bool {
		r, _ := a.byKey.Rows.Get(h)
		more = yield(r)
		return more
	})
	return more
}

// record is the one that a name belongs to.
func (s *State) record(n name) Record {
	switch n.scope.kind() {
	case KindUser:
		return recordIn(&s.users, n.to)
	case KindGroup:
		return recordIn(&s.groups, n.to)
	case KindRole:
		return recordIn(&s.roles, n.to)
	case KindInstanceProfile:
		return recordIn(&s.instanceProfiles, n.to)
	case KindServerCertificate:
		return recordIn(&s.certificates, n.to)
	case KindMFADevice:
		return recordIn(&s.mfaDevices, n.to)
	}
	return recordIn(&s.policies, n.to)
}

func recordIn[R holder](t *table.Table[ID, R], h table.Handle) Record {
	r, _ := t.Rows.Get(h)
	return r
}

// Loader makes a State of its records. Any order gives the same state; that of
// State.Records is the quickest; but a Home comes before all that has an ARN. Strings that many records have, such as the ids
// of accounts and groups, should share memory: the loader keeps them as they are.
//
// The maps are filled at the end, from sorted lists: that is several times
// faster than one entry after the other, and leaves no gaps in their nodes.
type Loader struct {
	state  *State
	header bool
	placed bool // a record with an ARN was added: it is too late for a Home
	err    error

	accounts table.Rows[*Account]
	users    table.Rows[*User]
	groups   table.Rows[*Group]
	roles    table.Rows[*Role]
	policies table.Rows[*Policy]
	replicas table.Rows[*Replica]
	barred   table.Rows[*BarredReplica]
	attempts table.Rows[*Attempt]
	staged   table.Rows[*CataloguePolicy]
	signed   []table.Edge
	keys     table.Rows[table.Handle]
	names    []name
	places   []place
	members  []table.Edge
	holders  []table.Edge
	bounded  []table.Edge

	delegations      table.Rows[*DelegationRequest]
	delegated        []table.Edge
	reports          table.Rows[*CredentialReport]
	reportParts      table.Rows[*CredentialReportPart]
	usages           table.Rows[*Usage]
	accessJobs       table.Rows[*AccessJobs]
	sessionKeys      table.Rows[*SessionKeys]
	issuerKeys       table.Rows[*IssuerKeys]
	sealKeys         table.Rows[*SealKeys]
	revocations      table.Rows[*Revocations]
	writers          table.Rows[*Writers]
	nodeRevocations  table.Rows[*NodeRevocation]
	incarnations     table.Rows[*Incarnations]
	retention        table.Rows[*Retention]
	passwordPolicies table.Rows[*PasswordPolicy]
	loginProfiles    table.Rows[*LoginProfile]
	mfaDevices       table.Rows[*MFADevice]
	passkeys         table.Rows[*Passkeys]
	devices          []table.Edge
	instanceProfiles table.Rows[*InstanceProfile]
	deletionTasks    table.Rows[*DeletionTasks]
	carriers         []table.Edge

	keyrings      table.Rows[*Keyring]
	served        []table.Edge
	signers       table.Rows[table.Handle]
	certificates  table.Rows[*ServerCertificate]
	oidcProviders table.Rows[*OIDCProvider]
	samlProviders table.Rows[*SAMLProvider]
	settings      table.Rows[*AccountSettings]
	providers     []table.Edge
}

// NewLoader returns a loader that was given nothing yet.
func NewLoader() *Loader { return &Loader{state: NewState()} }

// Add takes a record, which nobody may change from then on.
func (l *Loader) Add(r Record) {
	switch r := r.(type) {
	case *Header:
		l.addHeader(r)
	case *Home:
		l.addHome(r)
	case *Account:
		l.addAccount(r)
	case *User:
		l.addUser(r)
	case *Group:
		l.settle(&r.In)
		table.AddRow(&l.state.groups, &l.groups, r)
		l.addHeld(r.held(), r.Handle())
	case *Role:
		l.settle(&r.In)
		table.AddRow(&l.state.roles, &l.roles, r)
		l.addHeld(r.held(), r.Handle())
	case *Policy:
		l.settle(&r.In)
		table.AddRow(&l.state.policies, &l.policies, r)
		l.state.versions.add(r.Account, len(r.Versions))
		l.addHeld(r.held(), r.Handle())
	case *InstanceProfile:
		l.addInstanceProfile(r)
	case *ServerCertificate:
		l.settle(&r.In)
		table.AddRow(&l.state.certificates, &l.certificates, r)
		l.addHeld(r.held(), r.Handle())
	case *MFADevice:
		l.addMFADevice(r)
	case *Passkeys:
		l.addPasskeys(r)
	case *OIDCProvider:
		l.settle(&r.In)
		table.AddRow(&l.state.oidcProviders, &l.oidcProviders, r)
		l.addProvider(r.Account, r.Handle())
	case *SAMLProvider:
		l.settle(&r.In)
		table.AddRow(&l.state.samlProviders, &l.samlProviders, r)
		l.addProvider(r.Account, r.Handle())
	case *Keyring:
		l.addKeyring(r)
	case *Attempt:
		l.addAttempt(r)
	case *DelegationRequest:
		l.addDelegation(r)
	default:
		l.addRow(r)
	}
}

// addRow takes a record that is a row of a table and nothing else.
func (l *Loader) addRow(r Record) {
	switch r := r.(type) {
	case *Replica:
		table.AddRow(&l.state.replicas, &l.replicas, r)
	case *BarredReplica:
		table.AddRow(&l.state.barred, &l.barred, r)
	case *CredentialReport:
		table.AddRow(&l.state.reports, &l.reports, r)
	case *CredentialReportPart:
		table.AddRow(&l.state.reportParts, &l.reportParts, r)
	case *Usage:
		table.AddRow(&l.state.usages, &l.usages, r)
	case *AccessJobs:
		table.AddRow(&l.state.accessJobs, &l.accessJobs, r)
	case *SessionKeys:
		table.AddRow(&l.state.sessionKeys, &l.sessionKeys, r)
	case *IssuerKeys:
		table.AddRow(&l.state.issuerKeys, &l.issuerKeys, r)
	case *SealKeys:
		table.AddRow(&l.state.sealKeys, &l.sealKeys, r)
	case *Revocations:
		table.AddRow(&l.state.revocations, &l.revocations, r)
	case *Writers:
		table.AddRow(&l.state.writers, &l.writers, r)
	case *NodeRevocation:
		table.AddRow(&l.state.nodeRevocations, &l.nodeRevocations, r)
	case *Incarnations:
		table.AddRow(&l.state.incarnations, &l.incarnations, r)
	case *Retention:
		table.AddRow(&l.state.retention, &l.retention, r)
	case *PasswordPolicy:
		table.AddRow(&l.state.passwordPolicies, &l.passwordPolicies, r)
	case *LoginProfile:
		table.AddRow(&l.state.loginProfiles, &l.loginProfiles, r)
	case *DeletionTasks:
		table.AddRow(&l.state.deletionTasks, &l.deletionTasks, r)
	case *CataloguePolicy:
		table.AddRow(&l.state.staged, &l.staged, r)
	case *AccountSettings:
		table.AddRow(&l.state.settings, &l.settings, r)
	default:
		l.err = fmt.Errorf("load state: unknown record %T", r)
	}
}

func (l *Loader) addHeader(h *Header) {
	l.header = true
	l.state.position, l.state.time, l.state.cluster, l.state.attempts.gone = h.Position, h.Time, h.Cluster, h.Forgotten
	l.state.catalogue = h.Catalogue
}

func (l *Loader) addAttempt(a *Attempt) {
	table.AddRow(&l.state.attempts.byKey, &l.attempts, a)
	l.state.attempts.order.Load(a.At, a.Handle())
	if a.Signature != (Signature{}) {
		l.signed = append(l.signed, a.signed())
	}
	l.state.attempts.count(a, 1)
}

func (l *Loader) addMFADevice(d *MFADevice) {
	table.AddRow(&l.state.mfaDevices, &l.mfaDevices, d)
	l.addHeld(d.held(), d.Handle())
	if d.Owner != "" {
		l.devices = append(l.devices, table.Edge{From: table.HandleOf(d.Owner), To: d.Handle()})
		l.state.enabled.add(d.Account, 1)
	}
}

// addHome takes the partition, by which the records that follow are given theirs.
func (l *Loader) addHome(h *Home) {
	if l.placed || !h.Partition.Known() {
		l.err = fmt.Errorf("load state: %s is not known, or comes after a record that has an ARN", h.Partition)
		return
	}
	l.state.partition = h.Partition
}

// settle gives a record that has an ARN its partition. One that has it already, since it is
// a record of a state, is not written to.
func (l *Loader) settle(in *Partition) {
	l.placed = true
	if *in != l.state.partition {
		*in = l.state.partition
	}
}

func (l *Loader) addAccount(a *Account) {
	table.AddRow(&l.state.accounts, &l.accounts, a)
	l.addKeys(a.Keys, a.Handle())
	if a.Alias != "" {
		l.names = append(l.names, name{aliases, lower(a.Alias), a.Handle()})
	}
}

func (l *Loader) addUser(u *User) {
	h := u.Handle()
	l.settle(&u.In)
	table.AddRow(&l.state.users, &l.users, u)
	l.addHeld(u.held(), h)
	l.addKeys(u.Keys, h)
	for _, g := range u.Groups {
		l.members = append(l.members, table.Edge{From: table.HandleOf(g), To: h})
	}
}

func (l *Loader) addInstanceProfile(p *InstanceProfile) {
	l.settle(&p.In)
	table.AddRow(&l.state.instanceProfiles, &l.instanceProfiles, p)
	l.addHeld(p.held(), p.Handle())
	if p.Role != "" {
		l.carriers = append(l.carriers, table.Edge{From: table.HandleOf(p.Role), To: p.Handle()})
	}
}

func (l *Loader) addDelegation(d *DelegationRequest) {
	table.AddRow(&l.state.delegations, &l.delegations, d)
	l.delegated = append(l.delegated, table.Edge{From: table.HandleOf(requestorOf(d.Ask.Requestor)), To: d.Handle()})
	if d.Owner != "" {
		l.delegated = append(l.delegated, table.Edge{From: table.HandleOf(ownerOf(d.Account)), To: d.Handle()})
	}
}

func (l *Loader) addKeys(keys []AccessKey, owner table.Handle) {
	for i := range keys {
		l.keys.Add(table.HandleOf(keys[i].ID), owner)
	}
}

func (l *Loader) addProvider(account AccountID, provider table.Handle) {
	l.providers = append(l.providers, table.Edge{From: table.HandleOf(account), To: provider})
}

func (l *Loader) addHeld(h held, to table.Handle) {
	if h.kind.named() {
		l.names = append(l.names, name{scopeOf(h.account, h.kind), lower(h.name), to})
		if h.path != rootPath {
			l.places = append(l.places, place{scopeOf(h.account, h.kind), h.path, lower(h.name), to})
		}
	}
	if h.attached != nil {
		for _, p := range *h.attached {
			l.holders = append(l.holders, table.Edge{From: table.HandleOf(p), To: to})
		}
	}
	if h.boundary != nil && *h.boundary != "" {
		l.bounded = append(l.bounded, table.Edge{From: table.HandleOf(*h.boundary), To: to})
	}
}

// State returns the state whose records were added; the loader is spent then. It
// fails when the header is missing, a record was of no known kind, or two
// records have the same key. Most of its time is sorting and filling maps, in jobs
// that know nothing of each other: run runs them, side by side if it likes, and
// returns when all have ended; nil runs one after the other.
func (l *Loader) State(run func(jobs []func())) (*State, error) {
	s := l.state
	if !l.header {
		l.err = errors.Join(l.err, errors.New("load state: no header among the records"))
	}
	fills := l.fills()
	errs := make([]error, len(fills)+1)
	errs[len(fills)] = l.err
	jobs := make([]func(), len(fills))
	for i, fill := range fills {
		jobs[i] = func() { errs[i] = fill() }
	}
	if run == nil {
		run = inTurn
	}
	run(jobs)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// fills are what fills the maps of the state, one independent of the other.
func (l *Loader) fills() []func() error {
	s := l.state
	return []func() error{
		func() error { return table.Fill(&s.accounts.Rows, &l.accounts) },
		func() error { return table.Fill(&s.users.Rows, &l.users) },
		func() error { return table.Fill(&s.groups.Rows, &l.groups) },
		func() error { return table.Fill(&s.roles.Rows, &l.roles) },
		func() error { return table.Fill(&s.policies.Rows, &l.policies) },
		func() error { return table.Fill(&s.replicas.Rows, &l.replicas) },
		func() error { return table.Fill(&s.barred.Rows, &l.barred) },
		func() error { return table.Fill(&s.attempts.byKey.Rows, &l.attempts) },
		func() error {
			table.FillEdges(s.attempts.signed, l.signed)
			s.attempts.signed = table.Packed(s.attempts.signed)
			return nil
		},
		func() error { return table.Fill(&s.keys, &l.keys) },
		func() error { return fillNames(&s.names, &l.names) },
		func() error { fillPaths(&s.paths, &l.places); return nil },
		func() error { table.FillRelation(&s.members, &l.members); return nil },
		func() error { table.FillRelation(&s.holders, &l.holders); return nil },
		func() error { table.FillRelation(&s.bounded, &l.bounded); return nil },
		func() error { return table.Fill(&s.delegations.Rows, &l.delegations) },
		func() error { table.FillRelation(&s.delegated, &l.delegated); return nil },
		func() error { return table.Fill(&s.reports.Rows, &l.reports) },
		func() error { return table.Fill(&s.reportParts.Rows, &l.reportParts) },
		func() error { return table.Fill(&s.usages.Rows, &l.usages) },
		func() error { return table.Fill(&s.accessJobs.Rows, &l.accessJobs) },
		func() error { return table.Fill(&s.sessionKeys.Rows, &l.sessionKeys) },
		func() error { return table.Fill(&s.issuerKeys.Rows, &l.issuerKeys) },
		func() error { return table.Fill(&s.revocations.Rows, &l.revocations) },
		func() error { return table.Fill(&s.writers.Rows, &l.writers) },
		func() error { return table.Fill(&s.nodeRevocations.Rows, &l.nodeRevocations) },
		func() error { return table.Fill(&s.sealKeys.Rows, &l.sealKeys) },
		func() error { return table.Fill(&s.incarnations.Rows, &l.incarnations) },
		func() error { return table.Fill(&s.retention.Rows, &l.retention) },
		func() error { return table.Fill(&s.passwordPolicies.Rows, &l.passwordPolicies) },
		func() error { return table.Fill(&s.loginProfiles.Rows, &l.loginProfiles) },
		func() error { return table.Fill(&s.mfaDevices.Rows, &l.mfaDevices) },
		func() error { return table.Fill(&s.passkeys.Rows, &l.passkeys) },
		func() error { table.FillRelation(&s.devices, &l.devices); return nil },
		func() error { return table.Fill(&s.instanceProfiles.Rows, &l.instanceProfiles) },
		func() error { return table.Fill(&s.deletionTasks.Rows, &l.deletionTasks) },
		func() error { table.FillRelation(&s.carriers, &l.carriers); return nil },
		func() error { return table.Fill(&s.keyrings.Rows, &l.keyrings) },
		func() error { table.FillRelation(&s.served, &l.served); return nil },
		func() error { return table.Fill(&s.signers, &l.signers) },
		func() error { return table.Fill(&s.certificates.Rows, &l.certificates) },
		func() error { return table.Fill(&s.staged.Rows, &l.staged) },
		func() error { return table.Fill(&s.oidcProviders.Rows, &l.oidcProviders) },
		func() error { return table.Fill(&s.samlProviders.Rows, &l.samlProviders) },
		func() error { return table.Fill(&s.settings.Rows, &l.settings) },
		func() error { table.FillRelation(&s.providers, &l.providers); return nil },
	}
}

func inTurn(jobs []func()) {
	for _, job := range jobs {
		job()
	}
}

func fillNames(n *names, from *[]name) (err error) {
	if !slices.IsSortedFunc(*from, compareNames) {
		slices.SortFunc(*from, compareNames)
	}
	for _, e := range *from {
		if _, twice := n.entries.Load(e); twice {
			err = fmt.Errorf("load state: two records with the name %s", e.text)
		}
		n.number.Set(e.scope, n.count(e.scope)+1)
	}
	*from = nil
	n.entries = table.Packed(n.entries)
	return err
}

func fillPaths(p *paths, from *[]place) {
	slices.SortFunc(*from, func(a, b place) int {
		switch {
		case placeLess(a, b):
			return -1
		case placeLess(b, a):
			return 1
		}
		return 0
	})
	for _, e := range *from {
		p.entries.Load(e)
	}
	*from = nil
	p.entries = table.Packed(p.entries)
}

func compareNames(a, b name) int {
	if c := cmp.Compare(a.scope, b.scope); c != 0 {
		return c
	}
	return cmp.Compare(a.text, b.text)
}
