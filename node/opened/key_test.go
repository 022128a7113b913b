package opened

import (
	"testing"

	"github.com/writ-iam/writ/node/session"
)

// What a provider says is never one of the keys that services have.
func TestProviderKey(t *testing.T) {
	for provider, want := range map[string]string{
		"arn:aws:iam::123456789012:oidc-provider/issuer.example.com/path": "issuer.example.com/path:sub",
		"arn:aws:iam::123456789012:oidc-provider/aws":                     "oidc-provider/aws:sub",
		"arn:aws:iam::123456789012:oidc-provider/STS/a.b":                 "oidc-provider/sts/a.b:sub",
	} {
		if e := ProviderKey(provider, &session.Claim{Name: "sub", Values: []string{"x"}}); string(e.Key) != want || e.Value != "x" {
			t.Errorf("%s: %s is %q, not %s", provider, e.Key, e.Value, want)
		}
	}
}
