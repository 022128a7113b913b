package policy

import (
	"fmt"
	"iter"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// cedarEngine is cedar-go as its documentation has it: one PolicySet, and one
// EntityMap in which users are children of their groups. A statement is one
// policy. Its group and actions stand in the scope, where Cedar wants them:
// Cedar has no wildcards for actions, so "s3:Get*" is an action group. The
// resource's wildcard is `like`, on an attribute of the resource.
//
// Authorize goes through every policy it is given. So that this is not held
// against the evaluator, the variant "cedar-sliced" gives it only the policies
// of the principal's own groups, picked before the clock starts. Users of
// cedar-go would have to build that themselves.
type cedarEngine struct {
	policies func(request int) cedar.PolicyIterator
	entities cedar.EntityMap
	requests []cedar.Request
}

func newCedar(w *World) (Engine, error) {
	e := newCedarEngine(w)
	all := cedar.NewPolicySet()
	for i := range w.Groups {
		if err := eachCedarPolicy(&w.Groups[i], func(id cedar.PolicyID, p *cedar.Policy) { all.Add(id, p) }); err != nil {
			return nil, err
		}
	}
	e.policies = func(int) cedar.PolicyIterator { return all }
	return e, nil
}

func newCedarSliced(w *World) (Engine, error) {
	e := newCedarEngine(w)
	groups := make([]cedarSlice, len(w.Groups))
	for i := range w.Groups {
		err := eachCedarPolicy(&w.Groups[i], func(id cedar.PolicyID, p *cedar.Policy) {
			groups[i] = append(groups[i], cedarPolicy{id, p})
		})
		if err != nil {
			return nil, err
		}
	}
	slices := make([]cedarSlice, len(w.Principals))
	for i := range w.Principals {
		for _, g := range w.Principals[i].Groups {
			slices[i] = append(slices[i], groups[g]...)
		}
	}
	e.policies = func(request int) cedar.PolicyIterator { return slices[w.Requests[request].Principal] }
	return e, nil
}

// Allowed answers a request.
func (e *cedarEngine) Allowed(i int) bool {
	decision, _ := cedar.Authorize(e.policies(i), e.entities, e.requests[i])
	return decision == cedar.Allow
}

// cedarSlice is a list of policies.
type cedarSlice []cedarPolicy

type cedarPolicy struct {
	id     cedar.PolicyID
	policy *cedar.Policy
}

// All lists the policies.
func (s cedarSlice) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for i := range s {
			if !yield(s[i].id, s[i].policy) {
				return
			}
		}
	}
}

func eachCedarPolicy(g *Group, do func(cedar.PolicyID, *cedar.Policy)) error {
	for p := range g.Policies {
		for i := range g.Policies[p] {
			s := &g.Policies[p][i]
			effect := "permit"
			if s.Deny {
				effect = "forbid"
			}
			text := fmt.Sprintf(`%s (principal in Group::%q, action in [Action::"%s:%s*", Action::"%[3]s:%[5]s*"], resource)
				when { resource.arn like "%[6]s*" && principal.duty == %[7]q && context.address.isInRange(ip(%[8]q)) };`,
				effect, g.Name, s.Service, s.Heads[0], s.Heads[1], s.resourceHead(), s.Duty, s.Network)
			policy := new(cedar.Policy)
			if err := policy.UnmarshalCedar([]byte(text)); err != nil {
				return fmt.Errorf("parse a Cedar policy: %w", err)
			}
			do(cedar.PolicyID(fmt.Sprintf("%s-%d-%d", g.Name, p, i)), policy)
		}
	}
	return nil
}

func newCedarEngine(w *World) *cedarEngine {
	e := &cedarEngine{entities: cedar.EntityMap{}}
	add := func(uid cedar.EntityUID, attributes cedar.RecordMap, parents ...cedar.EntityUID) {
		e.entities[uid] = cedar.Entity{UID: uid, Parents: cedar.NewEntityUIDSet(parents...), Attributes: cedar.NewRecord(attributes)}
	}
	for i := range w.Groups {
		add(cedarUID("Group", w.Groups[i].Name), nil)
	}
	for i := range w.Principals {
		p := &w.Principals[i]
		var parents []cedar.EntityUID
		for _, g := range p.Groups {
			parents = append(parents, cedarUID("Group", w.Groups[g].Name))
		}
		add(cedarUID("User", p.Name), cedar.RecordMap{"duty": cedar.String(p.Duty)}, parents...)
	}
	for _, s := range services {
		for _, name := range s.actions {
			parents := []cedar.EntityUID{cedarUID("Action", s.name+":"+name[:3]+"*")}
			if strings.HasPrefix(name, "List") {
				parents = append(parents, cedarUID("Action", s.name+":List*"))
			}
			add(cedarUID("Action", s.name+":"+name), nil, parents...)
		}
	}
	for i := range w.Requests {
		r := &w.Requests[i]
		resource := cedarUID("Resource", r.Resource)
		add(resource, cedar.RecordMap{"arn": cedar.String(r.Resource)})
		address, err := types.ParseIPAddr(r.Address)
		if err != nil { // a constant of the workload
			panic(err)
		}
		e.requests = append(e.requests, cedar.Request{
			Principal: cedarUID("User", w.Principals[r.Principal].Name),
			Action:    cedarUID("Action", r.Service+":"+r.Name),
			Resource:  resource,
			Context:   cedar.NewRecord(cedar.RecordMap{"address": address}),
		})
	}
	return e
}

func cedarUID(kind cedar.EntityType, id string) cedar.EntityUID {
	return cedar.NewEntityUID(kind, cedar.String(id))
}
