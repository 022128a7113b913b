package iam_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

func excludeKind(kind types.PolicyIdentifierPolicyType) types.PolicyIdentifier {
	return &types.PolicyIdentifierMemberPolicyType{Value: kind}
}

func excludeARN(arn string) types.PolicyIdentifier {
	return &types.PolicyIdentifierMemberPolicyArn{Value: arn}
}

func excludeInline(kind types.AttachmentType, owner, name string) types.PolicyIdentifier {
	return &types.PolicyIdentifierMemberInlinePolicyIdentifier{Value: types.InlinePolicyIdentifierType{AttachmentType: kind, AttachmentName: &owner, PolicyName: &name}}
}

// A simulation without some of the policies that are attached: what allows is left
// out by type, by ARN, or by name and owner.
func TestPolicyExclusions(t *testing.T) {
	w := newWorld(t)
	allow := func(action string) *string {
		return aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"` + action + `","Resource":"*"}}`)
	}
	must[*sdk.CreatePolicyOutput](w, &sdk.CreatePolicyInput{PolicyName: aws.String("managed"), Path: aws.String("/team/"), PolicyDocument: allow("s3:GetObject")})
	must[*sdk.CreatePolicyOutput](w, &sdk.CreatePolicyInput{PolicyName: aws.String("fence"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:ListBucket"],"Resource":"*"}}`)})
	const managed, fence = "arn:aws:iam::123456789012:policy/team/managed", "arn:aws:iam::123456789012:policy/fence"
	must[*sdk.CreateUserOutput](w, &sdk.CreateUserInput{UserName: aws.String("ada"), PermissionsBoundary: aws.String(fence)})
	must[*sdk.CreateGroupOutput](w, &sdk.CreateGroupInput{GroupName: aws.String("dev")})
	must[*sdk.AddUserToGroupOutput](w, &sdk.AddUserToGroupInput{GroupName: aws.String("dev"), UserName: aws.String("ada")})
	must[*sdk.AttachUserPolicyOutput](w, &sdk.AttachUserPolicyInput{UserName: aws.String("ada"), PolicyArn: aws.String(managed)})
	must[*sdk.PutUserPolicyOutput](w, &sdk.PutUserPolicyInput{UserName: aws.String("ada"), PolicyName: aws.String("own"), PolicyDocument: allow("s3:PutObject")})
	must[*sdk.PutGroupPolicyOutput](w, &sdk.PutGroupPolicyInput{GroupName: aws.String("dev"), PolicyName: aws.String("ours"), PolicyDocument: allow("s3:*")})

	actions := []string{"s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject"}
	simulate := func(brought []string, out ...types.PolicyIdentifier) (any, error) {
		return w.do(&sdk.SimulatePrincipalPolicyInput{PolicySourceArn: aws.String("arn:aws:iam::123456789012:user/ada"), ActionNames: actions, PolicyInputList: brought, PolicyExclusionList: out})
	}
	ours := excludeInline("group", "d?v", "ours")
	for name, c := range map[string]struct {
		out     []types.PolicyIdentifier
		brought []string
		want    string // what is allowed
	}{
		"nothing":                {nil, nil, "Get Put List"},
		"the boundary":           {[]types.PolicyIdentifier{excludeKind("permission-boundary")}, nil, "Get Put List Delete"},
		"inline":                 {[]types.PolicyIdentifier{excludeKind("inline")}, nil, "Get"},
		"inline, one brought":    {[]types.PolicyIdentifier{excludeKind("inline")}, []string{*allow("s3:ListBucket")}, "Get List"},
		"of the group":           {[]types.PolicyIdentifier{ours}, nil, "Get Put"},
		"of the user":            {[]types.PolicyIdentifier{ours, excludeInline("user", "*", "own")}, nil, "Get"},
		"of another owner":       {[]types.PolicyIdentifier{ours, excludeInline("group", "*", "own"), excludeInline("user", "bob", "own")}, nil, "Get Put"},
		"customer managed":       {[]types.PolicyIdentifier{ours, excludeKind("user-managed")}, nil, "Put"},
		"by ARN":                 {[]types.PolicyIdentifier{ours, excludeARN(managed)}, nil, "Put"},
		"by ARN without path":    {[]types.PolicyIdentifier{ours, excludeARN("arn:aws:iam::123456789012:policy/managed")}, nil, "Put"},
		"by a pattern":           {[]types.PolicyIdentifier{ours, excludeARN("arn:aws:iam::123456789012:policy/t?am/*")}, nil, "Put"},
		"by the boundary's ARN":  {[]types.PolicyIdentifier{excludeARN(fence)}, nil, "Get Put List"},
		"what is not there":      {[]types.PolicyIdentifier{excludeKind("aws-managed"), excludeKind("scp"), excludeKind("rcp"), excludeARN("arn:aws:iam::aws:policy/Other")}, nil, "Get Put List"},
		"everything, boundaries": {[]types.PolicyIdentifier{excludeKind("inline"), excludeKind("user-managed"), excludeKind("permission-boundary")}, nil, ""},
	} {
		out, err := simulate(c.brought, c.out...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var allowed []string
		for _, r := range out.(*sdk.SimulatePrincipalPolicyOutput).EvaluationResults {
			if r.EvalDecision == types.PolicyEvaluationDecisionTypeAllowed {
				allowed = append(allowed, strings.NewReplacer("s3:", "", "Object", "", "Bucket", "").Replace(*r.EvalActionName))
			}
		}
		if got := strings.Join(allowed, " "); got != c.want {
			t.Errorf("without %s: %q is allowed, not %q", name, got, c.want)
		}
	}
	for _, arn := range []string{"arn:aws:iam::123456789012:user/ada", "arn:aws:iam::123456789012:policy/*a*", "arn:a?s:iam::123456789012:policy/a", "arn:aws:iam::*:policy/a", "arn:aws:iam::123456789012:policy/"} {
		_, err := simulate(nil, excludeARN(arn))
		wantError(t, err, "InvalidInput: Invalid policy ARN in PolicyExclusionList: "+arn+".")
	}
	_, err := simulate(nil, excludeInline("user", "*d*", "own"))
	wantError(t, err, "InvalidInput: Invalid attachment name in PolicyExclusionList: *d*.")
	var many []types.PolicyIdentifier
	for range 257 {
		many = append(many, excludeKind("scp"))
	}
	_, err = simulate(nil, many...)
	wantError(t, err, "InvalidInput: PolicyExclusionList cannot contain more than 256 identifiers.")
}
