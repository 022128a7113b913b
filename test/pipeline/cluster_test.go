package pipeline

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"go.yaml.in/yaml/v3"

	"github.com/writ-iam/writ/test/cluster"
)

const (
	root = "../.."
	page = root + "/cmd/writ/PIPELINES.md"
	// example is the endpoint that the examples name.
	example = "https://writ.example.com"
)

// shared is the cluster that all tests use, each with names of its own; binary is
// writ, in a directory of its own.
var (
	shared *cluster.Cluster
	binary string
)

func TestMain(m *testing.M) {
	os.Exit(cluster.Main(m, root, func(c *cluster.Cluster, program string) { shared, binary = c, program }, "--replicas", "2"))
}

// block is the example of the page behind the marker <!-- name -->, for the
// cluster under test.
func block(t *testing.T, name string) string {
	t.Helper()
	return strings.ReplaceAll(blockOf(t, page, name), example, shared.Env["WRIT_ENDPOINT"])
}

// blockOf is the example of a page behind the marker.
func blockOf(t *testing.T, page, name string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, marked := strings.Cut(string(text), "<!-- "+name+" -->\n```")
	_, rest, begun := strings.Cut(rest, "\n")
	code, _, ended := strings.Cut(rest, "```\n")
	if !marked || !begun || !ended {
		t.Fatalf("the page has no example %q", name)
	}
	return code
}

// parse decodes YAML. Fields that into does not have are mistakes.
func parse(t *testing.T, text string, into any) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
}

// ready waits until a node is ready; it has a lease then.
func ready(t *testing.T, name string) {
	t.Helper()
	tick, limit := time.NewTicker(50*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for !shared.Ready(context.Background(), name) {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s is not ready", name)
		}
	}
}

// installed is the path of a program, which the test is skipped without.
func installed(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed", program)
	}
	return path
}

// path is $PATH with writ on it.
func path() string { return "PATH=" + filepath.Dir(binary) + ":" + os.Getenv("PATH") }

// outcome is what became of a program.
type outcome struct {
	code        int
	out, errors string
}

// finish runs a program to its end.
func finish(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// must is finish for what succeeds.
func must(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	o := finish(t, cmd)
	if o.code != 0 {
		t.Fatalf("%s: exit %d\n%s\n%s", cmd, o.code, o.out, o.errors)
	}
	return o
}

// admin calls the cluster with the root's key.
func admin() *iam.Client {
	return iam.New(iam.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(shared.Env["WRIT_ENDPOINT"]),
		Credentials: credentials.NewStaticCredentialsProvider(shared.Env["AWS_ACCESS_KEY_ID"], shared.Env["AWS_SECRET_ACCESS_KEY"], ""),
	})
}

// user makes a user with an inline policy and returns its ARN.
func user(t *testing.T, name, document string) string {
	t.Helper()
	made, err := admin().CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin().PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String("own"), PolicyDocument: &document}); err != nil {
		t.Fatal(err)
	}
	return *made.User.Arn
}

// reader may read objects, which the examples ask for.
const reader = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}}`

// waiter makes the user that the page advises, who may wait and do nothing else,
// and returns its key.
func waiter(t *testing.T) (id, secret string) {
	t.Helper()
	name := "waiter-" + strings.ToLower(rand.Text())
	user(t, name, block(t, "policy"))
	key, err := admin().CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return *key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey
}

// app makes the user that the examples ask about, once.
func app(t *testing.T) string {
	t.Helper()
	name := "app"
	found, err := admin().GetUser(t.Context(), &iam.GetUserInput{UserName: &name})
	if err == nil {
		return *found.User.Arn
	}
	return user(t, name, reader)
}
