package iam_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/projection/policy"
)

const (
	adaARN   = "arn:aws:iam::123456789012:user/ada"
	teamARN  = "arn:aws:iam::123456789012:group/team"
	readARN  = "arn:aws:iam::123456789012:policy/Read"
	robotARN = "arn:aws:iam::123456789012:role/robot"
	adaKey   = "AKIAADAADAADAADAADA1"
)

// used is a world in which ada and a role have used credentials.
func used(t *testing.T) *world {
	w := newWorld(t)
	use := func(credential string, at identity.Time, service, action string) identity.Use {
		return identity.Use{Credential: credential, At: at, Region: "eu-west-1", Service: service,
			Actions: []identity.ActionUse{{Service: service, Name: action, At: at, Region: "eu-west-1"}}}
	}
	document := func(statements string) string { return `{"Version":"2012-10-17","Statement":[` + statements + `]}` }
	w.expect(
		&identity.CreateUser{Account: account, ID: "AIDAADA", Name: "ada", Path: "/"},
		&identity.CreateUser{Account: account, ID: "AIDABOB", Name: "bob", Path: "/"},
		&identity.CreateAccessKey{Account: account, User: "ada", Key: identity.NewAccessKey{ID: adaKey}},
		&identity.CreateGroup{Account: account, ID: "AGPATEAM", Name: "team", Path: "/"},
		&identity.AddUserToGroup{Account: account, Group: "team", User: "ada"},
		&identity.AddUserToGroup{Account: account, Group: "team", User: "bob"},
		&identity.CreateRole{Account: account, ID: "AROAROBOT", Name: "robot", Path: "/", Trust: trust("ada")},
		&identity.CreatePolicy{Account: account, ID: "ANPAREAD", Name: "Read", Path: "/",
			Document: document(`{"Effect":"Allow","Action":["iam:Get*","dynamodb:Query"],"Resource":"*"},{"Effect":"Deny","Action":"iam:GetUser","Resource":"*"}`)},
		&identity.AttachPolicy{Owner: identity.Owner{Kind: identity.KindGroup, Account: account, Name: "team"}, Policy: readARN},
		&identity.AttachPolicy{Owner: identity.Owner{Kind: identity.KindRole, Account: account, Name: "robot"}, Policy: readARN},
		&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "ada"}, Name: "own",
			Document: document(`{"Effect":"Allow","NotAction":["iam:*","s3:*"],"Resource":"*"},{"Effect":"Deny","Action":"ec2:*","Resource":"*"}`)},
		&identity.NoteUses{Uses: []identity.Use{use(adaKey, w.now-3000, "iam", "GetRole"), use("AROAROBOT", w.now-1000, "iam", "GetGroup")}},
	)
	return w
}

// report generates a report and reads it.
func (w *world) report(arn string, level types.AccessAdvisorUsageGranularityType) (string, *sdk.GetServiceLastAccessedDetailsOutput) {
	w.t.Helper()
	job := must[*sdk.GenerateServiceLastAccessedDetailsOutput](w, &sdk.GenerateServiceLastAccessedDetailsInput{Arn: aws.String(arn), Granularity: level})
	return *job.JobId, must[*sdk.GetServiceLastAccessedDetailsOutput](w, &sdk.GetServiceLastAccessedDetailsInput{JobId: job.JobId, MaxItems: aws.Int32(1000)})
}

func TestLastUsed(t *testing.T) {
	w := used(t)
	key := must[*sdk.GetAccessKeyLastUsedOutput](w, &sdk.GetAccessKeyLastUsedInput{AccessKeyId: aws.String(adaKey)})
	if got := compact(key.AccessKeyLastUsed); got != `{"LastUsedDate":"2023-11-14T22:13:17Z","Region":"eu-west-1","ServiceName":"iam"}` {
		t.Error(got)
	}
	role := must[*sdk.GetRoleOutput](w, &sdk.GetRoleInput{RoleName: aws.String("robot")})
	if got := compact(role.Role.RoleLastUsed); got != `{"LastUsedDate":"2023-11-14T22:13:19Z","Region":"eu-west-1"}` {
		t.Error(got)
	}
	must[*sdk.GenerateCredentialReportOutput](w, &sdk.GenerateCredentialReportInput{})
	w.writeReports()
	content := must[*sdk.GetCredentialReportOutput](w, &sdk.GetCredentialReportInput{}).Content
	if want := "true,2023-11-14T22:13:20+00:00,2023-11-14T22:13:17+00:00,eu-west-1,iam,false"; !strings.Contains(string(content), want) {
		t.Errorf("%s does not have %s", content, want)
	}
}

func TestServicesLastAccessed(t *testing.T) {
	for _, c := range []struct {
		arn       string
		has, not  string // services
		by, count string // of iam
	}{
		{adaARN, "dynamodb iam kms sts writ", "ec2 s3", adaARN, "1"},
		{teamARN, "dynamodb iam", "kms sts", adaARN, "1"},
		{robotARN, "dynamodb iam", "kms", robotARN, "1"},
		{readARN, "dynamodb iam", "kms", robotARN, "2"},
		{"arn:aws:iam::aws:policy/AdministratorAccess", "ec2 iam s3", "", "", "0"},
	} {
		w := used(t)
		_, out := w.report(c.arn, "")
		var names []string
		for _, s := range out.ServicesLastAccessed {
			names = append(names, *s.ServiceNamespace)
			if *s.ServiceNamespace == "iam" && (aws.ToString(s.LastAuthenticatedEntity) != c.by || compact(s.TotalAuthenticatedEntities) != c.count || s.TrackedActionsLastAccessed != nil) {
				t.Errorf("%s: %s", c.arn, compact(s))
			}
		}
		for _, name := range strings.Fields(c.has) {
			if !slices.Contains(names, name) {
				t.Errorf("%s: %s is not among the services", c.arn, name)
			}
		}
		for _, name := range strings.Fields(c.not) {
			if slices.Contains(names, name) {
				t.Errorf("%s: %s is among the services", c.arn, name)
			}
		}
		if !slices.IsSorted(names) || out.JobStatus != types.JobStatusTypeCompleted || out.JobType != types.AccessAdvisorUsageGranularityTypeServiceLevel {
			t.Errorf("%s: %s, %s, %v", c.arn, out.JobStatus, out.JobType, names)
		}
	}
}

func TestActionsLastAccessed(t *testing.T) {
	w := used(t)
	_, out := w.report(robotARN, types.AccessAdvisorUsageGranularityTypeActionLevel)
	i := slices.IndexFunc(out.ServicesLastAccessed, func(s types.ServiceLastAccessed) bool { return *s.ServiceNamespace == "iam" })
	actions := map[string]string{}
	for _, a := range out.ServicesLastAccessed[i].TrackedActionsLastAccessed {
		actions[*a.ActionName] = aws.ToString(a.LastAccessedEntity)
	}
	if by := actions["GetGroup"]; by != robotARN {
		t.Errorf("GetGroup was last accessed by %q", by)
	}
	if by, listed := actions["GetRole"]; !listed || by != "" {
		t.Errorf("GetRole is listed: %v, last accessed by %q", listed, by)
	}
	if _, listed := actions["GetUser"]; listed || len(actions) < 20 {
		t.Errorf("the actions are %v", actions)
	}
}

func TestReportsAreTheirOwners(t *testing.T) {
	w := used(t)
	job, _ := w.report(readARN, "")
	entities := must[*sdk.GetServiceLastAccessedDetailsWithEntitiesOutput](w, &sdk.GetServiceLastAccessedDetailsWithEntitiesInput{JobId: &job, ServiceNamespace: aws.String("iam")})
	var names []string
	for _, e := range entities.EntityDetailsList {
		names = append(names, *e.EntityInfo.Name)
	}
	if !slices.Equal(names, []string{"robot", "ada", "bob"}) {
		t.Errorf("the entities are %v", names)
	}
	fails := func(in any, want string) {
		t.Helper()
		if _, err := w.do(in); err == nil || err.Error() != want {
			t.Errorf("%T: %v, not %s", in, err, want)
		}
	}
	fails(&sdk.GetServiceLastAccessedDetailsWithEntitiesInput{JobId: &job, ServiceNamespace: aws.String("nothing")}, "InvalidInput: The service namespace nothing is not valid.")
	fails(&sdk.GetOrganizationsAccessReportInput{JobId: &job}, "NoSuchEntity: Report not found for the job id "+job)
	fails(&sdk.GenerateServiceLastAccessedDetailsInput{Arn: aws.String("arn:aws:iam::123456789012:user/nobody")}, "NoSuchEntity: ARN arn:aws:iam::123456789012:user/nobody not found")
	w.expect(&identity.DetachPolicy{Owner: identity.Owner{Kind: identity.KindGroup, Account: account, Name: "team"}, Policy: readARN},
		&identity.DetachPolicy{Owner: identity.Owner{Kind: identity.KindRole, Account: account, Name: "robot"}, Policy: readARN},
		&identity.DeletePolicy{ARN: readARN})
	gone := must[*sdk.GetServiceLastAccessedDetailsOutput](w, &sdk.GetServiceLastAccessedDetailsInput{JobId: &job})
	if gone.JobStatus != types.JobStatusTypeFailed || aws.ToString(gone.Error.Code) != "NoSuchEntity" {
		t.Errorf("the report on a policy that is gone: %s", compact(gone))
	}
	w.asUser("ada")
	var e *iam.Error
	if _, err := w.do(&sdk.GetServiceLastAccessedDetailsInput{JobId: &job}); !errors.As(err, &e) || e.Code != "NoSuchEntity" {
		t.Errorf("another's report: %v", err)
	}
}

func TestPoliciesGrantingServiceAccess(t *testing.T) {
	w := used(t)
	out := must[*sdk.ListPoliciesGrantingServiceAccessOutput](w, &sdk.ListPoliciesGrantingServiceAccessInput{Arn: aws.String(adaARN), ServiceNamespaces: []string{"iam", "dynamodb", "ec2"}})
	want := `[{"Policies":[{"EntityName":"ada","EntityType":"USER","PolicyName":"own","PolicyType":"INLINE"},` +
		`{"EntityType":"","PolicyArn":"arn:aws:iam::123456789012:policy/Read","PolicyName":"Read","PolicyType":"MANAGED"}],"ServiceNamespace":"dynamodb"},` +
		`{"Policies":[],"ServiceNamespace":"ec2"},` +
		`{"Policies":[{"EntityType":"","PolicyArn":"arn:aws:iam::123456789012:policy/Read","PolicyName":"Read","PolicyType":"MANAGED"}],"ServiceNamespace":"iam"}]`
	if got := compact(out.PoliciesGrantingServiceAccess); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, arn := range []string{readARN, "arn:aws:iam::123456789012:user/nobody", "arn:aws:iam::210987654321:user/ada"} {
		if _, err := w.do(&sdk.ListPoliciesGrantingServiceAccessInput{Arn: aws.String(arn), ServiceNamespaces: []string{"iam"}}); err == nil {
			t.Errorf("%s has policies", arn)
		}
	}
}

func TestOrganizationsAccessReport(t *testing.T) {
	w := used(t)
	root := iam.OrganizationRoot(w.call().View)
	read := func(path, policyID string, by types.SortKeyType) *sdk.GetOrganizationsAccessReportOutput {
		t.Helper()
		in := &sdk.GenerateOrganizationsAccessReportInput{EntityPath: aws.String(path)}
		if policyID != "" {
			in.OrganizationsPolicyId = &policyID
		}
		job := must[*sdk.GenerateOrganizationsAccessReportOutput](w, in)
		return must[*sdk.GetOrganizationsAccessReportOutput](w, &sdk.GetOrganizationsAccessReportInput{JobId: job.JobId, MaxItems: aws.Int32(1), SortKey: by})
	}
	out := read(root+"/"+string(account), "p-ignored1", types.SortKeyTypeLastAuthenticatedTimeDescending)
	d := out.AccessDetails[0]
	if *d.ServiceNamespace != "iam" || *d.EntityPath != root+"/123456789012" || *d.TotalAuthenticatedEntities != 1 || *out.NumberOfServicesNotAccessed != *out.NumberOfServicesAccessible-1 || !out.IsTruncated {
		t.Errorf("the management account's report: %s", compact(out))
	}
	if out := read(root, "", ""); *out.NumberOfServicesNotAccessed != *out.NumberOfServicesAccessible {
		t.Errorf("the root's report tells of the management account: %s", compact(out))
	}
	for path, code := range map[string]string{root + "/000000000000": "NoSuchEntity", "o-0000000000/r-0000": "NoSuchEntity", root + string(other): "NoSuchEntity"} {
		if out := read(path, "", ""); out.JobStatus != types.JobStatusTypeFailed || *out.ErrorDetails.Code != code {
			t.Errorf("%s: %s", path, compact(out))
		}
	}
	if out := read(root+"/"+string(other), "p-absent01", ""); out.JobStatus != types.JobStatusTypeFailed {
		t.Errorf("a policy that there is not: %s", compact(out))
	}
	w.asRootOf(other)
	if out := read(root, "", ""); out.JobStatus != types.JobStatusTypeFailed || *out.ErrorDetails.Code != "AccessDenied" {
		t.Errorf("another account's report: %s", compact(out))
	}
}

// What a read takes counts as work, by the records that it goes through: else whoever has
// many of them keeps a node busy beside all limits.
func TestReportsAreWork(t *testing.T) {
	const users, actions = 50, 20
	w := newWorld(t)
	w.expect(&identity.CreatePolicy{Account: account, ID: "ANPAREAD", Name: "Read", Path: "/", Document: allowAnything})
	use := identity.Use{At: w.now, Service: "iam"}
	for i := range actions {
		use.Actions = append(use.Actions, identity.ActionUse{Service: "iam", Name: fmt.Sprintf("Get%02d", i), At: w.now - identity.Time(i)})
	}
	for i := range users {
		name := fmt.Sprintf("u%02d", i)
		use.Credential = fmt.Sprintf("AKIA%d", i)
		w.expect(&identity.CreateUser{Account: account, ID: identity.ID("AIDA" + name), Name: name, Path: "/"},
			&identity.AttachPolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: name}, Policy: readARN},
			&identity.CreateAccessKey{Account: account, User: name, Key: identity.NewAccessKey{ID: use.Credential}},
			&identity.NoteUses{Uses: []identity.Use{use}})
	}
	const spaces = 4000
	w.expect(&identity.StartAccessJob{Account: account, By: identity.ID(account), ID: "job", ARN: readARN},
		&identity.CreateDelegationRequest{ID: requestID, Ask: identity.DelegationAsk{Requestor: account, Template: readARN}},
		&identity.CreatePolicy{Account: account, ID: "ANPALONG", Name: "Long", Path: "/", Document: allowAnything + strings.Repeat(" ", spaces)},
		&identity.CreateDelegationRequest{ID: requestID + "2", Ask: identity.DelegationAsk{Requestor: account, Workflow: "2", Template: "arn:aws:iam::123456789012:policy/Long"}},
		&identity.AssociateDelegationRequest{ID: requestID + "2", By: identity.DelegationParty{Account: account, ID: identity.ID(account)}})
	for call, least := range map[string]int64{
		`GetServiceLastAccessedDetailsWithEntities {"JobId":"job","ServiceNamespace":"s3"}`:                       users * actions * 10,
		`GetServiceLastAccessedDetails {"JobId":"job"}`:                                                           users * actions * 10,
		`GetDelegationRequest {"DelegationRequestId":"` + requestID + `2","DelegationPermissionCheck":true}`:      2 * spaces,
		`GetHumanReadableSummary {"EntityArn":"arn:aws:iam::123456789012:delegation-request/` + requestID + `2"}`: spaces,
		`ListDelegationRequests {}`: spaces,
	} {
		in, action := w.input(&names{}, call)
		var whole, little policy.Work
		whole.Begin(1<<40, nil)
		c := w.call()
		c.Work = &whole
		if _, err := action.Answer(c, in); err != nil || whole.Spent() < least {
			t.Errorf("%s takes %d units of work, of at least %d: %v", call, whole.Spent(), least, err)
		}
		little.Begin(whole.Spent()-1, nil)
		c.Work = &little
		if _, err := action.Answer(c, in); !errors.Is(err, policy.ErrWork) {
			t.Errorf("%s goes on with less: %v", call, err)
		}
	}
}
