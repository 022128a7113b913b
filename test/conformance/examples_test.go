package conformance

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// TestExamples runs the examples of docs/clients.md: each asks whether a user may read, before and
// after it may.
func TestExamples(t *testing.T) {
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "ask"), "./examples/ask")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	at := func(name string) string {
		path, err := filepath.Abs("../../examples/ask/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := aws.Config{
		BaseEndpoint: aws.String(getenv(t, "AWS_ENDPOINT_URL")), Region: getenv(t, "AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(getenv(t, "AWS_ACCESS_KEY_ID"), getenv(t, "AWS_SECRET_ACCESS_KEY"), ""),
	}
	for name, words := range map[string][]string{
		"go":     {filepath.Join(dir, "ask")},
		"shell":  {at("ask.sh")},
		"python": {"python3", at("ask.py")},
	} {
		t.Run(name, func(t *testing.T) {
			switch name {
			case "shell":
				installed(t, "curl")
			case "python":
				words[0] = installed(t, "python3")
				if out, err := exec.CommandContext(t.Context(), words[0], "-c", "import botocore").CombinedOutput(); err != nil {
					t.Skipf("botocore is not installed: %s", out)
				}
			}
			who := reader(t, iam.NewFromConfig(config), "example-"+name)
			for resource, want := range map[string]string{"arn:aws:s3:::read/o": "allow", "arn:aws:s3:::other/o": "implicitDeny"} {
				cmd := client(t, dir, words[0], append(words[1:len(words):len(words)], who, "s3:GetObject", resource)...)
				var stderr strings.Builder
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				if got := strings.TrimSpace(string(out)); got != want || (err == nil) != (want == "allow") {
					t.Errorf("%s: %q, %v, not %s\n%s", resource, got, err, want, stderr.String())
				}
			}
		})
	}
}

// reader makes a user who may read one bucket, and returns its ARN.
func reader(t *testing.T, api *iam.Client, name string) string {
	t.Helper()
	made, err := api.CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	_, err = api.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String("own"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::read/*"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(made.User.Arn)
}
