package authz

import (
	"slices"

	"github.com/writ-iam/writ/projection/policy"
)

// SourceType is where a policy is attached, as simulations report it
// (API_Statement: SourcePolicyType).
type SourceType string

// The types of sources.
const (
	SourceUser        SourceType = "user"         // inline, of a user
	SourceGroup       SourceType = "group"        // inline, of a group
	SourceRole        SourceType = "role"         // inline, of a role
	SourceAWSManaged  SourceType = "aws-managed"  // managed by AWS
	SourceUserManaged SourceType = "user-managed" // managed by the customer
	SourceResource    SourceType = "resource"     // of a resource
	SourceNone        SourceType = "none"         // given with the request
)

// Policy is a compiled policy and where it comes from. The compiled document
// may be shared by many.
type Policy struct {
	// Name tells the policy apart for people: its name, or "PolicyInputList.1"
	// in a simulation.
	Name string
	// ARN of a managed policy, empty for others.
	ARN    string
	Source SourceType
	// Holder is the user, group or role that the policy is attached to, where
	// that says more than Source.
	Holder string
	// Document is not a part of the policy's JSON: an explanation names the policy
	// with each of its statements.
	Document *policy.Policy `json:"-"`
}

// Set is a list of policies that count as one: it allows what one of them
// allows. It is indexed by action, immutable, and meant to be shared: build
// one for the policies of each user, group, role, boundary and level of an
// organization when those change, and put them together in Layers.
type Set struct {
	index    index
	policies []Policy
	// principals tells that Principal elements count.
	principals bool
}

// NewSet returns the set of policies without Principal elements: identity
// policies, boundaries, session policies, service control policies. A Principal
// element, which AWS refuses there, is not looked at.
func NewSet(policies ...Policy) *Set { return newSet(policies, false) }

// NewResourceSet returns the set of policies with Principal elements: the
// policy of a resource, resource control policies. A statement without the
// element applies to nobody.
func NewResourceSet(policies ...Policy) *Set { return newSet(policies, true) }

func newSet(policies []Policy, principals bool) *Set {
	s := &Set{policies: slices.Clone(policies), principals: principals}
	var b indexBuilder
	for i := range s.policies {
		statements := s.policies[i].Document.Statements
		for j := range statements {
			b.add(&statements[j])
		}
	}
	s.index = b.index(principals)
	return s
}
