package oidc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	// MaxToken is how long a token is at most, in characters ("AssumeRoleWithWebIdentity" in
	// the STS API Reference).
	MaxToken = 20_000
	// MaxSkew is how far the clock of an issuer may be ahead of the node's.
	MaxSkew = 5 * time.Minute
	// maxTries is by how many keys of an issuer a token is tried that does not name its key.
	maxTries = 8
)

// Algorithms are those by which tokens may be signed. None is of a kind in which whoever knows
// the public key could sign.
var Algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512}

// Errors of tokens.
var (
	// ErrMalformed is returned for what is no signed token, or in another form than it may have.
	ErrMalformed = errors.New("not a token of OpenID Connect")
	// ErrExpired is returned for a token whose time is over.
	ErrExpired = errors.New("the token has expired")
	// ErrUnknownKey is returned where the issuer has no key by which the token can be.
	ErrUnknownKey = errors.New("the issuer has no such key")
	// ErrForged is returned for a token that no key of its issuer signed.
	ErrForged = errors.New("the token is not by its issuer's key")
	// ErrClaim is returned for a token that is its issuer's and says what it must not say.
	ErrClaim = errors.New("the token has a claim that is not accepted")
)

// Token is a token that was read and not verified. It is immutable.
type Token struct {
	// Issuer is who it says it is by: https://HOST, with a path or without.
	Issuer string
	// Expires is when it says it ends.
	Expires time.Time

	raw      string
	alg, kid string
	claims   map[string]any
}

// Parse reads a token. The error wraps ErrMalformed.
func Parse(raw string) (*Token, error) {
	malformed := func(err error) (*Token, error) { return nil, fmt.Errorf("%w: %w", ErrMalformed, err) }
	parts := strings.Split(raw, ".")
	if len(raw) > MaxToken || len(parts) != 3 {
		return malformed(errors.New("too long, or not of three parts"))
	}
	var objects [2]map[string]any
	for i := range objects {
		text, err := base64.RawURLEncoding.Strict().DecodeString(parts[i])
		if err != nil {
			return malformed(err)
		}
		if objects[i], err = parseObject(text); err != nil {
			return malformed(err)
		}
	}
	header, claims := objects[0], objects[1]
	t := &Token{raw: raw, claims: claims}
	t.alg, _ = header["alg"].(string)
	t.kid, _ = header["kid"].(string)
	if !slices.Contains(Algorithms, jose.SignatureAlgorithm(t.alg)) {
		return malformed(errors.New("signed by an algorithm that is not accepted"))
	}
	if header["crit"] != nil { // extensions that whoever reads it must understand
		return malformed(errors.New("it has critical headers"))
	}
	t.Issuer, _ = claims["iss"].(string)
	for _, name := range [...]string{"iss", "sub", "iat", "exp"} {
		if claims[name] == nil {
			return malformed(fmt.Errorf("missing a required claim: %s", name))
		}
	}
	var ok bool
	if t.Expires, ok = timeOf(claims["exp"]); !ok || !strings.HasPrefix(t.Issuer, schemeHTTPS) {
		return malformed(errors.New("its issuer is no https URL, or its end no time"))
	}
	return t, nil
}

const schemeHTTPS = "https://"

// timeOf reads a time in seconds since 1970; some issuers write parts of seconds.
func timeOf(claim any) (time.Time, bool) {
	n, ok := claim.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	s, err := n.Float64()
	if err != nil || s < 0 || s > math.MaxInt32*128 {
		return time.Time{}, false
	}
	return time.Unix(int64(s), 0), true
}

// Verify finds out whether one of the keys signed the token and its times are right, and tells
// what it says. Errors wrap ErrExpired, ErrUnknownKey, ErrForged or ErrClaim.
func (t *Token) Verify(keys Keys, now time.Time) (*Claims, error) {
	if !now.Before(t.Expires) {
		return nil, ErrExpired
	}
	found := keys.of(t)
	if len(found) == 0 {
		return nil, ErrUnknownKey
	}
	algorithms := []string{t.alg}
	v := oidc.NewVerifier(t.Issuer, found, &oidc.Config{SkipClientIDCheck: true, SkipExpiryCheck: true, SupportedSigningAlgs: algorithms})
	if _, err := v.Verify(context.Background(), t.raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForged, err)
	}
	for _, name := range [...]string{"iat", "nbf"} {
		if t.claims[name] == nil {
			continue
		}
		if at, ok := timeOf(t.claims[name]); !ok || at.After(now.Add(MaxSkew)) {
			return nil, fmt.Errorf("%w: %s", ErrClaim, name)
		}
	}
	return newClaims(t)
}

// Keys are public keys of an issuer. They are immutable.
type Keys []jose.JSONWebKey

// of are the keys by which a token can be: of its name, for its algorithm.
func (k Keys) of(t *Token) (found Keys) {
	for i := range k {
		if (t.kid == "" || k[i].KeyID == t.kid) && suits(&k[i], t.alg) && len(found) < maxTries {
			found = append(found, k[i])
		}
	}
	return found
}

// VerifySignature tells what a token says, if one of the keys has signed it. It is for package oidc.
func (k Keys) VerifySignature(_ context.Context, raw string) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(raw, Algorithms)
	if err != nil {
		return nil, err
	}
	for i := range k {
		if payload, err := signed.Verify(k[i].Key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("no key fits the signature")
}
