package identity

import (
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Policy is a managed policy with up to five versions, one of them in force.
type Policy struct {
	ID          ID
	Account     AccountID // AWSAccount for those that every account sees
	Name        string
	Path        string
	Description string
	Created     Time
	Updated     Time
	Default     int // number of the version in force
	Latest      int // number of the newest version ever made
	Versions    []PolicyVersion
	Tags        []Tag
	Changed     Position  // of the version in force
	In          Partition // the cluster's; not stored with the record
}

// PolicyVersion is one text of a managed policy; AWS writes number 3 as "v3".
type PolicyVersion struct {
	Number   int
	Document string
	Created  Time
}

// MaxPolicyVersions is how many versions a policy may have ("IAM and AWS STS quotas").
const MaxPolicyVersions = 5

// ARN is arn:PARTITION:iam::ACCOUNT:policy/path/name.
func (p *Policy) ARN() string { return p.In.ARN(KindPolicy, p.Account, p.Path, p.Name) }

// Document is the text in force.
func (p *Policy) Document() string {
	for _, v := range p.Versions {
		if v.Number == p.Default {
			return v.Document
		}
	}
	return ""
}

// Handle makes a Policy a record of a table, by its key, as do Is and AppendDigest.
func (p *Policy) Handle() table.Handle { return table.HandleOf(p.ID) }

// Is tells whether the Policy has that key.
func (p *Policy) Is(key string) bool { return string(p.ID) == key }

// AppendDigest appends all that the Policy has.
func (p *Policy) AppendDigest(b []byte) []byte {
	b = append(b, 'p')
	b = digest.AppendString(b, p.ID)
	b = digest.AppendString(b, p.Account)
	b = digest.AppendString(b, p.Name)
	b = digest.AppendString(b, p.Path)
	b = digest.AppendString(b, p.Description)
	b = digest.AppendInt(b, int64(p.Created))
	b = digest.AppendInt(b, int64(p.Updated))
	b = digest.AppendInt(b, p.Default)
	b = digest.AppendInt(b, p.Latest)
	b = digest.AppendInt(b, len(p.Versions))
	for _, v := range p.Versions {
		b = digest.AppendInt(b, v.Number)
		b = digest.AppendString(b, v.Document)
		b = digest.AppendInt(b, int64(v.Created))
	}
	b = appendTags(b, p.Tags)
	return p.In.appendDigest(digest.AppendInt(b, uint64(p.Changed)))
}

// Policy returns the managed policy that an ARN names. The path must match, and
// case does.
func (s *State) Policy(arn string) (*Policy, bool) {
	account, path, name, ok := s.partition.splitPolicyARN(arn)
	if !ok {
		return nil, false
	}
	p, ok := named(s, &s.policies, account, KindPolicy, name)
	if !ok || p.Path != path || p.Name != name {
		return nil, false
	}
	return p, true
}

// splitPolicyARN takes arn:PARTITION:iam::ACCOUNT:policy/path/name apart. One of another
// partition is none.
func (p Partition) splitPolicyARN(arn string) (account AccountID, path, name string, ok bool) {
	rest, ok := strings.CutPrefix(arn, p.IAM())
	if !ok {
		return "", "", "", false
	}
	owner, rest, ok := strings.Cut(rest, ":policy/")
	if !ok {
		return "", "", "", false
	}
	rest = arn[len(arn)-len(rest)-1:] // with its leading slash
	slash := strings.LastIndexByte(rest, '/')
	return AccountID(owner), rest[:slash+1], rest[slash+1:], true
}

// PolicyByID returns the managed policy with that unique identifier.
func (s *State) PolicyByID(id ID) (*Policy, bool) { return s.policies.Get(id) }

// Policies yields the managed policies of an account, or of AWSAccount, in order
// of name without regard to case, those after the name after.
func (s *State) Policies(account AccountID, after string, yield func(*Policy) bool) {
	list(s, &s.policies, account, KindPolicy, after, yield)
}

// PoliciesBelow is Policies for those whose path begins with a prefix longer than "/". Where they
// are more than MaxBelow it yields none and returns false.
func (s *State) PoliciesBelow(account AccountID, prefix, after string, yield func(*Policy) bool) bool {
	return listBelow(s, &s.policies, account, KindPolicy, prefix, after, yield)
}

// CreatePolicy makes a managed policy with its version 1.
type CreatePolicy struct {
	Account     AccountID
	ID          ID
	Name        string
	Path        string
	Description string
	Document    string
	Tags        []Tag
}

// PolicyCreated made a managed policy.
type PolicyCreated struct {
	Account     AccountID
	ID          ID
	Name        string
	Path        string
	Description string
	Document    string
	Tags        []Tag
	Created     Time
}

func (c *CreatePolicy) decide(s *State, m Meta) ([]Event, error) {
	if err := mayModify(c.Account, m); err != nil {
		return nil, err
	}
	if err := s.mayCreate(c.Account, KindPolicy, c.Name, c.ID); err != nil {
		return nil, err
	}
	if err := mayTag(KindPolicy, nil, c.Tags, oldTag); err != nil {
		return nil, err
	}
	return []Event{&PolicyCreated{Account: c.Account, ID: c.ID, Name: c.Name, Path: c.Path, Description: c.Description,
		Document: c.Document, Tags: c.Tags, Created: m.Time}}, nil
}

func (e *PolicyCreated) evolve(s *State) {
	p := &Policy{In: s.partition, ID: e.ID, Account: e.Account, Name: e.Name, Path: e.Path, Description: e.Description,
		Created: e.Created, Updated: e.Created, Default: 1, Latest: 1,
		Versions: []PolicyVersion{{Number: 1, Document: e.Document, Created: e.Created}},
		Tags:     withTags(KindPolicy, nil, e.Tags), Changed: s.position}
	s.putPolicy(p)
	s.names.add(scopeOf(p.Account, KindPolicy), p.Name, p.Handle())
	s.paths.add(scopeOf(p.Account, KindPolicy), p.Path, p.Name, p.Handle())
}

// DeletePolicy removes a managed policy that is attached to nothing and has one version.
type DeletePolicy struct{ ARN string }

// PolicyDeleted removed a managed policy.
type PolicyDeleted struct{ ID ID }

func (c *DeletePolicy) decide(s *State, m Meta) ([]Event, error) {
	p, err := s.mustModify(c.ARN, m)
	if err != nil {
		return nil, err
	}
	switch {
	case s.AttachmentCount(p.ID) > 0 || s.BoundaryUsageCount(p.ID) > 0:
		return nil, refuse(DeleteConflict, "Cannot delete a policy attached to entities.")
	case len(p.Versions) > 1:
		return nil, refuse(DeleteConflict, "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
	}
	return []Event{&PolicyDeleted{ID: p.ID}}, nil
}

func (e *PolicyDeleted) evolve(s *State) {
	if p, ok := s.policies.Get(e.ID); ok {
		s.names.remove(scopeOf(p.Account, KindPolicy), p.Name)
		s.paths.remove(scopeOf(p.Account, KindPolicy), p.Path, p.Name)
		s.deletePolicy(p)
	}
}

// CreatePolicyVersion adds a text to a managed policy, in force at once if Default.
type CreatePolicyVersion struct {
	ARN      string
	Document string
	Default  bool
}

// PolicyVersionCreated added a text to a managed policy.
type PolicyVersionCreated struct {
	ID       ID
	Number   int
	Document string
	Default  bool
	Created  Time
}

func (c *CreatePolicyVersion) decide(s *State, m Meta) ([]Event, error) {
	p, err := s.mustModify(c.ARN, m)
	if err != nil {
		return nil, err
	}
	if len(p.Versions) >= MaxPolicyVersions {
		return nil, refuse(LimitExceeded, "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", MaxPolicyVersions)
	}
	return []Event{&PolicyVersionCreated{ID: p.ID, Number: p.Latest + 1, Document: c.Document, Default: c.Default, Created: m.Time}}, nil
}

func (e *PolicyVersionCreated) evolve(s *State) {
	changeRecord(&s.policies, e.ID, func(p *Policy) bool {
		s.versions.add(p.Account, 1)
		p.Versions = appended(p.Versions, PolicyVersion{Number: e.Number, Document: e.Document, Created: e.Created})
		p.Latest, p.Updated = e.Number, e.Created
		if e.Default {
			p.Default, p.Changed = e.Number, s.position
		}
		return true
	})
}

// DeletePolicyVersion removes a text that is not in force.
type DeletePolicyVersion struct {
	ARN    string
	Number int
}

// PolicyVersionDeleted removed a text that was not in force.
type PolicyVersionDeleted struct {
	ID     ID
	Number int
	At     Time
}

func (c *DeletePolicyVersion) decide(s *State, m Meta) ([]Event, error) {
	p, err := s.mustModifyVersion(c.ARN, c.Number, m)
	if err != nil {
		return nil, err
	}
	if p.Default == c.Number {
		return nil, refuse(DeleteConflict, "Cannot delete the default version of a policy.")
	}
	return []Event{&PolicyVersionDeleted{ID: p.ID, Number: c.Number, At: m.Time}}, nil
}

func (e *PolicyVersionDeleted) evolve(s *State) {
	changeRecord(&s.policies, e.ID, func(p *Policy) bool {
		s.versions.add(p.Account, -len(p.Versions))
		p.Versions = without(p.Versions, func(v PolicyVersion) bool { return v.Number == e.Number })
		s.versions.add(p.Account, len(p.Versions))
		p.Updated = e.At
		return true
	})
}

// SetDefaultPolicyVersion puts a text in force.
type SetDefaultPolicyVersion struct {
	ARN    string
	Number int
}

// DefaultPolicyVersionSet put a text in force.
type DefaultPolicyVersionSet struct {
	ID     ID
	Number int
	At     Time
}

func (c *SetDefaultPolicyVersion) decide(s *State, m Meta) ([]Event, error) {
	p, err := s.mustModifyVersion(c.ARN, c.Number, m)
	if err != nil {
		return nil, err
	}
	return []Event{&DefaultPolicyVersionSet{ID: p.ID, Number: c.Number, At: m.Time}}, nil
}

func (e *DefaultPolicyVersionSet) evolve(s *State) {
	changeRecord(&s.policies, e.ID, func(p *Policy) bool {
		p.Default, p.Updated, p.Changed = e.Number, e.At, s.position
		return true
	})
}

// visiblePolicy finds a policy that entities of an account may use: the account's own or one of AWS's.
func (s *State) visiblePolicy(account AccountID, arn string) (*Policy, bool) {
	p, ok := s.Policy(arn)
	if !ok || p.Account != account && p.Account != AWSAccount {
		return nil, false
	}
	return p, true
}

// mustModify finds a policy that the command may change.
func (s *State) mustModify(arn string, m Meta) (*Policy, error) {
	p, ok := s.Policy(arn)
	if !ok {
		return nil, refuse(NoSuchEntity, "Policy %s was not found.", arn)
	}
	if err := mayModify(p.Account, m); err != nil {
		return nil, err
	}
	return p, nil
}

// mustModifyVersion finds a policy that the command may change and that has the version.
func (s *State) mustModifyVersion(arn string, number int, m Meta) (*Policy, error) {
	p, ok := s.Policy(arn)
	if !ok || !slices.ContainsFunc(p.Versions, func(v PolicyVersion) bool { return v.Number == number }) {
		return nil, refuse(NoSuchEntity, "Policy %s version v%d does not exist or is not attachable.", arn, number)
	}
	return p, mayModify(p.Account, m)
}

// mayModify refuses changes to what AWSAccount owns, unless they are the cluster's own.
func mayModify(account AccountID, m Meta) error {
	if account == AWSAccount && m.By != (Authority{}) {
		return refuse(UnmodifiableEntity, "Policies of the account %s are modifiable by the cluster alone.", AWSAccount)
	}
	return nil
}
