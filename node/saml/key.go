package saml

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Limits of a private key, in bits. What is longer than any of them is not even parsed:
// checking a key takes time that grows by more than its length.
const (
	MinPrivateKeyBits = 2048
	MaxPrivateKeyBits = 8192
	maxKeyDER         = 5 << 10 // bytes
)

// ErrPrivateKey is returned for what is not a private key that opens assertions.
var ErrPrivateKey = errors.New("not an unencrypted RSA private key in PEM")

// CheckPrivateKey checks a private key: one block of PEM with an RSA key that is not
// encrypted. The error wraps ErrPrivateKey and says nothing of the key.
func CheckPrivateKey(text string) error {
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil || strings.TrimSpace(string(rest)) != "":
		return fmt.Errorf("%w: not one block", ErrPrivateKey)
	case len(block.Headers) > 0:
		return fmt.Errorf("%w: a block with headers", ErrPrivateKey)
	case len(block.Bytes) > maxKeyDER:
		return fmt.Errorf("%w: too long", ErrPrivateKey)
	}
	key, err := parseKey(block)
	if err != nil {
		return fmt.Errorf("%w: it cannot be read", ErrPrivateKey)
	}
	if bits := key.N.BitLen(); bits < MinPrivateKeyBits || bits > MaxPrivateKeyBits {
		return fmt.Errorf("%w: %d bits", ErrPrivateKey, bits)
	}
	return nil
}

func parseKey(block *pem.Block) (*rsa.PrivateKey, error) {
	switch block.Type {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		if key, ok := any.(*rsa.PrivateKey); ok {
			return key, nil
		}
	}
	return nil, ErrPrivateKey
}
