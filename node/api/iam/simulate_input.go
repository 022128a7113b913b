package iam

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/scalar"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// What a request to simulate brings besides its policies. Whatever would change the
// answer is a part of the simulation or refused; the rules are those of
// "SimulateCustomPolicy" and "SimulatePrincipalPolicy" in the IAM API Reference.

// maxExclusions is how many identifiers a list of exclusions may have.
const maxExclusions = 256

// check refuses what no simulation can be about.
func (in *simulationInput) check() error {
	if err := asked(in.actions, in.resources); err != nil {
		return err
	}
	if len(in.boundaries) > 1 {
		return fail(codeInvalidInput, "The list of Permissions Boundary policies cannot exceed 1 items.")
	}
	for i, level := range in.levels {
		if len(level.ServiceControlPolicyInputList) == 0 {
			return fail(codeInvalidInput, "Organization policy at index %d must contain at least one service control policy", i+1)
		}
	}
	return in.checkHandling()
}

// asked refuses an action that is none, though a decision about it could be computed,
// and a resource that is no ARN.
func asked(actions, resources []string) error {
	for _, action := range actions {
		switch err := authz.CheckAction(action); {
		case strings.ContainsAny(action, "*?"):
			return fail(codeInvalidInput, "Invalid action: %s. This operation does not support using wildcards (*) in an action name.", action)
		case !strings.Contains(action, ":"):
			return fail(codeInvalidInput, "The action is invalid since it is missing names")
		case err != nil:
			return fail(codeInvalidInput, "Invalid action: %s is not of the form service:Action.", action)
		}
	}
	for _, resource := range resources {
		if authz.CheckResource(resource) != nil || resource == "*" && len(resources) > 1 {
			return fail(codeInvalidInput, "ResourceNames are not in a valid ARN format: %s.", resource)
		}
	}
	return nil
}

// scenarios are the values of ResourceHandlingOption with the types of EC2's
// resources that each needs.
var scenarios = map[string][]string{
	"EC2-VPC-InstanceStore":        {"instance", "image", "security-group", "network-interface"},
	"EC2-VPC-InstanceStore-Subnet": {"instance", "image", "security-group", "network-interface", "subnet"},
	"EC2-VPC-EBS":                  {"instance", "image", "security-group", "network-interface", "volume"},
	"EC2-VPC-EBS-Subnet":           {"instance", "image", "security-group", "network-interface", "subnet", "volume"},
}

// checkHandling finds the resources that the scenario of the simulation needs.
func (in *simulationInput) checkHandling() error {
	if in.handling == nil {
		return nil
	}
	needed, ok := scenarios[*in.handling]
	if !ok {
		return fail(codeInvalidInput, "Invalid input resource handling options: %s.", *in.handling)
	}
	for _, kind := range needed {
		if !slices.ContainsFunc(in.resources, func(arn string) bool {
			fields := strings.SplitN(arn, ":", 6)
			return len(fields) == 6 && fields[2] == "ec2" && strings.HasPrefix(fields[5], kind+"/")
		}) {
			return fail(codeInvalidInput, "Invalid input resource handling options: %s needs a resource of the type %s.", *in.handling, kind)
		}
	}
	return nil
}

// checkCaller refuses who cannot call: nobody of another partition can. A resource's policy needs a user whom it may
// name: "Simulation of resource-based policies isn't supported for IAM roles".
func (in *simulationInput) checkCaller(of identity.Partition) error {
	if in.caller == nil {
		if in.resourcePolicy != nil {
			return fail(codeInvalidInput, "Invalid caller - Caller cannot be null or empty.")
		}
		return nil
	}
	fields := strings.SplitN(*in.caller, ":", 6)
	kind, name := "", ""
	if len(fields) == 6 && fields[0] == "arn" && fields[1] == of.String() && fields[2] == "iam" && fields[3] == "" && accountNumber(fields[4]) {
		kind, name, _ = strings.Cut(fields[5], "/")
	}
	switch {
	case name == "" || kind != "user" && kind != "group" && kind != "role":
		return fail(codeInvalidInput, "Invalid caller - Caller must be an IAM user, role or group in this context.")
	case in.resourcePolicy != nil && kind != "user":
		return fail(codeInvalidInput, "Invalid caller - Caller must be an IAM user in this context.")
	}
	return nil
}

func accountNumber(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789") == ""
}

// owner is the account of resources whose ARN has none.
func (in *simulationInput) owner(of identity.Partition) (string, error) {
	if in.resourceOwner == nil {
		return "", nil
	}
	account, ok := strings.CutPrefix(strings.TrimSuffix(*in.resourceOwner, ":root"), of.IAM())
	if !ok || !accountNumber(account) || of.RootARN(identity.AccountID(account)) != *in.resourceOwner {
		return "", fail(codeInvalidInput, "Invalid Resource Owner.")
	}
	return account, nil
}

// valueForms are the types of context keys, with what AWS calls their values.
var valueForms = map[types.ContextKeyTypeEnum]struct {
	of   scalar.Type
	name string
}{
	types.ContextKeyTypeEnumNumeric: {scalar.Number, "numeric format"},
	types.ContextKeyTypeEnumIp:      {scalar.Address, "IP address"},
	types.ContextKeyTypeEnumBinary:  {scalar.Binary, "base-64 encoded binary format"},
	types.ContextKeyTypeEnumDate:    {scalar.Date, "DateTime format"},
}

// contextOf are the context keys of a request. A key is multivalued when its type
// says so; without a type, when there is not one value.
func contextOf(entries []types.ContextEntry) ([]policy.Entry, error) {
	var list []policy.Entry
	seen := map[string]bool{}
	for _, e := range entries {
		name := aws.ToString(e.ContextKeyName)
		key, kind := policy.NewKey(name), string(e.ContextKeyType)
		of, many := strings.CutSuffix(kind, "List")
		as := string(key)
		if strings.Contains(name, "/") { // of a tag, whose keys may be there in several spellings
			as = name
		}
		form, formed := valueForms[types.ContextKeyTypeEnum(of)]
		switch {
		case name == "":
			return nil, fail(codeInvalidInput, "ContextKeyName cannot be null or empty.")
		case seen[as]:
			return nil, fail(codeInvalidInput, "Duplicate context key: %s.", name)
		case len(e.ContextKeyValues) == 0:
			return nil, fail(codeInvalidInput, "Context values for context key %s cannot be null or empty.", name)
		case kind != "" && !many && len(e.ContextKeyValues) != 1:
			return nil, fail(codeInvalidInput, "Context key %s expected a single value, but received %d.", name, len(e.ContextKeyValues))
		case formed && !slices.ContainsFunc(e.ContextKeyValues, func(v string) bool { return !form.of.Takes(v) }):
		case formed:
			return nil, fail(codeInvalidInput, "Invalid context value for key %s: expected %s.", name, form.name)
		}
		seen[as] = true
		if many || len(e.ContextKeyValues) > 1 {
			list = append(list, policy.Multi(key, e.ContextKeyValues))
		} else {
			list = append(list, policy.Single(key, e.ContextKeyValues[0]))
		}
	}
	return list, nil
}

// controls compiles the service control policies of a request, a set for each level
// of the organization.
func (c *Call) controls(levels []types.OrderedOrganizationPolicyType) ([]*authz.Set, error) {
	var sets []*authz.Set
	for i, level := range levels {
		var policies []authz.Policy
		for j, text := range level.ServiceControlPolicyInputList {
			p, err := c.compiled(fmt.Sprintf("OrderedOrganizationPolicyInputList.%d.%d", i+1, j+1), authz.SourceNone, text, parseAs(syntax.KindSCP))
			if err != nil {
				return nil, err
			}
			policies = append(policies, p)
		}
		sets = append(sets, authz.NewSet(policies...))
	}
	return sets, nil
}

// exclusions are the policies that a simulation leaves out of those that are attached.
type exclusions []types.PolicyIdentifier

// check refuses identifiers that can match nothing for their form alone.
func (x exclusions) check() error {
	if len(x) > maxExclusions {
		return fail(codeInvalidInput, "PolicyExclusionList cannot contain more than %d identifiers.", maxExclusions)
	}
	for _, id := range x {
		switch id := id.(type) {
		case *types.PolicyIdentifierMemberPolicyArn:
			fields := strings.SplitN(id.Value, ":", 6)
			if len(fields) < 6 || fields[0] != "arn" || fields[2] != "iam" || fields[3] != "" || !accountNumber(fields[4]) && fields[4] != string(identity.AWSAccount) ||
				strings.ContainsAny(fields[1], "*?") || !strings.HasPrefix(fields[5], "policy/") || fields[5] == "policy/" || strings.Count(fields[5], "*") > 1 {
				return fail(codeInvalidInput, "Invalid policy ARN in PolicyExclusionList: %s.", id.Value)
			}
		case *types.PolicyIdentifierMemberInlinePolicyIdentifier:
			if owner := aws.ToString(id.Value.AttachmentName); strings.Count(owner, "*") > 1 {
				return fail(codeInvalidInput, "Invalid attachment name in PolicyExclusionList: %s.", owner)
			}
		}
	}
	return nil
}

// boundary tells whether the permissions boundary is left out.
func (x exclusions) boundary() bool {
	return x.kind(types.PolicyIdentifierPolicyTypePermissionBoundary)
}

func (x exclusions) kind(kind types.PolicyIdentifierPolicyType) bool {
	return slices.ContainsFunc(x, func(id types.PolicyIdentifier) bool {
		t, ok := id.(*types.PolicyIdentifierMemberPolicyType)
		return ok && t.Value == kind
	})
}

// managed tells whether a managed policy is left out. Its path need not be named.
func (x exclusions) managed(p *identity.Policy) bool {
	kind := types.PolicyIdentifierPolicyTypeUserManaged
	if p.Account == identity.AWSAccount {
		kind = types.PolicyIdentifierPolicyTypeAwsManaged
	}
	plain := p.In.ARN(identity.KindPolicy, p.Account, "/", p.Name)
	return x.kind(kind) || slices.ContainsFunc(x, func(id types.PolicyIdentifier) bool {
		t, ok := id.(*types.PolicyIdentifierMemberPolicyArn)
		return ok && (selects(t.Value, p.ARN()) || selects(t.Value, plain))
	})
}

// inline tells whether an inline policy of a user, group or role is left out.
func (x exclusions) inline(owner entity, name string) bool {
	return x.kind(types.PolicyIdentifierPolicyTypeInline) || slices.ContainsFunc(x, func(id types.PolicyIdentifier) bool {
		t, ok := id.(*types.PolicyIdentifierMemberInlinePolicyIdentifier)
		return ok && string(t.Value.AttachmentType) == owner.kind.Noun() && aws.ToString(t.Value.PolicyName) == name &&
			selects(aws.ToString(t.Value.AttachmentName), owner.name)
	})
}

// selects matches a name with a pattern that has at most one *, and any number of ?.
func selects(pattern, name string) bool {
	head, tail, star := strings.Cut(pattern, "*")
	if !star {
		return same(head, name)
	}
	return len(name) >= len(head)+len(tail) && same(head, name[:len(head)]) && same(tail, name[len(name)-len(tail):])
}

// same compares texts of which the first may have ? for any character.
func same(pattern, text string) bool {
	if len(pattern) != len(text) {
		return false
	}
	for i := range len(text) {
		if pattern[i] != '?' && pattern[i] != text[i] {
			return false
		}
	}
	return true
}
