package authz

import (
	"math/bits"
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

// Within is the same with session policies.
func (p *Prepared) Within(session *Set) *Prepared {
	l := p.layers
	l.Session = session
	return &Prepared{layers: l}
}

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

// Evaluate answers a request. Where the request has Work, ask its Err afterwards: when
// it has ended the answer is no, and says nothing. It does not allocate, except for the text of a
// time that a policy asks for.
func (p *Prepared) Evaluate(r *Request) Decision {
	if free(r) {
		return Decision{Outcome: Allow}
	}
	var e evaluation
	e.begin(p, r)
	var allowed layerBits
	if r.Granted {
		allowed = layerSet(LayerIdentity)
	}
	grant := grantNone
	for l := Layer(1); l < layerCount; l++ {
		denied, g := e.layer(l)
		if denied {
			return Decision{ExplicitDeny, l}
		}
		if g != grantNone {
			allowed |= 1 << l
		}
		grant = g // the last layer is that of the resource
	}
	if r.Work.Err() != nil {
		return Decision{}
	}
	need := needed(r.Principal.Type, r.account() == r.Principal.Account, strict(r), grant)
	if missing := need &^ allowed; missing != 0 {
		return Decision{ImplicitDeny, Layer(bits.TrailingZeros8(uint8(missing)))}
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
	const head = len("kms:")
	if len(r.Action) < head || r.Action[head-1] != ':' {
		return false
	}
	switch service := r.Action[:head-1]; {
	case strings.EqualFold(service, "kms"):
		a, ok := splitARN(r.Resource)
		return ok && a.service == "kms" && strings.HasPrefix(a.resource, "key/")
	case strings.EqualFold(service, "sts"):
		return isRole(r.Resource)
	}
	return false
}

// Assumes tells whether an action with a resource is one that the trust policy of a role
// guards.
func Assumes(action, resource string) bool {
	service, _, _ := strings.Cut(action, ":")
	return strings.EqualFold(service, "sts") && isRole(resource)
}

// NeedsNoPolicy tells actions that some principals need no permission for.
func NeedsNoPolicy(action string) bool {
	return free(&Request{Action: action, Principal: &Principal{Type: User}})
}

func isRole(resource string) bool {
	a, ok := splitARN(resource)
	return ok && a.service == "iam" && strings.HasPrefix(a.resource, "role/")
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
	if e.context.Work = r.Work; r.globals != nil {
		e.context.Lazy = (*globalKeys)(r)
	}
	e.action.hash(r.Action)
	e.bounded = r.Principal.Type.entity() && len(p.layers.Boundaries) > 0
}

// binding returns the sets of a layer that bind the request, as a list or as
// one. A guard limits what others grant: every one of its sets has to allow,
// and without any it sets no limit. Of other layers one allow is enough, and
// needed.
func (e *evaluation) binding(l Layer) (sets []*Set, one *Set, guard bool) {
	p := e.request.Principal
	switch l {
	case LayerRCP:
		if e.request.Target != nil && len(e.request.Target.RCPs) > 0 && restricted(e.request) {
			sets = e.request.Target.RCPs
		}
		return sets, nil, true
	case LayerSCP:
		// They bind the users and roles of member accounts, root included.
		if len(e.layers.SCPs) > 0 && !p.Type.Foreign() && !p.serviceLinked() {
			sets = e.layers.SCPs
		}
		return sets, nil, true
	case LayerResource:
		if e.request.Target != nil {
			one = e.request.Target.Policy
		}
		return nil, one, false
	}
	if !p.Type.entity() {
		if l == LayerSession && p.Type == Root { // by AssumeRoot, or by a root that delegates
			one = e.layers.Session
		}
		return nil, one, true // no other such policies, and none needed
	}
	switch l {
	case LayerIdentity:
		return e.layers.Identity, nil, false
	case LayerBoundary:
		return e.layers.Boundaries, nil, true
	}
	// GetFederationToken without a session policy gives nothing.
	return nil, e.layers.Session, p.Type != FederatedUser
}

// initial is what a layer allows before its policies are asked.
func (e *evaluation) initial(l Layer, guard bool) grant {
	p := e.request.Principal
	switch {
	case guard:
		return grantDirect
	case l == LayerIdentity && p.Type == FederatedUser && strings.HasSuffix(p.Issuer, ":root"):
		return grantDirect // what root federates starts from all of root's permissions
	}
	return grantNone
}

// layer tells whether a Deny of a layer applies, and how strongly it allows.
func (e *evaluation) layer(l Layer) (denied bool, allows grant) {
	sets, one, guard := e.binding(l)
	allows = e.initial(l, guard)
	if one != nil {
		return e.ask(one, grantNone)
	}
	for _, s := range sets {
		if !guard {
			denied, allows = e.ask(s, allows)
		} else {
			var g grant
			denied, g = e.ask(s, grantNone)
			allows = min(allows, g)
		}
		if denied {
			return true, grantNone
		}
	}
	return false, allows
}

// ask looks for a Deny of a set that applies, and for an Allow that names the
// principal more strongly than best. It returns the strongest.
func (e *evaluation) ask(s *Set, best grant) (denied bool, allows grant) {
	x := &s.index
	if denied, best = e.run(x, x.always, best); denied || x.services == 0 {
		return denied, best
	}
	for found, rest := e.action.next(x.group(&e.action)); found != nil; found, rest = e.action.next(rest) {
		if denied, best = e.run(x, found.run, best); denied {
			return true, best
		}
	}
	return false, best
}

func (e *evaluation) run(x *index, r run, best grant) (denied bool, allows grant) {
	for i := r.first; i < r.allow; i++ {
		if e.names(x, i, true) != grantNone && e.applies(x.statements[i]) {
			return true, best
		}
	}
	for i := r.allow; i < r.end && best != grantDirect; i++ {
		if g := e.names(x, i, false); g > best && e.applies(x.statements[i]) {
			best = g
		}
	}
	return false, best
}

// names tells how statement i names the principal.
func (e *evaluation) names(x *index, i uint32, deny bool) grant {
	if x.names == nil {
		return grantDirect
	}
	if !e.context.Work.Spend(x.names[i].size()) {
		return grantNone
	}
	return x.names[i].match(e.request.Principal, deny, e.bounded)
}

// applies tells whether a statement covers the request, its principal apart. The
// action comes last: the index has found the statement by it, so it seldom says no.
func (e *evaluation) applies(s *policy.Statement) bool {
	return e.context.Work.Spend(1) &&
		s.MatchResource(e.request.Resource, &e.context) &&
		s.MatchConditions(&e.context) &&
		s.MatchActionWithin(e.request.Action, e.context.Work)
}
