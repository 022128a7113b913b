// Package diff compares policies by what they allow, not by how they are written. It is
// pure.
package diff

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// Difference is something that one policy allows and another does not.
type Difference struct {
	// Action and Resource are patterns: as one of the policies writes them, or
	// the overlap of two. "*" stands for whatever neither names.
	Action, Resource string
	// Allowed are the statements of the second policy that allow it. When all
	// of them have conditions, it is allowed under these.
	Allowed []*policy.Statement
	// Denied are the statements of the first policy that deny it. They may
	// have conditions: then it is denied under these.
	Denied []*policy.Statement
	// Narrower are statements of the first policy that allow it to others, or
	// under conditions that the second policy has not.
	Narrower []*policy.Statement
}

// MaxPatterns is how many different actions, and how many different
// resources of one action, Policies compares.
const MaxPatterns = 3000

// ErrTooLarge is returned when policies name more than Policies compares.
var ErrTooLarge = errors.New("policies name too many actions or resources to compare")

// Policies tells what policy b allows that policy a does not, over the actions and
// resources that the two name. Patterns stand for whatever they match: a
// difference "s3:Get*" says that b allows every action that begins so, and a
// does not. Conditions are compared as they are written, not by what they mean.
func Policies(a, b *syntax.Document) ([]Difference, error) {
	d := differ{variables: map[policy.Key]rune{}}
	before, after := d.statements(a), d.statements(b)
	all := slices.Concat(before, after)
	var named []glob
	for _, s := range all {
		named = append(named, s.actions...)
	}
	actions, err := overlaps(append(named, "*"), true)
	if err != nil {
		return nil, err
	}
	var found []patterned
	for _, action := range actions {
		name := action.witness()
		other := func(s statement) bool { return !s.MatchAction(name) }
		older, newer := slices.DeleteFunc(slices.Clone(before), other), slices.DeleteFunc(slices.Clone(after), other)
		named = named[:0]
		for _, s := range slices.Concat(older, newer) {
			named = append(named, s.resources...)
		}
		resources, err := overlaps(append(named, "*"), false)
		if err != nil {
			return nil, err
		}
		for _, resource := range resources {
			x, ok := d.compare(older, newer, resource)
			if ok && !slices.ContainsFunc(found, func(f patterned) bool { return f.includes(action, resource, &x) }) {
				x.Action, x.Resource = d.text(action), d.text(resource)
				found = append(found, patterned{x, action, resource})
			}
		}
	}
	list := make([]Difference, len(found))
	for i := range found {
		list[i] = found[i].Difference
	}
	return list, nil
}

// patterned is a Difference with its patterns.
type patterned struct {
	Difference
	action, resource glob
}

// includes tells whether a difference found before says as much about a wider
// pattern.
func (f *patterned) includes(action, resource glob, x *Difference) bool {
	return f.action.covers(action, true) && f.resource.covers(resource, false) &&
		slices.Equal(f.Denied, x.Denied) && slices.Equal(f.Narrower, x.Narrower) &&
		(slices.ContainsFunc(f.Allowed, unlimited) || slices.Equal(f.Allowed, x.Allowed))
}

// unlimited tells statements for everybody without conditions.
func unlimited(s *policy.Statement) bool {
	return len(s.Conditions) == 0 && (!s.HasPrincipal || everybody(s))
}

// everybody tells that "*" is among the principals of a statement.
func everybody(s *policy.Statement) bool {
	return slices.ContainsFunc(s.Principals, func(p syntax.Principal) bool {
		return p.Type == syntax.PrincipalAll || p.Type == syntax.PrincipalAWS && p.Value == "*"
	})
}

// differ holds the letters that stand for policy variables.
type differ struct {
	variables map[policy.Key]rune
	keys      []policy.Key
}

// statement is a statement with what it names.
type statement struct {
	*policy.Statement
	actions, resources []glob
	principals         []string // sorted; nil for everybody
	condition          string   // as text; empty for none
}

func (d *differ) statements(doc *syntax.Document) []statement {
	compiled := policy.Compile(doc)
	var list []statement
	for i := range doc.Statements {
		src := &doc.Statements[i]
		s := statement{Statement: &compiled.Statements[i], condition: conditionText(src.Condition)}
		for _, item := range src.Actions() {
			s.actions = append(s.actions, glob(item.Value))
		}
		for _, item := range src.Resources() {
			s.resources = append(s.resources, d.glob(item.Value, doc.Variables()))
		}
		s.principals = principalTexts(s.Statement)
		list = append(list, s)
	}
	return list
}

// conditionText returns a Condition in a form that does not depend on the order
// of its operators, keys and values.
func conditionText(c *syntax.ConditionElement) string {
	if c == nil {
		return ""
	}
	var lines []string
	for _, b := range c.Blocks {
		for _, k := range b.Keys {
			var values []string
			for _, v := range k.Values.Items {
				values = append(values, v.Value)
			}
			slices.Sort(values)
			lines = append(lines, fmt.Sprintf("%s %s %q", b.Operator.Value, policy.NewKey(k.Key.Value), values))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func principalTexts(s *policy.Statement) []string {
	if !s.HasPrincipal || everybody(s) && !s.NotPrincipal {
		return nil
	}
	var texts []string
	for _, p := range s.Principals {
		texts = append(texts, fmt.Sprint(p.Type, p.Value))
	}
	slices.Sort(texts)
	return texts
}

// covers tells whether s applies wherever other does, as far as principals and
// conditions go.
func (s *statement) covers(other *statement) bool {
	if s.condition != "" && s.condition != other.condition {
		return false
	}
	switch {
	case s.principals == nil:
		return true
	case s.NotPrincipal || other.NotPrincipal:
		return s.NotPrincipal == other.NotPrincipal && slices.Equal(s.principals, other.principals)
	}
	return other.principals != nil && !slices.ContainsFunc(other.principals, func(p string) bool {
		return !slices.Contains(s.principals, p)
	})
}

// Entry is the key's own value, whatever the key.
func (d *differ) Entry(k policy.Key, n int) (policy.Entry, bool) {
	return policy.Single(k, string(d.variable(k))), n == 0
}

// compare looks for what the newer statements allow of a resource that the
// older do not.
func (d *differ) compare(older, newer []statement, resource glob) (Difference, bool) {
	ctx := policy.Context{Lazy: d}
	name := resource.witness()
	split := func(list []statement) (denies, allows []*statement) {
		for i := range list {
			switch s := &list[i]; {
			case !s.MatchResource(name, &ctx):
			case s.Effect == syntax.Deny:
				denies = append(denies, s)
			case s.Effect == syntax.Allow:
				allows = append(allows, s)
			}
		}
		return denies, allows
	}
	oldDenies, oldAllows := split(older)
	newDenies, newAllows := split(newer)
	covered := func(s *statement, by []*statement) bool {
		return slices.ContainsFunc(by, func(o *statement) bool { return o.covers(s) })
	}
	var x Difference
	fresh := false
	for _, s := range newAllows {
		if covered(s, newDenies) {
			continue
		}
		x.Allowed = append(x.Allowed, s.Statement)
		fresh = fresh || !covered(s, oldAllows)
	}
	for _, s := range oldDenies {
		if !covered(s, newDenies) {
			x.Denied = append(x.Denied, s.Statement)
		}
	}
	if len(x.Allowed) == 0 || !fresh && len(x.Denied) == 0 {
		return Difference{}, false
	}
	if fresh {
		for _, s := range oldAllows {
			x.Narrower = append(x.Narrower, s.Statement)
		}
	}
	return x, true
}

// glob is a pattern with * and ?. A policy variable in it is one letter of its
// own, and so is a literal * or ?.
type glob string

const (
	letterOne      = '\x01'   // some character that no policy names
	letterStar     = '\x02'   // a literal *
	letterQuestion = '\x03'   // a literal ?
	letterVariable = '\uE000' // the first variable; others follow, in Unicode's private area
	// someRun is how many characters stand for *: more than a policy has ?.
	someRun = 64
)

func (d *differ) variable(k policy.Key) rune {
	r, ok := d.variables[k]
	if !ok {
		r = letterVariable + rune(len(d.keys))
		d.variables[k] = r
		d.keys = append(d.keys, k)
	}
	return r
}

// glob reads a Resource entry.
func (d *differ) glob(text string, variables bool) glob {
	var b strings.Builder
	for variables {
		head, tail, ok := strings.Cut(text, "${")
		name, rest, closed := strings.Cut(tail, "}")
		if !ok || !closed {
			break
		}
		b.WriteString(head)
		text = rest
		switch name {
		case "*":
			b.WriteRune(letterStar)
		case "?":
			b.WriteRune(letterQuestion)
		case "$":
			b.WriteByte('$')
		default:
			key, _, _ := strings.Cut(name, ",")
			b.WriteRune(d.variable(policy.NewKey(strings.TrimSpace(key))))
		}
	}
	b.WriteString(text)
	g := b.String()
	const colons = 5
	for n := strings.Count(g, ":"); strings.HasPrefix(g, "arn:") && n < colons; n++ {
		g += ":*"
	}
	return glob(g)
}

// text is the pattern as a policy would write it.
func (d *differ) text(g glob) string {
	var b strings.Builder
	for _, r := range string(g) {
		switch {
		case r == letterStar:
			b.WriteString("${*}")
		case r == letterQuestion:
			b.WriteString("${?}")
		case r >= letterVariable && int(r-letterVariable) < len(d.keys):
			b.WriteString("${" + string(d.keys[r-letterVariable]) + "}")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// witness is a text that matches the pattern and stands for all such: where the
// pattern has a wildcard it has characters that no policy names.
func (g glob) witness() string {
	return strings.NewReplacer(
		"*", strings.Repeat(string(letterOne), someRun), "?", string(letterOne),
		string(letterStar), "*", string(letterQuestion), "?").Replace(string(g))
}

// covers tells whether everything that other matches is matched by g. Letter
// case does not count with fold.
func (g glob) covers(other glob, fold bool) bool {
	p, ok := intersect(string(g), string(other), fold)
	return ok && (p == string(other) || fold && strings.EqualFold(p, string(other)))
}

// overlaps returns the patterns and the overlap of every two, each once, the
// wider before the narrower.
func overlaps(named []glob, fold bool) ([]glob, error) {
	named = distinct(slices.Clone(named), fold)
	if len(named) > MaxPatterns {
		return nil, ErrTooLarge
	}
	list := slices.Clone(named)
	for i, p := range named {
		for _, q := range named[:i] {
			if !p.mayMeet(q, fold) {
				continue
			}
			if g, ok := intersect(string(p), string(q), fold); ok {
				list = append(list, glob(g))
			}
		}
	}
	list = distinct(list, fold)
	slices.SortStableFunc(list, func(p, q glob) int { return cmp.Compare(p.literals(), q.literals()) })
	return list, nil
}

// mayMeet tells whether the literals with which two patterns begin allow a text that
// both match. Nearly all pairs of a long list differ there.
func (g glob) mayMeet(other glob, fold bool) bool {
	for i := range min(len(g), len(other)) {
		a, b := g[i], other[i]
		if a == '*' || a == '?' || b == '*' || b == '?' {
			return true
		}
		if a != b && !(fold && strings.EqualFold(string(g[i:i+1]), string(other[i:i+1]))) {
			return false
		}
	}
	return true
}

func distinct(list []glob, fold bool) []glob {
	key := func(g glob) string { return string(g) }
	if fold {
		key = func(g glob) string { return strings.ToLower(string(g)) }
	}
	slices.SortStableFunc(list, func(p, q glob) int { return strings.Compare(key(p), key(q)) })
	return slices.CompactFunc(list, func(p, q glob) bool { return key(p) == key(q) })
}

// literals counts what is not a wildcard.
func (g glob) literals() int {
	return len(g) - strings.Count(string(g), "*") - strings.Count(string(g), "?")
}

// intersect returns a pattern whose texts both p and q match, the widest that a
// walk from left to right finds. Letters are those of p.
func intersect(p, q string, fold bool) (string, bool) {
	x := intersection{fold: fold, failed: map[[2]int]bool{}}
	return x.walk(p, q)
}

// intersection is a walk over two patterns. failed remembers dead ends by how
// much was left.
type intersection struct {
	fold   bool
	failed map[[2]int]bool
}

func (x *intersection) walk(p, q string) (string, bool) {
	if p == "" && q == "" {
		return "", true
	}
	left := [2]int{len(p), len(q)}
	if x.failed[left] {
		return "", false
	}
	for _, s := range x.steps(p, q) {
		if rest, ok := x.walk(p[s.p:], q[s.q:]); ok {
			return s.emit + rest, true
		}
	}
	x.failed[left] = true
	return "", false
}

// step goes on in both patterns and adds to the result.
type step struct {
	emit string
	p, q int
}

func (x *intersection) steps(p, q string) []step {
	starP, starQ := strings.HasPrefix(p, "*"), strings.HasPrefix(q, "*")
	switch {
	case starP && starQ:
		return []step{{"*", 1, 1}, {"*", 1, 0}, {"*", 0, 1}}
	case starP && q == "":
		return []step{{"", 1, 0}}
	case starP:
		return []step{{"", 1, 0}, {q[:1], 0, 1}}
	case starQ && p == "":
		return []step{{"", 0, 1}}
	case starQ:
		return []step{{"", 0, 1}, {p[:1], 1, 0}}
	case p == "" || q == "":
		return nil
	case q[0] == '?' || p[0] == q[0] || x.fold && strings.EqualFold(p[:1], q[:1]):
		return []step{{p[:1], 1, 1}}
	case p[0] == '?':
		return []step{{q[:1], 1, 1}}
	}
	return nil
}
