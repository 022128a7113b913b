package policies

import (
	"fmt"
	"slices"
	"strings"

	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// explanation is a decision as `writ policy explain` shows it: layers,
// their policies, the statements of these that speak of the action.
type explanation struct {
	ID       string           `json:"id,omitempty"`
	Decision string           `json:"decision"`
	By       []string         `json:"by"`
	Reason   string           `json:"reason"`
	Layers   []explainedLayer `json:"layers"`
}

type explainedLayer struct {
	Layer string `json:"layer"`
	Level int    `json:"level,omitempty"`
	// Needed tells that the request needs an allow here.
	Needed   bool              `json:"needed"`
	Allows   bool              `json:"allows"`
	Denies   bool              `json:"denies"`
	Policies []explainedPolicy `json:"policies"`
	// Silent is how many policies say nothing about the action.
	Silent int `json:"silent"`
}

type explainedPolicy struct {
	Name       string               `json:"name"`
	Statements []explainedStatement `json:"statements"`

	policy *authz.Policy
}

type explainedStatement struct {
	Index   int    `json:"index"` // from 0
	Sid     string `json:"sid,omitempty"`
	Effect  string `json:"effect"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Applies bool   `json:"applies"`
	// Principal and Resource tell whether these elements matched.
	Principal  bool                 `json:"principal"`
	Resource   bool                 `json:"resource"`
	Conditions []explainedCondition `json:"conditions,omitempty"`
	// Missing are keys that the statement reads and the request has not.
	Missing []string `json:"missing,omitempty"`
}

type explainedCondition struct {
	Operator string `json:"operator"`
	Key      string `json:"key"`
	// Values are those of the request; null when it has no such key.
	Values []string `json:"values"`
	Match  bool     `json:"match"`
}

// explained puts the statements of an explanation below their layers and
// policies.
func explained(id string, x *authz.Explanation) *explanation {
	out := &explanation{
		ID: id, Decision: x.Outcome.String(), By: layerNames(x.By), Reason: reason(x), Layers: []explainedLayer{},
	}
	for i := range x.Layers {
		l := &x.Layers[i]
		if l.Policies == 0 && !l.Needed {
			continue
		}
		layer := explainedLayer{
			Layer: l.Layer.String(), Level: l.Level, Needed: l.Needed, Allows: l.Allows, Denies: l.Denies,
			Policies: []explainedPolicy{},
		}
		for j := range x.Statements {
			if s := &x.Statements[j]; s.Layer == l.Layer && s.Level == l.Level {
				layer.add(s)
			}
		}
		layer.Silent = l.Policies - len(layer.Policies)
		out.Layers = append(out.Layers, layer)
	}
	return out
}

// add adds a statement, below its policy. Those of a policy come one after the
// other.
func (l *explainedLayer) add(s *authz.StatementResult) {
	if n := len(l.Policies); n == 0 || l.Policies[n-1].policy != s.Policy {
		l.Policies = append(l.Policies, explainedPolicy{Name: s.Policy.Name, policy: s.Policy})
	}
	out := explainedStatement{
		Index: s.Index, Sid: s.Sid, Effect: s.Effect.String(), Line: s.Start.Line, Column: s.Start.Column,
		Applies: s.Applies, Principal: s.Principal, Resource: s.Resource, Missing: s.Missing,
	}
	for _, c := range s.Conditions {
		out.Conditions = append(out.Conditions, explainedCondition(c))
	}
	p := &l.Policies[len(l.Policies)-1]
	p.Statements = append(p.Statements, out)
}

// reason says in a line which statements, which layer and which missing keys
// made a decision.
func reason(x *authz.Explanation) string {
	if x.Free {
		return "the action needs no permission"
	}
	applied, missing := []string(nil), map[string]bool{}
	effect := syntax.Allow
	if x.Outcome == authz.ExplicitDeny {
		effect = syntax.Deny
	}
	lacking := ""
	for i := range x.Statements {
		s := &x.Statements[i]
		switch {
		case s.Effect != effect:
		case s.Applies:
			applied = append(applied, statementName(s.Index, s.Sid)+" of "+s.Policy.Name)
		default:
			for _, key := range s.Missing {
				if !missing[key] {
					missing[key] = true
					lacking += ", " + key
				}
			}
		}
	}
	by := strings.Join(applied, ", ")
	switch {
	case x.Outcome == authz.ExplicitDeny:
		return x.Message + ": " + by
	case x.Outcome == authz.ImplicitDeny && lacking != "":
		return x.Message + "; statements that could allow it read keys that the request has not: " + lacking[len(", "):]
	case x.Outcome == authz.ImplicitDeny:
		return x.Message
	case by == "":
		return "no policy is needed, and none denies it"
	}
	return "permitted by " + by
}

func statementName(index int, sid string) string {
	if sid == "" {
		return fmt.Sprintf("statement %d", index+1)
	}
	return fmt.Sprintf("statement %d (%s)", index+1, sid)
}

// text is the explanation as a tree.
func (x *explanation) text() string {
	var t treeText
	t.line(0, "%s: %s", x.Decision, x.Reason)
	for i := range x.Layers {
		l := &x.Layers[i]
		t.line(1, "%s: %s", l.title(), l.verdict())
		for j := range l.Policies {
			p := &l.Policies[j]
			t.line(2, "%s", p.Name)
			for k := range p.Statements {
				t.statement(&p.Statements[k], l.named())
			}
		}
		if l.Silent > 0 {
			t.line(2, "policies that do not speak of the action: %d", l.Silent)
		}
	}
	return t.String()
}

// named tells that the policies of a layer have principals.
func (l *explainedLayer) named() bool {
	return l.Layer == authz.LayerResource.String() || l.Layer == authz.LayerRCP.String()
}

func (l *explainedLayer) title() string {
	if l.Level == 0 {
		return l.Layer
	}
	return fmt.Sprintf("%s, level %d", l.Layer, l.Level)
}

func (l *explainedLayer) verdict() string {
	switch {
	case l.Denies:
		return "denies"
	case l.Allows:
		return "allows"
	case l.Needed:
		return "does not allow, which the request needs"
	}
	return "does not allow, which the request does not need"
}

// treeText writes a tree, two spaces a level.
type treeText struct{ strings.Builder }

func (t *treeText) line(level int, format string, args ...any) {
	t.WriteString(strings.Repeat("  ", level))
	fmt.Fprintf(t, format, args...)
	t.WriteByte('\n')
}

// mark is + for what matched and - for what did not.
func mark(match bool) string {
	if match {
		return "+"
	}
	return "-"
}

func (t *treeText) statement(s *explainedStatement, named bool) {
	verdict := "does not apply"
	if s.Applies {
		verdict = "applies"
	}
	t.line(3, "%s %s, %s at %d:%d: %s", mark(s.Applies), s.Effect, statementName(s.Index, s.Sid), s.Line, s.Column, verdict)
	if named {
		t.line(4, "%s principal", mark(s.Principal))
	}
	t.line(4, "%s resource", mark(s.Resource))
	missing := slices.Clone(s.Missing)
	for _, c := range s.Conditions {
		got := "the request has no such key"
		if c.Values != nil {
			got = fmt.Sprintf("the request has %q", c.Values)
		}
		t.line(4, "%s %s %s: %s", mark(c.Match), c.Operator, c.Key, got)
		missing = slices.DeleteFunc(missing, func(key string) bool { return policy.NewKey(key) == policy.NewKey(c.Key) })
	}
	if len(missing) > 0 {
		t.line(4, "variables without a value: %s", strings.Join(missing, ", "))
	}
}
