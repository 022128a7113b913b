package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/projection/policy/syntax"
)

// conditionOf compiles the only condition of a document of a version.
func conditionOf(t *testing.T, version, operator, key string, values ...string) *Condition {
	t.Helper()
	list, err := json.Marshal(append([]string{}, values...))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := syntax.Parse(fmt.Sprintf(`{"Version":%q,"Statement":{"Effect":"Allow","Action":"*","Resource":"*",`+
		`"Condition":{%q:{%q:%s}}}}`, version, operator, key, list))
	if err != nil {
		t.Fatalf("%s %q: %v", operator, values, err)
	}
	return &Compile(doc).Statements[0].Conditions[0]
}

// operatorCase is a condition on one value.
type operatorCase struct {
	operator string
	listed   string // values of the policy, separated by spaces
	value    string
	want     bool
}

var stringOperators = []operatorCase{
	{"StringEquals", "a b", "b", true},
	{"StringEquals", "a b", "B", false},
	{"StringEquals", "a*", "ab", false},
	{"StringEquals", "a*", "a*", true},
	{"StringEquals", "${*}", "*", true},
	{"StringNotEquals", "a b", "c", true},
	{"StringNotEquals", "a b", "b", false},
	{"StringEqualsIgnoreCase", "straße", "STRAßE", true},
	{"StringEqualsIgnoreCase", "a", "b", false},
	{"StringEqualsIgnoreCase", "${aws:username}/x", "ALICE/X", true},
	{"StringEqualsIgnoreCase", "${aws:username}/x", "alice/", false},
	{"StringEqualsIgnoreCase", "${aws:username}/x", "alice/xy", false},
	{"StringEqualsIgnoreCase", "${aws:none}/x", "/x", false},
	{"StringNotEqualsIgnoreCase", "a", "A", false},
	{"StringNotEqualsIgnoreCase", "a", "b", true},
	{"StringLike", "*", "", true},
	{"StringLike", "a*c", "abc", true},
	{"StringLike", "a*c", "abcd", false},
	{"StringLike", "*ab*abc", "xabyabzababc", true},
	{"StringLike", "*ab*abc", "xabyabzab", false},
	{"StringLike", "a?c", "a€c", true},
	{"StringLike", "a??c", "a€c", false},
	{"StringLike", "*??", "€", false},
	{"StringLike", "*??", "€€", true},
	{"StringLike", "a:*:c", "a:b:b:c", true},
	{"StringLike", "${*}*", "*x", true},
	{"StringLike", "${*}*", "xx", false},
	{"StringLike", "${?}${$}", "?$", true},
	{"StringLike", "$${aws:username}", "$alice", true},
	{"StringLike", "${aws:username", "${aws:username", true},
	{"StringLike", "${aws:star}", "**", false},
	{"StringLike", "${aws:star}", "*", true},
	{"StringLike", "home/${aws:username}/*", "home/alice/x", true},
	{"StringLike", "home/${aws:username}/*", "home/bob/x", false},
	{"StringLike", "${aws:none,'d*'}", "d*", true},
	{"StringLike", "${aws:none,'d*'}", "dx", false},
	{"StringLike", "${aws:username,'d'}", "d", false},
	{"StringLike", "${aws:set,'d'}", "d", false},
	{"StringLike", "${aws:emptyset,'d'}", "d", true},
	{"StringNotLike", "a* b*", "bx", false},
	{"StringNotLike", "a* b*", "cx", true},
	{"StringNotLike", "${aws:none}", "x", true},
}

// scalarOperators are those of numbers, dates, truth and bytes.
var scalarOperators = []operatorCase{
	{"NumericEquals", "10.50", "10.5", true},
	{"NumericEquals", "1", "01.0", true},
	{"NumericEquals", "-0", "0", true},
	{"NumericEquals", "1e1", "10", false},
	{"NumericEquals", "9007199254740993", "9007199254740992", false},
	{"NumericNotEquals", "10 20", "20", false},
	{"NumericNotEquals", "10 20", "15", true},
	{"NumericNotEquals", "10", "ten", true},
	{"NumericLessThan", "5 20", "10", true},
	{"NumericLessThan", "10", "10", false},
	{"NumericLessThan", "-5", "-10", true},
	{"NumericLessThan", "0.5", "-0.5", true},
	{"NumericLessThan", "-0.5", "0.5", false},
	{"NumericLessThanEquals", "10", "10", true},
	{"NumericLessThanEquals", "9.99", "10", false},
	{"NumericGreaterThan", "20", "100", true},
	{"NumericGreaterThan", "1.20", "1.2", false},
	{"NumericGreaterThanEquals", "1.20", "1.2", true},
	{"NumericGreaterThanEquals", "1", "", false},
	{"DateEquals", "2024-05-01T05:00:00-05:00", "2024-05-01T10:00:00Z", true},
	{"DateEquals", "1714557600", "2024-05-01T10:00:00Z", true},
	{"DateEquals", "2024-05", "2024-05-01", true},
	{"DateEquals", "tomorrow", "2024-05-01", false},
	{"DateNotEquals", "2024-05-01T10:00:00.5Z", "2024-05-01T10:00:00Z", true},
	{"DateLessThan", "2024-05-01T10:00:00.5Z", "2024-05-01T10:00:00Z", true},
	{"DateLessThan", "2024-05-01", "2024-05-01T00:00:00Z", false},
	{"DateLessThanEquals", "2024-05-01T10:00:00+02:00", "2024-05-01T10:00:00Z", false},
	{"DateLessThanEquals", "2024-05-01", "2024-05-01T00:00:00Z", true},
	{"DateGreaterThan", "2024-05-01T09:59:59.999Z", "2024-05-01T10:00:00Z", true},
	{"DateGreaterThan", "2024-05-01", "never", false},
	{"DateGreaterThanEquals", "1714557600", "1714557600", true},
	{"Bool", "true", "TRUE", true},
	{"Bool", "False", "false", true},
	{"Bool", "true", "yes", false},
	{"Bool", "yes", "yes", false},
	{"BinaryEquals", "YWJj YWJk", "abd", true},
	{"BinaryEquals", "YWJj", "YWJj", false},
	{"BinaryEquals", "?", "?", false},
}

// nameOperators are those of addresses and ARNs, and of what is there at all.
var nameOperators = []operatorCase{
	{"IpAddress", "203.0.113.0/24", "203.0.113.7", true},
	{"IpAddress", "203.0.113.0/24 2001:DB8::/32", "2001:db8::7", true},
	{"IpAddress", "203.0.115.143/23", "203.0.114.1", true},
	{"IpAddress", "203.0.113.7", "203.0.113.7", true},
	{"IpAddress", "203.0.113.7", "::ffff:203.0.113.7", true},
	{"IpAddress", "::ffff:203.0.113.0/120", "203.0.113.7", true},
	{"IpAddress", "::/0", "203.0.113.7", false},
	{"IpAddress", "203.0.113.0/33", "203.0.113.7", false},
	{"IpAddress", "203.0.113.0/24", "here", false},
	{"IpAddress", "fe80::/10", "fe80::1%eth0", false},
	{"IpAddress", "${aws:address}", "10.0.0.1", false},
	{"NotIpAddress", "192.168.0.0/16 10.0.0.0/8", "10.0.0.1", false},
	{"NotIpAddress", "192.168.0.0/16", "10.0.0.1", true},
	{"ArnEquals", "arn:aws:s3:::b*", "arn:aws:s3:::bucket", true},
	{"ArnEquals", "arn:aws:s3:?::bucket", "arn:aws:s3:::bucket", false},
	{"ArnEquals", "arn:aws:s3:*:*:bucket", "arn:aws:s3:::bucket", true},
	{"ArnLike", "arn:aws:x:*:111122223333:f/*", "arn:aws:x:us-east-2:999999999999:store/abc:111122223333:f/d", false},
	{"ArnLike", "arn:aws:sns:*:1:a*d", "arn:aws:sns:r:1:a:b:c:d", true},
	{"ArnLike", "arn:aws:iam::1:user/${aws:username}", "arn:aws:iam::1:user/alice", true},
	{"ArnLike", "${aws:arn}", "arn:aws:iam::1:user/alice", true},
	{"ArnLike", "${aws:arn}*", "arn:aws:iam::1:user/alice:2", true},
	{"ArnLike", "*", "arn:aws:iam::1:user/alice", false},
	{"ArnLike", "abc", "abc", false},
	{"ArnNotEquals", "arn:aws:s3:::a", "arn:aws:s3:::b", true},
	{"ArnNotLike", "arn:aws:s3:::*", "arn:aws:s3:::b", false},
	{"Null", "true", "x", false},
	{"Null", "false", "x", true},
	{"Null", "true false", "x", true},
	{"Null", "perhaps", "x", false},
}

func TestOperators(t *testing.T) {
	for _, c := range slices.Concat(stringOperators, scalarOperators, nameOperators) {
		var ctx Context
		ctx.Add([]Entry{
			Single("aws:value", c.value), Single("aws:username", "alice"), Single("aws:star", "*"),
			Single("aws:arn", "arn:aws:iam::1:user/alice"), Single("aws:address", "10.0.0.1"),
			Multi("aws:set", []string{"x"}), Multi("aws:emptyset", nil),
		})
		condition := conditionOf(t, syntax.Version2012, c.operator, "Aws:Value", strings.Fields(c.listed)...)
		if got := condition.Match(&ctx); got != c.want {
			t.Errorf("%s %q against %q: got %v, want %v", c.operator, c.listed, c.value, got, c.want)
		}
		if strings.HasPrefix(c.operator, "Null") {
			continue
		}
		// One value is the same under both qualifiers and IfExists.
		for _, form := range []string{"ForAllValues:" + c.operator, "ForAnyValue:" + c.operator, c.operator + "IfExists"} {
			condition := conditionOf(t, syntax.Version2012, form, "aws:value", strings.Fields(c.listed)...)
			if got := condition.Match(&ctx); got != c.want {
				t.Errorf("%s %q against %q: got %v, want %v", form, c.listed, c.value, got, c.want)
			}
		}
	}
}

// Without a key, and with a set that is empty.
func TestMissingKey(t *testing.T) {
	for name, op := range syntax.Operators {
		for _, ctx := range []*Context{nil, {}, contextOf(Multi("aws:value", nil))} {
			for _, c := range []struct {
				operator string
				want     bool
			}{
				{name, op.Negated},
				{name + "IfExists", true},
				{"ForAllValues:" + name, true},
				{"ForAnyValue:" + name, false},
				{"ForAllValues:" + name + "IfExists", true},
				{"ForAnyValue:" + name + "IfExists", true},
			} {
				if op.Family == syntax.FamilyNull {
					c.want = false // "x" is neither true nor false
				}
				if got := conditionOf(t, syntax.Version2012, c.operator, "aws:value", "x").Match(ctx); got != c.want {
					t.Errorf("%s: got %v, want %v", c.operator, got, c.want)
				}
			}
			if !conditionOf(t, syntax.Version2012, "Null", "aws:value", "true").Match(ctx) {
				t.Error("Null true does not hold without the key")
			}
		}
	}
}

func contextOf(entries ...Entry) *Context {
	var ctx Context
	ctx.Add(entries)
	return &ctx
}

func TestSets(t *testing.T) {
	for _, c := range []struct {
		operator string
		values   string
		want     bool
	}{
		{"ForAllValues:StringEquals", "a b", true},
		{"ForAllValues:StringEquals", "a c", false},
		{"ForAllValues:StringNotEquals", "a c", false},
		{"ForAllValues:StringNotEquals", "c d", true},
		{"ForAnyValue:StringEquals", "a c", true},
		{"ForAnyValue:StringEquals", "c d", false},
		{"ForAnyValue:StringNotEquals", "a b", false},
		{"ForAnyValue:StringNotEquals", "a c", true},
		{"StringEquals", "a c", true},
		{"StringEquals", "c d", false},
		{"StringNotEquals", "a c", false},
		{"StringNotEquals", "c d", true},
	} {
		ctx := contextOf(Multi("aws:tagkeys", strings.Fields(c.values)))
		if got := conditionOf(t, syntax.Version2012, c.operator, "aws:TagKeys", "a", "b").Match(ctx); got != c.want {
			t.Errorf("%s against %s: got %v, want %v", c.operator, c.values, got, c.want)
		}
	}
	none := conditionOf(t, syntax.Version2012, "StringEquals", "aws:username")
	if none.Match(contextOf(Single("aws:username", ""))) {
		t.Error("an operator without values holds")
	}
}

// Before version 2012-10-17 variables and escapes are plain text.
func TestOldVersionHasNoVariables(t *testing.T) {
	for _, c := range []struct {
		operator, listed, value string
		want                    bool
	}{
		{"StringEquals", "${aws:username}", "alice", false},
		{"StringEquals", "${aws:username}", "${aws:username}", true},
		{"StringLike", "${*}", "${anything}", true},
		{"StringLike", "${*}", "*", false},
	} {
		ctx := contextOf(Single("aws:value", c.value), Single("aws:username", "alice"))
		if got := conditionOf(t, syntax.Version2008, c.operator, "aws:value", c.listed).Match(ctx); got != c.want {
			t.Errorf("%s %s against %s: got %v, want %v", c.operator, c.listed, c.value, got, c.want)
		}
	}
}

func TestScalarValues(t *testing.T) {
	doc, err := syntax.Parse(policyText(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{` +
		`"Bool":{"aws:SecureTransport":true},"NumericEquals":{"s3:max-keys":[1.5,-2]}}`))
	if err != nil {
		t.Fatal(err)
	}
	ctx := contextOf(Single("aws:securetransport", "true"), Single("s3:max-keys", "-2.0"))
	if !Compile(doc).Statements[0].MatchConditions(ctx) {
		t.Error("booleans and numbers do not match their spelling")
	}
}
