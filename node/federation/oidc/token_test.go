package oidc_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/writ-iam/writ/node/federation/issuertest"
	"github.com/writ-iam/writ/node/federation/oidc"
)

const issuer = "https://issuer.test/realms/ci"

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// start starts the issuer of a test, at noon.
func start(t testing.TB) *issuertest.Issuer {
	i := issuertest.New(t, issuer)
	i.At(noon)
	return i
}

func keysOf(t testing.TB, i *issuertest.Issuer) oidc.Keys {
	t.Helper()
	keys, err := oidc.ParseKeys(i.KeySet())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// verify is what becomes of a token at noon.
func verify(token string, keys oidc.Keys) (*oidc.Claims, error) {
	t, err := oidc.Parse(token)
	if err != nil {
		return nil, err
	}
	return t.Verify(keys, noon)
}

func TestAlgorithms(t *testing.T) {
	for _, a := range oidc.Algorithms {
		t.Run(string(a), func(t *testing.T) {
			i := start(t)
			i.Use(issuertest.NewKey(t, "one", a), issuertest.NewKey(t, "two", a))
			claims, err := verify(i.Token(nil), keysOf(t, i))
			if err != nil {
				t.Fatal(err)
			}
			if claims.Subject != issuertest.Subject || !cmp.Equal(claims.Audiences, []string{issuertest.Audience}) {
				t.Errorf("the claims are %+v", claims)
			}
		})
	}
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// hmacToken is a token whose signer took the public key for a secret.
func hmacToken(t testing.TB, i *issuertest.Issuer, header string) string {
	der, err := x509.MarshalPKIXPublicKey(i.Key().Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(i.Claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	signed := encode(header) + "." + encode(string(claims))
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(signed))
	return signed + "." + encode(string(mac.Sum(nil)))
}

func TestRefusedTokens(t *testing.T) {
	i := start(t)
	mallory := issuertest.NewKey(t, i.Key().ID, jose.RS256)
	good := i.Token(nil)
	parts := strings.Split(good, ".")
	claims, _ := json.Marshal(i.Claims(nil))
	with := func(differs map[string]any) string { return i.Token(differs) }
	public := mallory.Public()
	curve := issuertest.NewKey(t, i.Key().ID, jose.ES256)
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"empty":                        {"", oidc.ErrMalformed},
		"of two parts":                 {parts[0] + "." + parts[1], oidc.ErrMalformed},
		"of four parts":                {good + ".x", oidc.ErrMalformed},
		"as JSON":                      {`{"payload":"e30","signatures":[]}`, oidc.ErrMalformed},
		"huge":                         {with(map[string]any{"x": strings.Repeat("x", oidc.MaxToken)}), oidc.ErrMalformed},
		"deep":                         {issuertest.SignText(t, i.Key(), `{"iss":"`+issuer+`","x":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)+`}`, nil), oidc.ErrMalformed},
		"with thousands of values":     {issuertest.SignText(t, i.Key(), `{"iss":"`+issuer+`","x":[`+strings.Repeat("0,", 5000)+`0]}`, nil), oidc.ErrMalformed},
		"none":                         {encode(`{"alg":"none"}`) + "." + parts[1] + ".", oidc.ErrMalformed},
		"None":                         {encode(`{"alg":"None"}`) + "." + parts[1] + "." + parts[2], oidc.ErrMalformed},
		"by the public key as secret":  {hmacToken(t, i, `{"alg":"HS256","kid":"`+i.Key().ID+`"}`), oidc.ErrMalformed},
		"the same that says RS256":     {hmacToken(t, i, `{"alg":"RS256","kid":"`+i.Key().ID+`"}`), oidc.ErrForged},
		"by an elliptic key":           {issuertest.Sign(t, curve, i.Claims(nil), nil), oidc.ErrUnknownKey},
		"critical":                     {issuertest.Sign(t, i.Key(), i.Claims(nil), map[string]any{"crit": []string{"x"}, "x": 1}), oidc.ErrMalformed},
		"by another key":               {issuertest.Sign(t, mallory, i.Claims(nil), nil), oidc.ErrForged},
		"by another key of its own":    {issuertest.Sign(t, mallory, i.Claims(nil), map[string]any{"jwk": public}), oidc.ErrForged},
		"by a key that it leads to":    {issuertest.Sign(t, mallory, i.Claims(nil), map[string]any{"jku": "https://evil.test/keys", "x5u": "https://evil.test/x"}), oidc.ErrForged},
		"by a key of another name":     {issuertest.Sign(t, issuertest.Key{ID: "other", Algorithm: jose.RS256, Private: mallory.Private}, i.Claims(nil), nil), oidc.ErrUnknownKey},
		"altered":                      {parts[0] + "." + encode(strings.Replace(string(claims), "main", "evil", 1)) + "." + parts[2], oidc.ErrForged},
		"with a signature cut short":   {good[:len(good)-10], oidc.ErrForged},
		"with a member twice":          {issuertest.SignText(t, i.Key(), strings.Replace(string(claims), "{", `{"sub":"other",`, 1), nil), oidc.ErrMalformed},
		"with a member in two cases":   {issuertest.SignText(t, i.Key(), strings.Replace(string(claims), "{", `{"SUB":"other",`, 1), nil), oidc.ErrMalformed},
		"with a nested member twice":   {issuertest.SignText(t, i.Key(), strings.Replace(string(claims), "{", `{"x":{"a":1,"a":2},`, 1), nil), oidc.ErrMalformed},
		"with a header twice":          {encode(`{"alg":"RS256","alg":"none"}`) + "." + parts[1] + "." + parts[2], oidc.ErrMalformed},
		"with more behind its claims":  {issuertest.SignText(t, i.Key(), string(claims)+"{}", nil), oidc.ErrMalformed},
		"without an issuer":            {with(map[string]any{"iss": nil}), oidc.ErrMalformed},
		"with an issuer in capitals":   {with(map[string]any{"iss": nil, "ISS": issuer}), oidc.ErrMalformed},
		"with a plain issuer":          {with(map[string]any{"iss": "http://issuer.test/realms/ci"}), oidc.ErrMalformed},
		"without an end":               {with(map[string]any{"exp": nil}), oidc.ErrMalformed},
		"with an end that is a text":   {with(map[string]any{"exp": "1"}), oidc.ErrMalformed},
		"with an end beyond all times": {issuertest.SignText(t, i.Key(), strings.Replace(string(claims), `"exp":`, `"exp":1e300,"x":`, 1), nil), oidc.ErrMalformed},
		"without a beginning":          {with(map[string]any{"iat": nil}), oidc.ErrMalformed},
		"without a subject":            {with(map[string]any{"sub": nil}), oidc.ErrMalformed},
		"with an empty subject":        {with(map[string]any{"sub": ""}), oidc.ErrClaim},
		"without an audience":          {with(map[string]any{"aud": nil}), oidc.ErrClaim},
		"expired this second":          {with(map[string]any{"exp": noon.Unix()}), oidc.ErrExpired},
		"issued later":                 {with(map[string]any{"iat": noon.Add(oidc.MaxSkew + time.Second).Unix()}), oidc.ErrClaim},
		"not to be used yet":           {with(map[string]any{"nbf": noon.Add(oidc.MaxSkew + time.Second).Unix()}), oidc.ErrClaim},
		"with tags that are none":      {with(map[string]any{"https://aws.amazon.com/tags": "x"}), oidc.ErrClaim},
		"with a tag of two values":     {with(map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"a": []string{"b", "c"}}}}), oidc.ErrClaim},
		"with a source that is none":   {with(map[string]any{"https://aws.amazon.com/source_identity": 7}), oidc.ErrClaim},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := verify(c.token, keysOf(t, i))
			if !errors.Is(err, c.want) || said != nil {
				t.Errorf("it says %v, %v, want %v", said, err, c.want)
			}
		})
	}
	for name, token := range map[string]string{
		"good":                       good,
		"issued a little later":      with(map[string]any{"iat": noon.Add(oidc.MaxSkew).Unix()}),
		"with a key that it carries": issuertest.Sign(t, i.Key(), i.Claims(nil), map[string]any{"jwk": public, "jku": "https://evil.test/keys"}),
		"with nbf 0":                 with(map[string]any{"nbf": 0}),
		"in its last second":         with(map[string]any{"exp": noon.Unix() + 1}),
		"without the key's name":     issuertest.Sign(t, issuertest.Key{Algorithm: jose.RS256, Private: i.Key().Private}, i.Claims(nil), nil),
	} {
		if _, err := verify(token, keysOf(t, i)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestClaims reads tokens as those who issue them document them.
func TestClaims(t *testing.T) {
	i := start(t)
	tags := map[string]any{"principal_tags": map[string]any{"Team": []string{"red"}, "Cost": "7"}, "transitive_tag_keys": []string{"Team"}}
	for name, c := range map[string]struct {
		says map[string]any
		want oidc.Claims
	}{
		"GitHub": {map[string]any{"repository": "writ/app", "ref": "refs/heads/main", "run_number": "10", "environment": "prod"}, oidc.Claims{
			Audiences: []string{issuertest.Audience}, Keys: []oidc.Key{{Name: "environment", Values: []string{"prod"}}, {Name: "ref", Values: []string{"refs/heads/main"}},
				{Name: "repository", Values: []string{"writ/app"}}, {Name: "run_number", Values: []string{"10"}}}}},
		"Kubernetes": {map[string]any{"aud": []string{issuertest.Audience}, "kubernetes.io": map[string]any{"namespace": "prod"}}, oidc.Claims{Audiences: []string{issuertest.Audience}}},
		"Keycloak": {map[string]any{"aud": []string{"account", "other"}, "azp": "writ", "amr": []string{"pwd", "otp"}, "email_verified": true}, oidc.Claims{
			Audiences: []string{"writ"}, Keys: []oidc.Key{{Name: "amr", Values: []string{"pwd", "otp"}, Many: true}, {Name: "oaud", Values: []string{"account", "other"}, Many: true},
				{Name: "azp", Values: []string{"writ"}}, {Name: "email_verified", Values: []string{"true"}}}}},
		"tags": {map[string]any{"https://aws.amazon.com/tags": tags, "https://aws.amazon.com/source_identity": "alice"}, oidc.Claims{
			Audiences: []string{issuertest.Audience}, Tags: []oidc.Tag{{Key: "Cost", Value: "7"}, {Key: "Team", Value: "red"}}, Transitive: []string{"Team"}, SourceIdentity: "alice",
			Keys: []oidc.Key{{Name: "https://aws.amazon.com/source_identity", Values: []string{"alice"}}}}},
		"flat tags": {map[string]any{"https://aws.amazon.com/tags/principal_tags/Team": "red"}, oidc.Claims{
			Audiences: []string{issuertest.Audience}, Tags: []oidc.Tag{{Key: "Team", Value: "red"}},
			Keys: []oidc.Key{{Name: "https://aws.amazon.com/tags/principal_tags/Team", Values: []string{"red"}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := verify(i.Token(c.says), keysOf(t, i))
			if err != nil {
				t.Fatal(err)
			}
			c.want.Subject = issuertest.Subject
			var own []oidc.Key
			for _, k := range said.Keys {
				switch k.Name {
				case "iss", "sub", "iat", "nbf", "exp":
				default:
					own = append(own, k)
				}
			}
			said.Keys = own
			if diff := cmp.Diff(c.want, *said); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKeySets(t *testing.T) {
	rsa, curve := issuertest.NewKey(t, "a", jose.RS256), issuertest.NewKey(t, "b", jose.ES384)
	a, _ := json.Marshal(rsa.Public())
	b, _ := json.Marshal(curve.Public())
	secret, _ := json.Marshal(jose.JSONWebKey{Key: rsa.Private, KeyID: "a"})
	set := func(keys ...string) []byte { return []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`) }
	odd := `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	for name, c := range map[string]struct {
		text []byte
		want int // -1: refused
	}{
		"two":            {set(string(a), string(b)), 2},
		"one unknown":    {set(odd, string(b), `{"kty":"new"}`), 1},
		"none known":     {set(odd), -1},
		"one to encrypt": {set(strings.Replace(string(a), `"sig"`, `"enc"`, 1)), -1},
		"symmetric":      {set(`{"kty":"oct","k":"c2VjcmV0"}`), -1},
		"small":          {set(`{"kty":"RSA","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(append([]byte{0x80}, make([]byte, 127)...)) + `"}`), -1},
		"off the curve":  {set(`{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}`), -1},
		"none":           {set(), -1},
		"no set":         {[]byte(`[]`), -1},
		"no JSON":        {[]byte(`<html>`), -1},
		"too many":       {set(strings.Split(strings.Repeat(string(b)+"\n", oidc.MaxKeys+1), "\n")[:oidc.MaxKeys+1]...), -1},
	} {
		keys, err := oidc.ParseKeys(c.text)
		if len(keys) != max(c.want, 0) || (err != nil) != (c.want < 0) {
			t.Errorf("%s: %d keys, %v; want %d", name, len(keys), err, c.want)
		}
	}
	for _, text := range [][]byte{set(string(secret)), set(string(b), `{"kty":"oct","k":"c2VjcmV0"}`)} {
		if _, err := oidc.GivenKeys(text); !errors.Is(err, oidc.ErrKeySet) {
			t.Errorf("a set with a secret: %v", err)
		}
	}
	given, err := oidc.GivenKeys(set(string(a), odd, string(b)))
	if keys, again := oidc.ParseKeys([]byte(given)); err != nil || again != nil || len(keys) != 2 {
		t.Errorf("given keys are %s: %v, %v", given, err, again)
	}
}

// FuzzToken looks for texts that panic, and for such as are believed though no key signed them.
func FuzzToken(f *testing.F) {
	i := start(f)
	keys := keysOf(f, i)
	good := i.Token(nil)
	parts := strings.Split(good, ".")
	for _, seed := range []string{good, "", "..", parts[0] + "." + parts[1] + ".", encode(`{"alg":"none"}`) + "." + parts[1] + ".", hmacToken(f, i, `{"alg":"HS256"}`), i.Token(map[string]any{"aud": []string{"a", "b"}})} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		said, err := verify(text, keys)
		if err == nil && !strings.HasPrefix(text, parts[0]+".") {
			t.Fatalf("%q is believed: %v", text, said)
		}
		_ = fmt.Sprint(err)
	})
}
