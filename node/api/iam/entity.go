package iam

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/writ-iam/writ/log/identity"
)

// entity is what users, groups and roles have in common, as read from the state.
type entity struct {
	kind     identity.Kind
	id       identity.ID
	account  identity.AccountID
	name     string
	path     string
	attached []identity.ID
	inline   []identity.InlinePolicy
	boundary identity.ID    // of users and roles
	tags     []identity.Tag // of users and roles
	in       identity.Partition
}

func entityOfUser(u *identity.User) entity {
	return entity{identity.KindUser, u.ID, u.Account, u.Name, u.Path, u.Attached, u.Inline, u.Boundary, u.Tags, u.In}
}

func entityOfGroup(g *identity.Group) entity {
	return entity{identity.KindGroup, g.ID, g.Account, g.Name, g.Path, g.Attached, g.Inline, "", nil, g.In}
}

func entityOfRole(r *identity.Role) entity {
	return entity{identity.KindRole, r.ID, r.Account, r.Name, r.Path, r.Attached, r.Inline, r.Boundary, r.Tags, r.In}
}

func (e entity) arn() string { return e.in.ARN(e.kind, e.account, e.path, e.name) }

// state is the state that the call sees.
func (c *Call) state() *identity.State { return c.View.State }

// entity finds the caller's account's user, group or role of that name.
func (c *Call) entity(kind identity.Kind, name string) (entity, bool) {
	switch kind {
	case identity.KindUser:
		if u, ok := c.state().User(c.Caller.Account, name); ok {
			return entityOfUser(u), true
		}
	case identity.KindGroup:
		if g, ok := c.state().Group(c.Caller.Account, name); ok {
			return entityOfGroup(g), true
		}
	case identity.KindRole:
		if r, ok := c.state().Role(c.Caller.Account, name); ok {
			return entityOfRole(r), true
		}
	}
	return entity{}, false
}

// entityByID finds a user, group or role of any account by its unique identifier.
func (c *Call) entityByID(kind identity.Kind, id identity.ID) (entity, bool) {
	switch kind {
	case identity.KindUser:
		if u, ok := c.state().UserByID(id); ok {
			return entityOfUser(u), true
		}
	case identity.KindGroup:
		if g, ok := c.state().GroupByID(id); ok {
			return entityOfGroup(g), true
		}
	case identity.KindRole:
		if r, ok := c.state().RoleByID(id); ok {
			return entityOfRole(r), true
		}
	}
	return entity{}, false
}

// mustFind is entity with AWS's error when there is none.
func (c *Call) mustFind(kind identity.Kind, name *string) (entity, error) {
	e, ok := c.entity(kind, aws.ToString(name))
	if !ok {
		return entity{}, fail(codeNoSuchEntity, "The %s with name %s cannot be found.", kind.Noun(), aws.ToString(name))
	}
	return e, nil
}

func (c *Call) mustUser(name *string) (*identity.User, error) {
	if u, ok := c.state().User(c.Caller.Account, aws.ToString(name)); ok {
		return u, nil
	}
	return nil, noSuchUser(name)
}

func noSuchUser(name *string) error {
	return fail(codeNoSuchEntity, "The user with name %s cannot be found.", aws.ToString(name))
}

func (c *Call) mustGroup(name *string) (*identity.Group, error) {
	if g, ok := c.state().Group(c.Caller.Account, aws.ToString(name)); ok {
		return g, nil
	}
	return nil, fail(codeNoSuchEntity, "The group with name %s cannot be found.", aws.ToString(name))
}

func (c *Call) mustRole(name *string) (*identity.Role, error) {
	if r, ok := c.state().Role(c.Caller.Account, aws.ToString(name)); ok {
		return r, nil
	}
	return nil, fail(codeNoSuchEntity, "The role with name %s cannot be found.", aws.ToString(name))
}

// owner names an entity of the caller's account for a command.
func (c *Call) owner(kind identity.Kind, name *string) identity.Owner {
	return identity.Owner{Kind: kind, Account: c.Caller.Account, Name: aws.ToString(name)}
}

// pathOr is the path given, or AWS's default.
func pathOr(path *string) string {
	if path == nil {
		return "/"
	}
	return *path
}

// policyARN is the ARN of the policy with that identifier, or nil without one.
func (c *Call) policyARN(id identity.ID) *string {
	if p, ok := c.state().PolicyByID(id); ok {
		return aws.String(p.ARN())
	}
	return nil
}

// checkPolicyARN checks the form of a managed policy's ARN, which is of the cluster's
// partition, and returns the account that it names. Whether there is such a policy is not its business.
func (c *Call) checkPolicyARN(arn *string) (text string, account identity.AccountID, err error) {
	text = aws.ToString(arn)
	parts := strings.SplitN(text, ":", 6)
	switch {
	case len(parts) < 6 || parts[0] != "arn":
		return "", "", fail(codeValidationError, "ARN %s is not valid.", text)
	case parts[1] != c.partition().String():
		return "", "", fail(codeValidationError, "Invalid ARN partition")
	case parts[2] != Service || parts[3] != "" || !strings.HasPrefix(parts[5], "policy/"):
		return "", "", fail(codeInvalidInput, "ARN %s is not valid.", text)
	}
	return text, identity.AccountID(parts[4]), nil
}

// mustPolicy finds a managed policy that the caller's account may see: its own,
// or one of AWS's.
func (c *Call) mustPolicy(arn *string) (*identity.Policy, error) {
	text, account, err := c.checkPolicyARN(arn)
	if err != nil {
		return nil, err
	}
	p, ok := c.state().Policy(text)
	if !ok || account != c.Caller.Account && account != identity.AWSAccount {
		return nil, fail(codeNoSuchEntity, "Policy %s was not found.", text)
	}
	return p, nil
}

// What AWS says of changes of its own policies, which differs from action to action.
const (
	deletePolicies       = "Cannot delete policies outside your own account."
	deletePolicyVersions = "Cannot delete policy versions for policies outside your own account."
	updatePolicies       = "Cannot update policies outside your own account."
)

// mayNotTag is the same of their tags.
func (c *Call) mayNotTag(action string, arn *string) string {
	return fmt.Sprintf("User: %s is not authorized to perform: %s:%s on resource: policy %s", c.Caller.ARN, Service, action, aws.ToString(arn))
}

// ownPolicyARN checks the ARN of a policy that is about to be changed, which must be the
// account's own. A change of AWS's is denied with what AWS says of it.
func (c *Call) ownPolicyARN(denial string, arn *string) (string, error) {
	text, account, err := c.checkPolicyARN(arn)
	switch {
	case err != nil:
		return "", err
	case account == identity.AWSAccount:
		return "", fail(codeAccessDenied, "%s", denial)
	case account != c.Caller.Account:
		return "", fail(codeNoSuchEntity, "Policy %s was not found.", text)
	}
	return text, nil
}

// inlinePolicy finds one of an entity's inline policies.
func (e entity) inlinePolicy(name *string) (identity.InlinePolicy, error) {
	i := slices.IndexFunc(e.inline, func(p identity.InlinePolicy) bool { return p.Name == aws.ToString(name) })
	if i < 0 {
		return identity.InlinePolicy{}, fail(codeNoSuchEntity, "The %s policy with name %s cannot be found.", e.kind.Noun(), aws.ToString(name))
	}
	return e.inline[i], nil
}
