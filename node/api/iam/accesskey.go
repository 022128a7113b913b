package iam

import (
	"cmp"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
)

// accessKeyActions are about the caller's own keys when they name no user, the root's
// among them.
func accessKeyActions() []Action {
	return []Action{
		write("CreateAccessKey", createAccessKey{}),
		write("DeleteAccessKey", deleteAccessKey{}),
		read("GetAccessKeyLastUsed", getAccessKeyLastUsed{}),
		read("ListAccessKeys", listAccessKeys{}),
		write("UpdateAccessKey", updateAccessKey{}),
	}
}

// keyHolder is the name of the user whose keys a call is about; empty for the root.
func (c *Call) keyHolder(name *string) (string, error) {
	switch {
	case name != nil:
		return *name, nil
	case c.Caller.Kind == admission.KindUser:
		return c.Caller.Name, nil
	case c.Caller.Kind == admission.KindRoot:
		return "", nil
	}
	return "", noUserName()
}

// noUserName is what a caller is told who is no user and names none.
func noUserName() error {
	return fail(codeValidationError, "Must specify userName when calling with non-User credentials")
}

type createAccessKey struct{}

func (createAccessKey) Access(c *Call, in *sdk.CreateAccessKeyInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (createAccessKey) Command(c *Call, in *sdk.CreateAccessKeyInput) (identity.Command, error) {
	user, err := c.keyHolder(in.UserName)
	if err != nil {
		return nil, err
	}
	id, secret := NewAccessKey(c.Random)
	sealed, err := SealSecret(c.Seal, c.Caller.Account, id, secret)
	if err != nil {
		return nil, err
	}
	return &identity.CreateAccessKey{Account: c.Caller.Account, User: user, Key: identity.NewAccessKey{ID: id, Sealed: sealed}}, nil
}

// Render opens the secret that the log holds sealed, so that a retry is told the key
// that the first attempt made.
func (createAccessKey) Render(c *Call, in *sdk.CreateAccessKeyInput, b *event.Batch) (*sdk.CreateAccessKeyOutput, error) {
	e, err := one[*identity.AccessKeyCreated](b)
	if err != nil {
		return nil, err
	}
	secret, err := openSecret(c.Seal, e.Account, e.ID, e.Sealed)
	if err != nil {
		return nil, err
	}
	key := &types.AccessKey{AccessKeyId: aws.String(e.ID), SecretAccessKey: aws.String(secret), Status: types.StatusTypeActive,
		CreateDate: shownTime(e.Created), UserName: in.UserName}
	if key.UserName == nil && c.Caller.Kind == admission.KindUser {
		key.UserName = aws.String(c.Caller.Name)
	}
	return &sdk.CreateAccessKeyOutput{AccessKey: key}, nil
}

type updateAccessKey struct {
	nothing[sdk.UpdateAccessKeyInput, sdk.UpdateAccessKeyOutput]
}

func (updateAccessKey) Access(c *Call, in *sdk.UpdateAccessKeyInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (updateAccessKey) Command(c *Call, in *sdk.UpdateAccessKeyInput) (identity.Command, error) {
	user, err := c.keyHolder(in.UserName)
	if err != nil {
		return nil, err
	}
	if in.Status != types.StatusTypeActive && in.Status != types.StatusTypeInactive {
		return nil, fail(codeInvalidInput, "The status of an access key can be set to Active or Inactive, not to %s.", in.Status)
	}
	return &identity.UpdateAccessKey{Account: c.Caller.Account, User: user, ID: aws.ToString(in.AccessKeyId),
		Active: in.Status == types.StatusTypeActive}, nil
}

type deleteAccessKey struct {
	nothing[sdk.DeleteAccessKeyInput, sdk.DeleteAccessKeyOutput]
}

func (deleteAccessKey) Access(c *Call, in *sdk.DeleteAccessKeyInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (deleteAccessKey) Command(c *Call, in *sdk.DeleteAccessKeyInput) (identity.Command, error) {
	user, err := c.keyHolder(in.UserName)
	if err != nil {
		return nil, err
	}
	return &identity.DeleteAccessKey{Account: c.Caller.Account, User: user, ID: aws.ToString(in.AccessKeyId)}, nil
}

type listAccessKeys struct{}

func (listAccessKeys) Access(c *Call, in *sdk.ListAccessKeysInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (listAccessKeys) Answer(c *Call, in *sdk.ListAccessKeysInput) (*sdk.ListAccessKeysOutput, error) {
	user, err := c.keyHolder(in.UserName)
	if err != nil {
		return nil, err
	}
	var keys []identity.AccessKey
	var name *string
	if user == "" {
		if a, ok := c.state().Account(c.Caller.Account); ok {
			keys = a.Keys
		}
	} else {
		u, err := c.mustUser(&user)
		if err != nil {
			return nil, err
		}
		keys, name = u.Keys, aws.String(u.Name)
	}
	id := func(k identity.AccessKey) string { return k.ID }
	p, err := paginate("ListAccessKeys", in.Marker, in.MaxItems, sorted(keys, id), id, func(k identity.AccessKey) (types.AccessKeyMetadata, bool) {
		status := types.StatusTypeInactive
		if k.Active {
			status = types.StatusTypeActive
		}
		return types.AccessKeyMetadata{AccessKeyId: aws.String(k.ID), CreateDate: shownTime(k.Created), Status: status, UserName: name}, true
	})
	return &sdk.ListAccessKeysOutput{AccessKeyMetadata: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

// ownKey finds an access key of the caller's account. The user is nil for a key of the root.
func (c *Call) ownKey(id *string) (user *identity.User, ok bool) {
	key, ok := c.state().AccessKey(aws.ToString(id))
	if !ok || key.Account != c.Caller.Account {
		return nil, false
	}
	user, _ = c.state().UserByID(key.Owner)
	return user, true
}

type getAccessKeyLastUsed struct{}

func (getAccessKeyLastUsed) Access(c *Call, in *sdk.GetAccessKeyLastUsedInput) []Access {
	owner, ok := c.find(identity.Lookup{By: identity.ByKey, Text: aws.ToString(in.AccessKeyId)})
	if ok && owner.Account == c.Caller.Account {
		a := c.on(identity.KindUser, &owner.Name)
		a.Named = "access key " + aws.ToString(in.AccessKeyId)
		return []Access{a}
	}
	a := Access{Resource: "*", Named: "access key " + aws.ToString(in.AccessKeyId), Account: c.Caller.Account}
	if c.Caller.Kind == admission.KindRoot { // its own, unless it is nobody's
		a.Resource = c.Caller.ARN
	}
	return []Access{a}
}

// Answer knows whose a key is, and of its latest use what the nodes have told.
func (getAccessKeyLastUsed) Answer(c *Call, in *sdk.GetAccessKeyLastUsedInput) (*sdk.GetAccessKeyLastUsedOutput, error) {
	user, ok := c.ownKey(in.AccessKeyId)
	if !ok {
		return nil, fail(codeAccessDenied, "User: %s is not authorized to perform iam:GetAccessKeyLastUsed on resource: access key %s",
			c.Caller.ARN, aws.ToString(in.AccessKeyId))
	}
	out := &sdk.GetAccessKeyLastUsedOutput{AccessKeyLastUsed: &types.AccessKeyLastUsed{Region: aws.String("N/A"), ServiceName: aws.String("N/A")}}
	owner := identity.ID(c.Caller.Account)
	if user != nil {
		owner, out.UserName = user.ID, aws.String(user.Name)
	}
	if last, used := c.state().Usage(owner).Latest(aws.ToString(in.AccessKeyId)); used {
		out.AccessKeyLastUsed = &types.AccessKeyLastUsed{LastUsedDate: shownTime(last.At), Region: aws.String(cmp.Or(last.Region, "N/A")), ServiceName: aws.String(last.Service)}
	}
	return out, nil
}
