package chaos

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/node/setup"
)

// certified makes the certificate for clients as docs/operating/places.md says.
func certified(t *testing.T, layout string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/operating/places.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, ok := strings.Cut(string(page), "<!-- tls -->\n```sh\n")
	code, _, ok2 := strings.Cut(code, "```")
	if !ok || !ok2 {
		t.Fatal("the page does not say how to make a certificate for clients")
	}
	if err := os.MkdirAll(layout, 0o700); err != nil {
		t.Fatal(err)
	}
	code = strings.ReplaceAll(code, ".cluster/", layout+"/")
	if out, err := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", code).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestComposeTLS serves clients over TLS with both files of Compose, and has them call with the
// authority that the page makes: AWS's Go SDK, writ, and where it is there the aws CLI.
func TestComposeTLS(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("no openssl on this machine")
	}
	c := composeWith(t, func(layout string) { certified(t, layout) })
	url := c.vars["AWS_ENDPOINT_URL"]
	if !strings.HasPrefix(url, "https://") {
		t.Fatalf("clients are told %s", url)
	}
	trusting, err := setup.HTTPClient(c.vars["AWS_CA_BUNDLE"])
	if err != nil {
		t.Fatal(err)
	}
	api := func(hc *http.Client) *iam.Client {
		return iam.New(iam.Options{
			Region: "us-east-1", BaseEndpoint: &url, HTTPClient: hc, RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider(c.vars["AWS_ACCESS_KEY_ID"], c.vars["AWS_SECRET_ACCESS_KEY"], ""),
		})
	}
	if _, err := api(trusting).CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("alice")}); err != nil {
		t.Fatal(err)
	}
	if _, err := api(http.DefaultClient).GetUser(t.Context(), &iam.GetUserInput{UserName: aws.String("alice")}); err == nil {
		t.Error("a client that does not know the authority gets an answer")
	}
	if answer, err := http.Get("http" + strings.TrimPrefix(url, "https") + "/livez"); err != nil {
		t.Error(err)
	} else if answer.Body.Close(); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS there is the answer %s", answer.Status)
	}
	// Every node is found by what the nodes advertise, and asked over TLS.
	if out := c.must("../../bin/image/writ", "wait", "--head", "--timeout", "60s"); !strings.Contains(out, "replica-1") || !strings.Contains(out, "replica-2") {
		t.Errorf("writ wait says %s", out)
	}
	if _, err := exec.LookPath("aws"); err != nil {
		t.Log("no aws CLI on this machine")
	} else if out := c.must("aws", "iam", "get-user", "--user-name", "alice"); !strings.Contains(out, `"UserName": "alice"`) {
		t.Errorf("aws iam get-user says %s", out)
	}
}
