package policy

import (
	"encoding/base64"
	"net/netip"
	"strings"
)

// family groups the condition operators that compare the same kind of value.
type family byte

const (
	familyString family = iota + 1
	familyFold
	familyLike
	familyNumeric
	familyDate
	familyBool
	familyBinary
	familyIP
	familyARN
	familyNull
)

// variables tells whether the operators of the family replace variables in
// their values: those of strings and ARNs do.
func (f family) variables() bool {
	return f == familyString || f == familyFold || f == familyLike || f == familyARN
}

// ordering is a set of the outcomes of a comparison that an operator accepts.
type ordering byte

const (
	less ordering = 1 << iota
	equal
	greater
)

// quantifier is the set prefix of an operator.
type quantifier byte

const (
	quantifierNone quantifier = iota
	quantifierAll             // ForAllValues:
	quantifierAny             // ForAnyValue:
)

// operator is a parsed condition operator.
type operator struct {
	family     family
	negated    bool
	accept     ordering // numeric and date
	quantifier quantifier
	ifExists   bool
}

// operators are the operators without prefix and suffix, as in AWS's "IAM JSON
// policy elements: Condition operators".
var operators = map[string]operator{
	"StringEquals":              {family: familyString},
	"StringNotEquals":           {family: familyString, negated: true},
	"StringEqualsIgnoreCase":    {family: familyFold},
	"StringNotEqualsIgnoreCase": {family: familyFold, negated: true},
	"StringLike":                {family: familyLike},
	"StringNotLike":             {family: familyLike, negated: true},
	"NumericEquals":             {family: familyNumeric, accept: equal},
	"NumericNotEquals":          {family: familyNumeric, accept: equal, negated: true},
	"NumericLessThan":           {family: familyNumeric, accept: less},
	"NumericLessThanEquals":     {family: familyNumeric, accept: less | equal},
	"NumericGreaterThan":        {family: familyNumeric, accept: greater},
	"NumericGreaterThanEquals":  {family: familyNumeric, accept: greater | equal},
	"DateEquals":                {family: familyDate, accept: equal},
	"DateNotEquals":             {family: familyDate, accept: equal, negated: true},
	"DateLessThan":              {family: familyDate, accept: less},
	"DateLessThanEquals":        {family: familyDate, accept: less | equal},
	"DateGreaterThan":           {family: familyDate, accept: greater},
	"DateGreaterThanEquals":     {family: familyDate, accept: greater | equal},
	"Bool":                      {family: familyBool},
	"BinaryEquals":              {family: familyBinary},
	"IpAddress":                 {family: familyIP},
	"NotIpAddress":              {family: familyIP, negated: true},
	"ArnEquals":                 {family: familyARN},
	"ArnLike":                   {family: familyARN},
	"ArnNotEquals":              {family: familyARN, negated: true},
	"ArnNotLike":                {family: familyARN, negated: true},
	"Null":                      {family: familyNull},
}

const (
	prefixAll      = "ForAllValues:"
	prefixAny      = "ForAnyValue:"
	suffixIfExists = "IfExists"
)

// parseOperator reads an operator with its prefix and suffix.
func parseOperator(name string) (operator, bool) {
	quant := quantifierNone
	if rest, ok := strings.CutPrefix(name, prefixAll); ok {
		quant, name = quantifierAll, rest
	} else if rest, ok := strings.CutPrefix(name, prefixAny); ok {
		quant, name = quantifierAny, rest
	}
	name, ifExists := strings.CutSuffix(name, suffixIfExists)
	op, ok := operators[name]
	op.quantifier, op.ifExists = quant, ifExists
	return op, ok
}

// Condition is one key of one operator of a compiled statement.
type Condition struct {
	Position
	// Operator is the operator as written, such as "ForAnyValue:StringLike".
	Operator string
	// Name is the key as written, Key the same for lookups.
	Name string
	Key  Key

	op     operator
	deny   bool // of a statement that denies
	values []operand
}

// operand is one value of a condition in the form that its family compares.
// A value that has not that form matches nothing.
type operand struct {
	valid   bool
	text    pattern
	decimal decimal
	instant instant
	network netip.Prefix
	bytes   string
	boolean bool
}

func compileCondition(block *ConditionBlock, key *ConditionKey, effect Effect, variables bool) Condition {
	op, _ := parseOperator(block.Operator.Value)
	c := Condition{
		Position: key.Key.Position,
		Operator: block.Operator.Value,
		Name:     key.Key.Value,
		Key:      NewKey(key.Key.Value),
		op:       op,
		deny:     effect == Deny,
		values:   make([]operand, len(key.Values.Items)),
	}
	for i, item := range key.Values.Items {
		c.values[i] = compileOperand(op.family, item.Value, variables)
	}
	return c
}

// compileOperand reads a value.
func compileOperand(f family, text string, variables bool) operand {
	o := operand{valid: true}
	switch f {
	case familyString, familyFold:
		o.text = compilePattern(text, syntax{variables: variables})
	case familyLike:
		o.text = compilePattern(text, syntax{variables: variables, wildcards: true})
	case familyARN:
		o.text = compilePattern(text, syntax{variables: variables, wildcards: true, arn: true})
	case familyNumeric:
		o.decimal, o.valid = parseDecimal(text)
	case familyDate:
		o.instant, o.valid = parseInstant(text)
	case familyBool, familyNull:
		o.boolean, o.valid = parseBool(text)
	case familyBinary:
		decoded, err := base64.StdEncoding.DecodeString(text)
		o.bytes, o.valid = string(decoded), err == nil
	case familyIP:
		o.network, o.valid = parseNetwork(text)
	}
	return o
}

func parseBool(text string) (value, ok bool) {
	switch {
	case strings.EqualFold(text, "true"):
		return true, true
	case strings.EqualFold(text, "false"):
		return false, true
	}
	return false, false
}

// parseNetwork reads an address or a range in CIDR notation. Bits behind the
// prefix do not matter, and an IPv4 address may be written as one of IPv6.
func parseNetwork(text string) (netip.Prefix, bool) {
	if strings.IndexByte(text, '/') < 0 {
		addr, ok := parseAddress(text)
		return netip.PrefixFrom(addr, addr.BitLen()), ok
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	if addr := network.Addr(); addr.Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(addr.Unmap(), network.Bits()-96)
	}
	return network.Masked(), true
}

func parseAddress(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err == nil && addr.Zone() == ""
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
	if c.op.family == familyNull {
		return c.matchNull(count == 0)
	}
	if count == 0 {
		return c.missing()
	}
	// Without a prefix a set is read like ForAnyValue, its negation like
	// ForAllValues: no value of the request may be among the listed ones.
	all := c.op.quantifier == quantifierAll || c.op.quantifier == quantifierNone && c.op.negated
	for i := range count {
		if c.matchValue(entry.at(i), ctx) != all {
			return !all
		}
	}
	return all
}

func (c *Condition) missing() bool {
	switch {
	case c.op.ifExists:
		return true
	case c.op.quantifier == quantifierAll:
		return true
	case c.op.quantifier == quantifierAny:
		return false
	}
	return c.op.negated
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
	return c.among(value, ctx) != c.op.negated
}

func (c *Condition) among(value string, ctx *Context) bool {
	if ctx.counted() && !ctx.Work.Spend(1+len(c.values)) {
		return false
	}
	if c.op.family == familyString || c.op.family == familyLike {
		for i := range c.values {
			if c.values[i].text.match(value, ctx) {
				return true
			}
		}
		return false
	}
	s, ok := newSubject(c.op.family, value)
	if !ok || ctx.counted() && !ctx.Work.Spend(len(value)/8+len(c.values)*(len(value)/64)) {
		return false
	}
	for i := range c.values {
		if c.values[i].valid && c.values[i].match(&s, c.op, ctx) {
			return true
		}
	}
	return false
}

// subject is a value of the request in the form that a family compares.
type subject struct {
	text    string
	decimal decimal
	instant instant
	address netip.Addr
	boolean bool
}

// newSubject reads a value. It reports false when the value has not the form
// that the family compares: then it is equal to nothing.
func newSubject(f family, value string) (subject, bool) {
	s, ok := subject{text: value}, true
	switch f {
	case familyNumeric:
		s.decimal, ok = parseDecimal(value)
	case familyDate:
		s.instant, ok = parseInstant(value)
	case familyBool:
		s.boolean, ok = parseBool(value)
	case familyIP:
		s.address, ok = parseAddress(value)
	case familyARN:
		ok = strings.Count(value, ":") >= arnColons
	}
	return s, ok
}

// match compares a value of the request with one of the policy.
func (o *operand) match(s *subject, op operator, ctx *Context) bool {
	switch op.family {
	case familyNumeric:
		return op.accept.has(s.decimal.compare(o.decimal))
	case familyDate:
		return op.accept.has(s.instant.compare(o.instant))
	case familyBool:
		return s.boolean == o.boolean
	case familyBinary:
		return s.text == o.bytes
	case familyIP:
		return o.network.Contains(s.address)
	case familyFold:
		return o.text.matchFold(s.text, ctx)
	}
	return o.text.match(s.text, ctx) // familyARN
}

// has tells whether the outcome of a comparison is in the set.
func (o ordering) has(comparison int) bool {
	switch {
	case comparison < 0:
		return o&less != 0
	case comparison > 0:
		return o&greater != 0
	}
	return o&equal != 0
}
