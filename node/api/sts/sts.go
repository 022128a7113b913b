// Package sts holds the actions of the STS API. An action is what it is in
// package iam. Sessions are made from the view, without a write: whichever node is
// asked makes one. A code of an MFA device is the exception: it is used up by a write.
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
		minting(iam.NewRead(Service, "AssumeRole", assumeRole{}), iam.NewWrite(Service, "AssumeRole", assumeRoleByCode{})),
		minting(iam.NewRead(Service, "AssumeRoleWithWebIdentity", assumeRoleWithWebIdentity{})),
		minting(iam.NewRead(Service, "AssumeRoot", assumeRoot{})),
		minting(iam.NewRead(Service, "DecodeAuthorizationMessage", decodeMessage{})), // by the keys of sessions
		iam.NewRead(Service, "GetAccessKeyInfo", getAccessKeyInfo{}),
		iam.NewRead(Service, "GetCallerIdentity", getCallerIdentity{}),
		minting(iam.NewRead(Service, "GetDelegatedAccessToken", getDelegatedAccessToken{})),
		minting(iam.NewRead(Service, "GetFederationToken", getFederationToken{})),
		minting(iam.NewRead(Service, "GetSessionToken", getSessionToken{}), iam.NewWrite(Service, "GetSessionToken", getSessionTokenByCode{})),
		signing(iam.NewRead(Service, "GetWebIdentityToken", getWebIdentityToken{})),
	}
}

// signing is an action that makes web identity tokens.
func signing(a iam.Action) iam.Action {
	a.Signs = true
	return a
}

// minting is an action that makes sessions, and what it is where a code is shown.
func minting(a iam.Action, byCode ...iam.Action) iam.Action {
	a.Mints = true
	for i := range byCode {
		byCode[i].Mints = true
		a.ByCode = &byCode[i]
	}
	return a
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
		UserId: aws.String(c.Caller.UserID)}, nil
}

type getAccessKeyInfo struct{}

func (getAccessKeyInfo) Access(c *iam.Call, _ *sdk.GetAccessKeyInfoInput) []iam.Access {
	return []iam.Access{{Resource: "*", Account: c.Caller.Account}}
}

// Answer tells the account of an access key of the cluster. Of what is no key of it nobody
// knows the account, and so of a session's, which no record is kept of.
func (getAccessKeyInfo) Answer(c *iam.Call, in *sdk.GetAccessKeyInfoInput) (*sdk.GetAccessKeyInfoOutput, error) {
	id := aws.ToString(in.AccessKeyId)
	account := c.Caller.Account
	if id != c.Caller.AccessKey {
		key, ok := c.View.State.AccessKey(id)
		if !ok {
			return nil, fail(codeValidationError, "The access key %s is not known here.", id)
		}
		account = key.Account
	}
	return &sdk.GetAccessKeyInfoOutput{Account: aws.String(string(account))}, nil
}
