package sts

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/denial"
	"github.com/writ-iam/writ/node/session"
)

// decodeMessage tells what the authorization message of a denial says, to those of the
// account whose principal was denied.
type decodeMessage struct{}

func (decodeMessage) Access(c *iam.Call, _ *sdk.DecodeAuthorizationMessageInput) []iam.Access {
	return []iam.Access{{Resource: "*", Account: c.Caller.Account}}
}

func (decodeMessage) Answer(c *iam.Call, in *sdk.DecodeAuthorizationMessageInput) (*sdk.DecodeAuthorizationMessageOutput, error) {
	text, ok, err := c.Messages.OpenMessage(c.View.State, session.Denial, aws.ToString(in.EncodedMessage))
	if err != nil {
		return nil, err
	}
	if !ok || denial.AccountOf(text) != string(c.Caller.Account) {
		return nil, fail(codeInvalidMessage, "The message is not valid: it must be one of this account that can still be decoded: it can while the key that sealed it is kept.")
	}
	return &sdk.DecodeAuthorizationMessageOutput{DecodedMessage: aws.String(string(text))}, nil
}
