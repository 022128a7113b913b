package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/mfa"
)

// signIn has `writ signin` sign in, and tells who it says it is, and a shell with the session;
// without one it tells why it failed. lines are those of the file of the password.
func (s *shell) signIn(lines string, args ...string) (in *shell, said string) {
	s.t.Helper()
	cmd := client(s.t, s.home, program, append([]string{"signin", "--password-file", "-", "--output", "json"}, args...)...)
	cmd.Stdin = strings.NewReader(lines)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, stderr.String()
	}
	var c struct{ AccessKeyID, SecretAccessKey, SessionToken string }
	if err := json.Unmarshal(out, &c); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	by := *s
	by.env = []string{"AWS_ACCESS_KEY_ID=" + c.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + c.SecretAccessKey, "AWS_SESSION_TOKEN=" + c.SessionToken}
	return &by, stderr.String()
}

// signedIn is signIn that must succeed, as somebody.
func (s *shell) signedIn(arn, lines string, args ...string) *shell {
	s.t.Helper()
	in, said := s.signIn(lines, args...)
	if in == nil || !strings.Contains(said, "signed in as "+arn+" until ") {
		s.t.Fatalf("writ signin %s: %s", strings.Join(args, " "), said)
	}
	if got := in.must("sts", "get-caller-identity", "--query", "Arn", "--output", "text"); got != arn {
		s.t.Errorf("the session is %s", got)
	}
	return in
}

// notSignedIn is signIn that must fail.
func (s *shell) notSignedIn(code, lines string, args ...string) {
	s.t.Helper()
	if in, said := s.signIn(lines, args...); in != nil || !strings.Contains(said, code+": ") {
		s.t.Errorf("writ signin %s: %q, want %s", strings.Join(args, " "), said, code)
	}
}

// TestUserSignsIn has a user change the first password, sign in with codes of an MFA device, use
// the session with the aws CLI, also by a profile, and lose it.
func TestUserSignsIn(t *testing.T) {
	s := newShell(t)
	const user = "arn:aws:iam::123456789012:user/cli-signs-in"
	s.must("iam", "create-user", "--user-name", "cli-signs-in")
	s.must("iam", "put-user-policy", "--user-name", "cli-signs-in", "--policy-name", "p", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:ChangePassword","iam:GetUser"],"Resource":"*"},
		{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`)
	s.must("iam", "create-login-profile", "--user-name", "cli-signs-in", "--password", "Passw0rd-1", "--password-reset-required")
	as := []string{"--account", "123456789012", "--user", "cli-signs-in"}
	s.notSignedIn("PasswordChangeRequired", "Passw0rd-1\n", as...)
	plain := s.signedIn(user, "Passw0rd-1\nPassw0rd-2\n", append(as, "--new-password")...)
	plain.must("iam", "get-user")
	plain.fails("AccessDenied", "iam", "list-users")
	plain.fails("AccessDenied", "sts", "get-session-token")
	s.notSignedIn("SignInFailed", "Passw0rd-1\n", as...)

	seedFile := filepath.Join(s.home, "seed")
	serial := s.must("iam", "create-virtual-mfa-device", "--virtual-mfa-device-name", "cli-signs-in", "--bootstrap-method", "Base32StringSeed", "--outfile", seedFile,
		"--query", "VirtualMFADevice.SerialNumber", "--output", "text")
	seed, err := os.ReadFile(seedFile)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	code := func(steps int) string {
		c, err := mfa.Code(strings.TrimSpace(string(seed)), now.Add(time.Duration(steps)*mfa.Step))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	s.must("iam", "enable-mfa-device", "--user-name", "cli-signs-in", "--serial-number", serial, "--authentication-code1", code(-3), "--authentication-code2", code(-2))
	s.notSignedIn("SignInFailed", "Passw0rd-2\n", as...)
	shown := s.signedIn(user, "Passw0rd-2\n"+code(0)+"\n", append(as, "--mfa")...)
	shown.must("iam", "list-users")
	s.notSignedIn("SignInFailed", "Passw0rd-2\n"+code(0)+"\n", append(as, "--mfa")...) // it is used up

	secrets, config := filepath.Join(s.home, "secrets"), filepath.Join(s.home, "profiles")
	process := program + " signin --password-file " + secrets + " --mfa --output json " + strings.Join(as, " ")
	for file, text := range map[string]string{secrets: "Passw0rd-2\n" + code(1) + "\n", config: "[profile me]\ncredential_process = " + process + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	profile := *s
	profile.env = []string{"AWS_CONFIG_FILE=" + config, "AWS_PROFILE=me", "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="}
	if got := profile.must("sts", "get-caller-identity", "--query", "Arn", "--output", "text"); got != user {
		t.Errorf("the profile is %s", got)
	}
	s.ended(shown, user)
	plain.fails("InvalidClientTokenId", "iam", "get-user")
}

// ended ends the sessions of somebody, of which one is no longer accepted when that is everywhere.
func (s *shell) ended(one *shell, arn string) {
	s.t.Helper()
	revoke := client(s.t, s.home, program, "revoke", "--principal", arn, "--output", "json")
	revoke.Env = append(revoke.Env, s.env...)
	out, err := revoke.Output()
	if err != nil {
		s.t.Fatalf("writ revoke: %v", err)
	}
	var done struct{ Token string }
	if err := json.Unmarshal(out, &done); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	if out, err := client(s.t, s.home, program, "wait", "--token", done.Token).CombinedOutput(); err != nil {
		s.t.Fatalf("writ wait: %v: %s", err, out)
	}
	one.fails("InvalidClientTokenId", "sts", "get-caller-identity")
}

// TestRootSignsIn has the root of a member account sign in, with a code once it has a device.
func TestRootSignsIn(t *testing.T) {
	s := newShell(t)
	own, made := opened(t, "signs-in@example.com")
	number := string(made.Account)
	root := "arn:aws:iam::" + number + ":root"
	if _, err := own.SetRootPassword(t.Context(), number, "Passw0rd-1"); err != nil {
		t.Fatal(err)
	}
	as := []string{"--email", "signs-in@example.com"}
	s.notSignedIn("SignInFailed", "Passw0rd-2\n", as...)
	in := s.signedIn(root, "Passw0rd-1\n", as...)
	if got := in.must("iam", "list-users", "--query", "Users", "--output", "json"); got != "[]" {
		t.Errorf("it has the users %s", got)
	}
	seedFile := filepath.Join(s.home, "seed")
	serial := in.must("iam", "create-virtual-mfa-device", "--virtual-mfa-device-name", "root", "--bootstrap-method", "Base32StringSeed", "--outfile", seedFile,
		"--query", "VirtualMFADevice.SerialNumber", "--output", "text")
	seed, err := os.ReadFile(seedFile)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var codes []string
	for steps := range 4 {
		c, err := mfa.Code(strings.TrimSpace(string(seed)), now.Add(time.Duration(steps-3)*mfa.Step))
		if err != nil {
			t.Fatal(err)
		}
		codes = append(codes, c)
	}
	in.must("iam", "enable-mfa-device", "--user-name", number, "--serial-number", serial, "--authentication-code1", codes[0], "--authentication-code2", codes[1])
	s.notSignedIn("SignInFailed", "Passw0rd-1\n", as...)
	by := s.signedIn(root, "Passw0rd-1\n"+codes[3]+"\n", append(as, "--mfa", "--mfa-serial", serial)...)
	by.must("iam", "create-user", "--user-name", "made-by-root")
	member := *s
	member.env = []string{"AWS_ACCESS_KEY_ID=" + made.RootKey.ID, "AWS_SECRET_ACCESS_KEY=" + made.RootKey.Secret}
	member.ended(by, root)
}
