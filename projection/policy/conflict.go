package policy

import (
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// Impossible tells that no request satisfies the condition: it needs a listed
// value and none can match.
func (c *Condition) Impossible() bool {
	if c.Op.Negated || c.Op.IfExists || c.Op.Quantifier == syntax.QuantifierAll {
		return false
	}
	for i := range c.values {
		if c.values[i].valid {
			return false
		}
	}
	return true
}

// needs tells that the condition fails without the key.
func (c *Condition) needs() bool { return c.Op.Family != syntax.FamilyNull && !c.missing() }

// Excludes tells that c wants the key missing and other wants it there.
func (c *Condition) Excludes(other *Condition) bool {
	return c.Op.Family == syntax.FamilyNull && c.matchNull(true) && !c.matchNull(false) && other.needs()
}

// Outside tells that c wants dates or numbers above those that other allows.
func (c *Condition) Outside(other *Condition) bool {
	f := c.Op.Family
	if f != other.Op.Family || f != syntax.FamilyDate && f != syntax.FamilyNumeric || !c.needs() || !other.needs() ||
		c.Op.Accept&syntax.Less != 0 || c.Op.Accept&syntax.Greater == 0 || other.Op.Accept&syntax.Greater != 0 || other.Op.Accept&syntax.Less == 0 {
		return false
	}
	inclusive := c.Op.Accept&other.Op.Accept&syntax.Equal != 0
	for i := range c.values {
		for j := range other.values {
			low, high := &c.values[i], &other.values[j]
			order := low.instant.Compare(high.instant)
			if f == syntax.FamilyNumeric {
				order = low.decimal.Compare(high.decimal)
			}
			if low.valid && high.valid && (order < 0 || order == 0 && inclusive) {
				return false
			}
		}
	}
	return true
}

// Valid tells whether value i of the condition has the form that its operator
// compares. One that has not matches nothing.
func (c *Condition) Valid(i int) bool { return c.values[i].valid }
