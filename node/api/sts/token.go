package sts

import (
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/projection/policy"
)

// ofUser are the claims of a session that a user or root asks for, of a kind that either
// may have. Temporary credentials ask for none.
func ofUser(c *iam.Call, operation string, kind session.Kind, seconds *int32) (*session.Claims, error) {
	life := lifeOr(seconds, tokenLife)
	switch {
	case c.Caller.Claims != nil:
		return nil, CannotCall(operation)
	case c.Caller.Kind == admission.KindRoot:
		life = min(life, rootLife)
		if kind == session.User {
			kind = session.Root
		}
	}
	return draft(c, kind, life), nil
}

// getSessionToken makes a session of the user who asks. Every user may, and no policy takes
// it away ("Permissions for GetSessionToken" in the IAM User Guide).
type getSessionToken struct{}

func (getSessionToken) Access(*iam.Call, *sdk.GetSessionTokenInput) []iam.Access { return nil }

func (g getSessionToken) Answer(c *iam.Call, in *sdk.GetSessionTokenInput) (*sdk.GetSessionTokenOutput, error) {
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, bothNeeded()
	}
	return g.get(c, in, c.View.Head.Position, time.Time{})
}

func (getSessionToken) get(c *iam.Call, in *sdk.GetSessionTokenInput, at event.Position, shown time.Time) (*sdk.GetSessionTokenOutput, error) {
	claims, err := ofUser(c, "GetSessionToken", session.User, in.DurationSeconds)
	if err != nil {
		return nil, err
	}
	claims.MFA = shown
	credentials, _, err := mint(c, claims, at)
	if err != nil {
		return nil, err
	}
	return &sdk.GetSessionTokenOutput{Credentials: credentials}, nil
}

// getSessionTokenByCode is getSessionToken for a caller who shows a code of an MFA device.
type getSessionTokenByCode struct{ getSessionToken }

func (getSessionTokenByCode) Command(c *iam.Call, in *sdk.GetSessionTokenInput) (identity.Command, error) {
	if c.Caller.Claims != nil {
		return nil, CannotCall("GetSessionToken")
	}
	return useCode(c, in.SerialNumber, in.TokenCode)
}

func (g getSessionTokenByCode) Render(c *iam.Call, in *sdk.GetSessionTokenInput, b *event.Batch) (*sdk.GetSessionTokenOutput, error) {
	return g.get(c, in, b.Cause.By.AuthorizedAt, time.UnixMilli(int64(b.Cause.Time)).UTC().Truncate(time.Second))
}

// getFederationToken makes a session for somebody whom the caller vouches for: it may what
// both the caller's policies and those of the session allow.
type getFederationToken struct{}

func (getFederationToken) Access(c *iam.Call, in *sdk.GetFederationTokenInput) []iam.Access {
	access := iam.Access{Resource: c.Partition().FederatedARN(c.Caller.Account, aws.ToString(in.Name)), Account: c.Caller.Account}
	if in.DurationSeconds != nil {
		access = access.With(policy.Single("sts:durationseconds", strconv.Itoa(int(*in.DurationSeconds))))
	}
	access = access.With(tagKeys(in.Tags, nil)...)
	list := []iam.Access{access}
	if len(in.Tags) > 0 {
		list = append(list, access.As("sts:TagSession"))
	}
	return list
}

func (getFederationToken) Answer(c *iam.Call, in *sdk.GetFederationTokenInput) (*sdk.GetFederationTokenOutput, error) {
	claims, err := ofUser(c, "GetFederationToken", session.FederatedUser, in.DurationSeconds)
	if err != nil {
		return nil, err
	}
	claims.Name = aws.ToString(in.Name)
	if err := restrict(c, claims, in.Policy, in.PolicyArns); err != nil {
		return nil, err
	}
	if err := tag(claims, in.Tags, nil); err != nil {
		return nil, err
	}
	credentials, packed, err := mint(c, claims, c.View.Head.Position)
	if err != nil {
		return nil, err
	}
	return &sdk.GetFederationTokenOutput{
		Credentials:      credentials,
		PackedPolicySize: packed, //nolint:staticcheck // as in AssumeRole
		FederatedUser: &types.FederatedUser{
			Arn:             aws.String(c.Partition().FederatedARN(identity.AccountID(claims.Account), claims.Name)),
			FederatedUserId: aws.String(claims.Account + ":" + claims.Name),
		},
	}, nil
}
