package iam

import (
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// detail is one record of GetAccountAuthorizationDetails: exactly one is not nil.
type detail struct {
	user   *identity.User
	group  *identity.Group
	role   *identity.Role
	policy *identity.Policy
}

// The sections of the details, in order.
const (
	detailUsers  = "1"
	detailGroups = "2"
	detailRoles  = "3"
	detailLocal  = "4"
	detailAWS    = "5"
)

func (d detail) key() string {
	switch {
	case d.user != nil:
		return detailUsers + d.user.Name
	case d.group != nil:
		return detailGroups + d.group.Name
	case d.role != nil:
		return detailRoles + d.role.Name
	case d.policy.Account == identity.AWSAccount:
		return detailAWS + d.policy.Name
	}
	return detailLocal + d.policy.Name
}

// details walks everything in the account that the filter names; no filter
// names all.
func (c *Call) details(filter []types.EntityType) walk[detail] {
	return func(after string, yield func(detail) bool) {
		more := true
		give := func(d detail) bool {
			more = yield(d)
			return more
		}
		section := func(kind types.EntityType, section string, list func(after string)) {
			name, ahead := sectionStart(after, section)
			if more && ahead && (len(filter) == 0 || slices.Contains(filter, kind)) {
				list(name)
			}
		}
		s, account := c.state(), c.Caller.Account
		section(types.EntityTypeUser, detailUsers, func(after string) {
			s.Users(account, after, func(u *identity.User) bool { return give(detail{user: u}) })
		})
		section(types.EntityTypeGroup, detailGroups, func(after string) {
			s.Groups(account, after, func(g *identity.Group) bool { return give(detail{group: g}) })
		})
		section(types.EntityTypeRole, detailRoles, func(after string) {
			s.Roles(account, after, func(r *identity.Role) bool { return give(detail{role: r}) })
		})
		section(types.EntityTypeLocalManagedPolicy, detailLocal, func(after string) {
			s.Policies(account, after, func(p *identity.Policy) bool { return give(detail{policy: p}) })
		})
		section(types.EntityTypeAWSManagedPolicy, detailAWS, func(after string) {
			s.Policies(identity.AWSAccount, after, func(p *identity.Policy) bool { return give(detail{policy: p}) })
		})
	}
}

type getAccountAuthorizationDetails struct{}

func (getAccountAuthorizationDetails) Access(c *Call, _ *sdk.GetAccountAuthorizationDetailsInput) []Access {
	return c.anything()
}

func (getAccountAuthorizationDetails) Answer(c *Call, in *sdk.GetAccountAuthorizationDetailsInput) (*sdk.GetAccountAuthorizationDetailsOutput, error) {
	p, err := paginate("GetAccountAuthorizationDetails", in.Marker, in.MaxItems, c.details(in.Filter), detail.key, c.shownDetail)
	out := &sdk.GetAccountAuthorizationDetailsOutput{UserDetailList: []types.UserDetail{}, GroupDetailList: []types.GroupDetail{},
		RoleDetailList: []types.RoleDetail{}, Policies: []types.ManagedPolicyDetail{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, d := range p.items {
		switch d := d.(type) {
		case types.UserDetail:
			out.UserDetailList = append(out.UserDetailList, d)
		case types.GroupDetail:
			out.GroupDetailList = append(out.GroupDetailList, d)
		case types.RoleDetail:
			out.RoleDetailList = append(out.RoleDetailList, d)
		case types.ManagedPolicyDetail:
			out.Policies = append(out.Policies, d)
		}
	}
	return out, err
}

// shownDetail is a record as the answer has it.
func (c *Call) shownDetail(d detail) (any, bool) {
	switch {
	case d.user != nil:
		return c.userDetail(d.user), true
	case d.group != nil:
		return c.groupDetail(d.group), true
	case d.role != nil:
		return c.roleDetail(d.role), true
	}
	return c.policyDetail(d.policy), true
}

func (c *Call) userDetail(u *identity.User) types.UserDetail {
	shown := shownUser(u)
	groups := []string{}
	for _, g := range c.groups(u) {
		groups = append(groups, g.Name)
	}
	return types.UserDetail{Arn: shown.Arn, CreateDate: shown.CreateDate, Path: shown.Path, UserId: shown.UserId, UserName: shown.UserName,
		GroupList: groups, AttachedManagedPolicies: c.attachedDetail(u.Attached), UserPolicyList: inlineDetail(u.Inline),
		PermissionsBoundary: shownBoundary(c.policyARN(u.Boundary)), Tags: present(shownTags(u.Tags))}
}

func (c *Call) groupDetail(g *identity.Group) types.GroupDetail {
	shown := shownGroup(g)
	return types.GroupDetail{Arn: shown.Arn, CreateDate: shown.CreateDate, Path: shown.Path, GroupId: shown.GroupId, GroupName: shown.GroupName,
		AttachedManagedPolicies: c.attachedDetail(g.Attached), GroupPolicyList: present(inlineDetail(g.Inline))}
}

func (c *Call) roleDetail(r *identity.Role) types.RoleDetail {
	shown := c.shownRole(r)
	return types.RoleDetail{Arn: shown.Arn, CreateDate: shown.CreateDate, Path: shown.Path, RoleId: shown.RoleId, RoleName: shown.RoleName,
		AssumeRolePolicyDocument: shown.AssumeRolePolicyDocument, RoleLastUsed: c.roleLastUsed(r),
		AttachedManagedPolicies: c.attachedDetail(r.Attached), RolePolicyList: present(inlineDetail(r.Inline)),
		InstanceProfileList: c.instanceProfilesDetail(r), PermissionsBoundary: shownBoundary(c.policyARN(r.Boundary)),
		Tags: present(shownTags(r.Tags))}
}

func (c *Call) policyDetail(p *identity.Policy) types.ManagedPolicyDetail {
	attached, bounded := c.uses(p)
	shown := shownPolicy(p, attached, bounded)
	d := types.ManagedPolicyDetail{Arn: shown.Arn, AttachmentCount: shown.AttachmentCount, CreateDate: shown.CreateDate,
		DefaultVersionId: shown.DefaultVersionId, IsAttachable: shown.IsAttachable, Path: shown.Path,
		PermissionsBoundaryUsageCount: shown.PermissionsBoundaryUsageCount, PolicyId: shown.PolicyId, PolicyName: shown.PolicyName,
		UpdateDate: shown.UpdateDate}
	for _, v := range slices.Backward(p.Versions) {
		version := shownVersion(p, v)
		version.Document = shownDocument(v.Document)
		d.PolicyVersionList = append(d.PolicyVersionList, version)
	}
	return d
}

func (c *Call) attachedDetail(ids []identity.ID) []types.AttachedPolicy {
	list := []types.AttachedPolicy{}
	for _, id := range ids {
		if p, ok := c.state().PolicyByID(id); ok {
			list = append(list, shownAttached(p))
		}
	}
	slices.SortFunc(list, func(a, b types.AttachedPolicy) int { return strings.Compare(*a.PolicyName, *b.PolicyName) })
	return list
}

// inlineDetail is nil for none: AWS leaves UserPolicyList out, but shows the
// empty lists of groups and roles.
func inlineDetail(policies []identity.InlinePolicy) (list []types.PolicyDetail) {
	for _, p := range policies {
		list = append(list, types.PolicyDetail{PolicyName: aws.String(p.Name), PolicyDocument: shownDocument(p.Document)})
	}
	return list
}

// present is a list that shows even when it is empty.
func present[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
