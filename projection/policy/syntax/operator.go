package syntax

import "strings"

// Family groups the condition operators that compare the same kind of value.
type Family byte

// The families.
const (
	FamilyString Family = iota + 1
	FamilyFold
	FamilyLike
	FamilyNumeric
	FamilyDate
	FamilyBool
	FamilyBinary
	FamilyIP
	FamilyARN
	FamilyNull
)

// Variables tells whether the operators of the family replace variables in
// their values: those of strings and ARNs do.
func (f Family) Variables() bool {
	return f == FamilyString || f == FamilyFold || f == FamilyLike || f == FamilyARN
}

// Ordering is a set of the outcomes of a comparison that an operator accepts.
type Ordering byte

// The outcomes.
const (
	Less Ordering = 1 << iota
	Equal
	Greater
)

// Quantifier is the set prefix of an operator.
type Quantifier byte

// The quantifiers.
const (
	QuantifierNone Quantifier = iota
	QuantifierAll             // ForAllValues:
	QuantifierAny             // ForAnyValue:
)

// Operator is a parsed condition operator.
type Operator struct {
	Family  Family
	Negated bool
	// Accept is for numbers and dates.
	Accept     Ordering
	Quantifier Quantifier
	// IfExists tells that the condition holds without the key.
	IfExists bool
}

// Operators are the operators without prefix and suffix, as in AWS's "IAM JSON
// policy elements: Condition operators". Nobody changes the table.
var Operators = map[string]Operator{
	"StringEquals":              {Family: FamilyString},
	"StringNotEquals":           {Family: FamilyString, Negated: true},
	"StringEqualsIgnoreCase":    {Family: FamilyFold},
	"StringNotEqualsIgnoreCase": {Family: FamilyFold, Negated: true},
	"StringLike":                {Family: FamilyLike},
	"StringNotLike":             {Family: FamilyLike, Negated: true},
	"NumericEquals":             {Family: FamilyNumeric, Accept: Equal},
	"NumericNotEquals":          {Family: FamilyNumeric, Accept: Equal, Negated: true},
	"NumericLessThan":           {Family: FamilyNumeric, Accept: Less},
	"NumericLessThanEquals":     {Family: FamilyNumeric, Accept: Less | Equal},
	"NumericGreaterThan":        {Family: FamilyNumeric, Accept: Greater},
	"NumericGreaterThanEquals":  {Family: FamilyNumeric, Accept: Greater | Equal},
	"DateEquals":                {Family: FamilyDate, Accept: Equal},
	"DateNotEquals":             {Family: FamilyDate, Accept: Equal, Negated: true},
	"DateLessThan":              {Family: FamilyDate, Accept: Less},
	"DateLessThanEquals":        {Family: FamilyDate, Accept: Less | Equal},
	"DateGreaterThan":           {Family: FamilyDate, Accept: Greater},
	"DateGreaterThanEquals":     {Family: FamilyDate, Accept: Greater | Equal},
	"Bool":                      {Family: FamilyBool},
	"BinaryEquals":              {Family: FamilyBinary},
	"IpAddress":                 {Family: FamilyIP},
	"NotIpAddress":              {Family: FamilyIP, Negated: true},
	"ArnEquals":                 {Family: FamilyARN},
	"ArnLike":                   {Family: FamilyARN},
	"ArnNotEquals":              {Family: FamilyARN, Negated: true},
	"ArnNotLike":                {Family: FamilyARN, Negated: true},
	"Null":                      {Family: FamilyNull},
}

const (
	prefixAll      = "ForAllValues:"
	prefixAny      = "ForAnyValue:"
	suffixIfExists = "IfExists"
)

// ParseOperator reads an operator with its prefix and suffix.
func ParseOperator(name string) (Operator, bool) {
	quant := QuantifierNone
	if rest, ok := strings.CutPrefix(name, prefixAll); ok {
		quant, name = QuantifierAll, rest
	} else if rest, ok := strings.CutPrefix(name, prefixAny); ok {
		quant, name = QuantifierAny, rest
	}
	name, ifExists := strings.CutSuffix(name, suffixIfExists)
	op, ok := Operators[name]
	op.Quantifier, op.IfExists = quant, ifExists
	return op, ok
}

// Has tells whether the outcome of a comparison is in the set.
func (o Ordering) Has(comparison int) bool {
	switch {
	case comparison < 0:
		return o&Less != 0
	case comparison > 0:
		return o&Greater != 0
	}
	return o&Equal != 0
}
