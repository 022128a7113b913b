package iam

import (
	"cmp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
)

func userActions() []Action {
	return []Action{
		write("CreateUser", createUser{}),
		write("DeleteUser", deleteUser{}),
		read("GetUser", getUser{}),
		read("ListUsers", listUsers{}),
		write("UpdateUser", updateUser{}),
	}
}

type createUser struct{}

func (createUser) Access(c *Call, in *sdk.CreateUserInput) []Access {
	a := c.toBe(identity.KindUser, in.Path, in.UserName).With(c.boundaryKey(in.PermissionsBoundary)...)
	return creation(a, in.Tags, "iam:TagUser")
}

func (createUser) Command(c *Call, in *sdk.CreateUserInput) (identity.Command, error) {
	tags, err := newTags(identity.KindUser, in.Tags)
	if err != nil {
		return nil, err
	}
	boundary, err := c.newBoundary(in.PermissionsBoundary)
	if err != nil {
		return nil, err
	}
	return &identity.CreateUser{Account: c.Caller.Account, ID: c.newID(identity.UserIDPrefix), Name: aws.ToString(in.UserName),
		Path: pathOr(in.Path), Boundary: boundary, Tags: tags}, nil
}

func (createUser) Render(c *Call, in *sdk.CreateUserInput, b *event.Batch) (*sdk.CreateUserOutput, error) {
	e, err := one[*identity.UserCreated](b)
	if err != nil {
		return nil, err
	}
	u := shownUser(&identity.User{In: c.partition(), ID: e.ID, Account: e.Account, Name: e.Name, Path: e.Path, Created: e.Created})
	u.Tags, u.PermissionsBoundary = shownTags(e.Tags), shownBoundary(in.PermissionsBoundary)
	return &sdk.CreateUserOutput{User: &u}, nil
}

// shownUser is a user as lists show it.
func shownUser(u *identity.User) types.User {
	return types.User{Arn: aws.String(u.ARN()), CreateDate: shownTime(u.Created), Path: aws.String(u.Path),
		UserId: aws.String(string(u.ID)), UserName: aws.String(u.Name)}
}

// signedIn is when a user or root last signed in, also with a password that is gone; nil for
// never.
func (c *Call) signedIn(owner identity.ID) *time.Time {
	if last, ok := c.state().Usage(owner).Latest(identity.PasswordCredential(owner)); ok {
		return shownTime(last.At)
	}
	return nil
}

type getUser struct{}

func (getUser) Access(c *Call, in *sdk.GetUserInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (getUser) Answer(c *Call, in *sdk.GetUserInput) (*sdk.GetUserOutput, error) {
	name := in.UserName
	if name == nil {
		if c.Caller.Kind != admission.KindUser {
			return c.getRoot()
		}
		name = &c.Caller.Name
	}
	u, err := c.mustUser(name)
	if err != nil {
		return nil, err
	}
	shown := shownUser(u)
	shown.Tags, shown.PermissionsBoundary = shownTags(u.Tags), shownBoundary(c.policyARN(u.Boundary))
	shown.PasswordLastUsed = c.signedIn(u.ID)
	return &sdk.GetUserOutput{User: &shown}, nil
}

// getRoot is what the root of an account is told of itself: it has no name and no path.
func (c *Call) getRoot() (*sdk.GetUserOutput, error) {
	a, ok := c.state().Account(c.Caller.Account)
	if !ok || c.Caller.Kind != admission.KindRoot {
		return nil, noUserName()
	}
	return &sdk.GetUserOutput{User: &types.User{Arn: aws.String(c.Caller.ARN), CreateDate: shownTime(a.Created), UserId: aws.String(string(a.ID)), PasswordLastUsed: c.signedIn(identity.ID(a.ID))}}, nil
}

// usersBelow walks the users whose path begins with a prefix.
func (c *Call) usersBelow(prefix *string) (list string, _ walk[*identity.User]) {
	s, account := c.state(), c.Caller.Account
	return below("ListUsers", prefix,
		func(after string, yield func(*identity.User) bool) { s.Users(account, after, yield) },
		func(prefix, after string, yield func(*identity.User) bool) bool {
			return s.UsersBelow(account, prefix, after, yield)
		})
}

type listUsers struct{}

func (listUsers) Access(c *Call, in *sdk.ListUsersInput) []Access {
	return c.below(identity.KindUser, in.PathPrefix)
}

func (listUsers) Answer(c *Call, in *sdk.ListUsersInput) (*sdk.ListUsersOutput, error) {
	list, walk := c.usersBelow(in.PathPrefix)
	p, err := paginate(list, in.Marker, in.MaxItems, walk, func(u *identity.User) string { return u.Name }, func(u *identity.User) (types.User, bool) {
		if !under(in.PathPrefix, u.Path) {
			return types.User{}, false
		}
		shown := shownUser(u)
		shown.PasswordLastUsed = c.signedIn(u.ID)
		return shown, true
	})
	return &sdk.ListUsersOutput{Users: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

type updateUser struct {
	nothing[sdk.UpdateUserInput, sdk.UpdateUserOutput]
}

func (updateUser) Access(c *Call, in *sdk.UpdateUserInput) []Access {
	return c.renaming(identity.KindUser, in.UserName, in.NewPath, in.NewUserName)
}

func (updateUser) Command(c *Call, in *sdk.UpdateUserInput) (identity.Command, error) {
	return &identity.UpdateUser{Account: c.Caller.Account, Name: aws.ToString(in.UserName),
		NewName: aws.ToString(in.NewUserName), NewPath: aws.ToString(in.NewPath)}, nil
}

type deleteUser struct {
	nothing[sdk.DeleteUserInput, sdk.DeleteUserOutput]
}

func (deleteUser) Access(c *Call, in *sdk.DeleteUserInput) []Access {
	return []Access{c.on(identity.KindUser, in.UserName)}
}

func (deleteUser) Command(c *Call, in *sdk.DeleteUserInput) (identity.Command, error) {
	return &identity.DeleteUser{Account: c.Caller.Account, Name: aws.ToString(in.UserName)}, nil
}

// renaming is the access that a rename or move needs: to the entity as it is and
// as it is to be ("UpdateUser" and "UpdateGroup" in the IAM API Reference).
func (c *Call) renaming(kind identity.Kind, name, newPath, newName *string) []Access {
	access := []Access{c.on(kind, name)}
	e, ok := c.target(kind, name)
	if !ok {
		return access
	}
	called := ""
	if newPath == nil { // the path that it has shows in no refusal
		newPath, called = &e.Path, kind.Noun()+" "+aws.ToString(cmp.Or(newName, name))
	}
	if newName == nil {
		newName = &e.Name
		if called == "" { // nor how its name is spelled
			called = c.partition().ARN(kind, c.Caller.Account, *newPath, aws.ToString(name))
		}
	}
	to := c.toBe(kind, newPath, newName)
	to.Named = called
	if to.Resource == access[0].Resource {
		return access
	}
	to.Context = access[0].Context // the entity takes its tags along
	return append(access, to)
}
