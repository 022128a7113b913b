package issuer

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/writ-iam/writ/log/identity"
)

// Paths of what verifiers ask for, below an issuer.
const (
	PathConfiguration = "/.well-known/openid-configuration"
	PathKeys          = "/.well-known/jwks.json"
)

// configuration is provider metadata ("OpenID Provider Metadata" in OpenID Connect Discovery
// 1.0), of an issuer that nobody signs in at.
type configuration struct {
	Issuer        string   `json:"issuer"`
	Keys          string   `json:"jwks_uri"`
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	Claims        []string `json:"claims_supported"`
}

// Configuration is what verifiers are told of an issuer.
func Configuration(url string) ([]byte, error) {
	b, err := json.Marshal(configuration{
		Issuer: url, Keys: url + PathKeys, ResponseTypes: []string{"id_token"}, SubjectTypes: []string{"public"},
		Algorithms: []string{RS256, ES384}, Claims: []string{"aud", "exp", "iat", "iss", "jti", "sub", Namespace},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the configuration of an issuer: %w", err)
	}
	return b, nil
}

// KeySet is the JSON Web Key Set that verifiers are told in a state at a time: of the key that
// signs, and of those before it whose tokens may last.
func KeySet(s *identity.State, now identity.Time) []byte {
	var b bytes.Buffer
	b.WriteString(`{"keys":[`)
	keys := s.IssuerKeys()
	for i, k := range keys.Shown(now) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(k.Public)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}
