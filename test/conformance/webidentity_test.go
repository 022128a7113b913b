package conformance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/writ-iam/writ/node/federation/issuertest"
	"github.com/writ-iam/writ/test/cluster"
)

const sessionARN = "arn:aws:sts::123456789012:assumed-role/job/"

// TestWebIdentity has clients run on a web identity by themselves, at a writer and at a
// replica: they get credentials for the token in a file, and others before those end, while
// the issuer changes its key.
func TestWebIdentity(t *testing.T) {
	f := cluster.Federate(t, program, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:GetRole","Resource":"*"}}`)
	for _, n := range f.Nodes() {
		t.Run(n.Role, func(t *testing.T) {
			t.Run("boto3", func(t *testing.T) { webIdentityByBoto3(t, f, n.URL) })
			t.Run("aws", func(t *testing.T) { webIdentityByCLI(t, f, n.URL) })
			t.Run("Go SDK", func(t *testing.T) { webIdentityBySDK(t, f, n.URL) })
		})
	}
	t.Run("keys that are given", func(t *testing.T) { webIdentityWithGivenKeys(t, f) })
}

// identified prepares a program that has no access key, at a node.
func identified(t *testing.T, f *cluster.Federated, url, name string, args ...string) *exec.Cmd {
	cmd := f.Command(t.Context(), t.TempDir(), name, args...)
	cmd.Env = append(cmd.Env, "AWS_ENDPOINT_URL="+url)
	cmd.Env = append(cmd.Env, f.Identity("ci")...)
	return cmd
}

func webIdentityByBoto3(t *testing.T, f *cluster.Federated, url string) {
	python := installed(t, "python3")
	if out, err := exec.Command(python, "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("boto3 is not installed: %s", out)
	}
	script, err := filepath.Abs("testdata/webidentity.py")
	if err != nil {
		t.Fatal(err)
	}
	cmd := identified(t, f, url, python, script)
	var failure strings.Builder
	cmd.Stderr = &failure
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "next\n" {
		_ = cmd.Wait()
		t.Fatalf("it says %q, %v: %s", line, err, failure.String())
	}
	f.Issuer.Rotate()
	f.Issue()
	if _, err := io.WriteString(in, "\n"); err != nil {
		t.Fatal(err)
	}
	text, err := lines.ReadBytes('\n')
	if err := errors.Join(err, cmd.Wait()); err != nil {
		t.Fatalf("%v: %s", err, failure.String())
	}
	var said struct{ Arns, Keys []string }
	if err := json.Unmarshal(text, &said); err != nil {
		t.Fatal(err)
	}
	k := said.Keys
	if len(k) != 3 || k[0] != k[1] || k[1] == k[2] || said.Arns[0] != sessionARN+"ci" || said.Arns[2] != sessionARN+"ci" {
		t.Errorf("it ran as %v by %v", said.Arns, k)
	}
}

func webIdentityByCLI(t *testing.T, f *cluster.Federated, url string) {
	s := newShell(t)
	s.env = append([]string{"AWS_ENDPOINT_URL=" + url}, f.Identity("ci")...)
	who := func() (arn string) {
		t.Helper()
		cmd := f.Command(t.Context(), s.home, s.aws, "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
		cmd.Env = append(cmd.Env, s.env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for range 2 {
		if arn := who(); arn != sessionARN+"ci" {
			t.Errorf("it runs as %s", arn)
		}
	}
	visits := f.Issuer.Visits()
	// What it keeps between its runs is made to end.
	kept, err := filepath.Glob(filepath.Join(s.home, ".aws/cli/cache/*.json"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("it keeps %v, %v", kept, err)
	}
	text, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	ended := regexp.MustCompile(`"Expiration": "[^"]*"`).ReplaceAll(text, []byte(`"Expiration": "`+time.Now().UTC().Format(time.RFC3339)+`"`))
	if bytes.Equal(ended, text) {
		t.Fatalf("what it keeps has no end: %d bytes", len(text))
	}
	if err := os.WriteFile(kept[0], ended, 0o600); err != nil {
		t.Fatal(err)
	}
	f.Issuer.Rotate()
	f.Issue()
	if arn := who(); arn != sessionARN+"ci" || f.Issuer.Visits() == visits {
		t.Errorf("after its end it runs as %s, and the issuer was asked %d times", arn, f.Issuer.Visits())
	}
	s.fails("InvalidIdentityToken", "sts", "assume-role-with-web-identity", "--role-arn", f.Role, "--role-session-name", "ci", "--web-identity-token", f.Issuer.Token(map[string]any{"aud": "other"}))
	s.fails("AccessDenied", "sts", "assume-role-with-web-identity", "--role-arn", f.Role, "--role-session-name", "ci", "--web-identity-token", f.Issuer.Token(map[string]any{"sub": "other"}))
	s.fails("ExpiredTokenException", "sts", "assume-role-with-web-identity", "--role-arn", f.Role, "--role-session-name", "ci", "--web-identity-token", f.Issuer.Token(map[string]any{"exp": 1}))
}

func webIdentityBySDK(t *testing.T, f *cluster.Federated, url string) {
	config := aws.Config{BaseEndpoint: &url, Region: "us-east-1"}
	provider := stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(config), f.Role, stscreds.IdentityTokenFile(f.TokenFile), func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = "sdk" })
	config.Credentials = aws.NewCredentialsCache(provider, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = time.Hour }) // they are always about to end
	var keys []string
	for range 2 {
		got, err := iam.NewFromConfig(config).GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String("job")})
		if err != nil {
			t.Fatal(err)
		}
		if *got.Role.Arn != f.Role {
			t.Errorf("the role is %s", *got.Role.Arn)
		}
		used, err := provider.Retrieve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if keys = append(keys, used.AccessKeyID); len(keys) == 1 {
			f.Issuer.Rotate()
			f.Issue()
		}
	}
	if keys[0] == keys[1] {
		t.Errorf("it ran by %v", keys)
	}
	answer, err := sts.NewFromConfig(aws.Config{BaseEndpoint: &url, Region: "us-east-1"}).AssumeRoleWithWebIdentity(context.Background(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &f.Role, RoleSessionName: aws.String("sdk"), WebIdentityToken: aws.String(f.Issuer.Token(nil))})
	if err != nil {
		t.Fatal(err)
	}
	if *answer.SubjectFromWebIdentityToken != issuertest.Subject || *answer.Audience != issuertest.Audience || *answer.AssumedRoleUser.Arn != sessionARN+"sdk" {
		t.Errorf("the answer is %+v", answer)
	}
	var refused *types.InvalidIdentityTokenException
	_, err = sts.NewFromConfig(aws.Config{BaseEndpoint: &url, Region: "us-east-1", RetryMaxAttempts: 1}).AssumeRoleWithWebIdentity(context.Background(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &f.Role, RoleSessionName: aws.String("sdk"), WebIdentityToken: aws.String("not.a.token")})
	if !errors.As(err, &refused) {
		t.Errorf("what is no token: %v", err)
	}
}

// webIdentityWithGivenKeys gives the keys of the issuer by the verb, and cuts the issuer off.
func webIdentityWithGivenKeys(t *testing.T, f *cluster.Federated) {
	const arn = "arn:aws:iam::123456789012:oidc-provider/issuer.test/realms/ci"
	file := filepath.Join(t.TempDir(), "jwks.json")
	f.Issuer.Rotate()
	if err := os.WriteFile(file, f.Issuer.KeySet(), 0o600); err != nil {
		t.Fatal(err)
	}
	f.Issuer.Serve(nil)
	run := func(args ...string) string {
		t.Helper()
		out, err := f.Command(t.Context(), t.TempDir(), program, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("writ %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	said := run("provider", "keys", arn, "--file", file)
	if !strings.Contains(said, "1 keys of "+arn+" are good from position ") {
		t.Errorf("it says %s", said)
	}
	run("wait", "--head")
	visits := f.Issuer.Visits()
	f.Issue()
	for _, n := range f.Nodes() {
		who := identified(t, f, n.URL, program, "wait", "--head", "--endpoint", n.URL)
		if out, err := who.CombinedOutput(); err == nil || !strings.Contains(string(out), "assumed-role/job/ci is not authorized to perform: writ:GetPropagation") {
			t.Errorf("at %s it runs as nobody: %s", n.Name, out)
		}
	}
	if f.Issuer.Visits() != visits {
		t.Error("the issuer was asked though its keys are given")
	}
}
