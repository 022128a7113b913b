package authz

import (
	"cmp"
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
	Holder   string
	Document *policy.Policy
}

// Set is a list of policies that count as one: it allows what one of them
// allows. It is indexed by action, immutable, and meant to be shared: build
// one for the policies of each user, group, role, boundary and level of an
// organization when those change, and put them together in Layers.
type Set struct {
	policies    []Policy
	deny, allow index
	principals  bool
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
	var deny, allow indexBuilder
	for i := range s.policies {
		statements := s.policies[i].Document.Statements
		for j := range statements {
			r := ref{statement: &statements[j]}
			if principals {
				r.names = compileNames(r.statement)
			}
			switch r.statement.Effect {
			case policy.Deny:
				deny.add(r)
			case policy.Allow:
				allow.add(r)
			}
		}
	}
	s.deny, s.allow = deny.index(), allow.index()
	return s
}

// Policies returns the policies of the set. The caller must not change them.
func (s *Set) Policies() []Policy { return s.policies }

// ref is a statement in an index.
type ref struct {
	statement *policy.Statement
	names     *names // nil in sets without principals
}

// index finds the statements that can apply to an action. It may return some
// that do not: the statement has the last word.
//
// A pattern of an Action element has a literal head: of "s3:Get*" the service
// s3 and the prefix "get". A request's action is hashed once, at every length
// of its name; then a statement is found by the hash of its head. The entries
// of one service stand together, so that a search touches little memory.
type index struct {
	// always are the statements that can apply to any service: "*",
	// NotAction.
	always   []ref
	services []service // sorted by hash
	entries  []entry   // grouped by service; in a group sorted by length and hash
	refs     []ref     // grouped by entry
}

// service is where the entries of one service begin.
type service struct{ hash, first uint32 }

// entry is where the statements begin that share the head of a pattern.
type entry struct {
	hash, first uint32
	length      uint8 // of the prefix, or exactLength
}

const (
	// maxPrefix is how much of a prefix is indexed; what follows is left to
	// the statement.
	maxPrefix = 31
	// exactLength marks a pattern without wildcards.
	exactLength = maxPrefix + 1
)

// actionHash is a request's action, hashed for every index.
type actionHash struct {
	service uint32 // of "s3:"
	// name[n] is of the service and the first n bytes of the name; the last
	// one of all of it.
	name   [exactLength + 1]uint32
	length int // of the name, at most maxPrefix
}

// FNV-1a, over lower-case bytes.
const (
	hashStart = 2166136261
	hashPrime = 16777619
)

func hashByte(h uint32, c byte) uint32 {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return (h ^ uint32(c)) * hashPrime
}

// hash reads an action. One without a colon has no service and finds only the
// statements for any action.
func (a *actionHash) hash(action string) {
	h, i := uint32(hashStart), 0
	for i < len(action) {
		h = hashByte(h, action[i])
		i++
		if action[i-1] == ':' {
			break
		}
	}
	a.service, a.name[0] = h, h
	for ; i < len(action); i++ {
		h = hashByte(h, action[i])
		if a.length < maxPrefix {
			a.length++
			a.name[a.length] = h
		}
	}
	a.name[exactLength] = h
}

// group returns the entries of the action's service.
func (x *index) group(a *actionHash) (from, to int) {
	i, ok := slices.BinarySearchFunc(x.services, a.service, func(s service, h uint32) int {
		return cmp.Compare(s.hash, h)
	})
	if !ok {
		return 0, 0
	}
	from, to = int(x.services[i].first), len(x.entries)
	if i+1 < len(x.services) {
		to = int(x.services[i+1].first)
	}
	return from, to
}

// smallGroup is up to how many entries a search looks at one by one.
const smallGroup = 16

// next returns the statements of the first entry at or after from that the
// action can match, and where to go on; none when there is no more before to.
func (x *index) next(a *actionHash, from, to int) (refs []ref, after int) {
	for from < to {
		e := &x.entries[from]
		if a.has(e) {
			return x.refsOf(from), from + 1
		}
		from++
		if to-from > smallGroup {
			from = x.seek(a, from, to)
		}
	}
	return nil, to
}

// has tells whether an entry's head is the head of the action.
func (a *actionHash) has(e *entry) bool {
	return (int(e.length) <= a.length || e.length == exactLength) && a.name[e.length] == e.hash
}

// seek skips entries that cannot match: it returns the first one at or after
// from that is not before the action's head, of that length or of the next.
func (x *index) seek(a *actionHash, from, to int) int {
	e := x.entries[from]
	want := entry{length: e.length, hash: a.name[e.length]}
	switch {
	case int(e.length) > a.length && e.length != exactLength:
		want = entry{length: exactLength, hash: a.name[exactLength]}
	case compareEntries(want, e) < 0:
		want = entry{length: e.length + 1}
	}
	i, _ := slices.BinarySearchFunc(x.entries[from:to], want, compareEntries)
	return from + i
}

func compareEntries(a, b entry) int {
	if a.length != b.length {
		return cmp.Compare(a.length, b.length)
	}
	return cmp.Compare(a.hash, b.hash)
}

func (x *index) refsOf(i int) []ref {
	to := len(x.refs)
	if i+1 < len(x.entries) {
		to = int(x.entries[i+1].first)
	}
	return x.refs[x.entries[i].first:to]
}
