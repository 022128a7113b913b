package conformance

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// shell is the aws command line with a home of its own.
type shell struct {
	t    *testing.T
	aws  string
	home string
	env  []string // over that of the cluster
}

// run returns what a command prints, and its error output when it fails.
func (s *shell) run(args ...string) (stdout, failure string) {
	s.t.Helper()
	cmd := client(s.t, s.home, s.aws, args...)
	cmd.Env = append(cmd.Env, s.env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), strings.TrimSpace(stderr.String())
	}
	return strings.TrimSpace(string(out)), ""
}

// must runs a command that must succeed.
func (s *shell) must(args ...string) string {
	s.t.Helper()
	out, failure := s.run(args...)
	if failure != "" {
		s.t.Fatalf("aws %s: %s", strings.Join(args, " "), failure)
	}
	return out
}

// fails runs a command that must fail with that code.
func (s *shell) fails(code string, args ...string) {
	s.t.Helper()
	if _, failure := s.run(args...); !strings.Contains(failure, "("+code+")") {
		s.t.Errorf("aws %s: got %q, want %s", strings.Join(args, " "), failure, code)
	}
}

const anyS3 = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","iam:GetUser"],"Resource":"*"}]}`

func newShell(t *testing.T) *shell {
	t.Helper()
	s := &shell{t: t, aws: installed(t, "aws"), home: t.TempDir()}
	if out, err := exec.Command(s.aws, "--version").CombinedOutput(); err != nil {
		t.Skipf("aws does not run: %v: %s", err, out)
	}
	return s
}

// TestAWSCLI is the tour of the README: a user, a policy, a key, what it may and
// what it may not.
func TestAWSCLI(t *testing.T) {
	s := newShell(t)
	s.must("iam", "create-user", "--user-name", "cli-ada", "--path", "/eng/", "--tags", "Key=team,Value=core")
	arn := s.must("iam", "get-user", "--user-name", "cli-ada", "--query", "User.Arn", "--output", "text")
	if !strings.HasSuffix(arn, ":user/eng/cli-ada") {
		t.Errorf("ARN %s", arn)
	}
	policy := s.must("iam", "create-policy", "--policy-name", "cli-s3", "--policy-document", anyS3, "--query", "Policy.Arn", "--output", "text")
	s.must("iam", "attach-user-policy", "--user-name", "cli-ada", "--policy-arn", policy)
	var document struct{ Version string }
	text := s.must("iam", "get-policy-version", "--policy-arn", policy, "--version-id", "v1", "--query", "PolicyVersion.Document", "--output", "json")
	if err := json.Unmarshal([]byte(text), &document); err != nil || document.Version != "2012-10-17" {
		t.Errorf("document %s: %v", text, err)
	}
	var key struct {
		AccessKey struct{ AccessKeyID, SecretAccessKey string }
	}
	if err := json.Unmarshal([]byte(s.must("iam", "create-access-key", "--user-name", "cli-ada", "--output", "json")), &key); err != nil {
		t.Fatal(err)
	}

	ada := *s
	ada.env = []string{"AWS_ACCESS_KEY_ID=" + key.AccessKey.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + key.AccessKey.SecretAccessKey}
	if got := ada.must("sts", "get-caller-identity", "--query", "Arn", "--output", "text"); got != arn {
		t.Errorf("the key is %s's", got)
	}
	ada.must("iam", "get-user")
	_, failure := ada.run("iam", "list-users")
	want := "An error occurred (AccessDenied) when calling the ListUsers operation: User: " + arn +
		" is not authorized to perform: iam:ListUsers on resource: arn:aws:iam::123456789012:user/ because no identity-based policy allows the iam:ListUsers action"
	if failure != want {
		t.Errorf("got  %s\nwant %s", failure, want)
	}
	s.fails("DeleteConflict", "iam", "delete-user", "--user-name", "cli-ada")
	s.fails("EntityAlreadyExists", "iam", "create-user", "--user-name", "CLI-Ada")
	s.fails("NoSuchEntity", "iam", "get-user", "--user-name", "cli-nobody")
	s.fails("MalformedPolicyDocument", "iam", "create-policy", "--policy-name", "cli-bad", "--policy-document", "{}")
	s.fails("ValidationError", "iam", "create-user", "--user-name", "not a name")
	wrong := *s
	wrong.env = []string{"AWS_SECRET_ACCESS_KEY=wrong"}
	wrong.fails("SignatureDoesNotMatch", "iam", "list-users")
	wrong.env = []string{"AWS_ACCESS_KEY_ID=AKIA0000000000000000"}
	wrong.fails("InvalidClientTokenId", "iam", "list-users")

	s.must("iam", "update-access-key", "--user-name", "cli-ada", "--access-key-id", key.AccessKey.AccessKeyID, "--status", "Inactive")
	ada.fails("InvalidClientTokenId", "sts", "get-caller-identity")
	s.must("iam", "delete-access-key", "--user-name", "cli-ada", "--access-key-id", key.AccessKey.AccessKeyID)
	s.must("iam", "detach-user-policy", "--user-name", "cli-ada", "--policy-arn", policy)
	s.must("iam", "delete-policy", "--policy-arn", policy)
	s.must("iam", "delete-user", "--user-name", "cli-ada")
}
