package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
)

// The algorithms that tokens are signed by ("GetWebIdentityToken" in the STS API Reference).
const (
	RS256 = "RS256"
	ES384 = "ES384"
)

const (
	rsaBits   = 2048
	p384Bytes = 48 // of a coordinate, and of each half of a signature
	pemType   = "PRIVATE KEY"
)

var errKey = errors.New("this is no issuer key")

// text is base64 as RFC 7515 has it.
var text = base64.RawURLEncoding

// Key signs tokens. It is immutable, safe for concurrent use, and does not print itself.
type Key struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
	// ids are the key ids of both, as verifiers are told them.
	rsaID, ecID string
}

// Generate makes a key: the private part, to be sealed, and what verifiers are told of it.
func Generate() (private, public []byte, err error) {
	k := &Key{}
	if k.rsa, err = rsa.GenerateKey(rand.Reader, rsaBits); err != nil {
		return nil, nil, fmt.Errorf("generate an RSA key: %w", err)
	}
	if k.ec, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader); err != nil {
		return nil, nil, fmt.Errorf("generate a P-384 key: %w", err)
	}
	for _, one := range [...]any{k.rsa, k.ec} {
		der, err := x509.MarshalPKCS8PrivateKey(one)
		if err != nil {
			return nil, nil, fmt.Errorf("encode an issuer key: %w", err)
		}
		private = append(private, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})...)
	}
	if err := k.identify(); err != nil {
		return nil, nil, err
	}
	public, err = k.public()
	return private, public, err
}

// NewKey returns the key whose private part Generate made.
func NewKey(private []byte) (*Key, error) {
	k := &Key{}
	for range 2 {
		var block *pem.Block
		if block, private = pem.Decode(private); block == nil {
			return nil, errKey
		}
		one, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, errKey // what the parser says may quote the key
		}
		switch one := one.(type) {
		case *rsa.PrivateKey:
			k.rsa = one
		case *ecdsa.PrivateKey:
			k.ec = one
		}
	}
	if k.rsa == nil || k.ec == nil || k.ec.Curve != elliptic.P384() {
		return nil, errKey
	}
	return k, k.identify()
}

// identify names both keys by what they are.
func (k *Key) identify() (err error) {
	if k.rsaID, err = idOf(&k.rsa.PublicKey); err == nil {
		k.ecID, err = idOf(&k.ec.PublicKey)
	}
	return err
}

func idOf(public any) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("encode the public part of an issuer key: %w", err)
	}
	sum := sha256.Sum256(der)
	return text.EncodeToString(sum[:16]), nil
}

// Format writes no key, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "issuer.Key("+k.rsaID+", "+k.ecID+")") // fmt.State reports no errors
}

// webKey is a JSON Web Key (RFC 7517, RFC 7518).
type webKey struct {
	Type      string `json:"kty"`
	ID        string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	N         string `json:"n,omitempty"`
	E         string `json:"e,omitempty"`
	Curve     string `json:"crv,omitempty"`
	X         string `json:"x,omitempty"`
	Y         string `json:"y,omitempty"`
}

// public is what verifiers are told: the members of a JSON Web Key Set.
func (k *Key) public() ([]byte, error) {
	const use = "sig"
	var e [8]byte
	binary.BigEndian.PutUint64(e[:], uint64(k.rsa.E))
	point, err := k.ec.PublicKey.Bytes() // 4, X, Y
	if err != nil {
		return nil, fmt.Errorf("encode the public part of an issuer key: %w", err)
	}
	first, err := json.Marshal(webKey{Type: "RSA", ID: k.rsaID, Use: use, Algorithm: RS256,
		N: text.EncodeToString(k.rsa.N.Bytes()), E: text.EncodeToString(new(big.Int).SetBytes(e[:]).Bytes())})
	if err != nil {
		return nil, fmt.Errorf("encode the public part of an issuer key: %w", err)
	}
	second, err := json.Marshal(webKey{Type: "EC", ID: k.ecID, Use: use, Algorithm: ES384, Curve: "P-384",
		X: text.EncodeToString(point[1 : 1+p384Bytes]), Y: text.EncodeToString(point[1+p384Bytes:])})
	if err != nil {
		return nil, fmt.Errorf("encode the public part of an issuer key: %w", err)
	}
	return append(append(first, ','), second...), nil
}

// Sign makes the token that says some claims, by an algorithm.
func (k *Key) Sign(algorithm string, claims []byte) (string, error) {
	id := k.rsaID
	if algorithm == ES384 {
		id = k.ecID
	}
	token := text.EncodeToString([]byte(`{"alg":"`+algorithm+`","kid":"`+id+`","typ":"JWT"}`)) + "." + text.EncodeToString(claims)
	var signature []byte
	switch algorithm {
	case RS256:
		sum := sha256.Sum256([]byte(token))
		s, err := rsa.SignPKCS1v15(nil, k.rsa, crypto.SHA256, sum[:])
		if err != nil {
			return "", fmt.Errorf("sign a web identity token: %w", err)
		}
		signature = s
	case ES384:
		sum := sha512.Sum384([]byte(token))
		r, s, err := ecdsa.Sign(rand.Reader, k.ec, sum[:])
		if err != nil {
			return "", fmt.Errorf("sign a web identity token: %w", err)
		}
		signature = make([]byte, 2*p384Bytes)
		r.FillBytes(signature[:p384Bytes])
		s.FillBytes(signature[p384Bytes:])
	default:
		return "", fmt.Errorf("sign a web identity token: there is no algorithm %q", algorithm)
	}
	return token + "." + text.EncodeToString(signature), nil
}
