package iam

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/projection/policy"
)

// Resources and condition keys are those of "Actions, resources, and condition
// keys for AWS Identity and Access Management" (Service Authorization Reference).
const (
	keyBoundary  policy.Key = "iam:permissionsboundary"
	keyPolicyARN policy.Key = "iam:policyarn"
	keyTagKeys   policy.Key = "aws:tagkeys"

	keyAWSServiceName  policy.Key = "iam:awsservicename"
	keyPassedToService policy.Key = "iam:passedtoservice"

	prefixRequestTag     = "aws:requesttag/"
	prefixResourceTag    = "aws:resourcetag/"
	prefixIAMResourceTag = "iam:resourcetag/"
)

// actionPassRole is the permission to have a service act as a role.
const actionPassRole = "iam:PassRole"

// anything is the access of an action that knows no resources.
func (c *Call) anything() []Access {
	return []Access{{Resource: "*", Account: c.Caller.Account}}
}

// on is the access to the entity of that name. One that does not exist has no
// path and no tags.
func (c *Call) on(kind identity.Kind, name *string) Access {
	a := c.toBe(kind, nil, name)
	if e, ok := c.target(kind, name); ok {
		a = Access{Resource: e.ARN(), Account: e.Account, Context: ResourceTags(e)}
	}
	// Denials say "instance profile web", where ARNs have "instance-profile/web".
	a.Named = strings.ReplaceAll(kind.Noun(), "-", " ") + " " + aws.ToString(name)
	return a
}

// onProvider is the access to the provider of identities that has the ARN, by which denials
// name it, too.
func (c *Call) onProvider(kind identity.Kind, arn *string) Access {
	a := Access{Resource: aws.ToString(arn), Account: c.Caller.Account}
	e, ok := c.find(identity.Lookup{By: identity.ByProviderARN, Kind: kind, Text: aws.ToString(arn)})
	if ok && e.Account == c.Caller.Account {
		a.Context = ResourceTags(e)
	}
	return a
}

// ResourceTags are the condition keys of the tags that an entity has: two each for users
// and roles, one for others.
func ResourceTags(e identity.Target) (entries []policy.Entry) {
	for _, t := range e.Tags {
		entries = append(entries, policy.Single(policy.NewKey(prefixResourceTag+t.Key), t.Value))
		if e.Kind == identity.KindUser || e.Kind == identity.KindRole {
			entries = append(entries, policy.Single(policy.NewKey(prefixIAMResourceTag+t.Key), t.Value))
		}
	}
	return entries
}

// toBe is the access to an entity that is about to be made.
func (c *Call) toBe(kind identity.Kind, path, name *string) Access {
	return Access{Resource: c.partition().ARN(kind, c.Caller.Account, pathOr(path), aws.ToString(name)), Account: c.Caller.Account}
}

// below is the access of a list of all entities whose path has the prefix.
func (c *Call) below(kind identity.Kind, prefix *string) []Access {
	return []Access{c.toBe(kind, prefix, nil)}
}

// withBoundary is the access with the boundary that the user or role has now.
func (c *Call) withBoundary(kind identity.Kind, name *string) Access {
	a := c.on(kind, name)
	if e, _ := c.target(kind, name); e.Boundary != "" {
		a = a.With(policy.Single(keyBoundary, e.Boundary))
	}
	return a
}

// onSelf is the access to the user of that name, or without a name to the caller.
func (c *Call) onSelf(name *string) Access {
	switch {
	case name != nil:
		return c.on(identity.KindUser, name)
	case c.Caller.Kind == admission.KindUser:
		return c.on(identity.KindUser, &c.Caller.Name)
	}
	return Access{Resource: c.Caller.ARN, Account: c.Caller.Account}
}

// onPolicy is the access to a managed policy.
func (c *Call) onPolicy(arn *string) Access {
	a := Access{Resource: aws.ToString(arn), Named: "policy " + aws.ToString(arn), Account: c.Caller.Account}
	p, ok := c.policyTarget(arn)
	if !ok || p.Account != c.Caller.Account {
		return a
	}
	a.Context = ResourceTags(p)
	return a
}

// boundaryKey is the condition key of a boundary that a request brings, which is to
// be decided about the very policy that the ARN names now.
func (c *Call) boundaryKey(arn *string) []policy.Entry {
	if arn == nil {
		return nil
	}
	c.policyTarget(arn)
	return []policy.Entry{policy.Single(keyBoundary, *arn)}
}

// policyKey is the condition key of a policy that a request attaches or detaches,
// as boundaryKey is that of a boundary.
func (c *Call) policyKey(arn *string) policy.Entry {
	c.policyTarget(arn)
	return policy.Single(keyPolicyARN, aws.ToString(arn))
}

// target is what an authorization may see of the caller's account's entity of that name.
func (c *Call) target(kind identity.Kind, name *string) (identity.Target, bool) {
	return c.targetOf(kind, c.Caller.Account, aws.ToString(name))
}

// targetOf is target for any account.
func (c *Call) targetOf(kind identity.Kind, account identity.AccountID, name string) (identity.Target, bool) {
	return c.find(identity.Lookup{By: identity.ByName, Kind: kind, Account: account, Text: name})
}

// policyTarget is target for the managed policy of that ARN.
func (c *Call) policyTarget(arn *string) (identity.Target, bool) {
	return c.find(identity.Lookup{By: identity.ByARN, Text: aws.ToString(arn)})
}

// tagsKeys are the condition keys of tags that a request brings.
func tagsKeys(tags []types.Tag) []policy.Entry {
	if len(tags) == 0 {
		return nil
	}
	var entries []policy.Entry
	var keys []string
	for _, t := range tags {
		entries = append(entries, policy.Single(policy.NewKey(prefixRequestTag+aws.ToString(t.Key)), aws.ToString(t.Value)))
		keys = append(keys, aws.ToString(t.Key))
	}
	return append(entries, policy.Multi(keyTagKeys, keys))
}

// creation is what the making of an entity needs: the action's own permission
// and, where tags come with it, the permission to tag.
func creation(a Access, tags []types.Tag, tagAction string) []Access {
	a = a.With(tagsKeys(tags)...)
	if len(tags) == 0 {
		return []Access{a}
	}
	return []Access{a, a.As(tagAction)}
}
