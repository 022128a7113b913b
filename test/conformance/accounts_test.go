package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	writ "github.com/writ-iam/writ/node/client"
)

// opened opens an account whose root has an access key.
func opened(t *testing.T, email string) (*writ.Client, *writ.AccountCreation) {
	t.Helper()
	c, err := writ.New(writ.Config{Endpoint: getenv(t, "WRIT_ENDPOINT"), AccessKeyID: getenv(t, "AWS_ACCESS_KEY_ID"), SecretAccessKey: getenv(t, "AWS_SECRET_ACCESS_KEY")})
	if err != nil {
		t.Fatal(err)
	}
	made, err := c.CreateAccount(t.Context(), writ.AccountToCreate{Email: email, RootKey: true})
	if err != nil {
		t.Fatal(err)
	}
	return c, made
}

// TestAWSCLIAcrossAccounts has two accounts, of which one lets the other's user assume a
// role, by profiles of the aws CLI, until one of them is closed.
func TestAWSCLIAcrossAccounts(t *testing.T) {
	s := newShell(t)
	own, made := opened(t, "cli@example.com")
	number := string(made.Account)
	member := *s
	member.env = []string{"AWS_ACCESS_KEY_ID=" + made.RootKey.ID, "AWS_SECRET_ACCESS_KEY=" + made.RootKey.Secret}
	if got := member.must("sts", "get-caller-identity", "--query", "Arn", "--output", "text"); got != "arn:aws:iam::"+number+":root" {
		t.Errorf("the key is %s's", got)
	}
	if got := member.must("iam", "list-users", "--query", "Users", "--output", "json"); got != "[]" {
		t.Errorf("it has the users %s", got)
	}
	member.must("iam", "create-user", "--user-name", "cli-far")
	var key struct {
		AccessKey struct{ AccessKeyID, SecretAccessKey string }
	}
	if err := json.Unmarshal([]byte(member.must("iam", "create-access-key", "--user-name", "cli-far", "--output", "json")), &key); err != nil {
		t.Fatal(err)
	}
	user := "arn:aws:iam::" + number + ":user/cli-far"
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + user + `"},"Action":"sts:AssumeRole"}]}`
	role := s.must("iam", "create-role", "--role-name", "cli-shared", "--assume-role-policy-document", trust, "--query", "Role.Arn", "--output", "text")
	s.must("iam", "put-role-policy", "--role-name", "cli-shared", "--policy-name", "p", "--policy-document", anyS3)
	s.must("iam", "put-role-policy", "--role-name", "cli-shared", "--policy-name", "q",
		"--policy-document", strings.Replace(anyS3, `"s3:*","iam:GetUser"`, `"iam:GetRole"`, 1))

	config := filepath.Join(t.TempDir(), "config")
	text := "[profile far]\naws_access_key_id = " + key.AccessKey.AccessKeyID + "\naws_secret_access_key = " + key.AccessKey.SecretAccessKey +
		"\n[profile near]\nrole_arn = " + role + "\nsource_profile = far\nrole_session_name = cli\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	near := *s
	near.env = []string{"AWS_CONFIG_FILE=" + config, "AWS_PROFILE=near", "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="}
	near.fails("AccessDenied", "sts", "get-caller-identity") // the user's own account does not let it
	member.must("iam", "put-user-policy", "--user-name", "cli-far", "--policy-name", "p",
		"--policy-document", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"`+role+`"}]}`)
	if got := near.must("sts", "get-caller-identity", "--query", "Arn", "--output", "text"); !strings.HasSuffix(got, ":assumed-role/cli-shared/cli") || strings.Contains(got, number) {
		t.Errorf("the profile is %s", got)
	}
	near.must("iam", "get-role", "--role-name", "cli-shared")
	near.fails("AccessDenied", "iam", "list-users")
	member.fails("NoSuchEntity", "iam", "get-role", "--role-name", "cli-shared")

	change, err := own.CloseAccount(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.Accounts(t.Context(), writ.Freshness{AtLeast: change.Token}); err != nil { // so far is the node, at least
		t.Fatal(err)
	}
	member.fails("InvalidClientTokenId", "sts", "get-caller-identity")
	near.fails("InvalidClientTokenId", "sts", "assume-role", "--profile", "far", "--role-arn", role, "--role-session-name", "cli")
}
