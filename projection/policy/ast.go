package policy

import "slices"

// Position is a place in the text of a policy document. Line and Column count
// from 1; a column is one Unicode code point. The zero Position is unknown.
type Position struct {
	Line, Column int
}

// before tells whether a place comes before another.
func (p Position) before(other Position) bool {
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
	Statements []DocumentStatement
	// single tells that Statement is one statement and no list.
	single bool
}

// indented tells that there is white space before the document.
func (d *Document) indented() bool { return d.Position != Position{1, 1} }

// DocumentStatement is one statement of a Document. An element that is not
// there is nil; a list that is there but empty is not.
type DocumentStatement struct {
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

// items returns the entries of a list that may be missing.
func (l *List) items() []Text {
	if l == nil {
		return nil
	}
	return l.Items
}

func (l *List) empty() bool { return len(l.items()) == 0 }

// both returns the list of an element or of its negation.
func both(plain, negated *List) []Text {
	return append(slices.Clone(plain.items()), negated.items()...)
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

// ContextKeys returns the names of the condition keys that a policy reads, in
// conditions and variables, as they are written first and in that order. Letter
// case does not tell keys apart. (AWS: GetContextKeysForCustomPolicy.)
func (d *Document) ContextKeys() []string {
	var names []string
	seen := make(map[Key]bool)
	add := func(name string) {
		if key := NewKey(name); !seen[key] {
			seen[key] = true
			names = append(names, name)
		}
	}
	addVariables := func(text string) {
		for i := 0; d.Variables() && i < len(text); {
			v, n, _ := scanVariable(text[i:])
			if v.kind == partValue {
				add(variableName(text[i:]))
			}
			i += max(n, 1)
		}
	}
	for i := range d.Statements {
		s := &d.Statements[i]
		for _, item := range both(s.Resource, s.NotResource) {
			addVariables(item.Value)
		}
		if s.Condition == nil {
			continue
		}
		for _, block := range s.Condition.Blocks {
			op, _ := parseOperator(block.Operator.Value)
			for _, key := range block.Keys {
				add(key.Key.Value)
				for _, item := range key.Values.Items {
					if op.family.variables() {
						addVariables(item.Value)
					}
				}
			}
		}
	}
	return names
}
