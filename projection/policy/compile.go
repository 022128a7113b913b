package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/writ-iam/writ/projection/policy/scalar"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// Policy is a compiled document. It is immutable.
type Policy struct {
	// Statements are in document order; Statements[i].Index is i.
	Statements []Statement
}

// Statement is a compiled statement. It is immutable.
type Statement struct {
	// Start is the opening brace, End the position after the closing one.
	Start, End syntax.Position
	Effect     syntax.Effect
	// Sid is empty when the statement has none.
	Sid string
	// Index counts the statements of the document from 0.
	Index int
	// NotAction tells that Actions are those of a NotAction element.
	NotAction bool
	// Actions are the action patterns. Without either element there are none,
	// and the statement matches no action.
	Actions []ActionPattern
	// NotResource tells that there is a NotResource element.
	NotResource bool
	// HasPrincipal tells that there is a Principal or NotPrincipal element,
	// NotPrincipal which of them.
	HasPrincipal, NotPrincipal bool
	// Principals are the entries of Principal or NotPrincipal.
	Principals []syntax.Principal
	// Conditions must all hold.
	Conditions []Condition

	hasResource bool
	resources   []pattern
	uses        []KeyUse
}

// KeyUse is a context key that a statement reads.
type KeyUse struct {
	Key Key
	// Name is the key as a condition writes it, or the key itself where only a
	// variable reads it.
	Name string
}

// Compile turns a document into matchers. It works for every document that
// Parse returns.
func Compile(doc *syntax.Document) *Policy {
	p := &Policy{Statements: make([]Statement, len(doc.Statements))}
	for i := range doc.Statements {
		p.Statements[i] = compileStatement(&doc.Statements[i], i, doc.Variables())
	}
	return p
}

func compileStatement(src *syntax.Statement, index int, variables bool) Statement {
	s := Statement{Start: src.Position, End: src.End, Effect: syntax.EffectOf(src.Effect.Value), Index: index}
	if src.Sid != nil {
		s.Sid = src.Sid.Value
	}
	actions := src.Action
	if src.NotAction != nil {
		actions, s.NotAction = src.NotAction, true
	}
	if actions != nil {
		for _, item := range actions.Items {
			s.Actions = append(s.Actions, CompileAction(item.Value))
		}
	}
	resources := src.Resource
	if src.NotResource != nil {
		resources, s.NotResource = src.NotResource, true
	}
	if resources != nil {
		s.hasResource = true
		for _, item := range resources.Items {
			s.resources = appendResource(s.resources, item.Value, variables)
		}
	}
	principals := src.Principal
	if src.NotPrincipal != nil {
		principals, s.NotPrincipal = src.NotPrincipal, true
	}
	if principals != nil {
		s.HasPrincipal = true
		s.Principals = principals.Principals()
	}
	if src.Condition != nil {
		for b := range src.Condition.Blocks {
			block := &src.Condition.Blocks[b]
			for k := range block.Keys {
				s.Conditions = append(s.Conditions, compileCondition(block, &block.Keys[k], s.Effect, variables))
			}
		}
	}
	s.uses = s.findUses()
	return s
}

// findUses finds what Uses returns.
func (s *Statement) findUses() []KeyUse {
	var keys []Key
	for i := range s.resources {
		keys = s.resources[i].appendKeys(keys)
	}
	names := map[Key]string{}
	for i := range s.Conditions {
		c := &s.Conditions[i]
		keys, names[c.Key] = append(keys, c.Key), cmp.Or(names[c.Key], c.Name)
		for j := range c.values {
			keys = c.values[j].text.appendKeys(keys)
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	uses := make([]KeyUse, len(keys))
	for i, key := range keys {
		uses[i] = KeyUse{key, cmp.Or(names[key], string(key))}
	}
	return uses
}

// appendResource compiles a Resource entry. An ARN with fewer than six fields
// is completed with a wildcard for each missing one. (AWS: "IAM JSON policy
// elements: Resource", incomplete ARNs.)
func appendResource(all []pattern, text string, variables bool) []pattern {
	syn := special{variables: variables, wildcards: true, arn: true, resource: true}
	all = append(all, compilePattern(text, syn))
	parts, _ := splitParts(text, syn)
	colons := 0
	for _, part := range parts {
		if part.kind == partText {
			colons += strings.Count(part.text, ":")
		}
	}
	if colons < scalar.ARNColons && strings.HasPrefix(text, "arn:") {
		all = append(all, compilePattern(text+":*", syn))
	}
	return all
}

// MatchAction reports whether the statement covers an action such as
// "s3:GetObject", in any letter case.
func (s *Statement) MatchAction(action string) bool { return s.MatchActionWithin(action, nil) }

// MatchActionWithin is MatchAction as a part of work, which says no when it has
// ended.
func (s *Statement) MatchActionWithin(action string, w *Work) bool {
	for i := range s.Actions {
		if w != nil && !w.Spend(s.Actions[i].cost(len(action))) {
			return false
		}
		if s.Actions[i].Match(action) {
			return !s.NotAction
		}
	}
	return s.NotAction && len(s.Actions) > 0
}

// MatchResource reports whether the statement covers a resource. A statement
// without Resource and NotResource, as in a trust policy, covers all. Of variables
// whose key is there in several spellings every value counts: see the package's
// comment.
func (s *Statement) MatchResource(resource string, ctx *Context) bool {
	if !s.hasResource {
		return true
	}
	covers := s.covers(resource, ctx)
	if ctx.several() {
		return ctx.again(covers, s.Effect == syntax.Deny, func() bool { return s.covers(resource, ctx) })
	}
	return covers
}

// covers is MatchResource in one reading of the context.
func (s *Statement) covers(resource string, ctx *Context) bool {
	for i := range s.resources {
		if s.resources[i].match(resource, ctx) {
			return !s.NotResource
		}
	}
	return s.NotResource
}

// MatchConditions reports whether every condition holds.
func (s *Statement) MatchConditions(ctx *Context) bool {
	for i := range s.Conditions {
		if !s.Conditions[i].Match(ctx) {
			return false
		}
	}
	return true
}

// Uses returns the context keys that the statement reads, in conditions and
// variables, sorted and without repetition. The caller must not change them.
func (s *Statement) Uses() []KeyUse { return s.uses }

// ResourceReads reports whether a variable in the statement's resources reads one of
// some keys.
func (s *Statement) ResourceReads(is func(Key) bool) bool {
	return slices.ContainsFunc(s.resources, func(r pattern) bool { return r.reads(is) })
}

// Reads reports whether the condition reads one of some keys: its own, or in a
// variable.
func (c *Condition) Reads(is func(Key) bool) bool {
	return is(c.Key) || slices.ContainsFunc(c.values, func(o operand) bool { return o.text.reads(is) })
}

func (p *pattern) reads(is func(Key) bool) bool {
	return slices.ContainsFunc(p.parts, func(t part) bool { return t.kind == partValue && is(t.key) })
}

func (p *pattern) appendKeys(keys []Key) []Key {
	for i := range p.parts {
		if p.parts[i].kind == partValue {
			keys = append(keys, p.parts[i].key)
		}
	}
	return keys
}
