package lint

import (
	"net/netip"
	"strings"
	"unicode"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/scalar"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// lintConditions checks the Condition of a statement.
func (l *linter) lintConditions(src *syntax.Statement, s *policy.Statement) {
	if len(src.Condition.Blocks) == 0 {
		l.add(Suggestion, "EMPTY_OBJECT_CONDITION", src.Condition.Position, "the condition is empty")
	}
	index := 0
	for b := range src.Condition.Blocks {
		block := &src.Condition.Blocks[b]
		if len(block.Keys) == 0 {
			l.add(Suggestion, "EMPTY_OBJECT_CONDITION", block.Operator.Position, "%s has no keys", block.Operator.Value)
		}
		seen := make(map[policy.Key]bool)
		for k := range block.Keys {
			c := &s.Conditions[index]
			index++
			if seen[c.Key] {
				l.add(Error, "DUPLICATE_KEYS_WITH_DIFFERENT_CASE", c.Position, "%s is here twice; letter case does not matter in keys", c.Name)
			}
			seen[c.Key] = true
			l.lintKey(c)
			l.lintOperator(c, s)
			l.lintValues(c, block.Keys[k].Values)
			l.lintTagKeys(c, s, block.Keys[k].Values)
		}
	}
	l.lintContradictions(s)
}

// lintKey checks the name of a condition key.
func (l *linter) lintKey(c *policy.Condition) {
	prefix, _, colon := strings.Cut(string(c.Key), ":")
	if !colon {
		l.add(Error, "INVALID_CONDITION_KEY_FORMAT", c.Position, "a condition key has the form service:key, unlike %q", c.Name)
		return
	}
	if l.catalogue == nil {
		return
	}
	info, found, known := l.catalogue.Key(c.Key)
	switch {
	case !known && prefix == "aws":
		// AWS adds some every year, and a policy is no worse for a newer one.
		l.add(Warning, "UNKNOWN_GLOBAL_CONDITION_KEY", c.Position, "no global condition key %s is known here; if AWS has it, it is newer than this release", c.Name)
	case !known:
		l.add(Error, "INVALID_SERVICE_CONDITION_KEY", c.Position, "there is no condition key %s", c.Name)
	case !found:
	case info.Multivalued && c.Op.Quantifier == syntax.QuantifierNone && c.Op.Family != syntax.FamilyNull:
		l.add(Error, "MISSING_QUALIFIER", c.Position, "%s has several values; say ForAllValues or ForAnyValue", c.Name)
	case !info.Multivalued && c.Op.Quantifier == syntax.QuantifierAll:
		l.add(SecurityWarning, "FORALLVALUES_WITH_SINGLE_VALUED_KEY", c.Position, "%s has one value; ForAllValues also holds when it is missing", c.Name)
	}
	if found && !fits(info.Type, c.Op.Family) {
		l.add(Error, "DATA_TYPE_MISMATCH", c.Position, "%s does not fit the values of %s", c.Operator, c.Name)
	}
}

// fits tells whether an operator can work with the values of a key. Texts fit
// all of them, and string operators work with everything.
func fits(t scalar.Type, f syntax.Family) bool {
	switch f {
	case syntax.FamilyNumeric:
		return t == scalar.Number || t == scalar.Date || t == scalar.String
	case syntax.FamilyDate:
		return t == scalar.Date || t == scalar.String
	case syntax.FamilyBool:
		return t == scalar.Bool || t == scalar.String
	case syntax.FamilyIP:
		return t == scalar.Address || t == scalar.String
	case syntax.FamilyARN:
		return t == scalar.ARN || t == scalar.String
	}
	return true
}

func (l *linter) lintOperator(c *policy.Condition, s *policy.Statement) {
	if c.Op.Family == syntax.FamilyNull && c.Op.IfExists {
		l.add(Error, "NULL_WITH_IF_EXISTS", c.Position, "Null with IfExists makes no sense")
	}
	if c.Op.Family == syntax.FamilyNull && c.Op.Quantifier != syntax.QuantifierNone {
		l.add(Suggestion, "NULL_WITH_QUALIFIER", c.Position, "Null needs no qualifier")
	}
	if c.Op.Quantifier != syntax.QuantifierAll || s.Effect != syntax.Allow {
		return
	}
	for i := range s.Conditions {
		if other := &s.Conditions[i]; other.Key == c.Key && other.Op.Family == syntax.FamilyNull {
			return
		}
	}
	l.add(SecurityWarning, "FORALLVALUES_WITHOUT_NULL_CHECK", c.Position, `ForAllValues also holds without %s; add "Null": {"%s": "false"}`, c.Name, c.Name)
}

// lintValues checks the values of a condition key.
func (l *linter) lintValues(c *policy.Condition, values syntax.List) {
	f := c.Op.Family
	if len(values.Items) == 0 {
		l.add(Suggestion, "EMPTY_ARRAY_CONDITION", values.Position, "%s has no values", c.Name)
	}
	if f == syntax.FamilyBool && len(values.Items) > 1 {
		l.add(Error, "INVALID_CONDITION_MULTIPLE_BOOLEAN", values.Position, "a boolean is either true or false")
	}
	for i, item := range values.Items {
		l.lintValue(c, item, c.Valid(i))
	}
	if len(values.Items) > 1 && (f == syntax.FamilyNumeric || f == syntax.FamilyDate) && c.Op.Accept != syntax.Equal {
		l.add(Suggestion, "REDUNDANT_CONDITION_VALUE_NUM", values.Position, "%s needs only one of its values", c.Operator)
	}
}

// lintTagKeys warns of keys of tags that another spelling passes: one that a Deny
// does not name, or an Allow does not leave out. As values they count as written, but
// the tag that is set is the one that conditions on aws:PrincipalTag, and the like, read
// under any spelling. A Deny of all but the named keys, and an Allow of the named ones,
// are only stricter for it.
func (l *linter) lintTagKeys(c *policy.Condition, s *policy.Statement, values syntax.List) {
	exact := c.Op.Family == syntax.FamilyString || c.Op.Family == syntax.FamilyLike
	if c.Key != "aws:tagkeys" || !exact || c.Op.Negated != (s.Effect == syntax.Allow) {
		return
	}
	for _, item := range values.Items {
		if !strings.ContainsFunc(item.Value, func(r rune) bool { return unicode.IsLower(r) || unicode.IsUpper(r) }) {
			continue
		}
		operator := "StringEqualsIgnoreCase"
		if c.Op.Negated {
			operator = "StringNotEqualsIgnoreCase"
		}
		l.add(SecurityWarning, "TAG_KEYS_WITH_CASE", item.Position,
			"%s compares keys of tags with their letter case, in which tags do not differ: another spelling of %q passes; use %s, which ignores case (and knows no wildcards)",
			c.Operator, item.Value, operator)
		return
	}
}

func (l *linter) lintValue(c *policy.Condition, item syntax.Text, valid bool) {
	f := c.Op.Family
	if f.Variables() {
		l.lintVariables(item)
	} else if strings.Contains(item.Value, "${") {
		l.add(Error, "INVALID_VARIABLE_FOR_OPERATOR", item.Position, "%s does not replace variables", c.Operator)
		return
	}
	switch {
	case (f == syntax.FamilyString || f == syntax.FamilyFold) && l.hasWildcard(item.Value):
		l.add(Warning, "WILDCARD_WITHOUT_LIKE_OPERATOR", item.Position, "%s has no wildcards: this is plain text", c.Operator)
	case f == syntax.FamilyARN && !strings.Contains(item.Value, "${") && strings.Count(item.Value, ":") < scalar.ARNColons:
		l.add(Error, "DATA_TYPE_MISMATCH", item.Position, "%q is no ARN", item.Value)
	case !valid:
		l.add(Error, "DATA_TYPE_MISMATCH", item.Position, "%s does not understand %q", c.Operator, item.Value)
	case f == syntax.FamilyIP:
		l.lintNetwork(item)
	}
}

// hasWildcard tells whether a text holds a * or ? that is not escaped.
func (l *linter) hasWildcard(text string) bool {
	return policy.OutlineOf(text, l.doc.Variables()).Wildcards()
}

func (l *linter) lintNetwork(item syntax.Text) {
	network, err := netip.ParsePrefix(item.Value)
	if err == nil && network.Masked() != network {
		l.add(Suggestion, "IMPROVE_IP_RANGE", item.Position, "write the range as %s", network.Masked())
	}
}

// lintContradictions finds conditions of one statement that cannot hold
// together, or never.
func (l *linter) lintContradictions(s *policy.Statement) {
	for i := range s.Conditions {
		c := &s.Conditions[i]
		if c.Impossible() {
			l.never(c.Position, "no value of "+c.Name+" satisfies "+c.Operator)
			continue
		}
		for j := range s.Conditions[:i] {
			other := &s.Conditions[j]
			if other.Key != c.Key {
				continue
			}
			if c.Excludes(other) || other.Excludes(c) {
				l.never(c.Position, c.Operator+" and "+other.Operator+" cannot both hold for "+c.Name)
			}
			if c.Outside(other) || other.Outside(c) {
				l.add(Warning, "INVALID_DATE_RANGE", c.Position, "the statement never applies: the range of %s is empty", c.Name)
			}
		}
	}
}
