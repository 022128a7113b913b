package policy

import (
	"fmt"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
)

// casbinEngine is Casbin's RBAC model with deny-override, keyMatch for wildcards
// and ipMatch, all from its documentation. A statement is a rule for each of
// its actions. The matcher asks the cheap questions first, so that most rules
// cost one comparison.
type casbinEngine struct {
	enforcer *casbin.Enforcer
	requests [][]any
}

const casbinModel = `
[request_definition]
r = sub, duty, act, obj, address

[policy_definition]
p = sub, duty, act, obj, network, eft

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = r.duty == p.duty && keyMatch(r.obj, p.obj) && keyMatch(r.act, p.act) && g(r.sub, p.sub) && ipMatch(r.address, p.network)
`

func newCasbin(w *World) (Engine, error) {
	m, err := model.NewModelFromString(casbinModel)
	if err != nil {
		return nil, fmt.Errorf("read the model: %w", err)
	}
	enforcer, err := casbin.NewEnforcer(m)
	if err != nil {
		return nil, fmt.Errorf("make the enforcer: %w", err)
	}
	if _, err := enforcer.AddPoliciesEx(casbinRules(w)); err != nil {
		return nil, fmt.Errorf("add rules: %w", err)
	}
	var members [][]string
	for i := range w.Principals {
		for _, g := range w.Principals[i].Groups {
			members = append(members, []string{w.Principals[i].Name, w.Groups[g].Name})
		}
	}
	if _, err := enforcer.AddGroupingPolicies(members); err != nil {
		return nil, fmt.Errorf("add members: %w", err)
	}
	e := &casbinEngine{enforcer: enforcer}
	for i := range w.Requests {
		r := &w.Requests[i]
		p := &w.Principals[r.Principal]
		e.requests = append(e.requests, []any{p.Name, p.Duty, r.Service + ":" + r.Name, r.Resource, r.Address})
	}
	return e, nil
}

func casbinRules(w *World) (rules [][]string) {
	for i := range w.Groups {
		g := &w.Groups[i]
		for p := range g.Policies {
			for j := range g.Policies[p] {
				s := &g.Policies[p][j]
				effect := "allow"
				if s.Deny {
					effect = "deny"
				}
				for _, head := range s.Heads {
					rules = append(rules, []string{g.Name, s.Duty, s.Service + ":" + head + "*", s.resourceHead() + "*", s.Network, effect})
				}
			}
		}
	}
	return rules
}

// Allowed answers a request.
func (e *casbinEngine) Allowed(i int) bool {
	ok, err := e.enforcer.Enforce(e.requests[i]...)
	if err != nil {
		panic(fmt.Errorf("enforce request %d: %w", i, err))
	}
	return ok
}
