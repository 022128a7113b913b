package api_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/identity"
)

// issuerID names an issuer of account 123456789012: 1cbe991a14 is that number.
const issuerID = "1cbe991a-1400-8000-8000-000000000001"

// issued is what a web identity token says, verified as others do: by what the issuer tells.
func (w *world) issued(token string) (header, claims map[string]any) {
	w.t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		w.t.Fatalf("%q is no token", token)
	}
	decode := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			w.t.Fatal(err)
		}
		return b
	}
	if err := json.Unmarshal(decode(parts[0]), &header); err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(decode(parts[1]), &claims); err != nil {
		w.t.Fatal(err)
	}
	config := w.json(w.get(strings.TrimPrefix(claims["iss"].(string), "http://writ.test") + "/.well-known/openid-configuration"))
	if config["issuer"] != claims["iss"] {
		w.t.Errorf("the configuration of %v is %v", claims["iss"], config)
	}
	var set struct {
		Keys []struct{ Kid, Kty, Alg, N, E, X, Y string }
	}
	rec := w.get(strings.TrimPrefix(config["jwks_uri"].(string), "http://writ.test"))
	if err := json.Unmarshal(rec.Body.Bytes(), &set); err != nil {
		w.t.Fatalf("%s: %v", rec.Body, err)
	}
	number := func(text string) *big.Int { return new(big.Int).SetBytes(decode(text)) }
	said, signature := []byte(parts[0]+"."+parts[1]), decode(parts[2])
	for _, k := range set.Keys {
		if k.Kid != header["kid"] || k.Alg != header["alg"] {
			continue
		}
		if k.Kty == "RSA" {
			sum := sha256.Sum256(said)
			if err := rsa.VerifyPKCS1v15(&rsa.PublicKey{N: number(k.N), E: int(number(k.E).Int64())}, crypto.SHA256, sum[:], signature); err != nil {
				w.t.Error(err)
			}
			return header, claims
		}
		sum := sha512.Sum384(said)
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P384(), slices.Concat([]byte{4}, decode(k.X), decode(k.Y)))
		if err != nil {
			w.t.Fatal(err)
		}
		if len(signature) != 96 || !ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:48]), new(big.Int).SetBytes(signature[48:])) {
			w.t.Error("the signature is another's")
		}
		return header, claims
	}
	w.t.Fatalf("no key of %s is %v", rec.Body, header)
	return nil, nil
}

// get asks without a signature.
func (w *world) get(target string) *httptest.ResponseRecorder {
	return w.serve(httptest.NewRequest(http.MethodGet, "http://writ.test"+target, nil))
}

// identityToken asks for a web identity token, by a session or by a key.
func (w *world) identityToken(c temporary, pairs ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r, body := form(stsVersion, "GetWebIdentityToken", pairs...)
	if c.token != "" {
		r.Header.Set("X-Amz-Security-Token", c.token)
	}
	return w.serve(w.sign(r, c.credential, "sts", body))
}

func (w *world) tokenOf(rec *httptest.ResponseRecorder) string {
	w.t.Helper()
	var answer struct {
		Token string `xml:"GetWebIdentityTokenResult>WebIdentityToken"`
	}
	w.accepted("GetWebIdentityToken", rec)
	if err := xml.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		w.t.Fatal(err)
	}
	return answer.Token
}

func TestWebIdentityTokens(t *testing.T) {
	w := newWorld(t)
	alice := w.roles()
	root := temporary{credential: w.root}
	ask := []string{"Audience.member.1", "https://api.example.com", "SigningAlgorithm", "ES384"}
	w.refused("not enabled", w.identityToken(root, ask...), http.StatusForbidden, "OutboundWebIdentityFederationDisabledException", identity.WebIdentityIsDisabled)
	issuer := "http://writ.test/issuers/" + issuerID
	w.must(&identity.EnableWebIdentity{Account: account, Issuer: issuer},
		&identity.UpdateTrust{Account: account, Name: "deploy",
			Trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"AIDAUSERALICE"},"Action":["sts:AssumeRole","sts:TagSession"]}}`},
		&identity.TagEntity{Kind: identity.KindRole, Account: account, Name: "deploy", Tags: []identity.Tag{{Key: "team", Value: "red"}, {Key: "stage", Value: "test"}}},
		&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindRole, Account: account, Name: "deploy"}, Name: "tokens",
			Document: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:GetWebIdentityToken","Resource":"*","Condition":{"ForAllValues:StringEquals":{"sts:IdentityTokenAudience":["https://api.example.com","b"]},"NumericLessThanEquals":{"sts:DurationSeconds":"300"}}}}`})

	header, claims := w.issued(w.tokenOf(w.identityToken(root, ask...)))
	if header["alg"] != "ES384" || claims["aud"] != "https://api.example.com" || claims["sub"] != "arn:aws:iam::123456789012:root" || claims["iss"] != issuer ||
		claims["exp"].(float64)-claims["iat"].(float64) != 300 {
		t.Errorf("%v %v", header, claims)
	}
	w.refused("no permission", w.identityToken(temporary{credential: alice}, ask...), http.StatusForbidden, "AccessDenied", "")

	session := w.assume(alice, "Tags.member.1.Key", "Team", "Tags.member.1.Value", "blue", "DurationSeconds", "900")
	if session.token == "" {
		t.Fatal("no session")
	}
	header, claims = w.issued(w.tokenOf(w.identityToken(session, "Audience.member.1", "b", "Audience.member.2", "https://api.example.com", "SigningAlgorithm", "RS256")))
	about := claims["https://sts.amazonaws.com/"].(map[string]any)
	if header["alg"] != "RS256" || fmt.Sprint(claims["aud"]) != "[b https://api.example.com]" || claims["sub"] != "arn:aws:iam::123456789012:role/deploy" ||
		fmt.Sprint(about["principal_tags"]) != "map[Team:blue stage:test]" || about["aws_account"] != "123456789012" || about["original_session_exp"] == nil {
		t.Errorf("%v %v", header, claims)
	}
	w.refused("another audience", w.identityToken(session, "Audience.member.1", "c", "SigningAlgorithm", "RS256"), http.StatusForbidden, "AccessDenied", "")
	w.refused("too long", w.identityToken(session, append(ask, "DurationSeconds", "301")...), http.StatusForbidden, "AccessDenied", "")
	w.refused("tags", w.identityToken(session, append(ask, "Tags.member.1.Key", "k", "Tags.member.1.Value", "v")...), http.StatusForbidden, "AccessDenied", "")
	w.refused("no algorithm", w.identityToken(root, "Audience.member.1", "b", "SigningAlgorithm", "HS256"), http.StatusBadRequest, "ValidationError", "")
	if _, claims := w.issued(w.tokenOf(w.identityToken(root, append(ask, "Tags.member.1.Key", "job", "Tags.member.1.Value", "7")...))); fmt.Sprint(claims["https://sts.amazonaws.com/"].(map[string]any)["request_tags"]) != "map[job:7]" {
		t.Errorf("%v", claims)
	}
	big := append([]string{}, ask...)
	for i := range 50 {
		big = append(big, fmt.Sprintf("Tags.member.%d.Key", i+1), fmt.Sprintf("%0128d", i), fmt.Sprintf("Tags.member.%d.Value", i+1), strings.Repeat("x", 256))
	}
	w.refused("too much", w.identityToken(root, big...), http.StatusBadRequest, "JWTPayloadSizeExceededException", "")
}

// A token lasts no longer than the session by which it was asked for.
func TestWebIdentityTokenOfASession(t *testing.T) {
	w := newWorld(t)
	alice := w.roles()
	w.must(&identity.EnableWebIdentity{Account: account, Issuer: "http://writ.test/issuers/" + issuerID},
		&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindRole, Account: account, Name: "deploy"}, Name: "tokens", Document: allow("sts:*")})
	session := w.assume(alice, "DurationSeconds", "900")
	ask := []string{"Audience.member.1", "b", "SigningAlgorithm", "ES384", "DurationSeconds"}
	w.accepted("as long", w.identityToken(session, append(ask, "900")...))
	w.refused("longer", w.identityToken(session, append(ask, "901")...), http.StatusForbidden, "SessionDurationEscalationException", "")
}

// Verifiers are told of keys whose tokens may last, of no others, and of no issuer that is
// not in use.
func TestIssuers(t *testing.T) {
	w := newWorld(t)
	keys := "/issuers/" + issuerID + "/.well-known/jwks.json"
	problem := func(name, target string) {
		t.Helper()
		w.problem(name, w.get(target), http.StatusNotFound, "NotFound")
	}
	problem("not enabled", keys)
	w.must(&identity.EnableWebIdentity{Account: account, Issuer: "http://writ.test/issuers/" + issuerID})
	add := func(number uint32) {
		t.Helper()
		w.mustNow(&identity.AddIssuerKey{Number: number, Public: fmt.Appendf(nil, `{"kid":"%d"}`, number)})
	}
	told := func(want string) {
		t.Helper()
		if rec := w.get(keys); rec.Code != http.StatusOK || rec.Body.String() != want || rec.Header().Get("Cache-Control") != "public, max-age=60" {
			t.Errorf("%d %v %s, not %s", rec.Code, rec.Header(), rec.Body, want)
		}
	}
	told(`{"keys":[]}`)
	add(1)
	add(2)
	told(`{"keys":[{"kid":"1"},{"kid":"2"}]}`)
	w.must(&identity.RevokeIssuerKey{Number: 1})
	told(`{"keys":[{"kid":"2"}]}`)
	for _, other := range []string{"1cbe991a-1400-8000-8000-000000000002", "0cbe991a-1400-8000-8000-000000000001", "x", "ffffffff-ffff-8fff-8fff-ffffffffffff"} {
		problem(other, "/issuers/"+other+"/.well-known/jwks.json")
	}
	w.must(&identity.DisableWebIdentity{Account: account})
	problem("disabled", keys)
}
