package sts

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/session"
)

// getDelegatedAccessToken makes a session of the owner of a delegation request, within what
// the request asked for, for the account that asked.
type getDelegatedAccessToken struct{}

func (getDelegatedAccessToken) Access(c *iam.Call, _ *sdk.GetDelegatedAccessTokenInput) []iam.Access {
	return []iam.Access{{Resource: "*", Account: c.Caller.Account}}
}

func (getDelegatedAccessToken) Answer(c *iam.Call, in *sdk.GetDelegatedAccessTokenInput) (*sdk.GetDelegatedAccessTokenOutput, error) {
	text, ok, err := c.Messages.OpenMessage(c.View.State, session.TradeIn, aws.ToString(in.TradeInToken))
	if err != nil {
		return nil, err
	}
	id, made, issued := iam.ParseTradeIn(text)
	d, known := c.View.State.DelegationRequest(id)
	if !ok || !known || d.Ask.Requestor != c.Caller.Account {
		return nil, fail(codeAccessDenied, "The trade-in token is not valid: it must be one of a delegation request of this account.")
	}
	if d.StateAt(c.Now) != identity.DelegationFinalized {
		return nil, fail(codeExpiredTradeIn, "The trade-in token provided in the request has expired and can no longer be exchanged for credentials. Request a new token and retry the operation.")
	}
	of, err := c.View.Principal(d.Owner)
	if err != nil || c.View.State.RevokedSince(d.Account, d.Owner, made, issued) {
		return nil, fail(codeAccessDenied, "Who delegated the permissions is gone, or has revoked them.")
	}
	if len(d.Policy) > maxPolicy {
		return nil, fail(codePackedPolicyTooLarge, "Serialized token too large for session")
	}
	claims := draft(c, session.Delegated, time.Duration(d.Ask.Session)*time.Second)
	claims.Account, claims.Principal, claims.Name, claims.Policy = string(d.Account), string(d.Owner), "delegation-"+d.ID, d.Policy
	if kind, ok := c.View.State.KindOf(d.Owner); ok && kind == identity.KindRole {
		claims.Kind = session.Role
	}
	credentials, _, err := mint(c, claims, c.View.Head.Position)
	if err != nil {
		return nil, err
	}
	return &sdk.GetDelegatedAccessTokenOutput{Credentials: credentials, AssumedPrincipal: aws.String(of.ARN)}, nil
}
