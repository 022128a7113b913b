package query

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/writ-iam/writ/node/api/model"
)

const requestID = "7a62c49f-347e-4fc4-9331-6e8eEXAMPLE"

// sdk calls any operation with the SDK's real client.
type sdk struct {
	iam *iam.Client
	sts *sts.Client
}

func newSDK(endpoint string) *sdk {
	config := aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		HTTPClient:   wholeAnswers{},
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
	return &sdk{iam: iam.NewFromConfig(config), sts: sts.NewFromConfig(config)}
}

// wholeAnswers reads answers to their end before the SDK gets them. The SDK closes
// the request's body as soon as it has the answer's header; where net/http has not
// quite done with that body it then breaks the connection off, in the middle of a
// long answer.
type wholeAnswers struct{}

// Do sends a request.
func (wholeAnswers) Do(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, err
}

func (s *sdk) method(op *model.Operation) reflect.Value {
	if op.Service == model.IAM() {
		return reflect.ValueOf(s.iam).MethodByName(op.Name)
	}
	return reflect.ValueOf(s.sts).MethodByName(op.Name)
}

// types returns the SDK's input and output struct types of an operation.
func (s *sdk) types(t testing.TB, op *model.Operation) (in, out reflect.Type) {
	t.Helper()
	m := s.method(op)
	if !m.IsValid() {
		t.Fatalf("the SDK has no %s", op.Name)
	}
	return m.Type().In(1).Elem(), m.Type().Out(0).Elem()
}

func (s *sdk) call(op *model.Operation, in reflect.Value) (out any, err error) {
	results := s.method(op).Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
	err, _ = results[1].Interface().(error)
	return results[0].Interface(), err
}

func operations() []*model.Operation {
	return append(append([]*model.Operation(nil), model.IAM().Operations()...), model.STS().Operations()...)
}

var ignoreUnsent = cmp.Options{
	cmpopts.EquateEmpty(),
	cmpopts.IgnoreTypes(middleware.Metadata{}),
	cmp.Exporter(func(reflect.Type) bool { return true }),
}

// TestEveryOperationWithTheSDK sends random valid inputs of every operation with
// the SDK's client, answers with random outputs, and finds both unchanged at the
// other end.
func TestEveryOperationWithTheSDK(t *testing.T) {
	var answer func(w http.ResponseWriter, r *http.Request)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer server.Close()
	client := newSDK(server.URL)
	for _, op := range operations() {
		t.Run(op.Service.Name+"/"+op.Name, func(t *testing.T) {
			inType, outType := client.types(t, op)
			for seed := range uint64(8) {
				rng := rand.New(rand.NewPCG(seed, 1))
				in, out := reflect.New(inType), reflect.New(outType)
				if op.Input != nil {
					(&generator{t, rng, true}).fill(inputCodec(op, inType), in.Elem())
				}
				if op.Output != nil {
					(&generator{t, rng, false}).fill(outputCodec(op, outType), out.Elem())
				}
				got := reflect.New(inType).Interface()
				answer = func(w http.ResponseWriter, r *http.Request) {
					found, err := decodeRequest(r, got)
					if err != nil {
						t.Errorf("seed %d: %v", seed, err)
					}
					if found != op {
						t.Errorf("seed %d: taken for another operation", seed)
					}
					if err := WriteResponse(w, XML, op, out.Interface(), requestID, nil); err != nil {
						t.Error(err)
					}
				}
				answered, err := client.call(op, in)
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if diff := cmp.Diff(in.Interface(), got, ignoreUnsent); diff != "" {
					t.Fatalf("seed %d: sent and decoded differ:\n%s", seed, diff)
				}
				if diff := cmp.Diff(out.Interface(), answered, ignoreUnsent); diff != "" {
					t.Fatalf("seed %d: answered and received differ:\n%s", seed, diff)
				}
			}
		})
	}
}

func decodeRequest(r *http.Request, in any) (*model.Operation, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := ParseRequest(r, body)
	if err != nil {
		return nil, err
	}
	op, err := form.Operation()
	if err != nil {
		return nil, err
	}
	return op, Decode(op, form, in)
}

// TestModelsFitSDK finds what the SDK's structs have and the models do not: such
// members would be passed over in requests.
func TestModelsFitSDK(t *testing.T) {
	client := newSDK("http://localhost")
	extra := map[string]bool{}
	var walk func(c *codec)
	walk = func(c *codec) {
		for _, next := range []*codec{c.elem, c.key} {
			if next != nil {
				walk(next)
			}
		}
		for i := range c.variants {
			walk(c.variants[i].value)
		}
		if c.shape.Kind != model.Structure || c.shape.Union {
			return
		}
		known := map[string]bool{"ResultMetadata": true, "noSmithyDocumentSerde": true}
		for _, f := range c.fields {
			known[c.goType.Field(f.index).Name] = true
			walk(f.codec)
		}
		for i := range c.goType.NumField() {
			if name := c.goType.Field(i).Name; !known[name] {
				extra[c.goType.Name()+"."+name] = true
			}
		}
	}
	for _, op := range operations() {
		in, out := client.types(t, op)
		if op.Input != nil {
			walk(inputCodec(op, in))
		}
		if op.Output != nil {
			walk(outputCodec(op, out))
		}
	}
	// The SDK is a little newer than the models.
	want := map[string]bool{
		"Role.SourceRoleTemplate": true,
	}
	for _, name := range []string{"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot",
		"GetFederationToken", "GetSessionToken"} {
		want[name+"Input.MinimumSessionTokenSize"] = true
		want[name+"Output.SessionTokenSize"] = true
		want[name+"Output.SessionTokenUtilization"] = true
	}
	if diff := cmp.Diff(want, extra); diff != "" {
		t.Errorf("members without a model:\n%s", diff)
	}
}

func TestErrorsWithTheSDK(t *testing.T) {
	var e *Error
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := WriteError(w, XML, model.IAM().Operation("GetUser"), e, requestID); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	client := newSDK(server.URL)
	get := func() error {
		_, err := client.iam.GetUser(context.Background(), &iam.GetUserInput{UserName: aws.String("a")})
		return err
	}

	e = &Error{"NoSuchEntity", 404, "The user with name <a> & \"b\" cannot be found."}
	var missing *iamtypes.NoSuchEntityException
	if err := get(); !errors.As(err, &missing) || missing.ErrorMessage() != e.Message {
		t.Errorf("got %v", err)
	}
	e = &Error{"AccessDenied", 403, "User: x is not authorized"}
	var api smithy.APIError
	if err := get(); !errors.As(err, &api) || api.ErrorCode() != e.Code || api.ErrorMessage() != e.Message {
		t.Errorf("got %v", err)
	}
	var withID interface{ ServiceRequestID() string }
	if err := get(); !errors.As(err, &withID) || withID.ServiceRequestID() != requestID {
		t.Errorf("got %v", err)
	}
}
