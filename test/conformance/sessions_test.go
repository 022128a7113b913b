package conformance

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// roleConfig is of a user with a key, which it makes: roots assume no roles.
func roleConfig(t *testing.T, name string) (config aws.Config, user string) {
	t.Helper()
	endpoint := getenv(t, "AWS_ENDPOINT_URL")
	config = aws.Config{BaseEndpoint: &endpoint, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(getenv(t, "AWS_ACCESS_KEY_ID"), getenv(t, "AWS_SECRET_ACCESS_KEY"), "")}
	root := iam.NewFromConfig(config)
	made, err := root.CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	key, err := root.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	config.Credentials = credentials.NewStaticCredentialsProvider(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, "")
	return config, *made.User.Arn
}

// role makes a role that a principal may assume under a condition, and that may use IAM and STS.
func role(t *testing.T, name, principal, condition string) string {
	t.Helper()
	endpoint := getenv(t, "AWS_ENDPOINT_URL")
	root := iam.New(iam.Options{BaseEndpoint: &endpoint, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(getenv(t, "AWS_ACCESS_KEY_ID"), getenv(t, "AWS_SECRET_ACCESS_KEY"), "")})
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":` + condition + `}}`
	made, err := root.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
	if err != nil {
		t.Fatal(err)
	}
	policy := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["iam:*","sts:*"],"Resource":"*"}}`
	if _, err := root.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String("own"), PolicyDocument: &policy}); err != nil {
		t.Fatal(err)
	}
	return *made.Role.Arn
}

// terraform assumes a role by another one.
func TestTerraformByRoles(t *testing.T) {
	w := newWorkspace(t, "terraform-roles")
	config, user := roleConfig(t, "tf-caller")
	first := role(t, "tf-first", user, `{"StringEquals":{"sts:ExternalId":"tf"}}`)
	second := role(t, "tf-second", first, `{"StringEquals":{"aws:PrincipalTag/team":"red"}}`)
	keys, err := config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.env = []string{"AWS_ACCESS_KEY_ID=" + keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + keys.SecretAccessKey, "TF_VAR_first=" + first, "TF_VAR_second=" + second}
	w.must("apply", "-no-color", "-auto-approve")
	if facts := w.facts(); facts["me"] != "arn:aws:sts::123456789012:assumed-role/tf-second/tf-second" || facts["user"] != "arn:aws:iam::123456789012:user/tf-by-role" {
		t.Errorf("%v", facts)
	}
	w.unchanged()
	w.must("destroy", "-no-color", "-auto-approve")
}

// The SDK assumes a role and does so again when its credentials are about to end.
func TestGoSDKByRole(t *testing.T) {
	config, user := roleConfig(t, "sdk-caller")
	arn := role(t, "sdk-role", user, `{"StringEquals":{"sts:ExternalId":"sdk"}}`)
	provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(config), arn, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.ExternalID, o.Duration = "sdk", aws.String("sdk"), 15*time.Minute
	})
	by := config
	by.Credentials = aws.NewCredentialsCache(provider, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = time.Hour }) // they are always about to end
	var ids []string
	for range 2 {
		who, err := sts.NewFromConfig(by).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if err != nil {
			t.Fatal(err)
		}
		if *who.Arn != "arn:aws:sts::123456789012:assumed-role/sdk-role/sdk" {
			t.Errorf("it is %s", *who.Arn)
		}
		got, err := by.Credentials.Retrieve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, got.AccessKeyID)
	}
	if ids[0] == ids[1] {
		t.Errorf("it ran by %v", ids)
	}
}

// Vault's server replays what its client signed, with a header of its own among what is signed
// ("AWS auth method" in Vault's documentation), and reads XML.
func TestVaultLogin(t *testing.T) {
	config, user := roleConfig(t, "vault-client")
	const body = "Action=GetCallerIdentity&Version=2011-06-15"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, *config.BaseEndpoint+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("X-Vault-Aws-Iam-Server-Id", "vault.example.com")
	keys, err := config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(t.Context(), keys, r, hex.EncodeToString(sum[:]), "sts", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a client may log in twice by one signature
		again := r.Clone(t.Context())
		again.Body = io.NopCloser(strings.NewReader(body))
		if code, text := answerOf(t, again); code != http.StatusOK || !strings.Contains(text, "<Arn>"+user+"</Arn>") {
			t.Errorf("%d %s", code, text)
		}
	}
	r.Header.Set("X-Vault-Aws-Iam-Server-Id", "another.example.com")
	r.Body = io.NopCloser(strings.NewReader(body))
	if code, text := answerOf(t, r); code != http.StatusForbidden || !strings.Contains(text, "SignatureDoesNotMatch") {
		t.Errorf("for another server: %d %s", code, text)
	}
}

// Vault's secrets engine asks for credentials of three kinds.
func TestVaultSecrets(t *testing.T) {
	config, user := roleConfig(t, "vault-engine")
	root := iam.New(iam.Options{BaseEndpoint: config.BaseEndpoint, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(getenv(t, "AWS_ACCESS_KEY_ID"), getenv(t, "AWS_SECRET_ACCESS_KEY"), "")})
	all := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["iam:*","sts:*"],"Resource":"*"}}`
	if _, err := root.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: aws.String("vault-engine"), PolicyName: aws.String("own"), PolicyDocument: &all}); err != nil {
		t.Fatal(err)
	}
	arn := role(t, "vault-role", user, `{}`)
	client := sts.NewFromConfig(config)
	narrow := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"}}`
	assumed, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: aws.String("vault-token-app-1700000000-abc"), DurationSeconds: aws.Int32(3600), Policy: &narrow})
	if err != nil {
		t.Fatal(err)
	}
	federated, err := client.GetFederationToken(t.Context(), &sts.GetFederationTokenInput{Name: aws.String("vault-token-1700000000-abc"), Policy: &narrow, DurationSeconds: aws.Int32(3600)})
	if err != nil {
		t.Fatal(err)
	}
	session, err := client.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{DurationSeconds: aws.Int32(3600)})
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]aws.CredentialsProvider{
		"arn:aws:sts::123456789012:assumed-role/vault-role/vault-token-app-1700000000-abc": credentials.NewStaticCredentialsProvider(*assumed.Credentials.AccessKeyId, *assumed.Credentials.SecretAccessKey, *assumed.Credentials.SessionToken),
		"arn:aws:sts::123456789012:federated-user/vault-token-1700000000-abc":              credentials.NewStaticCredentialsProvider(*federated.Credentials.AccessKeyId, *federated.Credentials.SecretAccessKey, *federated.Credentials.SessionToken),
		user: credentials.NewStaticCredentialsProvider(*session.Credentials.AccessKeyId, *session.Credentials.SecretAccessKey, *session.Credentials.SessionToken),
	} {
		by := config
		by.Credentials = c
		who, err := sts.NewFromConfig(by).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if err != nil {
			t.Fatal(err)
		}
		if *who.Arn != want {
			t.Errorf("it is %s, not %s", *who.Arn, want)
		}
	}
}

// aws-iam-authenticator's token is a presigned URL, for a cluster that is among what is signed;
// its server asks the URL for JSON.
func TestIAMAuthenticator(t *testing.T) {
	config, user := roleConfig(t, "eks-user")
	const header = "X-K8s-Aws-Id"
	keys, err := config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, *config.BaseEndpoint+"/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(header, "my-cluster")
	empty := sha256.Sum256(nil)
	presigned, _, err := v4.NewSigner().PresignHTTP(t.Context(), keys, r, hex.EncodeToString(empty[:]), "sts", "us-east-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	token := "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(presigned))
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "k8s-aws-v1."))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(cluster string) (int, string) {
		t.Helper()
		u, err := url.Parse(string(text))
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(header, cluster)
		r.Header.Set("Accept", "application/json")
		return answerOf(t, r)
	}
	code, answer := ask("my-cluster")
	var said struct {
		GetCallerIdentityResponse struct {
			GetCallerIdentityResult struct{ Account, Arn, UserID string }
		}
	}
	if err := json.Unmarshal([]byte(answer), &said); err != nil || code != http.StatusOK || said.GetCallerIdentityResponse.GetCallerIdentityResult.Arn != user {
		t.Errorf("%d %s, %v", code, answer, err)
	}
	if code, answer := ask("another-cluster"); code != http.StatusForbidden || !strings.Contains(answer, "SignatureDoesNotMatch") {
		t.Errorf("for another cluster: %d %s", code, answer)
	}
}

// answerOf is a request's status and body.
func answerOf(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}
