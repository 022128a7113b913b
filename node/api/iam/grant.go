package iam

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
)

// attachmentActions attach managed policies.
var attachmentActions = []Action{
	write("AttachGroupPolicy", func(c *Call, in *sdk.AttachGroupPolicyInput) []Access {
		return []Access{c.on(identity.KindGroup, in.GroupName).With(c.policyKey(in.PolicyArn))}
	}, func(c *Call, in *sdk.AttachGroupPolicyInput) (identity.Command, error) {
		return c.attach(identity.KindGroup, in.GroupName, in.PolicyArn)
	}, nothing[sdk.AttachGroupPolicyInput, sdk.AttachGroupPolicyOutput]),
	write("AttachRolePolicy", func(c *Call, in *sdk.AttachRolePolicyInput) []Access {
		return []Access{c.withBoundary(identity.KindRole, in.RoleName).With(c.policyKey(in.PolicyArn))}
	}, func(c *Call, in *sdk.AttachRolePolicyInput) (identity.Command, error) {
		return c.attach(identity.KindRole, in.RoleName, in.PolicyArn)
	}, nothing[sdk.AttachRolePolicyInput, sdk.AttachRolePolicyOutput]),
	write("AttachUserPolicy", func(c *Call, in *sdk.AttachUserPolicyInput) []Access {
		return []Access{c.withBoundary(identity.KindUser, in.UserName).With(c.policyKey(in.PolicyArn))}
	}, func(c *Call, in *sdk.AttachUserPolicyInput) (identity.Command, error) {
		return c.attach(identity.KindUser, in.UserName, in.PolicyArn)
	}, nothing[sdk.AttachUserPolicyInput, sdk.AttachUserPolicyOutput]),
	write("DetachGroupPolicy", func(c *Call, in *sdk.DetachGroupPolicyInput) []Access {
		return []Access{c.on(identity.KindGroup, in.GroupName).With(c.policyKey(in.PolicyArn))}
	}, func(c *Call, in *sdk.DetachGroupPolicyInput) (identity.Command, error) {
		return c.detach(identity.KindGroup, in.GroupName, in.PolicyArn)
	}, nothing[sdk.DetachGroupPolicyInput, sdk.DetachGroupPolicyOutput]),
	write("DetachRolePolicy", func(c *Call, in *sdk.DetachRolePolicyInput) []Access {
		return []Access{c.withBoundary(identity.KindRole, in.RoleName).With(c.policyKey(in.PolicyArn))}
	}, func(c *Call, in *sdk.DetachRolePolicyInput) (identity.Command, error) {
		return c.detach(identity.KindRole, in.RoleName, in.PolicyArn)
	}, nothing[sdk.DetachRolePolicyInput, sdk.DetachRolePolicyOutput]),
	write("DetachUserPolicy", func(c *Call, in *sdk.DetachUserPolicyInput) []Access {
		return []Access{c.withBoundary(identity.KindUser, in.UserName).With(c.policyKey(in.PolicyArn))}
	}, func(c *Call, in *sdk.DetachUserPolicyInput) (identity.Command, error) {
		return c.detach(identity.KindUser, in.UserName, in.PolicyArn)
	}, nothing[sdk.DetachUserPolicyInput, sdk.DetachUserPolicyOutput]),
	read("ListAttachedGroupPolicies", func(c *Call, in *sdk.ListAttachedGroupPoliciesInput) []Access {
		return []Access{c.on(identity.KindGroup, in.GroupName)}
	}, listAttachedGroupPolicies),
	read("ListAttachedRolePolicies", func(c *Call, in *sdk.ListAttachedRolePoliciesInput) []Access {
		return []Access{c.on(identity.KindRole, in.RoleName)}
	}, listAttachedRolePolicies),
	read("ListAttachedUserPolicies", func(c *Call, in *sdk.ListAttachedUserPoliciesInput) []Access {
		return []Access{c.on(identity.KindUser, in.UserName)}
	}, listAttachedUserPolicies),
}

// inlineActions are about inline policies.
var inlineActions = []Action{
	write("DeleteGroupPolicy", func(c *Call, in *sdk.DeleteGroupPolicyInput) []Access {
		return []Access{c.on(identity.KindGroup, in.GroupName)}
	}, func(c *Call, in *sdk.DeleteGroupPolicyInput) (identity.Command, error) {
		return &identity.DeleteInlinePolicy{Owner: c.owner(identity.KindGroup, in.GroupName), Name: aws.ToString(in.PolicyName)}, nil
	}, nothing[sdk.DeleteGroupPolicyInput, sdk.DeleteGroupPolicyOutput]),
	write("DeleteRolePolicy", func(c *Call, in *sdk.DeleteRolePolicyInput) []Access {
		return []Access{c.withBoundary(identity.KindRole, in.RoleName)}
	}, func(c *Call, in *sdk.DeleteRolePolicyInput) (identity.Command, error) {
		return &identity.DeleteInlinePolicy{Owner: c.owner(identity.KindRole, in.RoleName), Name: aws.ToString(in.PolicyName)}, nil
	}, nothing[sdk.DeleteRolePolicyInput, sdk.DeleteRolePolicyOutput]),
	write("DeleteUserPolicy", func(c *Call, in *sdk.DeleteUserPolicyInput) []Access {
		return []Access{c.withBoundary(identity.KindUser, in.UserName)}
	}, func(c *Call, in *sdk.DeleteUserPolicyInput) (identity.Command, error) {
		return &identity.DeleteInlinePolicy{Owner: c.owner(identity.KindUser, in.UserName), Name: aws.ToString(in.PolicyName)}, nil
	}, nothing[sdk.DeleteUserPolicyInput, sdk.DeleteUserPolicyOutput]),
	read("GetGroupPolicy", func(c *Call, in *sdk.GetGroupPolicyInput) []Access {
		return []Access{c.on(identity.KindGroup, in.GroupName)}
	}, getGroupPolicy),
	read("GetRolePolicy", func(c *Call, in *sdk.GetRolePolicyInput) []Access {
		return []Access{c.on(identity.KindRole, in.RoleName)}
	}, getRolePolicy),
	read("GetUserPolicy", func(c *Call, in *sdk.GetUserPolicyInput) []Access {
		return []Access{c.on(identity.KindUser, in.UserName)}
	}, getUserPolicy),
	read("ListGroupPolicies", func(c *Call, in *sdk.ListGroupPoliciesInput) []Access {
		return []Access{c.on(identity.KindGroup, in.GroupName)}
	}, listGroupPolicies),
	read("ListRolePolicies", func(c *Call, in *sdk.ListRolePoliciesInput) []Access {
		return []Access{c.on(identity.KindRole, in.RoleName)}
	}, listRolePolicies),
	read("ListUserPolicies", func(c *Call, in *sdk.ListUserPoliciesInput) []Access {
		return []Access{c.on(identity.KindUser, in.UserName)}
	}, listUserPolicies),
	write("PutGroupPolicy", func(c *Call, in *sdk.PutGroupPolicyInput) []Access {
		return []Access{c.on(identity.KindGroup, in.GroupName)}
	}, func(c *Call, in *sdk.PutGroupPolicyInput) (identity.Command, error) {
		return putInline(c.owner(identity.KindGroup, in.GroupName), in.PolicyName, in.PolicyDocument)
	}, nothing[sdk.PutGroupPolicyInput, sdk.PutGroupPolicyOutput]),
	write("PutRolePolicy", func(c *Call, in *sdk.PutRolePolicyInput) []Access {
		return []Access{c.withBoundary(identity.KindRole, in.RoleName)}
	}, func(c *Call, in *sdk.PutRolePolicyInput) (identity.Command, error) {
		return putInline(c.owner(identity.KindRole, in.RoleName), in.PolicyName, in.PolicyDocument)
	}, nothing[sdk.PutRolePolicyInput, sdk.PutRolePolicyOutput]),
	write("PutUserPolicy", func(c *Call, in *sdk.PutUserPolicyInput) []Access {
		return []Access{c.withBoundary(identity.KindUser, in.UserName)}
	}, func(c *Call, in *sdk.PutUserPolicyInput) (identity.Command, error) {
		return putInline(c.owner(identity.KindUser, in.UserName), in.PolicyName, in.PolicyDocument)
	}, nothing[sdk.PutUserPolicyInput, sdk.PutUserPolicyOutput]),
}

// boundaryActions set permissions boundaries. Setting one is judged by the
// boundary to be, taking it away by the one there is.
var boundaryActions = []Action{
	write("DeleteRolePermissionsBoundary", func(c *Call, in *sdk.DeleteRolePermissionsBoundaryInput) []Access {
		return []Access{c.withBoundary(identity.KindRole, in.RoleName)}
	}, func(c *Call, in *sdk.DeleteRolePermissionsBoundaryInput) (identity.Command, error) {
		return &identity.SetBoundary{Owner: c.owner(identity.KindRole, in.RoleName)}, nil
	}, nothing[sdk.DeleteRolePermissionsBoundaryInput, sdk.DeleteRolePermissionsBoundaryOutput]),
	write("DeleteUserPermissionsBoundary", func(c *Call, in *sdk.DeleteUserPermissionsBoundaryInput) []Access {
		return []Access{c.withBoundary(identity.KindUser, in.UserName)}
	}, func(c *Call, in *sdk.DeleteUserPermissionsBoundaryInput) (identity.Command, error) {
		return &identity.SetBoundary{Owner: c.owner(identity.KindUser, in.UserName)}, nil
	}, nothing[sdk.DeleteUserPermissionsBoundaryInput, sdk.DeleteUserPermissionsBoundaryOutput]),
	write("PutRolePermissionsBoundary", func(c *Call, in *sdk.PutRolePermissionsBoundaryInput) []Access {
		return []Access{c.on(identity.KindRole, in.RoleName).With(c.boundaryKey(in.PermissionsBoundary)...)}
	}, func(c *Call, in *sdk.PutRolePermissionsBoundaryInput) (identity.Command, error) {
		return c.setBoundary(identity.KindRole, in.RoleName, in.PermissionsBoundary)
	}, nothing[sdk.PutRolePermissionsBoundaryInput, sdk.PutRolePermissionsBoundaryOutput]),
	write("PutUserPermissionsBoundary", func(c *Call, in *sdk.PutUserPermissionsBoundaryInput) []Access {
		return []Access{c.on(identity.KindUser, in.UserName).With(c.boundaryKey(in.PermissionsBoundary)...)}
	}, func(c *Call, in *sdk.PutUserPermissionsBoundaryInput) (identity.Command, error) {
		return c.setBoundary(identity.KindUser, in.UserName, in.PermissionsBoundary)
	}, nothing[sdk.PutUserPermissionsBoundaryInput, sdk.PutUserPermissionsBoundaryOutput]),
}

func (c *Call) attach(kind identity.Kind, name, policyARN *string) (identity.Command, error) {
	arn, _, err := checkPolicyARN(policyARN)
	if err != nil {
		return nil, err
	}
	return &identity.AttachPolicy{Owner: c.owner(kind, name), Policy: arn}, nil
}

func (c *Call) detach(kind identity.Kind, name, policyARN *string) (identity.Command, error) {
	arn, _, err := checkPolicyARN(policyARN)
	if err != nil {
		return nil, err
	}
	return &identity.DetachPolicy{Owner: c.owner(kind, name), Policy: arn}, nil
}

// attached is a page of the managed policies attached to an entity, in order of
// name. An account's own policy may have the name of one of AWS's.
func (c *Call) attached(list string, kind identity.Kind, name, prefix, marker *string, maxItems *int32) (page[types.AttachedPolicy], error) {
	e, err := c.mustFind(kind, name)
	if err != nil {
		return page[types.AttachedPolicy]{}, err
	}
	var policies []*identity.Policy
	for _, id := range e.attached {
		if p, ok := c.state().PolicyByID(id); ok {
			policies = append(policies, p)
		}
	}
	order := func(p *identity.Policy) string { return p.Name + "/" + string(p.ID) }
	return paginate(list, marker, maxItems, sorted(policies, order), order, func(p *identity.Policy) (types.AttachedPolicy, bool) {
		return shownAttached(p), strings.HasPrefix(p.Path, aws.ToString(prefix))
	})
}

func shownAttached(p *identity.Policy) types.AttachedPolicy {
	return types.AttachedPolicy{PolicyArn: aws.String(p.ARN()), PolicyName: aws.String(p.Name)}
}

func listAttachedGroupPolicies(c *Call, in *sdk.ListAttachedGroupPoliciesInput) (*sdk.ListAttachedGroupPoliciesOutput, error) {
	p, err := c.attached("ListAttachedGroupPolicies", identity.KindGroup, in.GroupName, in.PathPrefix, in.Marker, in.MaxItems)
	return &sdk.ListAttachedGroupPoliciesOutput{AttachedPolicies: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

func listAttachedRolePolicies(c *Call, in *sdk.ListAttachedRolePoliciesInput) (*sdk.ListAttachedRolePoliciesOutput, error) {
	p, err := c.attached("ListAttachedRolePolicies", identity.KindRole, in.RoleName, in.PathPrefix, in.Marker, in.MaxItems)
	return &sdk.ListAttachedRolePoliciesOutput{AttachedPolicies: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

func listAttachedUserPolicies(c *Call, in *sdk.ListAttachedUserPoliciesInput) (*sdk.ListAttachedUserPoliciesOutput, error) {
	p, err := c.attached("ListAttachedUserPolicies", identity.KindUser, in.UserName, in.PathPrefix, in.Marker, in.MaxItems)
	return &sdk.ListAttachedUserPoliciesOutput{AttachedPolicies: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

func putInline(owner identity.Owner, name, text *string) (identity.Command, error) {
	document, err := newInlineDocument(owner, text)
	if err != nil {
		return nil, err
	}
	return &identity.PutInlinePolicy{Owner: owner, Name: aws.ToString(name), Document: document}, nil
}

// inline finds an inline policy with the name of its owner.
func (c *Call) inline(kind identity.Kind, owner, name *string) (ownerName, policyName, document *string, err error) {
	e, err := c.mustFind(kind, owner)
	if err != nil {
		return nil, nil, nil, err
	}
	p, err := e.inlinePolicy(name)
	if err != nil {
		return nil, nil, nil, err
	}
	return aws.String(e.name), aws.String(p.Name), shownDocument(p.Document), nil
}

func getGroupPolicy(c *Call, in *sdk.GetGroupPolicyInput) (*sdk.GetGroupPolicyOutput, error) {
	owner, name, document, err := c.inline(identity.KindGroup, in.GroupName, in.PolicyName)
	return &sdk.GetGroupPolicyOutput{GroupName: owner, PolicyName: name, PolicyDocument: document}, err
}

func getRolePolicy(c *Call, in *sdk.GetRolePolicyInput) (*sdk.GetRolePolicyOutput, error) {
	owner, name, document, err := c.inline(identity.KindRole, in.RoleName, in.PolicyName)
	return &sdk.GetRolePolicyOutput{RoleName: owner, PolicyName: name, PolicyDocument: document}, err
}

func getUserPolicy(c *Call, in *sdk.GetUserPolicyInput) (*sdk.GetUserPolicyOutput, error) {
	owner, name, document, err := c.inline(identity.KindUser, in.UserName, in.PolicyName)
	return &sdk.GetUserPolicyOutput{UserName: owner, PolicyName: name, PolicyDocument: document}, err
}

// inlineNames is a page of the names of an entity's inline policies, in order.
func (c *Call) inlineNames(list string, kind identity.Kind, name, marker *string, maxItems *int32) (page[string], error) {
	e, err := c.mustFind(kind, name)
	if err != nil {
		return page[string]{}, err
	}
	var names []string
	for _, p := range e.inline {
		names = append(names, p.Name)
	}
	itself := func(name string) string { return name }
	return paginate(list, marker, maxItems, sorted(names, itself), itself, all[string])
}

func listGroupPolicies(c *Call, in *sdk.ListGroupPoliciesInput) (*sdk.ListGroupPoliciesOutput, error) {
	p, err := c.inlineNames("ListGroupPolicies", identity.KindGroup, in.GroupName, in.Marker, in.MaxItems)
	return &sdk.ListGroupPoliciesOutput{PolicyNames: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

func listRolePolicies(c *Call, in *sdk.ListRolePoliciesInput) (*sdk.ListRolePoliciesOutput, error) {
	p, err := c.inlineNames("ListRolePolicies", identity.KindRole, in.RoleName, in.Marker, in.MaxItems)
	return &sdk.ListRolePoliciesOutput{PolicyNames: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

func listUserPolicies(c *Call, in *sdk.ListUserPoliciesInput) (*sdk.ListUserPoliciesOutput, error) {
	p, err := c.inlineNames("ListUserPolicies", identity.KindUser, in.UserName, in.Marker, in.MaxItems)
	return &sdk.ListUserPoliciesOutput{PolicyNames: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

// newBoundary checks the ARN of a permissions boundary; none is empty.
func newBoundary(arn *string) (string, error) {
	if arn == nil {
		return "", nil
	}
	text, _, err := checkPolicyARN(arn)
	return text, err
}

func (c *Call) setBoundary(kind identity.Kind, name, arn *string) (identity.Command, error) {
	boundary, err := newBoundary(arn)
	if err != nil {
		return nil, err
	}
	return &identity.SetBoundary{Owner: c.owner(kind, name), Policy: boundary}, nil
}

// shownBoundaryType is what AWS answers, though its model says PermissionsBoundaryPolicy.
const shownBoundaryType types.PermissionsBoundaryAttachmentType = "Policy"

// shownBoundary is a permissions boundary for an answer; nil for none.
func shownBoundary(arn *string) *types.AttachedPermissionsBoundary {
	if arn == nil {
		return nil
	}
	return &types.AttachedPermissionsBoundary{PermissionsBoundaryArn: arn, PermissionsBoundaryType: shownBoundaryType}
}
