// Package sts holds the actions of the STS API. An action is what it is in
// package iam.
package sts

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/writ-iam/writ/node/api/iam"
)

// Service is the prefix of the actions' names in policies ("sts:AssumeRole") and
// the service name in signatures.
const Service = "sts"

// table has every action of STS that Writ carries out, in order of name.
var table = actions()

func actions() []iam.Action {
	return []iam.Action{
		iam.NewRead(Service, "GetCallerIdentity", getCallerIdentity{}),
	}
}

// Actions returns every action of STS that Writ carries out, in order of name.
// The caller must not change them.
func Actions() []iam.Action { return table }

type getCallerIdentity struct{}

// Access is to nothing: no permission is needed to learn who one is, and none can be
// taken away ("GetCallerIdentity" in the STS API Reference).
func (getCallerIdentity) Access(*iam.Call, *sdk.GetCallerIdentityInput) []iam.Access { return nil }

func (getCallerIdentity) Answer(c *iam.Call, _ *sdk.GetCallerIdentityInput) (*sdk.GetCallerIdentityOutput, error) {
	return &sdk.GetCallerIdentityOutput{Account: aws.String(string(c.Caller.Account)), Arn: aws.String(c.Caller.ARN),
		UserId: aws.String(string(c.Caller.ID))}, nil
}
