package iam_test

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
)

// What ARNs name in the world of the test: each is of an entity of the account.
const (
	requestID      = "0aaaaaaa-0000-0000-0000-000000000001"
	namedUser      = "arn:aws:iam::123456789012:user/p/ada"
	namedPolicy    = "arn:aws:iam::123456789012:policy/p/Read"
	namedOIDC      = "arn:aws:iam::123456789012:oidc-provider/idp.example.com/x"
	namedSAML      = "arn:aws:iam::123456789012:saml-provider/corp"
	namedDevice    = "arn:aws:iam::123456789012:mfa/team/phone"
	namedRequest   = "arn:aws:iam::123456789012:delegation-request/" + requestID
	allowAnything  = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	delegationRest = `"RequestorWorkflowId":"w-002","NotificationChannel":"topic","SessionDuration":3600,"Description":"d"`
)

// named are calls by ARN, with $ for it, in an order in which each succeeds.
var named = []struct {
	arn   string
	calls []string
}{
	{namedUser, []string{
		`GenerateServiceLastAccessedDetails {"Arn":"$"}`,
		`ListPoliciesGrantingServiceAccess {"Arn":"$","ServiceNamespaces":["iam"]}`,
		`GetContextKeysForPrincipalPolicy {"PolicySourceArn":"$"}`,
		`SimulatePrincipalPolicy {"PolicySourceArn":"$","ActionNames":["iam:GetUser"]}`,
	}},
	{namedPolicy, []string{
		`GenerateServiceLastAccessedDetails {"Arn":"$"}`,
		`GetPolicy {"PolicyArn":"$"}`,
		`GetPolicyVersion {"PolicyArn":"$","VersionId":"v1"}`,
		`ListEntitiesForPolicy {"PolicyArn":"$"}`,
		`ListPolicyVersions {"PolicyArn":"$"}`,
		`ListPolicyTags {"PolicyArn":"$"}`,
		`TagPolicy {"PolicyArn":"$","Tags":[{"Key":"k","Value":"v"}]}`,
		`UntagPolicy {"PolicyArn":"$","TagKeys":["k"]}`,
		`CreatePolicyVersion {"PolicyArn":"$","PolicyDocument":` + allowAnything + `}`,
		`SetDefaultPolicyVersion {"PolicyArn":"$","VersionId":"v2"}`,
		`DeletePolicyVersion {"PolicyArn":"$","VersionId":"v1"}`,
		`AttachUserPolicy {"UserName":"ada","PolicyArn":"$"}`, `DetachUserPolicy {"UserName":"ada","PolicyArn":"$"}`,
		`AttachGroupPolicy {"GroupName":"team","PolicyArn":"$"}`, `DetachGroupPolicy {"GroupName":"team","PolicyArn":"$"}`,
		`AttachRolePolicy {"RoleName":"robot","PolicyArn":"$"}`, `DetachRolePolicy {"RoleName":"robot","PolicyArn":"$"}`,
		`PutUserPermissionsBoundary {"UserName":"ada","PermissionsBoundary":"$"}`,
		`PutRolePermissionsBoundary {"RoleName":"robot","PermissionsBoundary":"$"}`,
		`CreateUser {"UserName":"bob","PermissionsBoundary":"$"}`,
		`CreateRole {"RoleName":"bot","PermissionsBoundary":"$","AssumeRolePolicyDocument":{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}}`,
		`CreateDelegationRequest {"Permissions":{"PolicyTemplateArn":"$"},` + delegationRest + `}`,
		`DeleteUserPermissionsBoundary {"UserName":"ada"}`, `DeleteRolePermissionsBoundary {"RoleName":"robot"}`,
		`DeleteUser {"UserName":"bob"}`, `DeleteRole {"RoleName":"bot"}`,
		`DeletePolicy {"PolicyArn":"$"}`,
	}},
	{namedOIDC, []string{
		`GetOpenIDConnectProvider {"OpenIDConnectProviderArn":"$"}`,
		`ListOpenIDConnectProviderTags {"OpenIDConnectProviderArn":"$"}`,
		`TagOpenIDConnectProvider {"OpenIDConnectProviderArn":"$","Tags":[{"Key":"k","Value":"v"}]}`,
		`UntagOpenIDConnectProvider {"OpenIDConnectProviderArn":"$","TagKeys":["k"]}`,
		`AddClientIDToOpenIDConnectProvider {"OpenIDConnectProviderArn":"$","ClientID":"c"}`,
		`RemoveClientIDFromOpenIDConnectProvider {"OpenIDConnectProviderArn":"$","ClientID":"c"}`,
		`UpdateOpenIDConnectProviderThumbprint {"OpenIDConnectProviderArn":"$","ThumbprintList":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]}`,
		`DeleteOpenIDConnectProvider {"OpenIDConnectProviderArn":"$"}`,
	}},
	{namedSAML, []string{
		`ListSAMLProviderTags {"SAMLProviderArn":"$"}`,
		`TagSAMLProvider {"SAMLProviderArn":"$","Tags":[{"Key":"k","Value":"v"}]}`,
		`UntagSAMLProvider {"SAMLProviderArn":"$","TagKeys":["k"]}`,
		`UpdateSAMLProvider {"SAMLProviderArn":"$","AssertionEncryptionMode":"Allowed"}`,
		`DeleteSAMLProvider {"SAMLProviderArn":"$"}`,
	}},
	{namedDevice, []string{
		`GetMFADevice {"UserName":"ada","SerialNumber":"$"}`,
		`ListMFADeviceTags {"SerialNumber":"$"}`,
		`TagMFADevice {"SerialNumber":"$","Tags":[{"Key":"k","Value":"v"}]}`,
		`UntagMFADevice {"SerialNumber":"$","TagKeys":["k"]}`,
		`DeactivateMFADevice {"UserName":"ada","SerialNumber":"$"}`,
		`DeleteVirtualMFADevice {"SerialNumber":"$"}`,
	}},
	{namedRequest, []string{`GetHumanReadableSummary {"EntityArn":"$"}`}},
}

// unnamed are the actions whose input has an ARN, or the like, and that are not above.
var unnamed = map[string]string{
	"EnableMFADevice":                   "needs codes; the device is found as by DeactivateMFADevice",
	"ResyncMFADevice":                   "needs codes; the device is found as by DeactivateMFADevice",
	"GetSAMLProvider":                   "needs metadata; the provider is found as by UpdateSAMLProvider",
	"GenerateOrganizationsAccessReport": "takes any path; see TestOneEntityOneResource",
	"SimulateCustomPolicy":              "describes a caller and resources",
	"CreateServiceSpecificCredential":   "has none",
	"AcquireRole":                       "is not built",
	"GetRoleTemplateVersion":            "is not built",
}

// odd are other ways to write an ARN, none of which names the entity.
func odd(arn string) (list []string) {
	for _, c := range [][2]string{
		{"123456789012", string(other)}, {"123456789012", "000000000000"}, {"123456789012", "x"}, {"123456789012", ""}, {"123456789012", "aws"},
		{"123456789012", "*"}, {"123456789012", "123456789012:x"}, {":123456789012:", ":123456789012::"},
		{"arn:aws:", "arn:aws-cn:"}, {"arn:aws:", "ARN:aws:"}, {"arn:aws:", "arn::"}, {"arn:aws:", ""}, {"arn:aws:", " arn:aws:"}, {":iam:", ":sts:"}, {":iam::", ":iam:us-east-1:"},
		{"/", "//"}, {"/", "/../"}, {"/", "/x/"},
	} {
		list = append(list, strings.Replace(arn, c[0], c[1], 1))
	}
	slash := strings.LastIndexByte(arn, '/')
	return append(list, arn+"/", arn+" ", arn+"*", arn[:slash+1]+strings.ToUpper(arn[slash+1:]+"x"), arn[slash+1:], "x", arn[:slash+1])
}

// An action that is asked about an ARN is allowed or denied by it. So nothing but the very
// ARN of an entity may lead to it: whoever may not see the entity would ask by another.
func TestOnlyTheARNOfAnEntityNamesIt(t *testing.T) {
	w := arnWorld(t)
	for _, n := range named {
		for _, call := range n.calls {
			base := w.call()
			tried := func(arn string) (any, error) {
				in, action := w.input(&names{}, strings.ReplaceAll(call, "$", arn))
				c := *base // one view serves many calls that fail
				if !action.Write {
					return action.Answer(&c, in)
				}
				command, err := action.Command(&c, in)
				if err != nil {
					return nil, err
				}
				return w.decide(command)
			}
			for _, arn := range odd(n.arn) {
				if !strings.Contains(call, "$") {
					break
				}
				if _, err := tried(arn); err == nil {
					t.Errorf("%s succeeds by %q", call, arn)
				}
			}
			if _, err := tried(n.arn); err != nil {
				t.Fatalf("%s by %s: %v", call, n.arn, err)
			}
		}
	}
}

func arnWorld(t *testing.T) *world {
	w := newWorld(t)
	w.expect(
		&identity.CreateUser{Account: account, ID: "AIDAADA", Name: "ada", Path: "/p/"},
		&identity.CreateGroup{Account: account, ID: "AGPATEAM", Name: "team", Path: "/"},
		&identity.CreateRole{Account: account, ID: "AROAROBOT", Name: "robot", Path: "/", Trust: trust("ada")},
		&identity.CreatePolicy{Account: account, ID: "ANPAREAD", Name: "Read", Path: "/p/", Document: allowAnything},
		&identity.CreateOIDCProvider{Account: account, URL: "idp.example.com/x"},
		&identity.CreateSAMLProvider{Account: account, Name: "corp", Metadata: []byte("x"), Encryption: identity.EncryptionAllowed},
		&identity.CreateMFADevice{Account: account, Name: "team/phone"},
	)
	w.expect(&identity.EnableMFADevice{Account: account, User: "ada", ID: namedDevice, Codes: identity.Codes{Made: w.state.Position(), Step: 100}},
		&identity.CreateDelegationRequest{ID: requestID, Ask: identity.DelegationAsk{Requestor: account, Workflow: "w-001", Template: namedPolicy}})
	return w
}

// Every action with a member that may name an entity is tried, or there is a reason.
func TestEveryActionByARNIsTried(t *testing.T) {
	tried := map[string]bool{}
	for _, n := range named {
		for _, call := range n.calls {
			name, _, _ := strings.Cut(call, " ")
			tried[name] = true
		}
	}
	member := regexp.MustCompile(`(Arn|SerialNumber|EntityPath|PermissionsBoundary)$`)
	for _, a := range iam.Actions() {
		in := reflect.TypeOf(a.New()).Elem()
		for i := range in.NumField() {
			if f := in.Field(i); member.MatchString(f.Name) && !tried[a.Name] && unnamed[a.Name] == "" {
				t.Errorf("%s has %s, and no test tries it", a.Name, f.Name)
			}
		}
	}
}

// A resource that is written in several ways is asked for in one.
func TestOneEntityOneResource(t *testing.T) {
	w := arnWorld(t)
	for _, c := range []struct{ call, want string }{
		{`GenerateOrganizationsAccessReport {"EntityPath":"o-a/r-b/123456789012/"}`, "access-report/o-a/r-b/123456789012"},
		{`GenerateOrganizationsAccessReport {"EntityPath":"o-a/r-b/123456789012"}`, "access-report/o-a/r-b/123456789012"},
		{`GetHumanReadableSummary {"EntityArn":"` + namedRequest + `"}`, "delegation-request/" + requestID},
	} {
		in, action := w.input(&names{}, c.call)
		if got := action.Access(w.call(), in)[0].Resource; got != "arn:aws:iam::123456789012:"+c.want {
			t.Errorf("%s asks for %s", c.call, got)
		}
	}
}
