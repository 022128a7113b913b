package identity

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
	Changed     Position // of the version in force
}

// PolicyVersion is one text of a managed policy; AWS writes number 3 as "v3".
type PolicyVersion struct {
	Number   int
	Document string
	Created  Time
}

// Quotas of policies ("IAM and AWS STS quotas").
const (
	MaxPolicyVersions   = 5
	MaxAttachedPolicies = 10
)

// ARN is arn:aws:iam::ACCOUNT:policy/path/name.
func (p *Policy) ARN() string { return ARN(KindPolicy, p.Account, p.Path, p.Name) }

// Document is the text in force.
func (p *Policy) Document() string {
	for _, v := range p.Versions {
		if v.Number == p.Default {
			return v.Document
		}
	}
	return ""
}

func (p *Policy) appendDigest(b []byte) []byte {
	b = append(b, 'p')
	b = appendString(b, p.ID)
	b = appendString(b, p.Account)
	b = appendString(b, p.Name)
	b = appendString(b, p.Path)
	b = appendString(b, p.Description)
	b = appendInt(b, int64(p.Created))
	b = appendInt(b, int64(p.Updated))
	b = appendInt(b, p.Default)
	b = appendInt(b, p.Latest)
	b = appendInt(b, len(p.Versions))
	for _, v := range p.Versions {
		b = appendInt(b, v.Number)
		b = appendString(b, v.Document)
		b = appendInt(b, int64(v.Created))
	}
	b = appendTags(b, p.Tags)
	return appendInt(b, uint64(p.Changed))
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

func (c *CreatePolicy) created(m Meta) *PolicyCreated {
	return &PolicyCreated{Account: c.Account, ID: c.ID, Name: c.Name, Path: c.Path, Description: c.Description,
		Document: c.Document, Tags: c.Tags, Created: m.Time}
}

// DeletePolicy removes a managed policy that is attached to nothing and has one version.
type DeletePolicy struct{ ARN string }

// PolicyDeleted removed a managed policy.
type PolicyDeleted struct{ ID ID }

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
