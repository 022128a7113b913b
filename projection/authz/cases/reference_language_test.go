package cases

// The slow, obvious evaluator of one policy document, straight from decoded
// JSON: regular expressions, recursion, nothing remembered between calls. It
// exists to disagree with the real engine, so it shares no code with it.
// Every rule names the page of AWS's documentation it follows.

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// refStrings reads the "one or many" of the policy grammar. Condition values
// may be JSON booleans and numbers; they compare as their text.
// IAM User Guide: Grammar of the IAM JSON policy language.
func refStrings(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, refStrings(one)...)
		}
		return all
	case string:
		return []string{v}
	case bool:
		return []string{strconv.FormatBool(v)}
	case json.Number:
		return []string{v.String()}
	default:
		panic(fmt.Sprintf("value %v of type %T in a policy", v, v))
	}
}

// refStatements returns the statements of a document, written as one object or
// as a list.
func refStatements(doc map[string]any) []map[string]any {
	switch s := doc["Statement"].(type) {
	case map[string]any:
		return []map[string]any{s}
	case []any:
		var all []map[string]any
		for _, one := range s {
			all = append(all, one.(map[string]any))
		}
		return all
	}
	return nil
}

// refVariables tells whether a document has policy variables: only in version
// 2012-10-17, and a document without Version is of 2008-10-17.
// IAM User Guide: IAM JSON policy elements: Version.
func refVariables(doc map[string]any) bool { return doc["Version"] == "2012-10-17" }

// refPattern is a pattern after variables were filled in, as a regular
// expression and as plain text. The value of a variable is a literal, wildcards
// in it are characters.
type refPattern struct{ re, literal string }

// refBorder stands for the five colons between the fields of an ARN in values
// that are matched field by field.
const refBorder = "\x00"

// A policy variable: a key, perhaps with a default in single quotes. The three
// escapes ${*}, ${?} and ${$} stand for the character alone.
// IAM User Guide: IAM policy elements: Variables and tags.
var refVariable = regexp.MustCompile(`\$\{([^}']*?)(?:,\s*'([^']*)')?\s*\}`)

// refExpand fills in variables and turns wildcards into a regular expression.
// It fails when a variable has neither value nor default: such an entry
// matches nothing. With fields, wildcards do not match a refBorder, except an
// asterisk at the end of a field, and a colon is a border too.
func refExpand(text string, variables, fields bool, ctx refContext) (p refPattern, ok bool) {
	if variables && strings.Contains(text, "${") {
		return refExpandAnew(text, variables, fields, ctx)
	}
	key := refExpandKey{text, fields} // remembered, as it does not depend on the request
	refExpandedMu.Lock()
	defer refExpandedMu.Unlock()
	p, ok = refExpanded[key]
	if !ok {
		if len(refExpanded) > 20_000 {
			clear(refExpanded)
		}
		p, _ = refExpandAnew(text, false, fields, ctx)
		refExpanded[key] = p
	}
	return p, true
}

type refExpandKey struct {
	text   string
	fields bool
}

var (
	refExpanded   = map[refExpandKey]refPattern{}
	refExpandedMu sync.Mutex
)

func refExpandAnew(text string, variables, fields bool, ctx refContext) (p refPattern, ok bool) {
	literal := func(s string) {
		p.literal += s
		s = regexp.QuoteMeta(s)
		if fields {
			s = strings.ReplaceAll(s, ":", "[:"+refBorder+"]")
		}
		p.re += s
	}
	wild := func(s string, last bool) {
		for i, r := range s {
			rest := strings.TrimLeft(s[i:], "*")
			switch {
			case r == '*' && (!fields || rest == "" && last || strings.HasPrefix(rest, ":")):
				p.re += ".*"
			case r == '*':
				p.re += "[^" + refBorder + "]*"
			case r == '?' && fields:
				p.re += "[^" + refBorder + "]"
			case r == '?':
				p.re += "."
			default:
				literal(string(r))
				continue
			}
			p.literal += string(r)
		}
	}
	if !variables {
		wild(text, true)
		return p, true
	}
	last := 0
	for _, m := range refVariable.FindAllStringSubmatchIndex(text, -1) {
		wild(text[last:m[0]], false)
		last = m[1]
		key := strings.TrimSpace(text[m[2]:m[3]])
		if key == "*" || key == "?" || key == "$" {
			literal(key)
			continue
		}
		value, found := ctx.single(key)
		switch {
		case found:
			literal(value)
		case m[4] >= 0:
			literal(text[m[4]:m[5]])
		default:
			return p, false
		}
	}
	wild(text[last:], true)
	return p, true
}

// refCompiled remembers regular expressions, which cost far more to compile
// than to match.
var (
	refCompiled   = map[string]*regexp.Regexp{}
	refCompiledMu sync.Mutex
)

func refGlob(re, s string) bool {
	refCompiledMu.Lock()
	compiled, ok := refCompiled[re]
	if !ok {
		if len(refCompiled) > 20_000 {
			clear(refCompiled)
		}
		compiled = regexp.MustCompile(`(?s)\A(?:` + re + `)\z`)
		refCompiled[re] = compiled
	}
	refCompiledMu.Unlock()
	return compiled.MatchString(s)
}

// refAction: * and ? anywhere, letter case ignored, no variables.
// IAM User Guide: IAM JSON policy elements: Action.
func refAction(patterns []string, action string) bool {
	for _, p := range patterns {
		e, _ := refExpand(strings.ToLower(p), false, false, refContext{})
		if refGlob(e.re, strings.ToLower(action)) {
			return true
		}
	}
	return false
}

// refResource: letter case counts. A wildcard stays inside its field of the ARN,
// except that an asterisk at the end of a field may run over colons, and that
// the sixth field may have colons of its own. An ARN with fewer than six fields
// is completed with asterisks, unless one that it has reaches over the rest.
// IAM User Guide: IAM JSON policy elements: Resource.
func refResource(patterns []string, resource string, variables bool, ctx refContext) bool {
	resource = strings.Replace(resource, ":", refBorder, 5)
	for _, p := range patterns {
		if p == "*" {
			return true
		}
		outside := p
		if variables {
			outside = refVariable.ReplaceAllString(p, "x")
		}
		forms := []string{p}
		if n := strings.Count(outside, ":"); strings.HasPrefix(p, "arn:") && n < 5 {
			forms = append(forms, p+strings.Repeat(":*", 5-n))
		}
		for _, form := range forms {
			if e, ok := refExpand(form, variables, true, ctx); ok && refGlob(e.re, resource) {
				return true
			}
		}
	}
	return false
}

// refContext is the request context: keys without letter case.
type refContext struct {
	values map[string][]string
	multi  map[string]bool
}

// newRefContexts returns the readings of a request's context: one for every choice
// among the spellings of each key that is there in several.
func newRefContexts(values map[string][]string, multivalued []string) []refContext {
	multi := map[string]bool{}
	for _, k := range multivalued {
		multi[strings.ToLower(k)] = true
	}
	spellings := map[string][][]string{}
	for k, v := range values {
		spellings[strings.ToLower(k)] = append(spellings[strings.ToLower(k)], v)
	}
	readings := []refContext{{values: map[string][]string{}, multi: multi}}
	for key, all := range spellings {
		var more []refContext
		for _, reading := range readings {
			for _, v := range all {
				c := refContext{values: maps.Clone(reading.values), multi: multi}
				c.values[key] = v
				more = append(more, c)
			}
		}
		readings = more
	}
	return readings
}

// refUnder tells whether something holds: in an Allow with every spelling of the
// keys of tags, in a Deny with any.
// IAM User Guide: Tags for AWS Identity and Access Management resources: the keys in
// conditions ignore letter case.
func refUnder(readings []refContext, deny bool, holds func(refContext) bool) bool {
	for _, c := range readings {
		if holds(c) == deny {
			return deny
		}
	}
	return !deny
}

// all returns the values of a key. A key with an empty set of values is as
// good as missing: IAM User Guide, Set operators for multivalued context keys.
func (c refContext) all(key string) (values []string, present bool) {
	values = c.values[strings.ToLower(key)]
	return values, len(values) > 0
}

// single returns the value of a single-valued key; a multivalued key cannot be
// a policy variable, not even with one value.
func (c refContext) single(key string) (string, bool) {
	values, present := c.all(key)
	if !present || len(values) > 1 || c.multi[strings.ToLower(key)] {
		return "", false
	}
	return values[0], true
}

// refConditions: operators and keys are ANDed.
// IAM User Guide: Conditions with multiple context keys or values.
func refConditions(cond any, variables, deny bool, readings []refContext) bool {
	block, _ := cond.(map[string]any)
	for op, keys := range block {
		for key, values := range keys.(map[string]any) {
			if !refUnder(readings, deny, func(c refContext) bool { return refCondition(op, key, refStrings(values), variables, c) }) {
				return false
			}
		}
	}
	return true
}

// refCondition: one operator on one key.
// IAM User Guide: Condition operators; Set operators for multivalued keys.
func refCondition(op, key string, want []string, variables bool, ctx refContext) bool {
	got, present := ctx.all(key)
	if op == "Null" {
		for _, w := range want {
			if strings.EqualFold(w, "true") && !present || strings.EqualFold(w, "false") && present {
				return true
			}
		}
		return false
	}
	op, forAll := strings.CutPrefix(op, "ForAllValues:")
	op, forAny := strings.CutPrefix(op, "ForAnyValue:")
	op, ifExists := strings.CutSuffix(op, "IfExists")
	base, negated := refNegated[op]
	if !negated {
		base = op
	}
	if !present {
		switch {
		case ifExists || forAll:
			return true
		case forAny:
			return false
		default:
			return negated
		}
	}
	// One value of the request against the list of the policy: OR for a
	// positive operator, and so "none of them" for a negated one.
	test := func(g string) bool {
		for _, w := range want {
			if refCompare(base, g, w, variables, ctx) {
				return !negated
			}
		}
		return negated
	}
	holds := 0
	for _, g := range got {
		if test(g) {
			holds++
		}
	}
	switch {
	case forAll:
		return holds == len(got)
	case forAny:
		return holds > 0
	case negated: // without a set operator: the opposite of "some value matches"
		return holds == len(got)
	default:
		return holds > 0
	}
}

var refNegated = map[string]string{
	"StringNotEquals":           "StringEquals",
	"StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
	"StringNotLike":             "StringLike",
	"NumericNotEquals":          "NumericEquals",
	"DateNotEquals":             "DateEquals",
	"NotIpAddress":              "IpAddress",
	"ArnNotEquals":              "ArnLike",
	"ArnNotLike":                "ArnLike",
}

// refCompare compares one value of the request with one of the policy.
// Variables work with string and ARN operators (and Bool), not with numbers,
// dates, binary values and addresses.
func refCompare(op, got, want string, variables bool, ctx refContext) bool {
	if strings.HasPrefix(op, "String") || strings.HasPrefix(op, "Arn") || op == "Bool" {
		e, ok := refExpand(want, variables, false, ctx)
		if !ok {
			return false
		}
		switch op {
		case "StringEquals":
			return got == e.literal
		case "StringEqualsIgnoreCase":
			return strings.EqualFold(got, e.literal)
		case "StringLike":
			return refGlob(e.re, got)
		case "Bool":
			g, w := strings.ToLower(got), strings.ToLower(e.literal)
			return g == w && (w == "true" || w == "false")
		case "ArnEquals", "ArnLike":
			return refArn(want, got, variables, ctx)
		}
	}
	switch op {
	case "BinaryEquals":
		w, err := base64.StdEncoding.DecodeString(want)
		return err == nil && string(w) == got
	case "IpAddress":
		return refAddress(got, want)
	}
	if order, ok := strings.CutPrefix(op, "Numeric"); ok {
		g, w := refNumber(got), refNumber(want)
		return g != nil && w != nil && refOrder(order, g.Cmp(w))
	}
	if order, ok := strings.CutPrefix(op, "Date"); ok {
		g, gok := refTime(got)
		w, wok := refTime(want)
		return gok && wok && refOrder(order, g.Compare(w))
	}
	panic("operator " + op)
}

func refOrder(op string, c int) bool {
	switch op {
	case "Equals":
		return c == 0
	case "LessThan":
		return c < 0
	case "LessThanEquals":
		return c <= 0
	case "GreaterThan":
		return c > 0
	case "GreaterThanEquals":
		return c >= 0
	}
	panic("order " + op)
}

// refArn: ArnEquals and ArnLike behave identically; each of the six parts is
// compared by itself, with wildcards.
// IAM User Guide: Condition operators, Amazon Resource Name (ARN).
func refArn(want, got string, variables bool, ctx refContext) bool {
	// Colons inside ${...} do not separate.
	var parts []string
	depth, start := 0, 0
	for i := range want {
		switch {
		case variables && strings.HasPrefix(want[i:], "${"):
			depth = 1
		case want[i] == '}':
			depth = 0
		case want[i] == ':' && depth == 0 && len(parts) < 5:
			parts = append(parts, want[start:i])
			start = i + 1
		}
	}
	parts = append(parts, want[start:])
	values := strings.SplitN(got, ":", 6)
	if len(parts) != 6 || len(values) != 6 {
		return false
	}
	for i := range parts {
		e, ok := refExpand(parts[i], variables, false, ctx)
		if !ok || !refGlob(e.re, values[i]) {
			return false
		}
	}
	return true
}

var refDecimal = regexp.MustCompile(`\A[-+]?[0-9]+(\.[0-9]+)?\z`)

func refNumber(s string) *big.Rat {
	if !refDecimal.MatchString(s) {
		return nil
	}
	r, _ := new(big.Rat).SetString(s)
	return r
}

// refTime: a W3C profile of ISO 8601, or seconds since 1970 in digits.
func refTime(s string) (time.Time, bool) {
	if n, err := strconv.ParseUint(s, 10, 63); err == nil {
		return time.Unix(int64(n), 0), true
	}
	if year, err := strconv.Atoi(s); err == nil && year < 0 { // before our era
		return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), true
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// refAddress: an address or a CIDR range; without a prefix length, one address.
func refAddress(got, want string) bool {
	a, err := netip.ParseAddr(got)
	if err != nil {
		return false
	}
	if p, err := netip.ParsePrefix(want); err == nil {
		return p.Contains(a)
	}
	w, err := netip.ParseAddr(want)
	return err == nil && w == a
}
