// Package syntax is the text of policy documents: what they are made of, how they are
// read and how they are written. It knows the grammar and the kinds of policies, the
// names of elements, principals and condition operators, and nothing of what a policy
// means: package policy compiles a Document, package valid tells whether AWS would
// accept it.
//
// The package is pure, and what it returns may be shared between goroutines.
package syntax

import "slices"

// Position is a place in the text of a policy document. Line and Column count
// from 1; a column is one Unicode code point. The zero Position is unknown.
type Position struct {
	Line, Column int
}

// Before tells whether a place comes before another.
func (p Position) Before(other Position) bool {
	return p.Line < other.Line || p.Line == other.Line && p.Column < other.Column
}

// Text is a string of a document and where it begins.
type Text struct {
	Value string
	Position
}

// Document is a parsed policy document with every element in the order in
// which it was written. Parse makes it; nothing in this package changes it.
type Document struct {
	Position
	// Version is nil when the element is missing, which means 2008-10-17.
	Version *Text
	// ID is the Id element, nil when missing.
	ID         *Text
	Statements []Statement
	// Single tells that Statement is one statement and no list.
	Single bool
}

// Indented tells that there is white space before the document.
func (d *Document) Indented() bool { return d.Position != Position{1, 1} }

// Statement is one statement of a Document. An element that is not
// there is nil; a list that is there but empty is not.
type Statement struct {
	Position
	// End is the position after the closing brace.
	End          Position
	Sid          *Text
	Effect       Text
	Principal    *PrincipalElement
	NotPrincipal *PrincipalElement
	Action       *List
	NotAction    *List
	Resource     *List
	NotResource  *List
	Condition    *ConditionElement
}

// List is the value of an element that is one string or a list of strings;
// the two forms mean the same.
type List struct {
	Position
	Items []Text
}

// Texts returns the entries of a list that may be missing.
func (l *List) Texts() []Text {
	if l == nil {
		return nil
	}
	return l.Items
}

// Empty tells that a list is missing or has no entries.
func (l *List) Empty() bool { return len(l.Texts()) == 0 }

// Actions returns the entries of Action or NotAction.
func (s *Statement) Actions() []Text { return either(s.Action, s.NotAction) }

// Resources returns the entries of Resource or NotResource.
func (s *Statement) Resources() []Text { return either(s.Resource, s.NotResource) }

// either returns the entries of an element or of its negation.
func either(plain, negated *List) []Text {
	return append(slices.Clone(plain.Texts()), negated.Texts()...)
}

// PrincipalElement is the value of Principal or NotPrincipal.
type PrincipalElement struct {
	Position
	// Bare is set when the element is a plain string, such as "*".
	Bare *Text
	// Groups are the members when the element is an object.
	Groups []PrincipalGroup
}

// PrincipalGroup is one member of a Principal object, such as "AWS": [...].
type PrincipalGroup struct {
	Type   Text
	Values List
}

// ConditionElement is the value of Condition.
type ConditionElement struct {
	Position
	Blocks []ConditionBlock
}

// ConditionBlock is one operator of a Condition with its keys.
type ConditionBlock struct {
	// Operator is the operator as written, such as "ForAnyValue:StringLike".
	Operator Text
	Keys     []ConditionKey
}

// ConditionKey is one key of a condition block with its values. Booleans and
// numbers are values in the spelling of the document.
type ConditionKey struct {
	Key    Text
	Values List
}

// Versions of the policy language (AWS: "IAM JSON policy elements: Version").
const (
	Version2008 = "2008-10-17"
	Version2012 = "2012-10-17"
)

// Variables reports whether policy variables are in force: only in version
// 2012-10-17. A missing Version means 2008-10-17.
func (d *Document) Variables() bool {
	return d.Version != nil && d.Version.Value == Version2012
}
