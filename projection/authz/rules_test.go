package authz

import (
	"strings"
	"testing"
)

// A Deny with NotPrincipal spares whom it lists under all names: the account,
// the role, the session. With Allow any of them leaves out.
func TestNotPrincipal(t *testing.T) {
	const root, user, role, session = "arn:aws:iam::111111111111:root", "arn:aws:iam::111111111111:user/alice",
		"arn:aws:iam::111111111111:role/p/app", "arn:aws:sts::111111111111:assumed-role/app/s1"
	assumed := &Principal{Type: RoleSession, ARN: session, Issuer: role, Account: accountA, ID: "AROAAPP", Name: "s1"}
	federated := &Principal{Type: FederatedUser, ARN: "arn:aws:sts::111111111111:federated-user/fred", Issuer: user, Account: accountA, Name: "fred"}
	rootUser := &Principal{Type: Root, ARN: root, Account: accountA}
	service := &Principal{Type: Service, Service: "sns.amazonaws.com"}
	for _, tt := range []struct {
		principal *Principal
		list      string
		bounded   bool
		spared    bool // by Deny
		left      bool // out, by Allow
	}{
		{alice(), user + "," + root, false, true, true},
		{alice(), user + "," + accountA, false, true, true},
		{alice(), user, false, false, true},
		{alice(), root, false, false, true},
		{alice(), "AIDAALICE," + root, false, true, true},
		{alice(), "arn:aws:iam::222222222222:user/bob," + accountB, false, false, false},
		{alice(), user + "," + root, true, false, true},
		{alice(), "*", false, true, true},
		{alice(), "*", true, false, true},
		{assumed, session + "," + role + "," + root, false, true, true},
		{assumed, session + ",AROAAPP," + root, false, true, true},
		{assumed, session + "," + root, false, false, true},
		{assumed, role + "," + root, false, false, true},
		{assumed, session + "," + role, false, false, true},
		{assumed, session + "," + role + "," + root, true, false, true},
		{federated, federated.ARN + "," + user + "," + root, false, true, true},
		{federated, federated.ARN + "," + root, false, false, true},
		{rootUser, root, false, true, true},
		{rootUser, accountA, true, true, true},
		{rootUser, user, false, false, false},
		{service, root, false, false, false},
		{&Principal{Type: Anonymous}, root, false, false, false},
		{&Principal{Type: Anonymous}, "*", false, true, true},
	} {
		names := `{"AWS":["` + strings.ReplaceAll(tt.list, ",", `","`) + `"]}`
		deny := resourceSet(t, `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},
			{"Effect":"Deny","NotPrincipal":`+names+`,"Action":"*","Resource":"*"}]}`)
		allow := resourceSet(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","NotPrincipal":`+names+`,"Action":"*","Resource":"*"}}`)
		layers := Layers{}
		if tt.bounded {
			layers.Boundaries = []*Set{set(t, "all", allowAll)}
		}
		r := &Request{Principal: tt.principal, Action: "s3:GetObject", Resource: "*", Target: &Target{Policy: deny}}
		if got := Prepare(layers).Evaluate(r).Allowed(); got != tt.spared {
			t.Errorf("Deny NotPrincipal %s for %v %s: spared %v", tt.list, tt.principal.Type, tt.principal.ARN, got)
		}
		if tt.principal.Type == Root {
			continue // allowed anyway
		}
		r.Target = &Target{Policy: allow}
		if got := Prepare(layers).Evaluate(r).Allowed(); got == tt.left {
			t.Errorf("Allow NotPrincipal %s for %v %s: allowed %v", tt.list, tt.principal.Type, tt.principal.ARN, got)
		}
	}
}

// KMS keys and roles to be assumed let in only whom their policy names.
func TestStrictResources(t *testing.T) {
	for _, tt := range []struct {
		action, resource string
		want             bool
	}{
		{"kms:Decrypt", "arn:aws:kms:us-east-1:111111111111:key/1", true},
		{"KMS:decrypt", "arn:aws:kms:us-east-1:111111111111:key/1", true},
		{"kms:Decrypt", "arn:aws:kms:us-east-1:111111111111:alias/a", false},
		{"kms:Decrypt", "arn:aws:s3:us-east-1:111111111111:key/1", false},
		{"kms:ListKeys", "*", false},
		{"s3:GetObject", "arn:aws:kms:us-east-1:111111111111:key/1", false},
		{"sts:AssumeRole", "arn:aws:iam::111111111111:role/app", true},
		{"STS:TagSession", "arn:aws:iam::111111111111:role/p/app", true},
		{"sts:AssumeRole", "arn:aws:iam::111111111111:user/alice", false},
		{"sts:AssumeRole", "arn:aws:x::111111111111:role/app", false},
		{"sts:AssumeRole", "arn:aws:iam:111111111111:role/app", false},
		{"sts:GetFederationToken", "*", false},
		{"iam:PassRole", "arn:aws:iam::111111111111:role/app", false},
		{"stsx:AssumeRole", "arn:aws:iam::111111111111:role/app", false},
		{"kms", "arn:aws:kms:us-east-1:111111111111:key/1", false},
	} {
		if got := strict(&Request{Action: tt.action, Resource: tt.resource}); got != tt.want {
			t.Errorf("%s on %s: %v", tt.action, tt.resource, got)
		}
	}
}

// Resource control policies reach some services only, and no service-linked role.
func TestRestricted(t *testing.T) {
	linked := "arn:aws:iam::111111111111:role/aws-service-role/x.amazonaws.com/X"
	for _, tt := range []struct {
		principal        *Principal
		action, resource string
		want             bool
	}{
		{alice(), "s3:GetObject", "arn:aws:s3:::b/k", true},
		{alice(), "S3:GetObject", "arn:aws:s3:::b/k", true},
		{alice(), "logs:PutLogEvents", "*", true},
		{alice(), "ec2:RunInstances", "*", false},
		{alice(), "kms:Decrypt", "*", true},
		{alice(), "kms:RetireGrant", "*", false},
		{alice(), "s3:RetireGrant", "*", true},
		{alice(), "sts:AssumeRole", "arn:aws:iam::111111111111:role/app", true},
		{alice(), "sts:AssumeRole", linked, false},
		{&Principal{Type: RoleSession, Issuer: linked}, "s3:GetObject", "*", false},
		{&Principal{Type: Role, ARN: linked}, "s3:GetObject", "*", false},
		{&Principal{Type: User, ARN: linked}, "s3:GetObject", "*", true},
		{&Principal{Type: Role, ARN: "arn:aws:iam::111111111111:role/x/aws-service-role/X"}, "s3:GetObject", "*", true},
		{&Principal{Type: Role, ARN: "arn:aws:s3::111111111111:role/aws-service-role/X"}, "s3:GetObject", "*", true},
		{&Principal{Type: Service, Service: "sns.amazonaws.com"}, "sqs:SendMessage", "*", true},
	} {
		if got := restricted(&Request{Principal: tt.principal, Action: tt.action, Resource: tt.resource}); got != tt.want {
			t.Errorf("%v %s on %s: %v", tt.principal.Type, tt.action, tt.resource, got)
		}
	}
}
