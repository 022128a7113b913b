package node

import (
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/layout"
)

// china is what all ARNs of the account begin with in the cluster of TestPartition.
const china = "arn:aws-cn:iam::" + setup.DefaultAccount + ":"

// abroad are the makings of one entity of each kind, and of what hangs on them.
func abroad(t *testing.T, m *team) [][]string {
	t.Helper()
	read := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	files := setup.DefaultFiles(m.dir, "writer-1")
	allow := func(action, resource string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":%q,"Resource":%q}}`, action, resource)
	}
	trust := func(principal string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole"}}`, principal)
	}
	return [][]string{
		{"CreateUser", "UserName", "alice", "Path", "/x/"},
		{"CreateGroup", "GroupName", "devs"},
		{"AddUserToGroup", "GroupName", "devs", "UserName", "alice"},
		{"CreatePolicy", "PolicyName", "read", "PolicyDocument", allow("s3:GetObject", "arn:aws-cn:s3:::bucket/*")},
		{"AttachUserPolicy", "UserName", "alice", "PolicyArn", china + "policy/read"},
		{"AttachGroupPolicy", "GroupName", "devs", "PolicyArn", "arn:aws-cn:iam::aws:policy/job-function/ViewOnlyAccess"},
		{"PutUserPermissionsBoundary", "UserName", "alice", "PermissionsBoundary", "arn:aws-cn:iam::aws:policy/AdministratorAccess"},
		{"PutUserPolicy", "UserName", "alice", "PolicyName", "self", "PolicyDocument", allow("iam:GetUser", china+"user/x/${aws:username}")},
		{"CreateRole", "RoleName", "app", "AssumeRolePolicyDocument", trust(china + "user/x/alice")},
		{"CreateRole", "RoleName", "whole", "AssumeRolePolicyDocument", trust(setup.DefaultAccount)},
		{"CreateServiceLinkedRole", "AWSServiceName", "autoscaling.amazonaws.com"},
		{"CreateInstanceProfile", "InstanceProfileName", "profile"},
		{"AddRoleToInstanceProfile", "InstanceProfileName", "profile", "RoleName", "app"},
		{"UploadServerCertificate", "ServerCertificateName", "site", "CertificateBody", read(files.Cert), "PrivateKey", read(files.Key)},
		{"CreateVirtualMFADevice", "VirtualMFADeviceName", "phone"},
		{"CreateOpenIDConnectProvider", "Url", "https://idp.example.com/x", "ThumbprintList.member.1", strings.Repeat("0a", 20)},
		{"CreateSAMLProvider", "Name", "idp", "SAMLMetadataDocument", read("saml/testdata/idp.xml")},
		{"GenerateServiceLastAccessedDetails", "Arn", china + "user/x/alice"},
	}
}

// shownAbroad are the reads that show them.
func shownAbroad() [][]string {
	simulated := []string{"SimulatePrincipalPolicy", "PolicySourceArn", china + "user/x/alice", "ActionNames.member.1", "s3:GetObject",
		"ResourceArns.member.1", "arn:aws-cn:s3:::bucket/key", "CallerArn", china + "user/x/alice"}
	return [][]string{
		{"GetAccountAuthorizationDetails", "MaxItems", "1000"}, simulated,
		{"GetUser", "UserName", "alice"}, {"ListUsers"}, {"GetGroup", "GroupName", "devs"}, {"ListGroups"}, {"ListGroupsForUser", "UserName", "alice"},
		{"GetRole", "RoleName", "app"}, {"GetRole", "RoleName", "whole"}, {"ListRoles"},
		{"GetPolicy", "PolicyArn", china + "policy/read"}, {"ListPolicies", "Scope", "All", "MaxItems", "1000"},
		{"GetPolicyVersion", "PolicyArn", china + "policy/read", "VersionId", "v1"},
		{"ListAttachedUserPolicies", "UserName", "alice"}, {"ListAttachedGroupPolicies", "GroupName", "devs"},
		{"ListEntitiesForPolicy", "PolicyArn", china + "policy/read"},
		{"ListPoliciesGrantingServiceAccess", "Arn", china + "user/x/alice", "ServiceNamespaces.member.1", "s3"},
		{"GetInstanceProfile", "InstanceProfileName", "profile"}, {"ListInstanceProfiles"}, {"ListInstanceProfilesForRole", "RoleName", "app"},
		{"GetServerCertificate", "ServerCertificateName", "site"}, {"ListServerCertificates"},
		{"ListVirtualMFADevices"}, {"ListMFADeviceTags", "SerialNumber", china + "mfa/phone"},
		{"ListOpenIDConnectProviders"}, {"GetOpenIDConnectProvider", "OpenIDConnectProviderArn", china + "oidc-provider/idp.example.com/x"},
		{"ListSAMLProviders"}, {"GetSAMLProvider", "SAMLProviderArn", china + "saml-provider/idp"},
		{"GetCallerIdentity", "Version", "2011-06-15"},
	}
}

var arnForm = regexp.MustCompile(`arn:[a-z-]*:[a-z0-9-]*:`)

// atHome checks that an answer has ARNs of the cluster's partition alone, if any.
func atHome(t *testing.T, call []string, body string) {
	t.Helper()
	if plain, err := url.QueryUnescape(body); err == nil { // policy documents
		body += plain
	}
	for _, arn := range arnForm.FindAllString(html.UnescapeString(body), -1) {
		if !strings.HasPrefix(arn, "arn:aws-cn:") {
			t.Errorf("%s tells %s", call[:min(len(call), 3)], arn)
			return
		}
	}
}

// A cluster of another partition has ARNs of that one alone, at every node and after restarts.
func TestPartition(t *testing.T) {
	c := layout.Cluster(t, 1, 1)
	c.Partition = identity.PartitionCN
	dir, c, root := layout.Init(t, c)
	m := teamIn(t, dir, c, root)
	m.startAll()
	token := ""
	for _, call := range abroad(t, m) {
		status, header, body := m.iam("writer-1", call[0], call[1:]...)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", call[0], status, body)
		}
		atHome(t, call, body)
		token = header.Get("X-Writ-Token")
	}
	m.everywhere("writer-1", token)
	shown := func(name string) (all []string) {
		tell := 0
		for _, call := range shownAbroad() {
			status, _, body := m.iam(name, call[0], call[1:]...)
			if strings.Contains(body, "arn:aws-cn:") {
				tell++
			}
			if status != http.StatusOK {
				t.Errorf("%s of %s: %d %.600s", call[0], name, status, body)
			}
			atHome(t, call, body)
			all = append(all, withoutRequestID(body))
		}
		if silent := len(all) - tell; silent > 5 { // lists of names and tags, encoded documents, and providers, who tell no ARN of their own
			t.Errorf("%d answers of %s have no ARN", silent, name)
		}
		return all
	}
	before := shown("writer-1")
	if !slices.Equal(before, shown("replica-1")) {
		t.Error("the replica shows other things")
	}
	m.decidesAbroad(token)
	m.refusesAbroad()
	m.stop("replica-1")
	m.stop("writer-1")
	m.misnamed()
	m.startAll() // the replica from a checkpoint
	for _, name := range []string{"writer-1", "replica-1"} {
		s, err := m.client(name).Local(t.Context())
		if err != nil || s.Partition != "aws-cn" || !slices.Equal(before, shown(name)) {
			t.Errorf("after the restart %s is of %+v, %v", name, s, err)
		}
	}
}

var requestIDForm = regexp.MustCompile(`<RequestId>.*</RequestId>`)

func withoutRequestID(body string) string { return requestIDForm.ReplaceAllString(body, "") }

// decidesAbroad asks both nodes about a principal of the cluster's partition and of another.
func (m *team) decidesAbroad(token string) {
	m.t.Helper()
	for _, name := range []string{"writer-1", "replica-1"} {
		ask := func(principal, resource string) (*client.Decision, error) {
			return m.client(name).Authorize(m.t.Context(), client.Question{Principal: principal, Action: "s3:GetObject", Resource: resource}, client.Freshness{AtLeast: token})
		}
		if d, err := ask(china+"user/x/alice", "arn:aws-cn:s3:::bucket/key"); err != nil || !d.Allowed() {
			m.t.Errorf("%s: %+v, %v", name, d, err)
		}
		if d, err := ask(china+"user/x/alice", "arn:aws:s3:::bucket/key"); err != nil || d.Allowed() {
			m.t.Errorf("%s, of a bucket of aws: %+v, %v", name, d, err)
		}
		if d, err := ask("arn:aws:iam::"+setup.DefaultAccount+":user/x/alice", "arn:aws-cn:s3:::bucket/key"); err == nil || !strings.Contains(err.Error(), "does not exist") {
			m.t.Errorf("%s, for a user of aws: %+v, %v", name, d, err)
		}
	}
	if _, err := m.client("writer-1").Propagation(m.t.Context(), client.Target{ARN: china + "group/devs"}, client.Scope{}, patience); err != nil {
		m.t.Errorf("wait for a group: %v", err)
	}
}

// refusesAbroad names things of another partition.
func (m *team) refusesAbroad() {
	m.t.Helper()
	const aws = "arn:aws:iam::" + setup.DefaultAccount + ":"
	trust := func(principal string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole"}}`, principal)
	}
	for _, c := range []struct {
		want string
		call []string
	}{
		{"Invalid ARN partition", []string{"AttachUserPolicy", "UserName", "alice", "PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess"}},
		{"Invalid ARN partition", []string{"GetPolicy", "PolicyArn", aws + "policy/read"}},
		{"Invalid principal in policy", []string{"UpdateAssumeRolePolicy", "RoleName", "app", "PolicyDocument", trust(aws + "user/x/alice")}},
		{"Invalid principal in policy", []string{"UpdateAssumeRolePolicy", "RoleName", "app", "PolicyDocument", trust("arn:aws:iam::210987654321:root")}},
		{"Invalid ARN", []string{"GetOpenIDConnectProvider", "OpenIDConnectProviderArn", aws + "oidc-provider/idp.example.com/x"}},
		{"Invalid ARN", []string{"GetSAMLProvider", "SAMLProviderArn", aws + "saml-provider/idp"}},
		{"does not exist", []string{"DeleteVirtualMFADevice", "SerialNumber", aws + "mfa/phone"}},
		{"not found", []string{"GenerateServiceLastAccessedDetails", "Arn", aws + "user/x/alice"}},
		{"Invalid Entity Arn", []string{"SimulatePrincipalPolicy", "PolicySourceArn", aws + "user/x/alice", "ActionNames.member.1", "s3:GetObject"}},
	} {
		status, _, body := m.iam("writer-1", c.call[0], c.call[1:]...)
		if status/100 != 4 || !strings.Contains(html.UnescapeString(body), c.want) {
			m.t.Errorf("%s: %d %s", c.call[0], status, body)
		}
	}
	_, _, body := m.iam("writer-1", "CreateAccessKey", "UserName", "alice")
	alice := m.as(element([]byte(body), "AccessKeyId"), element([]byte(body), "SecretAccessKey"))
	if got := alice.must("writer-1", "GetUser"); !strings.Contains(got.body, china+"user/x/alice") {
		m.t.Errorf("alice may not see herself: %s", got.body)
	}
	if got, err := alice.call("writer-1", "GetUser", "UserName", "bob"); err != nil || !strings.Contains(got.body, "User: "+china+"user/x/alice is not authorized") {
		m.t.Errorf("alice sees bob: %+v, %v", got, err)
	}
}

// misnamed starts nodes whose configuration names another partition: they show nothing and end.
func (m *team) misnamed() {
	m.t.Helper()
	for name, partition := range map[string]identity.Partition{"writer-1": identity.PartitionAWS, "replica-1": identity.PartitionUSGov} {
		cfg := m.config(name)
		cfg.Cluster.Partition = partition
		n, err := m.try(cfg)
		if err == nil { // its history is read while it starts
			m.add(name, n)
			select {
			case err = <-n.Failed():
			case <-time.After(patience):
			}
			if at := n.Projection().Head().Position; at != 0 {
				m.t.Errorf("%s shows position %d", name, at)
			}
			m.stop(name)
		}
		if want := "names the partition " + partition.String() + ", and the cluster is of aws-cn since it began"; !errors.Is(err, setup.ErrConfig) || !strings.Contains(err.Error(), want) {
			m.t.Errorf("%s of %s: %v", name, partition, err)
		}
	}
}
