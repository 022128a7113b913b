package identity

import (
	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// InstanceProfile carries a role to the machines that run under it.
type InstanceProfile struct {
	ID      ID
	Account AccountID
	Name    string
	Path    string
	Created Time
	Tags    []Tag
	Role    ID        // the one that it carries; empty for none
	In      Partition // the cluster's; not stored with the record
}

// MaxRolesPerInstanceProfile is AWS's; no request raises it ("IAM and AWS STS quotas").
const MaxRolesPerInstanceProfile = 1

// ARN is arn:PARTITION:iam::ACCOUNT:instance-profile/path/name.
func (p *InstanceProfile) ARN() string {
	return p.In.ARN(KindInstanceProfile, p.Account, p.Path, p.Name)
}

// Handle makes an InstanceProfile a record of a table, by its key, as do Is and AppendDigest.
func (p *InstanceProfile) Handle() table.Handle { return table.HandleOf(p.ID) }

// Is tells whether the InstanceProfile has that key.
func (p *InstanceProfile) Is(key string) bool { return string(p.ID) == key }

// AppendDigest appends all that the InstanceProfile has.
func (p *InstanceProfile) AppendDigest(b []byte) []byte {
	b = append(b, 'i')
	b = digest.AppendString(b, p.ID)
	b = digest.AppendString(b, p.Account)
	b = digest.AppendString(b, p.Name)
	b = digest.AppendString(b, p.Path)
	b = digest.AppendInt(b, int64(p.Created))
	b = appendTags(b, p.Tags)
	return p.In.appendDigest(digest.AppendString(b, p.Role))
}

func (p *InstanceProfile) held() held {
	return held{kind: KindInstanceProfile, id: p.ID, account: p.Account, name: p.Name, path: p.Path, tags: &p.Tags}
}

// InstanceProfile returns the instance profile of that name, without regard to case.
func (s *State) InstanceProfile(account AccountID, name string) (*InstanceProfile, bool) {
	return named(s, &s.instanceProfiles, account, KindInstanceProfile, name)
}

// InstanceProfiles yields the instance profiles of an account in order of name without
// regard to case, those after the name after.
func (s *State) InstanceProfiles(account AccountID, after string, yield func(*InstanceProfile) bool) {
	list(s, &s.instanceProfiles, account, KindInstanceProfile, after, yield)
}

// InstanceProfilesBelow is InstanceProfiles for those whose path begins with a prefix longer than "/". Where they
// are more than MaxBelow it yields none and returns false.
func (s *State) InstanceProfilesBelow(account AccountID, prefix, after string, yield func(*InstanceProfile) bool) bool {
	return listBelow(s, &s.instanceProfiles, account, KindInstanceProfile, prefix, after, yield)
}

// InstanceProfilesOf yields the instance profiles that carry a role, those that come after
// the one of that unique identifier. The order is always the same.
func (s *State) InstanceProfilesOf(role, after ID, yield func(*InstanceProfile) bool) {
	s.carriers.Each(string(role), string(after), func(h table.Handle) bool {
		p, ok := s.instanceProfiles.Rows.Get(h)
		return !ok || yield(p)
	})
}

// CreateInstanceProfile makes an instance profile that carries no role yet.
type CreateInstanceProfile struct {
	Account AccountID
	ID      ID
	Name    string
	Path    string
	Tags    []Tag
}

// InstanceProfileCreated made an instance profile.
type InstanceProfileCreated struct {
	Account AccountID
	ID      ID
	Name    string
	Path    string
	Tags    []Tag
	Created Time
}

func (c *CreateInstanceProfile) decide(s *State, m Meta) ([]Event, error) {
	if err := s.mayCreate(c.Account, KindInstanceProfile, c.Name, c.ID); err != nil {
		return nil, err
	}
	if err := mayTag(KindInstanceProfile, nil, c.Tags, sameTag); err != nil {
		return nil, err
	}
	return []Event{&InstanceProfileCreated{Account: c.Account, ID: c.ID, Name: c.Name, Path: c.Path, Tags: c.Tags, Created: m.Time}}, nil
}

func (e *InstanceProfileCreated) evolve(s *State) {
	p := &InstanceProfile{In: s.partition, ID: e.ID, Account: e.Account, Name: e.Name, Path: e.Path, Created: e.Created,
		Tags: withTags(KindInstanceProfile, nil, e.Tags)}
	s.instanceProfiles.Put(p)
	s.names.add(scopeOf(p.Account, KindInstanceProfile), p.Name, p.Handle())
	s.paths.add(scopeOf(p.Account, KindInstanceProfile), p.Path, p.Name, p.Handle())
}

// DeleteInstanceProfile removes an instance profile that carries no role any more.
type DeleteInstanceProfile struct {
	Account AccountID
	Name    string
}

// InstanceProfileDeleted removed an instance profile.
type InstanceProfileDeleted struct{ ID ID }

func (c *DeleteInstanceProfile) decide(s *State, _ Meta) ([]Event, error) {
	p, err := s.mustInstanceProfile(c.Account, c.Name)
	if err != nil {
		return nil, err
	}
	if p.Role != "" {
		return nil, errRolesFirst()
	}
	return []Event{&InstanceProfileDeleted{ID: p.ID}}, nil
}

func (e *InstanceProfileDeleted) evolve(s *State) {
	if p, ok := s.instanceProfiles.Get(e.ID); ok {
		s.names.remove(scopeOf(p.Account, KindInstanceProfile), p.Name)
		s.paths.remove(scopeOf(p.Account, KindInstanceProfile), p.Path, p.Name)
		s.instanceProfiles.Delete(p)
	}
}

// AddRoleToInstanceProfile has an instance profile carry a role.
type AddRoleToInstanceProfile struct {
	Account AccountID
	Profile string
	Role    string
}

// RoleAddedToInstanceProfile had an instance profile carry a role.
type RoleAddedToInstanceProfile struct {
	Profile ID
	Role    ID
}

func (c *AddRoleToInstanceProfile) decide(s *State, _ Meta) ([]Event, error) {
	p, r, err := s.mustProfileAndRole(c.Account, c.Profile, c.Role)
	if err != nil {
		return nil, err
	}
	if p.Role != "" {
		return nil, refuse(LimitExceeded, "Cannot exceed quota for InstanceSessionsPerInstanceProfile: %d", MaxRolesPerInstanceProfile)
	}
	return []Event{&RoleAddedToInstanceProfile{Profile: p.ID, Role: r.ID}}, nil
}

func (e *RoleAddedToInstanceProfile) evolve(s *State) { s.carry(e.Profile, e.Role) }

// RemoveRoleFromInstanceProfile has an instance profile carry a role no longer.
type RemoveRoleFromInstanceProfile struct {
	Account AccountID
	Profile string
	Role    string
}

// RoleRemovedFromInstanceProfile had an instance profile carry a role no longer.
type RoleRemovedFromInstanceProfile struct {
	Profile ID
	Role    ID
}

func (c *RemoveRoleFromInstanceProfile) decide(s *State, _ Meta) ([]Event, error) {
	p, r, err := s.mustProfileAndRole(c.Account, c.Profile, c.Role)
	if err != nil {
		return nil, err
	}
	if p.Role != r.ID {
		return nil, refuse(NoSuchEntity, "Role %s in Instance Profile %s cannot be found.", c.Role, c.Profile)
	}
	return []Event{&RoleRemovedFromInstanceProfile{Profile: p.ID, Role: r.ID}}, nil
}

func (e *RoleRemovedFromInstanceProfile) evolve(s *State) { s.carry(e.Profile, "") }

// carry has an instance profile carry a role, or none, in place of what it carried.
func (s *State) carry(profile, role ID) {
	changeRecord(&s.instanceProfiles, profile, func(p *InstanceProfile) bool {
		if p.Role != "" {
			s.carriers.Remove(table.HandleOf(p.Role), p.Handle())
		}
		p.Role = role
		if role != "" {
			s.carriers.Add(table.HandleOf(role), p.Handle())
		}
		return true
	})
}

func errRolesFirst() *Refusal {
	return refuse(DeleteConflict, "Cannot delete entity, must remove roles from instance profile first.")
}

func (s *State) mustInstanceProfile(account AccountID, name string) (*InstanceProfile, error) {
	if p, ok := s.InstanceProfile(account, name); ok {
		return p, nil
	}
	return nil, noSuch(KindInstanceProfile, name)
}

func (s *State) mustProfileAndRole(account AccountID, profile, role string) (*InstanceProfile, *Role, error) {
	p, err := s.mustInstanceProfile(account, profile)
	if err != nil {
		return nil, nil, err
	}
	r, err := s.mustChange(account, role)
	return p, r, err
}
