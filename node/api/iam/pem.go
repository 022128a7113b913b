package iam

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/identity"
)

// Bounds of what is read from the texts that callers bring. To check a signature takes time
// that grows by more than the length of the key, and by that of its exponent.
const (
	minCertificateBits = 1024 // of an RSA key in a certificate
	// maxCertificateBits is twice the longest key that AWS's documentation has certificates
	// of ("Prerequisites for importing ACM certificates").
	maxCertificateBits = 8192
	// maxExponent is the exponent of nearly all keys; others that are in use are smaller.
	maxExponent = 1<<16 + 1
	// maxKeyDER is how many bytes a private key has that belongs to such a certificate.
	maxKeyDER    = 5 << 10
	maxChain     = 10       // certificates in a chain
	maxChainText = 64 << 10 // bytes of a chain; AWS's model lets 2 MiB pass
)

const pemBegin = "-----BEGIN "

// nextBlock is the PEM block that a text begins with, after white space, and what comes
// behind it; nil where something else stands there. What a decoder would pass over is
// no block.
func nextBlock(text string) (*pem.Block, string) {
	text = strings.TrimLeft(text, " \t\r\n")
	if !strings.HasPrefix(text, pemBegin) {
		return nil, ""
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || strings.Count(text[:len(text)-len(rest)], pemBegin) != 1 {
		return nil, ""
	}
	return block, string(rest)
}

// onlyBlock is the PEM block that a text consists of, white space aside.
func onlyBlock(text string) *pem.Block {
	block, rest := nextBlock(text)
	if strings.TrimSpace(rest) != "" {
		return nil
	}
	return block
}

// parseCertificate reads the certificate that a text consists of; nil for anything else.
func parseCertificate(text string) *x509.Certificate { return certificateIn(onlyBlock(text)) }

func certificateIn(block *pem.Block) *x509.Certificate {
	if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
		return nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return c
}

// usableKey tells that a certificate's key is of a kind and size that services take.
func usableKey(c *x509.Certificate) bool {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		bits := key.N.BitLen()
		return minCertificateBits <= bits && bits <= maxCertificateBits && key.E <= maxExponent
	case *ecdsa.PublicKey:
		return true
	}
	return false
}

// checkValidity tells what is wrong with a certificate at a time; empty for nothing.
func checkValidity(c *x509.Certificate, now identity.Time) string {
	at := time.UnixMilli(int64(now))
	switch {
	case at.Before(c.NotBefore):
		return "The certificate is not valid yet."
	case !at.Before(c.NotAfter):
		return "The certificate has expired."
	}
	return ""
}

// checkChain reads the certificates of those who signed: each must have signed the one
// before it, the first that of the body.
func checkChain(body *x509.Certificate, text string) error {
	if len(text) > maxChainText {
		return fail(codeLimitExceeded, "The certificate chain is longer than %d bytes.", maxChainText)
	}
	signed := body
	for i := 0; strings.TrimSpace(text) != ""; i++ {
		if i == maxChain {
			return fail(codeLimitExceeded, "The certificate chain has more than %d certificates.", maxChain)
		}
		block, rest := nextBlock(text)
		c := certificateIn(block)
		if c == nil || !usableKey(c) || !bytes.Equal(signed.RawIssuer, c.RawSubject) || signed.CheckSignatureFrom(c) != nil {
			return fail(codeMalformedCertificate, "Unable to validate certificate chain. The certificate chain must start with the immediate "+
				"signing certificate, followed by any intermediaries in order. The index within the chain of the invalid certificate is: %d", i)
		}
		signed, text = c, rest
	}
	return nil
}

// parsePrivateKey reads the private key that a text consists of: RSA or EC, and not
// encrypted. Errors do not quote it.
func parsePrivateKey(text string) (crypto.Signer, error) {
	block := onlyBlock(text)
	switch {
	case block == nil:
		return nil, fail(codeMalformedCertificate, "Unable to parse private key. Please ensure the private key is in PEM format.")
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" || block.Headers["Proc-Type"] != "":
		return nil, fail(codeMalformedCertificate, "Unable to parse key; the body is encrypted.")
	case len(block.Bytes) > maxKeyDER:
		return nil, fail(codeMalformedCertificate, "The private key is longer than that of any certificate that is supported.")
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err == nil {
		switch key := key.(type) {
		case *rsa.PrivateKey:
			return key, nil
		case *ecdsa.PrivateKey:
			return key, nil
		}
	}
	return nil, fail(codeMalformedCertificate, "Invalid Private Key.")
}

// checkKeyPair fails unless the private key belongs to the certificate.
func checkKeyPair(c *x509.Certificate, key crypto.Signer) error {
	public, ok := key.Public().(interface{ Equal(x crypto.PublicKey) bool })
	if !ok || !public.Equal(c.PublicKey) {
		return fail(codeKeyPairMismatch, "The public key certificate and the private key do not match.")
	}
	return nil
}
