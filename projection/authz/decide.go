package authz

import (
	"strings"

	"github.com/writ-iam/writ/projection/policy"
)

// Layers are the policies on the side of a principal.
type Layers struct {
	// Identity are the policies of the principal: a user's own, those of each
	// of its groups; the role's. A set for each holder lets members of a group
	// share it.
	Identity []*Set
	// Boundaries are the permissions boundary, empty without one. Each of
	// several must allow.
	Boundaries []*Set
	// Session are the session policies; nil when none were passed.
	Session *Set
	// SCPs are the service control policies of the principal's account, a set
	// for each level of the organization, outermost first. Empty without an
	// organization.
	SCPs []*Set
}

// Prepared are the policies of one principal, ready for decisions. It is
// immutable and small: what it holds is shared with other principals.
type Prepared struct{ layers Layers }

// Prepare returns the layers ready for decisions. It copies no policy and costs
// next to nothing.
func Prepare(l Layers) *Prepared { return &Prepared{layers: l} }

// Decision is an answer: allowed or not, and the layer responsible for a
// denial.
type Decision struct {
	Outcome Outcome
	// By is the layer that denied, or that lacks the allow; NoLayer when the
	// request is allowed.
	By Layer
}

// Allowed tells whether the request is allowed.
func (d Decision) Allowed() bool { return d.Outcome == Allow }

// Decide answers a request. It does not allocate, except for the text of a
// time that a policy asks for.
func (p *Prepared) Decide(r *Request) Decision {
	if free(r) {
		return Decision{Outcome: Allow}
	}
	var e evaluation
	e.begin(p, r)
	for l := Layer(1); l < layerCount; l++ {
		if e.denies(l) {
			return Decision{ExplicitDeny, l}
		}
	}
	grant := grantNone
	if r.Target != nil && r.Target.Policy != nil {
		grant = e.strongest(&r.Target.Policy.allow, false)
	}
	need := needed(r.Principal.Type, r.account() == r.Principal.Account, strict(r), grant)
	for l := Layer(1); l < layerCount; l++ {
		if need.has(l) && !e.allows(l) {
			return Decision{ImplicitDeny, l}
		}
	}
	return Decision{Outcome: Allow}
}

// free tells the actions that need no permission and that no policy can take
// away (STS API Reference: GetCallerIdentity; IAM User Guide: "Permissions for
// GetSessionToken").
func free(r *Request) bool {
	const caller, token = "sts:GetCallerIdentity", "sts:GetSessionToken"
	switch len(r.Action) {
	case len(caller):
		return strings.EqualFold(r.Action, caller)
	case len(token):
		return strings.EqualFold(r.Action, token) && (r.Principal.Type == User || r.Principal.Type == Root)
	}
	return false
}

// strict tells resources that let nobody in whom their own policy does not
// name: KMS keys (KMS Developer Guide: "Key policies in AWS KMS") and roles to
// be assumed (IAM User Guide: "How AWS enforcement code logic evaluates
// requests").
func strict(r *Request) bool {
	service, _, _ := strings.Cut(r.Action, ":")
	switch {
	case strings.EqualFold(service, "kms"):
		return arnField(r.Resource, 2) == "kms" && strings.HasPrefix(arnField(r.Resource, 5), "key/")
	case strings.EqualFold(service, "sts"):
		return arnField(r.Resource, 2) == "iam" && strings.HasPrefix(arnField(r.Resource, 5), "role/")
	}
	return false
}

// rcpServices are the services that resource control policies reach
// (Organizations User Guide: "Resource control policies", list of AWS services
// that support RCPs).
var rcpServices = [...]string{
	"s3", "sts", "kms", "sqs", "secretsmanager", "ecr", "aoss", "cognito-identity", "cognito-idp", "dynamodb", "logs",
}

// restricted tells whether resource control policies apply to a request: to
// some services, never to kms:RetireGrant (KMS Developer Guide: "Resource
// control policies in AWS KMS"), never to service-linked roles.
func restricted(r *Request) bool {
	service, name, _ := strings.Cut(r.Action, ":")
	if strings.EqualFold(service, "kms") && strings.EqualFold(name, "RetireGrant") {
		return false
	}
	if r.Principal.serviceLinked() || serviceLinked(r.Resource) {
		return false
	}
	for _, s := range rcpServices {
		if strings.EqualFold(s, service) {
			return true
		}
	}
	return false
}

// evaluation is the state of one decision. It stays on the stack.
type evaluation struct {
	request *Request
	layers  *Layers
	context policy.Context
	action  actionHash
	bounded bool // a permissions boundary is attached
}

func (e *evaluation) begin(p *Prepared, r *Request) {
	e.request, e.layers = r, &p.layers
	e.context.Add(r.Context)
	e.context.Lazy = r.lookup
	e.action.hash(r.Action)
	e.bounded = r.Principal.Type.entity() && len(p.layers.Boundaries) > 0
}

// sets returns the sets of a layer that bind the request.
func (e *evaluation) sets(l Layer) []*Set {
	p := e.request.Principal
	switch l {
	case LayerRCP:
		if e.request.Target != nil && len(e.request.Target.RCPs) > 0 && restricted(e.request) {
			return e.request.Target.RCPs
		}
	case LayerSCP:
		// They bind the users and roles of member accounts, root included.
		if len(e.layers.SCPs) > 0 && !p.Type.foreign() && !p.serviceLinked() {
			return e.layers.SCPs
		}
	case LayerIdentity:
		if p.Type.entity() {
			return e.layers.Identity
		}
	case LayerBoundary:
		if p.Type.entity() {
			return e.layers.Boundaries
		}
	}
	return nil
}

// single returns the set of a layer that has at most one.
func (e *evaluation) single(l Layer) *Set {
	switch {
	case l == LayerSession && e.request.Principal.Type.entity():
		return e.layers.Session
	case l == LayerResource && e.request.Target != nil:
		return e.request.Target.Policy
	}
	return nil
}

// denies tells whether a Deny of a layer applies.
func (e *evaluation) denies(l Layer) bool {
	for _, s := range e.sets(l) {
		if e.strongest(&s.deny, true) != grantNone {
			return true
		}
	}
	s := e.single(l)
	return s != nil && e.strongest(&s.deny, true) != grantNone
}

// allows tells whether a layer that a request needs gives its allow.
func (e *evaluation) allows(l Layer) bool {
	switch l {
	case LayerIdentity:
		return e.identityAllows()
	case LayerSession:
		s := e.layers.Session
		if s == nil {
			// GetFederationToken without a session policy gives nothing.
			return e.request.Principal.Type != FederatedUser
		}
		return e.strongest(&s.allow, false) != grantNone
	case LayerResource:
		return false // needed only where it is missing; see needed
	}
	for _, s := range e.sets(l) {
		if e.strongest(&s.allow, false) == grantNone {
			return false
		}
	}
	return true
}

// identityAllows: one allow is enough. What root federates starts from all of
// root's permissions.
func (e *evaluation) identityAllows() bool {
	for _, s := range e.layers.Identity {
		if e.strongest(&s.allow, false) != grantNone {
			return true
		}
	}
	return e.federatedRoot()
}

func (e *evaluation) federatedRoot() bool {
	p := e.request.Principal
	return p.Type == FederatedUser && strings.HasSuffix(p.Issuer, ":root")
}

// strongest returns how the statements of an index that apply to the request
// name the principal, at best. It stops at the first direct one.
func (e *evaluation) strongest(x *index, deny bool) grant {
	best := e.best(x.always, deny, grantNone)
	if len(x.services) == 0 {
		return best
	}
	from, to := x.group(&e.action)
	for from < to && best != grantDirect {
		var refs []ref
		refs, from = x.next(&e.action, from, to)
		best = e.best(refs, deny, best)
	}
	return best
}

func (e *evaluation) best(refs []ref, deny bool, best grant) grant {
	for i := range refs {
		if best == grantDirect {
			break
		}
		g := refs[i].names.match(e.request.Principal, deny, e.bounded)
		if g > best && e.applies(refs[i].statement) {
			best = g
		}
	}
	return best
}

// applies tells whether a statement covers the request, its principal apart.
func (e *evaluation) applies(s *policy.Statement) bool {
	return s.MatchAction(e.request.Action) &&
		s.MatchResource(e.request.Resource, &e.context) &&
		s.MatchConditions(&e.context)
}
