package iam

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/password"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/session"
)

// loginProfileActions are about the caller's own password where they name no user; of a
// root, in a session by AssumeRoot alone.
func loginProfileActions() []Action {
	return []Action{
		write("ChangePassword", changePassword{}),
		write("CreateLoginProfile", createLoginProfile{}),
		write("DeleteLoginProfile", deleteLoginProfile{}),
		read("GetLoginProfile", getLoginProfile{}),
		write("UpdateLoginProfile", updateLoginProfile{}),
	}
}

// rootName is what a root is called where a user has a name.
const rootName = "root"

// asTaskRoot tells whether a call that names no user is about the root whose session, by
// AssumeRoot, makes it. With its own credentials a root must name a user ("GetLoginProfile" in
// the IAM API Reference).
func (c *Call) asTaskRoot(user *string) bool {
	return user == nil && c.Caller.Claims != nil && c.Caller.Claims.Kind == session.TaskRoot
}

// login is what a command may know of a user of that name and its login profile; nil
// without one.
func (c *Call) login(user string) (identity.Target, *identity.LoginProfile) {
	t, _ := c.target(identity.KindUser, &user)
	p, ok := c.witness.LoginProfile(t.ID)
	if !ok {
		return t, nil
	}
	return t, p
}

// noPassword is what a command says of a password that it does not bring, and the policy.
func (c *Call) noPassword(user identity.Target) (identity.NewPassword, *identity.PasswordPolicy) {
	n := identity.NewPassword{User: user.ID}
	policy, ok := c.witness.PasswordPolicy(c.Caller.Account)
	if ok {
		n.Policy = policy.Changed
	}
	return n, policy
}

// newPassword hashes and seals a user's password, if the account's policy takes it.
func (c *Call) newPassword(user identity.Target, text *string, before *identity.LoginProfile) (identity.NewPassword, error) {
	n, policy := c.noPassword(user)
	names := []string{string(c.Caller.Account), c.witness.Alias(c.Caller.Account)}
	if strings.Contains(user.Name, "@") {
		names = append(names, user.Name)
	}
	if text := password.Violation(policy, *text, names...); text != "" {
		return n, fail(codePasswordPolicyViolation, "%s", text)
	}
	if policy != nil && before != nil {
		if err := c.checkReuse(policy, *text, before); err != nil {
			return n, err
		}
	}
	hash, err := c.Passwords.Hash(c.Random, *text)
	if err != nil {
		return n, err
	}
	n.Sealed, err = c.Seal.Seal(seal.PasswordHash, seal.PasswordContext(string(c.Caller.Account), string(user.ID)), []byte(hash))
	return n, err
}

// checkReuse refuses a password that is one of the user's latest, as many as the policy says.
func (c *Call) checkReuse(policy *identity.PasswordPolicy, text string, before *identity.LoginProfile) error {
	for _, sealed := range before.Passwords[:min(len(before.Passwords), int(policy.Reuse))] {
		hash, err := c.openPassword(before, sealed)
		if err != nil {
			return err
		}
		same, err := c.Passwords.Matches(hash, text)
		if err != nil {
			return err
		}
		if same {
			return fail(codePasswordPolicyViolation, password.Nonconforming)
		}
	}
	return nil
}

// openPassword opens one of a login profile's hashes.
func (c *Call) openPassword(p *identity.LoginProfile, sealed []byte) (string, error) {
	hash, err := c.Seal.Open(seal.PasswordHash, seal.PasswordContext(string(p.Account), string(p.User)), sealed)
	if err != nil {
		return "", fmt.Errorf("password of user %s: %w", p.User, err)
	}
	return string(hash), nil
}

type createLoginProfile struct{}

func (createLoginProfile) Access(c *Call, in *sdk.CreateLoginProfileInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

// Command lets a root that has no password choose one, for a session by AssumeRoot: that one
// tells none.
func (createLoginProfile) Command(c *Call, in *sdk.CreateLoginProfileInput) (identity.Command, error) {
	if c.asTaskRoot(in.UserName) {
		if in.Password != nil {
			return nil, fail(codeValidationError, "Password must be omitted when calling with AssumeRoot credentials")
		}
		return &identity.SetRootPassword{Account: c.Caller.Account}, nil
	}
	name, err := c.userOrCaller(in.UserName)
	if err != nil {
		return nil, err
	}
	if in.Password == nil {
		return nil, fail(codeValidationError, "1 validation error detected: Value null at 'password' failed to satisfy constraint: Member must not be null")
	}
	cmd := &identity.CreateLoginProfile{Account: c.Caller.Account, User: name, Reset: in.PasswordResetRequired}
	user, there := c.login(name)
	if user.ID == "" || there != nil { // it will be refused
		return cmd, nil
	}
	cmd.Password, err = c.newPassword(user, in.Password, nil)
	if err != nil {
		return nil, err
	}
	return cmd, nil
}

func (createLoginProfile) Render(c *Call, in *sdk.CreateLoginProfileInput, b *event.Batch) (*sdk.CreateLoginProfileOutput, error) {
	if c.asTaskRoot(in.UserName) {
		e, err := one[*identity.RootPasswordSet](b)
		if err != nil {
			return nil, err
		}
		return &sdk.CreateLoginProfileOutput{LoginProfile: shownLoginProfile(&identity.LoginProfile{Created: e.Set}, rootName)}, nil
	}
	e, err := one[*identity.LoginProfileCreated](b)
	if err != nil {
		return nil, err
	}
	name, err := c.userOrCaller(in.UserName)
	if err != nil {
		return nil, err
	}
	shown := shownLoginProfile(&identity.LoginProfile{Created: e.Created, Reset: e.Reset}, name)
	return &sdk.CreateLoginProfileOutput{LoginProfile: shown}, nil
}

func shownLoginProfile(p *identity.LoginProfile, user string) *types.LoginProfile {
	return &types.LoginProfile{UserName: aws.String(user), CreateDate: shownTime(p.Created), PasswordResetRequired: p.Reset}
}

type getLoginProfile struct{}

func (getLoginProfile) Access(c *Call, in *sdk.GetLoginProfileInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (getLoginProfile) Answer(c *Call, in *sdk.GetLoginProfileInput) (*sdk.GetLoginProfileOutput, error) {
	if c.asTaskRoot(in.UserName) {
		a, ok := c.state().Account(c.Caller.Account)
		if !ok || a.Password.SetAt == 0 {
			return nil, fail(codeNoSuchEntity, "Login Profile for User %s cannot be found.", rootName)
		}
		return &sdk.GetLoginProfileOutput{LoginProfile: shownLoginProfile(&identity.LoginProfile{Created: a.Password.Set}, rootName)}, nil
	}
	name, err := c.userOrCaller(in.UserName)
	if err != nil {
		return nil, err
	}
	u, err := c.mustUser(&name)
	if err != nil {
		return nil, err
	}
	p, ok := c.state().LoginProfile(u.ID)
	if !ok {
		return nil, fail(codeNoSuchEntity, "Login Profile for User %s cannot be found.", u.Name)
	}
	return &sdk.GetLoginProfileOutput{LoginProfile: shownLoginProfile(p, u.Name)}, nil
}

type updateLoginProfile struct {
	nothing[sdk.UpdateLoginProfileInput, sdk.UpdateLoginProfileOutput]
}

func (updateLoginProfile) Access(c *Call, in *sdk.UpdateLoginProfileInput) []Access {
	return []Access{c.on(identity.KindUser, in.UserName)}
}

func (updateLoginProfile) Command(c *Call, in *sdk.UpdateLoginProfileInput) (identity.Command, error) {
	cmd := &identity.UpdateLoginProfile{Account: c.Caller.Account, User: aws.ToString(in.UserName), Reset: in.PasswordResetRequired}
	user, p := c.login(cmd.User)
	if p == nil || in.Password == nil {
		return cmd, nil
	}
	n, err := c.newPassword(user, in.Password, p)
	if err != nil {
		return nil, err
	}
	cmd.Instead, cmd.Password = p.SetAt, &n
	return cmd, nil
}

type deleteLoginProfile struct {
	nothing[sdk.DeleteLoginProfileInput, sdk.DeleteLoginProfileOutput]
}

func (deleteLoginProfile) Access(c *Call, in *sdk.DeleteLoginProfileInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (deleteLoginProfile) Command(c *Call, in *sdk.DeleteLoginProfileInput) (identity.Command, error) {
	if c.asTaskRoot(in.UserName) {
		return &identity.DeleteRootPassword{Account: c.Caller.Account}, nil
	}
	name, err := c.userOrCaller(in.UserName)
	if err != nil {
		return nil, err
	}
	return &identity.DeleteLoginProfile{Account: c.Caller.Account, User: name}, nil
}

type changePassword struct {
	nothing[sdk.ChangePasswordInput, sdk.ChangePasswordOutput]
}

// Access is given by the account's policy to all users, if it says so.
func (changePassword) Access(c *Call, _ *sdk.ChangePasswordInput) []Access {
	a := c.onSelf(nil)
	a.Granted = c.mayChangePassword()
	return []Access{a}
}

// Command verifies the old password, and says which one that was: if the user has another
// by the time of the decision, it is verified anew.
func (changePassword) Command(c *Call, in *sdk.ChangePasswordInput) (identity.Command, error) {
	if c.Caller.Kind != admission.KindUser {
		return nil, fail(codeInvalidUserType, "Only IAM Users can change their own password")
	}
	user, p := c.login(c.Caller.Name)
	cmd := &identity.ChangePassword{Account: c.Caller.Account, User: c.Caller.Name}
	if p == nil {
		cmd.Password, _ = c.noPassword(user)
		return cmd, nil
	}
	if err := c.verifyPassword(p, aws.ToString(in.OldPassword)); err != nil {
		return nil, err
	}
	n, err := c.newPassword(user, in.NewPassword, p)
	if err != nil {
		return nil, err
	}
	cmd.Instead, cmd.Password = p.SetAt, n
	return cmd, nil
}

// verifyPassword refuses a password that is not the user's, and more guesses than there may be.
func (c *Call) verifyPassword(p *identity.LoginProfile, text string) error {
	hash, err := c.openPassword(p, p.Passwords[0])
	if err != nil {
		return err
	}
	right, err := c.Passwords.Guess(string(p.User), hash, text)
	switch {
	case errors.Is(err, admission.ErrTries):
		return fail(codeTemporarilyUnmodifiable, "The password of user %s was told wrong too often and cannot be changed for now. Try again in several minutes.", c.Caller.Name)
	case err != nil:
		return err
	case !right:
		return fail(codeAccessDenied, "The old password is not correct.")
	}
	return nil
}
