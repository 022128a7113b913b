package iam

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
)

// attachmentActions attach managed policies.
func attachmentActions() []Action {
	return []Action{
		write("AttachGroupPolicy", attachGroupPolicy{}),
		write("AttachRolePolicy", attachRolePolicy{}),
		write("AttachUserPolicy", attachUserPolicy{}),
		write("DetachGroupPolicy", detachGroupPolicy{}),
		write("DetachRolePolicy", detachRolePolicy{}),
		write("DetachUserPolicy", detachUserPolicy{}),
		read("ListAttachedGroupPolicies", listAttachedGroupPolicies{}),
		read("ListAttachedRolePolicies", listAttachedRolePolicies{}),
		read("ListAttachedUserPolicies", listAttachedUserPolicies{}),
	}
}

type attachGroupPolicy struct {
	nothing[sdk.AttachGroupPolicyInput, sdk.AttachGroupPolicyOutput]
}

func (attachGroupPolicy) Access(c *Call, in *sdk.AttachGroupPolicyInput) []Access {
	return []Access{c.on(identity.KindGroup, in.GroupName).With(c.policyKey(in.PolicyArn))}
}

func (attachGroupPolicy) Command(c *Call, in *sdk.AttachGroupPolicyInput) (identity.Command, error) {
	return c.attach(identity.KindGroup, in.GroupName, in.PolicyArn)
}

type attachRolePolicy struct {
	nothing[sdk.AttachRolePolicyInput, sdk.AttachRolePolicyOutput]
}

func (attachRolePolicy) Access(c *Call, in *sdk.AttachRolePolicyInput) []Access {
	return []Access{c.withBoundary(identity.KindRole, in.RoleName).With(c.policyKey(in.PolicyArn))}
}

func (attachRolePolicy) Command(c *Call, in *sdk.AttachRolePolicyInput) (identity.Command, error) {
	return c.attach(identity.KindRole, in.RoleName, in.PolicyArn)
}

type attachUserPolicy struct {
	nothing[sdk.AttachUserPolicyInput, sdk.AttachUserPolicyOutput]
}

func (attachUserPolicy) Access(c *Call, in *sdk.AttachUserPolicyInput) []Access {
	return []Access{c.withBoundary(identity.KindUser, in.UserName).With(c.policyKey(in.PolicyArn))}
}

func (attachUserPolicy) Command(c *Call, in *sdk.AttachUserPolicyInput) (identity.Command, error) {
	return c.attach(identity.KindUser, in.UserName, in.PolicyArn)
}

func (c *Call) attach(kind identity.Kind, name, policyARN *string) (identity.Command, error) {
	arn, _, err := c.checkPolicyARN(policyARN)
	if err == nil {
		err = c.mayHave(kind, name, arn)
	}
	if err != nil {
		return nil, err
	}
	return &identity.AttachPolicy{Owner: c.owner(kind, name), Policy: arn}, nil
}

// mayHave refuses a policy that AWS keeps for the role of one of its services, be it in
// the catalogue or not, to every other entity. One that is not there, or belongs to a
// service, is refused as such by the command.
func (c *Call) mayHave(kind identity.Kind, name *string, policyARN string) error {
	e, ok := c.target(kind, name)
	switch {
	case !ok || !strings.HasPrefix(policyARN, c.linkedPolicyARN()):
		return nil
	case kind != identity.KindRole:
		return fail(codePolicyNotAttachable, "The policy %s can only be attached to the service-linked role of its service.", policyARN)
	case strings.HasPrefix(e.Path, reservedRolePaths[0]):
		return nil
	}
	return fail(codePolicyNotAttachable, "Cannot attach a Service Role Policy to a Customer Role.")
}

type detachGroupPolicy struct {
	nothing[sdk.DetachGroupPolicyInput, sdk.DetachGroupPolicyOutput]
}

func (detachGroupPolicy) Access(c *Call, in *sdk.DetachGroupPolicyInput) []Access {
	return []Access{c.on(identity.KindGroup, in.GroupName).With(c.policyKey(in.PolicyArn))}
}

func (detachGroupPolicy) Command(c *Call, in *sdk.DetachGroupPolicyInput) (identity.Command, error) {
	return c.detach(identity.KindGroup, in.GroupName, in.PolicyArn)
}

type detachRolePolicy struct {
	nothing[sdk.DetachRolePolicyInput, sdk.DetachRolePolicyOutput]
}

func (detachRolePolicy) Access(c *Call, in *sdk.DetachRolePolicyInput) []Access {
	return []Access{c.withBoundary(identity.KindRole, in.RoleName).With(c.policyKey(in.PolicyArn))}
}

func (detachRolePolicy) Command(c *Call, in *sdk.DetachRolePolicyInput) (identity.Command, error) {
	return c.detach(identity.KindRole, in.RoleName, in.PolicyArn)
}

type detachUserPolicy struct {
	nothing[sdk.DetachUserPolicyInput, sdk.DetachUserPolicyOutput]
}

func (detachUserPolicy) Access(c *Call, in *sdk.DetachUserPolicyInput) []Access {
	return []Access{c.withBoundary(identity.KindUser, in.UserName).With(c.policyKey(in.PolicyArn))}
}

func (detachUserPolicy) Command(c *Call, in *sdk.DetachUserPolicyInput) (identity.Command, error) {
	return c.detach(identity.KindUser, in.UserName, in.PolicyArn)
}

func (c *Call) detach(kind identity.Kind, name, policyARN *string) (identity.Command, error) {
	arn, _, err := c.checkPolicyARN(policyARN)
	if err != nil {
		return nil, err
	}
	return &identity.DetachPolicy{Owner: c.owner(kind, name), Policy: arn}, nil
}

type listAttachedGroupPolicies struct{}

func (listAttachedGroupPolicies) Access(c *Call, in *sdk.ListAttachedGroupPoliciesInput) []Access {
	return []Access{c.on(identity.KindGroup, in.GroupName)}
}

func (listAttachedGroupPolicies) Answer(c *Call, in *sdk.ListAttachedGroupPoliciesInput) (*sdk.ListAttachedGroupPoliciesOutput, error) {
	p, err := c.attached("ListAttachedGroupPolicies", identity.KindGroup, in.GroupName, in.PathPrefix, in.Marker, in.MaxItems)
	return &sdk.ListAttachedGroupPoliciesOutput{AttachedPolicies: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

type listAttachedRolePolicies struct{}

func (listAttachedRolePolicies) Access(c *Call, in *sdk.ListAttachedRolePoliciesInput) []Access {
	return []Access{c.on(identity.KindRole, in.RoleName)}
}

func (listAttachedRolePolicies) Answer(c *Call, in *sdk.ListAttachedRolePoliciesInput) (*sdk.ListAttachedRolePoliciesOutput, error) {
	p, err := c.attached("ListAttachedRolePolicies", identity.KindRole, in.RoleName, in.PathPrefix, in.Marker, in.MaxItems)
	return &sdk.ListAttachedRolePoliciesOutput{AttachedPolicies: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

type listAttachedUserPolicies struct{}

func (listAttachedUserPolicies) Access(c *Call, in *sdk.ListAttachedUserPoliciesInput) []Access {
	return []Access{c.on(identity.KindUser, in.UserName)}
}

func (listAttachedUserPolicies) Answer(c *Call, in *sdk.ListAttachedUserPoliciesInput) (*sdk.ListAttachedUserPoliciesOutput, error) {
	p, err := c.attached("ListAttachedUserPolicies", identity.KindUser, in.UserName, in.PathPrefix, in.Marker, in.MaxItems)
	return &sdk.ListAttachedUserPoliciesOutput{AttachedPolicies: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
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

// inlineActions are about inline policies.
func inlineActions() []Action {
	return []Action{
		write("DeleteGroupPolicy", deleteGroupPolicy{}),
		write("DeleteRolePolicy", deleteRolePolicy{}),
		write("DeleteUserPolicy", deleteUserPolicy{}),
		read("GetGroupPolicy", getGroupPolicy{}),
		read("GetRolePolicy", getRolePolicy{}),
		read("GetUserPolicy", getUserPolicy{}),
		read("ListGroupPolicies", listGroupPolicies{}),
		read("ListRolePolicies", listRolePolicies{}),
		read("ListUserPolicies", listUserPolicies{}),
		write("PutGroupPolicy", putGroupPolicy{}),
		write("PutRolePolicy", putRolePolicy{}),
		write("PutUserPolicy", putUserPolicy{}),
	}
}

type deleteGroupPolicy struct {
	nothing[sdk.DeleteGroupPolicyInput, sdk.DeleteGroupPolicyOutput]
}

func (deleteGroupPolicy) Access(c *Call, in *sdk.DeleteGroupPolicyInput) []Access {
	return []Access{c.on(identity.KindGroup, in.GroupName)}
}

func (deleteGroupPolicy) Command(c *Call, in *sdk.DeleteGroupPolicyInput) (identity.Command, error) {
	return &identity.DeleteInlinePolicy{Owner: c.owner(identity.KindGroup, in.GroupName), Name: aws.ToString(in.PolicyName)}, nil
}

type deleteRolePolicy struct {
	nothing[sdk.DeleteRolePolicyInput, sdk.DeleteRolePolicyOutput]
}

func (deleteRolePolicy) Access(c *Call, in *sdk.DeleteRolePolicyInput) []Access {
	return []Access{c.withBoundary(identity.KindRole, in.RoleName)}
}

func (deleteRolePolicy) Command(c *Call, in *sdk.DeleteRolePolicyInput) (identity.Command, error) {
	return &identity.DeleteInlinePolicy{Owner: c.owner(identity.KindRole, in.RoleName), Name: aws.ToString(in.PolicyName)}, nil
}

type deleteUserPolicy struct {
	nothing[sdk.DeleteUserPolicyInput, sdk.DeleteUserPolicyOutput]
}

func (deleteUserPolicy) Access(c *Call, in *sdk.DeleteUserPolicyInput) []Access {
	return []Access{c.withBoundary(identity.KindUser, in.UserName)}
}

func (deleteUserPolicy) Command(c *Call, in *sdk.DeleteUserPolicyInput) (identity.Command, error) {
	return &identity.DeleteInlinePolicy{Owner: c.owner(identity.KindUser, in.UserName), Name: aws.ToString(in.PolicyName)}, nil
}

type getGroupPolicy struct{}

func (getGroupPolicy) Access(c *Call, in *sdk.GetGroupPolicyInput) []Access {
	return []Access{c.on(identity.KindGroup, in.GroupName)}
}

func (getGroupPolicy) Answer(c *Call, in *sdk.GetGroupPolicyInput) (*sdk.GetGroupPolicyOutput, error) {
	owner, name, document, err := c.inline(identity.KindGroup, in.GroupName, in.PolicyName)
	return &sdk.GetGroupPolicyOutput{GroupName: owner, PolicyName: name, PolicyDocument: document}, err
}

type getRolePolicy struct{}

func (getRolePolicy) Access(c *Call, in *sdk.GetRolePolicyInput) []Access {
	return []Access{c.on(identity.KindRole, in.RoleName)}
}

func (getRolePolicy) Answer(c *Call, in *sdk.GetRolePolicyInput) (*sdk.GetRolePolicyOutput, error) {
	owner, name, document, err := c.inline(identity.KindRole, in.RoleName, in.PolicyName)
	return &sdk.GetRolePolicyOutput{RoleName: owner, PolicyName: name, PolicyDocument: document}, err
}

type getUserPolicy struct{}

func (getUserPolicy) Access(c *Call, in *sdk.GetUserPolicyInput) []Access {
	return []Access{c.on(identity.KindUser, in.UserName)}
}

func (getUserPolicy) Answer(c *Call, in *sdk.GetUserPolicyInput) (*sdk.GetUserPolicyOutput, error) {
	owner, name, document, err := c.inline(identity.KindUser, in.UserName, in.PolicyName)
	return &sdk.GetUserPolicyOutput{UserName: owner, PolicyName: name, PolicyDocument: document}, err
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

type listGroupPolicies struct{}

func (listGroupPolicies) Access(c *Call, in *sdk.ListGroupPoliciesInput) []Access {
	return []Access{c.on(identity.KindGroup, in.GroupName)}
}

func (listGroupPolicies) Answer(c *Call, in *sdk.ListGroupPoliciesInput) (*sdk.ListGroupPoliciesOutput, error) {
	p, err := c.inlineNames("ListGroupPolicies", identity.KindGroup, in.GroupName, in.Marker, in.MaxItems)
	return &sdk.ListGroupPoliciesOutput{PolicyNames: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

type listRolePolicies struct{}

func (listRolePolicies) Access(c *Call, in *sdk.ListRolePoliciesInput) []Access {
	return []Access{c.on(identity.KindRole, in.RoleName)}
}

func (listRolePolicies) Answer(c *Call, in *sdk.ListRolePoliciesInput) (*sdk.ListRolePoliciesOutput, error) {
	p, err := c.inlineNames("ListRolePolicies", identity.KindRole, in.RoleName, in.Marker, in.MaxItems)
	return &sdk.ListRolePoliciesOutput{PolicyNames: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

type listUserPolicies struct{}

func (listUserPolicies) Access(c *Call, in *sdk.ListUserPoliciesInput) []Access {
	return []Access{c.on(identity.KindUser, in.UserName)}
}

func (listUserPolicies) Answer(c *Call, in *sdk.ListUserPoliciesInput) (*sdk.ListUserPoliciesOutput, error) {
	p, err := c.inlineNames("ListUserPolicies", identity.KindUser, in.UserName, in.Marker, in.MaxItems)
	return &sdk.ListUserPoliciesOutput{PolicyNames: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
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

type putGroupPolicy struct {
	nothing[sdk.PutGroupPolicyInput, sdk.PutGroupPolicyOutput]
}

func (putGroupPolicy) Access(c *Call, in *sdk.PutGroupPolicyInput) []Access {
	return []Access{c.on(identity.KindGroup, in.GroupName)}
}

func (putGroupPolicy) Command(c *Call, in *sdk.PutGroupPolicyInput) (identity.Command, error) {
	return putInline(c.owner(identity.KindGroup, in.GroupName), in.PolicyName, in.PolicyDocument)
}

type putRolePolicy struct {
	nothing[sdk.PutRolePolicyInput, sdk.PutRolePolicyOutput]
}

func (putRolePolicy) Access(c *Call, in *sdk.PutRolePolicyInput) []Access {
	return []Access{c.withBoundary(identity.KindRole, in.RoleName)}
}

func (putRolePolicy) Command(c *Call, in *sdk.PutRolePolicyInput) (identity.Command, error) {
	return putInline(c.owner(identity.KindRole, in.RoleName), in.PolicyName, in.PolicyDocument)
}

type putUserPolicy struct {
	nothing[sdk.PutUserPolicyInput, sdk.PutUserPolicyOutput]
}

func (putUserPolicy) Access(c *Call, in *sdk.PutUserPolicyInput) []Access {
	return []Access{c.withBoundary(identity.KindUser, in.UserName)}
}

func (putUserPolicy) Command(c *Call, in *sdk.PutUserPolicyInput) (identity.Command, error) {
	return putInline(c.owner(identity.KindUser, in.UserName), in.PolicyName, in.PolicyDocument)
}

func putInline(owner identity.Owner, name, text *string) (identity.Command, error) {
	document, err := newInlineDocument(owner, text)
	if err != nil {
		return nil, err
	}
	return &identity.PutInlinePolicy{Owner: owner, Name: aws.ToString(name), Document: document}, nil
}

// boundaryActions set permissions boundaries. Setting one is judged by the
// boundary to be, taking it away by the one there is.
func boundaryActions() []Action {
	return []Action{
		write("DeleteRolePermissionsBoundary", deleteRolePermissionsBoundary{}),
		write("DeleteUserPermissionsBoundary", deleteUserPermissionsBoundary{}),
		write("PutRolePermissionsBoundary", putRolePermissionsBoundary{}),
		write("PutUserPermissionsBoundary", putUserPermissionsBoundary{}),
	}
}

type deleteRolePermissionsBoundary struct {
	nothing[sdk.DeleteRolePermissionsBoundaryInput, sdk.DeleteRolePermissionsBoundaryOutput]
}

func (deleteRolePermissionsBoundary) Access(c *Call, in *sdk.DeleteRolePermissionsBoundaryInput) []Access {
	return []Access{c.withBoundary(identity.KindRole, in.RoleName)}
}

func (deleteRolePermissionsBoundary) Command(c *Call, in *sdk.DeleteRolePermissionsBoundaryInput) (identity.Command, error) {
	return &identity.SetBoundary{Owner: c.owner(identity.KindRole, in.RoleName)}, nil
}

type deleteUserPermissionsBoundary struct {
	nothing[sdk.DeleteUserPermissionsBoundaryInput, sdk.DeleteUserPermissionsBoundaryOutput]
}

func (deleteUserPermissionsBoundary) Access(c *Call, in *sdk.DeleteUserPermissionsBoundaryInput) []Access {
	return []Access{c.withBoundary(identity.KindUser, in.UserName)}
}

func (deleteUserPermissionsBoundary) Command(c *Call, in *sdk.DeleteUserPermissionsBoundaryInput) (identity.Command, error) {
	return &identity.SetBoundary{Owner: c.owner(identity.KindUser, in.UserName)}, nil
}

type putRolePermissionsBoundary struct {
	nothing[sdk.PutRolePermissionsBoundaryInput, sdk.PutRolePermissionsBoundaryOutput]
}

func (putRolePermissionsBoundary) Access(c *Call, in *sdk.PutRolePermissionsBoundaryInput) []Access {
	return []Access{c.on(identity.KindRole, in.RoleName).With(c.boundaryKey(in.PermissionsBoundary)...)}
}

func (putRolePermissionsBoundary) Command(c *Call, in *sdk.PutRolePermissionsBoundaryInput) (identity.Command, error) {
	return c.setBoundary(identity.KindRole, in.RoleName, in.PermissionsBoundary)
}

type putUserPermissionsBoundary struct {
	nothing[sdk.PutUserPermissionsBoundaryInput, sdk.PutUserPermissionsBoundaryOutput]
}

func (putUserPermissionsBoundary) Access(c *Call, in *sdk.PutUserPermissionsBoundaryInput) []Access {
	return []Access{c.on(identity.KindUser, in.UserName).With(c.boundaryKey(in.PermissionsBoundary)...)}
}

func (putUserPermissionsBoundary) Command(c *Call, in *sdk.PutUserPermissionsBoundaryInput) (identity.Command, error) {
	return c.setBoundary(identity.KindUser, in.UserName, in.PermissionsBoundary)
}

func (c *Call) setBoundary(kind identity.Kind, name, arn *string) (identity.Command, error) {
	boundary, err := c.newBoundary(arn)
	if err == nil {
		err = c.mayHave(kind, name, boundary)
	}
	if err != nil {
		return nil, err
	}
	return &identity.SetBoundary{Owner: c.owner(kind, name), Policy: boundary}, nil
}

// newBoundary checks the ARN of a permissions boundary; none is empty.
func (c *Call) newBoundary(arn *string) (string, error) {
	if arn == nil {
		return "", nil
	}
	text, _, err := c.checkPolicyARN(arn)
	return text, err
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
