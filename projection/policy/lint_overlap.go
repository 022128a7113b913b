package policy

import "strings"

// maxOverlaps is how many pairs of entries Lint compares: every pair of a
// document within AWS's limits, and not hours in one of MaxDocument.
const maxOverlaps = 4_000_000

// lintOverlaps finds entries and statements that others make needless. It
// claims nothing that does not hold; it does not find everything that does.
func (l *linter) lintOverlaps() {
	entries := 0
	for i := range l.doc.Statements {
		s := &l.doc.Statements[i]
		entries += len(both(s.Action, s.NotAction)) + len(both(s.Resource, s.NotResource))
	}
	if entries*entries > maxOverlaps {
		return
	}
	for i := range l.doc.Statements {
		l.statement = i
		src := &l.doc.Statements[i]
		l.redundantEntries("REDUNDANT_ACTION", both(src.Action, src.NotAction), coversAction)
		l.redundantEntries("REDUNDANT_RESOURCE", both(src.Resource, src.NotResource), l.coversResource)
		for j := range l.doc.Statements {
			if i != j && l.lintPair(i, j) {
				break
			}
		}
	}
}

// redundantEntries reports entries of one list that another entry covers.
func (l *linter) redundantEntries(code string, items []Text, covers func(a, b string) bool) {
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
	a, b := effectOf(s.Effect.Value), effectOf(other.Effect.Value)
	switch {
	case a == b && sameCondition(s, other):
		if i < j && l.coversStatement(s, other) {
			return false // the later of two equal ones is reported
		}
		l.add(Suggestion, "REDUNDANT_STATEMENT", s.Position, "statement %d covers this one", j)
	case a == Allow && b == Deny && (other.Condition == nil || len(other.Condition.Blocks) == 0):
		l.add(Warning, "STATEMENT_ALWAYS_DENIED", s.Position, "the Deny of statement %d takes away all that this one allows", j)
	default:
		return false
	}
	return true
}

// coversStatement tells that a speaks of every principal, action and resource
// that b speaks of.
func (l *linter) coversStatement(a, b *DocumentStatement) bool {
	if a.NotPrincipal != nil || b.NotPrincipal != nil || a.NotAction != nil || b.NotAction != nil ||
		a.NotResource != nil || b.NotResource != nil || (a.Principal == nil) != (b.Principal == nil) {
		return false
	}
	if a.Principal != nil && !coversPrincipals(compilePrincipals(a.Principal), compilePrincipals(b.Principal)) {
		return false
	}
	return coversList(a.Action.items(), b.Action.items(), coversAction) &&
		coversList(a.Resource.items(), b.Resource.items(), l.coversResource)
}

// coversList tells that every entry of b is covered by one of a.
func coversList(a, b []Text, covers func(a, b string) bool) bool {
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

func coversPrincipals(a, b []Principal) bool {
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
func sameCondition(a, b *DocumentStatement) bool {
	var p, q printer
	p.condition(a.Condition)
	q.condition(b.Condition)
	return p.out.String() == q.out.String()
}

// coversAction tells that pattern a matches all that pattern b matches. A * of
// a may stand for wildcards of b, a ? only for a character or a ?.
func coversAction(a, b string) bool {
	pattern := string(AppendFold(nil, a))
	if strings.Contains(pattern, "?") && strings.Contains(b, "*") {
		return pattern == string(AppendFold(nil, b))
	}
	return globFold(pattern, b)
}

// coversResource tells that resource a matches all that resource b matches.
func (l *linter) coversResource(a, b string) bool {
	if a == b {
		return true
	}
	p, q := l.resource(a), l.resource(b)
	switch {
	case p.shape == shapeAny:
		return true
	case p.variables > 0 || p.shape == shapeNone:
		return false
	case q.shape == shapeExact:
		return strings.Count(b, ":") >= arnColons && p.match(q.head, nil)
	case p.shape == shapeGlob && len(p.middle) == 0 && p.tail == "":
		return strings.HasPrefix(q.literal(), p.head)
	}
	return false
}

// resource compiles a resource, each once: it is compared with all others.
func (l *linter) resource(text string) *pattern {
	p, ok := l.resources[text]
	if !ok {
		compiled := compilePattern(text, syntax{variables: l.doc.Variables(), wildcards: true, arn: true, resource: true})
		p = &compiled
		if l.resources == nil {
			l.resources = map[string]*pattern{}
		}
		l.resources[text] = p
	}
	return p
}

// literal is the text that every match of the pattern begins with.
func (p *pattern) literal() string {
	if len(p.parts) > 0 && p.parts[0].kind == partText {
		return p.parts[0].text
	}
	return p.head
}
