package fault_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/model"
	"github.com/writ-iam/writ/node/api/query"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/sigv4"
)

// TestTable goes over all codes: each has a name and a status in both dialects, those of
// AWS's have the status of its models, and those that ask for another try say so.
func TestTable(t *testing.T) {
	for c := range fault.Codes {
		f := fault.New(c, "A detail.", "")
		for dialect, a := range map[string]fault.Answer{"native": f.Native(), "AWS": f.AWS()} {
			if a.Code == "" || http.StatusText(a.Status) == "" || a.Status < http.StatusBadRequest || a.Detail == "" {
				t.Errorf("code %d, %s: %+v", c, dialect, a)
			}
			if (a.Status == http.StatusServiceUnavailable) != f.Retry() {
				t.Errorf("%s, %s: status %d, but another try may help: %v", c, dialect, a.Status, f.Retry())
			}
		}
		if a := f.AWS(); a.Hint != "" {
			t.Errorf("%s: AWS's dialect has no room for the hint %q", c, a.Hint)
		}
		if n := f.Native(); n.Detail != "A detail." {
			t.Errorf("%s: the native dialect tells %q", c, n.Detail)
		}
		for _, s := range []*model.Service{model.IAM(), model.STS()} {
			if status, ok := s.Status(f.AWS().Code); ok && status != f.AWS().Status {
				t.Errorf("%s: the status is %d, by the model of %s %d", f.AWS().Code, f.AWS().Status, s.Name, status)
			}
		}
		rec := httptest.NewRecorder()
		fault.WriteProblem(rec, "id", f)
		if after := rec.Header().Get("Retry-After"); (after == fault.RetryAfter) != f.Retry() || rec.Code != f.Native().Status {
			t.Errorf("%s: status %d, Retry-After %q", c, rec.Code, after)
		}
	}
}

// TestNamed looks for every code that other packages name.
func TestNamed(t *testing.T) {
	total := 0
	for _, dir := range []string{"../../log/identity", "../sigv4", "../api/query", "../api/iam", "../api/sts"} {
		for _, name := range namedIn(t, dir) {
			total++
			f := fault.Of(&saying{name})
			if f.Code() == fault.InternalFailure || f.Native().Code != name || f.AWS().Code != name || f.Native().Status != f.AWS().Status {
				t.Errorf("%s names %s, which the table has as %v and %v", dir, name, f.Native(), f.AWS())
			}
		}
	}
	if total < 25 {
		t.Errorf("only %d names were found", total)
	}
	for _, name := range []string{"NoSuchCode", "", "Noticed"} {
		if f := fault.Of(&saying{name}); f.Code() != fault.InternalFailure || strings.Contains(f.Native().Detail+f.AWS().Detail, "a secret") {
			t.Errorf("%q is answered as %v", name, f.Native())
		}
	}
}

// saying is a worded error of any code.
type saying struct{ code string }

func (s *saying) Error() string           { return s.code }
func (s *saying) Words() (string, string) { return s.code, "a secret" }

// namedIn lists the codes that a package names: in its constants of codes, and in its errors.
func namedIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	add := func(e ast.Expr) {
		if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
			text, err := strconv.Unquote(l.Value)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, text)
		}
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				kind, _ := n.Type.(*ast.Ident)
				if name := n.Names[0].Name; kind != nil && kind.Name == "Code" || n.Type == nil && (strings.HasPrefix(name, "code") || strings.HasPrefix(name, "Code")) {
					for _, v := range n.Values {
						add(v)
					}
				}
			case *ast.CompositeLit:
				if kind, ok := n.Type.(*ast.Ident); ok && kind.Name == "Error" && len(n.Elts) == 3 {
					add(n.Elts[0])
				}
			}
			return true
		})
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// TestOf says what errors are to callers.
func TestOf(t *testing.T) {
	denied := fault.New(fault.Denied, "No.", "")
	for _, c := range []struct {
		err         error
		native, aws fault.Answer
	}{
		{errors.New("a secret"), fault.Answer{"InternalFailure", 500, "The request failed inside Writ.", "The node's log says why under this request's id."},
			fault.Answer{"InternalFailure", 500, "The request failed inside Writ; its log says why under this request's id.", ""}},
		{fmt.Errorf("look: %w", denied), fault.Answer{"AccessDenied", 403, "No.", "Attach a policy that allows the action to the caller."}, fault.Answer{"AccessDenied", 403, "No.", ""}},
		{fault.Later("The node is behind.", denied), fault.Answer{"Unavailable", 503, "The node is behind.", "Try again."}, fault.Answer{"ServiceUnavailable", 503, "The node is behind. Try again.", ""}},
		{fmt.Errorf("wait: %w", context.Canceled), fault.Answer{"Unavailable", 503, "The request was not served in time.", "Try again."},
			fault.Answer{"ServiceUnavailable", 503, "The request was not served in time. Try again.", ""}},
		{&identity.Refusal{Code: identity.NoSuchEntity, Message: "It is gone."}, fault.Answer{"NoSuchEntity", 404, "It is gone.", "`writ replica list` shows the replicas, `writ writer list` the writers, `writ account list` the accounts."},
			fault.Answer{"NoSuchEntity", 404, "It is gone.", ""}},
		{&identity.Refusal{Code: identity.LimitExceeded, Message: "Too many."}, fault.Answer{"LimitExceeded", 409, "Too many.", "`writ replica list` shows the replicas, `writ writer list` the writers, `writ account list` the accounts."},
			fault.Answer{"LimitExceeded", 409, "Too many.", ""}},
		{fmt.Errorf("x: %w", sigv4.ErrInvalidClientTokenID), fault.Answer{"InvalidClientTokenId", 403, sigv4.ErrInvalidClientTokenID.Message, fault.HintSign},
			fault.Answer{"InvalidClientTokenId", 403, sigv4.ErrInvalidClientTokenID.Message, ""}},
		{&iam.Error{Code: "MalformedPolicyDocument", Message: "m"}, fault.Answer{"MalformedPolicyDocument", 400, "m", ""}, fault.Answer{"MalformedPolicyDocument", 400, "m", ""}},
		{&query.Error{Code: "MalformedQueryString", Status: 404, Message: "m"}, fault.Answer{"MalformedQueryString", 404, "m", ""}, fault.Answer{"MalformedQueryString", 404, "m", ""}},
		{fault.New(fault.ChangeTooLarge, "so large", ""), fault.Answer{"RequestEntityTooLarge", 413, "so large", "Split the request."},
			fault.Answer{"LimitExceeded", 409, "The request makes a change that is larger than the log takes.", ""}},
		{fault.New(fault.BodyTooLarge, "", ""), fault.Answer{"RequestEntityTooLarge", 413, fmt.Sprintf("the body is longer than %d bytes", query.MaxBody), "Split the request."},
			fault.Answer{"RequestEntityTooLarge", 413, fmt.Sprintf("Request size exceeded the limit of %d bytes", query.MaxBody), ""}},
		{fault.New(fault.OutcomeUnknown, "", "").Because(denied), fault.Answer{"OutcomeUnknown", 503, "The leader was lost while the request was under way: it may or may not take effect.",
			"Send it again with the same amz-sdk-invocation-id: it takes effect at most once."},
			fault.Answer{"OutcomeUnknown", 503, "The leader was lost while the request was under way: it may or may not take effect. " +
				"Sent again with the same amz-sdk-invocation-id, it takes effect at most once.", ""}},
		{fault.New(fault.TookEffect, "It did.", "").Because(denied), fault.Answer{"OutcomeUnknown", 503, "It did.", "Nothing is left to do for this request."}, fault.Answer{"OutcomeUnknown", 503, "It did.", ""}},
		{fault.BadRequest("Send one.", "There are %d.", 2).About("Question 3"), fault.Answer{"InvalidRequest", 400, "Question 3: There are 2.", "Send one."},
			fault.Answer{"InvalidRequest", 400, "Question 3: There are 2.", ""}},
	} {
		if f := fault.Of(c.err); f.Native() != c.native || f.AWS() != c.aws {
			t.Errorf("%v is\n%+v and\n%+v, not\n%+v and\n%+v", c.err, f.Native(), f.AWS(), c.native, c.aws)
		}
	}
}

// TestStatuses holds the statuses that other packages put on their errors against the table.
func TestStatuses(t *testing.T) {
	holds := func(e error, code string, status int, message string) {
		t.Helper()
		if a := fault.Of(e).AWS(); a.Status != status || a.Code != code || a.Detail != message {
			t.Errorf("%v, of status %d, is answered as %v", e, status, a)
		}
	}
	for _, e := range []*sigv4.Error{sigv4.ErrMissingAuthenticationToken, sigv4.ErrInvalidClientTokenID, sigv4.ErrSignatureDoesNotMatch} {
		holds(e, e.Code, e.Status, e.Message)
	}
	for _, target := range []string{"/?%zz", "/", "/?Action=No&Version=2010-05-08", "/?Action=GetUser&Version=2010-05-08&UserName=" + strings.Repeat("x", 200)} {
		f, err := query.ParseRequest(httptest.NewRequest(http.MethodGet, target, nil), nil)
		var op *model.Operation
		if err == nil {
			op, err = f.Operation()
		}
		if err == nil {
			err = query.Decode(op, f, new(sdk.GetUserInput))
		}
		var e *query.Error
		if !errors.As(err, &e) {
			t.Errorf("%.50s: %v", target, err)
			continue
		}
		holds(e, e.Code, e.Status, e.Message)
	}
}
