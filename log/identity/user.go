package identity

import (
	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// User is a person or program with long-term credentials.
type User struct {
	ID       ID
	Account  AccountID
	Name     string
	Path     string
	Created  Time
	Boundary ID // of the policy that bounds the user's permissions; empty for none
	Tags     []Tag
	Groups   []ID // in the order joined
	Attached []ID // policies, in the order attached
	Inline   []InlinePolicy
	Keys     []AccessKey
	Changed  Position  // of anything that can change what the user is allowed
	In       Partition // the cluster's; not stored with the record
}

// MaxGroupsPerUser is how many groups a user may be in ("IAM and AWS STS quotas").
const MaxGroupsPerUser = 10

// ARN is arn:PARTITION:iam::ACCOUNT:user/path/name.
func (u *User) ARN() string { return u.In.ARN(KindUser, u.Account, u.Path, u.Name) }

// Handle makes a User a record of a table, by its key, as do Is and AppendDigest.
func (u *User) Handle() table.Handle { return table.HandleOf(u.ID) }

// Is tells whether the User has that key.
func (u *User) Is(key string) bool { return string(u.ID) == key }

// AppendDigest appends all that the User has.
func (u *User) AppendDigest(b []byte) []byte {
	b = append(b, 'u')
	b = digest.AppendString(b, u.ID)
	b = digest.AppendString(b, u.Account)
	b = digest.AppendString(b, u.Name)
	b = digest.AppendString(b, u.Path)
	b = digest.AppendInt(b, int64(u.Created))
	b = digest.AppendString(b, u.Boundary)
	b = appendTags(b, u.Tags)
	b = appendIDs(b, u.Groups)
	b = appendIDs(b, u.Attached)
	b = appendInline(b, u.Inline)
	b = appendKeys(b, u.Keys)
	return u.In.appendDigest(digest.AppendInt(b, uint64(u.Changed)))
}

// User returns the user of that name, without regard to case.
func (s *State) User(account AccountID, name string) (*User, bool) {
	return named(s, &s.users, account, KindUser, name)
}

// UserByID returns the user with that unique identifier.
func (s *State) UserByID(id ID) (*User, bool) { return s.users.Get(id) }

// Users yields the users of an account in order of name without regard to case,
// those after the name after.
func (s *State) Users(account AccountID, after string, yield func(*User) bool) {
	list(s, &s.users, account, KindUser, after, yield)
}

// UsersBelow is Users for those whose path begins with a prefix longer than "/". Where they
// are more than MaxBelow it yields none and returns false.
func (s *State) UsersBelow(account AccountID, prefix, after string, yield func(*User) bool) bool {
	return listBelow(s, &s.users, account, KindUser, prefix, after, yield)
}

// CreateUser makes a user with a new unique identifier.
type CreateUser struct {
	Account  AccountID
	ID       ID
	Name     string
	Path     string
	Boundary string // ARN of a policy, or empty
	Tags     []Tag
}

// UserCreated made a user.
type UserCreated struct {
	Account  AccountID
	ID       ID
	Name     string
	Path     string
	Boundary ID
	Tags     []Tag
	Created  Time
}

func (c *CreateUser) decide(s *State, m Meta) ([]Event, error) {
	if err := s.mayCreate(c.Account, KindUser, c.Name, c.ID); err != nil {
		return nil, err
	}
	if err := mayTag(KindUser, nil, c.Tags, oldTag); err != nil {
		return nil, err
	}
	boundary, err := s.boundary(c.Account, c.Boundary)
	if err != nil {
		return nil, err
	}
	return []Event{&UserCreated{Account: c.Account, ID: c.ID, Name: c.Name, Path: c.Path, Boundary: boundary, Tags: c.Tags, Created: m.Time}}, nil
}

func (e *UserCreated) evolve(s *State) {
	u := &User{In: s.partition, ID: e.ID, Account: e.Account, Name: e.Name, Path: e.Path, Created: e.Created,
		Boundary: e.Boundary, Tags: withTags(KindUser, nil, e.Tags), Changed: s.position}
	s.users.Put(u)
	s.names.add(scopeOf(u.Account, KindUser), u.Name, u.Handle())
	s.paths.add(scopeOf(u.Account, KindUser), u.Path, u.Name, u.Handle())
	s.rebound(u.Handle(), "", u.Boundary)
}

// UpdateUser renames a user or moves it to another path. Empty fields stay as they are.
type UpdateUser struct {
	Account AccountID
	Name    string
	NewName string
	NewPath string
}

// UserUpdated gave a user this name and path.
type UserUpdated struct {
	ID   ID
	Name string
	Path string
}

func (c *UpdateUser) decide(s *State, _ Meta) ([]Event, error) {
	u, err := s.mustUser(c.Account, c.Name)
	if err != nil {
		return nil, err
	}
	e := &UserUpdated{ID: u.ID, Name: u.Name, Path: u.Path}
	if c.NewName != "" {
		if err := s.mayRename(c.Account, KindUser, c.NewName, u.ID); err != nil {
			return nil, err
		}
		e.Name = c.NewName
	}
	if c.NewPath != "" {
		e.Path = c.NewPath
	}
	return []Event{e}, nil
}

func (e *UserUpdated) evolve(s *State) {
	changeRecord(&s.users, e.ID, func(u *User) bool {
		s.names.rename(scopeOf(u.Account, KindUser), u.Name, e.Name, u.Handle())
		s.paths.move(scopeOf(u.Account, KindUser), u.Path, u.Name, e.Path, e.Name, u.Handle())
		u.Name, u.Path, u.Changed = e.Name, e.Path, s.position
		return true
	})
}

// DeleteUser removes a user that nothing hangs on any more.
type DeleteUser struct {
	Account AccountID
	Name    string
}

// UserDeleted removed a user.
type UserDeleted struct {
	ID ID
}

func (c *DeleteUser) decide(s *State, _ Meta) ([]Event, error) {
	u, err := s.mustUser(c.Account, c.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case len(u.Groups) > 0:
		return nil, refuse(DeleteConflict, "Cannot delete entity, must remove users from group first.")
	case len(u.Attached) > 0:
		return nil, refuse(DeleteConflict, "Cannot delete entity, must detach all policies first.")
	case len(u.Inline) > 0:
		return nil, refuse(DeleteConflict, "Cannot delete entity, must delete policies first.")
	case len(u.Keys) > 0:
		return nil, refuse(DeleteConflict, "Cannot delete entity, must delete access keys first.")
	}
	if _, ok := s.LoginProfile(u.ID); ok {
		return nil, refuse(DeleteConflict, "Cannot delete entity, must delete login profile first.")
	}
	if s.CountMFA(u.ID) > 0 {
		return nil, refuse(DeleteConflict, "Cannot delete entity, must delete MFA device first.")
	}
	if err := s.mayLeave(u.ID); err != nil {
		return nil, err
	}
	return []Event{&UserDeleted{ID: u.ID}}, nil
}

func (e *UserDeleted) evolve(s *State) {
	if u, ok := s.users.Get(e.ID); ok {
		s.names.remove(scopeOf(u.Account, KindUser), u.Name)
		s.paths.remove(scopeOf(u.Account, KindUser), u.Path, u.Name)
		s.rebound(u.Handle(), u.Boundary, "")
		s.users.Delete(u)
		s.forgetUsage(u.ID)
		s.forgetPasskeys(u.ID)
	}
}

func (s *State) mustUser(account AccountID, name string) (*User, error) {
	if u, ok := s.User(account, name); ok {
		return u, nil
	}
	return nil, refuse(NoSuchEntity, "The user with name %s cannot be found.", name)
}
