// Package authenticator is an authenticator of WebAuthn in software, with the browser that
// asks it, for tests: it says what it is told to, also what is wrong.
package authenticator

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// Flags of authenticator data.
const (
	Present    = 1 << 0
	Verified   = 1 << 2
	Eligible   = 1 << 3
	BackedUp   = 1 << 4
	attested   = 1 << 6
	extensions = 1 << 7
)

// The algorithms, as COSE numbers them.
const (
	ES256 = -7
	EdDSA = -8
	ES384 = -35
	RS256 = -257
)

// Device is an authenticator with one credential, in a browser at an origin. What it says can
// be changed between uses; the zero value of each field below the first ones says what is right.
type Device struct {
	RPID, Origin string
	Credential   []byte
	Algorithm    int
	Flags        byte
	Count        uint32 // of signatures; it counts unless it is zero
	Handle       []byte // of the user, in assertions

	Type        string // of the client data
	CrossOrigin bool
	Format      string // of attestations: none, or packed by the own key
	Spoil       func(part string, b []byte) []byte
	Extensions  []byte // in authenticator data

	signer crypto.Signer
}

// New returns an authenticator with a new key of ES256, which counts its signatures.
func New(rpID, origin string) *Device { return Of(ES256, rpID, origin) }

// Of is New for any of the algorithms.
func Of(algorithm int, rpID, origin string) *Device {
	d := &Device{RPID: rpID, Origin: origin, Credential: make([]byte, 32), Algorithm: algorithm, Flags: Present | Verified, Count: 1, Format: "none"}
	rand.Read(d.Credential)
	var err error
	switch algorithm {
	case ES256:
		d.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ES384:
		d.signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case EdDSA:
		_, d.signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		d.signer, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		panic(err)
	}
	return d
}

// PublicKey is the credential's, in the form of COSE.
func (d *Device) PublicKey() []byte {
	key := map[int]any{3: d.Algorithm}
	switch k := d.signer.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		half := (len(point) - 1) / 2
		key[1], key[-1], key[-2], key[-3] = 2, half/16-1, point[1:1+half], point[1+half:]
	case ed25519.PublicKey:
		key[1], key[-1], key[-2] = 1, 6, []byte(k)
	case *rsa.PublicKey:
		key[1], key[-1], key[-2] = 3, k.N.Bytes(), []byte{1, 0, 1}
	}
	return encode(key)
}

func encode(v any) []byte {
	b, err := webauthncbor.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// Create answers a challenge as navigator.credentials.create does, with what toJSON says.
func (d *Device) Create(challenge string) string {
	client := d.clientData("webauthn.create", challenge)
	data := d.data(d.attested())
	statement := map[string]any{}
	if d.Format == "packed" {
		statement = map[string]any{"alg": d.Algorithm, "sig": d.sign(data, client)}
	}
	object := encode(map[string]any{"fmt": d.Format, "attStmt": statement, "authData": data})
	return d.say(map[string]any{"clientDataJSON": text(client), "attestationObject": text(d.spoil("attestation", object)), "transports": []string{"usb", "nfc"}})
}

// Get answers a challenge as navigator.credentials.get does, with what toJSON says.
func (d *Device) Get(challenge string) string {
	if d.Count != 0 {
		d.Count++
	}
	client := d.clientData("webauthn.get", challenge)
	data := d.data(nil)
	said := map[string]any{"clientDataJSON": text(client), "authenticatorData": text(data), "signature": text(d.sign(data, client))}
	if d.Handle != nil {
		said["userHandle"] = text(d.Handle)
	}
	return d.say(said)
}

func (d *Device) clientData(ceremony, challenge string) []byte {
	if d.Type != "" {
		ceremony = d.Type
	}
	return d.spoil("client", fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q,"crossOrigin":%v,"other_keys_can_be_added_here":"do not compare"}`,
		ceremony, challenge, d.Origin, d.CrossOrigin))
}

func (d *Device) attested() []byte {
	b := append(make([]byte, 0, 512), "AAGUID-AAGUID-16"...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(d.Credential)))
	b = append(b, d.Credential...)
	return append(b, d.spoil("key", d.PublicKey())...)
}

// data is authenticator data, of a new credential where that is given.
func (d *Device) data(of []byte) []byte {
	hash := sha256.Sum256([]byte(d.RPID))
	flags := d.Flags
	if of != nil {
		flags |= attested
	}
	if d.Extensions != nil {
		flags |= extensions
	}
	b := append(hash[:], flags)
	b = binary.BigEndian.AppendUint32(b, d.Count)
	return d.spoil("data", append(append(b, of...), d.Extensions...))
}

func (d *Device) sign(data, client []byte) []byte {
	hash := sha256.Sum256(client)
	message := append(append([]byte(nil), data...), hash[:]...)
	digest := sha256.Sum256(message)
	var signature []byte
	var err error
	switch d.Algorithm {
	case EdDSA:
		signature, err = d.signer.Sign(rand.Reader, message, crypto.Hash(0))
	default:
		signature, err = d.signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	}
	if err != nil {
		panic(err)
	}
	return d.spoil("signature", signature)
}

func (d *Device) spoil(part string, b []byte) []byte {
	if d.Spoil == nil {
		return b
	}
	return d.Spoil(part, b)
}

// say is what a credential says of itself in JSON.
func (d *Device) say(response map[string]any) string {
	b, err := json.Marshal(map[string]any{
		"id": text(d.Credential), "rawId": text(d.Credential), "type": "public-key", "authenticatorAttachment": "cross-platform",
		"clientExtensionResults": map[string]any{}, "response": response,
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func text(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
