package identity

import (
	"strings"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

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
	Changed     Position  // of anything that can change what its sessions are allowed, or who may assume it
	In          Partition // the cluster's; not stored with the record
}

// DefaultMaxSession is a new role's longest session in seconds.
const DefaultMaxSession = 3600

// serviceRolePath begins the path of service-linked roles, which CreateRole does not make.
const serviceRolePath = "/aws-service-role/"

// ARN is arn:PARTITION:iam::ACCOUNT:role/path/name.
func (r *Role) ARN() string { return r.In.ARN(KindRole, r.Account, r.Path, r.Name) }

// Handle makes a Role a record of a table, by its key, as do Is and AppendDigest.
func (r *Role) Handle() table.Handle { return table.HandleOf(r.ID) }

// Is tells whether the Role has that key.
func (r *Role) Is(key string) bool { return string(r.ID) == key }

// AppendDigest appends all that the Role has.
func (r *Role) AppendDigest(b []byte) []byte {
	b = append(b, 'R')
	b = digest.AppendString(b, r.ID)
	b = digest.AppendString(b, r.Account)
	b = digest.AppendString(b, r.Name)
	b = digest.AppendString(b, r.Path)
	b = digest.AppendString(b, r.Description)
	b = digest.AppendInt(b, int64(r.Created))
	b = digest.AppendInt(b, r.MaxSession)
	b = digest.AppendString(b, r.Trust)
	b = digest.AppendString(b, r.Boundary)
	b = appendTags(b, r.Tags)
	b = appendIDs(b, r.Attached)
	b = appendInline(b, r.Inline)
	return r.In.appendDigest(digest.AppendInt(b, uint64(r.Changed)))
}

// Role returns the role of that name, without regard to case.
func (s *State) Role(account AccountID, name string) (*Role, bool) {
	return named(s, &s.roles, account, KindRole, name)
}

// RoleByID returns the role with that unique identifier.
func (s *State) RoleByID(id ID) (*Role, bool) { return s.roles.Get(id) }

// Roles yields the roles of an account in order of name without regard to case,
// those after the name after.
func (s *State) Roles(account AccountID, after string, yield func(*Role) bool) {
	list(s, &s.roles, account, KindRole, after, yield)
}

// RolesBelow is Roles for those whose path begins with a prefix longer than "/". Where they
// are more than MaxBelow it yields none and returns false.
func (s *State) RolesBelow(account AccountID, prefix, after string, yield func(*Role) bool) bool {
	return listBelow(s, &s.roles, account, KindRole, prefix, after, yield)
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

func (c *CreateRole) decide(s *State, m Meta) ([]Event, error) {
	if err := s.mayCreate(c.Account, KindRole, c.Name, c.ID); err != nil {
		return nil, err
	}
	if strings.HasPrefix(c.Path, serviceRolePath) {
		return nil, refuse(InvalidInput, "Path prefix '%s' can only be used for AWS Service linked Roles", serviceRolePath)
	}
	if err := mayTag(KindRole, nil, c.Tags, oldTag); err != nil {
		return nil, err
	}
	boundary, err := s.boundary(c.Account, c.Boundary)
	if err != nil {
		return nil, err
	}
	e := &RoleCreated{Account: c.Account, ID: c.ID, Name: c.Name, Path: c.Path, Description: c.Description,
		MaxSession: c.MaxSession, Trust: c.Trust, Boundary: boundary, Tags: c.Tags, Created: m.Time}
	if e.MaxSession == 0 {
		e.MaxSession = DefaultMaxSession
	}
	return []Event{e}, nil
}

func (e *RoleCreated) evolve(s *State) {
	r := &Role{In: s.partition, ID: e.ID, Account: e.Account, Name: e.Name, Path: e.Path, Description: e.Description,
		Created: e.Created, MaxSession: e.MaxSession, Trust: e.Trust, Boundary: e.Boundary,
		Tags: withTags(KindRole, nil, e.Tags), Changed: s.position}
	s.roles.Put(r)
	s.names.add(scopeOf(r.Account, KindRole), r.Name, r.Handle())
	s.paths.add(scopeOf(r.Account, KindRole), r.Path, r.Name, r.Handle())
	s.rebound(r.Handle(), "", r.Boundary)
}

// UpdateRole changes a role's description or longest session; nil fields stay as they are.
// Of a service-linked role it changes the description alone.
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

func (c *UpdateRole) decide(s *State, _ Meta) ([]Event, error) {
	r, err := s.mustRole(c.Account, c.Name)
	if err != nil {
		return nil, err
	}
	if c.MaxSession != nil {
		if err := mustBeOrdinary(KindRole, r.Path, r.Name); err != nil {
			return nil, err
		}
	}
	e := &RoleUpdated{ID: r.ID, Description: r.Description, MaxSession: r.MaxSession}
	if c.Description != nil {
		e.Description = *c.Description
	}
	if c.MaxSession != nil {
		e.MaxSession = *c.MaxSession
	}
	return []Event{e}, nil
}

func (e *RoleUpdated) evolve(s *State) {
	changeRecord(&s.roles, e.ID, func(r *Role) bool {
		r.Description, r.MaxSession, r.Changed = e.Description, e.MaxSession, s.position
		return true
	})
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

func (c *UpdateTrust) decide(s *State, _ Meta) ([]Event, error) {
	r, err := s.mustChange(c.Account, c.Name)
	if err != nil {
		return nil, err
	}
	return []Event{&TrustUpdated{ID: r.ID, Trust: c.Trust}}, nil
}

func (e *TrustUpdated) evolve(s *State) {
	changeRecord(&s.roles, e.ID, func(r *Role) bool {
		r.Trust, r.Changed = e.Trust, s.position
		return true
	})
}

// DeleteRole removes a role that nothing hangs on any more.
type DeleteRole struct {
	Account AccountID
	Name    string
}

// RoleDeleted removed a role.
type RoleDeleted struct{ ID ID }

func (c *DeleteRole) decide(s *State, _ Meta) ([]Event, error) {
	r, err := s.mustChange(c.Account, c.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case s.carriers.Count(r.Handle()) > 0:
		return nil, errRolesFirst()
	case len(r.Attached) > 0:
		return nil, refuse(DeleteConflict, "Cannot delete entity, must detach all policies first.")
	case len(r.Inline) > 0:
		return nil, refuse(DeleteConflict, "Cannot delete entity, must delete policies first.")
	}
	return []Event{&RoleDeleted{ID: r.ID}}, nil
}

func (e *RoleDeleted) evolve(s *State) {
	if r, ok := s.roles.Get(e.ID); ok {
		s.names.remove(scopeOf(r.Account, KindRole), r.Name)
		s.paths.remove(scopeOf(r.Account, KindRole), r.Path, r.Name)
		s.rebound(r.Handle(), r.Boundary, "")
		s.roles.Delete(r)
		s.forgetUsage(r.ID)
	}
}

func (s *State) mustRole(account AccountID, name string) (*Role, error) {
	if r, ok := s.Role(account, name); ok {
		return r, nil
	}
	return nil, refuse(NoSuchEntity, "The role with name %s cannot be found.", name)
}
