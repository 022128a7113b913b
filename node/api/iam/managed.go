package iam

import (
	"crypto/sha256"
	"encoding/base32"

	"github.com/writ-iam/writ/log/identity"
)

// ManagedPolicies are the policies of AWS that every account sees, as "AWS managed
// policies for job functions" and the IAM pages describe them; those that make
// sense for any service. Their ids are made from their names, so that they are the
// same in every cluster.
func ManagedPolicies() []identity.CreatePolicy {
	list := []identity.CreatePolicy{
		{
			Name: "AdministratorAccess", Path: "/",
			Description: "Provides full access to AWS services and resources.",
			Document:    `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
		},
		{
			Name: "PowerUserAccess", Path: "/",
			Description: "Provides full access to AWS services and resources, but does not allow management of Users and groups.",
			Document:    `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},{"Effect":"Allow","Action":["account:GetAccountInformation","account:GetPrimaryEmail","account:ListRegions","iam:CreateServiceLinkedRole","iam:DeleteServiceLinkedRole","iam:ListRoles","organizations:DescribeOrganization"],"Resource":"*"}]}`,
		},
		{
			Name: "IAMFullAccess", Path: "/",
			Description: "Provides full access to IAM via the AWS Management Console.",
			Document:    `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","organizations:DescribeAccount","organizations:DescribeOrganization","organizations:DescribeOrganizationalUnit","organizations:DescribePolicy","organizations:ListChildren","organizations:ListParents","organizations:ListPoliciesForTarget","organizations:ListRoots","organizations:ListPolicies","organizations:ListTargetsForPolicy"],"Resource":"*"}]}`,
		},
		{
			Name: "IAMReadOnlyAccess", Path: "/",
			Description: "Provides read only access to IAM via the AWS Management Console.",
			Document:    `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:GenerateCredentialReport","iam:GenerateServiceLastAccessedDetails","iam:Get*","iam:List*","iam:SimulateCustomPolicy","iam:SimulatePrincipalPolicy"],"Resource":"*"}]}`,
		},
		{
			Name: "IAMUserChangePassword", Path: "/",
			Description: "Provides the ability for an IAM user to change their own password.",
			Document:    `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:ChangePassword"],"Resource":["arn:aws:iam::*:user/${aws:username}"]},{"Effect":"Allow","Action":["iam:GetAccountPasswordPolicy"],"Resource":"*"}]}`,
		},
	}
	for i := range list {
		sum := sha256.Sum256([]byte(list[i].Name))
		list[i].Account = identity.AWSAccount
		list[i].ID = identity.ID(identity.PolicyIDPrefix + base32.StdEncoding.EncodeToString(sum[:])[:17])
	}
	return list
}
