package iam

import (
	"bytes"
	"crypto/md5"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// sshAlgorithm begins a key in SSH's form (RFC 4253, section 6.6), as text and as bytes.
const sshAlgorithm = "ssh-rsa"

// Bounds of an SSH public key, by which nothing is checked here. The exponent is that of
// RFC 8017, as far as it is in use.
const (
	minSSHBits     = 2048 // "UploadSSHPublicKey" in the IAM API Reference
	maxSSHBits     = 16384
	maxSSHExponent = 1<<31 - 1
)

// sshKey is an RSA public key with the form that it came in.
type sshKey struct {
	public   *rsa.PublicKey
	encoding types.EncodingType
}

// parseSSHKey reads a key in SSH's form, on one line with whatever comment, or in PEM.
func parseSSHKey(text string) (sshKey, error) {
	text = strings.TrimSpace(text)
	var k sshKey
	switch algorithm, rest, _ := strings.Cut(text, " "); {
	case strings.HasPrefix(text, pemBegin):
		k = sshKey{publicKeyIn(onlyBlock(text)), types.EncodingTypePem}
	case algorithm == sshAlgorithm && !strings.ContainsAny(text, "\r\n"):
		encoded, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
		blob, _ := base64.StdEncoding.DecodeString(encoded) // what is wrong with it is no key
		k = sshKey{parseSSHBlob(blob), types.EncodingTypeSsh}
	default:
		return sshKey{}, fail(codeUnrecognizedEncoding, "The public key must be encoded in ssh-rsa format or PEM format.")
	}
	switch {
	case k.public == nil:
		return sshKey{}, fail(codeInvalidPublicKey, "The public key is malformed or otherwise invalid.")
	case k.public.N.BitLen() < minSSHBits:
		return sshKey{}, fail(codeInvalidPublicKey, "The public key must have %d bits at least.", minSSHBits)
	case k.public.N.BitLen() > maxSSHBits:
		return sshKey{}, fail(codeInvalidPublicKey, "The public key must have %d bits at most.", maxSSHBits)
	}
	return k, nil
}

// publicKeyIn is the RSA key of a PEM block; nil for anything else.
func publicKeyIn(block *pem.Block) *rsa.PublicKey {
	if block == nil {
		return nil
	}
	var key any
	switch block.Type {
	case "PUBLIC KEY":
		key, _ = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, _ = x509.ParsePKCS1PublicKey(block.Bytes)
	}
	if public, _ := key.(*rsa.PublicKey); public != nil {
		return parseSSHBlob(sshBlob(public)) // of the same numbers
	}
	return nil
}

// parseSSHBlob reads the bytes of a key in SSH's form; nil for anything else, such as
// another way to write the same numbers.
func parseSSHBlob(blob []byte) *rsa.PublicKey {
	var parts [3][]byte
	rest := blob
	for i := range parts {
		if len(rest) < 4 {
			return nil
		}
		n := binary.BigEndian.Uint32(rest)
		if uint64(n) > uint64(len(rest)-4) {
			return nil
		}
		parts[i], rest = rest[4:4+n], rest[4+n:]
	}
	exponent := new(big.Int).SetBytes(parts[1])
	if !exponent.IsInt64() || exponent.Int64() > maxSSHExponent || exponent.Int64() < 3 || exponent.Bit(0) == 0 {
		return nil
	}
	k := &rsa.PublicKey{N: new(big.Int).SetBytes(parts[2]), E: int(exponent.Int64())}
	if !bytes.Equal(sshBlob(k), blob) {
		return nil
	}
	return k
}

// sshBlob is a key in SSH's form.
func sshBlob(k *rsa.PublicKey) (blob []byte) {
	for _, part := range [][]byte{[]byte(sshAlgorithm), mpint(big.NewInt(int64(k.E))), mpint(k.N)} {
		blob = binary.BigEndian.AppendUint32(blob, uint32(len(part)))
		blob = append(blob, part...)
	}
	return blob
}

// mpint is a positive number as SSH writes it (RFC 4251, section 5).
func mpint(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) > 0 && b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return b
}

// fingerprint is the MD5 of the key, by which AWS tells keys apart to people.
func (k sshKey) fingerprint() string {
	sum := md5.Sum(sshBlob(k.public))
	var pairs []string
	for _, b := range sum {
		pairs = append(pairs, hex.EncodeToString([]byte{b}))
	}
	return strings.Join(pairs, ":")
}

// sshKeyIn is the text of a key in an encoding.
func sshKeyIn(encoding types.EncodingType, text string) (string, error) {
	k, err := parseSSHKey(text)
	switch {
	case err != nil:
		return "", err
	case k.encoding == encoding:
		return text, nil
	case encoding == types.EncodingTypeSsh:
		return sshAlgorithm + " " + base64.StdEncoding.EncodeToString(sshBlob(k.public)), nil
	case encoding == types.EncodingTypePem:
		der, err := x509.MarshalPKIXPublicKey(k.public)
		return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
	}
	return "", fail(codeUnrecognizedEncoding, "The encoding must be SSH or PEM, not %s.", encoding)
}
