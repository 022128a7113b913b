package query

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/writ-iam/writ/node/api/model"
)

func TestAppendResponseJSON(t *testing.T) {
	created := time.Date(2023, 11, 14, 22, 13, 20, 0, time.UTC)
	for _, tc := range []struct {
		name string
		op   *model.Operation
		out  any
		want string
	}{
		{"caller", model.STS().Operation("GetCallerIdentity"),
			&sts.GetCallerIdentityOutput{Account: aws.String("123456789012"), Arn: aws.String("arn:aws:iam::123456789012:user/a"), UserId: aws.String("AIDA1")},
			`{"GetCallerIdentityResponse":{"GetCallerIdentityResult":{"Account":"123456789012","Arn":"arn:aws:iam::123456789012:user/a","UserId":"AIDA1"},"ResponseMetadata":{"RequestId":"id"}}}`},
		{"no output", model.IAM().Operation("DeleteUser"), nil, `{"DeleteUserResponse":{"ResponseMetadata":{"RequestId":"id"}}}`},
		{"empty list", model.IAM().Operation("ListUsers"), &iam.ListUsersOutput{},
			`{"ListUsersResponse":{"ListUsersResult":{"IsTruncated":false,"Marker":null,"Users":[]},"ResponseMetadata":{"RequestId":"id"}}}`},
		{"optional tags", model.IAM().Operation("CreateSAMLProvider"), &iam.CreateSAMLProviderOutput{SAMLProviderArn: aws.String("a")},
			`{"CreateSAMLProviderResponse":{"CreateSAMLProviderResult":{"SAMLProviderArn":"a","Tags":null},"ResponseMetadata":{"RequestId":"id"}}}`},
		{"times, and what is not set", model.IAM().Operation("ListUsers"), &iam.ListUsersOutput{Users: []iamtypes.User{{UserName: aws.String("a\"<&\n\x01"), CreateDate: &created}}},
			`{"ListUsersResponse":{"ListUsersResult":{"IsTruncated":false,"Marker":null,"Users":[{"Arn":null,"CreateDate":1.7E9,"PasswordLastUsed":null,"Path":null,"PermissionsBoundary":null,"Tags":null,"UserId":null,"UserName":"a\"<&\n\u0001"}]},"ResponseMetadata":{"RequestId":"id"}}}`},
		{"map", model.IAM().Operation("SimulateCustomPolicy"), &iam.SimulateCustomPolicyOutput{EvaluationResults: []iamtypes.EvaluationResult{
			{EvalDecisionDetails: map[string]iamtypes.PolicyEvaluationDecisionType{"b": "allowed", "a": "implicitDeny"}}}},
			`{"SimulateCustomPolicyResponse":{"SimulateCustomPolicyResult":{"EvaluationResults":[{"EvalActionName":null,"EvalDecision":null,"EvalDecisionDetails":{"a":"implicitDeny","b":"allowed"},` +
				`"EvalResourceName":null,"MatchedStatements":null,"MissingContextValues":null,"OrganizationsDecisionDetail":null,"PermissionsBoundaryDecisionDetail":null,"ResourceSpecificResults":null}],` +
				`"IsTruncated":false,"Marker":null},"ResponseMetadata":{"RequestId":"id"}}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want+"\n", string(AppendResponseJSON(nil, tc.op, tc.out, "id"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWriteJSON(t *testing.T) {
	w := httptest.NewRecorder()
	if err := WriteError(w, JSON, model.IAM().Operation("GetUser"), &Error{"NoSuchEntity", http.StatusNotFound, `no "a"`}, "id"); err != nil {
		t.Fatal(err)
	}
	const want = `{"Error":{"Code":"NoSuchEntity","Message":"no \"a\"","Type":"Sender"},"RequestId":"id"}` + "\n"
	if w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "application/json" || w.Body.String() != want {
		t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	if got := string(AppendErrorJSON(nil, &Error{"InternalFailure", http.StatusInternalServerError, ""}, "id")); !strings.Contains(got, `"Type":"Receiver"`) || strings.Contains(got, "Message") {
		t.Errorf("got %s", got)
	}
}

// TestEveryOperationInJSON answers with every output, and reads the answer as any
// client of JSON does.
func TestEveryOperationInJSON(t *testing.T) {
	client := newSDK("http://localhost")
	for _, op := range operations() {
		if op.Output == nil {
			continue
		}
		_, outType := client.types(t, op)
		for seed := range uint64(3) {
			out := reflect.New(outType)
			c := outputCodec(op, outType)
			(&generator{t, rand.New(rand.NewPCG(seed, 3)), false}).fill(c, out.Elem())
			var answer map[string]map[string]any
			text := AppendResponseJSON(nil, op, out.Interface(), requestID)
			if err := json.Unmarshal(text, &answer); err != nil {
				t.Fatalf("%s: %v\n%s", op.Name, err, text)
			}
			got := answer[op.Name+"Response"][op.ResultWrapper]
			if diff := cmp.Diff(set(seconds(throughJSON(t, plain(c, out.Elem())))), set(got)); diff != "" {
				t.Errorf("%s: answered and read differ:\n%s", op.Name, diff)
			}
		}
	}
}

// set is a value without what is null or empty.
func set(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if value = set(value); value == nil {
				delete(v, name)
			} else {
				v[name] = value
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = set(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	}
	return v
}

// seconds is a value whose times are numbers.
func seconds(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = seconds(v[name])
		}
	case []any:
		for i := range v {
			v[i] = seconds(v[i])
		}
	case string:
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			return float64(t.Unix())
		}
	}
	return v
}

func TestAppendSeconds(t *testing.T) {
	for seconds, want := range map[int64]string{0: "0.0", 9_999_999: "9999999.0", 10_000_000: "1.0E7", 1_700_000_000: "1.7E9", 1_543_843_222: "1.543843222E9", -5: "-5.0", 253402300799: "2.53402300799E11"} {
		if got := string(appendSeconds(nil, time.Unix(seconds, 0))); got != want {
			t.Errorf("%d: got %s", seconds, got)
		}
	}
}

func TestFormatOf(t *testing.T) {
	for accept, want := range map[string]Format{
		"": XML, "*/*": XML, "text/xml": XML, "text/html, */*": XML,
		"application/json": JSON, "Application/JSON; charset=utf-8": JSON, "application/json, text/plain, */*": JSON,
		"text/xml, application/json": XML, "text/xml;q=0.5, application/json": JSON, "application/json;q=0.4, application/xml;q=0.5": XML,
		"application/json;q=0": XML, "application/json;q=nine": XML, "application/jsonx": XML,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		if got := FormatOf(r); got != want {
			t.Errorf("%q: got %v", accept, got)
		}
	}
}

func FuzzFormatOf(f *testing.F) {
	for _, seed := range []string{"application/json", "text/xml;q=0.5, application/json", ";q=,;;", "application/json;q=NaN"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		r := &http.Request{Header: http.Header{"Accept": {accept}}}
		if FormatOf(r) == JSON && !strings.Contains(strings.ToLower(accept), "application/json") {
			t.Errorf("%q is taken for JSON", accept)
		}
	})
}

func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"", "a\"b\\c", "\x00\x1f\x7f", "\xff\u2028é😀", "</script>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got string
		if err := json.Unmarshal(appendString(nil, text), &got); err != nil || got != string([]rune(text)) {
			t.Errorf("%q is read as %q: %v", text, got, err)
		}
	})
}
