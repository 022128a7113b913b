package policy

import (
	"slices"
	"strings"

	"github.com/writ-iam/writ/projection/policy/scalar"
)

// Outline is what a string of a policy is made of: text, wildcards and variables. It
// is for those who look at policies; evaluation has its patterns.
type Outline struct{ parts []part }

// OutlineOf reads a string in which * and ? are special, and ${...} if variables are
// in force.
func OutlineOf(text string, variables bool) Outline {
	parts, _ := splitParts(text, special{variables: variables, wildcards: true})
	return Outline{parts}
}

// Head is the text before the first wildcard or variable.
func (o Outline) Head() string {
	if len(o.parts) == 0 || o.parts[0].kind != partText {
		return ""
	}
	return o.parts[0].text
}

// Wildcards tells that there is a * or ? that is not escaped.
func (o Outline) Wildcards() bool {
	return slices.ContainsFunc(o.parts, func(p part) bool { return p.kind == partOne || p.kind == partMany })
}

// EarlyVariable tells that a variable stands before the resource field of an ARN,
// where AWS does not replace it.
func (o Outline) EarlyVariable() bool { return earlyVariable(o.parts) }

// VariableLen is how many bytes the variable at the start of text takes, 0 where
// there is none.
func VariableLen(text string) int {
	_, n, _ := scanVariable(text)
	return n
}

// ResourcePattern is one entry of Resource or NotResource, for comparing entries with
// each other.
type ResourcePattern struct {
	text    string
	pattern pattern
}

// CompileResource makes the pattern of an entry; variables tells whether they are in
// force.
func CompileResource(text string, variables bool) *ResourcePattern {
	return &ResourcePattern{text, compilePattern(text, special{variables: variables, wildcards: true, arn: true, resource: true})}
}

// Covers tells that r matches all that other matches. It claims nothing that does not
// hold; it does not find everything that does.
func (r *ResourcePattern) Covers(other *ResourcePattern) bool {
	p, q := &r.pattern, &other.pattern
	switch {
	case p.shape == shapeAny:
		return true
	case p.variables > 0 || p.shape == shapeNone:
		return false
	case q.shape == shapeExact:
		return strings.Count(other.text, ":") >= scalar.ARNColons && p.match(q.head, nil)
	case p.shape == shapeGlob && len(p.middle) == 0 && p.tail == "":
		return strings.HasPrefix(q.literal(), p.head)
	}
	return false
}

// literal is the text that every match of the pattern begins with.
func (p *pattern) literal() string {
	if len(p.parts) > 0 && p.parts[0].kind == partText {
		return p.parts[0].text
	}
	return p.head
}
