package conformance

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/writ-iam/writ/test/cluster"
)

// workspace is a directory in which terraform works.
type workspace struct {
	t         *testing.T
	terraform string
	dir       string
	env       []string // beside that of all clients
}

// run returns terraform's exit code and output.
func (w *workspace) run(args ...string) (int, string) {
	w.t.Helper()
	cmd := client(w.t, w.dir, w.terraform, args...)
	cmd.Env = append(cmd.Env, "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1", "AWS_MAX_ATTEMPTS=3")
	cmd.Env = append(cmd.Env, w.env...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), string(out)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return 0, string(out)
}

func (w *workspace) must(args ...string) string {
	w.t.Helper()
	code, out := w.run(args...)
	if code != 0 {
		w.t.Fatalf("terraform %s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// unchanged fails the test when terraform would change what it has just made.
func (w *workspace) unchanged(args ...string) {
	w.t.Helper()
	args = append([]string{"plan", "-no-color", "-detailed-exitcode"}, args...)
	if code, out := w.run(args...); code != 0 {
		w.t.Fatalf("terraform %s: exit %d, want an empty plan\n%s", strings.Join(args, " "), code, out)
	}
}

func (w *workspace) facts() map[string]any {
	w.t.Helper()
	var facts map[string]any
	if err := json.Unmarshal([]byte(w.must("output", "-json", "facts")), &facts); err != nil {
		w.t.Fatal(err)
	}
	return facts
}

// newWorkspace is a directory with a configuration of testdata, and the provider.
func newWorkspace(t *testing.T, configuration string) *workspace {
	t.Helper()
	w := &workspace{t: t, terraform: installed(t, "terraform")}
	mirror, err := cluster.TerraformProviders()
	if errors.Is(err, cluster.ErrNoProviders) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.dir = t.TempDir()
	if err := os.CopyFS(w.dir, os.DirFS(filepath.Join("testdata", configuration))); err != nil {
		t.Fatal(err)
	}
	w.must("init", "-no-color", "-plugin-dir="+mirror)
	return w
}

// TestTerraform applies a configuration with every noun, finds nothing left to
// do, changes it, finds nothing left to do again, and destroys it.
func TestTerraform(t *testing.T) {
	w := newWorkspace(t, "terraform")
	w.must("apply", "-no-color", "-auto-approve")
	w.unchanged()
	want := map[string]any{
		"account": "123456789012", "alias": "tf-first", "user": "arn:aws:iam::123456789012:user/tf/tf-ada",
		"members": []any{"tf-bot", "tf-cy"}, "version": "arn:aws:iam::123456789012:policy/tf/tf-read",
		"users": []any{"tf-ada"}, "roles": []any{"tf-run"}, "keys": 1.0, "allowed": true,
		"trust": "arn:aws:iam::123456789012:role/tf/tf-run", "id": true,
	}
	if diff := cmp.Diff(want, w.facts()); diff != "" {
		t.Errorf("after the first apply: %s", diff)
	}

	w.must("apply", "-no-color", "-auto-approve", "-var=stage=second")
	w.unchanged("-var=stage=second")
	want["alias"], want["user"] = "tf-second", "arn:aws:iam::123456789012:user/tf/new/tf-lovelace"
	want["members"], want["users"] = []any{"tf-bot"}, []any{"tf-lovelace"}
	if diff := cmp.Diff(want, w.facts()); diff != "" {
		t.Errorf("after the second apply: %s", diff)
	}

	// force_destroy takes along what terraform did not make.
	if aws, err := exec.LookPath("aws"); err == nil {
		if out, err := client(t, w.dir, aws, "iam", "create-access-key", "--user-name", "tf-lovelace").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	w.must("destroy", "-no-color", "-auto-approve", "-var=stage=second")
}

// TestTerraformWhole does the same with the nouns that come with certificates, keys,
// devices and providers, and takes some of them over from elsewhere.
func TestTerraformWhole(t *testing.T) {
	w := newWorkspace(t, "terraform-whole")
	material(t, w.dir)
	w.must("apply", "-no-color", "-auto-approve")
	w.unchanged()
	want := map[string]any{
		"profile": "tfw-run", "profiles": []any{"tfw-run"}, "clients": []any{"sts.amazonaws.com"}, "idp": "tfw-idp", "web": "/tfw/",
		"issuer": "tfw-run", "linked": "AWSServiceRoleForAutoScaling_tfw", "pem": true, "phone": "arn:aws:iam::123456789012:mfa/tfw/tfw-eve",
	}
	if diff := cmp.Diff(want, w.facts()); diff != "" {
		t.Errorf("after the first apply: %s", diff)
	}

	w.must("apply", "-no-color", "-auto-approve", "-var=stage=second")
	w.unchanged("-var=stage=second")
	want["profile"], want["clients"] = "tfw-other", []any{"sts.amazonaws.com", "other"} // in the order in which they were added
	if diff := cmp.Diff(want, w.facts()); diff != "" {
		t.Errorf("after the second apply: %s", diff)
	}

	for resource, id := range map[string]string{
		"aws_iam_instance_profile.run":            "tfw-run",
		"aws_iam_openid_connect_provider.github":  "arn:aws:iam::123456789012:oidc-provider/token.actions.example.com",
		"aws_iam_saml_provider.idp":               "arn:aws:iam::123456789012:saml-provider/tfw-idp",
		"aws_iam_service_linked_role.autoscaling": "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_tfw",
		"aws_iam_account_password_policy.strict":  "iam-account-password-policy",
		"aws_iam_role.run":                        "tfw-run",
		"aws_iam_virtual_mfa_device.eve":          "arn:aws:iam::123456789012:mfa/tfw/tfw-eve",
		"aws_iam_policy.read":                     "arn:aws:iam::123456789012:policy/tfw-read",
	} {
		w.must("state", "rm", resource)
		w.must("import", "-no-color", "-var=stage=second", resource, id)
	}
	w.must("destroy", "-no-color", "-auto-approve", "-var=stage=second")
}

// TestTerraformManaged attaches policies of AWS.
func TestTerraformManaged(t *testing.T) {
	w := newWorkspace(t, "terraform-managed")
	w.must("apply", "-no-color", "-auto-approve")
	w.unchanged()
	if diff := cmp.Diff(map[string]any{"found": 20.0}, w.facts()); diff != "" {
		t.Error(diff)
	}
	w.must("destroy", "-no-color", "-auto-approve")
}

// material writes a certificate with its key, a key for SSH, and the metadata of an
// identity provider, twice, with another certificate.
func material(t *testing.T, dir string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certificate := func(serial int64) []byte {
		t.Helper()
		c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "idp.example.com"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	first := certificate(1)
	write("certificate.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: first})))
	write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	write("idp.xml", metadata(first))
	write("idp2.xml", metadata(certificate(2)))
	var ssh []byte
	for _, part := range [][]byte{[]byte("ssh-rsa"), big.NewInt(int64(key.E)).Bytes(), append([]byte{0}, key.N.Bytes()...)} {
		ssh = append(binary.BigEndian.AppendUint32(ssh, uint32(len(part))), part...)
	}
	write("id_rsa.pub", "ssh-rsa "+base64.StdEncoding.EncodeToString(ssh))
}

// metadata is a SAML identity provider's, which signs with a certificate.
func metadata(certificate []byte) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example.com/metadata">
  <md:IDPSSODescriptor WantAuthnRequestsSigned="false" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <md:KeyDescriptor use="signing">
      <ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
        <ds:X509Data><ds:X509Certificate>` + base64.StdEncoding.EncodeToString(certificate) + `</ds:X509Certificate></ds:X509Data>
      </ds:KeyInfo>
    </md:KeyDescriptor>
    <md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified</md:NameIDFormat>
    <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example.com/sso"/>
    <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.com/sso"/>
  </md:IDPSSODescriptor>
</md:EntityDescriptor>
`
}
