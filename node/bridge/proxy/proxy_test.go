package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/node/bridge/proxy"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/federation/issuertest"
	"github.com/writ-iam/writ/test/doors"
)

const (
	mayAsk = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"writ:Authorize","Resource":"*"}}`
	issuer = "https://issuer.test"
)

const mapping = `
tell_reason: true
source_ip: {header: X-Forwarded-For, from_right: 1}
principals:
- header:
    header: X-User
    trusted: ["arn:aws:iam::123456789012:user/edge"]
    principal: "arn:aws:iam::123456789012:user/${value}"
- certificate:
    header: X-Subject
    trusted: ["arn:aws:iam::123456789012:user/edge"]
    principal: "arn:aws:iam::123456789012:user/${cn}"
- bearer:
    issuer: https://issuer.test
    audience: sts.amazonaws.com
    principal: "arn:aws:sts::123456789012:assumed-role/app/${claim.name}"
rules:
- host: any
  path: /inside
  actions: {GET: app:Inside}
  resource: "*"
- host: files.example.com
  path: /{bucket}/{key...}
  actions: {GET: s3:GetObject, PUT: s3:PutObject}
  resource: arn:aws:s3:::${path.bucket}/${path.key}
`

// world is a node whose doors serve the mapping: to edge, whom it trusts, and to other.
type world struct {
	*doors.Pair
	t      *testing.T
	issuer *issuertest.Issuer
}

func start(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/map.yaml", []byte(mapping), 0o600); err != nil {
		t.Fatal(err)
	}
	door := "- listen: %s:0\n  serve: {proxy: " + dir + "/map.yaml}\n  callers: [{anybody: true, asks_as: \"arn:aws:iam::123456789012:user/%s\"}]\n"
	w := &world{Pair: doors.Start(t, "doors:\n"+fmt.Sprintf(door, "127.0.0.1", "edge")+fmt.Sprintf(door, "localhost", "other")), t: t, issuer: issuertest.New(t, issuer)}
	for _, name := range []string{"edge", "other"} {
		w.User(name, mayAsk)
	}
	w.User("alice", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"app:Inside","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}},
		{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"},
		{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}`)
	w.federate()
	w.Caught()
	return w
}

// federate has the cluster trust the issuer, and a role let in who is named bob or carol.
func (w *world) federate() {
	w.t.Helper()
	ctx := w.t.Context()
	_, err := w.IAM.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String(issuer), ClientIDList: []string{issuertest.Audience}, ThumbprintList: []string{w.issuer.Thumbprint}})
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := client.New(client.Config{Endpoint: "http://" + w.Node(doors.Writer).API(), AccessKeyID: w.Root.AccessKeyID, SecretAccessKey: w.Root.SecretAccessKey})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := c.SetProviderKeys(ctx, client.ProviderKeys{Provider: w.ARN("oidc-provider/issuer.test"), Keys: w.issuer.KeySet()}); err != nil {
		w.t.Fatal(err)
	}
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"` + w.ARN("oidc-provider/issuer.test") + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"issuer.test:name":["bob","carol"]}}}}`
	if _, err := w.IAM.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("app"), AssumeRolePolicyDocument: &trust}); err != nil {
		w.t.Fatal(err)
	}
	own := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringLike":{"aws:userid":"*:carol"}}}]}`
	if _, err := w.IAM.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String("app"), PolicyName: aws.String("own"), PolicyDocument: &own}); err != nil {
		w.t.Fatal(err)
	}
}

// token is one of the issuer's.
func (w *world) token(claims map[string]any) string {
	return "Bearer " + w.issuer.Token(claims)
}

// ask asks at a door as proxies do that tell of a request by headers.
func (w *world) ask(ctx context.Context, door int, method, host, target string, headers ...string) (*http.Response, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.Door(door)+proxy.PathAuth, nil)
	if err != nil {
		return nil, "", err
	}
	for name, value := range map[string]string{"X-Forwarded-Method": method, "X-Forwarded-Host": host, "X-Forwarded-Uri": target, "X-Forwarded-Proto": "https"} {
		if value != "" {
			r.Header[name] = []string{value}
		}
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return do(r)
}

func do(r *http.Request) (*http.Response, string, error) {
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := c.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer, string(body), err
}

func TestForwardAuth(t *testing.T) {
	t.Parallel()
	w := start(t)
	const host, file = "files.example.com", "/b/k"
	bob := w.token(map[string]any{"name": "bob"})
	for _, c := range []struct {
		name                 string
		door                 int
		method, host, target string
		headers              []string
		status               int
		want                 string // the principal, or a part of the reason
	}{
		{"allowed", 0, "GET", host, file, []string{"X-User", "alice"}, 200, w.ARN("user/alice")},
		{"by a certificate", 0, "GET", host, file, []string{"X-Subject", "CN=alice,O=Example"}, 200, w.ARN("user/alice")},
		{"by a token", 0, "GET", host, file, []string{"Authorization", bob}, 200, "arn:aws:sts::123456789012:assumed-role/app/bob"},
		{"a token at a proxy that is trusted for no header", 1, "GET", host, file, []string{"Authorization", bob}, 200, "arn:aws:sts::123456789012:assumed-role/app/bob"},
		{"over TLS alone", 0, "PUT", host, file, []string{"X-User", "alice"}, 200, w.ARN("user/alice")},
		{"from inside", 0, "GET", host, "/inside", []string{"X-User", "alice", "X-Forwarded-For", "1.2.3.4, 10.1.2.3"}, 200, w.ARN("user/alice")},
		{"from outside", 0, "GET", host, "/inside", []string{"X-User", "alice", "X-Forwarded-For", "10.1.2.3, 1.2.3.4"}, 403, "not authorized"},
		{"from nowhere", 0, "GET", host, "/inside", []string{"X-User", "alice"}, 403, "not authorized"},
		{"what the policy does not allow", 0, "GET", host, "/c/k", []string{"X-User", "alice"}, 403, "not authorized to perform: s3:GetObject"},
		{"by a policy of the session's name", 0, "GET", host, file, []string{"Authorization", w.token(map[string]any{"name": "carol"})}, 403, "explicit deny"},
		{"a token that the trust policy does not let in", 0, "GET", host, file, []string{"Authorization", w.token(map[string]any{"name": "mallory"})}, 403, "sts:AssumeRoleWithWebIdentity"},
		{"a token without the claim", 0, "GET", host, file, []string{"Authorization", w.token(nil)}, 403, "name"},
		{"a token with a name that leads elsewhere", 0, "GET", host, file, []string{"Authorization", w.token(map[string]any{"name": "bob/../x"})}, 403, "name"},
		{"a token with tags", 0, "GET", host, file, []string{"Authorization", w.token(map[string]any{"name": "bob", "https://aws.amazon.com/source_identity": "bob"})}, 403, "session tags"},
		{"a token for others", 0, "GET", host, file, []string{"Authorization", w.token(map[string]any{"name": "bob", "aud": "others"})}, 401, "token"},
		{"an old token", 0, "GET", host, file, []string{"Authorization", w.token(map[string]any{"name": "bob", "exp": time.Now().Add(-time.Hour).Unix()})}, 401, "token"},
		{"a forged token", 0, "GET", host, file, []string{"Authorization", bob[:len(bob)-8] + "AAAAAAAA"}, 401, "token"},
		{"a token of another issuer", 0, "GET", host, file, []string{"Authorization", w.token(map[string]any{"name": "bob", "iss": "https://other.test"})}, 401, "token"},
		{"no token", 0, "GET", host, file, []string{"Authorization", "Bearer x"}, 401, "token"},
		{"a password", 0, "GET", host, file, []string{"Authorization", "Basic YTpi"}, 401, "nothing"},
		{"nobody", 0, "GET", host, file, nil, 401, "nothing"},
		{"nobody, empty", 0, "GET", host, file, []string{"X-User", ""}, 401, "nothing"},
		{"two", 0, "GET", host, file, []string{"X-User", "alice", "Authorization", bob}, 403, "more than one"},
		{"one twice", 0, "GET", host, file, []string{"X-User", "alice", "X-User", "alice"}, 403, "twice"},
		{"two joined", 0, "GET", host, file, []string{"X-User", "alice,bob"}, 403, "name"},
		{"a path for a name", 0, "GET", host, file, []string{"X-User", "x/alice"}, 403, "name"},
		{"a user who is not there", 0, "GET", host, file, []string{"X-User", "zed"}, 403, "does not exist"},
		{"a subject of two names", 0, "GET", host, file, []string{"X-Subject", "CN=alice,CN=edge"}, 403, "name"},
		{"a proxy that is not trusted", 1, "GET", host, file, []string{"X-User", "alice"}, 403, "not trusted"},
		{"another host", 0, "GET", "other.example.com", file, []string{"X-User", "alice"}, 403, "no rule"},
		{"another method", 0, "DELETE", host, file, []string{"X-User", "alice"}, 403, "no rule"},
		{"with a query", 0, "GET", host, file + "?acl", []string{"X-User", "alice"}, 403, "no rule"},
		{"up and down", 0, "GET", host, "/c/../b/k", []string{"X-User", "alice"}, 403, "dots"},
		{"encoded", 0, "GET", host, "/b%2Fk", []string{"X-User", "alice"}, 403, "encoded"},
		{"two slashes", 0, "GET", host, "//b/k", []string{"X-User", "alice"}, 403, "empty part"},
		{"without a path", 0, "GET", host, "", []string{"X-User", "alice"}, 403, "X-Forwarded-Uri"},
		{"without a method", 0, "", host, file, []string{"X-User", "alice"}, 403, "X-Forwarded-Method"},
		{"a second path", 0, "GET", host, file, []string{"X-User", "alice", "X-Forwarded-Uri", "/c/k"}, 403, "X-Forwarded-Uri"},
		{"another scheme", 0, "GET", host, file, []string{"X-User", "alice", "X-Forwarded-Proto", "http"}, 403, "X-Forwarded-Proto"},
	} {
		answer, body, err := w.ask(t.Context(), c.door, c.method, c.host, c.target, c.headers...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		told := answer.Header.Get(proxy.HeaderPrincipal) + answer.Header.Get(proxy.HeaderReason)
		if answer.StatusCode != c.status || !strings.Contains(told, c.want) {
			t.Errorf("%s: %d %s; want %d %s", c.name, answer.StatusCode, told, c.status, c.want)
		}
		if want := map[int]string{200: "", 401: "Unauthorized\n", 403: "Forbidden\n"}[answer.StatusCode]; body != want {
			t.Errorf("%s: the body is %q", c.name, body)
		}
		if challenge := answer.Header.Get("Www-Authenticate"); (challenge == "Bearer") != (c.status == 401) {
			t.Errorf("%s: the challenge is %q", c.name, challenge)
		}
		if c.status == 200 && answer.Header.Get("X-Writ-Freshness") != "leased" {
			t.Errorf("%s: %v", c.name, answer.Header)
		}
	}
	// What a proxy hands on from its clients says nothing of how fresh an answer must be.
	answer, _, err := w.ask(t.Context(), 0, "GET", host, file, "X-User", "alice", "X-Writ-Consistency", "strict", "X-Writ-At-Least", "x")
	if err != nil || answer.StatusCode != http.StatusOK || answer.Header.Get("X-Writ-Freshness") != "leased" {
		t.Errorf("with a stranger's wishes: %v, %v", answer, err)
	}
	w.envoy(host)
	w.rightToAsk(host, file)
	w.cutOff(host, file)
}

// envoy asks with the request's own path below a prefix.
func (w *world) envoy(host string) {
	w.t.Helper()
	for target, want := range map[string]int{
		"/b/k": 200, "/c/k": 403, "/b/k?acl=1&acl=2": 403, "/inside": 403, "/": 403, "": 403,
		"//b/k": 400, "/../auth": 400, "/b/%2e%2e/b/k": 400, "/b/k/": 403, "/b%2Fk": 403,
	} {
		r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.Door(0)+proxy.PrefixEnvoy+target, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		r.Host = host
		for name, value := range map[string]string{"X-User": "alice", "X-Forwarded-Method": "GET", "X-Forwarded-Host": host, "X-Forwarded-Uri": "/b/k", "X-Forwarded-Proto": "https"} {
			r.Header.Set(name, value) // a stranger's: they say nothing here but the scheme
		}
		answer, _, err := do(r)
		if err != nil || answer.StatusCode != want {
			w.t.Errorf("below the prefix, %s: %v, %v; want %d", target, answer, err, want)
		}
	}
}

// rightToAsk takes from the proxy what it may.
func (w *world) rightToAsk(host, file string) {
	w.t.Helper()
	w.Policy("edge", strings.Replace(mayAsk, "Allow", "Deny", 1))
	w.Caught()
	answer, _, err := w.ask(w.t.Context(), 0, "GET", host, file, "X-User", "alice")
	if err != nil || answer.StatusCode != http.StatusForbidden || !strings.Contains(answer.Header.Get(proxy.HeaderReason), "writ:Authorize") {
		w.t.Errorf("a proxy that may not ask: %v, %v", answer, err)
	}
	w.Policy("edge", mayAsk)
	w.Caught()
}

// cutOff stops the writer: what was allowed is 503 from the end of the lease on, and what was denied stays so.
func (w *world) cutOff(host, file string) {
	w.t.Helper()
	w.Stop(doors.Writer)
	w.Until("the replica knows its answers no more to be fresh", func(ctx context.Context) error {
		answer, _, err := w.ask(ctx, 0, "GET", host, file, "X-User", "alice")
		if err == nil && answer.StatusCode != http.StatusServiceUnavailable {
			err = fmt.Errorf("it is %d", answer.StatusCode)
		}
		return err
	})
	answer, body, err := w.ask(w.t.Context(), 0, "GET", host, file, "X-User", "alice")
	if err != nil || answer.StatusCode != http.StatusServiceUnavailable || body != "Service Unavailable\n" || answer.Header.Get(proxy.HeaderReason) == "" {
		w.t.Errorf("cut off: %v %q, %v", answer, body, err)
	}
	w.t.Logf("cut off: %v", answer.Header)
}
