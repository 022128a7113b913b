package identity

import (
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Group is a set of users that share permissions.
type Group struct {
	ID       ID
	Account  AccountID
	Name     string
	Path     string
	Created  Time
	Attached []ID
	Inline   []InlinePolicy
	Changed  Position  // of anything that can change what its members are allowed
	In       Partition // the cluster's; not stored with the record
}

// ARN is arn:PARTITION:iam::ACCOUNT:group/path/name.
func (g *Group) ARN() string { return g.In.ARN(KindGroup, g.Account, g.Path, g.Name) }

// Handle makes a Group a record of a table, by its key, as do Is and AppendDigest.
func (g *Group) Handle() table.Handle { return table.HandleOf(g.ID) }

// Is tells whether the Group has that key.
func (g *Group) Is(key string) bool { return string(g.ID) == key }

// AppendDigest appends all that the Group has.
func (g *Group) AppendDigest(b []byte) []byte {
	b = append(b, 'g')
	b = digest.AppendString(b, g.ID)
	b = digest.AppendString(b, g.Account)
	b = digest.AppendString(b, g.Name)
	b = digest.AppendString(b, g.Path)
	b = digest.AppendInt(b, int64(g.Created))
	b = appendIDs(b, g.Attached)
	b = appendInline(b, g.Inline)
	return g.In.appendDigest(digest.AppendInt(b, uint64(g.Changed)))
}

// Group returns the group of that name, without regard to case.
func (s *State) Group(account AccountID, name string) (*Group, bool) {
	return named(s, &s.groups, account, KindGroup, name)
}

// GroupByID returns the group with that unique identifier.
func (s *State) GroupByID(id ID) (*Group, bool) { return s.groups.Get(id) }

// Groups yields the groups of an account in order of name without regard to
// case, those after the name after.
func (s *State) Groups(account AccountID, after string, yield func(*Group) bool) {
	list(s, &s.groups, account, KindGroup, after, yield)
}

// GroupsBelow is Groups for those whose path begins with a prefix longer than "/". Where they
// are more than MaxBelow it yields none and returns false.
func (s *State) GroupsBelow(account AccountID, prefix, after string, yield func(*Group) bool) bool {
	return listBelow(s, &s.groups, account, KindGroup, prefix, after, yield)
}

// GroupUsers yields the members of a group that come after the user of that
// unique identifier, or all if it is empty. The order is fixed, that of handles.
func (s *State) GroupUsers(group, after ID, yield func(*User) bool) {
	s.members.Each(string(group), string(after), func(h table.Handle) bool {
		u, ok := s.users.Rows.Get(h)
		return !ok || yield(u)
	})
}

// CreateGroup makes a group with a new unique identifier.
type CreateGroup struct {
	Account AccountID
	ID      ID
	Name    string
	Path    string
}

// GroupCreated made a group.
type GroupCreated struct {
	Account AccountID
	ID      ID
	Name    string
	Path    string
	Created Time
}

func (c *CreateGroup) decide(s *State, m Meta) ([]Event, error) {
	if err := s.mayCreate(c.Account, KindGroup, c.Name, c.ID); err != nil {
		return nil, err
	}
	return []Event{&GroupCreated{Account: c.Account, ID: c.ID, Name: c.Name, Path: c.Path, Created: m.Time}}, nil
}

func (e *GroupCreated) evolve(s *State) {
	g := &Group{In: s.partition, ID: e.ID, Account: e.Account, Name: e.Name, Path: e.Path, Created: e.Created, Changed: s.position}
	s.groups.Put(g)
	s.names.add(scopeOf(g.Account, KindGroup), g.Name, g.Handle())
	s.paths.add(scopeOf(g.Account, KindGroup), g.Path, g.Name, g.Handle())
}

// UpdateGroup renames a group or moves it to another path. Empty fields stay as they are.
type UpdateGroup struct {
	Account AccountID
	Name    string
	NewName string
	NewPath string
}

// GroupUpdated gave a group this name and path.
type GroupUpdated struct {
	ID   ID
	Name string
	Path string
}

func (c *UpdateGroup) decide(s *State, _ Meta) ([]Event, error) {
	g, err := s.mustGroup(c.Account, c.Name)
	if err != nil {
		return nil, err
	}
	e := &GroupUpdated{ID: g.ID, Name: g.Name, Path: g.Path}
	if c.NewName != "" {
		if err := s.mayRename(c.Account, KindGroup, c.NewName, g.ID); err != nil {
			return nil, err
		}
		e.Name = c.NewName
	}
	if c.NewPath != "" {
		e.Path = c.NewPath
	}
	return []Event{e}, nil
}

func (e *GroupUpdated) evolve(s *State) {
	changeRecord(&s.groups, e.ID, func(g *Group) bool {
		s.names.rename(scopeOf(g.Account, KindGroup), g.Name, e.Name, g.Handle())
		s.paths.move(scopeOf(g.Account, KindGroup), g.Path, g.Name, e.Path, e.Name, g.Handle())
		g.Name, g.Path, g.Changed = e.Name, e.Path, s.position
		return true
	})
}

// DeleteGroup removes a group without members and policies.
type DeleteGroup struct {
	Account AccountID
	Name    string
}

// GroupDeleted removed a group.
type GroupDeleted struct{ ID ID }

func (c *DeleteGroup) decide(s *State, _ Meta) ([]Event, error) {
	g, err := s.mustGroup(c.Account, c.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case s.members.Count(g.Handle()) > 0:
		return nil, refuse(DeleteConflict, "Cannot delete entity, must remove users from group first.")
	case len(g.Attached) > 0:
		return nil, refuse(DeleteConflict, "Cannot delete entity, must detach all policies first.")
	case len(g.Inline) > 0:
		return nil, refuse(DeleteConflict, "Cannot delete entity, must delete policies first.")
	}
	return []Event{&GroupDeleted{ID: g.ID}}, nil
}

func (e *GroupDeleted) evolve(s *State) {
	if g, ok := s.groups.Get(e.ID); ok {
		s.names.remove(scopeOf(g.Account, KindGroup), g.Name)
		s.paths.remove(scopeOf(g.Account, KindGroup), g.Path, g.Name)
		s.groups.Delete(g)
	}
}

// AddUserToGroup makes a user a member; a member already is left as it is.
type AddUserToGroup struct {
	Account AccountID
	Group   string
	User    string
}

// UserAddedToGroup made a user a member.
type UserAddedToGroup struct {
	Group ID
	User  ID
}

func (c *AddUserToGroup) decide(s *State, _ Meta) ([]Event, error) {
	u, g, err := s.mustUserAndGroup(c.Account, c.User, c.Group)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(u.Groups, g.ID) && len(u.Groups) >= MaxGroupsPerUser {
		return nil, refuse(LimitExceeded, "Cannot exceed quota for GroupsPerUser: %d", MaxGroupsPerUser)
	}
	return []Event{&UserAddedToGroup{Group: g.ID, User: u.ID}}, nil
}

func (e *UserAddedToGroup) evolve(s *State) {
	changeRecord(&s.users, e.User, func(u *User) bool {
		if slices.Contains(u.Groups, e.Group) {
			return false
		}
		u.Groups, u.Changed = appended(u.Groups, e.Group), s.position
		s.members.Add(table.HandleOf(e.Group), u.Handle())
		return true
	})
}

// RemoveUserFromGroup ends a membership; a user who is no member is left as it is.
type RemoveUserFromGroup struct {
	Account AccountID
	Group   string
	User    string
}

// UserRemovedFromGroup ended a membership.
type UserRemovedFromGroup struct {
	Group ID
	User  ID
}

func (c *RemoveUserFromGroup) decide(s *State, _ Meta) ([]Event, error) {
	u, g, err := s.mustUserAndGroup(c.Account, c.User, c.Group)
	if err != nil {
		return nil, err
	}
	return []Event{&UserRemovedFromGroup{Group: g.ID, User: u.ID}}, nil
}

func (e *UserRemovedFromGroup) evolve(s *State) {
	changeRecord(&s.users, e.User, func(u *User) bool {
		if !slices.Contains(u.Groups, e.Group) {
			return false
		}
		u.Groups, u.Changed = without(u.Groups, func(id ID) bool { return id == e.Group }), s.position
		s.members.Remove(table.HandleOf(e.Group), u.Handle())
		return true
	})
}

func (s *State) mustGroup(account AccountID, name string) (*Group, error) {
	if g, ok := s.Group(account, name); ok {
		return g, nil
	}
	return nil, refuse(NoSuchEntity, "The group with name %s cannot be found.", name)
}

// mustUserAndGroup finds both; where both are missing AWS speaks of the user.
func (s *State) mustUserAndGroup(account AccountID, user, group string) (*User, *Group, error) {
	u, err := s.mustUser(account, user)
	if err != nil {
		return nil, nil, err
	}
	g, err := s.mustGroup(account, group)
	return u, g, err
}
