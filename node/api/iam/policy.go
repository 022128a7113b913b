package iam

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

func policyActions() []Action {
	return []Action{
		write("CreatePolicy", createPolicy{}),
		write("CreatePolicyVersion", createPolicyVersion{}),
		write("DeletePolicy", deletePolicy{}),
		write("DeletePolicyVersion", deletePolicyVersion{}),
		read("GetPolicy", getPolicy{}),
		read("GetPolicyVersion", getPolicyVersion{}),
		read("ListEntitiesForPolicy", listEntitiesForPolicy{}),
		read("ListPolicies", listPolicies{}),
		read("ListPolicyVersions", listPolicyVersions{}),
		write("SetDefaultPolicyVersion", setDefaultPolicyVersion{}),
	}
}

type createPolicy struct{}

func (createPolicy) Access(c *Call, in *sdk.CreatePolicyInput) []Access {
	return creation(c.toBe(identity.KindPolicy, in.Path, in.PolicyName), in.Tags, "iam:TagPolicy")
}

func (createPolicy) Command(c *Call, in *sdk.CreatePolicyInput) (identity.Command, error) {
	tags, err := newTags(identity.KindPolicy, in.Tags)
	if err != nil {
		return nil, err
	}
	document, err := newDocument(syntax.KindManaged, in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	return &identity.CreatePolicy{Account: c.Caller.Account, ID: c.newID(identity.PolicyIDPrefix), Name: aws.ToString(in.PolicyName),
		Path: pathOr(in.Path), Description: aws.ToString(in.Description), Document: document, Tags: tags}, nil
}

// Render leaves the description out, as AWS does.
func (createPolicy) Render(c *Call, _ *sdk.CreatePolicyInput, b *event.Batch) (*sdk.CreatePolicyOutput, error) {
	e, err := one[*identity.PolicyCreated](b)
	if err != nil {
		return nil, err
	}
	p := shownPolicy(&identity.Policy{In: c.partition(), ID: e.ID, Account: e.Account, Name: e.Name, Path: e.Path, Created: e.Created, Updated: e.Created, Default: 1}, 0, 0)
	p.Tags = shownTags(e.Tags)
	return &sdk.CreatePolicyOutput{Policy: &p}, nil
}

// shownPolicy is what every answer about a managed policy has.
func shownPolicy(p *identity.Policy, attached, bounded int) types.Policy {
	return types.Policy{Arn: aws.String(p.ARN()), CreateDate: shownTime(p.Created), UpdateDate: shownTime(p.Updated),
		Path: aws.String(p.Path), PolicyId: aws.String(string(p.ID)), PolicyName: aws.String(p.Name), IsAttachable: true,
		DefaultVersionId: shownVersionID(p.Default), AttachmentCount: aws.Int32(int32(attached)),
		PermissionsBoundaryUsageCount: aws.Int32(int32(bounded))}
}

// holderCost is about what it takes to find out whose a holder of a policy is.
const holderCost = 30

// uses is how many of the account's entities have a policy attached, and how
// many have it as their boundary.
func (c *Call) uses(p *identity.Policy) (attached, bounded int) {
	if p.Account == c.Caller.Account || c.state().NumAccounts() == 1 {
		return c.state().AttachmentCount(p.ID), c.state().BoundaryUsageCount(p.ID)
	}
	// AWS's policies are attached in every account.
	mine := func(n *int) func(identity.Kind, identity.ID) bool {
		return func(kind identity.Kind, id identity.ID) bool {
			if !c.Work.Spend(holderCost) {
				return false
			}
			if e, ok := c.entityByID(kind, id); ok && e.account == c.Caller.Account {
				*n++
			}
			return true
		}
	}
	c.state().PolicyHolders(p.ID, "", mine(&attached))
	c.state().Bounded(p.ID, "", mine(&bounded))
	return attached, bounded
}

type getPolicy struct{}

func (getPolicy) Access(c *Call, in *sdk.GetPolicyInput) []Access {
	return []Access{c.onPolicy(in.PolicyArn)}
}

func (getPolicy) Answer(c *Call, in *sdk.GetPolicyInput) (*sdk.GetPolicyOutput, error) {
	p, err := c.mustPolicy(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	attached, bounded := c.uses(p)
	shown := shownPolicy(p, attached, bounded)
	if p.Description != "" {
		shown.Description = aws.String(p.Description)
	}
	if shown.Tags = shownTags(p.Tags); shown.Tags == nil {
		shown.Tags = []types.Tag{} // present even when empty, unlike those of users and roles
	}
	return &sdk.GetPolicyOutput{Policy: &shown}, nil
}

// The sections of lists that go through the account's own policies first and
// AWS's after them.
const (
	sectionLocal = "1"
	sectionAWS   = "2"
)

// policiesIn walks the policies that the account may use and whose path begins with a
// prefix, and others where these are many. A key is a section and a name.
func (c *Call) policiesIn(local, amazon bool, prefix string) walk[*identity.Policy] {
	section := func(account identity.AccountID, after string, yield func(*identity.Policy) bool) {
		if len(prefix) <= 1 || !c.state().PoliciesBelow(account, prefix, after, yield) {
			c.state().Policies(account, after, yield)
		}
	}
	return func(after string, yield func(*identity.Policy) bool) {
		more := true
		each := func(p *identity.Policy) bool {
			more = yield(p)
			return more
		}
		if name, ok := sectionStart(after, sectionLocal); local && ok {
			section(c.Caller.Account, name, each)
		}
		if name, ok := sectionStart(after, sectionAWS); amazon && ok && more {
			section(identity.AWSAccount, name, each)
		}
	}
}

// sectionStart is where a walk from the key after begins in a section, if the
// section is not behind it already.
func sectionStart(after, section string) (name string, ok bool) {
	if name, ok = strings.CutPrefix(after, section); ok {
		return name, true
	}
	return "", after < section
}

// policySectionKey is the key of a policy in policiesIn.
func policySectionKey(p *identity.Policy) string { return policySection(p) + p.Name }

func policySection(p *identity.Policy) string {
	if p.Account == identity.AWSAccount {
		return sectionAWS
	}
	return sectionLocal
}

type listPolicies struct{}

func (listPolicies) Access(c *Call, in *sdk.ListPoliciesInput) []Access {
	// No ARN: only "*" allows it, and AWS's denial speaks of the path.
	return []Access{{Resource: "policy path " + pathOr(in.PathPrefix), Account: c.Caller.Account}}
}

func (listPolicies) Answer(c *Call, in *sdk.ListPoliciesInput) (*sdk.ListPoliciesOutput, error) {
	prefix := aws.ToString(in.PathPrefix)
	list := "ListPolicies"
	if len(prefix) > 1 {
		list = prefixed(list, prefix)
	}
	walk := c.policiesIn(in.Scope != types.PolicyScopeTypeAws, in.Scope != types.PolicyScopeTypeLocal, prefix)
	p, err := paginate(list, in.Marker, in.MaxItems, walk, policySectionKey, func(p *identity.Policy) (types.Policy, bool) {
		if !strings.HasPrefix(p.Path, prefix) {
			return types.Policy{}, false
		}
		attached, bounded := c.uses(p)
		keep := attached > 0
		switch in.PolicyUsageFilter {
		case types.PolicyUsageTypePermissionsBoundary:
			keep = bounded > 0
		case "":
			keep = keep || !in.OnlyAttached
		}
		return shownPolicy(p, attached, bounded), keep
	})
	return &sdk.ListPoliciesOutput{Policies: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

type deletePolicy struct {
	nothing[sdk.DeletePolicyInput, sdk.DeletePolicyOutput]
}

func (deletePolicy) Access(c *Call, in *sdk.DeletePolicyInput) []Access {
	return []Access{c.onPolicy(in.PolicyArn)}
}

func (deletePolicy) Command(c *Call, in *sdk.DeletePolicyInput) (identity.Command, error) {
	arn, err := c.ownPolicyARN(deletePolicies, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return &identity.DeletePolicy{ARN: arn}, nil
}

// holderRef is an entity that a policy is attached to, or whose boundary it is.
type holderRef struct {
	boundary bool
	kind     identity.Kind
	id       identity.ID
}

func (h holderRef) key() string {
	if h.boundary {
		return "2" + string(h.id)
	}
	return "1" + string(h.id)
}

// holders walks those that a policy is attached to, then those whose boundary it is.
func (c *Call) holders(policy identity.ID) walk[holderRef] {
	return func(after string, yield func(holderRef) bool) {
		more := true
		each := func(boundary bool) func(identity.Kind, identity.ID) bool {
			return func(kind identity.Kind, id identity.ID) bool {
				more = yield(holderRef{boundary, kind, id})
				return more
			}
		}
		if id, ok := sectionStart(after, "1"); ok {
			c.state().PolicyHolders(policy, identity.ID(id), each(false))
		}
		if id, ok := sectionStart(after, "2"); ok && more {
			c.state().Bounded(policy, identity.ID(id), each(true))
		}
	}
}

type listEntitiesForPolicy struct{}

func (listEntitiesForPolicy) Access(c *Call, in *sdk.ListEntitiesForPolicyInput) []Access {
	return []Access{c.onPolicy(in.PolicyArn)}
}

func (listEntitiesForPolicy) Answer(c *Call, in *sdk.ListEntitiesForPolicyInput) (*sdk.ListEntitiesForPolicyOutput, error) {
	pol, err := c.mustPolicy(in.PolicyArn)
	var missing *Error
	if errors.As(err, &missing) && missing.Code == codeNoSuchEntity { // other actions on policies say "was not found"
		err = fail(codeNoSuchEntity, "Policy %s does not exist or is not attachable.", aws.ToString(in.PolicyArn))
	}
	if err != nil {
		return nil, err
	}
	p, err := paginate("ListEntitiesForPolicy", in.Marker, in.MaxItems, c.holders(pol.ID), holderRef.key, func(h holderRef) (entity, bool) {
		e, ok := c.entityByID(h.kind, h.id)
		switch in.PolicyUsageFilter {
		case types.PolicyUsageTypePermissionsPolicy:
			ok = ok && !h.boundary
		case types.PolicyUsageTypePermissionsBoundary:
			ok = ok && h.boundary
		default: // an entity that has it both ways is listed once
			ok = ok && !(h.boundary && slices.Contains(e.attached, pol.ID))
		}
		return e, ok && e.account == c.Caller.Account && strings.HasPrefix(e.path, aws.ToString(in.PathPrefix)) &&
			letsThrough(in.EntityFilter, e.kind)
	})
	out := &sdk.ListEntitiesForPolicyOutput{PolicyGroups: []types.PolicyGroup{}, PolicyRoles: []types.PolicyRole{}, PolicyUsers: []types.PolicyUser{},
		IsTruncated: p.truncated, Marker: p.marker}
	for _, e := range p.items {
		id, name := aws.String(string(e.id)), aws.String(e.name)
		switch e.kind {
		case identity.KindUser:
			out.PolicyUsers = append(out.PolicyUsers, types.PolicyUser{UserId: id, UserName: name})
		case identity.KindGroup:
			out.PolicyGroups = append(out.PolicyGroups, types.PolicyGroup{GroupId: id, GroupName: name})
		case identity.KindRole:
			out.PolicyRoles = append(out.PolicyRoles, types.PolicyRole{RoleId: id, RoleName: name})
		}
	}
	return out, err
}

// letsThrough tells whether a filter lets entities of a kind through; an empty one lets all.
func letsThrough(filter types.EntityType, kind identity.Kind) bool {
	return filter == "" || strings.EqualFold(string(filter), kind.Noun())
}

// versionNumber reads "v3"; zero is no version of any policy.
func versionNumber(id *string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(aws.ToString(id), "v"))
	if err != nil {
		return 0 // with a suffix, which the model allows and no version has, or beyond all numbers
	}
	return n
}

func shownVersionID(number int) *string { return aws.String("v" + strconv.Itoa(number)) }

func shownVersion(p *identity.Policy, v identity.PolicyVersion) types.PolicyVersion {
	return types.PolicyVersion{CreateDate: shownTime(v.Created), IsDefaultVersion: v.Number == p.Default, VersionId: shownVersionID(v.Number)}
}

type createPolicyVersion struct{}

func (createPolicyVersion) Access(c *Call, in *sdk.CreatePolicyVersionInput) []Access {
	return []Access{c.onPolicy(in.PolicyArn)}
}

func (createPolicyVersion) Command(c *Call, in *sdk.CreatePolicyVersionInput) (identity.Command, error) {
	arn, err := c.ownPolicyARN(updatePolicies, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	document, err := newDocument(syntax.KindManaged, in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	return &identity.CreatePolicyVersion{ARN: arn, Document: document, Default: in.SetAsDefault}, nil
}

func (createPolicyVersion) Render(_ *Call, _ *sdk.CreatePolicyVersionInput, b *event.Batch) (*sdk.CreatePolicyVersionOutput, error) {
	e, err := one[*identity.PolicyVersionCreated](b)
	if err != nil {
		return nil, err
	}
	return &sdk.CreatePolicyVersionOutput{PolicyVersion: &types.PolicyVersion{CreateDate: shownTime(e.Created),
		IsDefaultVersion: e.Default, VersionId: shownVersionID(e.Number)}}, nil
}

type getPolicyVersion struct{}

func (getPolicyVersion) Access(c *Call, in *sdk.GetPolicyVersionInput) []Access {
	return []Access{c.onPolicy(in.PolicyArn)}
}

func (getPolicyVersion) Answer(c *Call, in *sdk.GetPolicyVersionInput) (*sdk.GetPolicyVersionOutput, error) {
	p, err := c.mustPolicy(in.PolicyArn)
	if e := (*Error)(nil); errors.As(err, &e) && e.Code == codeNoSuchEntity {
		return nil, noSuchVersion(*in.PolicyArn, in.VersionId)
	}
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(p.Versions, func(v identity.PolicyVersion) bool { return v.Number == versionNumber(in.VersionId) })
	if i < 0 {
		return nil, noSuchVersion(*in.PolicyArn, in.VersionId)
	}
	shown := shownVersion(p, p.Versions[i])
	shown.Document = shownDocument(p.Versions[i].Document)
	return &sdk.GetPolicyVersionOutput{PolicyVersion: &shown}, nil
}

func noSuchVersion(arn string, version *string) error {
	return fail(codeNoSuchEntity, "Policy %s version %s does not exist or is not attachable.", arn, aws.ToString(version))
}

// versionOrder puts the newest version first.
func versionOrder(v types.PolicyVersion) string {
	return strconv.Itoa(math.MaxInt32 - versionNumber(v.VersionId))
}

type listPolicyVersions struct{}

func (listPolicyVersions) Access(c *Call, in *sdk.ListPolicyVersionsInput) []Access {
	return []Access{c.onPolicy(in.PolicyArn)}
}

func (listPolicyVersions) Answer(c *Call, in *sdk.ListPolicyVersionsInput) (*sdk.ListPolicyVersionsOutput, error) {
	pol, err := c.mustPolicy(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	var versions []types.PolicyVersion
	for _, v := range pol.Versions {
		versions = append(versions, shownVersion(pol, v))
	}
	p, err := paginate("ListPolicyVersions", in.Marker, in.MaxItems, sorted(versions, versionOrder), versionOrder, all[types.PolicyVersion])
	return &sdk.ListPolicyVersionsOutput{Versions: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

type deletePolicyVersion struct {
	nothing[sdk.DeletePolicyVersionInput, sdk.DeletePolicyVersionOutput]
}

func (deletePolicyVersion) Access(c *Call, in *sdk.DeletePolicyVersionInput) []Access {
	return []Access{c.onPolicy(in.PolicyArn)}
}

func (deletePolicyVersion) Command(c *Call, in *sdk.DeletePolicyVersionInput) (identity.Command, error) {
	arn, number, err := c.changeableVersion(deletePolicyVersions, in.PolicyArn, in.VersionId)
	if err != nil {
		return nil, err
	}
	return &identity.DeletePolicyVersion{ARN: arn, Number: number}, nil
}

type setDefaultPolicyVersion struct {
	nothing[sdk.SetDefaultPolicyVersionInput, sdk.SetDefaultPolicyVersionOutput]
}

func (setDefaultPolicyVersion) Access(c *Call, in *sdk.SetDefaultPolicyVersionInput) []Access {
	return []Access{c.onPolicy(in.PolicyArn)}
}

func (setDefaultPolicyVersion) Command(c *Call, in *sdk.SetDefaultPolicyVersionInput) (identity.Command, error) {
	arn, number, err := c.changeableVersion(updatePolicies, in.PolicyArn, in.VersionId)
	if err != nil {
		return nil, err
	}
	return &identity.SetDefaultPolicyVersion{ARN: arn, Number: number}, nil
}

// changeableVersion is ownPolicyARN with the number of a version.
func (c *Call) changeableVersion(denial string, arn, version *string) (string, int, error) {
	text, err := c.ownPolicyARN(denial, arn)
	if err != nil {
		return "", 0, err
	}
	number := versionNumber(version)
	if number == 0 {
		return "", 0, noSuchVersion(text, version)
	}
	return text, number, nil
}
