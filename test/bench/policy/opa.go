package policy

import (
	"context"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// opa is OPA as a library, by its page "Policy Performance": a prepared query,
// data in objects that are looked up by key (users by name, statements by group
// and service), values kept in OPA's own form, input parsed beforehand.
// Wildcards are prefixes for startswith, which is cheaper than glob.match.
type opa struct {
	query  rego.PreparedEvalQuery
	inputs []ast.Value
}

const opaModule = `
package writ

user := data.users[input.principal]

effects contains statement.effect if {
	some group in user.groups
	some statement in data.groups[group][input.service]
	statement.duty == user.duty
	startswith(input.resource, statement.resource)
	some head in statement.actions
	startswith(input.action, head)
	net.cidr_contains(statement.network, input.address)
}

default allow := false

allow if {
	"Allow" in effects
	not "Deny" in effects
}
`

func newOPA(w *World) (Engine, error) {
	ctx := context.Background()
	store := inmem.NewFromObjectWithOpts(opaData(w), inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(false))
	query, err := rego.New(rego.Query("data.writ.allow"), rego.Module("writ.rego", opaModule), rego.Store(store)).PrepareForEval(ctx)
	if err != nil {
		return nil, fmt.Errorf("prepare the query: %w", err)
	}
	e := &opa{query: query}
	for i := range w.Requests {
		r := &w.Requests[i]
		input, err := ast.InterfaceToValue(map[string]any{
			"principal": w.Principals[r.Principal].Name, "service": r.Service, "action": r.Name,
			"resource": r.Resource, "address": r.Address,
		})
		if err != nil {
			return nil, fmt.Errorf("make an input: %w", err)
		}
		e.inputs = append(e.inputs, input)
	}
	return e, nil
}

func opaData(w *World) map[string]any {
	users, groups := map[string]any{}, map[string]any{}
	for i := range w.Principals {
		p := &w.Principals[i]
		var names []any
		for _, g := range p.Groups {
			names = append(names, w.Groups[g].Name)
		}
		users[p.Name] = map[string]any{"groups": names, "duty": p.Duty}
	}
	for i := range w.Groups {
		services := map[string]any{}
		for p := range w.Groups[i].Policies {
			for j := range w.Groups[i].Policies[p] {
				s := &w.Groups[i].Policies[p][j]
				effect := "Allow"
				if s.Deny {
					effect = "Deny"
				}
				list, _ := services[s.Service].([]any)
				services[s.Service] = append(list, map[string]any{
					"effect": effect, "actions": []any{s.Heads[0], s.Heads[1]}, "resource": s.resourceHead(),
					"duty": s.Duty, "network": s.Network,
				})
			}
		}
		groups[w.Groups[i].Name] = services
	}
	return map[string]any{"users": users, "groups": groups}
}

// Allowed answers a request.
func (e *opa) Allowed(i int) bool {
	results, err := e.query.Eval(context.Background(), rego.EvalParsedInput(e.inputs[i]))
	if err != nil {
		panic(fmt.Errorf("evaluate request %d: %w", i, err))
	}
	return results.Allowed()
}
