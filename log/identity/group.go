package identity

// Group is a set of users that share permissions.
type Group struct {
	ID       ID
	Account  AccountID
	Name     string
	Path     string
	Created  Time
	Attached []ID
	Inline   []InlinePolicy
	Changed  Position // of anything that can change what its members are allowed
}

// ARN is arn:aws:iam::ACCOUNT:group/path/name.
func (g *Group) ARN() string { return ARN(KindGroup, g.Account, g.Path, g.Name) }

func (g *Group) appendDigest(b []byte) []byte {
	b = append(b, 'g')
	b = appendString(b, g.ID)
	b = appendString(b, g.Account)
	b = appendString(b, g.Name)
	b = appendString(b, g.Path)
	b = appendInt(b, int64(g.Created))
	b = appendIDs(b, g.Attached)
	b = appendInline(b, g.Inline)
	return appendInt(b, uint64(g.Changed))
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

// DeleteGroup removes a group without members and policies.
type DeleteGroup struct {
	Account AccountID
	Name    string
}

// GroupDeleted removed a group.
type GroupDeleted struct{ ID ID }

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

// RemoveUserFromGroup ends a membership.
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
