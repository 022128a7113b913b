package policy

import (
	"fmt"
	"strings"

	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// writ holds what a Writ projection holds: a compiled set a group, shared by
// the members, and prepared layers a principal. A request is filled with the
// global condition keys as a server does it.
type writ struct {
	prepared []*authz.Prepared
	requests []authz.Request
}

func newWrit(w *World) (Engine, error) {
	sets := make([]*authz.Set, len(w.Groups))
	for i := range w.Groups {
		var policies []authz.Policy
		for j := range w.Groups[i].Policies {
			doc, err := syntax.Parse(document(w.Groups[i].Policies[j][:]))
			if err != nil {
				return nil, fmt.Errorf("parse a policy: %w", err)
			}
			policies = append(policies, authz.Policy{Document: policy.Compile(doc)})
		}
		sets[i] = authz.NewSet(policies...)
	}
	e := &writ{}
	principals := make([]*authz.Principal, len(w.Principals))
	prepared := make([]*authz.Prepared, len(w.Principals))
	for i := range w.Principals {
		p := &w.Principals[i]
		var layers authz.Layers
		for _, g := range p.Groups {
			layers.Identity = append(layers.Identity, sets[g])
		}
		prepared[i] = authz.Prepare(layers)
		principals[i] = &authz.Principal{
			ARN: "arn:aws:iam::" + account + ":user/" + p.Name, Account: account, Name: p.Name,
			Tags: []authz.Tag{{Key: "duty", Value: p.Duty}},
		}
	}
	e.requests = make([]authz.Request, len(w.Requests))
	for i, r := range w.Requests {
		e.prepared = append(e.prepared, prepared[r.Principal])
		e.requests[i] = authz.Request{Principal: principals[r.Principal], Action: r.Service + ":" + r.Name, Resource: r.Resource}
		e.requests[i].FillGlobals(&authz.Globals{SourceIP: r.Address, Transport: authz.TLSTransport})
	}
	return e, nil
}

// Allowed answers a request.
func (e *writ) Allowed(i int) bool { return e.prepared[i].Evaluate(&e.requests[i]).Allowed() }

// document prints statements as a policy document.
func document(statements []Statement) string {
	var parts []string
	for i := range statements {
		s := &statements[i]
		effect := "Allow"
		if s.Deny {
			effect = "Deny"
		}
		parts = append(parts, fmt.Sprintf(
			`{"Effect": %q, "Action": ["%s:%s*", "%[2]s:%[4]s*"], "Resource": "%[5]s*", "Condition": {
			"StringEquals": {"aws:PrincipalTag/duty": %[6]q}, "IpAddress": {"aws:SourceIp": %[7]q}}}`,
			effect, s.Service, s.Heads[0], s.Heads[1], s.resourceHead(), s.Duty, s.Network))
	}
	return `{"Version": "2012-10-17", "Statement": [` + strings.Join(parts, ",") + `]}`
}
