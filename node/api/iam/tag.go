package iam

import (
	"crypto/sha256"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/casefold"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/policy"
)

func tagActions() []Action {
	return []Action{
		read("ListPolicyTags", listPolicyTags{}),
		read("ListRoleTags", listRoleTags{}),
		read("ListUserTags", listUserTags{}),
		write("TagPolicy", tagPolicy{}),
		write("TagRole", tagRole{}),
		write("TagUser", tagUser{}),
		write("UntagPolicy", untagPolicy{}),
		write("UntagRole", untagRole{}),
		write("UntagUser", untagUser{}),
	}
}

// reservedTagPrefix begins the folded keys that belong to AWS, in any letter case ("Tags
// for AWS Identity and Access Management resources").
const reservedTagPrefix = "aws:"

// newTags are the tags of a request for a command. Those of one request differ in
// their keys: on users and roles by more than the letter case.
func newTags(kind identity.Kind, tags []types.Tag) ([]identity.Tag, error) {
	var list []identity.Tag
	seen := map[string]bool{}
	for _, t := range tags {
		key := aws.ToString(t.Key)
		folded := casefold.Key(key)
		if strings.HasPrefix(folded, reservedTagPrefix) {
			return nil, fail(codeInvalidInput, "Tag keys starting with 'aws:' are reserved for system use.")
		}
		if !identity.TagsFold(kind) {
			folded = key
		}
		if seen[folded] {
			return nil, fail(codeInvalidInput, "%s", identity.DuplicateTags(kind))
		}
		seen[folded] = true
		list = append(list, identity.Tag{Key: key, Value: aws.ToString(t.Value)})
	}
	return list, nil
}

// shownTags are an entity's tags for an answer; nil for none.
func shownTags(tags []identity.Tag) []types.Tag {
	var list []types.Tag
	for _, t := range tags {
		list = append(list, types.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)})
	}
	return list
}

// tag is the command of an action that tags an entity, which a policy or provider's ARN
// names and any other entity's name.
func (c *Call) tag(kind identity.Kind, name *string, tags []types.Tag) (identity.Command, error) {
	list, err := newTags(kind, tags)
	if err != nil {
		return nil, err
	}
	return &identity.TagEntity{Kind: kind, Account: c.Caller.Account, Name: aws.ToString(name), Tags: list, AnyCase: true}, nil
}

// untag is as tag, of an action that takes tags off.
func (c *Call) untag(kind identity.Kind, name *string, keys []string) identity.Command {
	return &identity.UntagEntity{Kind: kind, Account: c.Caller.Account, Name: aws.ToString(name), Keys: keys, AnyCase: true}
}

type tagPolicy struct {
	nothing[sdk.TagPolicyInput, sdk.TagPolicyOutput]
}

func (tagPolicy) Access(c *Call, in *sdk.TagPolicyInput) []Access {
	return []Access{c.onPolicy(in.PolicyArn).With(tagsKeys(in.Tags)...)}
}

func (tagPolicy) Command(c *Call, in *sdk.TagPolicyInput) (identity.Command, error) {
	arn, err := c.ownPolicyARN(c.mayNotTag("TagPolicy", in.PolicyArn), in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return c.tag(identity.KindPolicy, &arn, in.Tags)
}

type tagRole struct {
	nothing[sdk.TagRoleInput, sdk.TagRoleOutput]
}

func (tagRole) Access(c *Call, in *sdk.TagRoleInput) []Access {
	return []Access{c.on(identity.KindRole, in.RoleName).With(tagsKeys(in.Tags)...)}
}

func (tagRole) Command(c *Call, in *sdk.TagRoleInput) (identity.Command, error) {
	return c.tag(identity.KindRole, in.RoleName, in.Tags)
}

type tagUser struct {
	nothing[sdk.TagUserInput, sdk.TagUserOutput]
}

func (tagUser) Access(c *Call, in *sdk.TagUserInput) []Access {
	return []Access{c.on(identity.KindUser, in.UserName).With(tagsKeys(in.Tags)...)}
}

func (tagUser) Command(c *Call, in *sdk.TagUserInput) (identity.Command, error) {
	return c.tag(identity.KindUser, in.UserName, in.Tags)
}

type untagPolicy struct {
	nothing[sdk.UntagPolicyInput, sdk.UntagPolicyOutput]
}

func (untagPolicy) Access(c *Call, in *sdk.UntagPolicyInput) []Access {
	return []Access{c.onPolicy(in.PolicyArn).With(policy.Multi(keyTagKeys, in.TagKeys))}
}

func (untagPolicy) Command(c *Call, in *sdk.UntagPolicyInput) (identity.Command, error) {
	arn, err := c.ownPolicyARN(c.mayNotTag("UntagPolicy", in.PolicyArn), in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return c.untag(identity.KindPolicy, &arn, in.TagKeys), nil
}

type untagRole struct {
	nothing[sdk.UntagRoleInput, sdk.UntagRoleOutput]
}

func (untagRole) Access(c *Call, in *sdk.UntagRoleInput) []Access {
	return []Access{c.on(identity.KindRole, in.RoleName).With(policy.Multi(keyTagKeys, in.TagKeys))}
}

func (untagRole) Command(c *Call, in *sdk.UntagRoleInput) (identity.Command, error) {
	return c.untag(identity.KindRole, in.RoleName, in.TagKeys), nil
}

type untagUser struct {
	nothing[sdk.UntagUserInput, sdk.UntagUserOutput]
}

func (untagUser) Access(c *Call, in *sdk.UntagUserInput) []Access {
	return []Access{c.on(identity.KindUser, in.UserName).With(policy.Multi(keyTagKeys, in.TagKeys))}
}

func (untagUser) Command(c *Call, in *sdk.UntagUserInput) (identity.Command, error) {
	return c.untag(identity.KindUser, in.UserName, in.TagKeys), nil
}

// tagOrder is the place of a tag in lists: its key, made short enough for a marker.
func tagOrder(t types.Tag) string {
	const whole, head = 128, 112
	key := aws.ToString(t.Key)
	if len(key) <= whole {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return key[:head] + string(sum[:whole-head])
}

func tagPage(list string, tags []identity.Tag, marker *string, maxItems *int32) (page[types.Tag], error) {
	return paginate(list, marker, maxItems, sorted(shownTags(tags), tagOrder), tagOrder, all[types.Tag])
}

type listPolicyTags struct{}

func (listPolicyTags) Access(c *Call, in *sdk.ListPolicyTagsInput) []Access {
	return []Access{c.onPolicy(in.PolicyArn)}
}

func (listPolicyTags) Answer(c *Call, in *sdk.ListPolicyTagsInput) (*sdk.ListPolicyTagsOutput, error) {
	p, err := c.mustPolicy(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	tags, err := tagPage("ListPolicyTags", p.Tags, in.Marker, in.MaxItems)
	return &sdk.ListPolicyTagsOutput{Tags: tags.items, IsTruncated: tags.truncated, Marker: tags.marker}, err
}

type listRoleTags struct{}

func (listRoleTags) Access(c *Call, in *sdk.ListRoleTagsInput) []Access {
	return []Access{c.on(identity.KindRole, in.RoleName)}
}

func (listRoleTags) Answer(c *Call, in *sdk.ListRoleTagsInput) (*sdk.ListRoleTagsOutput, error) {
	r, err := c.mustRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	tags, err := tagPage("ListRoleTags", r.Tags, in.Marker, in.MaxItems)
	return &sdk.ListRoleTagsOutput{Tags: tags.items, IsTruncated: tags.truncated, Marker: tags.marker}, err
}

type listUserTags struct{}

func (listUserTags) Access(c *Call, in *sdk.ListUserTagsInput) []Access {
	return []Access{c.on(identity.KindUser, in.UserName)}
}

func (listUserTags) Answer(c *Call, in *sdk.ListUserTagsInput) (*sdk.ListUserTagsOutput, error) {
	u, err := c.mustUser(in.UserName)
	if err != nil {
		return nil, err
	}
	tags, err := tagPage("ListUserTags", u.Tags, in.Marker, in.MaxItems)
	return &sdk.ListUserTagsOutput{Tags: tags.items, IsTruncated: tags.truncated, Marker: tags.marker}, err
}
