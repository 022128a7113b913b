package passkey

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// Limits of what an authenticator says, in bytes.
const (
	MaxClientData    = 2 << 10
	MaxAttestation   = 6 << 10
	MaxAuthenticator = 2 << 10
	MaxSignature     = 1 << 10
	MaxCredential    = 1023 // "Credential ID" in WebAuthn
	MinCredential    = 16
	MaxPublicKey     = 1 << 10
	maxUserHandle    = 64
	// MaxTransports is how many ways of reaching an authenticator are kept; further ones are
	// not, nor those whose name is longer than maxTransport.
	MaxTransports = 8
	maxTransport  = 32
)

// ErrResponse is returned for what is no response of an authenticator, or not to what was
// asked. Errors that wrap it say what is wrong, and quote nothing that is secret.
var ErrResponse = errors.New("the passkey's response is not right")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrResponse, fmt.Sprintf(format, args...))
}

// binary64 is bytes in base64url without padding, as browsers write them in JSON.
type binary64 []byte

// UnmarshalJSON reads base64url.
func (b *binary64) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return errors.New("not base64url without padding")
	}
	*b = raw
	return nil
}

// credential is what PublicKeyCredential.toJSON() makes in a browser, of which the rest is
// passed over.
type credential struct {
	ID       binary64 `json:"id"`
	RawID    binary64 `json:"rawId"`
	Type     string   `json:"type"`
	Response struct {
		ClientData    binary64 `json:"clientDataJSON"`
		Attestation   binary64 `json:"attestationObject"`
		Transports    []string `json:"transports"`
		Authenticator binary64 `json:"authenticatorData"`
		Signature     binary64 `json:"signature"`
		UserHandle    binary64 `json:"userHandle"`
	} `json:"response"`
}

// parseCredential reads a credential and checks how long its parts are.
func parseCredential(text []byte) (*credential, error) {
	c := new(credential)
	if err := json.Unmarshal(text, c); err != nil {
		return nil, wrong("it is no PublicKeyCredential in JSON")
	}
	r := &c.Response
	switch {
	case c.Type != "public-key":
		return nil, wrong("its type is not public-key")
	case len(c.ID) < MinCredential || len(c.ID) > MaxCredential:
		return nil, wrong("its id has not %d to %d bytes", MinCredential, MaxCredential)
	case len(c.RawID) != 0 && !bytes.Equal(c.ID, c.RawID):
		return nil, wrong("its id and rawId differ")
	case len(r.ClientData) == 0 || len(r.ClientData) > MaxClientData:
		return nil, wrong("its client data is missing, or longer than %d bytes", MaxClientData)
	case len(r.Attestation) > MaxAttestation, len(r.Authenticator) > MaxAuthenticator, len(r.Signature) > MaxSignature, len(r.UserHandle) > maxUserHandle:
		return nil, wrong("a part of it is longer than any is")
	}
	return c, nil
}

// clientData is what the browser says of the ceremony, which the authenticator signs.
type clientData struct {
	Type        string `json:"type"`
	Challenge   string `json:"challenge"`
	Origin      string `json:"origin"`
	CrossOrigin bool   `json:"crossOrigin"`
	TopOrigin   string `json:"topOrigin"`
}

// checkClient checks what the browser says against what was asked. It returns when the
// challenge was made.
func (p *Party) checkClient(text []byte, of For, now int64) (made int64, err error) {
	var said clientData
	if err := json.Unmarshal(text, &said); err != nil {
		return 0, wrong("its client data is no JSON")
	}
	switch {
	case said.Type != string(of.Ceremony):
		return 0, wrong("its client data is not of %s", of.Ceremony)
	case !slices.Contains(p.origins, said.Origin):
		return 0, wrong("it is of another origin")
	case said.CrossOrigin || said.TopOrigin != "":
		return 0, wrong("it was asked for by a page within a page of another origin")
	}
	return p.open(said.Challenge, of, now)
}

// Flags of authenticator data.
const (
	flagPresent    = 1 << 0
	flagVerified   = 1 << 2
	flagEligible   = 1 << 3
	flagBackedUp   = 1 << 4
	flagAttested   = 1 << 6
	flagExtensions = 1 << 7
)

// authenticator is what an authenticator says.
type authenticator struct {
	hash     []byte // of the domain
	flags    byte
	count    uint32
	attested *attested // of a new credential
}

// attested is a new credential.
type attested struct {
	aaguid     [16]byte
	credential []byte
	key        []byte // COSE
}

// The layout of authenticator data: the hash of the domain, flags, a counter; then of a new
// credential its AAGUID, the length of its identifier, that, and its key; then extensions.
const (
	atFlags  = sha256.Size
	atCount  = atFlags + 1
	headSize = atCount + 4
	aaguid   = 16
)

// parseAuthenticator reads authenticator data, which must be as long as it says.
func parseAuthenticator(b []byte) (*authenticator, error) {
	if len(b) < headSize {
		return nil, wrong("its authenticator data is cut short")
	}
	a := &authenticator{hash: b[:atFlags], flags: b[atFlags], count: binary.BigEndian.Uint32(b[atCount:])}
	rest := b[headSize:]
	if a.flags&flagAttested != 0 {
		if len(rest) < aaguid+2 {
			return nil, wrong("its authenticator data is cut short")
		}
		n := int(binary.BigEndian.Uint16(rest[aaguid:]))
		a.attested = &attested{aaguid: [aaguid]byte(rest)}
		if rest = rest[aaguid+2:]; n > len(rest) {
			return nil, wrong("its authenticator data is cut short")
		}
		a.attested.credential, rest = rest[:n], rest[n:]
		n, err := oneItem(rest)
		if err != nil {
			return nil, err
		}
		a.attested.key, rest = rest[:n], rest[n:]
	}
	if a.flags&flagExtensions != 0 {
		n, err := oneItem(rest)
		if err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	if len(rest) != 0 {
		return nil, wrong("something follows its authenticator data")
	}
	return a, nil
}

// oneItem is how long the item of CBOR is that some bytes begin with.
func oneItem(b []byte) (n int, err error) {
	var any webauthncbor.RawMessage
	if n, err = webauthncbor.UnmarshalFirst(b, &any); err != nil {
		return 0, wrong("its authenticator data has something that is no CBOR")
	}
	return n, nil
}

// checkAuthenticator checks what an authenticator says against what was asked. Whether it knew
// who its user is is not asked for: the user has shown a password.
func (p *Party) checkAuthenticator(a *authenticator) error {
	switch {
	case !bytes.Equal(a.hash, p.hash[:]):
		return wrong("it is of another domain")
	case a.flags&flagPresent == 0:
		return wrong("nobody was present at the authenticator")
	case a.flags&flagBackedUp != 0 && a.flags&flagEligible == 0:
		return wrong("it is backed up and cannot be")
	}
	return nil
}
