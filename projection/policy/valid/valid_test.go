package valid

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/projection/policy/syntax"
)

// policyText makes a document of version 2012-10-17 with the statements, given
// as their members.
func policyText(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[{` + strings.Join(statements, `},{`) + `}]}`
}

// message returns what Parse complains of, or "".
func message(t *testing.T, text string, kind syntax.Kind) string {
	t.Helper()
	_, err := Parse(text, kind)
	if err == nil {
		return ""
	}
	var bad *syntax.MalformedError
	if !errors.As(err, &bad) {
		t.Fatalf("%s: error of type %T: %v", text, err, err)
	}
	if bad.Line < 1 || bad.Column < 1 {
		t.Errorf("%s: no position in %v", text, err)
	}
	return bad.Message
}

// AWS's answers.
const (
	syntaxErrors     = "Syntax errors in policy."
	invalidJSON      = "This policy contains invalid Json"
	needValidVersion = "The policy must contain a valid version string"
	emptyStatement   = "Could not parse the policy: Statement is empty!"

	needVersion   = "Policy document must be version 2012-10-17 or greater."
	needActions   = "Policy statement must contain actions."
	needResources = "Policy statement must contain resources."
	needVendor    = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
	oneColon      = "Actions/Condition can contain only one colon."
	uniqueSids    = "Statement IDs (SID) in a single policy must be unique."
	needIAMPath   = `IAM resource path must either be "*", root, or start with user/, federated-user/, role/, group/, ` +
		`instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.`
)

// The answers of CreatePolicy: whole documents.
func TestValidateManagedDocuments(t *testing.T) {
	const statement = `"Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*"}`
	for _, c := range []struct{ text, want string }{
		{`{"Version":"2012-10-17",` + statement + `}`, ""},
		{`{"Id":"x",` + `"Version":"2012-10-17",` + statement + `}` + " \n", ""},
		{`{"Statement":[{"Effect":"Allow","Action":"s3:Get","Resource":"*"}],"Version":"2012-10-17"}`, ""},
		{`{` + statement + `,"Version":"2012-10-17"}`, messageLegacy},
		{`{` + statement + `,"Id":"x","Version":"2012-10-17"}`, messageLegacy},
		{` {"Version":"2012-10-17",` + statement + `}`, messageLegacy},
		{"\n" + `{"Version":"2012-10-17",` + statement + `}`, messageLegacy},
		{"\t\r\n" + `{"Version":"2012-10-17",` + statement + `}`, messageLegacy},
		{`not json`, syntaxErrors},
		{``, syntaxErrors},
		{`[]`, syntaxErrors},
		{`null`, syntaxErrors},
		{`{}`, syntaxErrors},
		{`{` + statement + `}`, needVersion},
		{`{"Version":"2008-10-17",` + statement + `}`, needVersion},
		{`{"Version":"2013-10-17",` + statement + `}`, syntaxErrors},
		{`{"Version":2012,` + statement + `}`, syntaxErrors},
		{`{"Version":"2012-10-17"}`, syntaxErrors},
		{`{"Version":"2012-10-17","Statement":["x"]}`, syntaxErrors},
		{`{"Version":"2012-10-17","Statement":[]}`, syntaxErrors},
		{`{"Version":"2012-10-17",` + statement + `,"More":1}`, syntaxErrors},
		{`{"Version":"2012-10-17",` + statement + `,"Id":[]}`, syntaxErrors},
		{`{"Version":"2012-10-17",` + statement + `,"Id":{}}`, syntaxErrors},
		{`{"Version":"2012-10-17",` + statement + `} {}`, syntaxErrors},
		{`{"Version":"2012-10-17","Version":"2012-10-17",` + statement + `}`, syntaxErrors},
		{`{"Statement":[{"Sid":"a","Effect":"Allow"},{"Sid":"a","Effect":"Allow"}]}`, needVersion},
		{`{"Statement":{"Effect":"denY","Action":"s3:Get","Resource":"*"}}`, needVersion},
		{`{"Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*","Condition":{"DateEquals":{"a":"x"}}}}`, needVersion},
	} {
		if got := message(t, c.text, syntax.KindManaged); got != c.want {
			t.Errorf("%s\ngot  %q\nwant %q", c.text, got, c.want)
		}
	}
}

// The answers of CreatePolicy: statements, by the order of AWS's checks.
// Parts of statements.
const (
	restOfStatement = `"Action":"s3:ListBucket","Resource":"arn:aws:s3:::b"`
	goodStatement   = `"Effect":"Allow",` + restOfStatement
)

// Statements with a condition, a date, an action or a resource of a case.
func withCondition(c string) string { return goodStatement + `,"Condition":` + c }
func withDate(d string) string      { return withCondition(`{"DateLessThan":{"a":"` + d + `"}}`) }
func withAction(a string) string    { return `"Effect":"Allow","Resource":"*","Action":"` + a + `"` }
func withResource(r string) string {
	return `"Effect":"Allow","Action":"s3:Get","Resource":"` + r + `"`
}

// statementCase is a statement, and the message about it.
type statementCase struct{ statement, want string }

// statementForms are of the syntax, and of principals.
var statementForms = []statementCase{
	// Syntax.
	{goodStatement, ""},
	{goodStatement + `,"More":"x"`, syntaxErrors},
	{goodStatement + `,"Effect":"Allow"`, syntaxErrors},
	{restOfStatement, syntaxErrors},
	{`"Effect":"Maybe",` + restOfStatement, syntaxErrors},
	{`"Effect":1,` + restOfStatement, syntaxErrors},
	{goodStatement + `,"Sid":{}`, syntaxErrors},
	{goodStatement + `,"Sid":[]`, syntaxErrors},
	{goodStatement + `,"NotAction":[]`, syntaxErrors},
	{goodStatement + `,"NotResource":"*"`, syntaxErrors},
	{`"NotAction":"s3:x","Effect":"Allow",` + restOfStatement, syntaxErrors},
	{`"NotResource":"*","Effect":"Allow",` + restOfStatement, syntaxErrors},
	{`"Effect":"Allow","Action":{},"Resource":"*"`, syntaxErrors},
	{`"Effect":"Allow","Action":[[]],"Resource":"*"`, syntaxErrors},
	{`"Effect":"Allow","Action":"s3:Get","Resource":{"a":"*"}`, syntaxErrors},
	{`"Effect":"Allow","Action":"s3:Get","Resource":["*",{}]`, syntaxErrors},
	{withCondition(`[]`), syntaxErrors},
	{withCondition(`"a"`), syntaxErrors},
	{withCondition(`{"a":"b"}`), syntaxErrors},
	{withCondition(`{"DateEquals":"b"}`), syntaxErrors},
	{withCondition(`{"DateEquals":[]}`), syntaxErrors},
	{withCondition(`{"DateEquals":{"a":{}}}`), syntaxErrors},
	{withCondition(`{"StringEquals":{"a":null}}`), syntaxErrors},
	{withCondition(`{"x":{"a":"1"}}`), syntaxErrors},
	{withCondition(`{"ForAnyValue::StringEquals":{"a":"1"}}`), syntaxErrors},
	{withCondition(`[{"ForAllValues:StringEquals":{"aws:TagKeys":"x"}}]`), syntaxErrors},
	{withCondition(`{}`), ""},
	{withCondition(`{"x":{},"y":{}}`), ""},
	{withCondition(`{"DateEquals":{}}`), ""},
	{withCondition(`{"DateEquals":{"a":[]}}`), ""},
	{withCondition(`{"StringEqualsIfExists":{"a":"x"},"ForAnyValue:StringLikeIfExists":{"a":["x","y"]}}`), ""},
	{withCondition(`{"Bool":{"aws:SecureTransport":true},"NumericEquals":{"s3:max-keys":10}}`), ""},
	// Principals.
	{goodStatement + `,"Principal":"*"`, "Policy document should not specify a principal."},
	{goodStatement + `,"NotPrincipal":{"AWS":"*"}`, "Policy document should not specify a principal."},
}

// statementsOfOlderParser are what the older parser of AWS refuses.
var statementsOfOlderParser = []statementCase{
	{`"Effect":"denY",` + restOfStatement, messageLegacy},
	{`"Effect":"allow","Resource":"arn:aws:s3:us-east-1::b"`, messageLegacy},
	{withDate("sdfdsf"), messageLegacy},
	{withDate("234-13"), messageLegacy},
	{withDate("2016-12-13t2:00:00.593194+1"), messageLegacy},
	{withDate("2016-12-13t2:00:00.1999999999+10:59"), messageLegacy},
	{withDate("9223372036854775808"), messageLegacy},
	{withDate("01T"), ""},
	{withDate("2019-07-01T13:20:15Z"), ""},
	{withDate("2016-12-13T21:20:37.593194+00:00"), ""},
	{withDate("2016-12-13t2:00:00.593194+23"), ""},
	{withDate("-292275054"), ""},
	{`"Effect":"Allow","Condition":{"DateEquals":{"a":"sdf"}}`, messageLegacy},
	{withResource("arn:error:s3:::b") + `,"Condition":{"DateEquals":{"a":"sdf"}}`, messageLegacy},
	{withResource("arn:aws:s3::b"), messageLegacy},
	{withResource("arn:aws::::b"), messageLegacy},
	{withResource("arn:aws::b"), messageLegacy},
	{`"Effect":"Allow","Resource":"arn:aws:s3::b"`, messageLegacy},
	{`"Effect":"Allow","Action":"s3:Get","NotResource":"arn:aws:s3::b"`, messageLegacy},
}

// statementElements are of what must be there, of resources and of actions.
var statementElements = []statementCase{
	// What must be there.
	{`"Effect":"Allow","Resource":"*"`, needActions},
	{`"Effect":"Allow","Action":[],"Resource":"*"`, needActions},
	{`"Effect":"Allow"`, needActions},
	{`"Effect":"Allow","Action":"s3:Get"`, needResources},
	{`"Effect":"Allow","Action":"s3:Get","Resource":[]`, needResources},
	{`"Effect":"Allow","NotAction":"s3:Get","NotResource":[]`, needResources},
	{`"Effect":"Allow","Action":"invalid"`, needResources},
	// Resources.
	{withResource("*"), ""},
	{withResource("invalid resource"), `Resource invalid resource must be in ARN format or "*".`},
	{withResource(""), `Resource  must be in ARN format or "*".`},
	{`"Effect":"Allow","Action":"s:3:Get","Resource":["adf"]`, `Resource adf must be in ARN format or "*".`},
	{withResource("a:bsdf"), `Partition "bsdf" is not valid for resource "arn:bsdf:*:*:*:*".`},
	{withResource("a:b:cad"), `Partition "b" is not valid for resource "arn:b:cad:*:*:*".`},
	{withResource("a:b:c:d:e:f:g:h"), `Partition "b" is not valid for resource "arn:b:c:d:e:f:g:h".`},
	{withResource("aws:s3:::b"), `Partition "s3" is not valid for resource "arn:s3:::b:*".`},
	{withResource("urn:aws:s3:::b"), `Resource urn:aws:s3:::b must be in ARN format or "*".`},
	{`"Effect":"Allow","Action":"s3:Get","Resource":["arn:error:s3:::b","arn:error:s3::b"]`,
		`Partition "error" is not valid for resource "arn:error:s3:::b".`},
	{withResource("arn:aws"), "Resource vendor must be fully qualified and cannot contain regexes."},
	{withResource("arn:aws:s*:::b"), "Resource vendor must be fully qualified and cannot contain regexes."},
	{withResource("arn:aws:fdsasf"), ""},
	{withResource("arn:aws:s33:::b"), ""},
	{withResource("arn:aws:iam:us-east-1::b"), "IAM resource arn:aws:iam:us-east-1::b cannot contain region information."},
	{withResource("arn:aws:s3:us-east-1::b"), "Resource arn:aws:s3:us-east-1::b can not contain region information."},
	{withResource("arn:aws:s3:us-west-2:123456789012:accesspoint/p/object/*"), ""},
	{withResource("arn:aws:ec2:us-east-1::b"), ""},
	{withResource("arn:aws:iam:::b"), needIAMPath},
	{withResource("arn:aws:iam:::user/b"), ""},
	{withResource("arn:aws:iam::123456789012:root"), ""},
	{withResource("arn:aws-cn:iam::123456789012:*"), ""},
	{withResource("arn:aws:iam::123456789012:delegation-request/*"), ""},
	{withResource("arn:aws:iam::123456789012:assumed-role/r/s"), ""},
	{withResource("arn:aws:iam::aws:role-template/s3.amazonaws.com/r:1"), ""},
	{withResource("arn:aws:iam::123456789012:access-report/*"), ""},
	{withResource("arn:aws:iam::123456789012:sms-mfa/d"), ""},
	{withResource("arn:aws:iam::123456789012:delegation*"), needIAMPath},
	// Actions.
	{withAction("*"), ""},
	{withAction("invalid"), needVendor},
	{`"Effect":"Allow","NotAction":"","Resource":"*"`, needVendor},
	{withAction("a a:Get"), "Vendor a a is not valid"},
	{withAction("s3:List:Bucket"), oneColon},
	{withAction("iam: asdf safdsf af "), ""},
	{withAction("s3-s.x:Get"), ""},
}

func TestValidateManagedStatements(t *testing.T) {
	for _, c := range slices.Concat(statementForms, statementsOfOlderParser, statementElements) {
		if got := message(t, policyText(c.statement), syntax.KindManaged); got != c.want {
			t.Errorf("%s\ngot  %q\nwant %q", c.statement, got, c.want)
		}
	}
}

func TestValidateSeveralStatements(t *testing.T) {
	const good = `"Effect":"Allow","Action":"s3:Get","Resource":"*"`
	for _, c := range []struct {
		statements []string
		want       string
	}{
		{[]string{`"Sid":"a",` + good, good}, ""},
		{[]string{`"Sid":"",` + good, `"Sid":"",` + good}, ""},
		{[]string{`"Sid":"a",` + good, `"Sid":"a","Effect":"Allow"`}, uniqueSids},
		{[]string{`"Sid":"a",` + good, `"Sid":"a","Effect":"aLLow"`}, messageLegacy},
		{[]string{`"Sid":"a-b",` + good, `"Sid":"a-b",` + good},
			"Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"},
		{[]string{`"Effect":"Deny"`, good}, needActions},
		{[]string{good, `"Effect":"Allow","Action":"s:3s:Get","Resource":"*"`}, oneColon},
	} {
		if got := message(t, policyText(c.statements...), syntax.KindManaged); got != c.want {
			t.Errorf("%q\ngot  %q\nwant %q", c.statements, got, c.want)
		}
	}
}

// Inline and session policies are held to the same rules, but for the version.
func TestValidateVersionByKind(t *testing.T) {
	const text = `{"Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*"}}`
	for kind, want := range map[syntax.Kind]string{
		syntax.KindManaged: needVersion, syntax.KindBoundary: needVersion,
		syntax.KindUser: "", syntax.KindGroup: "", syntax.KindRole: "", syntax.KindSession: "",
		syntax.KindSCP: syntax.MessageOrganization, syntax.KindRCP: syntax.MessageOrganization,
	} {
		if got := message(t, text, kind); got != want {
			t.Errorf("%v: got %q, want %q", kind, got, want)
		}
	}
}

// The answers of CreateRole and UpdateAssumeRolePolicy.
func TestValidateTrust(t *testing.T) {
	const who = `"Principal":{"AWS":"123456789012"}`
	const good = `"Effect":"Allow","Action":"sts:AssumeRole",` + who
	principal := func(p string) string {
		return policyText(`"Effect":"Allow","Action":"sts:AssumeRole","Principal":` + p)
	}
	invalid := func(kind, value string) string {
		return fmt.Sprintf(`Invalid principal in policy: "%s":"%s"`, kind, value)
	}
	for _, c := range []struct{ text, want string }{
		{policyText(good), ""},
		{`{"Statement":{` + good + `}}`, ""},
		{``, invalidJSON},
		{`[]`, invalidJSON},
		{`{"Version":"2012-10-17","Statement":[{` + good + `,}]}`, invalidJSON},
		{`{"Version":"2012-10-17" "Statement":[]}`, invalidJSON},
		{policyText(good) + `x`, invalidJSON},
		{`{}`, "Syntax error at position (1,3)"},
		{`{"Version":"2012-10-17"}`, "Missing required field Statement"},
		{`{"Version":"2020-10-17","Statement":{` + good + `}}`, needValidVersion},
		{`{"Version":"2012-10-17","Statement":[]}`, emptyStatement},
		{`{"Version":"2012-10-17","Statement":[1]}`, "Syntax error at position (1,39)"},
		{`{"Version":"2012-10-17","Statement":[{}]}`, "Missing required field Effect"},
		{`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"aws":"arn:aws:iam::123456789012:root"}}]}`,
			"Syntax error at position (1,76)"},
		{`{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"service":"ec2.amazonaws.com"}}],"Version":"2012-10-17"}`,
			"Syntax error at position (1,83)"},
		{"{\n\"Statement\":{\"Effect\":\n[]}}", "Syntax error at position (3,2)"},
		{policyText(good + `,"More":1`), "Unknown field More"},
		{policyText(good + `,"Effect":"Allow"`), "Statement/policy already has instance of Effect"},
		{policyText(good + `,"NotPrincipal":"*"`), "Statement/policy already has instance of Principal"},
		{policyText(`"NotPrincipal":"*",` + good), "Statement/policy already has instance of Principal"},
		{policyText(good + `,"NotAction":"sts:x"`), "Statement/policy already has instance of Action"},
		{policyText(`"Effect":"allow"`), "Invalid effect: allow"},
		{policyText(`"Effect":"Allow","Action":["route53:x"],"Resource":["*"]`), "Has prohibited field Resource"},
		{policyText(good + `,"Resource":"*"`), "Has prohibited field Resource"},
		{policyText(good + `,"NotResource":"*"`), "AssumeRole policy must not contain resources."},
		{policyText(`"Effect":"Allow","Action":"sts:AssumeRole"`), "Missing required field Principal"},
		{policyText(`"Effect":"Allow",` + who), "Missing required field Action"},
		{policyText(`"Effect":"Allow","Action":[],` + who), "Missing required field Action cannot be empty!"},
		{policyText(`"Effect":"Allow","Action":"*",` + who), "AssumeRole policy may only specify STS AssumeRole actions."},
		{policyText(`"Effect":"Allow","Action":"sts:AsumeRole",` + who), notAssumeRole},
		{policyText(`"Effect":"Allow","Action":["sts:AssumeRole","sts:InvalidAction"],` + who), notAssumeRole},
		{policyText(`"Effect":"Allow","Action":"sts:TagSessions",` + who), notAssumeRole},
		{policyText(`"Effect":"Allow","Action":"sts:GetCallerIdentity",` + who), notAssumeRole},
		{policyText(`"Effect":"Allow","Action":"sts:Get*",` + who), notAssumeRole},
		{policyText(`"Effect":"Allow","Action":"sts:",` + who), notAssumeRole},
		{policyText(`"Effect":"Allow","Action":"s*:AssumeRole",` + who), notAssumeRole},
		{policyText(`"Effect":"Deny","NotAction":"sts:AssumeRoles",` + who), notAssumeRole},
		{policyText(`"Effect":"Allow","Action":["sts:AssumeRole","STS:assumerolewithsaml","sts:AssumeRoleWithWebIdentity","sts:TagSession","sts:SetSourceIdentity","sts:SetContext"],` + who), ""},
		{policyText(`"Effect":"Allow","Action":["sts:*","sts:Assume*","sts:AssumeRol?"],` + who), ""},
		{policyText(`"Effect":"Deny","NotAction":"sts:TagSession",` + who), ""},
		{" " + policyText(good), "JSON strings must not have leading spaces"},
		{"\n" + policyText(good), "JSON strings must not have leading spaces"},
		{policyText(good) + "\n", ""},
		{`{"Statement":{` + good + `},"Version":"2012-10-17"}`, ""},
		{principal(`{"AWS":"` + originAccess + `"}`), invalid("AWS", originAccess)},
		{policyText(`"Effect":"Deny","NotAction":"s3:Get",` + who), "AssumeRole policy may only specify STS AssumeRole actions."},
		{policyText(`"Effect":"Allow","NotPrincipal":{"AWS":"*"},"Action":"sts:AssumeRole"`), "Allow with NotPrincipal is not allowed."},
		{policyText(`"Effect":"Deny","NotPrincipal":{"AWS":"*"},"Action":"sts:AssumeRole"`), "AssumeRole policy must not contain NotPrincipal field."},
		{policyText(good + `,"Condition":{"StringEqual":{"a":"b"}}`), "Invalid Condition type : StringEqual"},
		{policyText(`"Sid":"Assume role",` + good), "The following Statement Ids are invalid: Assume role"},
		{policyText(`"Sid":"a",`+good, `"Sid":"a",`+good), "The Statement Ids in the policy are not unique"},
		{principal(`{}`), "Missing required field Principal cannot be empty!"},
		{principal(`{"AWS":[]}`), "The passed in policy has a statement with no principals!"},
		{principal(`"*"`), ""},
		{principal(`{"AWS":["*","123456789012","arn:aws:iam::123456789012:root","arn:aws:iam::123456789012:user/a/b",` +
			`"arn:aws:iam::123456789012:role/r","arn:aws:sts::123456789012:assumed-role/r/s",` +
			`"arn:aws:sts::123456789012:federated-user/f","AIDAJQABLZS4A3QDU576Q"]}`), ""},
		{principal(`{"AWS":""}`), invalid("AWS", "")},
		{principal(`{"AWS":"alice"}`), invalid("AWS", "alice")},
		{principal(`{"AWS":"arn:aws:iam::123456789012:user/*"}`), invalid("AWS", "arn:aws:iam::123456789012:user/*")},
		{principal(`{"AWS":"arn:aws:iam::123456789012:group/g"}`), invalid("AWS", "arn:aws:iam::123456789012:group/g")},
		{principal(`{"AWS":"arn:aws:iam::12345:root"}`), invalid("AWS", "arn:aws:iam::12345:root")},
		{principal(`{"AWS":"arn:aws:sts::123456789012:assumed-role/r"}`), invalid("AWS", "arn:aws:sts::123456789012:assumed-role/r")},
		{principal(`{"Service":["ec2.amazonaws.com","my-app.example.org"]}`), ""},
		{principal(`{"Service":"ec2"}`), invalid("SERVICE", "ec2")},
		{principal(`{"Service":"*.amazonaws.com"}`), invalid("SERVICE", "*.amazonaws.com")},
		{principal(`{"Federated":["accounts.google.com","arn:aws:iam::123456789012:saml-provider/x","arn:aws:iam::123456789012:oidc-provider/idp.example.org/a"]}`), ""},
		{principal(`{"Federated":"idp.example.org"}`), invalid("FEDERATED", "idp.example.org")},
		{principal(`{"CanonicalUser":"79a59df900b949e5"}`), ""},
		{principal(`{"CanonicalUser":""}`), invalid("CANONICALUSER", "")},
	} {
		if got := message(t, c.text, syntax.KindTrust); got != c.want {
			t.Errorf("%s\ngot  %q\nwant %q", c.text, got, c.want)
		}
	}
}

const (
	notAssumeRole = "AssumeRole policy may only specify STS AssumeRole actions."
	originAccess  = "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1EXAMPLE2ABC"
)

func TestValidateResource(t *testing.T) {
	const good = `"Effect":"Allow","Principal":"*","Action":"s3:Get","Resource":"*"`
	for _, c := range []struct{ text, want string }{
		{policyText(good), ""},
		{policyText(`"Sid":"Allow access for all",` + good), ""},
		{policyText(`"Effect":"Deny","NotPrincipal":{"AWS":"123456789012"},"NotAction":"s3:Get","NotResource":"*"`), ""},
		{policyText(`"Effect":"Allow","Principal":"*","Action":"s3:Get"`), "Missing required field Resource"},
		{policyText(`"Effect":"Allow","Principal":"*","Action":"s3:Get","Resource":[]`), "Missing required field Resource cannot be empty!"},
		{policyText(`"Effect":"Allow","Principal":"*","Action":"s3:Get","Resource":"*","NotResource":"*"`), "Statement/policy already has instance of Resource"},
		{policyText(`"Effect":"Allow","Principal":"*","Resource":"*"`), "Missing required field Action"},
		{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"123456789012"}}`, "Syntax error at position (1,68)"},
		{policyText(`"Effect":"Allow","Principal":{"AWS":["` + originAccess + `","arn:aws-cn:iam::cloudfront:user/CloudFront Origin Access Identity E1"]},"Action":"s3:Get","Resource":"*"`), ""},
		{policyText(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity "},"Action":"s3:Get","Resource":"*"`),
			`Invalid principal in policy: "AWS":"arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity "`},
		{policyText(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::cloudfront:user/alice"},"Action":"s3:Get","Resource":"*"`),
			`Invalid principal in policy: "AWS":"arn:aws:iam::cloudfront:user/alice"`},
	} {
		if got := message(t, c.text, syntax.KindResource); got != c.want {
			t.Errorf("%s\ngot  %q\nwant %q", c.text, got, c.want)
		}
	}
}

// A document that comes from Parse is held to the same rules.
func TestValidateAfterParse(t *testing.T) {
	for _, c := range []struct {
		kind            syntax.Kind
		statement, want string
	}{
		{syntax.KindTrust, `"Effect":"allow"`, "Invalid effect: allow"},
		{syntax.KindTrust, `"Effect":"Allow","Resource":"*"`, "Has prohibited field Resource"},
		{syntax.KindTrust, `"Effect":"Allow","Action":"sts:AssumeRole"`, "Missing required field Principal"},
		{syntax.KindTrust, `"Effect":"Allow","Principal":"*"`, "Missing required field Action"},
		{syntax.KindResource, `"Effect":"Allow","Principal":"*","Action":"s3:Get"`, "Missing required field Resource"},
		{syntax.KindResource, `"Effect":"Allow","Principal":"me","Action":"s3:Get","Resource":"*"`, `Invalid principal in policy: "STAR":"me"`},
	} {
		doc, err := syntax.Parse(policyText(c.statement))
		if err != nil {
			t.Fatal(err)
		}
		var bad *syntax.MalformedError
		if err := Check(doc, c.kind); !errors.As(err, &bad) || bad.Message != c.want {
			t.Errorf("%s: got %v, want %q", c.statement, err, c.want)
		}
	}
}

func TestValidateOrganization(t *testing.T) {
	for _, c := range []struct {
		kind      syntax.Kind
		statement string
		valid     bool
	}{
		{syntax.KindSCP, `"Effect":"Allow","Action":"*","Resource":"*"`, true},
		{syntax.KindSCP, `"Effect":"Deny","NotAction":"s3:*","NotResource":"arn:aws:s3:::b"`, true},
		{syntax.KindSCP, `"Effect":"Deny","Action":"s3:*","Resource":"*","Principal":"*"`, false},
		{syntax.KindSCP, `"Effect":"Deny","Action":"s3:*","Resource":"*","NotPrincipal":"*"`, false},
		{syntax.KindSCP, `"Effect":"Deny","Resource":"*"`, false},
		{syntax.KindSCP, `"Effect":"Deny","Action":"s3:*"`, false},
		{syntax.KindSCP, `"Effect":"deny","Action":"s3:*","Resource":"*"`, false},
		{syntax.KindSCP, `"Effect":"Deny","Action":"s3","Resource":"*"`, false},
		{syntax.KindSCP, `"Effect":"Deny","Action":"s3:*","Resource":"b"`, false},
		{syntax.KindSCP, `"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3::b"`, false},
		{syntax.KindSCP, `"Effect":"Deny","Action":"s3:*","Resource":"*","Sid":"a b"`, false},
		{syntax.KindSCP, `"Effect":"Deny","Action":"s3:*","Resource":"*","More":1`, false},
		{syntax.KindRCP, `"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"`, true},
		{syntax.KindRCP, `"Effect":"Deny","Principal":{"AWS":"*"},"Action":"s3:*","Resource":"*"`, true},
		{syntax.KindRCP, `"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"`, true},
		{syntax.KindRCP, `"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"`, false},
		{syntax.KindRCP, `"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"`, false},
		{syntax.KindRCP, `"Effect":"Deny","Principal":{"AWS":"123456789012"},"Action":"s3:*","Resource":"*"`, false},
		{syntax.KindRCP, `"Effect":"Deny","Action":"s3:*","Resource":"*"`, false},
		{syntax.KindRCP, `"Effect":"Deny","Principal":"*","NotAction":"s3:*","Resource":"*"`, false},
	} {
		want := syntax.MessageOrganization
		if c.valid {
			want = ""
		}
		if got := message(t, policyText(c.statement), c.kind); got != want {
			t.Errorf("%v %s: got %q, want %q", c.kind, c.statement, got, want)
		}
	}
}

func TestErrorPosition(t *testing.T) {
	text := "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{\"Effect\": \"Allow\", \"Action\": [\"s3:Get\",\n    \"äöü:x\", \"nope\"], \"Resource\": \"*\"}]\n}"
	_, err := Parse(text, syntax.KindManaged)
	if got, want := fmt.Sprint(err), "4:5: Vendor äöü is not valid"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	text = strings.Replace(text, "äöü:x", "s3:x", 1)
	_, err = Parse(text, syntax.KindManaged)
	if got, want := fmt.Sprint(err), "4:13: "+needVendor; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	_, err = syntax.Parse(strings.Replace(text, `"Effect"`, `"effect"`, 1))
	if got, want := fmt.Sprint(err), `3:18: Syntax errors in policy. (unknown element "effect")`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSizeLimits(t *testing.T) {
	filler := func(n int) string {
		frame := len(policyText(`"Effect":"Allow","Action":"s3:","Resource":"*"`))
		return policyText(`"Effect":"Allow", "Action":"s3:` + strings.Repeat("x", n-frame) + `","Resource":"*"`)
	}
	for _, kind := range []syntax.Kind{syntax.KindManaged, syntax.KindUser, syntax.KindGroup, syntax.KindRole, syntax.KindBoundary, syntax.KindSession, syntax.KindSCP} {
		limit := kind.Limit()
		if got := syntax.Size(filler(limit)); got != limit {
			t.Fatalf("size %d, want %d", got, limit)
		}
		if _, err := Parse(filler(limit), kind); err != nil {
			t.Errorf("%v: %v at the limit", kind, err)
		}
		_, err := Parse(filler(limit+1), kind)
		var big *syntax.SizeError
		if !errors.As(err, &big) || big.Size != limit+1 || big.Limit != limit {
			t.Errorf("%v: %v over the limit", kind, err)
		}
	}
	for kind, want := range map[syntax.Kind]string{
		syntax.KindManaged: "Cannot exceed quota for PolicySize: 6144",
		syntax.KindTrust:   "Cannot exceed quota for ACLSizePerRole: 2048",
		syntax.KindUser:    "Maximum policy size of 2048 bytes exceeded",
	} {
		if got := (&syntax.SizeError{Kind: kind, Limit: kind.Limit()}).Error(); got != want {
			t.Errorf("%v: %q, want %q", kind, got, want)
		}
	}
	if _, err := syntax.Parse(strings.Repeat(" ", syntax.MaxDocument+1)); err == nil {
		t.Error("a text over MaxDocument was parsed")
	}
}

// Of what is too long nothing else is told.
func TestSizeComesFirst(t *testing.T) {
	for k := range syntax.KindRCP + 1 {
		kind := k
		var big *syntax.SizeError
		if _, err := Parse(strings.Repeat("x", kind.Limit()+1), kind); !errors.As(err, &big) || big.Limit != kind.Limit() {
			t.Errorf("%v: %v", kind, err)
		}
		if _, err := Parse("x"+strings.Repeat(" \n", kind.Limit()), kind); errors.As(err, &big) && big.Limit != syntax.MaxDocument {
			t.Errorf("%v: white space counts: %v", kind, err)
		}
	}
	var big *syntax.SizeError
	if _, err := syntax.Parse(strings.Repeat(" ", syntax.MaxDocument+1)); !errors.As(err, &big) || big.Limit != syntax.MaxDocument || big.Size != syntax.MaxDocument+1 {
		t.Errorf("beyond MaxDocument: %v", err)
	}
}

// A policy with principals is told what is wrong with it as what it most likely is.
func TestParsePrincipals(t *testing.T) {
	const who = `"Effect":"Allow","Principal":{"AWS":"*"},`
	for _, c := range []struct{ text, want string }{
		{policyText(who + `"Action":"s3:GetObject","Resource":"*"`), ""},
		{policyText(who + `"Action":"sts:AssumeRole"`), ""},
		{policyText(who + `"Action":"sts:AssumeRole","Resource":"*"`), ""},
		{policyText(who + `"Action":"s3:GetObject"`), "Missing required field Resource"},
		{policyText(who+`"Action":"sts:AssumeRole"`, who+`"Action":"s3:GetObject"`), "Missing required field Resource"},
		{policyText(who + `"Action":"sts:AsumeRole"`), notAssumeRole},
		{policyText(`"Effect":"Allow","Principal":{"AWS":"alice"},"Action":"s3:GetObject","Resource":"*"`), `Invalid principal in policy: "AWS":"alice"`},
		{policyText(`"Effect":"Allow","Principal":{"AWS":"alice"},"Action":"sts:AssumeRole"`), `Invalid principal in policy: "AWS":"alice"`},
		{policyText(`"Effect":"Allow","Action":"s3:GetObject","Resource":"*"`), "Missing required field Principal"},
		{policyText(`"Effect":"allow","Principal":"*","Action":"sts:AssumeRole"`), "Invalid effect: allow"},
		{policyText(`"Effect":"Allow","NotPrincipal":{"AWS":"*"},"Action":"s3:GetObject","Resource":"*"`), "Allow with NotPrincipal is not allowed."},
		{" " + policyText(who+`"Action":"sts:AssumeRole"`), "JSON strings must not have leading spaces"},
		{" " + policyText(who+`"Action":"s3:GetObject","Resource":"*"`), ""},
		{`{`, invalidJSON},
	} {
		_, err := ParsePrincipals(c.text)
		got := ""
		if bad := (*syntax.MalformedError)(nil); errors.As(err, &bad) {
			got = bad.Message
		}
		if got != c.want || (err == nil) != (c.want == "") {
			t.Errorf("%s\ngot  %v\nwant %q", c.text, err, c.want)
		}
	}
}
