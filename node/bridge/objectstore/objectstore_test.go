package objectstore_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/node/bridge/objectstore"
	"github.com/writ-iam/writ/test/doors"
)

const (
	token   = "0123456789abcdef0123456789abcdef"
	mayAsk  = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"writ:Authorize","Resource":"*"}}`
	mayRead = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"},
		{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b","Condition":{"StringLike":{"s3:prefix":"home/*"}}},
		{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::b/secret"}]}`
)

// world is a node whose door serves both kinds of stores: to whoever shows the token.
type world struct {
	*doors.Pair
	t     *testing.T
	alice aws.Credentials
}

func start(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"minio.yaml": minioMapping, "ceph.yaml": cephMapping, "token": token} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, Pair: doors.Start(t, fmt.Sprintf(`
doors:
- listen: 127.0.0.1:0
  serve: {minio: %[1]s/minio.yaml, ceph: %[1]s/ceph.yaml}
  callers: [{bearer_file: %[1]s/token, asks_as: "arn:aws:iam::123456789012:user/store"}]
`, dir))}
	w.User("store", mayAsk)
	w.User("alice", mayRead)
	out, err := w.IAM.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("alice")})
	if err != nil {
		t.Fatal(err)
	}
	w.alice = aws.Credentials{AccessKeyID: *out.AccessKey.AccessKeyId, SecretAccessKey: *out.AccessKey.SecretAccessKey}
	w.Caught()
	return w
}

// post sends a body as a store does, and returns the status, the answer's body and its header.
func (w *world) post(path string, body []byte, headers ...string) (int, string, http.Header) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://"+w.Door(0)+path, strings.NewReader(string(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.Header.Get("Content-Type") != "application/json" {
		w.t.Errorf("%s: %s %v, %v", path, text, answer.Header, err)
	}
	return answer.StatusCode, string(text), answer.Header
}

// allows reads an answer as the stores do: whatever the status, by the result alone.
func (w *world) allows(text string) bool {
	w.t.Helper()
	var answer struct {
		Result *bool  `json:"result"`
		Reason string `json:"reason"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Result == nil || *answer.Result == (answer.Reason != "") {
		w.t.Errorf("the answer is %s, %v", text, err)
		return false
	}
	return *answer.Result
}

var shows = map[string][]string{objectstore.PathMinIOAccess: {"Authorization", "Bearer " + token}, objectstore.PathCeph: {"X-Auth-Token", token}}

func TestAccess(t *testing.T) {
	t.Parallel()
	w := start(t)
	const m, c = objectstore.PathMinIOAccess, objectstore.PathCeph
	for _, a := range []struct {
		name, path string
		body       []byte
		status     int
		allowed    bool
		why        string
	}{
		{"an object", m, recorded(t, "minio-get-object"), 200, true, ""},
		{"an object for a token's credentials", m, recorded(t, "minio-custom-token"), 200, true, ""},
		{"a list", m, recorded(t, "minio-list-objects"), 200, true, ""},
		{"another list", m, changed(t, "minio-list-objects", "conditions.prefix", []string{"x"}), 200, false, "not authorized to perform: s3:ListBucket"},
		{"a denied object", m, changed(t, "minio-get-object", "object", "secret"), 200, false, "explicit deny"},
		{"a write", m, changed(t, "minio-get-object", "action", "s3:PutObject"), 200, false, "not authorized"},
		{"a principal that is not there", m, recorded(t, "minio-list-bucket"), 200, false, "does not exist"},
		{"an object of Ceph's", c, recorded(t, "ceph-get-object"), 200, true, ""},
		{"a list of Ceph's", c, recorded(t, "ceph-list-bucket"), 200, true, ""},
		{"a write of Ceph's", c, changed(t, "ceph-get-object", "method", "PUT"), 200, false, "s3:PutObject"},
		{"a request of no action", c, changed(t, "ceph-get-object", "method", "PATCH"), 200, false, "no action"},
		{"nothing", m, nil, 400, false, "no such object"},
		{"no JSON", c, []byte("x"), 400, false, "no such object"},
		{"a list instead", m, []byte("[]"), 400, false, "no such object"},
		{"no input", c, []byte("{}"), 400, false, "no input"},
		{"an input that is none", m, []byte(`{"input":"x"}`), 400, false, "is no object"},
		{"an action twice", m, []byte(strings.Replace(string(recorded(t, "minio-get-object")), `"action"`, `"action": "s3:GetObject", "action"`, 1)), 400, false, "twice"},
		{"an account that is none", m, changed(t, "minio-get-object", "account", []string{"alice"}), 400, false, "no text"},
	} {
		status, text, header := w.post(a.path, a.body, shows[a.path]...)
		if status != a.status || w.allows(text) != a.allowed || !strings.Contains(text, a.why) {
			t.Errorf("%s: %d %s; want %d %v %s", a.name, status, text, a.status, a.allowed, a.why)
		}
		if a.allowed && header.Get("X-Writ-Freshness") != "leased" {
			t.Errorf("%s: %v", a.name, header)
		}
	}
	for _, path := range []string{m, c} {
		for _, headers := range [][]string{nil, {"Authorization", "Bearer x" + token}, {"X-Auth-Token", "x" + token}} {
			if status, text, _ := w.post(path, recorded(t, "minio-get-object"), headers...); status != http.StatusForbidden || w.allows(text) {
				t.Errorf("%s by somebody whom the door does not know: %d %s", path, status, text)
			}
		}
	}
	w.Policy("store", strings.Replace(mayAsk, "Allow", "Deny", 1))
	w.Caught()
	if status, text, _ := w.post(m, recorded(t, "minio-get-object"), shows[m]...); status != http.StatusForbidden || w.allows(text) || !strings.Contains(text, "writ:Authorize") {
		t.Errorf("a store that may not ask: %d %s", status, text)
	}
	w.Policy("store", mayAsk)
	w.Caught()
	w.Stop(doors.Writer)
	for path, body := range map[string][]byte{m: recorded(t, "minio-get-object"), c: recorded(t, "ceph-get-object")} {
		w.Until("nothing is allowed where the node is cut off", func(context.Context) error {
			if status, text, _ := w.post(path, body, shows[path]...); status != http.StatusServiceUnavailable || w.allows(text) {
				return fmt.Errorf("%d %s", status, text)
			}
			return nil
		})
	}
	if status, text, _ := w.post(m, changed(t, "minio-get-object", "object", "secret"), shows[m]...); w.allows(text) {
		t.Errorf("what was denied stays so: %d %s", status, text)
	}
}

// presigned is a token for a service.
func presigned(t *testing.T, by aws.Credentials, id string, at time.Time) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://sts.example.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("x-k8s-aws-id", id)
	text, _, err := v4.NewSigner().PresignHTTP(t.Context(), by, r, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "sts", "us-east-1", at)
	if err != nil {
		t.Fatal(err)
	}
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(text))
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	w := start(t)
	ask := func(query string) (int, string) {
		status, text, _ := w.post(objectstore.PathMinIOIdentity+query, nil, shows[objectstore.PathMinIOAccess]...)
		return status, text
	}
	good := "?token=" + url.QueryEscape(presigned(t, w.alice, "store", time.Now()))
	status, text := ask(good)
	var known struct {
		User               string         `json:"user"`
		MaxValiditySeconds int            `json:"maxValiditySeconds"`
		Claims             map[string]any `json:"claims"`
	}
	if err := json.Unmarshal([]byte(text), &known); err != nil || status != http.StatusOK || known.User != w.ARN("user/alice") || known.MaxValiditySeconds != 3600 || known.Claims == nil {
		t.Errorf("alice is %d %s, %v", status, text, err)
	}
	for name, query := range map[string]string{
		"no token": "", "an empty token": "?token=", "two tokens": good + "&token=x", "another parameter": good + "&x=y", "a malformed query": "?token=%zz", "nonsense": "?token=x",
		"another store's": "?token=" + url.QueryEscape(presigned(t, w.alice, "other", time.Now())), "an old one": "?token=" + url.QueryEscape(presigned(t, w.alice, "store", time.Now().Add(-time.Hour))),
		"another secret's": "?token=" + url.QueryEscape(presigned(t, aws.Credentials{AccessKeyID: w.alice.AccessKeyID, SecretAccessKey: "x"}, "store", time.Now())),
	} {
		var answer struct {
			Reason string `json:"reason"`
			User   string `json:"user"`
		}
		status, text := ask(query)
		if err := json.Unmarshal([]byte(text), &answer); err != nil || status != http.StatusForbidden || answer.Reason == "" || answer.User != "" {
			t.Errorf("%s: %d %s, %v", name, status, text, err)
		}
	}
	if status, text, _ := w.post(objectstore.PathMinIOIdentity+good, nil); status != http.StatusForbidden || !strings.Contains(text, `"reason"`) {
		t.Errorf("by somebody whom the door does not know: %d %s", status, text)
	}
	w.Policy("store", strings.Replace(mayAsk, "Allow", "Deny", 1))
	w.Caught()
	if status, text := ask(good); status != http.StatusForbidden || !strings.Contains(text, "writ:Authorize") {
		t.Errorf("a store that may not ask: %d %s", status, text)
	}
	w.Policy("store", mayAsk)
	w.Caught()
	w.Stop(doors.Writer)
	w.Until("tokens are nobody's where the node is cut off", func(context.Context) error {
		if status, text := ask(good); status != http.StatusServiceUnavailable || strings.Contains(text, "user/alice") {
			return fmt.Errorf("%d %s", status, text)
		}
		return nil
	})
}
