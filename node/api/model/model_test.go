package model

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestServices(t *testing.T) {
	if n := len(IAM().Operations()); n != 178 {
		t.Errorf("IAM has %d operations", n)
	}
	if n := len(STS().Operations()); n != 11 {
		t.Errorf("STS has %d operations", n)
	}
	bare := 0
	for _, op := range IAM().Operations() {
		if op.Output == nil {
			bare++
		}
		if op.Service != IAM() || IAM().Operation(op.Name) != op {
			t.Errorf("%s is not where it should be", op.Name)
		}
	}
	if bare != 79 {
		t.Errorf("%d operations answer ResponseMetadata alone", bare)
	}
	if IAM().Namespace != "https://iam.amazonaws.com/doc/2010-05-08/" || STS().Version != "2011-06-15" {
		t.Error("metadata are wrong")
	}
}

func TestFind(t *testing.T) {
	for _, tc := range []struct {
		action, version string
		service         string // empty is not found
	}{
		{"CreateUser", "2010-05-08", "iam"},
		{"GetCallerIdentity", "2011-06-15", "sts"},
		{"GetCallerIdentity", "2010-05-08", ""},
		{"createuser", "2010-05-08", ""},
		{"CreateUser", "", ""},
		{"", "2010-05-08", ""},
	} {
		op := Find(tc.action, tc.version)
		if (op == nil) != (tc.service == "") || op != nil && op.Service.Name != tc.service {
			t.Errorf("%s %s: got %+v", tc.action, tc.version, op)
		}
	}
}

func TestOperation(t *testing.T) {
	op := IAM().Operation("CreateUser")
	if op.ResultWrapper != "CreateUserResult" || op.Pagination != nil || op.Unsigned {
		t.Errorf("got %+v", op)
	}
	name := op.Input.Field("UserName")
	if name == nil || !name.Required || name.Path != "userName" || *name.Shape.Max != 64 {
		t.Errorf("got %+v", name)
	}
	if op.Input.Field("Tags").Shape.Element.Field("Key") == nil || op.Input.Field("Nothing") != nil {
		t.Error("fields are wrong")
	}
	if p := IAM().Operation("ListUsers").Pagination; p == nil || p.InputToken != "Marker" || p.OutputToken != "Marker" ||
		p.LimitKey != "MaxItems" || p.MoreResults != "IsTruncated" || len(p.ResultKeys) != 1 || p.ResultKeys[0] != "Users" {
		t.Errorf("got %+v", p)
	}
	if n := len(IAM().Operation("GetAccountAuthorizationDetails").Pagination.ResultKeys); n != 4 {
		t.Errorf("%d result keys", n)
	}
	if !STS().Operation("AssumeRoleWithWebIdentity").Unsigned || STS().Operation("AssumeRole").Unsigned {
		t.Error("unsigned operations are wrong")
	}
}

// Whatever serial number a device has, one action takes it: that which deletes it.
func TestWiderMembers(t *testing.T) {
	serial := "arn:aws:iam::123456789012:mfa/a!b/" + strings.Repeat("n", 100_000)
	for name, taken := range map[string]bool{"DeleteVirtualMFADevice": true, "TagMFADevice": false, "EnableMFADevice": false} {
		var v Violations
		v.String([]byte("serialNumber"), IAM().Operation(name).Input.Field("SerialNumber").Shape, serial)
		if (v.Message() == "") != taken {
			t.Errorf("%s: %.200s", name, v.Message())
		}
	}
}

func TestStatus(t *testing.T) {
	for _, tc := range []struct {
		service *Service
		code    string
		status  int
	}{
		{IAM(), "NoSuchEntity", 404},
		{IAM(), "EntityAlreadyExists", 409},
		{IAM(), "DeleteConflict", 409},
		{IAM(), "ServiceFailure", 500},
		{IAM(), "OrganizationNotFoundException", 400},
		{STS(), "PackedPolicyTooLarge", 400},
		{STS(), "RegionDisabledException", 403},
		{STS(), "NoSuchEntity", 0},
		{STS(), "ValidationError", 400},
		{IAM(), "AccessDenied", 403},
		{IAM(), "Nonsense", 0},
	} {
		status, known := tc.service.Status(tc.code)
		if status != tc.status || known != (tc.status != 0) {
			t.Errorf("%s %s: got %d, %v", tc.service.Name, tc.code, status, known)
		}
	}
	for _, e := range IAM().Operation("CreateUser").Errors {
		if status, known := IAM().Status(e.Code); !known || status != e.Status {
			t.Errorf("%s: %d here, %d there", e.Code, e.Status, status)
		}
	}
}

// shapes returns the shapes of all inputs and outputs by name.
func shapes(services ...*Service) map[string]*Shape {
	found := map[string]*Shape{}
	var walk func(s *Shape)
	walk = func(s *Shape) {
		if s == nil || found[s.Name] != nil {
			return
		}
		found[s.Name] = s
		walk(s.Element)
		walk(s.Key)
		walk(s.Value)
		for _, m := range s.Fields {
			walk(m.Shape)
		}
	}
	for _, s := range services {
		for _, op := range s.operations {
			walk(op.Input)
			walk(op.Output)
		}
	}
	return found
}

func TestPatterns(t *testing.T) {
	iamShapes, stsShapes := shapes(IAM()), shapes(STS())
	for _, tc := range []struct {
		shape         *Shape
		match, refuse []string
	}{
		{iamShapes["userNameType"], []string{"alice", "a+b=c,d.e@f-g_"}, []string{"", "a b", "\u00e9", "a\n"}},
		{iamShapes["pathType"], []string{"/", "/a/", "/!/~/"}, []string{"", "//", "a/", "/a", "/a b/", "/\x7f/"}},
		{iamShapes["pathPrefixType"], []string{"/", "/a", "/\x7f"}, []string{"", "a"}},
		{iamShapes["policyPathType"], []string{"/", "/a.b/"}, []string{"//", "/!/", ""}},
		{iamShapes["accountAliasType"], []string{"abc", "a-b", "a-b-c", strings.Repeat("a", 63)},
			[]string{"ab", "a--b", "-ab", "ab-", "Abc", "a---b", strings.Repeat("a", 64)}},
		{iamShapes["tagKeyType"], []string{"a b", "\u00e9\u00a0\u4e16", "a:b/c=d+e-f@g_.", "\U00010400"},
			[]string{"", "a\tb", "a,b", "a*b", "\U0001F600"}},
		{iamShapes["tagValueType"], []string{""}, []string{"(x)"}},
		{iamShapes["policyDocumentType"], []string{"{\"a\":\t1\r\n}\u00ff"}, []string{"", "\u0100", "\x01"}},
		{iamShapes["policyVersionIdType"], []string{"v1", "v12.x-y"}, []string{"v0", "1", "v"}},
		{stsShapes["arnType"], []string{"arn:aws:iam::123456789012:role/a b\u0085\u00a0", "\U0001F600", "\ue000"},
			[]string{"", "\x7f", "\u0086"}},
		{stsShapes["externalIdType"], []string{"", "a:b/c"}, []string{"a b"}},
		{stsShapes["tokenCodeType"], []string{"123456"}, []string{"12a456"}},
	} {
		if tc.shape == nil || tc.shape.pattern == nil {
			t.Fatalf("no such pattern: %+v", tc.shape)
		}
		for _, value := range tc.match {
			if !tc.shape.pattern.match(value) {
				t.Errorf("%s refuses %q", tc.shape.Name, value)
			}
		}
		for _, value := range tc.refuse {
			if tc.shape.pattern.match(value) {
				t.Errorf("%s matches %q", tc.shape.Name, value)
			}
		}
	}
}

// Patterns of one class are matched without a regular expression; it must make no
// difference.
func TestClassesAreThePatterns(t *testing.T) {
	fast := 0
	for name, s := range shapes(IAM(), STS()) {
		if s.pattern == nil || s.pattern.class == nil {
			continue
		}
		fast++
		re := regexp.MustCompile(`\A(?:` + unicodeEscape.ReplaceAllString(s.Pattern, `\x{$1}`) + `)\z`)
		rapid.Check(t, func(t *rapid.T) {
			value := rapid.OneOf(rapid.StringN(0, 3, -1), rapid.StringMatching(`[ -~]{0,3}`)).Draw(t, "value")
			if got, want := s.pattern.match(value), re.MatchString(value); got != want {
				t.Fatalf("%s on %q: %v, want %v", name, value, got, want)
			}
		})
	}
	if fast < 30 {
		t.Errorf("only %d patterns are classes", fast)
	}
}

// TestChecked has what messages of AWS's services, recorded by others, name in this order.
func TestChecked(t *testing.T) {
	for _, want := range [][]string{
		{"minimumPasswordLength", "passwordReusePrevention", "maxPasswordAge"}, // IAM
		{"clientIDList", "thumbprintList", "url"},                              // IAM
		{"aWSAccountId", "label", "actionName"},                                // SNS
		{"writeCapacityUnits", "readCapacityUnits"},                            // DynamoDB
		{"subjectAlternativeNames", "domainName"},                              // ACM
		{"execution", "domain"},                                                // SWF
		{"password", "username"},                                               // Cognito
		{"authorizationCode", "state"},                                         // Bedrock AgentCore
	} {
		var fields []Field
		for _, path := range slices.Sorted(slices.Values(want)) {
			fields = append(fields, Field{Path: path})
		}
		var got []string
		for _, i := range Checked(fields) {
			got = append(got, fields[i].Path)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if n := len(Checked(make([]Field, 13))); n != 13 {
		t.Errorf("%d fields are checked", n)
	}
}

func TestViolations(t *testing.T) {
	iamShapes, stsShapes := shapes(IAM()), shapes(STS())
	for _, tc := range []struct {
		name  string
		check func(v *Violations)
		want  string
	}{
		{"nothing", func(v *Violations) { v.String([]byte("userName"), iamShapes["userNameType"], "alice") }, ""},
		{"too long", func(v *Violations) {
			v.String([]byte("userName"), iamShapes["userNameType"], strings.Repeat("x", 65))
		}, "1 validation error detected: Value '" + strings.Repeat("x", 65) + "' at 'userName' failed to satisfy constraint: Member must have length less than or equal to 64"},
		{"pattern", func(v *Violations) { v.String([]byte("roleSessionName"), stsShapes["roleSessionNameType"], "a:b") },
			`1 validation error detected: Value 'a:b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`},
		{"empty", func(v *Violations) { v.String([]byte("roleArn"), stsShapes["arnType"], "") },
			`2 validation errors detected: Value '' at 'roleArn' failed to satisfy constraint: Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+; Value '' at 'roleArn' failed to satisfy constraint: Member must have length greater than or equal to 20`},
		{"null", func(v *Violations) { v.Null([]byte("webIdentityToken")) },
			"1 validation error detected: Value null at 'webIdentityToken' failed to satisfy constraint: Member must not be null"},
		{"enumeration", func(v *Violations) { v.String([]byte("status"), iamShapes["statusType"], "active") },
			"1 validation error detected: Value 'active' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive, Expired]"},
		{"number too small", func(v *Violations) { v.Integer([]byte("maxItems"), iamShapes["maxItemsType"], 0) },
			"1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"number too large", func(v *Violations) { v.Integer([]byte("maxItems"), iamShapes["maxItemsType"], 1001) },
			"1 validation error detected: Value '1001' at 'maxItems' failed to satisfy constraint: Member must have value less than or equal to 1000"},
		{"list", func(v *Violations) { v.Length([]byte("tags"), iamShapes["tagListType"], 51) },
			"1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50"},
		{"secret", func(v *Violations) { v.String([]byte("newPassword"), iamShapes["passwordType"], "") },
			`2 validation errors detected: Value at 'newPassword' failed to satisfy constraint: Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+; Value at 'newPassword' failed to satisfy constraint: Member must have length greater than or equal to 1`},
		{"UTF-16 units", func(v *Violations) {
			v.String([]byte("x"), &Shape{Max: iamShapes["tagListType"].Max}, strings.Repeat("\U0001F600", 25))
		}, ""},
		{"long value", func(v *Violations) {
			v.String([]byte("x"), &Shape{Max: iamShapes["tagListType"].Max}, strings.Repeat("y", 5000))
		}, "1 validation error detected: Value '" + strings.Repeat("y", 2048) + "...' at 'x' failed to satisfy constraint: Member must have length less than or equal to 50"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var v Violations
			if tc.check(&v); v.Message() != tc.want {
				t.Errorf("got  %s\nwant %s", v.Message(), tc.want)
			}
		})
	}
}

func BenchmarkPattern(b *testing.B) {
	found := shapes(IAM())
	document := strings.Repeat(`{"Effect":"Allow"}`, 100)
	b.Run("name", func(b *testing.B) {
		for b.Loop() {
			found["userNameType"].pattern.match("alice.example")
		}
	})
	b.Run("document", func(b *testing.B) {
		for b.Loop() {
			found["policyDocumentType"].pattern.match(document)
		}
	})
}
