package lint

import (
	"strings"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// maxOverlaps is how many pairs of entries Lint compares: every pair of a
// document within AWS's limits, and not hours in one of MaxDocument.
const maxOverlaps = 4_000_000

// lintOverlaps finds entries and statements that others make needless. It
// claims nothing that does not hold; it does not find everything that does.
func (l *linter) lintOverlaps() {
	entries := 0
	for i := range l.doc.Statements {
		s := &l.doc.Statements[i]
		entries += len(s.Actions()) + len(s.Resources())
	}
	if entries*entries > maxOverlaps {
		return
	}
	for i := range l.doc.Statements {
		l.statement = i
		src := &l.doc.Statements[i]
		l.redundantEntries("REDUNDANT_ACTION", src.Actions(), coversAction)
		l.redundantEntries("REDUNDANT_RESOURCE", src.Resources(), l.coversResource)
		for j := range l.doc.Statements {
			if i != j && l.lintPair(i, j) {
				break
			}
		}
	}
}

// redundantEntries reports entries of one list that another entry covers.
func (l *linter) redundantEntries(code string, items []syntax.Text, covers func(a, b string) bool) {
	for i, item := range items {
		for j, other := range items {
			if i == j || !covers(other.Value, item.Value) || i < j && covers(item.Value, other.Value) {
				continue
			}
			l.add(Suggestion, code, item.Position, "%q is covered by %q", item.Value, other.Value)
			break
		}
	}
}

// lintPair reports statement i when statement j makes it needless.
func (l *linter) lintPair(i, j int) bool {
	s, other := &l.doc.Statements[i], &l.doc.Statements[j]
	if !l.coversStatement(other, s) {
		return false
	}
	a, b := syntax.EffectOf(s.Effect.Value), syntax.EffectOf(other.Effect.Value)
	switch {
	case a == b && sameCondition(s, other):
		if i < j && l.coversStatement(s, other) {
			return false // the later of two equal ones is reported
		}
		l.add(Suggestion, "REDUNDANT_STATEMENT", s.Position, "statement %d covers this one", j)
	case a == syntax.Allow && b == syntax.Deny && (other.Condition == nil || len(other.Condition.Blocks) == 0):
		l.add(Warning, "STATEMENT_ALWAYS_DENIED", s.Position, "the Deny of statement %d takes away all that this one allows", j)
	default:
		return false
	}
	return true
}

// coversStatement tells that a speaks of every principal, action and resource
// that b speaks of.
func (l *linter) coversStatement(a, b *syntax.Statement) bool {
	if a.NotPrincipal != nil || b.NotPrincipal != nil || a.NotAction != nil || b.NotAction != nil ||
		a.NotResource != nil || b.NotResource != nil || (a.Principal == nil) != (b.Principal == nil) {
		return false
	}
	if a.Principal != nil && !coversPrincipals(a.Principal.Principals(), b.Principal.Principals()) {
		return false
	}
	return coversList(a.Action.Texts(), b.Action.Texts(), coversAction) &&
		coversList(a.Resource.Texts(), b.Resource.Texts(), l.coversResource)
}

// coversList tells that every entry of b is covered by one of a.
func coversList(a, b []syntax.Text, covers func(a, b string) bool) bool {
	for _, item := range b {
		found := false
		for _, other := range a {
			found = found || covers(other.Value, item.Value)
		}
		if !found {
			return false
		}
	}
	return true
}

func coversPrincipals(a, b []syntax.Principal) bool {
	for _, p := range b {
		found := false
		for _, other := range a {
			found = found || other.Type == p.Type && other.Value == p.Value
		}
		if !found {
			return false
		}
	}
	return true
}

// sameCondition compares the conditions of two statements as they are printed.
func sameCondition(a, b *syntax.Statement) bool {
	return syntax.PrintCondition(a.Condition) == syntax.PrintCondition(b.Condition)
}

// coversAction tells that pattern a matches all that pattern b matches. A * of
// a may stand for wildcards of b, a ? only for a character or a ?.
func coversAction(a, b string) bool {
	pattern := policy.CompileAction(a)
	if strings.Contains(pattern.Text, "?") && strings.Contains(b, "*") {
		return pattern.Text == policy.CompileAction(b).Text
	}
	return pattern.Match(b)
}

// coversResource tells that resource a matches all that resource b matches.
func (l *linter) coversResource(a, b string) bool {
	return a == b || l.resource(a).Covers(l.resource(b))
}

// resource compiles a resource, each once: it is compared with all others.
func (l *linter) resource(text string) *policy.ResourcePattern {
	p, ok := l.resources[text]
	if !ok {
		p = policy.CompileResource(text, l.doc.Variables())
		if l.resources == nil {
			l.resources = map[string]*policy.ResourcePattern{}
		}
		l.resources[text] = p
	}
	return p
}
