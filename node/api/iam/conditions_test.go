package iam_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/policy/catalogue"
)

// conditionKeys are inputs of the actions that have condition keys of IAM's own, each with
// the keys that the Service Authorization Reference lists for it. The user ada and the role
// deploy have the boundary ARN, and ada the credential ID.
const conditionKeys = `
AddRoleToInstanceProfile {"InstanceProfileName":"i","RoleName":"deploy"}: iam:PassedToService
AttachGroupPolicy {"GroupName":"g","PolicyArn":"ARN"}: iam:PolicyARN
AttachRolePolicy {"RoleName":"deploy","PolicyArn":"ARN"}: iam:PermissionsBoundary iam:PolicyARN
AttachUserPolicy {"UserName":"ada","PolicyArn":"ARN"}: iam:PermissionsBoundary iam:PolicyARN
CreateDelegationRequest {"OwnerAccountId":"123456789012","NotificationChannel":"arn:aws:sns:us-east-1:123456789012:t","SessionDuration":600,"Permissions":{"PolicyTemplateArn":"ARN"}}: iam:DelegationDuration iam:DelegationRequestOwner iam:NotificationChannel iam:TemplateArn
CreateRole {"RoleName":"r","PermissionsBoundary":"ARN"}: iam:PermissionsBoundary
CreateServiceLinkedRole {"AWSServiceName":"autoscaling.amazonaws.com"}: iam:AWSServiceName
CreateServiceSpecificCredential {"UserName":"ada","ServiceName":"bedrock.amazonaws.com","CredentialAgeDays":30}: iam:ServiceSpecificCredentialAgeDays iam:ServiceSpecificCredentialServiceName
CreateUser {"UserName":"u","PermissionsBoundary":"ARN"}: iam:PermissionsBoundary
DeleteRole {"RoleName":"deploy"}: iam:PermissionsBoundary
DeleteRolePermissionsBoundary {"RoleName":"deploy"}: iam:PermissionsBoundary
DeleteRolePolicy {"RoleName":"deploy","PolicyName":"p"}: iam:PermissionsBoundary
DeleteServiceSpecificCredential {"UserName":"ada","ServiceSpecificCredentialId":"ID"}: iam:ServiceSpecificCredentialServiceName
DeleteUserPermissionsBoundary {"UserName":"ada"}: iam:PermissionsBoundary
DeleteUserPolicy {"UserName":"ada","PolicyName":"p"}: iam:PermissionsBoundary
DetachGroupPolicy {"GroupName":"g","PolicyArn":"ARN"}: iam:PolicyARN
DetachRolePolicy {"RoleName":"deploy","PolicyArn":"ARN"}: iam:PermissionsBoundary iam:PolicyARN
DetachUserPolicy {"UserName":"ada","PolicyArn":"ARN"}: iam:PermissionsBoundary iam:PolicyARN
GenerateOrganizationsAccessReport {"EntityPath":"o-1/r-1","OrganizationsPolicyId":"p-12345678"}: iam:OrganizationsPolicyId
GetAccountProperties {}: iam:AccountPropertyNamespaces
GetRole {"RoleName":"deploy"}: iam:PermissionsBoundary
ListDelegationRequests {"OwnerId":"arn:aws:iam::123456789012:user/ada"}: iam:DelegationRequestOwner
PutAccountProperties {"Properties":{"RoleManager/Enabled":"true"}}: iam:AccountPropertyNamespaces
PutRolePermissionsBoundary {"RoleName":"deploy","PermissionsBoundary":"ARN"}: iam:PermissionsBoundary
PutRolePolicy {"RoleName":"deploy","PolicyName":"p"}: iam:PermissionsBoundary
PutUserPermissionsBoundary {"UserName":"ada","PermissionsBoundary":"ARN"}: iam:PermissionsBoundary
PutUserPolicy {"UserName":"ada","PolicyName":"p"}: iam:PermissionsBoundary
ResetServiceSpecificCredential {"UserName":"ada","ServiceSpecificCredentialId":"ID"}: iam:ServiceSpecificCredentialServiceName
UpdateAssumeRolePolicy {"RoleName":"deploy"}: iam:PermissionsBoundary
UpdateRole {"RoleName":"deploy"}: iam:PermissionsBoundary
UpdateRoleDescription {"RoleName":"deploy"}: iam:PermissionsBoundary
UpdateServiceSpecificCredential {"UserName":"ada","ServiceSpecificCredentialId":"ID"}: iam:ServiceSpecificCredentialServiceName
GetUser {"UserName":"tagged"}: iam:ResourceTag/
`

// neverSet are the keys that no request here can have, with the reason.
var neverSet = map[string]string{
	"iam:AssociatedResourceArn":         "of iam:PassRole, for a resource of the service that a role is passed to: the only one that passes here is EC2, by an instance profile, which is no resource of it",
	"iam:FIDO-certification":            "of security keys; only virtual devices can be enabled",
	"iam:FIDO-FIPS-140-2-certification": "of security keys",
	"iam:FIDO-FIPS-140-3-certification": "of security keys",
	"iam:RegisterSecurityKey":           "of security keys",
}

// A key that the catalogue has and a request lacks is one whose Deny never holds.
func TestConditionKeys(t *testing.T) {
	w := newWorld(t)
	arn := identity.PartitionAWS.ARN(identity.KindPolicy, account, "/", "limit")
	w.expect(&identity.CreatePolicy{Account: account, ID: "ANPALIMIT", Name: "limit", Path: "/", Document: "{}"},
		&identity.CreateUser{Account: account, ID: "AIDAADA", Name: "ada", Path: "/", Boundary: arn},
		&identity.CreateUser{Account: account, ID: "AIDATAGGED", Name: "tagged", Path: "/", Tags: []identity.Tag{{Key: "k", Value: "v"}}},
		&identity.CreateRole{Account: account, ID: "AROADEPLOY", Name: "deploy", Path: "/", Trust: "{}", Boundary: arn})
	made := must[*sdk.CreateServiceSpecificCredentialOutput](w, &sdk.CreateServiceSpecificCredentialInput{UserName: aws.String("ada"), ServiceName: aws.String("codecommit.amazonaws.com")})
	given := strings.NewReplacer("ARN", arn, `"ID"`, `"`+*made.ServiceSpecificCredential.ServiceSpecificCredentialId+`"`)
	spelled := map[string]string{} // by name in lower case
	for _, key := range catalogue.BuiltinKeys() {
		if strings.HasPrefix(key.Name, "iam:") {
			spelled[strings.ToLower(key.Name)] = key.Name
		}
	}
	set := map[string]bool{}
	for line := range strings.Lines(strings.TrimSpace(conditionKeys)) {
		input, keys, _ := strings.Cut(strings.TrimSpace(line), "}: ")
		want := strings.Fields(keys)
		in, action := w.input(&names{}, given.Replace(input+"}"))
		got := map[string]bool{}
		for _, a := range action.Access(w.call(), in) {
			for _, e := range a.Context {
				name, _, tag := strings.Cut(string(e.Key), "/")
				if tag {
					name += "/"
				}
				if strings.HasPrefix(name, "iam:") {
					got[spelled[name]], set[spelled[name]] = true, true
				}
			}
		}
		slices.Sort(want)
		if list := slices.Sorted(maps.Keys(got)); !slices.Equal(list, want) {
			t.Errorf("%s has %v, not %v", action.Name, list, want)
		}
	}
	for _, name := range spelled {
		if set[name] == (neverSet[name] != "") {
			t.Errorf("%s is set: %v; it is excused: %q", name, set[name], neverSet[name])
		}
	}
}

// A Deny on a credential's service holds for one that its user made meanwhile, too: what the
// view does not show is not changed.
func TestCredentialsThatTheViewDoesNotShow(t *testing.T) {
	w := newWorld(t)
	w.expect(&identity.CreateUser{Account: account, ID: "AIDAADA", Name: "ada", Path: "/"})
	before := w.call()
	made := must[*sdk.CreateServiceSpecificCredentialOutput](w, &sdk.CreateServiceSpecificCredentialInput{UserName: aws.String("ada"), ServiceName: aws.String("codecommit.amazonaws.com")})
	id := made.ServiceSpecificCredential.ServiceSpecificCredentialId
	for _, in := range []any{
		&sdk.UpdateServiceSpecificCredentialInput{UserName: aws.String("ada"), ServiceSpecificCredentialId: id, Status: "Inactive"},
		&sdk.ResetServiceSpecificCredentialInput{UserName: aws.String("ada"), ServiceSpecificCredentialId: id},
		&sdk.DeleteServiceSpecificCredentialInput{UserName: aws.String("ada"), ServiceSpecificCredentialId: id},
	} {
		action, _ := w.action(in)
		if _, err := action.Command(before, in); fmt.Sprint(err) != "NoSuchEntity: No such credential "+*id+" exists" {
			t.Errorf("%s: %v", action.Name, err)
		}
		again := *before
		again.Repeated = true
		if _, err := action.Command(&again, in); err != nil {
			t.Errorf("%s, repeated: %v", action.Name, err)
		}
	}
}
