package policy

import (
	"encoding/base64"
	"net/netip"
	"strings"

	"github.com/writ-iam/writ/projection/policy/scalar"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// Condition is one key of one operator of a compiled statement.
type Condition struct {
	syntax.Position
	// Operator is the operator as written, such as "ForAnyValue:StringLike".
	Operator string
	// Name is the key as written, Key the same for lookups.
	Name string
	Key  Key

	// Op is the operator as read; the zero operator where AWS has none such.
	Op syntax.Operator

	deny   bool // of a statement that denies
	values []operand
}

// operand is one value of a condition in the form that its family compares.
// A value that has not that form matches nothing.
type operand struct {
	valid   bool
	text    pattern
	decimal scalar.Decimal
	instant scalar.Instant
	network netip.Prefix
	bytes   string
	boolean bool
}

func compileCondition(block *syntax.ConditionBlock, key *syntax.ConditionKey, effect syntax.Effect, variables bool) Condition {
	op, _ := syntax.ParseOperator(block.Operator.Value)
	c := Condition{
		Position: key.Key.Position,
		Operator: block.Operator.Value,
		Name:     key.Key.Value,
		Key:      NewKey(key.Key.Value),
		Op:       op,
		deny:     effect == syntax.Deny,
		values:   make([]operand, len(key.Values.Items)),
	}
	for i, item := range key.Values.Items {
		c.values[i] = compileOperand(op.Family, item.Value, variables)
	}
	return c
}

// compileOperand reads a value.
func compileOperand(f syntax.Family, text string, variables bool) operand {
	o := operand{valid: true}
	switch f {
	case syntax.FamilyString, syntax.FamilyFold:
		o.text = compilePattern(text, special{variables: variables})
	case syntax.FamilyLike:
		o.text = compilePattern(text, special{variables: variables, wildcards: true})
	case syntax.FamilyARN:
		o.text = compilePattern(text, special{variables: variables, wildcards: true, arn: true})
	case syntax.FamilyNumeric:
		o.decimal, o.valid = scalar.ParseDecimal(text)
	case syntax.FamilyDate:
		o.instant, o.valid = scalar.ParseInstant(text)
	case syntax.FamilyBool, syntax.FamilyNull:
		o.boolean, o.valid = scalar.ParseBool(text)
	case syntax.FamilyBinary:
		decoded, err := base64.StdEncoding.DecodeString(text)
		o.bytes, o.valid = string(decoded), err == nil
	case syntax.FamilyIP:
		o.network, o.valid = scalar.ParseNetwork(text)
	}
	return o
}

// Match reports whether the condition holds for a request. A missing key makes
// it false, but true for a negated operator, ForAllValues or IfExists. Of keys in
// several spellings every value counts: see the package's comment.
// (AWS: "Conditions with multiple context keys or values".)
func (c *Condition) Match(ctx *Context) bool {
	holds := c.holds(ctx)
	if ctx.several() {
		return ctx.again(holds, c.deny, func() bool { return c.holds(ctx) })
	}
	return holds
}

// holds is Match in one reading of the context.
func (c *Condition) holds(ctx *Context) bool {
	var room Entry
	entry := ctx.read(c.Key, &room)
	count := 0
	if entry != nil {
		count = entry.count()
	}
	if c.Op.Family == syntax.FamilyNull {
		return c.matchNull(count == 0)
	}
	if count == 0 {
		return c.missing()
	}
	// Without a prefix a set is read like ForAnyValue, its negation like
	// ForAllValues: no value of the request may be among the listed ones.
	all := c.Op.Quantifier == syntax.QuantifierAll || c.Op.Quantifier == syntax.QuantifierNone && c.Op.Negated
	for i := range count {
		if c.matchValue(entry.at(i), ctx) != all {
			return !all
		}
	}
	return all
}

func (c *Condition) missing() bool {
	switch {
	case c.Op.IfExists:
		return true
	case c.Op.Quantifier == syntax.QuantifierAll:
		return true
	case c.Op.Quantifier == syntax.QuantifierAny:
		return false
	}
	return c.Op.Negated
}

func (c *Condition) matchNull(missing bool) bool {
	for i := range c.values {
		if c.values[i].valid && c.values[i].boolean == missing {
			return true
		}
	}
	return false
}

// matchValue compares one value of the request: positive operators want one of
// the listed values to match, negated ones none.
func (c *Condition) matchValue(value string, ctx *Context) bool {
	return c.among(value, ctx) != c.Op.Negated
}

func (c *Condition) among(value string, ctx *Context) bool {
	if ctx.counted() && !ctx.Work.Spend(1+len(c.values)) {
		return false
	}
	if c.Op.Family == syntax.FamilyString || c.Op.Family == syntax.FamilyLike {
		for i := range c.values {
			if c.values[i].text.match(value, ctx) {
				return true
			}
		}
		return false
	}
	s, ok := newSubject(c.Op.Family, value)
	if !ok || ctx.counted() && !ctx.Work.Spend(len(value)/8+len(c.values)*(len(value)/64)) {
		return false
	}
	for i := range c.values {
		if c.values[i].valid && c.values[i].match(&s, c.Op, ctx) {
			return true
		}
	}
	return false
}

// subject is a value of the request in the form that a family compares.
type subject struct {
	text    string
	decimal scalar.Decimal
	instant scalar.Instant
	address netip.Addr
	boolean bool
}

// newSubject reads a value. It reports false when the value has not the form
// that the family compares: then it is equal to nothing.
func newSubject(f syntax.Family, value string) (subject, bool) {
	s, ok := subject{text: value}, true
	switch f {
	case syntax.FamilyNumeric:
		s.decimal, ok = scalar.ParseDecimal(value)
	case syntax.FamilyDate:
		s.instant, ok = scalar.ParseInstant(value)
	case syntax.FamilyBool:
		s.boolean, ok = scalar.ParseBool(value)
	case syntax.FamilyIP:
		s.address, ok = scalar.ParseAddress(value)
	case syntax.FamilyARN:
		ok = strings.Count(value, ":") >= scalar.ARNColons
	}
	return s, ok
}

// match compares a value of the request with one of the policy.
func (o *operand) match(s *subject, op syntax.Operator, ctx *Context) bool {
	switch op.Family {
	case syntax.FamilyNumeric:
		return op.Accept.Has(s.decimal.Compare(o.decimal))
	case syntax.FamilyDate:
		return op.Accept.Has(s.instant.Compare(o.instant))
	case syntax.FamilyBool:
		return s.boolean == o.boolean
	case syntax.FamilyBinary:
		return s.text == o.bytes
	case syntax.FamilyIP:
		return o.network.Contains(s.address)
	case syntax.FamilyFold:
		return o.text.matchFold(s.text, ctx)
	}
	return o.text.match(s.text, ctx) // familyARN
}
