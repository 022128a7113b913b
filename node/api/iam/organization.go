package iam

import (
	"fmt"
	"math"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/policy"
)

// organizationReportActions are reports on the organization that the cluster's accounts are:
// a root with all of them in it, without units and without policies of its own.
func organizationReportActions() []Action {
	return []Action{
		write("GenerateOrganizationsAccessReport", generateOrganizationsAccessReport{}),
		read("GetOrganizationsAccessReport", getOrganizationsAccessReport{}),
	}
}

const keyOrganizationsPolicy policy.Key = "iam:organizationspolicyid"

// rootLength is how many characters of the organization's id are that of its root.
const rootLength = 4

// organizationRoot is the path of the organization's root: o-ab12cd34ef/r-ab12.
func organizationRoot(v *projection.View) string {
	id := *organizationID(v.Cluster().ID)
	return id + "/r-" + strings.TrimPrefix(id, "o-")[:rootLength]
}

// inOrganization is the account that a path names: o-ab12cd34ef/r-ab12/123456789012; empty
// for the root. ok is false for what the organization does not have.
func inOrganization(v *projection.View, path string) (account identity.AccountID, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(path, "/"), organizationRoot(v))
	if !ok || rest == "" {
		return "", ok
	}
	account = identity.AccountID(strings.TrimPrefix(rest, "/"))
	_, ok = v.State.Account(account)
	return account, ok && rest[0] == '/'
}

type generateOrganizationsAccessReport struct{}

func (generateOrganizationsAccessReport) Access(c *Call, in *sdk.GenerateOrganizationsAccessReportInput) []Access {
	path := strings.TrimSuffix(aws.ToString(in.EntityPath), "/") // with a slash it is the same entity; see inOrganization
	a := Access{Resource: c.partition().IAM() + string(c.Caller.Account) + ":access-report/" + path, Account: c.Caller.Account}
	if in.OrganizationsPolicyId != nil {
		a = a.With(policy.Single(keyOrganizationsPolicy, *in.OrganizationsPolicyId))
	}
	return []Access{a}
}

// Command takes any path: whether the organization has it, the report says. It is the
// management account's alone to read.
func (generateOrganizationsAccessReport) Command(c *Call, in *sdk.GenerateOrganizationsAccessReportInput) (identity.Command, error) {
	return &identity.StartAccessJob{Account: c.Caller.Account, By: c.Caller.ID, ID: c.newUUID(), Path: aws.ToString(in.EntityPath),
		Policy: aws.ToString(in.OrganizationsPolicyId)}, nil
}

func (generateOrganizationsAccessReport) Render(_ *Call, _ *sdk.GenerateOrganizationsAccessReportInput, b *event.Batch) (*sdk.GenerateOrganizationsAccessReportOutput, error) {
	e, err := one[*identity.AccessJobStarted](b)
	if err != nil {
		return nil, err
	}
	return &sdk.GenerateOrganizationsAccessReportOutput{JobId: aws.String(e.Job.ID)}, nil
}

type getOrganizationsAccessReport struct{}

func (getOrganizationsAccessReport) Access(c *Call, _ *sdk.GetOrganizationsAccessReportInput) []Access {
	return c.anything()
}

func (getOrganizationsAccessReport) Answer(c *Call, in *sdk.GetOrganizationsAccessReportInput) (*sdk.GetOrganizationsAccessReportOutput, error) {
	job, err := c.mustJob(in.JobId, true)
	if err != nil {
		return nil, err
	}
	out := &sdk.GetOrganizationsAccessReportOutput{JobStatus: types.JobStatusTypeCompleted, JobCreationDate: shownTime(job.Created),
		JobCompletionDate: shownTime(job.Created), AccessDetails: []types.AccessDetail{}}
	failed := func(code, message string) (*sdk.GetOrganizationsAccessReportOutput, error) {
		out.JobStatus, out.ErrorDetails = types.JobStatusTypeFailed, &types.ErrorDetails{Code: aws.String(code), Message: aws.String(message)}
		return out, nil
	}
	account, ok := inOrganization(c.View, job.Path)
	switch manager := c.state().ManagementAccount(); {
	case c.Caller.Account != manager:
		return failed(codeAccessDenied, "The account is not the management account of the organization.")
	case !ok:
		return failed(codeNoSuchEntity, "The organization has no entity "+job.Path)
	case job.Policy != "" && account != manager: // which policies do not bind
		return failed(codeNoSuchEntity, "The organization has no policy "+job.Policy)
	}
	details := c.organizationDetails(account)
	used := 0
	for i := range details {
		if details[i].LastAuthenticatedTime != nil {
			used++
		}
	}
	out.NumberOfServicesAccessible, out.NumberOfServicesNotAccessed = aws.Int32(int32(len(details))), aws.Int32(int32(len(details)-used))
	key := detailKey(in.SortKey)
	p, err := paginate("GetOrganizationsAccessReport"+string(in.SortKey), in.Marker, in.MaxItems, sorted(details, key), key, all[types.AccessDetail])
	if err == nil {
		err = c.Work.Err()
	}
	out.AccessDetails, out.IsTruncated, out.Marker = p.items, p.truncated, p.marker
	return out, err
}

// organizationDetails are all services, with what the account accessed, or all of them but
// the management account: no policy of the organization keeps anybody from a service.
func (c *Call) organizationDetails(account identity.AccountID) []types.AccessDetail {
	type accessed struct {
		identity.ActionUse
		by    identity.AccountID
		count int
	}
	latest := map[string]*accessed{}
	manager := c.state().ManagementAccount()
	for _, a := range c.state().Accounts() {
		usage := c.state().AccountUsage(a.ID)
		c.Work.Spend(accessorCost)
		if usage == nil || account != "" && a.ID != account || account == "" && a.ID == manager {
			continue
		}
		c.Work.Spend(usedCost * len(usage.Actions))
		for i, u := range usage.Actions { // those of a service stand together
			if latest[u.Service] == nil {
				latest[u.Service] = &accessed{}
			}
			l := latest[u.Service]
			if i == 0 || usage.Actions[i-1].Service != u.Service {
				l.count++
			}
			if u.At > l.At {
				l.ActionUse, l.by = u, a.ID
			}
		}
	}
	var details []types.AccessDetail
	for _, service := range services.Services() {
		d := types.AccessDetail{ServiceName: aws.String(serviceName(service)), ServiceNamespace: aws.String(service), TotalAuthenticatedEntities: aws.Int32(0)}
		if l := latest[service]; l != nil {
			d.EntityPath, d.LastAuthenticatedTime = aws.String(organizationRoot(c.View)+"/"+string(l.by)), shownTime(l.At)
			d.Region, d.TotalAuthenticatedEntities = textOrNil(l.Region), aws.Int32(int32(l.count))
		}
		details = append(details, d)
	}
	return details
}

// detailKey is the place of a service in a report that is sorted so.
func detailKey(by types.SortKeyType) func(types.AccessDetail) string {
	return func(d types.AccessDetail) string {
		name, at := *d.ServiceNamespace, int64(0)
		if d.LastAuthenticatedTime != nil {
			at = d.LastAuthenticatedTime.UnixMilli()
		}
		switch by {
		case types.SortKeyTypeServiceNamespaceDescending:
			inverted := []byte(name)
			for i := range inverted {
				inverted[i] = math.MaxUint8 - inverted[i]
			}
			return string(inverted) + "\xff" // a longer name comes first
		case types.SortKeyTypeLastAuthenticatedTimeAscending:
			return fmt.Sprintf("%019d%s", at, name)
		case types.SortKeyTypeLastAuthenticatedTimeDescending:
			return fmt.Sprintf("%019d%s", math.MaxInt64-at, name)
		}
		return name
	}
}
