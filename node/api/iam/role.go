package iam

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

func roleActions() []Action {
	return []Action{
		write("CreateRole", createRole{}),
		write("DeleteRole", deleteRole{}),
		read("GetRole", getRole{}),
		read("ListRoles", listRoles{}),
		write("UpdateAssumeRolePolicy", updateAssumeRolePolicy{}),
		write("UpdateRole", updateRole{}),
		write("UpdateRoleDescription", updateRoleDescription{}),
	}
}

// reservedRolePaths begin the paths of roles that services make for themselves.
// Organizations' policies do not bind those ("Service control policies" in the
// Organizations User Guide), so nobody else may make one.
var reservedRolePaths = []string{"/aws-service-role/", "/aws-reserved/"}

type createRole struct{}

func (createRole) Access(c *Call, in *sdk.CreateRoleInput) []Access {
	a := c.toBe(identity.KindRole, in.Path, in.RoleName).With(c.boundaryKey(in.PermissionsBoundary)...)
	return creation(a, in.Tags, "iam:TagRole")
}

func (createRole) Command(c *Call, in *sdk.CreateRoleInput) (identity.Command, error) {
	for _, path := range reservedRolePaths {
		if strings.HasPrefix(pathOr(in.Path), path) {
			return nil, fail(codeInvalidInput, "Role path %s is reserved.", path)
		}
	}
	tags, err := newTags(identity.KindRole, in.Tags)
	if err != nil {
		return nil, err
	}
	boundary, err := c.newBoundary(in.PermissionsBoundary)
	if err != nil {
		return nil, err
	}
	trust, err := c.newTrust(in.AssumeRolePolicyDocument)
	if err != nil {
		return nil, err
	}
	return &identity.CreateRole{Account: c.Caller.Account, ID: c.newID(identity.RoleIDPrefix), Name: aws.ToString(in.RoleName),
		Path: pathOr(in.Path), Description: aws.ToString(in.Description), MaxSession: int(aws.ToInt32(in.MaxSessionDuration)),
		Trust: trust, Boundary: boundary, Tags: tags}, nil
}

// Render leaves the description and the longest session out, and tells the trust policy as
// it was given, not as it is stored, as AWS does.
func (createRole) Render(c *Call, in *sdk.CreateRoleInput, b *event.Batch) (*sdk.CreateRoleOutput, error) {
	e, err := one[*identity.RoleCreated](b)
	if err != nil {
		return nil, err
	}
	r := c.shownRole(&identity.Role{In: c.partition(), ID: e.ID, Account: e.Account, Name: e.Name, Path: e.Path, Trust: e.Trust, Created: e.Created})
	r.AssumeRolePolicyDocument = shownDocument(aws.ToString(in.AssumeRolePolicyDocument))
	r.Tags, r.PermissionsBoundary = shownTags(e.Tags), shownBoundary(in.PermissionsBoundary)
	return &sdk.CreateRoleOutput{Role: &r}, nil
}

// shownRole is what every answer about a role has.
func (c *Call) shownRole(r *identity.Role) types.Role {
	shown := types.Role{Arn: aws.String(r.ARN()), CreateDate: shownTime(r.Created), Path: aws.String(r.Path),
		RoleId: aws.String(string(r.ID)), RoleName: aws.String(r.Name), AssumeRolePolicyDocument: c.shownTrust(r.Trust)}
	if r.Description != "" {
		shown.Description = aws.String(r.Description)
	}
	return shown
}

type getRole struct{}

func (getRole) Access(c *Call, in *sdk.GetRoleInput) []Access {
	return []Access{c.withBoundary(identity.KindRole, in.RoleName)}
}

func (getRole) Answer(c *Call, in *sdk.GetRoleInput) (*sdk.GetRoleOutput, error) {
	r, err := c.mustRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	shown := c.shownRole(r)
	shown.MaxSessionDuration = aws.Int32(int32(r.MaxSession))
	shown.Tags, shown.PermissionsBoundary = shownTags(r.Tags), shownBoundary(c.policyARN(r.Boundary))
	shown.RoleLastUsed = c.roleLastUsed(r)
	return &sdk.GetRoleOutput{Role: &shown}, nil
}

// rolesBelow walks the roles whose path begins with a prefix.
func (c *Call) rolesBelow(prefix *string) (list string, _ walk[*identity.Role]) {
	s, account := c.state(), c.Caller.Account
	return below("ListRoles", prefix,
		func(after string, yield func(*identity.Role) bool) { s.Roles(account, after, yield) },
		func(prefix, after string, yield func(*identity.Role) bool) bool {
			return s.RolesBelow(account, prefix, after, yield)
		})
}

// roleLastUsed is when and where a role was used last, as far as nodes have told.
func (c *Call) roleLastUsed(r *identity.Role) *types.RoleLastUsed {
	last, used := c.state().Usage(r.ID).Latest(string(r.ID))
	if !used {
		return &types.RoleLastUsed{}
	}
	return &types.RoleLastUsed{LastUsedDate: shownTime(last.At), Region: textOrNil(last.Region)}
}

type listRoles struct{}

func (listRoles) Access(c *Call, in *sdk.ListRolesInput) []Access {
	return c.below(identity.KindRole, in.PathPrefix)
}

func (listRoles) Answer(c *Call, in *sdk.ListRolesInput) (*sdk.ListRolesOutput, error) {
	list, walk := c.rolesBelow(in.PathPrefix)
	p, err := paginate(list, in.Marker, in.MaxItems, walk, func(r *identity.Role) string { return r.Name }, func(r *identity.Role) (types.Role, bool) {
		if !under(in.PathPrefix, r.Path) {
			return types.Role{}, false // before the work of showing one
		}
		shown := c.shownRole(r)
		shown.MaxSessionDuration = aws.Int32(int32(r.MaxSession))
		return shown, true
	})
	return &sdk.ListRolesOutput{Roles: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

type updateRole struct {
	nothing[sdk.UpdateRoleInput, sdk.UpdateRoleOutput]
}

func (updateRole) Access(c *Call, in *sdk.UpdateRoleInput) []Access {
	return []Access{c.withBoundary(identity.KindRole, in.RoleName)}
}

func (updateRole) Command(c *Call, in *sdk.UpdateRoleInput) (identity.Command, error) {
	cmd := &identity.UpdateRole{Account: c.Caller.Account, Name: aws.ToString(in.RoleName), Description: in.Description}
	if in.MaxSessionDuration != nil {
		cmd.MaxSession = aws.Int(int(*in.MaxSessionDuration))
	}
	return cmd, nil
}

type updateRoleDescription struct{}

func (updateRoleDescription) Access(c *Call, in *sdk.UpdateRoleDescriptionInput) []Access {
	return []Access{c.withBoundary(identity.KindRole, in.RoleName)}
}

func (updateRoleDescription) Command(c *Call, in *sdk.UpdateRoleDescriptionInput) (identity.Command, error) {
	return &identity.UpdateRole{Account: c.Caller.Account, Name: aws.ToString(in.RoleName), Description: in.Description}, nil
}

func (updateRoleDescription) Render(c *Call, _ *sdk.UpdateRoleDescriptionInput, b *event.Batch) (*sdk.UpdateRoleDescriptionOutput, error) {
	e, err := one[*identity.RoleUpdated](b)
	if err != nil {
		return nil, err
	}
	r, ok := c.state().RoleByID(e.ID)
	if !ok { // deleted between the command and its retry
		return nil, fail(codeNoSuchEntity, "The role with id %s cannot be found.", e.ID)
	}
	updated := *r
	updated.Description = e.Description
	shown := c.shownRole(&updated)
	return &sdk.UpdateRoleDescriptionOutput{Role: &shown}, nil
}

type updateAssumeRolePolicy struct {
	nothing[sdk.UpdateAssumeRolePolicyInput, sdk.UpdateAssumeRolePolicyOutput]
}

func (updateAssumeRolePolicy) Access(c *Call, in *sdk.UpdateAssumeRolePolicyInput) []Access {
	return []Access{c.withBoundary(identity.KindRole, in.RoleName)}
}

func (updateAssumeRolePolicy) Command(c *Call, in *sdk.UpdateAssumeRolePolicyInput) (identity.Command, error) {
	trust, err := c.newTrust(in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	return &identity.UpdateTrust{Account: c.Caller.Account, Name: aws.ToString(in.RoleName), Trust: trust}, nil
}

type deleteRole struct {
	nothing[sdk.DeleteRoleInput, sdk.DeleteRoleOutput]
}

func (deleteRole) Access(c *Call, in *sdk.DeleteRoleInput) []Access {
	return []Access{c.withBoundary(identity.KindRole, in.RoleName)}
}

func (deleteRole) Command(c *Call, in *sdk.DeleteRoleInput) (identity.Command, error) {
	return &identity.DeleteRole{Account: c.Caller.Account, Name: aws.ToString(in.RoleName)}, nil
}
