package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/test/cluster"
)

// shared is the cluster that all tests use, each with names of its own.
var shared *cluster.Cluster

func TestMain(m *testing.M) {
	os.Exit(cluster.Main(m, "../..", func(c *cluster.Cluster, _ string) { shared = c }))
}

// key is an access key.
type key struct{ id, secret, token string }

// world is a service before a cluster, for one test.
type world struct {
	t    *testing.T
	root *client.Client
	url  string
	ca   string // of the service, where it serves over TLS
	name string // of the test's users

	mu   sync.Mutex
	seen map[string]bool // what clients said of bodies; guarded by mu
}

// newWorld serves the store for a test, by a principal of its own that asks a replica.
func newWorld(t *testing.T, name string, keys, tls bool) *world {
	t.Helper()
	w := &world{t: t, name: name, seen: map[string]bool{}}
	replica := ""
	for _, n := range shared.Nodes() {
		if n.Role == "replica" {
			replica = n.URL
		}
	}
	var err error
	if w.root, err = shared.Client(shared.Nodes()[0].URL); err != nil {
		t.Fatal(err)
	}
	own := w.user("front", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["writ:Authenticate","writ:GetSigningKey"],"Resource":"*",
		"Condition":{"StringEquals":{"writ:signingService":"s3"}}},{"Effect":"Allow","Action":"writ:Authorize","Resource":"*"}]}`)
	by, err := client.New(client.Config{Endpoint: replica, AccessKeyID: own.id, SecretAccessKey: own.secret})
	if err != nil {
		t.Fatal(err)
	}
	h, err := serve(by, keys)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.seen[r.Header.Get("X-Amz-Content-Sha256")] = true
		w.mu.Unlock()
		h.ServeHTTP(rw, r)
	}))
	if tls {
		s.StartTLS()
		w.ca = filepath.Join(t.TempDir(), "ca.pem")
		w.write(w.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	w.url = s.URL
	return w
}

func (w *world) write(file string, data []byte) {
	w.t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// call calls IAM as the root, and waits until the change is everywhere.
func (w *world) call(action string, pairs ...string) []byte {
	w.t.Helper()
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	r, err := w.root.Query(w.t.Context(), "iam", action, v)
	if err != nil {
		w.t.Fatalf("%s: %v", action, err)
	}
	w.everywhere(r.Token)
	return r.Body
}

// everywhere waits until a write is.
func (w *world) everywhere(token string) {
	w.t.Helper()
	p, err := w.root.Propagation(w.t.Context(), client.Target{Token: token}, client.Scope{}, time.Minute)
	if err != nil || p.State != "everywhere" {
		w.t.Fatalf("everywhere: %+v, %v", p, err)
	}
}

// user makes a user with an access key and a policy.
func (w *world) user(name, document string) key {
	w.t.Helper()
	name = w.name + "-" + name
	w.call("CreateUser", "UserName", name)
	w.call("PutUserPolicy", "UserName", name, "PolicyName", "own", "PolicyDocument", document)
	var made struct {
		Result struct {
			AccessKey struct {
				ID     string `xml:"AccessKeyId"`
				Secret string `xml:"SecretAccessKey"`
			}
		} `xml:"CreateAccessKeyResult"`
	}
	if err := xml.Unmarshal(w.call("CreateAccessKey", "UserName", name), &made); err != nil {
		w.t.Fatal(err)
	}
	return key{id: made.Result.AccessKey.ID, secret: made.Result.AccessKey.Secret}
}

const allS3 = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`

// aws runs the aws CLI with a key, against the service.
func (w *world) aws(k key, args ...string) (string, error) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), awsPath, append([]string{"--endpoint-url", w.url}, args...)...)
	dir := w.t.TempDir()
	cmd.Dir = dir
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); name != "HOME" && !strings.HasPrefix(name, "AWS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+dir, "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "PYTHONWARNINGS=ignore", "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1",
		"AWS_ACCESS_KEY_ID="+k.id, "AWS_SECRET_ACCESS_KEY="+k.secret, "AWS_MAX_ATTEMPTS=1")
	// The CLI presigns for endpoints that it does not know by an older algorithm, unless it is told.
	if err := os.Mkdir(filepath.Join(dir, ".aws"), 0o700); err != nil {
		w.t.Fatal(err)
	}
	w.write(filepath.Join(dir, ".aws", "config"), []byte("[default]\ns3 =\n  signature_version = s3v4\n"))
	if k.token != "" {
		cmd.Env = append(cmd.Env, "AWS_SESSION_TOKEN="+k.token)
	}
	if w.ca != "" {
		cmd.Env = append(cmd.Env, "AWS_CA_BUNDLE="+w.ca)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// ok runs the aws CLI, which must succeed.
func (w *world) ok(k key, args ...string) string {
	w.t.Helper()
	out, err := w.aws(k, args...)
	if err != nil {
		w.t.Fatalf("aws %v: %v\n%s", args, err, out)
	}
	return out
}

// refused runs the aws CLI, which must be refused with a code.
func (w *world) refused(k key, code string, args ...string) {
	w.t.Helper()
	if out, err := w.aws(k, args...); err == nil || !strings.Contains(out, "("+code+")") {
		w.t.Errorf("aws %v: %v, not %s\n%s", args, err, code, out)
	}
}

var awsPath string

// installed skips a test where there is no aws CLI.
func installed(t *testing.T) {
	t.Helper()
	path, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("no aws CLI on this machine")
	}
	awsPath = path
}

// get fetches a URL as curl would.
func (w *world) get(target string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, target, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(answer.Body); err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, b.String()
}

// The aws CLI puts, gets, lists, presigns and uploads in parts; what it signs is verified by a
// replica, request by request. A key that was deleted is refused once that is everywhere.
func TestAWSCLI(t *testing.T) {
	installed(t)
	for _, c := range []struct {
		name string
		tls  bool
	}{{"plain", false}, {"tls", true}} { // over TLS the CLI does not sign bodies, and sends trailing checksums
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "call-"+c.name, false, c.tls)
			alice := w.user("alice", allS3)
			everything(w, alice)
			w.mu.Lock()
			if c.tls != w.seen["STREAMING-UNSIGNED-PAYLOAD-TRAILER"] {
				t.Errorf("the CLI said of bodies: %v", w.seen)
			}
			w.mu.Unlock()
			deleted(w, alice)
		})
	}
}

// everything is what the aws CLI does with objects.
func everything(w *world, alice key) {
	t := w.t
	dir := t.TempDir()
	small, big := filepath.Join(dir, "small"), filepath.Join(dir, "big")
	w.write(small, []byte("hello, world"))
	data := make([]byte, 20<<20)
	rand.Read(data)
	w.write(big, data)
	w.ok(alice, "s3api", "create-bucket", "--bucket", "b", "--create-bucket-configuration", "LocationConstraint=eu-west-1")
	w.ok(alice, "s3api", "put-object", "--bucket", "b", "--key", "a b+c/ä~(1).txt", "--body", small, "--metadata", "x=y  z")
	out := w.ok(alice, "s3api", "get-object", "--bucket", "b", "--key", "a b+c/ä~(1).txt", filepath.Join(dir, "got"))
	if !strings.Contains(out, ":user/"+w.name+"-alice") {
		t.Errorf("the service does not know who put it: %s", out)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "got")); err != nil || string(got) != "hello, world" {
		t.Errorf("got %q, %v", got, err)
	}
	w.ok(alice, "s3", "cp", "--quiet", big, "s3://b/big") // in parts
	if out := w.ok(alice, "s3api", "head-object", "--bucket", "b", "--key", "big"); !strings.Contains(out, `-3\"`) {
		t.Errorf("it did not come in three parts: %s", out)
	}
	w.ok(alice, "s3", "cp", "--quiet", "s3://b/big", filepath.Join(dir, "back"))
	if got, err := os.ReadFile(filepath.Join(dir, "back")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if out := w.ok(alice, "s3", "ls", "s3://b/", "--recursive"); !strings.Contains(out, "20971520 big") || !strings.Contains(out, "a b+c/ä~(1).txt") {
		t.Errorf("listed %s", out)
	}
	wrong := alice
	wrong.secret += "x"
	w.refused(wrong, "SignatureDoesNotMatch", "s3api", "put-object", "--bucket", "b", "--key", "k", "--body", small)
	w.refused(key{id: "AKIANOBODYNOBODY0000", secret: "x"}, "InvalidAccessKeyId", "s3api", "list-objects-v2", "--bucket", "b")
	reader := w.user("reader", strings.ReplaceAll(allS3, "s3:*", "s3:Get*"))
	w.ok(reader, "s3api", "get-object", "--bucket", "b", "--key", "big", "--range", "bytes=0-9", filepath.Join(dir, "ten"))
	w.refused(reader, "AccessDenied", "s3api", "put-object", "--bucket", "b", "--key", "k", "--body", small)
	w.ok(alice, "s3api", "delete-object", "--bucket", "b", "--key", "a b+c/ä~(1).txt")
}

// deleted deletes a key: at once after "everywhere" it is refused, presigned URLs too.
func deleted(w *world, alice key) {
	t := w.t
	presigned := strings.TrimSpace(w.ok(alice, "s3", "presign", "s3://b/big", "--expires-in", "600"))
	if w.ca == "" {
		if status, body := w.get(presigned); status != 200 || len(body) != 20<<20 {
			t.Errorf("presigned: %d, %d bytes", status, len(body))
		}
		if status, body := w.get(presigned + "0"); status != 403 || !strings.Contains(body, "SignatureDoesNotMatch") {
			t.Errorf("another signature: %d %s", status, body)
		}
		short := strings.TrimSpace(w.ok(alice, "s3", "presign", "s3://b/big", "--expires-in", "1"))
		if status, body := w.expired(short); status != 403 || !strings.Contains(body, "Request has expired") {
			t.Errorf("expired: %d %s", status, body)
		}
	}
	w.call("DeleteAccessKey", "UserName", w.name+"-alice", "AccessKeyId", alice.id)
	w.refused(alice, "InvalidAccessKeyId", "s3api", "list-objects-v2", "--bucket", "b")
	if w.ca == "" {
		if status, body := w.get(presigned); status != 403 || !strings.Contains(body, "InvalidAccessKeyId") {
			t.Errorf("presigned, after the deletion: %d %s", status, body)
		}
	}
}

// expired fetches a URL until it is not answered any more.
func (w *world) expired(target string) (status int, body string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		if status, body = w.get(target); status != 200 {
			return status, body
		}
	}
	return status, "still answered"
}

// A session of a role is told as such, and its own policies count; without its token it is nobody.
func TestSession(t *testing.T) {
	installed(t)
	w := newWorld(t, "session", false, false)
	alice := w.user("alice", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}`)
	w.call("CreateRole", "RoleName", "writer", "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/session-alice"},"Action":"sts:AssumeRole"}}`)
	w.call("PutRolePolicy", "RoleName", "writer", "PolicyName", "own", "PolicyDocument", allS3)
	by, err := client.New(client.Config{Endpoint: shared.Nodes()[0].URL, AccessKeyID: alice.id, SecretAccessKey: alice.secret})
	if err != nil {
		t.Fatal(err)
	}
	r, err := by.Query(t.Context(), "sts", "AssumeRole", url.Values{"RoleArn": {"arn:aws:iam::123456789012:role/writer"}, "RoleSessionName": {"one"},
		"Policy": {strings.ReplaceAll(allS3, `"s3:*"`, `["s3:Put*","s3:CreateBucket"]`)}})
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		Result struct {
			Credentials struct {
				ID     string `xml:"AccessKeyId"`
				Secret string `xml:"SecretAccessKey"`
				Token  string `xml:"SessionToken"`
			}
		} `xml:"AssumeRoleResult"`
	}
	if err := xml.Unmarshal(r.Body, &made); err != nil {
		t.Fatal(err)
	}
	k := key{made.Result.Credentials.ID, made.Result.Credentials.Secret, made.Result.Credentials.Token}
	small := filepath.Join(t.TempDir(), "small")
	w.write(small, []byte("hello"))
	w.ok(k, "s3api", "create-bucket", "--bucket", "b")
	w.ok(k, "s3api", "put-object", "--bucket", "b", "--key", "k", "--body", small)
	w.refused(k, "AccessDenied", "s3api", "delete-object", "--bucket", "b", "--key", "k")
	w.refused(key{id: k.id, secret: k.secret}, "InvalidAccessKeyId", "s3api", "put-object", "--bucket", "b", "--key", "k", "--body", small)
}

// A body in chunks, each signed after the one before it: what Java's SDK and others send in the clear.
func TestSignedChunks(t *testing.T) {
	w := newWorld(t, "chunks", false, false)
	alice := w.user("alice", allS3)
	if status, body := w.chunks(alice, "/b", nil, ""); status != 200 {
		t.Fatalf("the bucket: %d %s", status, body)
	}
	data := make([]byte, 200_000)
	rand.Read(data)
	if status, body := w.chunks(alice, "/b/k", data, ""); status != 200 {
		t.Errorf("good chunks: %d %s", status, body)
	}
	if status, body := w.chunks(alice, "/b/k2", data, "third"); status != 403 || !strings.Contains(body, "SignatureDoesNotMatch") {
		t.Errorf("another third chunk: %d %s", status, body)
	}
}

// chunks puts data in chunks of 64 KiB, of which one may be altered after it was signed.
func (w *world) chunks(k key, target string, data []byte, alter string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPut, w.url+target, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(data)))
	now := time.Now().UTC()
	if err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(w.t.Context(), aws.Credentials{AccessKeyID: k.id, SecretAccessKey: k.secret}, r,
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "s3", "eu-west-1", now); err != nil {
		w.t.Fatal(err)
	}
	scope := sigv4.Scope{Date: now.Format("20060102"), Region: "eu-west-1", Service: "s3"}
	signingKey := sigv4.DeriveKey([]byte(k.secret), scope)
	_, last, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	var body bytes.Buffer
	for i, done := 0, false; !done; i++ {
		chunk := data[:min(len(data), 64<<10)]
		data, done = data[len(chunk):], len(chunk) == 0
		empty, sum := sha256.Sum256(nil), sha256.Sum256(chunk)
		mac := signingKey.MAC(fmt.Appendf(nil, "AWS4-HMAC-SHA256-PAYLOAD\n%s\n%s/eu-west-1/s3/aws4_request\n%s\n%x\n%x", now.Format("20060102T150405Z"), scope.Date, last, empty, sum))
		last = hex.EncodeToString(mac[:])
		fmt.Fprintf(&body, "%x;chunk-signature=%s\r\n", len(chunk), last)
		if !done {
			at := body.Len()
			body.Write(chunk)
			if alter == "third" && i == 2 {
				body.Bytes()[at] ^= 1
			}
			body.WriteString("\r\n")
		}
	}
	body.WriteString("\r\n")
	r.Body, r.ContentLength = io.NopCloser(&body), int64(body.Len())
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// By signing keys the same requests are verified without a question each.
func TestAWSCLIByKeys(t *testing.T) {
	installed(t)
	w := newWorld(t, "keys", true, false)
	alice := w.user("alice", allS3)
	dir := t.TempDir()
	small := filepath.Join(dir, "small")
	w.write(small, []byte("hello"))
	w.ok(alice, "s3api", "create-bucket", "--bucket", "b")
	w.ok(alice, "s3api", "put-object", "--bucket", "b", "--key", "k", "--body", small)
	w.ok(alice, "s3api", "get-object", "--bucket", "b", "--key", "k", filepath.Join(dir, "got"))
	wrong := alice
	wrong.secret += "x"
	w.refused(wrong, "SignatureDoesNotMatch", "s3api", "get-object", "--bucket", "b", "--key", "k", filepath.Join(dir, "got"))
	presigned := strings.TrimSpace(w.ok(alice, "s3", "presign", "s3://b/k", "--expires-in", "3600"))
	if status, body := w.get(presigned); status != 200 || body != "hello" {
		t.Errorf("presigned: %d %s", status, body)
	}
	w.call("DeleteAccessKey", "UserName", "keys-alice", "AccessKeyId", alice.id)
	began := time.Now()
	if status, body := w.expired(presigned); status != 403 || !strings.Contains(body, "InvalidAccessKeyId") {
		t.Errorf("%v after the deletion: %d %s", time.Since(began), status, body)
	}
}
