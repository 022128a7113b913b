package lint

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/projection/policy/catalogue"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

const originAccess = "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1EXAMPLE2ABC"

// policyText makes a document of version 2012-10-17 with the statements, given
// as their members.
func policyText(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[{` + strings.Join(statements, `},{`) + `}]}`
}

// codes lints a document and returns the codes with their severities.
func codes(t *testing.T, text string, kind syntax.Kind) []string {
	t.Helper()
	doc, err := syntax.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var all []string
	for _, f := range Check(doc, kind, catalogue.Builtin()) {
		if f.Line < 1 || f.Column < 1 || f.Message == "" {
			t.Errorf("%s: incomplete finding %+v", text, f)
		}
		all = append(all, fmt.Sprintf("%v %s", f.Severity, f.Code))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Parts of statements.
const (
	onBucket = `"Resource":"arn:aws:s3:::b/*"`
	toGet    = `"Action":"s3:Get*",`
)

// allowWith is a statement that allows under a condition, and denyWith one that denies.
func allowWith(c string) string {
	return `"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::b/*","Condition":{` + c + `}`
}

func denyWith(c string) string {
	return `"Effect":"Deny","Action":"iam:TagUser","Resource":"*","Condition":{` + c + `}`
}

// lintCase is a statement, and what is found in it.
type lintCase struct {
	statement string
	want      string // codes with severities, separated by ", "
}

// lintElements are of effects, actions, resources and their variables.
var lintElements = []lintCase{
	{`"Effect":"Allow",` + toGet + onBucket, ""},
	{`"Sid":"","Effect":"Allow",` + toGet + onBucket, "suggestion EMPTY_SID_VALUE"},
	{`"Effect":"Allow","Action":"s3",` + onBucket, "error INVALID_POLICY"},
	{`"Effect":"Allow","NotAction":"iam:*",` + onBucket, "security-warning ALLOW_WITH_NOT_ACTION"},
	{`"Effect":"Deny","NotAction":"iam:*",` + onBucket, ""},
	{`"Effect":"Deny","NotAction":["iam:GetUser","*"],"Resource":"*"`,
		"suggestion REDUNDANT_ACTION, warning STATEMENT_NEVER_MATCHES"},
	{`"Effect":"Allow","Action":"s3:${aws:username}",` + onBucket, "error INVALID_POLICY, error VARIABLE_UNSUPPORTED_IN_ELEMENT"},
	{`"Effect":"Allow","Action":["iam:GetUserr","sts:assumerole"],"Resource":"arn:aws:iam::*:user/x"`, "error INVALID_ACTION"},
	{`"Effect":"Allow","Action":"iam:Get*User*","Resource":"*"`, ""},
	{`"Effect":"Allow","Action":["writ:GetHead","writ:GetChain","writ:Watch","writ:Verify"],"Resource":"*"`, ""},
	{`"Effect":"Allow","Action":"writ:GetEvents","Resource":"*"`, "error INVALID_ACTION"},
	{allowWith(`"Bool":{"aws:ViaAWSMCPService":"true"}`), ""},
	{allowWith(`"Bool":{"aws:IsMcpServiceAction":"true"}`), ""},
	{allowWith(`"StringEquals":{"aws:PrincipalOrgMasterAccountId":"123456789012"}`), ""},
	{allowWith(`"StringEquals":{"aws:FromNextYear":"x"}`), "warning UNKNOWN_GLOBAL_CONDITION_KEY"},
	{`"Effect":"Allow",` + toGet + `"NotResource":"arn:aws:s3:::b"`, "security-warning ALLOW_WITH_NOT_RESOURCE"},
	{`"Effect":"Deny",` + toGet + `"NotResource":"*"`, "warning STATEMENT_NEVER_MATCHES"},
	{`"Effect":"Allow","Action":"*","Resource":"*"`,
		"security-warning FULL_ADMINISTRATOR_ACCESS, security-warning PASS_ROLE_WITH_STAR_IN_ACTION_AND_RESOURCE"},
	{`"Effect":"Allow",` + toGet + `"Resource":"b"`, "error INVALID_POLICY"},
	{`"Effect":"Allow",` + toGet + `"Resource":"arn:aws:s3"`, "warning MISSING_ARN_FIELD"},
	{`"Effect":"Allow",` + toGet + `"Resource":"arn:aws:SQS:us-east-1:123456789012:q"`, "error INVALID_ARN_SERVICE_CASE"},
	{`"Effect":"Allow",` + toGet + `"Resource":"arn:aws:sqs:us-east-1:12345:q"`, "error INVALID_ARN_ACCOUNT"},
	{`"Effect":"Allow",` + toGet + `"Resource":"arn:aws:sqs:us-east-1:${aws:PrincipalAccount}:q"`, "error VARIABLE_UNSUPPORTED_IN_ARN_FIELD"},
	{`"Effect":"Allow",` + toGet + `"Resource":"arn:aws:s3:::b/${aws:username"`, "error MISSING_BRACE_IN_VARIABLE"},
	{`"Effect":"Allow",` + toGet + `"Resource":"arn:aws:s3:::b/${}"`, "error EMPTY_VARIABLE"},
	{`"Effect":"Allow",` + toGet + `"Resource":"arn:aws:s3:::b/${ aws:username }"`, "error UNSUPPORTED_SPACE_IN_VARIABLE"},
	{`"Effect":"Allow",` + toGet + `"Resource":"arn:aws:s3:::b/${aws:username, x}"`, "error MISSING_QUOTE_IN_VARIABLE"},
	{`"Effect":"Allow",` + toGet + `"Resource":"arn:aws:s3:::b/${aws:user*}"`, "error INVALID_VARIABLE"},
	{`"Effect":"Allow",` + toGet + `"Resource":"arn:aws:s3:::b/${aws:username, 'x'}/${*}"`, ""},
}

var lintPassRole = []lintCase{
	{`"Effect":"Allow","Action":"iam:PassRole","Resource":"*"`, "security-warning PASS_ROLE_WITH_STAR_IN_RESOURCE"},
	{`"Effect":"Allow","Action":"iam:Pass*","Resource":"*"`, "security-warning PASS_ROLE_WITH_STAR_IN_ACTION_AND_RESOURCE"},
	{`"Effect":"Allow","NotAction":"s3:*","Resource":"*"`,
		"security-warning ALLOW_WITH_NOT_ACTION, security-warning PASS_ROLE_WITH_NOT_ACTION_AND_STAR_IN_RESOURCE"},
	{`"Effect":"Allow","Action":"iam:PassRole","NotResource":"arn:aws:iam::*:role/x"`,
		"security-warning ALLOW_WITH_NOT_RESOURCE, security-warning PASS_ROLE_WITH_NOT_RESOURCE"},
	{`"Effect":"Allow","Action":"iam:*","NotResource":"arn:aws:iam::*:role/x"`,
		"security-warning ALLOW_WITH_NOT_RESOURCE, security-warning PASS_ROLE_WITH_STAR_IN_ACTION_AND_NOT_RESOURCE"},
	{`"Effect":"Allow","NotAction":"s3:*","NotResource":"arn:aws:iam::*:role/x"`,
		"security-warning ALLOW_WITH_NOT_ACTION, security-warning ALLOW_WITH_NOT_RESOURCE, security-warning PASS_ROLE_WITH_NOT_ACTION_AND_NOT_RESOURCE"},
	{`"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::*:role/x"`, ""},
	{`"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"ec2.amazonaws.com"}}`, ""},
	{`"Effect":"Deny","Action":"iam:PassRole","Resource":"*"`, ""},
}

var lintConditions = []lintCase{
	{allowWith(``), "suggestion EMPTY_OBJECT_CONDITION"},
	{allowWith(`"StringLike":{}`), "suggestion EMPTY_OBJECT_CONDITION"},
	{allowWith(`"StringLikeIfExists":{"s3:prefix":[]}`), "suggestion EMPTY_ARRAY_CONDITION"},
	{allowWith(`"StringLike":{"s3:prefix":[]}`), "suggestion EMPTY_ARRAY_CONDITION, warning STATEMENT_NEVER_MATCHES"},
	{allowWith(`"StringLike":{"s3:prefix":"a","S3:Prefix":"b"}`), "error DUPLICATE_KEYS_WITH_DIFFERENT_CASE"},
	{allowWith(`"StringLike":{"prefix":"a"}`), "error INVALID_CONDITION_KEY_FORMAT"},
	{allowWith(`"StringLike":{"aws:usrname":"a"}`), "warning UNKNOWN_GLOBAL_CONDITION_KEY"},
	{allowWith(`"StringLike":{"iam:Passed":"a"}`), "error INVALID_SERVICE_CONDITION_KEY"},
	{allowWith(`"StringLike":{"aws:PrincipalTag/team":"a","accounts.google.com:sub":"b"}`), ""},
	{allowWith(`"StringLike":{"aws:TagKeys":"a"}`), "error MISSING_QUALIFIER"},
	{allowWith(`"Null":{"aws:TagKeys":"true"}`), ""},
	{allowWith(`"ForAllValues:StringLike":{"aws:username":"a"}`),
		"security-warning FORALLVALUES_WITHOUT_NULL_CHECK, security-warning FORALLVALUES_WITH_SINGLE_VALUED_KEY"},
	{allowWith(`"ForAllValues:StringLike":{"aws:TagKeys":"a"}`), "security-warning FORALLVALUES_WITHOUT_NULL_CHECK"},
	{allowWith(`"ForAllValues:StringLike":{"aws:TagKeys":"a"},"Null":{"aws:TagKeys":"false"}`), ""},
	{allowWith(`"ForAllValues:StringEquals":{"aws:TagKeys":["env","team"]},"Null":{"aws:TagKeys":"false"}`), ""}, // another spelling is not allowed
	{allowWith(`"ForAnyValue:StringNotEquals":{"aws:TagKeys":"clearance"}`), "security-warning TAG_KEYS_WITH_CASE"},
	{allowWith(`"ForAllValues:StringNotLike":{"AWS:tagkeys":["1","clear*"]},"Null":{"aws:TagKeys":"false"}`), "security-warning TAG_KEYS_WITH_CASE"},
	{allowWith(`"ForAnyValue:StringNotEqualsIgnoreCase":{"aws:TagKeys":"clearance"}`), ""},
	{denyWith(`"ForAnyValue:StringEquals":{"aws:TagKeys":"clearance"}`), "security-warning TAG_KEYS_WITH_CASE"},
	{denyWith(`"ForAnyValue:StringEqualsIfExists":{"aws:TagKeys":["1","Clearance","team"]}`), "security-warning TAG_KEYS_WITH_CASE"},
	{denyWith(`"ForAllValues:StringLike":{"aws:TagKeys":"${aws:PrincipalTag/own}"}`), "security-warning TAG_KEYS_WITH_CASE"},
	{denyWith(`"ForAnyValue:StringLike":{"aws:TagKeys":["*","12-??"]}`), ""},
	{denyWith(`"ForAnyValue:StringEqualsIgnoreCase":{"aws:TagKeys":"clearance"}`), ""},
	{denyWith(`"ForAnyValue:StringNotEquals":{"aws:TagKeys":["env","team"]}`), ""}, // another spelling is denied
	{denyWith(`"StringEquals":{"aws:RequestTag/clearance":"top"}`), ""},
	{allowWith(`"NullIfExists":{"s3:prefix":"true"}`), "error NULL_WITH_IF_EXISTS"},
	{allowWith(`"ForAnyValue:Null":{"s3:prefix":"true"}`), "suggestion NULL_WITH_QUALIFIER"},
	{allowWith(`"IpAddress":{"aws:username":"10.0.0.1"}`), ""},
	{allowWith(`"IpAddress":{"aws:SecureTransport":"10.0.0.1"}`), "error DATA_TYPE_MISMATCH"},
	{allowWith(`"NumericEquals":{"aws:SourceIp":"1"}`), "error DATA_TYPE_MISMATCH"},
	{allowWith(`"DateEquals":{"aws:SourceIp":"2020-01-01"}`), "error DATA_TYPE_MISMATCH"},
	{allowWith(`"Bool":{"aws:SourceIp":"true"}`), "error DATA_TYPE_MISMATCH"},
	{allowWith(`"ArnLike":{"aws:SourceIp":"arn:aws:s3:::b"}`), "error DATA_TYPE_MISMATCH"},
	{allowWith(`"ArnLike":{"aws:SourceArn":"b"}`), "error DATA_TYPE_MISMATCH"},
	{allowWith(`"ArnLike":{"aws:SourceArn":"${aws:PrincipalArn}"}`), ""},
	{allowWith(`"NumericEquals":{"s3:max-keys":["ten","10"]}`), "error DATA_TYPE_MISMATCH"},
	{allowWith(`"NumericEquals":{"s3:max-keys":"ten"}`), "error DATA_TYPE_MISMATCH, warning STATEMENT_NEVER_MATCHES"},
	{allowWith(`"Bool":{"aws:SecureTransport":["true","false"]}`), "error INVALID_CONDITION_MULTIPLE_BOOLEAN"},
	{allowWith(`"StringEquals":{"aws:username":"b*"}`), "warning WILDCARD_WITHOUT_LIKE_OPERATOR"},
	{allowWith(`"StringEqualsIgnoreCase":{"aws:username":["b?","${*}"]}`), "warning WILDCARD_WITHOUT_LIKE_OPERATOR"},
	{allowWith(`"StringEquals":{"aws:username":"b${*}${?}"}`), ""},
	{allowWith(`"IpAddress":{"aws:SourceIp":"${aws:PrincipalTag/ip}"}`),
		"error INVALID_VARIABLE_FOR_OPERATOR, warning STATEMENT_NEVER_MATCHES"},
	{allowWith(`"IpAddress":{"aws:SourceIp":"10.0.0.1/8"}`), "suggestion IMPROVE_IP_RANGE"},
	{allowWith(`"NumericLessThan":{"s3:max-keys":["1","2"]}`), "suggestion REDUNDANT_CONDITION_VALUE_NUM"},
	{allowWith(`"Null":{"aws:username":"true"},"StringEquals":{"aws:username":"x"}`), "warning STATEMENT_NEVER_MATCHES"},
	{allowWith(`"Null":{"aws:username":"true"},"StringNotEquals":{"aws:username":"x"}`), ""},
	{allowWith(`"DateGreaterThan":{"aws:CurrentTime":"2025-01-01"},"DateLessThan":{"aws:CurrentTime":"2024-01-01"}`), "warning INVALID_DATE_RANGE"},
	{allowWith(`"DateLessThanEquals":{"aws:CurrentTime":"2025"},"DateGreaterThanEquals":{"aws:CurrentTime":"2025"}`), ""},
	{allowWith(`"DateLessThan":{"aws:CurrentTime":"2025"},"DateGreaterThanEquals":{"aws:CurrentTime":"2025"}`), "warning INVALID_DATE_RANGE"},
	{allowWith(`"NumericLessThan":{"s3:max-keys":"9"},"NumericGreaterThan":{"s3:max-keys":"10"}`), "warning INVALID_DATE_RANGE"},
}

// lintCovered are of entries that others cover.
var lintCovered = []lintCase{
	{`"Effect":"Allow","Action":["s3:Get*","s3:GetObject","s3:getobject"],` + onBucket, "suggestion REDUNDANT_ACTION"},
	{`"Effect":"Allow","Action":["s3:Get?","s3:Get*"],` + onBucket, "suggestion REDUNDANT_ACTION"},
	{`"Effect":"Allow","Action":["s3:Get??","s3:Get?*t"],` + onBucket, ""},
	{`"Effect":"Allow",` + toGet + `"Resource":["arn:aws:s3:::b/*","arn:aws:s3:::b/x"]`, "suggestion REDUNDANT_RESOURCE"},
	{`"Effect":"Allow",` + toGet + `"Resource":["arn:aws:s3:::b/*","arn:aws:s3:::b/x/*y"]`, "suggestion REDUNDANT_RESOURCE"},
	{`"Effect":"Allow",` + toGet + `"Resource":["*","arn:aws:s3:::b/${aws:username}"]`, "suggestion REDUNDANT_RESOURCE"},
	{`"Effect":"Allow",` + toGet + `"Resource":["arn:aws:s3:::b/${aws:username}/*","arn:aws:s3:::b/?","arn:aws:s3:::b/x"]`, "suggestion REDUNDANT_RESOURCE"},
	{`"Effect":"Allow",` + toGet + `"Resource":["arn:aws:s3:::b/${aws:username}/*","arn:aws:s3:::b/x?"]`, ""},
	{`"Effect":"Allow",` + toGet + `"Resource":["arn:aws:s3:::b/*","arn:aws:s3:::b/${aws:username}"]`, "suggestion REDUNDANT_RESOURCE"},
	{`"Effect":"Allow",` + toGet + `"Resource":["arn:aws:s3:::b/*","arn:aws:s3:::a/*"]`, ""},
}

func TestLintStatements(t *testing.T) {
	for _, c := range slices.Concat(lintElements, lintPassRole, lintConditions, lintCovered) {
		got := strings.Join(codes(t, policyText(c.statement), syntax.KindManaged), ", ")
		if got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.statement, got, c.want)
		}
	}
}

func TestLintKinds(t *testing.T) {
	for _, c := range []struct {
		kind            syntax.Kind
		statement, want string
	}{
		{syntax.KindBoundary, `"Effect":"Allow","Action":"*","Resource":"*"`, ""},
		{syntax.KindSCP, `"Effect":"Allow","NotAction":"s3:*","Resource":"*"`, ""},
		{syntax.KindTrust, `"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"`, "security-warning ALLOW_WITH_STAR_IN_PRINCIPAL"},
		{syntax.KindTrust, `"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"`, ""},
		{syntax.KindTrust, `"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`, ""},
		{syntax.KindTrust, `"Effect":"Allow","Principal":{"AWS":"${aws:username}"},"Action":"sts:AssumeRole"`,
			"error INVALID_POLICY, error VARIABLE_UNSUPPORTED_IN_ELEMENT"},
		{syntax.KindTrust, `"Effect":"Allow","Principal":{"Service":["ec2.amazonaws.com","ecs-tasks.amazonaws.com","lambda.us-east-1.amazonaws.com","s3.amazonaws.com.cn","member.org.stacksets.cloudformation.amazonaws.com"]},"Action":"sts:AssumeRole"`, ""},
		{syntax.KindTrust, `"Effect":"Allow","Principal":{"Service":"lamda.amazonaws.com"},"Action":"sts:AssumeRole"`, "warning UNKNOWN_SERVICE_PRINCIPAL"},
		{syntax.KindResource, `"Effect":"Allow","Principal":{"Service":"app.example.org"},"Action":"s3:Get*","Resource":"*"`, "warning UNKNOWN_SERVICE_PRINCIPAL"},
		{syntax.KindResource, `"Effect":"Allow","Principal":{"AWS":"` + originAccess + `"},"Action":"s3:Get*","Resource":"*"`, ""},
		{syntax.KindResource, `"Effect":"Allow","NotPrincipal":{"AWS":"123456789012"},"Action":"s3:Get*","Resource":"*"`,
			"error INVALID_POLICY, security-warning ALLOW_WITH_NOT_PRINCIPAL"},
	} {
		got := strings.Join(codes(t, policyText(c.statement), c.kind), ", ")
		if got != c.want {
			t.Errorf("%v %s\ngot  %s\nwant %s", c.kind, c.statement, got, c.want)
		}
	}
}

func TestLintOverlappingStatements(t *testing.T) {
	const (
		wide   = `"Action":"s3:*","Resource":"*"`
		narrow = `"Action":["s3:Get*","s3:List*"],"Resource":["arn:aws:s3:::a","arn:aws:s3:::b"]`
		who    = `"Principal":{"AWS":["123456789012","210987654321"]},`
		some   = `"Principal":{"AWS":"123456789012"},`
	)
	for _, c := range []struct {
		statements []string
		want       string
	}{
		{[]string{`"Effect":"Allow",` + wide, `"Effect":"Allow",` + narrow}, "suggestion REDUNDANT_STATEMENT"},
		{[]string{`"Effect":"Allow",` + wide, `"Effect":"Allow",` + wide}, "suggestion REDUNDANT_STATEMENT"},
		{[]string{`"Effect":"Deny",` + wide, `"Effect":"Allow",` + narrow}, "warning STATEMENT_ALWAYS_DENIED"},
		{[]string{`"Effect":"Allow",` + wide, `"Effect":"Deny",` + narrow}, ""},
		{[]string{`"Effect":"Allow",` + narrow, `"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::a"`}, ""},
		{[]string{`"Effect":"Allow",` + wide, `"Effect":"Allow","Condition":{"Bool":{"aws:SecureTransport":"true"}},` + narrow}, ""},
		{[]string{`"Effect":"Deny","Condition":{"Bool":{"aws:SecureTransport":"false"}},` + wide, `"Effect":"Allow",` + narrow}, ""},
		{[]string{`"Effect":"Allow","NotAction":"s3:*","Resource":"arn:aws:s3:::a"`, `"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:s3:::a"`},
			"security-warning ALLOW_WITH_NOT_ACTION"},
		{[]string{`"Effect":"Deny",` + who + wide, `"Effect":"Deny",` + some + narrow}, "error INVALID_POLICY, suggestion REDUNDANT_STATEMENT"},
		{[]string{`"Effect":"Deny",` + some + wide, `"Effect":"Deny",` + who + narrow}, "error INVALID_POLICY"},
	} {
		got := strings.Join(codes(t, policyText(c.statements...), syntax.KindManaged), ", ")
		if got != c.want {
			t.Errorf("%q\ngot  %s\nwant %s", c.statements, got, c.want)
		}
	}
}

func TestLintDocument(t *testing.T) {
	const text = `{"Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::b/${aws:username}"}}`
	want := []string{"error VARIABLE_UNSUPPORTED_IN_VERSION", "warning MISSING_VERSION"}
	if got := codes(t, text, syntax.KindUser); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	doc, err := syntax.Parse("{\"Statement\": [\n {\"Sid\": \"\", \"Effect\": \"Allow\", \"Action\": \"foo:Bar\", \"Resource\": \"*\",\n\"Condition\": {\"StringLike\": {\"aws:nothing\": \"x\"}, \"Bool\": {}}}]}")
	if err != nil {
		t.Fatal(err)
	}
	findings := Check(doc, syntax.KindUser, nil)
	var places []string
	for _, f := range findings {
		places = append(places, fmt.Sprintf("%d:%d %d %s", f.Line, f.Column, f.Statement, f.Code))
	}
	want = []string{"1:1 -1 MISSING_VERSION", "2:10 0 EMPTY_SID_VALUE", "3:51 0 EMPTY_OBJECT_CONDITION"}
	if !slices.Equal(places, want) {
		t.Errorf("got %q, want %q", places, want)
	}
}

// A document with more pairs of entries than maxOverlaps is still linted.
func TestLintManyEntries(t *testing.T) {
	actions := strings.Repeat(`"s3:Get*",`, 2500) + `"iam:Nothing"`
	got := codes(t, policyText(`"Effect":"Allow","Resource":"*","Action":[`+actions+`]`), syntax.KindManaged)
	if want := []string{"error INVALID_ACTION"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
