package policy

// Position is a place in the text of a policy document. Line and Column count
// from 1; a column is one Unicode code point. The zero Position is unknown.
type Position struct {
	Line, Column int
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
}

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
