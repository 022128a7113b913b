package iam_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/log/identity"
)

// oneMore is a request for one more of what a quota bounds.
type oneMore struct {
	quota   identity.Quota
	in      func(n string) any
	summary string // the quota in GetAccountSummary; empty: it has none
	name    string // of AWS for the quota
}

const anyTrust = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}}`

// ofEach has a request for each quota. The names are numbers.
func ofEach(t *testing.T) []oneMore {
	document := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`
	policy := func(n string) *string { return aws.String("arn:aws:iam::123456789012:policy/" + n) }
	zero := aws.String("0")
	return []oneMore{
		{identity.QuotaUsers, func(n string) any { return &sdk.CreateUserInput{UserName: &n} }, "UsersQuota", "UsersPerAccount"},
		{identity.QuotaUsers, func(n string) any { return &sdk.CreateVirtualMFADeviceInput{VirtualMFADeviceName: &n} }, "UsersQuota", "VirtualMFADevicesPerAccount"},
		{identity.QuotaGroups, func(n string) any { return &sdk.CreateGroupInput{GroupName: &n} }, "GroupsQuota", "GroupsPerAccount"},
		{identity.QuotaRoles, func(n string) any {
			return &sdk.CreateRoleInput{RoleName: &n, AssumeRolePolicyDocument: aws.String(anyTrust)}
		}, "RolesQuota", "RolesPerAccount"},
		{identity.QuotaPolicies, func(n string) any { return &sdk.CreatePolicyInput{PolicyName: &n, PolicyDocument: &document} }, "PoliciesQuota", "PoliciesPerAccount"},
		{identity.QuotaInstanceProfiles, func(n string) any { return &sdk.CreateInstanceProfileInput{InstanceProfileName: &n} }, "InstanceProfilesQuota", "InstanceProfilesPerAccount"},
		{identity.QuotaServerCertificates, func(n string) any {
			return &sdk.UploadServerCertificateInput{ServerCertificateName: &n, CertificateBody: aws.String(files()["site.crt"]), PrivateKey: aws.String(files()["site.key"])}
		}, "ServerCertificatesQuota", "ServerCertificatesPerAccount"},
		{identity.QuotaOIDCProviders, func(n string) any {
			return &sdk.CreateOpenIDConnectProviderInput{Url: aws.String("https://example.com/" + n), ThumbprintList: []string{"0123456789012345678901234567890123456789"}}
		}, "", "OpenIdConnectProvidersPerAccount"},
		{identity.QuotaSAMLProviders, func(n string) any { return &sdk.CreateSAMLProviderInput{Name: &n, SAMLMetadataDocument: metadata(t)} }, "", "SAMLProvidersPerAccount"},
		{identity.QuotaPoliciesPerUser, func(n string) any { return &sdk.AttachUserPolicyInput{UserName: zero, PolicyArn: policy(n)} }, "AttachedPoliciesPerUserQuota", "PoliciesPerUser"},
		{identity.QuotaPoliciesPerGroup, func(n string) any { return &sdk.AttachGroupPolicyInput{GroupName: zero, PolicyArn: policy(n)} }, "AttachedPoliciesPerGroupQuota", "PoliciesPerGroup"},
		{identity.QuotaPoliciesPerRole, func(n string) any { return &sdk.AttachRolePolicyInput{RoleName: zero, PolicyArn: policy(n)} }, "AttachedPoliciesPerRoleQuota", "PoliciesPerRole"},
	}
}

// Each quota is filled: the next is refused in AWS's words, with the number that
// GetAccountSummary tells, until the quota is raised.
func TestQuotasInForce(t *testing.T) {
	all := ofEach(t)
	covered := map[identity.Quota]bool{}
	for _, q := range all {
		covered[q.quota] = true
		w := newWorld(t)
		for _, before := range all { // what attachments are between
			if q.quota >= identity.QuotaPoliciesPerUser && before.quota <= identity.QuotaPolicies && before.name != "VirtualMFADevicesPerAccount" {
				for _, n := range []string{"0", "1", "2"} {
					must[any](w, before.in(n))
				}
			}
		}
		set := func(n uint32) {
			if _, err := w.decide(&identity.SetQuotas{Account: account, Own: []identity.OwnQuota{{Quota: q.quota, Value: n}}}); err != nil {
				t.Fatal(err)
			}
		}
		set(2)
		must[any](w, q.in("0"))
		must[any](w, q.in("1"))
		if got, want := answer(w.do(q.in("2"))), "LimitExceeded: Cannot exceed quota for "+q.name+": 2\n"; got != want {
			t.Errorf("%s: the third is answered %s, not %s", q.name, got, want)
		}
		if summary := must[*sdk.GetAccountSummaryOutput](w, &sdk.GetAccountSummaryInput{}).SummaryMap; q.summary != "" && summary[q.summary] != 2 {
			t.Errorf("%s is %d", q.summary, summary[q.summary])
		}
		set(3)
		must[any](w, q.in("2"))
	}
	if len(covered) != int(identity.NumQuotas) {
		t.Errorf("%d quotas of %d are tried", len(covered), identity.NumQuotas)
	}
}

// By AWS's defaults an account has the numbers of "IAM and AWS STS quotas".
func TestSummaryByAWSDefaults(t *testing.T) {
	w := newWorld(t)
	if _, err := w.decide(&identity.SetQuotas{Account: account, Defaults: identity.DefaultsOfAWS}); err != nil {
		t.Fatal(err)
	}
	summary := must[*sdk.GetAccountSummaryOutput](w, &sdk.GetAccountSummaryInput{}).SummaryMap
	for name, want := range map[string]int32{
		"UsersQuota": 5000, "GroupsQuota": 300, "RolesQuota": 1000, "PoliciesQuota": 1500, "InstanceProfilesQuota": 1000, "ServerCertificatesQuota": 20,
		"AttachedPoliciesPerUserQuota": 10, "AttachedPoliciesPerGroupQuota": 10, "AttachedPoliciesPerRoleQuota": 10, "AssumeRolePolicySizeQuota": 2048,
	} {
		if summary[name] != want {
			t.Errorf("%s is %d, not %d", name, summary[name], want)
		}
	}
}
