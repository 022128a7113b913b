package kubernetes_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/writ-iam/writ/node/bridge/kubernetes"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/federation/issuertest"
	"github.com/writ-iam/writ/test/doors"
)

const (
	mayAsk  = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"writ:Authorize","Resource":"*"}}`
	issuer  = "https://issuer.test"
	emptied = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of nothing
)

const mapping = `
tokens:
  presigned:
    id: prod
    endpoints: [https://sts.example.com]
  web_identity:
  - issuer: https://issuer.test
    audience: sts.amazonaws.com
    principal: "arn:aws:sts::123456789012:assumed-role/deployer/${claim.name}"
users:
- principal: "arn:aws:iam::123456789012:user/${name}"
  username: "writ:${name}"
- principal: "arn:aws:sts::123456789012:assumed-role/${role}/${session}"
  username: "writ:role:${role}:${session}"
  groups: [sessions]
groups:
  iam: {prefix: "iam:"}
  tag: {key: kubernetes-groups, prefix: ""}
  system: ["system:masters"]
access:
  resource: arn:aws:kubernetes:::cluster/prod
  actions: {impersonate: "kubernetes:ActAs"}
`

// world is a node whose door serves the mapping to the API server, as gatekeeper.
type world struct {
	*doors.Pair
	t      *testing.T
	issuer *issuertest.Issuer
	alice  aws.Credentials
}

func start(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	path := dir + "/map.yaml"
	write(t, path, mapping)
	write(t, dir+"/deny.yaml", strings.Replace(mapping, "  actions:", "  unsure: deny\n  actions:", 1))
	door := "- listen: %s:0\n  serve: {kubernetes: " + dir + "/%s.yaml}\n  callers: [{anybody: true, asks_as: \"arn:aws:iam::123456789012:user/%s\"}]\n"
	w := &world{t: t, Pair: doors.Start(t, "doors:\n"+fmt.Sprintf(door, "127.0.0.1", "map", "gatekeeper")+fmt.Sprintf(door, "localhost", "map", "nobody")+fmt.Sprintf(door, "127.0.0.2", "deny", "gatekeeper"))}
	w.User("gatekeeper", mayAsk)
	w.User("nobody", "")
	w.User("alice", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"kubernetes:get","Resource":"arn:aws:kubernetes:::cluster/prod/namespace/dev/core/pods/*"},
		{"Effect":"Allow","Action":"kubernetes:*","Resource":"arn:aws:kubernetes:::cluster/prod/path/healthz"},
		{"Effect":"Allow","Action":"kubernetes:ActAs","Resource":"*","Condition":{"StringEquals":{"kubernetes:name":"bob"},"ForAnyValue:StringEquals":{"kubernetes:group":"iam:devs"}}},
		{"Effect":"Allow","Action":"sts:*","Resource":"*"},
		{"Effect":"Deny","Action":"kubernetes:*","Resource":"arn:aws:kubernetes:::cluster/prod/namespace/kube-system/*"}]}`)
	w.alice = w.key("alice")
	w.must(w.IAM.CreateGroup(t.Context(), &iam.CreateGroupInput{GroupName: aws.String("devs")}))
	w.must(w.IAM.AddUserToGroup(t.Context(), &iam.AddUserToGroupInput{GroupName: aws.String("devs"), UserName: aws.String("alice")}))
	w.tag("alice", "ops system:masters")
	w.federate()
	w.Caught()
	return w
}

func (w *world) must(_ any, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tag(user, groups string) {
	w.t.Helper()
	w.must(w.IAM.TagUser(w.t.Context(), &iam.TagUserInput{UserName: &user, Tags: []iamtypes.Tag{{Key: aws.String("Kubernetes-Groups"), Value: &groups}}}))
}

func (w *world) key(user string) aws.Credentials {
	w.t.Helper()
	out, err := w.IAM.CreateAccessKey(w.t.Context(), &iam.CreateAccessKeyInput{UserName: &user})
	if err != nil {
		w.t.Fatal(err)
	}
	return aws.Credentials{AccessKeyID: *out.AccessKey.AccessKeyId, SecretAccessKey: *out.AccessKey.SecretAccessKey}
}

// federate makes the role deployer, which alice may assume and web identities named bob.
func (w *world) federate() {
	w.t.Helper()
	ctx := w.t.Context()
	w.issuer = issuertest.New(w.t, issuer)
	w.must(w.IAM.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String(issuer), ClientIDList: []string{issuertest.Audience}, ThumbprintList: []string{w.issuer.Thumbprint}}))
	c, err := client.New(client.Config{Endpoint: "http://" + w.Node(doors.Writer).API(), AccessKeyID: w.Root.AccessKeyID, SecretAccessKey: w.Root.SecretAccessKey})
	if err != nil {
		w.t.Fatal(err)
	}
	w.must(c.SetProviderKeys(ctx, client.ProviderKeys{Provider: w.ARN("oidc-provider/issuer.test"), Keys: w.issuer.KeySet()}))
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + w.ARN("user/alice") + `"},"Action":["sts:AssumeRole","sts:TagSession"]},
		{"Effect":"Allow","Principal":{"Federated":"` + w.ARN("oidc-provider/issuer.test") + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"issuer.test:name":"bob"}}}]}`
	w.must(w.IAM.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("deployer"), AssumeRolePolicyDocument: &trust}))
	w.must(w.IAM.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String("deployer"), PolicyName: aws.String("own"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kubernetes:create","Resource":"arn:aws:kubernetes:::cluster/prod/namespace/dev/apps/deployments/"}}`)}))
}

// session is alice's of the role.
func (w *world) session(in *sts.AssumeRoleInput) aws.Credentials {
	w.t.Helper()
	in.RoleArn, in.RoleSessionName = aws.String(w.ARN("role/deployer")), aws.String("ci")
	c := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://" + w.Node(doors.Writer).API()), Credentials: credentials.StaticCredentialsProvider{Value: w.alice}})
	out, err := c.AssumeRole(w.t.Context(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return aws.Credentials{AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey, SessionToken: *out.Credentials.SessionToken}
}

// presigned is the URL that AWS's SDK signs as aws-iam-authenticator has it do.
func presigned(t testing.TB, by aws.Credentials, base, id string, at time.Time) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base, nil)
	if err != nil {
		t.Fatal(err)
	}
	if id != "" {
		r.Header.Set("x-k8s-aws-id", id)
	}
	text, _, err := v4.NewSigner().PresignHTTP(t.Context(), by, r, emptied, "sts", "us-east-1", at)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const call = "https://sts.example.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60"

func encode(text string) string {
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(text))
}

func (w *world) token(by aws.Credentials) string {
	w.t.Helper()
	return encode(presigned(w.t, by, call, "prod", time.Now()))
}

// post sends a review, and decodes the answer as strictly as there is.
func post[T any](ctx context.Context, w *world, door int, path string, body any) (status int, answer T, header http.Header, err error) {
	text, is := body.(string)
	if !is {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, answer, nil, err
		}
		text = string(b)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.Door(door)+path, strings.NewReader(text))
	if err != nil {
		return 0, answer, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	out, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, answer, nil, err
	}
	defer out.Body.Close()
	told, err := io.ReadAll(out.Body)
	if err != nil {
		return 0, answer, nil, err
	}
	d := json.NewDecoder(bytes.NewReader(told))
	d.DisallowUnknownFields()
	return out.StatusCode, answer, out.Header, d.Decode(&answer)
}

func (w *world) review(door int, token string) (int, authenticationv1.TokenReview) {
	w.t.Helper()
	status, answer, header, err := post[authenticationv1.TokenReview](w.t.Context(), w, door, kubernetes.PathTokenReview, authenticationv1.TokenReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenReview"},
		Spec:     authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{"https://kubernetes.default.svc"}},
	})
	if err != nil || answer.Kind != "TokenReview" || answer.APIVersion != "authentication.k8s.io/v1" || header.Get("Content-Type") != "application/json" {
		w.t.Errorf("the review is %+v, %v, %v", answer, header, err)
	}
	if how := header.Get("X-Writ-Freshness"); answer.Status.Authenticated && how != "leased" && how != "strict" {
		w.t.Errorf("a user from a view that is %s", header.Get("X-Writ-Freshness"))
	}
	return status, answer
}

func TestTokenReview(t *testing.T) {
	t.Parallel()
	w := start(t)
	status, answer := w.review(0, w.token(w.alice))
	u := answer.Status.User
	if status != 200 || !answer.Status.Authenticated || u.Username != "writ:alice" || !slices.Equal(u.Groups, []string{"iam:devs", "ops", "system:masters"}) ||
		!strings.HasPrefix(u.UID, "writ:123456789012:AIDA") || u.Extra["arn"][0] != w.ARN("user/alice") || u.Extra["canonicalArn"][0] != w.ARN("user/alice") ||
		u.Extra["accountId"][0] != w.Account || u.Extra["accessKeyId"][0] != w.alice.AccessKeyID || len(u.Extra["sessionName"]) != 0 || answer.Status.Error != "" {
		t.Errorf("alice is %d %+v", status, answer.Status)
	}
	plain := w.session(new(sts.AssumeRoleInput))
	status, answer = w.review(0, w.token(plain)) // newer than what the replica shows, perhaps
	u = answer.Status.User
	if status != 200 || u.Username != "writ:role:deployer:ci" || !slices.Equal(u.Groups, []string{"sessions"}) || u.Extra["sessionName"][0] != "ci" ||
		u.Extra["canonicalArn"][0] != w.ARN("role/deployer") || u.Extra["arn"][0] != "arn:aws:sts::123456789012:assumed-role/deployer/ci" {
		t.Errorf("the session is %d %+v", status, answer.Status)
	}
	status, answer = w.review(0, w.issuer.Token(map[string]any{"name": "bob"}))
	if u = answer.Status.User; status != 200 || u.Username != "writ:role:deployer:bob" || u.Extra["arn"][0] != "arn:aws:sts::123456789012:assumed-role/deployer/bob" {
		t.Errorf("the web identity is %d %+v", status, answer.Status)
	}
	now := time.Now()
	root := aws.Credentials{AccessKeyID: w.Root.AccessKeyID, SecretAccessKey: w.Root.SecretAccessKey}
	good := presigned(t, w.alice, call, "prod", now)
	policed := w.session(&sts.AssumeRoleInput{Policy: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)})
	tagged := w.session(&sts.AssumeRoleInput{Tags: []ststypes.Tag{{Key: aws.String("team"), Value: aws.String("a")}}})
	for _, c := range []struct{ name, token, want string }{
		{"for another cluster", encode(presigned(t, w.alice, call, "staging", now)), "does not match"},
		{"for every cluster", encode(presigned(t, w.alice, call, "", now)), "does not sign"},
		{"for another endpoint", encode(presigned(t, w.alice, strings.Replace(call, "sts.example", "sts.other", 1), "prod", now)), "another endpoint"},
		{"whose endpoint was changed", encode(strings.Replace(good, "https", "http", 1)), "another endpoint"},
		{"for another action", encode(presigned(t, w.alice, strings.Replace(call, "GetCallerIdentity", "GetSessionToken", 1), "prod", now)), "another action"},
		{"with another path", encode(presigned(t, w.alice, strings.Replace(call, "/?", "/x?", 1), "prod", now)), "another path"},
		{"with a parameter more", encode(presigned(t, w.alice, call+"&RoleArn=x", "prod", now)), "parameter"},
		{"with a parameter twice", encode(good + "&Action=GetCallerIdentity"), "2 times"},
		{"that lives too long", encode(presigned(t, w.alice, strings.Replace(call, "=60", "=901", 1), "prod", now)), "X-Amz-Expires"},
		{"that is old", encode(presigned(t, w.alice, call, "prod", now.Add(-16*time.Minute))), "expired"},
		{"of a time to come", encode(presigned(t, w.alice, call, "prod", now.Add(time.Hour))), "not yet current"},
		{"by another secret", encode(presigned(t, aws.Credentials{AccessKeyID: w.alice.AccessKeyID, SecretAccessKey: "x"}, call, "prod", now)), "does not match"},
		{"by nobody's key", encode(presigned(t, aws.Credentials{AccessKeyID: "AKIANOBODY", SecretAccessKey: "x"}, call, "prod", now)), "invalid"},
		{"of the root", encode(presigned(t, root, call, "prod", now)), "root"},
		{"of a session with a policy", w.token(policed), "session policies"},
		{"of a session with tags", w.token(tagged), "session tags"},
		{"that is no base64", "k8s-aws-v1.***", "base64"},
		{"that is no URL", encode("\x7f"), "no URL"},
		{"that is empty", "k8s-aws-v1.", "another endpoint"},
		{"of no kind", "abc", "no kind"},
		{"that is not there", "", "no token"},
		{"that is too long", strings.Repeat("x", 17<<10), "longer"},
		{"of a web identity whom the role does not let in", w.issuer.Token(map[string]any{"name": "mallory"}), "trust policy"},
		{"of a web identity for others", w.issuer.Token(map[string]any{"name": "bob", "aud": "others"}), "not accepted"},
		{"of an issuer that is not named", w.issuer.Token(map[string]any{"name": "bob", "iss": "https://other.test"}), "none of the mapping's"},
		{"that is no web identity", "a.b.c", "no web identity"},
	} {
		status, answer := w.review(0, c.token)
		if status != 200 || answer.Status.Authenticated || answer.Status.User.Username != "" || !strings.Contains(answer.Status.Error, c.want) {
			t.Errorf("a token %s: %d %+v; want %q", c.name, status, answer.Status, c.want)
		}
	}
	// Signed long ago for 60 seconds, or for 0 as aws-iam-authenticator does it, and within the 15
	// minutes for which clients keep it.
	for _, expires := range []string{"=60", "=0"} {
		old := presigned(t, w.alice, strings.Replace(call, "=60", expires, 1), "prod", now.Add(-14*time.Minute))
		if status, answer := w.review(0, encode(old)); status != 200 || !answer.Status.Authenticated {
			t.Errorf("a token of 14 minutes ago, X-Amz-Expires%s: %d %+v", expires, status, answer.Status)
		}
	}
	if status, answer := w.review(1, w.token(w.alice)); status != 403 || answer.Status.Authenticated || !strings.Contains(answer.Status.Error, "writ:Authorize") {
		t.Errorf("who may not ask is told: %d %+v", status, answer.Status)
	}
	w.wrong(kubernetes.PathTokenReview)
	w.ends()
}

// wrong sends what is no review of the path's.
func (w *world) wrong(path string) {
	w.t.Helper()
	for _, body := range []string{
		``, `x`, `[]`, `{}`, `{"kind":"TokenReview"}`, `{"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview","spec":{"token":"x"}}`,
		`{"apiVersion":"authentication.k8s.io/v1","kind":"Token","spec":{"token":"x"}}`, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":1}}`,
		`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":[]}`, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"x","token":"y"}}`,
		`{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{"user":["writ:alice"]}}`, strings.Repeat("[", 100000),
	} {
		status, answer, _, err := post[struct {
			APIVersion, Kind string
			Status           struct {
				Authenticated, Allowed, Denied bool
				Error, EvaluationError         string
			}
		}](w.t.Context(), w, 0, path, body)
		if err != nil || status != http.StatusBadRequest || answer.Kind == "" || answer.Status.Authenticated || answer.Status.Allowed || answer.Status.Error+answer.Status.EvaluationError == "" {
			w.t.Errorf("%s: %.80s: %d %+v, %v", path, body, status, answer, err)
		}
	}
}

// ends takes from alice what her token is good by.
func (w *world) ends() {
	w.t.Helper()
	w.tag("alice", "system:nodes")
	w.Caught()
	if _, answer := w.review(0, w.token(w.alice)); answer.Status.Authenticated || !strings.Contains(answer.Status.Error, "system:nodes") {
		w.t.Errorf("in a group that the mapping does not name: %+v", answer.Status)
	}
	w.tag("alice", "ops")
	token := w.token(w.alice)
	w.must(w.IAM.UpdateAccessKey(w.t.Context(), &iam.UpdateAccessKeyInput{UserName: aws.String("alice"), AccessKeyId: &w.alice.AccessKeyID, Status: iamtypes.StatusTypeInactive}))
	w.Caught()
	if _, answer := w.review(0, token); answer.Status.Authenticated {
		w.t.Errorf("by a key that is inactive: %+v", answer.Status)
	}
	w.must(w.IAM.UpdateAccessKey(w.t.Context(), &iam.UpdateAccessKeyInput{UserName: aws.String("alice"), AccessKeyId: &w.alice.AccessKeyID, Status: iamtypes.StatusTypeActive}))
	w.Caught()
	if _, answer := w.review(0, token); !answer.Status.Authenticated {
		w.t.Errorf("by a key that is active again: %+v", answer.Status)
	}
	w.Stop(doors.Writer)
	w.Until("tokens are nobody's where the node is cut off", func(context.Context) error {
		if status, answer := w.review(0, token); status != http.StatusServiceUnavailable || answer.Status.Authenticated || answer.Status.Error == "" {
			return fmt.Errorf("%d %+v", status, answer.Status)
		}
		return nil
	})
}

// access asks whether a user may, and returns "allowed", "denied" or "no opinion", and why.
func (w *world) access(door int, spec authorizationv1.SubjectAccessReviewSpec) (int, string, string) {
	w.t.Helper()
	status, answer, _, err := post[authorizationv1.SubjectAccessReview](w.t.Context(), w, door, kubernetes.PathAccessReview, authorizationv1.SubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SubjectAccessReview"}, Spec: spec,
	})
	if err != nil || answer.Kind != "SubjectAccessReview" || answer.APIVersion != "authorization.k8s.io/v1" {
		w.t.Errorf("the review is %+v, %v", answer, err)
	}
	told := "no opinion"
	switch s := answer.Status; {
	case s.Allowed && s.Denied:
		w.t.Errorf("both: %+v", s)
	case s.Allowed:
		told = "allowed"
	case s.Denied:
		told = "denied"
	}
	return status, told, answer.Status.Reason + answer.Status.EvaluationError
}

func TestAccessReview(t *testing.T) {
	t.Parallel()
	w := start(t)
	resource := func(verb, namespace, group, kind, sub, name string) *authorizationv1.ResourceAttributes {
		return &authorizationv1.ResourceAttributes{Verb: verb, Namespace: namespace, Group: group, Version: "v1", Resource: kind, Subresource: sub, Name: name}
	}
	extra := func(arn ...string) map[string]authorizationv1.ExtraValue {
		return map[string]authorizationv1.ExtraValue{"arn": arn}
	}
	pod := resource("get", "dev", "", "pods", "", "web")
	ci := "arn:aws:sts::123456789012:assumed-role/deployer/ci"
	for _, c := range []struct {
		name string
		spec authorizationv1.SubjectAccessReviewSpec
		want string
		why  string
	}{
		{"a pod", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", ResourceAttributes: pod}, "allowed", ""},
		{"a pod, by the ARN", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", Extra: extra(w.ARN("user/alice")), ResourceAttributes: pod}, "allowed", ""},
		{"its subresource", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", ResourceAttributes: resource("get", "dev", "", "pods", "exec", "web")}, "no opinion", "pods:exec/web"},
		{"another verb", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", ResourceAttributes: resource("delete", "dev", "", "pods", "", "web")}, "no opinion", "kubernetes:delete"},
		{"another namespace", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", ResourceAttributes: resource("get", "prod", "", "pods", "", "web")}, "no opinion", "namespace/prod"},
		{"all namespaces", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", ResourceAttributes: resource("get", "", "", "pods", "", "")}, "no opinion", "all/core/pods/"},
		{"of another group", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", ResourceAttributes: resource("get", "dev", "metrics.k8s.io", "pods", "", "web")}, "no opinion", "metrics.k8s.io"},
		{"a denied namespace", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", ResourceAttributes: resource("get", "kube-system", "", "pods", "", "web")}, "denied", "explicit deny"},
		{"a path", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/healthz", Verb: "get"}}, "allowed", ""},
		{"another path", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/metrics", Verb: "get"}}, "no opinion", "path/metrics"},
		{"a path up", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/healthz/../healthz", Verb: "get"}}, "no opinion", "simplest"},
		{"a verb with an action of its own", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", Groups: []string{"iam:devs", "system:authenticated"}, ResourceAttributes: resource("impersonate", "", "", "users", "", "bob")}, "allowed", ""},
		{"the same in no group", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", ResourceAttributes: resource("impersonate", "", "", "users", "", "bob")}, "no opinion", "ActAs"},
		{"a session", authorizationv1.SubjectAccessReviewSpec{User: "writ:role:deployer:ci", Extra: extra(ci), ResourceAttributes: resource("create", "dev", "apps", "deployments", "", "")}, "allowed", ""},
		{"a session without an ARN", authorizationv1.SubjectAccessReviewSpec{User: "writ:role:deployer:ci", ResourceAttributes: resource("create", "dev", "apps", "deployments", "", "")}, "allowed", ""},
		{"another's ARN", authorizationv1.SubjectAccessReviewSpec{User: "writ:mallory", Extra: extra(w.ARN("user/alice")), ResourceAttributes: pod}, "no opinion", "not that of the principal"},
		{"an ARN that no rule is for", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", Extra: extra(w.ARN("role/deployer")), ResourceAttributes: pod}, "no opinion", "not that of the principal"},
		{"two ARNs", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", Extra: extra(w.ARN("user/alice"), ci), ResourceAttributes: pod}, "no opinion", "more than one"},
		{"somebody else's user", authorizationv1.SubjectAccessReviewSpec{User: "system:serviceaccount:dev:web", ResourceAttributes: pod}, "no opinion", "none of the mapping's"},
		{"nobody", authorizationv1.SubjectAccessReviewSpec{ResourceAttributes: pod}, "no opinion", "none of the mapping's"},
		{"a principal that is not there", authorizationv1.SubjectAccessReviewSpec{User: "writ:zed", ResourceAttributes: pod}, "denied", "does not exist"},
		{"every verb", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", ResourceAttributes: resource("*", "dev", "", "pods", "", "web")}, "no opinion", "no single thing"},
		{"every resource", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", ResourceAttributes: resource("get", "dev", "", "*", "", "")}, "no opinion", "no single thing"},
		{"a name that leads elsewhere", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", ResourceAttributes: resource("get", "dev/core/pods", "", "secrets", "", "x")}, "no opinion", "no single thing"},
		{"nothing", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice"}, "no opinion", "neither"},
		{"both", authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", ResourceAttributes: pod, NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/healthz", Verb: "get"}}, "no opinion", "both"},
	} {
		if status, told, why := w.access(0, c.spec); status != 200 || told != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%s: %d %s, %s; want %s, %s", c.name, status, told, why, c.want, c.why)
		}
	}
	asked := authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", ResourceAttributes: pod}
	if status, told, why := w.access(1, asked); status != 403 || told != "no opinion" || !strings.Contains(why, "writ:Authorize") {
		t.Errorf("who may not ask is told: %d %s, %s", status, told, why)
	}
	w.wrong(kubernetes.PathAccessReview)
	w.Stop(doors.Writer)
	w.Until("an allow is no opinion where the node is cut off", func(context.Context) error {
		status, told, why := w.access(0, asked)
		if told != "no opinion" || status != 200 && status != 503 || why == "" {
			return fmt.Errorf("%d %s, %s", status, told, why)
		}
		return nil
	})
	if status, told, why := w.access(2, asked); status != 200 || told != "denied" || why == "" {
		t.Errorf("unsure: deny, cut off: %d %s, %s", status, told, why)
	}
	if status, told, why := w.access(0, authorizationv1.SubjectAccessReviewSpec{User: "writ:alice", ResourceAttributes: resource("get", "kube-system", "", "pods", "", "web")}); told != "denied" || status != 200 {
		t.Errorf("what was denied stays so: %d %s, %s", status, told, why)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
