package iam

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
	"github.com/writ-iam/writ/projection/policy/valid"
)

func simulateActions() []Action {
	return []Action{
		read("GetContextKeysForCustomPolicy", getContextKeysForCustomPolicy{}),
		read("GetContextKeysForPrincipalPolicy", getContextKeysForPrincipalPolicy{}),
		read("SimulateCustomPolicy", simulateCustomPolicy{}),
		read("SimulatePrincipalPolicy", simulatePrincipalPolicy{}),
	}
}

// maxSimulated is how many decisions one page of a simulation may cost. With
// many resources a page has fewer actions than asked for.
const maxSimulated = 10_000

// maxSimulatedAnswer is how long an answer to a simulation may be, about, in bytes.
const maxSimulatedAnswer = 8 << 20

// errLong is returned when an answer would be longer than that.
var errLong = errors.New("the answer to the simulation is too long")

// About how long the parts of an answer are, in bytes.
const (
	resultSize    = 256
	statementSize = 256
)

// sourceOf is the kind and the name of the user, group or role of the caller's
// account that an ARN names.
func (c *Call) sourceOf(arn *string) (kind identity.Kind, name string, ok bool) {
	rest, _ := strings.CutPrefix(aws.ToString(arn), c.partition().IAM()+string(c.Caller.Account)+":")
	noun, path, _ := strings.Cut(rest, "/")
	name = path[strings.LastIndexByte(path, '/')+1:]
	for _, kind := range [...]identity.Kind{identity.KindUser, identity.KindGroup, identity.KindRole} {
		if noun == kind.Noun() && name != "" {
			return kind, name, true
		}
	}
	return 0, "", false
}

// shownBy are the accesses to what a simulation shows besides policies: the tags of the
// principal that is simulated to call, and who may assume the roles that are named as
// resources. Without them they take no part in it.
func (c *Call) shownBy(caller *string, resources []string) (list []Access) {
	add := func(arn, action string, of identity.Kind) {
		if kind, name, ok := c.sourceOf(&arn); ok && kind == of {
			a := c.on(kind, &name).As(action)
			a.Extra = true
			list = append(list, a)
		}
	}
	add(aws.ToString(caller), "iam:GetUser", identity.KindUser)
	for _, arn := range resources {
		add(arn, "iam:GetRole", identity.KindRole)
	}
	return list
}

// source finds the user, group or role that an ARN names.
func (c *Call) source(arn *string) (entity, error) {
	kind, name, ok := c.sourceOf(arn)
	if !ok {
		return entity{}, fail(codeInvalidInput, "Invalid Entity Arn: %s does not clearly define entity type and name.", aws.ToString(arn))
	}
	if e, ok := c.entity(kind, name); ok && e.arn() == aws.ToString(arn) {
		return e, nil
	}
	return entity{}, fail(codeNoSuchEntity, "The %s with name %s cannot be found.", kind.Noun(), name)
}

// onSource is the access to a user, group or role whose policies are simulated. A
// refusal has the ARN as it was asked for, whether it names anybody or not.
func (c *Call) onSource(arn *string) Access {
	if kind, name, ok := c.sourceOf(arn); ok {
		if a := c.on(kind, &name); a.Resource == aws.ToString(arn) {
			a.Named = ""
			return a
		}
	}
	return Access{Resource: aws.ToString(arn), Account: c.Caller.Account}
}

// compiled compiles a policy of a request, which parse reads and checks, as a part of
// the call's work.
func (c *Call) compiled(name string, source authz.SourceType, text string, parse func(string) (*syntax.Document, error)) (authz.Policy, error) {
	if !c.Work.Spend(policy.ParseCost(text)) {
		return authz.Policy{}, c.Work.Err()
	}
	doc, err := parse(text)
	if malformed := (*syntax.MalformedError)(nil); errors.As(err, &malformed) {
		return authz.Policy{}, fail(codeInvalidInput, "%s is malformed: %s", name, malformed.Message)
	}
	if err != nil {
		return authz.Policy{}, err
	}
	return authz.Policy{Name: name, Source: source, Document: policy.Compile(doc)}, nil
}

// parseAs checks a policy as one of a kind, but for its length: a policy may be
// simulated before it is cut to size.
func parseAs(kind syntax.Kind) func(text string) (*syntax.Document, error) {
	return func(text string) (*syntax.Document, error) {
		doc, err := syntax.Parse(text)
		if err == nil {
			err = valid.Check(doc, kind)
		}
		return doc, err
	}
}

// given compiles the identity policies that a request brings.
func (c *Call) given(list string, texts []string) ([]authz.Policy, error) {
	var policies []authz.Policy
	for i, text := range texts {
		p, err := c.compiled(fmt.Sprintf("%s.%d", list, i+1), authz.SourceNone, text, parseAs(syntax.KindRole))
		if err != nil {
			return nil, err
		}
		policies = append(policies, p)
	}
	return policies, nil
}

// stored compiles a policy from the state.
func (c *Call) stored(name, document string) (authz.Policy, error) {
	if !c.Work.Spend(policy.ParseCost(document)) {
		return authz.Policy{}, c.Work.Err()
	}
	doc, err := syntax.Parse(document)
	if err != nil {
		return authz.Policy{}, fmt.Errorf("policy %s: %w", name, err)
	}
	return authz.Policy{Name: name, Document: policy.Compile(doc)}, nil
}

// policiesOf are the identity policies of a user with its groups, of a group, or
// of a role, but for those that are left out. Managed ones are named as they are,
// inline ones by their owner too.
func (c *Call) policiesOf(e entity, out exclusions) ([]authz.Policy, error) {
	holders := []entity{e}
	if u, ok := c.state().UserByID(e.id); ok {
		for _, g := range c.groups(u) {
			holders = append(holders, entityOfGroup(g))
		}
	}
	var policies []authz.Policy
	for _, h := range holders {
		for _, id := range h.attached {
			m, ok := c.state().PolicyByID(id)
			if !ok || out.managed(m) {
				continue
			}
			p, err := c.stored(m.Name, m.Document())
			if err != nil {
				return nil, err
			}
			policies = append(policies, p)
		}
		for _, inline := range h.inline {
			if out.inline(h, inline.Name) {
				continue
			}
			p, err := c.stored(h.kind.Noun()+"_"+h.name+"_"+inline.Name, inline.Document)
			if err != nil {
				return nil, err
			}
			policies = append(policies, p)
		}
	}
	return policies, nil
}

// simulation is one request to simulate, ready to decide.
type simulation struct {
	call      *Call
	prepared  *authz.Prepared
	bounded   bool
	organized bool // service control policies take part
	principal authz.Principal
	named     bool           // the principal is somebody, not just anybody's policies
	context   []policy.Entry // of the request
	target    *authz.Target  // of the request; nil without a resource policy
	owner     string
	resources []string
	// roles are the targets of resources that are roles of the cluster.
	roles map[string]*authz.Target
	size  int // of the answer so far, about, in bytes
}

// simulationInput is what both ways of simulating have in common.
type simulationInput struct {
	list               string
	actions, resources []string
	caller             *string
	source             bool // the caller is the one whose policies are simulated
	entries            []types.ContextEntry
	boundaries         []string
	levels             []types.OrderedOrganizationPolicyType
	resourcePolicy     *string
	resourceOwner      *string
	handling           *string
	marker             *string
	maxItems           *int32
}

type simulateCustomPolicy struct{}

func (simulateCustomPolicy) Access(c *Call, in *sdk.SimulateCustomPolicyInput) []Access {
	return append(c.anything(), c.shownBy(in.CallerArn, in.ResourceArns)...)
}

func (simulateCustomPolicy) Answer(c *Call, in *sdk.SimulateCustomPolicyInput) (*sdk.SimulateCustomPolicyOutput, error) {
	policies, err := c.given("PolicyInputList", in.PolicyInputList)
	if err != nil {
		return nil, err
	}
	p, err := c.simulate(policies, nil, simulationInput{"SimulateCustomPolicy", in.ActionNames, in.ResourceArns, in.CallerArn, false,
		in.ContextEntries, in.PermissionsBoundaryPolicyInputList, in.OrderedOrganizationPolicyInputList,
		in.ResourcePolicy, in.ResourceOwner, in.ResourceHandlingOption, in.Marker, in.MaxItems})
	return &sdk.SimulateCustomPolicyOutput{EvaluationResults: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

type simulatePrincipalPolicy struct{}

func (simulatePrincipalPolicy) Access(c *Call, in *sdk.SimulatePrincipalPolicyInput) []Access {
	return append([]Access{c.onSource(in.PolicySourceArn)}, c.shownBy(in.CallerArn, in.ResourceArns)...)
}

func (simulatePrincipalPolicy) Answer(c *Call, in *sdk.SimulatePrincipalPolicyInput) (*sdk.SimulatePrincipalPolicyOutput, error) {
	e, err := c.source(in.PolicySourceArn)
	if err != nil {
		return nil, err
	}
	out := exclusions(in.PolicyExclusionList)
	if err := out.check(); err != nil {
		return nil, err
	}
	policies, err := c.policiesOf(e, out)
	if err != nil {
		return nil, err
	}
	more, err := c.given("PolicyInputList", in.PolicyInputList)
	if err != nil {
		return nil, err
	}
	var boundary []authz.Policy
	if m, ok := c.state().PolicyByID(e.boundary); ok && !out.boundary() {
		p, err := c.stored(m.Name, m.Document())
		if err != nil {
			return nil, err
		}
		boundary = []authz.Policy{p}
	}
	caller := in.CallerArn
	source := aws.ToString(caller) == aws.ToString(in.PolicySourceArn)
	if caller == nil && e.kind != identity.KindGroup {
		caller, source = in.PolicySourceArn, true
	}
	p, err := c.simulate(append(policies, more...), boundary, simulationInput{"SimulatePrincipalPolicy", in.ActionNames, in.ResourceArns, caller, source,
		in.ContextEntries, in.PermissionsBoundaryPolicyInputList, nil,
		in.ResourcePolicy, in.ResourceOwner, in.ResourceHandlingOption, in.Marker, in.MaxItems})
	return &sdk.SimulatePrincipalPolicyOutput{EvaluationResults: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

func (c *Call) simulate(policies, boundary []authz.Policy, in simulationInput) (page[types.EvaluationResult], error) {
	none := page[types.EvaluationResult]{}
	s, err := c.newSimulation(policies, boundary, &in)
	if err != nil {
		return none, err
	}
	last, err := parseMarker(in.list, in.marker)
	if err != nil {
		return none, err
	}
	first := 0
	if last != "" {
		if first, err = strconv.Atoi(last); err != nil || first < 0 {
			return none, fail(codeValidationError, "Invalid Marker.")
		}
		first++
	}
	limit := defaultPage
	if in.maxItems != nil {
		limit = int(*in.maxItems)
	}
	limit = max(1, min(limit, maxSimulated/len(s.resources)))
	return s.page(&in, first, limit)
}

// page decides the actions from first on. It has fewer than limit where those cost
// all the work that the call may, or all the room that its answer may take: AWS's may
// have fewer, too ("MaxItems" in the IAM API Reference).
func (s *simulation) page(in *simulationInput, first, limit int) (p page[types.EvaluationResult], err error) {
	p.items = []types.EvaluationResult{}
	for i := first; i < len(in.actions); i++ {
		var result types.EvaluationResult
		full := len(p.items) == limit
		if !full {
			result, err = s.evaluate(in.actions[i], s.resources[0] != "*")
			full = len(p.items) > 0 && (errors.Is(err, policy.ErrWork) || errors.Is(err, errLong))
		}
		switch {
		case full:
			p.truncated, p.marker = true, aws.String(newMarker(in.list, fmt.Sprintf("%08d", i-1)))
			return p, nil
		case errors.Is(err, errLong):
			return p, fail(codeInvalidInput, "The answer would be longer than %d bytes: name fewer resources.", maxSimulatedAnswer)
		case err != nil:
			return p, err
		}
		p.items = append(p.items, result)
	}
	return p, nil
}

func (c *Call) newSimulation(policies, boundary []authz.Policy, in *simulationInput) (*simulation, error) {
	s := &simulation{call: c, resources: in.resources, roles: map[string]*authz.Target{}}
	if len(s.resources) == 0 {
		s.resources = []string{"*"}
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if len(in.boundaries) > 0 {
		var err error
		if boundary, err = c.given("PermissionsBoundaryPolicyInputList", in.boundaries); err != nil {
			return nil, err
		}
	}
	if err := in.checkCaller(c.partition()); err != nil {
		return nil, err
	}
	if err := s.setCaller(in.caller, in.source); err != nil {
		return nil, err
	}
	if in.resourcePolicy != nil {
		p, err := c.compiled("ResourcePolicy", authz.SourceResource, *in.resourcePolicy, valid.ParsePrincipals)
		if err != nil {
			return nil, err
		}
		s.target = &authz.Target{Policy: authz.NewResourceSet(p)}
	}
	var err error
	if s.owner, err = in.owner(c.partition()); err != nil {
		return nil, err
	}
	if s.context, err = contextOf(in.entries); err != nil {
		return nil, err
	}
	layers := authz.Layers{Identity: []*authz.Set{authz.NewSet(policies...)}}
	if layers.SCPs, err = c.controls(in.levels); err != nil {
		return nil, err
	}
	s.organized = len(layers.SCPs) > 0
	if len(boundary) > 0 {
		layers.Boundaries, s.bounded = []*authz.Set{authz.NewSet(boundary...)}, true
	}
	s.prepared = authz.Prepare(layers)
	return s, nil
}

// setCaller finds out who is simulated to call. Without a caller, it is nobody
// in particular of the account, and only the request's context keys are there. The tags
// of somebody in particular take part if they are shown to the real caller.
func (s *simulation) setCaller(arn *string, shown bool) error {
	s.principal = authz.Principal{Type: authz.User, Account: string(s.call.Caller.Account)}
	if arn == nil {
		return nil
	}
	p, err := s.call.View.PrincipalByARN(*arn)
	switch {
	case err == nil && (shown || s.call.Shown[*arn] || *arn == s.call.Caller.ARN):
		s.principal = p.Principal
	case err == nil, errors.Is(err, projection.ErrNoPrincipal):
		if s.principal, err = authz.ParsePrincipal(*arn); err != nil {
			s.principal = authz.Principal{Type: authz.User, ARN: *arn, Account: strings.Split(*arn, ":")[4]} // a group
		}
	default:
		return err
	}
	s.named = true
	return nil
}

// evaluate decides an action for every resource. With resources in the request there is a
// result for each among those of the action, which is the least of them
// ("EvaluationResult" and "ResourceSpecificResult" in the IAM API Reference).
func (s *simulation) evaluate(action string, specific bool) (types.EvaluationResult, error) {
	results := make([]types.ResourceSpecificResult, len(s.resources))
	organizations := make([]*types.OrganizationsDecisionDetail, len(s.resources))
	for i, resource := range s.resources {
		results[i], organizations[i] = s.outcome(action, resource)
		if err := s.call.Work.Err(); err != nil {
			return types.EvaluationResult{}, err
		}
		s.size += resultSize + escapedSize(resource) + statementSize*len(results[i].MatchedStatements)
		for _, key := range results[i].MissingContextValues {
			s.size += escapedSize(key)
		}
		if s.size > maxSimulatedAnswer {
			return types.EvaluationResult{}, errLong
		}
	}
	first, organization := results[0], organizations[0]
	for i, r := range results {
		if severity(r.EvalResourceDecision) > severity(first.EvalResourceDecision) {
			first, organization = r, organizations[i]
		}
	}
	out := types.EvaluationResult{EvalActionName: aws.String(action), EvalResourceName: aws.String("*"), EvalDecision: first.EvalResourceDecision,
		MatchedStatements: first.MatchedStatements, MissingContextValues: first.MissingContextValues,
		PermissionsBoundaryDecisionDetail: first.PermissionsBoundaryDecisionDetail, OrganizationsDecisionDetail: organization}
	if specific {
		out.EvalDecisionDetails, out.ResourceSpecificResults = first.EvalDecisionDetails, results
		out.MissingContextValues = []string{} // they stand beside their resources
		for i := range results {
			results[i].EvalDecisionDetails = nil // of simulations across accounts alone
		}
	}
	if len(results) == 1 {
		out.EvalResourceName = first.EvalResourceName
	}
	return out, nil
}

func severity(d types.PolicyEvaluationDecisionType) int {
	switch d {
	case types.PolicyEvaluationDecisionTypeAllowed:
		return 0
	case types.PolicyEvaluationDecisionTypeImplicitDeny:
		return 1
	}
	return 2
}

// shownOutcome is a decision in the words of the simulator.
func shownOutcome(o authz.Outcome) types.PolicyEvaluationDecisionType {
	switch o {
	case authz.Allow:
		return types.PolicyEvaluationDecisionTypeAllowed
	case authz.ExplicitDeny:
		return types.PolicyEvaluationDecisionTypeExplicitDeny
	}
	return types.PolicyEvaluationDecisionTypeImplicitDeny
}

// outcome decides an action for a resource. Where the organization denies it, the
// simulation ends ("EvalDecisionDetails" in the IAM API Reference).
func (s *simulation) outcome(action, resource string) (types.ResourceSpecificResult, *types.OrganizationsDecisionDetail) {
	r := authz.Request{Principal: &s.principal, Action: action, Resource: resource, ResourceAccount: s.owner, Target: s.targetOf(resource), Context: s.context, Work: s.call.Work}
	if account := strings.SplitN(resource, ":", 6); s.owner != "" && len(account) == 6 && account[4] != "" {
		r.ResourceAccount = account[4]
	}
	if s.named {
		r.FillGlobals(&authz.Globals{Time: time.UnixMilli(int64(s.call.Now))})
	}
	x := s.prepared.Explain(&r)
	out := types.ResourceSpecificResult{EvalResourceName: aws.String(resource), EvalResourceDecision: shownOutcome(x.Outcome),
		MatchedStatements: matched(&x), MissingContextValues: x.Missing(), EvalDecisionDetails: map[string]types.PolicyEvaluationDecisionType{}}
	organization := &types.OrganizationsDecisionDetail{AllowedByOrganizations: true}
	for _, l := range x.Layers {
		allows := l.Allows && !l.Denies
		switch {
		case s.bounded && l.Layer == authz.LayerBoundary:
			out.PermissionsBoundaryDecisionDetail = &types.PermissionsBoundaryDecisionDetail{AllowedByPermissionsBoundary: allows}
		case l.Layer == authz.LayerSCP && !allows:
			organization.AllowedByOrganizations, out.EvalDecisionDetails = false, nil
		}
	}
	if !s.organized {
		return out, nil
	}
	return out, organization
}

// targetOf is the policy of a resource: that of the request, or the trust policy
// of a role that is shown to the caller, which alone says who may assume it.
func (s *simulation) targetOf(resource string) *authz.Target {
	if s.target != nil || !s.call.Shown[resource] {
		return s.target
	}
	if target, ok := s.roles[resource]; ok {
		return target
	}
	target := s.trustOf(resource)
	s.roles[resource] = target
	return target
}

// trustOf makes the target of a role; nil if it is none.
func (s *simulation) trustOf(resource string) *authz.Target {
	account, name, _ := strings.Cut(strings.TrimPrefix(resource, s.call.partition().IAM()), ":")
	r, ok := s.call.state().Role(identity.AccountID(account), name[strings.LastIndexByte(name, '/')+1:])
	if !ok || r.ARN() != resource {
		return nil
	}
	trust, err := s.call.stored(r.Name, r.Trust)
	if err != nil {
		return nil
	}
	return &authz.Target{Policy: authz.NewResourceSet(trust)}
}

// shownPolicyType is what AWS's simulator calls every policy, whatever its model says.
const shownPolicyType types.PolicySourceType = "IAM Policy"

// matched are the statements that made the decision: all that deny, or all that allow.
func matched(x *authz.Explanation) []types.Statement {
	list := []types.Statement{}
	for _, st := range x.Statements {
		allows := x.Outcome == authz.Allow && st.Effect == syntax.Allow && (st.Layer == authz.LayerIdentity || st.Layer == authz.LayerResource)
		denies := x.Outcome == authz.ExplicitDeny && st.Effect == syntax.Deny
		if st.Applies && (allows || denies) {
			list = append(list, types.Statement{SourcePolicyId: aws.String(st.Policy.Name), SourcePolicyType: shownPolicyType,
				StartPosition: shownPosition(afterBrace(st.Start)), EndPosition: shownPosition(st.End)})
		}
	}
	return list
}

// afterBrace is where AWS's simulator says that a statement starts: in the column after
// its brace.
func afterBrace(p syntax.Position) syntax.Position {
	p.Column++
	return p
}

func shownPosition(p syntax.Position) *types.Position {
	return &types.Position{Line: int32(p.Line), Column: int32(p.Column)}
}

type getContextKeysForCustomPolicy struct{}

func (getContextKeysForCustomPolicy) Access(c *Call, _ *sdk.GetContextKeysForCustomPolicyInput) []Access {
	return c.anything()
}

func (getContextKeysForCustomPolicy) Answer(c *Call, in *sdk.GetContextKeysForCustomPolicyInput) (*sdk.GetContextKeysForCustomPolicyOutput, error) {
	policies, err := c.given("PolicyInputList", in.PolicyInputList)
	return &sdk.GetContextKeysForCustomPolicyOutput{ContextKeyNames: contextKeys(policies)}, err
}

type getContextKeysForPrincipalPolicy struct{}

func (getContextKeysForPrincipalPolicy) Access(c *Call, in *sdk.GetContextKeysForPrincipalPolicyInput) []Access {
	return []Access{c.onSource(in.PolicySourceArn)}
}

func (getContextKeysForPrincipalPolicy) Answer(c *Call, in *sdk.GetContextKeysForPrincipalPolicyInput) (*sdk.GetContextKeysForPrincipalPolicyOutput, error) {
	e, err := c.source(in.PolicySourceArn)
	if err != nil {
		return nil, err
	}
	policies, err := c.policiesOf(e, nil)
	if err != nil {
		return nil, err
	}
	more, err := c.given("PolicyInputList", in.PolicyInputList)
	return &sdk.GetContextKeysForPrincipalPolicyOutput{ContextKeyNames: contextKeys(append(policies, more...))}, err
}

// contextKeys are the keys that policies read, in conditions and variables.
func contextKeys(policies []authz.Policy) []string {
	var uses []policy.KeyUse
	for _, p := range policies {
		for i := range p.Document.Statements {
			uses = append(uses, p.Document.Statements[i].Uses()...)
		}
	}
	return authz.KeyNames(uses)
}
