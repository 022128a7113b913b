package iam_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
)

// Every service of the table can be given its role, of a name of its own.
func TestEveryLinkedService(t *testing.T) {
	services := iam.LinkedServices()
	if len(services) < 60 || !slices.IsSorted(services) {
		t.Fatalf("%d services, in order: %v", len(services), slices.IsSorted(services))
	}
	w := newWorld(t)
	for _, service := range services {
		out := must[*sdk.CreateServiceLinkedRoleOutput](w, &sdk.CreateServiceLinkedRoleInput{AWSServiceName: &service})
		name := aws.ToString(out.Role.RoleName)
		if !strings.HasPrefix(name, "AWSServiceRoleFor") || aws.ToString(out.Role.Path) != "/aws-service-role/"+service+"/" {
			t.Errorf("the role of %s is %s%s", service, *out.Role.Path, name)
		}
		if want := `%22Service%22%3A%5B%22` + service + `%22%5D`; !strings.Contains(aws.ToString(out.Role.AssumeRolePolicyDocument), want) {
			t.Errorf("the role of %s trusts %s", service, *out.Role.AssumeRolePolicyDocument)
		}
		must[*sdk.UpdateAssumeRolePolicyOutput](w, withTrust(w, *out.Role.RoleName))
	}
}

// withTrust makes an ordinary role and gives it the trust policy of another, which shows
// that its text is valid.
func withTrust(w *world, of string) *sdk.UpdateAssumeRolePolicyInput {
	r, _ := w.state.Role(account, of)
	name := "x" + of[len("AWSServiceRoleFor"):]
	must[*sdk.CreateRoleOutput](w, &sdk.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &r.Trust})
	return &sdk.UpdateAssumeRolePolicyInput{RoleName: &name, PolicyDocument: &r.Trust}
}

// A role of a service has AWS's policy for it where the cluster's catalogue has that.
func TestServiceLinkedRoleHasItsPolicy(t *testing.T) {
	w := newWorld(t)
	w.expect(&identity.CreatePolicy{Account: identity.AWSAccount, ID: "ANPASCALING", Name: "AutoScalingServiceRolePolicy", Path: "/aws-service-role/", Document: allowText})
	for service, want := range map[string][]string{
		"autoscaling.amazonaws.com": {"arn:aws:iam::aws:policy/aws-service-role/AutoScalingServiceRolePolicy"},
		"ecs.amazonaws.com":         nil, // it is not in the catalogue
	} {
		out := must[*sdk.CreateServiceLinkedRoleOutput](w, &sdk.CreateServiceLinkedRoleInput{AWSServiceName: &service})
		var got []string
		for _, p := range must[*sdk.ListAttachedRolePoliciesOutput](w, &sdk.ListAttachedRolePoliciesInput{RoleName: out.Role.RoleName}).AttachedPolicies {
			got = append(got, *p.PolicyArn)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has %v", service, got)
		}
		must[*sdk.DeleteServiceLinkedRoleOutput](w, &sdk.DeleteServiceLinkedRoleInput{RoleName: out.Role.RoleName})
	}
}
