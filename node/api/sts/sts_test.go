package sts_test

import (
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/model"
	"github.com/writ-iam/writ/node/api/sts"
)

func TestGetCallerIdentity(t *testing.T) {
	action, ok := sts.Find("GetCallerIdentity")
	if !ok {
		t.Fatal("no action")
	}
	for _, caller := range []iam.Caller{
		{Kind: admission.KindUser, Account: "123456789012", ID: "AIDAUSER", Name: "ada", ARN: "arn:aws:iam::123456789012:user/ada", UserID: "AIDAUSER"},
		{Kind: admission.KindRoot, Account: "123456789012", ID: "123456789012", ARN: "arn:aws:iam::123456789012:root", UserID: "123456789012"},
	} {
		call := &iam.Call{Caller: caller}
		if access := action.Access(call, action.New()); len(access) != 0 {
			t.Errorf("needs %v", access)
		}
		out, err := action.Answer(call, action.New())
		if err != nil {
			t.Fatal(err)
		}
		got := out.(*sdk.GetCallerIdentityOutput)
		if *got.Account != string(caller.Account) || *got.Arn != caller.ARN || *got.UserId != caller.UserID {
			t.Errorf("%s, %s, %s for %+v", *got.Account, *got.Arn, *got.UserId, caller)
		}
	}
}

func TestActionsAreOfTheModel(t *testing.T) {
	for _, a := range sts.Actions() {
		if model.STS().Operation(a.Name) == nil || a.Service != sts.Service {
			t.Errorf("%s of %s", a.Name, a.Service)
		}
	}
	if _, ok := sts.Find("AssumeRoleWithSAML"); ok {
		t.Error("found AssumeRoleWithSAML")
	}
}
