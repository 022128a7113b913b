package identity

// Role is an identity without long-term credentials that others assume.
type Role struct {
	ID          ID
	Account     AccountID
	Name        string
	Path        string
	Description string
	Created     Time
	MaxSession  int // seconds
	Trust       string
	Boundary    ID
	Tags        []Tag
	Attached    []ID
	Inline      []InlinePolicy
	Changed     Position // of anything that can change what its sessions are allowed, or who may assume it
}

// DefaultMaxSession is a new role's longest session in seconds.
const DefaultMaxSession = 3600

// ARN is arn:aws:iam::ACCOUNT:role/path/name.
func (r *Role) ARN() string { return ARN(KindRole, r.Account, r.Path, r.Name) }

func (r *Role) appendDigest(b []byte) []byte {
	b = append(b, 'R')
	b = appendString(b, r.ID)
	b = appendString(b, r.Account)
	b = appendString(b, r.Name)
	b = appendString(b, r.Path)
	b = appendString(b, r.Description)
	b = appendInt(b, int64(r.Created))
	b = appendInt(b, r.MaxSession)
	b = appendString(b, r.Trust)
	b = appendString(b, r.Boundary)
	b = appendTags(b, r.Tags)
	b = appendIDs(b, r.Attached)
	b = appendInline(b, r.Inline)
	return appendInt(b, uint64(r.Changed))
}

// CreateRole makes a role with a new unique identifier.
type CreateRole struct {
	Account     AccountID
	ID          ID
	Name        string
	Path        string
	Description string
	MaxSession  int
	Trust       string
	Boundary    string // ARN of a policy, or empty
	Tags        []Tag
}

// RoleCreated made a role.
type RoleCreated struct {
	Account     AccountID
	ID          ID
	Name        string
	Path        string
	Description string
	MaxSession  int
	Trust       string
	Boundary    ID
	Tags        []Tag
	Created     Time
}

// UpdateRole changes a role's description or longest session; nil fields stay as they are.
type UpdateRole struct {
	Account     AccountID
	Name        string
	Description *string
	MaxSession  *int
}

// RoleUpdated gave a role this description and longest session.
type RoleUpdated struct {
	ID          ID
	Description string
	MaxSession  int
}

// UpdateTrust replaces a role's trust policy.
type UpdateTrust struct {
	Account AccountID
	Name    string
	Trust   string
}

// TrustUpdated replaced a role's trust policy.
type TrustUpdated struct {
	ID    ID
	Trust string
}

// DeleteRole removes a role that nothing hangs on any more.
type DeleteRole struct {
	Account AccountID
	Name    string
}

// RoleDeleted removed a role.
type RoleDeleted struct{ ID ID }
