package iam

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/password"
)

func passwordPolicyActions() []Action {
	return []Action{
		write("DeleteAccountPasswordPolicy", deleteAccountPasswordPolicy{}),
		read("GetAccountPasswordPolicy", getAccountPasswordPolicy{}),
		write("UpdateAccountPasswordPolicy", updateAccountPasswordPolicy{}),
	}
}

// mayChangePassword tells whether the account's policy lets the caller, a user, change its
// password without a policy of the user's own ("AllowUsersToChangePassword").
func (c *Call) mayChangePassword() bool {
	c.prepare()
	p, ok := c.witness.PasswordPolicy(c.Caller.Account)
	return ok && p.AllowChange && c.Caller.Kind == admission.KindUser
}

type getAccountPasswordPolicy struct{}

// Access is given by the policy itself to those whom it lets change their passwords.
func (getAccountPasswordPolicy) Access(c *Call, _ *sdk.GetAccountPasswordPolicyInput) []Access {
	access := c.anything()
	access[0].Granted = c.mayChangePassword()
	return access
}

func (getAccountPasswordPolicy) Answer(c *Call, _ *sdk.GetAccountPasswordPolicyInput) (*sdk.GetAccountPasswordPolicyOutput, error) {
	p, ok := c.state().PasswordPolicy(c.Caller.Account)
	if !ok {
		return nil, fail(codeNoSuchEntity, "The Password Policy with domain name %s cannot be found.", c.Caller.Account)
	}
	shown := &types.PasswordPolicy{MinimumPasswordLength: aws.Int32(int32(p.MinLength)), RequireSymbols: p.Symbols, RequireNumbers: p.Numbers,
		RequireUppercaseCharacters: p.Uppercase, RequireLowercaseCharacters: p.Lowercase, AllowUsersToChangePassword: p.AllowChange,
		ExpirePasswords: p.MaxAge > 0}
	if p.MaxAge > 0 || p.HardExpiry { // AWS does not tell it of passwords that never expire
		shown.HardExpiry = aws.Bool(p.HardExpiry)
	}
	if p.MaxAge > 0 {
		shown.MaxPasswordAge = aws.Int32(int32(p.MaxAge))
	}
	if p.Reuse > 0 {
		shown.PasswordReusePrevention = aws.Int32(int32(p.Reuse))
	}
	return &sdk.GetAccountPasswordPolicyOutput{PasswordPolicy: shown}, nil
}

type updateAccountPasswordPolicy struct {
	nothing[sdk.UpdateAccountPasswordPolicyInput, sdk.UpdateAccountPasswordPolicyOutput]
}

func (updateAccountPasswordPolicy) Access(c *Call, _ *sdk.UpdateAccountPasswordPolicyInput) []Access {
	return c.anything()
}

// Command takes the default of what the request does not say, whatever it was before.
func (updateAccountPasswordPolicy) Command(c *Call, in *sdk.UpdateAccountPasswordPolicyInput) (identity.Command, error) {
	r := identity.PasswordRequirements{MinLength: password.DefaultMinLength, Symbols: in.RequireSymbols, Numbers: in.RequireNumbers,
		Uppercase: in.RequireUppercaseCharacters, Lowercase: in.RequireLowercaseCharacters, AllowChange: in.AllowUsersToChangePassword,
		MaxAge: uint32(aws.ToInt32(in.MaxPasswordAge)), HardExpiry: aws.ToBool(in.HardExpiry), Reuse: uint32(aws.ToInt32(in.PasswordReusePrevention))}
	if in.MinimumPasswordLength != nil {
		r.MinLength = uint32(*in.MinimumPasswordLength)
	}
	return &identity.SetPasswordPolicy{Account: c.Caller.Account, Requirements: r}, nil
}

type deleteAccountPasswordPolicy struct {
	nothing[sdk.DeleteAccountPasswordPolicyInput, sdk.DeleteAccountPasswordPolicyOutput]
}

func (deleteAccountPasswordPolicy) Access(c *Call, _ *sdk.DeleteAccountPasswordPolicyInput) []Access {
	return c.anything()
}

func (deleteAccountPasswordPolicy) Command(c *Call, _ *sdk.DeleteAccountPasswordPolicyInput) (identity.Command, error) {
	return &identity.DeletePasswordPolicy{Account: c.Caller.Account}, nil
}
