package iam

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/policy"
)

func instanceProfileActions() []Action {
	return []Action{
		write("AddRoleToInstanceProfile", addRoleToInstanceProfile{}),
		write("CreateInstanceProfile", createInstanceProfile{}),
		write("DeleteInstanceProfile", deleteInstanceProfile{}),
		read("GetInstanceProfile", getInstanceProfile{}),
		read("ListInstanceProfileTags", listInstanceProfileTags{}),
		read("ListInstanceProfiles", listInstanceProfiles{}),
		read("ListInstanceProfilesForRole", listInstanceProfilesForRole{}),
		write("RemoveRoleFromInstanceProfile", removeRoleFromInstanceProfile{}),
		write("TagInstanceProfile", tagInstanceProfile{}),
		write("UntagInstanceProfile", untagInstanceProfile{}),
	}
}

// profileService is whom a role is passed to with an instance profile.
const profileService = "ec2.amazonaws.com"

func (c *Call) mustInstanceProfile(name *string) (*identity.InstanceProfile, error) {
	if p, ok := c.state().InstanceProfile(c.Caller.Account, aws.ToString(name)); ok {
		return p, nil
	}
	return nil, fail(codeNoSuchEntity, "Instance Profile %s cannot be found.", aws.ToString(name))
}

// shownInstanceProfile is what every answer about an instance profile has; lists leave its
// tags out.
func (c *Call) shownInstanceProfile(p *identity.InstanceProfile) types.InstanceProfile {
	shown := types.InstanceProfile{Arn: aws.String(p.ARN()), CreateDate: shownTime(p.Created), InstanceProfileId: aws.String(string(p.ID)),
		InstanceProfileName: aws.String(p.Name), Path: aws.String(p.Path), Roles: []types.Role{}}
	if p.Role == "" {
		return shown
	}
	if r, ok := c.state().RoleByID(p.Role); ok {
		role := c.shownRole(r)
		role.Description = nil // as AWS has it in an instance profile
		shown.Roles = append(shown.Roles, role)
	}
	return shown
}

type createInstanceProfile struct{}

func (createInstanceProfile) Access(c *Call, in *sdk.CreateInstanceProfileInput) []Access {
	return creation(c.toBe(identity.KindInstanceProfile, in.Path, in.InstanceProfileName), in.Tags, "iam:TagInstanceProfile")
}

func (createInstanceProfile) Command(c *Call, in *sdk.CreateInstanceProfileInput) (identity.Command, error) {
	tags, err := newTags(identity.KindInstanceProfile, in.Tags)
	if err != nil {
		return nil, err
	}
	return &identity.CreateInstanceProfile{Account: c.Caller.Account, ID: c.newID(identity.InstanceProfileIDPrefix),
		Name: aws.ToString(in.InstanceProfileName), Path: pathOr(in.Path), Tags: tags}, nil
}

func (createInstanceProfile) Render(c *Call, _ *sdk.CreateInstanceProfileInput, b *event.Batch) (*sdk.CreateInstanceProfileOutput, error) {
	e, err := one[*identity.InstanceProfileCreated](b)
	if err != nil {
		return nil, err
	}
	shown := c.shownInstanceProfile(&identity.InstanceProfile{In: c.partition(), ID: e.ID, Account: e.Account, Name: e.Name, Path: e.Path, Created: e.Created})
	shown.Tags = shownTags(e.Tags)
	return &sdk.CreateInstanceProfileOutput{InstanceProfile: &shown}, nil
}

type deleteInstanceProfile struct {
	nothing[sdk.DeleteInstanceProfileInput, sdk.DeleteInstanceProfileOutput]
}

func (deleteInstanceProfile) Access(c *Call, in *sdk.DeleteInstanceProfileInput) []Access {
	return []Access{c.on(identity.KindInstanceProfile, in.InstanceProfileName)}
}

func (deleteInstanceProfile) Command(c *Call, in *sdk.DeleteInstanceProfileInput) (identity.Command, error) {
	return &identity.DeleteInstanceProfile{Account: c.Caller.Account, Name: aws.ToString(in.InstanceProfileName)}, nil
}

type getInstanceProfile struct{}

func (getInstanceProfile) Access(c *Call, in *sdk.GetInstanceProfileInput) []Access {
	return []Access{c.on(identity.KindInstanceProfile, in.InstanceProfileName)}
}

func (getInstanceProfile) Answer(c *Call, in *sdk.GetInstanceProfileInput) (*sdk.GetInstanceProfileOutput, error) {
	p, err := c.mustInstanceProfile(in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	shown := c.shownInstanceProfile(p)
	shown.Tags = present(shownTags(p.Tags))
	return &sdk.GetInstanceProfileOutput{InstanceProfile: &shown}, nil
}

// instanceProfilesBelow walks the instance profiles whose path begins with a prefix.
func (c *Call) instanceProfilesBelow(prefix *string) (list string, _ walk[*identity.InstanceProfile]) {
	s, account := c.state(), c.Caller.Account
	return below("ListInstanceProfiles", prefix,
		func(after string, yield func(*identity.InstanceProfile) bool) {
			s.InstanceProfiles(account, after, yield)
		},
		func(prefix, after string, yield func(*identity.InstanceProfile) bool) bool {
			return s.InstanceProfilesBelow(account, prefix, after, yield)
		})
}

type listInstanceProfiles struct{}

func (listInstanceProfiles) Access(c *Call, in *sdk.ListInstanceProfilesInput) []Access {
	return c.below(identity.KindInstanceProfile, in.PathPrefix)
}

func (listInstanceProfiles) Answer(c *Call, in *sdk.ListInstanceProfilesInput) (*sdk.ListInstanceProfilesOutput, error) {
	list, walk := c.instanceProfilesBelow(in.PathPrefix)
	p, err := paginate(list, in.Marker, in.MaxItems, walk, func(p *identity.InstanceProfile) string { return p.Name }, func(p *identity.InstanceProfile) (types.InstanceProfile, bool) {
		if !under(in.PathPrefix, p.Path) {
			return types.InstanceProfile{}, false
		}
		return c.listedInstanceProfile(p)
	})
	return &sdk.ListInstanceProfilesOutput{InstanceProfiles: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

func (c *Call) listedInstanceProfile(p *identity.InstanceProfile) (types.InstanceProfile, bool) {
	return c.shownInstanceProfile(p), true
}

type listInstanceProfilesForRole struct{}

func (listInstanceProfilesForRole) Access(c *Call, in *sdk.ListInstanceProfilesForRoleInput) []Access {
	return []Access{c.on(identity.KindRole, in.RoleName)}
}

func (listInstanceProfilesForRole) Answer(c *Call, in *sdk.ListInstanceProfilesForRoleInput) (*sdk.ListInstanceProfilesForRoleOutput, error) {
	r, err := c.mustRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	id := func(p *identity.InstanceProfile) string { return string(p.ID) }
	p, err := paginate("ListInstanceProfilesForRole", in.Marker, in.MaxItems, c.instanceProfilesOf(r), id, c.listedInstanceProfile)
	return &sdk.ListInstanceProfilesForRoleOutput{InstanceProfiles: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

// instanceProfilesOf walks the instance profiles that carry a role.
func (c *Call) instanceProfilesOf(r *identity.Role) walk[*identity.InstanceProfile] {
	return func(after string, yield func(*identity.InstanceProfile) bool) {
		c.state().InstanceProfilesOf(r.ID, identity.ID(after), yield)
	}
}

// maxProfilesInDetail is how many instance profiles the details of one role show: as many
// as an account of AWS has at most by default. More would make one item of a page endless.
const maxProfilesInDetail = 1000

// instanceProfilesDetail are the instance profiles in the details of a role.
func (c *Call) instanceProfilesDetail(r *identity.Role) []types.InstanceProfile {
	list := []types.InstanceProfile{}
	c.state().InstanceProfilesOf(r.ID, "", func(p *identity.InstanceProfile) bool {
		list = append(list, c.shownInstanceProfile(p))
		return len(list) < maxProfilesInDetail
	})
	return list
}

type addRoleToInstanceProfile struct {
	nothing[sdk.AddRoleToInstanceProfileInput, sdk.AddRoleToInstanceProfileOutput]
}

// Access asks for iam:PassRole, too: whoever runs a machine with the instance profile acts
// as the role.
func (addRoleToInstanceProfile) Access(c *Call, in *sdk.AddRoleToInstanceProfileInput) []Access {
	pass := c.on(identity.KindRole, in.RoleName).As(actionPassRole)
	return []Access{c.on(identity.KindInstanceProfile, in.InstanceProfileName), pass.With(policy.Single(keyPassedToService, profileService))}
}

func (addRoleToInstanceProfile) Command(c *Call, in *sdk.AddRoleToInstanceProfileInput) (identity.Command, error) {
	return &identity.AddRoleToInstanceProfile{Account: c.Caller.Account, Profile: aws.ToString(in.InstanceProfileName), Role: aws.ToString(in.RoleName)}, nil
}

type removeRoleFromInstanceProfile struct {
	nothing[sdk.RemoveRoleFromInstanceProfileInput, sdk.RemoveRoleFromInstanceProfileOutput]
}

func (removeRoleFromInstanceProfile) Access(c *Call, in *sdk.RemoveRoleFromInstanceProfileInput) []Access {
	return []Access{c.on(identity.KindInstanceProfile, in.InstanceProfileName)}
}

func (removeRoleFromInstanceProfile) Command(c *Call, in *sdk.RemoveRoleFromInstanceProfileInput) (identity.Command, error) {
	return &identity.RemoveRoleFromInstanceProfile{Account: c.Caller.Account, Profile: aws.ToString(in.InstanceProfileName), Role: aws.ToString(in.RoleName)}, nil
}

type listInstanceProfileTags struct{}

func (listInstanceProfileTags) Access(c *Call, in *sdk.ListInstanceProfileTagsInput) []Access {
	return []Access{c.on(identity.KindInstanceProfile, in.InstanceProfileName)}
}

func (listInstanceProfileTags) Answer(c *Call, in *sdk.ListInstanceProfileTagsInput) (*sdk.ListInstanceProfileTagsOutput, error) {
	p, err := c.mustInstanceProfile(in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	tags, err := tagPage("ListInstanceProfileTags", p.Tags, in.Marker, in.MaxItems)
	return &sdk.ListInstanceProfileTagsOutput{Tags: tags.items, IsTruncated: tags.truncated, Marker: tags.marker}, err
}

type tagInstanceProfile struct {
	nothing[sdk.TagInstanceProfileInput, sdk.TagInstanceProfileOutput]
}

func (tagInstanceProfile) Access(c *Call, in *sdk.TagInstanceProfileInput) []Access {
	return []Access{c.on(identity.KindInstanceProfile, in.InstanceProfileName).With(tagsKeys(in.Tags)...)}
}

func (tagInstanceProfile) Command(c *Call, in *sdk.TagInstanceProfileInput) (identity.Command, error) {
	return c.tag(identity.KindInstanceProfile, in.InstanceProfileName, in.Tags)
}

type untagInstanceProfile struct {
	nothing[sdk.UntagInstanceProfileInput, sdk.UntagInstanceProfileOutput]
}

func (untagInstanceProfile) Access(c *Call, in *sdk.UntagInstanceProfileInput) []Access {
	return []Access{c.on(identity.KindInstanceProfile, in.InstanceProfileName).With(policy.Multi(keyTagKeys, in.TagKeys))}
}

func (untagInstanceProfile) Command(c *Call, in *sdk.UntagInstanceProfileInput) (identity.Command, error) {
	return c.untag(identity.KindInstanceProfile, in.InstanceProfileName, in.TagKeys), nil
}
