package iam

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/policy"
)

func serviceLinkedRoleActions() []Action {
	return []Action{
		write("CreateServiceLinkedRole", createServiceLinkedRole{}),
		write("DeleteServiceLinkedRole", deleteServiceLinkedRole{}),
		read("GetServiceLinkedRoleDeletionStatus", getServiceLinkedRoleDeletionStatus{}),
	}
}

// linkedServicesText are the services that have roles of their own, in order of name:
// "AWS services that work with IAM" in the IAM User Guide, and what it links to.
//
//go:embed servicelinked.json
var linkedServicesText []byte

var linkedServices = mustReadLinkedServices(linkedServicesText)

// linkedService is a service that has a role of its own.
type linkedService struct {
	Service string // its principal
	Role    string // the name of its role
	Policy  string // the name of AWS's policy for the role, below identity.ServiceRolePath
	Suffix  bool   // whether an account may have more than one, told apart by a suffix
}

const (
	linkedPolicyPath  = ":policy/aws-service-role/" // of those of AWS, behind the account
	maxRoleName       = 64                          // of the service model
	deletionTaskParts = 5                           // task, aws-service-role, service, role, UUID
)

func mustReadLinkedServices(text []byte) (list []linkedService) {
	if err := json.Unmarshal(text, &list); err != nil {
		panic(fmt.Sprintf("read the services that have roles: %v", err))
	}
	return list
}

func linkedServiceOf(principal string) (linkedService, bool) {
	i, ok := slices.BinarySearchFunc(linkedServices, principal, func(s linkedService, name string) int { return strings.Compare(s.Service, name) })
	if !ok {
		return linkedService{}, false
	}
	return linkedServices[i], true
}

// linkedRoleName is the name of the role that a request is about; that of a service that has
// none is a guess, which only authorizations see.
func linkedRoleName(service, suffix *string) string {
	name := "AWSServiceRoleFor"
	if s, ok := linkedServiceOf(aws.ToString(service)); ok {
		name = s.Role
	}
	if suffix != nil {
		name += "_" + *suffix
	}
	return name
}

// linkedPolicyARN is what the ARNs of AWS's policies for roles of services begin with.
func (c *Call) linkedPolicyARN() string {
	return c.partition().IAM() + string(identity.AWSAccount) + linkedPolicyPath
}

// linkedTrust is the trust policy of a service's role.
func linkedTrust(service string) string {
	return `{"Version":"2012-10-17","Statement":[{"Action":["sts:AssumeRole"],"Effect":"Allow","Principal":{"Service":["` + service + `"]}}]}`
}

type createServiceLinkedRole struct{}

func (createServiceLinkedRole) Access(c *Call, in *sdk.CreateServiceLinkedRoleInput) []Access {
	path, name := identity.ServiceRolePath(aws.ToString(in.AWSServiceName)), linkedRoleName(in.AWSServiceName, in.CustomSuffix)
	return []Access{c.toBe(identity.KindRole, &path, &name).With(policy.Single(keyAWSServiceName, aws.ToString(in.AWSServiceName)))}
}

func (createServiceLinkedRole) Command(c *Call, in *sdk.CreateServiceLinkedRoleInput) (identity.Command, error) {
	s, ok := linkedServiceOf(aws.ToString(in.AWSServiceName))
	switch {
	case !ok:
		return nil, fail(codeAccessDenied, "Cannot find Service Linked Role template for %s", aws.ToString(in.AWSServiceName))
	case in.CustomSuffix != nil && !s.Suffix:
		return nil, fail(codeInvalidInput, "Custom suffix is not allowed for %s", s.Service)
	}
	name := linkedRoleName(in.AWSServiceName, in.CustomSuffix)
	if len(name) > maxRoleName {
		return nil, fail(codeInvalidInput, "Service role name %s is longer than %d characters, please try a different suffix.", name, maxRoleName)
	}
	return &identity.CreateServiceLinkedRole{Account: c.Caller.Account, ID: c.newID(identity.RoleIDPrefix), Service: s.Service, Name: name,
		Description: aws.ToString(in.Description), Trust: linkedTrust(s.Service), Policy: c.linkedPolicyARN() + s.Policy}, nil
}

// Render leaves the description out, as that of createRole does.
func (createServiceLinkedRole) Render(c *Call, _ *sdk.CreateServiceLinkedRoleInput, b *event.Batch) (*sdk.CreateServiceLinkedRoleOutput, error) {
	e, err := one[*identity.RoleCreated](b)
	if err != nil {
		return nil, err
	}
	r := c.shownRole(&identity.Role{In: c.partition(), ID: e.ID, Account: e.Account, Name: e.Name, Path: e.Path, Trust: e.Trust, Created: e.Created})
	return &sdk.CreateServiceLinkedRoleOutput{Role: &r}, nil
}

type deleteServiceLinkedRole struct{}

func (deleteServiceLinkedRole) Access(c *Call, in *sdk.DeleteServiceLinkedRoleInput) []Access {
	return []Access{c.on(identity.KindRole, in.RoleName)}
}

func (deleteServiceLinkedRole) Command(c *Call, in *sdk.DeleteServiceLinkedRoleInput) (identity.Command, error) {
	return &identity.DeleteServiceLinkedRole{Account: c.Caller.Account, Name: aws.ToString(in.RoleName), Task: c.newUUID()}, nil
}

func (deleteServiceLinkedRole) Render(_ *Call, _ *sdk.DeleteServiceLinkedRoleInput, b *event.Batch) (*sdk.DeleteServiceLinkedRoleOutput, error) {
	e, err := one[*identity.ServiceLinkedRoleDeleted](b)
	if err != nil {
		return nil, err
	}
	return &sdk.DeleteServiceLinkedRoleOutput{DeletionTaskId: &e.Task}, nil
}

type getServiceLinkedRoleDeletionStatus struct{}

// Access is to the role that the task deletes, as its id names it.
func (getServiceLinkedRoleDeletionStatus) Access(c *Call, in *sdk.GetServiceLinkedRoleDeletionStatusInput) []Access {
	parts := strings.Split(aws.ToString(in.DeletionTaskId), "/")
	if len(parts) != deletionTaskParts {
		return []Access{c.toBe(identity.KindRole, aws.String(identity.ServiceRolePath("*")), aws.String("*"))}
	}
	path := identity.ServiceRolePath(parts[2])
	return []Access{c.toBe(identity.KindRole, &path, &parts[3])}
}

// Answer knows of deletions that are done: the services whose roles Writ keeps do not run on it, so
// that nothing can hold a deletion up.
func (getServiceLinkedRoleDeletionStatus) Answer(c *Call, in *sdk.GetServiceLinkedRoleDeletionStatusInput) (*sdk.GetServiceLinkedRoleDeletionStatusOutput, error) {
	if !c.state().DeletionTask(c.Caller.Account, aws.ToString(in.DeletionTaskId)) {
		return nil, fail(codeNoSuchEntity, "The deletion task with id %s cannot be found.", aws.ToString(in.DeletionTaskId))
	}
	return &sdk.GetServiceLinkedRoleDeletionStatusOutput{Status: types.DeletionTaskStatusTypeSucceeded}, nil
}
