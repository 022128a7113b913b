package cluster

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/node/federation/issuertest"
)

// Federated is a cluster whose nodes know an issuer of web identity tokens: its first account
// has the provider, and the role job, which trusts whatever the issuer issues tokens for.
type Federated struct {
	*Cluster
	Issuer *issuertest.Issuer
	// TokenFile has a token of the issuer, and Role is the ARN of the role.
	TokenFile, Role string
	t               testing.TB
}

// Beside starts a cluster whose nodes know issuers that are inside, for one test. They fetch no
// thumbprints.
func Beside(t *testing.T, program string, issuers []*issuertest.Issuer, flags ...string) *Cluster {
	t.Helper()
	var internal []string
	var authorities []byte
	for _, i := range issuers {
		internal, authorities = append(internal, i.Setting()), append(authorities, i.CA...)
	}
	ca := filepath.Join(t.TempDir(), "issuers.crt")
	if err := os.WriteFile(ca, authorities, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WRIT_INTERNAL_ISSUERS", strings.Join(internal, ","))
	t.Setenv("WRIT_INTERNAL_ISSUERS_CA_FILE", ca)
	t.Setenv("WRIT_THUMBPRINTS", "none")
	c, err := Start(t.Context(), program, filepath.Join(t.TempDir(), "cluster"), flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.Logs())
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Federate starts such a cluster beside one issuer. The role may what the policy allows.
func Federate(t *testing.T, program, policy string, flags ...string) *Federated {
	t.Helper()
	const name = "issuer.test/realms/ci"
	f := &Federated{Issuer: issuertest.New(t, "https://"+name), TokenFile: filepath.Join(t.TempDir(), "token"), Role: "arn:aws:iam::123456789012:role/job", t: t}
	f.Cluster = Beside(t, program, []*issuertest.Issuer{f.Issuer}, flags...)
	if err := f.prepare(t.Context(), name, policy); err != nil {
		t.Fatal(err)
	}
	f.Issue()
	return f
}

func (f *Federated) prepare(ctx context.Context, name, policy string) error {
	client := iam.New(iam.Options{Region: "us-east-1", BaseEndpoint: aws.String(f.Env["WRIT_ENDPOINT"]),
		Credentials: credentials.NewStaticCredentialsProvider(f.Env["AWS_ACCESS_KEY_ID"], f.Env["AWS_SECRET_ACCESS_KEY"], "")})
	made, err := client.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://" + name),
		ClientIDList: []string{issuertest.Audience}, ThumbprintList: []string{f.Issuer.Thumbprint}})
	if err != nil {
		return err
	}
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"` + *made.OpenIDConnectProviderArn + `"},"Action":"sts:AssumeRoleWithWebIdentity",` +
		`"Condition":{"StringEquals":{"` + name + `:sub":"` + issuertest.Subject + `","` + name + `:aud":"` + issuertest.Audience + `"}}}}`
	if _, err := client.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("job"), AssumeRolePolicyDocument: &trust}); err != nil {
		return err
	}
	_, err = client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String("job"), PolicyName: aws.String("own"), PolicyDocument: &policy})
	return err
}

// Issue replaces the token in the file by another one, as who runs pipelines does.
func (f *Federated) Issue() {
	f.t.Helper()
	if err := os.WriteFile(f.TokenFile, []byte(f.Issuer.Token(nil)), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// Identity are the variables by which clients get credentials for the token, and none others.
func (f *Federated) Identity(session string) []string {
	return []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_WEB_IDENTITY_TOKEN_FILE=" + f.TokenFile, "AWS_ROLE_ARN=" + f.Role, "AWS_ROLE_SESSION_NAME=" + session}
}
