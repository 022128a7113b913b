package sigv4

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// verifier answers 200 to requests that are signed well, and says why where they
// are not.
func verifier(t *testing.T) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s, err := Parse(r, time.Now())
		if err == nil {
			err = s.Verify(DeriveKey([]byte(secret), s.Scope), sha256.Sum256(body))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, "<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>") // the client notices
	}))
	t.Cleanup(server.Close)
	return server
}

func TestGoSDK(t *testing.T) {
	server := verifier(t)
	for _, region := range []string{"", "us-east-1"} {
		client := sts.New(sts.Options{
			Region: region, BaseEndpoint: aws.String(server.URL),
			Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", secret, "token"),
			Retryer:     aws.NopRetryer{},
		})
		if _, err := client.GetCallerIdentity(context.Background(), &sts.GetCallerIdentityInput{}); err != nil {
			t.Errorf("region %q: %v", region, err)
		}
		signed, err := sts.NewPresignClient(client).PresignGetCallerIdentity(context.Background(), &sts.GetCallerIdentityInput{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest(signed.Method, signed.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = signed.SignedHeader
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("region %q, presigned: %s", region, answer.Status)
		}
	}
}

func TestBotocore(t *testing.T) {
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 has no boto3 here")
	}
	out, err := exec.Command("python3", "testdata/sign.py", verifier(t).URL).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2*4*3 {
		t.Errorf("%d answers", len(lines))
	}
	for _, line := range lines {
		if !strings.HasSuffix(line, " 200") {
			t.Error(line)
		}
	}
}

func TestCurl(t *testing.T) {
	if help, err := exec.Command("curl", "--help", "all").Output(); err != nil || !bytes.Contains(help, []byte("--aws-sigv4")) {
		t.Skip("no curl that signs here")
	}
	server := verifier(t)
	for _, args := range [][]string{
		{"/v1/cluster"},
		{"/v1/propagation/abc?wait=everywhere&timeout=30s&arn=arn%3Aaws%3Aiam"},
		{"/v1/authorize", "-H", "Content-Type: application/json", "--data", `{"action":"s3:GetObject"}`},
		{"/", "--data", "Action=GetUser&Version=2010-05-08"},
	} {
		args[0] = server.URL + args[0]
		args = append(args, "-sS", "--aws-sigv4", "aws:amz:us-east-1:writ", "--user", "AKIDEXAMPLE:"+secret, "-w", "%{http_code}")
		out, err := exec.Command("curl", args...).CombinedOutput()
		if err != nil || !strings.HasSuffix(string(out), "200") {
			t.Errorf("%s: %v: %s", args[0], err, out)
		}
	}
}
