package oidc

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Limits of a key set.
const (
	// MaxKeys is how many keys an issuer has at most that tokens can be by: as AWS, a hundred
	// of RSA and a hundred of elliptic curves.
	MaxKeys    = 200
	minRSABits = 2048
	maxRSABits = 8192
)

// ErrKeySet is returned for what is no JSON Web Key Set that tokens can be verified by.
var ErrKeySet = errors.New("not a JSON Web Key Set with keys of RSA or elliptic curves")

// publicKey is what counts of a key in a set. What it says of certificates is passed over.
type publicKey struct {
	Type      string `json:"kty"`
	ID        string `json:"kid,omitempty"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	Curve     string `json:"crv,omitempty"`
	N         string `json:"n,omitempty"`
	E         string `json:"e,omitempty"`
	X         string `json:"x,omitempty"`
	Y         string `json:"y,omitempty"`
}

// ParseKeys reads a key set. Keys that no token can be by are passed over; a set without any
// other is ErrKeySet.
func ParseKeys(text []byte) (Keys, error) {
	list, err := setOf(text)
	if err != nil {
		return nil, err
	}
	var keys Keys
	for _, raw := range list {
		var public publicKey
		if json.Unmarshal(raw, &public) != nil || public.Use != "" && public.Use != "sig" {
			continue
		}
		plain, err := json.Marshal(public)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKeySet, err)
		}
		var k jose.JSONWebKey
		if k.UnmarshalJSON(plain) != nil || !k.Valid() || !accepted(&k) {
			continue
		}
		if keys = append(keys, k); len(keys) > MaxKeys {
			return nil, fmt.Errorf("%w: more than %d", ErrKeySet, MaxKeys)
		}
	}
	if len(keys) == 0 {
		return nil, ErrKeySet
	}
	return keys, nil
}

func setOf(text []byte) ([]json.RawMessage, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeySet, err)
	}
	return set.Keys, nil
}

// GivenKeys are the keys in a text that an administrator gives for an issuer, written anew
// with what counts of them alone. A secret among them is refused: whoever gives it has taken
// the wrong file. The error wraps ErrKeySet.
func GivenKeys(text []byte) (string, error) {
	list, err := setOf(text)
	if err != nil {
		return "", err
	}
	for _, raw := range list {
		var secret struct {
			D string `json:"d"`
			K string `json:"k"`
		}
		if json.Unmarshal(raw, &secret) != nil || secret.D != "" || secret.K != "" {
			return "", fmt.Errorf("%w: it has a private or secret key; give the public ones alone", ErrKeySet)
		}
	}
	keys, err := ParseKeys(text)
	if err != nil {
		return "", err
	}
	for i := range keys {
		keys[i] = jose.JSONWebKey{Key: keys[i].Key, KeyID: keys[i].KeyID, Algorithm: keys[i].Algorithm, Use: keys[i].Use}
	}
	plain, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrKeySet, err)
	}
	return string(plain), nil
}

// accepted tells a key of a kind and size that tokens can be by.
func accepted(k *jose.JSONWebKey) bool {
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= minRSABits && key.N.BitLen() <= maxRSABits && key.E > 2
	case *ecdsa.PublicKey:
		return true
	}
	return false
}

// curves are those of the algorithms that have one.
var curves = map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}

// suits tells whether a key can have signed by an algorithm.
func suits(k *jose.JSONWebKey, alg string) bool {
	if k.Algorithm != "" && k.Algorithm != alg {
		return false
	}
	if key, ok := k.Key.(*ecdsa.PublicKey); ok {
		return curves[alg] == key.Curve.Params().Name
	}
	return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
}
