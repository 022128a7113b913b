package iam

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

func groupActions() []Action {
	return []Action{
		write("AddUserToGroup", addUserToGroup{}),
		write("CreateGroup", createGroup{}),
		write("DeleteGroup", deleteGroup{}),
		read("GetGroup", getGroup{}),
		read("ListGroups", listGroups{}),
		read("ListGroupsForUser", listGroupsForUser{}),
		write("RemoveUserFromGroup", removeUserFromGroup{}),
		write("UpdateGroup", updateGroup{}),
	}
}

type createGroup struct{}

func (createGroup) Access(c *Call, in *sdk.CreateGroupInput) []Access {
	return []Access{c.toBe(identity.KindGroup, in.Path, in.GroupName)}
}

func (createGroup) Command(c *Call, in *sdk.CreateGroupInput) (identity.Command, error) {
	return &identity.CreateGroup{Account: c.Caller.Account, ID: c.newID(identity.GroupIDPrefix),
		Name: aws.ToString(in.GroupName), Path: pathOr(in.Path)}, nil
}

func (createGroup) Render(c *Call, _ *sdk.CreateGroupInput, b *event.Batch) (*sdk.CreateGroupOutput, error) {
	e, err := one[*identity.GroupCreated](b)
	if err != nil {
		return nil, err
	}
	g := shownGroup(&identity.Group{In: c.partition(), ID: e.ID, Account: e.Account, Name: e.Name, Path: e.Path, Created: e.Created})
	return &sdk.CreateGroupOutput{Group: &g}, nil
}

func shownGroup(g *identity.Group) types.Group {
	return types.Group{Arn: aws.String(g.ARN()), CreateDate: shownTime(g.Created), Path: aws.String(g.Path),
		GroupId: aws.String(string(g.ID)), GroupName: aws.String(g.Name)}
}

type getGroup struct{}

func (getGroup) Access(c *Call, in *sdk.GetGroupInput) []Access {
	return []Access{c.on(identity.KindGroup, in.GroupName)}
}

func (getGroup) Answer(c *Call, in *sdk.GetGroupInput) (*sdk.GetGroupOutput, error) {
	g, err := c.mustGroup(in.GroupName)
	if err != nil {
		return nil, err
	}
	members := func(after string, yield func(*identity.User) bool) {
		c.state().GroupUsers(g.ID, identity.ID(after), yield)
	}
	id := func(u *identity.User) string { return string(u.ID) }
	p, err := paginate("GetGroup", in.Marker, in.MaxItems, members, id, func(u *identity.User) (types.User, bool) {
		return shownUser(u), true
	})
	shown := shownGroup(g)
	return &sdk.GetGroupOutput{Group: &shown, Users: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

// groupsBelow walks the groups whose path begins with a prefix.
func (c *Call) groupsBelow(prefix *string) (list string, _ walk[*identity.Group]) {
	s, account := c.state(), c.Caller.Account
	return below("ListGroups", prefix,
		func(after string, yield func(*identity.Group) bool) { s.Groups(account, after, yield) },
		func(prefix, after string, yield func(*identity.Group) bool) bool {
			return s.GroupsBelow(account, prefix, after, yield)
		})
}

type listGroups struct{}

func (listGroups) Access(c *Call, in *sdk.ListGroupsInput) []Access {
	return c.below(identity.KindGroup, in.PathPrefix)
}

func (listGroups) Answer(c *Call, in *sdk.ListGroupsInput) (*sdk.ListGroupsOutput, error) {
	list, walk := c.groupsBelow(in.PathPrefix)
	p, err := paginate(list, in.Marker, in.MaxItems, walk, groupName, func(g *identity.Group) (types.Group, bool) {
		return shownGroup(g), under(in.PathPrefix, g.Path)
	})
	return &sdk.ListGroupsOutput{Groups: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

func groupName(g *identity.Group) string { return g.Name }

type listGroupsForUser struct{}

func (listGroupsForUser) Access(c *Call, in *sdk.ListGroupsForUserInput) []Access {
	return []Access{c.on(identity.KindUser, in.UserName)}
}

func (listGroupsForUser) Answer(c *Call, in *sdk.ListGroupsForUserInput) (*sdk.ListGroupsForUserOutput, error) {
	u, err := c.mustUser(in.UserName)
	if err != nil {
		return nil, err
	}
	p, err := paginate("ListGroupsForUser", in.Marker, in.MaxItems, sorted(c.groups(u), groupName), groupName,
		func(g *identity.Group) (types.Group, bool) { return shownGroup(g), true })
	return &sdk.ListGroupsForUserOutput{Groups: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

// groups are those that a user is in.
func (c *Call) groups(u *identity.User) (list []*identity.Group) {
	for _, id := range u.Groups {
		if g, ok := c.state().GroupByID(id); ok {
			list = append(list, g)
		}
	}
	return list
}

type updateGroup struct {
	nothing[sdk.UpdateGroupInput, sdk.UpdateGroupOutput]
}

func (updateGroup) Access(c *Call, in *sdk.UpdateGroupInput) []Access {
	return c.renaming(identity.KindGroup, in.GroupName, in.NewPath, in.NewGroupName)
}

func (updateGroup) Command(c *Call, in *sdk.UpdateGroupInput) (identity.Command, error) {
	return &identity.UpdateGroup{Account: c.Caller.Account, Name: aws.ToString(in.GroupName),
		NewName: aws.ToString(in.NewGroupName), NewPath: aws.ToString(in.NewPath)}, nil
}

type deleteGroup struct {
	nothing[sdk.DeleteGroupInput, sdk.DeleteGroupOutput]
}

func (deleteGroup) Access(c *Call, in *sdk.DeleteGroupInput) []Access {
	return []Access{c.on(identity.KindGroup, in.GroupName)}
}

func (deleteGroup) Command(c *Call, in *sdk.DeleteGroupInput) (identity.Command, error) {
	return &identity.DeleteGroup{Account: c.Caller.Account, Name: aws.ToString(in.GroupName)}, nil
}

type addUserToGroup struct {
	nothing[sdk.AddUserToGroupInput, sdk.AddUserToGroupOutput]
}

func (addUserToGroup) Access(c *Call, in *sdk.AddUserToGroupInput) []Access {
	return []Access{c.on(identity.KindGroup, in.GroupName)}
}

func (addUserToGroup) Command(c *Call, in *sdk.AddUserToGroupInput) (identity.Command, error) {
	return &identity.AddUserToGroup{Account: c.Caller.Account, Group: aws.ToString(in.GroupName), User: aws.ToString(in.UserName)}, nil
}

type removeUserFromGroup struct {
	nothing[sdk.RemoveUserFromGroupInput, sdk.RemoveUserFromGroupOutput]
}

func (removeUserFromGroup) Access(c *Call, in *sdk.RemoveUserFromGroupInput) []Access {
	return []Access{c.on(identity.KindGroup, in.GroupName)}
}

func (removeUserFromGroup) Command(c *Call, in *sdk.RemoveUserFromGroupInput) (identity.Command, error) {
	return &identity.RemoveUserFromGroup{Account: c.Caller.Account, Group: aws.ToString(in.GroupName), User: aws.ToString(in.UserName)}, nil
}
