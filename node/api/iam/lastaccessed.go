package iam

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/policy/catalogue"
)

// lastAccessedActions are about the services that principals may access, and when they last
// did. A report is made of the state when it is read; what is kept is who asked for it.
func lastAccessedActions() []Action {
	return []Action{
		write("GenerateServiceLastAccessedDetails", generateServiceLastAccessedDetails{}),
		read("GetServiceLastAccessedDetails", getServiceLastAccessedDetails{}),
		read("GetServiceLastAccessedDetailsWithEntities", getServiceLastAccessedDetailsWithEntities{}),
		read("ListPoliciesGrantingServiceAccess", listPoliciesGrantingServiceAccess{}),
	}
}

// services are those that there are.
var services = catalogue.BuiltinNames()

// tracked tells whether the nodes see the actions of a service.
func tracked(service string) bool { return service == Service || service == "sts" }

// onARN is the access to the user, group, role or policy of that ARN.
func (c *Call) onARN(arn *string) Access {
	text := aws.ToString(arn)
	if strings.Contains(text, ":policy/") {
		return c.onPolicy(arn)
	}
	for _, kind := range []identity.Kind{identity.KindUser, identity.KindGroup, identity.KindRole} {
		path, ok := strings.CutPrefix(text, c.partition().IAM()+string(c.Caller.Account)+":"+kind.Noun()+"/")
		if !ok {
			continue
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if a := c.on(kind, &name); a.Resource == text {
			a.Named = text
			return a
		}
	}
	return Access{Resource: text, Named: text, Account: c.Caller.Account}
}

type generateServiceLastAccessedDetails struct{}

func (generateServiceLastAccessedDetails) Access(c *Call, in *sdk.GenerateServiceLastAccessedDetailsInput) []Access {
	return []Access{c.onARN(in.Arn)}
}

func (generateServiceLastAccessedDetails) Command(c *Call, in *sdk.GenerateServiceLastAccessedDetailsInput) (identity.Command, error) {
	return &identity.StartAccessJob{Account: c.Caller.Account, By: c.Caller.ID, ID: c.newUUID(), ARN: aws.ToString(in.Arn),
		Actions: in.Granularity == types.AccessAdvisorUsageGranularityTypeActionLevel}, nil
}

func (generateServiceLastAccessedDetails) Render(_ *Call, _ *sdk.GenerateServiceLastAccessedDetailsInput, b *event.Batch) (*sdk.GenerateServiceLastAccessedDetailsOutput, error) {
	e, err := one[*identity.AccessJobStarted](b)
	if err != nil {
		return nil, err
	}
	return &sdk.GenerateServiceLastAccessedDetailsOutput{JobId: aws.String(e.Job.ID)}, nil
}

// mustJob finds a job of the caller's own: on an organization, or else on an entity.
func (c *Call) mustJob(id *string, organization bool) (identity.AccessJob, error) {
	job, ok := c.state().AccessJob(c.Caller.Account, aws.ToString(id))
	if !ok || job.By != c.Caller.ID || (job.Path != "") != organization {
		return job, fail(codeNoSuchEntity, "Report not found for the job id %s", aws.ToString(id))
	}
	return job, nil
}

// accessor is a user or role that a report is about.
type accessor struct {
	entity
	usage *identity.Usage
}

// About what it takes to find an accessor, and to look at one action that it has used. A
// report on maxScan of them, each with all actions that are kept, is not too much.
const (
	accessorCost = 1500
	usedCost     = 30
)

// accessors are the users and roles that a job is about, at most maxScan: of a group its
// members, of a policy those whom it is attached to, by way of groups, too. ok is false
// where the entity is gone. All that is read of them later is spent here, of the call's work.
func (c *Call) accessors(job *identity.AccessJob) (list []accessor, ok bool) {
	seen := map[identity.ID]bool{}
	add := func(kind identity.Kind, id identity.ID) bool {
		if !c.Work.Spend(accessorCost) {
			return false
		}
		if e, there := c.entityByID(kind, id); there && !seen[id] && e.account == c.Caller.Account {
			seen[id] = true
			a := accessor{e, c.state().Usage(id)}
			if a.usage != nil {
				c.Work.Spend(usedCost * len(a.usage.Actions))
			}
			list = append(list, a)
		}
		return len(list) < maxScan
	}
	members := func(group identity.ID) {
		c.state().GroupUsers(group, "", func(u *identity.User) bool { return add(identity.KindUser, u.ID) })
	}
	switch job.Kind {
	case identity.KindUser, identity.KindRole:
		add(job.Kind, job.Entity)
		return list, len(list) > 0
	case identity.KindGroup:
		_, ok = c.entityByID(job.Kind, job.Entity)
		members(job.Entity)
		return list, ok
	}
	scanned := 0
	c.state().PolicyHolders(job.Entity, "", func(kind identity.Kind, id identity.ID) bool {
		if kind == identity.KindGroup {
			if e, there := c.entityByID(kind, id); there && e.account == c.Caller.Account {
				members(id)
			}
		} else {
			add(kind, id)
		}
		scanned++
		return scanned < maxScan && len(list) < maxScan
	})
	_, ok = c.state().PolicyByID(job.Entity)
	return list, ok
}

// accessed is when a service, or an action of one, was last accessed, and by whom.
type accessed struct {
	identity.ActionUse
	by    string // ARN
	count int    // of those who accessed it
}

func (a *accessed) note(u identity.ActionUse, by string) {
	a.count++
	if u.At > a.At {
		a.ActionUse, a.by = u, by
	}
}

// accessKey is a service, and an action of it, or none for the service as a whole.
type accessKey struct{ service, action string }

// accesses are what users and roles accessed: by service, and where actions are asked for,
// by action.
func accesses(list []accessor, actions bool) map[accessKey]*accessed {
	all := map[accessKey]*accessed{}
	note := func(key accessKey, u identity.ActionUse, by string) {
		if all[key] == nil {
			all[key] = &accessed{}
		}
		all[key].note(u, by)
	}
	for i := range list {
		if list[i].usage == nil {
			continue
		}
		arn, used := list[i].arn(), list[i].usage.Actions
		for len(used) > 0 { // those of a service stand together
			latest, n := used[0], 0
			for n < len(used) && used[n].Service == latest.Service {
				if used[n].At > latest.At {
					latest = used[n]
				}
				if actions {
					note(accessKey{latest.Service, used[n].Name}, used[n], arn)
				}
				n++
			}
			note(accessKey{service: latest.Service}, latest, arn)
			used = used[n:]
		}
	}
	return all
}

type getServiceLastAccessedDetails struct{}

func (getServiceLastAccessedDetails) Access(c *Call, _ *sdk.GetServiceLastAccessedDetailsInput) []Access {
	return c.anything()
}

func (getServiceLastAccessedDetails) Answer(c *Call, in *sdk.GetServiceLastAccessedDetailsInput) (*sdk.GetServiceLastAccessedDetailsOutput, error) {
	job, err := c.mustJob(in.JobId, false)
	if err != nil {
		return nil, err
	}
	out := &sdk.GetServiceLastAccessedDetailsOutput{JobStatus: types.JobStatusTypeCompleted, JobType: types.AccessAdvisorUsageGranularityTypeServiceLevel,
		JobCreationDate: shownTime(job.Created), JobCompletionDate: shownTime(job.Created), ServicesLastAccessed: []types.ServiceLastAccessed{}}
	if job.Actions {
		out.JobType = types.AccessAdvisorUsageGranularityTypeActionLevel
	}
	list, ok := c.accessors(&job)
	if !ok {
		out.JobStatus, out.Error = types.JobStatusTypeFailed, goneEntity(&job)
		return out, nil
	}
	grants, err := c.grantsOf(job.Kind, job.Entity)
	if err != nil {
		return nil, err
	}
	all := accesses(list, job.Actions)
	itself := func(service string) string { return service }
	p, err := paginate("GetServiceLastAccessedDetails", in.Marker, in.MaxItems, sorted(services.Services(), itself), itself,
		func(service string) (types.ServiceLastAccessed, bool) {
			if !grants.service(service) {
				return types.ServiceLastAccessed{}, false
			}
			return shownService(service, all, &grants, job.Actions), true
		})
	if err == nil {
		err = c.Work.Err()
	}
	out.ServicesLastAccessed, out.IsTruncated, out.Marker = p.items, p.truncated, p.marker
	return out, err
}

func goneEntity(job *identity.AccessJob) *types.ErrorDetails {
	return &types.ErrorDetails{Code: aws.String(codeNoSuchEntity), Message: aws.String("ARN " + job.ARN + " not found")}
}

// shownService is what a report has of a service.
func shownService(service string, all map[accessKey]*accessed, grants *grants, actions bool) types.ServiceLastAccessed {
	shown := types.ServiceLastAccessed{ServiceName: aws.String(serviceName(service)), ServiceNamespace: aws.String(service), TotalAuthenticatedEntities: aws.Int32(0)}
	if a := all[accessKey{service: service}]; a != nil {
		shown.LastAuthenticated, shown.LastAuthenticatedEntity = shownTime(a.At), aws.String(a.by)
		shown.LastAuthenticatedRegion, shown.TotalAuthenticatedEntities = textOrNil(a.Region), aws.Int32(int32(a.count))
	}
	if !actions || !tracked(service) {
		return shown
	}
	for _, name := range services.Actions(service) {
		if !grants.action(service, name) {
			continue
		}
		t := types.TrackedActionLastAccessed{ActionName: aws.String(name)}
		if a := all[accessKey{service, name}]; a != nil {
			t.LastAccessedTime, t.LastAccessedEntity, t.LastAccessedRegion = shownTime(a.At), aws.String(a.by), textOrNil(a.Region)
		}
		shown.TrackedActionsLastAccessed = append(shown.TrackedActionsLastAccessed, t)
	}
	return shown
}

type getServiceLastAccessedDetailsWithEntities struct{}

func (getServiceLastAccessedDetailsWithEntities) Access(c *Call, _ *sdk.GetServiceLastAccessedDetailsWithEntitiesInput) []Access {
	return c.anything()
}

func (getServiceLastAccessedDetailsWithEntities) Answer(c *Call, in *sdk.GetServiceLastAccessedDetailsWithEntitiesInput) (*sdk.GetServiceLastAccessedDetailsWithEntitiesOutput, error) {
	job, err := c.mustJob(in.JobId, false)
	if err != nil {
		return nil, err
	}
	service := aws.ToString(in.ServiceNamespace)
	if err := checkServices(service); err != nil {
		return nil, err
	}
	out := &sdk.GetServiceLastAccessedDetailsWithEntitiesOutput{JobStatus: types.JobStatusTypeCompleted, JobCreationDate: shownTime(job.Created),
		JobCompletionDate: shownTime(job.Created), EntityDetailsList: []types.EntityDetails{}}
	list, ok := c.accessors(&job)
	if !ok {
		out.JobStatus, out.Error = types.JobStatusTypeFailed, goneEntity(&job)
		return out, nil
	}
	grants, err := c.grantsOf(job.Kind, job.Entity)
	if err != nil {
		return nil, err
	}
	if !grants.service(service) {
		list = nil // nobody could have
	}
	// The latest first; those who never did, by their identifiers.
	key := func(a accessor) string {
		latest, _ := a.usage.Of(service)
		return fmt.Sprintf("%019d%s", math.MaxInt64-int64(latest.At), a.id)
	}
	p, err := paginate("GetServiceLastAccessedDetailsWithEntities", in.Marker, in.MaxItems, sorted(list, key), key, func(a accessor) (types.EntityDetails, bool) {
		kind := types.PolicyOwnerEntityTypeUser
		if a.kind == identity.KindRole {
			kind = types.PolicyOwnerEntityTypeRole
		}
		shown := types.EntityDetails{EntityInfo: &types.EntityInfo{Arn: aws.String(a.arn()), Id: aws.String(string(a.id)), Name: aws.String(a.name),
			Path: aws.String(a.path), Type: kind}}
		if latest, used := a.usage.Of(service); used {
			shown.LastAuthenticated = shownTime(latest.At)
		}
		return shown, true
	})
	if err == nil {
		err = c.Work.Err()
	}
	out.EntityDetailsList, out.IsTruncated, out.Marker = p.items, p.truncated, p.marker
	return out, err
}

// checkServices refuses the name of a service that there is not.
func checkServices(names ...string) error {
	for _, name := range names {
		if _, ok := slices.BinarySearch(services.Services(), name); !ok {
			return fail(codeInvalidInput, "The service namespace %s is not valid.", name)
		}
	}
	return nil
}

type listPoliciesGrantingServiceAccess struct{}

func (listPoliciesGrantingServiceAccess) Access(c *Call, in *sdk.ListPoliciesGrantingServiceAccessInput) []Access {
	return []Access{c.onARN(in.Arn)}
}

func (listPoliciesGrantingServiceAccess) Answer(c *Call, in *sdk.ListPoliciesGrantingServiceAccessInput) (*sdk.ListPoliciesGrantingServiceAccessOutput, error) {
	if err := checkServices(in.ServiceNamespaces...); err != nil {
		return nil, err
	}
	kind, id, ok := c.state().EntityByARN(c.Caller.Account, aws.ToString(in.Arn))
	if !ok || kind == identity.KindPolicy {
		return nil, fail(codeNoSuchEntity, "ARN %s not found", aws.ToString(in.Arn))
	}
	grants, err := c.grantsOf(kind, id)
	if err != nil {
		return nil, err
	}
	itself := func(service string) string { return service }
	asked := slices.Compact(slices.Sorted(slices.Values(in.ServiceNamespaces)))
	p, err := paginate("ListPoliciesGrantingServiceAccess", in.Marker, nil, sorted(asked, itself), itself,
		func(service string) (types.ListPoliciesGrantingServiceAccessEntry, bool) {
			entry := types.ListPoliciesGrantingServiceAccessEntry{ServiceNamespace: aws.String(service), Policies: []types.PolicyGrantingServiceAccess{}}
			for i := range grants.policies {
				if grants.policies[i].service(service, &grants) {
					entry.Policies = append(entry.Policies, grants.policies[i].shown())
				}
			}
			return entry, true
		})
	if err == nil {
		err = c.Work.Err()
	}
	return &sdk.ListPoliciesGrantingServiceAccessOutput{PoliciesGrantingServiceAccess: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}
