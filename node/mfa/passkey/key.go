package passkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"math/big"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// Algorithms are those whose keys are taken, as COSE numbers them, the best first: ES256,
// EdDSA, RS256.
var Algorithms = [...]int{int(webauthncose.AlgES256), int(webauthncose.AlgEdDSA), int(webauthncose.AlgRS256)}

// How long the moduli of RSA keys may be, in bits.
const (
	minModulus = 2048
	maxModulus = 4096
)

// parseKey reads a public key and its algorithm, of those that are taken alone.
func parseKey(cose []byte) (key any, algorithm int64, err error) {
	if len(cose) > MaxPublicKey {
		return nil, 0, wrong("its public key is longer than %d bytes", MaxPublicKey)
	}
	key, err = webauthncose.ParsePublicKey(cose)
	if err != nil {
		return nil, 0, wrong("its public key is none")
	}
	switch k := key.(type) {
	case webauthncose.EC2PublicKeyData:
		if k.Algorithm == int64(webauthncose.AlgES256) && k.Curve == int64(webauthncose.P256) {
			return k, k.Algorithm, nil
		}
	case webauthncose.OKPPublicKeyData:
		if k.Algorithm == int64(webauthncose.AlgEdDSA) && k.Curve == int64(webauthncose.Ed25519) {
			return k, k.Algorithm, nil
		}
	case webauthncose.RSAPublicKeyData:
		bits := new(big.Int).SetBytes(k.Modulus).BitLen()
		if k.Algorithm == int64(webauthncose.AlgRS256) && minModulus <= bits && bits <= maxModulus {
			return k, k.Algorithm, nil
		}
	}
	return nil, 0, wrong("its public key is not of ES256, EdDSA or RS256 with %d to %d bits", minModulus, maxModulus)
}

// verified tells whether a key made a signature.
func verified(key any, data, signature []byte) bool {
	ok, err := webauthncose.VerifySignature(key, data, signature)
	return ok && err == nil
}

// NewDecoyKey makes a key that nobody has, in the form of COSE: what responses are verified by
// that have no right one.
func NewDecoyKey() ([]byte, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	half := (len(point) - 1) / 2
	return webauthncbor.Marshal(webauthncose.EC2PublicKeyData{
		PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)},
		Curve:         int64(webauthncose.P256), XCoord: point[1 : 1+half], YCoord: point[1+half:],
	})
}
