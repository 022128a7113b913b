package identity

import (
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// A service-linked role is a role that belongs to a service: it has a path of its own
// below serviceRolePath, is made and deleted by commands of its own, and is changed by
// nobody but for its description and its tags.

// DeletionTasks are the latest deletions of an account's service-linked roles, by their
// tasks, from the oldest on.
type DeletionTasks struct {
	Account AccountID
	Tasks   []string // ids
}

// MaxDeletionTasks is how many deletions of service-linked roles are remembered for each
// account; one more pushes the oldest out.
const MaxDeletionTasks = 100

// Handle makes a DeletionTasks a record of a table, by its key, as do Is and AppendDigest.
func (d *DeletionTasks) Handle() table.Handle { return table.HandleOf(d.Account) }

// Is tells whether the DeletionTasks has that key.
func (d *DeletionTasks) Is(key string) bool { return string(d.Account) == key }

// AppendDigest appends all that the DeletionTasks has.
func (d *DeletionTasks) AppendDigest(b []byte) []byte {
	b = append(b, 't')
	b = digest.AppendString(b, d.Account)
	b = digest.AppendInt(b, len(d.Tasks))
	for _, id := range d.Tasks {
		b = digest.AppendString(b, id)
	}
	return b
}

// ServiceRolePath is the path of the roles that belong to a service.
func ServiceRolePath(service string) string { return serviceRolePath + service + "/" }

// LinkedService is the service that the role belongs to; false for an ordinary role.
func (r *Role) LinkedService() (service string, linked bool) {
	rest, linked := strings.CutPrefix(r.Path, serviceRolePath)
	return strings.TrimSuffix(rest, "/"), linked
}

// DeletionTask tells that a service-linked role of the account was deleted by the task of
// that id, not long ago.
func (s *State) DeletionTask(account AccountID, id string) bool {
	d, ok := s.deletionTasks.Get(account)
	return ok && slices.Contains(d.Tasks, id)
}

// CreateServiceLinkedRole makes a role that belongs to a service.
type CreateServiceLinkedRole struct {
	Account     AccountID
	ID          ID
	Service     string // "autoscaling.amazonaws.com"
	Name        string
	Description string
	Trust       string
	// Policy is the ARN of AWS's policy for the role. A cluster whose catalogue lacks it
	// makes the role without: it may do nothing then.
	Policy string
}

func (c *CreateServiceLinkedRole) decide(s *State, m Meta) ([]Event, error) {
	if _, taken := s.Role(c.Account, c.Name); taken {
		return nil, refuse(InvalidInput, "Service role name %s has been taken in this account, please try a different suffix.", c.Name)
	}
	if err := s.mayCreate(c.Account, KindRole, c.Name, c.ID); err != nil {
		return nil, err
	}
	events := []Event{&RoleCreated{Account: c.Account, ID: c.ID, Name: c.Name, Path: ServiceRolePath(c.Service), Description: c.Description,
		MaxSession: DefaultMaxSession, Trust: c.Trust, Created: m.Time}}
	if p, ok := s.visiblePolicy(c.Account, c.Policy); ok {
		events = append(events, &PolicyAttached{Kind: KindRole, ID: c.ID, Policy: p.ID})
	}
	return events, nil
}

// DeleteServiceLinkedRole removes a role that belongs to a service.
type DeleteServiceLinkedRole struct {
	Account AccountID
	Name    string
	Task    string // what is unique of the id of the deletion
}

// ServiceLinkedRoleDeleted is the end of a deletion: the role is gone.
type ServiceLinkedRoleDeleted struct {
	Account AccountID
	Task    string // the whole id: task/aws-service-role/SERVICE/ROLE/UUID
}

func (c *DeleteServiceLinkedRole) decide(s *State, _ Meta) ([]Event, error) {
	r, err := s.mustRole(c.Account, c.Name)
	if err != nil {
		return nil, err
	}
	service, linked := r.LinkedService()
	if !linked {
		return nil, noSuch(KindRole, c.Name)
	}
	var events []Event
	for _, p := range r.Attached {
		events = append(events, &PolicyDetached{Kind: KindRole, ID: r.ID, Policy: p})
	}
	return append(events, &RoleDeleted{ID: r.ID},
		&ServiceLinkedRoleDeleted{Account: c.Account, Task: "task" + ServiceRolePath(service) + r.Name + "/" + c.Task}), nil
}

func (e *ServiceLinkedRoleDeleted) evolve(s *State) {
	d := &DeletionTasks{Account: e.Account}
	if before, ok := s.deletionTasks.Get(e.Account); ok {
		d.Tasks = before.Tasks
	}
	d.Tasks = appended(d.Tasks[max(0, len(d.Tasks)-MaxDeletionTasks+1):], e.Task)
	s.deletionTasks.Put(d)
}

// mustBeOrdinary refuses to change a role that belongs to a service.
func mustBeOrdinary(kind Kind, path, name string) error {
	if kind == KindRole && strings.HasPrefix(path, serviceRolePath) {
		return refuse(UnmodifiableEntity, "Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", name)
	}
	return nil
}

// mustChange is mustRole for a role that anybody may change who is allowed to.
func (s *State) mustChange(account AccountID, name string) (*Role, error) {
	r, err := s.mustRole(account, name)
	if err != nil {
		return nil, err
	}
	return r, mustBeOrdinary(KindRole, r.Path, r.Name)
}
