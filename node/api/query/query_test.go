package query

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/google/go-cmp/cmp"

	"github.com/writ-iam/writ/node/api/model"
)

const formType = "application/x-www-form-urlencoded; charset=utf-8"

func post(target, contentType, body string) (*Form, error) {
	r := httptest.NewRequest("POST", target, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return ParseRequest(r, []byte(body))
}

func iamForm(action, rest string) string {
	return "Action=" + action + "&Version=2010-05-08&" + rest
}

// decode reads a form into the input struct that it names.
func decode(body string, in any) error {
	form, err := post("/", formType, body)
	if err != nil {
		return err
	}
	op, err := form.Operation()
	if err != nil {
		return err
	}
	return Decode(op, form, in)
}

func TestDecode(t *testing.T) {
	tag := func(key, value string) iamtypes.Tag { return iamtypes.Tag{Key: &key, Value: &value} }
	for _, tc := range []struct {
		name, form string
		into, want any
	}{
		{"names and values are decoded", iamForm("CreateUser", "User%4eame=a%2Bb"), &iam.CreateUserInput{}, &iam.CreateUserInput{UserName: aws.String("a+b")}},
		{"plus is a blank", iamForm("CreateUser", "UserName=a&Tags.member.1.Key=k&Tags.member.1.Value=a+b"), &iam.CreateUserInput{},
			&iam.CreateUserInput{UserName: aws.String("a"), Tags: []iamtypes.Tag{tag("k", "a b")}}},
		{"empty list", iamForm("CreateUser", "UserName=a&Tags="), &iam.CreateUserInput{}, &iam.CreateUserInput{UserName: aws.String("a"), Tags: []iamtypes.Tag{}}},
		{"elements by number, gaps closed", iamForm("CreateUser", "UserName=a&Tags.member.10.Key=c&Tags.member.10.Value=&Tags.member.9.Key=b&Tags.member.9.Value=&Tags.member.1.Key=a&Tags.member.1.Value="),
			&iam.CreateUserInput{}, &iam.CreateUserInput{UserName: aws.String("a"), Tags: []iamtypes.Tag{tag("a", ""), tag("b", ""), tag("c", "")}}},
		{"list of strings", iamForm("UntagUser", "UserName=a&TagKeys.member.1=x&TagKeys.member.2=y"), &iam.UntagUserInput{},
			&iam.UntagUserInput{UserName: aws.String("a"), TagKeys: []string{"x", "y"}}},
		{"unknown parameters", iamForm("GetUser", "Nonsense=1&UserName=a&Tags.member.1.Key=x&UserName-x=1"), &iam.GetUserInput{}, &iam.GetUserInput{UserName: aws.String("a")}},
		{"number, enumeration, boolean", iamForm("ListPolicies", "MaxItems=7&Scope=Local&OnlyAttached=true"), &iam.ListPoliciesInput{},
			&iam.ListPoliciesInput{MaxItems: aws.Int32(7), Scope: "Local", OnlyAttached: true}},
		{"wire name in lower case", "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/r&RoleSessionName=me&PolicyArns.member.1.arn=arn:aws:iam::aws:policy/p",
			&sts.AssumeRoleInput{}, &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::123456789012:role/r"), RoleSessionName: aws.String("me"),
				PolicyArns: []ststypes.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/p")}}}},
		{"no parameters", "Action=GetCallerIdentity&Version=2011-06-15", &sts.GetCallerIdentityInput{}, &sts.GetCallerIdentityInput{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := decode(tc.form, tc.into); err != nil {
				t.Fatal(err)
			}
			exported := cmp.Options{ignoreUnsent[1], ignoreUnsent[2]}
			if diff := cmp.Diff(tc.want, tc.into, exported); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// refusal is a form that is not taken.
type refusal struct {
	name, form string
	into       any
	code       string
	status     int
	message    string
}

func (tc refusal) run(t *testing.T) {
	t.Run(tc.name, func(t *testing.T) {
		err := decode(tc.form, tc.into)
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("got %v", err)
		}
		if e.Code != tc.code || e.Status != tc.status || e.Message != tc.message {
			t.Errorf("got %d %v", e.Status, e)
		}
	})
}

func TestRefusals(t *testing.T) {
	const user = "UserName=a&"
	for _, tc := range []refusal{
		{"no action", "Version=2010-05-08", nil, "MissingAction", 400, "The request must contain the parameter Action"},
		{"nothing", "", nil, "MissingAction", 400, "The request must contain the parameter Action"},
		{"unknown action", iamForm("MakeUser", ""), nil, "InvalidAction", 400, "Could not find operation MakeUser for version 2010-05-08"},
		{"action of another version", "Action=CreateUser&Version=2011-06-15", nil, "InvalidAction", 400, "Could not find operation CreateUser for version 2011-06-15"},
		{"no version", "Action=CreateUser", nil, "InvalidAction", 400, "Could not find operation CreateUser for version NO_VERSION_SPECIFIED"},
		{"bad escape", iamForm("GetUser", "UserName=%zz"), nil, "MalformedQueryString", 404, "Parameter UserName is not properly encoded"},
		{"cut escape", iamForm("GetUser", "UserName=%4"), nil, "MalformedQueryString", 404, "Parameter UserName is not properly encoded"},
		{"not UTF-8", iamForm("GetUser", "UserName=%ff"), nil, "MalformedQueryString", 404, "Parameter UserName is not properly encoded"},
		{"given twice", iamForm("GetUser", "UserName=a&UserName=b"), nil, "MalformedQueryString", 404, "Parameter UserName was given more than once"},
		{"too many parameters", strings.Repeat("a&", MaxParameters+1), nil, "MalformedQueryString", 404, "Request has more than 10000 parameters"},
		{"list without member", iamForm("CreateUser", user+"Tags.1.Key=k"), &iam.CreateUserInput{}, "MalformedInput", 400, "Top level element may not be treated as a list"},
		{"list and structure mixed", iamForm("CreateUser", user+"Tags.member.1.Key=k&Tags.Key=v"), &iam.CreateUserInput{}, "MalformedInput", 400, "Top level element may not be treated as a list"},
		{"number of an element", iamForm("CreateUser", user+"Tags.member.one.Key=k"), &iam.CreateUserInput{}, "MalformedInput", 400, "Expected a positive integer in place of 'one'"},
		{"element zero", iamForm("CreateUser", user+"Tags.member.0.Key=k"), &iam.CreateUserInput{}, "MalformedInput", 400, "Expected a positive integer in place of '0'"},
		{"element 01", iamForm("CreateUser", user+"Tags.member.1.Key=k&Tags.member.01.Key=l"), &iam.CreateUserInput{}, "MalformedInput", 400, "Expected a positive integer in place of '01'"},
		{"list for a string", iamForm("GetUser", "UserName.member.1=a"), &iam.GetUserInput{}, "MalformedInput", 400, "Start of list found where not expected"},
		{"structure for a string", iamForm("GetUser", "UserName.Name=a"), &iam.GetUserInput{}, "MalformedInput", 400, "Start of structure or map found where not expected"},
		{"string for a list", iamForm("CreateUser", user+"Tags=k"), &iam.CreateUserInput{}, "MalformedInput", 400, "Unexpected complex element termination"},
		{"string for a structure", iamForm("CreateUser", user+"Tags.member.1=k"), &iam.CreateUserInput{}, "MalformedInput", 400, "Unexpected complex element termination"},
		{"endless list", iamForm("UntagUser", user+manyTags(MaxListLength+1)), &iam.UntagUserInput{}, "MalformedInput", 400, "A list has more than 1000 elements"},
		{"number in words", iamForm("ListUsers", "MaxItems=ten"), &iam.ListUsersInput{}, "MalformedInput", 400, "Value 'ten' at 'maxItems' can not be converted to type Integer"},
		{"number beyond 32 bits", iamForm("ListUsers", "MaxItems=4294967297"), &iam.ListUsersInput{}, "MalformedInput", 400, "Value '4294967297' at 'maxItems' can not be converted to type Integer"},
		{"boolean", iamForm("ListPolicies", "OnlyAttached=yes"), &iam.ListPoliciesInput{}, "MalformedInput", 400, "Value 'yes' at 'onlyAttached' can not be converted to type Boolean"},
	} {
		tc.run(t)
	}
}

func TestValidationErrors(t *testing.T) {
	const user = "UserName=a&"
	long := strings.Repeat("x", 65)
	for _, tc := range []struct {
		name, form string
		into       any
		message    string
	}{
		{"required", iamForm("CreateUser", ""), &iam.CreateUserInput{},
			"1 validation error detected: Value at 'userName' failed to satisfy constraint: Member must not be null"},
		{"several", iamForm("CreateUser", "UserName="+long+"&Path=x"), &iam.CreateUserInput{},
			"1 validation error detected: Value at 'userName' failed to satisfy constraint: Member must have length less than or equal to 64"},
		{"several by a hash", iamForm("UpdateAccountPasswordPolicy", "MinimumPasswordLength=129&PasswordReusePrevention=25&MaxPasswordAge=1096"), &iam.UpdateAccountPasswordPolicyInput{},
			"3 validation errors detected: Value at 'minimumPasswordLength' failed to satisfy constraint: Member must have value less than or equal to 128; " +
				"Value at 'passwordReusePrevention' failed to satisfy constraint: Member must have value less than or equal to 24; " +
				"Value at 'maxPasswordAge' failed to satisfy constraint: Member must have value less than or equal to 1095"},
		{"lists of strings", iamForm("CreateOpenIDConnectProvider", "Url="+strings.Repeat("x", 256)+"&ClientIDList.member.1=&ThumbprintList.member.1=a"), &iam.CreateOpenIDConnectProviderInput{},
			"3 validation errors detected: Value at 'clientIDList' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 255, Member must have length greater than or equal to 1]; " +
				"Value at 'thumbprintList' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 40, Member must have length greater than or equal to 40]; " +
				"Value at 'url' failed to satisfy constraint: Member must have length less than or equal to 255"},
		{"name", iamForm("GetRole", "RoleName=a/b"), &iam.GetRoleInput{},
			"The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-"},
		{"two names", iamForm("UpdateUser", "UserName=a/b&NewUserName=b/c&NewPath=x"), &iam.UpdateUserInput{},
			"The specified value for newUserName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-"},
		{"key", iamForm("DeleteAccessKey", "AccessKeyId=AKIA-000000000000"), &iam.DeleteAccessKeyInput{},
			"The specified value for accessKeyId is invalid. It must contain only alphanumeric characters."},
		{"credential", iamForm("ResetServiceSpecificCredential", "ServiceSpecificCredentialId=credential-with-hyphens"), &iam.ResetServiceSpecificCredentialInput{},
			`1 validation error detected: Value at 'serviceSpecificCredentialId' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w]+`},
		{"path", iamForm("CreatePolicy", "PolicyName=p&PolicyDocument=x&Path=/a"), &iam.CreatePolicyInput{},
			"The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters."},
		{"path prefix", iamForm("ListUsers", "PathPrefix=a"), &iam.ListUsersInput{},
			"The specified value for pathPrefix is invalid. It must begin with the / character and contain only alphanumeric characters and/or / characters."},
		{"path prefix of policies", iamForm("ListPolicies", "PathPrefix=/foo"), &iam.ListPoliciesInput{},
			"The specified value for pathPrefix is invalid. It must begin with the / character and contain only alphanumeric characters and/or / characters."},
		{"in a list", iamForm("CreateUser", user+"Tags.member.7.Key=k&Tags.member.7.Value=(x)"), &iam.CreateUserInput{},
			`1 validation error detected: Value at 'tags.1.member.value' failed to satisfy constraint: Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]*`},
		{"required in a list", iamForm("CreateUser", user+"Tags.member.1.Key=k"), &iam.CreateUserInput{},
			"1 validation error detected: Value at 'tags.1.member.value' failed to satisfy constraint: Member must not be null"},
		{"long list", iamForm("UntagUser", user+manyTags(51)), &iam.UntagUserInput{},
			"1 validation error detected: Value at 'tagKeys' failed to satisfy constraint: Member must have length less than or equal to 50"},
		{"string in a list", iamForm("UntagUser", user+"TagKeys.member.1=*"), &iam.UntagUserInput{},
			`1 validation error detected: Value at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+, Member must not be null]`},
		{"string in a list of STS", "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/r&RoleSessionName=me&TransitiveTagKeys.member.1=a&TransitiveTagKeys.member.2=*", &sts.AssumeRoleInput{},
			`1 validation error detected: Value '[a, *]' at 'transitiveTagKeys' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+, Member must not be null]`},
		{"name of STS", "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/r&RoleSessionName=a:b", &sts.AssumeRoleInput{},
			`1 validation error detected: Value 'a:b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`},
		{"required by STS", "Action=GetFederationToken&Version=2011-06-15", &sts.GetFederationTokenInput{},
			"1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null"},
		{"number out of bounds", iamForm("ListUsers", "MaxItems=0"), &iam.ListUsersInput{},
			"1 validation error detected: Value at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"enumeration", iamForm("UpdateAccessKey", "AccessKeyId=AKIAAAAAAAAAAAAAAAAA&Status=on"), &iam.UpdateAccessKeyInput{},
			"1 validation error detected: Value at 'status' failed to satisfy constraint: Member must satisfy enum value set"},
	} {
		refusal{tc.name, tc.form, tc.into, "ValidationError", http.StatusBadRequest, tc.message}.run(t)
	}
}

func manyTags(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "&TagKeys.member.%d=k", i+1)
	}
	return b.String()[1:]
}

func TestParseRequest(t *testing.T) {
	for _, tc := range []struct {
		name, target, contentType, body string
		want                            string // of the parameter A
		code                            string
	}{
		{"body", "/", formType, "A=1", "1", ""},
		{"body without charset", "/", "application/x-www-form-urlencoded", "A=1", "1", ""},
		{"body in capitals", "/", "Application/X-WWW-Form-URLencoded", "A=1", "1", ""},
		{"body without type", "/", "", "A=1", "1", ""},
		{"query", "/?A=2", formType, "", "2", ""},
		{"query and body", "/?B=2", formType, "A=1", "1", ""},
		{"both give it", "/?A=2", formType, "A=1", "", "MalformedQueryString"},
		{"not a form", "/", "application/json", "A=1", "", ""},
		{"too long", "/", formType, "A=" + strings.Repeat("1", MaxBody), "", "RequestEntityTooLarge"},
		{"semicolon", "/", formType, "A=1;B=2", "1;B=2", ""},
		{"equal sign in the value", "/", formType, "A=1=2", "1=2", ""},
		{"empty pieces", "/", formType, "&&A=1&&", "1", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			form, err := post(tc.target, tc.contentType, tc.body)
			var e *Error
			if errors.As(err, &e) != (tc.code != "") || e != nil && e.Code != tc.code {
				t.Fatalf("got %v", err)
			}
			if err != nil {
				return
			}
			if got, _ := form.Get("A"); got != tc.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestAppendResponse(t *testing.T) {
	const iamNS = `xmlns="https://iam.amazonaws.com/doc/2010-05-08/"`
	const tail = "<ResponseMetadata><RequestId>id</RequestId></ResponseMetadata>"
	for _, tc := range []struct {
		name string
		op   *model.Operation
		out  any
		want string
	}{
		{"no members", model.IAM().Operation("DeleteUser"), &iam.DeleteUserOutput{}, "<DeleteUserResponse " + iamNS + ">" + tail + "</DeleteUserResponse>\n"},
		{"no output", model.IAM().Operation("DeleteUser"), nil, "<DeleteUserResponse " + iamNS + ">" + tail + "</DeleteUserResponse>\n"},
		{"structure", model.IAM().Operation("CreateUser"), &iam.CreateUserOutput{User: &iamtypes.User{
			UserName: aws.String("a<b>&c\r\x00\xff"), Path: aws.String("/"), CreateDate: aws.Time(time.Date(2026, 7, 1, 14, 0, 0, 5e8, time.FixedZone("", 7200))),
		}}, "<CreateUserResponse " + iamNS + "><CreateUserResult><User><CreateDate>2026-07-01T12:00:00Z</CreateDate><Path>/</Path>" +
			"<UserName>a&lt;b&gt;&amp;c&#xD;\uFFFD\uFFFD</UserName></User></CreateUserResult>" + tail + "</CreateUserResponse>\n"},
		{"outermost lists and flags are there", model.IAM().Operation("ListUsers"), &iam.ListUsersOutput{},
			"<ListUsersResponse " + iamNS + "><ListUsersResult><IsTruncated>false</IsTruncated><Users/></ListUsersResult>" + tail + "</ListUsersResponse>\n"},
		{"optional tags only where set", model.IAM().Operation("CreateSAMLProvider"), &iam.CreateSAMLProviderOutput{SAMLProviderArn: aws.String("a")},
			"<CreateSAMLProviderResponse " + iamNS + "><CreateSAMLProviderResult><SAMLProviderArn>a</SAMLProviderArn></CreateSAMLProviderResult>" + tail + "</CreateSAMLProviderResponse>\n"},
		{"inner lists only where set", model.IAM().Operation("ListUsers"), &iam.ListUsersOutput{Users: []iamtypes.User{{Tags: []iamtypes.Tag{}}, {}}},
			"<ListUsersResponse " + iamNS + "><ListUsersResult><IsTruncated>false</IsTruncated><Users><member><Tags/></member><member></member></Users></ListUsersResult>" + tail + "</ListUsersResponse>\n"},
		{"map in order", model.IAM().Operation("GetAccountSummary"), &iam.GetAccountSummaryOutput{SummaryMap: map[string]int32{"Users": 2, "Groups": 1}},
			"<GetAccountSummaryResponse " + iamNS + "><GetAccountSummaryResult><SummaryMap><entry><key>Groups</key><value>1</value></entry>" +
				"<entry><key>Users</key><value>2</value></entry></SummaryMap></GetAccountSummaryResult>" + tail + "</GetAccountSummaryResponse>\n"},
		{"wire name in lower case", model.IAM().Operation("ListDelegationRequests"), &iam.ListDelegationRequestsOutput{IsTruncated: true},
			"<ListDelegationRequestsResponse " + iamNS + "><ListDelegationRequestsResult><DelegationRequests/><isTruncated>true</isTruncated></ListDelegationRequestsResult>" + tail + "</ListDelegationRequestsResponse>\n"},
		{"STS", model.STS().Operation("GetCallerIdentity"), &sts.GetCallerIdentityOutput{Account: aws.String("123456789012")},
			`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult>` + tail + "</GetCallerIdentityResponse>\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, string(AppendResponse(nil, tc.op, tc.out, "id"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWriteError(t *testing.T) {
	for _, tc := range []struct {
		op   *model.Operation
		err  *Error
		want string
	}{
		{model.IAM().Operation("GetUser"), &Error{"NoSuchEntity", 404, "The user with name <a> cannot be found."},
			`<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
  <Error>
    <Type>Sender</Type>
    <Code>NoSuchEntity</Code>
    <Message>The user with name &lt;a&gt; cannot be found.</Message>
  </Error>
  <RequestId>` + requestID + `</RequestId>
</ErrorResponse>
`},
		{model.IAM().Operation("GetCredentialReport"), &Error{"ReportNotPresent", 410, ""},
			`<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
  <Error>
    <Type>Sender</Type>
    <Code>ReportNotPresent</Code>
  </Error>
  <RequestId>` + requestID + `</RequestId>
</ErrorResponse>
`},
		{nil, &Error{"ServiceUnavailable", 503, "No leader"},
			`<ErrorResponse xmlns="http://webservices.amazon.com/AWSFault/2005-15-09">
  <Error>
    <Type>Receiver</Type>
    <Code>ServiceUnavailable</Code>
    <Message>No leader</Message>
  </Error>
  <RequestId>` + requestID + `</RequestId>
</ErrorResponse>
`},
	} {
		w := httptest.NewRecorder()
		if err := WriteError(w, XML, tc.op, tc.err, requestID); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, w.Body.String()); diff != "" || w.Code != tc.err.Status {
			t.Errorf("status %d\n%s", w.Code, diff)
		}
		if w.Header().Get("x-amzn-RequestId") != requestID || w.Header().Get("Content-Type") != "text/xml" {
			t.Errorf("got %v", w.Header())
		}
	}
}

// A struct of another operation is a mistake of the program, even where it has
// the same members.
func TestWrongStruct(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	AppendResponse(nil, model.IAM().Operation("CreateUser"), &iam.GetUserOutput{}, "id")
}

func FuzzDecode(f *testing.F) {
	f.Add("Action=CreateUser&Version=2010-05-08&UserName=a&Tags.member.1.Key=k&Tags.member.1.Value=v")
	f.Add("Action=UntagUser&Version=2010-05-08&UserName=a&TagKeys.member.2=x&TagKeys.member.1.y=z&TagKeys=")
	f.Add("Action=SimulateCustomPolicy&Version=2010-05-08&ContextEntries.member.1.ContextKeyValues.member.1=a&ActionNames.member.1=b")
	f.Add("Action=AssumeRole&Version=2011-06-15&DurationSeconds=900&PolicyArns.member.1.arn=%41+")
	f.Add("Action=ListUsers&Version=2010-05-08&MaxItems=x&%&=&.&a.b.c=d&Tags.entry.1.key")
	client := newSDK("http://localhost")
	f.Fuzz(func(t *testing.T, body string) {
		form, err := post("/", formType, body)
		var op *model.Operation
		if err == nil {
			op, err = form.Operation()
		}
		if err == nil {
			in, _ := client.types(t, op)
			err = Decode(op, form, newValue(in))
		}
		if err == nil {
			return
		}
		var e *Error
		if !errors.As(err, &e) || e.Status < 400 || e.Status > 499 {
			t.Fatalf("got %T: %v", err, err)
		}
		AppendError(nil, op, e, "id")
	})
}

func BenchmarkCreateUser(b *testing.B) {
	body := []byte(iamForm("CreateUser", "UserName=alice&Path=%2Fengineering%2F&Tags.member.1.Key=team&Tags.member.1.Value=core"))
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Content-Type", formType)
	out := &iam.CreateUserOutput{User: &iamtypes.User{
		Arn: aws.String("arn:aws:iam::123456789012:user/engineering/alice"), CreateDate: aws.Time(time.Unix(1.7e9, 0)),
		Path: aws.String("/engineering/"), UserId: aws.String("AIDAEXAMPLEEXAMPLE123"), UserName: aws.String("alice"),
		Tags: []iamtypes.Tag{{Key: aws.String("team"), Value: aws.String("core")}},
	}}
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			form, err := ParseRequest(r, body)
			if err != nil {
				b.Fatal(err)
			}
			op, err := form.Operation()
			if err != nil {
				b.Fatal(err)
			}
			if err := Decode(op, form, &iam.CreateUserInput{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		w := discard{header: http.Header{}}
		for b.Loop() {
			if err := WriteResponse(w, XML, model.IAM().Operation("CreateUser"), out, requestID, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// The largest form that is read must not take long to refuse or decode.
func BenchmarkLargestForm(b *testing.B) {
	var form strings.Builder
	form.WriteString("Action=SimulateCustomPolicy&Version=2010-05-08&PolicyInputList.member.1=x")
	for i := range MaxListLength - 1 {
		fmt.Fprintf(&form, "&ContextEntries.member.%d.ContextKeyName=aaaaa&ContextEntries.member.%d.ContextKeyType=string", i+1, i+1)
		for j := range 7 {
			fmt.Fprintf(&form, "&ContextEntries.member.%d.ContextKeyValues.member.%d=v", i+1, j+1)
		}
	}
	b.SetBytes(int64(form.Len()))
	for b.Loop() {
		if err := decode(form.String(), &iam.SimulateCustomPolicyInput{}); err == nil || !strings.Contains(err.Error(), "actionNames") {
			b.Fatal(err)
		}
	}
}
