package policy

import (
	"encoding/base64"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/writ-iam/writ/projection/policy/scalar"
)

// A second evaluator of conditions and resources, for the differential tests:
// written after the User Guide with no regard to speed, from the document and
// not from what Compile makes of it.

// refContext is a request's context: keys in lower case, nil for missing ones.
type refContext map[string][]string

// refMultivalued marks sets in a refContext.
type refRequest struct {
	keys        refContext
	multivalued map[string]bool
}

func (r *refRequest) context() *Context {
	var entries []Entry
	for name, values := range r.keys {
		if r.multivalued[name] {
			entries = append(entries, Multi(Key(name), values))
		} else {
			entries = append(entries, Single(Key(name), values[0]))
		}
	}
	var ctx Context
	ctx.Add(entries)
	return &ctx
}

// Literal wildcard characters during the expansion of variables.
const (
	refStar     = '\uE000'
	refQuestion = '\uE001'
)

// refVariable reads a variable or an escape at the start of text.
type refVariable struct {
	escape     string // the character of an escape, else ""
	name       string
	value      string // the default
	hasDefault bool
	rest       string // what follows
}

func refNextVariable(text string) (v refVariable, ok bool) {
	if !strings.HasPrefix(text, "${") {
		return v, false
	}
	for _, c := range []string{"*", "?", "$"} {
		if rest, ok := strings.CutPrefix(text, "${"+c+"}"); ok {
			return refVariable{escape: c, rest: rest}, true
		}
	}
	match := refVariableForm.FindStringSubmatch(text)
	if match == nil {
		return v, false
	}
	return refVariable{name: match[1], hasDefault: match[2] != "", value: match[3], rest: text[len(match[0]):]}, true
}

var refVariableForm = regexp.MustCompile(`^\$\{([^\s*?$\{'"},](?:[^*?$\{'"},]*[^\s*?$\{'"},])?)(, *'([^']*)' *)?\}`)

// refExpand replaces variables and escapes by text in which the literal * and
// ? are private characters. It reports false when a variable has no value.
func refExpand(text string, req *refRequest) (string, bool) {
	var out strings.Builder
	literal := strings.NewReplacer("*", string(refStar), "?", string(refQuestion))
	for text != "" {
		v, ok := refNextVariable(text)
		if !ok {
			out.WriteByte(text[0])
			text = text[1:]
			continue
		}
		text = v.rest
		values, there := req.keys[strings.ToLower(v.name)]
		multi := req.multivalued[strings.ToLower(v.name)]
		switch {
		case v.escape != "":
			literal.WriteString(&out, v.escape)
		case there && !multi:
			literal.WriteString(&out, values[0])
		case v.hasDefault && len(values) == 0:
			literal.WriteString(&out, v.value)
		default:
			return "", false
		}
	}
	return out.String(), true
}

// refEarlyVariable tells that a variable stands before the fifth colon.
func refEarlyVariable(text string) bool {
	for colons := 0; text != "" && colons < 5; {
		if v, ok := refNextVariable(text); ok {
			if v.escape == "" {
				return true
			}
			text = v.rest
			continue
		}
		if text[0] == ':' {
			colons++
		}
		text = text[1:]
	}
	return false
}

// refGlob matches expanded text against a value, character by character. deny
// lists characters that wildcards do not take.
func refGlob(pattern, value []rune, deny string) bool {
	if len(pattern) == 0 {
		return len(value) == 0
	}
	switch pattern[0] {
	case '*':
		for i := 0; ; i++ {
			if refGlob(pattern[1:], value[i:], deny) {
				return true
			}
			if i == len(value) || strings.ContainsRune(deny, value[i]) {
				return false
			}
		}
	case '?':
		return len(value) > 0 && !strings.ContainsRune(deny, value[0]) && refGlob(pattern[1:], value[1:], deny)
	}
	return len(value) > 0 && refPlain(pattern[0]) == value[0] && refGlob(pattern[1:], value[1:], deny)
}

func refPlain(r rune) rune {
	switch r {
	case refStar:
		return '*'
	case refQuestion:
		return '?'
	}
	return r
}

func refPlainText(text string) string { return strings.Map(refPlain, text) }

// refARN compares the six parts of two ARNs one by one.
func refARN(pattern, value string) bool {
	p, v := strings.SplitN(pattern, ":", 6), strings.SplitN(value, ":", 6)
	if len(p) != 6 || len(v) != 6 {
		return false
	}
	for i := range p {
		if !refGlob([]rune(p[i]), []rune(v[i]), "") {
			return false
		}
	}
	return true
}

// refMatchOne compares a value of the request with a value of the policy.
func refMatchOne(op, value, listed string, req *refRequest, variables bool) bool {
	expanded, ok := listed, true
	if variables {
		expanded, ok = refExpand(listed, req)
	}
	switch {
	case strings.HasPrefix(op, "String") || strings.HasPrefix(op, "Arn"):
		switch {
		case !ok:
			return false
		case strings.HasSuffix(op, "Like") && strings.HasPrefix(op, "String"):
			return refGlob([]rune(expanded), []rune(value), "")
		case strings.HasPrefix(op, "Arn"):
			return refARN(expanded, value)
		case strings.HasSuffix(op, "IgnoreCase"):
			return strings.EqualFold(refPlainText(expanded), value)
		}
		return refPlainText(expanded) == value
	case strings.HasPrefix(op, "Numeric"):
		v, ok1 := refNumber(value)
		l, ok2 := refNumber(listed)
		return ok1 && ok2 && refOrder(op, v.Cmp(l))
	case strings.HasPrefix(op, "Date"):
		v, ok1 := refInstant(value)
		l, ok2 := refInstant(listed)
		return ok1 && ok2 && refOrder(op, v.Compare(l))
	case op == "Bool":
		v, l := strings.ToLower(value), strings.ToLower(listed)
		return v == l && (v == "true" || v == "false")
	case op == "BinaryEquals":
		decoded, err := base64.StdEncoding.DecodeString(listed)
		return err == nil && string(decoded) == value
	}
	addr, err := netip.ParseAddr(value) // IpAddress
	if err != nil || addr.Zone() != "" {
		return false
	}
	if !strings.Contains(listed, "/") {
		other, err := netip.ParseAddr(listed)
		return err == nil && other.Zone() == "" && other.Unmap() == addr.Unmap()
	}
	network, err := netip.ParsePrefix(listed)
	if err != nil {
		return false
	}
	bits := network.Bits()
	if network.Addr().Is4() {
		bits += 96
	}
	if addr.Unmap().Is4() && bits < 96 {
		return false // a range of IPv6
	}
	a, n := addr.As16(), network.Addr().As16()
	for i := range bits {
		if mask := byte(0x80 >> (i % 8)); a[i/8]&mask != n[i/8]&mask {
			return false
		}
	}
	return true
}

// refInstant reads the usual forms with package time, and others as the
// package does.
func refInstant(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	at, ok := scalar.ParseInstant(text)
	return time.Unix(at.Seconds, at.Nanos), ok
}

func refNumber(text string) (*big.Rat, bool) {
	if strings.Trim(text, "+-.0123456789") != "" || strings.HasSuffix(text, ".") {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

// refOrder judges the outcome of a comparison by the name of the operator.
func refOrder(op string, order int) bool {
	switch {
	case strings.HasSuffix(op, "LessThanEquals"):
		return order <= 0
	case strings.HasSuffix(op, "LessThan"):
		return order < 0
	case strings.HasSuffix(op, "GreaterThanEquals"):
		return order >= 0
	case strings.HasSuffix(op, "GreaterThan"):
		return order > 0
	}
	return order == 0
}

// refCondition evaluates one key of one operator.
func refCondition(operator, key string, listed []string, req *refRequest, variables bool) bool {
	set := ""
	if i := strings.IndexByte(operator, ':'); i >= 0 {
		set, operator = operator[:i], operator[i+1:]
	}
	op, ifExists := strings.CutSuffix(operator, "IfExists")
	negated := strings.Contains(op, "Not")
	positive := strings.Replace(op, "Not", "", 1)
	values := req.keys[strings.ToLower(key)]
	if op == "Null" {
		return slices.ContainsFunc(listed, func(l string) bool {
			return strings.EqualFold(l, "true") && len(values) == 0 || strings.EqualFold(l, "false") && len(values) > 0
		})
	}
	if len(values) == 0 {
		return ifExists || set == "ForAllValues" || set == "" && negated
	}
	holds := func(v string) bool {
		matches := slices.ContainsFunc(listed, func(l string) bool { return refMatchOne(positive, v, l, req, variables) })
		return matches != negated
	}
	if set == "ForAllValues" || set == "" && negated {
		return !slices.ContainsFunc(values, func(v string) bool { return !holds(v) })
	}
	return slices.ContainsFunc(values, holds)
}

// refResource matches one entry of Resource: each of the six parts by itself,
// where a * at the end of a part may run on, and missing parts are wildcards.
func refResource(entry, resource string, req *refRequest, variables bool) bool {
	expanded, ok := entry, true
	if variables {
		expanded, ok = refExpand(entry, req)
		ok = ok && !refEarlyVariable(entry)
	}
	if !ok {
		return false
	}
	tail := len([]rune(resource))
	if parts := strings.SplitN(resource, ":", 6); len(parts) == 6 {
		tail -= len([]rune(parts[5]))
	}
	if refResourceGlob([]rune(expanded), []rune(resource), 0, tail) {
		return true
	}
	return strings.HasPrefix(entry, "arn:") && strings.Count(expanded, ":") < 5 &&
		refResourceGlob([]rune(expanded+":*"), []rune(resource), 0, tail)
}

// refResourceGlob is refGlob for resources: before offset tail wildcards take
// no colon, but for a * that ends its part.
func refResourceGlob(pattern, value []rune, off, tail int) bool {
	if len(pattern) == 0 {
		return off == len(value)
	}
	takes := func(i int) bool { return i < len(value) && (i >= tail || value[i] != ':') }
	switch pattern[0] {
	case '*':
		last := len(pattern) == 1 || pattern[1] == ':'
		for i := off; ; i++ {
			if refResourceGlob(pattern[1:], value, i, tail) {
				return true
			}
			if i == len(value) || !last && !takes(i) {
				return false
			}
		}
	case '?':
		return takes(off) && refResourceGlob(pattern[1:], value, off+1, tail)
	}
	return off < len(value) && refPlain(pattern[0]) == value[off] && refResourceGlob(pattern[1:], value, off+1, tail)
}
