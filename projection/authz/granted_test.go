package authz

import "testing"

// What an account grants stands for an Allow of the principal's own policies, and for no more.
func TestGranted(t *testing.T) {
	all := set(t, "all", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)
	deny := set(t, "deny", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)
	other := set(t, "other", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`)
	for name, test := range map[string]struct {
		layers  Layers
		granted bool
		want    Decision
	}{
		"not granted":      {Layers{}, false, Decision{ImplicitDeny, LayerIdentity}},
		"granted":          {Layers{}, true, Decision{Allow, NoLayer}},
		"denied":           {Layers{Identity: []*Set{deny}}, true, Decision{ExplicitDeny, LayerIdentity}},
		"within a bound":   {Layers{Boundaries: []*Set{all}}, true, Decision{Allow, NoLayer}},
		"beyond a bound":   {Layers{Boundaries: []*Set{other}}, true, Decision{ImplicitDeny, LayerBoundary}},
		"beyond a session": {Layers{Session: other}, true, Decision{ImplicitDeny, LayerSession}},
		"denied by an SCP": {Layers{SCPs: []*Set{deny}}, true, Decision{ExplicitDeny, LayerSCP}},
	} {
		r := &Request{Principal: alice(), Action: "iam:ChangePassword", Resource: "arn:aws:iam::111111111111:user/alice", Granted: test.granted}
		p := Prepare(test.layers)
		if got := p.Evaluate(r); got != test.want {
			t.Errorf("%s: %v by %v", name, got.Outcome, got.By)
		}
		if x := p.Explain(r); x.Decision() != test.want {
			t.Errorf("%s: explained as %v by %v", name, x.Outcome, x.By)
		}
	}
}
