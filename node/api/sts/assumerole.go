package sts

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/writ-iam/writ/log/casefold"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/projection/policy"
)

// assumeRole makes a session of a role. Whether the caller may, the role's trust policy says;
// for another account's role, or where the trust is in the account, the caller's own
// policies, too.
type assumeRole struct{}

func (a assumeRole) Access(c *iam.Call, in *sdk.AssumeRoleInput) []iam.Access {
	return a.access(c, in, time.Time{})
}

// access is what a call must be allowed, by a caller who shows a code at a time, or none.
func (assumeRole) access(c *iam.Call, in *sdk.AssumeRoleInput, shown time.Time) []iam.Access {
	arn := aws.ToString(in.RoleArn)
	access := iam.Access{Resource: arn, Account: c.Caller.Account, MFA: shown}
	if role, ok := roleOf(c, arn); ok {
		access.Role, access.Account = role.ID, role.Account
		access = access.With(iam.ResourceTags(role)...)
	} else if account := accountOf(arn); account != "" {
		access.Account = account
	}
	access = access.With(policy.Single("sts:rolesessionname", aws.ToString(in.RoleSessionName)))
	if in.ExternalId != nil {
		access = access.With(policy.Single("sts:externalid", *in.ExternalId))
	}
	if in.SourceIdentity != nil {
		access = access.With(policy.Single("sts:sourceidentity", *in.SourceIdentity))
	}
	access = access.With(tagKeys(in.Tags, in.TransitiveTagKeys)...)
	list := []iam.Access{access}
	if len(in.Tags) > 0 || len(inherited(&c.Caller)) > 0 {
		list = append(list, access.As("sts:TagSession"))
	}
	if in.SourceIdentity != nil || c.Caller.Claims != nil && c.Caller.Claims.SourceIdentity != "" {
		list = append(list, access.As("sts:SetSourceIdentity"))
	}
	return list
}

// accountOf is the account in an ARN of IAM.
func accountOf(arn string) identity.AccountID {
	const account = 4
	if fields := strings.SplitN(arn, ":", 6); len(fields) == 6 {
		return identity.AccountID(fields[account])
	}
	return ""
}

// roleOf is the role with an ARN, to the letter.
func roleOf(c *iam.Call, arn string) (identity.Target, bool) {
	rest, ok := strings.CutPrefix(arn, c.Partition().IAM())
	account, path, _ := strings.Cut(rest, ":")
	if !ok || !strings.HasPrefix(path, "role/") {
		return identity.Target{}, false
	}
	name := path[strings.LastIndexByte(path, '/')+1:]
	t, ok := c.Find(identity.Lookup{By: identity.ByName, Kind: identity.KindRole, Account: identity.AccountID(account), Text: name})
	if !ok || t.ARN() != arn {
		return identity.Target{}, false
	}
	return t, true
}

// inherited are the tags that pass on from the caller's session to those that it makes.
func inherited(caller *iam.Caller) (tags []session.Tag) {
	if caller.Claims == nil {
		return nil
	}
	for _, t := range caller.Claims.Tags {
		for _, key := range caller.Claims.Transitive {
			if casefold.Equal(key, t.Key) {
				tags = append(tags, t)
			}
		}
	}
	return tags
}

func (a assumeRole) Answer(c *iam.Call, in *sdk.AssumeRoleInput) (*sdk.AssumeRoleOutput, error) {
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, bothNeeded()
	}
	return a.assume(c, in, c.View.Head.Position)
}

// bothNeeded refuses one of serial number and code without the other.
func bothNeeded() error {
	return fail(codeAccessDenied, "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.")
}

// assume makes the session, for a caller who was authorized at a position. That the caller
// showed a second factor does not pass on to it ("Secure API access with MFA" in the IAM
// User Guide).
func (assumeRole) assume(c *iam.Call, in *sdk.AssumeRoleInput, at event.Position) (*sdk.AssumeRoleOutput, error) {
	if c.Caller.Kind == admission.KindRoot {
		return nil, fail(codeAccessDenied, "Roles may not be assumed by root accounts.")
	}
	for _, p := range in.ProvidedContexts {
		if p.ProviderArn != nil || p.ContextAssertion != nil {
			return nil, fail(codeInvalidParameterValue, "The provider of contexts %s is not trusted here.", aws.ToString(p.ProviderArn))
		}
	}
	found, ok := roleOf(c, aws.ToString(in.RoleArn))
	role, there := c.View.State.RoleByID(found.ID)
	if !ok || !there { // the authorization saw it
		return nil, fail(codeAccessDenied, "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", c.Caller.ARN, aws.ToString(in.RoleArn))
	}
	claims := draft(c, session.Role, lifeOr(in.DurationSeconds, defaultLife))
	claims.Account, claims.Principal, claims.Name = string(role.Account), string(role.ID), aws.ToString(in.RoleSessionName)
	life := claims.Expires.Sub(claims.Issued)
	switch from := c.Caller.Claims; {
	case from != nil && from.Kind == session.Role:
		if life > maxChained {
			return nil, fail(codeValidationError, "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
		}
		if from.Depth == 1<<8-1 {
			return nil, fail(codeAccessDenied, "Sessions of roles were made by one another %d times. Begin with credentials of a user.", from.Depth)
		}
		claims.Depth = from.Depth + 1
	case life > time.Duration(role.MaxSession)*time.Second:
		return nil, fail(codeValidationError, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	if err := restrict(c, claims, in.Policy, in.PolicyArns); err != nil {
		return nil, err
	}
	if err := tag(claims, in.Tags, in.TransitiveTagKeys); err != nil {
		return nil, err
	}
	if err := inherit(claims, &c.Caller, in.SourceIdentity); err != nil {
		return nil, err
	}
	credentials, packed, err := mint(c, claims, at)
	if err != nil {
		return nil, err
	}
	out := &sdk.AssumeRoleOutput{
		AssumedRoleUser:  assumedRoleUser(c, role, claims),
		Credentials:      credentials,
		PackedPolicySize: packed, //nolint:staticcheck // SDKs of today and before read it
	}
	if claims.SourceIdentity != "" {
		out.SourceIdentity = aws.String(claims.SourceIdentity)
	}
	return out, nil
}

// assumedRoleUser is a session of a role as answers have it.
func assumedRoleUser(c *iam.Call, role *identity.Role, claims *session.Claims) *types.AssumedRoleUser {
	return &types.AssumedRoleUser{Arn: aws.String(c.Partition().SessionARN(role.Account, role.Name, claims.Name)), AssumedRoleId: aws.String(claims.Principal + ":" + claims.Name)}
}

// inherit gives a session what passes on from the session that asked for it: transitive tags
// and the source identity, which nobody changes.
func inherit(claims *session.Claims, caller *iam.Caller, source *string) error {
	claims.SourceIdentity = aws.ToString(source)
	if caller.Claims == nil {
		return nil
	}
	if before := caller.Claims.SourceIdentity; before != "" {
		if source != nil && *source != before {
			return fail(codeAccessDenied, "The source identity of the calling session cannot be changed.")
		}
		claims.SourceIdentity = before
	}
	for _, t := range inherited(caller) {
		for _, own := range claims.Tags {
			if casefold.Equal(own.Key, t.Key) {
				return fail(codeInvalidParameterValue, "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
			}
		}
		claims.Tags = append(claims.Tags, t)
		claims.Transitive = append(claims.Transitive, t.Key)
	}
	return nil
}

// assumeRoleByCode is assumeRole for a caller who shows a code of an MFA device.
type assumeRoleByCode struct{ assumeRole }

func (a assumeRoleByCode) Access(c *iam.Call, in *sdk.AssumeRoleInput) []iam.Access {
	return a.access(c, in, time.UnixMilli(int64(c.Now)))
}

func (assumeRoleByCode) Command(c *iam.Call, in *sdk.AssumeRoleInput) (identity.Command, error) {
	return useCode(c, in.SerialNumber, in.TokenCode)
}

func (a assumeRoleByCode) Render(c *iam.Call, in *sdk.AssumeRoleInput, b *event.Batch) (*sdk.AssumeRoleOutput, error) {
	return a.assume(c, in, b.Cause.By.AuthorizedAt)
}

// useCode uses up a code.
func useCode(c *iam.Call, serial, code *string) (identity.Command, error) {
	if serial == nil || code == nil {
		return nil, bothNeeded()
	}
	return c.UseCode(serial, code)
}
